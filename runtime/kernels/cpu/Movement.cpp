//===- Movement.cpp - slice, concat, transpose, broadcast, copy, append ---===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Kernels that are one or a few boxes of elements (see StridedCopy.h). All
// operands may be strided.
//
//===----------------------------------------------------------------------===//

#include "runtime/kernels/cpu/Kernels.h"
#include "runtime/kernels/cpu/StridedCopy.h"
#include "runtime/kernels/cpu/Support.h"
#include "runtime/plan/StepAttributes.h"

namespace moe::cpu {

namespace {

class CopyKernel : public CpuKernel {
public:
  using CpuKernel::CpuKernel;
  Status run(const KernelArgs &args, StepContext &context) const override {
    const TensorView &x = args.inputs[0], &out = args.outputs[0];
    MOE_RETURN_IF_ERROR(expectDType(x, out.dtype, "x"));
    MOE_RETURN_IF_ERROR(expectSameShape(x, out, "operand and result"));
    copyStrided(context.pool, CopyBox(x, out));
    return Status::ok();
  }
};

class BroadcastKernel : public CpuKernel {
public:
  using CpuKernel::CpuKernel;
  Status run(const KernelArgs &args, StepContext &context) const override {
    const TensorView &x = args.inputs[0], &out = args.outputs[0];
    MOE_RETURN_IF_ERROR(expectDType(x, out.dtype, "x"));
    int missing = out.rank - x.rank;
    TensorView stretched = x;
    stretched.rank = out.rank;
    for (int i = 0; i < out.rank; ++i) {
      int64_t size = i < missing ? 1 : x.dims[i - missing];
      if (missing < 0 || (size != 1 && size != out.dims[i]))
        return badPlan(shapeText(x) + " does not broadcast to " +
                       shapeText(out));
      stretched.strides[i] = size == 1 ? 0 : x.strides[i - missing];
    }
    copyStrided(context.pool, CopyBox(stretched, out));
    return Status::ok();
  }
};

class TransposeKernel : public CpuKernel {
public:
  TransposeKernel(const KernelSpec &spec, const Isa &isa,
                  std::vector<int64_t> permutation)
      : CpuKernel(spec, isa), permutation(std::move(permutation)) {}
  Status run(const KernelArgs &args, StepContext &context) const override {
    const TensorView &x = args.inputs[0], &out = args.outputs[0];
    MOE_RETURN_IF_ERROR(expectDType(x, out.dtype, "x"));
    MOE_RETURN_IF_ERROR(
        expectRank(x, static_cast<int>(permutation.size()), "x"));
    TensorView turned = x;
    for (int i = 0; i < x.rank; ++i) {
      turned.dims[i] = x.dims[permutation[i]];
      turned.strides[i] = x.strides[permutation[i]];
    }
    MOE_RETURN_IF_ERROR(
        expectSameShape(turned, out, "transposed operand and result"));
    copyStrided(context.pool, CopyBox(turned, out));
    return Status::ok();
  }

private:
  std::vector<int64_t> permutation;
};

class SliceKernel : public CpuKernel {
public:
  SliceKernel(const KernelSpec &spec, const Isa &isa,
              std::vector<int64_t> steps)
      : CpuKernel(spec, isa), steps(std::move(steps)) {}
  Status run(const KernelArgs &args, StepContext &context) const override {
    const TensorView &x = args.inputs[0], &out = args.outputs[0];
    MOE_RETURN_IF_ERROR(expectDType(x, out.dtype, "x"));
    MOE_RETURN_IF_ERROR(expectRank(x, static_cast<int>(steps.size()), "x"));
    MOE_RETURN_IF_ERROR(expectRank(out, x.rank, "result"));
    if (out.numElements() == 0)
      return Status::ok();
    MOE_ASSIGN_OR_RETURN(std::span<const int64_t> starts,
                         exprs(context, "starts", steps.size()));
    TensorView part = x;
    int64_t offset = 0;
    for (int i = 0; i < x.rank; ++i) {
      int64_t last;
      bool isInside =
          !__builtin_mul_overflow(steps[i], out.dims[i] - 1, &last) &&
          !__builtin_add_overflow(starts[i], last, &last) && starts[i] >= 0 &&
          starts[i] < x.dims[i] && last >= 0 && last < x.dims[i];
      if (!isInside)
        return badPlan("dimension " + std::to_string(i) + " of " +
                       shapeText(x) + " has no " + std::to_string(out.dims[i]) +
                       " elements from " + std::to_string(starts[i]) +
                       " in steps of " + std::to_string(steps[i]));
      offset += starts[i] * x.strides[i];
      part.strides[i] = out.dims[i] == 1 ? 0 : steps[i] * x.strides[i];
    }
    CopyBox box(part, out);
    box.moveFrom(offset);
    copyStrided(context.pool, box);
    return Status::ok();
  }

private:
  std::vector<int64_t> steps;
};

/// Copies `part` into `out` behind the first `begin` elements along `axis`.
Status copyBehind(ThreadPool &pool, const TensorView &part,
                  const TensorView &out, int axis, int64_t begin,
                  const std::string &name) {
  bool fits = part.rank == out.rank && part.dtype == out.dtype &&
              part.dims[axis] <= out.dims[axis] - begin;
  for (int i = 0; fits && i < out.rank; ++i)
    fits = i == axis || part.dims[i] == out.dims[i];
  if (!fits)
    return Status(StatusCode::BadPlan,
                  name + ": an operand of shape " + shapeText(part) +
                      " does not fit into " + shapeText(out) + " behind " +
                      std::to_string(begin) + " along axis " +
                      std::to_string(axis));
  TensorView place = out;
  place.dims[axis] = part.dims[axis];
  CopyBox box(part, place);
  box.moveTo(begin * out.strides[axis]);
  copyStrided(pool, box);
  return Status::ok();
}

class ConcatKernel : public CpuKernel {
public:
  ConcatKernel(const KernelSpec &spec, const Isa &isa, int64_t axis)
      : CpuKernel(spec, isa), axis(axis) {}
  Status run(const KernelArgs &args, StepContext &context) const override {
    const TensorView &out = args.outputs[0];
    int normal = normalAxis(axis, out.rank);
    if (normal < 0)
      return badPlan("axis " + std::to_string(axis) + " of " + shapeText(out));
    int64_t begin = 0;
    for (const TensorView &part : args.inputs) {
      MOE_RETURN_IF_ERROR(
          copyBehind(context.pool, part, out, normal, begin, name));
      begin += part.dims[normal];
    }
    if (begin != out.dims[normal])
      return badPlan("operands have " + std::to_string(begin) +
                     " elements along axis " + std::to_string(axis) +
                     ", expected " + std::to_string(out.dims[normal]));
    return Status::ok();
  }

private:
  int64_t axis;
};

class CacheAppendKernel : public CpuKernel {
public:
  CacheAppendKernel(const KernelSpec &spec, const Isa &isa, int64_t axis)
      : CpuKernel(spec, isa), axis(axis) {}
  Status run(const KernelArgs &args, StepContext &context) const override {
    const TensorView &past = args.inputs[0], &added = args.inputs[1];
    const TensorView &out = args.outputs[0];
    int normal = normalAxis(axis, out.rank);
    if (normal < 0)
      return badPlan("axis " + std::to_string(axis) + " of " + shapeText(out));
    if (added.rank != out.rank)
      return badPlan("entries of shape " + shapeText(added) +
                     " do not fit into " + shapeText(out));
    int64_t begin = out.dims[normal] - added.dims[normal];
    // Usually the past is there already: it is the same memory.
    if (past.present() && past.data != out.data) {
      if (past.rank != out.rank || past.dims[normal] != begin)
        return badPlan("a past of shape " + shapeText(past) +
                       " does not fit into " + shapeText(out));
      MOE_RETURN_IF_ERROR(copyBehind(context.pool, past, out, normal, 0, name));
    }
    if (begin < 0)
      return badPlan("entries of shape " + shapeText(added) +
                     " do not fit into " + shapeText(out));
    const TensorView &lengths = inputOrAbsent(args, 2);
    if (lengths.present())
      return appendRows(context, added, lengths, out, normal, begin);
    return copyBehind(context.pool, added, out, normal, begin, name);
  }

private:
  /// Row b of `added` goes behind the first lengths[b] entries of row b.
  Status appendRows(StepContext &context, const TensorView &added,
                    const TensorView &lengths, const TensorView &out,
                    int normal, int64_t past) const {
    if (normal == 0 || lengths.rank != 1 || lengths.dims[0] != out.dims[0] ||
        lengths.dtype != DType::I64)
      return badPlan("lengths of shape " + shapeText(lengths) + " do not fit " +
                     shapeText(out));
    for (int64_t b = 0; b < out.dims[0]; ++b) {
      int64_t length = dataOf<int64_t>(lengths)[b * lengths.strides[0]];
      if (length < 0 || length > past)
        return Status(StatusCode::IoError,
                      name + ": row " + std::to_string(b) + " has a past of " +
                          std::to_string(length) + " entries, expected 0 to " +
                          std::to_string(past));
      MOE_RETURN_IF_ERROR(copyBehind(context.pool, rowOf(added, b),
                                     rowOf(out, b), normal, length, name));
    }
    return Status::ok();
  }

  static TensorView rowOf(const TensorView &view, int64_t b) {
    TensorView row = view;
    row.dims[0] = 1;
    row.data =
        static_cast<std::byte *>(view.data) +
        b * view.strides[0] * static_cast<int64_t>(dtypeSize(view.dtype));
    return row;
  }

  int64_t axis;
};

} // namespace

template <typename K> static KernelFactory plainFactory(const Isa &isa) {
  return [&isa](const KernelSpec &spec) -> StatusOr<std::unique_ptr<Kernel>> {
    MOE_RETURN_IF_ERROR(checkOperands(spec, 1, 1, 1));
    MOE_RETURN_IF_ERROR(StepAttributes(spec.step).checkAllRead());
    return std::unique_ptr<Kernel>(std::make_unique<K>(spec, isa));
  };
}

static StatusOr<std::unique_ptr<Kernel>> createTranspose(const KernelSpec &spec,
                                                         const Isa &isa) {
  MOE_RETURN_IF_ERROR(checkOperands(spec, 1, 1, 1));
  StepAttributes attributes(spec.step);
  MOE_ASSIGN_OR_RETURN(std::vector<int64_t> permutation,
                       attributes.getInts("permutation"));
  MOE_RETURN_IF_ERROR(attributes.checkAllRead());
  std::vector<int64_t> sorted = permutation;
  std::sort(sorted.begin(), sorted.end());
  bool isPermutation = sorted.size() <= kMaxRank;
  for (size_t i = 0; i < sorted.size(); ++i)
    isPermutation &= sorted[i] == static_cast<int64_t>(i);
  if (!isPermutation)
    return attributes.error("permutation", "is not a permutation");
  return std::unique_ptr<Kernel>(
      std::make_unique<TransposeKernel>(spec, isa, std::move(permutation)));
}

static StatusOr<std::unique_ptr<Kernel>> createSlice(const KernelSpec &spec,
                                                     const Isa &isa) {
  MOE_RETURN_IF_ERROR(checkOperands(spec, 1, 1, 1));
  StepAttributes attributes(spec.step);
  MOE_ASSIGN_OR_RETURN(std::vector<int64_t> steps, attributes.getInts("steps"));
  MOE_ASSIGN_OR_RETURN(size_t numStarts, attributes.getNumExprs("starts"));
  MOE_RETURN_IF_ERROR(attributes.checkAllRead());
  if (numStarts != steps.size() || steps.size() > kMaxRank)
    return attributes.error("steps", "has " + std::to_string(steps.size()) +
                                         " entries, expected as many as "
                                         "'starts'");
  return std::unique_ptr<Kernel>(
      std::make_unique<SliceKernel>(spec, isa, std::move(steps)));
}

static StatusOr<std::unique_ptr<Kernel>> createConcat(const KernelSpec &spec,
                                                      const Isa &isa) {
  MOE_RETURN_IF_ERROR(checkOperands(spec, 1, SIZE_MAX, 1));
  StepAttributes attributes(spec.step);
  MOE_ASSIGN_OR_RETURN(int64_t axis, attributes.getInt("axis"));
  MOE_RETURN_IF_ERROR(attributes.checkAllRead());
  return std::unique_ptr<Kernel>(
      std::make_unique<ConcatKernel>(spec, isa, axis));
}

static StatusOr<std::unique_ptr<Kernel>>
createCacheAppend(const KernelSpec &spec, const Isa &isa) {
  MOE_RETURN_IF_ERROR(checkOperands(spec, 2, 3, 1));
  StepAttributes attributes(spec.step);
  MOE_ASSIGN_OR_RETURN(int64_t axis, attributes.getInt("axis"));
  // Names the cache; which memory that is, the buffers say.
  MOE_RETURN_IF_ERROR(attributes.getString("state", "").status());
  MOE_RETURN_IF_ERROR(attributes.checkAllRead());
  return std::unique_ptr<Kernel>(
      std::make_unique<CacheAppendKernel>(spec, isa, axis));
}

void registerMovement(KernelRegistry &registry, const Isa &isa) {
  registry.add("copy", plainFactory<CopyKernel>(isa));
  registry.add("broadcast", plainFactory<BroadcastKernel>(isa));
  registry.add("transpose", [&isa](const KernelSpec &spec) {
    return createTranspose(spec, isa);
  });
  registry.add("slice", [&isa](const KernelSpec &spec) {
    return createSlice(spec, isa);
  });
  registry.add("concat", [&isa](const KernelSpec &spec) {
    return createConcat(spec, isa);
  });
  registry.add("cache_append", [&isa](const KernelSpec &spec) {
    return createCacheAppend(spec, isa);
  });
}

} // namespace moe::cpu
