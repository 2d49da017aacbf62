//===- LoweredWeightsTest.cpp - Models with weights in fewer bytes --------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What --dtype and --activations leave of a model: layers within the rounding
// of their weights, and the perplexity of a trained model.
//
//===----------------------------------------------------------------------===//

#include "PlanTest.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>

namespace fs = std::filesystem;
using namespace moe::test;
using nlohmann::json;

namespace {

/// A way to store weights and how far it may move a layer's output, as the
/// length of the difference by the length of the output: a number is off by at
/// most 2^-11 (f16), 2^-8 (bf16), 1/254 (int8) and 1/16 (int4) of the largest
/// of its block, and products with other signs cancel.
struct Lowering {
  const char *dtype;
  double tolerance;
};
const Lowering kLowerings[] = {
    {"f16", 1e-3}, {"bf16", 8e-3}, {"int8", 1.5e-2}, {"int4", 0.2}};

std::string dtypeOption(const Lowering &lowering) {
  return std::string("--dtype=") + lowering.dtype;
}

class LoweredWeightsTest : public PlanTest {
protected:
  std::vector<float> floatsOf(const moe::HostTensor &tensor) {
    EXPECT_EQ(tensor.dtype(), moe::DType::F32);
    std::vector<float> values(tensor.bytes().size() / sizeof(float));
    memcpy(values.data(), tensor.bytes().data(), tensor.bytes().size());
    return values;
  }

  /// Length of the difference by length of the reference, over all outputs.
  double relativeError(const Tensors &found, const Tensors &reference) {
    double difference = 0, length = 0;
    for (const auto &[name, tensor] : reference) {
      auto it = found.find(name);
      if (it == found.end() || tensor.dtype() != moe::DType::F32)
        continue;
      std::vector<float> a = floatsOf(it->second), b = floatsOf(tensor);
      EXPECT_EQ(a.size(), b.size()) << name;
      for (size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
        difference += (double(a[i]) - b[i]) * (double(a[i]) - b[i]);
        length += double(b[i]) * b[i];
      }
    }
    return length > 0 ? std::sqrt(difference / length) : HUGE_VAL;
  }

  double perplexity(const std::vector<std::string> &options, int windows) {
    Outcome outcome =
        runTool("moe-run",
                {"perplexity", compile("prmoe-lm", 1, options), "--ids",
                 kModels / "val_ids.npy", "--window", "256", "--windows",
                 std::to_string(windows), "--json"},
                scratch.path);
    EXPECT_EQ(outcome.exitCode, 0) << outcome.errors;
    return outcome.exitCode == 0
               ? json::parse(outcome.output)["perplexity"].get<double>()
               : HUGE_VAL;
  }
};

// A layer that is routed by its inputs, so that no token changes its expert.
TEST_F(LoweredWeightsTest, LayersStayWithinTheRoundingOfTheirWeights) {
  fs::path layer = MOE_MODELS_DIR "/ort/moe_swiglu_gptoss";
  std::string inputs = layer / "inputs_0.npz";
  Tensors reference = run(compile(layer, 1), inputs, 1);
  for (const Lowering &lowering : kLowerings)
    for (int ranks : {1, 2, 4})
      for (bool roundsRows : {false, true}) {
        std::vector<std::string> options = {dtypeOption(lowering)};
        if (roundsRows)
          options.push_back("--activations=int8");
        SCOPED_TRACE(std::string(lowering.dtype) + ", " +
                     std::to_string(ranks) + " ranks, rows " +
                     (roundsRows ? "rounded" : "as they are"));
        double error = relativeError(
            run(compile(layer, ranks, options), inputs, 2), reference);
        EXPECT_LT(error, lowering.tolerance + (roundsRows ? 1.5e-2 : 0));
        EXPECT_GT(error, 0);
      }
}

// The first 8 windows of the text that docs/howto/lower-weights.md has whole.
TEST_F(LoweredWeightsTest, PerplexityStaysTheModels) {
  constexpr int kWindows = 8;
  double reference = perplexity({}, kWindows);
  struct Case {
    std::vector<std::string> options;
    double tolerance;
  };
  const Case cases[] = {
      {{"--dtype=f16"}, 1e-3},
      {{"--dtype=bf16"}, 1e-3},
      {{"--dtype=int8"}, 1e-3},
      {{"--dtype=int8", "--activations=int8"}, 2e-3},
      {{"--dtype=int4"}, 2e-2},
      {{"--dtype=int4", "--quant-zero-points"}, 2e-2},
      {{"--dtype=int4", "--activations=int8"}, 2e-2},
  };
  for (const Case &each : cases)
    EXPECT_NEAR(perplexity(each.options, kWindows) / reference, 1,
                each.tolerance)
        << each.options[0] << " " << each.options.back();
}

// Logits within 1e-2 of their range at 99.9 % of the positions: a router may
// flip at a near tie.
TEST_F(LoweredWeightsTest, LogitsOfTwoBytesStayClose) {
  std::string inputs = kModels / "prmoe-lm" / "inputs_2.npz";
  Tensors outputs = run(compile("prmoe-lm", 1), inputs, 1);
  const moe::HostTensor &logits = outputs.at("logits");
  size_t vocabulary = logits.dims().back();
  std::vector<float> reference = floatsOf(logits);
  auto [least, most] = std::minmax_element(reference.begin(), reference.end());
  double bound = 1e-2 * (double(*most) - *least);
  for (const char *dtype : {"--dtype=f16", "--dtype=bf16"}) {
    std::vector<float> found =
        floatsOf(run(compile("prmoe-lm", 1, {dtype}), inputs, 1).at("logits"));
    ASSERT_EQ(found.size(), reference.size());
    size_t far = 0;
    for (size_t begin = 0; begin < found.size(); begin += vocabulary) {
      double largest = 0;
      for (size_t i = begin; i < begin + vocabulary; ++i)
        largest = std::max(largest, std::abs(double(found[i]) - reference[i]));
      far += largest > bound;
    }
    EXPECT_LE(far, found.size() / vocabulary / 1000) << dtype;
  }
}

// Equal options give equal bytes, and codes are what makes a plan small.
TEST_F(LoweredWeightsTest, PlansHoldCodes) {
  std::string whole = compile("prmoe-lm", 1);
  std::string codes = compile("prmoe-lm", 1, {"--dtype=int4"});
  std::string again = compile("prmoe-lm", 1, {"--dtype=int4"});
  EXPECT_TRUE(readFile(codes) == readFile(again));
  // 10.0 of 10.7 MiB are weights of products; 4 bits and a scale for 32.
  EXPECT_LT(fs::file_size(codes), fs::file_size(whole) / 4);
  // Weights that the plan only refers to are rounded when it is loaded.
  std::string inputs = kModels / "prmoe-lm" / "inputs_2.npz";
  std::string referring =
      compile("prmoe-lm", 2, {"--dtype=int4", "--weights=reference"});
  expectSameBits(
      run(referring, inputs, 2, {"--weights-folder", kModels / "prmoe-lm"}),
      run(codes, inputs, 2));
}

} // namespace
