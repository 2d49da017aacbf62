//===- MeshWeight.cpp - Times and memory of one mesh ----------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// In the terms of runtime/cost: works of whole layers in place of steps. What
// no choice changes (overheads, norms, routers) is left out.
//
//===----------------------------------------------------------------------===//

#include "passes/solver/MeshChoice.h"

#include "runtime/cost/StepTime.h"

#include <algorithm>
#include <cmath>

using namespace moe;
using namespace moe::cost;
using namespace moe::solver;

/// Numbers of a token's activations that live at the same time.
static constexpr double kLiveActivations = 12;
static constexpr double kFloatBytes = 4;
/// Smaller gains are not worth another form.
static constexpr double kFormMargin = 0.05;

namespace {

/// One mesh under one problem.
class MeshWeigher {
public:
  MeshWeigher(const MeshProblem &problem, const MeshDegrees &mesh)
      : problem(problem), mesh(mesh), owners(double(mesh.dp * mesh.ep)),
        tp(double(mesh.tp)) {}

  MeshCandidate run();

private:
  /// Where the experts of a layer are: each of `copies` replicas of an expert
  /// is on `slices` ranks.
  struct Spread {
    double ranks = 1;
    double copies = 1, slices = 1;
  };

  Spread spreadOf(const MoeLayerSummary &layer, const LayerForm &form) const;
  double heldExperts(const MoeLayerSummary &layer, const Spread &spread) const;
  GroupShape worldShape() const;
  double seconds(const StepWork &work) const;
  double denseSeconds(const RunShape &shape) const;
  double expertSeconds(const MoeLayerSummary &layer, const LayerForm &form,
                       double tokens) const;
  double exchangeSeconds(const MoeLayerSummary &layer, Exchange exchange,
                         const Spread &spread, double tokens) const;
  double layerSeconds(const MoeLayerSummary &layer, const LayerForm &form,
                      double tokens) const;
  double weighted(const MoeLayerSummary &layer, const LayerForm &form) const;
  void chooseExperts(const MoeLayerSummary &layer, LayerForm &form) const;
  void chooseExchange(const MoeLayerSummary &layer, LayerForm &form) const;
  void chooseSmall(const MoeLayerSummary &layer, LayerForm &form) const;
  void chooseChunks(const MoeLayerSummary &layer, LayerForm &form) const;
  double memory(const std::vector<LayerForm> &forms) const;

  static double tokensOf(const RunShape &shape) {
    return shape.rows * shape.tokens;
  }

  const MeshProblem &problem;
  const MeshDegrees mesh;
  const double owners, tp;
  double workingSet = 0;
};

} // namespace

//===----------------------------------------------------------------------===//
// Times
//===----------------------------------------------------------------------===//

GroupShape MeshWeigher::worldShape() const {
  double all = owners * tp;
  double node = problem.nodeSize > 0 ? double(problem.nodeSize) : all;
  return {all, std::clamp(node, 1.0, all)};
}

double MeshWeigher::seconds(const StepWork &work) const {
  GroupShape world = worldShape();
  return RankClock(problem.cluster, world.perNode, 1, workingSet)
      .seconds(work, /*slowest=*/true);
}

double MeshWeigher::denseSeconds(const RunShape &shape) const {
  const ModelSummary &model = problem.model;
  double rows = std::ceil(shape.rows / owners);
  double tokens = rows * shape.tokens;
  StepWork work;
  work.kind = KernelKind::Product;
  work.weightBytes = model.slicedBytes / tp + model.wholeBytes +
                     rows * (shape.past + shape.tokens) * model.cacheBytes / tp;
  work.flops = tokens * (model.slicedFlops / tp + model.wholeFlops);
  double total = seconds(work);
  if (mesh.tp > 1) {
    StepWork sum;
    sum.isCollective = true;
    sum.rounds = 1;
    double bytes = tokens * double(model.hidden) * kFloatBytes;
    GroupShape group{tp, std::min(tp, worldShape().perNode)};
    addFlat(sum, group, 2 * bytes / tp * (tp - 1));
    sum.units = bytes * 2;
    total += model.reductions * seconds(sum);
  }
  return total;
}

MeshWeigher::Spread MeshWeigher::spreadOf(const MoeLayerSummary &layer,
                                          const LayerForm &form) const {
  Spread spread;
  // Experts lie within a dp block; coordinated, within equal tp ranks.
  spread.ranks =
      double(mesh.ep) * (form.exchange == Exchange::Coordinated ? 1.0 : tp);
  double perExpert = spread.ranks / double(layer.experts);
  if (form.experts == ExpertForm::Slice)
    spread.slices = form.slices.value_or(0) > 0 ? double(*form.slices)
                                                : std::max(1.0, perExpert);
  spread.copies = std::max(1.0, perExpert / spread.slices);
  if (form.experts == ExpertForm::Spread)
    spread.copies = 1;
  // Replicas of as many experts as ranks, or more: every rank has them all.
  if (form.experts == ExpertForm::Replicate && perExpert <= 1)
    spread.copies = spread.ranks;
  return spread;
}

/// Whole experts that one rank holds at most.
double MeshWeigher::heldExperts(const MoeLayerSummary &layer,
                                const Spread &spread) const {
  double parts = double(layer.experts) * spread.copies * spread.slices;
  return std::ceil(parts / spread.ranks) / spread.slices;
}

double MeshWeigher::expertSeconds(const MoeLayerSummary &layer,
                                  const LayerForm &form, double tokens) const {
  Spread spread = spreadOf(layer, form);
  double blocks = owners * tp / spread.ranks;
  double mine = tokens / blocks; // tokens of this block of ranks
  double experts = double(layer.experts), k = double(layer.k);
  double active = activeExperts(experts, k, mine / spread.copies);
  double share = heldExperts(layer, spread) / experts;
  double rows = mine * k / spread.copies * share;
  StepWork work;
  work.kind = KernelKind::Product;
  work.weightBytes = active * share * layer.expertBytes;
  work.flops = rows * layer.rowFlops;
  // What chance gives the slowest rank more: see runtime/cost/ExpertLoad.h.
  double largest = largestOf(spread.ranks);
  auto factor = [&](double count, double mean) {
    double part = std::min(1.0, share);
    double deviation = std::sqrt(count * part * (1 - part));
    return mean > 0 ? std::min(count, mean + largest * deviation) / mean : 1;
  };
  work.flopsFactor = std::max(1.0, factor(mine * k, mine * k * share));
  work.bytesFactor = std::max(1.0, factor(active, active * share));
  return seconds(work);
}

double MeshWeigher::exchangeSeconds(const MoeLayerSummary &layer,
                                    Exchange exchange, const Spread &spread,
                                    double tokens) const {
  GroupShape group = worldShape();
  if (exchange == Exchange::Coordinated)
    group = {owners, std::max(1.0, group.perNode / tp)};
  bool isLocal = spread.ranks > 1 && spread.copies == spread.ranks;
  if (group.size <= 1 || isLocal || spread.ranks <= 1)
    return 0;
  double perRank = tokens / (owners * tp) * double(layer.k);
  double rowBytes = double(layer.inputs + layer.outputs) / 2 * kFloatBytes;
  StepWork there, back;
  there.isCollective = back.isCollective = true;
  double targets = std::max(1.0, group.size / double(mesh.dp));
  double bytes = perRank * spread.slices * rowBytes * (targets - 1) / targets;
  double counts = 4.0 * double(layer.experts) * (group.size - 1);
  there.units = back.units = 2 * perRank * spread.slices * rowBytes;
  there.rounds = 2;
  back.rounds = 1;
  double chance = (1 - std::exp(-perRank * spread.slices / targets)) *
                  (targets - 1) / (group.size - 1);
  if (exchange == Exchange::Replicated) {
    there = StepWork();
    addFlat(back, group, perRank * rowBytes * (group.size - 1));
  } else if (exchange == Exchange::Hierarchical) {
    there.rounds = 4;
    back.rounds = 2;
    addHierarchical(there, group, bytes);
    addHierarchical(there, group, counts);
    addHierarchical(back, group, bytes);
  } else {
    addFlat(there, group, bytes, chance);
    addFlat(there, group, counts);
    addFlat(back, group, bytes, chance);
  }
  double total = seconds(there) + seconds(back);
  // Tokens of an owner were divided over tp and become whole again.
  if (mesh.tp > 1 && exchange != Exchange::Replicated) {
    StepWork gather;
    gather.isCollective = true;
    gather.rounds = 1;
    gather.units = tokens / owners * double(layer.outputs) * kFloatBytes;
    addFlat(gather, {tp, std::min(tp, worldShape().perNode)},
            gather.units / tp * (tp - 1));
    total += seconds(gather);
  }
  return total;
}

double MeshWeigher::layerSeconds(const MoeLayerSummary &layer,
                                 const LayerForm &form, double tokens) const {
  Exchange exchange = form.exchange.value_or(Exchange::Flat);
  if (form.small && tokens <= double(form.smallTokens.value_or(0)))
    exchange = *form.small;
  double moving =
      exchangeSeconds(layer, exchange, spreadOf(layer, form), tokens);
  double experts = expertSeconds(layer, form, tokens);
  double chunks = double(form.chunks.value_or(1));
  if (chunks <= 1 || tokens <= double(form.chunkTokens.value_or(0)))
    return moving + experts;
  // All chunks but one hide the shorter of both; each reads weights again.
  double chunk = expertSeconds(layer, form, tokens / chunks) * chunks;
  return std::max(moving, chunk) + std::min(moving, chunk) / chunks;
}

//===----------------------------------------------------------------------===//
// Forms
//===----------------------------------------------------------------------===//

double MeshWeigher::weighted(const MoeLayerSummary &layer,
                             const LayerForm &form) const {
  return problem.decodeShare *
             layerSeconds(layer, form, tokensOf(problem.decode)) +
         (1 - problem.decodeShare) *
             layerSeconds(layer, form, tokensOf(problem.prefill));
}

void MeshWeigher::chooseExperts(const MoeLayerSummary &layer,
                                LayerForm &form) const {
  double ranks =
      double(mesh.ep) * (form.exchange == Exchange::Coordinated ? 1.0 : tp);
  if (form.experts)
    return;
  if (double(layer.experts) >= ranks)
    form.experts = ExpertForm::Spread;
  else
    form.experts =
        problem.reduceExact ? ExpertForm::Replicate : ExpertForm::Slice;
}

void MeshWeigher::chooseExchange(const MoeLayerSummary &layer,
                                 LayerForm &form) const {
  if (form.exchange)
    return;
  bool hasNodes =
      problem.nodeSize > 0 && problem.numRanks % problem.nodeSize == 0;
  std::vector<Exchange> choices;
  if (hasNodes)
    choices.push_back(Exchange::Hierarchical);
  if (mesh.tp > 1 && mesh.ep > 1)
    choices.push_back(Exchange::Coordinated);
  if (mesh.tp > 1 && mesh.ep * mesh.dp == 1)
    choices.push_back(Exchange::Replicated);
  LayerForm best = form;
  best.exchange = Exchange::Flat;
  chooseExperts(layer, best);
  double least = weighted(layer, best) * (1 - kFormMargin);
  for (Exchange exchange : choices) {
    LayerForm other = form;
    other.exchange = exchange;
    chooseExperts(layer, other);
    if (double time = weighted(layer, other); time < least) {
      least = time;
      best = other;
    }
  }
  form.exchange = best.exchange;
}

/// Few tokens travel by fewer messages, many by fewer bytes.
void MeshWeigher::chooseSmall(const MoeLayerSummary &layer,
                              LayerForm &form) const {
  bool hasNodes =
      problem.nodeSize > 0 && problem.numRanks % problem.nodeSize == 0;
  bool isPlain = form.exchange == Exchange::Flat ||
                 form.exchange == Exchange::Hierarchical;
  if (form.small || !hasNodes || !isPlain)
    return;
  auto gain = [&](double tokens) {
    LayerForm flat = form, nodes = form;
    flat.exchange = Exchange::Flat;
    nodes.exchange = Exchange::Hierarchical;
    return layerSeconds(layer, flat, tokens) /
           layerSeconds(layer, nodes, tokens);
  };
  double low = std::max(1.0, tokensOf(problem.decode));
  double high = std::max(low, tokensOf(problem.prefill));
  if (gain(low) < 1 + kFormMargin || gain(high) > 1)
    return;
  while (high > 1.2 * low) {
    double middle = std::sqrt(low * high);
    (gain(middle) > 1 ? low : high) = middle;
  }
  form.exchange = Exchange::Flat;
  form.small = Exchange::Hierarchical;
  form.smallTokens = static_cast<int64_t>(low);
}

/// Chunks pay where links work on their own: between nodes.
void MeshWeigher::chooseChunks(const MoeLayerSummary &layer,
                               LayerForm &form) const {
  if (form.chunks || problem.nodeSize == 0)
    return;
  double tokens = tokensOf(problem.prefill);
  double least = layerSeconds(layer, form, tokens) * (1 - 2 * kFormMargin);
  LayerForm best = form;
  for (int64_t chunks : {2, 4}) {
    LayerForm other = form;
    other.chunks = chunks;
    other.chunkTokens = std::max<int64_t>(
        1, static_cast<int64_t>(tokensOf(problem.decode)) * 4);
    if (double time = layerSeconds(layer, other, tokens); time < least) {
      least = time;
      best = other;
    }
  }
  form = best;
}

//===----------------------------------------------------------------------===//
// All of it
//===----------------------------------------------------------------------===//

double MeshWeigher::memory(const std::vector<LayerForm> &forms) const {
  const ModelSummary &model = problem.model;
  double bytes = (model.slicedBytes + model.tableBytes) / tp + model.wholeBytes;
  for (size_t i = 0; i < forms.size(); ++i)
    bytes += heldExperts(model.layers[i], spreadOf(model.layers[i], forms[i])) *
             model.layers[i].expertBytes;
  double caches = 0, activations = 0;
  for (const RunShape &shape : {problem.decode, problem.prefill}) {
    double rows = std::ceil(shape.rows / owners);
    double keySlices = std::min(tp, std::max(1.0, double(model.keyHeads)));
    caches = std::max(caches, rows * (shape.past + shape.tokens) *
                                  model.cacheBytes / keySlices);
    activations =
        std::max(activations, rows * shape.tokens * double(model.hidden) *
                                  kFloatBytes * kLiveActivations);
  }
  return bytes + caches + activations;
}

MeshCandidate MeshWeigher::run() {
  const ModelSummary &model = problem.model;
  workingSet = model.slicedBytes / tp + model.wholeBytes;
  for (const MoeLayerSummary &layer : model.layers)
    workingSet +=
        layer.expertBytes * double(layer.experts) / (double(mesh.ep) * tp);
  MeshCandidate result;
  result.mesh = mesh;
  result.decodeSeconds = denseSeconds(problem.decode);
  result.prefillSeconds = denseSeconds(problem.prefill);
  for (size_t i = 0; i < model.layers.size(); ++i) {
    LayerForm form = problem.forms.of(static_cast<int64_t>(i));
    chooseExchange(model.layers[i], form);
    chooseExperts(model.layers[i], form);
    chooseSmall(model.layers[i], form);
    chooseChunks(model.layers[i], form);
    result.decodeSeconds +=
        layerSeconds(model.layers[i], form, tokensOf(problem.decode));
    result.prefillSeconds +=
        layerSeconds(model.layers[i], form, tokensOf(problem.prefill));
    result.forms.push_back(form);
  }
  result.memoryBytes = memory(result.forms);
  return result;
}

MeshCandidate solver::weighMesh(const MeshProblem &problem,
                                const MeshDegrees &mesh) {
  return MeshWeigher(problem, mesh).run();
}
