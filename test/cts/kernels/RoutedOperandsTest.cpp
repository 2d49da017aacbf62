//===- RoutedOperandsTest.cpp - routed_experts: operands of bad plans -----===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A plan may bind any buffer to any operand. Each case takes operands that
// fit, replaces one of them, and expects a sentence that says which it was.
//
//===----------------------------------------------------------------------===//

#include "test/cts/kernels/QuantWeights.h"

#include <climits>

using namespace moe;
using namespace moe::test;

namespace {

/// Two tokens with two of three experts each; f32 wherever it can be.
struct Operands {
  Tensor x = Tensor::zeros(DType::F32, {2, 32});
  Tensor experts = Tensor::i32({2, 2}, {0, 1, 2, -1});
  Tensor mix = Tensor::zeros(DType::F32, {2, 2});
  Tensor w1 = Tensor::zeros(DType::F32, {3, 32, 48});
  Tensor b1 = Tensor::zeros(DType::F32, {3, 48});
  Tensor w2 = Tensor::zeros(DType::F32, {3, 48, 16});
  Tensor b2 = Tensor::zeros(DType::F32, {3, 16});
  Tensor w3 = Tensor::absent();
  Tensor b3 = Tensor::absent();
  Tensor residual = Tensor::zeros(DType::F32, {2, 16});
  Tensor out = Tensor::zeros(DType::F32, {2, 16});
};

class RoutedOperands : public testing::Test {
protected:
  using Change = std::function<void(Operands &)>;

  /// What the step says of changed operands; empty if it runs.
  std::string message(const Change &change, int64_t numExperts = 3) {
    Operands o;
    change(o);
    runner.step("routed_experts").with("activation", "relu");
    runner.with("num_experts", numExperts);
    return runner
        .tryRun({&o.x, &o.experts, &o.mix, &o.w1, &o.b1, &o.w2, &o.b2, &o.w3,
                 &o.b3, &o.residual},
                {&o.out})
        .message();
  }
  void expectError(const Change &change, const std::string &what) {
    EXPECT_EQ(message(change), "routed_experts: " + what);
  }

  KernelRunner runner{{"portable", 2}};
};

/// Codes of a matrix: fewer bytes than its elements would have.
Tensor codes(int64_t rows, int64_t columns) {
  Tensor matrix = Tensor::zeros(DType::F32, {rows, columns});
  return QuantWeights::of(matrix, {4, 32}).codes;
}

TEST_F(RoutedOperands, ThatFitRun) {
  EXPECT_EQ(message([](Operands &) {}), "");
}

TEST_F(RoutedOperands, HaveTheRanksOfTheStep) {
  expectError(
      [](Operands &o) {
        o.x = Tensor::zeros(DType::F32, {1, 2, 32});
      },
      "operand 'rows' has shape [1, 2, 32], expected rank 2");
  expectError([](Operands &o) { o.x = Tensor::absent(); },
              "operand 'rows' has shape [], expected rank 2");
  expectError(
      [](Operands &o) {
        o.experts = Tensor::i32({2}, {0, 1});
      },
      "operand 'experts' has shape [2], expected rank 2");
  expectError([](Operands &o) { o.experts = Tensor::absent(); },
              "operand 'experts' has shape [], expected rank 2");
  expectError([](Operands &o) { o.out = Tensor::zeros(DType::F32, {32}); },
              "rows [2, 32] cannot give [32] with weights from 32 to 16 "
              "columns");
  expectError([](Operands &o) { o.w1 = Tensor::absent(); },
              "operand 'w1' has shape [], expected a matrix for each of w1 "
              "and w2");
  expectError(
      [](Operands &o) {
        o.b1 = Tensor::zeros(DType::F32, {3, 1, 48});
      },
      "operand 'b1' has shape [3, 1, 48], expected [48] of f32, f16 "
      "or bf16, contiguous");
}

TEST_F(RoutedOperands, HaveTheTypesOfTheStep) {
  expectError([](Operands &o) { o.experts = o.experts.as(DType::I64); },
              "operand 'experts' has elements i64, expected i32");
  expectError([](Operands &o) { o.x = o.x.as(DType::F16); },
              "elements f16 to f32");
  expectError(
      [](Operands &o) {
        o.x = o.x.as(DType::F64);
        o.out = o.out.as(DType::F64);
      },
      "elements f64 to f64");
  expectError([](Operands &o) { o.mix = o.mix.as(DType::I32); },
              "weights of i32");
  expectError([](Operands &o) { o.w2 = o.w2.as(DType::I8); },
              "operand 'w2' has shape [3, 48, 16], expected [48, 16] of f32, "
              "f16 or bf16, contiguous");
}

TEST_F(RoutedOperands, AgreeInTheirSizes) {
  expectError(
      [](Operands &o) {
        o.experts = Tensor::i32({1, 2}, {0, 1});
      },
      "experts [1, 2] do not fit x [2, 32]");
  expectError(
      [](Operands &o) {
        o.mix = Tensor::zeros(DType::F32, {2, 3});
      },
      "experts and weights have shapes [2, 2] and [2, 3], expected "
      "equal ones");
  expectError(
      [](Operands &o) {
        o.w2 = Tensor::zeros(DType::F32, {3, 64, 16});
      },
      "operand 'w1' has shape [3, 32, 48], expected [32, 64] of f32, "
      "f16 or bf16, contiguous");
  expectError([](Operands &o) { o.w3 = o.w1; },
              "operand 'w3' has shape [3, 32, 48], expected it exactly for "
              "split gating");
  expectError(
      [](Operands &o) {
        o.w2 = Tensor::zeros(DType::F32, {2, 48, 16});
      },
      "rows for expert 2 of this rank, whose weights are not here");
}

// Codes and panels have other bytes than elements in a row: rows that were read
// from them would begin or end elsewhere.
TEST_F(RoutedOperands, AreInRowsUnlessTheyAreWeights) {
  expectError([](Operands &o) { o.x = codes(2, 32); },
              "operand 'rows' has layout 'panel16.q4x32', expected 'row'");
  expectError([](Operands &o) { o.mix = codes(2, 2); },
              "operand 'weights' has layout 'panel16.q4x32', expected 'row'");
  expectError([](Operands &o) { o.mix = o.mix.packed(); },
              "operand 'weights' has layout 'panel16', expected 'row'");
  expectError(
      [](Operands &o) {
        o.experts = o.experts.strided({1, 0});
      },
      "operand 'experts' of shape [2, 2] is not contiguous");
  runner.step("matmul");
  Tensor lhs = codes(2, 32), rhs = Tensor::zeros(DType::F32, {32, 16});
  Tensor product = Tensor::zeros(DType::F32, {2, 16});
  EXPECT_EQ(runner.tryRun({&lhs, &rhs}, {&product}).message(),
            "matmul: lhs has layout 'panel16.q4x32', expected 'row'");
}

TEST_F(RoutedOperands, AddWhatLiesAsTheResult) {
  EXPECT_EQ(message([](Operands &o) { o.residual = Tensor::absent(); }), "");
  expectError(
      [](Operands &o) {
        o.residual = Tensor::zeros(DType::F32, {2, 15});
      },
      "residual and result have shapes [2, 15] and [2, 16], expected equal "
      "ones");
  expectError(
      [](Operands &o) {
        o.residual = Tensor::zeros(DType::F32, {1, 2, 16});
      },
      "residual and result have shapes [1, 2, 16] and [2, 16], expected equal "
      "ones");
  expectError([](Operands &o) { o.residual = o.residual.as(DType::F16); },
              "operand 'residual' has elements f16, expected f32");
  expectError(
      [](Operands &o) {
        o.residual = o.residual.strided({1, 0});
      },
      "operand 'residual' of shape [2, 16] is not contiguous");
  expectError([](Operands &o) { o.residual = o.residual.packed(); },
              "operand 'residual' has layout 'panel16', expected 'row'");
}

TEST_F(RoutedOperands, OfCombineAddWhatLiesAsTheResult) {
  Tensor rows = Tensor::zeros(DType::F32, {3, 16}), absent = Tensor::absent();
  Tensor slots = Tensor::i32({2, 2}, {0, 1, 2, -1});
  Tensor out = Tensor::zeros(DType::F32, {2, 16});
  auto message = [&](const Tensor &residual) {
    runner.step("combine");
    return runner.tryRun({&rows, &slots, &absent, &residual}, {&out}).message();
  };
  EXPECT_EQ(message(out), "");
  EXPECT_EQ(message(absent), "");
  EXPECT_EQ(message(rows), "combine: residual and result have shapes [3, 16] "
                           "and [2, 16], expected equal ones");
  EXPECT_EQ(message(out.as(DType::F16)),
            "combine: operand 'residual' has elements f16, expected f32");
  EXPECT_EQ(message(out.strided({1, 0})),
            "combine: operand 'operand' of shape [2, 16] is not contiguous");
}

TEST_F(RoutedOperands, ChooseExpertsThatAreThere) {
  for (int32_t expert : {3, -2, INT_MAX, INT_MIN})
    expectError(
        [&](Operands &o) {
          o.experts = Tensor::i32({2, 2}, {0, 1, expert, 0});
        },
        "token 1 chose expert " + std::to_string(expert) +
            ", expected less than 3");
}

TEST_F(RoutedOperands, CountTheExperts) {
  Change none = [](Operands &) {};
  for (int64_t count : {int64_t(-1), int64_t(1) << 31, INT64_MAX, INT64_MIN})
    EXPECT_EQ(message(none, count), "step routed_experts: attribute "
                                    "'num_experts' is " +
                                        std::to_string(count));
  // Before memory for so many is asked for.
  EXPECT_EQ(message(none, INT32_MAX),
            "routed_experts: num_experts is 2147483647, but there are weights "
            "of 3");
  EXPECT_EQ(message([](Operands &o) { o.w1 = o.w1.packed(); }, 4),
            "routed_experts: num_experts is 4, but there are weights of 3");
  // Fewer than have weights: the others are chosen by nobody.
  EXPECT_EQ(message(none, 2),
            "routed_experts: token 1 chose expert 2, expected less than 2");
}

// Without elements, tensors of any size have memory.
TEST_F(RoutedOperands, AreNotLargerThanAllMemory) {
  constexpr int64_t kHuge = int64_t(1) << 58;
  expectError(
      [](Operands &o) {
        o.x = Tensor::zeros(DType::F32, {2, 0});
        o.w1 = Tensor::zeros(DType::F32, {3, 0, kHuge});
        o.w2 = Tensor::zeros(DType::F32, {3, kHuge, 0});
        o.b1 = o.b2 = o.residual = Tensor::absent();
        o.out = Tensor::zeros(DType::F32, {2, 0});
      },
      "operand 'w2' has shape [3, 288230376151711744, 0], expected fewer than "
      "2^31 inputs, hidden values and outputs");
  expectError(
      [](Operands &o) {
        o.x = Tensor::zeros(DType::F32, {0, 32});
        o.experts = Tensor::zeros(DType::I32, {0, kHuge});
        o.residual = Tensor::absent();
        o.out = Tensor::zeros(DType::F32, {0, 16});
      },
      "experts and weights have shapes [0, 288230376151711744] and [2, 2], "
      "expected equal ones");
}

} // namespace
