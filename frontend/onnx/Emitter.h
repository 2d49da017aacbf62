//===- Emitter.h - Making operations while importing -------------*- C++
//-*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The builders of ONNX operators write expressions:
//
//   Value y = n.binary(BinaryKind::Mul, x, n.unary(UnaryKind::Sigmoid, x));
//
// None of these functions returns a null value or ends the process. What
// cannot be made, because shapes or types do not fit, marks the node as failed,
// and a placeholder stands for the value until the builder returns. Where sizes
// must be equal and are not, a symbol is asked for its value (unify).
//
// Constants and weights fold: an operation on a moe.param that moves elements
// becomes a part of the weight's expression.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_FRONTEND_ONNX_EMITTER_H
#define MOE_FRONTEND_ONNX_EMITTER_H

#include "dialect/moe/MoeBuild.h"
#include "dialect/moe/MoeOps.h"
#include "frontend/onnx/ImportState.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/Diagnostics.h"

namespace moe::onnx_import {

using dialect::Dims;

class Emitter {
public:
  Emitter(ImportState &state, mlir::OpBuilder &builder, mlir::Location loc,
          std::string place)
      : state(state), builder(builder), loc(loc), place(std::move(place)) {}

  //===--------------------------------------------------------------------===//
  // Errors. All return failure.
  //===--------------------------------------------------------------------===//

  /// The node is valid ONNX, but not supported.
  llvm::LogicalResult unsupported(const llvm::Twine &message);
  /// The model is wrong.
  llvm::LogicalResult invalid(const llvm::Twine &message);
  void warn(const llvm::Twine &message);
  bool hasFailed() const { return state.nodeFailed || state.restart; }

  /// Makes two sizes equal, if need be by giving a symbol a value; the import
  /// then starts again.
  llvm::LogicalResult unify(const DimExpr &a, const DimExpr &b);
  llvm::LogicalResult unify(llvm::ArrayRef<DimExpr> a,
                            llvm::ArrayRef<DimExpr> b);
  /// The same without an error: false if they are not equal (yet).
  bool tryUnify(const DimExpr &a, const DimExpr &b);
  /// Relies on a >= b in what follows, which a run checks before it begins;
  /// false if it is wrong, or if only the run tells a size.
  bool assumeAtLeast(const DimExpr &a, const DimExpr &b);
  /// What a and b broadcast to; sizes other than 1 are unified.
  llvm::FailureOr<Dims> broadcast(llvm::ArrayRef<DimExpr> a,
                                  llvm::ArrayRef<DimExpr> b);

  //===--------------------------------------------------------------------===//
  // Leaves
  //===--------------------------------------------------------------------===//

  mlir::Value constant(mlir::DenseElementsAttr value);
  /// A number of any element type, in the given number of dimensions of 1.
  mlir::Value scalar(mlir::Type elementType, double number, unsigned rank = 0);
  mlir::Value intVector(llvm::ArrayRef<int64_t> values);
  mlir::Value param(dialect::ParamAttr value, mlir::StringAttr name);
  /// Sizes as integers of rank 1, or of rank 0 for one.
  mlir::Value sizes(llvm::ArrayRef<DimExpr> dims, mlir::Type elementType,
                    bool isScalar = false);
  mlir::Value iota(const DimExpr &start, const DimExpr &count,
                   mlir::Type elementType, int64_t step = 1);
  /// Every element is `number`.
  mlir::Value filled(llvm::ArrayRef<DimExpr> dims, mlir::Type elementType,
                     double number);

  //===--------------------------------------------------------------------===//
  // Elementwise
  //===--------------------------------------------------------------------===//

  mlir::Value unary(dialect::UnaryKind kind, mlir::Value x);
  mlir::Value binary(dialect::BinaryKind kind, mlir::Value a, mlir::Value b);
  /// With a number of a's element type on the right.
  mlir::Value binary(dialect::BinaryKind kind, mlir::Value a, double b);
  mlir::Value compare(dialect::CompareKind kind, mlir::Value a, mlir::Value b);
  mlir::Value select(mlir::Value condition, mlir::Value a, mlir::Value b);
  mlir::Value cast(mlir::Value x, mlir::Type elementType);

  //===--------------------------------------------------------------------===//
  // Reductions, products
  //===--------------------------------------------------------------------===//

  mlir::Value reduce(dialect::ReduceKind kind, mlir::Value x,
                     llvm::ArrayRef<int64_t> axes, bool keepDims);
  /// K and the leading dimensions are unified; bias may be null.
  mlir::Value
  matmul(mlir::Value a, mlir::Value b, mlir::Value bias = {},
         bool transposeB = false,
         dialect::Arithmetic arithmetic = dialect::Arithmetic::Float);
  mlir::Value softmax(mlir::Value x, int64_t axis, bool isLog = false);
  /// Over the dimensions from `axis` on; scale and bias may be null.
  mlir::Value norm(dialect::NormKind kind, mlir::Value x, mlir::Value scale,
                   mlir::Value bias, int64_t axis, float epsilon);

  //===--------------------------------------------------------------------===//
  // Moving elements
  //===--------------------------------------------------------------------===//

  mlir::Value reshape(mlir::Value x, llvm::ArrayRef<DimExpr> dims);
  mlir::Value transpose(mlir::Value x, llvm::ArrayRef<int64_t> permutation);
  /// Stretches x to exactly `dims`.
  mlir::Value stretch(mlir::Value x, llvm::ArrayRef<DimExpr> dims);
  /// New dimensions of size 1 at these places of the result, in order.
  mlir::Value unsqueeze(mlir::Value x, llvm::ArrayRef<int64_t> axes);
  /// Without these dimensions, which must have size 1, in order.
  mlir::Value squeeze(mlir::Value x, llvm::ArrayRef<int64_t> axes);
  mlir::Value slice(mlir::Value x, llvm::ArrayRef<DimExpr> starts,
                    llvm::ArrayRef<DimExpr> dims,
                    llvm::ArrayRef<int64_t> steps = {});
  /// Elements [start, start + size) along one axis.
  mlir::Value sliceAxis(mlir::Value x, int64_t axis, const DimExpr &start,
                        const DimExpr &size);
  mlir::Value concat(llvm::ArrayRef<mlir::Value> parts, int64_t axis);
  mlir::Value gather(mlir::Value data, mlir::Value indices, int64_t axis,
                     int64_t batchDims = 0);

  //===--------------------------------------------------------------------===//
  // Anything else
  //===--------------------------------------------------------------------===//

  /// An operation with one inferred result.
  template <typename OpTy, typename... Args>
  mlir::Value create(Args &&...args) {
    auto op = createOp<OpTy>(std::forward<Args>(args)...);
    return succeeded(op) ? fold(*op) : placeholder();
  }
  /// An operation with inferred results.
  template <typename OpTy, typename... Args>
  llvm::FailureOr<OpTy> createOp(Args &&...args) {
    DiagnosticCapture capture(*this);
    if (hasFailed())
      return llvm::failure();
    return dialect::createChecked<OpTy>(builder, loc,
                                        std::forward<Args>(args)...);
  }
  /// An operation whose result types are given first.
  template <typename OpTy, typename... Args>
  llvm::FailureOr<OpTy> createTypedOp(Args &&...args) {
    DiagnosticCapture capture(*this);
    if (hasFailed())
      return llvm::failure();
    auto op = OpTy::create(builder, loc, std::forward<Args>(args)...);
    if (succeeded(verifyOp(op)))
      return op;
    op->erase();
    return llvm::failure();
  }
  template <typename OpTy, typename... Args>
  mlir::Value createTyped(Args &&...args) {
    auto op = createTypedOp<OpTy>(std::forward<Args>(args)...);
    return succeeded(op) ? fold(*op) : placeholder();
  }
  /// The weight behind `x`, a constant as an inline one; null for others.
  dialect::ParamAttr asParam(mlir::Value x);
  /// Stands for a value that could not be made.
  mlir::Value placeholder();

  mlir::MLIRContext *context() const { return state.context; }
  mlir::Location location() const { return loc; }
  mlir::Type f32() const;
  mlir::Type i64() const;
  mlir::Type i1() const;
  mlir::DenseI64ArrayAttr ints(llvm::ArrayRef<int64_t> values) const;

protected:
  ImportState &state;
  mlir::OpBuilder &builder;
  mlir::Location loc;
  /// `model.onnx: node "x" (TopK, opset 18)`, for messages.
  std::string place;

private:
  /// While it lives, errors that the dialect emits are errors of the node.
  class DiagnosticCapture {
  public:
    explicit DiagnosticCapture(Emitter &emitter);

  private:
    mlir::ScopedDiagnosticHandler handler;
  };

  llvm::LogicalResult fail(StatusCode code, const llvm::Twine &message);
  static llvm::LogicalResult verifyOp(mlir::Operation *op);
  mlir::Value fold(mlir::Operation *op);
  mlir::Value foldParams(dialect::BinaryKind kind, mlir::Value a,
                         mlir::Value b);
};

/// The constant or weight's expression behind a value, if it is one.
dialect::ParamAttr paramOf(mlir::Value value);
mlir::StringAttr paramNameOf(mlir::Value value);

} // namespace moe::onnx_import

#endif // MOE_FRONTEND_ONNX_EMITTER_H
