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
// Meetings of one family (a group and all that were split from it) fail
// together: an abort of one sets the bit of each, and of those that are founded
// later.
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
#include <vector>

namespace moe {

class Rendezvous;

/// The meetings that stem from one, and the error that ended them.
class RendezvousFamily {
public:
  /// `numThreads`: how many work for those that take part in any meeting.
  RendezvousFamily(int numThreads, std::chrono::milliseconds timeout);
  /// The first call wins.
  void abort(Status why);
  Status error() const;

  const std::chrono::milliseconds timeout;
  const int numSpins;

private:
  friend class Rendezvous;
  void add(Rendezvous &meeting);
  void remove(Rendezvous &meeting);

  mutable std::mutex mutex;
  std::vector<Rendezvous *> meetings;
  Status abortStatus;
};

class Rendezvous {
public:
  /// `names`: what errors call the ranks.
  Rendezvous(std::shared_ptr<RendezvousFamily> family, std::vector<int> names);
  ~Rendezvous();

  /// The error of the abort if there was one.
  Status check() const;
  /// Waits until all ranks have called enter as often as this one. `what`
  /// names the operation in the error of a rank that waits too long.
  Status enter(int rank, const char *what, uint32_t tag);
  /// Waits until all ranks have called leave as often as this one; to be called
  /// by all ranks or none after a successful enter.
  void leave(int rank);
  /// Fails the present and every later enter of the whole family with `why`.
  void abort(Status why) { family->abort(std::move(why)); }

private:
  friend class RendezvousFamily;
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
  void setAbortBit();

  const std::shared_ptr<RendezvousFamily> family;
  const std::vector<int> names;
  const int numRanks;
  std::unique_ptr<Arrivals[]> arrivals;

  alignas(64) std::atomic<uint64_t> state{0};
  alignas(64) std::atomic<uint64_t> numLeft{0};
  alignas(64) std::atomic<int> numSleepers{0};
  std::mutex mutex;
  std::condition_variable changed;
};

} // namespace moe

#endif // MOE_RUNTIME_COMM_RENDEZVOUS_H
