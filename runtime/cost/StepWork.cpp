//===- StepWork.cpp - What a step of a plan has to do ---------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/cost/StepWork.h"

#include "runtime/params/QuantFormat.h"
#include "runtime/plan/StepKinds.h"
#include "runtime/support/DType.h"

#include <algorithm>
#include <cmath>
#include <string_view>
#include <unordered_map>

using namespace moe;
using namespace moe::cost;

/// Kernels multiply panels of 16 columns, of which the last may be padding.
static double padded(double columns) {
  return std::max(1.0, std::ceil(columns / 16)) * 16;
}

static const plan::AttributeT *find(const plan::StepT &step,
                                    std::string_view name) {
  for (const auto &attribute : step.attributes)
    if (attribute->name == name)
      return attribute.get();
  return nullptr;
}

/// The operand, or -1 if it is absent.
static int inputOf(const plan::StepT &step, size_t index) {
  return index < step.inputs.size() ? step.inputs[index] : -1;
}

//===----------------------------------------------------------------------===//
// What ranks hold
//===----------------------------------------------------------------------===//

/// Units of intermediate columns that slices of a layer's experts divide, from
/// one of the parameters that have them; 1 if there is none.
static int64_t sliceUnits(const plan::ProgramT &program, int layer) {
  for (const auto &param : program.params)
    if (param->layer == layer && param->part_axis >= 0 &&
        param->part_axis < static_cast<int>(param->dims.size())) {
      int64_t size = param->dims[param->part_axis];
      int64_t unit = std::max<uint32_t>(1, param->part_unit);
      return std::max<int64_t>(1, size / unit + (size % unit != 0));
    }
  return 1;
}

void PlanWork::findHeld() {
  for (size_t i = 0; i < program.layers.size(); ++i) {
    const plan::LayerT &layer = *program.layers[i];
    std::vector<Held> places(sizes.mesh().sizeOf(layer.group));
    int64_t units = sliceUnits(program, static_cast<int>(i));
    for (const auto &place : layer.places) {
      int64_t slices = std::max<int64_t>(1, place->slices);
      for (size_t j = 0; j < place->ranks.size(); ++j)
        if (place->ranks[j] < places.size()) {
          Held &mine = places[place->ranks[j]];
          mine.experts += 1;
          mine.share +=
              sliceShare(units, static_cast<int64_t>(j) % slices, slices);
        }
    }
    if (layer.places.empty())
      std::fill(places.begin(), places.end(),
                Held{double(layer.experts), double(layer.experts)});
    held.push_back(std::move(places));
  }
}

double PlanWork::heldBytes(int rank, const plan::ParamT &param) const {
  double bytes = 0;
  for (const auto &block : param.blocks)
    bytes += static_cast<double>(block->bytes);
  if (param.experts > 0 && param.layer >= 0) {
    plan::Group group = program.layers[param.layer]->group;
    const Held &mine = held[param.layer][sizes.mesh().placeOf(rank, group)];
    return bytes / param.experts *
           (param.part_axis >= 0 ? mine.share : mine.experts);
  }
  if (param.part < 0 || param.part_axis < 0)
    return bytes;
  int sizeClass = sizes.classOf(rank);
  double whole = static_cast<double>(sizes.wholeOf(sizeClass, param.part));
  double part = static_cast<double>(sizes.symbolValue(sizeClass, param.part));
  return whole > 0 ? bytes * part / whole : bytes;
}

double PlanWork::weightBytes(int rank) const {
  double bytes = 0;
  for (const auto &param : program.params)
    bytes += heldBytes(rank, *param);
  return bytes;
}

double PlanWork::expertWeightBytes(int rank) const {
  double bytes = 0;
  for (const auto &param : program.params)
    if (param->is_expert)
      bytes += heldBytes(rank, *param);
  return bytes;
}

const plan::ParamT *PlanWork::paramOf(int buffer) const {
  if (buffer < 0)
    return nullptr;
  const plan::BufferT &root = *program.buffers[roots[buffer]];
  return root.kind == plan::BufferKind_Param ? program.params[root.index].get()
                                             : nullptr;
}

//===----------------------------------------------------------------------===//
// Loads of experts
//===----------------------------------------------------------------------===//

bool PlanWork::runs(int step) const {
  int guard = program.steps[step]->guard;
  return guard < 0 || sizes.value(0, static_cast<uint32_t>(guard)) != 0;
}

/// Rows that each rank of the group with this color gives to the exchange.
std::vector<double> PlanWork::sentRows(int step, int color) const {
  const plan::StepT &info = *program.steps[step];
  const Mesh &mesh = sizes.mesh();
  std::vector<double> rows(mesh.sizeOf(info.group));
  for (int rank = 0; rank < mesh.numRanks; ++rank) {
    if (mesh.colorOf(rank, info.group) != color)
      continue;
    int sizeClass = sizes.classOf(rank);
    std::vector<int64_t> dims = sizes.dims(sizeClass, info.inputs[0]);
    double count = dims.empty() ? 0 : static_cast<double>(dims[0]);
    if (info.kernel == "routed_experts") // has tokens, and what they chose
      count = sizes.elements(sizeClass, inputOf(info, 1));
    rows[mesh.placeOf(rank, info.group)] = count;
  }
  if (formOf(step) == "replicated")
    std::fill(rows.begin() + 1, rows.end(), 0);
  return rows;
}

Status PlanWork::findLoads() {
  const Mesh &mesh = sizes.mesh();
  std::map<int, int> writers;
  exchangeOf.assign(program.steps.size(), -1);
  for (size_t i = 0; i < program.steps.size(); ++i) {
    const plan::StepT &step = *program.steps[i];
    int index = static_cast<int>(i);
    bool isExperts = firstExpertWeight(step.kernel) > 0;
    // The route tells from which exchange rows come back.
    int source = isExperts                          ? inputOf(step, 0)
                 : step.kernel == "all_to_all_back" ? inputOf(step, 1)
                                                    : -1;
    if (source >= 0) {
      auto it = writers.find(roots[source]);
      exchangeOf[i] = it == writers.end() ? -1 : exchangeOf[it->second];
    }
    bool isSource =
        step.kernel == "all_to_all" || (isExperts && exchangeOf[i] < 0);
    if (isSource && step.layer >= 0) {
      exchangeOf[i] = index;
      std::vector<RankLoad> all(mesh.numRanks);
      int colors = mesh.numRanks / mesh.sizeOf(step.group);
      for (int color = 0; color < colors; ++color) {
        std::vector<RankLoad> group =
            expertLoads(*program.layers[step.layer], sentRows(index, color),
                        sliceUnits(program, step.layer));
        for (int rank = 0; rank < mesh.numRanks; ++rank)
          if (mesh.colorOf(rank, step.group) == color)
            all[rank] = group[mesh.placeOf(rank, step.group)];
      }
      loads[index] = std::move(all);
    }
    for (int output : step.outputs)
      if (output >= 0)
        writers[roots[output]] = index;
  }
  return Status::ok();
}

const RankLoad &PlanWork::loadOf(int rank, int step) const {
  static const RankLoad kNone;
  auto it = loads.find(exchangeOf[step]);
  return it == loads.end() ? kNone : it->second[rank];
}

void PlanWork::findClasses() {
  std::unordered_map<std::string, int> known;
  for (int rank = 0; rank < sizes.mesh().numRanks; ++rank) {
    std::string key = std::to_string(sizes.classOf(rank));
    for (const auto &[step, ranks] : loads) {
      const RankLoad &load = ranks[rank];
      key.append(reinterpret_cast<const char *>(&load), sizeof(load));
    }
    auto [it, isNew] = known.try_emplace(key, numClasses());
    if (isNew)
      members.push_back({rank, 0});
    ++members[it->second].second;
    classes.push_back(it->second);
  }
}

StatusOr<PlanWork> PlanWork::create(const PlanSizes &sizes, int64_t nodeSize) {
  PlanWork work(sizes, nodeSize);
  const plan::ProgramT &program = work.program;
  for (size_t i = 0; i < program.buffers.size(); ++i) {
    int root = static_cast<int>(i);
    while (program.buffers[root]->base >= 0)
      root = program.buffers[root]->base;
    work.roots.push_back(root);
  }
  work.findHeld();
  MOE_RETURN_IF_ERROR(work.findLoads());
  work.findClasses();
  return work;
}

//===----------------------------------------------------------------------===//
// Products
//===----------------------------------------------------------------------===//

/// Bytes of all operands that are no weights.
double PlanWork::operandBytes(int rank, const plan::StepT &step) const {
  double bytes = 0;
  for (const auto *list : {&step.inputs, &step.outputs})
    for (int buffer : *list)
      if (buffer >= 0 && !paramOf(buffer))
        bytes += sizes.bytes(sizes.classOf(rank), buffer);
  return bytes;
}

/// Elements of all dimensions but the last.
static double rowsOf(const std::vector<int64_t> &dims) {
  double rows = 1;
  for (size_t i = 0; i + 1 < dims.size(); ++i)
    rows *= static_cast<double>(dims[i]);
  return rows;
}

void PlanWork::addFlops(StepWork &work, const plan::StepT &step, int buffer,
                        double flops) const {
  work.flops += flops;
  const plan::AttributeT *arithmetic = find(step, "arithmetic");
  const plan::ParamT *weight = paramOf(buffer);
  if (!arithmetic || arithmetic->s != "int8" || !weight)
    return;
  // Rows are rounded in blocks of 32 for codes in blocks of a multiple.
  std::optional<QuantFormat> format = parseQuantLayout(weight->layout);
  if (format && format->block % 32 == 0)
    work.int8Flops += flops;
}

void PlanWork::addProduct(StepWork &work, int rank,
                          const plan::StepT &step) const {
  work.kind = KernelKind::Product;
  int sizeClass = sizes.classOf(rank);
  std::vector<int64_t> lhs = sizes.dims(sizeClass, step.inputs[0]);
  std::vector<int64_t> out = sizes.dims(sizeClass, step.outputs[0]);
  if (lhs.empty() || out.empty())
    return;
  addFlops(work, step, inputOf(step, 1),
           2 * rowsOf(out) * static_cast<double>(lhs.back()) *
               padded(static_cast<double>(out.back())));
}

/// A product, of which choices are made and rows moved.
void PlanWork::addRouter(StepWork &work, int rank,
                         const plan::StepT &step) const {
  work.kind = KernelKind::Product;
  int sizeClass = sizes.classOf(rank);
  std::vector<int64_t> x = sizes.dims(sizeClass, step.inputs[0]);
  std::vector<int64_t> weight = sizes.dims(sizeClass, step.inputs[1]);
  if (x.size() == 2 && weight.size() == 2)
    work.flops = 2 * static_cast<double>(x[0]) * static_cast<double>(x[1]) *
                 padded(static_cast<double>(weight[1]));
}

void PlanWork::addFfn(StepWork &work, int rank, const plan::StepT &step) const {
  work.kind = KernelKind::Product;
  int sizeClass = sizes.classOf(rank);
  double rows = rowsOf(sizes.dims(sizeClass, step.inputs[0]));
  // w1, w2 and w3 are operands 1, 3 and 5.
  for (size_t i : {1, 3, 5}) {
    int buffer = inputOf(step, i);
    if (buffer < 0)
      continue;
    std::vector<int64_t> dims = sizes.dims(sizeClass, buffer);
    if (dims.size() != 2)
      continue;
    addFlops(work, step, buffer,
             2 * rows * static_cast<double>(dims[0]) *
                 padded(static_cast<double>(dims[1])));
    if (i == 3)
      work.units = rows * static_cast<double>(dims[0]);
  }
}

void PlanWork::addExperts(StepWork &work, int rank, int index) const {
  const plan::StepT &step = *program.steps[index];
  const RankLoad &load = loadOf(rank, index);
  work.kind = KernelKind::Product;
  work.weightBytes = 0;
  size_t first = firstExpertWeight(step.kernel);
  for (size_t i = first; i < step.inputs.size(); ++i) {
    const plan::ParamT *param = paramOf(step.inputs[i]);
    if (!param || param->experts <= 0)
      continue;
    double bytes = 0;
    for (const auto &block : param->blocks)
      bytes += static_cast<double>(block->bytes);
    work.weightBytes += bytes / param->experts * load.experts;
    if (param->dims.size() != 2)
      continue;
    addFlops(work, step, step.inputs[i],
             2 * load.work * static_cast<double>(param->dims[0]) *
                 padded(static_cast<double>(param->dims[1])));
    if (i == first + 2) // w2
      work.units = load.work * static_cast<double>(param->dims[0]);
  }
  if (step.kernel == "experts") { // rows in and out, as many as there are
    std::vector<int64_t> dims = sizes.dims(sizes.classOf(rank), step.inputs[0]);
    double columns = dims.empty() ? 0 : static_cast<double>(dims.back());
    work.activationBytes = 2 * load.rows * columns * 4;
  } else { // the outputs of choices are no operands: written, then mixed
    int out = step.outputs[0];
    std::vector<int64_t> dims = sizes.dims(sizes.classOf(rank), out);
    double columns = dims.empty() ? 0 : static_cast<double>(dims.back());
    work.activationBytes +=
        2 * load.rows * columns *
        static_cast<double>(
            dtypeSize(static_cast<DType>(program.buffers[out]->dtype)));
  }
  work.flopsFactor = load.workFactor;
  work.bytesFactor = load.expertsFactor;
}

void PlanWork::addAttention(StepWork &work, int rank,
                            const plan::StepT &step) const {
  work.kind = KernelKind::Attention;
  int sizeClass = sizes.classOf(rank);
  std::vector<int64_t> q = sizes.dims(sizeClass, step.inputs[0]);
  std::vector<int64_t> k = sizes.dims(sizeClass, step.inputs[1]);
  std::vector<int64_t> v = sizes.dims(sizeClass, step.inputs[2]);
  if (q.size() != 4 || k.size() != 4 || v.size() != 4)
    return;
  double keys = static_cast<double>(k[2]);
  const plan::AttributeT *causal = find(step, "causal");
  // Keys behind a query are not looked at.
  if (causal && causal->i != 0)
    keys = std::max(1.0, keys - (static_cast<double>(q[2]) - 1) / 2);
  work.units = static_cast<double>(q[0]) * static_cast<double>(q[1]) *
               static_cast<double>(q[2]) * keys;
  work.flops = 2 * work.units * static_cast<double>(q[3] + v[3]);
}

//===----------------------------------------------------------------------===//
// All others
//===----------------------------------------------------------------------===//

/// What moves elements costs what it writes; appending to a cache writes the
/// new entries only.
void PlanWork::addMove(StepWork &work, int rank,
                       const plan::StepT &step) const {
  work.kind = KernelKind::Move;
  int sizeClass = sizes.classOf(rank);
  double written = 0;
  for (int output : step.outputs)
    written += sizes.bytes(sizeClass, output);
  if (step.kernel == "cache_append")
    written = sizes.bytes(sizeClass, inputOf(step, 1));
  if (step.kernel == "combine") // reads a row for each slot
    written =
        sizes.elements(sizeClass, inputOf(step, 1)) * 4 *
        static_cast<double>(sizes.dims(sizeClass, step.outputs[0]).back());
  work.units = written;
  work.weightBytes = std::min(work.weightBytes, written);
  work.activationBytes = std::min(work.activationBytes, 2 * written);
}

static KernelKind kindOf(std::string_view kernel) {
  for (std::string_view each : {"norm", "softmax", "reduce", "arg_reduce",
                                "cumsum", "top_k", "rotary", "mix"})
    if (kernel == each)
      return KernelKind::Norm;
  if (kernel == "elementwise")
    return KernelKind::Elementwise;
  return kernel == "gate" ? KernelKind::Gate : KernelKind::Move;
}

StepWork PlanWork::work(int rankClass, int index) const {
  const plan::StepT &step = *program.steps[index];
  int rank = rankOf(rankClass), sizeClass = sizes.classOf(rank);
  StepWork work;
  for (int buffer : step.inputs)
    if (const plan::ParamT *param = paramOf(buffer))
      work.weightBytes += heldBytes(rank, *param);
  work.activationBytes = operandBytes(rank, step);
  if (step.kernel == "matmul") {
    addProduct(work, rank, step);
  } else if (step.kernel == "router") {
    addRouter(work, rank, step);
  } else if (step.kernel == "ffn") {
    addFfn(work, rank, step);
  } else if (firstExpertWeight(step.kernel) > 0) {
    addExperts(work, rank, index);
  } else if (step.kernel == "attention") {
    addAttention(work, rank, step);
  } else if (step.kernel.starts_with("all_to_all")) {
    addExchange(work, rank, index);
  } else if (isCollective(step) && step.kernel != "gate") {
    addCollective(work, rank, step);
  } else if (kindOf(step.kernel) == KernelKind::Move) {
    addMove(work, rank, step);
  } else {
    work.kind = kindOf(step.kernel);
    bool isElementwise = work.kind == KernelKind::Elementwise;
    int buffer = isElementwise ? step.outputs[0] : step.inputs[0];
    work.units = sizes.elements(sizeClass, buffer);
    if (isElementwise)
      work.units *=
          static_cast<double>(std::max<size_t>(1, step.program.size()));
    if (isCollective(step))
      addCompetition(work, rank, step);
  }
  return work;
}
