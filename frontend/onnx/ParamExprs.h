//===- ParamExprs.h - Making #moe.param expressions --------------*- C++
//-*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What an operation does to a weight is written into the weight's expression,
// so that recognition sees weights, whatever an exporter did to them first.
// Shapes and indices must be valid; the attribute's verifier knows the rules.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_FRONTEND_ONNX_PARAMEXPRS_H
#define MOE_FRONTEND_ONNX_PARAMEXPRS_H

#include "dialect/moe/MoeAttrs.h"

namespace moe::onnx_import {

dialect::ParamAttr paramFile(llvm::StringRef file, uint64_t offset,
                             uint64_t length, bool isVarint,
                             mlir::RankedTensorType type);
/// Every element is 0; of floats.
dialect::ParamAttr paramZeros(mlir::RankedTensorType type);
dialect::ParamAttr paramInline(mlir::DenseElementsAttr value);
dialect::ParamAttr paramSlice(dialect::ParamAttr x,
                              llvm::ArrayRef<int64_t> starts,
                              llvm::ArrayRef<int64_t> sizes,
                              llvm::ArrayRef<int64_t> steps);
dialect::ParamAttr paramTranspose(dialect::ParamAttr x,
                                  llvm::ArrayRef<int64_t> permutation);
dialect::ParamAttr paramReshape(dialect::ParamAttr x,
                                llvm::ArrayRef<int64_t> shape);
dialect::ParamAttr paramConcat(llvm::ArrayRef<dialect::ParamAttr> parts,
                               int64_t axis);
dialect::ParamAttr paramCast(dialect::ParamAttr x, mlir::Type elementType);
/// "add" or "mul"; `type` is what the operands broadcast to.
dialect::ParamAttr paramBinary(llvm::StringRef kind, dialect::ParamAttr a,
                               dialect::ParamAttr b,
                               mlir::RankedTensorType type);
/// q [.., ceil(N * bits / 8)], scales and zero points as #moe.param says;
/// zeroPoints may be null. The result is [.., size] of `elementType`.
dialect::ParamAttr paramDequantize(dialect::ParamAttr q,
                                   dialect::ParamAttr scales,
                                   dialect::ParamAttr zeroPoints, int64_t bits,
                                   int64_t block, int64_t size,
                                   mlir::Type elementType);

} // namespace moe::onnx_import

#endif // MOE_FRONTEND_ONNX_PARAMEXPRS_H
