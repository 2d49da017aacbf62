//===- Rotary.cpp - rotary ------------------------------------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/kernels/cpu/Kernels.h"
#include "runtime/kernels/cpu/Product.h"
#include "runtime/kernels/cpu/Support.h"
#include "runtime/plan/StepAttributes.h"

namespace moe::cpu {

namespace {

class RotaryKernel : public CpuKernel {
public:
  RotaryKernel(const KernelSpec &spec, const Isa &isa, bool interleaved,
               int64_t rotaryDim)
      : CpuKernel(spec, isa), interleaved(interleaved), rotaryDim(rotaryDim) {}
  StatusOr<size_t> workspaceBytes(const KernelArgs &args,
                                  int numThreads) const override {
    MOE_RETURN_IF_ERROR(check(args));
    Scratch scratch;
    scratch.take<float>(numThreads * rowFloats(args));
    return scratch.bytes();
  }
  Status run(const KernelArgs &args, StepContext &context) const override;

private:
  Status check(const KernelArgs &args) const;
  const float *read(const TensorView &view, const std::byte *data,
                    int64_t stride, int64_t count, float *buffer) const;
  void rotate(const KernelArgs &args, int64_t b, int64_t h, int64_t position,
              float *memory) const;
  /// A row of x and of the result, cos and sin.
  int64_t rowFloats(const KernelArgs &args) const {
    return 2 * args.inputs[0].dims[3] + rotaryDim;
  }

  bool interleaved;
  int64_t rotaryDim;
};

} // namespace

Status RotaryKernel::check(const KernelArgs &args) const {
  const TensorView &x = args.inputs[0], &out = args.outputs[0];
  MOE_RETURN_IF_ERROR(expectRank(x, 4, "x"));
  MOE_RETURN_IF_ERROR(expectSameShape(x, out, "operand and result"));
  MOE_RETURN_IF_ERROR(expectDType(out, x.dtype, "result"));
  if (!isFloat(x.dtype) || x.dtype == DType::F64)
    return unsupported("elements " + std::string(dtypeName(x.dtype)));
  if (rotaryDim > x.dims[3])
    return badPlan("rotary_dim " + std::to_string(rotaryDim) + " of x " +
                   shapeText(x));
  for (size_t i = 1; i < 3; ++i) {
    const TensorView &table = args.inputs[i];
    if (table.rank != 3 || (table.dims[0] != 1 && table.dims[0] != x.dims[0]) ||
        table.dims[1] != x.dims[2] || table.dims[2] != rotaryDim / 2 ||
        !isFloat(table.dtype) || table.dtype == DType::F64)
      return badPlan("cos or sin of shape " + shapeText(table) +
                     " does not fit x " + shapeText(x));
  }
  return Status::ok();
}

/// Element [a, b, c, 0].
static std::byte *rowOf(const TensorView &view, int64_t a, int64_t b,
                        int64_t c) {
  return const_cast<std::byte *>(blockData(view)) +
         (a * view.strides[0] + b * view.strides[1] + c * view.strides[2]) *
             static_cast<int64_t>(dtypeSize(view.dtype));
}

/// Element [b, s, 0] of cos or sin, which may be the same for all b.
static const std::byte *tableRow(const TensorView &view, int64_t b, int64_t s) {
  return blockData(view) +
         ((view.dims[0] == 1 ? 0 : b * view.strides[0]) + s * view.strides[1]) *
             static_cast<int64_t>(dtypeSize(view.dtype));
}

/// Numbers where they are, if they can be read there.
const float *RotaryKernel::read(const TensorView &view, const std::byte *data,
                                int64_t stride, int64_t count,
                                float *buffer) const {
  if (view.dtype == DType::F32 && stride == 1)
    return reinterpret_cast<const float *>(data);
  isa.loadTile(view.dtype, data, stride, buffer, count);
  return buffer;
}

/// Row [b, h, position] of the result; `memory` has rowFloats.
void RotaryKernel::rotate(const KernelArgs &args, int64_t b, int64_t h,
                          int64_t position, float *memory) const {
  const TensorView &x = args.inputs[0], &out = args.outputs[0];
  const TensorView &cos = args.inputs[1], &sin = args.inputs[2];
  const int64_t depth = x.dims[3], half = rotaryDim / 2;
  float *from = memory, *to = from + depth, *c = to + depth, *s = c + half;
  bool isDirect = out.dtype == DType::F32 && out.strides[3] == 1;
  std::byte *target = rowOf(out, b, h, position);
  float *y = isDirect ? reinterpret_cast<float *>(target) : to;
  const float *values =
      read(x, rowOf(x, b, h, position), x.strides[3], depth, from);
  isa.rotateRow(values,
                read(cos, tableRow(cos, b, position), cos.strides[2], half, c),
                read(sin, tableRow(sin, b, position), sin.strides[2], half, s),
                y, half, interleaved);
  if (rotaryDim < depth)
    std::copy(values + rotaryDim, values + depth, y + rotaryDim);
  if (!isDirect)
    isa.storeTile(out.dtype, y, target, out.strides[3], depth);
}

Status RotaryKernel::run(const KernelArgs &args, StepContext &context) const {
  MOE_RETURN_IF_ERROR(check(args));
  const TensorView &x = args.inputs[0];
  int64_t heads = x.dims[1], length = x.dims[2], depth = x.dims[3];
  Scratch scratch(context.workspace);
  float *memory =
      scratch.take<float>(context.pool.numThreads() * rowFloats(args));
  if (!scratch.fits())
    return expectWorkspace(context, *scratch.bytes());
  // Head after head, so that the rows of one head follow each other in memory
  // for as long as the table of their positions stays in the second cache.
  constexpr int64_t kMinPositions = 32, kMaxPositions = 128;
  int64_t positions = std::clamp(ceilDiv(length, 4 * context.pool.numThreads()),
                                 kMinPositions, kMaxPositions);
  int64_t parts = ceilDiv(length, positions);
  auto body = [&](int64_t begin, int64_t end, int thread) {
    for (int64_t item = begin; item < end; ++item) {
      int64_t first = item % parts * positions;
      int64_t last = std::min(length, first + positions);
      for (int64_t h = 0; h < heads; ++h)
        for (int64_t position = first; position < last; ++position)
          rotate(args, item / parts, h, position,
                 memory + thread * rowFloats(args));
    }
  };
  forRange(context.pool, x.dims[0] * parts,
           4.0 * static_cast<double>(heads * depth) *
               static_cast<double>(std::min(length, positions)),
           body);
  return Status::ok();
}

static StatusOr<std::unique_ptr<Kernel>> createRotary(const KernelSpec &spec,
                                                      const Isa &isa) {
  MOE_RETURN_IF_ERROR(checkOperands(spec, 3, 3, 1));
  StepAttributes attributes(spec.step);
  MOE_ASSIGN_OR_RETURN(bool interleaved,
                       attributes.getBool("interleaved", false));
  MOE_ASSIGN_OR_RETURN(int64_t rotaryDim, attributes.getInt("rotary_dim"));
  MOE_RETURN_IF_ERROR(attributes.checkAllRead());
  if (rotaryDim < 0 || rotaryDim % 2 != 0)
    return attributes.error("rotary_dim", "is " + std::to_string(rotaryDim) +
                                              ", expected an even number");
  return std::unique_ptr<Kernel>(
      std::make_unique<RotaryKernel>(spec, isa, interleaved, rotaryDim));
}

void registerRotary(KernelRegistry &registry, const Isa &isa) {
  registry.add("rotary", [&isa](const KernelSpec &spec) {
    return createRotary(spec, isa);
  });
}

} // namespace moe::cpu
