//===- AttentionRows.cpp - attention of a block of rows -------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/kernels/cpu/AttentionRows.h"
#include "runtime/kernels/cpu/Product.h"

#include <algorithm>
#include <bitset>
#include <cmath>

namespace moe::cpu {

static constexpr float kHidden = AttentionOptions::kHidden;

//===----------------------------------------------------------------------===//
// Memory
//===----------------------------------------------------------------------===//

RowSums RowSums::cut(Scratch &scratch, int64_t rows, int64_t width) {
  RowSums sums;
  sums.max = scratch.take<float>(rows);
  sums.sum = scratch.take<float>(rows);
  sums.sums = scratch.take<float>(rows * roundUp(width, kPanel));
  return sums;
}

AttentionPad AttentionPad::cut(Scratch &scratch, const AttentionOperands &o) {
  AttentionPad pad;
  int64_t depth = roundUp(o.depth, kDepthLanes);
  pad.q = scratch.take<float>(kQueryRows * depth);
  pad.ranges = scratch.take<KeyRange>(kQueryRows);
  pad.scores = scratch.take<float>(kQueryRows * kKeyBlock);
  pad.keys = scratch.take<float>(kKeyBlock * o.depth);
  pad.keyPanels = scratch.take<float>(kKeyBlock * depth);
  pad.values = scratch.take<float>(kKeyBlock * roundUp(o.width, kPanel));
  pad.factors = scratch.take<float>(kQueryRows);
  pad.row = scratch.take<float>(std::max({o.width, o.depth, kKeyBlock}));
  pad.total = RowSums::cut(scratch, kQueryRows, o.width);
  pad.chunk = RowSums::cut(scratch, kQueryRows, o.width);
  return pad;
}

//===----------------------------------------------------------------------===//
// Scores
//===----------------------------------------------------------------------===//

KeyRange AttentionRows::visible(int64_t b, int64_t query) const {
  int64_t length = o.length(b);
  int64_t self = length - o.queries + query;
  KeyRange range{0, length};
  if (options.causal)
    range.end = std::min(length, self + 1);
  if (options.window > 0)
    range.first = std::max<int64_t>(0, self - options.window + 1);
  return range;
}

KeyRange AttentionRows::visible(const RowBlock &block) const {
  KeyRange all{o.keys, 0};
  for (int64_t r = 0; r < block.count; ++r) {
    KeyRange range = visible(block.b, (block.first + r) % o.queries);
    all.first = std::min(all.first, range.first);
    all.end = std::max(all.end, range.end);
  }
  return all;
}

void AttentionRows::applyMask(const RowBlock &block, int64_t row, int64_t begin,
                              int64_t count, float *scores,
                              float *maskRow) const {
  const TensorView &mask = *o.mask;
  const std::byte *from =
      o.maskRow(block.b, headOf(block, row), row % o.queries, begin);
  if (mask.dtype == DType::Bool) {
    auto *visibleKeys = reinterpret_cast<const uint8_t *>(from);
    if (o.maskStrides[3] == 1)
      return isa.hideScores(visibleKeys, options.maskFill, scores, count);
    for (int64_t j = 0; j < count; ++j)
      if (!visibleKeys[j * o.maskStrides[3]])
        scores[j] = options.maskFill;
  } else if (mask.dtype == DType::F64) {
    auto *added = reinterpret_cast<const double *>(from);
    for (int64_t j = 0; j < count; ++j)
      scores[j] += static_cast<float>(added[j * o.maskStrides[3]]);
  } else {
    isa.loadTile(mask.dtype, from, o.maskStrides[3], maskRow, count);
    isa.axpyRow(1.0f, maskRow, scores, count);
  }
}

/// Caps and hides scores of row r.
void AttentionRows::adjustScores(const RowBlock &block, int64_t r,
                                 const AttentionPad &pad, int64_t begin,
                                 int64_t count) const {
  float *scores = pad.scores + r * kKeyBlock;
  // A positive factor leaves hidden scores at minus infinity.
  if (scalesFirst())
    isa.scaleRow(options.scale, scores, scores, count);
  if (options.softcap > 0) {
    std::fill(scores + count, scores + kKeyBlock, 0.0f);
    isa.softcapRow(options.softcap, scores, kKeyBlock);
  }
  if (o.mask->present())
    applyMask(block, block.first + r, begin, count, scores, pad.row);
  KeyRange range = pad.ranges[r];
  int64_t first = std::clamp<int64_t>(range.first - begin, 0, count);
  int64_t end = std::clamp<int64_t>(range.end - begin, 0, count);
  std::fill(scores, scores + first, kHidden);
  std::fill(scores + std::max(first, end), scores + kKeyBlock, kHidden);
}

/// Whether the mask hides a block of keys from all rows, and so far below the
/// scores that they have seen in this chunk that every weight would be exactly
/// 0: then leaving the block out changes nothing.
bool AttentionRows::isNegligible(const RowBlock &block, const RowSpan &span,
                                 int64_t begin, const float *max) const {
  constexpr float kUnderflow = 105; // its weight is 0
  if (!o.mask->present() || o.mask->dtype != DType::Bool ||
      o.maskStrides[3] != 1)
    return false;
  for (int64_t r = span.row; r < span.row + span.count; ++r) {
    int64_t row = block.first + r;
    if (!(max[r] - kUnderflow > options.maskFill))
      return false;
    auto *visibleKeys = reinterpret_cast<const uint8_t *>(
        o.maskRow(block.b, headOf(block, row), row % o.queries, begin));
    uint8_t any = 0;
    for (int64_t j = 0; j < span.keys; ++j)
      any |= visibleKeys[j];
    if (any)
      return false;
  }
  return true;
}

void AttentionRows::scaleSums(float factor, float *sums) const {
  if (factor == 0)
    std::fill_n(sums, paddedWidth(), 0.0f);
  else if (factor != 1)
    isa.scaleRow(factor, sums, sums, paddedWidth());
}

void AttentionRows::runSpan(const RowBlock &block, const RowSpan &span,
                            const AttentionPad &pad, int64_t begin,
                            const RowSums &out) const {
  scoreKeys(block, span, pad, begin);
  for (int64_t r = span.row; r < span.row + span.count; ++r)
    adjustScores(block, r, pad, begin, span.keys);
  isa.softmaxRows(scalesFirst() ? 1 : options.scale,
                  pad.scores + span.row * kKeyBlock, span.count,
                  out.max + span.row, out.sum + span.row, pad.factors);
  for (int64_t i = 0; i < span.count; ++i)
    scaleSums(pad.factors[i], out.sums + (span.row + i) * paddedWidth());
  if (block.skipsHidden)
    addSeenValues(block, span, pad, begin, out);
  else
    addValues(block, span, {0, span.keys}, pad, begin, out);
}

/// The rows from `row` on that see all keys of a block; else a few rows, as far
/// as one of them sees.
RowSpan AttentionRows::nextSpan(const RowBlock &block, const AttentionPad &pad,
                                int64_t row, int64_t begin,
                                int64_t count) const {
  constexpr int64_t kFewRows = 12;
  constexpr int64_t kMaskedRows = 32; // a mask may hide the keys from them
  if (!isPacked(block))
    return {row, block.count - row, count};
  auto seesAll = [&](int64_t r) {
    return pad.ranges[r].first <= begin && pad.ranges[r].end >= begin + count;
  };
  int64_t most = o.mask->present() ? kMaskedRows : block.count;
  int64_t last = std::min(block.count, row + most);
  RowSpan span{row, 0, count};
  while (row + span.count < last && seesAll(row + span.count))
    ++span.count;
  if (span.count > 0)
    return span;
  span.count = std::min(kFewRows, block.count - row);
  span.keys = 0;
  for (int64_t r = row; r < row + span.count; ++r)
    if (pad.ranges[r].first < begin + count)
      span.keys = std::max(span.keys, pad.ranges[r].end - begin);
  span.keys = std::min(span.keys, count);
  return span;
}

void AttentionRows::runKeys(const RowBlock &block, const AttentionPad &pad,
                            int64_t begin, int64_t count,
                            const RowSums &out) const {
  bool isReady = !isPacked(block);
  RowSpan span{0, 0, 0};
  for (int64_t row = 0; row < block.count; row += span.count) {
    span = nextSpan(block, pad, row, begin, count);
    if (span.keys <= 0 || isNegligible(block, span, begin, out.max))
      continue;
    if (!isReady)
      packKeys(block, pad, begin, count);
    isReady = true;
    runSpan(block, span, pad, begin, out);
  }
}

void AttentionRows::runChunk(const RowBlock &block, int64_t chunk,
                             KeyRange range, const AttentionPad &pad,
                             const RowSums &out) const {
  std::fill_n(out.max, block.count, kHidden);
  std::fill_n(out.sum, block.count, 0.0f);
  std::fill_n(out.sums, block.count * paddedWidth(), 0.0f);
  int64_t first = std::max(chunk * kChunkKeys, range.first);
  int64_t end = std::min((chunk + 1) * kChunkKeys, range.end);
  for (int64_t begin = first / kKeyBlock * kKeyBlock; begin < end;
       begin += kKeyBlock)
    runKeys(block, pad, begin, std::min(kKeyBlock, end - begin), out);
}

void AttentionRows::merge(const RowSums &total, const RowSums &next,
                          int64_t rows) const {
  auto sawNothing = [](const RowSums &sums, int64_t r) {
    return sums.max[r] == kHidden && sums.sum[r] == 0;
  };
  for (int64_t r = 0; r < rows; ++r) {
    float *to = total.sums + r * paddedWidth();
    const float *from = next.sums + r * paddedWidth();
    if (sawNothing(next, r))
      continue;
    if (sawNothing(total, r)) {
      total.max[r] = next.max[r];
      total.sum[r] = next.sum[r];
      std::copy_n(from, paddedWidth(), to);
      continue;
    }
    float max = std::max(total.max[r], next.max[r]);
    float factor = std::exp(total.max[r] - max);
    float nextFactor = std::exp(next.max[r] - max);
    scaleSums(factor, to);
    if (nextFactor != 0)
      isa.axpyRow(nextFactor, from, to, paddedWidth());
    total.sum[r] = total.sum[r] * factor + next.sum[r] * nextFactor;
    total.max[r] = max;
  }
}

//===----------------------------------------------------------------------===//
// Results
//===----------------------------------------------------------------------===//

bool AttentionRows::finishRow(const RowBlock &block, int64_t r,
                              const RowSums &total) const {
  int64_t row = block.first + r, head = headOf(block, row);
  float *sums = total.sums + r * paddedWidth();
  float sum = total.sum[r];
  if (o.sink->present()) {
    float sink;
    isa.toF32(o.sink->dtype,
              blockData(*o.sink) +
                  head * o.sink->strides[0] *
                      static_cast<int64_t>(dtypeSize(o.sink->dtype)),
              &sink, 1);
    float larger = std::max(total.max[r], sink);
    if (larger != kHidden) {
      float factor = std::exp(total.max[r] - larger);
      scaleSums(factor, sums);
      sum = sum * factor + std::exp(sink - larger);
    }
  }
  std::byte *to = rowOf(*o.out, block.b, head, row % o.queries);
  float *result = o.writesResults() ? reinterpret_cast<float *>(to) : sums;
  if (sum == 0)
    std::fill_n(result, o.width, 0.0f);
  else
    isa.scaleRow(1.0f / sum, sums, result, o.width);
  bool hasNaN = false;
  for (int64_t i = 0; i < o.width; ++i)
    hasNaN |= result[i] != result[i];
  if (!o.writesResults())
    isa.storeTile(o.out->dtype, sums, to, o.out->strides[3], o.width);
  // Weights that are no numbers are those of keys that the row sees.
  return hasNaN && !std::isnan(sum);
}

void AttentionRows::finish(const RowBlock &block, const RowSums &total,
                           const AttentionPad &pad) const {
  // All rows first: the others are computed where the sums may be.
  std::bitset<kQueryRows> isSpoilt;
  for (int64_t r = 0; r < block.count; ++r)
    isSpoilt[r] = finishRow(block, r, total);
  if (isSpoilt.none())
    return;
  for (int64_t r = 0; r < block.count; ++r) {
    if (!isSpoilt[r])
      continue;
    RowBlock one{block.b, block.group, block.first + r, 1, true};
    loadQueries(one, pad);
    sumUp(one, pad);
    finishRow(one, 0, pad.total);
  }
}

void AttentionRows::sumUp(const RowBlock &block,
                          const AttentionPad &pad) const {
  KeyRange range = visible(block);
  int64_t first = std::min(range.first, o.keys) / kChunkKeys;
  runChunk(block, first, range, pad, pad.total);
  for (int64_t chunk = first + 1; chunk * kChunkKeys < range.end; ++chunk) {
    runChunk(block, chunk, range, pad, pad.chunk);
    merge(pad.total, pad.chunk, block.count);
  }
}

void AttentionRows::run(const RowBlock &block, const AttentionPad &pad) const {
  loadQueries(block, pad);
  sumUp(block, pad);
  finish(block, pad.total, pad);
}

} // namespace moe::cpu
