//===- Pad.cpp - pad ------------------------------------------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// For each dimension a table says which position of x a position of the result
// shows, or -1 for the padding value. A row of the result is then a look-up.
//
//===----------------------------------------------------------------------===//

#include "runtime/kernels/cpu/Element.h"
#include "runtime/kernels/cpu/Kernels.h"
#include "runtime/kernels/cpu/Support.h"
#include "runtime/plan/StepAttributes.h"

#include <cstring>

namespace moe::cpu {

namespace {

enum class PadMode : uint8_t { Constant, Edge, Reflect, Wrap };

class PadKernel : public CpuKernel {
public:
  PadKernel(const KernelSpec &spec, const Isa &isa, PadMode mode, size_t numLow)
      : CpuKernel(spec, isa), mode(mode), numLow(numLow) {}
  StatusOr<size_t> workspaceBytes(const KernelArgs &args,
                                  int numThreads) const override {
    Scratch scratch;
    int64_t *tables[kMaxRank];
    cut(scratch, args.outputs[0], tables);
    return scratch.bytes();
  }
  Status run(const KernelArgs &args, StepContext &context) const override;

private:
  static void cut(Scratch &scratch, const TensorView &out, int64_t **tables) {
    for (int d = 0; d < out.rank; ++d)
      tables[d] = scratch.take<int64_t>(out.dims[d]);
  }
  int64_t sourceOf(int64_t position, int64_t size) const;

  PadMode mode;
  size_t numLow;
};

} // namespace

/// The position of x for `position`, which counts from the first element of x
/// and may be outside.
int64_t PadKernel::sourceOf(int64_t position, int64_t size) const {
  if (position >= 0 && position < size)
    return position;
  if (mode == PadMode::Constant || size == 0)
    return -1;
  if (mode == PadMode::Edge)
    return std::clamp<int64_t>(position, 0, size - 1);
  auto modulo = [](int64_t a, int64_t b) { return (a % b + b) % b; };
  if (mode == PadMode::Wrap)
    return modulo(position, size);
  if (size == 1)
    return 0;
  int64_t period = modulo(position, 2 * (size - 1));
  return period < size ? period : 2 * (size - 1) - period;
}

Status PadKernel::run(const KernelArgs &args, StepContext &context) const {
  const TensorView &x = args.inputs[0], &value = inputOrAbsent(args, 1);
  const TensorView &out = args.outputs[0];
  MOE_RETURN_IF_ERROR(expectRank(x, static_cast<int>(numLow), "x"));
  MOE_RETURN_IF_ERROR(expectRank(out, x.rank, "result"));
  MOE_RETURN_IF_ERROR(expectDType(out, x.dtype, "result"));
  MOE_RETURN_IF_ERROR(expectContiguous(out, "result"));
  if (value.present() && (value.dtype != x.dtype || value.numElements() != 1))
    return badPlan("value has shape " + shapeText(value) +
                   ", expected one element of the type of x");
  if (out.numElements() == 0)
    return Status::ok();
  MOE_ASSIGN_OR_RETURN(std::span<const int64_t> low,
                       exprs(context, "low", numLow));
  constexpr int64_t kFar = int64_t(1) << 62;
  for (int64_t elements : low)
    if (elements < -kFar || elements > kFar)
      return badPlan("cannot begin " + std::to_string(elements) +
                     " elements before x");
  Scratch scratch(context.workspace);
  int64_t *tables[kMaxRank];
  cut(scratch, out, tables);
  if (!scratch.fits())
    return expectWorkspace(context, *scratch.bytes());
  for (int d = 0; d < out.rank; ++d)
    for (int64_t i = 0; i < out.dims[d]; ++i)
      tables[d][i] = sourceOf(i - low[d], x.dims[d]);
  visitElementType(x.dtype, [&]<typename T>() {
    T fill{};
    if (value.present())
      std::memcpy(&fill, blockData(value), sizeof(T));
    const T *from = dataOf<T>(x);
    T *to = out.as<T>();
    int last = out.rank - 1;
    int64_t width = last < 0 ? 1 : out.dims[last];
    auto body = [&](int64_t begin, int64_t end, int) {
      for (int64_t row = begin; row < end; ++row) {
        int64_t offset = 0, rest = row;
        bool isInside = true;
        for (int d = last - 1; d >= 0; --d) {
          int64_t source = tables[d][rest % out.dims[d]];
          isInside &= source >= 0;
          offset += source * x.strides[d];
          rest /= out.dims[d];
        }
        T *y = to + row * width;
        if (!isInside) {
          std::fill_n(y, width, fill);
        } else if (last < 0) {
          *y = *from;
        } else {
          for (int64_t i = 0; i < width; ++i) {
            int64_t source = tables[last][i];
            y[i] = source < 0 ? fill : from[offset + source * x.strides[last]];
          }
        }
      }
    };
    forRange(context.pool, out.numElements() / width,
             static_cast<double>(width), body);
  });
  return Status::ok();
}

static StatusOr<std::unique_ptr<Kernel>> createPad(const KernelSpec &spec,
                                                   const Isa &isa) {
  MOE_RETURN_IF_ERROR(checkOperands(spec, 1, 2, 1));
  StepAttributes attributes(spec.step);
  MOE_ASSIGN_OR_RETURN(
      PadMode mode,
      attributes.getEnum<PadMode>("mode", {{"constant", PadMode::Constant},
                                           {"edge", PadMode::Edge},
                                           {"reflect", PadMode::Reflect},
                                           {"wrap", PadMode::Wrap}}));
  MOE_ASSIGN_OR_RETURN(size_t numLow, attributes.getNumExprs("low"));
  MOE_RETURN_IF_ERROR(attributes.checkAllRead());
  return std::unique_ptr<Kernel>(
      std::make_unique<PadKernel>(spec, isa, mode, numLow));
}

void registerPad(KernelRegistry &registry, const Isa &isa) {
  registry.add("pad",
               [&isa](const KernelSpec &spec) { return createPad(spec, isa); });
}

} // namespace moe::cpu
