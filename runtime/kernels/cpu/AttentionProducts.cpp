//===- AttentionProducts.cpp - queries by keys, weights by values ---------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Few rows read keys where they are, because memory bounds them. For many rows
// keys are brought into panels of 16 first, once for all rows of a block; the
// additions are the same. Values are read in place if they can be.
//
//===----------------------------------------------------------------------===//

#include "runtime/kernels/cpu/AttentionRows.h"
#include "runtime/kernels/cpu/Product.h"

#include <algorithm>
#include <cstring>

namespace moe::cpu {

int64_t AttentionRows::paddedDepth() const {
  return roundUp(o.depth, kDepthLanes);
}
int64_t AttentionRows::paddedWidth() const { return roundUp(o.width, kPanel); }

//===----------------------------------------------------------------------===//
// Operands
//===----------------------------------------------------------------------===//

void AttentionRows::loadQueries(const RowBlock &block,
                                const AttentionPad &pad) const {
  const int64_t depth = paddedDepth();
  for (int64_t r = 0; r < block.count; ++r) {
    int64_t row = block.first + r;
    pad.ranges[r] = visible(block.b, row % o.queries);
    const std::byte *query =
        rowOf(*o.q, block.b, headOf(block, row), row % o.queries);
    const float *from = reinterpret_cast<const float *>(query);
    if (!o.readsQueries()) {
      isa.loadTile(o.q->dtype, query, o.q->strides[3], pad.row, o.depth);
      from = pad.row;
    }
    if (isPacked(block)) {
      float *to = pad.q + r * depth;
      std::memcpy(to, from, o.depth * sizeof(float));
      std::fill(to + o.depth, to + depth, 0.0f);
      continue;
    }
    // Eight numbers of a row lie beside eight of the other one of a pair.
    float *to = pad.q + r / 2 * 2 * depth + r % 2 * kDepthLanes;
    for (int64_t d = 0; d < o.depth; d += kDepthLanes, to += 2 * kDepthLanes) {
      int64_t count = std::min(kDepthLanes, o.depth - d);
      std::memcpy(to, from + d, count * sizeof(float));
      std::fill(to + count, to + kDepthLanes, 0.0f);
    }
  }
}

/// Rows of keys in place, or converted.
const float *AttentionRows::keyRows(const RowBlock &block,
                                    const AttentionPad &pad, int64_t begin,
                                    int64_t count, int64_t &stride) const {
  stride = o.k->strides[2];
  if (o.readsKeys())
    return reinterpret_cast<const float *>(
        rowOf(*o.k, block.b, block.group, begin));
  stride = o.depth;
  for (int64_t j = 0; j < count; ++j)
    isa.loadTile(o.k->dtype, rowOf(*o.k, block.b, block.group, begin + j),
                 o.k->strides[3], pad.keys + j * o.depth, o.depth);
  return pad.keys;
}

void AttentionRows::packKeys(const RowBlock &block, const AttentionPad &pad,
                             int64_t begin, int64_t count) const {
  int64_t stride = 0;
  const float *k = keyRows(block, pad, begin, count, stride);
  isa.packKeys(k, stride, count, o.depth, pad.keyPanels);
}

//===----------------------------------------------------------------------===//
// Products
//===----------------------------------------------------------------------===//

void AttentionRows::scoreKeys(const RowBlock &block, const RowSpan &span,
                              const AttentionPad &pad, int64_t begin) const {
  if (isPacked(block)) {
    PackedScoreArgs score;
    score.qStride = paddedDepth();
    score.q = pad.q + span.row * score.qStride;
    score.panels = pad.keyPanels;
    score.scores = pad.scores + span.row * kKeyBlock;
    score.scoreStride = kKeyBlock;
    score.rows = span.count;
    score.numPanels = ceilDiv(span.keys, kPanel);
    score.depth = paddedDepth();
    return isa.scorePacked(score);
  }
  ScoreArgs score;
  score.q = pad.q;
  score.qStride = 2 * paddedDepth();
  score.k = keyRows(block, pad, begin, span.keys, score.kStride);
  score.scores = pad.scores;
  score.scoreStride = kKeyBlock;
  score.rows = span.count;
  score.keys = span.keys;
  score.depth = o.depth;
  isa.scoreTile(score);
}

/// sums += weights * values of some keys of a block, key after key.
void AttentionRows::addValues(const RowBlock &block, const RowSpan &span,
                              KeyRange keys, const AttentionPad &pad,
                              int64_t begin, const RowSums &out) const {
  GemmArgs gemm;
  gemm.a = pad.scores + span.row * kKeyBlock + keys.first;
  gemm.aStride = kKeyBlock;
  gemm.rows = span.count;
  gemm.panels = paddedWidth() / kPanel;
  gemm.c = out.sums + span.row * paddedWidth();
  gemm.cStride = paddedWidth();
  gemm.accumulate = true;
  gemm.panelStride = kPanel;
  // Panels may run over the end of a row, into columns of the sums that nobody
  // reads; behind the very last row there may be no memory.
  bool isLast = begin + keys.end == o.keys && paddedWidth() != o.width;
  int64_t readEnd = o.readsValues() ? keys.end - (isLast ? 1 : 0) : keys.first;
  if (readEnd > keys.first) {
    gemm.b = reinterpret_cast<const float *>(
        rowOf(*o.v, block.b, block.group, begin + keys.first));
    gemm.bStride = o.v->strides[2];
    gemm.depth = readEnd - keys.first;
    isa.gemm(gemm);
  }
  if (readEnd == keys.end)
    return;
  for (int64_t j = readEnd; j < keys.end; ++j) {
    float *to = pad.values + j * paddedWidth();
    isa.loadTile(o.v->dtype, rowOf(*o.v, block.b, block.group, begin + j),
                 o.v->strides[3], to, o.width);
    std::fill(to + o.width, to + paddedWidth(), 0.0f);
  }
  gemm.a += readEnd - keys.first;
  gemm.b = pad.values + readEnd * paddedWidth();
  gemm.bStride = paddedWidth();
  gemm.depth = keys.end - readEnd;
  isa.gemm(gemm);
}

/// The same for one row, without the keys of weight 0.
void AttentionRows::addSeenValues(const RowBlock &block, const RowSpan &span,
                                  const AttentionPad &pad, int64_t begin,
                                  const RowSums &out) const {
  const float *weights = pad.scores + span.row * kKeyBlock;
  for (KeyRange keys{0, 0}; keys.first < span.keys; keys.first = keys.end) {
    bool isSeen = weights[keys.first] != 0;
    keys.end = keys.first + 1;
    while (keys.end < span.keys && (weights[keys.end] != 0) == isSeen)
      ++keys.end;
    if (isSeen)
      addValues(block, span, keys, pad, begin, out);
  }
}

} // namespace moe::cpu
