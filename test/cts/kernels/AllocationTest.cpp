//===- AllocationTest.cpp - Products run without new memory ---------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A program of its own, because it counts calls of operator new.
//
//===----------------------------------------------------------------------===//

#include "test/cts/kernels/KernelRunner.h"
#include "test/cts/kernels/QuantWeights.h"

#include <atomic>
#include <cstdlib>
#include <new>

using namespace moe;
using namespace moe::test;

static std::atomic<int64_t> numAllocations = 0;

// Not inlined, or GCC sees free() behind another operator new.
[[gnu::noinline]] void *operator new(size_t size) {
  ++numAllocations;
  if (void *memory = std::malloc(size))
    return memory;
  throw std::bad_alloc();
}
[[gnu::noinline]] void operator delete(void *memory) noexcept {
  std::free(memory);
}
[[gnu::noinline]] void operator delete(void *memory, size_t) noexcept {
  std::free(memory);
}

namespace {

class Allocation : public KernelTest {
protected:
  void expectNone(const std::vector<const Tensor *> &inputs,
                  const std::vector<Tensor *> &outputs) {
    auto prepared = runner.prepare(inputs, outputs);
    ASSERT_TRUE(prepared.isOk()) << prepared.status().message();
    ASSERT_TRUE((*prepared)->run().isOk());
    int64_t before = numAllocations;
    bool isOk = (*prepared)->run().isOk();
    int64_t after = numAllocations;
    EXPECT_TRUE(isOk);
    EXPECT_EQ(after - before, 0);
  }
};

// Names of layouts with more characters than a string has room for.
TEST_P(Allocation, ProductsWithWeightsInCodes) {
  constexpr int64_t kExperts = 2, kSize = 64;
  for (QuantFormat format : {QuantFormat{4, 32},
                             {8, 32, DType::F16, true},
                             {4, 1024, DType::F32, true}})
    for (const char *arithmetic : {"float", "int8"})
      for (int64_t rows : {1, 40}) {
        SCOPED_TRACE(quantLayoutName(format) + " " + arithmetic + " " +
                     std::to_string(rows));
        Tensor x = Tensor::random(DType::F32, {rows, kSize}, rng);
        Tensor y = Tensor::zeros(DType::F32, {rows, kSize});
        Tensor absent = Tensor::absent();
        auto codes = [&](std::vector<int64_t> dims) {
          return QuantWeights::of(Tensor::random(DType::F32, dims, rng), format)
              .codes;
        };
        Tensor one = codes({kSize, kSize});
        runner.step("matmul").with("arithmetic", arithmetic);
        expectNone({&x, &one}, {&y});
        runner.step("ffn").with("activation", "silu").with("gating", "split");
        runner.with("arithmetic", arithmetic);
        expectNone({&x, &one, &absent, &one, &absent, &one}, {&y});
        Tensor many = codes({kExperts, kSize, kSize});
        Tensor counts =
            Tensor::i32({kExperts}, {0, static_cast<int32_t>(rows)});
        runner.step("experts").with("activation", "silu");
        runner.with("gating", "split").with("arithmetic", arithmetic);
        expectNone({&x, &counts, &many, &absent, &many, &absent, &many}, {&y});
        Tensor chosen = Tensor::zeros(DType::I32, {rows, 2});
        runner.step("routed_experts").with("activation", "silu");
        runner.with("gating", "split").with("arithmetic", arithmetic);
        runner.with("num_experts", kExperts);
        expectNone(
            {&x, &chosen, &absent, &many, &absent, &many, &absent, &many},
            {&y});
      }
}

MOE_ON_ALL_MACHINES(Allocation);

} // namespace
