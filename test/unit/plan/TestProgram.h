//===- TestProgram.h - A small program to test with -------------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_TEST_UNIT_PLAN_TESTPROGRAM_H
#define MOE_TEST_UNIT_PLAN_TESTPROGRAM_H

#include "runtime/plan/PlanFile.h"
#include "runtime/support/DType.h"

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

namespace moe::test {

/// A folder that lives as long as the object.
class TemporaryFolder {
public:
  TemporaryFolder() {
    std::string pattern =
        (std::filesystem::temp_directory_path() / "moe-test-XXXXXX").string();
    thePath = mkdtemp(pattern.data());
  }
  ~TemporaryFolder() { std::filesystem::remove_all(thePath); }
  std::string operator/(const std::string &name) const {
    return thePath + "/" + name;
  }
  const std::string &path() const { return thePath; }

private:
  std::string thePath;
};

template <typename T> T &add(std::vector<std::unique_ptr<T>> &table) {
  table.push_back(std::make_unique<T>());
  return *table.back();
}

/// The index of an expression, which is added when it is new.
inline uint32_t expr(plan::ProgramT &program, const std::string &text) {
  for (uint32_t i = 0; i < program.exprs.size(); ++i)
    if (program.exprs[i] == text)
      return i;
  program.exprs.push_back(text);
  return static_cast<uint32_t>(program.exprs.size() - 1);
}

inline std::vector<uint32_t> exprs(plan::ProgramT &program,
                                   const std::vector<std::string> &texts) {
  std::vector<uint32_t> indices;
  for (const std::string &text : texts)
    indices.push_back(expr(program, text));
  return indices;
}

inline plan::PortT &addPort(plan::ProgramT &program,
                            std::vector<std::unique_ptr<plan::PortT>> &ports,
                            const std::string &name,
                            const std::vector<std::string> &dims,
                            int32_t buffer) {
  plan::PortT &port = add(ports);
  port.name = name;
  port.dims = exprs(program, dims);
  port.buffer = buffer;
  return port;
}

inline plan::BufferT &addBuffer(plan::ProgramT &program, const char *name,
                                plan::BufferKind kind,
                                const std::vector<std::string> &dims,
                                int32_t index) {
  plan::BufferT &buffer = add(program.buffers);
  buffer.name = name;
  buffer.kind = kind;
  buffer.dims = exprs(program, dims);
  buffer.index = index;
  return buffer;
}

/// y = relu(x W + 1), x [batch, 4], W [4, 3] in layout "row", a constant and a
/// view; and a layer of four experts on two ranks, whose weight no step uses.
inline plan::ProgramT smallProgram() {
  plan::ProgramT program;
  program.producer = "test";
  program.model = "small.onnx";
  program.num_ranks = 2;
  plan::SymbolT &batch = add(program.symbols);
  batch.name = "batch";
  batch.input = 0;
  batch.axis = 0;
  batch.default_max = 8;
  addPort(program, program.inputs, "x", {"batch", "4"}, 0);
  addPort(program, program.outputs, "y", {"batch", "3"}, 3);
  program.nodes = {"/matmul", "/relu"};

  addBuffer(program, "x", plan::BufferKind_Input, {"batch", "4"}, 0);
  addBuffer(program, "w", plan::BufferKind_Param, {"4", "3"}, 0);
  plan::BufferT &product =
      addBuffer(program, "product", plan::BufferKind_Arena, {"batch", "3"}, -1);
  product.first_step = 0;
  product.last_step = 1;
  addBuffer(program, "y", plan::BufferKind_Output, {"batch", "3"}, 0);
  addBuffer(program, "one", plan::BufferKind_Constant, {"2"}, 0);
  plan::BufferT &view =
      addBuffer(program, "view", plan::BufferKind_Constant, {"1"}, -1);
  view.base = 4;
  view.has_offset = true;
  view.offset = expr(program, "1");
  const float ones[] = {0, 1};
  plan::ConstantT &constant = add(program.constants);
  constant.data.resize(sizeof(ones));
  std::memcpy(constant.data.data(), ones, sizeof(ones));

  plan::StepT &matmul = add(program.steps);
  matmul.kernel = "matmul";
  matmul.inputs = {0, 1};
  matmul.outputs = {2};
  matmul.nodes = {0};
  plan::AttributeT &attribute = add(matmul.attributes);
  attribute.name = "transpose";
  plan::StepT &relu = add(program.steps);
  relu.kernel = "elementwise";
  relu.inputs = {2, 5};
  relu.outputs = {3};
  relu.nodes = {1};
  plan::InstrT &sum = add(relu.program);
  sum.op = "add";
  sum.a = 0;
  sum.b = 1;
  plan::InstrT &instr = add(relu.program);
  instr.op = "relu";
  instr.a = 2;
  relu.results = {3};

  plan::LayerT &layer = add(program.layers);
  layer.experts = 4;
  layer.k = 2;
  layer.router = "softmax";
  layer.capacity = "none";
  for (uint32_t expert = 0; expert < 4; ++expert)
    add(layer.places).ranks = {expert / 2};

  plan::ParamT &w = add(program.params);
  w.name = "w";
  w.layout = "row";
  w.dims = {4, 3};
  plan::ParamT &experts = add(program.params);
  experts.name = "experts";
  experts.layout = "panel16";
  experts.dims = {2, 5};
  experts.experts = 4;
  experts.layer = 0;
  experts.is_expert = true;
  return program;
}

/// Bytes whose values depend on their place.
inline std::vector<std::byte> pattern(size_t count, int seed) {
  std::vector<std::byte> bytes(count);
  for (size_t i = 0; i < count; ++i)
    bytes[i] = std::byte((i * 7 + i / 251 + seed) & 0xff);
  return bytes;
}

/// Writes the small program, changed by `change`, with embedded blocks.
inline Status writeSmallPlan(
    const std::string &path,
    void (*change)(plan::ProgramT &) = [](plan::ProgramT &) {}) {
  plan::ProgramT program = smallProgram();
  change(program);
  MOE_ASSIGN_OR_RETURN(PlanWriter writer, PlanWriter::create(path));
  auto append = [&](plan::ParamT &param, size_t bytes, int seed) -> Status {
    MOE_ASSIGN_OR_RETURN(plan::BlockT block,
                         writer.appendBlock(pattern(bytes, seed)));
    param.blocks.push_back(std::make_unique<plan::BlockT>(block));
    return Status::ok();
  };
  MOE_RETURN_IF_ERROR(append(*program.params[0], 4 * 3 * 4, 0));
  for (int expert = 0; expert < 4; ++expert)
    MOE_RETURN_IF_ERROR(append(*program.params[1], 2 * 16 * 4, expert + 1));
  return writer.finish(program);
}

/// The small program as a verifier meets it: blocks are synthetic.
inline plan::ProgramT syntheticProgram() {
  plan::ProgramT program = smallProgram();
  for (auto &param : program.params)
    for (int i = 0; i < std::max(param->experts, 1); ++i) {
      plan::BlockT &block = add(param->blocks);
      block.source = plan::BlockSource_Synthetic;
      block.bytes = param->experts ? 2 * 16 * 4 : 4 * 3 * 4;
      block.seed = i;
    }
  return program;
}

} // namespace moe::test

#endif // MOE_TEST_UNIT_PLAN_TESTPROGRAM_H
