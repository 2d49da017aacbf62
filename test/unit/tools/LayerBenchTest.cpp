//===- LayerBenchTest.cpp - Layers that are measured and checked ----------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "tools/moe-run/LayerBench.h"
#include "runtime/io/Json.h"
#include "runtime/params/Layouts.h"
#include "test/e2e/Tools.h"
#include "tools/moe-run/LayerPlan.h"

#include <cmath>
#include <gtest/gtest.h>

using namespace moe;
using namespace moe::test;
using namespace moe::tools;
using nlohmann::json;

namespace {

/// x, what the layer gives for it, and what it should give.
void expectRightResults(const LayerSpec &spec) {
  LayerBenchOptions options;
  options.seconds = 0;
  options.threads = 2;
  StatusOr<LayerBench> bench = LayerBench::create(spec, options, 7);
  ASSERT_TRUE(bench.isOk()) << bench.status().message();
  const std::pair<const char *, int64_t> cells[] = {{"uniform", 1},
                                                    {"zipf:1", 7}};
  for (auto [routing, tokens] : cells) {
    StatusOr<LayerCell> cell = bench->measure(tokens, *parseRouting(routing));
    ASSERT_TRUE(cell.isOk()) << cell.status().message();
    EXPECT_EQ(cell->numChecked, 8u * 4); // 8 samples of 4 columns
    EXPECT_GE(cell->runs, 10u);
    EXPECT_GT(cell->milliseconds.median, 0);
    EXPECT_EQ(cell->operations,
              static_cast<double>(tokens * spec.k) * spec.operationsPerRow());
  }
}

LayerSpec layer(const char *text, const LayerTypes &types, bool hasBias) {
  LayerSpec spec = *parseLayer(text);
  Status status = setTypes(spec, types);
  EXPECT_TRUE(status.isOk()) << status.message();
  spec.hasBias = hasBias;
  return spec;
}

} // namespace

TEST(StoredMatrix, ReadsPanelsAsTheirLayoutSays) {
  // 5 rows and 18 columns: two panels, the second with two columns.
  std::vector<float> rows(5 * 18), packed(2 * 5 * 16);
  for (size_t i = 0; i < rows.size(); ++i)
    rows[i] = static_cast<float>(i);
  const int64_t dims[] = {5, 18};
  ASSERT_TRUE(packLayout(kPanel16Layout, DType::F32, dims,
                         std::as_bytes(std::span(rows)),
                         std::as_writable_bytes(std::span(packed)))
                  .isOk());
  BlockView block{reinterpret_cast<const std::byte *>(packed.data()),
                  packed.size() * 4};
  StatusOr<StoredMatrix> matrix =
      StoredMatrix::create(block, "panel16", DType::F32, 5, 18);
  ASSERT_TRUE(matrix.isOk());
  EXPECT_EQ(matrix->at(3, 17), 3 * 18 + 17);
  EXPECT_EQ(matrix->at(0, 2), 2);
  block.bytes -= 4;
  EXPECT_FALSE(
      StoredMatrix::create(block, "panel16", DType::F32, 5, 18).isOk());
}

TEST(LayerBench, ChecksResultsOfFloats) {
  for (const char *type : {"f32", "f16", "bf16"})
    expectRightResults(
        layer("E=6,k=2,H=40,I=24,act=silu,gated", {type}, false));
}

TEST(LayerBench, ChecksResultsOfCodes) {
  // Blocks that end within a column, zero points, rows rounded to 8 bits.
  expectRightResults(
      layer("E=6,k=2,H=72,I=40,act=silu,gated", {"int8"}, false));
  expectRightResults(layer("E=6,k=2,H=72,I=40,act=silu,gated",
                           {"int4", "float", 16, true}, true));
  expectRightResults(
      layer("E=3,k=1,H=72,I=100,act=relu", {"int4", "int8", 64, true}, false));
  expectRightResults(layer("E=3,k=1,H=72,I=100,act=silu,gated",
                           {"int8", "int8", 0, false}, true));
}

TEST(LayerBench, ChecksResultsOfPlainLayersWithBiases) {
  for (const char *text :
       {"E=3,k=1,H=40,I=24,act=gelu", "E=3,k=3,H=16,I=33,act=relu2,gated"})
    expectRightResults(layer(text, {"f32"}, true));
}

TEST(LayerBench, CopiesOfTheLayerAreUsedInTurn) {
  LayerSpec spec = layer("E=4,k=2,H=32,I=16,gated", {"f32"}, false);
  spec.copies = 3;
  expectRightResults(spec);
}

TEST(LayerBench, SaysWhatDoesNotFitTheMemory) {
  LayerBenchOptions options;
  options.memoryLimit = 1 << 20;
  Status status =
      LayerBench::create(layer("E=65536,k=1,H=1048576,I=1048576", {}, false),
                         options, 1)
          .status();
  EXPECT_EQ(status.code(), StatusCode::OutOfMemory);
  EXPECT_NE(status.message().find("65536 experts"), std::string::npos);
  EXPECT_NE(status.message().find("limit of 1.0 MiB"), std::string::npos);
}

//===----------------------------------------------------------------------===//
// The reference
//===----------------------------------------------------------------------===//

TEST(LayerOutputs, OneExpertByHand) {
  // One matrix element each: y = w2 * relu(w1 * x + b1) + b2.
  LayerSpec spec = layer("E=1,k=1,H=1,I=1,act=relu", {}, true);
  const float w1 = 3, b1 = 1, w2 = 2, b2 = -5, x = 4;
  auto stored = [](const float &value) {
    return *StoredMatrix::create(
        {reinterpret_cast<const std::byte *>(&value), 4}, "row", DType::F32, 1,
        1);
  };
  StoredExpert expert;
  expert.params = {stored(w1), stored(b1), stored(w2), stored(b2)};
  const int32_t experts[] = {0};
  const double weights[] = {0.5};
  const int64_t columns[] = {0};
  StatusOr<std::vector<CheckedValue>> outputs =
      layerOutputs(spec, {std::span(&x, 1), experts, weights}, columns,
                   [&](int32_t) -> StatusOr<StoredExpert> { return expert; });
  ASSERT_TRUE(outputs.isOk());
  EXPECT_EQ((*outputs)[0].value, 0.5 * (2 * 13 - 5));
  EXPECT_EQ((*outputs)[0].magnitude, 0.5 * (2 * 13 + 5));
}

//===----------------------------------------------------------------------===//
// The command
//===----------------------------------------------------------------------===//

namespace {
class LayerCommandTest : public testing::Test {
protected:
  Outcome run(std::vector<std::string> args) {
    args.insert(args.begin(), "bench");
    return runTool("moe-run", args, scratch.path);
  }
  ScratchFolder scratch;
};
} // namespace

TEST_F(LayerCommandTest, PrintsCellsAsJson) {
  Outcome outcome =
      run({"--layer", "E=4,k=2,H=32,I=16,act=silu,gated", "--dtype=f16",
           "--tokens=1,3", "--routing=uniform,one", "--seconds=0",
           "--working-set=20000", "--json", "--threads=2"});
  ASSERT_EQ(outcome.exitCode, 0) << outcome.errors;
  json object = json::parse(outcome.output);
  EXPECT_EQ(object["layer"]["experts"], 4);
  // 4 experts with 3 matrices of 32 * 16 f16 are 12288 bytes.
  EXPECT_EQ(object["layer"]["copies"], 2);
  EXPECT_EQ(object["weight_bytes"], 2 * 12288);
  EXPECT_EQ(object["weights_pass_caches"], false);
  EXPECT_GT(object["machine"]["bandwidth_GB_per_s"], 0);
  EXPECT_GT(object["machine"]["f32_GFLOP_per_s"], 0);
  EXPECT_GT(object["machine"]["int8_GOP_per_s"], 0);
  ASSERT_EQ(object["cells"].size(), 4u);
  json last = object["cells"][3];
  EXPECT_EQ(last["tokens"], 3);
  EXPECT_EQ(last["routing"], "one");
  EXPECT_EQ(last["active_experts"], 2);
  EXPECT_EQ(last["bound"], "arithmetic");
  EXPECT_GT(last["percent_of_floor"], 0);
  EXPECT_GT(last["checked_elements"], 0);
  // Copies need a step that adds where the one that is used begins.
  ASSERT_EQ(last["steps"].size(), 3u);
  EXPECT_EQ(last["steps"][2]["kernel"], "routed_experts");
}

TEST_F(LayerCommandTest, PrintsATable) {
  Outcome outcome = run({"--layer=E=4,k=1,H=32,I=16", "--seconds=0",
                         "--working-set=0", "--bias"});
  ASSERT_EQ(outcome.exitCode, 0) << outcome.errors;
  EXPECT_NE(outcome.output.find("of floor"), std::string::npos);
  EXPECT_NE(outcome.output.find("memory sets no floor"), std::string::npos);
}

TEST_F(LayerCommandTest, ReportsUsageErrors) {
  for (std::vector<std::string> args : std::vector<std::vector<std::string>>{
           {"--layer", "E=4,k=2,H=32"},
           {"--layer", "E=4,k=2,H=32,I=16", "--dtype=f64"},
           {"--layer", "E=4,k=2,H=32,I=16", "--tokens=0"},
           {"--layer", "E=4,k=2,H=32,I=16", "--tokens="},
           {"--layer", "E=4,k=2,H=32,I=16", "--tokens=1,,2"},
           {"--layer", "E=4,k=2,H=32,I=16", "--routing=one,"},
           {"--layer", "E=4,k=2,H=32,I=16,"},
           {"--layer", "E=4,k=2,H=32,I=16", "--routing=zipf"},
           {"--layer", "E=4,k=2,H=32,I=16", "--activations=int8"},
           {"--layer", "E=4,k=2,H=32,I=16", "plan.moeplan"},
           {"--layer"}}) {
    Outcome outcome = run(args);
    EXPECT_EQ(outcome.exitCode, 2) << outcome.errors;
    EXPECT_EQ(outcome.output, "");
    EXPECT_NE(outcome.errors.find("error: "), std::string::npos);
  }
}

TEST_F(LayerCommandTest, HelpHasExamples) {
  Outcome outcome = run({"--layer", "--help"});
  EXPECT_EQ(outcome.exitCode, 0);
  outcome = run({"--help"});
  EXPECT_EQ(outcome.exitCode, 0);
  EXPECT_NE(outcome.output.find("--layer E=128"), std::string::npos);
}
