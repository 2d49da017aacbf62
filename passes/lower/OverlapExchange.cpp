//===- OverlapExchange.cpp - Computes while rows of tokens travel ---------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The residual branch or shared expert of an MoE layer needs nothing from the
// exchange. It is moved between moe.all_to_all and moe.experts, where a device
// with asynchronous collectives hides the exchange behind it, and a rank that
// waits for a slower one has less left to do:
//
//   gate, dispatch, all_to_all | ffn, coefficients | experts, back, combine
//
// Moved is what stands behind the exchange up to where its result is used, and
// depends on nothing that comes from the exchange.
//
// Before: one block in the order of the model. After: the same operations; of
// each layer the independent ones stand before its experts.
//
//===----------------------------------------------------------------------===//

#include "passes/Passes.h"

#include "dialect/moe/MoeOps.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/Remarks.h"
#include "llvm/ADT/SetVector.h"

namespace moe::pass {
#define GEN_PASS_DEF_OVERLAPEXCHANGEPASS
#include "passes/Passes.h.inc"
} // namespace moe::pass

using namespace mlir;
using namespace moe;
using namespace moe::dialect;

/// Collectives keep their order on all ranks, also this compiler's own.
static bool isCollective(Operation *op) {
  return isa<AllToAllOp, AllToAllBackOp, AllGatherOp, AllReduceOp,
             ReduceScatterOp>(op);
}

/// The user of the layer's result at which its two branches meet.
static Operation *findJoin(AllToAllOp exchange) {
  Operation *current = exchange;
  while (current && !isa<MixOp>(current)) {
    if (current->getNumResults() == 0)
      return nullptr;
    // The last result of a step of the layer's chain that something uses.
    Operation *next = nullptr;
    for (Operation *user : current->getResult(0).getUsers())
      if (!next || user->isBeforeInBlock(next))
        next = user;
    current = next;
  }
  return current;
}

/// Moves behind `exchange` what `join` needs and does not come from it.
static int moveIndependent(AllToAllOp exchange, Operation *join) {
  llvm::SetVector<Operation *> fromExchange;
  fromExchange.insert(exchange);
  SmallVector<Operation *> independent;
  for (Operation *op = exchange->getNextNode(); op && op != join;
       op = op->getNextNode()) {
    bool depends = llvm::any_of(op->getOperands(), [&](Value operand) {
      Operation *producer = operand.getDefiningOp();
      return producer && fromExchange.contains(producer);
    });
    if (depends || isCollective(op) || op->hasTrait<OpTrait::IsTerminator>())
      fromExchange.insert(op);
    else
      independent.push_back(op);
  }
  Operation *last = exchange;
  for (Operation *op : independent) {
    op->moveAfter(last);
    last = op;
  }
  return llvm::count_if(independent,
                        [](Operation *op) { return isa<FfnOp, MatmulOp>(op); });
}

namespace {
struct OverlapExchange
    : moe::pass::impl::OverlapExchangePassBase<OverlapExchange> {
  void runOnOperation() override {
    SmallVector<AllToAllOp> exchanges;
    getOperation().walk([&](AllToAllOp op) { exchanges.push_back(op); });
    for (AllToAllOp exchange : exchanges) {
      Operation *join = findJoin(exchange);
      if (!join || join->getBlock() != exchange->getBlock())
        continue;
      if (int products = moveIndependent(exchange, join))
        mlir::remark::passed(exchange.getLoc(),
                             mlir::remark::RemarkOpts::name("overlapped")
                                 .category("moe-overlap-exchange"))
            << std::to_string(products) +
                   " dense products stand between the exchange and the experts";
    }
  }
};
} // namespace
