//===- Isa.h - What is compiled once per instruction set --------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The inner loops of the kernels. The files of cpu/isa are compiled once for
// each instruction set and fill one table of functions; everything else is
// compiled once and calls through the table:
//
//   Matmul.cpp, Experts.cpp, Attention.cpp ...   shapes, threads, errors
//        | Isa::gemm, Isa::softmaxRow ...
//   isa/*.cpp -DMOE_ISA=isa_portable             loops over contiguous numbers
//   isa/*.cpp -DMOE_ISA=isa_avx2 -mavx2 -mfma -mf16c
//   isa/*.cpp -DMOE_ISA=isa_avx512 -mavx512f -mavx512bw ...
//   isa/GemmInt8.cpp -DMOE_ISA=isa_avx512vnni ... -mavx512vnni
//
// Within one table the value of an element depends on its operands alone, not
// on its position in a row, on the length of a row or on other rows. The tables
// avx2, avx512 and avx512vnni give the same bits; the portable one rounds each
// product.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_RUNTIME_KERNELS_CPU_ISA_H
#define MOE_RUNTIME_KERNELS_CPU_ISA_H

#include "runtime/kernels/cpu/ElementwiseOps.h"
#include "runtime/support/DType.h"

#include <cstdint>
#include <span>
#include <string_view>

namespace moe::cpu {

/// c[r][16 p + j] = sum over d of a[r][d] * panel p[d][j], for `rows` rows and
/// `panels` panels of 16 columns, in f32, added in the order of d.
struct GemmArgs {
  const float *a = nullptr; ///< [rows][depth], rows `aStride` apart
  int64_t aStride = 0;
  /// Row r is the rowOf[r]-th of a; null: the r-th.
  const int32_t *rowOf = nullptr;
  const void *b = nullptr; ///< panel p at b + p * panelStride, of bType
  int64_t bStride = 16;    ///< between the rows d of a panel
  int64_t panelStride = 0;
  float *c = nullptr; ///< [rows][16 * panels], rows `cStride` apart
  int64_t cStride = 0;
  int64_t rows = 0;
  int64_t panels = 0;
  int64_t depth = 0;
  /// The sums begin with what c holds instead of zero.
  bool accumulate = false;
  DType bType = DType::F32; ///< F32, F16 or BF16
};

/// Panels of codes; QuantFormat.h says how they lie.
struct QuantPanels {
  const std::byte *data = nullptr; ///< panel p at data + p * panelStride
  int64_t panelStride = 0;         ///< bytes
  int64_t scales = 0, zeros = 0;   ///< offsets in a panel
  int bits = 4;
  int64_t block = 32;
  DType scaleType = DType::F16;
  bool hasZeroPoints = false;
};

/// As GemmArgs, for panels of codes. Segments of the depth, 32 rows or a block
/// if that is shorter, are summed as products with code - zero, in the order of
/// d; each sum is scaled and added to c, in the order of the segments.
struct QuantGemmArgs {
  const float *a = nullptr; ///< [rows][depth], rows `aStride` apart
  int64_t aStride = 0;
  const int32_t *rowOf = nullptr; ///< as in GemmArgs
  QuantPanels b;                  ///< its first panel is that of column 0 of c
  float *c = nullptr;
  int64_t cStride = 0;
  int64_t rows = 0;
  int64_t panels = 0;
  int64_t depth = 0;
};

/// 32 numbers of a row rounded to 8 bits: scale = largest magnitude / 127,
/// codes x / scale to the nearest, ties to even, at most 127. All 0 if the
/// scale is 0. NaN and infinities give codes of 0 and a scale that is NaN, so
/// that they are not lost.
struct QuantBlock {
  static constexpr int64_t kSize = 32;
  int8_t codes[kSize];
  float scale;
  /// -8 and -128 times the sum of the codes: what zero points in the middle of
  /// 4 and 8 bits add to a sum of products.
  int32_t minus8, minus128;

  /// Of a row, the last one filled up with zeros.
  static constexpr int64_t count(int64_t depth) {
    return (depth + kSize - 1) / kSize;
  }
};

/// c[r][16 p + j] = sum over the blocks of 32 rows d, in order, of
/// f32(sum of codeA * (codeB - zero)) * (scaleB * scaleA), where the sum of
/// codes is exact; each block is added with one fused multiply-add:
/// fma(f32(sum), scaleB * scaleA, c). The portable table rounds the product.
struct Int8GemmArgs {
  const QuantBlock *a = nullptr;  ///< [rows][QuantBlock::count(depth)]
  const int32_t *rowOf = nullptr; ///< as in GemmArgs
  QuantPanels b;                  ///< blocks are multiples of 32
  float *c = nullptr;
  int64_t cStride = 0;
  int64_t rows = 0;
  int64_t panels = 0;
  int64_t depth = 0;
};

/// The activations of moe.experts and moe.ffn, in the order of their enum.
enum class Activation : uint8_t {
  Identity,
  Relu,
  Relu2,
  GeluErf,
  GeluTanh,
  Silu,
  Swiglu,
  Sigmoid,
  Tanh,
};

struct ActivationArgs {
  Activation kind = Activation::Identity;
  float alpha = 1;
  float beta = 0;
  float limit = 0;
};

/// scores[r][j] = q[r] . k[j] for `rows` queries and `keys` keys.
struct ScoreArgs {
  /// Pairs of rows, `qStride` apart, eight numbers of one beside eight of the
  /// other: number d of row r at r / 2 * qStride + d / 8 * 16 + r % 2 * 8 +
  /// d % 8. The depth is rounded up to 8 with zeros.
  const float *q = nullptr;
  int64_t qStride = 0;
  const float *k = nullptr; ///< [keys][depth]
  int64_t kStride = 0;
  float *scores = nullptr;
  int64_t scoreStride = 0;
  int64_t rows = 0;
  int64_t keys = 0;
  int64_t depth = 0;
};

/// The same scores, bit for bit, of many queries and keys in panels.
struct PackedScoreArgs {
  const float *q = nullptr; ///< [rows][depth]
  int64_t qStride = 0;
  const float *panels = nullptr; ///< as packKeys leaves them
  float *scores = nullptr;       ///< [rows][16 for each panel]
  int64_t scoreStride = 0;
  int64_t rows = 0;
  int64_t numPanels = 0;
  int64_t depth = 0; ///< rounded up to 8 with zeros
};

/// Keys in one block of attention; scores are padded to it with -inf.
inline constexpr int64_t kKeyBlock = 64;

/// One function of a tile; operands that an operation lacks are null. `count`
/// is a multiple of kTileGranule.
using TileFunction = void (*)(const void *a, const void *b, const void *c,
                              void *out, int64_t count);
inline constexpr int64_t kTileGranule = 16;

struct Isa {
  std::string_view name;
  /// Whether this machine can run it.
  bool (*isSupported)();

  void (*gemm)(const GemmArgs &args);
  void (*gemmQuant)(const QuantGemmArgs &args);
  /// One row of `depth` numbers to QuantBlock::count(depth) blocks.
  void (*quantizeRow)(const float *x, int64_t depth, QuantBlock *blocks);
  void (*gemmInt8)(const Int8GemmArgs &args);
  /// out[i] = act(gate[i]), times the linear part (linear[i]) unless that is
  /// null. `count` is a multiple of 8.
  void (*activate)(const ActivationArgs &args, const float *gate,
                   const float *linear, float *out, int64_t count);

  /// Conversion of `count` elements, any count.
  void (*toF32)(DType from, const void *x, float *y, int64_t count);
  void (*fromF32)(DType to, const float *x, void *y, int64_t count);

  // Rows of any length.
  void (*softmaxRow)(const float *x, float *y, int64_t count, bool log);
  /// Scale and bias may be null.
  void (*layerNormRow)(const float *x, const float *scale, const float *bias,
                       float epsilon, float *y, int64_t count);
  void (*rmsNormRow)(const float *x, const float *scale, const float *bias,
                     float epsilon, float *y, int64_t count);
  void (*sigmoidRow)(const float *x, float *y, int64_t count);
  /// y = a * x.
  void (*scaleRow)(float a, const float *x, float *y, int64_t count);
  /// y = y + a * x.
  void (*axpyRow)(float a, const float *x, float *y, int64_t count);

  /// Each pair (a, b) of x, neighbours or `pairs` apart, becomes
  /// (a cos - b sin, b cos + a sin); y may be x.
  void (*rotateRow)(const float *x, const float *cos, const float *sin,
                    float *y, int64_t pairs, bool interleaved);

  void (*scoreTile)(const ScoreArgs &args);
  /// Keys [keys][depth] to panels [keys / 16][depth][16]; both are rounded up,
  /// the depth to 8, with zeros.
  void (*packKeys)(const float *k, int64_t kStride, int64_t keys, int64_t depth,
                   float *panels);
  void (*scorePacked)(const PackedScoreArgs &args);
  /// softcap * tanh(x / softcap) in place, count a multiple of 8.
  void (*softcapRow)(float softcap, float *x, int64_t count);
  /// scores[j] = fill where visible[j] is 0.
  void (*hideScores)(const uint8_t *visible, float fill, float *scores,
                     int64_t count);
  /// One step of the online softmax: kKeyBlock scores of each row become
  /// weights exp(scale * score - max); `max` and `sum` go on, and what was
  /// accumulated before has to be multiplied by the factors.
  void (*softmaxRows)(float scale, float *scores, int64_t rows, float *max,
                      float *sum, float *factors);

  // Elementwise programs; null if the operation has no such operand type.
  TileFunction (*unaryTile)(ElementwiseOp op, RegisterKind kind);
  TileFunction (*binaryTile)(ElementwiseOp op, RegisterKind kind);
  TileFunction (*compareTile)(ElementwiseOp op, RegisterKind kind);
  TileFunction (*selectTile)(RegisterKind kind);
  TileFunction (*castTile)(RegisterKind from, RegisterKind to);
  /// Brings a register to the values that `dtype` can hold; null if all.
  TileFunction (*roundTile)(DType dtype);
  /// Between memory and registers; the stride counts elements.
  void (*loadTile)(DType dtype, const void *x, int64_t stride, void *reg,
                   int64_t count);
  void (*storeTile)(DType dtype, const void *reg, void *y, int64_t stride,
                    int64_t count);
};

/// All tables, the best first.
std::span<const Isa *const> allIsas();
/// By name; null if there is none.
const Isa *findIsa(std::string_view name);

} // namespace moe::cpu

#endif // MOE_RUNTIME_KERNELS_CPU_ISA_H
