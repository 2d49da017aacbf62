//===- BenchReport.h - What moe-run bench prints ----------------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_TOOLS_MOE_RUN_BENCHREPORT_H
#define MOE_TOOLS_MOE_RUN_BENCHREPORT_H

#include "moe/Session.h"
#include "runtime/cost/Simulation.h"
#include "runtime/io/Json.h"
#include "tools/common/CommandLine.h"
#include "tools/moe-run/StepFloors.h"

#include <optional>
#include <vector>

namespace moe::tools {

/// Median time of a step: on the rank that took longest, or, where ranks wait
/// for each other, on the one that came last.
struct StepMedian {
  int step = 0;
  double milliseconds = 0;
};

/// Runs of one shape.
struct BenchCell {
  NamedNumbers shape;
  std::vector<double> times;
  std::vector<StepMedian> steps;
  std::vector<StepFloor> floors;
  std::optional<cost::Simulation> predicted;
};

nlohmann::ordered_json peaksJson(const Peaks &peaks);
nlohmann::ordered_json cellJson(const Model &model, const BenchCell &cell);

/// Both write to standard output.
void printPeaks(const Peaks &peaks);
void printCell(const Model &model, const BenchCell &cell);

} // namespace moe::tools

#endif // MOE_TOOLS_MOE_RUN_BENCHREPORT_H
