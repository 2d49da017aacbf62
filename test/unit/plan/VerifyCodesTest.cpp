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
