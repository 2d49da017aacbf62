//===- PlanReport.h - What a plan will need ----------------------*- C++
//-*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_TOOLS_MOE_OPT_PLANREPORT_H
#define MOE_TOOLS_MOE_OPT_PLANREPORT_H

#include "passes/quantize/WeightReport.h"
#include "passes/solver/MeshChoice.h"
#include "runtime/cost/Simulation.h"
#include "tools/moe-opt/CommandLine.h"

namespace moe::tool {

/// A plan, the meshes that were weighed for it, what was done to its weights,
/// and its simulated runs.
struct PlanReport {
  const plan::ProgramT &program;
  const solver::MeshSolution &weighed;
  const std::vector<pass::ProductRow> &products;
  std::vector<cost::Simulation> runs;
};

/// Simulates the shapes of the options, or a decode step and a prefill. Errors:
/// Usage for shapes that do not fit the model and unreadable clusters.
StatusOr<PlanReport> makeReport(const plan::ProgramT &program,
                                const solver::MeshSolution &weighed,
                                const std::vector<pass::ProductRow> &products,
                                const Options &options);

/// The text of --simulate: what ranks do, or the least, mean and largest of
/// many ranks.
std::string simulationText(const PlanReport &report);
/// The text of --report: meshes, weights, ranks, layers and steps.
std::string reportText(const PlanReport &report);
/// The same as one JSON object.
std::string reportJson(const PlanReport &report);

} // namespace moe::tool

#endif // MOE_TOOLS_MOE_OPT_PLANREPORT_H
