//===- ThreadGroup.h - What ranks that are threads share --------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_RUNTIME_COMM_THREADGROUP_H
#define MOE_RUNTIME_COMM_THREADGROUP_H

#include "runtime/comm/Call.h"
#include "runtime/comm/Rendezvous.h"

#include <map>

namespace moe {

/// Up to so many bytes travel in a note itself.
constexpr size_t kStagedBytes = kSmallReduceBytes;

/// What a rank calls, and where its bytes are.
struct Note {
  Call call;
  bool isStaged = false;
  std::vector<SendBlock> send;
  std::vector<size_t> recvBytes;
  std::unique_ptr<std::byte[]> stage;
};

/// Threads that are ranks of one group.
struct ThreadGroup {
  ThreadGroup(std::shared_ptr<RendezvousFamily> family, std::vector<int> names);

  /// What a rank publishes in its n-th operation.
  Note &note(uint64_t operation, int rank) {
    return notes[(operation & 1) * numRanks + rank];
  }

  /// "rank 4": what the root calls it.
  std::string nameOf(int rank) const {
    return "rank " + std::to_string(names[rank]);
  }
  /// The new group of those that gave `color`, for one of its members.
  std::shared_ptr<ThreadGroup> takePart(int color,
                                        const std::vector<int> &members);

  const std::shared_ptr<RendezvousFamily> family;
  const std::vector<int> names;
  const int numRanks;
  Rendezvous meeting;
  std::vector<Note> notes;

private:
  /// A group that is being split off, until all its members have taken it.
  struct Part {
    std::shared_ptr<ThreadGroup> group;
    int numTaken = 0;
  };
  std::mutex partsMutex;
  std::map<int, Part> parts;
};

} // namespace moe

#endif // MOE_RUNTIME_COMM_THREADGROUP_H
