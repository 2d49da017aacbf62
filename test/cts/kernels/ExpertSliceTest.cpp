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
#include "test/cts/kernels/QuantWeights.h"

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

/// How ranks hold weights.
struct Holding {
  std::string_view layout; ///< empty: as tensors of all experts
  /// The layout of matrices, if they are in codes.
  std::optional<QuantFormat> format;
  const char *arithmetic = "float";
  int64_t unit = 16; ///< hidden values that slices keep together

  Holding(const char *layout, int64_t unit = 16) : layout(layout), unit(unit) {}
  Holding(const QuantFormat &format, const char *arithmetic)
      : layout(kRowLayout), format(format), arithmetic(arithmetic),
        unit(std::max<int64_t>(16, format.block)) {}
};

/// Matrices row by row as codes, each block rounded alone: as blocks of codes
/// begin where slices do, these are the codes of the whole.
Tensor toCodes(const Tensor &rows, const QuantFormat &format, int cutAxis) {
  Tensor result = rows;
  for (size_t i = 0; i < rows.blocks.size(); ++i) {
    std::vector<int64_t> dims(rows.view.dims, rows.view.dims + 2);
    if (rows.blocks[i].sliceSize >= 0)
      dims[cutAxis] = rows.blocks[i].sliceSize;
    Tensor one = Tensor::zeros(DType::F32, dims);
    one.bytes.assign(rows.blockBytes[i].begin(), rows.blockBytes[i].end());
    one.view.data = one.bytes.data();
    Tensor codes = QuantWeights::of(one, format).codes;
    result.view.layout = codes.view.layout;
    result.blockBytes[i] = codes.blockBytes[0];
    result.blocks[i].data = result.blockBytes[i].data();
    result.blocks[i].bytes = result.blockBytes[i].size();
  }
  result.view.blocks = result.blocks;
  return result;
}

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
  /// The rows of x for the experts of one rank.
  Tensor run(const Weights &w, const plan::LayerT &layer, Communicator &rank,
             const Tensor &x, const std::vector<int32_t> &counts,
             const Holding &holding) {
    std::vector<LocalExpert> experts = localExperts(layer, rank.rank());
    int64_t unit = holding.unit;
    int64_t unitOfFirst = w.gating == "interleaved" ? 2 * unit : unit;
    auto cut = [&](const Tensor &all, int axis, int64_t units) {
      if (holding.layout.empty() || !all.view.present())
        return all;
      Tensor result = held(all, experts, holding.layout, axis, units);
      return holding.format && all.view.rank == 3
                 ? toCodes(result, *holding.format, axis)
                 : result;
    };
    Tensor w1 = cut(w.w1, 1, unitOfFirst), b1 = cut(w.b1, 0, unitOfFirst);
    Tensor w2 = cut(w.w2, 0, unit), b2 = cut(w.b2, -1, 1);
    Tensor w3 = cut(w.w3, 1, unit), b3 = cut(w.b3, 0, unit);
    Tensor c = Tensor::i32({static_cast<int64_t>(counts.size())}, counts);
    Tensor y = Tensor::zeros(DType::F32, {x.view.dims[0], kOutputs});
    runner.step("experts").with("activation", "silu");
    runner.with("gating", w.gating.c_str()).onRank(rank, &layer);
    runner.with("arithmetic", holding.arithmetic);
    if (unit != 16)
      runner.with("slice_unit", unit);
    runner.run({&x, &c, &w1, &b1, &w2, &b2, &w3, &b3}, {&y});
    return y;
  }

  /// Eleven rows of expert 1: the sum over ranks that slice it is what one rank
  /// gives. Calls onPart(rank, layer, x, counts, part) for each rank.
  template <typename OnPart>
  void expectPartsAddUp(const Weights &w, uint32_t slices,
                        const Holding &holding, OnPart &&onPart) {
    plan::LayerT whole = layerOf(1), layer = layerOf(slices);
    Tensor x = Tensor::random(DType::F32, {11, kInputs}, rng);
    auto one = createThreadCommunicators(1, std::chrono::seconds(5));
    auto all = createThreadCommunicators(static_cast<int>(slices),
                                         std::chrono::seconds(5));
    Tensor expected = run(w, whole, *one[0], x, {0, 11, 0}, holding);
    Tensor sum = Tensor::zeros(DType::F32, {11, kOutputs});
    runner.counters = Counters();
    for (uint32_t r = 0; r < slices; ++r) {
      // Counts of experts 0 and 1, of 1, or of 1 and 2.
      std::vector<int32_t> counts = {11};
      if (r == 0)
        counts = {0, 11};
      else if (r == slices - 1)
        counts = {11, 0};
      Tensor part = run(w, layer, *all[r], x, counts, holding);
      onPart(*all[r], layer, x, counts, part);
      for (int64_t i = 0; i < sum.size(); ++i)
        sum.set(i, sum.at(i) + part.at(i));
    }
    expectClose(sum, expected, 1e-5, 2e-6);
  }
};

TEST_P(ExpertSlice, PartialSumsAddUp) {
  for (const char *gating : {"none", "interleaved", "split"})
    // 72 hidden values are five units of 16: slices of 2 and 3 units; of 1, 2
    // and 2; with six slices, one has nothing.
    for (uint32_t slices : {2u, 3u, 6u}) {
      Weights w(rng, gating);
      SCOPED_TRACE(std::string(gating) + " " + std::to_string(slices));
      expectPartsAddUp(
          w, slices, "panel16",
          [&](Communicator &rank, const plan::LayerT &layer, const Tensor &x,
              const std::vector<int32_t> &counts, const Tensor &part) {
            expectEqual(run(w, layer, rank, x, counts, "row"), part);
            expectEqual(run(w, layer, rank, x, counts, ""), part);
          });
      EXPECT_EQ(runner.counters.expertRows, 3u * 11) << "of slice 0 alone";
      uint64_t factor = std::string(gating) == "none" ? 1 : 2;
      EXPECT_EQ(runner.counters.flops,
                3u * 11 * 2 * kHidden * (factor * kInputs + kOutputs));
    }
}

TEST_P(ExpertSlice, PartialSumsOfHalfPrecisionWeights) {
  for (DType dtype : {DType::F16, DType::BF16}) {
    Weights w(rng, "split", dtype);
    expectPartsAddUp(w, 2, "panel16",
                     [&](Communicator &rank, const plan::LayerT &layer,
                         const Tensor &x, const std::vector<int32_t> &counts,
                         const Tensor &part) {
                       expectEqual(run(w, layer, rank, x, counts, "row"), part);
                     });
  }
}

// 72 hidden values are three blocks of 32: slices of 1 and 2 blocks, or of one.
TEST_P(ExpertSlice, PartialSumsOfCodes) {
  for (const char *gating : {"none", "interleaved", "split"})
    for (const QuantFormat &format :
         {QuantFormat{4, 32}, QuantFormat{8, 32, DType::F16, true}})
      for (const char *arithmetic : {"float", "int8"})
        for (uint32_t slices : {2u, 3u}) {
          SCOPED_TRACE(std::string(gating) + " " + quantLayoutName(format) +
                       " " + arithmetic + " " + std::to_string(slices));
          Weights w(rng, gating);
          expectPartsAddUp(w, slices, {format, arithmetic}, [](auto &&...) {});
        }
}

TEST_P(ExpertSlice, UnitsAreWhatThePlanSays) {
  Weights w(rng, "interleaved");
  plan::LayerT layer = layerOf(2);
  auto two = createThreadCommunicators(2, std::chrono::seconds(5));
  Tensor x = Tensor::random(DType::F32, {3, kInputs}, rng);
  // 72 are two units of 48, of which the last is smaller.
  for (int rank : {0, 1}) {
    std::vector<int32_t> counts = {0, 3};
    if (rank == 1)
      counts = {3, 0};
    Tensor blocks = run(w, layer, *two[rank], x, counts, {"panel16", 48});
    expectEqual(run(w, layer, *two[rank], x, counts, {"", 48}), blocks);
  }
  for (int64_t unit : {int64_t(0), int64_t(24), int64_t(-16)}) {
    Tensor y = Tensor::zeros(DType::F32, {3, kOutputs});
    Tensor counts = Tensor::i32({2}, {0, 3});
    runner.step("experts").with("activation", "silu");
    runner.with("gating", "interleaved").with("slice_unit", unit);
    EXPECT_EQ(runner.tryRun({&x, &counts, &w.w1, &w.b1, &w.w2, &w.b2}, {&y})
                  .message(),
              "step experts: attribute 'slice_unit' is " +
                  std::to_string(unit) + ", expected a multiple of 16");
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
