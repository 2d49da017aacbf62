//===- NetworkTiles.h - Work items of networks ------------------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// How threads share the rows and columns of networks: network after network,
// and of one, group after group of panels, so that rows stay in a cache and
// weights are read in the order of memory.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_RUNTIME_KERNELS_CPU_NETWORKTILES_H
#define MOE_RUNTIME_KERNELS_CPU_NETWORKTILES_H

#include "runtime/kernels/cpu/Networks.h"

namespace moe::cpu {

/// The part that work item `item` belongs to.
inline const NetworkPart &partOfItem(std::span<const NetworkPart> parts,
                                     int64_t item) {
  auto after = std::upper_bound(
      parts.begin(), parts.end(), item,
      [](int64_t i, const NetworkPart &part) { return i < part.firstItem; });
  return *(after - 1);
}

/// Numbers the work items of all parts, which have panelsOf(part) panels of
/// outputs each; returns their number and sets the panels of a group, at least
/// what it was.
template <typename PanelsOf>
int64_t numberItems(std::span<NetworkPart> parts, PanelsOf panelsOf,
                    bool arePacked, int threads, int64_t &groupSize) {
  ItemCounts counts;
  counts.arePacked = arePacked;
  for (const NetworkPart &part : parts) {
    counts.rows += part.rows;
    counts.rowBlocks += ceilDiv(part.rows, kRowBlock);
    counts.mostRows = std::max(counts.mostRows, std::min(part.rows, kRowBlock));
    counts.panels = std::max(counts.panels, panelsOf(part));
  }
  groupSize = std::max(groupSize, groupPanels(counts, threads));
  int64_t items = 0;
  for (NetworkPart &part : parts) {
    part.firstItem = items;
    items += ceilDiv(part.rows, kRowBlock) * ceilDiv(panelsOf(part), groupSize);
  }
  return items;
}

/// Calls body(part, first row in the part, rows, panels, thread), with at least
/// `groupSize` panels unless they are the last ones.
template <typename PanelsOf, typename Body>
void forTiles(ThreadPool &pool, std::span<NetworkPart> parts, double work,
              bool arePacked, int64_t groupSize, PanelsOf panelsOf, Body body) {
  int64_t items =
      numberItems(parts, panelsOf, arePacked, pool.numThreads(), groupSize);
  forItems(pool, items, work, [&](int64_t item, int thread) {
    const NetworkPart &part = partOfItem(parts, item);
    int64_t rowBlocks = ceilDiv(part.rows, kRowBlock);
    int64_t index = item - part.firstItem;
    int64_t row = index % rowBlocks * kRowBlock;
    int64_t panel = index / rowBlocks * groupSize;
    body(part, row, std::min(kRowBlock, part.rows - row),
         Interval{panel, std::min(panel + groupSize, panelsOf(part))}, thread);
  });
}

} // namespace moe::cpu

#endif // MOE_RUNTIME_KERNELS_CPU_NETWORKTILES_H
