//===- ArenaSolver.cpp - Places buffers in one block of memory ------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/support/ArenaSolver.h"
#include "runtime/support/CheckedMath.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <string>

using namespace moe;

static bool overlapInTime(const ArenaInterval &a, const ArenaInterval &b) {
  return a.first <= b.last && b.first <= a.last;
}

/// Sizes have passed check(), so this does not overflow.
static uint64_t alignedBytes(const ArenaInterval &interval) {
  return *checkedAlignUp(interval.bytes);
}

Status ArenaProblem::check() const {
  uint64_t total = 0;
  for (size_t i = 0; i < intervals.size(); ++i) {
    const ArenaInterval &interval = intervals[i];
    if (interval.first > interval.last)
      return Status(StatusCode::Internal,
                    "arena interval " + std::to_string(i) + " begins at step " +
                        std::to_string(interval.first) + " and ends at step " +
                        std::to_string(interval.last));
    std::optional<uint64_t> aligned = checkedAlignUp(interval.bytes);
    if (!aligned || __builtin_add_overflow(total, *aligned, &total))
      return Status(StatusCode::OutOfMemory,
                    "arena interval " + std::to_string(i) + " of " +
                        std::to_string(interval.bytes) +
                        " bytes overflows the arena");
  }
  return Status::ok();
}

Status ArenaProblem::verify(const ArenaSolution &solution) const {
  auto fail = [](size_t i, const std::string &what) {
    return Status(StatusCode::Internal,
                  "arena interval " + std::to_string(i) + " " + what);
  };
  if (solution.offsets.size() != intervals.size())
    return Status(StatusCode::Internal,
                  "arena has " + std::to_string(solution.offsets.size()) +
                      " offsets, expected " + std::to_string(intervals.size()));
  for (size_t i = 0; i < intervals.size(); ++i) {
    uint64_t begin = solution.offsets[i], bytes = intervals[i].bytes;
    if (begin % kAlignment != 0)
      return fail(i, "is not aligned");
    if (begin > solution.totalBytes || bytes > solution.totalBytes - begin)
      return fail(i, "lies outside the arena");
    for (size_t j = 0; j < i; ++j)
      if (overlapInTime(intervals[i], intervals[j]) &&
          begin < solution.offsets[j] + intervals[j].bytes &&
          solution.offsets[j] < begin + bytes)
        return fail(i, "shares bytes with interval " + std::to_string(j));
  }
  return Status::ok();
}

uint64_t ArenaProblem::lowerBound() const {
  // Differences of the sum of live bytes, in wrapping arithmetic.
  std::map<int64_t, uint64_t> changes;
  for (const ArenaInterval &interval : intervals) {
    changes[interval.first] += alignedBytes(interval);
    changes[int64_t(interval.last) + 1] -= alignedBytes(interval);
  }
  uint64_t live = 0, most = 0;
  for (const auto &[step, change] : changes) {
    live += change;
    most = std::max(most, live);
  }
  return most;
}

/// The begin of the smallest gap of at least `bytes` between `taken`, ranges
/// [begin, end) sorted by begin; or the end of the last one.
static uint64_t bestGap(const std::vector<std::pair<uint64_t, uint64_t>> &taken,
                        uint64_t bytes) {
  uint64_t end = 0, best = 0, bestSize = UINT64_MAX;
  for (const auto &[nextBegin, nextEnd] : taken) {
    if (nextBegin > end) {
      uint64_t gap = nextBegin - end;
      if (gap >= bytes && gap < bestSize) {
        best = end;
        bestSize = gap;
      }
    }
    end = std::max(end, nextEnd);
  }
  return bestSize == UINT64_MAX ? end : best;
}

StatusOr<ArenaSolution> moe::solveArena(const ArenaProblem &problem) {
  MOE_RETURN_IF_ERROR(problem.check());
  const std::vector<ArenaInterval> &intervals = problem.intervals;
  std::vector<size_t> order(intervals.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    return intervals[a].bytes > intervals[b].bytes;
  });

  ArenaSolution solution;
  solution.offsets.resize(intervals.size());
  std::vector<size_t> placed;
  std::vector<std::pair<uint64_t, uint64_t>> taken;
  for (size_t i : order) {
    uint64_t bytes = alignedBytes(intervals[i]);
    if (bytes == 0)
      continue;
    taken.clear();
    for (size_t j : placed)
      if (overlapInTime(intervals[i], intervals[j]))
        taken.emplace_back(solution.offsets[j],
                           solution.offsets[j] + alignedBytes(intervals[j]));
    std::sort(taken.begin(), taken.end());
    solution.offsets[i] = bestGap(taken, bytes);
    solution.totalBytes =
        std::max(solution.totalBytes, solution.offsets[i] + bytes);
    placed.push_back(i);
  }
  return solution;
}
