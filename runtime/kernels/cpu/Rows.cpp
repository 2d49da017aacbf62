//===- Rows.cpp - softmax, norm, mix --------------------------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Kernels that treat one row of f32 after the other. Rows of other types are
// converted in a buffer of the thread.
//
//===----------------------------------------------------------------------===//

#include "runtime/kernels/cpu/Element.h"
#include "runtime/kernels/cpu/Kernels.h"
#include "runtime/kernels/cpu/Product.h"
#include "runtime/kernels/cpu/Support.h"
#include "runtime/plan/StepAttributes.h"

#include <cmath>

namespace moe::cpu {

namespace {

class SoftmaxKernel : public CpuKernel {
public:
  SoftmaxKernel(const KernelSpec &spec, const Isa &isa, int64_t axis, bool log)
      : CpuKernel(spec, isa), axis(axis), log(log) {}
  StatusOr<size_t> workspaceBytes(const KernelArgs &args,
                                  int numThreads) const override {
    MOE_ASSIGN_OR_RETURN(int normal, check(args));
    Scratch scratch;
    scratch.take<float>(numThreads * 2 * args.inputs[0].dims[normal]);
    return scratch.bytes();
  }
  Status run(const KernelArgs &args, StepContext &context) const override;

private:
  StatusOr<int> check(const KernelArgs &args) const;

  int64_t axis;
  bool log;
};

enum class NormKind : uint8_t { Layer, Rms };

class NormKernel : public CpuKernel {
public:
  NormKernel(const KernelSpec &spec, const Isa &isa, NormKind kind,
             int64_t axis, double epsilon)
      : CpuKernel(spec, isa), kind(kind), axis(axis), epsilon(epsilon) {}
  StatusOr<size_t> workspaceBytes(const KernelArgs &args,
                                  int numThreads) const override {
    MOE_ASSIGN_OR_RETURN(int normal, check(args));
    Scratch scratch;
    cut(scratch, args, normal, numThreads);
    return scratch.bytes();
  }
  Status run(const KernelArgs &args, StepContext &context) const override;

private:
  struct Buffers {
    double *scale, *bias; ///< rows of float unless x is f64
    float *rows;
  };
  StatusOr<int> check(const KernelArgs &args) const;
  Buffers cut(Scratch &scratch, const KernelArgs &args, int axis,
              int numThreads) const;
  void normRow(const float *x, const float *scale, const float *bias, float *y,
               int64_t count) const;
  void normRowF64(const double *x, const double *scale, const double *bias,
                  double *y, int64_t count) const;

  NormKind kind;
  int64_t axis;
  double epsilon;
};

enum class MixKind : uint8_t { Residual, Add, SigmoidGate };

class MixKernel : public CpuKernel {
public:
  MixKernel(const KernelSpec &spec, const Isa &isa, MixKind kind)
      : CpuKernel(spec, isa), kind(kind) {}
  StatusOr<size_t> workspaceBytes(const KernelArgs &args,
                                  int numThreads) const override {
    MOE_RETURN_IF_ERROR(check(args));
    Scratch scratch;
    cut(scratch, args, numThreads);
    return scratch.bytes();
  }
  Status run(const KernelArgs &args, StepContext &context) const override;

private:
  Status check(const KernelArgs &args) const;
  static float *cut(Scratch &scratch, const KernelArgs &args, int numThreads);
  /// The factors of both branches by the gate's values.
  void coefficients(const float *gate, float &experts, float &dense) const;

  MixKind kind;
};

} // namespace

//===----------------------------------------------------------------------===//
// softmax
//===----------------------------------------------------------------------===//

StatusOr<int> SoftmaxKernel::check(const KernelArgs &args) const {
  const TensorView &x = args.inputs[0], &out = args.outputs[0];
  MOE_RETURN_IF_ERROR(expectSameShape(x, out, "operand and result"));
  MOE_RETURN_IF_ERROR(expectDType(out, x.dtype, "result"));
  int normal = normalAxis(axis, x.rank);
  if (normal < 0 || !isFloat(x.dtype))
    return badPlan("axis " + std::to_string(axis) + " of floats " +
                   shapeText(x) + ", which has elements " +
                   std::string(dtypeName(x.dtype)));
  return normal;
}

/// Softmax of f64, whose values do not fit the f32 rows.
static void softmaxF64(const double *x, double *y, int64_t count,
                       int64_t stride, bool log) {
  double largest = -INFINITY, sum = 0;
  for (int64_t i = 0; i < count; ++i)
    largest = std::fmax(largest, x[i * stride]);
  for (int64_t i = 0; i < count; ++i)
    sum += std::exp(x[i * stride] - largest);
  for (int64_t i = 0; i < count; ++i) {
    double shifted = x[i * stride] - largest;
    y[i * stride] = log ? shifted - std::log(sum) : std::exp(shifted) / sum;
  }
}

Status SoftmaxKernel::run(const KernelArgs &args, StepContext &context) const {
  const TensorView &x = args.inputs[0], &out = args.outputs[0];
  MOE_ASSIGN_OR_RETURN(int normal, check(args));
  MOE_RETURN_IF_ERROR(expectContiguous(x, "x"));
  MOE_RETURN_IF_ERROR(expectContiguous(out, "result"));
  int64_t count = x.dims[normal];
  int64_t inner = productOf(x, normal + 1, x.rank);
  int64_t rows = productOf(x, 0, normal) * inner;
  Scratch scratch(context.workspace);
  float *buffers = scratch.take<float>(context.pool.numThreads() * 2 * count);
  if (!scratch.fits())
    return expectWorkspace(context, *scratch.bytes());
  int64_t size = static_cast<int64_t>(dtypeSize(x.dtype));
  auto body = [&](int64_t begin, int64_t end, int thread) {
    float *values = buffers + thread * 2 * count;
    for (int64_t row = begin; row < end; ++row) {
      int64_t offset = row / inner * count * inner + row % inner;
      const std::byte *from = blockData(x) + offset * size;
      std::byte *to = out.as<std::byte>() + offset * size;
      if (x.dtype == DType::F64) {
        softmaxF64(reinterpret_cast<const double *>(from),
                   reinterpret_cast<double *>(to), count, inner, log);
      } else if (x.dtype == DType::F32 && inner == 1) {
        isa.softmaxRow(reinterpret_cast<const float *>(from),
                       reinterpret_cast<float *>(to), count, log);
      } else {
        isa.loadTile(x.dtype, from, inner, values, count);
        isa.softmaxRow(values, values + count, count, log);
        isa.storeTile(x.dtype, values + count, to, inner, count);
      }
    }
  };
  forRange(context.pool, rows, 20.0 * static_cast<double>(count), body);
  return Status::ok();
}

//===----------------------------------------------------------------------===//
// norm
//===----------------------------------------------------------------------===//

StatusOr<int> NormKernel::check(const KernelArgs &args) const {
  const TensorView &x = args.inputs[0], &out = args.outputs[0];
  MOE_RETURN_IF_ERROR(expectSameShape(x, out, "operand and result"));
  MOE_RETURN_IF_ERROR(expectDType(out, x.dtype, "result"));
  int normal = normalAxis(axis, x.rank);
  if (normal < 0 || !isFloat(x.dtype))
    return badPlan("axis " + std::to_string(axis) + " of floats " +
                   shapeText(x) + ", which has elements " +
                   std::string(dtypeName(x.dtype)));
  for (size_t i = 1; i < 3; ++i) {
    const TensorView &row = inputOrAbsent(args, i);
    int missing = x.rank - row.rank;
    bool fits = !row.present() || (missing >= 0 && isFloat(row.dtype));
    for (int d = 0; fits && d < row.rank; ++d)
      fits = row.dims[d] == 1 ||
             (missing + d >= normal && row.dims[d] == x.dims[missing + d]);
    if (!fits)
      return badPlan("scale or bias of shape " + shapeText(row) +
                     " does not broadcast to axes from " +
                     std::to_string(normal) + " of " + shapeText(x));
  }
  return normal;
}

NormKernel::Buffers NormKernel::cut(Scratch &scratch, const KernelArgs &args,
                                    int axis, int numThreads) const {
  const TensorView &x = args.inputs[0];
  int64_t count = productOf(x, axis, x.rank);
  Buffers buffers;
  buffers.scale = scratch.take<double>(count);
  buffers.bias = scratch.take<double>(count);
  buffers.rows =
      scratch.take<float>(x.dtype == DType::F32 ? 0 : numThreads * 2 * count);
  return buffers;
}

/// The scale or bias stretched to the normalized dimensions, as a row of T: in
/// place if possible.
template <typename T>
static const T *parameterRow(const TensorView &row, const TensorView &x,
                             int axis, void *buffer) {
  if (!row.present())
    return nullptr;
  int64_t count = productOf(x, axis, x.rank);
  if (row.dtype == (sizeof(T) == 4 ? DType::F32 : DType::F64) &&
      row.numElements() == count && row.isContiguous())
    return dataOf<T>(row);
  int missing = x.rank - row.rank;
  T *out = static_cast<T *>(buffer);
  visitElementType(row.dtype, [&]<typename R>() {
    const R *from = dataOf<R>(row);
    for (int64_t i = 0; i < count; ++i) {
      int64_t offset = 0, rest = i;
      for (int d = x.rank - 1; d >= axis; --d) {
        if (d >= missing && row.dims[d - missing] != 1)
          offset += rest % x.dims[d] * row.strides[d - missing];
        rest /= x.dims[d];
      }
      out[i] = static_cast<T>(Element<R>::load(from[offset]));
    }
  });
  return out;
}

void NormKernel::normRow(const float *x, const float *scale, const float *bias,
                         float *y, int64_t count) const {
  auto function = kind == NormKind::Layer ? isa.layerNormRow : isa.rmsNormRow;
  function(x, scale, bias, static_cast<float>(epsilon), y, count);
}

void NormKernel::normRowF64(const double *x, const double *scale,
                            const double *bias, double *y,
                            int64_t count) const {
  double mean = 0, square = 0;
  if (kind == NormKind::Layer) {
    for (int64_t i = 0; i < count; ++i)
      mean += x[i];
    mean /= static_cast<double>(count);
  }
  for (int64_t i = 0; i < count; ++i)
    square += (x[i] - mean) * (x[i] - mean);
  double factor = 1 / std::sqrt(square / static_cast<double>(count) + epsilon);
  for (int64_t i = 0; i < count; ++i)
    y[i] =
        (x[i] - mean) * factor * (scale ? scale[i] : 1) + (bias ? bias[i] : 0);
}

Status NormKernel::run(const KernelArgs &args, StepContext &context) const {
  const TensorView &x = args.inputs[0], &out = args.outputs[0];
  MOE_ASSIGN_OR_RETURN(int normal, check(args));
  MOE_RETURN_IF_ERROR(expectContiguous(x, "x"));
  MOE_RETURN_IF_ERROR(expectContiguous(out, "result"));
  Scratch scratch(context.workspace);
  Buffers buffers = cut(scratch, args, normal, context.pool.numThreads());
  if (!scratch.fits())
    return expectWorkspace(context, *scratch.bytes());
  const float *scale = nullptr, *bias = nullptr;
  const double *scaleF64 = nullptr, *biasF64 = nullptr;
  if (x.dtype == DType::F64) {
    scaleF64 =
        parameterRow<double>(inputOrAbsent(args, 1), x, normal, buffers.scale);
    biasF64 =
        parameterRow<double>(inputOrAbsent(args, 2), x, normal, buffers.bias);
  } else {
    scale =
        parameterRow<float>(inputOrAbsent(args, 1), x, normal, buffers.scale);
    bias = parameterRow<float>(inputOrAbsent(args, 2), x, normal, buffers.bias);
  }
  int64_t count = productOf(x, normal, x.rank);
  int64_t size = static_cast<int64_t>(dtypeSize(x.dtype));
  auto body = [&](int64_t begin, int64_t end, int thread) {
    float *values = buffers.rows + thread * 2 * count;
    for (int64_t row = begin; row < end; ++row) {
      const std::byte *from = blockData(x) + row * count * size;
      std::byte *to = out.as<std::byte>() + row * count * size;
      if (x.dtype == DType::F64) {
        normRowF64(reinterpret_cast<const double *>(from), scaleF64, biasF64,
                   reinterpret_cast<double *>(to), count);
      } else if (x.dtype == DType::F32) {
        normRow(reinterpret_cast<const float *>(from), scale, bias,
                reinterpret_cast<float *>(to), count);
      } else {
        isa.toF32(x.dtype, from, values, count);
        normRow(values, scale, bias, values + count, count);
        isa.fromF32(x.dtype, values + count, to, count);
      }
    }
  };
  forRange(context.pool, productOf(x, 0, normal),
           4.0 * static_cast<double>(count), body);
  return Status::ok();
}

//===----------------------------------------------------------------------===//
// mix
//===----------------------------------------------------------------------===//

Status MixKernel::check(const KernelArgs &args) const {
  const TensorView &experts = args.inputs[0], &dense = args.inputs[1];
  const TensorView &gate = inputOrAbsent(args, 2), &out = args.outputs[0];
  MOE_RETURN_IF_ERROR(expectSameShape(experts, dense, "experts and dense"));
  MOE_RETURN_IF_ERROR(expectSameShape(experts, out, "experts and result"));
  MOE_RETURN_IF_ERROR(expectDType(dense, experts.dtype, "dense"));
  MOE_RETURN_IF_ERROR(expectDType(out, experts.dtype, "result"));
  if (!isFloat(out.dtype) || out.dtype == DType::F64)
    return unsupported("elements " + std::string(dtypeName(out.dtype)));
  if (out.rank < 1)
    return badPlan("operands have no dimension");
  MOE_RETURN_IF_ERROR(expectContiguous(experts, "experts"));
  MOE_RETURN_IF_ERROR(expectContiguous(dense, "dense"));
  MOE_RETURN_IF_ERROR(expectContiguous(out, "result"));
  if (kind == MixKind::Add)
    return Status::ok();
  int64_t gates = kind == MixKind::Residual ? 2 : 1;
  if (gate.rank != out.rank || gate.dims[gate.rank - 1] != gates ||
      !std::equal(out.dims, out.dims + out.rank - 1, gate.dims) ||
      !isFloat(gate.dtype) || gate.dtype == DType::F64)
    return badPlan("gate has shape " + shapeText(gate) + ", expected " +
                   std::to_string(gates) + " for each row of " +
                   shapeText(out));
  return expectContiguous(gate, "gate");
}

float *MixKernel::cut(Scratch &scratch, const KernelArgs &args,
                      int numThreads) {
  const TensorView &out = args.outputs[0];
  int64_t count = out.dims[out.rank - 1];
  return scratch.take<float>(out.dtype == DType::F32 ? 0
                                                     : numThreads * 2 * count);
}

void MixKernel::coefficients(const float *gate, float &experts,
                             float &dense) const {
  experts = dense = 1;
  if (kind == MixKind::Residual) {
    float both[2];
    isa.softmaxRow(gate, both, 2, false);
    experts = both[0];
    dense = both[1];
  } else if (kind == MixKind::SigmoidGate) {
    isa.sigmoidRow(gate, &dense, 1);
  }
}

Status MixKernel::run(const KernelArgs &args, StepContext &context) const {
  MOE_RETURN_IF_ERROR(check(args));
  const TensorView &out = args.outputs[0], &gate = inputOrAbsent(args, 2);
  Scratch scratch(context.workspace);
  float *buffers = cut(scratch, args, context.pool.numThreads());
  if (!scratch.fits())
    return expectWorkspace(context, *scratch.bytes());
  int64_t count = out.dims[out.rank - 1];
  int64_t size = static_cast<int64_t>(dtypeSize(out.dtype));
  int64_t gates = kind == MixKind::Residual ? 2 : 1;
  RowVector gateRow{gate.present() ? blockData(gate) : nullptr, gate.dtype};
  RowVector experts{blockData(args.inputs[0]), out.dtype};
  RowVector dense{blockData(args.inputs[1]), out.dtype};
  auto body = [&](int64_t begin, int64_t end, int thread) {
    float *values = buffers + thread * 2 * count;
    for (int64_t row = begin; row < end; ++row) {
      float gateScratch[2], a, b;
      coefficients(kind == MixKind::Add
                       ? nullptr
                       : gateRow.read(isa, row * gates, gates, gateScratch),
                   a, b);
      const float *x = experts.read(isa, row * count, count, values);
      const float *y = dense.read(isa, row * count, count, values + count);
      std::byte *to = out.as<std::byte>() + row * count * size;
      float *sum =
          out.dtype == DType::F32 ? reinterpret_cast<float *>(to) : values;
      isa.scaleRow(a, x, sum, count);
      isa.axpyRow(b, y, sum, count);
      if (out.dtype != DType::F32)
        isa.fromF32(out.dtype, sum, to, count);
    }
  };
  forRange(context.pool, productOf(out, 0, out.rank - 1),
           4.0 * static_cast<double>(count), body);
  return Status::ok();
}

//===----------------------------------------------------------------------===//
// Registration
//===----------------------------------------------------------------------===//

static StatusOr<std::unique_ptr<Kernel>> createSoftmax(const KernelSpec &spec,
                                                       const Isa &isa) {
  MOE_RETURN_IF_ERROR(checkOperands(spec, 1, 1, 1));
  StepAttributes attributes(spec.step);
  MOE_ASSIGN_OR_RETURN(int64_t axis, attributes.getInt("axis"));
  MOE_ASSIGN_OR_RETURN(bool log, attributes.getBool("log", false));
  MOE_RETURN_IF_ERROR(attributes.checkAllRead());
  return std::unique_ptr<Kernel>(
      std::make_unique<SoftmaxKernel>(spec, isa, axis, log));
}

static StatusOr<std::unique_ptr<Kernel>> createNorm(const KernelSpec &spec,
                                                    const Isa &isa) {
  MOE_RETURN_IF_ERROR(checkOperands(spec, 1, 3, 1));
  StepAttributes attributes(spec.step);
  MOE_ASSIGN_OR_RETURN(NormKind kind, attributes.getEnum<NormKind>(
                                          "kind", {{"layer", NormKind::Layer},
                                                   {"rms", NormKind::Rms}}));
  MOE_ASSIGN_OR_RETURN(int64_t axis, attributes.getInt("axis"));
  MOE_ASSIGN_OR_RETURN(double epsilon, attributes.getFloat("epsilon"));
  MOE_RETURN_IF_ERROR(attributes.checkAllRead());
  return std::unique_ptr<Kernel>(
      std::make_unique<NormKernel>(spec, isa, kind, axis, epsilon));
}

static StatusOr<std::unique_ptr<Kernel>> createMix(const KernelSpec &spec,
                                                   const Isa &isa) {
  MOE_RETURN_IF_ERROR(checkOperands(spec, 2, 3, 1));
  StepAttributes attributes(spec.step);
  MOE_ASSIGN_OR_RETURN(MixKind kind,
                       attributes.getEnum<MixKind>(
                           "kind", {{"residual", MixKind::Residual},
                                    {"add", MixKind::Add},
                                    {"sigmoid_gate", MixKind::SigmoidGate}}));
  MOE_RETURN_IF_ERROR(attributes.checkAllRead());
  return std::unique_ptr<Kernel>(std::make_unique<MixKernel>(spec, isa, kind));
}

void registerRows(KernelRegistry &registry, const Isa &isa) {
  registry.add("softmax", [&isa](const KernelSpec &spec) {
    return createSoftmax(spec, isa);
  });
  registry.add(
      "norm", [&isa](const KernelSpec &spec) { return createNorm(spec, isa); });
  registry.add("mix",
               [&isa](const KernelSpec &spec) { return createMix(spec, isa); });
}

} // namespace moe::cpu
