//===- Inference.h - Checks while a type is inferred ------------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Shared by the implementations of the operations; not for users of the
// dialect.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_DIALECT_MOE_INFERENCE_H
#define MOE_DIALECT_MOE_INFERENCE_H

#include "dialect/moe/MoeOps.h"
#include "dialect/moe/MoeTypes.h"

namespace moe::dialect {

/// Reports the constraints that an operation breaks, whether it is there
/// already or only being built.
class Inference {
public:
  Inference(std::optional<mlir::Location> location, llvm::StringRef opName)
      : location(location), opName(opName) {}
  explicit Inference(mlir::Operation *op)
      : Inference(op->getLoc(), op->getName().getStringRef()) {}

  /// Emits "'moe.x' op message" if there is a location; always a failure.
  llvm::LogicalResult error(const llvm::Twine &message) const;
  llvm::LogicalResult expect(bool condition, const llvm::Twine &message) const {
    return condition ? llvm::success() : error(message);
  }
  /// 0 <= axis < rank.
  llvm::LogicalResult expectAxis(int64_t axis, int64_t rank) const;
  /// `what` has these dimensions.
  llvm::LogicalResult expectDims(llvm::StringRef what, mlir::Value value,
                                 llvm::ArrayRef<DimExpr> expected) const;
  llvm::LogicalResult expectRank(llvm::StringRef what, mlir::Value value,
                                 int64_t rank) const;
  llvm::LogicalResult expectFloat(llvm::StringRef what,
                                  mlir::Value value) const;
  llvm::LogicalResult expectInteger(llvm::StringRef what,
                                    mlir::Value value) const;
  /// The signless integer type of `width` bits.
  llvm::LogicalResult expectInteger(llvm::StringRef what, mlir::Value value,
                                    unsigned width) const;
  llvm::LogicalResult expectSameElementType(llvm::StringRef what,
                                            mlir::Value value,
                                            mlir::Type expected) const;
  /// Anything but i1.
  llvm::LogicalResult expectNumber(llvm::StringRef what,
                                   mlir::Value value) const;

private:
  std::optional<mlir::Location> location;
  llvm::StringRef opName;
};

mlir::Type elementTypeOf(mlir::Value value);
int64_t rankOf(mlir::Value value);
bool isFloat(mlir::Value value);
/// "f32".
std::string toString(mlir::Type type);

} // namespace moe::dialect

#endif // MOE_DIALECT_MOE_INFERENCE_H
