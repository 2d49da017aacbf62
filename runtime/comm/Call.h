//===- Call.h - What ranks must agree on ------------------------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_RUNTIME_COMM_CALL_H
#define MOE_RUNTIME_COMM_CALL_H

#include "runtime/comm/Communicator.h"

#include <algorithm>
#include <string>

namespace moe {

enum class Operation : uint8_t {
  Barrier,
  AllGather,
  AllToAll,
  AllReduce,
  ReduceScatter,
  Split,
};

/// A collective operation: what is equal on all ranks that take part.
struct Call {
  Operation operation = Operation::Barrier;
  uint32_t tag = 0;
  DType dtype = DType::F32;
  ReduceOp reduceOp = ReduceOp::Sum;
  int64_t count = 0;

  bool operator==(const Call &other) const = default;
  /// "barrier".
  const char *name() const;
  /// "all-reduce (tag 7, 512 x f32, sum)".
  std::string describe() const;
};

/// The error of an abort of the rank called `name`. A stop from outside or a
/// time limit is nobody's failure and keeps its code.
Status abortError(const std::string &name, const Status &why);

/// Unless the arguments of `call` are right: aborts the group with an error
/// that says `what` they must be, and returns it.
Status checkArguments(Communicator &group, bool isRight, const Call &call,
                      const char *what);

/// Counts messages of `bytes` each; empty ones are none.
void countMessages(Counters &counters, size_t bytes, int numMessages);

/// Reductions of up to so many bytes are done by every rank for itself.
constexpr size_t kSmallReduceBytes = 16 * 1024;

/// Elements [begin(r), begin(r + 1)) of n are reduced by rank r.
inline int64_t chunkBegin(int64_t n, int rank, int numRanks) {
  return n / numRanks * rank + std::min<int64_t>(n % numRanks, rank);
}

} // namespace moe

#endif // MOE_RUNTIME_COMM_CALL_H
