//===- HostTensor.h - Tensors with values, to fold and to test --*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The values that folders compute on (at most 1 KiB) and that the reference
// interpreter computes on. An element is a double for every float type and an
// int64_t for every integer type and i1 (ui64 by its bits), so that one
// function serves all types; speed is no aim.
//
// f32 and f64 values are not rounded on the way; f16 and bf16 values are
// rounded by every operation, integers wrap to their width.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_DIALECT_MOE_HOSTTENSOR_H
#define MOE_DIALECT_MOE_HOSTTENSOR_H

#include "dialect/moe/MoeAttrs.h"
#include "runtime/support/DType.h"

#include <functional>
#include <vector>

namespace moe::dialect {

/// An element; its tensor's type says which member is meant.
union Scalar {
  double f;
  int64_t i;
};
inline Scalar scalarOf(double value) { return Scalar{.f = value}; }
inline Scalar scalarOf(int64_t value) { return Scalar{.i = value}; }

using Shape = llvm::SmallVector<int64_t>;

struct HostTensor {
  DType dtype = DType::F32;
  Shape shape;
  /// Row major.
  std::vector<Scalar> elements;

  HostTensor() = default;
  /// Zeros.
  HostTensor(DType dtype, llvm::ArrayRef<int64_t> shape);

  int64_t rank() const { return shape.size(); }
  int64_t size() const { return elements.size(); }
  bool isFloat() const { return moe::isFloat(dtype); }
  /// An element as a double or, truncated, as an integer.
  double asDouble(int64_t i) const;
  int64_t asInt(int64_t i) const;
};

/// Reads a dense attribute of at most kMaxConstantBytes.
std::optional<HostTensor> readConstant(mlir::Attribute value);
/// The attribute, or null if it would have more than kMaxConstantBytes.
mlir::Attribute writeConstant(mlir::MLIRContext *context,
                              const HostTensor &tensor);

/// Calls `body` with each index of `shape`, in row-major order.
void forEachIndex(llvm::ArrayRef<int64_t> shape,
                  llvm::function_ref<void(llvm::ArrayRef<int64_t>)> body);
/// The element number of `index` in a row-major tensor of `shape`; where the
/// shape has fewer dimensions or size 1, it broadcasts.
int64_t offsetOf(llvm::ArrayRef<int64_t> shape, llvm::ArrayRef<int64_t> index);
/// Aligned at the right, 1 stretches; the shapes must broadcast.
Shape broadcastShapes(llvm::ArrayRef<int64_t> a, llvm::ArrayRef<int64_t> b);

//===----------------------------------------------------------------------===//
// Elementwise. Nothing: integer division by zero.
//===----------------------------------------------------------------------===//

Scalar castScalar(Scalar value, DType from, DType to);
Scalar evaluateUnary(UnaryKind kind, Scalar x, DType dtype);
std::optional<Scalar> evaluateBinary(BinaryKind kind, Scalar a, DType aType,
                                     Scalar b, DType bType);
bool evaluateCompare(CompareKind kind, Scalar a, Scalar b, DType dtype);

/// The activation of moe.ffn and moe.experts.
struct HostActivation {
  Activation kind = Activation::Identity;
  double alpha = 1, beta = 0, limit = 0;
};
/// act(gate), times the linear part if the FFN is gated.
double evaluateActivation(const HostActivation &act, double gate,
                          std::optional<double> linear);

HostTensor hostCast(const HostTensor &x, DType to);
HostTensor hostUnary(UnaryKind kind, const HostTensor &x);
std::optional<HostTensor> hostBinary(BinaryKind kind, const HostTensor &a,
                                     const HostTensor &b);
HostTensor hostCompare(CompareKind kind, const HostTensor &a,
                       const HostTensor &b);
HostTensor hostSelect(const HostTensor &condition, const HostTensor &onTrue,
                      const HostTensor &onFalse);
HostTensor hostReduce(ReduceKind kind, const HostTensor &x,
                      llvm::ArrayRef<int64_t> axes, bool keepdims);

//===----------------------------------------------------------------------===//
// Moving. Nothing: an index outside.
//===----------------------------------------------------------------------===//

HostTensor hostReshape(const HostTensor &x, llvm::ArrayRef<int64_t> shape);
HostTensor hostBroadcast(const HostTensor &x, llvm::ArrayRef<int64_t> shape);
HostTensor hostTranspose(const HostTensor &x,
                         llvm::ArrayRef<int64_t> permutation);
/// Nothing also if the part leaves x.
std::optional<HostTensor> hostSlice(const HostTensor &x,
                                    llvm::ArrayRef<int64_t> starts,
                                    llvm::ArrayRef<int64_t> steps,
                                    llvm::ArrayRef<int64_t> sizes);
HostTensor hostConcat(llvm::ArrayRef<HostTensor> inputs, int64_t axis);
std::optional<HostTensor> hostGather(const HostTensor &data,
                                     const HostTensor &indices, int64_t axis,
                                     int64_t batchDims);

} // namespace moe::dialect

#endif // MOE_DIALECT_MOE_HOSTTENSOR_H
