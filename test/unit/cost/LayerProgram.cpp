//===- LayerProgram.cpp - A plan of one MoE layer for tests ---------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "test/unit/cost/LayerProgram.h"

#include "test/unit/plan/TestProgram.h"

using namespace moe;
using namespace moe::test;

void moe::test::setText(plan::StepT &step, const char *name,
                        const char *value) {
  plan::AttributeT &attribute = add(step.attributes);
  attribute.name = name;
  attribute.kind = plan::AttributeKind_String;
  attribute.s = value;
}

void moe::test::setNumber(plan::StepT &step, const char *name, int64_t value) {
  plan::AttributeT &attribute = add(step.attributes);
  attribute.name = name;
  attribute.kind = plan::AttributeKind_Int;
  attribute.i = value;
}

static void addSymbols(plan::ProgramT &program) {
  plan::SymbolT &batch = add(program.symbols);
  batch.name = "batch";
  batch.input = 0;
  plan::SymbolT &local = add(program.symbols);
  local.name = "batch.local";
  local.kind = plan::SymbolKind_LocalPart;
  local.whole = expr(program, "batch");
  plan::SymbolT &received = add(program.symbols);
  received.name = "rows.received";
  received.kind = plan::SymbolKind_Data;
  received.bound = expr(program, "batch");
}

static int addArena(plan::ProgramT &program, const char *name,
                    const std::vector<std::string> &dims, int first, int last) {
  plan::BufferT &buffer =
      addBuffer(program, name, plan::BufferKind_Arena, dims, -1);
  buffer.first_step = first;
  buffer.last_step = last;
  return static_cast<int>(program.buffers.size()) - 1;
}

/// The blocks of a parameter of experts [rows, columns].
static int addWeight(plan::ProgramT &program, const char *name, int64_t rows,
                     int64_t columns, int partAxis) {
  plan::ParamT &param = add(program.params);
  param.name = name;
  param.layout = "row";
  param.dims = {rows, columns};
  param.experts = 4;
  param.layer = 0;
  param.is_expert = true;
  param.part_axis = partAxis;
  param.part_unit = 16;
  for (int expert = 0; expert < 4; ++expert)
    add(param.blocks).bytes = static_cast<uint64_t>(rows * columns * 4);
  addBuffer(program, name, plan::BufferKind_Param,
            {"4", std::to_string(rows), std::to_string(columns)},
            static_cast<int>(program.params.size()) - 1);
  return static_cast<int>(program.buffers.size()) - 1;
}

static void addStep(plan::ProgramT &program, const char *kernel,
                    std::vector<int> inputs, std::vector<int> outputs) {
  plan::StepT &step = add(program.steps);
  step.kernel = kernel;
  step.inputs = std::move(inputs);
  step.outputs = std::move(outputs);
  step.layer = 0;
}

plan::ProgramT moe::test::layerProgram(int numRanks) {
  plan::ProgramT program;
  program.num_ranks = numRanks;
  addSymbols(program);
  plan::PortT &x = addPort(program, program.inputs, "x", {"batch", "8"}, 0);
  x.part_axis = 0;
  x.part = 1;
  plan::LayerT &layer = add(program.layers);
  layer.experts = 4;
  layer.k = 1;
  for (int expert = 0; expert < 4; ++expert)
    add(layer.places).ranks = {static_cast<uint32_t>(expert * numRanks / 4)};
  addBuffer(program, "x", plan::BufferKind_Input, {"batch.local", "8"}, 0);
  int counts = addArena(program, "counts", {"4"}, 0, 2);
  int received = addArena(program, "received", {"rows.received", "8"}, 0, 1);
  int locals = addArena(program, "locals", {"4"}, 0, 1);
  int route = addArena(program, "route", {std::to_string(numRanks), "4"}, 0, 2);
  int w1 = addWeight(program, "w1", 8, 32, 1);
  int w2 = addWeight(program, "w2", 32, 8, 0);
  int computed = addArena(program, "computed", {"rows.received", "8"}, 1, 2);
  int back = addArena(program, "back", {"batch.local", "8"}, 2, 2);
  addStep(program, "all_to_all", {0, counts}, {received, locals, route});
  addStep(program, "experts", {received, locals, w1, -1, w2, -1, -1, -1},
          {computed});
  addStep(program, "all_to_all_back", {computed, route, counts}, {back});
  return program;
}
