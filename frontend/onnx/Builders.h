//===- Builders.h - The builders of ONNX operators ---------------*- C++
//-*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Declared for the table; each file beside this one has its topic. A builder
// for several operators looks at the node's type.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_FRONTEND_ONNX_BUILDERS_H
#define MOE_FRONTEND_ONNX_BUILDERS_H

#include "frontend/onnx/NodeContext.h"

namespace moe::onnx_import {

using llvm::LogicalResult;

// BuildElementwise.cpp
LogicalResult buildUnary(NodeContext &n);
LogicalResult buildIsInf(NodeContext &n);
LogicalResult buildGelu(NodeContext &n);
LogicalResult buildFastGelu(NodeContext &n);
LogicalResult buildBiasGelu(NodeContext &n);
LogicalResult buildQuickGelu(NodeContext &n);
LogicalResult buildSwish(NodeContext &n);
LogicalResult buildClip(NodeContext &n);
LogicalResult buildCast(NodeContext &n);
LogicalResult buildCastLike(NodeContext &n);
LogicalResult buildDropout(NodeContext &n);
LogicalResult buildIdentity(NodeContext &n);

// BuildArithmetic.cpp
LogicalResult buildBinary(NodeContext &n);
LogicalResult buildVariadic(NodeContext &n);
LogicalResult buildCompare(NodeContext &n);
LogicalResult buildWhere(NodeContext &n);

// BuildShape.cpp
LogicalResult buildConstant(NodeContext &n);
LogicalResult buildConstantOfShape(NodeContext &n);
LogicalResult buildShape(NodeContext &n);
LogicalResult buildSize(NodeContext &n);
LogicalResult buildRange(NodeContext &n);
LogicalResult buildRandomLike(NodeContext &n);

// BuildControl.cpp
LogicalResult buildIf(NodeContext &n);

// BuildMove.cpp
LogicalResult buildReshape(NodeContext &n);
LogicalResult buildFlatten(NodeContext &n);
LogicalResult buildTranspose(NodeContext &n);
LogicalResult buildSqueeze(NodeContext &n);
LogicalResult buildUnsqueeze(NodeContext &n);
LogicalResult buildExpand(NodeContext &n);
LogicalResult buildTile(NodeContext &n);
LogicalResult buildConcat(NodeContext &n);
LogicalResult buildSplit(NodeContext &n);
LogicalResult buildPad(NodeContext &n);
LogicalResult buildTrilu(NodeContext &n);

// BuildSlice.cpp
LogicalResult buildSlice(NodeContext &n);

// BuildIndex.cpp
LogicalResult buildGather(NodeContext &n);
LogicalResult buildGatherElements(NodeContext &n);
LogicalResult buildGatherND(NodeContext &n);
LogicalResult buildScatterElements(NodeContext &n);
LogicalResult buildScatterND(NodeContext &n);
LogicalResult buildTensorScatter(NodeContext &n);
LogicalResult buildOneHot(NodeContext &n);
LogicalResult buildNonZero(NodeContext &n);
LogicalResult buildTopK(NodeContext &n);

// BuildReduce.cpp
LogicalResult buildReduce(NodeContext &n);
LogicalResult buildArgReduce(NodeContext &n);
LogicalResult buildCumSum(NodeContext &n);
LogicalResult buildSoftmax(NodeContext &n);

// BuildNorm.cpp
LogicalResult buildLayerNorm(NodeContext &n);
LogicalResult buildRmsNorm(NodeContext &n);
LogicalResult buildSkipLayerNorm(NodeContext &n);
LogicalResult buildSkipRmsNorm(NodeContext &n);
LogicalResult buildLpNorm(NodeContext &n);

// BuildMatmul.cpp
LogicalResult buildMatMul(NodeContext &n);
LogicalResult buildFusedMatMul(NodeContext &n);
LogicalResult buildGemm(NodeContext &n);

// BuildEinsum.cpp
LogicalResult buildEinsum(NodeContext &n);

// BuildDequantize.cpp
LogicalResult buildDequantizeLinear(NodeContext &n);

// BuildQuantized.cpp
LogicalResult buildMatMulNBits(NodeContext &n);

// BuildGatherQuantized.cpp
LogicalResult buildGatherBlockQuantized(NodeContext &n);

// BuildRotary.cpp
LogicalResult buildRotaryEmbedding(NodeContext &n);
LogicalResult buildMsRotaryEmbedding(NodeContext &n);

// BuildAttention.cpp
LogicalResult buildAttention(NodeContext &n);

// BuildMsAttention.cpp
LogicalResult buildMultiHeadAttention(NodeContext &n);
LogicalResult buildGroupQueryAttention(NodeContext &n);

// BuildExperts.cpp
LogicalResult buildMoE(NodeContext &n);

// BuildQuantizedExperts.cpp
LogicalResult buildQMoE(NodeContext &n);

//===----------------------------------------------------------------------===//
// Shared by builders
//===----------------------------------------------------------------------===//

/// Scales of `dequantize` in the element type `type` where that is wider: the
/// weight then has it without a cast, and codes times scales are exact.
dialect::ParamAttr widenedScales(dialect::ParamAttr scales, mlir::Type type);
/// Refuses bits and sizes of blocks that no operator of quantized weights has.
LogicalResult checkBits(NodeContext &n, int64_t bits, int64_t block);
/// [B, S, H * D] -> [B, H, S, D].
mlir::Value splitHeads(NodeContext &n, mlir::Value x, int64_t numHeads);
/// [B, H, S, D] -> [B, S, H * D].
mlir::Value joinHeads(NodeContext &n, mlir::Value x);
/// Rows of a table [P, R/2] of cosines or sines at positions [B, S].
mlir::Value rotaryRows(NodeContext &n, mlir::Value table,
                       mlir::Value positions);
/// What past and new give; `pastIndex` is the input with the past. A cache that
/// is an argument of the model becomes a moe.cache_append, `lengths` as there.
mlir::Value appendToCache(NodeContext &n, unsigned pastIndex, mlir::Value added,
                          mlir::Value lengths = {});

} // namespace moe::onnx_import

#endif // MOE_FRONTEND_ONNX_BUILDERS_H
