//===- EvalExchange.cpp - Rows to the ranks of their experts, and back ----===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// One order of rows decides everything: a rank has, for each expert that it
// holds, for each sender, the rows of the sender's share (Receipt). The way
// there fills that order, the way back reads it. How rows travel (flat or
// hierarchical) cannot be seen in values; replicated means that only the rows
// of rank 0 count, and that all ranks get what rank 0 does.
//
//===----------------------------------------------------------------------===//

#include "dialect/interp/World.h"

using namespace mlir;
using namespace moe::dialect;

namespace moe::interp {

namespace {
/// Rows [begin, end) of those that a sender has for an expert.
struct Receipt {
  int64_t local = 0; ///< Number among the experts that the rank holds.
  int64_t expert = 0;
  int64_t sender = 0;
  Range rows;

  int64_t count() const { return rows.end - rows.begin; }
};

/// One exchange over a group.
struct Exchange {
  PlacementAttr placement;
  ExchangeForm form;
  Group group;
  Value counts;

  int64_t numExperts() const { return placement.getExperts().size(); }
  bool isReplicated() const { return form == ExchangeForm::Replicated; }
  /// Senders whose rows count.
  int64_t numSenders() const { return isReplicated() ? 1 : group.size(); }
  /// Rows that `sender` has for `expert`.
  int64_t countOf(int64_t sender, int64_t expert) const {
    return group[sender]->get(counts).elements[expert].i;
  }
  SmallVector<PlacementAttr::Share> sharesOf(int64_t sender,
                                             int64_t expert) const {
    return placement.sharesOf(expert, sender, countOf(sender, expert));
  }
  /// What `place` has received, in order.
  SmallVector<Receipt> receiptsOf(int64_t place) const;
  /// Fails unless the placement is one of the ranks that run, and replicated
  /// tensors are equal on all of them.
  LogicalResult check(Operation *op, ArrayRef<Value> replicated) const;
};
} // namespace

SmallVector<Receipt> Exchange::receiptsOf(int64_t place) const {
  SmallVector<Receipt> receipts;
  for (auto [local, held] : llvm::enumerate(placement.localExperts(place)))
    for (int64_t sender = 0; sender < numSenders(); ++sender)
      for (const auto &share : sharesOf(sender, held.expert))
        if (llvm::is_contained(share.ranks, place))
          receipts.push_back({static_cast<int64_t>(local),
                              held.expert,
                              sender,
                              {share.begin, share.end}});
  return receipts;
}

LogicalResult Exchange::check(Operation *op, ArrayRef<Value> replicated) const {
  if (placement.getNumRanks() != static_cast<int64_t>(group.size()))
    return op->emitError() << "is placed on " << placement.getNumRanks()
                           << " ranks, but runs on " << group.size();
  if (!isReplicated())
    return success();
  for (Value value : replicated)
    for (const Frame *frame : group) {
      const HostTensor &own = frame->get(value);
      const HostTensor &first = group.front()->get(value);
      if (own.shape != first.shape ||
          !llvm::equal(own.elements, first.elements,
                       [](Scalar a, Scalar b) { return a.i == b.i; }))
        return op->emitError("is replicated, but has rows or counts that "
                             "differ by rank");
    }
  return success();
}

/// Appends rows of x.
static void appendRows(HostTensor &rows, const HostTensor &x, Range range) {
  int64_t width = x.shape[1];
  rows.elements.insert(rows.elements.end(),
                       x.elements.begin() + range.begin * width,
                       x.elements.begin() + range.end * width);
  rows.shape[0] += range.end - range.begin;
}

/// The first row of each expert, and the number of all rows.
static SmallVector<int64_t> beginsOf(const HostTensor &counts) {
  SmallVector<int64_t> begins = {0};
  for (Scalar count : counts.elements)
    begins.push_back(begins.back() + count.i);
  return begins;
}

AllResults evaluateAll(AllToAllOp op, Group group) {
  Exchange exchange{op.getPlacement(), op.getForm(), group, op.getCounts()};
  if (failed(exchange.check(op, {op.getRows(), op.getCounts()})))
    return failure();
  SmallVector<SmallVector<int64_t>> begins;
  for (const Frame *frame : group) {
    const HostTensor &counts = frame->get(op.getCounts());
    begins.push_back(beginsOf(counts));
    if (begins.back().back() != frame->get(op.getRows()).shape[0] ||
        llvm::any_of(counts.elements, [](Scalar count) { return count.i < 0; }))
      return op.emitError("has counts that do not fit its rows");
  }
  int64_t numExperts = exchange.numExperts(), numRanks = group.size();
  SmallVector<Results> results;
  for (int64_t place = 0; place < numRanks; ++place) {
    const HostTensor &own = group[place]->get(op.getRows());
    HostTensor received(own.dtype, {0, own.shape[1]});
    HostTensor localCounts(DType::I32, {op.getPlacement().maxLocalExperts()});
    HostTensor route(DType::I32, {numRanks, numExperts});
    for (const Receipt &receipt : exchange.receiptsOf(place)) {
      int64_t begin = begins[receipt.sender][receipt.expert];
      appendRows(received, group[receipt.sender]->get(op.getRows()),
                 {begin + receipt.rows.begin, begin + receipt.rows.end});
      localCounts.elements[receipt.local].i += receipt.count();
      route.elements[receipt.sender * numExperts + receipt.expert] =
          scalarOf(receipt.count());
    }
    results.push_back({received, localCounts, route});
  }
  return results;
}

/// For each rank, where the rows of sender s for expert e begin: entry
/// s * numExperts + e.
static FailureOr<SmallVector<SmallVector<int64_t>>>
findReceived(AllToAllBackOp op, const Exchange &exchange) {
  int64_t numExperts = exchange.numExperts(), numRanks = exchange.group.size();
  SmallVector<SmallVector<int64_t>> begins;
  for (int64_t place = 0; place < numRanks; ++place) {
    const HostTensor &route = exchange.group[place]->get(op.getRoute());
    SmallVector<int64_t> &own = begins.emplace_back(numRanks * numExperts, 0);
    int64_t next = 0;
    for (const Receipt &receipt : exchange.receiptsOf(place)) {
      int64_t at = receipt.sender * numExperts + receipt.expert;
      if (route.elements[at].i != receipt.count())
        return op.emitError("has a route that does not fit its counts");
      own[at] = next;
      next += receipt.count();
    }
    if (next != exchange.group[place]->get(op.getRows()).shape[0])
      return op.emitError("has a route that does not fit its rows");
  }
  return begins;
}

AllResults evaluateAll(AllToAllBackOp op, Group group) {
  Exchange exchange{op.getPlacement(), op.getForm(), group, op.getCounts()};
  if (failed(exchange.check(op, {op.getCounts()})))
    return failure();
  auto begins = findReceived(op, exchange);
  if (failed(begins))
    return failure();
  int64_t numExperts = exchange.numExperts();
  SmallVector<Results> results;
  for (int64_t place = 0; place < static_cast<int64_t>(group.size()); ++place) {
    int64_t sender = exchange.isReplicated() ? 0 : place;
    const HostTensor &own = group[place]->get(op.getRows());
    HostTensor rows(own.dtype, {0, own.shape[1]});
    for (int64_t expert = 0; expert < numExperts; ++expert)
      for (const auto &share : exchange.sharesOf(sender, expert)) {
        // The partial sums of the slices, added in their order and rounded
        // once.
        HostTensor sum;
        for (int64_t owner : share.ranks) {
          int64_t begin = (*begins)[owner][sender * numExperts + expert];
          HostTensor part = takeRange(group[owner]->get(op.getRows()), 0,
                                      {begin, begin + share.end - share.begin});
          part.dtype = DType::F64;
          sum = owner == share.ranks.front()
                    ? std::move(part)
                    : *hostBinary(BinaryKind::Add, sum, part);
        }
        appendRows(rows, sum, {0, share.end - share.begin});
      }
    results.push_back({rows});
  }
  return results;
}

} // namespace moe::interp
