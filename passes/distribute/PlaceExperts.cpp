//===- PlaceExperts.cpp - Says which ranks hold each expert ---------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Sets `placement` on each moe.experts from its number of experts and the
// number of ranks: in block order, evenly (passes/solver/Placement.h). Layers
// are placed on their own, so a pyramid of experts needs nothing more. Sets
// `moe.mesh` on the module, from which distribution knows the ranks.
//
// Before: recognized moe operations without placement. After: every
// moe.experts has a placement on all ranks of the mesh.
//
//===----------------------------------------------------------------------===//

#include "passes/Passes.h"

#include "dialect/moe/MoeOps.h"
#include "dialect/moe/MoeTypes.h"
#include "passes/distribute/Sharding.h"
#include "passes/solver/Placement.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/Remarks.h"

namespace moe::pass {
#define GEN_PASS_DEF_PLACEEXPERTSPASS
#include "passes/Passes.h.inc"
} // namespace moe::pass

using namespace mlir;
using namespace moe;
using namespace moe::dialect;

namespace {
struct PlaceExperts : moe::pass::impl::PlaceExpertsPassBase<PlaceExperts> {
  using PlaceExpertsPassBase::PlaceExpertsPassBase;

  void runOnOperation() override {
    if (ranks < 1) {
      getOperation().emitError() << "cannot compile for " << ranks.getValue()
                                 << " ranks, expected at least 1";
      return signalPassFailure();
    }
    getOperation()->setAttr(moe::pass::kMesh,
                            MeshAttr::get(&getContext(), 1, ranks, 1));
    WalkResult result = getOperation().walk([&](ExpertsOp op) {
      return succeeded(place(op)) ? WalkResult::advance()
                                  : WalkResult::interrupt();
    });
    if (result.wasInterrupted())
      signalPassFailure();
  }

  LogicalResult place(ExpertsOp op);
  void report(ExpertsOp op, int64_t numExperts);
};
} // namespace

LogicalResult PlaceExperts::place(ExpertsOp op) {
  int64_t numExperts = getTensorType(op.getW1()).getDimSize(0);
  solver::PlacementProblem problem{numExperts, ranks};
  StatusOr<solver::Placement> placement = solver::placeInBlocks(problem);
  if (!placement.isOk())
    return op.emitOpError()
           << "cannot be placed: " << placement.status().message();
  if (Status status = problem.verify(*placement); !status.isOk())
    return op.emitOpError() << "is placed wrongly: " << status.message();

  SmallVector<DenseI64ArrayAttr> experts;
  for (const std::vector<int64_t> &ranksOfExpert : *placement)
    experts.push_back(DenseI64ArrayAttr::get(&getContext(), ranksOfExpert));
  op.setPlacementAttr(PlacementAttr::get(&getContext(), ranks, experts));
  report(op, numExperts);
  return success();
}

void PlaceExperts::report(ExpertsOp op, int64_t numExperts) {
  using mlir::remark::RemarkOpts;
  auto remark = mlir::remark::passed(
      op.getLoc(), RemarkOpts::name("placed").category("moe-place-experts"));
  if (numExperts >= ranks) {
    remark << llvm::formatv("{0} experts in blocks over {1} ranks, at most {2} "
                            "on one",
                            numExperts, ranks.getValue(),
                            op.getPlacement()->maxLocalExperts())
                  .str();
    return;
  }
  remark << llvm::formatv("{0} experts replicated whole over {1} ranks{2}",
                          numExperts, ranks.getValue(),
                          reduceExact ? ""
                                      : "; expert slicing is not implemented")
                .str();
}
