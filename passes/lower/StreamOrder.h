//===- StreamOrder.h - What steps of two streams share ----------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Steps of stream 1 run beside those of stream 0 that follow them. A step of
// stream 0 may not overtake them where it
//
//   * reads what one writes,
//   * writes what one reads or writes, or
//   * has an operand whose size or place depends on a data symbol that one
//     defines: the symbol's value is known when that step is done.
//
// Steps of stream 1 are issued in the order of the program and run in that
// order, so they need no more: what a step of stream 0 wrote before is there.
//
//   0  all_to_all   stream 1, records 0
//   1  ffn          touches nothing of step 0: runs beside it
//   2  experts      reads what step 0 received: waits for event 0
//
//===----------------------------------------------------------------------===//

#ifndef MOE_PASSES_LOWER_STREAMORDER_H
#define MOE_PASSES_LOWER_STREAMORDER_H

#include "dialect/plan/PlanDialect.h"

#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/DenseSet.h"

namespace moe::pass {

/// By step, the one at which it is surely done: itself, or for stream 1 the
/// first after it that waits for its event or for that of a later one, or the
/// number of steps if nobody does. Until then the step uses its buffers.
llvm::SmallVector<int64_t> joinsOf(llvm::ArrayRef<plan_dialect::StepOp> steps);

/// Walks the steps of a program in order and knows what stream 1 works on.
class StreamOrder {
public:
  explicit StreamOrder(plan_dialect::ProgramOp program);

  /// The latest step of stream 1 before `step`, which is of stream 0, that it
  /// may not overtake; null if there is none. A collective overtakes none: all
  /// collectives of a rank keep one order.
  plan_dialect::StepOp conflictOf(plan_dialect::StepOp step);

  /// `step` is next in the order of the program.
  void add(plan_dialect::StepOp step);

private:
  /// The memory of a buffer, or a data symbol (a StringAttr).
  using Resource = const void *;
  Resource memoryOf(mlir::Value buffer) const;
  /// Data symbols in sizes, offset and strides of `buffer` and its bases.
  llvm::SmallVector<Resource> symbolsOf(mlir::Value buffer);
  void addSymbols(mlir::StringAttr expr,
                  llvm::SmallVectorImpl<Resource> &symbols);

  struct Use {
    plan_dialect::StepOp read, write;
  };
  llvm::DenseMap<Resource, Use> uses;
  /// By index of a state: its first buffer. Past and present are one memory.
  llvm::DenseMap<int64_t, Resource> states;
  llvm::DenseSet<mlir::StringAttr> dataSymbols;
  /// Data symbols that a step has defined.
  llvm::DenseSet<Resource> defined;
  plan_dialect::StepOp last;
  llvm::DenseMap<mlir::StringAttr, llvm::SmallVector<Resource>> known;
};

} // namespace moe::pass

#endif // MOE_PASSES_LOWER_STREAMORDER_H
