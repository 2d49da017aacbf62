//===- LoweredLayersTest.cpp - Layers with weights in fewer bytes ---------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Layers that are large enough for codes: what --dtype and --activations leave
// of them on several ranks, whose experts are whole or in slices.
//
//===----------------------------------------------------------------------===//

#include "PlanTest.h"
#include "test/models/generate/LargeTransformer.h"

#include <cmath>
#include <fstream>
#include <random>

namespace fs = std::filesystem;
using namespace moe::test;

namespace {

using Options = std::vector<std::string>;

class LoweredLayersTest : public PlanTest {
protected:
  /// A layer with random weights: in the form of DeepSpeed, gelu with biases,
  /// or gated.
  fs::path layer(int64_t experts, bool isGated) {
    TransformerSizes sizes;
    sizes.experts = {experts};
    sizes.k = 2;
    sizes.hidden = 64;
    sizes.inner = 96;
    sizes.gated = isGated;
    fs::path folder = scratch.path /
                      (std::to_string(experts) + (isGated ? "gated" : "plain"));
    fs::create_directory(folder);
    moe::Status status = writeMoeLayer(folder, sizes);
    EXPECT_TRUE(status.isOk()) << status.message();
    // The generator's weights are zeros.
    std::mt19937 rng(7);
    std::normal_distribution<float> normal(0, 0.2f);
    std::vector<float> weights(fs::file_size(folder / "weights.bin") /
                               sizeof(float));
    for (float &weight : weights)
      weight = normal(rng);
    std::ofstream file(folder / "weights.bin", std::ios::binary);
    file.write(reinterpret_cast<const char *>(weights.data()),
               static_cast<std::streamsize>(weights.size() * sizeof(float)));
    return folder;
  }

  /// Length of the difference by length of the reference.
  double relativeError(const Tensors &found, const Tensors &reference) {
    double difference = 0, length = 0;
    for (const auto &[name, tensor] : reference) {
      const moe::HostTensor &other = found.at(name);
      EXPECT_EQ(other.dims(), tensor.dims()) << name;
      size_t count = tensor.bytes().size() / sizeof(float);
      std::vector<float> a(count), b(count);
      memcpy(a.data(), other.bytes().data(), count * sizeof(float));
      memcpy(b.data(), tensor.bytes().data(), count * sizeof(float));
      for (size_t i = 0; i < count; ++i) {
        difference += (double(a[i]) - b[i]) * (double(a[i]) - b[i]);
        length += double(b[i]) * b[i];
      }
    }
    return length > 0 ? std::sqrt(difference / length) : HUGE_VAL;
  }
};

/// Ways to spread a layer over ranks.
const std::pair<int, Options> kMeshes[] = {
    {1, {}}, {2, {}}, {4, {}}, {2, {"--mesh=tp=2"}}};

// A number is off by at most 2^-11 (f16), 2^-8 (bf16), 1/254 (int8) and 1/16
// (int4) of the largest of its block.
TEST_F(LoweredLayersTest, StayWithinTheRoundingOfTheirWeights) {
  const std::pair<const char *, double> kTypes[] = {
      {"f16", 1e-3}, {"bf16", 8e-3}, {"int8", 1.5e-2}, {"int4", 0.2}};
  for (bool isGated : {false, true}) {
    fs::path folder = layer(4, isGated);
    Tensors reference = runMade(compile(folder, 1), "tokens=13", 1);
    for (auto [dtype, tolerance] : kTypes)
      for (const auto &[ranks, mesh] : kMeshes)
        for (bool roundsRows : {false, true}) {
          SCOPED_TRACE(folder.filename().string() + " " + dtype + ", " +
                       std::to_string(ranks) + " ranks " +
                       (mesh.empty() ? "" : mesh[0]) +
                       (roundsRows ? " rows rounded" : ""));
          Options options = mesh;
          options.push_back(std::string("--dtype=") + dtype);
          options.push_back(std::string("--activations=") +
                            (roundsRows ? "int8" : "float"));
          double error = relativeError(
              runMade(compile(folder, ranks, options), "tokens=13", 2),
              reference);
          EXPECT_LT(error, tolerance + (roundsRows ? 1.5e-2 : 0));
          EXPECT_GT(error, tolerance / 50);
        }
  }
}

// Two experts on four ranks, in slices: 96 columns are three blocks of 32, of
// which a slice has one or two. Were slices not codes, rows would not be
// rounded, and results be off by about 1e-2.
TEST_F(LoweredLayersTest, SlicesOfExpertsStayCodes) {
  for (bool isGated : {false, true}) {
    fs::path folder = layer(2, isGated);
    for (const char *dtype : {"--dtype=int8", "--dtype=int4"})
      for (const char *activations :
           {"--activations=float", "--activations=int8"})
        for (const char *points : {"", "--quant-zero-points"}) {
          SCOPED_TRACE(folder.filename().string() + " " + dtype + " " +
                       activations + " " + points);
          Options options = {dtype, activations};
          if (*points)
            options.push_back(points);
          Tensors one = runMade(compile(folder, 1, options), "tokens=13", 1);
          options.push_back("--layer-form=*:slice");
          Tensors four = runMade(compile(folder, 4, options), "tokens=13", 2);
          EXPECT_LT(relativeError(four, one), 1e-5);
        }
  }
}

} // namespace
