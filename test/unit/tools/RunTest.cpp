//===- RunTest.cpp - moe-run on arrays ------------------------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/io/Json.h"
#include "runtime/io/Npz.h"
#include "test/unit/tools/BigramPlan.h"

using namespace moe;
using namespace moe::test;
using nlohmann::json;

namespace {

class RunTest : public BigramTest {
protected:
  /// input_ids = [[5, 6]] and the logits that belong to them.
  void SetUp() override {
    BigramTest::SetUp();
    HostTensor ids = *HostTensor::create("input_ids", DType::I64, {1, 2});
    ids.as<int64_t>()[0] = 5;
    ids.as<int64_t>()[1] = 6;
    writeArray("in.npz", std::move(ids));
    writeArray("out.npz", expected());
  }
  HostTensor expected() {
    HostTensor logits =
        *HostTensor::create("logits", DType::F32, {1, 2, kBigramTokens});
    logits.as<float>()[tokenBehind(5)] = 5;
    logits.as<float>()[kBigramTokens + tokenBehind(6)] = 5;
    return logits;
  }
  void writeArray(const std::string &name, HostTensor tensor) {
    ASSERT_TRUE(writeNpz(file(name), {&tensor, 1}).isOk());
  }
  Outcome runExpecting(const std::string &expected) {
    return run({plan, "--inputs", file("in.npz"), "--expect", file(expected),
                "--json"});
  }
};

} // namespace

TEST_F(RunTest, JsonIsTheOnlyOutput) {
  Outcome outcome = runExpecting("out.npz");
  EXPECT_EQ(outcome.exitCode, 0) << outcome.errors;
  EXPECT_EQ(outcome.errors, "");
  json report = json::parse(outcome.output);
  EXPECT_EQ(report["outputs"]["logits"]["shape"],
            (std::vector<int>{1, 2, kBigramTokens}));
  EXPECT_EQ(report["outputs"]["logits"]["dtype"], "f32");
  EXPECT_EQ(report["max_abs_error"], 0.0);
  EXPECT_EQ(report["max_rel_error"], 0.0);
  EXPECT_TRUE(report["ms"].is_number());
  ASSERT_EQ(report["ranks"].size(), 1u);
  EXPECT_EQ(report["ranks"][0]["weight_bytes"],
            4 * kBigramTokens * kBigramTokens);
  for (const char *key : {"rank", "expert_weight_bytes", "expert_rows",
                          "messages", "bytes_sent", "flops"})
    EXPECT_TRUE(report["ranks"][0].contains(key)) << key;
}

TEST_F(RunTest, DifferencesEndWithExitCode5) {
  HostTensor logits = expected();
  logits.as<float>()[kBigramTokens + 17] = 2;
  writeArray("wrong.npz", std::move(logits));
  Outcome outcome = runExpecting("wrong.npz");
  EXPECT_EQ(outcome.exitCode, 5);
  EXPECT_EQ(outcome.errors,
            "output \"logits\"[0, 1, 17]: found 0, expected 2\n"
            "moe-run: error: outputs differ: 1 of 2048 elements differ; "
            "largest absolute error 2, largest relative error 1\n");
  EXPECT_EQ(json::parse(outcome.output)["max_abs_error"], 2.0);
}

TEST_F(RunTest, ExpectedArrayThatIsNoOutput) {
  HostTensor logits = expected();
  logits.rename("logit");
  writeArray("named.npz", std::move(logits));
  Outcome outcome = runExpecting("named.npz");
  EXPECT_EQ(outcome.exitCode, 7);
  EXPECT_NE(outcome.errors.find("'logit' is no output of the model; did you "
                                "mean 'logits'?"),
            std::string::npos)
      << outcome.errors;
}

TEST_F(RunTest, InputsMustFit) {
  HostTensor other = *HostTensor::create("ids", DType::I64, {1, 2});
  writeArray("other.npz", std::move(other));
  EXPECT_EQ(run({plan, "--inputs", file("other.npz")}).exitCode, 7);
  HostTensor floats = *HostTensor::create("input_ids", DType::F32, {1, 2});
  writeArray("floats.npz", std::move(floats));
  Outcome outcome = run({plan, "--inputs", file("floats.npz")});
  EXPECT_EQ(outcome.exitCode, 7);
  EXPECT_NE(outcome.errors.find("'input_ids' of f32, expected i64"),
            std::string::npos)
      << outcome.errors;
  // Smaller integers hold ids as well.
  HostTensor small = *HostTensor::create("input_ids", DType::I32, {1, 2});
  small.as<int32_t>()[0] = 5;
  small.as<int32_t>()[1] = 6;
  writeArray("in.npz", std::move(small));
  EXPECT_EQ(runExpecting("out.npz").exitCode, 0);
}

TEST_F(RunTest, WritesOutputsAndTrace) {
  Outcome outcome = run({plan, "--inputs", file("in.npz"), "--outputs",
                         file("y.npz"), "--trace", file("trace.json")});
  EXPECT_EQ(outcome.exitCode, 0) << outcome.errors;
  EXPECT_NE(outcome.output.find("logits  f32   [1, 2, 1024]"),
            std::string::npos)
      << outcome.output;
  EXPECT_EQ(readFile(file("y.npz")), readFile(file("out.npz")));
  json trace = json::parse(readFile(file("trace.json")));
  EXPECT_NE(trace.dump().find("/embed/Gather"), std::string::npos);
}

TEST_F(RunTest, MakesInputsFromTheSignature) {
  Outcome outcome = run({plan, "--shape", "batch=3,seq=7", "--json"});
  EXPECT_EQ(outcome.exitCode, 0) << outcome.errors;
  EXPECT_EQ(json::parse(outcome.output)["outputs"]["logits"]["shape"],
            (std::vector<int>{3, 7, kBigramTokens}));
}

TEST_F(RunTest, MaximaAreLimits) {
  EXPECT_EQ(run({plan, "--max", "batch=3,seq=7", "--shape", "batch=3,seq=7"})
                .exitCode,
            0);
  Outcome outcome =
      run({plan, "--max", "batch=2,seq=7", "--shape", "batch=3,seq=7"});
  EXPECT_EQ(outcome.exitCode, 10);
  EXPECT_NE(outcome.errors.find("batch"), std::string::npos);
}

TEST_F(RunTest, UnwritableOutputIsAnError) {
  Outcome outcome =
      runShell(std::string(MOE_BIN_DIR "/moe-run ") + plan + " > /dev/full",
               scratch.path);
  EXPECT_EQ(outcome.exitCode, 7);
  EXPECT_NE(outcome.errors.find("standard output"), std::string::npos);
  EXPECT_EQ(run({plan, "--outputs", file("no/y.npz")}).exitCode, 7);
}

TEST_F(RunTest, BenchMeasuresEachShape) {
  Outcome outcome =
      run({"bench", plan, "--shape", "batch=1,seq=2", "--shape",
           "batch=2,seq=8", "--seconds", "0.01", "--threads", "1", "--json"});
  EXPECT_EQ(outcome.exitCode, 0) << outcome.errors;
  json report = json::parse(outcome.output);
  EXPECT_EQ(report["threads"], 1);
  EXPECT_EQ(report["num_ranks"], 1);
  ASSERT_EQ(report["cells"].size(), 2u);
  const json &cell = report["cells"][1];
  EXPECT_EQ(cell["shape"], (json{{"batch", 2}, {"seq", 8}}));
  EXPECT_GE(cell["iterations"], 10);
  EXPECT_LE(cell["min_ms"], cell["median_ms"]);
  EXPECT_LE(cell["median_ms"], cell["p90_ms"]);
  EXPECT_LE(cell["p90_ms"], cell["p99_ms"]);
  EXPECT_TRUE(cell["cov"].is_number());
  ASSERT_EQ(cell["steps"].size(), 1u);
  EXPECT_EQ(cell["steps"][0]["kernel"], "gather");
  EXPECT_EQ(cell["steps"][0]["nodes"][0], "/embed/Gather");
}

TEST_F(RunTest, SignalsEndARun) {
  // bench runs for an hour unless it is told to stop.
  for (auto [signal, code] : {std::pair("INT", 130), std::pair("TERM", 143)}) {
    Outcome outcome = runShell(
        std::string("timeout --preserve-status -k 10 -s ") + signal + " 1 " +
            MOE_BIN_DIR "/moe-run bench " + plan + " --seconds 3600",
        scratch.path);
    EXPECT_EQ(outcome.exitCode, code) << outcome.errors;
  }
}
