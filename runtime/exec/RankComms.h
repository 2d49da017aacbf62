//===- RankComms.h - The communicators of ranks -----------------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A rank talks to all others, to the groups of the mesh that it belongs to, and
// in exchanges of two stages to its node and to the ranks of its place in the
// other nodes. Groups are split off the world only if a step needs them and
// they are not the world itself.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_RUNTIME_EXEC_RANKCOMMS_H
#define MOE_RUNTIME_EXEC_RANKCOMMS_H

#include "runtime/comm/Communicator.h"
#include "runtime/exec/Executable.h"
#include "runtime/exec/RankThreads.h"

#include <chrono>
#include <map>
#include <memory>
#include <span>
#include <vector>

namespace moe {

/// Those of one step; see StepContext.
struct StepComms {
  Communicator *group = nullptr;
  Communicator *insideNode = nullptr;
  Communicator *acrossNodes = nullptr;
};

/// The communicators of one rank.
class RankComms {
public:
  explicit RankComms(std::unique_ptr<Communicator> world)
      : theWorld(std::move(world)) {}

  /// Makes the groups that the steps need; all ranks call it at once.
  Status split(const Executable &executable);

  Communicator &world() const { return *theWorld; }
  const StepComms &ofStep(int step) const { return steps[step]; }

private:
  StatusOr<Communicator *> group(plan::Group group, const Mesh &mesh);
  Status addNodes(StepComms &comms, plan::Group group, int nodeSize);
  StatusOr<Communicator *> splitOff(Communicator &from, int color);

  std::unique_ptr<Communicator> theWorld;
  std::vector<std::unique_ptr<Communicator>> parts;
  std::map<plan::Group, Communicator *> groups;
  std::map<std::pair<plan::Group, int>, StepComms> nodes;
  std::vector<StepComms> steps;
};

/// The communicators of all ranks of a context that this process hosts. Another
/// way to connect ranks is another subclass.
class Communicators {
public:
  virtual ~Communicators();

  /// Connects the ranks: first of all, and again after a run that failed,
  /// because communicators that have failed stay so. Counters go on counting.
  Status connect(const Executable &executable, RankThreads &threads);
  /// Of the place-th hosted rank.
  RankComms &of(int place) const { return *ranks[place]; }
  int numHosted() const { return static_cast<int>(ranks.size()); }

  /// Of ranks that are processes, called by all: the bytes of rank r are at
  /// all[r * mine.size()].
  virtual Status gather(std::span<const std::byte> mine,
                        std::span<std::byte> all);

  /// Of ranks that are processes, the cores that are for this one; empty if
  /// none are.
  virtual std::span<const int> ownCores() const { return {}; }

protected:
  /// One for each hosted rank, of all ranks.
  virtual StatusOr<std::vector<std::unique_ptr<Communicator>>>
  connectWorld() = 0;

private:
  std::vector<std::unique_ptr<RankComms>> ranks;
};

/// Of ranks that are threads of this process, for which `numThreads` work.
std::unique_ptr<Communicators>
createThreadRanks(int numRanks, int numThreads,
                  std::chrono::milliseconds timeout);

} // namespace moe

#endif // MOE_RUNTIME_EXEC_RANKCOMMS_H
