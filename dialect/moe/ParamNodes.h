//===- ParamNodes.h - Nodes of expressions of weights -----------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What those who make #moe.param attributes share; everyone else uses
// ParamBuilder.h.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_DIALECT_MOE_PARAMNODES_H
#define MOE_DIALECT_MOE_PARAMNODES_H

#include "dialect/moe/MoeTypes.h"
#include "dialect/moe/ParamBuilder.h"
#include "dialect/moe/Shapes.h"

namespace moe::dialect::param {

inline ParamAttr make(llvm::StringRef kind, mlir::RankedTensorType type,
                      llvm::ArrayRef<int64_t> ints = {},
                      llvm::ArrayRef<ParamAttr> operands = {},
                      mlir::Attribute value = {}, mlir::StringAttr file = {}) {
  mlir::MLIRContext *context = type.getContext();
  llvm::SmallVector<mlir::Attribute> attributes(operands.begin(),
                                                operands.end());
  return ParamAttr::get(context, mlir::StringAttr::get(context, kind), file,
                        value, ints, attributes, type);
}

inline bool isKind(ParamAttr x, llvm::StringRef kind) {
  return x.getKind().getValue() == kind;
}

inline ParamAttr operandOf(ParamAttr x, unsigned i = 0) {
  return llvm::cast<ParamAttr>(x.getOperands()[i]);
}

inline mlir::RankedTensorType withShape(ParamAttr x,
                                        llvm::ArrayRef<int64_t> shape) {
  return mlir::RankedTensorType::get(shape, x.getType().getElementType());
}

inline int64_t bytesOf(mlir::RankedTensorType type) {
  return *numElementsOf(type.getShape()) *
         dtypeSize(*toDType(type.getElementType()));
}

/// The same rounding of another weight.
inline ParamAttr quantizeAs(ParamAttr like, ParamAttr x) {
  return quantize(x, like.getInts()[0], like.getInts()[1],
                  like.getInts()[2] != 0);
}

} // namespace moe::dialect::param

#endif // MOE_DIALECT_MOE_PARAMNODES_H
