//===- Rendezvous.cpp - Where threads that are ranks meet -----------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/comm/Rendezvous.h"
#include "runtime/support/Cores.h"
#include "runtime/support/SpinWait.h"

#include <algorithm>
#include <thread>

using namespace moe;

// The state word: abort bit, number of the last complete operation modulo 2^31,
// number of ranks that wait in the next one.
static constexpr uint64_t kAbortBit = uint64_t(1) << 63;
static constexpr int kOperationShift = 32;
static constexpr uint32_t kOperationMask = 0x7fffffff;

static uint32_t completedOperation(uint64_t word) {
  return static_cast<uint32_t>(word >> kOperationShift) & kOperationMask;
}
static uint32_t numArrived(uint64_t word) {
  return static_cast<uint32_t>(word);
}

// With a core for each rank a peer comes soon, so waiting on the spot is
// cheapest. With more ranks than cores it would keep the peer from running.
static int spinsFor(int numThreads) {
  return coreBudget().hasRoomFor(numThreads) ? kSpins : 0;
}

RendezvousFamily::RendezvousFamily(int numThreads,
                                   std::chrono::milliseconds timeout)
    : timeout(timeout), numSpins(spinsFor(numThreads)) {}

void RendezvousFamily::abort(Status why) {
  std::lock_guard lock(mutex);
  if (!abortStatus.isOk())
    return;
  abortStatus = std::move(why);
  for (Rendezvous *meeting : meetings)
    meeting->setAbortBit();
}

Status RendezvousFamily::error() const {
  std::lock_guard lock(mutex);
  return abortStatus;
}

void RendezvousFamily::add(Rendezvous &meeting) {
  std::lock_guard lock(mutex);
  meetings.push_back(&meeting);
  if (!abortStatus.isOk())
    meeting.setAbortBit();
}

void RendezvousFamily::remove(Rendezvous &meeting) {
  std::lock_guard lock(mutex);
  std::erase(meetings, &meeting);
}

Rendezvous::Rendezvous(std::shared_ptr<RendezvousFamily> family,
                       std::vector<int> names)
    : family(std::move(family)), names(std::move(names)),
      numRanks(static_cast<int>(this->names.size())),
      arrivals(std::make_unique<Arrivals[]>(numRanks)) {
  this->family->add(*this);
}

Rendezvous::~Rendezvous() { family->remove(*this); }

void Rendezvous::setAbortBit() {
  {
    std::lock_guard lock(mutex);
    state.fetch_or(kAbortBit);
  }
  changed.notify_all();
}

Status Rendezvous::check() const {
  if (!(state.load(std::memory_order_acquire) & kAbortBit))
    return Status::ok();
  return family->error();
}

bool Rendezvous::isComplete(uint64_t word, uint32_t operation) const {
  // No later operation can complete before this rank has entered it.
  return completedOperation(word) == operation;
}

Status Rendezvous::enter(int rank, const char *what, uint32_t tag) {
  Arrivals &mine = arrivals[rank];
  uint32_t operation =
      (mine.entered.load(std::memory_order_relaxed) + 1) & kOperationMask;
  mine.entered.store(operation, std::memory_order_relaxed);

  uint64_t word = state.fetch_add(1) + 1;
  if (word & kAbortBit)
    return check();
  if (numArrived(word) < static_cast<uint32_t>(numRanks))
    return waitForOthers(operation, what, tag);

  // The last one opens the gate, unless an abort came in between.
  uint64_t next = uint64_t(operation) << kOperationShift;
  if (!state.compare_exchange_strong(word, next))
    return check();
  wakeSleepers();
  return Status::ok();
}

Status Rendezvous::waitForOthers(uint32_t operation, const char *what,
                                 uint32_t tag) {
  auto isDecided = [&] {
    uint64_t word = state.load();
    return isComplete(word, operation) || (word & kAbortBit);
  };
  if (!spin(isDecided)) {
    auto deadline = std::chrono::steady_clock::now() + family->timeout;
    numSleepers.fetch_add(1);
    std::unique_lock lock(mutex);
    bool inTime = changed.wait_until(lock, deadline, isDecided);
    lock.unlock();
    numSleepers.fetch_sub(1);
    if (!inTime)
      return giveUp(operation, what, tag);
  }
  if (isComplete(state.load(), operation))
    return Status::ok();
  return check();
}

Status Rendezvous::giveUp(uint32_t operation, const char *what, uint32_t tag) {
  std::string missing = missingRanks(operation);
  if (missing.empty()) {
    // The last rank came at the deadline and opens the gate or has aborted.
    while (!isComplete(state.load(), operation) && check().isOk())
      std::this_thread::yield();
    return isComplete(state.load(), operation) ? Status::ok() : check();
  }
  abort(Status(StatusCode::Timeout,
               std::string(what) + " (tag " + std::to_string(tag) +
                   ") waited " + std::to_string(family->timeout.count()) +
                   " ms for " + missing));
  return isComplete(state.load(), operation) ? Status::ok() : check();
}

std::string Rendezvous::missingRanks(uint32_t operation) const {
  std::string list;
  int count = 0;
  for (int rank = 0; rank < numRanks; ++rank) {
    if (arrivals[rank].entered.load(std::memory_order_relaxed) == operation)
      continue;
    list += (count++ ? ", " : "") + std::to_string(names[rank]);
  }
  if (count == 0)
    return "";
  return (count == 1 ? "rank " : "ranks ") + list;
}

void Rendezvous::leave(int rank) {
  uint64_t target = ++arrivals[rank].left * static_cast<uint64_t>(numRanks);
  if (numLeft.fetch_add(1) + 1 == target) {
    wakeSleepers();
    return;
  }
  auto isDone = [&] { return numLeft.load() >= target; };
  if (spin(isDone))
    return;
  numSleepers.fetch_add(1);
  std::unique_lock lock(mutex);
  changed.wait(lock, isDone);
  lock.unlock();
  numSleepers.fetch_sub(1);
}

template <typename Done> bool Rendezvous::spin(Done done) const {
  for (int i = 0; i < family->numSpins; ++i) {
    if (done())
      return true;
    pauseCpu();
  }
  // Let the ranks that share this core come.
  for (int i = 0; i < 8; ++i) {
    if (done())
      return true;
    std::this_thread::yield();
  }
  return done();
}

// Whoever is about to sleep announces itself before it looks at the state for
// the last time; so either it sees the change or it is seen here.
void Rendezvous::wakeSleepers() {
  if (numSleepers.load() == 0)
    return;
  { std::lock_guard lock(mutex); }
  changed.notify_all();
}
