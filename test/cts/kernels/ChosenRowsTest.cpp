//===- ChosenRowsTest.cpp - Products of rows that are chosen --------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A product that reads chosen rows where they lie gives what it gives for a
// copy of them, whatever its weights are stored as.
//
//===----------------------------------------------------------------------===//

#include "runtime/kernels/cpu/Product.h"
#include "runtime/kernels/cpu/Support.h"
#include "test/cts/kernels/QuantWeights.h"

using namespace moe;
using namespace moe::cpu;
using namespace moe::test;

namespace {

constexpr int64_t kDepth = 300, kColumns = 80, kRows = 40;

class ChosenRows : public KernelTest {
protected:
  static RhsMatrix matrix(const Tensor &weights) {
    RhsMatrix rhs;
    rhs.data = blockData(weights.view);
    rhs.dtype = weights.view.dtype;
    rhs.storage = *RhsStorage::of(weights.view.layout);
    rhs.depth = kDepth;
    rhs.columns = kColumns;
    return rhs;
  }

  /// The first `count` of the rows that `rowOf` chooses, all if it is null.
  std::vector<float> product(const Tensor &weights, const float *a,
                             const int32_t *rowOf, int64_t count,
                             const QuantBlock *rounded) {
    std::vector<float> c(count * kColumns);
    ProductRows rows{a, kDepth, rowOf, count, c.data(), kColumns, rounded};
    multiplyPanels(*cpu::findIsa(GetParam().isa), matrix(weights), 0,
                   kColumns / kPanel, rows, nullptr);
    return c;
  }
};

TEST_P(ChosenRows, AreThoseOfACopy) {
  const Isa &isa = *cpu::findIsa(GetParam().isa);
  Tensor w = Tensor::random(DType::F32, {kDepth, kColumns}, rng);
  std::vector<Tensor> stored;
  for (DType dtype : {DType::F32, DType::F16, DType::BF16})
    stored.push_back(Tensor::random(dtype, {kDepth, kColumns}, rng).packed());
  for (const QuantFormat &format : someQuantFormats())
    stored.push_back(QuantWeights::of(w, format).codes);
  Tensor x = Tensor::random(DType::F32, {kRows, kDepth}, rng);
  const float *a = x.view.as<float>();
  int64_t blocks = QuantBlock::count(kDepth);
  std::vector<int32_t> rowOf;
  for (int32_t r = 0; r < kRows; ++r) // some twice, none in order
    rowOf.push_back(r * 17 % (kRows - 3));
  std::vector<float> copy;
  std::vector<QuantBlock> rounded(kRows * blocks), roundedCopy(kRows * blocks);
  for (int64_t r = 0; r < kRows; ++r) {
    const float *row = a + rowOf[r] * kDepth;
    copy.insert(copy.end(), row, row + kDepth);
    isa.quantizeRow(a + r * kDepth, kDepth, &rounded[r * blocks]);
    isa.quantizeRow(row, kDepth, &roundedCopy[r * blocks]);
  }
  for (const Tensor &weights : stored)
    for (int64_t count = 1; count <= kRows; count += count < 16 ? 1 : 7) {
      SCOPED_TRACE(std::string(weights.view.layout) + " " +
                   std::to_string(count));
      EXPECT_EQ(product(weights, a, rowOf.data(), count, nullptr),
                product(weights, copy.data(), nullptr, count, nullptr));
      EXPECT_EQ(
          product(weights, a, rowOf.data(), count, rounded.data()),
          product(weights, copy.data(), nullptr, count, roundedCopy.data()));
    }
}

MOE_ON_ALL_MACHINES(ChosenRows);

} // namespace
