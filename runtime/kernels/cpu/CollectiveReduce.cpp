//===- CollectiveReduce.cpp - all_reduce, reduce_scatter ------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/kernels/cpu/Kernels.h"
#include "runtime/kernels/cpu/PartKernel.h"
#include "runtime/plan/StepAttributes.h"

#include <cstring>

namespace moe::cpu {

namespace {

/// What a type that communicators cannot add is reduced in: the type of its
/// registers.
DType reducedType(DType dtype) {
  switch (dtype) {
  case DType::F16:
  case DType::BF16:
    return DType::F32;
  case DType::F32:
  case DType::F64:
  case DType::I32:
    return dtype;
  default:
    return DType::I64;
  }
}

class AllReduceKernel : public CpuKernel {
public:
  AllReduceKernel(const KernelSpec &spec, const Isa &isa, ReduceOp op)
      : CpuKernel(spec, isa), op(op) {}
  StatusOr<size_t> workspaceBytes(const KernelArgs &args,
                                  int numThreads) const override {
    Scratch scratch;
    cut(scratch, args.inputs[0]);
    return scratch.bytes();
  }
  Status run(const KernelArgs &args, StepContext &context) const override;

private:
  static std::byte *cut(Scratch &scratch, const TensorView &x) {
    DType type = reducedType(x.dtype);
    return scratch.take<std::byte>(
        type == x.dtype
            ? 0
            : x.numElements() * static_cast<int64_t>(dtypeSize(type)));
  }

  ReduceOp op;
};

/// Parts differ in size, and communicators reduce equal ones: each rank's part
/// is brought to the size of the largest.
class ReduceScatterKernel : public PartKernel {
public:
  ReduceScatterKernel(const KernelSpec &spec, const Isa &isa, int64_t axis,
                      std::string part, ReduceOp op)
      : PartKernel(spec, isa, axis, std::move(part)), op(op) {}
  StatusOr<size_t> workspaceBytes(const KernelArgs &args,
                                  int numThreads) const override;
  Status run(const KernelArgs &args, StepContext &context) const override;

private:
  struct Buffers {
    std::byte *sent;     ///< [numRanks][slot], if x cannot be sent as it is
    std::byte *received; ///< [slot]
  };
  Buffers cut(Scratch &scratch, const TensorView &x, int64_t slot,
              bool isInPlace) const {
    auto width = static_cast<int64_t>(dtypeSize(reducedType(x.dtype)));
    return {scratch.take<std::byte>(isInPlace ? 0 : numRanks * slot * width),
            scratch.take<std::byte>(slot * width)};
  }
  /// Elements of a part that has `largest` along the axis.
  static int64_t slotOf(const TensorView &x, int axis, int64_t largest) {
    int64_t size = x.dims[axis];
    return size > 0 ? x.numElements() / size * largest : 0;
  }
  void pack(ThreadPool &pool, const TensorView &x, int axis,
            std::span<const int64_t> parts, int64_t slot,
            std::byte *sent) const;

  ReduceOp op;
};

} // namespace

Status AllReduceKernel::run(const KernelArgs &args,
                            StepContext &context) const {
  const TensorView &x = args.inputs[0], &out = args.outputs[0];
  MOE_RETURN_IF_ERROR(expectSameShape(x, out, "operand and result"));
  MOE_RETURN_IF_ERROR(expectDType(out, x.dtype, "result"));
  MOE_RETURN_IF_ERROR(expectContiguous(x, "x"));
  MOE_RETURN_IF_ERROR(expectContiguous(out, "result"));
  Scratch scratch(context.workspace);
  std::byte *wide = cut(scratch, x);
  if (!scratch.fits())
    return expectWorkspace(context, *scratch.bytes());
  DType type = reducedType(x.dtype);
  int64_t count = x.numElements();
  if (type != x.dtype) {
    isa.loadTile(x.dtype, blockData(x), 1, wide, count);
    MOE_RETURN_IF_ERROR(
        context.comm.allReduce(wide, count, type, op, context.tag));
    isa.storeTile(x.dtype, wide, out.data, 1, count);
    return Status::ok();
  }
  if (out.data != blockData(x) && count > 0)
    std::memcpy(out.data, blockData(x), count * dtypeSize(type));
  return context.comm.allReduce(out.data, count, type, op, context.tag);
}

StatusOr<size_t> ReduceScatterKernel::workspaceBytes(const KernelArgs &args,
                                                     int numThreads) const {
  const TensorView &x = args.inputs[0], &out = args.outputs[0];
  MOE_ASSIGN_OR_RETURN(int normal, checkAxis(out, x));
  // Parts of n differ by at most one n-th of the dimension, and so much has
  // every rank whose part is not empty.
  int64_t size = x.dims[normal], own = out.dims[normal];
  int64_t largest = own > 0 ? std::min(size, 2 * own) : size;
  Scratch scratch;
  cut(scratch, x, slotOf(x, normal, largest), /*isInPlace=*/false);
  return scratch.bytes();
}

/// Every rank's part as its register type, one slot for each.
void ReduceScatterKernel::pack(ThreadPool &pool, const TensorView &x, int axis,
                               std::span<const int64_t> parts, int64_t slot,
                               std::byte *sent) const {
  DType type = reducedType(x.dtype);
  auto width = static_cast<int64_t>(dtypeSize(type));
  auto element = static_cast<int64_t>(dtypeSize(x.dtype));
  int64_t inner = productOf(x, axis + 1, x.rank);
  int64_t outer = productOf(x, 0, axis);
  forRange(pool, numRanks, static_cast<double>(slot),
           [&](int64_t rank, int64_t end, int) {
             for (; rank < end; ++rank) {
               Range range =
                   rangeOf(parts, x.dims[axis], static_cast<int>(rank));
               int64_t count = (range.end - range.begin) * inner;
               std::byte *to = sent + rank * slot * width;
               for (int64_t i = 0; i < outer; ++i, to += count * width) {
                 const std::byte *from =
                     blockData(x) +
                     (i * x.dims[axis] + range.begin) * inner * element;
                 if (type == x.dtype)
                   std::memcpy(to, from, count * width);
                 else
                   isa.loadTile(x.dtype, from, 1, to, count);
               }
               std::memset(to, 0, (slot - outer * count) * width);
             }
           });
}

Status ReduceScatterKernel::run(const KernelArgs &args,
                                StepContext &context) const {
  const TensorView &x = args.inputs[0], &out = args.outputs[0];
  MOE_ASSIGN_OR_RETURN(int normal, checkAxis(out, x));
  MOE_ASSIGN_OR_RETURN(std::span<const int64_t> parts, begins(context));
  Range own = rangeOf(parts, x.dims[normal], context.comm.rank());
  MOE_RETURN_IF_ERROR(checkLocal(out, normal, own));
  MOE_RETURN_IF_ERROR(expectContiguous(x, "x"));
  MOE_RETURN_IF_ERROR(expectContiguous(out, "result"));
  int64_t largest = 0;
  bool areEqual = true;
  for (int r = 0; r < numRanks; ++r) {
    Range range = rangeOf(parts, x.dims[normal], r);
    largest = std::max(largest, range.end - range.begin);
    areEqual &= range.end - range.begin == own.end - own.begin;
  }
  int64_t slot = slotOf(x, normal, largest);
  DType type = reducedType(x.dtype);
  bool isInPlace = areEqual && type == x.dtype && productOf(x, 0, normal) == 1;
  Scratch scratch(context.workspace);
  Buffers buffers = cut(scratch, x, slot, isInPlace);
  if (!scratch.fits())
    return expectWorkspace(context, *scratch.bytes());
  const std::byte *sent = blockData(x);
  if (!isInPlace) {
    pack(context.pool, x, normal, parts, slot, buffers.sent);
    sent = buffers.sent;
  }
  MOE_RETURN_IF_ERROR(context.comm.reduceScatter(sent, buffers.received, slot,
                                                 type, op, context.tag));
  int64_t count = out.numElements();
  if (type == out.dtype && count > 0)
    std::memcpy(out.data, buffers.received, count * dtypeSize(type));
  else if (type != out.dtype)
    isa.storeTile(out.dtype, buffers.received, out.data, 1, count);
  return Status::ok();
}

static StatusOr<ReduceOp> parseReduceOp(StepAttributes &attributes) {
  return attributes.getEnum<ReduceOp>(
      "kind", {{"sum", ReduceOp::Sum}, {"max", ReduceOp::Max}});
}

static StatusOr<std::unique_ptr<Kernel>> createAllReduce(const KernelSpec &spec,
                                                         const Isa &isa) {
  MOE_RETURN_IF_ERROR(checkOperands(spec, 1, 1, 1));
  StepAttributes attributes(spec.step);
  MOE_ASSIGN_OR_RETURN(ReduceOp op, parseReduceOp(attributes));
  MOE_RETURN_IF_ERROR(attributes.checkAllRead());
  return std::unique_ptr<Kernel>(
      std::make_unique<AllReduceKernel>(spec, isa, op));
}

static StatusOr<std::unique_ptr<Kernel>>
createReduceScatter(const KernelSpec &spec, const Isa &isa) {
  MOE_RETURN_IF_ERROR(checkOperands(spec, 1, 1, 1));
  StepAttributes attributes(spec.step);
  MOE_ASSIGN_OR_RETURN(ReduceOp op, parseReduceOp(attributes));
  MOE_ASSIGN_OR_RETURN(int64_t axis, attributes.getInt("axis"));
  MOE_ASSIGN_OR_RETURN(std::string part, attributes.getString("part"));
  MOE_RETURN_IF_ERROR(attributes.checkAllRead());
  return std::unique_ptr<Kernel>(std::make_unique<ReduceScatterKernel>(
      spec, isa, axis, std::move(part), op));
}

void registerCollectiveReduce(KernelRegistry &registry, const Isa &isa) {
  registry.add("all_reduce", [&isa](const KernelSpec &spec) {
    return createAllReduce(spec, isa);
  });
  registry.add("reduce_scatter", [&isa](const KernelSpec &spec) {
    return createReduceScatter(spec, isa);
  });
}

} // namespace moe::cpu
