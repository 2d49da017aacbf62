//===- Functions.h - The functions of one instruction set -------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Declarations of what the files of this folder define; see Isa.h for what
// each function does.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_RUNTIME_KERNELS_CPU_ISA_FUNCTIONS_H
#define MOE_RUNTIME_KERNELS_CPU_ISA_FUNCTIONS_H

#include "runtime/kernels/cpu/Isa.h"

namespace moe::cpu::MOE_ISA {

extern const Isa kIsa;

void gemm(const GemmArgs &args);
void gemmQuant(const QuantGemmArgs &args);
void quantizeRow(const float *x, int64_t depth, QuantBlock *blocks);
void gemmInt8(const Int8GemmArgs &args);
void activate(const ActivationArgs &args, const float *gate,
              const float *linear, float *out, int64_t count);
void toF32(DType from, const void *x, float *y, int64_t count);
void fromF32(DType to, const float *x, void *y, int64_t count);
void softmaxRow(const float *x, float *y, int64_t count, bool log);
void layerNormRow(const float *x, const float *scale, const float *bias,
                  float epsilon, float *y, int64_t count);
void rmsNormRow(const float *x, const float *scale, const float *bias,
                float epsilon, float *y, int64_t count);
void sigmoidRow(const float *x, float *y, int64_t count);
void scaleRow(float a, const float *x, float *y, int64_t count);
void axpyRow(float a, const float *x, float *y, int64_t count);
void rotateRow(const float *x, const float *cos, const float *sin, float *y,
               int64_t pairs, bool interleaved);
void scoreTile(const ScoreArgs &args);
void packKeys(const float *k, int64_t kStride, int64_t keys, int64_t depth,
              float *panels);
void scorePacked(const PackedScoreArgs &args);
void softcapRow(float softcap, float *x, int64_t count);
void hideScores(const uint8_t *visible, float fill, float *scores,
                int64_t count);
void softmaxRows(float scale, float *scores, int64_t rows, float *max,
                 float *sum, float *factors);
TileFunction unaryTile(ElementwiseOp op, RegisterKind kind);
TileFunction binaryTile(ElementwiseOp op, RegisterKind kind);
TileFunction compareTile(ElementwiseOp op, RegisterKind kind);
TileFunction selectTile(RegisterKind kind);
TileFunction castTile(RegisterKind from, RegisterKind to);
TileFunction roundTile(DType dtype);
void loadTile(DType dtype, const void *x, int64_t stride, void *reg,
              int64_t count);
void storeTile(DType dtype, const void *reg, void *y, int64_t stride,
               int64_t count);

} // namespace moe::cpu::MOE_ISA

#endif // MOE_RUNTIME_KERNELS_CPU_ISA_FUNCTIONS_H
