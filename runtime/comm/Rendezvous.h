//===- Rendezvous.h - Where threads that are ranks meet ---------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A collective of threads has the form
//
//   enter      every rank has published what it sends and expects
//   work       each rank reads what the others published
//   leave      nobody reads my memory any more
//
// enter() may fail: a rank aborts, or does not come in time. Whether it failed
// is one decision for all ranks. The number of the current operation, the
// number of ranks that have arrived and the abort bit share one atomic word, so
// an operation either completes for everyone or, once the bit is set, for
// nobody. Ranks that are past enter() only copy memory and cannot be stuck,
// therefore leave() neither fails nor looks at the bit, and nobody returns to
// its caller while another rank still reads its memory.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_RUNTIME_COMM_RENDEZVOUS_H
#define MOE_RUNTIME_COMM_RENDEZVOUS_H

#include "runtime/support/Status.h"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>

namespace moe {

class Rendezvous {
public:
  Rendezvous(int numRanks, std::chrono::milliseconds timeout);

  /// The error of the abort if there was one.
  Status check() const;
  /// Waits until all ranks have called enter as often as this one. `what`
  /// names the operation in the error of a rank that waits too long.
  Status enter(int rank, const char *what, uint32_t tag);
  /// Waits until all ranks have called leave as often as this one; to be called
  /// by all ranks or none after a successful enter.
  void leave(int rank);
  /// Fails the present and every later enter with `why`; the first call wins.
  void abort(Status why);

private:
  /// One rank's counters, apart from those of others.
  struct alignas(64) Arrivals {
    std::atomic<uint32_t> entered{0};
    uint64_t left = 0;
  };

  bool isComplete(uint64_t word, uint32_t operation) const;
  Status waitForOthers(uint32_t operation, const char *what, uint32_t tag);
  Status giveUp(uint32_t operation, const char *what, uint32_t tag);
  std::string missingRanks(uint32_t operation) const;
  template <typename Done> bool spin(Done done) const;
  void wakeSleepers();

  const int numRanks;
  const std::chrono::milliseconds timeout;
  const int numSpins;
  std::unique_ptr<Arrivals[]> arrivals;

  alignas(64) std::atomic<uint64_t> state{0};
  alignas(64) std::atomic<uint64_t> numLeft{0};
  alignas(64) std::atomic<int> numSleepers{0};
  mutable std::mutex mutex;
  std::condition_variable changed;
  Status abortStatus;
};

} // namespace moe

#endif // MOE_RUNTIME_COMM_RENDEZVOUS_H
