//===- ProcessTableTest.cpp - How other processes are ---------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/comm/ProcessTable.h"
#include "runtime/comm/LaunchedRanks.h"

#include <csignal>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

using namespace moe;

/// A child that sleeps, as a process of this machine.
class ProcessTableTest : public testing::Test {
protected:
  void SetUp() override {
    if (self.machine == 0)
      GTEST_SKIP() << "this system shows no processes in /proc";
    child.number = fork();
    if (child.number == 0)
      for (;;)
        pause();
    child.machine = self.machine;
    child.startTime = readProcessStat(child.number)->startTime;
  }
  void TearDown() override {
    if (child.number > 0 && !isReaped) {
      kill(child.number, SIGKILL);
      waitpid(child.number, nullptr, 0);
    }
  }
  void reap() {
    waitpid(child.number, nullptr, 0);
    isReaped = true;
  }
  bool becomes(ProcessState state) {
    for (int i = 0; i < 2000 && stateOf(child, self) != state; ++i)
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    return stateOf(child, self) == state;
  }

  ProcessId self = ProcessId::ofThis();
  ProcessId child;
  bool isReaped = false;
};

TEST_F(ProcessTableTest, KnowsWhoRunsAndWhoIsStopped) {
  EXPECT_EQ(stateOf(self, self), ProcessState::Running);
  EXPECT_TRUE(becomes(ProcessState::Running));
  kill(child.number, SIGSTOP);
  EXPECT_TRUE(becomes(ProcessState::Stopped));
  kill(child.number, SIGCONT);
  EXPECT_TRUE(becomes(ProcessState::Running));
}

TEST_F(ProcessTableTest, KnowsTheDeadBeforeAndAfterTheyAreReaped) {
  kill(child.number, SIGKILL);
  EXPECT_TRUE(becomes(ProcessState::Dead));
  reap();
  EXPECT_EQ(stateOf(child, self), ProcessState::Dead);
}

TEST_F(ProcessTableTest, ALaterProcessOfTheSameNumberIsAnother) {
  child.startTime += 1;
  EXPECT_EQ(stateOf(child, self), ProcessState::Dead);
}

TEST_F(ProcessTableTest, KnowsNothingOfOtherMachines) {
  child.machine += 1;
  EXPECT_EQ(stateOf(child, self), ProcessState::Unknown);
}

TEST(LaunchedRank, IsWhatTheEnvironmentSays) {
  unsetenv("OMPI_COMM_WORLD_RANK");
  unsetenv("OMPI_COMM_WORLD_SIZE");
  EXPECT_FALSE(launchedRank());
  setenv("OMPI_COMM_WORLD_RANK", "2", 1);
  EXPECT_FALSE(launchedRank());
  setenv("OMPI_COMM_WORLD_SIZE", "4", 1);
  ASSERT_TRUE(launchedRank());
  EXPECT_EQ(launchedRank()->rank, 2);
  EXPECT_EQ(launchedRank()->size, 4);
  for (const char *wrong : {"4", "-1", "", "2x", "99999999999999999999"}) {
    setenv("OMPI_COMM_WORLD_RANK", wrong, 1);
    EXPECT_FALSE(launchedRank()) << wrong;
  }
}
