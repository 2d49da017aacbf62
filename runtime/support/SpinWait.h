//===- SpinWait.h - Waits awake for a while, then asleep --------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_RUNTIME_SUPPORT_SPINWAIT_H
#define MOE_RUNTIME_SUPPORT_SPINWAIT_H

#include <atomic>
#include <cstdint>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace moe {

/// How often to look before falling asleep, where nobody needs the core: for
/// some 100 microseconds. To wake a thread takes 5 to 50 microseconds, and
/// between two decode steps, or two steps that use threads, less than this
/// passes.
inline constexpr int kSpins = 4000;

inline void pauseCpu() {
#if defined(__x86_64__)
  _mm_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

/// Waits until `value` is no longer `old`.
inline void waitForChange(const std::atomic<uint32_t> &value, uint32_t old,
                          int numSpins) {
  for (int i = 0; i < numSpins; ++i) {
    if (value.load(std::memory_order_acquire) != old)
      return;
    pauseCpu();
  }
  value.wait(old, std::memory_order_acquire);
}

} // namespace moe

#endif // MOE_RUNTIME_SUPPORT_SPINWAIT_H
