//===- ProcessRanks.cpp - Ranks of a plan that are processes --------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/exec/ProcessRanks.h"

#include <cinttypes>
#include <cstdio>

using namespace moe;

namespace {

/// What processes compare before they start.
struct PlanId {
  uint64_t hash = 0;
  int32_t major = kPlanMajor;
  int32_t minor = kPlanMinor;

  bool operator==(const PlanId &) const = default;
  std::string describe() const {
    char text[64];
    std::snprintf(text, sizeof(text), "plan %016" PRIx64 " (format %d.%d)",
                  hash, major, minor);
    return text;
  }
};

class ProcessRanks final : public Communicators {
public:
  ProcessRanks(std::shared_ptr<ProcessGroup> processes,
               std::chrono::milliseconds timeout)
      : processes(std::move(processes)), timeout(timeout) {}

  Status gather(std::span<const std::byte> mine,
                std::span<std::byte> all) override {
    return processes->gather(mine, all).at(
        "rank " + std::to_string(processes->rank()) + ", between runs");
  }
  std::span<const int> ownCores() const override {
    return processes->ownCores();
  }

protected:
  StatusOr<std::vector<std::unique_ptr<Communicator>>> connectWorld() override {
    std::vector<std::unique_ptr<Communicator>> worlds(1);
    MOE_ASSIGN_OR_RETURN(
        worlds[0], processes->createCommunicator(processes->size(), timeout));
    return worlds;
  }

private:
  const std::shared_ptr<ProcessGroup> processes;
  const std::chrono::milliseconds timeout;
};

} // namespace

Status moe::agreeOnPlan(ProcessGroup &processes, const PlanFile &plan) {
  PlanId mine{plan.hash()};
  int numRanks = static_cast<int>(plan.program().num_ranks);
  std::vector<PlanId> all(processes.size());
  MOE_RETURN_IF_ERROR(processes.gather(std::as_bytes(std::span(&mine, 1)),
                                       std::as_writable_bytes(std::span(all))));
  for (int rank = 1; rank < processes.size(); ++rank)
    if (all[rank] != all[0])
      return Status(StatusCode::BadPlan,
                    "ranks have different plans: rank 0 has " +
                        all[0].describe() + ", rank " + std::to_string(rank) +
                        " has " + all[rank].describe());
  if (processes.size() != numRanks)
    return Status(StatusCode::Usage,
                  "the plan is for " + std::to_string(numRanks) +
                      " ranks, but there are " +
                      std::to_string(processes.size()) + " processes");
  return Status::ok();
}

std::unique_ptr<Communicators>
moe::createProcessRanks(std::shared_ptr<ProcessGroup> processes,
                        std::chrono::milliseconds timeout) {
  return std::make_unique<ProcessRanks>(std::move(processes), timeout);
}
