//===- Int8Test.cpp - Products of rounded rows and codes ------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Steps with arithmetic int8 against plain loops over integers: the same bits
// for every instruction set with a fused multiply-add, and for any number of
// rows and threads.
//
//===----------------------------------------------------------------------===//

#include "test/cts/kernels/QuantWeights.h"

#include <cmath>
#include <limits>

using namespace moe;
using namespace moe::test;
using cpu::QuantBlock;

namespace {

//===----------------------------------------------------------------------===//
// Plain reference
//===----------------------------------------------------------------------===//

/// One block of a row, as Isa.h defines it.
QuantBlock roundBlock(const float *x, int64_t count) {
  QuantBlock block{};
  float most = 0;
  bool isFinite = true;
  for (int64_t i = 0; i < count; ++i) {
    isFinite = isFinite && std::isfinite(x[i]);
    most = std::max(most, std::fabs(x[i]));
  }
  block.scale = isFinite ? most / 127 : std::nanf("");
  int sum = 0;
  for (int64_t i = 0; isFinite && block.scale > 0 && i < count; ++i) {
    float code = std::nearbyint(x[i] / block.scale);
    block.codes[i] = static_cast<int8_t>(std::clamp(code, -127.0f, 127.0f));
    sum += block.codes[i];
  }
  block.minus8 = -8 * sum;
  block.minus128 = -128 * sum;
  return block;
}

/// Codes, zeros and scales of one matrix, read as QuantFormat.h says they lie.
struct Codes {
  QuantFormat format;
  const std::byte *data;
  QuantPanel panel;

  Codes(const Tensor &weight, size_t block)
      : format(*parseQuantLayout(weight.view.layout)),
        data(weight.blockBytes[block].data()),
        panel(*QuantPanel::of(format, weight.view.dims[0])) {}

  int code(int64_t row, int64_t column) const {
    const std::byte *codes = data + column / 16 * panel.bytes;
    int64_t rows = 32 / format.bits;
    auto byte =
        static_cast<int>(codes[(row / rows * 16 + column % 16) * 4 + row % 4]);
    if (format.bits == 8)
      return byte;
    return row % 8 < 4 ? byte & 15 : byte >> 4;
  }
  int zero(int64_t row, int64_t column) const {
    if (!format.hasZeroPoints)
      return format.zero();
    return static_cast<int>(data[column / 16 * panel.bytes + panel.zeros +
                                 row / format.block * 16 + column % 16]);
  }
  float scale(int64_t row, int64_t column) const {
    const std::byte *scales = data + column / 16 * panel.bytes + panel.scales;
    int64_t at = row / format.block * 16 + column % 16;
    if (format.scales == DType::F32)
      return reinterpret_cast<const float *>(scales)[at];
    return halfToFloat(reinterpret_cast<const uint16_t *>(scales)[at]);
  }
};

/// x [rows, K] times block `block` of a weight in codes.
Tensor plainProduct(const Tensor &x, const Tensor &w, bool isFused,
                    size_t block = 0) {
  int64_t depth = w.view.dims[0], columns = w.view.dims[1];
  Codes codes(w, block);
  Tensor y = Tensor::zeros(DType::F32, {x.view.dims[0], columns});
  for (int64_t r = 0; r < x.view.dims[0]; ++r)
    for (int64_t d = 0; d < depth; d += QuantBlock::kSize) {
      int64_t count = std::min(QuantBlock::kSize, depth - d);
      QuantBlock row = roundBlock(x.view.as<float>() + r * depth + d, count);
      for (int64_t n = 0; n < columns; ++n) {
        int sum = 0;
        for (int64_t i = 0; i < count; ++i)
          sum += row.codes[i] * (codes.code(d + i, n) - codes.zero(d, n));
        float scale = codes.scale(d, n) * row.scale;
        float &total = y.view.as<float>()[r * columns + n];
        // Through memory: it is to be rounded.
        volatile float product = static_cast<float>(sum) * scale;
        total = isFused ? std::fma(static_cast<float>(sum), scale, total)
                        : total + product;
      }
    }
  return y;
}

class Int8 : public KernelTest {
protected:
  const cpu::Isa &isa = *cpu::findIsa(GetParam().isa);
  bool isFused = isa.name != "portable";

  Tensor product(const Tensor &x, const Tensor &w) {
    Tensor y = Tensor::zeros(DType::F32, {x.view.dims[0], w.view.dims[1]});
    runner.step("matmul").with("arithmetic", "int8").run({&x, &w}, {&y});
    return y;
  }

  void expectRounded(const std::vector<float> &x) {
    auto depth = static_cast<int64_t>(x.size());
    std::vector<QuantBlock> found(QuantBlock::count(depth));
    isa.quantizeRow(x.data(), depth, found.data());
    for (int64_t d = 0; d < depth; d += QuantBlock::kSize) {
      QuantBlock expected =
          roundBlock(x.data() + d, std::min(QuantBlock::kSize, depth - d));
      const QuantBlock &block = found[d / QuantBlock::kSize];
      for (int64_t i = 0; i < QuantBlock::kSize; ++i)
        EXPECT_EQ(block.codes[i], expected.codes[i]) << "number " << d + i;
      EXPECT_EQ(std::isnan(block.scale), std::isnan(expected.scale));
      if (!std::isnan(expected.scale)) {
        EXPECT_EQ(block.scale, expected.scale);
      }
      EXPECT_EQ(block.minus8, expected.minus8);
      EXPECT_EQ(block.minus128, expected.minus128);
    }
  }
};

//===----------------------------------------------------------------------===//
// Rounding
//===----------------------------------------------------------------------===//

TEST_P(Int8, RoundsRows) {
  for (int64_t depth : {1, 31, 32, 33, 200}) {
    Tensor x = Tensor::random(DType::F32, {depth}, rng, 30);
    expectRounded(x.values<float>());
  }
  expectRounded(std::vector<float>(40, 0.0f));
}

TEST_P(Int8, RoundsTiesToEven) {
  // The scale is 1.
  std::vector<float> x = {127,   0.5f,  1.5f,   2.5f,    -0.5f,
                          -1.5f, -2.5f, 126.5f, -126.5f, 0.49f};
  expectRounded(x);
  QuantBlock block;
  isa.quantizeRow(x.data(), static_cast<int64_t>(x.size()), &block);
  const int expected[] = {127, 0, 2, 2, 0, -2, -2, 126, -126, 0, 0};
  for (int i = 0; i < 11; ++i)
    EXPECT_EQ(block.codes[i], expected[i]);
}

TEST_P(Int8, RoundsSubnormalAndLargeNumbers) {
  const float least = std::numeric_limits<float>::denorm_min();
  // A scale that rounds to 0, one that rounds down, one with a few bits.
  expectRounded({50 * least, -50 * least});
  expectRounded({190 * least, -190 * least, 95 * least});
  expectRounded({1e6f * least, 3e5f * least});
  const float most = std::numeric_limits<float>::max();
  expectRounded({most, -most, most / 3});
}

TEST_P(Int8, KeepsNumbersThatAreNotFinite) {
  const float infinity = std::numeric_limits<float>::infinity();
  for (float bad : {std::nanf(""), -std::nanf(""), infinity, -infinity}) {
    std::vector<float> x(70, 1.0f);
    x[40] = bad; // concerns the second block alone
    expectRounded(x);
  }
  Tensor x = Tensor::random(DType::F32, {3, 70}, rng);
  QuantWeights q =
      QuantWeights::of(Tensor::random(DType::F32, {70, 20}, rng), {4, 32});
  Tensor finite = product(x, q.codes);
  x.set(70 + 40, infinity);
  Tensor y = product(x, q.codes);
  for (int64_t i = 0; i < y.size(); ++i) {
    if (i / 20 == 1)
      EXPECT_TRUE(std::isnan(y.at(i)));
    else
      EXPECT_EQ(y.at(i), finite.at(i));
  }
}

//===----------------------------------------------------------------------===//
// Products
//===----------------------------------------------------------------------===//

TEST_P(Int8, ProductsOfAllFormats) {
  for (auto [depth, columns] : {std::pair{5, 3}, {77, 37}, {535, 130}})
    for (const QuantFormat &format : someQuantFormats()) {
      SCOPED_TRACE(quantLayoutName(format) + " " + std::to_string(depth));
      Tensor x = Tensor::random(DType::F32, {14, depth}, rng);
      QuantWeights q = QuantWeights::of(
          Tensor::random(DType::F32, {depth, columns}, rng), format);
      if (format.block % 32 != 0) { // computed in float
        Tensor y = Tensor::zeros(DType::F32, {14, columns});
        runner.step("matmul").run({&x, &q.codes}, {&y});
        expectEqual(product(x, q.codes), y);
        continue;
      }
      Tensor expected = plainProduct(x, q.codes, isFused);
      for (int64_t rows : {1, 2, 3, 4, 5, 7, 14})
        expectEqual(product(firstRows(x, rows), q.codes),
                    firstRows(expected, rows));
    }
}

TEST_P(Int8, EveryRowCount) {
  Tensor x = Tensor::random(DType::F32, {64, 293}, rng);
  for (int bits : {4, 8})
    for (bool hasZeroPoints : {false, true}) {
      QuantWeights q =
          QuantWeights::of(Tensor::random(DType::F32, {293, 100}, rng),
                           {bits, 32, DType::F16, hasZeroPoints});
      Tensor expected = plainProduct(x, q.codes, isFused);
      for (int64_t rows = 1; rows <= 64; ++rows)
        expectEqual(product(firstRows(x, rows), q.codes),
                    firstRows(expected, rows));
    }
}

TEST_P(Int8, ExtremeCodes) {
  // Every code and row at its end: the largest sums that there are.
  for (int bits : {4, 8})
    for (bool hasZeroPoints : {false, true})
      for (float sign : {-1.0f, 1.0f}) {
        QuantFormat format{bits, 64, DType::F16, hasZeroPoints};
        Tensor w = Tensor::zeros(DType::F32, {64, 32});
        for (int64_t i = 0; i < w.size(); ++i)
          w.set(i, sign * (i % 32 < 16 ? 1 : i % 3 - 1));
        QuantWeights q = QuantWeights::of(w, format);
        Tensor x = Tensor::zeros(DType::F32, {2, 64});
        for (int64_t i = 0; i < x.size(); ++i)
          x.set(i, i < 64 || i % 2 ? 1 : -1);
        expectEqual(product(x, q.codes), plainProduct(x, q.codes, isFused));
      }
}

TEST_P(Int8, StridedHalfRowsBatchesAndBias) {
  QuantWeights q = QuantWeights::of(
      Tensor::random(DType::F32, {40, 24}, rng, 0.2f), {4, 32});
  Tensor bias = Tensor::random(DType::F32, {24}, rng);
  Tensor x = Tensor::random(DType::F16, {2, 3, 40}, rng);
  Tensor flat = Tensor::zeros(DType::F32, {6, 40});
  for (int64_t i = 0; i < x.size(); ++i)
    flat.set(i, x.at(i));
  Tensor expected = plainProduct(flat, q.codes, isFused);
  for (int64_t i = 0; i < expected.size(); ++i)
    expected.set(i, static_cast<float>(expected.at(i)) +
                        static_cast<float>(bias.at(i % 24)));
  Tensor wide = x.as(DType::F32);
  for (const Tensor &rows :
       {x, wide, wide.strided({0, 2, 1}), wide.strided({2, 1, 0})}) {
    Tensor y = Tensor::zeros(rows.view.dtype, {2, 3, 24});
    runner.step("matmul").with("arithmetic", "int8");
    runner.run({&rows, &q.codes, &bias}, {&y});
    for (int64_t i = 0; i < y.size(); ++i)
      EXPECT_EQ(y.at(i), expected.as(y.view.dtype).at(i));
  }
}

TEST_P(Int8, OtherWeightsAreComputedInFloat) {
  Tensor x = Tensor::random(DType::F32, {3, 40}, rng);
  Tensor w = Tensor::random(DType::F32, {40, 24}, rng);
  Tensor y = Tensor::zeros(DType::F32, {3, 24});
  for (const Tensor &weight : {w, w.packed(), w.as(DType::F16).packed()}) {
    runner.step("matmul").run({&x, &weight}, {&y});
    expectEqual(product(x, weight), y);
  }
}

//===----------------------------------------------------------------------===//
// Networks
//===----------------------------------------------------------------------===//

/// Experts with weights in codes.
struct Network {
  std::string gating;
  int64_t hidden, outputs;
  Tensor w1, b1, w2, b2 = Tensor::absent(), w3 = Tensor::absent(),
                     b3 = Tensor::absent();

  Network(std::mt19937 &rng, int64_t experts, int64_t inputs, int64_t hidden,
          int64_t outputs, std::string gatingName, const QuantFormat &first,
          const QuantFormat &second)
      : gating(std::move(gatingName)), hidden(hidden), outputs(outputs) {
    bool isDouble = gating == "interleaved" || gating == "concatenated";
    int64_t columns = isDouble ? 2 * hidden : hidden;
    auto codes = [&](int64_t rows, int64_t n, const QuantFormat &format) {
      return QuantWeights::of(
                 Tensor::random(DType::F32, {experts, rows, n}, rng, 0.3f),
                 format)
          .codes;
    };
    w1 = codes(inputs, columns, first);
    b1 = Tensor::random(DType::F32, {experts, columns}, rng);
    w2 = codes(hidden, outputs, second);
    if (gating == "split") {
      w3 = codes(inputs, hidden, first);
      b3 = Tensor::random(DType::F32, {experts, hidden}, rng);
    }
  }

  Tensor run(KernelRunner &runner, const Tensor &x,
             const std::vector<int32_t> &counts) const {
    Tensor c = Tensor::i32({static_cast<int64_t>(counts.size())}, counts);
    Tensor y = Tensor::zeros(DType::F32, {x.view.dims[0], outputs});
    runner.step("experts").with("activation", "silu");
    runner.with("gating", gating.c_str()).with("arithmetic", "int8");
    runner.run({&x, &c, &w1, &b1, &w2, &b2, &w3, &b3}, {&y});
    return y;
  }

  /// All rows through expert `e` by plain products.
  Tensor plain(const cpu::Isa &isa, const Tensor &x, size_t e) const {
    bool isFused = isa.name != "portable";
    auto project = [&](const Tensor &w, const Tensor &bias) {
      Tensor y = plainProduct(x, w, isFused, e);
      int64_t columns = y.view.dims[1];
      for (int64_t r = 0; r < y.view.dims[0]; ++r)
        for (int64_t i = 0; i < columns; ++i)
          y.view.as<float>()[r * columns + i] +=
              bias.view.as<float>()[static_cast<int64_t>(e) * columns + i];
      return y;
    };
    Tensor first = project(w1, b1), third;
    if (gating == "split")
      third = project(w3, b3);
    Tensor h = Tensor::zeros(DType::F32, {x.view.dims[0], hidden});
    std::vector<float> gate(hidden + 8), linear(hidden + 8), out(hidden + 8);
    for (int64_t r = 0; r < x.view.dims[0]; ++r) {
      const float *row = first.view.as<float>() + r * first.view.dims[1];
      for (int64_t i = 0; i < hidden; ++i) {
        gate[i] = row[gating == "interleaved" ? 2 * i : i];
        linear[i] = gating == "interleaved"    ? row[2 * i + 1]
                    : gating == "concatenated" ? row[hidden + i]
                    : gating == "split" ? third.view.as<float>()[r * hidden + i]
                                        : 0;
      }
      cpu::ActivationArgs silu{cpu::Activation::Silu};
      isa.activate(silu, gate.data(),
                   gating == "none" ? nullptr : linear.data(), out.data(),
                   (hidden + 7) / 8 * 8);
      std::copy_n(out.data(), hidden, h.view.as<float>() + r * hidden);
    }
    return plainProduct(h, w2, isFused, e);
  }
};

/// Rows of experts that follow each other.
Tensor plainExperts(const Network &network, const cpu::Isa &isa,
                    const Tensor &x, const std::vector<int32_t> &counts) {
  Tensor y = Tensor::zeros(DType::F32, {x.view.dims[0], network.outputs});
  int64_t row = 0;
  for (size_t e = 0; e < counts.size(); ++e) {
    if (counts[e] == 0)
      continue;
    int64_t inputs = x.view.dims[1];
    Tensor rows = Tensor::zeros(DType::F32, {counts[e], inputs});
    std::memcpy(rows.bytes.data(), x.view.as<float>() + row * inputs,
                rows.bytes.size());
    Tensor out = network.plain(isa, rows, e);
    std::memcpy(y.view.as<float>() + row * network.outputs, out.bytes.data(),
                out.bytes.size());
    row += counts[e];
  }
  return y;
}

TEST_P(Int8, ExpertsOfAllGatings) {
  const std::vector<int32_t> counts = {3, 0, 1, 17};
  Tensor x = Tensor::random(DType::F32, {21, 75}, rng);
  for (const char *gating : {"none", "interleaved", "concatenated", "split"})
    for (int bits : {4, 8})
      for (int64_t hidden : {40, 16, 145}) {
        SCOPED_TRACE(gating);
        QuantFormat format{bits, 32, DType::F16, bits == 4};
        Network n(rng, 4, 75, hidden, 33, gating, format, format);
        expectEqual(n.run(runner, x, counts), plainExperts(n, isa, x, counts));
      }
}

TEST_P(Int8, ExpertsDoNotDependOnRowsAndThreads) {
  Tensor x = Tensor::random(DType::F32, {64, 64}, rng);
  Network n(rng, 1, 64, 200, 48, "split", {4, 32}, {8, 64});
  Tensor expected = plainExperts(n, isa, x, {64});
  for (int threads : {1, 2, 3, 4}) {
    KernelRunner other({GetParam().isa, threads});
    for (int rows = 1; rows <= 64; rows += rows < 16 ? 1 : 6)
      expectEqual(n.run(other, firstRows(x, rows), {rows}),
                  firstRows(expected, rows));
  }
}

TEST_P(Int8, NetworksThatAreRoundedInPart) {
  // Blocks of 16 do not take rounded rows.
  Tensor x = Tensor::random(DType::F32, {5, 64}, rng);
  std::vector<int32_t> counts = {5};
  for (auto [first, second] : {std::pair{16, 32}, {32, 16}, {16, 16}}) {
    Network n(rng, 1, 64, 96, 24, "none", {4, first}, {4, second});
    Tensor y = n.run(runner, x, counts);
    runner.step("matmul").with("arithmetic", "int8");
    Tensor hidden = Tensor::zeros(DType::F32, {5, 96}), expected = y;
    Tensor w1 = n.w1, w2 = n.w2, b1 = Tensor::zeros(DType::F32, {96});
    std::memcpy(b1.bytes.data(), n.b1.bytes.data(), b1.bytes.size());
    runner.run({&x, &w1, &b1}, {&hidden});
    cpu::ActivationArgs silu{cpu::Activation::Silu};
    isa.activate(silu, hidden.view.as<float>(), nullptr,
                 hidden.view.as<float>(), hidden.size());
    runner.step("matmul").with("arithmetic", "int8");
    runner.run({&hidden, &w2}, {&expected});
    expectEqual(y, expected);
  }
}

TEST_P(Int8, DenseNetworks) {
  for (int64_t rows : {1, 4, 100}) {
    Network n(rng, 1, 40, 96, 50, "none", {8, 32}, {8, 32});
    Tensor x = Tensor::random(DType::F32, {rows, 40}, rng);
    Tensor b1 = Tensor::zeros(DType::F32, {96});
    std::memcpy(b1.bytes.data(), n.b1.bytes.data(), b1.bytes.size());
    Tensor y = Tensor::zeros(DType::F32, {rows, 50});
    runner.step("ffn").with("activation", "silu").with("arithmetic", "int8");
    runner.run({&x, &n.w1, &b1, &n.w2, &n.b2}, {&y});
    expectEqual(y, n.plain(isa, x, 0));
  }
}

TEST_P(Int8, RefusesOtherArithmetic) {
  Tensor x = Tensor::zeros(DType::F32, {1, 32}), y = x;
  Tensor w = Tensor::zeros(DType::F32, {32, 32});
  runner.step("matmul").with("arithmetic", "int7");
  EXPECT_FALSE(runner.tryRun({&x, &w}, {&y}).isOk());
}

MOE_ON_ALL_MACHINES(Int8);

} // namespace
