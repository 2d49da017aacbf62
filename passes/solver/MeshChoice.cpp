//===- MeshChoice.cpp - Which mesh, and how its layers run ----------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/solver/MeshChoice.h"

#include <algorithm>
#include <cstdio>

using namespace moe;
using namespace moe::solver;

static constexpr int64_t kMaxRanks = 65536;
/// Meshes whose costs differ by less are equal; the one with less tp is taken.
static constexpr double kTieMargin = 0.02;

static Status usage(std::string message) {
  return Status(StatusCode::Usage, std::move(message));
}

static Status internal(std::string message) {
  return Status(StatusCode::Internal, std::move(message));
}

std::string solver::memoryText(double bytes) {
  constexpr const char *kUnits[] = {"B", "KiB", "MiB", "GiB", "TiB"};
  size_t unit = 0;
  for (; bytes >= 1024 && unit + 1 < std::size(kUnits); ++unit)
    bytes /= 1024;
  char text[32];
  std::snprintf(text, sizeof(text), "%.1f %s", bytes, kUnits[unit]);
  return text;
}

Status MeshProblem::check() const {
  if (numRanks < 1 || numRanks > kMaxRanks)
    return usage(std::to_string(numRanks) + " ranks, expected between 1 and " +
                 std::to_string(kMaxRanks));
  for (const MoeLayerSummary &layer : model.layers)
    if (layer.experts < 1 || layer.k < 1 || layer.k > layer.experts ||
        layer.expertBytes < 0 || layer.rowFlops < 0)
      return usage("a layer of " + std::to_string(layer.experts) +
                   " experts of which a token chooses " +
                   std::to_string(layer.k));
  if (!(decodeShare >= 0 && decodeShare <= 1))
    return usage("the share of decode is not between 0 and 1");
  if (!(memoryBytes >= 0 && nodeSize >= 0 && margin >= 0 && leastGain >= 0))
    return usage("memory, ranks of a node and margins are not negative");
  MOE_RETURN_IF_ERROR(completeMesh(given, numRanks).status());
  MOE_RETURN_IF_ERROR(
      forms.checkLayers(static_cast<int64_t>(model.layers.size())));
  return cluster.checkRanks(numRanks);
}

Status MeshProblem::verify(const MeshSolution &solution) const {
  const MeshCandidate &chosen = solution.chosen;
  if (chosen.mesh.numRanks() != numRanks)
    return internal("the mesh has " + std::to_string(chosen.mesh.numRanks()) +
                    " ranks, expected " + std::to_string(numRanks));
  for (auto [found, wanted] : {std::pair(chosen.mesh.dp, given.dp),
                               std::pair(chosen.mesh.ep, given.ep),
                               std::pair(chosen.mesh.tp, given.tp)})
    if (wanted != 0 && found != wanted)
      return internal("a degree is " + std::to_string(found) + ", expected " +
                      std::to_string(wanted));
  if (chosen.forms.size() != model.layers.size())
    return internal("there are forms for " +
                    std::to_string(chosen.forms.size()) + " layers");
  if (reduceExact && chosen.mesh.tp > 1)
    return internal("sums are split over tp");
  for (const LayerForm &form : chosen.forms)
    MOE_RETURN_IF_ERROR(checkForm(form, {chosen.mesh, nodeSize, reduceExact}));
  if (memoryBytes > 0 && chosen.memoryBytes > memoryBytes)
    return internal("the mesh needs " + memoryText(chosen.memoryBytes));
  return Status::ok();
}

/// Meshes that are possible, ep = ranks first if it is one of them.
static std::vector<MeshDegrees> candidates(const MeshProblem &problem) {
  std::vector<MeshDegrees> meshes;
  int64_t ranks = problem.numRanks;
  bool isTpGiven = problem.given.tp != 0;
  int64_t mostTp = std::max<int64_t>(1, problem.model.heads);
  for (int64_t tp = 1; tp <= ranks; ++tp) {
    if (ranks % tp != 0 || (isTpGiven ? tp != problem.given.tp : tp > mostTp))
      continue;
    if (problem.reduceExact && tp > 1)
      continue;
    for (int64_t dp = 1; dp <= ranks / tp; ++dp) {
      if (ranks / tp % dp != 0)
        continue;
      int64_t ep = ranks / tp / dp;
      bool isGiven = problem.given.dp != 0 || problem.given.ep != 0;
      if ((problem.given.dp != 0 && dp != problem.given.dp) ||
          (problem.given.ep != 0 && ep != problem.given.ep) ||
          (dp > 1 && !isGiven && !problem.weighsCopies))
        continue;
      meshes.push_back({dp, ep, tp});
    }
  }
  return meshes;
}

/// Forms that the user gave and that a mesh cannot have.
static Status checkForms(const MeshProblem &problem, const MeshDegrees &mesh) {
  FormLimits limits{mesh, problem.nodeSize, problem.reduceExact};
  for (size_t i = 0; i < problem.model.layers.size(); ++i)
    MOE_RETURN_IF_ERROR(
        checkForm(problem.forms.of(static_cast<int64_t>(i)), limits)
            .at("layer-form: layer " + std::to_string(i)));
  return Status::ok();
}

/// The number of ranks from which on a mesh fits, doubling; 0 if none does.
static int64_t fittingRanks(MeshProblem problem) {
  problem.given = {};
  problem.nodeSize = 0;
  problem.cluster.nodes = 1;
  while (problem.numRanks <= kMaxRanks / 2) {
    problem.numRanks *= 2;
    for (const MeshDegrees &mesh : candidates(problem))
      if (weighMesh(problem, mesh).memoryBytes <= problem.memoryBytes)
        return problem.numRanks;
  }
  return 0;
}

static Status nothingFits(const MeshProblem &problem,
                          const std::vector<MeshCandidate> &weighed) {
  const MeshCandidate &least = *std::min_element(
      weighed.begin(), weighed.end(), [](const auto &a, const auto &b) {
        return a.memoryBytes < b.memoryBytes;
      });
  std::string message = "no mesh of " + std::to_string(problem.numRanks) +
                        " ranks fits " + memoryText(problem.memoryBytes) +
                        " per rank: " + toString(least.mesh) +
                        " needs least, " + memoryText(least.memoryBytes);
  int64_t fitting = fittingRanks(problem);
  message += fitting ? "; " + std::to_string(fitting) + " ranks would fit"
                     : "; more ranks would not help";
  return Status(StatusCode::OutOfMemory, message);
}

static std::string factorText(double factor) {
  char text[48];
  std::snprintf(text, sizeof(text), "%.2f times the time", factor);
  return text;
}

StatusOr<MeshSolution> solver::chooseMesh(const MeshProblem &problem) {
  MOE_RETURN_IF_ERROR(problem.check());
  std::vector<MeshCandidate> weighed;
  Status reason = usage("no mesh is possible");
  for (const MeshDegrees &mesh : candidates(problem)) {
    if (Status status = checkForms(problem, mesh); !status.isOk()) {
      reason = status;
      continue;
    }
    weighed.push_back(weighMesh(problem, mesh));
  }
  if (weighed.empty())
    return reason;

  // The first one is ep = ranks, or what comes nearest to it.
  MeshCandidate reference = weighed[0];
  for (MeshCandidate &each : weighed)
    each.cost =
        problem.decodeShare * each.decodeSeconds / reference.decodeSeconds +
        (1 - problem.decodeShare) * each.prefillSeconds /
            reference.prefillSeconds;
  size_t best = weighed.size();
  auto fits = [&](const MeshCandidate &each) {
    return problem.memoryBytes == 0 || each.memoryBytes <= problem.memoryBytes;
  };
  auto secondsOf = [&](const MeshCandidate &each) {
    return problem.decodeShare * each.decodeSeconds +
           (1 - problem.decodeShare) * each.prefillSeconds;
  };
  // What ep = ranks must lose by, and what each further slicing must gain.
  auto needed = [&](size_t known) {
    return known == 0 ? 1 + problem.margin : 1 + kTieMargin;
  };
  for (size_t i = 0; i < weighed.size(); ++i)
    if (fits(weighed[i]) &&
        (best == weighed.size() ||
         (weighed[i].cost * needed(best) < weighed[best].cost &&
          secondsOf(weighed[i]) + (best == 0 ? problem.leastGain : 0) <
              secondsOf(weighed[best]))))
      best = i;
  if (best == weighed.size())
    return nothingFits(problem, weighed);
  MeshSolution solution;
  solution.chosen = weighed[best];
  for (size_t i = 0; i < weighed.size(); ++i) {
    if (i == best)
      continue;
    MeshCandidate &other = weighed[i];
    double factor = other.cost / solution.chosen.cost;
    other.lost = !fits(other) ? "needs " + memoryText(other.memoryBytes)
                 : factor >= 1
                     ? factorText(factor)
                     : factorText(factor) + ", not better by the margin";
    solution.others.push_back(std::move(other));
  }
  std::stable_sort(
      solution.others.begin(), solution.others.end(),
      [](const auto &a, const auto &b) { return a.cost < b.cost; });
  return solution;
}
