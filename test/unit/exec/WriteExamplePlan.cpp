//===- WriteExamplePlan.cpp - A small plan for the examples ---------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
//   WriteExamplePlan FILE     y [batch, 4] = x + x, rows divided over 2 ranks
//
//===----------------------------------------------------------------------===//

#include "runtime/plan/PlanFile.h"

#include <cstdio>

using namespace moe;

static std::unique_ptr<plan::PortT> port(const char *name, int buffer) {
  auto port = std::make_unique<plan::PortT>();
  port->name = name;
  port->dims = {0, 1};
  port->part_axis = 0;
  port->part = 1;
  port->buffer = buffer;
  return port;
}

static std::unique_ptr<plan::BufferT> buffer(plan::BufferKind kind) {
  auto buffer = std::make_unique<plan::BufferT>();
  buffer->name = "rows";
  buffer->kind = kind;
  buffer->index = 0;
  buffer->dims = {2, 1};
  return buffer;
}

static plan::ProgramT doublingProgram() {
  plan::ProgramT program;
  program.model = "double.onnx";
  program.num_ranks = 2;
  program.exprs = {"batch", "4", "batch.local"};
  auto batch = std::make_unique<plan::SymbolT>();
  batch->name = "batch";
  batch->input = 0;
  batch->axis = 0;
  program.symbols.push_back(std::move(batch));
  auto local = std::make_unique<plan::SymbolT>();
  local->name = "batch.local";
  local->kind = plan::SymbolKind_LocalPart;
  program.symbols.push_back(std::move(local));

  program.inputs.push_back(port("x", 0));
  program.outputs.push_back(port("y", 1));
  program.buffers.push_back(buffer(plan::BufferKind_Input));
  program.buffers.push_back(buffer(plan::BufferKind_Output));

  auto step = std::make_unique<plan::StepT>();
  step->kernel = "elementwise";
  step->inputs = {0};
  step->outputs = {1};
  auto add = std::make_unique<plan::InstrT>();
  add->op = "add";
  add->a = 0;
  add->b = 0;
  step->program.push_back(std::move(add));
  step->results = {1};
  program.steps.push_back(std::move(step));
  return program;
}

static Status writePlan(const char *path) {
  MOE_ASSIGN_OR_RETURN(PlanWriter writer, PlanWriter::create(path));
  plan::ProgramT program = doublingProgram();
  return writer.finish(program);
}

int main(int argc, char **argv) {
  if (argc != 2)
    return static_cast<int>(StatusCode::Usage);
  Status status = writePlan(argv[1]);
  if (!status.isOk())
    std::fprintf(stderr, "%s\n", status.message().c_str());
  return status.exitCode();
}
