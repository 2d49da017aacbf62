//===- KernelRunner.cpp - One step on given tensors -----------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "test/cts/kernels/KernelRunner.h"

#include "runtime/kernels/cpu/Element.h"
#include "runtime/kernels/cpu/Kernels.h"
#include "runtime/params/Layouts.h"

#include <algorithm>
#include <cmath>

namespace moe::test {

//===----------------------------------------------------------------------===//
// Tensor
//===----------------------------------------------------------------------===//

Tensor Tensor::zeros(DType dtype, std::vector<int64_t> dims) {
  Tensor result;
  result.view.dtype = dtype;
  result.view.rank = static_cast<int>(dims.size());
  std::copy(dims.begin(), dims.end(), result.view.dims);
  result.view.setContiguous();
  result.bytes.resize(result.view.numElements() * dtypeSize(dtype));
  result.view.data = result.bytes.data();
  return result;
}

Tensor Tensor::random(DType dtype, std::vector<int64_t> dims, std::mt19937 &rng,
                      float scale) {
  Tensor result = zeros(dtype, std::move(dims));
  std::normal_distribution<float> normal;
  bool isUnsigned = dtype == DType::U8 || dtype == DType::U16 ||
                    dtype == DType::U32 || dtype == DType::U64;
  std::uniform_int_distribution<int> integer(isUnsigned ? 0 : -9, 9);
  for (int64_t i = 0; i < result.size(); ++i)
    result.set(i, dtype == DType::Bool ? integer(rng) > 0
                  : isFloat(dtype)     ? normal(rng) * scale
                                       : integer(rng));
  return result;
}

Tensor Tensor::absent() {
  Tensor result;
  result.view.rank = -1;
  return result;
}

Tensor &Tensor::operator=(const Tensor &other) {
  bytes = other.bytes;
  view = other.view;
  if (other.view.data)
    view.data = bytes.data() + (static_cast<std::byte *>(other.view.data) -
                                other.bytes.data());
  blockBytes = other.blockBytes;
  blocks.clear();
  for (const auto &block : blockBytes)
    blocks.push_back({block.data(), block.size()});
  for (size_t i = 0; i < blocks.size(); ++i)
    blocks[i].sliceSize = other.blocks[i].sliceSize;
  view.blocks = blocks;
  return *this;
}

static int64_t offsetOf(const TensorView &view, int64_t i) {
  int64_t offset = 0;
  for (int d = view.rank - 1; d >= 0; --d) {
    offset += i % view.dims[d] * view.strides[d];
    i /= view.dims[d];
  }
  return offset;
}

double Tensor::at(int64_t i) const {
  return cpu::visitElementType(view.dtype, [&]<typename T>() {
    return static_cast<double>(
        cpu::Element<T>::load(view.as<T>()[offsetOf(view, i)]));
  });
}

void Tensor::set(int64_t i, double value) {
  cpu::visitElementType(view.dtype, [&]<typename T>() {
    view.as<T>()[offsetOf(view, i)] = cpu::Element<T>::store(
        static_cast<typename cpu::Element<T>::Wide>(value));
  });
}

Tensor Tensor::strided(std::vector<int> memoryOrder) const {
  Tensor result = *this;
  int64_t stride = 1;
  for (int i = view.rank - 1; i >= 0; --i) {
    result.view.strides[memoryOrder[i]] = stride;
    stride *= view.dims[memoryOrder[i]];
  }
  for (int64_t i = 0; i < size(); ++i)
    result.set(i, at(i));
  return result;
}

Tensor Tensor::as(DType dtype) const {
  Tensor result =
      zeros(dtype, std::vector<int64_t>(view.dims, view.dims + view.rank));
  for (int64_t i = 0; i < size(); ++i)
    result.set(i, at(i));
  return result;
}

static Tensor makeBlocks(const Tensor &tensor, int blockRank,
                         std::string_view layout) {
  Tensor result;
  result.view = tensor.view;
  result.view.data = nullptr;
  result.view.layout = layout;
  int64_t experts =
      tensor.view.rank > blockRank ? tensor.view.dims[0] : int64_t(1);
  if (tensor.view.rank > blockRank) {
    result.view.rank = blockRank;
    std::copy_n(tensor.view.dims + 1, blockRank, result.view.dims);
    result.view.setContiguous();
  }
  std::span<const int64_t> dims(result.view.dims, blockRank);
  auto bytes = layoutBytes(layout, tensor.view.dtype, dims);
  EXPECT_TRUE(bytes.isOk()) << bytes.status().message();
  size_t rowBytes =
      experts > 0 ? tensor.bytes.size() / static_cast<size_t>(experts) : 0;
  for (int64_t e = 0; e < experts; ++e) {
    std::vector<std::byte> block(*bytes);
    Status status = packLayout(
        layout, tensor.view.dtype, dims,
        std::span(tensor.bytes).subspan(e * rowBytes, rowBytes), block);
    EXPECT_TRUE(status.isOk()) << status.message();
    result.blockBytes.push_back(std::move(block));
  }
  for (const auto &block : result.blockBytes)
    result.blocks.push_back({block.data(), block.size()});
  result.view.blocks = result.blocks;
  return result;
}

Tensor Tensor::packed() const { return makeBlocks(*this, 2, kPanel16Layout); }

Tensor Tensor::inBlocks() const {
  return makeBlocks(*this, view.rank - 1, kRowLayout);
}

//===----------------------------------------------------------------------===//
// KernelRunner
//===----------------------------------------------------------------------===//

Tensor firstRows(const Tensor &matrix, int64_t count) {
  Tensor rows = Tensor::zeros(DType::F32, {count, matrix.view.dims[1]});
  std::copy_n(matrix.bytes.begin(), rows.bytes.size(), rows.bytes.begin());
  return rows;
}

std::vector<Machine> allMachines() {
  std::vector<Machine> machines;
  for (const cpu::Isa *isa : cpu::allIsas())
    if (isa->isSupported())
      for (int threads : {1, 3})
        machines.push_back({std::string(isa->name), threads});
  return machines;
}

std::string machineName(const testing::TestParamInfo<Machine> &info) {
  return info.param.isa + "_" + std::to_string(info.param.threads);
}

KernelRunner::KernelRunner(const Machine &machine)
    : registry(cpu::createCpuKernels(*cpu::findIsa(machine.isa))),
      pool(machine.threads),
      single(createThreadCommunicators(1, std::chrono::seconds(60))),
      communicator(single[0].get()) {}

KernelRunner &KernelRunner::step(const std::string &kernel) {
  current = std::make_unique<plan::StepT>();
  current->kernel = kernel;
  exprs.clear();
  dataSizes.clear();
  return *this;
}

plan::AttributeT &KernelRunner::attribute(const std::string &name,
                                          plan::AttributeKind kind) {
  current->attributes.push_back(std::make_unique<plan::AttributeT>());
  current->attributes.back()->name = name;
  current->attributes.back()->kind = kind;
  return *current->attributes.back();
}

KernelRunner &KernelRunner::with(const std::string &name, int64_t value) {
  attribute(name, plan::AttributeKind_Int).i = value;
  return *this;
}

KernelRunner &KernelRunner::with(const std::string &name, double value) {
  attribute(name, plan::AttributeKind_Float).f = value;
  return *this;
}

KernelRunner &KernelRunner::with(const std::string &name, const char *value) {
  attribute(name, plan::AttributeKind_String).s = value;
  return *this;
}

KernelRunner &KernelRunner::withInts(const std::string &name,
                                     std::vector<int64_t> values) {
  attribute(name, plan::AttributeKind_Ints).ints = std::move(values);
  return *this;
}

KernelRunner &KernelRunner::withExprs(const std::string &name,
                                      std::vector<int64_t> values) {
  attribute(name, plan::AttributeKind_Exprs).exprs.resize(values.size());
  exprs[name] = std::move(values);
  return *this;
}

KernelRunner &KernelRunner::instr(const std::string &op, DType type, int a,
                                  int b, int c, double constant) {
  auto instr = std::make_unique<plan::InstrT>();
  instr->op = op;
  instr->type = static_cast<uint8_t>(type);
  instr->a = a;
  instr->b = b;
  instr->c = c;
  instr->f = constant;
  instr->i = static_cast<int64_t>(constant);
  current->program.push_back(std::move(instr));
  return *this;
}

KernelRunner &KernelRunner::results(std::vector<int> registers) {
  current->results = std::move(registers);
  return *this;
}

KernelRunner &KernelRunner::learning(std::vector<int64_t> bounds) {
  dataSizes = std::move(bounds);
  return *this;
}

KernelRunner &KernelRunner::onRank(Communicator &rank,
                                   const plan::LayerT *ofLayer) {
  communicator = &rank;
  layer = ofLayer;
  return *this;
}

KernelRunner &KernelRunner::withParts(
    std::map<std::string, std::vector<int64_t>, std::less<>> values) {
  parts = std::move(values);
  return *this;
}

KernelRunner &KernelRunner::withNodes(Communicator *inside,
                                      Communicator *across) {
  insideNode = inside;
  acrossNodes = across;
  return *this;
}

static constexpr size_t kGuard = 64;

Status PreparedStep::run() { return kernel->run({inputs, outputs}, *context); }

bool PreparedStep::isGuardIntact() const {
  return std::all_of(memory.end() - kGuard, memory.end(),
                     [](std::byte byte) { return byte == std::byte(0xff); });
}

StatusOr<std::unique_ptr<PreparedStep>>
KernelRunner::prepare(const std::vector<const Tensor *> &inputs,
                      const std::vector<Tensor *> &outputs) {
  auto prepared = std::make_unique<PreparedStep>();
  for (const Tensor *tensor : inputs) {
    current->inputs.push_back(tensor->view.rank < 0 ? -1 : 0);
    prepared->inputs.push_back(tensor->view);
  }
  for (Tensor *tensor : outputs) {
    current->outputs.push_back(0);
    bool isInput =
        std::find(inputs.begin(), inputs.end(), tensor) != inputs.end();
    if (!isInput)
      std::fill(tensor->bytes.begin(), tensor->bytes.end(), std::byte(0xa5));
    prepared->outputs.push_back(tensor->view);
  }
  prepared->step = std::move(current);
  KernelSpec spec{*prepared->step, layer, communicator->rank(),
                  communicator->size()};
  MOE_ASSIGN_OR_RETURN(prepared->kernel, registry.create(spec));
  // Memory is planned before addresses and strides are known.
  auto planned = [](std::vector<TensorView> views) {
    for (TensorView &view : views) {
      view.data = nullptr;
      view.blocks = {};
      view.setContiguous();
    }
    return views;
  };
  std::vector<TensorView> in = planned(prepared->inputs),
                          out = planned(prepared->outputs);
  MOE_ASSIGN_OR_RETURN(size_t bytes, prepared->kernel->workspaceBytes(
                                         {in, out}, pool.numThreads()));
  // NaN everywhere, and a guard right behind the end.
  prepared->memory.assign(bytes + 64 + kGuard, std::byte(0xff));
  size_t skip = -reinterpret_cast<uintptr_t>(prepared->memory.data()) & 63;
  prepared->memory.resize(skip + bytes + kGuard);
  prepared->context.emplace(
      StepContext{pool, *communicator, counters,
                  std::span(prepared->memory).subspan(skip, bytes)});
  prepared->context->tag = 1;
  prepared->context->exprs = &exprs;
  prepared->context->parts = &parts;
  prepared->context->dataSizes = dataSizes;
  prepared->context->insideNode = insideNode;
  prepared->context->acrossNodes = acrossNodes;
  return prepared;
}

Status KernelRunner::tryRun(const std::vector<const Tensor *> &inputs,
                            const std::vector<Tensor *> &outputs) {
  MOE_ASSIGN_OR_RETURN(std::unique_ptr<PreparedStep> prepared,
                       prepare(inputs, outputs));
  MOE_RETURN_IF_ERROR(prepared->run());
  EXPECT_TRUE(prepared->isGuardIntact());
  return Status::ok();
}

//===----------------------------------------------------------------------===//
// Expectations
//===----------------------------------------------------------------------===//

void expectClose(const Tensor &found, const Tensor &expected, double rtol,
                 double atol) {
  ASSERT_EQ(found.size(), expected.size());
  int reported = 0;
  for (int64_t i = 0; i < found.size() && reported < 5; ++i) {
    double a = found.at(i), b = expected.at(i);
    bool isClose = std::isnan(b) ? std::isnan(a)
                   : std::isinf(b)
                       ? a == b
                       : std::fabs(a - b) <= atol + rtol * std::fabs(b);
    if (isClose)
      continue;
    ADD_FAILURE() << "element " << i << ": found " << a << ", expected " << b;
    ++reported;
  }
}

void expectEqual(const Tensor &found, const Tensor &expected) {
  ASSERT_EQ(found.bytes.size(), expected.bytes.size());
  EXPECT_EQ(found.bytes, expected.bytes);
}

} // namespace moe::test
