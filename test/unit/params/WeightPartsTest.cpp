//===- WeightPartsTest.cpp - Ranks hold parts of weights ------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "StoreTest.h"
#include "runtime/params/BlockPart.h"
#include "runtime/params/HeldBlocks.h"
#include "runtime/params/Layouts.h"
#include "runtime/params/WeightStore.h"

#include <gtest/gtest.h>

#include <fstream>

using namespace moe;
using namespace moe::test;

using Bytes = std::vector<std::byte>;

namespace {

/// Where the blocks of a test come from.
enum class Source { EmbeddedRow, EmbeddedPanel, Reference, Synthetic };

/// Two owners of rows with three slices each hold parts of the dense matrix W
/// [24, 80]; experts E [8, 72] of a layer over all ranks are sliced.
class WeightParts : public StoreTest<Source> {
protected:
  static constexpr int64_t kRows = 24, kColumns = 80, kHidden = 72;

  void SetUp() override {
    values.resize(kRows * kColumns + 3 * 8 * kHidden);
    for (size_t i = 0; i < values.size(); ++i)
      values[i] = static_cast<float>(i);
  }

  /// A program whose matrix is divided along `axis` by a symbol of the group
  /// tp that stands for a part of `whole`.
  plan::ProgramT makeProgram(int axis, const std::string &whole) {
    plan::ProgramT program = slicedProgram(6, whole);
    plan::LayerT &layer = add(program.layers);
    layer.experts = 3;
    layer.k = 1;
    layer.router = "softmax";
    layer.capacity = "none";
    layer.group = plan::Group_World;
    add(layer.places).ranks = {0};
    plan::ExpertPlaceT &sliced = add(layer.places);
    sliced.ranks = {3, 4};
    sliced.slices = 2;
    add(layer.places).ranks = {3};

    plan::ParamT &dense = add(program.params);
    dense.name = "W";
    dense.dims = {kRows, kColumns};
    dense.part_axis = axis;
    dense.part = 0;
    plan::ParamT &experts = add(program.params);
    experts.name = "E";
    experts.dims = {8, kHidden};
    experts.experts = 3;
    experts.layer = 0;
    experts.is_expert = true;
    experts.part_axis = 1;
    experts.part_unit = 16;
    for (auto &param : program.params)
      param->layout = GetParam() == Source::EmbeddedPanel ? "panel16" : "row";
    return program;
  }

  /// The values of a block, row major.
  std::span<const float> rowsOf(const plan::ParamT &param, int block) const {
    size_t size = param.dims[0] * param.dims[1];
    size_t first = param.experts == 0 ? 0 : kRows * kColumns + block * size;
    return std::span(values).subspan(first, size);
  }

  void addBlock(plan::ProgramT &program, plan::ParamT &param, int block,
                PlanWriter &writer) {
    std::span<const float> rows = rowsOf(param, block);
    Bytes bytes(*layoutBytes(param.layout, DType::F32, param.dims));
    plan::BlockT &added = add(param.blocks);
    added.bytes = bytes.size();
    if (GetParam() == Source::Reference) {
      plan::ParamExprT &file = add(program.param_exprs);
      file.ints = {static_cast<int64_t>(rows.data() - values.data()) * 4,
                   static_cast<int64_t>(rows.size_bytes())};
      file.dims = param.dims;
      added.source = plan::BlockSource_Reference;
      added.expr = static_cast<uint32_t>(program.param_exprs.size() - 1);
    } else if (GetParam() == Source::Synthetic) {
      added.source = plan::BlockSource_Synthetic;
      added.seed = block;
    } else {
      ASSERT_TRUE(packLayout(param.layout, DType::F32, param.dims,
                             std::as_bytes(rows), bytes)
                      .isOk());
      StatusOr<plan::BlockT> written = writer.appendBlock(bytes);
      ASSERT_TRUE(written.isOk());
      added = *written;
    }
  }

  void open(plan::ProgramT program, WeightStoreOptions options = {}) {
    if (GetParam() == Source::Reference)
      writeNumbers(program, values);
    write(program, [&](PlanWriter &writer) {
      for (auto &param : program.params)
        for (int block = 0; block < std::max(param->experts, 1); ++block)
          addBlock(program, *param, block, writer);
    });
    reopen(std::move(options));
  }

  /// The part [begin, end) along `axis` of a block as it lies in `layout`.
  Bytes expected(int param, int block, int axis, Interval part,
                 std::string_view layout) const {
    const plan::ParamT &p = *plan->program().params[param];
    std::vector<float> whole(rowsOf(p, block).begin(), rowsOf(p, block).end());
    if (GetParam() == Source::Synthetic)
      fillSynthetic(block, DType::F32, p.dims, std::vector<int64_t>{0, 0},
                    p.dims, std::as_writable_bytes(std::span(whole)));
    std::vector<int64_t> dims = p.dims;
    dims[axis] = part.size();
    std::vector<float> rows;
    for (int64_t i = 0; i < p.dims[0]; ++i)
      for (int64_t j = 0; j < p.dims[1]; ++j)
        if (int64_t at = axis == 0 ? i : j; at >= part.begin && at < part.end)
          rows.push_back(whole[i * p.dims[1] + j]);
    Bytes bytes(*layoutBytes(layout, DType::F32, dims));
    EXPECT_TRUE(packLayout(layout, DType::F32, dims,
                           std::as_bytes(std::span(rows)), bytes)
                    .isOk());
    return bytes;
  }
  void expectPart(int rank, int param, int view, int block, int axis,
                  Interval part, bool isPart = true) {
    for (std::string_view layout : {kRowLayout, kPanel16Layout}) {
      StatusOr<ParamBlocks> blocks = store->load(rank, param, layout);
      ASSERT_TRUE(blocks.isOk()) << blocks.status().message();
      const BlockView &found = blocks->views[view];
      EXPECT_EQ(Bytes(found.data, found.data + found.bytes),
                expected(param, block, axis, part, layout))
          << "rank " << rank << ", " << layout;
      EXPECT_EQ(found.sliceSize, isPart ? part.size() : -1);
    }
  }
  bool isInPlace(const BlockView &view, int param, int block) const {
    std::span<const std::byte> all =
        plan->blockBytes(*plan->program().params[param]->blocks[block]);
    return view.data >= all.data() &&
           view.data + view.bytes <= all.data() + all.size();
  }

  std::vector<float> values;
};

} // namespace

TEST_P(WeightParts, DenseWeightsAlongEachAxis) {
  // Eight heads of ten columns: 2, 3 and 3 heads; ranks 0 and 3 share slices.
  open(makeProgram(1, "8"));
  for (int rank : {0, 3})
    expectPart(rank, 0, 0, 0, 1, {0, 20});
  expectPart(1, 0, 0, 0, 1, {20, 50});
  expectPart(5, 0, 0, 0, 1, {50, 80});
  open(makeProgram(0, "24"));
  expectPart(4, 0, 0, 0, 0, {8, 16});
  // Two parts for three ranks: rank 0 has none.
  open(makeProgram(0, "2"));
  expectPart(0, 0, 0, 0, 0, {0, 0});
  expectPart(2, 0, 0, 0, 0, {12, 24});
}

TEST_P(WeightParts, SlicesOfExperts) {
  open(makeProgram(1, "8"));
  // Rank 3 holds the first two of five units of expert 1, and expert 2.
  expectPart(3, 1, 0, 1, 1, {0, 32});
  expectPart(3, 1, 1, 2, 1, {0, kHidden}, /*isPart=*/false);
  expectPart(4, 1, 0, 1, 1, {32, kHidden});
  StatusOr<ParamBlocks> blocks = store->load(4, 1, "row");
  ASSERT_TRUE(blocks.isOk());
  EXPECT_EQ(blocks->views.size(), 1u);
  EXPECT_EQ(blocks->bytes, 8u * 40 * 4);
  blocks = store->load(1, 1, "row");
  ASSERT_TRUE(blocks.isOk());
  EXPECT_EQ(blocks->bytes, 0u);
}

TEST_P(WeightParts, ContiguousPartsAreSeenInPlace) {
  bool isRow = GetParam() == Source::EmbeddedRow;
  bool isPanel = GetParam() == Source::EmbeddedPanel;
  if (!isRow && !isPanel)
    GTEST_SKIP() << "nothing is mapped";
  // Rows of row-major memory; columns of panels if the panels are whole.
  open(makeProgram(0, "24"), {.memoryLimit = isRow ? 0 : 1 << 20});
  std::string layout = isRow ? "row" : "panel16";
  StatusOr<ParamBlocks> rows = store->load(1, 0, layout);
  ASSERT_TRUE(rows.isOk()) << rows.status().message();
  EXPECT_EQ(isInPlace(rows->views[0], 0, 0), isRow);
  open(makeProgram(1, "5"), {.memoryLimit = isPanel ? 0 : 1 << 20});
  StatusOr<ParamBlocks> columns = store->load(1, 0, layout);
  ASSERT_TRUE(columns.isOk()) << columns.status().message();
  EXPECT_EQ(isInPlace(columns->views[0], 0, 0), isPanel);
  EXPECT_EQ(columns->bytes, 24u * 32 * 4) << "units 1 and 2 of five";
  StatusOr<ParamBlocks> slice = store->load(4, 1, layout);
  ASSERT_TRUE(slice.isOk()) << slice.status().message();
  EXPECT_EQ(isInPlace(slice->views[0], 1, 1), isPanel);
}

TEST_P(WeightParts, MemoryIsCountedByTheHeldPart) {
  if (GetParam() == Source::EmbeddedRow || GetParam() == Source::EmbeddedPanel)
    GTEST_SKIP() << "parts may be mapped";
  // A third of the matrix: 24 x 30 numbers.
  open(makeProgram(1, "8"), {.memoryLimit = 24 * 30 * 4});
  EXPECT_TRUE(store->load(1, 0, "row").isOk());
  EXPECT_EQ(store->load(2, 0, "row").status().code(), StatusCode::OutOfMemory);
}

TEST_P(WeightParts, DamageIsFoundByWhoHoldsIt) {
  if (GetParam() != Source::EmbeddedRow)
    GTEST_SKIP() << "of one source";
  // Three rows of one chunk of 4 MiB each, one for each slice.
  constexpr int64_t kRowElements = 1 << 20;
  plan::ProgramT program = makeProgram(0, "3");
  program.params.resize(1);
  program.params[0]->dims = {3, kRowElements};
  values.resize(3 * kRowElements);
  open(std::move(program));
  {
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(128 + 2 * kRowElements * 4 + 77);
    file.put(1);
  }
  reopen({});
  EXPECT_TRUE(store->load(1, 0, "row").isOk());
  EXPECT_EQ(store->load(2, 0, "row").status().code(), StatusCode::BadPlan);
  // The same when the part is repacked.
  EXPECT_TRUE(store->load(4, 0, "panel16").isOk());
  EXPECT_EQ(store->load(5, 0, "panel16").status().code(), StatusCode::BadPlan);
  reopen({.verifyFull = false});
  EXPECT_TRUE(store->load(2, 0, "row").isOk());
}

static std::string sourceName(const testing::TestParamInfo<Source> &info) {
  const char *names[] = {"EmbeddedRow", "EmbeddedPanel", "Reference",
                         "Synthetic"};
  return names[static_cast<int>(info.param)];
}

INSTANTIATE_TEST_SUITE_P(Sources, WeightParts,
                         testing::Values(Source::EmbeddedRow,
                                         Source::EmbeddedPanel,
                                         Source::Reference, Source::Synthetic),
                         sourceName);

TEST(HeldBlocks, RefusesPartsThatDoNotDivide) {
  plan::ProgramT program;
  program.num_ranks = 2;
  program.tp = 2;
  plan::SymbolT &symbol = add(program.symbols);
  symbol.kind = plan::SymbolKind_LocalPart;
  symbol.whole = expr(program, "5");
  symbol.group = plan::Group_Tp;
  plan::ParamT param;
  param.name = "W";
  param.dims = {12};
  param.part_axis = 0;
  param.part = 0;
  EXPECT_EQ(heldBlocks(program, param, 0).status().message(),
            "param W: its dimension of 12 elements is no multiple of the parts "
            "'5'");
  param.part = 1;
  EXPECT_EQ(heldBlocks(program, param, 0).status().message(),
            "param W: part 1 is no symbol that ranks divide");
  param.part_axis = 1;
  EXPECT_EQ(heldBlocks(program, param, 0).status().message(),
            "param W: has no dimension 1 to divide");
}

TEST(BlockPart, PanelsOfTwoBytes) {
  // [4, 40]: three panels, element (k, n) is 100 k + n.
  std::vector<uint16_t> rows;
  for (int k = 0; k < 4; ++k)
    for (int n = 0; n < 40; ++n)
      rows.push_back(static_cast<uint16_t>(100 * k + n));
  const std::vector<int64_t> dims = {4, 40};
  std::vector<uint16_t> panels(3 * 4 * 16);
  auto bytes = std::as_writable_bytes(std::span(panels));
  ASSERT_TRUE(packLayout(kPanel16Layout, DType::BF16, dims,
                         std::as_bytes(std::span(rows)), bytes)
                  .isOk());
  auto part = contiguousPart(kPanel16Layout, DType::BF16, dims,
                             HeldBlock{0, 1, {16, 40}});
  ASSERT_TRUE(part.has_value());
  EXPECT_EQ(part->begin, 4 * 16 * 2);
  EXPECT_EQ(part->end, 3 * 4 * 16 * 2);
  std::vector<uint16_t> window(2 * 20);
  readBlockWindow(kPanel16Layout, DType::BF16, dims, bytes,
                  std::vector<int64_t>{1, 10}, std::vector<int64_t>{2, 20},
                  std::as_writable_bytes(std::span(window)));
  for (int k = 0; k < 2; ++k)
    for (int n = 0; n < 20; ++n)
      EXPECT_EQ(window[k * 20 + n], 100 * (k + 1) + n + 10);
}
