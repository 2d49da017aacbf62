//===- ChooseParallelism.cpp - The mesh, and how each layer runs on it ----===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Sets `moe.mesh` and `moe.node_size` on the module and `moe.form` on each
// moe.experts (ParallelForm.h): what the user said, and for the rest what the
// cost model finds cheapest (passes/solver/MeshChoice.h). Layers count from 0
// in the order of the graph.
//
// Before: recognized moe operations. After: all decisions about ranks that do
// not depend on single experts are attributes, and none contradicts another.
//
//===----------------------------------------------------------------------===//

#include "passes/distribute/ChooseParallelism.h"

#include "dialect/moe/MoeOps.h"
#include "passes/distribute/ParallelForm.h"
#include "passes/distribute/Sharding.h"
#include "passes/distribute/SummarizeModel.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/Remarks.h"

namespace moe::pass {
#define GEN_PASS_DEF_CHOOSEPARALLELISMPASS
#include "passes/Passes.h.inc"
} // namespace moe::pass

using namespace mlir;
using namespace moe;
using namespace moe::dialect;
using namespace moe::solver;

/// A mesh must be better by so much if nobody described the machine, and by so
/// many seconds.
static constexpr double kGuessedMargin = 0.25, kGuessedGain = 1e-3;
/// The runs that are weighed: rows for each rank, and tokens in each.
static constexpr double kTypicalPast = 512, kTypicalPrompt = 128;

namespace {
struct ChooseParallelism
    : moe::pass::impl::ChooseParallelismPassBase<ChooseParallelism> {
  using ChooseParallelismPassBase::ChooseParallelismPassBase;
  ChooseParallelism(const moe::pass::ChooseParallelismPassOptions &options,
                    MeshSolution *weighed)
      : ChooseParallelismPassBase(options), weighed(weighed) {}

  void runOnOperation() override {
    Status status = choose();
    if (status.isOk())
      return;
    // Not at the module itself, which would be printed whole.
    emitError(getOperation().getLoc()) << status.message();
    signalPassFailure();
  }

private:
  Status choose();
  StatusOr<MeshProblem> problem();
  Status readOptions(MeshProblem &problem);
  void setMesh(const MeshProblem &problem, const MeshSolution &solution);
  void setForms(const MeshProblem &problem, const MeshSolution &solution);

  MeshSolution *weighed = nullptr;
};
} // namespace

std::unique_ptr<Pass> moe::pass::createChooseParallelismPass(
    const ChooseParallelismPassOptions &options, MeshSolution *weighed) {
  return std::make_unique<ChooseParallelism>(options, weighed);
}

static mlir::remark::RemarkOpts remarkNamed(StringRef name) {
  return mlir::remark::RemarkOpts::name(name).category(
      "moe-choose-parallelism");
}

/// What the options say, and how many ranks.
Status ChooseParallelism::readOptions(MeshProblem &problem) {
  if (ranks < 0 || nodeSize < 0 || memory < 0)
    return Status(StatusCode::Usage,
                  "numbers of ranks and bytes are not negative");
  if (!mesh.empty()) {
    StatusOr<MeshDegrees> given = parseMesh(mesh);
    MOE_RETURN_IF_ERROR(given.status().at("mesh"));
    problem.given = *given;
  }
  StatusOr<MeshDegrees> known =
      completeMesh(problem.given, mesh.empty() && ranks == 0 ? 1 : ranks);
  MOE_RETURN_IF_ERROR(known.status().at("mesh"));
  problem.numRanks = known->numRanks();
  if (!mesh.empty())
    problem.given = *known;
  if (reduceExact && problem.given.tp > 1)
    return Status(StatusCode::Usage,
                  "mesh: tp = " + std::to_string(problem.given.tp) +
                      " splits sums over ranks, which --reduce=exact forbids");
  StatusOr<LayerForms> forms = parseLayerForms(layerForm);
  MOE_RETURN_IF_ERROR(forms.status().at("layer-form"));
  problem.forms = *std::move(forms);
  problem.reduceExact = reduceExact;
  return Status::ok();
}

StatusOr<MeshProblem> ChooseParallelism::problem() {
  MeshProblem problem;
  MOE_RETURN_IF_ERROR(readOptions(problem));
  problem.model = moe::pass::summarizeModel(getOperation());
  problem.cluster = cost::defaultCluster();
  problem.margin = kGuessedMargin;
  problem.leastGain = kGuessedGain;
  if (!cluster.empty()) {
    MOE_ASSIGN_OR_RETURN(problem.cluster, cost::readCluster(cluster));
    problem.margin = MeshProblem().margin;
    problem.leastGain = 0;
    problem.weighsCopies = true;
    problem.memoryBytes = problem.cluster.device.memoryBytes;
  }
  if (memory > 0)
    problem.memoryBytes = static_cast<double>(memory);
  problem.nodeSize =
      nodeSize > 0 ? nodeSize : problem.cluster.nodeSize(problem.numRanks);
  // Nodes that the user named without a cluster are nodes for its links too.
  if (problem.nodeSize > 0 && problem.cluster.nodes == 1) {
    problem.cluster.devicesPerNode = problem.nodeSize;
    problem.cluster.nodes =
        (problem.numRanks + problem.nodeSize - 1) / problem.nodeSize;
  }
  double rows = static_cast<double>(problem.numRanks);
  problem.decode = {rows, 1, kTypicalPast};
  problem.prefill = {rows, kTypicalPrompt, 0};
  return problem;
}

void ChooseParallelism::setMesh(const MeshProblem &problem,
                                const MeshSolution &solution) {
  ModuleOp module = getOperation();
  const MeshCandidate &chosen = solution.chosen;
  module->setAttr(moe::pass::kMesh,
                  MeshAttr::get(&getContext(), chosen.mesh.dp, chosen.mesh.ep,
                                chosen.mesh.tp));
  if (problem.nodeSize > 0)
    module->setAttr(moe::pass::kNodeSize,
                    Builder(&getContext()).getI64IntegerAttr(problem.nodeSize));
  mlir::remark::passed(module.getLoc(), remarkNamed("mesh"))
      << "a mesh of " + toString(chosen.mesh) + ", " +
             memoryText(chosen.memoryBytes) + " per rank";
  for (const MeshCandidate &other : solution.others)
    mlir::remark::missed(module.getLoc(), remarkNamed("mesh"))
        << "not " + toString(other.mesh) + ": " + other.lost;
}

/// The form without words that say what a layer does by itself.
static LayerForm withoutDefaults(LayerForm form, const LayerForm &given) {
  if (form.exchange == Exchange::Flat && !given.exchange && !form.small)
    form.exchange.reset();
  // The choice for experts is the default where the user made none.
  if (!given.experts)
    form.experts.reset();
  return form;
}

void ChooseParallelism::setForms(const MeshProblem &problem,
                                 const MeshSolution &solution) {
  int64_t number = 0;
  getOperation().walk([&](ExpertsOp op) {
    LayerForm given = problem.forms.of(number);
    LayerForm form = withoutDefaults(solution.chosen.forms[number++], given);
    if (form.isEmpty())
      return;
    op->setAttr(moe::pass::kForm, moe::pass::toAttribute(&getContext(), form));
    mlir::remark::passed(op.getLoc(), remarkNamed("form"))
        << (form == given ? "runs as the user said: "
                          : "runs as costs least: ") +
               toString(form);
  });
}

Status ChooseParallelism::choose() {
  MOE_ASSIGN_OR_RETURN(MeshProblem problem, this->problem());
  MOE_RETURN_IF_ERROR(
      problem.forms
          .checkLayers(static_cast<int64_t>(problem.model.layers.size()))
          .at("layer-form"));
  StatusOr<MeshSolution> solution = chooseMesh(problem);
  MOE_RETURN_IF_ERROR(solution.status());
  MOE_RETURN_IF_ERROR(problem.verify(*solution));
  setMesh(problem, *solution);
  setForms(problem, *solution);
  if (weighed)
    *weighed = *std::move(solution);
  return Status::ok();
}
