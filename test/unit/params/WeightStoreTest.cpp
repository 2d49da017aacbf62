//===- WeightStoreTest.cpp - Which rank holds which bytes -----------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "StoreTest.h"
#include "runtime/params/Layouts.h"

#include <cmath>
#include <fstream>
#include <thread>

using namespace moe;
using namespace moe::test;

static std::vector<std::byte> bytesOf(const BlockView &view) {
  return {view.data, view.data + view.bytes};
}

namespace {
class WeightStoreTest : public testing::Test, protected PlanAndStore {
protected:
  /// Flips a bit of the weights section in the file.
  void damage(size_t offset) {
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    file.seekg(static_cast<std::streamoff>(128 + offset));
    char byte = static_cast<char>(file.get() ^ 1);
    file.seekp(static_cast<std::streamoff>(128 + offset));
    file.put(byte);
  }
};
} // namespace

TEST_F(WeightStoreTest, EmbeddedBlocksAreSeenInPlace) {
  ASSERT_TRUE(writeSmallPlan(path).isOk());
  reopen();
  StatusOr<ParamBlocks> blocks = store->load(1, 1, "panel16");
  ASSERT_TRUE(blocks.isOk()) << blocks.status().message();
  // Rank 1 holds experts 2 and 3.
  ASSERT_EQ(blocks->views.size(), 2u);
  EXPECT_EQ(bytesOf(blocks->views[0]), pattern(128, 3));
  EXPECT_EQ(bytesOf(blocks->views[1]), pattern(128, 4));
  EXPECT_EQ(blocks->views[0].data,
            plan->blockBytes(*plan->program().params[1]->blocks[2]).data());
  EXPECT_EQ(blocks->bytes, 256u);
  EXPECT_TRUE(blocks->isExpert);
  EXPECT_FALSE(blocks->wasRepacked);
  StatusOr<ParamBlocks> dense = store->load(1, 0, "row");
  ASSERT_TRUE(dense.isOk());
  EXPECT_EQ(dense->views.size(), 1u);
  EXPECT_FALSE(dense->isExpert);
}

TEST_F(WeightStoreTest, OtherLayoutsAreRepacked) {
  ASSERT_TRUE(writeSmallPlan(path).isOk());
  reopen();
  StatusOr<ParamBlocks> blocks = store->load(0, 1, "row");
  ASSERT_TRUE(blocks.isOk());
  EXPECT_TRUE(blocks->wasRepacked);
  std::vector<std::byte> expected(2 * 5 * 4);
  ASSERT_TRUE(unpackLayout("panel16", DType::F32, std::vector<int64_t>{2, 5},
                           pattern(128, 1), expected)
                  .isOk());
  EXPECT_EQ(bytesOf(blocks->views[0]), expected);
  EXPECT_EQ(store->load(0, 1, "diagonal").status().code(), StatusCode::BadPlan);
}

TEST_F(WeightStoreTest, DamagedWeightsAreRefusedByTheirOwner) {
  ASSERT_TRUE(writeSmallPlan(path).isOk());
  damage(64 + 3 * 128 + 5); // in expert 3
  reopen();
  EXPECT_TRUE(store->load(0, 1, "panel16").isOk());
  Status status = store->load(1, 1, "panel16").status();
  EXPECT_EQ(status.code(), StatusCode::BadPlan);
  EXPECT_NE(status.message().find("does not match its hash"),
            std::string::npos);
  reopen({.verifyFull = false});
  EXPECT_TRUE(store->load(1, 1, "panel16").isOk());
}

TEST_F(WeightStoreTest, ReferencesAreEvaluatedAndPacked) {
  // Experts in one file, [4, 2, 5], and a dense matrix behind them.
  std::vector<float> values(4 * 2 * 5 + 12);
  for (size_t i = 0; i < values.size(); ++i)
    values[i] = static_cast<float>(i);
  ASSERT_TRUE(writeWholeFile(folder / "w.bin", std::as_bytes(std::span(values)))
                  .isOk());
  plan::ProgramT program = syntheticProgram();
  plan::WeightFileT &file = add(program.files);
  file.path = "w.bin";
  file.size = values.size() * 4;
  auto addFile = [&](std::vector<int64_t> dims, int64_t first,
                     plan::BlockT &block) {
    plan::ParamExprT &expr = add(program.param_exprs);
    expr.ints = {first * 4, dims[0] * dims[1] * 4};
    expr.dims = std::move(dims);
    block.source = plan::BlockSource_Reference;
    block.expr = static_cast<uint32_t>(program.param_exprs.size() - 1);
  };
  for (int64_t e = 0; e < 4; ++e)
    addFile({2, 5}, e * 10, *program.params[1]->blocks[e]);
  addFile({4, 3}, 40, *program.params[0]->blocks[0]);
  write(program);

  reopen();
  StatusOr<ParamBlocks> experts = store->load(1, 1, "panel16");
  ASSERT_TRUE(experts.isOk()) << experts.status().message();
  auto *second = reinterpret_cast<const float *>(experts->views[1].data);
  EXPECT_EQ(second[16 + 4], 39.0f) << "expert 3, row 1, column 4";
  EXPECT_EQ(second[5], 0.0f) << "padding";
  EXPECT_FALSE(experts->wasRepacked);
  StatusOr<ParamBlocks> dense = store->load(0, 0, "row");
  ASSERT_TRUE(dense.isOk());
  EXPECT_EQ(reinterpret_cast<const float *>(dense->views[0].data)[11], 51.0f);

  std::filesystem::remove(folder / "w.bin");
  Status status = WeightStore::create(*plan, {}).status();
  EXPECT_EQ(status.code(), StatusCode::IoError);
  EXPECT_NE(status.message().find("w.bin"), std::string::npos);
}

TEST_F(WeightStoreTest, SyntheticWeightsDependOnTheSeedAlone) {
  plan::ProgramT program = syntheticProgram();
  write(program);
  reopen();
  StatusOr<ParamBlocks> packed = store->load(1, 1, "panel16");
  StatusOr<ParamBlocks> rows = store->load(1, 1, "row");
  ASSERT_TRUE(packed.isOk() && rows.isOk());
  std::vector<std::byte> expected(128);
  ASSERT_TRUE(packLayout("panel16", DType::F32, std::vector<int64_t>{2, 5},
                         bytesOf(rows->views[0]), expected)
                  .isOk());
  EXPECT_EQ(bytesOf(packed->views[0]), expected);
  EXPECT_NE(bytesOf(packed->views[0]), bytesOf(packed->views[1]));

  // Standard deviation 1 / sqrt(100).
  std::vector<int64_t> dims = {100, 1000}, zeros = {0, 0};
  std::vector<float> values(100000);
  fillSynthetic(7, DType::F32, dims, zeros, dims,
                std::as_writable_bytes(std::span(values)));
  double sum = 0, squares = 0;
  for (float value : values) {
    sum += value;
    squares += double(value) * value;
  }
  EXPECT_NEAR(sum / 1e5, 0, 1e-3);
  EXPECT_NEAR(std::sqrt(squares / 1e5), 0.1, 1e-3);
}

TEST_F(WeightStoreTest, MemoryIsBoundedBeforeItIsAskedFor) {
  plan::ProgramT program = syntheticProgram();
  program.params[0]->dims = {int64_t(1) << 40};
  program.params[0]->blocks[0]->bytes = uint64_t(1) << 42;
  program.buffers[1]->dims = exprs(program, {"1099511627776"});
  write(program);
  reopen();
  EXPECT_EQ(store->load(0, 0, "row").status().code(), StatusCode::OutOfMemory);
  reopen({.memoryLimit = 200});
  EXPECT_EQ(store->load(0, 1, "panel16").status().code(),
            StatusCode::OutOfMemory)
      << "two blocks of 128 bytes";
}

TEST_F(WeightStoreTest, RanksShareBlocks) {
  plan::ProgramT program = syntheticProgram();
  write(program);
  reopen();
  std::vector<std::thread> ranks;
  std::vector<const std::byte *> seen(8);
  for (int i = 0; i < 8; ++i)
    ranks.emplace_back([&, i] {
      StatusOr<ParamBlocks> blocks = store->load(i % 2, 0, "row");
      if (blocks.isOk())
        seen[i] = blocks->views[0].data;
    });
  for (std::thread &rank : ranks)
    rank.join();
  EXPECT_NE(seen[0], nullptr);
  EXPECT_EQ(seen, std::vector<const std::byte *>(8, seen[0]));
}
