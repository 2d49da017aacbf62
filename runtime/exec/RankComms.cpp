//===- RankComms.cpp - The communicators of ranks -------------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/exec/RankComms.h"
#include "runtime/exec/Guarded.h"

using namespace moe;

//===----------------------------------------------------------------------===//
// One rank
//===----------------------------------------------------------------------===//

/// All ranks make the same splits in the same order; the tag is their number.
StatusOr<Communicator *> RankComms::splitOff(Communicator &from, int color) {
  MOE_ASSIGN_OR_RETURN(std::unique_ptr<Communicator> part,
                       from.split(color, static_cast<uint32_t>(parts.size())));
  parts.push_back(std::move(part));
  return parts.back().get();
}

StatusOr<Communicator *> RankComms::group(plan::Group group, const Mesh &mesh) {
  if (mesh.sizeOf(group) == mesh.numRanks)
    return theWorld.get();
  Communicator *&known = groups[group];
  if (!known) {
    MOE_ASSIGN_OR_RETURN(
        known, splitOff(*theWorld, mesh.colorOf(theWorld->rank(), group)));
  }
  return known;
}

Status RankComms::addNodes(StepComms &comms, plan::Group group, int nodeSize) {
  auto [known, isNew] = nodes.try_emplace({group, nodeSize});
  StepComms &pair = known->second;
  if (isNew) {
    int place = comms.group->rank(), size = comms.group->size();
    pair.insideNode = pair.acrossNodes = comms.group;
    if (nodeSize < size) {
      MOE_ASSIGN_OR_RETURN(pair.insideNode,
                           splitOff(*comms.group, place / nodeSize));
    }
    if (nodeSize > 1) {
      MOE_ASSIGN_OR_RETURN(pair.acrossNodes,
                           splitOff(*comms.group, place % nodeSize));
    }
  }
  comms.insideNode = pair.insideNode;
  comms.acrossNodes = pair.acrossNodes;
  return Status::ok();
}

Status RankComms::split(const Executable &executable) {
  for (int step = 0; step < executable.numSteps(); ++step) {
    plan::Group kind = executable.program->steps[step]->group;
    StepComms comms;
    MOE_ASSIGN_OR_RETURN(comms.group, group(kind, executable.mesh));
    if (int nodeSize = executable.steps[step].nodeSize; nodeSize > 0)
      MOE_RETURN_IF_ERROR(addNodes(comms, kind, nodeSize));
    steps.push_back(comms);
  }
  return Status::ok();
}

//===----------------------------------------------------------------------===//
// All ranks
//===----------------------------------------------------------------------===//

Communicators::~Communicators() = default;

Status Communicators::gather(std::span<const std::byte> mine,
                             std::span<std::byte> all) {
  return Status(StatusCode::Internal, "these ranks are no processes");
}

Status Communicators::connect(const Executable &executable,
                              RankThreads &threads) {
  MOE_ASSIGN_OR_RETURN(std::vector<std::unique_ptr<Communicator>> worlds,
                       connectWorld());
  std::vector<std::unique_ptr<RankComms>> fresh;
  for (size_t rank = 0; rank < worlds.size(); ++rank) {
    if (rank < ranks.size())
      worlds[rank]->counters() = ranks[rank]->world().counters();
    fresh.push_back(std::make_unique<RankComms>(std::move(worlds[rank])));
  }
  ranks = std::move(fresh);
  std::vector<Status> results(ranks.size());
  threads.run([&](int rank) {
    results[rank] = guarded([&] { return ranks[rank]->split(executable); });
    if (!results[rank].isOk())
      ranks[rank]->world().abort(results[rank]);
  });
  for (const Status &status : results)
    MOE_RETURN_IF_ERROR(status);
  return Status::ok();
}

namespace {

class ThreadRanks final : public Communicators {
public:
  ThreadRanks(int numRanks, int numThreads, std::chrono::milliseconds timeout)
      : count(numRanks), numThreads(numThreads), timeout(timeout) {}

protected:
  StatusOr<std::vector<std::unique_ptr<Communicator>>> connectWorld() override {
    return createThreadCommunicators(count, timeout, numThreads);
  }

private:
  const int count, numThreads;
  const std::chrono::milliseconds timeout;
};

} // namespace

std::unique_ptr<Communicators>
moe::createThreadRanks(int numRanks, int numThreads,
                       std::chrono::milliseconds timeout) {
  return std::make_unique<ThreadRanks>(numRanks, numThreads, timeout);
}
