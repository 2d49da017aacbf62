//===- Generate.cpp - shape, iota, range, one_hot, trilu, non_zero --------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Kernels whose elements follow from positions. Those whose size is a value
// report it in StepContext::dataSizes.
//
//===----------------------------------------------------------------------===//

#include "runtime/kernels/cpu/Element.h"
#include "runtime/kernels/cpu/Kernels.h"
#include "runtime/kernels/cpu/Support.h"
#include "runtime/plan/StepAttributes.h"

#include <cmath>
#include <cstring>

namespace moe::cpu {

namespace {

class ShapeKernel : public CpuKernel {
public:
  ShapeKernel(const KernelSpec &spec, const Isa &isa, size_t numDims)
      : CpuKernel(spec, isa), numDims(numDims) {}
  Status run(const KernelArgs &args, StepContext &context) const override;

private:
  size_t numDims;
};

class IotaKernel : public CpuKernel {
public:
  IotaKernel(const KernelSpec &spec, const Isa &isa, int64_t step)
      : CpuKernel(spec, isa), step(step) {}
  Status run(const KernelArgs &args, StepContext &context) const override;

private:
  int64_t step;
};

class RangeKernel : public CpuKernel {
public:
  using CpuKernel::CpuKernel;
  Status run(const KernelArgs &args, StepContext &context) const override;
};

class OneHotKernel : public CpuKernel {
public:
  OneHotKernel(const KernelSpec &spec, const Isa &isa, int64_t axis)
      : CpuKernel(spec, isa), axis(axis) {}
  Status run(const KernelArgs &args, StepContext &context) const override;

private:
  StatusOr<int64_t> depthOf(const KernelArgs &args, StepContext &context,
                            int axis) const;

  int64_t axis;
};

class TriluKernel : public CpuKernel {
public:
  TriluKernel(const KernelSpec &spec, const Isa &isa, bool upper,
              bool negateDiagonal)
      : CpuKernel(spec, isa), upper(upper), negateDiagonal(negateDiagonal) {}
  Status run(const KernelArgs &args, StepContext &context) const override;

private:
  bool upper, negateDiagonal;
};

class NonZeroKernel : public CpuKernel {
public:
  using CpuKernel::CpuKernel;
  Status run(const KernelArgs &args, StepContext &context) const override;
};

} // namespace

//===----------------------------------------------------------------------===//
// shape, iota, range
//===----------------------------------------------------------------------===//

Status ShapeKernel::run(const KernelArgs &args, StepContext &context) const {
  const TensorView &out = args.outputs[0];
  MOE_RETURN_IF_ERROR(expectContiguous(out, "result"));
  if (out.rank > 1 || out.numElements() != static_cast<int64_t>(numDims))
    return badPlan("the result has shape " + shapeText(out) + ", expected " +
                   std::to_string(numDims) + " elements");
  MOE_ASSIGN_OR_RETURN(std::span<const int64_t> dims,
                       exprs(context, "dims", numDims));
  visitElementType(out.dtype, [&]<typename T>() {
    using W = typename Element<T>::Wide;
    for (size_t i = 0; i < numDims; ++i)
      out.as<T>()[i] = Element<T>::store(static_cast<W>(dims[i]));
  });
  return Status::ok();
}

Status IotaKernel::run(const KernelArgs &args, StepContext &context) const {
  const TensorView &out = args.outputs[0];
  MOE_RETURN_IF_ERROR(expectRank(out, 1, "result"));
  MOE_RETURN_IF_ERROR(expectContiguous(out, "result"));
  MOE_ASSIGN_OR_RETURN(std::span<const int64_t> start,
                       exprs(context, "start", 1));
  visitElementType(out.dtype, [&]<typename T>() {
    using W = typename Element<T>::Wide;
    for (int64_t i = 0; i < out.dims[0]; ++i) {
      uint64_t value = static_cast<uint64_t>(start[0]) +
                       static_cast<uint64_t>(i) * static_cast<uint64_t>(step);
      out.as<T>()[i] =
          Element<T>::store(static_cast<W>(static_cast<int64_t>(value)));
    }
  });
  return Status::ok();
}

/// max(0, ceil((limit - start) / delta)); -1 if that is no number.
template <typename W> static int64_t rangeLength(W start, W limit, W delta) {
  if constexpr (std::is_floating_point_v<W>) {
    double length = std::ceil((limit - start) / delta);
    if (std::isnan(length) || length > 0x1p62)
      return -1;
    return length < 0 ? 0 : static_cast<int64_t>(length);
  } else {
    if (delta == 0)
      return -1;
    bool isUp = delta > 0;
    if (isUp ? start >= limit : start <= limit)
      return 0;
    uint64_t distance = isUp ? uint64_t(limit) - uint64_t(start)
                             : uint64_t(start) - uint64_t(limit);
    uint64_t step = isUp ? uint64_t(delta) : uint64_t(0) - uint64_t(delta);
    uint64_t length = distance / step + (distance % step != 0);
    return length > (uint64_t(1) << 62) ? -1 : static_cast<int64_t>(length);
  }
}

Status RangeKernel::run(const KernelArgs &args, StepContext &context) const {
  const TensorView &out = args.outputs[0];
  MOE_RETURN_IF_ERROR(expectRank(out, 1, "result"));
  MOE_RETURN_IF_ERROR(expectContiguous(out, "result"));
  for (const TensorView &bound : args.inputs) {
    MOE_RETURN_IF_ERROR(expectDType(bound, out.dtype, "bound"));
    if (bound.numElements() != 1)
      return badPlan("a bound has shape " + shapeText(bound) +
                     ", expected one element");
  }
  return visitElementType(out.dtype, [&]<typename T>() {
    auto value = [&](int i) {
      return Element<T>::load(dataOf<T>(args.inputs[i])[0]);
    };
    auto start = value(0), delta = value(2);
    int64_t length = rangeLength(start, value(1), delta);
    bool isLearned = !context.dataSizes.empty();
    if (length < 0 ||
        (isLearned ? length > out.dims[0] : length != out.dims[0]))
      return Status(StatusCode::BadModel,
                    name + ": the bounds give " + std::to_string(length) +
                        " elements, expected " + (isLearned ? "at most " : "") +
                        std::to_string(out.dims[0]));
    if (isLearned)
      context.dataSizes[0] = length;
    using W = decltype(start);
    for (int64_t i = 0; i < length; ++i) {
      if constexpr (std::is_floating_point_v<W>)
        out.as<T>()[i] = Element<T>::store(start + static_cast<W>(i) * delta);
      else
        out.as<T>()[i] = Element<T>::store(static_cast<W>(
            uint64_t(start) + static_cast<uint64_t>(i) * uint64_t(delta)));
    }
    return Status::ok();
  });
}

//===----------------------------------------------------------------------===//
// one_hot
//===----------------------------------------------------------------------===//

StatusOr<int64_t> OneHotKernel::depthOf(const KernelArgs &args,
                                        StepContext &context,
                                        int normal) const {
  const TensorView &depth = inputOrAbsent(args, 2);
  int64_t size = args.outputs[0].dims[normal];
  if (!depth.present())
    return size;
  if (depth.numElements() != 1)
    return badPlan("depth has shape " + shapeText(depth) +
                   ", expected one element");
  int64_t value = integerAt(depth.dtype, blockData(depth), 0);
  bool isLearned = !context.dataSizes.empty();
  if (value < 0 || (isLearned ? value > size : value != size))
    return Status(StatusCode::BadModel,
                  name + ": depth is " + std::to_string(value) + ", expected " +
                      (isLearned ? "at most " : "") + std::to_string(size));
  if (isLearned)
    context.dataSizes[0] = value;
  return value;
}

Status OneHotKernel::run(const KernelArgs &args, StepContext &context) const {
  const TensorView &indices = args.inputs[0], &values = args.inputs[1];
  const TensorView &out = args.outputs[0];
  int normal = normalAxis(axis, out.rank);
  if (normal < 0 || out.rank != indices.rank + 1)
    return badPlan("axis " + std::to_string(axis) + " of " + shapeText(out) +
                   " for indices " + shapeText(indices));
  MOE_RETURN_IF_ERROR(expectDType(values, out.dtype, "values"));
  if (values.numElements() != 2)
    return badPlan("values has shape " + shapeText(values) + ", expected [2]");
  MOE_RETURN_IF_ERROR(expectContiguous(indices, "indices"));
  MOE_RETURN_IF_ERROR(expectContiguous(values, "values"));
  MOE_RETURN_IF_ERROR(expectContiguous(out, "result"));
  int64_t outer = productOf(indices, 0, normal);
  int64_t inner = productOf(indices, normal, indices.rank);
  if (productOf(out, 0, normal) != outer ||
      productOf(out, normal + 1, out.rank) != inner)
    return badPlan("the result of shape " + shapeText(out) +
                   " does not fit indices " + shapeText(indices));
  MOE_ASSIGN_OR_RETURN(int64_t depth, depthOf(args, context, normal));
  visitElementType(out.dtype, [&]<typename T>() {
    T off = dataOf<T>(values)[0], on = dataOf<T>(values)[1];
    T *to = out.as<T>();
    forRange(
        context.pool, outer, static_cast<double>(depth * inner),
        [&](int64_t begin, int64_t end, int) {
          std::fill(to + begin * depth * inner, to + end * depth * inner, off);
          for (int64_t i = begin * inner; i < end * inner; ++i) {
            int64_t index = integerAt(indices.dtype, blockData(indices), i);
            index += index < 0 ? depth : 0;
            if (index >= 0 && index < depth)
              to[(i / inner * depth + index) * inner + i % inner] = on;
          }
        });
  });
  return Status::ok();
}

//===----------------------------------------------------------------------===//
// trilu, non_zero
//===----------------------------------------------------------------------===//

Status TriluKernel::run(const KernelArgs &args, StepContext &context) const {
  const TensorView &x = args.inputs[0], &out = args.outputs[0];
  MOE_RETURN_IF_ERROR(expectSameShape(x, out, "operand and result"));
  MOE_RETURN_IF_ERROR(expectDType(out, x.dtype, "result"));
  if (x.rank < 2)
    return badPlan("x has shape " + shapeText(x) + ", expected a matrix");
  MOE_RETURN_IF_ERROR(expectContiguous(x, "x"));
  MOE_RETURN_IF_ERROR(expectContiguous(out, "result"));
  MOE_ASSIGN_OR_RETURN(std::span<const int64_t> exprValues,
                       exprs(context, "diagonal", 1));
  int64_t rows = x.dims[x.rank - 2], columns = x.dims[x.rank - 1];
  // Beyond the matrix, one diagonal is like another.
  int64_t diagonal = std::clamp(exprValues[0], -rows - columns, rows + columns);
  if (negateDiagonal)
    diagonal = -diagonal;
  visitElementType(x.dtype, [&]<typename T>() {
    const T *from = dataOf<T>(x);
    T *to = out.as<T>();
    forRange(context.pool, productOf(x, 0, x.rank - 1),
             static_cast<double>(columns),
             [&](int64_t begin, int64_t end, int) {
               for (int64_t row = begin; row < end; ++row) {
                 // upper keeps j >= i + diagonal, lower j <= i + diagonal.
                 int64_t border = row % rows + diagonal + (upper ? 0 : 1);
                 border = std::clamp<int64_t>(border, 0, columns);
                 const T *a = from + row * columns;
                 T *y = to + row * columns;
                 if (upper) {
                   std::fill(y, y + border, T{});
                   std::copy(a + border, a + columns, y + border);
                 } else {
                   std::copy(a, a + border, y);
                   std::fill(y + border, y + columns, T{});
                 }
               }
             });
  });
  return Status::ok();
}

Status NonZeroKernel::run(const KernelArgs &args, StepContext &context) const {
  const TensorView &x = args.inputs[0], &out = args.outputs[0];
  MOE_RETURN_IF_ERROR(expectDType(out, DType::I64, "result"));
  MOE_RETURN_IF_ERROR(expectContiguous(x, "x"));
  MOE_RETURN_IF_ERROR(expectContiguous(out, "result"));
  if (out.rank != 2 || out.dims[0] != x.rank)
    return badPlan("the result has shape " + shapeText(out) +
                   ", expected as many rows as x " + shapeText(x) +
                   " has dimensions");
  return visitElementType(x.dtype, [&]<typename T>() {
    const T *from = dataOf<T>(x);
    int64_t elements = x.numElements(), found = 0;
    for (int64_t i = 0; i < elements; ++i)
      found += Element<T>::load(from[i]) != 0;
    bool isLearned = !context.dataSizes.empty();
    if (isLearned ? found > out.dims[1] : found != out.dims[1])
      return Status(StatusCode::BadModel,
                    name + ": " + std::to_string(found) +
                        " elements are not zero, expected " +
                        (isLearned ? "at most " : "") +
                        std::to_string(out.dims[1]));
    if (isLearned)
      context.dataSizes[0] = found;
    int64_t column = 0;
    for (int64_t i = 0; i < elements; ++i) {
      if (Element<T>::load(from[i]) == 0)
        continue;
      for (int64_t d = x.rank - 1, rest = i; d >= 0; --d) {
        out.as<int64_t>()[d * found + column] = rest % x.dims[d];
        rest /= x.dims[d];
      }
      ++column;
    }
    return Status::ok();
  });
}

//===----------------------------------------------------------------------===//
// Registration
//===----------------------------------------------------------------------===//

static StatusOr<std::unique_ptr<Kernel>> createShape(const KernelSpec &spec,
                                                     const Isa &isa) {
  MOE_RETURN_IF_ERROR(checkOperands(spec, 0, 0, 1));
  StepAttributes attributes(spec.step);
  MOE_ASSIGN_OR_RETURN(size_t numDims, attributes.getNumExprs("dims"));
  MOE_RETURN_IF_ERROR(attributes.checkAllRead());
  return std::unique_ptr<Kernel>(
      std::make_unique<ShapeKernel>(spec, isa, numDims));
}

static StatusOr<std::unique_ptr<Kernel>> createIota(const KernelSpec &spec,
                                                    const Isa &isa) {
  MOE_RETURN_IF_ERROR(checkOperands(spec, 0, 0, 1));
  StepAttributes attributes(spec.step);
  MOE_RETURN_IF_ERROR(attributes.getNumExprs("start").status());
  MOE_ASSIGN_OR_RETURN(int64_t step, attributes.getInt("step", 1));
  MOE_RETURN_IF_ERROR(attributes.checkAllRead());
  return std::unique_ptr<Kernel>(std::make_unique<IotaKernel>(spec, isa, step));
}

static StatusOr<std::unique_ptr<Kernel>> createOneHot(const KernelSpec &spec,
                                                      const Isa &isa) {
  MOE_RETURN_IF_ERROR(checkOperands(spec, 2, 3, 1));
  StepAttributes attributes(spec.step);
  MOE_ASSIGN_OR_RETURN(int64_t axis, attributes.getInt("axis"));
  MOE_RETURN_IF_ERROR(attributes.checkAllRead());
  return std::unique_ptr<Kernel>(
      std::make_unique<OneHotKernel>(spec, isa, axis));
}

static StatusOr<std::unique_ptr<Kernel>> createTrilu(const KernelSpec &spec,
                                                     const Isa &isa) {
  MOE_RETURN_IF_ERROR(checkOperands(spec, 1, 1, 1));
  StepAttributes attributes(spec.step);
  MOE_ASSIGN_OR_RETURN(bool upper, attributes.getBool("upper"));
  MOE_ASSIGN_OR_RETURN(bool negate,
                       attributes.getBool("negate_diagonal", false));
  MOE_RETURN_IF_ERROR(attributes.getNumExprs("diagonal").status());
  MOE_RETURN_IF_ERROR(attributes.checkAllRead());
  return std::unique_ptr<Kernel>(
      std::make_unique<TriluKernel>(spec, isa, upper, negate));
}

template <typename K>
static KernelFactory plainFactory(const Isa &isa, size_t numInputs) {
  return [&isa, numInputs](
             const KernelSpec &spec) -> StatusOr<std::unique_ptr<Kernel>> {
    MOE_RETURN_IF_ERROR(checkOperands(spec, numInputs, numInputs, 1));
    MOE_RETURN_IF_ERROR(StepAttributes(spec.step).checkAllRead());
    return std::unique_ptr<Kernel>(std::make_unique<K>(spec, isa));
  };
}

void registerGenerate(KernelRegistry &registry, const Isa &isa) {
  registry.add("shape", [&isa](const KernelSpec &spec) {
    return createShape(spec, isa);
  });
  registry.add(
      "iota", [&isa](const KernelSpec &spec) { return createIota(spec, isa); });
  registry.add("range", plainFactory<RangeKernel>(isa, 3));
  registry.add("one_hot", [&isa](const KernelSpec &spec) {
    return createOneHot(spec, isa);
  });
  registry.add("trilu", [&isa](const KernelSpec &spec) {
    return createTrilu(spec, isa);
  });
  registry.add("non_zero", plainFactory<NonZeroKernel>(isa, 1));
}

} // namespace moe::cpu
