//===- BenchCommand.cpp - moe-run bench: time by shape --------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A cell is one shape. Its caches are filled once with made values; each run
// then continues from the same length, so what is timed is what a decode step
// does: nothing of the past is copied.
//
//===----------------------------------------------------------------------===//

#include "runtime/cost/Simulation.h"
#include "runtime/exec/Executable.h"
#include "runtime/io/Json.h"
#include "tools/common/Progress.h"
#include "tools/common/Signals.h"
#include "tools/moe-run/BenchReport.h"
#include "tools/moe-run/Calibration.h"
#include "tools/moe-run/Commands.h"
#include "tools/moe-run/Processes.h"
#include "tools/moe-run/SessionFlags.h"
#include "tools/moe-run/Statistics.h"
#include "tools/moe-run/SyntheticInputs.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <optional>

using namespace moe;
using namespace moe::tools;
using nlohmann::ordered_json;

namespace {

constexpr int kWarmUpRuns = 3;
constexpr size_t kMinRuns = 10;
constexpr int kTimedStepRuns = 20;

constexpr char kExamples[] = R"(
examples:
  moe-run bench model.moeplan --shape batch=1,seq=256,past=0
  moe-run bench model.moeplan --shape batch=1,seq=1,past=128 \
    --shape batch=8,seq=1,past=128 --threads 2 --json
  moe-run bench model.moeplan --shape batch=1,seq=1 --calibrate
  moe-run bench --layer E=128,k=8,H=2048,I=768,act=silu,gated --dtype=f16
one layer without a model: moe-run bench --layer --help)";

struct BenchFlags {
  SessionFlags session;
  std::vector<std::string> shapes;
  double seconds = 1;
  uint64_t seed = 0;
  bool json = false;
  std::string cluster;
  bool calibrates = false;
  bool hasFloors = true;

  void addTo(CLI::App &app) {
    session.addTo(app);
    app.add_option("--shape", shapes,
                   "Sizes to measure, as in batch=1,seq=1,past=128; may be "
                   "repeated")
        ->take_all()
        ->allow_extra_args(false);
    app.add_option("--seconds", seconds, "Time to spend on each shape")
        ->check(CLI::Range(0.0, 3600.0));
    app.add_option("--seed", seed, "Seed of the made inputs")
        ->check(CLI::NonNegativeNumber);
    app.add_flag("--json", json, "Print one JSON object");
    auto *file = app.add_option("--cluster", cluster,
                                "Predict times for the machine of this file, "
                                "which moe-run calibrate wrote");
    app.add_flag("--calibrate", calibrates,
                 "Measure the machine first and predict times for it")
        ->excludes(file);
    app.add_flag("--floors,!--no-floors", hasFloors,
                 "Measure how fast memory and arithmetic can be, and compare "
                 "steps with it");
    app.footer(kExamples);
  }
  /// The machine to predict times for, if one is wanted.
  StatusOr<std::optional<cost::Cluster>> machine() const;
  /// What this machine can do at most, if that is wanted.
  StatusOr<std::optional<Peaks>> peaks(int threads) const;
};

StatusOr<std::optional<cost::Cluster>> BenchFlags::machine() const {
  std::optional<cost::Cluster> result;
  if (calibrates) {
    MOE_ASSIGN_OR_RETURN(result, calibrate([](std::string_view) {}));
  } else if (!cluster.empty()) {
    MOE_ASSIGN_OR_RETURN(result, cost::readCluster(cluster));
  }
  return result;
}

StatusOr<std::optional<Peaks>> BenchFlags::peaks(int threads) const {
  std::optional<Peaks> result;
  if (hasFloors) {
    MOE_ASSIGN_OR_RETURN(std::unique_ptr<PeakMeter> meter,
                         PeakMeter::create(threads));
    result = meter->measure();
  }
  return result;
}

/// Runs one shape again and again.
class CellRunner {
public:
  CellRunner(Context &context, const NamedNumbers &shape, uint64_t seed)
      : context(context), shape(shape), seed(seed),
        past(pastLength(context.model(), shape)) {}

  Status prepare() {
    const Model &model = context.model();
    bool hasStates = std::any_of(model.inputs().begin(), model.inputs().end(),
                                 [](const PortInfo &p) { return p.isState; });
    keepsState = hasStates && !pastSymbol(model).empty();
    if (keepsState && past > 0) {
      MOE_ASSIGN_OR_RETURN(std::vector<HostTensor> all,
                           makeInputs(model, shape, seed, true));
      MOE_RETURN_IF_ERROR(runWith(all, RunOptions()));
    } else {
      context.resetState();
    }
    MOE_ASSIGN_OR_RETURN(tensors, makeInputs(model, shape, seed, !keepsState));
    return Status::ok();
  }

  StatusOr<double> run(bool timeSteps) {
    if (keepsState)
      context.truncateState(past);
    RunOptions options;
    options.keepState = keepsState;
    options.timeSteps = timeSteps;
    Stopwatch watch;
    MOE_RETURN_IF_ERROR(runWith(tensors, options));
    return watch.milliseconds();
  }

private:
  Status runWith(std::span<const HostTensor> inputs,
                 const RunOptions &options) {
    views.clear();
    for (const HostTensor &tensor : inputs)
      views.push_back({tensor.name(), tensor.dtype(), tensor.dims(),
                       tensor.bytes().data()});
    return context.run(views, options).status();
  }

  Context &context;
  const NamedNumbers &shape;
  uint64_t seed;
  int64_t past;
  bool keepsState = false;
  std::vector<HostTensor> tensors;
  std::vector<Input> views;
};

/// Adds the step times of the last run to those of others, by step.
void addStepTimes(const Context &context,
                  std::vector<std::vector<double>> &costs) {
  const plan::ProgramT &program = *context.model().executable()->program;
  std::vector<double> longest(costs.size()), shortest(costs.size(), HUGE_VAL);
  for (const StepTime &time : context.stepTimes()) {
    double milliseconds = double(time.end - time.begin) / 1e6;
    longest[time.step] = std::max(longest[time.step], milliseconds);
    shortest[time.step] = std::min(shortest[time.step], milliseconds);
  }
  for (size_t step = 0; step < costs.size(); ++step)
    costs[step].push_back(longest[step] > 0 &&
                                  cost::isCollective(*program.steps[step])
                              ? shortest[step]
                              : longest[step]);
}

StatusOr<BenchCell> measure(Context &context, const BenchFlags &flags,
                            const std::optional<cost::Cluster> &machine,
                            const std::optional<Peaks> &peaks,
                            const NamedNumbers &shape) {
  BenchCell cell;
  cell.shape = shape;
  CellRunner runner(context, cell.shape, flags.seed);
  MOE_RETURN_IF_ERROR(runner.prepare());
  for (int i = 0; i < kWarmUpRuns; ++i)
    MOE_RETURN_IF_ERROR(runner.run(false).status());
  Progress progress("run", 0);
  Stopwatch watch;
  for (;;) {
    MOE_RETURN_IF_ERROR(interruption());
    bool wantsMore = cell.times.size() < kMinRuns ||
                     watch.milliseconds() < flags.seconds * 1000;
    MOE_ASSIGN_OR_RETURN(int64_t goesOn, context.fromFirstRank(wantsMore));
    if (!goesOn)
      break;
    MOE_ASSIGN_OR_RETURN(double milliseconds, runner.run(false));
    cell.times.push_back(milliseconds);
    progress.update(static_cast<int64_t>(cell.times.size()));
  }
  // Apart from the others, for reading the clock takes time too.
  std::vector<std::vector<double>> costs(context.model().numSteps());
  for (int i = 0; i < kTimedStepRuns; ++i) {
    MOE_RETURN_IF_ERROR(interruption());
    MOE_RETURN_IF_ERROR(runner.run(true).status());
    MOE_RETURN_IF_ERROR(context.gatherStatistics());
    addStepTimes(context, costs);
  }
  for (size_t step = 0; step < costs.size(); ++step)
    cell.steps.push_back(
        {static_cast<int>(step), summarize(costs[step]).median});
  const Model &model = context.model();
  MOE_ASSIGN_OR_RETURN(cell.floors,
                       stepFloors(*model.executable()->program, shape, peaks));
  if (machine) {
    MOE_ASSIGN_OR_RETURN(
        cell.predicted,
        cost::simulate(*model.executable()->program, shape, *machine,
                       context.numThreads() / model.numRanks()));
  }
  return cell;
}

Status benchAll(const BenchFlags &flags) {
  std::vector<NamedNumbers> given;
  for (const std::string &text : flags.shapes) {
    MOE_ASSIGN_OR_RETURN(NamedNumbers numbers,
                         parseNamedNumbers("--shape", text));
    given.push_back(std::move(numbers));
  }
  if (given.empty())
    given.emplace_back();
  MOE_ASSIGN_OR_RETURN(Session session, flags.session.open());
  // Ranks that are processes would measure each other.
  std::optional<cost::Cluster> machine;
  std::optional<Peaks> peaks;
  if (isFirstProcess()) {
    MOE_ASSIGN_OR_RETURN(machine, flags.machine());
    MOE_ASSIGN_OR_RETURN(peaks, flags.peaks(session.context->numThreads()));
  }
  const Model &model = *session.model;
  std::vector<NamedNumbers> shapes;
  for (const NamedNumbers &numbers : given) {
    MOE_ASSIGN_OR_RETURN(NamedNumbers shape,
                         completeShape(model, "--shape", numbers));
    shapes.push_back(std::move(shape));
  }
  CancelOnSignal cancel = cancelOnSignal(*session.context);
  if (peaks && !flags.json)
    printPeaks(*peaks);
  auto cells = ordered_json::array();
  Status status;
  for (const NamedNumbers &shape : shapes) {
    StatusOr<BenchCell> cell =
        measure(*session.context, flags, machine, peaks, shape);
    status = cell.status();
    if (!status.isOk())
      break;
    if (flags.json)
      cells.push_back(cellJson(model, *cell));
    else
      printCell(model, *cell);
  }
  // An interrupted run still says what it measured.
  if (flags.json && (status.isOk() || !interruption().isOk())) {
    ordered_json object = {{"threads", session.context->numThreads()},
                           {"num_ranks", model.numRanks()}};
    if (peaks)
      object["machine"] = peaksJson(*peaks);
    object["cells"] = std::move(cells);
    std::printf("%s\n", jsonText(object).c_str());
  }
  MOE_RETURN_IF_ERROR(status);
  MOE_RETURN_IF_ERROR(flags.session.writeProfile(*session.context));
  return flushOutput();
}

} // namespace

int tools::benchCommand(const std::vector<std::string> &words) {
  for (const std::string &word : words)
    if (word == "--layer" || word.starts_with("--layer="))
      return benchLayerCommand(words);
  CLI::App app("Measures the time of runs.", "moe-run bench");
  BenchFlags flags;
  flags.addTo(app);
  if (std::optional<int> exitCode = parseCommandLine(app, words))
    return *exitCode;
  return endProgram("moe-run bench", benchAll(flags));
}
