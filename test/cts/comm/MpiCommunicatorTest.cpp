//===- MpiCommunicatorTest.cpp - Processes as ranks -----------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Runs under mpirun: all processes run the same tests in the same order. With
// --elsewhere they know nothing of each other's state, as on several machines;
// --bound and --free say what the launcher was told about cores.
//
//===----------------------------------------------------------------------===//

#include "runtime/comm/ProcessGroup.h"
#include "runtime/support/Cores.h"
#include "test/cts/comm/CommunicatorSuite.h"

#include <bitset>
#include <csignal>
#include <optional>
#include <thread>
#include <unistd.h>

using namespace moe;
using namespace moe::test;
using namespace std::chrono_literals;

static std::shared_ptr<ProcessGroup> processes;
static bool areElsewhere = false;

/// All processes meet before each run, for some leave a failed one late.
static std::vector<std::unique_ptr<Communicator>>
createMpiCommunicators(int numRanks, std::chrono::milliseconds timeout) {
  std::vector<std::unique_ptr<Communicator>> hosted;
  Status met = processes->gather({}, {});
  EXPECT_TRUE(met.isOk()) << met.message();
  auto communicator = processes->createCommunicator(numRanks, timeout);
  EXPECT_TRUE(communicator.isOk()) << communicator.status().message();
  if (communicator.isOk() && *communicator)
    hosted.push_back(*std::move(communicator));
  return hosted;
}

INSTANTIATE_TEST_SUITE_P(Mpi, CommunicatorSuite,
                         testing::ValuesIn(paramsFor(createMpiCommunicators,
                                                     4)),
                         nameOf);

/// Whether the launcher was told to bind processes to cores, or not to.
static std::optional<bool> areBound;

TEST(MpiProcesses, ShareTheCoresUnlessTheyAreBound) {
  if (!areBound || *areBound != isBoundByParent())
    GTEST_SKIP() << "needs a launcher that was told how to bind processes";
  std::span<const int> own = processes->ownCores();
  std::bitset<1024> mine;
  for (int core : own)
    mine.set(core);
  std::vector<std::bitset<1024>> all(processes->size());
  ASSERT_TRUE(processes
                  ->gather(std::as_bytes(std::span(&mine, 1)),
                           std::as_writable_bytes(std::span(all)))
                  .isOk());
  if (*areBound || !coreBudget().hasRoomFor(processes->numNeighbours())) {
    EXPECT_TRUE(own.empty());
    return;
  }
  std::bitset<1024> seen;
  for (const std::bitset<1024> &cores : all) {
    EXPECT_TRUE(cores.any());
    EXPECT_TRUE((seen & cores).none());
    seen |= cores;
  }
  EXPECT_EQ(seen.count(), coreBudget().allowed.size());
}

class MpiProcessesTest : public testing::Test {
protected:
  void SetUp() override {
    if (processes->size() < 4)
      GTEST_SKIP() << "needs four processes";
  }
  std::unique_ptr<Communicator> everyone(std::chrono::milliseconds timeout) {
    return std::move(createMpiCommunicators(processes->size(), timeout).at(0));
  }
};

TEST_F(MpiProcessesTest, DeadlineNamesTheStoppedRankAndNotWhoWaitsForIt) {
  auto comm = everyone(1s);
  auto pairs = comm->split(comm->rank() / 2, 1);
  auto others = comm->split((comm->rank() + 1) / 2, 2);
  ASSERT_TRUE(pairs.isOk() && others.isOk());
  // 0 waits for 1, which waits for 2, which is stopped.
  Status status;
  if (comm->rank() == 2) {
    pid_t self = getpid();
    std::thread([self] {
      if (fork() == 0) {
        std::this_thread::sleep_for(2500ms);
        kill(self, SIGCONT);
        _exit(0);
      }
    }).join();
    raise(SIGSTOP);
    status = comm->barrier(9);
  } else if (comm->rank() == 0) {
    status = (*pairs)->barrier(3);
  } else if (comm->rank() == 1) {
    // Comes later, so that rank 0 is the first to lose its patience.
    std::this_thread::sleep_for(300ms);
    status = (*others)->barrier(4);
  } else {
    status = comm->barrier(9);
  }
  EXPECT_EQ(status.code(), StatusCode::Timeout);
  const char *blamed =
      areElsewhere ? "for rank 2 (no answer)" : "for rank 2 (stopped)";
  EXPECT_NE(status.message().find(blamed), std::string::npos)
      << status.message();
  // Until rank 2 runs again.
  if (comm->rank() != 2)
    std::this_thread::sleep_for(2s);
}

TEST_F(MpiProcessesTest, GatherWaitsForABusyRank) {
  std::vector<int> all(processes->size());
  int mine = processes->rank();
  auto begin = std::chrono::steady_clock::now();
  if (mine == 3)
    std::this_thread::sleep_for(2500ms);
  Status status = processes->gather(std::as_bytes(std::span(&mine, 1)),
                                    std::as_writable_bytes(std::span(all)));
  EXPECT_TRUE(status.isOk()) << status.message();
  for (int rank = 0; rank < processes->size(); ++rank)
    EXPECT_EQ(all[rank], rank);
  EXPECT_GT(std::chrono::steady_clock::now() - begin, 2s);
}

TEST_F(MpiProcessesTest, MovesMoreThanAMessageHolds) {
  auto comm = everyone(60s);
  const size_t bytes = (size_t(1) << 30) + 12345;
  std::vector<std::byte> data;
  std::vector<SendBlock> send(comm->size());
  std::vector<RecvBlock> recv(comm->size());
  if (comm->rank() == 0) {
    data.resize(bytes);
    for (size_t i = 0; i < bytes; i += 4096)
      data[i] = static_cast<std::byte>(i / 4096);
    send[1] = {data.data(), bytes};
  } else if (comm->rank() == 1) {
    data.resize(bytes);
    recv[0] = {data.data(), bytes};
  }
  Status status = comm->allToAllV(send, recv, 1);
  ASSERT_TRUE(status.isOk()) << status.message();
  for (size_t i = 0; comm->rank() == 1 && i < bytes; i += 4096)
    ASSERT_EQ(data[i], static_cast<std::byte>(i / 4096));
}

int main(int argc, char **argv) {
  testing::InitGoogleTest(&argc, argv);
  areElsewhere = argc > 1 && argv[1] == std::string("--elsewhere");
  if (argc > 1 && argv[1] == std::string("--bound"))
    areBound = true;
  if (argc > 1 && argv[1] == std::string("--free"))
    areBound = false;
  auto opened =
      openMpiProcesses({.timeout = 1s, .ignoreProcessTable = areElsewhere});
  if (!opened.isOk()) {
    std::fprintf(stderr, "%s\n", opened.status().message().c_str());
    return opened.status().exitCode();
  }
  processes = *std::move(opened);
  // One process tells what went well, all tell what did not.
  if (processes->rank() != 0) {
    GTEST_FLAG_SET(brief, true);
  }
  int result = RUN_ALL_TESTS();
  Status left = processes->finish();
  if (!left.isOk())
    std::fprintf(stderr, "%s\n", left.message().c_str());
  return result != 0 ? result : left.exitCode();
}
