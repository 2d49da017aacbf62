//===- PlanLoads.cpp - What ranks hold and compute of a layer -------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Ranks differ in the weights that they hold, and in the rows that reach their
// experts. Both are known for all ranks before the work of any step is asked
// for, and ranks that are equal in them are of one class.
//
//===----------------------------------------------------------------------===//

#include "runtime/cost/StepOperands.h"
#include "runtime/cost/StepWork.h"
#include "runtime/plan/StepKinds.h"

#include <algorithm>
#include <unordered_map>

using namespace moe;
using namespace moe::cost;

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
