//===- AttentionRows.h - attention of a block of rows -----------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A block is up to kQueryRows query rows that read the same keys: the rows of
// all heads of one group, one head after the other. Keys come in chunks of
// kChunkKeys, counted from position 0. Within a chunk a row goes over blocks of
// kKeyBlock keys and keeps the largest score so far, the sum of the weights and
// the weighted sum of values (online softmax); then the chunks are merged in
// order:
//
//   position   0        512      1024     1536
//              [chunk 0 |chunk 1 |chunk 2 |..]     each by any thread
//              ((chunk 0 + chunk 1) + chunk 2)     the order of merging
//
// So a row's result depends on its own query, the keys and their positions
// alone: neither the rows beside it nor their number nor the threads change the
// order of anything.
//
// A key whose weight is exactly 0 adds nothing, whatever its value holds: what
// lies behind the end of a row may be garbage. Products of rows that see keys
// in part multiply all values, which is the same while these are finite; where
// the result of a row is not a number, it is computed again without those of
// weight 0.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_RUNTIME_KERNELS_CPU_ATTENTIONROWS_H
#define MOE_RUNTIME_KERNELS_CPU_ATTENTIONROWS_H

#include "runtime/kernels/cpu/Support.h"

#include <limits>

namespace moe::cpu {

inline constexpr int64_t kQueryRows = 128;
/// So many rows are worth packing keys for.
inline constexpr int64_t kPackedRows = 64;
/// A multiple of kKeyBlock.
inline constexpr int64_t kChunkKeys = 512;
/// Products read depths that are rounded up to this with zeros.
inline constexpr int64_t kDepthLanes = 8;

struct AttentionOptions {
  static constexpr float kHidden = -std::numeric_limits<float>::infinity();

  float scale = 1;
  float maskFill = kHidden;
  float softcap = 0;
  bool causal = false;
  int64_t window = 0;
};

/// The operands of one run.
struct AttentionOperands {
  const TensorView *q, *k, *v, *mask, *sink, *lengths, *out;
  int64_t batch, heads, groups, queries, keys, depth, width;
  int64_t headsPerGroup;
  int64_t maskStrides[4]; ///< of [B, H, S, T], 0 where broadcast

  int64_t groupRows() const { return headsPerGroup * queries; }
  bool readsQueries() const { return isPlain(*q); }
  bool writesResults() const { return isPlain(*out); }
  bool readsKeys() const { return isPlain(*k); }
  bool readsValues() const { return isPlain(*v); }
  /// The mask of query i of head h from key j on.
  const std::byte *maskRow(int64_t b, int64_t h, int64_t i, int64_t j) const {
    return blockData(*mask) + (b * maskStrides[0] + h * maskStrides[1] +
                               i * maskStrides[2] + j * maskStrides[3]) *
                                  static_cast<int64_t>(dtypeSize(mask->dtype));
  }
  /// Keys of row b of the batch.
  int64_t length(int64_t b) const {
    if (!lengths->present())
      return keys;
    return std::clamp<int64_t>(
        dataOf<int64_t>(*lengths)[b * lengths->strides[0]], 0, keys);
  }

private:
  /// Whether the rows can be read where they are.
  static bool isPlain(const TensorView &view) {
    return view.dtype == DType::F32 && view.strides[3] == 1;
  }
};

/// The address of element [b, h, i, 0].
inline std::byte *rowOf(const TensorView &view, int64_t b, int64_t h,
                        int64_t i) {
  return const_cast<std::byte *>(blockData(view)) +
         (b * view.strides[0] + h * view.strides[1] + i * view.strides[2]) *
             static_cast<int64_t>(dtypeSize(view.dtype));
}

/// Positions [first, end) that a query sees.
struct KeyRange {
  int64_t first, end;
};

/// Rows [first, first + count) of group `group` of row b of the batch.
struct RowBlock {
  int64_t b, group, first, count;
  bool skipsHidden = false; ///< of one row: reads no values of weight 0
};

/// Rows [row, row + count) of a block that treat a block of keys alike: no row
/// sees any behind the first `keys`.
struct RowSpan {
  int64_t row, count, keys;
};

/// What the rows of a block have summed up over some keys.
struct RowSums {
  float *max;  ///< [kQueryRows], minus infinity: saw nothing
  float *sum;  ///< [kQueryRows]
  float *sums; ///< [kQueryRows][width rounded up to 16]

  static RowSums cut(Scratch &scratch, int64_t rows, int64_t width);
};

/// Memory of one thread.
struct AttentionPad {
  float *q;         ///< as ScoreArgs or PackedScoreArgs has it
  KeyRange *ranges; ///< [kQueryRows], the keys that each row sees
  float *scores;    ///< [kQueryRows][kKeyBlock]
  float *keys;      ///< [kKeyBlock][depth]
  float *keyPanels; ///< as packKeys leaves them
  float *values;    ///< [kKeyBlock][width rounded up to 16]
  float *factors;   ///< [kQueryRows] of the sums
  float *row;       ///< [max(width, depth, kKeyBlock)]
  RowSums total, chunk;

  static AttentionPad cut(Scratch &scratch, const AttentionOperands &operands);
};

class AttentionRows {
public:
  AttentionRows(const Isa &isa, const AttentionOptions &options,
                const AttentionOperands &operands)
      : isa(isa), options(options), o(operands) {}

  /// The keys that query `query` of row b of the batch sees.
  KeyRange visible(int64_t b, int64_t query) const;
  /// Those that any row of a block sees.
  KeyRange visible(const RowBlock &block) const;

  /// Computes all of a block.
  void run(const RowBlock &block, const AttentionPad &pad) const;

  // The same in parts, for several threads.
  /// Brings the queries to where runChunk reads them.
  void loadQueries(const RowBlock &block, const AttentionPad &pad) const;
  /// Sums up the keys of a chunk among `range`.
  void runChunk(const RowBlock &block, int64_t chunk, KeyRange range,
                const AttentionPad &pad, const RowSums &out) const;
  /// Adds the sums over the keys that follow.
  void merge(const RowSums &total, const RowSums &next, int64_t rows) const;
  /// Stores the results. Rows that are no numbers are computed again in `pad`.
  void finish(const RowBlock &block, const RowSums &total,
              const AttentionPad &pad) const;

private:
  static bool isPacked(const RowBlock &block) {
    return block.count >= kPackedRows;
  }
  int64_t headOf(const RowBlock &block, int64_t row) const {
    return block.group * o.headsPerGroup + row / o.queries;
  }
  int64_t paddedDepth() const;
  int64_t paddedWidth() const;

  /// Sums up all keys in pad.total.
  void sumUp(const RowBlock &block, const AttentionPad &pad) const;
  /// sums *= factor; 0 makes zeros even of what is not a number.
  void scaleSums(float factor, float *sums) const;

  // The loop over keys.
  RowSpan nextSpan(const RowBlock &block, const AttentionPad &pad, int64_t row,
                   int64_t begin, int64_t count) const;
  void runKeys(const RowBlock &block, const AttentionPad &pad, int64_t begin,
               int64_t count, const RowSums &out) const;
  void runSpan(const RowBlock &block, const RowSpan &span,
               const AttentionPad &pad, int64_t begin,
               const RowSums &out) const;
  bool isNegligible(const RowBlock &block, const RowSpan &span, int64_t begin,
                    const float *max) const;
  /// Whether scores are scaled before the softmax.
  bool scalesFirst() const {
    return options.softcap > 0 || o.mask->present() || !(options.scale > 0);
  }
  void adjustScores(const RowBlock &block, int64_t r, const AttentionPad &pad,
                    int64_t begin, int64_t count) const;
  void applyMask(const RowBlock &block, int64_t row, int64_t begin,
                 int64_t count, float *scores, float *maskRow) const;
  /// Returns whether the values may have spoilt the result.
  bool finishRow(const RowBlock &block, int64_t r, const RowSums &total) const;

  // Products of few rows read keys where they are, those of many in panels.
  const float *keyRows(const RowBlock &block, const AttentionPad &pad,
                       int64_t begin, int64_t count, int64_t &stride) const;
  void packKeys(const RowBlock &block, const AttentionPad &pad, int64_t begin,
                int64_t count) const;
  void scoreKeys(const RowBlock &block, const RowSpan &span,
                 const AttentionPad &pad, int64_t begin) const;
  void addValues(const RowBlock &block, const RowSpan &span, KeyRange keys,
                 const AttentionPad &pad, int64_t begin,
                 const RowSums &out) const;
  void addSeenValues(const RowBlock &block, const RowSpan &span,
                     const AttentionPad &pad, int64_t begin,
                     const RowSums &out) const;

  const Isa &isa;
  const AttentionOptions &options;
  const AttentionOperands &o;
};

} // namespace moe::cpu

#endif // MOE_RUNTIME_KERNELS_CPU_ATTENTIONROWS_H
