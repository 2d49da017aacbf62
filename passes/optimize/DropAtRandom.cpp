//===- DropAtRandom.cpp - Overflowing tokens are chosen by chance ---------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// DeepSpeed's random token selection. An exported model has lost its random
// numbers, so that the first tokens keep their places in an expert that
// overflows; on demand, a seeded choice takes their place again. It is
// DeepSpeed's rule for k = 1 only; other gates stay.
//
// Before: recognized gates. After: the same, some with drop_policy random.
//
//===----------------------------------------------------------------------===//

#include "passes/Passes.h"

#include "dialect/moe/MoeOps.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/Remarks.h"

namespace moe::pass {
#define GEN_PASS_DEF_DROPATRANDOMPASS
#include "passes/Passes.h.inc"
} // namespace moe::pass

using namespace mlir;
using namespace moe::dialect;

namespace {
struct DropAtRandom : moe::pass::impl::DropAtRandomPassBase<DropAtRandom> {
  using DropAtRandomPassBase::DropAtRandomPassBase;

  void runOnOperation() override {
    getOperation().walk([&](GateOp op) {
      if (op.getDropPolicy() == DropPolicy::None)
        return;
      auto options = mlir::remark::RemarkOpts::name("random").category(
          "moe-drop-at-random");
      if (op.getK() != 1) {
        mlir::remark::missed(op.getLoc(), options)
            << "tokens have several choices: those that overflow stay the same";
        return;
      }
      op.setDropPolicy(DropPolicy::Random);
      op.setRandomSeed(seed);
      mlir::remark::passed(op.getLoc(), options)
          << "tokens that overflow are chosen by seed " + std::to_string(seed);
    });
  }
};
} // namespace
