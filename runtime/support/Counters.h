//===- Counters.h - What one rank did ---------------------------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_RUNTIME_SUPPORT_COUNTERS_H
#define MOE_RUNTIME_SUPPORT_COUNTERS_H

#include <cstdint>

namespace moe {

/// What one rank did, counted where it happens.
struct Counters {
  uint64_t messages = 0;          ///< non-empty messages to other ranks
  uint64_t bytesSent = 0;         ///< bytes to other ranks
  uint64_t expertRows = 0;        ///< rows that expert kernels computed
  uint64_t flops = 0;             ///< multiply and add count as two
  uint64_t weightBytes = 0;       ///< weight bytes that this rank holds
  uint64_t expertWeightBytes = 0; ///< of these, weights of experts

  Counters &operator+=(const Counters &other) {
    messages += other.messages;
    bytesSent += other.bytesSent;
    expertRows += other.expertRows;
    flops += other.flops;
    weightBytes += other.weightBytes;
    expertWeightBytes += other.expertWeightBytes;
    return *this;
  }
};

} // namespace moe

#endif // MOE_RUNTIME_SUPPORT_COUNTERS_H
