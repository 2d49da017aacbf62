//===- TopK.cpp - top_k ---------------------------------------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/kernels/cpu/Element.h"
#include "runtime/kernels/cpu/Kernels.h"
#include "runtime/kernels/cpu/Support.h"
#include "runtime/plan/StepAttributes.h"

namespace moe::cpu {

namespace {

class TopKKernel : public CpuKernel {
public:
  TopKKernel(const KernelSpec &spec, const Isa &isa, int64_t axis, bool largest)
      : CpuKernel(spec, isa), axis(axis), largest(largest) {}
  StatusOr<size_t> workspaceBytes(const KernelArgs &args,
                                  int numThreads) const override {
    MOE_ASSIGN_OR_RETURN(int normal, check(args));
    Scratch scratch;
    scratch.take<int64_t>(numThreads * args.inputs[0].dims[normal]);
    return scratch.bytes();
  }
  Status run(const KernelArgs &args, StepContext &context) const override;

private:
  StatusOr<int> check(const KernelArgs &args) const;
  StatusOr<int64_t> sizeOf(const KernelArgs &args, StepContext &context,
                           int axis) const;
  template <typename T>
  void sortRow(const T *row, int64_t stride, int64_t count, int64_t k,
               int64_t *order) const;

  int64_t axis;
  bool largest;
};

} // namespace

StatusOr<int> TopKKernel::check(const KernelArgs &args) const {
  const TensorView &x = args.inputs[0];
  int normal = normalAxis(axis, x.rank);
  if (normal < 0)
    return badPlan("axis " + std::to_string(axis) + " of " + shapeText(x));
  MOE_RETURN_IF_ERROR(expectDType(args.outputs[0], x.dtype, "values"));
  MOE_RETURN_IF_ERROR(expectDType(args.outputs[1], DType::I64, "indices"));
  for (const TensorView &out : args.outputs) {
    bool fits = out.rank == x.rank;
    for (int i = 0; fits && i < x.rank; ++i)
      fits = i == normal || out.dims[i] == x.dims[i];
    if (!fits)
      return badPlan("the result of shape " + shapeText(out) +
                     " does not fit " + shapeText(x));
  }
  return normal;
}

StatusOr<int64_t> TopKKernel::sizeOf(const KernelArgs &args,
                                     StepContext &context, int normal) const {
  const TensorView &k = inputOrAbsent(args, 1), &x = args.inputs[0];
  int64_t size = args.outputs[0].dims[normal];
  if (k.present()) {
    if (k.numElements() != 1)
      return badPlan("k has shape " + shapeText(k) + ", expected one element");
    int64_t value = integerAt(k.dtype, blockData(k), 0);
    if (value < 0 || value > size)
      return Status(StatusCode::BadModel,
                    name + ": k is " + std::to_string(value) +
                        ", expected at most " + std::to_string(size));
    size = value;
  }
  if (size > x.dims[normal])
    return Status(StatusCode::BadModel,
                  name + ": k is " + std::to_string(size) + ", but axis " +
                      std::to_string(normal) + " of " + shapeText(x) +
                      " has fewer elements");
  if (!context.dataSizes.empty())
    context.dataSizes[0] = size;
  else if (size != args.outputs[0].dims[normal])
    return badPlan("k is " + std::to_string(size) + ", but the results have " +
                   std::to_string(args.outputs[0].dims[normal]) + " elements");
  return size;
}

/// The first k entries of `order` become the indices of the k best elements in
/// order. NaN counts as larger than everything.
template <typename T>
void TopKKernel::sortRow(const T *row, int64_t stride, int64_t count, int64_t k,
                         int64_t *order) const {
  for (int64_t i = 0; i < count; ++i)
    order[i] = i;
  auto isBefore = [&](int64_t a, int64_t b) {
    auto x = Element<T>::load(row[a * stride]);
    auto y = Element<T>::load(row[b * stride]);
    bool xIsNan = x != x, yIsNan = y != y;
    if (xIsNan || yIsNan)
      return xIsNan != yIsNan ? xIsNan == largest : a < b;
    if (x != y)
      return largest ? x > y : x < y;
    return a < b;
  };
  std::partial_sort(order, order + k, order + count, isBefore);
}

Status TopKKernel::run(const KernelArgs &args, StepContext &context) const {
  const TensorView &x = args.inputs[0];
  const TensorView &values = args.outputs[0], &indices = args.outputs[1];
  MOE_ASSIGN_OR_RETURN(int normal, check(args));
  MOE_RETURN_IF_ERROR(expectContiguous(x, "x"));
  MOE_RETURN_IF_ERROR(expectContiguous(values, "values"));
  MOE_RETURN_IF_ERROR(expectContiguous(indices, "indices"));
  int64_t count = x.dims[normal];
  int64_t inner = productOf(x, normal + 1, x.rank);
  Scratch scratch(context.workspace);
  int64_t *orders = scratch.take<int64_t>(context.pool.numThreads() * count);
  if (!scratch.fits())
    return expectWorkspace(context, *scratch.bytes());
  MOE_ASSIGN_OR_RETURN(int64_t k, sizeOf(args, context, normal));
  visitElementType(x.dtype, [&]<typename T>() {
    const T *from = dataOf<T>(x);
    auto body = [&](int64_t begin, int64_t end, int thread) {
      int64_t *order = orders + thread * count;
      for (int64_t row = begin; row < end; ++row) {
        const T *base = from + row / inner * count * inner + row % inner;
        int64_t to = row / inner * k * inner + row % inner;
        sortRow(base, inner, count, k, order);
        for (int64_t i = 0; i < k; ++i) {
          values.as<T>()[to + i * inner] = base[order[i] * inner];
          indices.as<int64_t>()[to + i * inner] = order[i];
        }
      }
    };
    forRange(context.pool, productOf(x, 0, normal) * inner,
             8.0 * static_cast<double>(count), body);
  });
  return Status::ok();
}

static StatusOr<std::unique_ptr<Kernel>> createTopK(const KernelSpec &spec,
                                                    const Isa &isa) {
  MOE_RETURN_IF_ERROR(checkOperands(spec, 1, 2, 2));
  StepAttributes attributes(spec.step);
  MOE_ASSIGN_OR_RETURN(int64_t axis, attributes.getInt("axis"));
  MOE_ASSIGN_OR_RETURN(bool largest, attributes.getBool("largest", true));
  MOE_RETURN_IF_ERROR(attributes.checkAllRead());
  return std::unique_ptr<Kernel>(
      std::make_unique<TopKKernel>(spec, isa, axis, largest));
}

void registerTopK(KernelRegistry &registry, const Isa &isa) {
  registry.add("top_k", [&isa](const KernelSpec &spec) {
    return createTopK(spec, isa);
  });
}

} // namespace moe::cpu
