//===- Table.cpp - The table of one instruction set -----------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/kernels/cpu/isa/Functions.h"
#include "runtime/kernels/cpu/isa/Vec.h"

#if MOE_ISA_HAS_AVX512
namespace moe::cpu::isa_avx512vnni {
/// Of GemmInt8.cpp, which is compiled once more.
void gemmInt8(const Int8GemmArgs &args);
} // namespace moe::cpu::isa_avx512vnni
#endif

namespace moe::cpu::MOE_ISA {

static bool isSupported() {
#if MOE_ISA_HAS_AVX512
  if (!__builtin_cpu_supports("avx512f") ||
      !__builtin_cpu_supports("avx512bw") ||
      !__builtin_cpu_supports("avx512dq") ||
      !__builtin_cpu_supports("avx512vl"))
    return false;
#endif
#if MOE_ISA_HAS_FMA
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
         __builtin_cpu_supports("f16c");
#else
  return true;
#endif
}

static constexpr Isa kTable = {
    .name = MOE_ISA_HAS_AVX512 ? "avx512"
            : MOE_ISA_HAS_FMA  ? "avx2"
                               : "portable",
    .isSupported = isSupported,
    .gemm = gemm,
    .gemmQuant = gemmQuant,
    .quantizeRow = quantizeRow,
    .gemmInt8 = gemmInt8,
    .activate = activate,
    .toF32 = toF32,
    .fromF32 = fromF32,
    .softmaxRow = softmaxRow,
    .layerNormRow = layerNormRow,
    .rmsNormRow = rmsNormRow,
    .sigmoidRow = sigmoidRow,
    .scaleRow = scaleRow,
    .axpyRow = axpyRow,
    .rotateRow = rotateRow,
    .scoreTile = scoreTile,
    .packKeys = packKeys,
    .scorePacked = scorePacked,
    .softcapRow = softcapRow,
    .hideScores = hideScores,
    .softmaxRows = softmaxRows,
    .unaryTile = unaryTile,
    .binaryTile = binaryTile,
    .compareTile = compareTile,
    .selectTile = selectTile,
    .castTile = castTile,
    .roundTile = roundTile,
    .loadTile = loadTile,
    .storeTile = storeTile,
};

const Isa kIsa = kTable;

#if MOE_ISA_HAS_AVX512
static bool hasVnni() {
  return isSupported() && __builtin_cpu_supports("avx512vnni");
}

static constexpr Isa withVnni() {
  Isa table = kTable;
  table.name = "avx512vnni";
  table.isSupported = hasVnni;
  table.gemmInt8 = isa_avx512vnni::gemmInt8;
  return table;
}

extern const Isa kVnniIsa;
const Isa kVnniIsa = withVnni();
#endif

} // namespace moe::cpu::MOE_ISA
