//===- PromisesTest.cpp - What holds for every plan -----------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The promises of docs/architecture.md, tried on the trained models: the same
// bits over ranks, threads and batches; the same plan bytes from the same
// input; the reference's text and perplexity; no dense masks in a plan; nothing
// of the compiler in the runtime's tools.
//
//===----------------------------------------------------------------------===//

#include "PlanTest.h"

#include <nlohmann/json.hpp>

#include <cmath>
#include <cstring>
#include <map>

namespace fs = std::filesystem;
using namespace moe::test;
using nlohmann::json;

namespace {

class PromisesTest : public PlanTest {};

TEST_F(PromisesTest, SameBitsOverRanksAndThreads) {
  // Prefill of a ragged batch, decode, and a chunk.
  for (const char *inputs : {"inputs_2.npz", "inputs_3.npz", "inputs_4.npz"}) {
    SCOPED_TRACE(inputs);
    std::string path = kModels / "prmoe-lm" / inputs;
    Tensors reference = run(compile("prmoe-lm", 1), path, 1);
    for (int ranks : {1, 2, 3, 4, 8}) {
      std::vector<std::string> more;
      if (ranks == 8)
        more = {"--reduce=exact"};
      std::string plan = compile("prmoe-lm", ranks, more);
      for (int threads : {1, 2}) {
        SCOPED_TRACE(std::to_string(ranks) + " ranks, " +
                     std::to_string(threads) + " threads");
        expectSameBits(run(plan, path, threads), reference);
      }
    }
  }
}

TEST_F(PromisesTest, SameBitsAloneAndInABatch) {
  for (const char *inputs : {"inputs_2.npz", "inputs_3.npz"}) {
    SCOPED_TRACE(inputs);
    std::string path = kModels / "prmoe-lm" / inputs;
    std::string plan = compile("prmoe-lm", 2);
    Tensors together = run(plan, path, 2);
    auto batch = moe::readNpz(path);
    ASSERT_TRUE(batch.isOk());
    for (int64_t row = 0; row < 3; ++row) {
      std::vector<moe::HostTensor> alone;
      for (const moe::HostTensor &tensor : *batch)
        alone.push_back(rowsOf(tensor, row, 1));
      std::string aloneInputs = scratch.path / "alone.npz";
      ASSERT_TRUE(moe::writeNpz(aloneInputs, alone).isOk());
      Tensors expected;
      for (const auto &[name, tensor] : together)
        expected.emplace(name, rowsOf(tensor, row, 1));
      expectSameBits(run(plan, aloneInputs, 2), expected);
    }
  }
}

TEST_F(PromisesTest, SameInputGivesTheSamePlan) {
  fs::path copy = scratch.path / "elsewhere";
  fs::create_directory(copy);
  fs::copy(kModels / "prmoe-lm" / "model.onnx", copy / "model.onnx");
  std::string plan = compile("prmoe-lm", 4);
  std::string other = copy / "other.moeplan";
  Outcome outcome = runShell(
      "cd " + quote(copy) + " && umask 077 && LC_ALL=C TZ=Asia/Tokyo " +
          quote(MOE_BIN_DIR "/moe-opt") + " model.onnx -o " + quote(other) +
          " --ranks=4",
      scratch.path);
  ASSERT_EQ(outcome.exitCode, 0) << outcome.errors;
  EXPECT_TRUE(readFile(plan) == readFile(other));
}

TEST_F(PromisesTest, ReferencedWeightsGiveTheSameBits) {
  std::string inputs = kModels / "prmoe-lm" / "inputs_2.npz";
  std::string plan = compile("prmoe-lm", 2, {"--weights=reference"});
  Outcome refused = runTool("moe-run", {plan}, scratch.path);
  EXPECT_EQ(refused.exitCode, 7);
  EXPECT_NE(refused.errors.find("--weights-folder"), std::string::npos);
  Tensors embedded = run(compile("prmoe-lm", 2), inputs, 2);
  expectSameBits(
      run(plan, inputs, 2, {"--weights-folder", kModels / "prmoe-lm"}),
      embedded);
}

TEST_F(PromisesTest, GreedyTextIsTheReferences) {
  for (const char *model : {"prmoe-lm", "moe-top2-lm"}) {
    json cases = json::parse(readFile(kModels / model / "greedy.json"));
    std::string plan = compile(model, 4);
    for (const json &reference : cases) {
      Outcome outcome =
          runTool("moe-run",
                  {"generate", plan, "--tokenizer", kModels / "tokenizer.json",
                   "--prompt", reference["prompt"], "--max-new-tokens", "64",
                   "--ignore-eos", "--json"},
                  scratch.path);
      ASSERT_EQ(outcome.exitCode, 0) << outcome.errors;
      json found = json::parse(outcome.output);
      EXPECT_EQ(found["prompt_ids"], reference["prompt_ids"]);
      EXPECT_EQ(found["ids"], reference["generated_ids"]) << model;
      EXPECT_EQ(found["text"], reference["generated_text"]) << model;
    }
  }
}

// PyTorch's mean NLL over the first 8 windows, from
// test/models/prmoe/README.md.
TEST_F(PromisesTest, PerplexityIsPyTorchs) {
  for (auto [model, nll] : {std::pair{"prmoe-lm", 3.202009},
                            {"moe-top2-lm", 3.594877},
                            {"prmoe-lm-dropping", 3.229398}}) {
    Outcome outcome = runTool("moe-run",
                              {"perplexity", compile(model, 2), "--ids",
                               kModels / "val_ids.npy", "--window", "256",
                               "--windows", "8", "--json"},
                              scratch.path);
    ASSERT_EQ(outcome.exitCode, 0) << outcome.errors;
    json found = json::parse(outcome.output);
    EXPECT_EQ(found["windows"], 8);
    EXPECT_EQ(found["targets"], 8 * 256);
    EXPECT_NEAR(found["nll"], nll, 1e-4) << model;
    EXPECT_NEAR(found["perplexity"], std::exp(nll), 1e-3) << model;
  }
}

TEST_F(PromisesTest, NoDenseMaskInAPlan) {
  for (const char *model : {"prmoe-lm", "prmoe-lm-dropping", "moe-top2-lm"}) {
    Outcome outcome =
        runTool("moe-inspect", {compile(model, 2), "--json"}, scratch.path);
    ASSERT_EQ(outcome.exitCode, 0) << outcome.errors;
    json plan = json::parse(outcome.output);
    EXPECT_EQ(plan["moe_layers"].size(), 3u);
    // What builds the S x E x C masks of the dense form.
    for (const json &step : plan["steps"]) {
      std::string kernel = step["kernel"];
      for (const char *dense :
           {"one_hot", "cumsum", "top_k", "scatter_elements", "arg_reduce"})
        EXPECT_NE(kernel, dense) << model;
    }
  }
}

TEST_F(PromisesTest, NothingOfTheCompilerInTheRuntime) {
  for (const char *tool : {"moe-run", "moe-inspect"}) {
    Outcome outcome = runShell(
        "ldd " + quote(std::string(MOE_BIN_DIR "/") + tool), scratch.path);
    ASSERT_EQ(outcome.exitCode, 0) << outcome.errors;
    for (const char *library : {"MLIR", "LLVM", "protobuf", "onnx"})
      EXPECT_EQ(outcome.output.find(library), std::string::npos)
          << tool << " links " << library;
  }
}

} // namespace
