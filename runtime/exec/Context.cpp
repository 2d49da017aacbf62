//===- Context.cpp - Runs a model -----------------------------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/exec/ContextImpl.h"
#include "runtime/exec/Guarded.h"

#include <algorithm>
#include <unistd.h>

using namespace moe;

/// What a plan's own defaults may reserve before anybody has asked for it.
static constexpr uint64_t kUnaskedBytes = uint64_t(64) << 20;

static uint64_t machineBytes() {
  long pages = sysconf(_SC_PHYS_PAGES), pageBytes = sysconf(_SC_PAGESIZE);
  if (pages <= 0 || pageBytes <= 0)
    return UINT64_MAX;
  return static_cast<uint64_t>(pages) * static_cast<uint64_t>(pageBytes);
}

//===----------------------------------------------------------------------===//
// Context
//===----------------------------------------------------------------------===//

Context::Context(std::unique_ptr<Impl> impl) : impl(std::move(impl)) {}
Context::~Context() = default;

StatusOr<std::unique_ptr<Context>>
Context::create(std::shared_ptr<Model> model, const ContextOptions &options) {
  return create(std::move(model), options, nullptr);
}

StatusOr<std::unique_ptr<Context>>
Context::create(std::shared_ptr<Model> model, const ContextOptions &options,
                std::unique_ptr<Communicators> comms) {
  if (options.device != "cpu")
    return Status(StatusCode::Usage,
                  "unknown device '" + options.device + "', expected 'cpu'");
  if (options.numThreads < 0)
    return Status(StatusCode::Usage,
                  std::to_string(options.numThreads) + " threads");
  return guarded([&]() -> StatusOr<std::unique_ptr<Context>> {
    auto impl =
        std::make_unique<Impl>(std::move(model), options, std::move(comms));
    MOE_RETURN_IF_ERROR(impl->start());
    return std::unique_ptr<Context>(new Context(std::move(impl)));
  });
}

Status Context::prepare(const std::map<std::string, int64_t> &maxima) {
  return guarded([&] { return impl->prepare(maxima); });
}
Status Context::initialize() {
  return guarded([&] { return impl->executable->loadWeights(); });
}

StatusOr<std::span<const Output>> Context::run(std::span<const Input> inputs,
                                               const RunOptions &options) {
  return guarded([&] { return impl->run(inputs, options); });
}

void Context::cancel(const Status &why) {
  impl->stopRun(impl->executable->firstRank(), why);
}

int64_t Context::stateLength() const {
  return impl->keptLengths.empty() ? 0 : impl->keptLengths[0];
}
void Context::resetState() {
  std::fill(impl->keptLengths.begin(), impl->keptLengths.end(), 0);
}

void Context::truncateState(int64_t length) {
  length = std::max<int64_t>(length, 0);
  for (size_t i = 0; i < impl->keptLengths.size(); ++i) {
    if (impl->keptLengths[i] <= length)
      continue;
    impl->keptLengths[i] = length;
    impl->keptDims[i][impl->program.states[i]->axis] = length;
  }
}

const Model &Context::model() const { return *impl->model; }

Status Context::gatherStatistics() {
  return guarded([&] { return impl->gatherStatistics(); });
}

int Context::numThreads() const {
  int64_t count = 0;
  for (int rank = 0; rank < impl->executable->numRanks(); ++rank)
    count += impl->reportOf(rank).numThreads;
  return static_cast<int>(count);
}

Counters Context::counters(int rank) const {
  return impl->reportOf(rank).counters;
}

void Context::resetCounters() {
  for (int place = 0; place < impl->comms->numHosted(); ++place)
    impl->comms->of(place).world().counters() = Counters();
  impl->reports.clear();
}

std::vector<StepTime> Context::stepTimes() const {
  if (!impl->gatheredTimes.empty())
    return impl->gatheredTimes;
  std::vector<StepTime> times;
  for (const auto &runner : impl->runners)
    times.insert(times.end(), runner->stepTimes().begin(),
                 runner->stepTimes().end());
  return times;
}

std::vector<ExpertLoads> Context::expertLoads() const {
  if (!impl->gatheredLoads.empty())
    return impl->gatheredLoads;
  std::vector<ExpertLoads> sum;
  for (const auto &runner : impl->runners) {
    const LoadRecorder *recorder = runner->loads();
    if (!recorder)
      continue;
    if (sum.empty())
      sum = recorder->loads();
    else
      for (size_t layer = 0; layer < sum.size(); ++layer)
        sum[layer].addRank(recorder->loads()[layer]);
  }
  return sum;
}

uint64_t Context::reservedBytes() const {
  uint64_t bytes = 0;
  for (int rank = 0; rank < impl->executable->numRanks(); ++rank)
    bytes += impl->reportOf(rank).reservedBytes;
  return bytes;
}

Context::Impl::Impl(std::shared_ptr<Model> shared,
                    const ContextOptions &options,
                    std::unique_ptr<Communicators> givenComms)
    : model(std::move(shared)), executable(model->executable()),
      program(*executable->program), options(options),
      device(createCpuDevice()), comms(std::move(givenComms)),
      maxima(executable->program), keptDims(program.states.size()),
      keptLengths(program.states.size()), values(program.symbols.size()),
      shapes(program.inputs.size()), inputMemory(program.inputs.size()),
      outputs(program.outputs.size()), outputMemory(program.outputs.size()) {
  for (size_t i = 0; i < program.inputs.size(); ++i)
    inputIndex[program.inputs[i]->name] = static_cast<int>(i);
  if (this->options.memoryLimit == 0)
    this->options.memoryLimit = machineBytes();
}

//===----------------------------------------------------------------------===//
// Memory
//===----------------------------------------------------------------------===//

/// Saturates.
static uint64_t totalBytes(std::span<const MemoryPlan> plans) {
  uint64_t total = 0;
  for (const MemoryPlan &plan : plans)
    if (__builtin_add_overflow(total, plan.totalBytes(), &total))
      return UINT64_MAX;
  return total;
}

StatusOr<std::vector<MemoryPlan>>
Context::Impl::planAll(std::span<const int64_t> symbolMaxima) const {
  std::vector<MemoryPlan> plans;
  for (size_t place = 0; place < runners.size(); ++place) {
    int rank = executable->firstRank() + static_cast<int>(place);
    MOE_ASSIGN_OR_RETURN(MemoryPlan plan,
                         planMemory(*executable, rank, symbolMaxima,
                                    runners[place]->numThreads()));
    plans.push_back(std::move(plan));
  }
  uint64_t total = totalBytes(plans);
  if (total <= options.memoryLimit)
    return plans;
  std::string shape;
  for (size_t i = 0; i < program.symbols.size(); ++i)
    if (program.symbols[i]->kind == plan::SymbolKind_Input)
      shape += (shape.empty() ? "" : ", ") + program.symbols[i]->name + "=" +
               std::to_string(symbolMaxima[i]);
  return Status(StatusCode::OutOfMemory,
                "buffers for " + shape + " take " + std::to_string(total) +
                    " bytes, more than the limit of " +
                    std::to_string(options.memoryLimit));
}

Status Context::Impl::reserve(std::vector<MemoryPlan> plans,
                              std::vector<int64_t> symbolMaxima) {
  isPrepared = false;
  for (size_t rank = 0; rank < runners.size(); ++rank) {
    Status status =
        runners[rank]->allocate(*device, std::move(plans[rank]), keptLengths);
    if (status.isOk())
      continue;
    std::fill(keptLengths.begin(), keptLengths.end(), 0);
    return status;
  }
  prepared = std::move(symbolMaxima);
  isPrepared = true;
  return Status::ok();
}

/// A call that fails leaves everything as it was.
Status Context::Impl::prepare(const std::map<std::string, int64_t> &given) {
  Maxima next = maxima;
  MOE_RETURN_IF_ERROR(next.setExplicit(given));
  std::vector<int64_t> initial = next.initial();
  std::vector<MemoryPlan> plans;
  if (next.areAllKnown()) {
    StatusOr<std::vector<MemoryPlan>> planned = planAll(initial);
    bool isAskedFor = !next.useDefaults();
    if (isAskedFor && !planned.isOk())
      return planned.status();
    if (planned.isOk() && (isAskedFor || totalBytes(*planned) <= kUnaskedBytes))
      plans = *std::move(planned);
  }
  maxima = std::move(next);
  prepared.clear();
  isPrepared = false;
  if (plans.empty())
    return Status::ok();
  return reserve(std::move(plans), std::move(initial));
}

/// Makes room for the shape of a run.
Status Context::Impl::makeRoom() {
  MOE_RETURN_IF_ERROR(maxima.check(values));
  bool fits = isPrepared;
  for (size_t i = 0; i < prepared.size(); ++i)
    fits &= program.symbols[i]->kind != plan::SymbolKind_Input ||
            values[i] <= prepared[i];
  if (fits)
    return Status::ok();
  maxima.noteGrowth(values, prepared);
  std::vector<int64_t> next = maxima.grown(values, prepared, /*ahead=*/true);
  StatusOr<std::vector<MemoryPlan>> plans = planAll(next);
  if (!plans.isOk()) {
    next = maxima.grown(values, prepared, /*ahead=*/false);
    plans = planAll(next);
  }
  if (!plans.isOk())
    return plans.status();
  return reserve(*std::move(plans), std::move(next));
}
