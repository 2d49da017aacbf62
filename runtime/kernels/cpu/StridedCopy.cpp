//===- StridedCopy.cpp - Elements from one view to another ----------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Dimensions that are neighbours in both memories are merged first. What
// remains is a loop over rows of the innermost dimension, or, if the source is
// contiguous along another dimension (a transpose), over small squares of the
// two, so that both memories are touched by whole cache lines.
//
//===----------------------------------------------------------------------===//

#include "runtime/kernels/cpu/StridedCopy.h"

#include "runtime/kernels/cpu/Support.h"

#include <cstring>

namespace moe::cpu {

CopyBox::CopyBox(const TensorView &source, const TensorView &target)
    : from(blockData(source)), to(target.as<std::byte>()),
      elementBytes(dtypeSize(target.dtype)), rank(target.rank) {
  for (int i = 0; i < rank; ++i) {
    dims[i] = target.dims[i];
    fromStrides[i] = source.strides[i];
    toStrides[i] = target.strides[i];
  }
}

/// Drops dimensions of size 1 and merges those that are one in memory.
static void merge(CopyBox &box) {
  int kept = 0;
  for (int i = 0; i < box.rank; ++i) {
    if (box.dims[i] == 1)
      continue;
    if (kept > 0 &&
        box.fromStrides[kept - 1] == box.fromStrides[i] * box.dims[i] &&
        box.toStrides[kept - 1] == box.toStrides[i] * box.dims[i]) {
      box.dims[kept - 1] *= box.dims[i];
      box.fromStrides[kept - 1] = box.fromStrides[i];
      box.toStrides[kept - 1] = box.toStrides[i];
      continue;
    }
    box.dims[kept] = box.dims[i];
    box.fromStrides[kept] = box.fromStrides[i];
    box.toStrides[kept] = box.toStrides[i];
    ++kept;
  }
  box.rank = kept;
}

template <typename T>
static void copyRow(const T *from, T *to, int64_t count, int64_t fromStride,
                    int64_t toStride) {
  if (fromStride == 1 && toStride == 1) {
    std::memcpy(to, from, count * sizeof(T));
  } else if (fromStride == 0 && toStride == 1) {
    std::fill_n(to, count, *from);
  } else {
    for (int64_t i = 0; i < count; ++i)
      to[i * toStride] = from[i * fromStride];
  }
}

/// [rows][columns] with rows contiguous in `to` and columns in `from`.
template <typename T>
static void copySquares(const T *from, T *to, int64_t rows, int64_t columns,
                        int64_t fromColumn, int64_t toRow) {
  constexpr int64_t kSquare = 16;
  for (int64_t r0 = 0; r0 < rows; r0 += kSquare) {
    int64_t r1 = std::min(rows, r0 + kSquare);
    for (int64_t c0 = 0; c0 < columns; c0 += kSquare) {
      int64_t c1 = std::min(columns, c0 + kSquare);
      for (int64_t r = r0; r < r1; ++r)
        for (int64_t c = c0; c < c1; ++c)
          to[r * toRow + c] = from[r + c * fromColumn];
    }
  }
}

/// The dimension along which the source is contiguous although the target is
/// so along the last one; -1 if there is none.
static int transposedDim(const CopyBox &box) {
  int last = box.rank - 1;
  if (last < 1 || box.toStrides[last] != 1 || box.fromStrides[last] <= 1)
    return -1;
  for (int i = 0; i < last; ++i)
    if (box.fromStrides[i] == 1)
      return i;
  return -1;
}

template <typename T> static void copyMerged(const CopyBox &box) {
  const T *from = reinterpret_cast<const T *>(box.from);
  T *to = reinterpret_cast<T *>(box.to);
  int last = box.rank - 1;
  if (last < 0) {
    *to = *from;
    return;
  }
  int square = transposedDim(box);
  int64_t index[kMaxRank] = {};
  for (;;) {
    if (square >= 0)
      copySquares(from, to, box.dims[square], box.dims[last],
                  box.fromStrides[last], box.toStrides[square]);
    else
      copyRow(from, to, box.dims[last], box.fromStrides[last],
              box.toStrides[last]);
    int d = last - 1;
    for (; d >= 0; --d) {
      if (d == square)
        continue;
      from += box.fromStrides[d];
      to += box.toStrides[d];
      if (++index[d] < box.dims[d])
        break;
      from -= box.fromStrides[d] * box.dims[d];
      to -= box.toStrides[d] * box.dims[d];
      index[d] = 0;
    }
    if (d < 0)
      return;
  }
}

static void copyTyped(const CopyBox &box) {
  switch (box.elementBytes) {
  case 1:
    return copyMerged<uint8_t>(box);
  case 2:
    return copyMerged<uint16_t>(box);
  case 4:
    return copyMerged<uint32_t>(box);
  case 8:
    return copyMerged<uint64_t>(box);
  }
}

static bool isEmpty(const CopyBox &box) {
  return std::any_of(box.dims, box.dims + box.rank,
                     [](int64_t dim) { return dim <= 0; });
}

void copyStrided(CopyBox box) {
  if (isEmpty(box))
    return;
  merge(box);
  copyTyped(box);
}

void copyStrided(ThreadPool &pool, CopyBox box) {
  if (isEmpty(box))
    return;
  merge(box);
  if (box.rank == 0)
    return copyTyped(box);
  int split = 0;
  int64_t elements = 1;
  for (int i = 0; i < box.rank; ++i) {
    elements *= box.dims[i];
    if (box.dims[i] > box.dims[split])
      split = i;
  }
  double work =
      static_cast<double>(elements) * static_cast<double>(box.elementBytes) / 8;
  int64_t size = box.dims[split];
  forRange(pool, size, work / static_cast<double>(size),
           [&](int64_t begin, int64_t end, int) {
             CopyBox part = box;
             part.moveFrom(begin * box.fromStrides[split]);
             part.moveTo(begin * box.toStrides[split]);
             part.dims[split] = end - begin;
             copyTyped(part);
           });
}

} // namespace moe::cpu
