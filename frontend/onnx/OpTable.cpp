//===- OpTable.cpp - Which builder makes which operator -------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontend/onnx/OpTable.h"

#include "frontend/onnx/Builders.h"

namespace moe::onnx_import {

static constexpr llvm::StringLiteral kMs = kMicrosoftDomain;
static constexpr unsigned kAny = kAnyNumber;

// Domain, operator, since, inputs (min, max), outputs, builder. The same
// operator may have rows for several opsets, the oldest first.
static constexpr OpRow kRows[] = {
    // Elementwise.
    {"", "Abs", 13, 1, 1, 1, buildUnary},
    {"", "Ceil", 13, 1, 1, 1, buildUnary},
    {"", "Cos", 13, 1, 1, 1, buildUnary},
    {"", "Erf", 13, 1, 1, 1, buildUnary},
    {"", "Exp", 13, 1, 1, 1, buildUnary},
    {"", "Floor", 13, 1, 1, 1, buildUnary},
    {"", "IsNaN", 13, 1, 1, 1, buildUnary},
    {"", "Log", 13, 1, 1, 1, buildUnary},
    {"", "Neg", 13, 1, 1, 1, buildUnary},
    {"", "Not", 13, 1, 1, 1, buildUnary},
    {"", "Reciprocal", 13, 1, 1, 1, buildUnary},
    {"", "Relu", 13, 1, 1, 1, buildUnary},
    {"", "Round", 13, 1, 1, 1, buildUnary},
    {"", "Sigmoid", 13, 1, 1, 1, buildUnary},
    {"", "Sign", 13, 1, 1, 1, buildUnary},
    {"", "Sin", 13, 1, 1, 1, buildUnary},
    {"", "Softplus", 13, 1, 1, 1, buildUnary},
    {"", "Sqrt", 13, 1, 1, 1, buildUnary},
    {"", "Tanh", 13, 1, 1, 1, buildUnary},
    {"", "IsInf", 13, 1, 1, 1, buildIsInf},
    {"", "Gelu", 20, 1, 1, 1, buildGelu},
    {"", "Swish", 24, 1, 1, 1, buildSwish},
    {"", "Clip", 13, 1, 3, 1, buildClip},
    {"", "Cast", 13, 1, 1, 1, buildCast},
    {"", "CastLike", 15, 2, 2, 1, buildCastLike},
    {"", "Dropout", 13, 1, 3, 2, buildDropout},
    {"", "Identity", 13, 1, 1, 1, buildIdentity},
    {kMs, "BiasGelu", 1, 2, 2, 1, buildBiasGelu},
    {kMs, "FastGelu", 1, 1, 2, 1, buildFastGelu},
    {kMs, "Gelu", 1, 1, 1, 1, buildGelu},
    {kMs, "QuickGelu", 1, 1, 1, 1, buildQuickGelu},
    // Arithmetic and comparisons.
    {"", "Add", 13, 2, 2, 1, buildBinary},
    {"", "And", 13, 2, 2, 1, buildBinary},
    {"", "BitwiseAnd", 18, 2, 2, 1, buildBinary},
    {"", "BitwiseOr", 18, 2, 2, 1, buildBinary},
    {"", "BitwiseXor", 18, 2, 2, 1, buildBinary},
    {"", "Div", 13, 2, 2, 1, buildBinary},
    {"", "Mod", 13, 2, 2, 1, buildBinary},
    {"", "Mul", 13, 2, 2, 1, buildBinary},
    {"", "Or", 13, 2, 2, 1, buildBinary},
    {"", "Pow", 13, 2, 2, 1, buildBinary},
    {"", "Sub", 13, 2, 2, 1, buildBinary},
    {"", "Xor", 13, 2, 2, 1, buildBinary},
    {"", "Max", 13, 1, kAny, 1, buildVariadic},
    {"", "Mean", 13, 1, kAny, 1, buildVariadic},
    {"", "Min", 13, 1, kAny, 1, buildVariadic},
    {"", "Sum", 13, 1, kAny, 1, buildVariadic},
    {"", "Equal", 13, 2, 2, 1, buildCompare},
    {"", "Greater", 13, 2, 2, 1, buildCompare},
    {"", "GreaterOrEqual", 13, 2, 2, 1, buildCompare},
    {"", "Less", 13, 2, 2, 1, buildCompare},
    {"", "LessOrEqual", 13, 2, 2, 1, buildCompare},
    {"", "Where", 13, 3, 3, 1, buildWhere},
    // Constants and sizes.
    {"", "Constant", 13, 0, 0, 1, buildConstant},
    {"", "ConstantOfShape", 13, 1, 1, 1, buildConstantOfShape},
    {"", "RandomUniformLike", 13, 1, 1, 1, buildRandomLike},
    {"", "Range", 13, 3, 3, 1, buildRange},
    {"", "Shape", 13, 1, 1, 1, buildShape},
    {"", "Size", 13, 1, 1, 1, buildSize},
    // Control.
    {"", "If", 13, 1, 1, kAny, buildIf},
    // Moving elements.
    {"", "Concat", 13, 1, kAny, 1, buildConcat},
    {"", "Expand", 13, 2, 2, 1, buildExpand},
    {"", "Flatten", 13, 1, 1, 1, buildFlatten},
    {"", "Pad", 13, 2, 4, 1, buildPad},
    {"", "Reshape", 13, 2, 2, 1, buildReshape},
    {"", "Slice", 13, 3, 5, 1, buildSlice},
    {"", "Split", 13, 1, 2, kAny, buildSplit},
    {"", "Squeeze", 13, 1, 2, 1, buildSqueeze},
    {"", "Tile", 13, 2, 2, 1, buildTile},
    {"", "Transpose", 13, 1, 1, 1, buildTranspose},
    {"", "Trilu", 14, 1, 2, 1, buildTrilu},
    {"", "Unsqueeze", 13, 2, 2, 1, buildUnsqueeze},
    // By index.
    {"", "Gather", 13, 2, 2, 1, buildGather},
    {"", "GatherElements", 13, 2, 2, 1, buildGatherElements},
    {"", "GatherND", 13, 2, 2, 1, buildGatherND},
    {"", "NonZero", 13, 1, 1, 1, buildNonZero},
    {"", "OneHot", 13, 3, 3, 1, buildOneHot},
    {"", "ScatterElements", 13, 3, 3, 1, buildScatterElements},
    {"", "ScatterND", 13, 3, 3, 1, buildScatterND},
    {"", "TensorScatter", 24, 2, 3, 1, buildTensorScatter},
    {"", "TopK", 13, 2, 2, 2, buildTopK},
    // Reductions.
    {"", "ArgMax", 13, 1, 1, 1, buildArgReduce},
    {"", "ArgMin", 13, 1, 1, 1, buildArgReduce},
    {"", "CumSum", 14, 2, 2, 1, buildCumSum},
    {"", "LogSoftmax", 13, 1, 1, 1, buildSoftmax},
    {"", "ReduceL1", 13, 1, 2, 1, buildReduce},
    {"", "ReduceL2", 13, 1, 2, 1, buildReduce},
    {"", "ReduceMax", 13, 1, 2, 1, buildReduce},
    {"", "ReduceMean", 13, 1, 2, 1, buildReduce},
    {"", "ReduceMin", 13, 1, 2, 1, buildReduce},
    {"", "ReduceProd", 13, 1, 2, 1, buildReduce},
    {"", "ReduceSum", 13, 1, 2, 1, buildReduce},
    {"", "ReduceSumSquare", 13, 1, 2, 1, buildReduce},
    {"", "Softmax", 13, 1, 1, 1, buildSoftmax},
    // Normalizations.
    {"", "LayerNormalization", 17, 2, 3, 3, buildLayerNorm},
    {"", "LpNormalization", 13, 1, 1, 1, buildLpNorm},
    {"", "RMSNormalization", 23, 2, 2, 1, buildRmsNorm},
    // ONNX Runtime writes it into the standard domain.
    {"", "SimplifiedLayerNormalization", 13, 2, 2, 2, buildRmsNorm},
    {kMs, "SimplifiedLayerNormalization", 1, 2, 2, 2, buildRmsNorm},
    {kMs, "SkipLayerNormalization", 1, 3, 5, 4, buildSkipLayerNorm},
    {kMs, "SkipSimplifiedLayerNormalization", 1, 3, 4, 4, buildSkipRmsNorm},
    // Products.
    {"", "Einsum", 13, 1, kAny, 1, buildEinsum},
    {"", "Gemm", 13, 2, 3, 1, buildGemm},
    {"", "MatMul", 13, 2, 2, 1, buildMatMul},
    {kMs, "FusedMatMul", 1, 2, 2, 1, buildFusedMatMul},
    // Quantized weights.
    {"", "DequantizeLinear", 13, 2, 3, 1, buildDequantizeLinear},
    {kMs, "GatherBlockQuantized", 1, 3, 4, 1, buildGatherBlockQuantized},
    {kMs, "MatMulNBits", 1, 3, 6, 1, buildMatMulNBits},
    // Attention.
    {"", "Attention", 23, 3, 7, 4, buildAttention},
    {"", "RotaryEmbedding", 23, 3, 4, 1, buildRotaryEmbedding},
    {kMs, "GroupQueryAttention", 1, 1, 16, 4, buildGroupQueryAttention},
    {kMs, "MultiHeadAttention", 1, 1, 10, 4, buildMultiHeadAttention},
    {kMs, "RotaryEmbedding", 1, 4, 4, 1, buildMsRotaryEmbedding},
    // Experts.
    {kMs, "MoE", 1, 3, 8, 1, buildMoE},
    {kMs, "QMoE", 1, 4, 21, 1, buildQMoE},
};

const OpRow *findOp(llvm::StringRef domain, llvm::StringRef name,
                    int64_t opset) {
  const OpRow *best = nullptr;
  for (const OpRow &row : kRows)
    if (row.domain == domain && row.name == name && row.since <= opset)
      best = &row;
  return best;
}

bool isKnownOp(llvm::StringRef domain, llvm::StringRef name) {
  return llvm::any_of(kRows, [&](const OpRow &row) {
    return row.domain == domain && row.name == name;
  });
}

} // namespace moe::onnx_import
