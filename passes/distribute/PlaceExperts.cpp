//===- PlaceExperts.cpp - Says which ranks hold each expert ---------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Sets `placement` on each moe.experts. Layers are placed on their own, so a
// pyramid of experts needs nothing more. `moe.form` says how rows travel, which
// decides the group of ranks, and how experts lie on them:
//
//   exchange      group                           experts
//   flat          world                           spread: one rank each
//   hierarchical  world                           slice: a group of ranks each
//   coordinated   rows (ranks of equal t)         replicate: whole on several
//   replicated    tp; without a batch world
//
// Without a form experts are spread, or if there are fewer than ranks, sliced;
// never sliced with reduce-exact. With dp > 1 each of dp blocks of the group
// has all experts. ExpertSpread.h says which rank gets which.
//
// Before: recognized moe operations, `moe.mesh` on the module (or else the
// options of this pass). After: every moe.experts has a placement; layers whose
// tokens cannot be divided have the form replicated; sliced layers have no
// concatenated weights.
//
//===----------------------------------------------------------------------===//

#include "passes/Passes.h"

#include "dialect/moe/MoeOps.h"
#include "dialect/moe/MoeTypes.h"
#include "dialect/moe/WeightStorage.h"
#include "passes/distribute/BatchSymbol.h"
#include "passes/distribute/ExchangeSettings.h"
#include "passes/distribute/ExpertLayer.h"
#include "passes/distribute/ExpertLoads.h"
#include "passes/distribute/ExpertSpread.h"
#include "passes/distribute/LoadedSpread.h"
#include "passes/distribute/ParallelForm.h"
#include "passes/distribute/Sharding.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/Remarks.h"

namespace moe::pass {
#define GEN_PASS_DEF_PLACEEXPERTSPASS
#include "passes/Passes.h.inc"
} // namespace moe::pass

using namespace mlir;
using namespace moe;
using namespace moe::dialect;
using namespace moe::pass;
using solver::Exchange;
using solver::ExpertForm;
using solver::LayerForm;

namespace {
/// Columns of the intermediate dimension that kernels keep together.
constexpr int64_t kSliceUnit = 16;

/// The ranks that share the work of a layer.
struct Ranks {
  CommGroup group = CommGroup::Rows;
  int64_t count = 1;
  /// Equal blocks, each with all experts.
  int64_t blocks = 1;

  int64_t perBlock() const { return count / blocks; }
};

struct PlaceExperts : moe::pass::impl::PlaceExpertsPassBase<PlaceExperts> {
  using PlaceExpertsPassBase::PlaceExpertsPassBase;

  void runOnOperation() override {
    if (failed(setMesh()))
      return signalPassFailure();
    WalkResult result = getOperation().walk([&](ExpertsOp op) {
      return succeeded(place(op)) ? WalkResult::advance()
                                  : WalkResult::interrupt();
    });
    if (result.wasInterrupted())
      signalPassFailure();
  }

private:
  LogicalResult setMesh();
  LogicalResult place(ExpertsOp op);
  FailureOr<LayerForm> formOf(ExpertsOp op);
  Ranks ranksOf(ExpertsOp op, const LayerForm &form);
  FailureOr<ExpertForm> chooseForm(ExpertsOp op, const LayerForm &form,
                                   const Ranks &on);
  FailureOr<ExpertSpread> spread(ExpertsOp op, const LayerForm &form,
                                 const Ranks &on);

  MeshAttr mesh;
};

int64_t numExpertsOf(ExpertsOp op) {
  return getTensorType(op.getW1()).getDimSize(0);
}

/// Parts into which an expert can be sliced.
int64_t maxSlicesOf(ExpertsOp op) {
  int64_t inner = getTensorType(op.getW2()).getDimSize(1);
  return (inner + kSliceUnit - 1) / kSliceUnit;
}

void remarkMissed(ExpertsOp op, StringRef name, const std::string &text) {
  mlir::remark::missed(
      op.getLoc(),
      mlir::remark::RemarkOpts::name(name).category("moe-place-experts"))
      << text;
}
} // namespace

LogicalResult PlaceExperts::setMesh() {
  mesh = getOperation()->getAttrOfType<MeshAttr>(kMesh);
  if (mesh)
    return success();
  if (ranks < 1)
    return emitError(getOperation().getLoc())
           << "cannot compile for " << ranks.getValue()
           << " ranks, expected at least 1";
  if (dp < 1 || tp < 1 || ranks % (dp * tp) != 0)
    return emitError(getOperation().getLoc())
           << "a mesh with dp = " << dp.getValue()
           << " and tp = " << tp.getValue() << " cannot have "
           << ranks.getValue() << " ranks";
  mesh = MeshAttr::get(&getContext(), dp, ranks / (dp * tp), tp);
  getOperation()->setAttr(kMesh, mesh);
  if (nodeSize > 0)
    getOperation()->setAttr(kNodeSize,
                            Builder(&getContext()).getI64IntegerAttr(nodeSize));
  return success();
}

//===----------------------------------------------------------------------===//
// How rows travel
//===----------------------------------------------------------------------===//

/// What the attribute says. A number of tokens that only values tell cannot be
/// divided, nor can none at all, so those layers are replicated.
FailureOr<LayerForm> PlaceExperts::formOf(ExpertsOp op) {
  StatusOr<LayerForm> form =
      toLayerForm(op->getAttrOfType<DictionaryAttr>(kForm));
  if (!form.isOk())
    return op.emitOpError() << form.status().message();
  DispatchOp dispatch = findDispatch(op);
  DimExpr tokens = dispatch ? getDim(dispatch.getX(), 0) : DimExpr();
  bool isDivided =
      form->exchange.value_or(Exchange::Flat) != Exchange::Replicated;
  bool isUnknown = hasDataSymbol(op, tokens);
  if (isDivided && dispatch && (isUnknown || tokens == DimExpr(0))) {
    remarkMissed(op, "replicated",
                 "every rank routes all " + tokens.toString() + " tokens" +
                     (isUnknown ? ": only values tell how many there are"
                                : ": there is nothing to divide"));
    form->exchange = Exchange::Replicated;
    form->small = std::nullopt;
    form->smallTokens = std::nullopt;
    op->setAttr(kForm, toAttribute(&getContext(), *form));
  }
  return *form;
}

Ranks PlaceExperts::ranksOf(ExpertsOp op, const LayerForm &form) {
  Ranks on;
  Exchange exchange = form.exchange.value_or(Exchange::Flat);
  on.group = mesh.getTp() == 1 || exchange == Exchange::Coordinated
                 ? CommGroup::Rows
                 : CommGroup::World;
  if (exchange == Exchange::Replicated && mesh.getTp() > 1) {
    // Tokens that rows own are replicated over tp alone.
    DispatchOp dispatch = findDispatch(op);
    bool isOwned = chooseBatchSymbol(op->getParentOfType<func::FuncOp>()) &&
                   !(dispatch && hasDataSymbol(op, getDim(dispatch.getX(), 0)));
    on.group = isOwned ? CommGroup::Tp : CommGroup::World;
  }
  on.count = sizeOfGroup(mesh, on.group);
  if (exchange != Exchange::Replicated)
    on.blocks = mesh.getDp();
  return on;
}

//===----------------------------------------------------------------------===//
// How experts lie on ranks
//===----------------------------------------------------------------------===//

FailureOr<ExpertForm>
PlaceExperts::chooseForm(ExpertsOp op, const LayerForm &form, const Ranks &on) {
  bool isForced = form.experts.has_value();
  if (form.experts == ExpertForm::Slice && reduceExact)
    return op.emitOpError("is to be sliced, but sums of an expert are not to "
                          "be split over ranks");
  int64_t slices = form.slices.value_or(0);
  if (slices > on.perBlock())
    return op.emitOpError()
           << "is to be cut in " << slices << " slices, but " << on.perBlock()
           << (on.perBlock() == 1 ? " rank holds" : " ranks hold")
           << " its experts";
  if (isForced && *form.experts != ExpertForm::Slice)
    return *form.experts;
  bool hasFew = numExpertsOf(op) < on.perBlock();
  if (!isForced && !hasFew)
    return ExpertForm::Spread;
  ExpertForm whole = hasFew ? ExpertForm::Replicate : ExpertForm::Spread;
  if (reduceExact)
    return whole;
  if (!canSlice(op)) {
    remarkMissed(op, "whole",
                 "experts stay whole: their weights are computed by the model");
    return whole;
  }
  return maxSlicesOf(op) > 1 ? ExpertForm::Slice : whole;
}

/// Experts over ranks: by their loads if those are known, else evenly.
FailureOr<ExpertSpread>
PlaceExperts::spread(ExpertsOp op, const LayerForm &form, const Ranks &on) {
  FailureOr<ExpertForm> experts = chooseForm(op, form, on);
  if (failed(experts))
    return failure();
  int64_t numExperts = numExpertsOf(op), numRanks = on.perBlock();
  if (*experts == ExpertForm::Spread && op->hasAttr(kLoads)) {
    FailureOr<ExpertSpread> block = spreadByLoad(op, numRanks, spareExperts);
    if (failed(block))
      return failure();
    return repeatInBlocks(*block, on.count, on.blocks);
  }
  ExpertSpread block =
      *experts == ExpertForm::Spread ? spreadInBlocks(numExperts, numRanks)
      : *experts == ExpertForm::Replicate
          ? spreadInReplicas(numExperts, numRanks)
          : spreadInSlices(numExperts, numRanks, form.slices.value_or(0),
                           maxSlicesOf(op));
  // There is one sender then, for all ranks.
  if (form.exchange == Exchange::Replicated)
    block.domains = 1;
  return repeatInBlocks(block, on.count, on.blocks);
}

static void report(ExpertsOp op, const Ranks &on) {
  PlacementAttr placement = *op.getPlacement();
  auto [least, most] = std::minmax_element(placement.getSlices().begin(),
                                           placement.getSlices().end());
  int64_t copies = 0;
  for (auto [ranks, slices] :
       llvm::zip_equal(placement.getExperts(), placement.getSlices()))
    copies = std::max(copies, ranks.size() / slices);
  std::string text =
      llvm::formatv("{0} experts over {1} ranks of {2}", numExpertsOf(op),
                    on.count, stringifyCommGroup(on.group));
  if (*most > 1)
    text +=
        *least == *most
            ? llvm::formatv(", {0} slices each", *most).str()
            : llvm::formatv(", {0} to {1} slices each", *least, *most).str();
  if (*most > 1)
    text += llvm::formatv(" in units of {0} columns", sliceUnit(op));
  if (copies > 1)
    text += llvm::formatv(", up to {0} replicas each", copies);
  text += llvm::formatv(", at most {0} on one", placement.maxLocalExperts());
  mlir::remark::passed(
      op.getLoc(),
      mlir::remark::RemarkOpts::name("placed").category("moe-place-experts"))
      << text;
}

LogicalResult PlaceExperts::place(ExpertsOp op) {
  FailureOr<LayerForm> form = formOf(op);
  if (failed(form))
    return failure();
  Ranks on = ranksOf(op, *form);
  FailureOr<ExpertSpread> chosen = spread(op, *form, on);
  if (failed(chosen))
    return failure();
  if (chosen->hasSlices())
    splitGating(op);
  SmallVector<DenseI64ArrayAttr> experts;
  for (const std::vector<int64_t> &ranksOfExpert : chosen->ranks)
    experts.push_back(DenseI64ArrayAttr::get(&getContext(), ranksOfExpert));
  PlacementAttr placement = PlacementAttr::getChecked(
      [&] { return op.emitOpError("has a placement that "); }, &getContext(),
      on.count, on.group, chosen->domains, ArrayRef<DenseI64ArrayAttr>(experts),
      ArrayRef<int64_t>(chosen->slices));
  if (!placement)
    return failure();
  op.setPlacementAttr(placement);
  report(op, on);
  // A form that does not fit the placement is refused here.
  return success(succeeded(exchangeSettings(op)));
}
