//===- Collectives.cpp - all_gather, shard, all_reduce, reduce_scatter ----===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// How ranks divide a dimension is in StepContext::parts: of n parts in all,
// rank r has [begins[r], begins[r + 1]), and a dimension of size elements
// gives each part size / n of them.
//
//===----------------------------------------------------------------------===//

#include "runtime/kernels/cpu/Kernels.h"
#include "runtime/kernels/cpu/StridedCopy.h"
#include "runtime/kernels/cpu/Support.h"
#include "runtime/plan/StepAttributes.h"

#include <cstring>

namespace moe::cpu {

namespace {

/// A kernel with a dimension that ranks divide.
class PartKernel : public CpuKernel {
public:
  PartKernel(const KernelSpec &spec, const Isa &isa, int64_t axis,
             std::string part)
      : CpuKernel(spec, isa), axis(axis), part(std::move(part)),
        numRanks(spec.numRanks) {}

protected:
  /// Elements [begin, end) of `size` that `rank` has.
  struct Range {
    int64_t begin, end;
  };
  StatusOr<std::span<const int64_t>> begins(const StepContext &context) const {
    return partBegins(context, part, numRanks);
  }
  static Range rangeOf(std::span<const int64_t> begins, int64_t size,
                       int rank) {
    int64_t whole = begins.back();
    int64_t each = whole > 0 ? size / whole : 0;
    return {begins[rank] * each, begins[rank + 1] * each};
  }
  /// `local` must be `whole` but for its size along the axis.
  StatusOr<int> checkAxis(const TensorView &local,
                          const TensorView &whole) const;
  Status checkLocal(const TensorView &local, int axis, Range range) const;
  /// The part of `whole` along `axis`.
  static TensorView partOf(const TensorView &whole, int axis, Range range);

  int64_t axis;
  std::string part;
  int numRanks;
};

class AllGatherKernel : public PartKernel {
public:
  using PartKernel::PartKernel;
  StatusOr<size_t> workspaceBytes(const KernelArgs &args,
                                  int numThreads) const override;
  Status run(const KernelArgs &args, StepContext &context) const override;

private:
  struct Buffers {
    std::byte *gathered; ///< the parts of the ranks, if they must be moved
    RecvBlock *blocks;
  };
  /// Along the outermost axis, parts lie one behind the other already.
  Buffers cut(Scratch &scratch, const TensorView &out, int axis) const {
    int64_t bytes = axis == 0 ? 0
                              : out.numElements() *
                                    static_cast<int64_t>(dtypeSize(out.dtype));
    return {scratch.take<std::byte>(bytes), scratch.take<RecvBlock>(numRanks)};
  }
};

class ShardKernel : public PartKernel {
public:
  using PartKernel::PartKernel;
  Status run(const KernelArgs &args, StepContext &context) const override;
};

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

//===----------------------------------------------------------------------===//
// Parts
//===----------------------------------------------------------------------===//

StatusOr<int> PartKernel::checkAxis(const TensorView &local,
                                    const TensorView &whole) const {
  int normal = normalAxis(axis, whole.rank);
  bool fits =
      normal >= 0 && local.rank == whole.rank && local.dtype == whole.dtype;
  for (int i = 0; fits && i < whole.rank; ++i)
    fits = i == normal || local.dims[i] == whole.dims[i];
  if (!fits)
    return badPlan(shapeText(local) + " is no part of " + shapeText(whole) +
                   " along axis " + std::to_string(axis));
  return normal;
}

Status PartKernel::checkLocal(const TensorView &local, int normal,
                              Range range) const {
  if (local.dims[normal] == range.end - range.begin)
    return Status::ok();
  return badPlan("this rank's part has " +
                 std::to_string(range.end - range.begin) +
                 " elements along axis " + std::to_string(axis) +
                 ", which does not fit " + shapeText(local));
}

TensorView PartKernel::partOf(const TensorView &whole, int axis, Range range) {
  TensorView result = whole;
  result.dims[axis] = range.end - range.begin;
  result.data = const_cast<std::byte *>(blockData(whole)) +
                range.begin * whole.strides[axis] *
                    static_cast<int64_t>(dtypeSize(whole.dtype));
  result.blocks = {};
  return result;
}

//===----------------------------------------------------------------------===//
// all_gather, shard
//===----------------------------------------------------------------------===//

StatusOr<size_t> AllGatherKernel::workspaceBytes(const KernelArgs &args,
                                                 int numThreads) const {
  MOE_ASSIGN_OR_RETURN(int normal, checkAxis(args.inputs[0], args.outputs[0]));
  Scratch scratch;
  cut(scratch, args.outputs[0], normal);
  return scratch.bytes();
}

Status AllGatherKernel::run(const KernelArgs &args,
                            StepContext &context) const {
  const TensorView &x = args.inputs[0], &out = args.outputs[0];
  MOE_ASSIGN_OR_RETURN(int normal, checkAxis(x, out));
  MOE_ASSIGN_OR_RETURN(std::span<const int64_t> parts, begins(context));
  MOE_RETURN_IF_ERROR(expectContiguous(x, "x"));
  int64_t size = out.dims[normal];
  MOE_RETURN_IF_ERROR(
      checkLocal(x, normal, rangeOf(parts, size, context.comm.rank())));
  Scratch scratch(context.workspace);
  Buffers buffers = cut(scratch, out, normal);
  if (!scratch.fits())
    return expectWorkspace(context, *scratch.bytes());
  bool isInPlace = productOf(out, 0, normal) == 1 && out.isContiguous();
  if (normal == 0 && !isInPlace)
    return expectContiguous(out, "result");
  size_t element = dtypeSize(out.dtype);
  size_t rowBytes = size > 0 ? out.numElements() / size * element : 0;
  std::byte *base = isInPlace ? out.as<std::byte>() : buffers.gathered;
  for (int r = 0; r < numRanks; ++r) {
    Range range = rangeOf(parts, size, r);
    buffers.blocks[r] = {base + range.begin * rowBytes,
                         (range.end - range.begin) * rowBytes};
  }
  MOE_RETURN_IF_ERROR(context.comm.allGatherV(
      {blockData(x), x.numElements() * element},
      {buffers.blocks, static_cast<size_t>(numRanks)}, context.tag));
  if (isInPlace)
    return Status::ok();
  for (int r = 0; r < numRanks; ++r) {
    TensorView place = partOf(out, normal, rangeOf(parts, size, r));
    TensorView received = place;
    received.data = buffers.blocks[r].data;
    received.setContiguous();
    copyStrided(context.pool, CopyBox(received, place));
  }
  return Status::ok();
}

Status ShardKernel::run(const KernelArgs &args, StepContext &context) const {
  const TensorView &x = args.inputs[0], &out = args.outputs[0];
  MOE_ASSIGN_OR_RETURN(int normal, checkAxis(out, x));
  MOE_ASSIGN_OR_RETURN(std::span<const int64_t> parts, begins(context));
  Range range = rangeOf(parts, x.dims[normal], context.comm.rank());
  MOE_RETURN_IF_ERROR(checkLocal(out, normal, range));
  copyStrided(context.pool, CopyBox(partOf(x, normal, range), out));
  return Status::ok();
}

//===----------------------------------------------------------------------===//
// all_reduce, reduce_scatter
//===----------------------------------------------------------------------===//

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

//===----------------------------------------------------------------------===//
// Registration
//===----------------------------------------------------------------------===//

template <typename K> static KernelFactory partFactory(const Isa &isa) {
  return [&isa](const KernelSpec &spec) -> StatusOr<std::unique_ptr<Kernel>> {
    MOE_RETURN_IF_ERROR(checkOperands(spec, 1, 1, 1));
    StepAttributes attributes(spec.step);
    MOE_ASSIGN_OR_RETURN(int64_t axis, attributes.getInt("axis"));
    MOE_ASSIGN_OR_RETURN(std::string part, attributes.getString("part"));
    MOE_RETURN_IF_ERROR(attributes.checkAllRead());
    return std::unique_ptr<Kernel>(
        std::make_unique<K>(spec, isa, axis, std::move(part)));
  };
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

void registerCollectives(KernelRegistry &registry, const Isa &isa) {
  registry.add("all_gather", partFactory<AllGatherKernel>(isa));
  registry.add("shard", partFactory<ShardKernel>(isa));
  registry.add("all_reduce", [&isa](const KernelSpec &spec) {
    return createAllReduce(spec, isa);
  });
  registry.add("reduce_scatter", [&isa](const KernelSpec &spec) {
    return createReduceScatter(spec, isa);
  });
}

} // namespace moe::cpu
