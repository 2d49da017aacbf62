//===- Dispatch.cpp - dispatch, combine -----------------------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Combine reads back the rows that dispatch has moved.
//
//===----------------------------------------------------------------------===//

#include "runtime/kernels/cpu/Dispatch.h"
#include "runtime/kernels/cpu/Kernels.h"
#include "runtime/kernels/cpu/Support.h"
#include "runtime/plan/StepAttributes.h"

#include <cstring>
#include <numeric>

namespace moe::cpu {

namespace {

/// Operands: rows, slots, weights (or none), and what is added to the sums (or
/// none).
class CombineKernel : public CpuKernel {
public:
  using CpuKernel::CpuKernel;
  StatusOr<size_t> workspaceBytes(const KernelArgs &args,
                                  int numThreads) const override {
    MOE_RETURN_IF_ERROR(check(args));
    Scratch scratch;
    scratch.take<float>(numThreads * 2 * args.inputs[0].dims[1]);
    return scratch.bytes();
  }
  Status run(const KernelArgs &args, StepContext &context) const override;

private:
  Status check(const KernelArgs &args) const;
};

} // namespace

//===----------------------------------------------------------------------===//
// Rows of experts
//===----------------------------------------------------------------------===//

Status countChoices(std::span<const int32_t> experts, int64_t k,
                    std::span<int32_t> counts, const std::string &step) {
  auto numExperts = static_cast<int64_t>(counts.size());
  std::fill(counts.begin(), counts.end(), 0);
  for (size_t i = 0; i < experts.size(); ++i) {
    if (experts[i] < -1 || experts[i] >= numExperts)
      return Status(StatusCode::BadModel,
                    step + ": token " +
                        std::to_string(static_cast<int64_t>(i) / k) +
                        " chose expert " + std::to_string(experts[i]) +
                        ", expected less than " + std::to_string(numExperts));
    if (experts[i] >= 0)
      ++counts[experts[i]];
  }
  return Status::ok();
}

int64_t assignRows(std::span<const int32_t> experts,
                   std::span<const int32_t> counts, int64_t *next,
                   int32_t *slots) {
  int64_t total = 0;
  for (size_t e = 0; e < counts.size(); ++e) {
    next[e] = total;
    total += counts[e];
  }
  for (size_t i = 0; i < experts.size(); ++i)
    slots[i] = experts[i] < 0 ? -1 : static_cast<int32_t>(next[experts[i]]++);
  return total;
}

//===----------------------------------------------------------------------===//
// dispatch
//===----------------------------------------------------------------------===//

Status DispatchKernel::check(const KernelArgs &args) const {
  const TensorView &x = args.inputs[0], &experts = args.inputs[1];
  const TensorView &weights = inputOrAbsent(args, 2);
  const TensorView &rows = args.outputs[0], &counts = args.outputs[1];
  MOE_RETURN_IF_ERROR(expectRank(x, 2, "x"));
  MOE_RETURN_IF_ERROR(expectRank(experts, 2, "experts"));
  MOE_RETURN_IF_ERROR(expectRank(rows, 2, "rows"));
  MOE_RETURN_IF_ERROR(expectRank(counts, 1, "counts"));
  MOE_RETURN_IF_ERROR(
      expectSameShape(experts, args.outputs[2], "experts and slots"));
  for (const TensorView *view : {&experts, &counts, &args.outputs[2]})
    MOE_RETURN_IF_ERROR(expectDType(*view, DType::I32, "indices"));
  MOE_RETURN_IF_ERROR(expectDType(rows, x.dtype, "rows"));
  if (experts.dims[0] != x.dims[0] || rows.dims[1] != x.dims[1] ||
      counts.dims[0] != numExperts)
    return badPlan("x " + shapeText(x) + " and experts " + shapeText(experts) +
                   " cannot give rows " + shapeText(rows) + " and counts " +
                   shapeText(counts));
  for (const TensorView &view : args.inputs)
    if (view.present())
      MOE_RETURN_IF_ERROR(expectContiguous(view, "operand"));
  for (const TensorView &view : args.outputs)
    MOE_RETURN_IF_ERROR(expectContiguous(view, "result"));
  if (!weights.present())
    return Status::ok();
  if (!isFloat(x.dtype) || x.dtype == DType::F64 || !isFloat(weights.dtype) ||
      weights.dtype == DType::F64)
    return unsupported("weights for rows of " +
                       std::string(dtypeName(x.dtype)));
  return expectSameShape(experts, weights, "experts and weights");
}

StatusOr<int64_t> DispatchKernel::assignRowsOf(const KernelArgs &args,
                                               int64_t *next) const {
  const TensorView &view = args.inputs[1], &countView = args.outputs[1];
  std::span experts(dataOf<int32_t>(view),
                    static_cast<size_t>(view.numElements()));
  std::span counts(countView.as<int32_t>(), static_cast<size_t>(numExperts));
  MOE_RETURN_IF_ERROR(countChoices(experts, view.dims[1], counts, name));
  int64_t total = std::accumulate(counts.begin(), counts.end(), int64_t(0));
  if (total > args.outputs[0].dims[0] || total > INT32_MAX)
    return badPlan(std::to_string(total) + " rows exceed the result " +
                   shapeText(args.outputs[0]));
  return assignRows(experts, counts, next, args.outputs[2].as<int32_t>());
}

Status DispatchKernel::move(const KernelArgs &args, const Buffers &buffers,
                            StepContext &context) const {
  MOE_ASSIGN_OR_RETURN(int64_t total, assignRowsOf(args, buffers.next));
  if (!context.dataSizes.empty())
    context.dataSizes[0] = total;
  const TensorView &x = args.inputs[0], &weights = inputOrAbsent(args, 2);
  const int32_t *slots = args.outputs[2].as<int32_t>();
  int64_t k = args.inputs[1].dims[1], width = x.dims[1];
  int64_t bytes = width * static_cast<int64_t>(dtypeSize(x.dtype));
  const std::byte *from = blockData(x);
  std::byte *rows = args.outputs[0].as<std::byte>();
  RowVector weightRow{weights.present() ? blockData(weights) : nullptr,
                      weights.dtype};
  auto copyRow = [&](int64_t choice, int thread) {
    std::byte *to = rows + slots[choice] * bytes;
    const std::byte *row = from + choice / k * bytes;
    if (!weightRow.data) {
      std::memcpy(to, row, bytes);
      return;
    }
    float weight;
    weight = *weightRow.read(isa, choice, 1, &weight);
    float *scaled = buffers.rows + thread * width;
    isa.toF32(x.dtype, row, scaled, width);
    isa.scaleRow(weight, scaled, scaled, width);
    isa.fromF32(x.dtype, scaled, to, width);
  };
  forRange(context.pool, x.dims[0] * k, static_cast<double>(bytes) / 8,
           [&](int64_t begin, int64_t end, int thread) {
             for (int64_t choice = begin; choice < end; ++choice)
               if (slots[choice] >= 0)
                 copyRow(choice, thread);
           });
  return Status::ok();
}

DispatchKernel::Buffers DispatchKernel::cut(Scratch &scratch,
                                            const KernelArgs &args,
                                            int numThreads) const {
  Buffers buffers;
  buffers.next = scratch.take<int64_t>(numExperts);
  buffers.rows = scratch.take<float>(numThreads * args.inputs[0].dims[1]);
  return buffers;
}

StatusOr<size_t> DispatchKernel::workspaceBytes(const KernelArgs &args,
                                                int numThreads) const {
  MOE_RETURN_IF_ERROR(check(args));
  Scratch scratch;
  cut(scratch, args, numThreads);
  return scratch.bytes();
}

Status DispatchKernel::run(const KernelArgs &args, StepContext &context) const {
  MOE_RETURN_IF_ERROR(check(args));
  Scratch scratch(context.workspace);
  Buffers buffers = cut(scratch, args, context.pool.numThreads());
  if (!scratch.fits())
    return expectWorkspace(context, *scratch.bytes());
  return move(args, buffers, context);
}

//===----------------------------------------------------------------------===//
// combine
//===----------------------------------------------------------------------===//

void MixedRows::mix(const Isa &isa, const int32_t *slots, int64_t first,
                    int64_t count, int64_t columns, float *buffer,
                    float *sum) const {
  // Rows of a token lie anywhere: the beginning of each is on its way while the
  // one before is added, a piece of columns for a piece.
  constexpr int64_t kPiece = 256;
  int64_t size = static_cast<int64_t>(dtypeSize(rows.dtype));
  const int32_t *end = slots + first + count;
  std::fill_n(sum, columns, 0.0f);
  for (const int32_t *slot = slots + first; slot < end; ++slot) {
    if (*slot < 0)
      continue;
    float weight = 1;
    if (weights.data)
      weight = *weights.read(isa, slot - slots, 1, &weight);
    const std::byte *next = slot + 1 < end && slot[1] >= 0
                                ? rows.data + slot[1] * stride * size
                                : nullptr;
    for (int64_t column = 0; column < columns; column += kPiece) {
      int64_t piece = std::min(kPiece, columns - column);
      for (int64_t at = 0; next && at < piece * size; at += 64)
        __builtin_prefetch(next + column * size + at);
      isa.axpyRow(weight,
                  rows.read(isa, *slot * stride + column, piece, buffer),
                  sum + column, piece);
    }
  }
}

void MixedRows::write(const Isa &isa, const int32_t *slots, int64_t first,
                      int64_t count, int64_t columns, int64_t to,
                      float *buffer) const {
  DType dtype = rows.dtype;
  bool isF32 = dtype == DType::F32;
  std::byte *target = out + to * static_cast<int64_t>(dtypeSize(dtype));
  float *sum = isF32 ? reinterpret_cast<float *>(target) : buffer;
  float *row = buffer + columns;
  mix(isa, slots, first, count, columns, row, sum);
  if (!isF32)
    isa.fromF32(dtype, sum, target, columns);
  if (!residual.data)
    return;
  if (!isF32)
    isa.toF32(dtype, target, sum, columns);
  isa.axpyRow(1, residual.read(isa, to, columns, row), sum, columns);
  if (!isF32)
    isa.fromF32(dtype, sum, target, columns);
}

Status CombineKernel::check(const KernelArgs &args) const {
  const TensorView &rows = args.inputs[0], &slots = args.inputs[1];
  const TensorView &weights = inputOrAbsent(args, 2), &out = args.outputs[0];
  const TensorView &residual = inputOrAbsent(args, 3);
  MOE_RETURN_IF_ERROR(expectRank(rows, 2, "rows"));
  MOE_RETURN_IF_ERROR(expectRank(slots, 2, "slots"));
  MOE_RETURN_IF_ERROR(expectRank(out, 2, "result"));
  MOE_RETURN_IF_ERROR(expectDType(slots, DType::I32, "slots"));
  MOE_RETURN_IF_ERROR(expectDType(out, rows.dtype, "result"));
  if (!isFloat(out.dtype) || out.dtype == DType::F64)
    return unsupported("rows of " + std::string(dtypeName(out.dtype)));
  if (out.dims[0] != slots.dims[0] || out.dims[1] != rows.dims[1])
    return badPlan("rows " + shapeText(rows) + " and slots " +
                   shapeText(slots) + " cannot give " + shapeText(out));
  for (const TensorView &view : args.inputs)
    if (view.present())
      MOE_RETURN_IF_ERROR(expectContiguous(view, "operand"));
  MOE_RETURN_IF_ERROR(expectContiguous(out, "result"));
  if (residual.present()) {
    MOE_RETURN_IF_ERROR(expectDType(residual, out.dtype, "residual"));
    MOE_RETURN_IF_ERROR(expectSameShape(residual, out, "residual and result"));
  }
  if (!weights.present())
    return Status::ok();
  if (!isFloat(weights.dtype) || weights.dtype == DType::F64)
    return unsupported("weights of " + std::string(dtypeName(weights.dtype)));
  return expectSameShape(slots, weights, "slots and weights");
}

/// The elements of an operand that may be absent.
static RowVector vectorOf(const TensorView &view) {
  return {view.present() ? blockData(view) : nullptr, view.dtype};
}

Status CombineKernel::run(const KernelArgs &args, StepContext &context) const {
  MOE_RETURN_IF_ERROR(check(args));
  const TensorView &rows = args.inputs[0], &slotView = args.inputs[1];
  const TensorView &weights = inputOrAbsent(args, 2), &out = args.outputs[0];
  const TensorView &residual = inputOrAbsent(args, 3);
  int64_t k = slotView.dims[1], width = out.dims[1];
  const int32_t *slots = dataOf<int32_t>(slotView);
  for (int64_t i = 0; i < slotView.numElements(); ++i)
    if (slots[i] < -1 || slots[i] >= rows.dims[0])
      return Status(StatusCode::BadModel,
                    name + ": slot " + std::to_string(slots[i]) +
                        " is not a row of " + shapeText(rows));
  Scratch scratch(context.workspace);
  float *buffers = scratch.take<float>(context.pool.numThreads() * 2 * width);
  if (!scratch.fits())
    return expectWorkspace(context, *scratch.bytes());
  MixedRows mixed{vectorOf(rows), width, vectorOf(weights), vectorOf(residual),
                  out.as<std::byte>()};
  forRange(context.pool, out.dims[0], 2.0 * static_cast<double>(k * width),
           [&](int64_t begin, int64_t end, int thread) {
             for (int64_t token = begin; token < end; ++token)
               mixed.write(isa, slots, token * k, k, width, token * width,
                           buffers + thread * 2 * width);
           });
  return Status::ok();
}

//===----------------------------------------------------------------------===//
// Registration
//===----------------------------------------------------------------------===//

static StatusOr<std::unique_ptr<Kernel>> createDispatch(const KernelSpec &spec,
                                                        const Isa &isa) {
  MOE_RETURN_IF_ERROR(checkOperands(spec, 2, 3, 3));
  StepAttributes attributes(spec.step);
  MOE_ASSIGN_OR_RETURN(int64_t numExperts, attributes.getInt("num_experts"));
  MOE_RETURN_IF_ERROR(attributes.checkAllRead());
  if (numExperts < 0)
    return attributes.error("num_experts", "is " + std::to_string(numExperts));
  return std::unique_ptr<Kernel>(
      std::make_unique<DispatchKernel>(spec, isa, numExperts));
}

static StatusOr<std::unique_ptr<Kernel>> createCombine(const KernelSpec &spec,
                                                       const Isa &isa) {
  MOE_RETURN_IF_ERROR(checkOperands(spec, 2, 4, 1));
  MOE_RETURN_IF_ERROR(StepAttributes(spec.step).checkAllRead());
  return std::unique_ptr<Kernel>(std::make_unique<CombineKernel>(spec, isa));
}

void registerDispatch(KernelRegistry &registry, const Isa &isa) {
  registry.add("dispatch", [&isa](const KernelSpec &spec) {
    return createDispatch(spec, isa);
  });
  registry.add("combine", [&isa](const KernelSpec &spec) {
    return createCombine(spec, isa);
  });
}

} // namespace moe::cpu
