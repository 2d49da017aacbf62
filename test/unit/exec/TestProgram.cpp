//===- TestProgram.cpp - Plans written by hand ----------------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "test/unit/exec/TestProgram.h"

#include "runtime/plan/PlanVerify.h"

#include <algorithm>
#include <numeric>

using namespace moe;
using namespace moe::test;

TestProgram::TestProgram(int numRanks, int tp) {
  program.tp = tp;
  program.model = "test.onnx";
  program.num_ranks = numRanks;
}

uint32_t TestProgram::expr(const std::string &text) {
  std::string normal = DimExpr::parse(text)->toString();
  auto it = std::find(program.exprs.begin(), program.exprs.end(), normal);
  if (it == program.exprs.end())
    it = program.exprs.insert(it, normal);
  return it - program.exprs.begin();
}

std::vector<uint32_t> TestProgram::exprs(const Dims &dims) {
  std::vector<uint32_t> result;
  for (const std::string &dim : dims)
    result.push_back(expr(dim));
  return result;
}

void TestProgram::symbol(const std::string &name, int input, int axis,
                         int64_t defaultMax) {
  auto symbol = std::make_unique<plan::SymbolT>();
  symbol->name = name;
  symbol->kind = plan::SymbolKind_Input;
  symbol->input = input;
  symbol->axis = axis;
  symbol->default_max = defaultMax;
  program.symbols.push_back(std::move(symbol));
}

void TestProgram::localPart(const std::string &name, const std::string &whole,
                            plan::Group group) {
  auto symbol = std::make_unique<plan::SymbolT>();
  symbol->name = name;
  symbol->kind = plan::SymbolKind_LocalPart;
  symbol->group = group;
  symbol->whole = expr(whole);
  program.symbols.push_back(std::move(symbol));
}

void TestProgram::dataSymbol(const std::string &name,
                             const std::string &bound) {
  auto symbol = std::make_unique<plan::SymbolT>();
  symbol->name = name;
  symbol->kind = plan::SymbolKind_Data;
  symbol->bound = expr(bound);
  program.symbols.push_back(std::move(symbol));
}

int32_t TestProgram::findSymbol(const std::string &name) const {
  for (size_t i = 0; i < program.symbols.size(); ++i)
    if (program.symbols[i]->name == name)
      return static_cast<int32_t>(i);
  return -1;
}

int32_t TestProgram::addPort(std::vector<std::unique_ptr<plan::PortT>> &ports,
                             const std::string &name, const Dims &dims,
                             const std::string &part, int partAxis) {
  auto port = std::make_unique<plan::PortT>();
  port->name = name;
  port->dims = exprs(dims);
  if (!part.empty()) {
    port->part_axis = partAxis;
    port->part = findSymbol(part);
  }
  ports.push_back(std::move(port));
  return static_cast<int32_t>(ports.size()) - 1;
}

int TestProgram::input(const std::string &name, const Dims &dims,
                       const std::string &part, int partAxis) {
  return addPort(program.inputs, name, dims, part, partAxis);
}

int TestProgram::output(const std::string &name, const Dims &dims,
                        const std::string &part, int partAxis) {
  return addPort(program.outputs, name, dims, part, partAxis);
}

int TestProgram::state(const std::string &name, const Dims &dims, int axis,
                       const std::string &length, const std::string &part) {
  auto state = std::make_unique<plan::StateT>();
  state->name = name;
  state->dims = exprs(dims);
  state->axis = axis;
  state->length = expr(length);
  if (!part.empty()) {
    state->part_axis = 0;
    state->part = findSymbol(part);
  }
  program.states.push_back(std::move(state));
  return static_cast<int>(program.states.size()) - 1;
}

int TestProgram::buffer(plan::BufferKind kind, int index, const Dims &dims) {
  auto buffer = std::make_unique<plan::BufferT>();
  buffer->name = std::to_string(program.buffers.size());
  buffer->kind = kind;
  buffer->index = index;
  buffer->dims = exprs(dims);
  program.buffers.push_back(std::move(buffer));
  return static_cast<int>(program.buffers.size()) - 1;
}

int TestProgram::inputBuffer(int port, const Dims &dims) {
  int index = buffer(plan::BufferKind_Input, port, dims);
  program.inputs[port]->buffer = index;
  program.buffers[index]->dtype = program.inputs[port]->dtype;
  return index;
}

int TestProgram::outputBuffer(int port, const Dims &dims) {
  int index = buffer(plan::BufferKind_Output, port, dims);
  program.outputs[port]->buffer = index;
  program.buffers[index]->dtype = program.outputs[port]->dtype;
  return index;
}

int TestProgram::arena(const Dims &dims) {
  return buffer(plan::BufferKind_Arena, -1, dims);
}

int TestProgram::view(int base, const Dims &dims) {
  int index = buffer(program.buffers[base]->kind, -1, dims);
  program.buffers[index]->base = base;
  return index;
}

plan::StepT &TestProgram::step(const std::string &kernel,
                               std::vector<int> inputs,
                               std::vector<int> outputs) {
  auto step = std::make_unique<plan::StepT>();
  step->kernel = kernel;
  step->inputs.assign(inputs.begin(), inputs.end());
  step->outputs.assign(outputs.begin(), outputs.end());
  step->nodes.push_back(static_cast<uint32_t>(program.nodes.size()));
  program.nodes.push_back("/node" + std::to_string(program.steps.size()));
  program.steps.push_back(std::move(step));
  return *program.steps.back();
}

uint32_t TestProgram::sideStep(const std::string &kernel,
                               std::vector<int> inputs,
                               std::vector<int> outputs) {
  plan::StepT &side = step(kernel, std::move(inputs), std::move(outputs));
  program.num_streams = 2;
  side.stream = 1;
  side.records = static_cast<int32_t>(program.num_events);
  return program.num_events++;
}

void TestProgram::setLifetimes() {
  for (size_t i = 0; i < program.steps.size(); ++i) {
    for (const auto *list :
         {&program.steps[i]->inputs, &program.steps[i]->outputs}) {
      for (int32_t buffer : *list) {
        while (buffer >= 0 && program.buffers[buffer]->base >= 0)
          buffer = program.buffers[buffer]->base;
        if (buffer < 0)
          continue;
        plan::BufferT &root = *program.buffers[buffer];
        if (root.first_step < 0)
          root.first_step = static_cast<int32_t>(i);
        root.last_step = static_cast<int32_t>(i);
      }
    }
  }
}

std::shared_ptr<Model> TestProgram::finish(ParamLoader loadParam,
                                           const KernelRegistry &kernels) {
  setLifetimes();
  Status status = verifyProgram(program, 0);
  EXPECT_TRUE(status.isOk()) << status.message();
  auto shared = std::make_shared<plan::ProgramT>(std::move(program));
  auto loader = [loadParam](std::span<const WeightRequest> requests) {
    std::vector<ParamBlocks> blocks;
    for (const auto &[rank, param, layout] : requests)
      blocks.push_back(loadParam(rank, param, layout));
    return blocks;
  };
  StatusOr<std::shared_ptr<Executable>> executable =
      Executable::create(shared, kernels, loader);
  EXPECT_TRUE(executable.isOk()) << executable.status().message();
  return std::make_shared<Model>(*std::move(executable));
}

std::shared_ptr<Model> moe::test::rowsModel(int numRanks,
                                            const std::string &kernel,
                                            int64_t defaultMax) {
  TestProgram p(numRanks);
  p.symbol("batch", 0, 0, defaultMax);
  p.localPart("batch.local", "batch");
  p.input("x", {"batch", "4"}, "batch.local");
  p.output("y", {"batch", "4"}, "batch.local");
  int x = p.inputBuffer(0, {"batch.local", "4"});
  int y = p.outputBuffer(0, {"batch.local", "4"});
  p.step(kernel, {x}, {y});
  return p.finish();
}

std::vector<float> moe::test::counting(int64_t count, float first) {
  std::vector<float> values(count);
  std::iota(values.begin(), values.end(), first);
  return values;
}

std::vector<float> moe::test::floatsOf(std::span<const Output> outputs,
                                       std::string_view name) {
  for (const Output &output : outputs) {
    if (output.name != name)
      continue;
    const float *data = static_cast<const float *>(output.data);
    return std::vector<float>(data, data + output.bytes / sizeof(float));
  }
  ADD_FAILURE() << "no output " << name;
  return {};
}

std::unique_ptr<Context> moe::test::contextOf(std::shared_ptr<Model> model,
                                              const ContextOptions &options) {
  StatusOr<std::unique_ptr<Context>> context = Context::create(model, options);
  EXPECT_TRUE(context.isOk()) << context.status().message();
  return *std::move(context);
}

Status moe::test::errorOf(Context &context, std::span<const Input> inputs,
                          const RunOptions &options) {
  StatusOr<std::span<const Output>> outputs = context.run(inputs, options);
  EXPECT_FALSE(outputs.isOk());
  return outputs.status();
}

Input moe::test::floats(std::string_view name, const std::vector<int64_t> &dims,
                        const std::vector<float> &data) {
  return {name, DType::F32, dims, data.data()};
}
