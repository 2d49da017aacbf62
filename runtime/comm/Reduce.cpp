//===- Reduce.cpp - Sums over ranks in their order ------------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/comm/Reduce.h"

#include <algorithm>
#include <type_traits>

using namespace moe;

bool moe::canReduce(DType dtype) {
  return dtype == DType::F32 || dtype == DType::F64 || dtype == DType::I32 ||
         dtype == DType::I64;
}

template <typename T> static T combine(T a, T b, ReduceOp op) {
  if (op == ReduceOp::Max)
    return a < b ? b : a;
  if constexpr (std::is_integral_v<T>) {
    using U = std::make_unsigned_t<T>;
    return static_cast<T>(static_cast<U>(a) + static_cast<U>(b));
  } else {
    return a + b;
  }
}

// One block of results at a time: the sum stays in the cache, and `to` is
// written only after all contributions have been read.
template <typename T>
static void reduceElements(T *to, std::span<const std::byte *const> from,
                           int64_t count, ReduceOp op) {
  constexpr int64_t kBlock = 512;
  T sums[kBlock];
  for (int64_t begin = 0; begin < count; begin += kBlock) {
    int64_t size = std::min(kBlock, count - begin);
    std::copy_n(reinterpret_cast<const T *>(from[0]) + begin, size, sums);
    for (const std::byte *bytes : from.subspan(1)) {
      const T *next = reinterpret_cast<const T *>(bytes) + begin;
      for (int64_t i = 0; i < size; ++i)
        sums[i] = combine(sums[i], next[i], op);
    }
    std::copy_n(sums, size, to + begin);
  }
}

void moe::reduceInOrder(void *to, std::span<const std::byte *const> from,
                        int64_t count, DType dtype, ReduceOp op) {
  switch (dtype) {
  case DType::F32:
    return reduceElements(static_cast<float *>(to), from, count, op);
  case DType::F64:
    return reduceElements(static_cast<double *>(to), from, count, op);
  case DType::I32:
    return reduceElements(static_cast<int32_t *>(to), from, count, op);
  case DType::I64:
    return reduceElements(static_cast<int64_t *>(to), from, count, op);
  default:
    break;
  }
}
