//===- Blame.cpp - Finds the rank for which all wait ----------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/comm/mpi/MpiWorld.h"

#include <algorithm>
#include <iterator>
#include <set>

using namespace moe;
using namespace moe::mpi;
using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

/// How long an answer may take; a watcher that gets no core needs a while.
static constexpr milliseconds kAnswerTime{400};
/// Names in an error.
static constexpr size_t kMaxNames = 8;

void MpiWorld::takeAnswer(int from, const Notice &notice) {
  Answer told;
  told.number = notice.number;
  told.isWaiting = notice.numMissing >= 0;
  for (int i = 0; i < std::min(notice.numMissing, Notice::kMaxMissing); ++i)
    if (notice.missing[i] >= 0 && notice.missing[i] < theSize)
      told.missing.push_back(notice.missing[i]);
  std::lock_guard lock(answersMutex);
  answers[from] = std::move(told);
  answersChanged.notify_all();
}

/// Asks ranks whom they wait for; those that do not answer are left out.
std::map<int, MpiWorld::Answer>
MpiWorld::askAll(const std::vector<int> &ranks) {
  Notice question;
  question.kind = NoticeKind::Question;
  {
    std::lock_guard lock(answersMutex);
    question.number = ++numQuestions;
    answers.clear();
  }
  for (int rank : ranks)
    port.post(rank, question);
  Clock::time_point end = Clock::now() + kAnswerTime;
  std::unique_lock lock(answersMutex);
  auto hasAll = [&] {
    return std::all_of(ranks.begin(), ranks.end(), [&](int rank) {
      auto it = answers.find(rank);
      return it != answers.end() && it->second.number == question.number;
    });
  };
  while (!hasAll() && Clock::now() < end) {
    lock.unlock();
    lookAround();
    lock.lock();
    answersChanged.wait_for(lock, milliseconds(1), hasAll);
  }
  std::erase_if(answers, [&](const auto &entry) {
    return entry.second.number != question.number;
  });
  return answers;
}

std::string MpiWorld::Blame::describe() const {
  std::string text = ranks.size() == 1 ? "rank " : "ranks ";
  for (size_t i = 0; i < std::min(ranks.size(), kMaxNames); ++i)
    text += (i == 0 ? "" : ", ") + std::to_string(ranks[i]);
  if (ranks.size() > kMaxNames)
    text += " and " + std::to_string(ranks.size() - kMaxNames) + " more";
  switch (fault) {
  case Fault::Stopped:
    return text + " (stopped)";
  case Fault::Silent:
    return text + " (no answer)";
  case Fault::Busy:
    return text + " (busy)";
  case Fault::Deadlock:
    return text + " (waiting too)";
  }
  return text;
}

void MpiWorld::findReasonOfSignal(const Status &why) {
  if (why.code() != StatusCode::Interrupted &&
      why.code() != StatusCode::Terminated)
    return;
  {
    std::lock_guard lock(pollMutex);
    findDead();
  }
  // Of ranks elsewhere nothing is known but whether they answer.
  std::vector<int> missing;
  {
    std::lock_guard lock(waitingMutex);
    for (const auto &[operation, ranks] : waiting)
      std::copy_if(ranks.begin(), ranks.end(), std::back_inserter(missing),
                   [&](int rank) {
                     return stateOf(processes[rank], self) ==
                            ProcessState::Unknown;
                   });
  }
  if (missing.empty())
    return;
  Blame found = blame(missing);
  if (found.fault == Fault::Silent)
    failAll(Status(StatusCode::RankFailed,
                   found.describe() + " when the launcher ended the job"));
}

MpiWorld::Blame MpiWorld::blame(const std::vector<int> &missing) {
  std::lock_guard lock(blameMutex);
  std::set<int> seen{theRank};
  std::vector<int> stopped, silent, busy, next = missing;
  while (!next.empty()) {
    std::vector<int> asked;
    for (int rank : next) {
      if (!seen.insert(rank).second)
        continue;
      if (stateOf(processes[rank], self) == ProcessState::Stopped)
        stopped.push_back(rank);
      else
        asked.push_back(rank);
    }
    next.clear();
    if (asked.empty())
      break;
    std::map<int, Answer> told = askAll(asked);
    for (int rank : asked) {
      auto it = told.find(rank);
      if (it == told.end())
        silent.push_back(rank);
      else if (!it->second.isWaiting)
        busy.push_back(rank);
      else
        next.insert(next.end(), it->second.missing.begin(),
                    it->second.missing.end());
    }
  }
  if (!stopped.empty())
    return {Fault::Stopped, stopped};
  if (!silent.empty())
    return {Fault::Silent, silent};
  if (!busy.empty())
    return {Fault::Busy, busy};
  return {Fault::Deadlock, missing};
}
