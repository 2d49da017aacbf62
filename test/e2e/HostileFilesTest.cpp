//===- HostileFilesTest.cpp - Damaged and hostile files -------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What SECURITY.md promises: a damaged model, plan or array ends in a sentence
// and an exit code, never in a crash, and writes nothing.
//
//===----------------------------------------------------------------------===//

#include "Tools.h"

#include "runtime/plan/PlanFormat.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <random>
#include <set>

namespace fs = std::filesystem;
using namespace moe::test;

namespace {

const fs::path kModel = MOE_MODELS_DIR "/deepspeed/v0_18_0_k2_d1_r0";

class HostileFilesTest : public testing::Test {
protected:
  void write(const fs::path &path, const std::string &bytes) {
    std::ofstream(path, std::ios::binary) << bytes;
  }

  /// Expects one of `codes`, and a message if it is not success.
  void expectCode(const Outcome &outcome, const std::set<int> &codes) {
    EXPECT_TRUE(codes.contains(outcome.exitCode))
        << "exit code " << outcome.exitCode << ": " << outcome.errors;
    if (outcome.exitCode != 0) {
      EXPECT_NE(outcome.errors.find("error"), std::string::npos)
          << outcome.errors;
    }
  }

  /// Compiles damaged bytes; a compile that fails leaves no file behind.
  void compileDamaged(const std::string &bytes, const std::set<int> &codes) {
    fs::path folder = scratch.path / "out";
    fs::remove_all(folder);
    fs::create_directory(folder);
    write(scratch.path / "model.onnx", bytes);
    Outcome outcome =
        runTool("moe-opt",
                {scratch.path / "model.onnx", "-o", folder / "model.moeplan"},
                scratch.path);
    expectCode(outcome, codes);
    if (outcome.exitCode != 0) {
      EXPECT_TRUE(fs::is_empty(folder));
    }
  }

  std::string compiledPlan(std::vector<std::string> options = {"--ranks=2"},
                           const fs::path &model = kModel) {
    fs::path plan = scratch.path / "good.moeplan";
    std::vector<std::string> args = {model / "model.onnx", "-o", plan};
    args.insert(args.end(), options.begin(), options.end());
    Outcome outcome = runTool("moe-opt", args, scratch.path);
    EXPECT_EQ(outcome.exitCode, 0) << outcome.errors;
    return readFile(plan);
  }

  void runDamaged(const std::string &bytes, const std::set<int> &codes) {
    write(scratch.path / "bad.moeplan", bytes);
    expectCode(runTool("moe-run", {scratch.path / "bad.moeplan"}, scratch.path),
               codes);
    expectCode(
        runTool("moe-inspect", {scratch.path / "bad.moeplan"}, scratch.path),
        {0, 6});
  }

  static std::string withFlippedBit(std::string bytes, size_t bit) {
    bytes[bit / 8] ^= static_cast<char>(1 << (bit % 8));
    return bytes;
  }

  /// A plan whose hashes are those of its damaged program.
  static std::string withHashes(std::string plan) {
    using namespace moe::plan_format;
    Preamble preamble;
    std::memcpy(&preamble, plan.data(), sizeof(preamble));
    preamble.program.hash =
        hashBytes(plan.data() + preamble.program.offset, preamble.program.size);
    preamble.header.hash = hashPreamble(preamble);
    std::memcpy(plan.data(), &preamble, sizeof(preamble));
    return plan;
  }

  ScratchFolder scratch;
  std::mt19937_64 random{1};
};

TEST_F(HostileFilesTest, TruncatedModel) {
  std::string model = readFile(kModel / "model.onnx");
  for (int i = 0; i < 40; ++i)
    compileDamaged(model.substr(0, model.size() * i / 40), {3, 4});
}

TEST_F(HostileFilesTest, FlippedBitInAModel) {
  std::string model = readFile(kModel / "model.onnx");
  for (int i = 0; i < 60; ++i)
    compileDamaged(withFlippedBit(model, random() % (model.size() * 8)),
                   {0, 3, 4, 10});
}

TEST_F(HostileFilesTest, TruncatedPlan) {
  std::string plan = compiledPlan();
  for (int i = 0; i < 40; ++i)
    runDamaged(plan.substr(0, plan.size() * i / 40), {6});
}

TEST_F(HostileFilesTest, FlippedBitInAPlan) {
  std::string plan = compiledPlan();
  for (int i = 0; i < 60; ++i)
    runDamaged(withFlippedBit(plan, random() % (plan.size() * 8)), {6});
}

// Hashes protect from accidents only. Programs with all that plans may have:
// slices, nodes, parts of tensors, guards and two streams.
TEST_F(HostileFilesTest, FlippedBitBehindRightHashes) {
  const std::vector<std::string> forms[] = {
      {"--ranks=8", "--layer-form=*:hierarchical+slice=2", "--node-size=4"},
      {"--mesh=ep=2,tp=2", "--overlap=on",
       "--layer-form=*:chunks=2+chunk-tokens=2"},
  };
  for (std::vector<std::string> options : forms) {
    SCOPED_TRACE(options[0]);
    options.push_back("--weights=synthetic");
    std::string plan = compiledPlan(options);
    size_t begin = sizeof(moe::plan_format::Preamble);
    for (int i = 0; i < 100; ++i) {
      size_t bit = begin * 8 + random() % ((plan.size() - begin) * 8);
      SCOPED_TRACE("bit " + std::to_string(bit));
      runDamaged(withHashes(withFlippedBit(plan, bit)), {0, 4, 6, 10});
    }
  }
}

// Layouts and expressions of codes, behind hashes that are right.
TEST_F(HostileFilesTest, FlippedBitInAPlanOfCodes) {
  struct Case {
    fs::path model;
    std::vector<std::string> options;
  };
  const fs::path models = MOE_MODELS_DIR;
  const Case cases[] = {
      {models / "ort/moe_swiglu_gptoss",
       {"--dtype=int4", "--quant-zero-points", "--activations=int8"}},
      {models / "ort/moe_swiglu_gptoss", {"--dtype=int8", "--mesh=ep=2,tp=2"}},
      {models / "ort/qmoe_int4_block32", {"--weights=reference"}},
      {models / "quantized/nbits4_level4_zeros", {"--weights=synthetic"}},
  };
  for (const Case &test : cases) {
    std::string plan = compiledPlan(test.options, test.model);
    // What a plan refers to is looked for beside it.
    fs::copy_file(test.model / "model.onnx", scratch.path / "model.onnx",
                  fs::copy_options::overwrite_existing);
    moe::plan_format::Preamble preamble;
    std::memcpy(&preamble, plan.data(), sizeof(preamble));
    for (int i = 0; i < 60; ++i) {
      size_t bit =
          preamble.program.offset * 8 + random() % (preamble.program.size * 8);
      SCOPED_TRACE(test.model.string() + " bit " + std::to_string(bit));
      runDamaged(withHashes(withFlippedBit(plan, bit)), {0, 4, 6, 7, 10});
    }
  }
}

TEST_F(HostileFilesTest, LayoutsThatDoNotExist) {
  const std::string good = "panel16.q4x32";
  std::string plan =
      compiledPlan({"--dtype=int4"}, MOE_MODELS_DIR "/ort/moe_swiglu_gptoss");
  ASSERT_NE(plan.find(good), std::string::npos);
  for (const char *bad :
       {"panel16.q5x32", "panel16.q4x24", "panel16.q4x00", "panel16.q4x-1",
        "panel16.q4x+1", "panel16.q4 32", "panel16.q4x3x", "panel16.q04x2",
        "panel16.q8x32", "panel16.q4x.z", "panel17.q4x32", "panel16.Q4X32"}) {
    std::string damaged = plan;
    for (size_t at = damaged.find(good); at != std::string::npos;
         at = damaged.find(good, at))
      damaged.replace(at, good.size(), bad);
    SCOPED_TRACE(bad);
    runDamaged(withHashes(damaged), {6});
  }
}

TEST_F(HostileFilesTest, FlippedBitInAModelOfCodes) {
  std::vector<fs::path> models;
  for (const auto &entry : fs::directory_iterator(MOE_MODELS_DIR "/quantized"))
    if (fs::exists(entry.path() / "model.onnx"))
      models.push_back(entry.path() / "model.onnx");
  std::sort(models.begin(), models.end());
  ASSERT_FALSE(models.empty());
  for (const fs::path &path : models) {
    std::string model = readFile(path);
    SCOPED_TRACE(path);
    // Behind the graph are versions, of which a model may have fewer.
    compileDamaged(model.substr(0, random() % (model.size() - 64)), {3, 4});
    for (int i = 0; i < 4; ++i)
      compileDamaged(withFlippedBit(model, random() % (model.size() * 8)),
                     {0, 3, 4, 10});
  }
}

TEST_F(HostileFilesTest, DamagedInputs) {
  compiledPlan();
  std::string inputs = readFile(kModel / "inputs_0.npz");
  for (int i = 0; i < 40; ++i) {
    write(scratch.path / "bad.npz",
          i < 20 ? inputs.substr(0, inputs.size() * i / 20)
                 : withFlippedBit(inputs, random() % (inputs.size() * 8)));
    fs::path outputs = scratch.path / "outputs.npz";
    Outcome outcome = runTool("moe-run",
                              {scratch.path / "good.moeplan", "--inputs",
                               scratch.path / "bad.npz", "--outputs", outputs},
                              scratch.path);
    // A flip in a field that nobody reads, such as a time stamp, is harmless.
    expectCode(outcome, i < 20 ? std::set<int>{7} : std::set<int>{0, 2, 7});
    if (outcome.exitCode != 0) {
      EXPECT_FALSE(fs::exists(outputs));
    }
    fs::remove(outputs);
  }
}

TEST_F(HostileFilesTest, WrongUse) {
  struct Case {
    const char *tool;
    std::vector<std::string> args;
    int code;
    const char *says;
  };
  std::string model = kModel / "model.onnx";
  std::string nowhere = scratch.path / "no" / "such" / "file";
  const Case cases[] = {
      {"moe-opt", {model, "-o", "/dev/null/x", "--ranks=2"}, 7, "/dev/null/x"},
      {"moe-opt", {model, "-o", "x.moeplan", "--ranks=0"}, 2, "ranks"},
      {"moe-opt", {model, "-o", "x.moeplan", "--ranks=-1"}, 2, "ranks"},
      {"moe-opt", {model, "-o", "x.moeplan", "--ranks=many"}, 2, "ranks"},
      {"moe-opt", {model, "-o", "x.moeplan", "--rank=2"}, 2, "ranks"},
      {"moe-opt", {nowhere, "-o", "x.moeplan"}, 7, "no/such/file"},
      {"moe-run", {nowhere}, 7, "no/such/file"},
      {"moe-run", {model}, 6, "model.onnx"},
      {"moe-run", {"--threads", "0", nowhere}, 2, "threads"},
      {"moe-run", {"--thread", "2", nowhere}, 2, "threads"},
      {"moe-run", {"--max", "batch=-1", nowhere}, 2, "max"},
      {"moe-run", {"--verify", "never", nowhere}, 2, "verify"},
      {"moe-run", {"--device", "tpu", nowhere}, 2, "device"},
      {"moe-opt", {model, "-o", "x.moeplan", "--dtype=int3"}, 2, "dtype"},
      {"moe-opt",
       {model, "-o", "x.moeplan", "--dtype=int4", "--quant-block=-32"},
       2,
       "quant-block"},
      {"moe-opt",
       {model, "-o", "x.moeplan", "--dtype=int4",
        "--quant-block=99999999999999999999"},
       2,
       "quant-block"},
      {"moe-opt",
       {model, "-o", "x.moeplan", "--activations=int4"},
       2,
       "activations"},
      {"moe-run", {"bench", "--layer", "E=0,k=1,H=1,I=1"}, 2, "E is '0'"},
      {"moe-run", {"bench", "--layer", "E=1,k=1,H=1e9,I=1"}, 2, "H is '1e9'"},
      {"moe-run",
       {"bench", "--layer", "E=1,k=1,H=1,I=1", "--tokens=-1"},
       2,
       "tokens"},
      {"moe-run",
       {"bench", "--layer", "E=1,k=1,H=1,I=1", "--routing=zipf:nan"},
       2,
       "zipf:nan"},
      {"moe-run",
       {"bench", "--layer", "E=1,k=1,H=1,I=1", "--activations=int8"},
       2,
       "activations"},
      {"moe-run",
       {"bench", "--layer", "E=65536,k=1,H=1048576,I=1048576"},
       10,
       "limit"},
      {"moe-inspect", {nowhere}, 7, "no/such/file"},
  };
  for (const Case &test : cases) {
    Outcome outcome = runTool(test.tool, test.args, scratch.path);
    SCOPED_TRACE(test.tool + (" " + test.args.back()));
    EXPECT_EQ(outcome.exitCode, test.code) << outcome.errors;
    EXPECT_NE(outcome.errors.find(test.says), std::string::npos)
        << outcome.errors;
  }
}

} // namespace
