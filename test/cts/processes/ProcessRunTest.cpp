//===- ProcessRunTest.cpp - Jobs of processes give what threads give ------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/support/Cores.h"
#include "test/cts/processes/Mpirun.h"

#include <csignal>
#include <nlohmann/json.hpp>

using namespace moe;
using namespace moe::test;
using nlohmann::json;

namespace {

class ProcessRunTest : public MpirunTest {
protected:
  std::string path(const std::string &name) const {
    return scratch.path / name;
  }
  Job moeRun(int ranks, std::vector<std::string> words) {
    std::vector<std::string> all = {"-n", std::to_string(ranks), "%",
                                    MOE_BIN_DIR "/moe-run"};
    all.insert(all.end(), words.begin(), words.end());
    return mpirun(all);
  }
  /// What processes wrote behind "cores ": the lists of those that they may
  /// use.
  static std::multiset<std::string> coresOf(const Job &job) {
    std::multiset<std::string> lists;
    for (const std::string &line : linesWith(job, "cores "))
      lists.insert(line.substr(line.find("cores ") + 6));
    return lists;
  }
  /// The counters of ranks, which are the same however ranks are connected.
  static json ranksIn(const std::string &output) {
    return json::parse(output)["ranks"];
  }
};

struct RunCase {
  std::string name;
  int ranks;
  std::vector<std::string> options;
};

class SameResultTest : public ProcessRunTest,
                       public testing::WithParamInterface<RunCase> {};

TEST_P(SameResultTest, OutputsAndCountersAreThoseOfThreads) {
  const RunCase &param = GetParam();
  std::string plan = path("p.moeplan");
  ASSERT_NO_FATAL_FAILURE(
      compile("prmoe/prmoe-lm", param.ranks, plan, param.options));
  // Five rows on up to four ranks: none divides them evenly.
  std::vector<std::string> words = {plan, "--shape", "batch=5,seq=6", "--json",
                                    "--outputs"};
  std::vector<std::string> threads = words, processes = words;
  threads.push_back(path("threads.npz"));
  processes.push_back(path("processes.npz"));
  Outcome expected = runTool("moe-run", threads, scratch.path);
  ASSERT_EQ(expected.exitCode, 0) << expected.errors;
  Job job = moeRun(param.ranks, processes);
  ASSERT_EQ(job.outcome.exitCode, 0) << job.outcome.errors;
  EXPECT_EQ(readFile(path("threads.npz")), readFile(path("processes.npz")));
  EXPECT_EQ(ranksIn(job.outcome.output), ranksIn(expected.output));
}

INSTANTIATE_TEST_SUITE_P(
    All, SameResultTest,
    testing::Values(RunCase{"OneRank", 1, {}}, RunCase{"TwoRanks", 2, {}},
                    RunCase{"ThreeRanks", 3, {}}, RunCase{"FourRanks", 4, {}},
                    RunCase{"TensorSlices", 4, {"--mesh=ep=2,tp=2"}}),
    [](const testing::TestParamInfo<RunCase> &info) {
      return info.param.name;
    });

TEST_F(ProcessRunTest, TextsAndScoresAreThoseOfThreads) {
  std::string plan = path("p.moeplan"), models = MOE_MODELS_DIR;
  ASSERT_NO_FATAL_FAILURE(compile("prmoe/prmoe-lm", 3, plan));
  std::vector<std::string> generate = {
      "generate",         plan,
      "--tokenizer",      models + "/prmoe/tokenizer.json",
      "--prompt",         "ROMEO:",
      "--max-new-tokens", "24",
      "--temperature",    "0.8"};
  std::vector<std::string> perplexity = {
      "perplexity", plan, "--ids",     models + "/prmoe/val_ids.npy",
      "--window",   "64", "--windows", "3"};
  for (const auto &words : {generate, perplexity}) {
    Outcome expected = runTool("moe-run", words, scratch.path);
    ASSERT_EQ(expected.exitCode, 0) << expected.errors;
    Job job = moeRun(3, words);
    EXPECT_EQ(job.outcome.exitCode, 0) << job.outcome.errors;
    EXPECT_EQ(job.outcome.output, expected.output);
  }
}

TEST_F(ProcessRunTest, BenchTellsOfAllRanks) {
  std::string plan = path("p.moeplan");
  ASSERT_NO_FATAL_FAILURE(compile("prmoe/prmoe-lm", 3, plan));
  Job job = moeRun(3, {"bench", plan, "--shape", "batch=3,seq=1,past=4",
                       "--seconds", "0.1", "--threads", "3", "--json"});
  ASSERT_EQ(job.outcome.exitCode, 0) << job.outcome.errors;
  json result = json::parse(job.outcome.output);
  EXPECT_EQ(result["threads"], 3);
  EXPECT_GE(result["cells"][0]["iterations"], 10);
}

TEST_F(ProcessRunTest, ProcessesOfAMachineShareItsCores) {
  if (coreBudget().allowed.size() != 2 || !coreBudget().hasRoomFor(2))
    GTEST_SKIP() << "needs a machine with two cores";
  std::string plan = path("p.moeplan");
  ASSERT_NO_FATAL_FAILURE(compile("prmoe/prmoe-lm", 2, plan));
  // Looks at the process for two seconds, or until it has ended. Where it is
  // in the end counts: while MPI starts it visits all cores.
  std::string script =
      R"(coresOf() { sed -n 's/^Cpus_allowed_list:[ \t]*//p' /proc/$1/status; }
         "$0" "$@" > /dev/null & pid=$!
         for i in $(seq 100); do
           now=$(coresOf $pid); cores=${now:-$cores}; sleep 0.02
         done
         wait $pid && echo "cores $cores" >&2)";
  auto run = [&](const char *affinity) {
    return mpirun({"-n", "2", "--bind-to", "none", "-x",
                   std::string("MOE_AFFINITY=") + affinity, "%", "sh", "-c",
                   script, MOE_BIN_DIR "/moe-run", "bench", plan, "--shape",
                   "batch=2,seq=1,past=4", "--seconds", "1"});
  };
  Job job = run("on");
  std::vector<int> all = coreBudget().allowed;
  EXPECT_EQ(coresOf(job), (std::multiset<std::string>{std::to_string(all[0]),
                                                      std::to_string(all[1])}))
      << job.outcome.errors;
  std::multiset<std::string> free = coresOf(run("off"));
  EXPECT_EQ(free.size(), 2u);
  EXPECT_EQ(free.count(*free.begin()), 2u);
}

TEST_F(ProcessRunTest, DifferentResultsEndAllInOrder) {
  std::string plan = path("p.moeplan"), out = path("out.npz");
  ASSERT_NO_FATAL_FAILURE(compile("prmoe/prmoe-lm", 2, plan));
  Outcome made =
      runTool("moe-run", {plan, "--seed", "1", "--outputs", out}, scratch.path);
  ASSERT_EQ(made.exitCode, 0) << made.errors;
  Job job = moeRun(2, {plan, "--seed", "2", "--expect", out});
  EXPECT_TRUE(job.haveEndedWith({5})) << job.outcome.errors;
  EXPECT_EQ(linesWith(job, "outputs differ").size(), 1u) << job.outcome.errors;
}

TEST_F(ProcessRunTest, AFileThatCannotBeWrittenEndsAll) {
  std::string plan = path("p.moeplan");
  ASSERT_NO_FATAL_FAILURE(compile("prmoe/prmoe-lm", 2, plan));
  Job job = moeRun(2, {plan, "--outputs", path("absent/out.npz")});
  EXPECT_TRUE(job.haveEndedWith({7, 8})) << job.outcome.errors;
  EXPECT_EQ(linesWith(job, "moe-run: error: rank ").size(), 2u)
      << job.outcome.errors;
}

TEST_F(ProcessRunTest, ASignalOfTheUserIsNobodysFailure) {
  std::string plan = path("p.moeplan");
  ASSERT_NO_FATAL_FAILURE(compile("prmoe/prmoe-lm", 2, plan));
  std::set<std::string> before = sharedMemory();
  // The launcher ends its processes when it is told to end.
  std::thread user([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(1500));
    std::string launcher = readFile(launcherFile());
    if (!launcher.empty())
      kill(std::stoi(launcher), SIGTERM);
  });
  Job job = moeRun(2, {"bench", plan, "--seconds", "60"});
  user.join();
  EXPECT_TRUE(job.haveEndedWith({143})) << job.outcome.errors;
  EXPECT_EQ(linesWith(job, ": terminated").size(), 2u) << job.outcome.errors;
  expectNothingLeft(before);
}

} // namespace
