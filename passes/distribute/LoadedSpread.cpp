//===- LoadedSpread.cpp - Experts over ranks, by their load ---------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/distribute/LoadedSpread.h"

#include "dialect/moe/MoeTypes.h"
#include "passes/distribute/ExpertLoads.h"
#include "passes/solver/LoadPlacement.h"

#include "mlir/IR/Remarks.h"
#include "llvm/Support/FormatVariadic.h"

#include <cmath>
#include <numeric>

using namespace mlir;
using namespace moe;
using namespace moe::dialect;
using namespace moe::pass;

static ArrayRef<double> numbersOf(DictionaryAttr loads, StringRef name) {
  auto list = loads.getAs<DenseF64ArrayAttr>(name);
  return list ? list.asArrayRef() : ArrayRef<double>();
}

/// Times in units of what all ranks do in a run, so that a long prefill does
/// not hide the decode steps.
static void setSpeeds(solver::LoadProblem &problem, int64_t slots,
                      int64_t numRanks) {
  double rows = 0, reads = 0;
  for (double expected : problem.prefillRows)
    rows += expected;
  for (double expected : problem.decodeRows)
    reads += -std::expm1(-expected);
  if (rows == 0 || reads == 0)
    problem.prefillShare = rows == 0 ? 0 : 1;
  else
    problem.prefillShare = 0.5;
  problem.ranks.assign(
      numRanks, {rows > 0 ? 1 / rows : 0, reads > 0 ? 1 / reads : 0, slots});
}

static void report(ExpertsOp op, const solver::LoadProblem &problem,
                   const solver::Placement &placement,
                   const solver::Placement &blocks) {
  mlir::remark::passed(
      op.getLoc(),
      mlir::remark::RemarkOpts::name("loads").category("moe-place-experts"))
      << llvm::formatv("by measured loads: the busiest rank has {0:f2} times "
                       "the mean, in block order it would have {1:f2}",
                       solver::imbalance(problem.rankSeconds(placement)),
                       solver::imbalance(problem.rankSeconds(blocks)))
             .str();
}

FailureOr<ExpertSpread> moe::pass::spreadByLoad(ExpertsOp op, int64_t numRanks,
                                                int64_t numSpare) {
  auto loads = op->getAttrOfType<DictionaryAttr>(kLoads);
  int64_t numExperts = getTensorType(op.getW1()).getDimSize(0);
  solver::LoadProblem problem;
  llvm::append_range(problem.prefillRows, numbersOf(loads, "large"));
  llvm::append_range(problem.decodeRows, numbersOf(loads, "small"));
  if (problem.numExperts() != numExperts)
    return op.emitOpError()
           << "has '" << kLoads << "' of " << problem.numExperts()
           << " experts, expected " << numExperts;
  setSpeeds(problem, (numExperts + numRanks - 1) / numRanks + numSpare,
            numRanks);
  // Pairs are a second wish: one that all tokens choose is worth a tenth of a
  // rank's time.
  ArrayRef<double> pairs = numbersOf(loads, "pairs");
  double total = 0;
  for (size_t i = 0; i + 2 < pairs.size(); i += 3) {
    problem.pairs.push_back({static_cast<int64_t>(pairs[i]),
                             static_cast<int64_t>(pairs[i + 1]), pairs[i + 2]});
    total += pairs[i + 2];
  }
  problem.secondsPerPair = total > 0 ? 0.1 / (total * numRanks) : 0;

  StatusOr<solver::Placement> placement = solver::placeByLoad(problem);
  if (!placement.isOk())
    return op.emitOpError()
           << "cannot be placed: " << placement.status().message();
  if (Status status = problem.verify(*placement); !status.isOk())
    return op.emitOpError() << "is placed wrongly: " << status.message();
  report(op, problem, *placement, solver::divideInBlocks(numExperts, numRanks));
  ExpertSpread spread;
  spread.ranks = *std::move(placement);
  spread.slices.assign(numExperts, 1);
  return spread;
}
