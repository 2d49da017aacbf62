//===- ExpertSliceTest.cpp - experts that are slices ----------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/params/BlockPart.h"
#include "runtime/params/Layouts.h"
#include "runtime/plan/Placement.h"
#include "test/cts/kernels/KernelRunner.h"

#include <cmath>

using namespace moe;
using namespace moe::test;

namespace {

constexpr int64_t kExperts = 3, kInputs = 24, kHidden = 72, kOutputs = 20;

/// Weights of all experts, and what a rank holds of them.
struct Weights {
  std::string gating;
  Tensor w1, b1, w2, b2, w3 = Tensor::absent(), b3 = Tensor::absent();

  Weights(std::mt19937 &rng, std::string gating, DType dtype = DType::F32)
      : gating(gating) {
    int64_t factor = gating == "interleaved" ? 2 : 1;
    auto random = [&](std::vector<int64_t> dims) {
      dims.insert(dims.begin(), kExperts);
      return Tensor::random(dtype, dims, rng, 0.2f);
    };
    w1 = random({kInputs, factor * kHidden});
    b1 = random({factor * kHidden});
    w2 = random({kHidden, kOutputs});
    b2 = random({kOutputs});
    if (gating == "split") {
      w3 = random({kInputs, kHidden});
      b3 = random({kHidden});
    }
  }
};

/// The blocks of `held` in `layout`, cut along `axis` of a block in units of
/// `unit` elements (axis -1: whole).
Tensor held(const Tensor &all, std::span<const LocalExpert> experts,
            std::string_view layout, int axis, int64_t unit) {
  if (!all.view.present())
    return all;
  std::vector<int64_t> dims(all.view.dims + 1, all.view.dims + all.view.rank);
  if (dims.size() == 1)
    layout = kRowLayout;
  DType dtype = all.view.dtype;
  Tensor result = Tensor::zeros(dtype, dims);
  result.view.layout = layout;
  size_t blockBytes = all.bytes.size() / kExperts;
  for (const LocalExpert &expert : experts) {
    std::vector<int64_t> starts(dims.size(), 0), sizes = dims;
    bool isSliced = axis >= 0 && expert.numSlices > 1;
    if (isSliced) {
      Interval part = sliceOf(dims[axis], unit, expert.slice, expert.numSlices);
      starts[axis] = part.begin;
      sizes[axis] = part.size();
    }
    std::vector<std::byte> rows(*layoutBytes(kRowLayout, dtype, sizes));
    readBlockWindow(
        kRowLayout, dtype, dims,
        std::span(all.bytes).subspan(expert.expert * blockBytes, blockBytes),
        starts, sizes, rows);
    std::vector<std::byte> packed(*layoutBytes(layout, dtype, sizes));
    EXPECT_TRUE(packLayout(layout, dtype, sizes, rows, packed).isOk());
    result.blockBytes.push_back(std::move(packed));
    result.blocks.push_back({result.blockBytes.back().data(),
                             result.blockBytes.back().size(),
                             isSliced ? sizes[axis] : -1});
  }
  result.view.blocks = result.blocks;
  result.view.data = nullptr;
  return result;
}

/// Expert 0 whole on rank 0, expert 1 in `slices` slices on ranks 0, 1 .., and
/// expert 2 whole on the last rank.
plan::LayerT layerOf(uint32_t slices) {
  plan::LayerT layer;
  layer.experts = kExperts;
  for (int e = 0; e < kExperts; ++e)
    layer.places.push_back(std::make_unique<plan::ExpertPlaceT>());
  layer.places[0]->ranks = {0};
  for (uint32_t rank = 0; rank < slices; ++rank)
    layer.places[1]->ranks.push_back(rank);
  layer.places[1]->slices = slices;
  layer.places[2]->ranks = {slices - 1};
  return layer;
}

class ExpertSlice : public KernelTest {
protected:
  /// The rows of x for the experts of one rank; `layout` empty: the weights as
  /// tensors of all experts.
  Tensor run(const Weights &w, const plan::LayerT &layer, Communicator &rank,
             const Tensor &x, const std::vector<int32_t> &counts,
             std::string_view layout) {
    std::vector<LocalExpert> experts = localExperts(layer, rank.rank());
    int64_t unit = w.gating == "interleaved" ? 32 : 16;
    auto cut = [&](const Tensor &all, int axis, int64_t units) {
      return layout.empty() ? all : held(all, experts, layout, axis, units);
    };
    Tensor w1 = cut(w.w1, 1, unit), b1 = cut(w.b1, 0, unit);
    Tensor w2 = cut(w.w2, 0, 16), b2 = cut(w.b2, -1, 1);
    Tensor w3 = cut(w.w3, 1, 16), b3 = cut(w.b3, 0, 16);
    Tensor c = Tensor::i32({static_cast<int64_t>(counts.size())}, counts);
    Tensor y = Tensor::zeros(DType::F32, {x.view.dims[0], kOutputs});
    runner.step("experts").with("activation", "silu");
    runner.with("gating", w.gating.c_str()).onRank(rank, &layer);
    runner.run({&x, &c, &w1, &b1, &w2, &b2, &w3, &b3}, {&y});
    return y;
  }
};

TEST_P(ExpertSlice, PartialSumsAddUp) {
  for (const char *gating : {"none", "interleaved", "split"})
    // 72 hidden values are five units of 16: slices of 2 and 3 units; of 1, 2
    // and 2; with six slices, one has nothing.
    for (uint32_t slices : {2u, 3u, 6u}) {
      Weights w(rng, gating);
      plan::LayerT whole = layerOf(1), layer = layerOf(slices);
      Tensor x = Tensor::random(DType::F32, {11, kInputs}, rng);
      auto one = createThreadCommunicators(1, std::chrono::seconds(5));
      auto all = createThreadCommunicators(static_cast<int>(slices),
                                           std::chrono::seconds(5));
      Tensor expected = run(w, whole, *one[0], x, {0, 11, 0}, "panel16");
      Tensor sum = Tensor::zeros(DType::F32, {11, kOutputs});
      runner.counters = Counters();
      for (uint32_t r = 0; r < slices; ++r) {
        // Counts of experts 0 and 1, of 1, or of 1 and 2.
        std::vector<int32_t> counts = {11};
        if (r == 0)
          counts = {0, 11};
        else if (r == slices - 1)
          counts = {11, 0};
        Tensor part = run(w, layer, *all[r], x, counts, "panel16");
        expectEqual(run(w, layer, *all[r], x, counts, "row"), part);
        expectEqual(run(w, layer, *all[r], x, counts, ""), part);
        for (int64_t i = 0; i < sum.size(); ++i)
          sum.set(i, sum.at(i) + part.at(i));
      }
      SCOPED_TRACE(std::string(gating) + " " + std::to_string(slices));
      expectClose(sum, expected, 1e-5, 2e-6);
      EXPECT_EQ(runner.counters.expertRows, 3u * 11) << "of slice 0 alone";
      uint64_t factor = std::string(gating) == "none" ? 1 : 2;
      EXPECT_EQ(runner.counters.flops,
                3u * 11 * 2 * kHidden * (factor * kInputs + kOutputs));
    }
}

TEST_P(ExpertSlice, PartialSumsOfHalfPrecisionWeights) {
  for (DType dtype : {DType::F16, DType::BF16}) {
    Weights w(rng, "split", dtype);
    plan::LayerT whole = layerOf(1), layer = layerOf(2);
    Tensor x = Tensor::random(DType::F32, {11, kInputs}, rng);
    auto one = createThreadCommunicators(1, std::chrono::seconds(5));
    auto two = createThreadCommunicators(2, std::chrono::seconds(5));
    Tensor expected = run(w, whole, *one[0], x, {0, 11, 0}, "panel16");
    Tensor sum = run(w, layer, *two[0], x, {0, 11}, "panel16");
    Tensor second = run(w, layer, *two[1], x, {11, 0}, "panel16");
    expectEqual(run(w, layer, *two[1], x, {11, 0}, "row"), second);
    for (int64_t i = 0; i < sum.size(); ++i)
      sum.set(i, sum.at(i) + second.at(i));
    expectClose(sum, expected, 1e-5, 2e-6);
  }
}

TEST_P(ExpertSlice, WholeExpertsBesideSlicesAreTheSameBits) {
  Weights w(rng, "split");
  plan::LayerT whole = layerOf(1), layer = layerOf(2);
  Tensor x = Tensor::random(DType::F32, {7, kInputs}, rng);
  auto one = createThreadCommunicators(1, std::chrono::seconds(5));
  auto two = createThreadCommunicators(2, std::chrono::seconds(5));
  Tensor expected = run(w, whole, *one[0], x, {4, 3, 0}, "panel16");
  Tensor found = run(w, layer, *two[0], x, {4, 3}, "panel16");
  size_t bytes = 4 * kOutputs * sizeof(float);
  EXPECT_EQ(std::memcmp(found.bytes.data(), expected.bytes.data(), bytes), 0);
}

TEST_P(ExpertSlice, RefusesBlocksOfAnotherSize) {
  Weights w(rng, "none");
  plan::LayerT layer = layerOf(2);
  auto two = createThreadCommunicators(2, std::chrono::seconds(5));
  std::vector<LocalExpert> experts = localExperts(layer, 0);
  Tensor x = Tensor::random(DType::F32, {2, kInputs}, rng);
  Tensor counts = Tensor::i32({2}, {0, 2});
  Tensor w1 = held(w.w1, experts, "row", -1, 1);
  Tensor b1 = held(w.b1, experts, "row", 0, 16);
  Tensor w2 = held(w.w2, experts, "row", 0, 16);
  Tensor b2 = held(w.b2, experts, "row", -1, 1);
  Tensor y = Tensor::zeros(DType::F32, {2, kOutputs});
  runner.step("experts").with("activation", "silu").onRank(*two[0], &layer);
  EXPECT_EQ(runner.tryRun({&x, &counts, &w1, &b1, &w2, &b2}, {&y}).message(),
            "experts: the weights of expert 1 of this rank are not those of "
            "its slice");
}

MOE_ON_ALL_MACHINES(ExpertSlice);

} // namespace
