//===- Product.h - Matrices as the f32 products read them -------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Isa::gemm multiplies f32 rows with panels of 16 columns of f32, f16 or bf16,
// Isa::gemmQuant with panels of codes; Isa::gemmInt8 takes panels of codes and
// rounded rows. A weight that the compiler packed is read where it lies. Any
// other matrix (row major, transposed) is brought to panels of f32 by the
// thread that needs them; the values and the order of the additions are the
// same.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_RUNTIME_KERNELS_CPU_PRODUCT_H
#define MOE_RUNTIME_KERNELS_CPU_PRODUCT_H

#include "runtime/kernels/cpu/Isa.h"
#include "runtime/params/QuantFormat.h"
#include "runtime/support/Status.h"
#include "runtime/support/TensorView.h"

#include <algorithm>
#include <optional>
#include <string_view>

namespace moe {
class StepAttributes;
} // namespace moe

namespace moe::cpu {

inline constexpr int64_t kPanel = 16;
/// Panels that one work item multiplies: enough to keep the multipliers busy
/// with one row.
inline constexpr int64_t kGroupPanels = 4;
inline constexpr int64_t kGroupColumns = kGroupPanels * kPanel;
/// Rows of one work item.
inline constexpr int64_t kRowBlock = 96;
/// With few rows weights have to stream: an item is more panels, which follow
/// each other in memory.
inline constexpr int64_t kStreamRows = 6;
inline constexpr int64_t kStreamPanels = 16;
inline constexpr int64_t kStreamColumns = kStreamPanels * kPanel;
static_assert(kStreamRows * kStreamColumns <= kRowBlock * kGroupColumns);

inline int64_t ceilDiv(int64_t a, int64_t b) { return (a + b - 1) / b; }
inline int64_t roundUp(int64_t a, int64_t b) { return ceilDiv(a, b) * b; }

/// How a product reads its rows: as they are, or rounded to 8 bits where its
/// weights are in codes with blocks of a multiple of 32.
enum class Arithmetic : uint8_t { Float, Int8 };
/// The attribute "arithmetic"; float if it is absent.
StatusOr<Arithmetic> parseArithmetic(StepAttributes &attributes);

/// How the matrices of a weight lie in memory.
struct RhsStorage {
  enum class Kind : uint8_t { Rows, Panels, Codes };
  Kind kind = Kind::Rows;
  QuantFormat format; ///< of codes

  bool isPacked() const { return kind != Kind::Rows; }
  /// Whether rows may be rounded for it.
  bool takesRounded() const {
    return kind == Kind::Codes && format.block % QuantBlock::kSize == 0;
  }
  /// Nothing for layouts that products cannot read.
  static std::optional<RhsStorage> of(std::string_view layout);
};

/// A matrix [depth, columns] on the right of a product.
struct RhsMatrix {
  const std::byte *data = nullptr;
  DType dtype = DType::F32;
  RhsStorage storage;
  int64_t depth = 0;
  int64_t columns = 0;
  /// Without meaning if packed.
  int64_t depthStride = 0;
  int64_t columnStride = 1;

  int64_t panels() const { return ceilDiv(columns, kPanel); }
};

/// What a matrix is multiplied with: [rows, depth] x [depth, columns] gives c.
struct ProductRows {
  const float *a = nullptr;
  int64_t aStride = 0;
  /// Which rows of `a`, and of `rounded`, they are; null: the first ones.
  const int32_t *rowOf = nullptr;
  int64_t rows = 0;
  float *c = nullptr; ///< the first column of the panels
  int64_t cStride = 0;
  /// The rows of `a` rounded, QuantBlock::count(depth) blocks each; if they are
  /// there, matrices that take them are multiplied with them.
  const QuantBlock *rounded = nullptr;
};

/// The product with panels [first, first + count) of `rhs`. `scratch` has
/// panelScratch() elements.
void multiplyPanels(const Isa &isa, const RhsMatrix &rhs, int64_t first,
                    int64_t count, const ProductRows &rows, float *scratch);

/// Elements that multiplyPanels may need for at most `panels` panels. Packed
/// weights need none.
inline int64_t panelScratch(bool isPacked, int64_t depth, int64_t panels) {
  return isPacked ? 0 : depth * panels * kPanel;
}

/// What a step has to do, for the size of its work items.
struct ItemCounts {
  int64_t panels = 0; ///< of one matrix
  int64_t rows = 0;   ///< in all
  int64_t rowBlocks = 0;
  int64_t mostRows = 0; ///< in one block
  bool arePacked = false;
};

/// Panels of a work item. Few rows need several panels at once to keep the
/// multipliers busy; with many rows, fewer panels make more items.
int64_t groupPanels(const ItemCounts &counts, int threads);

/// A bias or another row of numbers; absent if data is null.
struct RowVector {
  const std::byte *data = nullptr;
  DType dtype = DType::F32;

  /// Elements [first, first + count) as f32, in place or in `scratch`.
  const float *read(const Isa &isa, int64_t first, int64_t count,
                    float *scratch) const {
    if (dtype == DType::F32)
      return reinterpret_cast<const float *>(data) + first;
    isa.toF32(dtype, data + first * static_cast<int64_t>(dtypeSize(dtype)),
              scratch, count);
    return scratch;
  }
};

} // namespace moe::cpu

#endif // MOE_RUNTIME_KERNELS_CPU_PRODUCT_H
