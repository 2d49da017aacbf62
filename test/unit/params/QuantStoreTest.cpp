//===- QuantStoreTest.cpp - Ranks load weights in codes -------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "QuantTestData.h"
#include "StoreTest.h"
#include "runtime/params/HeldBlocks.h"
#include "runtime/params/Layouts.h"
#include "runtime/params/StreamPacked.h"
#include "runtime/params/WeightStore.h"

#include <gtest/gtest.h>

#include <cmath>

using namespace moe;
using namespace moe::test;

using Bytes = std::vector<std::byte>;
using Dims = std::vector<int64_t>;

namespace {

enum class Source { Embedded, Reference, Synthetic };

/// Three tensor slices hold parts of W [K, N], which is in codes.
class QuantStore : public StoreTest<Source> {
protected:
  static constexpr int64_t kRows = 192, kColumns = 96;

  /// `axis` is divided as a symbol that stands for a part of `whole`.
  void open(const QuantFormat &newFormat, int axis, const std::string &whole,
            std::optional<uint64_t> memoryLimit = std::nullopt) {
    format = newFormat;
    layout = quantLayoutName(format);
    plan::ProgramT program = slicedProgram(3, whole);
    plan::ParamT &param = add(program.params);
    param.name = "W";
    param.dims = {kRows, kColumns};
    param.part_axis = axis;
    param.part = 0;
    param.layout = layout;
    write(program,
          [&](PlanWriter &writer) { addBlock(program, param, writer); });
    WeightStoreOptions options;
    options.memoryLimit = memoryLimit;
    reopen(options);
  }

  void addBlock(plan::ProgramT &program, plan::ParamT &param,
                PlanWriter &writer) {
    std::vector<float> numbers = randomNumbers(kRows * kColumns);
    Bytes packed(*layoutBytes(layout, DType::F32, param.dims));
    ASSERT_TRUE(packRounded(format, param.dims, numbers, packed).isOk());
    plan::BlockT &block = add(param.blocks);
    block.bytes = packed.size();
    if (GetParam() == Source::Embedded) {
      StatusOr<plan::BlockT> embedded = writer.appendBlock(packed);
      ASSERT_TRUE(embedded.isOk());
      block = *embedded;
    } else if (GetParam() == Source::Synthetic) {
      block.source = plan::BlockSource_Synthetic;
      block.seed = 9;
    } else {
      writeNumbers(program, numbers);
      plan::ParamExprT &w = add(program.param_exprs);
      w.ints = {0, static_cast<int64_t>(numbers.size() * 4)};
      w.dims = param.dims;
      plan::ParamExprT &rounded = add(program.param_exprs);
      rounded.kind = plan::ParamExprKind_Quantize;
      rounded.operands = {0};
      rounded.ints = {format.bits, format.block, format.hasZeroPoints};
      rounded.dims = param.dims;
      block.source = plan::BlockSource_Reference;
      block.expr = 1;
    }
  }

  BlockView load(int rank, std::string_view asLayout) {
    StatusOr<ParamBlocks> blocks = store->load(rank, 0, asLayout);
    EXPECT_TRUE(blocks.isOk()) << blocks.status().message();
    return blocks.isOk() ? blocks->views[0] : BlockView();
  }
  /// A part of a block in codes has the values of the same part in "row", and
  /// those of the whole weight.
  void expectPart(int rank, int axis, Interval part) {
    BlockView codes = load(rank, layout), rows = load(rank, kRowLayout);
    Dims dims = {kRows, kColumns};
    dims[axis] = part.size();
    ASSERT_EQ(codes.bytes, *layoutBytes(layout, DType::F32, dims));
    EXPECT_EQ(codes.sliceSize, part.size());
    PackedMatrix found{format, dims[0], codes.data};
    auto *values = reinterpret_cast<const float *>(rows.data);
    std::vector<float> whole = wholeValues();
    for (int64_t k = 0; k < dims[0]; ++k)
      for (int64_t n = 0; n < dims[1]; ++n) {
        ASSERT_EQ(found.value(k, n), values[k * dims[1] + n]);
        int64_t row = k + (axis == 0 ? part.begin : 0);
        int64_t column = n + (axis == 1 ? part.begin : 0);
        ASSERT_EQ(found.value(k, n), whole[row * kColumns + column]);
      }
  }
  std::vector<float> wholeValues() const {
    std::vector<float> values(kRows * kColumns);
    auto bytes = std::as_writable_bytes(std::span(values));
    Dims dims = {kRows, kColumns};
    if (GetParam() == Source::Synthetic) {
      WindowSource source =
          dequantizedWindows(syntheticCodes(9, format, dims), DType::F32);
      EXPECT_TRUE(source(Dims{0, 0}, dims, bytes).isOk());
      return values;
    }
    Bytes packed(*layoutBytes(layout, DType::F32, dims));
    EXPECT_TRUE(
        packRounded(format, dims, randomNumbers(kRows * kColumns), packed)
            .isOk());
    EXPECT_TRUE(unpackLayout(layout, DType::F32, dims, packed, bytes).isOk());
    return values;
  }

  QuantFormat format;
  std::string layout;
};

} // namespace

TEST_P(QuantStore, PartsOfColumns) {
  for (QuantFormat each : {QuantFormat{4, 32, DType::F16, false},
                           {8, 64, DType::F16, true},
                           {4, 192, DType::F16, true}}) {
    open(each, 1, "96");
    expectPart(0, 1, {0, 32});
    expectPart(2, 1, {64, 96});
    // 16 parts of six columns: five and six of them.
    open(each, 1, "16");
    expectPart(0, 1, {0, 30});
    expectPart(1, 1, {30, 60});
  }
}

TEST_P(QuantStore, PartsOfRowsAtBlocks) {
  for (QuantFormat each : {QuantFormat{4, 32, DType::F16, false},
                           {8, 16, DType::F16, true},
                           {4, 64, DType::F16, true}}) {
    open(each, 0, "192");
    expectPart(0, 0, {0, 64});
    expectPart(1, 0, {64, 128});
  }
}

TEST_P(QuantStore, PartsThatCutBlocksAreNumbers) {
  open({4, 128, DType::F16, false}, 0, "192");
  Status status = store->load(1, 0, layout).status();
  EXPECT_EQ(status.code(), StatusCode::Unsupported);
  EXPECT_EQ(status.message(), "param W: a part cuts blocks of 128 codes");
  BlockView part = load(1, kPanel16Layout);
  ASSERT_EQ(part.bytes, 64u * kColumns * 4);
  std::vector<float> whole = wholeValues();
  auto *values = reinterpret_cast<const float *>(part.data);
  for (int64_t k = 0; k < 64; ++k)
    for (int64_t n = 0; n < kColumns; ++n)
      ASSERT_EQ(values[(n / 16 * 64 + k) * 16 + n % 16],
                whole[(64 + k) * kColumns + n]);
}

TEST_P(QuantStore, EmbeddedCodesAreSeenInPlace) {
  if (GetParam() != Source::Embedded)
    GTEST_SKIP() << "nothing is mapped";
  // No memory: the second third of the columns, and nobody's rows.
  open({4, 32, DType::F16, true}, 1, "96", 0);
  BlockView part = load(1, layout);
  std::span<const std::byte> all =
      plan->blockBytes(*plan->program().params[0]->blocks[0]);
  EXPECT_EQ(part.data, all.data() + all.size() / 3);
  EXPECT_EQ(part.bytes, all.size() / 3);
  EXPECT_EQ(store->load(1, 0, kPanel16Layout).status().code(),
            StatusCode::OutOfMemory);
}

TEST_P(QuantStore, OtherCodesCannotBeMade) {
  open({4, 32, DType::F16, false}, 1, "96");
  EXPECT_EQ(store->load(0, 0, "panel16.q8x32").status().message(),
            "param W: layout 'panel16.q4x32' cannot become 'panel16.q8x32'");
}

static std::string sourceName(const testing::TestParamInfo<Source> &info) {
  const char *names[] = {"Embedded", "Reference", "Synthetic"};
  return names[static_cast<int>(info.param)];
}

INSTANTIATE_TEST_SUITE_P(Sources, QuantStore,
                         testing::Values(Source::Embedded, Source::Reference,
                                         Source::Synthetic),
                         sourceName);

TEST(SyntheticCodes, HaveTheDeviationOfFloats) {
  Dims dims = {256, 3000};
  for (const QuantFormat &format : quantFormats()) {
    std::vector<float> values(256 * 3000);
    ASSERT_TRUE(dequantizedWindows(syntheticCodes(3, format, dims), DType::F32)(
                    Dims{0, 0}, dims, std::as_writable_bytes(std::span(values)))
                    .isOk());
    double sum = 0, squares = 0;
    for (float value : values) {
      sum += value;
      squares += static_cast<double>(value) * value;
    }
    double count = static_cast<double>(values.size());
    // 1 / sqrt(256), within what few blocks allow.
    EXPECT_NEAR(std::sqrt(squares / count) * 16, 1, 0.02);
    EXPECT_NEAR(sum / count * 16, 0, 0.01);
  }
}

TEST(HeldBlocks, PartsBeginAtBlocks) {
  plan::ProgramT program;
  program.num_ranks = 3;
  program.tp = 3;
  plan::SymbolT &symbol = add(program.symbols);
  symbol.kind = plan::SymbolKind_LocalPart;
  symbol.whole = expr(program, "6");
  symbol.group = plan::Group_Tp;
  plan::ParamT dense;
  dense.name = "W";
  dense.dims = {192, 16};
  EXPECT_TRUE(*partsBeginAt(program, dense, 128)) << "held whole";
  dense.part_axis = 0;
  dense.part = 0;
  EXPECT_TRUE(*partsBeginAt(program, dense, 32));
  EXPECT_TRUE(*partsBeginAt(program, dense, 64));
  EXPECT_FALSE(*partsBeginAt(program, dense, 128));
  // Slices of experts in units of 16: two slices of [0, 48), [48, 96).
  plan::LayerT &layer = add(program.layers);
  layer.experts = 2;
  add(layer.places).ranks = {0};
  plan::ParamT experts;
  experts.dims = {96, 16};
  experts.experts = 2;
  experts.layer = 0;
  experts.part_axis = 0;
  experts.part_unit = 16;
  EXPECT_TRUE(*partsBeginAt(program, experts, 32));
  plan::ExpertPlaceT &sliced = add(layer.places);
  sliced.ranks = {1, 2};
  sliced.slices = 2;
  EXPECT_TRUE(*partsBeginAt(program, experts, 16));
  EXPECT_FALSE(*partsBeginAt(program, experts, 32));
}
