//===- EvalCollective.cpp - Meaning of operations between ranks -----------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialect/interp/World.h"

using namespace mlir;
using namespace moe::dialect;

namespace moe::interp {

//===----------------------------------------------------------------------===//
// Parts
//===----------------------------------------------------------------------===//

/// The reduction over the ranks of the group, in their order.
static HostTensor reduceRanks(CollectiveReduce kind, Value x, Group group) {
  BinaryKind combine =
      kind == CollectiveReduce::Sum ? BinaryKind::Add : BinaryKind::Max;
  HostTensor result = group.front()->get(x);
  for (const Frame *frame : group.drop_front())
    result = *hostBinary(combine, result, frame->get(x));
  return result;
}

/// The part of a whole tensor that a rank has along `axis`.
static FailureOr<HostTensor> takePart(const HostTensor &whole, int64_t axis,
                                      StringRef part, const Frame &frame) {
  FailureOr<Part> found = frame.partOf(part, whole.shape[axis]);
  if (failed(found))
    return failure();
  return takeRange(whole, axis, found->range);
}

AllResults evaluateAll(AllGatherOp op, Group group) {
  SmallVector<HostTensor> parts;
  for (const Frame *frame : group)
    parts.push_back(frame->get(op.getX()));
  return SmallVector<Results>(group.size(),
                              Results{hostConcat(parts, op.getAxis())});
}

AllResults evaluateAll(ShardOp op, Group group) {
  SmallVector<Results> results;
  for (const Frame *frame : group) {
    FailureOr<HostTensor> part =
        takePart(frame->get(op.getX()), op.getAxis(), op.getPart(), *frame);
    if (failed(part))
      return failure();
    results.push_back({std::move(*part)});
  }
  return results;
}

AllResults evaluateAll(AllReduceOp op, Group group) {
  // Ranks that divide nothing may still have tensors of unequal sizes.
  for (const Frame *frame : group)
    if (frame->get(op.getX()).shape != group.front()->get(op.getX()).shape)
      return op.emitError("reduces tensors whose sizes differ by rank");
  return SmallVector<Results>(
      group.size(), Results{reduceRanks(op.getKind(), op.getX(), group)});
}

AllResults evaluateAll(ReduceScatterOp op, Group group) {
  HostTensor reduced = reduceRanks(op.getKind(), op.getX(), group);
  SmallVector<Results> results;
  for (const Frame *frame : group) {
    FailureOr<HostTensor> part =
        takePart(reduced, op.getAxis(), op.getPart(), *frame);
    if (failed(part))
      return failure();
    results.push_back({std::move(*part)});
  }
  return results;
}

//===----------------------------------------------------------------------===//
// Groups
//===----------------------------------------------------------------------===//

static CommGroup groupOf(AllToAllOp op) { return op.getPlacement().getGroup(); }
static CommGroup groupOf(AllToAllBackOp op) {
  return op.getPlacement().getGroup();
}
static CommGroup groupOf(AllReduceOp op) { return op.getGroup(); }
static CommGroup groupOf(GateOp op) { return groupOfPart(op, *op.getPart()); }
template <typename OpTy> static CommGroup groupOf(OpTy op) {
  return groupOfPart(op, op.getPart());
}

/// Evaluates `op` in each of the groups that act together.
template <typename OpTy>
static AllResults evaluateGroups(OpTy op, ArrayRef<Frame> frames) {
  SmallVector<Results> results(frames.size());
  for (ArrayRef<int64_t> ranks : frames.front().grid.groupsOf(groupOf(op))) {
    SmallVector<const Frame *> group;
    for (int64_t rank : ranks)
      group.push_back(&frames[rank]);
    AllResults ofGroup = evaluateAll(op, Group(group));
    if (failed(ofGroup))
      return failure();
    for (auto [rank, ofRank] : llvm::zip_equal(ranks, *ofGroup))
      results[rank] = std::move(ofRank);
  }
  return results;
}

std::optional<AllResults> evaluateCollective(Operation *op,
                                             ArrayRef<Frame> frames) {
  // Tokens of all ranks compete for places.
  if (auto gate = dyn_cast<GateOp>(op); gate && gate.getPart())
    return evaluateGroups(gate, frames);
#define MOE_COLLECTIVE_OP(OP)                                                  \
  if (auto inner = dyn_cast<OP>(op))                                           \
    return evaluateGroups(inner, frames);
#include "dialect/interp/Ops.def"
  return std::nullopt;
}

} // namespace moe::interp
