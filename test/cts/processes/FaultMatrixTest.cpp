//===- FaultMatrixTest.cpp - Jobs of which a rank fails -------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Rank 2 of four fails in every way at every moment. The others must find out
// in time, say so with rank, step and nodes, and leave nothing behind.
//
//===----------------------------------------------------------------------===//

#include "test/cts/processes/Mpirun.h"

#include <cstdlib>

#include <nlohmann/json.hpp>

using namespace moe::test;
using namespace std::chrono_literals;

namespace {

/// Plans for all tests.
class Plans : public testing::Environment {
public:
  void SetUp() override;
  void TearDown() override { folder.reset(); }
  std::string four() const { return folder->path / "four.moeplan"; }
  std::string other() const { return folder->path / "other.moeplan"; }
  /// The first step of a kernel in the plan for four ranks.
  int stepOf(const std::string &kernel) const {
    for (size_t step = 0; step < kernels.size(); ++step)
      if (kernels[step] == kernel)
        return static_cast<int>(step);
    return -1;
  }

private:
  std::unique_ptr<ScratchFolder> folder;
  std::vector<std::string> kernels;
};

Plans &plans() {
  static auto *instance =
      static_cast<Plans *>(testing::AddGlobalTestEnvironment(new Plans));
  return *instance;
}

void Plans::SetUp() {
  folder = std::make_unique<ScratchFolder>();
  ASSERT_NO_FATAL_FAILURE(compile("prmoe/prmoe-lm", 4, four()));
  ASSERT_NO_FATAL_FAILURE(compile("prmoe/moe-top2-lm", 4, other()));
  Outcome outcome = runTool("moe-inspect", {four(), "--json"}, folder->path);
  ASSERT_EQ(outcome.exitCode, 0) << outcome.errors;
  nlohmann::json plan = nlohmann::json::parse(outcome.output);
  for (const auto &step : plan["steps"])
    kernels.push_back(step["kernel"]);
}

struct FaultCase {
  std::string kind, phase;
};

/// How long an end may take. On a machine with other work only what tells an
/// end from a hang can be asked for: half of the default timeout. With
/// MOE_STRICT_TIMES set it is what users are promised.
std::chrono::milliseconds bound(std::chrono::milliseconds promised) {
  return std::getenv("MOE_STRICT_TIMES") ? promised : 15000ms;
}

using FaultTest = MpirunTest;

class FaultMatrixTest : public MpirunTest,
                        public testing::WithParamInterface<FaultCase> {
protected:
  /// The step of the phase, or -1.
  static int step() {
    if (GetParam().phase == "dispatch")
      return plans().stepOf("all_to_all");
    if (GetParam().phase == "combine")
      return plans().stepOf("all_to_all_back");
    return -1;
  }
  Job runWithFault(const std::string &seconds) {
    std::string phase =
        step() < 0 ? GetParam().phase : "step=" + std::to_string(step());
    return mpirun({"-n", "4", "%", MOE_FAULTS_PROGRAM,
                   "--fault=" + GetParam().kind + ",2," + phase, plans().four(),
                   "--shape=batch=4,seq=8",
                   "--outputs=" + (scratch.path / "out.npz").string(),
                   "--timeout=" + seconds});
  }
  /// Each of the others says one line, names rank 2 and where it was itself.
  void expectLines(const Job &job) {
    for (int rank : {0, 1, 3}) {
      std::vector<std::string> lines =
          linesWith(job, "moe-run: error: rank " + std::to_string(rank) +
                             (step() < 0 ? ": start: " : ", step "));
      ASSERT_EQ(lines.size(), 1u) << job.outcome.errors;
      EXPECT_NE(lines[0].find("rank 2"), std::string::npos) << lines[0];
      if (step() >= 0) {
        EXPECT_NE(lines[0].find("from \""), std::string::npos) << lines[0];
      }
    }
    EXPECT_FALSE(std::filesystem::exists(scratch.path / "out.npz"));
  }
  /// From the fault to the end of the launcher.
  static std::chrono::milliseconds duration(const Job &job) {
    std::vector<std::string> lines = linesWith(job, "fault at ");
    if (lines.empty()) {
      ADD_FAILURE() << "no fault: " << job.outcome.errors;
      return {};
    }
    size_t number = lines[0].find("fault at ") + 9;
    std::chrono::nanoseconds begin(std::stoll(lines[0].substr(number)));
    return std::chrono::duration_cast<std::chrono::milliseconds>(
        job.end.time_since_epoch() - begin);
  }
};

TEST_P(FaultMatrixTest, OthersEndInTimeAndSayWhy) {
  std::set<std::string> before = sharedMemory();
  bool isStop = GetParam().kind == "stop";
  Job job = runWithFault(isStop ? "1" : "30");
  EXPECT_NE(job.outcome.exitCode, 0);
  expectLines(job);
  job.exitCodes.erase(2);
  EXPECT_TRUE(job.haveEndedWith({isStop ? 9 : 8})) << job.outcome.errors;
  // A stopped rank is given its timeout and one second. The launcher adds up to
  // two: it gives the rest so long, even if none is left.
  EXPECT_LT(duration(job), bound(isStop ? 4000ms : 3000ms))
      << job.outcome.errors;
  expectNothingLeft(before);
}

std::vector<FaultCase> allFaults() {
  std::vector<FaultCase> cases;
  for (const char *kind : {"kill", "stop", "segv", "exit3"})
    for (const char *phase : {"start", "init", "dispatch", "combine"})
      cases.push_back({kind, phase});
  return cases;
}

INSTANTIATE_TEST_SUITE_P(All, FaultMatrixTest, testing::ValuesIn(allFaults()),
                         [](const testing::TestParamInfo<FaultCase> &info) {
                           return info.param.kind + "In" + info.param.phase;
                         });

TEST_F(FaultTest, AnotherPlanOnOneRankEndsAllWithBothHashes) {
  std::set<std::string> before = sharedMemory();
  auto begin = std::chrono::steady_clock::now();
  Job job =
      mpirun({"-n", "2", "%", MOE_BIN_DIR "/moe-run", plans().four(), ":", "-n",
              "1", "%", MOE_BIN_DIR "/moe-run", plans().other(), ":", "-n", "1",
              "%", MOE_BIN_DIR "/moe-run", plans().four()});
  EXPECT_TRUE(job.haveEndedWith({6})) << job.outcome.errors;
  std::vector<std::string> lines = linesWith(job, "ranks have different plans");
  ASSERT_EQ(lines.size(), 1u) << job.outcome.errors;
  EXPECT_NE(lines[0].find("rank 0 has plan "), std::string::npos);
  EXPECT_NE(lines[0].find("rank 2 has plan "), std::string::npos);
  EXPECT_LT(job.end - begin, bound(5s));
  expectNothingLeft(before);
}

TEST_F(FaultTest, TheWrongNumberOfProcessesEndsAllWithBothNumbers) {
  for (const char *count : {"1", "3", "5"}) {
    Job job =
        mpirun({"-n", count, "%", MOE_BIN_DIR "/moe-run", plans().four()});
    EXPECT_TRUE(job.haveEndedWith({2})) << job.outcome.errors;
    EXPECT_EQ(linesWith(job, "the plan is for 4 ranks, but there are " +
                                 std::string(count) + " processes")
                  .size(),
              1u)
        << job.outcome.errors;
  }
}

TEST_F(FaultTest, APlanThatOneRankCannotOpenEndsTheOthers) {
  Job job = mpirun({"-n", "3", "%", MOE_BIN_DIR "/moe-run", plans().four(), ":",
                    "-n", "1", "%", MOE_BIN_DIR "/moe-run",
                    scratch.path / "absent.moeplan"});
  EXPECT_TRUE(job.haveEndedWith({7, 8})) << job.outcome.errors;
  EXPECT_EQ(linesWith(job, "rank 3 failed: ").size(), 3u) << job.outcome.errors;
}

TEST_F(FaultTest, OtherShapesOnOneRankEndAllWithBothValues) {
  auto words = [&](const char *count, const char *shape) {
    return std::vector<std::string>{
        "-n",           count,     "%",  MOE_BIN_DIR "/moe-run",
        plans().four(), "--shape", shape};
  };
  std::vector<std::string> all = words("3", "batch=4,seq=8");
  std::vector<std::string> last = words("1", "batch=4,seq=9");
  all.push_back(":");
  all.insert(all.end(), last.begin(), last.end());
  Job job = mpirun(all);
  EXPECT_TRUE(job.haveEndedWith({8})) << job.outcome.errors;
  EXPECT_EQ(linesWith(job, "8 on rank 0, 9 on rank 3").size(), 4u)
      << job.outcome.errors;
}

} // namespace

int main(int argc, char **argv) {
  testing::InitGoogleTest(&argc, argv);
  plans();
  return RUN_ALL_TESTS();
}
