//===- Gather.cpp - gather, gather_nd, gather_elements --------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Indices are values: one that is out of range is an error of the run. They
// are checked before anything is copied, so the copies can be shared among
// threads.
//
//===----------------------------------------------------------------------===//

#include "runtime/kernels/cpu/Gather.h"
#include "runtime/kernels/cpu/Element.h"
#include "runtime/kernels/cpu/Indices.h"
#include "runtime/kernels/cpu/Kernels.h"
#include "runtime/kernels/cpu/Support.h"
#include "runtime/plan/StepAttributes.h"

#include <cstring>
#include <limits>

namespace moe::cpu {

namespace {

class GatherKernel : public TableKernel {
public:
  GatherKernel(const KernelSpec &spec, const Isa &isa, int64_t axis,
               int64_t batchDims, std::string part)
      : TableKernel(spec, isa, std::move(part)), axis(axis),
        batchDims(batchDims) {}
  Status run(const KernelArgs &args, StepContext &context) const override;

private:
  int64_t axis, batchDims;
};

class GatherNdKernel : public CpuKernel {
public:
  GatherNdKernel(const KernelSpec &spec, const Isa &isa, int64_t batchDims)
      : CpuKernel(spec, isa), batchDims(batchDims) {}
  Status run(const KernelArgs &args, StepContext &context) const override;

private:
  int64_t batchDims;
};

class GatherElementsKernel : public CpuKernel {
public:
  GatherElementsKernel(const KernelSpec &spec, const Isa &isa, int64_t axis)
      : CpuKernel(spec, isa), axis(axis) {}
  Status run(const KernelArgs &args, StepContext &context) const override;

private:
  int64_t axis;
};

} // namespace

StatusOr<TableKernel::Range> TableKernel::rangeOf(const StepContext &context,
                                                  int64_t size) const {
  if (part.empty())
    return Range{0, size, size};
  MOE_ASSIGN_OR_RETURN(std::span<const int64_t> begins,
                       partBegins(context, part, numRanks));
  int64_t units = begins[rank + 1] - begins[rank];
  // Without a part, nothing says how large the whole is: others check that.
  if (units == 0 && size == 0)
    return Range{0, 0, std::numeric_limits<int64_t>::max()};
  if (units == 0 || size % units != 0)
    return badPlan("this rank's part has " + std::to_string(units) +
                   " of the data's " + std::to_string(size) + " entries");
  int64_t each = size / units;
  return Range{begins[rank] * each, begins[rank + 1] * each,
               begins.back() * each};
}

Status GatherKernel::run(const KernelArgs &args, StepContext &context) const {
  const TensorView &data = args.inputs[0], &indices = args.inputs[1];
  const TensorView &out = args.outputs[0];
  int normal = normalAxis(axis, data.rank);
  int batch = static_cast<int>(batchDims);
  if (normal < 0 || batchDims < 0 || batch > normal || batch > indices.rank ||
      !std::equal(data.dims, data.dims + batch, indices.dims))
    return badPlan("axis " + std::to_string(axis) + " of " + shapeText(data) +
                   " with indices " + shapeText(indices) + " and " +
                   std::to_string(batchDims) + " batch dimensions");
  MOE_RETURN_IF_ERROR(expectContiguous(data, "data"));
  MOE_RETURN_IF_ERROR(expectContiguous(indices, "indices"));
  MOE_RETURN_IF_ERROR(expectContiguous(out, "result"));
  MOE_RETURN_IF_ERROR(expectDType(out, data.dtype, "result"));
  // result[b, i, j, t] = data[b, i, indices[b, j], t]
  int64_t size = data.dims[normal];
  int64_t batches = productOf(data, 0, batch);
  int64_t outer = productOf(data, batch, normal);
  int64_t picks = productOf(indices, batch, indices.rank);
  int64_t tail = productOf(data, normal + 1, data.rank);
  if (out.numElements() != batches * outer * picks * tail)
    return badPlan("the result of shape " + shapeText(out) +
                   " does not fit data " + shapeText(data) + " and indices " +
                   shapeText(indices));
  if (out.numElements() == 0)
    return Status::ok();
  MOE_ASSIGN_OR_RETURN(Range range, rangeOf(context, size));
  IndexReader reader(indices);
  MOE_RETURN_IF_ERROR(reader.checkAll(range.whole, name));
  int64_t bytes = tail * static_cast<int64_t>(dtypeSize(data.dtype));
  const std::byte *from = blockData(data);
  std::byte *to = out.as<std::byte>();
  forRange(
      context.pool, batches * outer * picks, static_cast<double>(bytes) / 8 + 2,
      [&](int64_t begin, int64_t end, int) {
        for (int64_t i = begin; i < end; ++i) {
          int64_t row = i / picks, b = row / outer;
          int64_t index = reader.at(b * picks + i % picks, range.whole);
          if (!range.has(index)) {
            std::memset(to + i * bytes, 0, bytes);
            continue;
          }
          std::memcpy(to + i * bytes,
                      from + (row * size + index - range.begin) * bytes, bytes);
        }
      });
  return Status::ok();
}

Status GatherNdKernel::run(const KernelArgs &args, StepContext &context) const {
  const TensorView &data = args.inputs[0], &indices = args.inputs[1];
  const TensorView &out = args.outputs[0];
  int batch = static_cast<int>(batchDims);
  if (batchDims < 0 || batch >= indices.rank || batch > data.rank ||
      !std::equal(data.dims, data.dims + batch, indices.dims))
    return badPlan("data " + shapeText(data) + " with indices " +
                   shapeText(indices) + " and " + std::to_string(batchDims) +
                   " batch dimensions");
  MOE_RETURN_IF_ERROR(expectContiguous(data, "data"));
  MOE_RETURN_IF_ERROR(expectContiguous(indices, "indices"));
  MOE_RETURN_IF_ERROR(expectContiguous(out, "result"));
  MOE_RETURN_IF_ERROR(expectDType(out, data.dtype, "result"));
  int64_t batches = productOf(data, 0, batch);
  int64_t tuples = productOf(indices, batch, indices.rank - 1);
  MOE_ASSIGN_OR_RETURN(TupleReader reader,
                       TupleReader::create(data, batch, indices, name));
  if (out.numElements() != batches * tuples * reader.sliceElements())
    return badPlan("the result of shape " + shapeText(out) +
                   " does not fit data " + shapeText(data) + " and indices " +
                   shapeText(indices));
  if (out.numElements() == 0)
    return Status::ok();
  MOE_RETURN_IF_ERROR(reader.checkAll(batches * tuples));
  int64_t element = static_cast<int64_t>(dtypeSize(data.dtype));
  int64_t bytes = reader.sliceElements() * element;
  int64_t perBatch = productOf(data, batch, data.rank);
  const std::byte *from = blockData(data);
  std::byte *to = out.as<std::byte>();
  forRange(context.pool, batches * tuples, static_cast<double>(bytes) / 8 + 4,
           [&](int64_t begin, int64_t end, int) {
             for (int64_t i = begin; i < end; ++i) {
               int64_t offset = i / tuples * perBatch + reader.offset(i);
               std::memcpy(to + i * bytes, from + offset * element, bytes);
             }
           });
  return Status::ok();
}

Status GatherElementsKernel::run(const KernelArgs &args,
                                 StepContext &context) const {
  const TensorView &data = args.inputs[0], &indices = args.inputs[1];
  const TensorView &out = args.outputs[0];
  int normal = normalAxis(axis, data.rank);
  if (normal < 0)
    return badPlan("axis " + std::to_string(axis) + " of " + shapeText(data));
  MOE_RETURN_IF_ERROR(expectSameShape(indices, out, "indices and result"));
  MOE_RETURN_IF_ERROR(expectRank(indices, data.rank, "indices"));
  for (int i = 0; i < data.rank; ++i)
    if (i != normal && indices.dims[i] > data.dims[i])
      return badPlan("indices " + shapeText(indices) + " of data " +
                     shapeText(data));
  MOE_RETURN_IF_ERROR(expectContiguous(data, "data"));
  MOE_RETURN_IF_ERROR(expectContiguous(indices, "indices"));
  MOE_RETURN_IF_ERROR(expectContiguous(out, "result"));
  MOE_RETURN_IF_ERROR(expectDType(out, data.dtype, "result"));
  if (out.numElements() == 0)
    return Status::ok();
  int64_t size = data.dims[normal];
  IndexReader reader(indices);
  MOE_RETURN_IF_ERROR(reader.checkAll(size, name));
  int64_t element = static_cast<int64_t>(dtypeSize(data.dtype));
  const std::byte *from = blockData(data);
  std::byte *to = out.as<std::byte>();
  forRange(
      context.pool, out.numElements(), 8, [&](int64_t begin, int64_t end, int) {
        for (int64_t i = begin; i < end; ++i) {
          int64_t offset = 0, rest = i;
          for (int d = out.rank - 1; d >= 0; --d) {
            int64_t at = d == normal ? reader.at(i, size) : rest % out.dims[d];
            offset += at * data.strides[d];
            rest /= out.dims[d];
          }
          std::memcpy(to + i * element, from + offset * element, element);
        }
      });
  return Status::ok();
}

static StatusOr<std::unique_ptr<Kernel>> createGather(const KernelSpec &spec,
                                                      const Isa &isa) {
  MOE_RETURN_IF_ERROR(checkOperands(spec, 2, 2, 1));
  StepAttributes attributes(spec.step);
  MOE_ASSIGN_OR_RETURN(int64_t axis, attributes.getInt("axis"));
  MOE_ASSIGN_OR_RETURN(int64_t batchDims, attributes.getInt("batch_dims", 0));
  MOE_ASSIGN_OR_RETURN(std::string part, attributes.getString("part", ""));
  MOE_RETURN_IF_ERROR(attributes.checkAllRead());
  return std::unique_ptr<Kernel>(std::make_unique<GatherKernel>(
      spec, isa, axis, batchDims, std::move(part)));
}

static StatusOr<std::unique_ptr<Kernel>> createGatherNd(const KernelSpec &spec,
                                                        const Isa &isa) {
  MOE_RETURN_IF_ERROR(checkOperands(spec, 2, 2, 1));
  StepAttributes attributes(spec.step);
  MOE_ASSIGN_OR_RETURN(int64_t batchDims, attributes.getInt("batch_dims", 0));
  MOE_RETURN_IF_ERROR(attributes.checkAllRead());
  return std::unique_ptr<Kernel>(
      std::make_unique<GatherNdKernel>(spec, isa, batchDims));
}

static StatusOr<std::unique_ptr<Kernel>>
createGatherElements(const KernelSpec &spec, const Isa &isa) {
  MOE_RETURN_IF_ERROR(checkOperands(spec, 2, 2, 1));
  StepAttributes attributes(spec.step);
  MOE_ASSIGN_OR_RETURN(int64_t axis, attributes.getInt("axis"));
  MOE_RETURN_IF_ERROR(attributes.checkAllRead());
  return std::unique_ptr<Kernel>(
      std::make_unique<GatherElementsKernel>(spec, isa, axis));
}

void registerGather(KernelRegistry &registry, const Isa &isa) {
  registry.add("gather", [&isa](const KernelSpec &spec) {
    return createGather(spec, isa);
  });
  registry.add("gather_codes", [&isa](const KernelSpec &spec) {
    return createGatherCodes(spec, isa);
  });
  registry.add("gather_nd", [&isa](const KernelSpec &spec) {
    return createGatherNd(spec, isa);
  });
  registry.add("gather_elements", [&isa](const KernelSpec &spec) {
    return createGatherElements(spec, isa);
  });
}

} // namespace moe::cpu
