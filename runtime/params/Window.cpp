//===- Window.cpp - Parts of tensors and copies between them --------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/params/Window.h"

#include <algorithm>
#include <cstring>
#include <utility>

using namespace moe;

namespace {
/// One dimension of a copy.
struct Loop {
  int64_t size, from, to;
};
} // namespace

/// Two dimensions in tiles, so that a transposition meets each cache line of
/// both sides a few times in a row.
template <typename T>
static void copyPlane(const Loop &outer, const Loop &inner, const T *from,
                      T *to) {
  constexpr int64_t kTile = 32;
  for (int64_t i0 = 0; i0 < outer.size; i0 += kTile)
    for (int64_t j0 = 0; j0 < inner.size; j0 += kTile) {
      int64_t iEnd = std::min(i0 + kTile, outer.size);
      int64_t jEnd = std::min(j0 + kTile, inner.size);
      for (int64_t i = i0; i < iEnd; ++i)
        for (int64_t j = j0; j < jEnd; ++j)
          to[i * outer.to + j * inner.to] =
              from[i * outer.from + j * inner.from];
    }
}

template <typename T>
static void copyLoops(std::span<const Loop> loops, const T *from, T *to) {
  if (loops.empty()) {
    *to = *from;
    return;
  }
  const Loop &outer = loops[0];
  if (loops.size() == 1 && outer.from == 1 && outer.to == 1) {
    std::memcpy(to, from, outer.size * sizeof(T));
    return;
  }
  if (loops.size() == 1 ||
      (loops.size() == 2 && (loops[1].from != 1 || loops[1].to != 1))) {
    copyPlane(loops.size() == 1 ? Loop{1, 0, 0} : outer, loops.back(), from,
              to);
    return;
  }
  for (int64_t i = 0; i < outer.size; ++i)
    copyLoops(loops.subspan(1), from + i * outer.from, to + i * outer.to);
}

void moe::copyStrided(int rank, const Extents &sizes, const std::byte *from,
                      const Extents &fromStrides, std::byte *to,
                      const Extents &toStrides, size_t elementBytes) {
  // Dimensions that continue the one before them are merged with it.
  std::array<Loop, kMaxRank> loops;
  int count = 0;
  for (int i = 0; i < rank; ++i) {
    if (sizes[i] == 0)
      return;
    if (sizes[i] == 1)
      continue;
    Loop loop = {sizes[i], fromStrides[i], toStrides[i]};
    Loop *last = count > 0 ? &loops[count - 1] : nullptr;
    if (last && last->from == loop.from * loop.size &&
        last->to == loop.to * loop.size)
      *last = {last->size * loop.size, loop.from, loop.to};
    else
      loops[count++] = loop;
  }
  // The side that is read in order should be one of the two inner loops.
  auto innermost =
      std::find_if(loops.begin(), loops.begin() + count,
                   [](const Loop &loop) { return loop.from == 1; });
  if (count > 2 && innermost < loops.begin() + count - 2)
    std::swap(*innermost, loops[count - 2]);
  std::span<const Loop> used(loops.data(), count);
  auto copy = [&]<typename T>(T) {
    copyLoops(used, reinterpret_cast<const T *>(from),
              reinterpret_cast<T *>(to));
  };
  switch (elementBytes) {
  case 1:
    return copy(uint8_t());
  case 2:
    return copy(uint16_t());
  case 4:
    return copy(uint32_t());
  default:
    return copy(uint64_t());
  }
}
