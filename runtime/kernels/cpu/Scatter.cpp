//===- Scatter.cpp - scatter_elements, scatter_nd -------------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Updates are applied one after the other in row-major order, in one thread:
// indices may repeat, and the result must not depend on threads.
//
//===----------------------------------------------------------------------===//

#include "runtime/kernels/cpu/Element.h"
#include "runtime/kernels/cpu/Indices.h"
#include "runtime/kernels/cpu/Kernels.h"
#include "runtime/kernels/cpu/StridedCopy.h"
#include "runtime/kernels/cpu/Support.h"
#include "runtime/plan/StepAttributes.h"

#include <cstring>

namespace moe::cpu {

namespace {

enum class ScatterKind : uint8_t { None, Add, Mul, Max, Min };

class ScatterElementsKernel : public CpuKernel {
public:
  ScatterElementsKernel(const KernelSpec &spec, const Isa &isa, int64_t axis,
                        ScatterKind kind)
      : CpuKernel(spec, isa), axis(axis), kind(kind) {}
  Status run(const KernelArgs &args, StepContext &context) const override;

private:
  int64_t axis;
  ScatterKind kind;
};

class ScatterNdKernel : public CpuKernel {
public:
  ScatterNdKernel(const KernelSpec &spec, const Isa &isa, ScatterKind kind)
      : CpuKernel(spec, isa), kind(kind) {}
  Status run(const KernelArgs &args, StepContext &context) const override;

private:
  ScatterKind kind;
};

} // namespace

template <typename T>
static void update(ScatterKind kind, T &element, const T &value) {
  if (kind == ScatterKind::None) {
    element = value;
    return;
  }
  auto a = Element<T>::load(element), b = Element<T>::load(value);
  using W = decltype(a);
  // Integers wrap around.
  using U = std::conditional_t<std::is_floating_point_v<W>, W, uint64_t>;
  switch (kind) {
  case ScatterKind::None:
    return;
  case ScatterKind::Add:
    element = Element<T>::store(static_cast<W>(U(a) + U(b)));
    return;
  case ScatterKind::Mul:
    element = Element<T>::store(static_cast<W>(U(a) * U(b)));
    return;
  case ScatterKind::Max:
    element = b > a || b != b ? value : element;
    return;
  case ScatterKind::Min:
    element = b < a || b != b ? value : element;
    return;
  }
}

Status ScatterElementsKernel::run(const KernelArgs &args,
                                  StepContext &context) const {
  const TensorView &data = args.inputs[0], &indices = args.inputs[1];
  const TensorView &updates = args.inputs[2], &out = args.outputs[0];
  int normal = normalAxis(axis, data.rank);
  if (normal < 0)
    return badPlan("axis " + std::to_string(axis) + " of " + shapeText(data));
  MOE_RETURN_IF_ERROR(expectSameShape(data, out, "data and result"));
  MOE_RETURN_IF_ERROR(expectSameShape(indices, updates, "indices and updates"));
  MOE_RETURN_IF_ERROR(expectRank(indices, data.rank, "indices"));
  for (int i = 0; i < data.rank; ++i)
    if (i != normal && indices.dims[i] > data.dims[i])
      return badPlan("indices " + shapeText(indices) + " of data " +
                     shapeText(data));
  MOE_RETURN_IF_ERROR(expectDType(out, data.dtype, "result"));
  MOE_RETURN_IF_ERROR(expectDType(updates, data.dtype, "updates"));
  MOE_RETURN_IF_ERROR(expectContiguous(indices, "indices"));
  MOE_RETURN_IF_ERROR(expectContiguous(updates, "updates"));
  MOE_RETURN_IF_ERROR(expectContiguous(out, "result"));
  if (blockData(data) != out.as<std::byte>())
    copyStrided(context.pool, CopyBox(data, out));
  int64_t count = updates.numElements(), size = data.dims[normal];
  IndexReader reader(indices);
  if (count > 0)
    MOE_RETURN_IF_ERROR(reader.checkAll(size, name));
  visitElementType(data.dtype, [&]<typename T>() {
    const T *from = dataOf<T>(updates);
    T *to = out.as<T>();
    for (int64_t i = 0; i < count; ++i) {
      int64_t offset = 0, rest = i;
      for (int d = out.rank - 1; d >= 0; --d) {
        int64_t at = d == normal ? reader.at(i, size) : rest % updates.dims[d];
        offset += at * out.strides[d];
        rest /= updates.dims[d];
      }
      update(kind, to[offset], from[i]);
    }
  });
  return Status::ok();
}

Status ScatterNdKernel::run(const KernelArgs &args,
                            StepContext &context) const {
  const TensorView &data = args.inputs[0], &indices = args.inputs[1];
  const TensorView &updates = args.inputs[2], &out = args.outputs[0];
  MOE_RETURN_IF_ERROR(expectSameShape(data, out, "data and result"));
  MOE_RETURN_IF_ERROR(expectDType(out, data.dtype, "result"));
  MOE_RETURN_IF_ERROR(expectDType(updates, data.dtype, "updates"));
  MOE_RETURN_IF_ERROR(expectContiguous(indices, "indices"));
  MOE_RETURN_IF_ERROR(expectContiguous(updates, "updates"));
  MOE_RETURN_IF_ERROR(expectContiguous(out, "result"));
  MOE_ASSIGN_OR_RETURN(TupleReader reader,
                       TupleReader::create(out, 0, indices, name));
  int64_t tuples = productOf(indices, 0, indices.rank - 1);
  int64_t slice = reader.sliceElements();
  if (updates.numElements() != tuples * slice)
    return badPlan("updates " + shapeText(updates) + " do not fit data " +
                   shapeText(data) + " and indices " + shapeText(indices));
  if (blockData(data) != out.as<std::byte>())
    copyStrided(context.pool, CopyBox(data, out));
  if (slice == 0)
    return Status::ok();
  MOE_RETURN_IF_ERROR(reader.checkAll(tuples));
  visitElementType(data.dtype, [&]<typename T>() {
    const T *from = dataOf<T>(updates);
    for (int64_t i = 0; i < tuples; ++i) {
      T *to = out.as<T>() + reader.offset(i);
      if (kind == ScatterKind::None)
        std::memcpy(to, from + i * slice, slice * sizeof(T));
      else
        for (int64_t j = 0; j < slice; ++j)
          update(kind, to[j], from[i * slice + j]);
    }
  });
  return Status::ok();
}

static StatusOr<ScatterKind> parseKind(StepAttributes &attributes) {
  return attributes.getEnum<ScatterKind>("kind",
                                         {{"none", ScatterKind::None},
                                          {"add", ScatterKind::Add},
                                          {"mul", ScatterKind::Mul},
                                          {"max", ScatterKind::Max},
                                          {"min", ScatterKind::Min}},
                                         ScatterKind::None);
}

static StatusOr<std::unique_ptr<Kernel>>
createScatterElements(const KernelSpec &spec, const Isa &isa) {
  MOE_RETURN_IF_ERROR(checkOperands(spec, 3, 3, 1));
  StepAttributes attributes(spec.step);
  MOE_ASSIGN_OR_RETURN(int64_t axis, attributes.getInt("axis"));
  MOE_ASSIGN_OR_RETURN(ScatterKind kind, parseKind(attributes));
  MOE_RETURN_IF_ERROR(attributes.checkAllRead());
  return std::unique_ptr<Kernel>(
      std::make_unique<ScatterElementsKernel>(spec, isa, axis, kind));
}

static StatusOr<std::unique_ptr<Kernel>> createScatterNd(const KernelSpec &spec,
                                                         const Isa &isa) {
  MOE_RETURN_IF_ERROR(checkOperands(spec, 3, 3, 1));
  StepAttributes attributes(spec.step);
  MOE_ASSIGN_OR_RETURN(ScatterKind kind, parseKind(attributes));
  MOE_RETURN_IF_ERROR(attributes.checkAllRead());
  return std::unique_ptr<Kernel>(
      std::make_unique<ScatterNdKernel>(spec, isa, kind));
}

void registerScatter(KernelRegistry &registry, const Isa &isa) {
  registry.add("scatter_elements", [&isa](const KernelSpec &spec) {
    return createScatterElements(spec, isa);
  });
  registry.add("scatter_nd", [&isa](const KernelSpec &spec) {
    return createScatterNd(spec, isa);
  });
}

} // namespace moe::cpu
