//===- BigramPlan.cpp - A language model that is one table ----------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "test/unit/tools/BigramPlan.h"

#include "test/unit/plan/TestProgram.h"

using namespace moe;
using namespace moe::test;

static plan::ProgramT bigramProgram() {
  plan::ProgramT program;
  program.model = "bigram.onnx";
  program.nodes = {"/embed/Gather"};
  for (int axis = 0; axis < 2; ++axis) {
    plan::SymbolT &symbol = add(program.symbols);
    symbol.name = axis == 0 ? "batch" : "seq";
    symbol.input = 0;
    symbol.axis = axis;
  }
  constexpr auto kInteger = static_cast<uint8_t>(DType::I64);
  addPort(program, program.inputs, "input_ids", {"batch", "seq"}, 0).dtype =
      kInteger;
  addPort(program, program.outputs, "logits", {"batch", "seq", "1024"}, 2);
  addBuffer(program, "ids", plan::BufferKind_Input, {"batch", "seq"}, 0).dtype =
      kInteger;
  addBuffer(program, "table", plan::BufferKind_Param, {"1024", "1024"}, 0);
  addBuffer(program, "logits", plan::BufferKind_Output,
            {"batch", "seq", "1024"}, 0);
  plan::StepT &gather = add(program.steps);
  gather.kernel = "gather";
  gather.inputs = {1, 0};
  gather.outputs = {2};
  gather.nodes = {0};
  plan::AttributeT &axis = add(gather.attributes);
  axis.name = "axis";
  plan::ParamT &table = add(program.params);
  table.name = "table";
  table.layout = "row";
  table.dims = {kBigramTokens, kBigramTokens};
  return program;
}

Status moe::test::writeBigramPlan(const std::string &path) {
  std::vector<float> table(kBigramTokens * kBigramTokens);
  for (int token = 0; token < kBigramTokens; ++token)
    table[token * kBigramTokens + tokenBehind(token)] = 5;
  plan::ProgramT program = bigramProgram();
  MOE_ASSIGN_OR_RETURN(PlanWriter writer, PlanWriter::create(path));
  MOE_ASSIGN_OR_RETURN(plan::BlockT block,
                       writer.appendBlock(std::as_bytes(std::span(table))));
  add(program.params[0]->blocks) = block;
  return writer.finish(program);
}

void BigramTest::SetUp() {
  plan = file("bigram.moeplan");
  Status status = writeBigramPlan(plan);
  ASSERT_TRUE(status.isOk()) << status.message();
}
