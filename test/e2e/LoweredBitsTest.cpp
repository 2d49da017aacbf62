//===- LoweredBitsTest.cpp - The same bits with any weights ---------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Where no sum is split over ranks, results have the same bits on any number of
// ranks and threads and in any batch, for every way to store weights and to
// read rows: what PromisesTest tries on weights of f32.
//
//===----------------------------------------------------------------------===//

#include "PlanTest.h"
#include "test/models/generate/LargeTransformer.h"

namespace fs = std::filesystem;
using namespace moe::test;

namespace {

using Options = std::vector<std::string>;

const Options kWays[] = {
    {"--dtype=f32"},
    {"--dtype=f16"},
    {"--dtype=bf16"},
    {"--dtype=int8"},
    {"--dtype=int8", "--activations=int8"},
    {"--dtype=int8", "--quant-zero-points", "--activations=int8"},
    {"--dtype=int4"},
    {"--dtype=int4", "--quant-zero-points"},
    {"--dtype=int4", "--activations=int8"},
    {"--dtype=int4", "--quant-zero-points", "--activations=int8"},
};

std::string textOf(const Options &options) {
  std::string text;
  for (const std::string &option : options)
    text += option + " ";
  return text;
}

class LoweredBitsTest : public PlanTest {
protected:
  std::string compileExact(const fs::path &folder, int ranks, Options options) {
    options.push_back("--reduce=exact");
    return compile(folder, ranks, options);
  }

  /// Runs the model with `options` on 1 to 4 ranks and 1 and 2 threads; `run`
  /// gives the outputs of a plan.
  template <typename Run>
  void expectSameOnRanks(const fs::path &folder, const Options &options,
                         Run run) {
    SCOPED_TRACE(folder.filename().string() + " " + textOf(options));
    Tensors reference = run(compileExact(folder, 1, options), 1);
    for (int ranks : {1, 2, 3, 4}) {
      std::string plan = compileExact(folder, ranks, options);
      for (int threads : {1, 2}) {
        SCOPED_TRACE(std::to_string(ranks) + " ranks, " +
                     std::to_string(threads) + " threads");
        expectSameBits(run(plan, threads), reference);
      }
    }
  }
};

TEST_F(LoweredBitsTest, TrainedModelsOverRanksAndThreads) {
  for (const char *model : {"prmoe-lm", "moe-top2-lm"})
    for (const Options &options : kWays) {
      std::string inputs = kModels / model / "inputs_2.npz";
      expectSameOnRanks(kModels / model, options,
                        [&](const std::string &plan, int threads) {
                          return run(plan, inputs, threads);
                        });
    }
}

// Six blocks of 32 inner columns, two experts for each of three ranks.
TEST_F(LoweredBitsTest, AGatedLayerOverRanksAndThreads) {
  TransformerSizes sizes;
  sizes.experts = {6};
  sizes.k = 2;
  sizes.hidden = 256;
  sizes.inner = 192;
  sizes.gated = true;
  fs::path folder = scratch.path / "layer";
  fs::create_directory(folder);
  moe::Status status = writeMoeLayer(folder, sizes);
  ASSERT_TRUE(status.isOk()) << status.message();
  for (Options options : kWays) {
    options.push_back("--weights=synthetic");
    for (const char *shape : {"tokens=1", "tokens=37"})
      expectSameOnRanks(folder, options,
                        [&](const std::string &plan, int threads) {
                          return runMade(plan, shape, threads);
                        });
  }
}

TEST_F(LoweredBitsTest, AloneAndInABatch) {
  std::string path = kModels / "prmoe-lm" / "inputs_2.npz";
  auto batch = moe::readNpz(path);
  ASSERT_TRUE(batch.isOk()) << batch.status().message();
  for (const Options &options : kWays) {
    SCOPED_TRACE(textOf(options));
    std::string plan = compileExact(kModels / "prmoe-lm", 2, options);
    Tensors together = run(plan, path, 2);
    for (int64_t row = 0; row < 3; ++row) {
      std::vector<moe::HostTensor> alone;
      for (const moe::HostTensor &tensor : *batch)
        alone.push_back(rowsOf(tensor, row, 1));
      std::string inputs = scratch.path / "alone.npz";
      ASSERT_TRUE(moe::writeNpz(inputs, alone).isOk());
      Tensors expected;
      for (const auto &[name, tensor] : together)
        expected.emplace(name, rowsOf(tensor, row, 1));
      expectSameBits(run(plan, inputs, 2), expected);
    }
  }
}

} // namespace
