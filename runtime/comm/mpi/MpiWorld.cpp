//===- MpiWorld.cpp - All processes, and who watches them -----------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/comm/mpi/MpiWorld.h"

#include "runtime/comm/mpi/MpiFamily.h"

#include <algorithm>

using namespace moe;
using namespace moe::mpi;
using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

/// How often the watcher looks for notices, and after the processes.
static constexpr milliseconds kNoticePeriod{10};
static constexpr milliseconds kProcessPeriod{50};
/// How long notices may take to leave.
static constexpr milliseconds kFlushTime{200};

//===----------------------------------------------------------------------===//
// Errors
//===----------------------------------------------------------------------===//

void MpiWorld::addFamily(MpiFamily &family) {
  std::lock_guard lock(familiesMutex);
  families[family.number] = &family;
  if (!errorOfAll.isOk())
    family.failHere(errorOfAll);
  else if (auto it = earlyErrors.find(family.number); it != earlyErrors.end())
    family.failHere(it->second);
  earlyErrors.erase(family.number);
}

void MpiWorld::removeFamily(MpiFamily &family) {
  std::lock_guard lock(familiesMutex);
  families.erase(family.number);
}

void MpiWorld::tellAbort(uint32_t family, int numRanks, const Status &why) {
  tell(numRanks, Notice::abort(family, why));
}

void MpiWorld::tell(int numRanks, const Notice &notice) {
  for (int to = 0; to < numRanks; ++to)
    if (to != theRank && !hasLeft[to])
      port.post(to, notice);
  wakeWatcher();
}

void MpiWorld::failAll(const Status &why) {
  {
    std::lock_guard lock(familiesMutex);
    if (!errorOfAll.isOk())
      return;
    errorOfAll = why;
    for (auto &[number, family] : families)
      family->failHere(why);
  }
  tellAbort(kAllFamilies, theSize, why);
}

void MpiWorld::takeAbort(const Notice &notice) {
  std::lock_guard lock(familiesMutex);
  Status why = notice.error();
  if (notice.family == kAllFamilies) {
    if (errorOfAll.isOk())
      errorOfAll = why;
    for (auto &[number, family] : families)
      family->failHere(why);
  } else if (auto it = families.find(notice.family); it != families.end()) {
    it->second->failHere(why);
  } else {
    earlyErrors.emplace(notice.family, why);
  }
}

void MpiWorld::flush() {
  Clock::time_point end = Clock::now() + kFlushTime;
  while (!port.isFlushed() && Clock::now() < end) {
    lookAround();
    std::this_thread::sleep_for(milliseconds(1));
  }
}

void MpiWorld::abandon(std::vector<std::byte> memory) {
  std::lock_guard lock(abandonedMutex);
  abandoned.push_back(std::move(memory));
}

//===----------------------------------------------------------------------===//
// Watching
//===----------------------------------------------------------------------===//

void MpiWorld::watch() {
  for (;;) {
    lookAround();
    std::unique_lock lock(wakeMutex);
    wake.wait_for(lock, kNoticePeriod, [&] { return isStopping || isWanted; });
    if (isStopping)
      return;
    isWanted = false;
  }
}

void MpiWorld::wakeWatcher() {
  {
    std::lock_guard lock(wakeMutex);
    isWanted = true;
  }
  wake.notify_all();
}

void MpiWorld::poll() {
  port.poll(
      [&](int from, const Notice &notice) { handleNotice(from, notice); });
}

void MpiWorld::lookAround() {
  std::lock_guard lock(pollMutex);
  poll();
  if (Clock::now() < nextLook)
    return;
  nextLook = Clock::now() + kProcessPeriod;
  findDead();
}

void MpiWorld::findDead() {
  for (int rank = 0; rank < theSize; ++rank) {
    if (rank == theRank || hasLeft[rank] ||
        stateOf(processes[rank], self) != ProcessState::Dead)
      continue;
    // It may have said why it ends; its messages are here already.
    for (int i = 0; i < 16; ++i)
      poll();
    if (hasLeft[rank])
      continue;
    hasLeft[rank] = true;
    failAll(Status(StatusCode::RankFailed,
                   "rank " + std::to_string(rank) + " (process " +
                       std::to_string(processes[rank].number) + ") has died"));
  }
}

void MpiWorld::handleNotice(int from, const Notice &notice) {
  switch (notice.kind) {
  case NoticeKind::Abort:
    return takeAbort(notice);
  case NoticeKind::Question:
    return answer(from, notice);
  case NoticeKind::Answer:
    return takeAnswer(from, notice);
  case NoticeKind::Goodbye:
    hasLeft[from] = true;
    return;
  }
}

void MpiWorld::answer(int to, const Notice &question) {
  Notice notice;
  notice.kind = NoticeKind::Answer;
  notice.number = question.number;
  {
    std::lock_guard lock(waitingMutex);
    if (!waiting.empty()) {
      const std::vector<int> &missing = waiting.begin()->second;
      notice.numMissing = std::min<int>(missing.size(), Notice::kMaxMissing);
      std::copy_n(missing.begin(), notice.numMissing, notice.missing);
    }
  }
  port.post(to, notice);
  wakeWatcher();
}

void MpiWorld::setWaiting(const void *operation, std::vector<int> missing) {
  std::lock_guard lock(waitingMutex);
  waiting[operation] = std::move(missing);
}

void MpiWorld::clearWaiting(const void *operation) {
  std::lock_guard lock(waitingMutex);
  waiting.erase(operation);
}
