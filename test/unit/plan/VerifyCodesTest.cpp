//===- VerifyCodesTest.cpp - Weights in codes that must be refused --------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "VerifyCases.h"

using namespace moe;
using namespace moe::test;

using Program = plan::ProgramT;

/// Adds a parameter [64, 20] whose block is rounded numbers of a file.
static Program makeProgram() {
  Program program = syntheticProgram();
  plan::WeightFileT &file = add(program.files);
  file.path = "w.bin";
  file.size = 64 * 20 * 4;
  plan::ParamExprT &w = add(program.param_exprs);
  w.ints = {0, 64 * 20 * 4};
  w.dims = {64, 20};
  plan::ParamExprT &rounded = add(program.param_exprs);
  rounded.kind = plan::ParamExprKind_Quantize;
  rounded.operands = {0};
  rounded.ints = {4, 32, 0};
  rounded.dims = {64, 20};
  plan::ParamT &param = add(program.params);
  param.name = "codes";
  param.layout = "panel16.q4x32";
  param.dims = {64, 20};
  plan::BlockT &block = add(param.blocks);
  block.source = plan::BlockSource_Reference;
  block.expr = 1;
  // Two panels of 64 x 8 bytes and 2 x 16 scales.
  block.bytes = 2 * (64 * 8 + 64);
  return program;
}

static void expectErrors(const std::vector<VerifyCase> &cases) {
  expectErrors(makeProgram, cases);
}

TEST(VerifyCodes, AcceptsRoundedWeights) {
  Status status = verifyProgram(makeProgram(), 0);
  EXPECT_TRUE(status.isOk()) << status.message();
}

TEST(VerifyCodes, Quantize) {
  auto change = [](auto apply) {
    return [apply](Program &p) { apply(*p.param_exprs[1]); };
  };
  using Expr = plan::ParamExprT;
  const char *parameters[] = {
      "param expression 1: Quantize has 2 bits in blocks of 32 and zero points "
      "0, expected 4 or 8 in blocks of 16 or a multiple of 32, and 0 or 1",
      "param expression 1: Quantize has 4 bits in blocks of 24 and zero points "
      "0, expected 4 or 8 in blocks of 16 or a multiple of 32, and 0 or 1",
      "param expression 1: Quantize has 4 bits in blocks of -32 and zero "
      "points 0, expected 4 or 8 in blocks of 16 or a multiple of 32, and 0 or "
      "1",
      "param expression 1: Quantize has 4 bits in blocks of 32 and zero points "
      "2, expected 4 or 8 in blocks of 16 or a multiple of 32, and 0 or 1"};
  expectErrors({
      {parameters[0], change([](Expr &e) { e.ints[0] = 2; })},
      {parameters[1], change([](Expr &e) { e.ints[1] = 24; })},
      {parameters[2], change([](Expr &e) { e.ints[1] = -32; })},
      {parameters[3], change([](Expr &e) { e.ints[2] = 2; })},
      {"param expression 1: Quantize has 1 operands and 2 integers, expected 1 "
       "and 3",
       change([](Expr &e) { e.ints.pop_back(); })},
      {"param expression 1: Quantize changes the dimensions",
       change([](Expr &e) {
         e.dims = {20, 64};
       })},
      {"param expression 1: Quantize changes the element type",
       change([](Expr &e) { e.dtype = static_cast<uint8_t>(DType::F16); })},
      {"param expression 1: Quantize rounds matrices of f32, f16 or bf16 only",
       change([](Expr &e) { e.dtype = static_cast<uint8_t>(DType::F64); })},
      {"param expression 1: Quantize rounds matrices of f32, f16 or bf16 only",
       change([](Expr &e) { e.dims = {1280}; })},
      {"param expression 1: Quantize rounds matrices of f32, f16 or bf16 only",
       change([](Expr &e) {
         e.dims = {INT64_MAX / 2, 0};
       })},
  });
}

TEST(VerifyCodes, LayoutsOfParams) {
  auto change = [](auto apply) {
    return [apply](Program &p) { apply(*p.params[2]); };
  };
  using Param = plan::ParamT;
  expectErrors({
      {"param 2 (codes): layout 'panel16.q4x48' is not known",
       change([](Param &p) { p.layout = "panel16.q4x48"; })},
      {"param 2 (codes): layout 'panel16.q4x32' holds matrices of f32, f16 or "
       "bf16, not u8 tensors of rank 2",
       change([](Param &p) { p.dtype = static_cast<uint8_t>(DType::U8); })},
      {"param 2 (codes): layout 'panel16.q4x32' holds matrices of f32, f16 or "
       "bf16, not f32 tensors of rank 3",
       change([](Param &p) {
         p.dims = {1, 64, 20};
       })},
      {"param 2 (codes): has a block of 1152 bytes, expected 1280",
       change([](Param &p) { p.layout = "panel16.q4x32.z"; })},
      {"param 2 (codes): layout 'panel16.q4x32' has panels whose size "
       "overflows with 9223372036854775807 rows",
       change([](Param &p) {
         p.dims = {INT64_MAX, 20};
       })},
      {"param 2 (codes): has layout 'panel16.q4x64', but expression 1 has no "
       "codes of this format",
       change([](Param &p) {
         p.layout = "panel16.q4x64";
         p.blocks[0]->bytes = 2 * (64 * 8 + 64);
       })},
      {"param 2 (codes): has layout 'panel16.q4x32', but expression 0 has no "
       "codes of this format",
       change([](Param &p) { p.blocks[0]->expr = 0; })},
  });
}

//===----------------------------------------------------------------------===//
// Look-ups
//===----------------------------------------------------------------------===//

/// A step that looks rows up in 4 rows of 37 integers of 4 bits, in blocks of
/// 16; its operands are the last four buffers.
static Program gatherProgram() {
  Program program = syntheticProgram();
  auto constant = [&](const char *name, std::vector<std::string> dims,
                      DType dtype, size_t bytes) {
    auto index = static_cast<int32_t>(program.constants.size());
    plan::BufferT &buffer =
        addBuffer(program, name, plan::BufferKind_Constant, dims, index);
    buffer.dtype = static_cast<uint8_t>(dtype);
    add(program.constants).data.resize(bytes);
    return static_cast<int32_t>(program.buffers.size() - 1);
  };
  auto number = static_cast<int32_t>(program.steps.size());
  plan::StepT &step = add(program.steps);
  step.kernel = "gather_codes";
  step.inputs = {constant("codes", {"4", "19"}, DType::U8, 4 * 19),
                 constant("ids", {"2"}, DType::I64, 16),
                 constant("scales", {"4", "3"}, DType::F32, 48),
                 constant("zeros", {"4", "2"}, DType::U8, 8)};
  plan::BufferT &rows =
      addBuffer(program, "rows", plan::BufferKind_Arena, {"2", "37"}, -1);
  rows.first_step = rows.last_step = number;
  step.outputs = {static_cast<int32_t>(program.buffers.size() - 1)};
  for (auto [name, value] :
       {std::pair("axis", 0), {"bits", 4}, {"block", 16}, {"size", 37}}) {
    plan::AttributeT &attribute = add(step.attributes);
    attribute.name = name;
    attribute.kind = plan::AttributeKind_Int;
    attribute.i = value;
  }
  return program;
}

TEST(VerifyCodes, AcceptsLookUps) {
  Program program = gatherProgram();
  EXPECT_TRUE(verifyProgram(program, 0).isOk())
      << verifyProgram(program, 0).message();
  program.steps.back()->inputs.pop_back();
  EXPECT_TRUE(verifyProgram(program, 0).isOk());
}

TEST(VerifyCodes, LookUps) {
  auto message =
      [](const std::function<void(Program &, plan::StepT &)> &change) {
        Program program = gatherProgram();
        change(program, *program.steps.back());
        Status status = verifyProgram(program, 0);
        EXPECT_EQ(status.code(), StatusCode::BadPlan);
        return status.message().substr(std::min(
            status.message().size(), status.message().find("gather_codes")));
      };
  auto attribute = [&](size_t i, int64_t value) {
    return message(
        [=](Program &, plan::StepT &step) { step.attributes[i]->i = value; });
  };
  auto ofBuffer = [&](size_t input, auto change) {
    return message([=](Program &program, plan::StepT &step) {
      change(program, *program.buffers[step.inputs[input]]);
    });
  };
  EXPECT_EQ(attribute(1, 3),
            "gather_codes): has 37 integers of 3 bits in blocks of 16");
  EXPECT_EQ(attribute(2, -1),
            "gather_codes): has 37 integers of 4 bits in blocks of -1");
  EXPECT_EQ(attribute(3, INT64_MAX),
            "gather_codes): has 9223372036854775807 integers of 4 bits in "
            "blocks of 16");
  std::string misfit =
      "gather_codes): has codes, scales or zero points that do "
      "not fit 37 integers in a row";
  EXPECT_EQ(attribute(2, 32), misfit);
  EXPECT_EQ(attribute(1, 8), misfit);
  for (size_t i : {0, 2, 3})
    EXPECT_EQ(ofBuffer(i,
                       [](Program &p, plan::BufferT &b) {
                         b.dims.insert(b.dims.begin(), expr(p, "1"));
                       }),
              misfit);
  std::string type =
      "gather_codes): has codes, scales, zero points or a result "
      "of another type";
  for (auto [input, dtype] :
       {std::pair(0, DType::I8), {2, DType::I32}, {3, DType::Bool}})
    EXPECT_EQ(ofBuffer(input,
                       [dtype = dtype](Program &, plan::BufferT &b) {
                         b.dtype = static_cast<uint8_t>(dtype);
                       }),
              type);
  EXPECT_EQ(message([](Program &, plan::StepT &step) { step.inputs[2] = -1; }),
            "gather_codes): needs codes, indices, scales and a result");
  EXPECT_EQ(
      message([](Program &, plan::StepT &step) { step.attributes.pop_back(); }),
      "gather_codes: attribute 'size' is missing");
}
