//===- EvalCollective.cpp - Meaning of operations between ranks -----------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialect/interp/World.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace moe::dialect;

namespace moe::interp {

using AllResults = FailureOr<SmallVector<Results>>;
using Frames = ArrayRef<Frame>;

//===----------------------------------------------------------------------===//
// All-to-all
//===----------------------------------------------------------------------===//

/// The rank to which `source` sends the rows of `expert`.
static int64_t ownerOf(PlacementAttr placement, int64_t expert,
                       int64_t source) {
  ArrayRef<int64_t> replicas = placement.getExperts()[expert].asArrayRef();
  return replicas[source % replicas.size()];
}

/// Fails unless the placement is one of the ranks that run.
static LogicalResult checkRanks(Operation *op, PlacementAttr placement,
                                Frames frames) {
  if (placement.getNumRanks() == int64_t(frames.size()))
    return success();
  return op->emitError() << "is placed on " << placement.getNumRanks()
                         << " ranks, but runs on " << frames.size();
}

/// Appends rows [begin, begin + count) of x.
static void appendRows(HostTensor &rows, const HostTensor &x, int64_t begin,
                       int64_t count) {
  int64_t width = x.shape[1];
  rows.elements.insert(rows.elements.end(), x.elements.begin() + begin * width,
                       x.elements.begin() + (begin + count) * width);
  rows.shape[0] += count;
}

/// The first row of each expert.
static SmallVector<int64_t> beginsOf(const HostTensor &counts) {
  SmallVector<int64_t> begins;
  int64_t next = 0;
  for (Scalar count : counts.elements) {
    begins.push_back(next);
    next += count.i;
  }
  begins.push_back(next);
  return begins;
}

static AllResults evaluateAll(AllToAllOp op, Frames frames) {
  PlacementAttr placement = op.getPlacement();
  if (failed(checkRanks(op, placement, frames)))
    return failure();
  int64_t numExperts = placement.getExperts().size();
  int64_t numRanks = frames.size();
  SmallVector<Results> results;
  for (int64_t rank = 0; rank < numRanks; ++rank) {
    const HostTensor &own = frames[rank].get(op.getRows());
    HostTensor received(own.dtype, {0, own.shape[1]});
    HostTensor localCounts(DType::I32, {placement.maxLocalExperts()});
    HostTensor route(DType::I32, {numRanks, numExperts});
    for (auto [local, expert] : llvm::enumerate(placement.expertsOf(rank))) {
      for (int64_t source = 0; source < numRanks; ++source) {
        if (ownerOf(placement, expert, source) != rank)
          continue;
        const HostTensor &counts = frames[source].get(op.getCounts());
        const HostTensor &rows = frames[source].get(op.getRows());
        SmallVector<int64_t> begins = beginsOf(counts);
        int64_t count = counts.elements[expert].i;
        if (begins.back() != rows.shape[0])
          return op.emitError("has counts that do not fit its rows");
        appendRows(received, rows, begins[expert], count);
        localCounts.elements[local].i += count;
        route.elements[source * numExperts + expert] = scalarOf(count);
      }
    }
    results.push_back({received, localCounts, route});
  }
  return results;
}

static AllResults evaluateAll(AllToAllBackOp op, Frames frames) {
  PlacementAttr placement = op.getPlacement();
  if (failed(checkRanks(op, placement, frames)))
    return failure();
  int64_t numExperts = placement.getExperts().size();
  int64_t numRanks = frames.size();
  // Where the rows from `source` for `expert` begin among those of their owner.
  SmallVector<SmallVector<int64_t>> begins(numRanks,
                                           SmallVector<int64_t>(numExperts, 0));
  for (int64_t rank = 0; rank < numRanks; ++rank) {
    const HostTensor &route = frames[rank].get(op.getRoute());
    int64_t next = 0;
    for (int64_t expert : placement.expertsOf(rank)) {
      for (int64_t source = 0; source < numRanks; ++source) {
        if (ownerOf(placement, expert, source) != rank)
          continue;
        begins[source][expert] = next;
        next += route.elements[source * numExperts + expert].i;
      }
    }
    if (next != frames[rank].get(op.getRows()).shape[0])
      return op.emitError("has a route that does not fit its rows");
  }
  SmallVector<Results> results;
  for (int64_t source = 0; source < numRanks; ++source) {
    const HostTensor &counts = frames[source].get(op.getCounts());
    const HostTensor &own = frames[source].get(op.getRows());
    HostTensor rows(own.dtype, {0, own.shape[1]});
    for (int64_t expert = 0; expert < numExperts; ++expert) {
      int64_t owner = ownerOf(placement, expert, source);
      appendRows(rows, frames[owner].get(op.getRows()), begins[source][expert],
                 counts.elements[expert].i);
    }
    results.push_back({rows});
  }
  return results;
}

//===----------------------------------------------------------------------===//
// Parts
//===----------------------------------------------------------------------===//

/// The reduction over all ranks, in their order.
static HostTensor reduceRanks(CollectiveReduce kind, Value x, Frames frames) {
  BinaryKind combine =
      kind == CollectiveReduce::Sum ? BinaryKind::Add : BinaryKind::Max;
  HostTensor result = frames.front().get(x);
  for (const Frame &frame : frames.drop_front())
    result = *hostBinary(combine, result, frame.get(x));
  return result;
}

/// The part of a whole tensor that a rank has along `axis`.
static FailureOr<HostTensor> takePart(Operation *op, const HostTensor &whole,
                                      int64_t axis, StringRef part,
                                      const Frame &frame, int64_t numRanks) {
  // The verifier has found the symbol.
  DimExpr divided = *lookUpSymbol(op, kLocalSymbols, part);
  FailureOr<Shape> size = frame.evaluate(op, divided);
  if (failed(size))
    return failure();
  Range range = partOf(size->front(), frame.rank, numRanks);
  int64_t factor = size->front() == 0 ? 0 : whole.shape[axis] / size->front();
  return takeRange(whole, axis, {range.begin * factor, range.end * factor});
}

static AllResults evaluateAll(AllGatherOp op, Frames frames) {
  SmallVector<HostTensor> parts;
  for (const Frame &frame : frames)
    parts.push_back(frame.get(op.getX()));
  return SmallVector<Results>(frames.size(),
                              Results{hostConcat(parts, op.getAxis())});
}

static AllResults evaluateAll(ShardOp op, Frames frames) {
  SmallVector<Results> results;
  for (const Frame &frame : frames) {
    FailureOr<HostTensor> part =
        takePart(op, frame.get(op.getX()), op.getAxis(), op.getPart(), frame,
                 frames.size());
    if (failed(part))
      return failure();
    results.push_back({std::move(*part)});
  }
  return results;
}

static AllResults evaluateAll(AllReduceOp op, Frames frames) {
  return SmallVector<Results>(
      frames.size(), Results{reduceRanks(op.getKind(), op.getX(), frames)});
}

static AllResults evaluateAll(ReduceScatterOp op, Frames frames) {
  HostTensor reduced = reduceRanks(op.getKind(), op.getX(), frames);
  SmallVector<Results> results;
  for (const Frame &frame : frames) {
    FailureOr<HostTensor> part =
        takePart(op, reduced, op.getAxis(), op.getPart(), frame, frames.size());
    if (failed(part))
      return failure();
    results.push_back({std::move(*part)});
  }
  return results;
}

std::optional<AllResults> evaluateCollective(Operation *op, Frames frames) {
  return llvm::TypeSwitch<Operation *, std::optional<AllResults>>(op)
      .Case<AllToAllOp, AllToAllBackOp, AllGatherOp, ShardOp, AllReduceOp,
            ReduceScatterOp>(
          [&](auto inner) { return evaluateAll(inner, frames); })
      .Default([](Operation *) { return std::nullopt; });
}

} // namespace moe::interp
