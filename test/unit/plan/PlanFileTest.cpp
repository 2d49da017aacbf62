//===- PlanFileTest.cpp - The container: no wrong bit is taken ------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/plan/PlanFile.h"
#include "TestProgram.h"
#include "runtime/plan/PlanFormat.h"
#include "runtime/plan/PlanVerify.h"

#include <gtest/gtest.h>

#include <random>

using namespace moe;
using namespace moe::test;

namespace {
class PlanFileTest : public testing::Test {
protected:
  void SetUp() override {
    path = folder / "small.moeplan";
    Status status = writeSmallPlan(path);
    ASSERT_TRUE(status.isOk()) << status.message();
    StatusOr<std::string> text = readWholeFile(path, 1 << 20);
    ASSERT_TRUE(text.isOk());
    bytes.resize(text->size());
    std::memcpy(bytes.data(), text->data(), text->size());
  }
  /// Opens bytes and verifies everything in them.
  Status read(std::span<const std::byte> from) {
    MOE_ASSIGN_OR_RETURN(PlanFile plan, PlanFile::fromBytes(from, "test"));
    return plan.verifyAllBlocks();
  }

  TemporaryFolder folder;
  std::string path;
  std::vector<std::byte> bytes;
};
} // namespace

TEST_F(PlanFileTest, RoundTrip) {
  StatusOr<PlanFile> plan = PlanFile::open(path);
  ASSERT_TRUE(plan.isOk()) << plan.status().message();
  EXPECT_TRUE(plan->verifyAllBlocks().isOk());
  const plan::ProgramT &program = plan->program();
  EXPECT_EQ(program.model, "small.onnx");
  ASSERT_EQ(program.steps.size(), 2u);
  EXPECT_EQ(program.steps[1]->program[1]->op, "relu");
  const plan::BlockT &block = *program.params[1]->blocks[2];
  std::span<const std::byte> found = plan->blockBytes(block);
  std::vector<std::byte> expected = pattern(2 * 16 * 4, 3);
  EXPECT_TRUE(
      std::equal(found.begin(), found.end(), expected.begin(), expected.end()));
  EXPECT_EQ(reinterpret_cast<uintptr_t>(found.data()) % 64, 0u);
}

TEST_F(PlanFileTest, EverySingleBitFlipIsRejected) {
  ASSERT_TRUE(read(bytes).isOk());
  for (size_t i = 0; i < bytes.size(); ++i)
    for (int bit = 0; bit < 8; ++bit) {
      bytes[i] ^= std::byte(1 << bit);
      Status status = read(bytes);
      ASSERT_EQ(status.code(), StatusCode::BadPlan)
          << "byte " << i << " bit " << bit;
      bool namesSection =
          status.message().find("header") != std::string::npos ||
          status.message().find("section") != std::string::npos;
      ASSERT_TRUE(namesSection) << status.message();
      bytes[i] ^= std::byte(1 << bit);
    }
}

TEST_F(PlanFileTest, EveryTruncationAndExtensionIsRejected) {
  for (size_t size = 0; size < bytes.size(); ++size)
    ASSERT_EQ(read(std::span(bytes).first(size)).code(), StatusCode::BadPlan)
        << size;
  bytes.push_back(std::byte(0));
  EXPECT_EQ(read(bytes).code(), StatusCode::BadPlan);
}

TEST_F(PlanFileTest, SaysWhichVersionItFound) {
  bytes[8] = std::byte(9);
  EXPECT_EQ(read(bytes).message(),
            "test: header: has format 9.0, expected at most 1.0");
}

TEST_F(PlanFileTest, TheSameProgramGivesTheSameBytes) {
  std::string other = folder / "other.moeplan";
  ASSERT_TRUE(writeSmallPlan(other).isOk());
  EXPECT_EQ(*readWholeFile(path, 1 << 20), *readWholeFile(other, 1 << 20));
  EXPECT_EQ(PlanFile::open(path)->hash(), PlanFile::open(other)->hash());
}

TEST_F(PlanFileTest, LargeBlocksHaveAHashForEachChunk) {
  // 9 MiB and some: chunks of 4, 4 and 1 MiB, written in odd pieces.
  plan::ProgramT program = syntheticProgram();
  plan::ParamT &param = *program.params[0];
  param.dims = {9 * 256 * 1024 + 3};
  program.buffers[1]->dims = exprs(program, {std::to_string(param.dims[0])});
  std::vector<std::byte> data = pattern(param.dims[0] * 4, 5);
  std::string path = folder / "large.moeplan";
  {
    StatusOr<PlanWriter> writer = PlanWriter::create(path);
    ASSERT_TRUE(writer.isOk());
    ASSERT_TRUE(writer->beginBlock().isOk());
    for (size_t begin = 0; begin < data.size(); begin += 1000003)
      ASSERT_TRUE(
          writer
              ->appendToBlock(std::span(data).subspan(
                  begin, std::min<size_t>(1000003, data.size() - begin)))
              .isOk());
    StatusOr<plan::BlockT> block = writer->endBlock();
    ASSERT_TRUE(block.isOk());
    *param.blocks[0] = *block;
    Status status = writer->finish(program);
    ASSERT_TRUE(status.isOk()) << status.message();
  }
  StatusOr<PlanFile> plan = PlanFile::open(path);
  ASSERT_TRUE(plan.isOk()) << plan.status().message();
  EXPECT_EQ(plan->program().chunk_hashes.size(), 3u);
  EXPECT_TRUE(plan->verifyAllBlocks().isOk());
}

TEST_F(PlanFileTest, AWrongProgramIsNotWritten) {
  std::string path = folder / "wrong.moeplan";
  {
    plan::ProgramT program = syntheticProgram();
    program.steps[0]->inputs[0] = 99;
    StatusOr<PlanWriter> writer = PlanWriter::create(path);
    ASSERT_TRUE(writer.isOk());
    EXPECT_EQ(writer->finish(program).code(), StatusCode::BadPlan);
  }
  EXPECT_FALSE(std::filesystem::exists(path));
}

/// A plan without weights around a FlatBuffer, its hashes right.
static std::vector<std::byte> wrap(flatbuffers::FlatBufferBuilder &builder) {
  using namespace moe::plan_format;
  std::span section =
      std::as_bytes(std::span(builder.GetBufferPointer(), builder.GetSize()));
  Preamble preamble = {};
  preamble.weights = {SectionKind::Weights, 0, sizeof(Preamble), 0,
                      hashOfHashes({})};
  preamble.program = {SectionKind::Program, 0, sizeof(Preamble), section.size(),
                      hashBytes(section.data(), section.size())};
  preamble.header = {kMagic, kPlanMajor, kPlanMinor,
                     2,      0,          sizeof(Preamble) + section.size(),
                     0,      {}};
  preamble.header.hash = hashPreamble(preamble);
  std::span head = std::as_bytes(std::span(&preamble, 1));
  std::vector<std::byte> bytes(head.begin(), head.end());
  bytes.insert(bytes.end(), section.begin(), section.end());
  return bytes;
}

TEST_F(PlanFileTest, SharedVectorsDoNotMultiplyMemory) {
  // 1000 steps that all name one vector of 10000 nodes: 40 MB from 60 KB.
  flatbuffers::FlatBufferBuilder builder;
  auto nodes = builder.CreateVector(std::vector<uint32_t>(10000, 0));
  auto kernel = builder.CreateString("matmul");
  std::vector<flatbuffers::Offset<plan::Step>> steps;
  for (int i = 0; i < 1000; ++i) {
    plan::StepBuilder step(builder);
    step.add_kernel(kernel);
    step.add_nodes(nodes);
    steps.push_back(step.Finish());
  }
  auto table = builder.CreateVector(steps);
  plan::ProgramBuilder program(builder);
  program.add_steps(table);
  builder.Finish(program.Finish());
  Status status = read(wrap(builder));
  EXPECT_EQ(status.message(),
            "test: program section: shares data between its tables");
}

TEST_F(PlanFileTest, HostileProgramsWithRightHashesAreSafe) {
  using namespace moe::plan_format;
  Preamble preamble;
  std::memcpy(&preamble, bytes.data(), sizeof(preamble));
  std::mt19937 random(11);
  int numAccepted = 0;
  for (int round = 0; round < 20000; ++round) {
    std::vector<std::byte> damaged = bytes;
    std::span section = std::span(damaged).subspan(preamble.program.offset);
    for (unsigned i = 0; i <= random() % 3; ++i) {
      const int kinds[] = {0,    1,    0x7f,
                           0x80, 0xff, static_cast<int>(random() & 0xff)};
      section[random() % section.size()] = std::byte(kinds[random() % 6]);
    }
    Preamble head = preamble;
    head.program.hash = hashBytes(section.data(), section.size());
    head.header.hash = hashPreamble(head);
    std::memcpy(damaged.data(), &head, sizeof(head));
    StatusOr<PlanFile> plan = PlanFile::fromBytes(damaged, "test");
    if (!plan.isOk()) {
      ASSERT_EQ(plan.status().code(), StatusCode::BadPlan);
      continue;
    }
    ++numAccepted;
    EXPECT_TRUE(verifyProgram(plan->program(), plan->weightsSize()).isOk());
    (void)plan->verifyAllBlocks().isOk();
  }
  // Names, attributes and seeds may have any value.
  EXPECT_GT(numAccepted, 100);
}
