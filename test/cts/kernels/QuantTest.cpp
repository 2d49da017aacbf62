//===- QuantTest.cpp - Products with weights in codes ---------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Products with codes have the bits of plain loops in their order of additions;
// all steps are close to those with the weights that the codes stand for.
//
//===----------------------------------------------------------------------===//

#include "test/cts/kernels/QuantWeights.h"

using namespace moe;
using namespace moe::test;

namespace {

class Quant : public KernelTest {
protected:
  Tensor product(const Tensor &x, const Tensor &w) {
    Tensor y = Tensor::zeros(DType::F32, {x.view.dims[0], w.view.dims[1]});
    runner.step("matmul").run({&x, &w}, {&y});
    return y;
  }
  bool isFused() const { return GetParam().isa != "portable"; }

  /// Sums of the same numbers in another order.
  static void expectNear(const Tensor &found, const Tensor &expected) {
    double largest = 0;
    for (int64_t i = 0; i < expected.size(); ++i)
      largest = std::max(largest, std::fabs(expected.at(i)));
    expectClose(found, expected, 0, 4e-6 * largest);
  }
};

TEST_P(Quant, ProductsAddSegments) {
  // Depths that end in words and blocks, and go over a block of the cache.
  for (auto [depth, columns] : {std::pair{5, 3}, {77, 37}, {535, 130}})
    for (const QuantFormat &format : someQuantFormats()) {
      SCOPED_TRACE(quantLayoutName(format) + " " + std::to_string(depth));
      Tensor x = Tensor::random(DType::F32, {64, depth}, rng);
      Tensor w = Tensor::random(DType::F32, {depth, columns}, rng);
      QuantWeights q = QuantWeights::of(w, format);
      Tensor expected = q.product(x, format, isFused());
      expectNear(expected, product(x, q.values.packed()));
      for (int64_t rows = 1; rows <= 64; rows += rows < 16 ? 1 : 6)
        expectEqual(product(firstRows(x, rows), q.codes),
                    firstRows(expected, rows));
    }
}

TEST_P(Quant, EveryRowCount) {
  Tensor x = Tensor::random(DType::F32, {64, 293}, rng);
  for (int bits : {4, 8}) {
    QuantFormat format{bits, 32};
    QuantWeights q =
        QuantWeights::of(Tensor::random(DType::F32, {293, 100}, rng), format);
    Tensor expected = q.product(x, format, isFused());
    for (int64_t rows = 1; rows <= 64; ++rows)
      expectEqual(product(firstRows(x, rows), q.codes),
                  firstRows(expected, rows));
  }
}

TEST_P(Quant, BlocksOfZerosAndLargeNumbers) {
  // Scales of 0 and the largest of f16, of both signs.
  Tensor w = Tensor::zeros(DType::F32, {64, 20});
  for (int64_t i = 0; i < 32 * 20; ++i)
    w.set(i, i % 20 < 10 ? 0 : (i % 20 < 15 ? 1e9 : -1e9) * (i % 7 - 3));
  Tensor x = Tensor::random(DType::F32, {3, 64}, rng);
  for (int bits : {4, 8})
    for (bool hasZeroPoints : {false, true}) {
      QuantFormat format{bits, 32, DType::F16, hasZeroPoints};
      QuantWeights q = QuantWeights::of(w, format);
      expectEqual(product(x, q.codes), q.product(x, format, isFused()));
    }
}

TEST_P(Quant, HalfRowsBatchesAndBias) {
  QuantFormat format{4, 32};
  QuantWeights q =
      QuantWeights::of(Tensor::random(DType::F32, {40, 24}, rng, 0.2f), format);
  Tensor bias = Tensor::random(DType::F32, {24}, rng);
  for (DType dtype : {DType::F32, DType::F16, DType::BF16}) {
    Tensor x = Tensor::random(dtype, {2, 3, 40}, rng);
    Tensor y = Tensor::zeros(dtype, {2, 3, 24});
    runner.step("matmul").run({&x, &q.codes, &bias}, {&y});
    Tensor rows = x.as(DType::F32);
    rows.view.rank = 2;
    rows.view.dims[0] = 6;
    rows.view.dims[1] = 40;
    rows.view.setContiguous();
    Tensor sums = q.product(Tensor(rows), format, isFused());
    for (int64_t i = 0; i < sums.size(); ++i)
      sums.view.as<float>()[i] += bias.view.as<float>()[i % 24];
    Tensor expected = sums.as(dtype);
    expectEqual(y, expected);
  }
}

//===----------------------------------------------------------------------===//
// Networks
//===----------------------------------------------------------------------===//

/// Weights of several experts, in codes or not.
struct Operands {
  std::string gating;
  Tensor w1, b1, w2, b2, w3 = Tensor::absent(), b3 = Tensor::absent();

  KernelRunner &describe(KernelRunner &runner, const char *step) const {
    runner.step(step).with("activation", "silu");
    return runner.with("gating", gating.c_str());
  }
  Tensor experts(KernelRunner &runner, const Tensor &x,
                 const std::vector<int32_t> &counts) const {
    Tensor c = Tensor::i32({static_cast<int64_t>(counts.size())}, counts);
    Tensor y = Tensor::zeros(DType::F32, {x.view.dims[0], w2.view.dims[1]});
    describe(runner, "experts")
        .run({&x, &c, &w1, &b1, &w2, &b2, &w3, &b3}, {&y});
    return y;
  }
};

struct QuantNetworks {
  Operands codes, values;

  QuantNetworks(std::mt19937 &rng, int64_t experts, int64_t inputs,
                int64_t hidden, int64_t outputs, const std::string &gating,
                const QuantFormat &format) {
    bool isDouble = gating == "interleaved" || gating == "concatenated";
    int64_t columns = isDouble ? 2 * hidden : hidden;
    auto random = [&](std::vector<int64_t> dims) {
      if (experts > 0)
        dims.insert(dims.begin(), experts);
      return Tensor::random(DType::F32, dims, rng, 0.3f);
    };
    codes.gating = gating;
    codes.b1 = random({columns});
    codes.b2 = random({outputs});
    if (gating == "split")
      codes.b3 = random({hidden});
    values = codes;
    auto setMatrix = [&](Tensor Operands::*matrix, const Tensor &weight) {
      QuantWeights q = QuantWeights::of(weight, format);
      codes.*matrix = q.codes;
      values.*matrix = q.values.packed();
    };
    setMatrix(&Operands::w1, random({inputs, columns}));
    setMatrix(&Operands::w2, random({hidden, outputs}));
    if (gating == "split")
      setMatrix(&Operands::w3, random({inputs, hidden}));
  }
};

TEST_P(Quant, ExpertsAreThoseOfTheValues) {
  std::vector<int32_t> counts = {3, 0, 1, 30, 2, 12};
  Tensor x = Tensor::random(DType::F32, {48, 75}, rng);
  for (const char *gating : {"none", "interleaved", "concatenated", "split"})
    for (int bits : {4, 8})
      for (bool hasZeroPoints : {false, true})
        for (int64_t hidden : {40, 72}) {
          SCOPED_TRACE(gating);
          QuantNetworks n(rng, 6, 75, hidden, 33, gating,
                          {bits, 32, DType::F16, hasZeroPoints});
          expectNear(n.codes.experts(runner, x, counts),
                     n.values.experts(runner, x, counts));
        }
}

TEST_P(Quant, ExpertsDoNotDependOnThreads) {
  Tensor x = Tensor::random(DType::F32, {36, 64}, rng);
  QuantNetworks n(rng, 3, 64, 200, 64, "split", {4, 32});
  KernelRunner reference({GetParam().isa, 1});
  Tensor expected = n.codes.experts(reference, x, {1, 30, 5});
  for (int threads : {1, 2, 3, 4}) {
    KernelRunner other({GetParam().isa, threads});
    expectEqual(n.codes.experts(other, x, {1, 30, 5}), expected);
  }
}

TEST_P(Quant, DenseNetworksAreThoseOfTheValues) {
  for (int64_t rows : {1, 4, 100}) {
    QuantNetworks n(rng, 0, 40, 96, 50, "split", {8, 32});
    Tensor x = Tensor::random(DType::F32, {rows, 40}, rng);
    Tensor y = Tensor::zeros(DType::F32, {rows, 50}), expected = y;
    auto run = [&](const Operands &o, Tensor &out) {
      o.describe(runner, "ffn")
          .run({&x, &o.w1, &o.b1, &o.w2, &o.b2, &o.w3, &o.b3}, {&out});
    };
    run(n.codes, y);
    run(n.values, expected);
    expectNear(y, expected);
  }
}

//===----------------------------------------------------------------------===//
// Slices
//===----------------------------------------------------------------------===//

/// Rows [begin, end) of dimension `axis` of a matrix.
Tensor partOf(const Tensor &matrix, int axis, int64_t begin, int64_t end) {
  std::vector<int64_t> dims(matrix.view.dims, matrix.view.dims + 2);
  int64_t columns = dims[1];
  dims[axis] = end - begin;
  Tensor result = Tensor::zeros(DType::F32, dims);
  for (int64_t i = 0; i < result.size(); ++i) {
    int64_t row = i / dims[1] + (axis == 0 ? begin : 0);
    int64_t column = i % dims[1] + (axis == 1 ? begin : 0);
    result.set(i, matrix.at(row * columns + column));
  }
  return result;
}

/// The block of a rank that holds this part of a weight of `whole` dims.
Tensor asSlice(const Tensor &part, const Tensor &whole, int64_t size) {
  Tensor result = part;
  std::copy_n(whole.view.dims, 2, result.view.dims);
  result.view.setContiguous();
  result.blocks[0].sliceSize = size;
  return Tensor(result);
}

class QuantSlice : public Quant {
protected:
  static constexpr int64_t kHidden = 96;

  /// Slice `rank` of two of one expert, its hidden values [begin, end).
  StatusOr<Tensor> run(const QuantFormat &format, uint32_t rank, int64_t begin,
                       int64_t end, bool usesCodes) {
    plan::LayerT layer;
    layer.experts = 1;
    layer.places.push_back(std::make_unique<plan::ExpertPlaceT>());
    layer.places[0]->ranks = {0, 1};
    layer.places[0]->slices = 2;
    auto ranks = createThreadCommunicators(2, std::chrono::seconds(5));
    auto slice = [&](const Tensor &w, int axis) {
      QuantWeights q = QuantWeights::of(partOf(w, axis, begin, end), format);
      return asSlice(usesCodes ? q.codes : q.values.packed(), w, end - begin);
    };
    Tensor s1 = slice(w1, 1), s2 = slice(w2, 0);
    Tensor counts = Tensor::i32({1}, {5}), absent = Tensor::absent();
    Tensor y = Tensor::zeros(DType::F32, {5, 24});
    runner.step("experts").with("activation", "silu");
    runner.onRank(*ranks[rank], &layer);
    MOE_RETURN_IF_ERROR(
        runner.tryRun({&x, &counts, &s1, &absent, &s2, &absent}, {&y}));
    return y;
  }

  Tensor x = Tensor::random(DType::F32, {5, 40}, rng);
  Tensor w1 = Tensor::random(DType::F32, {40, kHidden}, rng);
  Tensor w2 = Tensor::random(DType::F32, {kHidden, 24}, rng);
};

TEST_P(QuantSlice, HasItsOwnBlocks) {
  // Six units of 16 hidden values: three for each slice, so blocks of 16.
  for (uint32_t rank : {0u, 1u}) {
    int64_t begin = rank * 48, end = begin + 48;
    for (int bits : {4, 8}) {
      QuantFormat format{bits, 16};
      StatusOr<Tensor> found = run(format, rank, begin, end, true);
      ASSERT_TRUE(found.isOk()) << found.status().message();
      expectNear(*found, *run(format, rank, begin, end, false));
    }
  }
}

TEST_P(QuantSlice, RefusesPartsOfBlocks) {
  StatusOr<Tensor> found = run({4, 32}, 1, 48, 96, true);
  EXPECT_EQ(found.status().message(),
            "experts: the weights of expert 0 of this rank are not those of "
            "its slice");
}

TEST_P(Quant, RefusesUnknownLayouts) {
  Tensor x = Tensor::zeros(DType::F32, {1, 32});
  Tensor y = Tensor::zeros(DType::F32, {1, 16});
  QuantWeights q =
      QuantWeights::of(Tensor::zeros(DType::F32, {32, 16}), {4, 32});
  q.codes.view.layout = "panel16.q5x32";
  EXPECT_EQ(runner.step("matmul").tryRun({&x, &q.codes}, {&y}).message(),
            "matmul: rhs of shape [32, 16] and layout 'panel16.q5x32' cannot "
            "be read");
}

MOE_ON_ALL_MACHINES(Quant);
MOE_ON_ALL_MACHINES(QuantSlice);

} // namespace
