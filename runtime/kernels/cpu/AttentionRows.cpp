//===- AttentionRows.cpp - attention of a block of rows -------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/kernels/cpu/AttentionRows.h"
#include "runtime/kernels/cpu/Product.h"

#include <cmath>
#include <cstring>

namespace moe::cpu {

static constexpr float kHidden = AttentionOptions::kHidden;
/// Lanes of a query in ScoreArgs.
static constexpr int64_t kQueryLanes = 8;

/// The address of element [b, h, i, 0].
static std::byte *rowOf(const TensorView &view, int64_t b, int64_t h,
                        int64_t i) {
  return const_cast<std::byte *>(blockData(view)) +
         (b * view.strides[0] + h * view.strides[1] + i * view.strides[2]) *
             static_cast<int64_t>(dtypeSize(view.dtype));
}

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
  pad.q = scratch.take<float>(kQueryRows * roundUp(o.depth, kQueryLanes));
  pad.scores = scratch.take<float>(kQueryRows * kKeyBlock);
  pad.keys = scratch.take<float>(kKeyBlock * o.depth);
  pad.values = scratch.take<float>(kKeyBlock * roundUp(o.width, kPanel));
  pad.row = scratch.take<float>(std::max({o.width, o.depth, kKeyBlock}));
  pad.total = RowSums::cut(scratch, kQueryRows, o.width);
  pad.chunk = RowSums::cut(scratch, kQueryRows, o.width);
  return pad;
}

int64_t AttentionRows::paddedWidth() const { return roundUp(o.width, kPanel); }

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

/// Returns the factor that the scores still have to be multiplied by.
float AttentionRows::adjustScores(const RowBlock &block, int64_t row,
                                  int64_t begin, int64_t count, float *scores,
                                  float *maskRow) const {
  float scale = options.scale;
  // A positive factor leaves hidden scores at minus infinity.
  if (options.softcap > 0 || o.mask->present() || !(scale > 0)) {
    isa.scaleRow(scale, scores, scores, count);
    scale = 1;
  }
  if (options.softcap > 0) {
    std::fill(scores + count, scores + kKeyBlock, 0.0f);
    isa.softcapRow(options.softcap, scores, kKeyBlock);
  }
  if (o.mask->present())
    applyMask(block, row, begin, count, scores, maskRow);
  KeyRange range = visible(block.b, row % o.queries);
  int64_t first = std::clamp<int64_t>(range.first - begin, 0, count);
  int64_t end = std::clamp<int64_t>(range.end - begin, 0, count);
  std::fill(scores, scores + first, kHidden);
  std::fill(scores + std::max(first, end), scores + kKeyBlock, kHidden);
  return scale;
}

/// Whether the mask hides a block of keys from all rows, and so far below the
/// scores that they have seen in this chunk that every weight would be exactly
/// 0: then leaving the block out changes nothing.
bool AttentionRows::isNegligible(const RowBlock &block, int64_t begin,
                                 int64_t count, const float *max) const {
  constexpr float kUnderflow = 105; // its weight is 0
  if (!o.mask->present() || o.mask->dtype != DType::Bool ||
      o.maskStrides[3] != 1)
    return false;
  for (int64_t r = 0; r < block.count; ++r) {
    int64_t row = block.first + r;
    if (!(max[r] - kUnderflow > options.maskFill))
      return false;
    auto *visibleKeys = reinterpret_cast<const uint8_t *>(
        o.maskRow(block.b, headOf(block, row), row % o.queries, begin));
    uint8_t any = 0;
    for (int64_t j = 0; j < count; ++j)
      any |= visibleKeys[j];
    if (any)
      return false;
  }
  return true;
}

void AttentionRows::scoreKeys(const RowBlock &block, const AttentionPad &pad,
                              int64_t begin, int64_t count) const {
  ScoreArgs score;
  score.q = pad.q;
  score.qStride = 2 * roundUp(o.depth, kQueryLanes);
  score.k =
      reinterpret_cast<const float *>(rowOf(*o.k, block.b, block.group, begin));
  score.kStride = o.k->strides[2];
  if (!o.readsKeys()) {
    for (int64_t j = 0; j < count; ++j)
      isa.loadTile(o.k->dtype, rowOf(*o.k, block.b, block.group, begin + j),
                   o.k->strides[3], pad.keys + j * o.depth, o.depth);
    score.k = pad.keys;
    score.kStride = o.depth;
  }
  score.scores = pad.scores;
  score.scoreStride = kKeyBlock;
  score.rows = block.count;
  score.keys = count;
  score.depth = o.depth;
  isa.scoreTile(score);
}

//===----------------------------------------------------------------------===//
// Sums
//===----------------------------------------------------------------------===//

/// sums += weights * values, key after key.
void AttentionRows::addValues(const RowBlock &block, const AttentionPad &pad,
                              int64_t begin, int64_t count,
                              const RowSums &out) const {
  GemmArgs gemm;
  gemm.a = pad.scores;
  gemm.aStride = kKeyBlock;
  gemm.rows = block.count;
  gemm.panels = paddedWidth() / kPanel;
  gemm.panelStride = kPanel;
  gemm.c = out.sums;
  gemm.cStride = paddedWidth();
  gemm.accumulate = true;
  // Panels may run over the end of a row, into columns of the sums that nobody
  // reads; behind the very last row there may be no memory.
  bool isLast = begin + count == o.keys && paddedWidth() != o.width;
  int64_t readable = o.readsValues() ? count - (isLast ? 1 : 0) : 0;
  if (readable > 0) {
    gemm.b = reinterpret_cast<const float *>(
        rowOf(*o.v, block.b, block.group, begin));
    gemm.bStride = o.v->strides[2];
    gemm.depth = readable;
    isa.gemm(gemm);
  }
  if (readable == count)
    return;
  for (int64_t j = readable; j < count; ++j) {
    float *to = pad.values + j * paddedWidth();
    isa.loadTile(o.v->dtype, rowOf(*o.v, block.b, block.group, begin + j),
                 o.v->strides[3], to, o.width);
    std::fill(to + o.width, to + paddedWidth(), 0.0f);
  }
  gemm.a = pad.scores + readable;
  gemm.b = pad.values + readable * paddedWidth();
  gemm.bStride = paddedWidth();
  gemm.depth = count - readable;
  isa.gemm(gemm);
}

void AttentionRows::runBlock(const RowBlock &block, const AttentionPad &pad,
                             int64_t begin, int64_t count,
                             const RowSums &out) const {
  scoreKeys(block, pad, begin, count);
  for (int64_t r = 0; r < block.count; ++r) {
    float *scores = pad.scores + r * kKeyBlock;
    float scale =
        adjustScores(block, block.first + r, begin, count, scores, pad.row);
    float factor = isa.softmaxBlock(scale, scores, out.max + r, out.sum + r);
    float *sums = out.sums + r * paddedWidth();
    if (factor != 1.0f)
      isa.scaleRow(factor, sums, sums, paddedWidth());
  }
  addValues(block, pad, begin, count, out);
}

void AttentionRows::loadQueries(const RowBlock &block,
                                const AttentionPad &pad) const {
  int64_t pairStride = 2 * roundUp(o.depth, kQueryLanes);
  for (int64_t r = 0; r < block.count; ++r) {
    int64_t row = block.first + r;
    const std::byte *query =
        rowOf(*o.q, block.b, headOf(block, row), row % o.queries);
    const float *from = reinterpret_cast<const float *>(query);
    if (!o.readsQueries()) {
      isa.loadTile(o.q->dtype, query, o.q->strides[3], pad.row, o.depth);
      from = pad.row;
    }
    float *to = pad.q + r / 2 * pairStride + r % 2 * kQueryLanes;
    for (int64_t d = 0; d < o.depth; d += kQueryLanes) {
      int64_t count = std::min(kQueryLanes, o.depth - d);
      if (count == kQueryLanes) {
        std::memcpy(to + 2 * d, from + d, kQueryLanes * sizeof(float));
        continue;
      }
      std::copy_n(from + d, count, to + 2 * d);
      std::fill(to + 2 * d + count, to + 2 * d + kQueryLanes, 0.0f);
    }
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
       begin += kKeyBlock) {
    int64_t count = std::min(kKeyBlock, end - begin);
    if (!isNegligible(block, begin, count, out.max))
      runBlock(block, pad, begin, count, out);
  }
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
    if (factor != 1.0f)
      isa.scaleRow(factor, to, to, paddedWidth());
    isa.axpyRow(nextFactor, from, to, paddedWidth());
    total.sum[r] = total.sum[r] * factor + next.sum[r] * nextFactor;
    total.max[r] = max;
  }
}

//===----------------------------------------------------------------------===//
// Results
//===----------------------------------------------------------------------===//

void AttentionRows::finishRow(const RowBlock &block, int64_t row, float max,
                              float sum, float *sums) const {
  int64_t head = headOf(block, row);
  if (o.sink->present()) {
    float sink;
    isa.toF32(o.sink->dtype,
              blockData(*o.sink) +
                  head * o.sink->strides[0] *
                      static_cast<int64_t>(dtypeSize(o.sink->dtype)),
              &sink, 1);
    float larger = std::max(max, sink);
    if (larger != kHidden) {
      float factor = std::exp(max - larger);
      isa.scaleRow(factor, sums, sums, o.width);
      sum = sum * factor + std::exp(sink - larger);
    }
  }
  std::byte *to = rowOf(*o.out, block.b, head, row % o.queries);
  float *result = o.writesResults() ? reinterpret_cast<float *>(to) : sums;
  if (sum == 0)
    std::fill_n(result, o.width, 0.0f);
  else
    isa.scaleRow(1.0f / sum, sums, result, o.width);
  if (!o.writesResults())
    isa.storeTile(o.out->dtype, sums, to, o.out->strides[3], o.width);
}

void AttentionRows::finish(const RowBlock &block, const RowSums &total) const {
  for (int64_t r = 0; r < block.count; ++r)
    finishRow(block, block.first + r, total.max[r], total.sum[r],
              total.sums + r * paddedWidth());
}

void AttentionRows::run(const RowBlock &block, const AttentionPad &pad) const {
  loadQueries(block, pad);
  KeyRange range = visible(block);
  int64_t first = std::min(range.first, o.keys) / kChunkKeys;
  runChunk(block, first, range, pad, pad.total);
  for (int64_t chunk = first + 1; chunk * kChunkKeys < range.end; ++chunk) {
    runChunk(block, chunk, range, pad, pad.chunk);
    merge(pad.total, pad.chunk, block.count);
  }
  finish(block, pad.total);
}

} // namespace moe::cpu
