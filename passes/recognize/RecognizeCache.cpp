//===- RecognizeCache.cpp - Find the caches of a generation model ---------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A key-value cache comes in as an argument, something is appended to it, and
// the whole leaves as a result. This pass turns that concat into
// moe.cache_append and marks argument and result with `moe.state`, so that the
// plan keeps the cache in place and a decode step copies only what is new.
// It needs nothing to hold before it.
//
//===----------------------------------------------------------------------===//

#include "dialect/moe/MoeDialect.h"
#include "passes/Passes.h"
#include "passes/recognize/Match.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"

using namespace mlir;
using namespace moe::dialect;

namespace moe::pass {
#define GEN_PASS_DEF_RECOGNIZECACHEPASS
#include "passes/Passes.h.inc"

namespace {

/// The argument that `value` appends to, if nothing else reads it.
BlockArgument matchPast(Value value) {
  Value past;
  if (auto concat = value.getDefiningOp<ConcatOp>()) {
    if (concat.getInputs().size() == 2)
      past = concat.getInputs().front();
  } else if (auto append = value.getDefiningOp<CacheAppendOp>()) {
    past = append.getPast();
  }
  auto argument = dyn_cast_or_null<BlockArgument>(past);
  return argument && argument.hasOneUse() ? argument : BlockArgument();
}

class RecognizeCache : public impl::RecognizeCachePassBase<RecognizeCache> {
  void runOnOperation() override {
    for (auto function : getOperation().getOps<func::FuncOp>())
      if (!function.isExternal())
        recognize(function);
  }

  static void recognize(func::FuncOp function) {
    auto end = cast<func::ReturnOp>(function.getBody().front().getTerminator());
    for (unsigned result = 0; result < end.getNumOperands(); ++result) {
      Value present = end.getOperand(result);
      BlockArgument past = matchPast(present);
      if (!past || past.getOwner() != &function.getBody().front())
        continue;
      StringAttr state = stateOf(function, past);
      function.setArgAttr(past.getArgNumber(), kState, state);
      function.setResultAttr(result, kState, state);
      if (auto concat = present.getDefiningOp<ConcatOp>()) {
        OpBuilder builder(concat);
        auto append = CacheAppendOp::create(
            builder, concat.getLoc(), past, concat.getInputs().back(), state,
            builder.getI64IntegerAttr(concat.getAxis()));
        concat.replaceAllUsesWith(append.getResult());
        concat.erase();
      }
    }
  }

  /// The name of the argument in the model names the cache.
  static StringAttr stateOf(func::FuncOp function, BlockArgument past) {
    unsigned number = past.getArgNumber();
    if (auto state = function.getArgAttrOfType<StringAttr>(number, kState))
      return state;
    if (auto name = function.getArgAttrOfType<StringAttr>(number, kName))
      return name;
    return StringAttr::get(function.getContext(),
                           "state" + std::to_string(number));
  }
};

} // namespace
} // namespace moe::pass
