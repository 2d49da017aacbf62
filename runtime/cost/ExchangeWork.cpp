//===- ExchangeWork.cpp - What ranks send each other ----------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Ranks of a group of p, G on each of N nodes, and what one of them sends:
//
//   flat           p - 1 messages
//   hierarchical   (G - 1) + (N - 1) messages, the bytes twice
//   replicated     nothing on the way there; all rows to all on the way back
//
// Before rows travel, their counts do, in as many messages.
//
//===----------------------------------------------------------------------===//

#include "runtime/cost/StepWork.h"
#include "runtime/plan/StepKinds.h"

#include <algorithm>
#include <cmath>
#include <string_view>

using namespace moe;
using namespace moe::cost;

bool cost::isCollective(const plan::StepT &step) {
  return moe::isCollective(step);
}

GroupShape GroupShape::of(const Mesh &mesh, plan::Group group,
                          int64_t nodeSize) {
  GroupShape shape;
  shape.size = mesh.sizeOf(group);
  shape.perNode = shape.size;
  if (nodeSize <= 0)
    return shape;
  double stride = group == plan::Group_Rows ? mesh.tp : 1;
  shape.perNode =
      std::clamp(static_cast<double>(nodeSize) / stride, 1.0, shape.size);
  return shape;
}

void cost::addFlat(StepWork &work, const GroupShape &group, double bytes,
                   double chance) {
  double others = group.size - 1;
  if (others <= 0)
    return;
  double inside = group.perNode - 1, across = group.size - group.perNode;
  work.inside.messages += inside * chance;
  work.inside.bytes += bytes * inside / others;
  work.across.messages += across * chance;
  work.across.bytes += bytes * across / others;
}

void cost::addHierarchical(StepWork &work, const GroupShape &group,
                           double bytes) {
  // Of what goes to all ranks, all but the own place leaves in each stage.
  double others = std::max(1.0, group.size - 1);
  double all = bytes * group.size / others;
  if (group.perNode > 1) {
    work.inside.messages += group.perNode - 1;
    work.inside.bytes += all * (group.perNode - 1) / group.perNode;
  }
  if (group.numNodes() > 1) {
    work.across.messages += group.numNodes() - 1;
    work.across.bytes += all * (group.numNodes() - 1) / group.numNodes();
  }
}

std::string_view PlanWork::formOf(int index) const {
  const plan::StepT &step = *program.steps[index];
  std::string_view form = "flat", small;
  int64_t limit = 0, tokens = 0;
  for (const auto &attribute : step.attributes) {
    if (attribute->name == "form")
      form = attribute->s;
    else if (attribute->name == "small_form")
      small = attribute->s;
    else if (attribute->name == "small_tokens")
      limit = attribute->i;
    else if (attribute->name == "tokens" && !attribute->exprs.empty())
      tokens = sizes.value(0, attribute->exprs[0]);
  }
  return !small.empty() && tokens <= limit ? small : form;
}

/// Ranks to which the rows of one rank may go.
static double targetsOf(const plan::LayerT &layer, double groupSize) {
  return std::max(1.0, groupSize / std::max<uint32_t>(1, layer.domains));
}

void PlanWork::addExchange(StepWork &work, int rank, int index) const {
  const plan::StepT &step = *program.steps[index];
  work.isCollective = true;
  work.weightBytes = work.activationBytes = 0;
  if (step.layer < 0)
    return;
  const plan::LayerT &layer = *program.layers[step.layer];
  GroupShape group = GroupShape::of(sizes.mesh(), step.group, nodeSize);
  std::string_view form = formOf(index);
  bool isBack = step.kernel == "all_to_all_back";
  int sizeClass = sizes.classOf(rank);
  std::vector<int64_t> dims = sizes.dims(sizeClass, step.inputs[0]);
  if (dims.size() != 2)
    return;
  double rowBytes = static_cast<double>(dims[1]) * 4;
  double received = loadOf(rank, index).rows;
  double sent = isBack ? received : static_cast<double>(dims[0]);
  work.units = (sent + received) * rowBytes; // rows are sorted on both sides
  if (form == "replicated") {
    work.rounds = isBack ? 1 : 0;
    if (isBack)
      addFlat(work, group, received * rowBytes * (group.size - 1));
    return;
  }
  // A sliced expert needs its rows on each of its ranks.
  if (!isBack && !layer.places.empty())
    sent *= std::max<double>(1, layer.places[0]->slices);
  double targets = targetsOf(layer, group.size);
  double bytes = sent * rowBytes * (targets - 1) / targets;
  double countBytes = isBack ? 0 : 4.0 * layer.experts * (group.size - 1);
  work.rounds = isBack ? 1 : 2;
  if (form == "hierarchical") {
    work.rounds *= 2;
    addHierarchical(work, group, bytes);
    if (!isBack)
      addHierarchical(work, group, countBytes);
    return;
  }
  // A message without rows is not sent.
  double chance = (1 - std::exp(-sent / targets)) * (targets - 1) /
                  std::max(1.0, group.size - 1);
  addFlat(work, group, bytes, chance);
  if (!isBack)
    addFlat(work, group, countBytes);
}

void PlanWork::addCollective(StepWork &work, int rank,
                             const plan::StepT &step) const {
  work.isCollective = true;
  work.weightBytes = work.activationBytes = 0;
  GroupShape group = GroupShape::of(sizes.mesh(), step.group, nodeSize);
  double bytes = sizes.bytes(sizes.classOf(rank), step.inputs[0]);
  double others = group.size - 1;
  work.rounds = 1;
  if (step.kernel == "all_gather") {
    work.units = bytes * group.size;
    addFlat(work, group, bytes * others);
    return;
  }
  // To each rank its part, and for a reduction to all the result.
  work.units = bytes * group.size;
  addFlat(work, group, bytes / group.size * others);
  if (step.kernel == "all_reduce")
    addFlat(work, group, bytes / group.size * others);
}

void PlanWork::addCompetition(StepWork &work, int rank,
                              const plan::StepT &step) const {
  work.isCollective = true;
  work.rounds = 1;
  GroupShape group = GroupShape::of(sizes.mesh(), step.group, nodeSize);
  int sizeClass = sizes.classOf(rank);
  bool byPosition = std::any_of(step.attributes.begin(), step.attributes.end(),
                                [](const auto &attribute) {
                                  return attribute->name == "drop_policy" &&
                                         (attribute->s == "choice" ||
                                          attribute->s == "token");
                                });
  // Counts [k, E] of 4 bytes, or pairs [T, k] of 8.
  std::vector<int64_t> logits = sizes.dims(sizeClass, step.inputs[0]);
  std::vector<int64_t> weights = sizes.dims(sizeClass, step.outputs[0]);
  if (logits.size() != 2 || weights.size() != 2)
    return;
  double bytes = byPosition ? 4 * static_cast<double>(weights[1]) *
                                  static_cast<double>(logits[1])
                            : 8 * sizes.elements(sizeClass, step.outputs[0]);
  addFlat(work, group, bytes * (group.size - 1));
}
