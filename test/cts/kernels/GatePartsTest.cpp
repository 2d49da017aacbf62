//===- GatePartsTest.cpp - Capacity over ranks ----------------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A gate whose tokens ranks divide must give each rank the bits that one device
// gives its tokens, and send no logits.
//
//===----------------------------------------------------------------------===//

#include "test/cts/kernels/KernelRunner.h"

#include <cmath>
#include <thread>

using namespace moe;
using namespace moe::test;

namespace {

/// Rows [begin, end) of a tensor of f32 or of less.
Tensor rowsOf(const Tensor &whole, int64_t begin, int64_t end) {
  std::vector<int64_t> dims(whole.view.dims, whole.view.dims + whole.view.rank);
  int64_t each = dims[0] > 0 ? whole.size() / dims[0] : 0;
  dims[0] = end - begin;
  Tensor rows = Tensor::zeros(whole.view.dtype, dims);
  for (int64_t i = 0; i < rows.size(); ++i)
    rows.set(i, whole.at(begin * each + i));
  return rows;
}

struct Case {
  std::string drop, score = "softmax";
  int64_t k = 2;
  double capacityFactor = 0.6;
  bool normalizesAfter = false;
};

struct Routes {
  Tensor weights, experts;
};

class GateParts : public KernelTest {
protected:
  struct Operands {
    Tensor logits, bias, mix, used;
  };
  static Routes route(KernelRunner &runner, const Case &test,
                      const Operands &operands, bool isDivided) {
    int64_t tokens = operands.logits.view.dims[0];
    Routes routes{Tensor::zeros(DType::F32, {tokens, test.k}),
                  Tensor::zeros(DType::I32, {tokens, test.k})};
    runner.step("gate").with("k", test.k).with("score", test.score.c_str());
    runner.with("drop_policy", test.drop.c_str())
        .with("capacity_factor", test.capacityFactor)
        .with("min_capacity", 1)
        .with("normalize", "sum_max")
        .with("normalize_eps", 1e-7)
        .with("normalize_after_drop", test.normalizesAfter ? 1 : 0);
    if (test.drop == "random")
      runner.with("random_seed", 5);
    if (isDivided)
      runner.with("part", "batch.local");
    Tensor absent = Tensor::absent();
    runner.run({&operands.logits, &operands.bias, &absent, &operands.mix,
                &operands.used},
               {&routes.weights, &routes.experts});
    return routes;
  }

  /// `begins`: how ranks divide a batch of rows of `seq` tokens.
  void expectSame(const Case &test, const Operands &whole,
                  const std::vector<int64_t> &begins, int64_t seq) {
    SCOPED_TRACE(test.drop + ", k " + std::to_string(test.k) + ", ranks " +
                 std::to_string(begins.size() - 1));
    Routes expected = route(runner, test, whole, /*isDivided=*/false);
    int numRanks = static_cast<int>(begins.size()) - 1;
    auto comms = createThreadCommunicators(numRanks, std::chrono::seconds(20));
    auto onRank = [&](int rank) {
      int64_t begin = begins[rank] * seq, end = begins[rank + 1] * seq;
      KernelRunner ranks(GetParam());
      ranks.onRank(*comms[rank], /*layer=*/nullptr);
      ranks.withParts({{"batch.local", begins}});
      Routes own =
          route(ranks, test,
                {rowsOf(whole.logits, begin, end), whole.bias,
                 rowsOf(whole.mix, begin, end), rowsOf(whole.used, begin, end)},
                /*isDivided=*/true);
      expectEqual(own.weights, rowsOf(expected.weights, begin, end));
      expectEqual(own.experts, rowsOf(expected.experts, begin, end));
    };
    std::vector<std::thread> threads;
    for (int rank = 0; rank < numRanks; ++rank)
      threads.emplace_back(onRank, rank);
    for (std::thread &thread : threads)
      thread.join();
  }

  /// Logits with ties and, by chance, of both signs.
  Operands makeOperands(int64_t tokens, int64_t experts) {
    Operands operands{Tensor::random(DType::F32, {tokens, experts}, rng),
                      Tensor::random(DType::F32, {experts}, rng),
                      Tensor::random(DType::F32, {tokens, experts}, rng),
                      Tensor::zeros(DType::Bool, {tokens})};
    for (int64_t i = 0; i < operands.logits.size(); ++i)
      operands.logits.set(i, std::round(4 * operands.logits.at(i)) / 4 - 0.5);
    for (int64_t i = 0; i < tokens; ++i)
      operands.used.set(i, i % 7 != 3);
    return operands;
  }
};

/// floor(r n / p) for all r.
std::vector<int64_t> divide(int64_t n, int64_t p) {
  std::vector<int64_t> begins;
  for (int64_t r = 0; r <= p; ++r)
    begins.push_back(r * n / p);
  return begins;
}

TEST_P(GateParts, DropsWhatOneDeviceDrops) {
  for (const char *drop : {"choice", "token", "probs", "logits", "random"})
    for (int64_t k : {1, 2, 3})
      for (auto [batch, seq] : {std::pair<int64_t, int64_t>{7, 5}, {2, 9}}) {
        Operands operands = makeOperands(batch * seq, 4);
        for (int64_t ranks : {1, 2, 3, 4, 8})
          for (double factor : {0.3, 0.8})
            expectSame({drop, "softmax", k, factor, k == 2}, operands,
                       divide(batch, ranks), seq);
      }
}

TEST_P(GateParts, ScoresOfOtherKinds) {
  Operands operands = makeOperands(33, 6);
  for (const char *score : {"sigmoid", "logits", "sparse_mixer"})
    for (const char *drop : {"choice", "probs", "logits"})
      expectSame({drop, score, 2, 0.5, true}, operands, divide(11, 4), 3);
}

TEST_P(GateParts, NoTokens) {
  Operands operands = makeOperands(0, 4);
  for (const char *drop : {"choice", "token", "probs", "logits", "random"}) {
    expectSame({drop}, operands, {0, 0, 0}, 3);
    // Rows of no tokens.
    expectSame({drop}, operands, {0, 1, 3}, 0);
  }
}

TEST_P(GateParts, SendsWhatDecides) {
  constexpr int64_t kTokens = 64, kExperts = 32, kChoices = 2;
  Operands operands = makeOperands(2 * kTokens, kExperts);
  auto bytesOf = [&](const char *drop) {
    auto comms = createThreadCommunicators(2, std::chrono::seconds(20));
    std::vector<std::thread> threads;
    for (int rank = 0; rank < 2; ++rank)
      threads.emplace_back([&, rank] {
        int64_t begin = rank * kTokens, end = begin + kTokens;
        KernelRunner ranks(GetParam());
        ranks.onRank(*comms[rank], /*layer=*/nullptr);
        ranks.withParts({{"batch.local", {0, kTokens, 2 * kTokens}}});
        route(ranks, {drop, "softmax", kChoices},
              {rowsOf(operands.logits, begin, end), operands.bias,
               rowsOf(operands.mix, begin, end),
               rowsOf(operands.used, begin, end)},
              /*isDivided=*/true);
      });
    for (std::thread &thread : threads)
      thread.join();
    return static_cast<int64_t>(comms[0]->counters().bytesSent);
  };
  for (const char *drop : {"choice", "token"})
    EXPECT_EQ(bytesOf(drop), kChoices * kExperts * 4);
  for (const char *drop : {"probs", "logits", "random"})
    EXPECT_EQ(bytesOf(drop), kTokens * kChoices * 8);
}

TEST_P(GateParts, RefusesWhatDoesNotFit) {
  Tensor logits = Tensor::zeros(DType::F32, {5, 4});
  Tensor w = Tensor::zeros(DType::F32, {5, 1});
  Tensor e = Tensor::zeros(DType::I32, {5, 1});
  auto message = [&](const char *drop, std::vector<int64_t> begins) {
    runner.withParts({{"batch.local", begins}});
    runner.step("gate").with("k", 1).with("drop_policy", drop);
    runner.with("part", "batch.local");
    return runner.tryRun({&logits}, {&w, &e}).message();
  };
  EXPECT_EQ(message("choice", {0, 2}),
            "gate: this rank's part has 2 of the logits' 5 rows");
  EXPECT_EQ(message("probs", {0, 0}),
            "gate: this rank's part has 0 of the logits' 5 rows");
  EXPECT_EQ(message("token", {0, 1, 2}),
            "gate: ranks do not divide a symbol 'batch.local'");
  EXPECT_NE(message("none", {0, 5}).find("needs a drop policy"),
            std::string::npos);
}

MOE_ON_ALL_MACHINES(GateParts);

} // namespace
