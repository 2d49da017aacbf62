//===- KernelProbe.cpp - The time of one kernel ---------------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "tools/moe-run/KernelProbe.h"

#include "runtime/support/ThreadPool.h"
#include "tools/moe-run/Statistics.h"

#include <algorithm>

using namespace moe;
using namespace moe::tools;

/// A batch of runs between two looks at the clock.
static constexpr double kBatchSeconds = 2e-3;
static constexpr size_t kMinBatches = 5;

struct KernelProbe::Operand {
  bool isInput = true;
  std::vector<std::byte> bytes;
  std::vector<BlockView> blocks;
  TensorView view;
};

KernelProbe::KernelProbe(const std::string &kernel) { step.kernel = kernel; }
KernelProbe::~KernelProbe() = default;

plan::AttributeT &KernelProbe::attribute(const std::string &name,
                                         plan::AttributeKind kind) {
  step.attributes.push_back(std::make_unique<plan::AttributeT>());
  step.attributes.back()->name = name;
  step.attributes.back()->kind = kind;
  return *step.attributes.back();
}

KernelProbe &KernelProbe::set(const std::string &name, int64_t value) {
  attribute(name, plan::AttributeKind_Int).i = value;
  return *this;
}

KernelProbe &KernelProbe::set(const std::string &name, double value) {
  attribute(name, plan::AttributeKind_Float).f = value;
  return *this;
}

KernelProbe &KernelProbe::set(const std::string &name,
                              const std::string &value) {
  attribute(name, plan::AttributeKind_String).s = value;
  return *this;
}

KernelProbe &KernelProbe::instruction(const std::string &op, int a, int b) {
  auto row = std::make_unique<plan::InstrT>();
  row->op = op;
  row->type = static_cast<uint8_t>(DType::F32);
  row->a = a;
  row->b = b;
  step.program.push_back(std::move(row));
  step.results = {static_cast<int>(step.inputs.size() + step.program.size()) -
                  1};
  return *this;
}

KernelProbe::Operand &
KernelProbe::add(DType dtype, const std::vector<int64_t> &dims, bool isInput) {
  auto operand = std::make_unique<Operand>();
  operand->isInput = isInput;
  operand->view.dtype = dtype;
  operand->view.rank = static_cast<int>(dims.size());
  std::copy(dims.begin(), dims.end(), operand->view.dims);
  operand->view.setContiguous();
  operand->bytes.resize(static_cast<size_t>(operand->view.numElements()) *
                        dtypeSize(dtype));
  operand->view.data = operand->bytes.data();
  (isInput ? step.inputs : step.outputs)
      .push_back(static_cast<int>(operands.size()));
  operands.push_back(std::move(operand));
  return *operands.back();
}

/// Different numbers, none of which makes arithmetic slow.
static void fill(std::vector<std::byte> &bytes) {
  auto *values = reinterpret_cast<float *>(bytes.data());
  for (size_t i = 0; i < bytes.size() / sizeof(float); ++i)
    values[i] = 0.01f * static_cast<float>(static_cast<int>(i % 61) - 30);
}

KernelProbe &KernelProbe::input(const std::vector<int64_t> &dims) {
  fill(add(DType::F32, dims, true).bytes);
  return *this;
}

KernelProbe &KernelProbe::indices(const std::vector<int64_t> &dims,
                                  int64_t below) {
  Operand &operand = add(DType::I32, dims, true);
  auto *values = operand.view.as<int32_t>();
  for (int64_t i = 0; i < operand.view.numElements(); ++i)
    values[i] = static_cast<int32_t>(i * 7 % below);
  return *this;
}

KernelProbe &KernelProbe::absent() {
  add(DType::F32, {0}, true).view.rank = -1;
  return *this;
}

KernelProbe &KernelProbe::weight(int64_t rows, int64_t columns,
                                 int64_t copies) {
  // Panels of 16 columns: any numbers will do as packed ones.
  int64_t padded = (columns + 15) / 16 * 16;
  Operand &operand = add(DType::F32, {copies, rows, padded}, true);
  fill(operand.bytes);
  size_t size = operand.bytes.size() / static_cast<size_t>(copies);
  for (int64_t i = 0; i < copies; ++i)
    operand.blocks.push_back({operand.bytes.data() + i * size, size});
  operand.view.rank = 2;
  operand.view.dims[0] = rows;
  operand.view.dims[1] = columns;
  operand.view.setContiguous();
  operand.view.data = nullptr;
  operand.view.layout = "panel16";
  return *this;
}

KernelProbe &KernelProbe::output(const std::vector<int64_t> &dims,
                                 DType dtype) {
  add(dtype, dims, false);
  return *this;
}

StatusOr<double> KernelProbe::seconds(double budget) {
  MOE_ASSIGN_OR_RETURN(std::unique_ptr<Kernel> kernel,
                       cpuKernels().create({step}));
  std::vector<TensorView> inputs, outputs;
  for (const auto &operand : operands)
    (operand->isInput ? inputs : outputs).push_back(operand->view);
  MOE_ASSIGN_OR_RETURN(size_t bytes,
                       kernel->workspaceBytes({inputs, outputs}, 1));
  std::vector<std::byte> memory(bytes + 64);
  void *start = memory.data();
  size_t space = memory.size();
  std::align(64, bytes, start, space);
  ThreadPool pool(1);
  auto comms = createThreadCommunicators(1, std::chrono::seconds(30));
  Counters counters;
  StepContext context{
      pool, *comms[0], counters, {static_cast<std::byte *>(start), bytes}};
  size_t turn = 0;
  auto run = [&]() -> Status {
    size_t at = 0;
    for (const auto &operand : operands) {
      if (!operand->isInput)
        continue;
      if (!operand->blocks.empty())
        inputs[at].blocks = std::span(operand->blocks)
                                .subspan(turn % operand->blocks.size(), 1);
      ++at;
    }
    ++turn;
    return kernel->run({inputs, outputs}, context);
  };
  // Once through all copies, then as many runs as a batch takes.
  size_t copies = 1;
  for (const auto &operand : operands)
    copies = std::max(copies, operand->blocks.size());
  Stopwatch watch;
  for (size_t i = 0; i < copies + 2; ++i)
    MOE_RETURN_IF_ERROR(run());
  double each = watch.milliseconds() / 1e3 / static_cast<double>(copies + 2);
  auto runs = static_cast<size_t>(kBatchSeconds / std::max(each, 1e-9)) + 1;
  std::vector<double> times;
  for (double spent = 0; spent < budget || times.size() < kMinBatches;) {
    watch.restart();
    for (size_t i = 0; i < runs; ++i)
      MOE_RETURN_IF_ERROR(run());
    double seconds = watch.milliseconds() / 1e3;
    spent += seconds;
    times.push_back(seconds / static_cast<double>(runs));
  }
  return summarize(times).median;
}
