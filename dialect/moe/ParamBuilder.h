//===- ParamBuilder.h - Expressions of weights ------------------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Makes #moe.param attributes, each simplified as far as that loses nothing:
//
//   transpose(transpose(w))            -> transpose(w) or w
//   slice(file, rows 2..4)             -> file of a narrower range
//   slice(stack(a, b, c), entry 1)     -> b with a leading 1
//   slice(transpose(w))                -> transpose(slice(w))
//   slice(quantize(w)), whole blocks   -> quantize(slice(w))
//
// so that what remains of one expert of a stacked weight reads the bytes of
// that expert only.
//
// Arguments must fit the operands, as the verifier of #moe.param demands; who
// takes them from a file checks them first.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_DIALECT_MOE_PARAMBUILDER_H
#define MOE_DIALECT_MOE_PARAMBUILDER_H

#include "dialect/moe/MoeAttrs.h"

namespace moe::dialect::param {

/// Bytes [offset, offset + size of `type`) of `path`, row major.
ParamAttr file(mlir::RankedTensorType type, llvm::StringRef path,
               int64_t offset);
/// Protobuf varints in bytes [offset, offset + bytes) of `path`.
ParamAttr varint(mlir::RankedTensorType type, llvm::StringRef path,
                 int64_t offset, int64_t bytes);
/// Every element is `value`, an attribute of the element type.
ParamAttr fill(mlir::RankedTensorType type, mlir::TypedAttr value);
/// The elements themselves, at most 1 KiB.
ParamAttr inlined(mlir::DenseElementsAttr value);

ParamAttr slice(ParamAttr x, llvm::ArrayRef<int64_t> starts,
                llvm::ArrayRef<int64_t> steps, llvm::ArrayRef<int64_t> sizes);
ParamAttr transpose(ParamAttr x, llvm::ArrayRef<int64_t> permutation);
ParamAttr reshape(ParamAttr x, llvm::ArrayRef<int64_t> shape);
ParamAttr concat(llvm::ArrayRef<ParamAttr> inputs, int64_t axis);
/// Along a new first axis.
ParamAttr stack(llvm::ArrayRef<ParamAttr> inputs);
/// Entries of x along an axis.
ParamAttr take(ParamAttr x, llvm::ArrayRef<int64_t> entries, int64_t axis);
ParamAttr cast(ParamAttr x, mlir::Type elementType);
ParamAttr scale(ParamAttr x, double factor);
/// Elementwise, broadcasting.
ParamAttr add(ParamAttr a, ParamAttr b);
ParamAttr mul(ParamAttr a, ParamAttr b);
/// q [.., ceil(size * bits / 8)] ui8, or a byte each, [.., size]; scales [..,
/// ceil(size / block)], zero points like q or null -> [.., size] of the type of
/// the scales; block 0 means the whole row.
ParamAttr dequantize(ParamAttr q, ParamAttr scales, ParamAttr zeroPoints,
                     int64_t size, int64_t bits, int64_t block);
/// x [.., K, N] rounded to `bits` bits in blocks of `block` along K; 0 means
/// all of K.
ParamAttr quantize(ParamAttr x, int64_t bits, int64_t block,
                   bool hasZeroPoints);

} // namespace moe::dialect::param

#endif // MOE_DIALECT_MOE_PARAMBUILDER_H
