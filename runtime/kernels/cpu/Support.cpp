//===- Support.cpp - What kernels for CPUs share --------------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/kernels/cpu/Support.h"

#include "runtime/plan/Plan_generated.h"

namespace moe::cpu {

CpuKernel::CpuKernel(const KernelSpec &spec, const Isa &isa)
    : isa(isa), name(spec.step.kernel) {}

Status CpuKernel::badPlan(const std::string &what) const {
  return Status(StatusCode::BadPlan, name + ": " + what);
}

Status CpuKernel::unsupported(const std::string &what) const {
  return Status(StatusCode::Unsupported, name + ": " + what);
}

Status CpuKernel::expectContiguous(const TensorView &view,
                                   const char *operand) const {
  if (view.layout != "row")
    return badPlan("operand '" + std::string(operand) + "' has layout '" +
                   std::string(view.layout) + "', expected 'row'");
  if (view.isContiguous())
    return Status::ok();
  return badPlan("operand '" + std::string(operand) + "' of shape " +
                 shapeText(view) + " is not contiguous");
}

Status CpuKernel::expectDType(const TensorView &view, DType dtype,
                              const char *operand) const {
  if (view.dtype == dtype)
    return Status::ok();
  return badPlan("operand '" + std::string(operand) + "' has elements " +
                 std::string(dtypeName(view.dtype)) + ", expected " +
                 std::string(dtypeName(dtype)));
}

Status CpuKernel::expectRank(const TensorView &view, int rank,
                             const char *operand) const {
  if (view.rank == rank)
    return Status::ok();
  return badPlan("operand '" + std::string(operand) + "' has shape " +
                 shapeText(view) + ", expected rank " + std::to_string(rank));
}

Status CpuKernel::expectSameShape(const TensorView &a, const TensorView &b,
                                  const char *what) const {
  if (a.rank == b.rank && std::equal(a.dims, a.dims + a.rank, b.dims))
    return Status::ok();
  return badPlan(std::string(what) + " have shapes " + shapeText(a) + " and " +
                 shapeText(b) + ", expected equal ones");
}

Status CpuKernel::expectWorkspace(const StepContext &context,
                                  size_t bytes) const {
  if (context.workspace.size() >= bytes)
    return Status::ok();
  return Status(StatusCode::Internal,
                name + ": the workspace has " +
                    std::to_string(context.workspace.size()) +
                    " bytes, expected " + std::to_string(bytes));
}

StatusOr<std::span<const int64_t>> CpuKernel::exprs(const StepContext &context,
                                                    std::string_view attribute,
                                                    size_t count) const {
  if (context.exprs) {
    auto found = context.exprs->find(attribute);
    if (found != context.exprs->end() && found->second.size() == count)
      return std::span<const int64_t>(found->second);
  }
  return badPlan("attribute '" + std::string(attribute) +
                 "' does not have the expected " + std::to_string(count) +
                 " values");
}

StatusOr<std::span<const int64_t>>
CpuKernel::partBegins(const StepContext &context, std::string_view part,
                      int numRanks) const {
  size_t expected = static_cast<size_t>(numRanks) + 1;
  if (context.parts && context.comm.size() == numRanks) {
    auto found = context.parts->find(part);
    if (found != context.parts->end() && found->second.size() == expected)
      return std::span<const int64_t>(found->second);
  }
  return badPlan("ranks do not divide a symbol '" + std::string(part) + "'");
}

Status checkOperands(const KernelSpec &spec, size_t minInputs, size_t maxInputs,
                     size_t numOutputs) {
  const plan::StepT &step = spec.step;
  size_t inputs = step.inputs.size();
  bool requiredPresent = inputs >= minInputs &&
                         std::all_of(step.outputs.begin(), step.outputs.end(),
                                     [](int buffer) { return buffer >= 0; });
  if (requiredPresent && inputs <= maxInputs &&
      step.outputs.size() == numOutputs)
    return Status::ok();
  return Status(StatusCode::BadPlan,
                "step " + step.kernel + ": has " + std::to_string(inputs) +
                    " inputs and " + std::to_string(step.outputs.size()) +
                    " outputs, expected " + std::to_string(minInputs) +
                    (maxInputs > minInputs ? " to " + std::to_string(maxInputs)
                                           : std::string()) +
                    " and " + std::to_string(numOutputs));
}

const TensorView &inputOrAbsent(const KernelArgs &args, size_t i) {
  static const TensorView absent = [] {
    TensorView view;
    view.rank = -1;
    return view;
  }();
  return i < args.inputs.size() ? args.inputs[i] : absent;
}

std::string shapeText(const TensorView &view) {
  std::string text = "[";
  for (int i = 0; i < view.rank; ++i)
    text += (i ? ", " : "") + std::to_string(view.dims[i]);
  return text + "]";
}

const std::byte *blockData(const TensorView &view, size_t i) {
  // Views of a dense parameter point behind the begin of its block.
  bool isBegin = i == 0 && view.data;
  return isBegin || view.blocks.empty()
             ? static_cast<const std::byte *>(view.data)
             : view.blocks[i].data;
}

int64_t productOf(const TensorView &view, int from, int to) {
  int64_t product = 1;
  for (int i = from; i < to; ++i)
    product *= view.dims[i];
  return product;
}

int normalAxis(int64_t axis, int rank) {
  int64_t normal = axis < 0 ? axis + rank : axis;
  return normal >= 0 && normal < rank ? static_cast<int>(normal) : -1;
}

StatusOr<size_t> Scratch::bytes() const {
  if (overflow)
    return Status(StatusCode::OutOfMemory, "a workspace exceeds 64 bits");
  return static_cast<size_t>(used);
}

void convertToF32(ThreadPool &pool, const Isa &isa, const TensorView &view,
                  float *out) {
  int rank = view.rank;
  int64_t inner = rank > 0 ? view.dims[rank - 1] : 1;
  int64_t innerStride = rank > 0 ? view.strides[rank - 1] : 1;
  int64_t rows = rank > 0 ? productOf(view, 0, rank - 1) : 1;
  int64_t size = static_cast<int64_t>(dtypeSize(view.dtype));
  forRange(pool, rows, static_cast<double>(inner),
           [&](int64_t begin, int64_t end, int) {
             for (int64_t row = begin; row < end; ++row) {
               int64_t offset = 0, rest = row;
               for (int i = rank - 2; i >= 0; --i) {
                 offset += rest % view.dims[i] * view.strides[i];
                 rest /= view.dims[i];
               }
               const std::byte *from = blockData(view) + offset * size;
               float *to = out + row * inner;
               if (registerKind(view.dtype) == RegisterKind::F32) {
                 isa.loadTile(view.dtype, from, innerStride, to, inner);
                 continue;
               }
               for (int64_t i = 0; i < inner; ++i)
                 isa.toF32(view.dtype, from + i * innerStride * size, to + i,
                           1);
             }
           });
}

} // namespace moe::cpu
