//===- HugePages.h - Memory in large pages ----------------------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Weights are read from front to back, once: with pages of 4 KiB each one costs
// a walk through the tables of the system, and processors fetch ahead only
// within a page.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_RUNTIME_SUPPORT_HUGEPAGES_H
#define MOE_RUNTIME_SUPPORT_HUGEPAGES_H

#include <cstddef>
#include <sys/mman.h>

namespace moe {

inline constexpr size_t kHugePageBytes = size_t(2) << 20;

/// Asks for large pages in [memory, memory + bytes), which begins with a page.
/// Only a hint: without them everything works, slower.
inline void preferHugePages(void *memory, size_t bytes) {
#if defined(MADV_HUGEPAGE)
  if (bytes >= kHugePageBytes)
    (void)madvise(memory, bytes, MADV_HUGEPAGE);
#else
  (void)memory, (void)bytes;
#endif
}

} // namespace moe

#endif // MOE_RUNTIME_SUPPORT_HUGEPAGES_H
