//===- Collectives.cpp - all_gather, shard --------------------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/kernels/cpu/Kernels.h"
#include "runtime/kernels/cpu/PartKernel.h"
#include "runtime/kernels/cpu/StridedCopy.h"
#include "runtime/plan/StepAttributes.h"

namespace moe::cpu {

namespace {

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

} // namespace

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

void registerCollectives(KernelRegistry &registry, const Isa &isa) {
  registry.add("all_gather", partFactory<AllGatherKernel>(isa));
  registry.add("shard", partFactory<ShardKernel>(isa));
}

} // namespace moe::cpu
