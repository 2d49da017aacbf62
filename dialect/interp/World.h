//===- World.h - The values of all ranks -------------------------*- C++
//-*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_DIALECT_INTERP_WORLD_H
#define MOE_DIALECT_INTERP_WORLD_H

#include "dialect/interp/Interpreter.h"
#include "dialect/moe/MoeOps.h"
#include "dialect/moe/MoeTypes.h"
#include "llvm/ADT/DenseMap.h"

namespace moe::interp {

using dialect::Dims;
using dialect::HostTensor;
using dialect::Scalar;
using dialect::scalarOf;
using dialect::Shape;
using Results = llvm::SmallVector<HostTensor>;

/// One rank.
struct Frame {
  int64_t rank = 0;
  const WeightSource *weights = nullptr;
  /// Input symbols, this rank's local symbols, the data symbols known so far.
  SymbolValues symbols;
  llvm::DenseMap<mlir::Value, HostTensor> values;

  const HostTensor &get(mlir::Value value) const {
    return values.find(value)->second;
  }
  /// Null for an absent optional operand.
  const HostTensor *find(mlir::Value value) const {
    return value ? &get(value) : nullptr;
  }
  /// Values of expressions, or an error at `op`.
  mlir::FailureOr<Shape> evaluate(mlir::Operation *op,
                                  llvm::ArrayRef<DimExpr> dims) const;
  mlir::FailureOr<Shape> shapeOf(mlir::Value result) const;
  /// Stores a result; a size that is a data symbol gives it its value, all
  /// others must be as the type says.
  llvm::LogicalResult store(mlir::OpResult result, HostTensor value);
};

/// Which part of a whole of `size` rank `rank` of `numRanks` has.
struct Range {
  int64_t begin, end;
};
Range partOf(int64_t size, int64_t rank, int64_t numRanks);

/// The type of a value's elements.
DType dtypeOf(mlir::Value value);
/// Rounds floats to f16 or bf16, where that is the type.
void roundElements(HostTensor &tensor);
/// Entries [begin, end) along `axis`.
HostTensor takeRange(const HostTensor &x, int64_t axis, Range range);

//===----------------------------------------------------------------------===//
// The meaning of operations, on one rank
//===----------------------------------------------------------------------===//

#define MOE_EVALUATE(OP)                                                       \
  mlir::FailureOr<Results> evaluate(dialect::OP op, const Frame &frame);
MOE_EVALUATE(ParamOp)
MOE_EVALUATE(ConstantOp)
MOE_EVALUATE(ShapeOp)
MOE_EVALUATE(IotaOp)
MOE_EVALUATE(RangeOp)
MOE_EVALUATE(UnaryOp)
MOE_EVALUATE(BinaryOp)
MOE_EVALUATE(CompareOp)
MOE_EVALUATE(SelectOp)
MOE_EVALUATE(CastOp)
MOE_EVALUATE(ElementwiseOp)
MOE_EVALUATE(ReduceOp)
MOE_EVALUATE(ArgReduceOp)
MOE_EVALUATE(MatmulOp)
MOE_EVALUATE(CumsumOp)
MOE_EVALUATE(TopKOp)
MOE_EVALUATE(SoftmaxOp)
MOE_EVALUATE(NormOp)
MOE_EVALUATE(GatherOp)
MOE_EVALUATE(GatherNdOp)
MOE_EVALUATE(GatherElementsOp)
MOE_EVALUATE(ScatterElementsOp)
MOE_EVALUATE(ScatterNdOp)
MOE_EVALUATE(SliceOp)
MOE_EVALUATE(ConcatOp)
MOE_EVALUATE(PadOp)
MOE_EVALUATE(TransposeOp)
MOE_EVALUATE(ReshapeOp)
MOE_EVALUATE(BroadcastOp)
MOE_EVALUATE(TriluOp)
MOE_EVALUATE(OneHotOp)
MOE_EVALUATE(NonZeroOp)
MOE_EVALUATE(RotaryOp)
MOE_EVALUATE(AttentionOp)
MOE_EVALUATE(CacheAppendOp)
MOE_EVALUATE(GateOp)
MOE_EVALUATE(DispatchOp)
MOE_EVALUATE(ExpertsOp)
MOE_EVALUATE(CombineOp)
MOE_EVALUATE(FfnOp)
MOE_EVALUATE(MixOp)
#undef MOE_EVALUATE

/// The value of a weight, or an error at `op`.
mlir::FailureOr<HostTensor> evaluateParam(mlir::Operation *op,
                                          dialect::ParamAttr value,
                                          const WeightSource &source);

//===----------------------------------------------------------------------===//
// The meaning of collectives, on all ranks
//===----------------------------------------------------------------------===//

/// The results of each rank; nothing if `op` is no collective.
std::optional<mlir::FailureOr<llvm::SmallVector<Results>>>
evaluateCollective(mlir::Operation *op, llvm::ArrayRef<Frame> frames);

} // namespace moe::interp

#endif // MOE_DIALECT_INTERP_WORLD_H
