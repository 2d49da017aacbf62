//===- HiddenKeysTest.cpp - attention: garbage that nobody sees -----------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A key of weight 0 adds nothing, whatever its value holds, so that memory
// behind the end of a sequence needs no clearing. Whether a row notices must
// not depend on how many rows are computed with it: some of these numbers pack
// keys, and some share chunks of keys among threads.
//
//===----------------------------------------------------------------------===//

#include "test/cts/kernels/AttentionSuite.h"

using namespace moe;
using namespace moe::test;
using namespace moe::test::attention;

namespace {

class HiddenKeys : public AttentionTest {
protected:
  static constexpr int64_t kQueries[] = {1, 2, 5, 13, 64, 70, 150};

  static Config config(int64_t queries, int64_t keys) {
    return {.B = 1, .H = 2, .KV = 1, .S = queries, .T = keys, .D = 8, .Dv = 12};
  }
  /// Puts garbage into the values of some keys. A row that by definition sees
  /// none of them keeps its bits; all others are no numbers.
  void expectGarbageUnseen(const Config &c, const Operands &o,
                           const std::vector<int64_t> &keys) {
    Operands garbage = o;
    const double kinds[] = {NAN, INFINITY, -INFINITY};
    for (int64_t key : keys)
      for (int64_t d = 0; d < c.Dv; ++d)
        for (int64_t b = 0; b < c.B * c.KV; ++b)
          garbage.v.set((b * c.T + key) * c.Dv + d,
                        keys.size() == 1 ? NAN : kinds[(key + d) % 3]);
    expectAsDefined(c, o, garbage);
  }
  void expectAsDefined(const Config &c, const Operands &clean,
                       const Operands &garbage) {
    SCOPED_TRACE(std::to_string(c.S) + " queries, " + std::to_string(c.T) +
                 " keys");
    Tensor expected = compute(c, clean), y = compute(c, garbage);
    Tensor defined = reference(c, garbage);
    for (int64_t i = 0; i < y.size(); ++i) {
      if (std::isfinite(defined.at(i)))
        ASSERT_EQ(y.at(i), expected.at(i)) << "element " << i;
      else
        ASSERT_FALSE(std::isfinite(y.at(i))) << "element " << i;
    }
  }
};

TEST_P(HiddenKeys, OfCausalRows) {
  for (int64_t queries : kQueries)
    for (DType dtype : {DType::F32, DType::BF16}) {
      Config c = config(queries, queries + 40);
      c.causal = true;
      c.dtype = dtype;
      Operands o(c, rng);
      for (int64_t key : {40 + queries / 2, c.T - 1})
        expectGarbageUnseen(c, o, {key});
    }
}

TEST_P(HiddenKeys, BehindTheLengthOfARow) {
  for (int64_t queries : kQueries)
    for (bool causal : {false, true}) {
      Config c = config(queries, queries + 40);
      c.causal = causal;
      Operands o(c, rng);
      o.lengths = Tensor::i64({1}, {queries + 17});
      std::vector<int64_t> behind;
      for (int64_t key = queries + 17; key < c.T; ++key)
        behind.push_back(key);
      expectGarbageUnseen(c, o, behind);
    }
}

TEST_P(HiddenKeys, BeforeAWindow) {
  for (int64_t queries : kQueries) {
    Config c = config(queries, queries + 40);
    c.causal = true;
    c.window = 20;
    Operands o(c, rng);
    for (int64_t key : {int64_t(3), 22 + queries / 2})
      expectGarbageUnseen(c, o, {key});
  }
}

TEST_P(HiddenKeys, ByAMask) {
  // Hidden keys at the front have weights until a visible one comes.
  for (int64_t queries : kQueries)
    for (double fill : {double(-INFINITY), -1e30}) {
      Config c = config(queries, queries + 40);
      c.fill = fill;
      Operands o(c, rng);
      o.mask = Tensor::zeros(DType::Bool, {1, 1, queries, c.T});
      Tensor added = Tensor::zeros(DType::F32, {1, 1, queries, c.T});
      for (int64_t i = 0; i < queries; ++i)
        for (int64_t j = 0; j < c.T; ++j) {
          bool isSeen = j >= 7 && (i + j) % 5 > 0;
          o.mask.set(i * c.T + j, isSeen);
          added.set(i * c.T + j, isSeen ? 0 : fill);
        }
      for (int i = 0; i < 2; ++i, o.mask = added) {
        expectGarbageUnseen(c, o, {2, 5, 6});
        expectGarbageUnseen(c, o, {queries + 20});
      }
    }
}

TEST_P(HiddenKeys, InChunksOfKeys) {
  for (int64_t queries : {1, 3, 70}) {
    Config c = config(queries, 1300);
    c.causal = true;
    Operands o(c, rng);
    o.lengths = Tensor::i64({1}, {1100});
    expectGarbageUnseen(c, o, {1200});
    expectGarbageUnseen(c, o, {1100 - queries / 2 - 1});
    // The first chunk has weights until the second one comes.
    c.fill = -1e30;
    o.mask = Tensor::zeros(DType::Bool, {1, 1, 1, c.T});
    for (int64_t j = 600; j < c.T; ++j)
      o.mask.set(j, 1);
    expectGarbageUnseen(c, o, {9, 590});
  }
}

TEST_P(HiddenKeys, HaveScoresOfNoNumbers) {
  // A score that is none shows unless its key is hidden, not merely lowered.
  for (int64_t queries : kQueries) {
    Config c = config(queries, queries + 40);
    c.causal = true;
    Operands o(c, rng), garbage = o;
    for (int64_t d = 0; d < c.D; ++d)
      garbage.k.set((queries / 2 + 40) * c.D + d, NAN);
    expectAsDefined(c, o, garbage);
    o.mask = garbage.mask = Tensor::zeros(DType::F32, {1, 1, 1, c.T});
    for (Operands *each : {&o, &garbage})
      each->mask.set(queries / 2 + 40, -INFINITY);
    expectAsDefined(c, o, garbage);
  }
}

MOE_ON_ALL_MACHINES(HiddenKeys);

} // namespace
