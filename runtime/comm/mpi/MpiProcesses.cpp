//===- MpiProcesses.cpp - The library that is opened at run time ----------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/comm/mpi/MpiCommunicator.h"
#include "runtime/comm/mpi/MpiWorld.h"

#include <exception>
#include <numeric>

using namespace moe;
using namespace moe::mpi;

namespace {

class MpiProcesses final : public ProcessGroup {
public:
  explicit MpiProcesses(const ProcessOptions &options)
      : options(options), world(std::make_shared<MpiWorld>(options)) {}

  Status start() {
    MOE_RETURN_IF_ERROR(world->start());
    MOE_ASSIGN_OR_RETURN(everyone, create(world->size(), options.timeout));
    return Status::ok();
  }

  int rank() const override { return world->rank(); }
  int size() const override { return world->size(); }
  int numNeighbours() const override { return world->numNeighbours(); }
  int numCores() const override { return world->numCores(); }
  std::span<const int> ownCores() const override { return world->ownCores(); }

  StatusOr<std::unique_ptr<Communicator>>
  createCommunicator(int numRanks, std::chrono::milliseconds timeout) override {
    MOE_ASSIGN_OR_RETURN(std::unique_ptr<MpiCommunicator> communicator,
                         create(numRanks, timeout));
    return std::unique_ptr<Communicator>(std::move(communicator));
  }
  Status gather(std::span<const std::byte> mine,
                std::span<std::byte> all) override {
    return everyone->gatherPatiently(mine, all);
  }
  void abort(const Status &why) override {
    world->findReasonOfSignal(why);
    std::string name = "rank " + std::to_string(rank());
    world->failAll(abortError(name, why));
    world->flush();
  }
  Status check() override { return everyone->check(); }
  void leave() override { world->leave(); }
  Status finish() override {
    MOE_RETURN_IF_ERROR(gather({}, {}));
    return world->finish();
  }

private:
  StatusOr<std::unique_ptr<MpiCommunicator>>
  create(int numRanks, std::chrono::milliseconds timeout) {
    uint32_t number = numFamilies++;
    if (numRanks < 1 || numRanks > size())
      return Status(StatusCode::Usage, std::to_string(numRanks) + " ranks of " +
                                           std::to_string(size()) +
                                           " processes");
    if (firstChannelOf(number + 1) > world->maxTag() / 2)
      return Status(StatusCode::Internal, "too many communicators");
    if (rank() >= numRanks)
      return std::unique_ptr<MpiCommunicator>();
    MpiGroup group;
    group.family =
        std::make_shared<MpiFamily>(world, number, numRanks, timeout);
    group.channel = static_cast<int>(firstChannelOf(number));
    group.rank = rank();
    group.members.resize(numRanks);
    std::iota(group.members.begin(), group.members.end(), 0);
    return std::make_unique<MpiCommunicator>(std::move(group),
                                             std::make_shared<Counters>());
  }

  const ProcessOptions options;
  std::shared_ptr<MpiWorld> world;
  uint32_t numFamilies = 0;
  std::unique_ptr<MpiCommunicator> everyone;
};

StatusOr<std::shared_ptr<ProcessGroup>> open(const ProcessOptions &options) {
  try {
    auto processes = std::make_shared<MpiProcesses>(options);
    MOE_RETURN_IF_ERROR(processes->start());
    return std::shared_ptr<ProcessGroup>(std::move(processes));
  } catch (const std::exception &error) {
    return Status(StatusCode::OutOfMemory, error.what());
  }
}

} // namespace

extern "C" __attribute__((visibility("default"))) const ProcessLibrary *
moeProcessLibrary() {
  static constexpr ProcessLibrary library{kProcessLibraryVersion, open};
  return &library;
}
