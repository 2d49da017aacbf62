//===- GateDrop.cpp - Who gets a place in an expert -----------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/kernels/cpu/GateDrop.h"

#include <algorithm>
#include <limits>

namespace moe::cpu {

//===----------------------------------------------------------------------===//
// Memory
//===----------------------------------------------------------------------===//

/// Of n units, each of p ranks has at least (n - p + 1) / p. So if this one has
/// any, n is at most 2 p - 1 times as many; if not, it has nothing to decide
/// and nobody sends it anything.
int64_t GateDrop::wholeAtMost(int64_t tokens) const {
  if (!isDivided)
    return tokens;
  // What overflows cannot be allocated either.
  return checkedMul(tokens, int64_t(2) * numRanks - 1)
      .value_or(std::numeric_limits<int64_t>::max());
}

DropMemory GateDrop::cut(Scratch &scratch, int64_t tokens,
                         int64_t experts) const {
  bool drops = config.dropPolicy != DropPolicy::None;
  bool byScore = drops && !isByPosition();
  auto takeIf = [&]<typename T>(bool isNeeded, int64_t rows, int64_t columns) {
    auto count = checkedMul(rows, columns);
    T *taken = scratch.take<T>(
        !isNeeded ? 0 : count.value_or(std::numeric_limits<int64_t>::max()));
    return isNeeded ? taken : nullptr;
  };
  int64_t whole = wholeAtMost(tokens);
  bool sendsCounts = isDivided && isByPosition();
  bool sendsKeys = isDivided && byScore;
  DropMemory memory;
  memory.counts = takeIf.operator()<int64_t>(drops, experts + 1, 1);
  memory.competitors = takeIf.operator()<Competitor>(byScore, tokens, config.k);
  memory.queue = takeIf.operator()<int64_t>(byScore, whole, config.k);
  memory.received = takeIf.operator()<Competitor>(sendsKeys, whole, config.k);
  memory.ownCounts = takeIf.operator()<int32_t>(sendsCounts, config.k, experts);
  memory.allCounts =
      takeIf.operator()<int32_t>(sendsCounts, numRanks * config.k, experts);
  memory.send = takeIf.operator()<SendBlock>(sendsKeys, numRanks, 1);
  memory.recv = takeIf.operator()<RecvBlock>(sendsKeys, numRanks, 1);
  return memory;
}

//===----------------------------------------------------------------------===//
// By position
//===----------------------------------------------------------------------===//

Status GateDrop::exchangeCounts(const Choices &choices,
                                const DropMemory &memory,
                                StepContext &context) const {
  int64_t k = config.k, experts = choices.experts;
  std::span own(memory.ownCounts, k * experts);
  std::fill(own.begin(), own.end(), 0);
  for (int64_t i = 0; i < choices.tokens * k; ++i)
    if (choices.chosen[i] >= 0)
      ++own[i % k * experts + choices.chosen[i]];
  std::span all(memory.allCounts, own.size() * numRanks);
  return context.comm.allGather(std::as_bytes(own), std::as_writable_bytes(all),
                                context.tag);
}

/// Counts the choices [beginChoice, endChoice) of tokens of the first ranks.
void GateDrop::addCounts(const Choices &choices, const DropMemory &memory,
                         int numFirst, int64_t beginChoice,
                         int64_t endChoice) const {
  int64_t experts = choices.experts;
  for (int r = 0; r < numFirst; ++r)
    for (int64_t j = beginChoice; j < endChoice; ++j)
      for (int64_t e = 0; e < experts; ++e)
        memory.counts[e] += memory.allCounts[(r * config.k + j) * experts + e];
}

/// Places go in order: by choice, then token, or by token, then choice. Who
/// comes too late is counted all the same.
void GateDrop::dropLate(const Choices &choices, const DropMemory &memory,
                        int64_t capacity) const {
  int64_t k = config.k;
  auto place = [&](int64_t choice) {
    int32_t expert = choices.chosen[choice];
    if (expert >= 0 && memory.counts[expert]++ >= capacity)
      choices.drop(choice);
  };
  std::fill_n(memory.counts, choices.experts, 0);
  if (config.dropPolicy == DropPolicy::Token) {
    if (isDivided)
      addCounts(choices, memory, rank, 0, k);
    for (int64_t choice = 0; choice < choices.tokens * k; ++choice)
      place(choice);
    return;
  }
  for (int64_t j = 0; j < k; ++j) {
    if (isDivided) {
      std::fill_n(memory.counts, choices.experts, 0);
      addCounts(choices, memory, numRanks, 0, j);
      addCounts(choices, memory, rank, j, j + 1);
    }
    for (int64_t token = 0; token < choices.tokens; ++token)
      place(token * k + j);
  }
}

//===----------------------------------------------------------------------===//
// By score and at random
//===----------------------------------------------------------------------===//

/// Competitors of all tokens, in order, for the ranks that have tokens.
Status GateDrop::exchangeCompetitors(const Choices &choices,
                                     const RowsOfRanks &rows,
                                     const DropMemory &memory,
                                     StepContext &context) const {
  if (choices.tokens > 0 && rows.whole > wholeAtMost(choices.tokens))
    return Status(StatusCode::BadPlan, "gate: this rank has " +
                                           std::to_string(choices.tokens) +
                                           " of " + std::to_string(rows.whole) +
                                           " tokens, less than its part");
  size_t rowBytes = static_cast<size_t>(config.k) * sizeof(Competitor);
  auto *own = reinterpret_cast<const std::byte *>(choices.competitors);
  auto *all = reinterpret_cast<std::byte *>(memory.received);
  size_t ownBytes = static_cast<size_t>(choices.tokens) * rowBytes;
  for (int r = 0; r < numRanks; ++r) {
    int64_t units = rows.begins[r + 1] - rows.begins[r];
    size_t begin = static_cast<size_t>(rows.begins[r] * rows.each) * rowBytes;
    memory.send[r] = {own, units > 0 ? ownBytes : 0};
    memory.recv[r] = {all + begin,
                      static_cast<size_t>(units * rows.each) * rowBytes};
  }
  size_t count = static_cast<size_t>(numRanks);
  return context.comm.allToAllV({memory.send, count}, {memory.recv, count},
                                context.tag);
}

/// Fills the queue; counts[e] becomes the end of those who chose expert e.
void GateDrop::sortByExpert(const Choices &choices, const Competitor *all,
                            int64_t numAll, const DropMemory &memory) const {
  int64_t *begins = memory.counts;
  std::fill_n(begins, choices.experts + 1, 0);
  for (int64_t i = 0; i < numAll; ++i)
    if (all[i].expert >= 0)
      ++begins[all[i].expert + 1];
  for (int64_t e = 0; e < choices.experts; ++e)
    begins[e + 1] += begins[e];
  // Sorting moves each begin to the begin of the next expert.
  for (int64_t i = 0; i < numAll; ++i)
    if (all[i].expert >= 0)
      memory.queue[begins[all[i].expert]++] = i;
}

/// The places of an expert that those who chose it get. By logits, tokens that
/// did not choose it compete with 0, before everybody with a negative logit.
int64_t GateDrop::placesOf(const Competitor *all,
                           std::span<const int64_t> queue, int64_t whole,
                           int64_t capacity) const {
  if (config.dropPolicy != DropPolicy::Logits)
    return capacity;
  int64_t numPositive =
      std::count_if(queue.begin(), queue.end(),
                    [&](int64_t choice) { return !(all[choice].key < 0); });
  int64_t numOthers = whole - static_cast<int64_t>(queue.size());
  return std::max(std::min(capacity, numPositive), capacity - numOthers);
}

bool GateDrop::isBetter(const Competitor *all, int64_t a, int64_t b,
                        int64_t expert) const {
  if (config.dropPolicy == DropPolicy::Random) {
    uint64_t x = randomTokenPriority(config.randomSeed, a / config.k, expert);
    uint64_t y = randomTokenPriority(config.randomSeed, b / config.k, expert);
    return x != y ? x > y : a < b;
  }
  float x = all[a].key, y = all[b].key;
  bool xIsNan = x != x, yIsNan = y != y;
  if (xIsNan != yIsNan)
    return yIsNan;
  return x != y && !xIsNan ? x > y : a < b;
}

/// Places go to the tokens that rank highest, ties to the lower token.
void GateDrop::dropWorst(const Choices &choices, const RowsOfRanks &rows,
                         const Competitor *all, const DropMemory &memory,
                         int64_t capacity) const {
  sortByExpert(choices, all, rows.whole * config.k, memory);
  int64_t firstOwn = isDivided ? rows.begins[rank] * rows.each * config.k : 0;
  int64_t numOwn = choices.tokens * config.k;
  int64_t begin = 0;
  for (int64_t e = 0; e < choices.experts; ++e) {
    int64_t end = memory.counts[e];
    int64_t *first = memory.queue + begin, *last = memory.queue + end;
    begin = end;
    int64_t places = placesOf(all, {first, last}, rows.whole, capacity);
    if (last - first <= places)
      continue;
    std::nth_element(first, first + places, last, [&](int64_t a, int64_t b) {
      return isBetter(all, a, b, e);
    });
    for (int64_t *choice = first + places; choice < last; ++choice)
      if (int64_t own = *choice - firstOwn; own >= 0 && own < numOwn)
        choices.drop(own);
  }
}

Status GateDrop::run(const Choices &choices, const RowsOfRanks &rows,
                     const DropMemory &memory, StepContext &context) const {
  int64_t capacity = config.capacity(rows.whole, choices.experts);
  if (isByPosition()) {
    if (isDivided)
      MOE_RETURN_IF_ERROR(exchangeCounts(choices, memory, context));
    dropLate(choices, memory, capacity);
    return Status::ok();
  }
  if (isDivided)
    MOE_RETURN_IF_ERROR(exchangeCompetitors(choices, rows, memory, context));
  if (choices.tokens > 0)
    dropWorst(choices, rows, isDivided ? memory.received : choices.competitors,
              memory, capacity);
  return Status::ok();
}

} // namespace moe::cpu
