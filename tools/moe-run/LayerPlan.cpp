//===- LayerPlan.cpp - A plan of one expert layer -------------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "tools/moe-run/LayerPlan.h"

#include "runtime/params/Layouts.h"
#include "runtime/plan/PlanFile.h"

#include <filesystem>
#include <stdlib.h>

using namespace moe;
using namespace moe::tools;

namespace {

/// Builds the tables of a program, which refer to each other by number.
class Builder {
public:
  explicit Builder(plan::ProgramT &program) : program(program) {}

  template <typename T> static T &add(std::vector<std::unique_ptr<T>> &table) {
    table.push_back(std::make_unique<T>());
    return *table.back();
  }

  std::vector<uint32_t> exprs(const std::vector<std::string> &texts) {
    std::vector<uint32_t> result;
    for (const std::string &text : texts) {
      auto it = std::find(program.exprs.begin(), program.exprs.end(), text);
      result.push_back(static_cast<uint32_t>(it - program.exprs.begin()));
      if (it == program.exprs.end())
        program.exprs.push_back(text);
    }
    return result;
  }

  int buffer(const std::string &name, plan::BufferKind kind, DType dtype,
             const std::vector<std::string> &dims, int index = -1) {
    plan::BufferT &result = add(program.buffers);
    result.name = name;
    result.kind = kind;
    result.dtype = static_cast<uint8_t>(dtype);
    result.dims = exprs(dims);
    result.index = index;
    return static_cast<int>(program.buffers.size()) - 1;
  }

  /// Alive from step `first` to step `last`.
  int arena(const std::string &name, DType dtype,
            const std::vector<std::string> &dims, int first, int last) {
    int result = buffer(name, plan::BufferKind_Arena, dtype, dims);
    program.buffers[result]->first_step = first;
    program.buffers[result]->last_step = last;
    return result;
  }

  int port(std::vector<std::unique_ptr<plan::PortT>> &ports, bool isInput,
           const std::string &name, DType dtype,
           const std::vector<std::string> &dims) {
    plan::PortT &result = add(ports);
    result.name = name;
    result.dtype = static_cast<uint8_t>(dtype);
    result.dims = exprs(dims);
    result.buffer =
        buffer(name, isInput ? plan::BufferKind_Input : plan::BufferKind_Output,
               dtype, dims, static_cast<int>(ports.size()) - 1);
    return result.buffer;
  }
  int input(const std::string &name, DType dtype,
            const std::vector<std::string> &dims) {
    return port(program.inputs, true, name, dtype, dims);
  }

  plan::StepT &step(const std::string &kernel, std::vector<int> inputs,
                    std::vector<int> outputs) {
    plan::StepT &result = add(program.steps);
    result.kernel = kernel;
    result.inputs = std::move(inputs);
    result.outputs = std::move(outputs);
    result.layer = 0;
    return result;
  }

  static plan::AttributeT &set(plan::StepT &step, const char *name,
                               plan::AttributeKind kind) {
    plan::AttributeT &result = add(step.attributes);
    result.name = name;
    result.kind = kind;
    return result;
  }
  static void set(plan::StepT &step, const char *name, int64_t value) {
    set(step, name, plan::AttributeKind_Int).i = value;
  }
  static void set(plan::StepT &step, const char *name,
                  const std::string &value) {
    set(step, name, plan::AttributeKind_String).s = value;
  }

private:
  plan::ProgramT &program;
};

} // namespace

/// Returns the buffer of the parameter, or -1 if the layer has none.
static StatusOr<int> addParam(plan::ProgramT &program, const LayerSpec &spec,
                              const LayerParam &given, uint64_t seed) {
  if (given.name.empty())
    return -1;
  std::vector<int64_t> dims = given.dims();
  MOE_ASSIGN_OR_RETURN(uint64_t bytes,
                       layoutBytes(given.layout, given.dtype, dims));
  plan::ParamT &param = Builder::add(program.params);
  param.name = given.name;
  param.dtype = static_cast<uint8_t>(given.dtype);
  param.layout = given.layout;
  param.dims = dims;
  param.experts = static_cast<int32_t>(spec.allExperts());
  param.layer = 0;
  param.is_expert = true;
  std::vector<std::string> texts = {std::to_string(spec.allExperts())};
  for (int64_t dim : dims)
    texts.push_back(std::to_string(dim));
  int index = static_cast<int>(program.params.size()) - 1;
  for (int64_t expert = 0; expert < spec.allExperts(); ++expert) {
    plan::BlockT &block = Builder::add(param.blocks);
    block.source = plan::BlockSource_Synthetic;
    block.bytes = bytes;
    block.seed =
        seed + static_cast<uint64_t>(index * spec.allExperts() + expert);
  }
  return Builder(program).buffer(given.name, plan::BufferKind_Param,
                                 given.dtype, texts, index);
}

static void addLayer(plan::ProgramT &program, const LayerSpec &spec) {
  plan::LayerT &layer = Builder::add(program.layers);
  layer.experts = static_cast<int32_t>(spec.allExperts());
  layer.k = static_cast<int32_t>(spec.k);
  layer.router = "softmax";
  layer.capacity = "none";
  for (int64_t expert = 0; expert < spec.allExperts(); ++expert)
    Builder::add(layer.places).ranks = {0};
}

StatusOr<plan::ProgramT> tools::layerProgram(const LayerSpec &spec,
                                             uint64_t seed) {
  plan::ProgramT program;
  Builder build(program);
  program.producer = "moe-run bench";
  program.model = "layer";
  plan::SymbolT &symbol = Builder::add(program.symbols);
  symbol.name = "tokens";
  symbol.input = 0;
  symbol.axis = 0;
  addLayer(program, spec);

  const DType kFloat = DType::F32, kIndex = DType::I32;
  std::string H = std::to_string(spec.hidden), k = std::to_string(spec.k);
  bool hasCopies = spec.copies > 1;
  int experts = hasCopies ? 2 : 1;

  int x = build.input("x", kFloat, {"tokens", H});
  int logits =
      build.input("logits", kFloat, {"tokens", std::to_string(spec.experts)});
  int y = build.port(program.outputs, false, "y", kFloat, {"tokens", H});
  int weights = build.arena("weights", kFloat, {"tokens", k}, 0, experts);
  int chosen = build.arena("chosen", kIndex, {"tokens", k}, 0, experts);
  plan::StepT &gate =
      build.step("gate", {logits, -1, -1, -1, -1}, {weights, chosen});
  Builder::set(gate, "k", spec.k);
  Builder::set(gate, "score", std::string("softmax"));
  Builder::set(gate, "normalize", std::string("sum_max"));
  if (hasCopies) {
    int first = build.input("first", kIndex, {"1"});
    int moved = build.arena("moved", kIndex, {"tokens", k}, 1, experts);
    plan::StepT &add = build.step("elementwise", {chosen, first}, {moved});
    plan::InstrT &sum = Builder::add(add.program);
    sum.op = "add";
    sum.type = static_cast<uint8_t>(kIndex);
    sum.a = 0;
    sum.b = 1;
    add.results = {2};
    chosen = moved;
  }
  std::vector<int> operands = {x, chosen, weights};
  for (const LayerParam &param : paramsOf(spec)) {
    MOE_ASSIGN_OR_RETURN(int buffer, addParam(program, spec, param, seed));
    operands.push_back(buffer);
  }
  plan::StepT &step = build.step("routed_experts", operands, {y});
  Builder::set(step, "num_experts", spec.allExperts());
  Builder::set(step, "activation", spec.activation);
  Builder::set(step, "gating", std::string(spec.isGated ? "split" : "none"));
  Builder::set(step, "arithmetic",
               std::string(spec.roundsRows ? "int8" : "float"));
  return program;
}

//===----------------------------------------------------------------------===//
// Loading
//===----------------------------------------------------------------------===//

namespace {
/// A folder for as long as it takes to load what is in it.
class TemporaryFolder {
public:
  TemporaryFolder() {
    std::error_code error;
    std::string pattern =
        (std::filesystem::temp_directory_path(error) / "moe-layer-XXXXXX")
            .string();
    if (!error && mkdtemp(pattern.data()))
      path = pattern;
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    if (!path.empty())
      std::filesystem::remove_all(path, ignored);
  }
  TemporaryFolder(const TemporaryFolder &) = delete;
  TemporaryFolder &operator=(const TemporaryFolder &) = delete;

  std::string path;
};
} // namespace

StatusOr<std::shared_ptr<Model>>
tools::loadLayer(const LayerSpec &spec, uint64_t seed, uint64_t memoryLimit) {
  MOE_ASSIGN_OR_RETURN(plan::ProgramT program, layerProgram(spec, seed));
  TemporaryFolder folder;
  if (folder.path.empty())
    return Status(StatusCode::IoError, "no temporary folder can be made");
  std::string path = folder.path + "/layer.moeplan";
  MOE_ASSIGN_OR_RETURN(PlanWriter writer, PlanWriter::create(path));
  MOE_RETURN_IF_ERROR(writer.finish(program));
  LoadOptions options;
  options.weightMemoryLimit = memoryLimit;
  return Model::load(path, options);
}
