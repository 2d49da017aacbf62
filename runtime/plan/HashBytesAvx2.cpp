//===- HashBytesAvx2.cpp - The hash of a plan's bytes, with AVX2 ----------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Compiled with AVX2. Everything that is included is static, so nothing that
// needs AVX2 is linked into code that runs without.
//
//===----------------------------------------------------------------------===//

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace moe::plan_format {

uint64_t hashBytesAvx2(const void *data, size_t bytes);

uint64_t hashBytesAvx2(const void *data, size_t bytes) {
  return XXH3_64bits(data, bytes);
}

} // namespace moe::plan_format
