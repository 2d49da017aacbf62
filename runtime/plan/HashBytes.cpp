//===- HashBytes.cpp - The hash of a plan's bytes -------------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Loading with --verify=full is hashing, so XXH3 is built in: a distribution's
// library, built for size and any processor, hashes 20 GB/s with one core; this
// file 29 GB/s, and HashBytesAvx2.cpp 34 GB/s, which is what one core reads.
//
//===----------------------------------------------------------------------===//

#include "runtime/plan/PlanFormat.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

using namespace moe;

#if defined(MOE_HASH_AVX2)
namespace moe::plan_format {
/// In HashBytesAvx2.cpp.
uint64_t hashBytesAvx2(const void *data, size_t bytes);
} // namespace moe::plan_format
#endif

uint64_t plan_format::hashBytes(const void *data, size_t bytes) {
#if defined(MOE_HASH_AVX2)
  if (__builtin_cpu_supports("avx2"))
    return hashBytesAvx2(data, bytes);
#endif
  return XXH3_64bits(data, bytes);
}
