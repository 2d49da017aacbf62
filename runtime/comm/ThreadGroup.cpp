//===- ThreadGroup.cpp - What ranks that are threads share ----------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/comm/ThreadGroup.h"

using namespace moe;

ThreadGroup::ThreadGroup(std::shared_ptr<RendezvousFamily> family,
                         std::vector<int> names)
    : family(std::move(family)), names(std::move(names)),
      numRanks(static_cast<int>(this->names.size())),
      meeting(this->family, this->names), notes(2 * numRanks) {
  for (Note &note : notes) {
    note.send.resize(numRanks);
    note.recvBytes.resize(numRanks);
    note.stage = std::make_unique<std::byte[]>(kStagedBytes);
  }
}

std::shared_ptr<ThreadGroup>
ThreadGroup::takePart(int color, const std::vector<int> &members) {
  // The first to come founds the group. No part of an earlier split is in the
  // way: a rank that comes to the next split has taken its part.
  std::lock_guard lock(partsMutex);
  Part &part = parts[color];
  if (!part.group) {
    std::vector<int> memberNames;
    for (int member : members)
      memberNames.push_back(names[member]);
    part.group = std::make_shared<ThreadGroup>(family, std::move(memberNames));
  }
  std::shared_ptr<ThreadGroup> group = part.group;
  if (++part.numTaken == static_cast<int>(members.size()))
    parts.erase(color);
  return group;
}
