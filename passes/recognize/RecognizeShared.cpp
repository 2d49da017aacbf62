//===- RecognizeShared.cpp - Find dense FFNs and their mixing -------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// After the recognizers of experts, what is left of FFNs is dense: plain MLPs,
// shared experts, the residual branch of PR-MoE. Each becomes one moe.ffn.
// Where a dense branch joins the experts of the same tokens, the arithmetic
// that mixes them becomes one moe.mix, so that later passes see that both
// branches are independent.
//
//===----------------------------------------------------------------------===//

#include "dialect/moe/MoeBuild.h"
#include "passes/Passes.h"
#include "passes/recognize/ExpertLayer.h"
#include "passes/recognize/Match.h"

#include "mlir/IR/BuiltinOps.h"

using namespace mlir;
using namespace moe::dialect;

namespace moe::pass {
#define GEN_PASS_DEF_RECOGNIZESHAREDPASS
#include "passes/Passes.h.inc"

namespace {

void recognizeFfns(ModuleOp module) {
  SmallVector<Operation *> ends;
  module.walk([&](Operation *op) {
    if (isa<MatmulOp>(op))
      ends.push_back(op);
  });
  for (Operation *end : ends) {
    auto ffn = matchFfn(end->getResult(0));
    if (!ffn || !ffn->w2.isDense())
      continue;
    OpBuilder builder(end);
    Location loc = fuseLocations(module.getContext(), ffn->ops.getArrayRef());
    FailureOr<Value> result = buildFfn(builder, loc, *ffn);
    if (failed(result))
      continue;
    Value value = reshapeTo(builder, loc, *result, getDims(end->getResult(0)));
    end->getResult(0).replaceAllUsesWith(value);
  }
}

bool isExperts(Value value) {
  return stripReshapes(value).getDefiningOp<CombineOp>() != nullptr;
}

bool isDense(Value value) {
  return stripReshapes(value).getDefiningOp<FfnOp>() != nullptr;
}

/// Column `index` of two, if `value` [.., 1] is that.
Value matchColumn(Value value, int64_t index) {
  auto slice = stripReshapes(value).getDefiningOp<SliceOp>();
  if (!slice)
    return Value();
  Dims whole = getDims(slice.getX()), part = getDims(slice.getResult());
  SmallVector<DimExpr> starts = slice.getStarts().getDims();
  if (whole.back() != DimExpr(2) || part.back() != DimExpr(1) ||
      starts.back() != DimExpr(index) ||
      ArrayRef<DimExpr>(whole).drop_back() !=
          ArrayRef<DimExpr>(part).drop_back())
    return Value();
  return slice.getX();
}

/// One side of a mix: a branch and the factor it is multiplied with.
struct Weighted {
  Value branch;
  /// [.., 1] or null.
  Value factor;
};

/// `value` as a branch for which `isBranch` holds, weighted or not.
std::optional<Weighted>
matchWeighted(Value value, llvm::function_ref<bool(Value)> isBranch) {
  if (isBranch(value))
    return Weighted{value, Value()};
  auto product = matchBinary(stripReshapes(value), BinaryKind::Mul);
  if (!product)
    return std::nullopt;
  for (auto [branch, factor] : {*product, ValuePair{product->b, product->a}})
    if (isBranch(branch) && getDims(factor).back() == DimExpr(1))
      return Weighted{branch, factor};
  return std::nullopt;
}

struct Mix {
  MixKind kind;
  Value experts, dense, gate;
};

/// The gate of PR-MoE: both factors are columns of one softmax over two.
Value matchResidualGate(Value expertsFactor, Value denseFactor) {
  Value first = matchColumn(expertsFactor, 0);
  Value second = matchColumn(denseFactor, 1);
  if (!first || first != second)
    return Value();
  auto softmax = stripCasts(first).getDefiningOp<SoftmaxOp>();
  int64_t last = getTensorType(first).getRank() - 1;
  bool isGate = softmax && !softmax.getLog() &&
                static_cast<int64_t>(softmax.getAxis()) == last;
  return isGate ? softmax.getX() : Value();
}

std::optional<Mix> matchMix(Value a, Value b) {
  auto experts = matchWeighted(a, isExperts);
  auto dense = matchWeighted(b, isDense);
  if (!experts || !dense)
    return std::nullopt;
  if (experts->factor && dense->factor) {
    Value gate = matchResidualGate(experts->factor, dense->factor);
    if (!gate)
      return std::nullopt;
    return Mix{MixKind::Residual, experts->branch, dense->branch, gate};
  }
  if (experts->factor)
    return std::nullopt;
  if (!dense->factor)
    return Mix{MixKind::Add, experts->branch, dense->branch, Value()};
  Value gate = matchUnary(stripReshapes(dense->factor), UnaryKind::Sigmoid);
  if (!gate)
    return std::nullopt;
  return Mix{MixKind::SigmoidGate, experts->branch, dense->branch, gate};
}

void rewriteMix(BinaryOp sum) {
  auto mix = matchMix(sum.getLhs(), sum.getRhs());
  if (!mix)
    mix = matchMix(sum.getRhs(), sum.getLhs());
  if (!mix)
    return;
  OpBuilder builder(sum);
  Location loc = sum.getLoc();
  Dims dims = getDims(sum.getResult());
  Value experts = reshapeTo(builder, loc, mix->experts, dims);
  Value dense = reshapeTo(builder, loc, mix->dense, dims);
  Value gate = mix->gate;
  if (gate) {
    dims.back() = getDims(gate).back();
    if (product(dims) != product(getDims(gate)))
      return;
    gate = reshapeTo(builder, loc, gate, dims);
  }
  ScopedDiagnosticHandler ignore(sum.getContext(),
                                 [](Diagnostic &) { return success(); });
  auto op = createChecked<MixOp>(builder, loc,
                                 MixKindAttr::get(sum.getContext(), mix->kind),
                                 experts, dense, gate);
  if (succeeded(op))
    sum.getResult().replaceAllUsesWith(op->getResult());
}

class RecognizeShared : public impl::RecognizeSharedPassBase<RecognizeShared> {
  void runOnOperation() override {
    recognizeFfns(getOperation());
    SmallVector<BinaryOp> sums;
    getOperation().walk([&](BinaryOp op) {
      if (op.getKind() == BinaryKind::Add)
        sums.push_back(op);
    });
    for (BinaryOp sum : sums)
      rewriteMix(sum);
    eraseDeadOps(getOperation());
  }
};

} // namespace
} // namespace moe::pass
