//===- Communicator.h - Collectives between ranks ---------------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What ranks say to each other. All members call the same operations in the
// same order; every operation carries a tag (its step), which is checked.
// A rank that fails calls abort(); whoever waits or comes later returns its
// error at once, so nobody hangs. After any error the group is of no use any
// more.
//
// split() makes smaller groups of a group. All that stem from one root fail
// together and count into the same counters; errors name ranks of the root:
//
//   root     0 1 2 3 4 5
//   color    0 1 0 1 0 1       split(rank % 2, tag)
//   groups   0 2 4 and 1 3 5   members have ranks 0, 1, 2 in their group
//
// Reductions add the contributions in the order of the ranks, so results do
// not depend on timing.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_RUNTIME_COMM_COMMUNICATOR_H
#define MOE_RUNTIME_COMM_COMMUNICATOR_H

#include "runtime/support/Counters.h"
#include "runtime/support/DType.h"
#include "runtime/support/Status.h"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace moe {

/// Bytes to or from one peer.
struct SendBlock {
  const std::byte *data = nullptr;
  size_t bytes = 0;
};
struct RecvBlock {
  std::byte *data = nullptr;
  size_t bytes = 0;
};

enum class ReduceOp : uint8_t { Sum, Max };

class Communicator {
public:
  Communicator();
  /// A part of another one, which counts into that one's counters.
  explicit Communicator(std::shared_ptr<Counters> counters);
  Communicator(const Communicator &) = delete;
  Communicator &operator=(const Communicator &) = delete;
  virtual ~Communicator();
  virtual int rank() const = 0;
  virtual int size() const = 0;

  /// Returns when every rank has entered.
  virtual Status barrier(uint32_t tag) = 0;
  /// recv[r * send.size()] gets the bytes of rank r; equal sizes everywhere.
  virtual Status allGather(std::span<const std::byte> send,
                           std::span<std::byte> recv, uint32_t tag) = 0;
  /// Ragged: rank r's bytes go to recv[r], whose size must be what r sends.
  virtual Status allGatherV(std::span<const std::byte> send,
                            std::span<const RecvBlock> recv, uint32_t tag) = 0;
  /// Ragged all-to-all: send[r] goes to rank r; recv[r].bytes must be what
  /// rank r sends to this rank (checked on both sides).
  virtual Status allToAllV(std::span<const SendBlock> send,
                           std::span<const RecvBlock> recv, uint32_t tag) = 0;
  /// In place, f32, f64, i32 or i64, added in rank order.
  virtual Status allReduce(void *data, int64_t count, DType dtype, ReduceOp op,
                           uint32_t tag) = 0;
  /// Rank r receives the reduced elements [r * count, (r + 1) * count).
  virtual Status reduceScatter(const void *send, void *recv, int64_t count,
                               DType dtype, ReduceOp op, uint32_t tag) = 0;
  /// Called by all ranks: those that give the same color form a new group, in
  /// the order of their ranks. It may outlive this one. The messages of the
  /// split itself are not counted.
  virtual StatusOr<std::unique_ptr<Communicator>> split(int color,
                                                        uint32_t tag) = 0;
  /// Ends every present and later operation of all ranks of the root, in all
  /// its groups, with an error that names this rank and `why`. Any thread may
  /// call it at any time.
  virtual void abort(const Status &why) = 0;
  /// The error that ended the group, ok as long as none did.
  virtual Status check() const = 0;

  /// Those of this rank in all groups of a root. Not for two threads at once.
  Counters &counters() { return *theCounters; }

protected:
  const std::shared_ptr<Counters> &sharedCounters() const {
    return theCounters;
  }

private:
  std::shared_ptr<Counters> theCounters;
};

/// Communicators of `numRanks` ranks that are threads of this process. An
/// operation that waits longer than `timeout` ends with Timeout, naming the
/// ranks that did not come. `numThreads`: all threads that work for the ranks,
/// if these have others than their own; ranks wait awake if each has a core.
std::vector<std::unique_ptr<Communicator>>
createThreadCommunicators(int numRanks, std::chrono::milliseconds timeout,
                          int numThreads = 0);

} // namespace moe

#endif // MOE_RUNTIME_COMM_COMMUNICATOR_H
