//===- MoeOpsCollective.cpp - Operations between ranks --------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialect/moe/Inference.h"

using namespace mlir;
using namespace moe;
using namespace moe::dialect;

//===----------------------------------------------------------------------===//
// All-to-all
//===----------------------------------------------------------------------===//

/// i32 with these dimensions.
static LogicalResult expectCounts(const Inference &check, StringRef what,
                                  Value value,
                                  std::initializer_list<int64_t> sizes) {
  Dims dims(sizes.begin(), sizes.end());
  if (failed(check.expectInteger(what, value, 32)))
    return failure();
  return check.expectDims(what, value, dims);
}

/// How rows travel, on the way there and back.
template <typename OpTy> static LogicalResult verifyForm(OpTy op) {
  Inference check(op);
  std::optional<ExchangeForm> small = op.getSmallForm();
  int64_t nodeSize = op.getNodeSize(),
          numRanks = op.getPlacement().getNumRanks();
  // C3: nodes of node_size ranks, if a form is hierarchical.
  if (op.getForm() == ExchangeForm::Hierarchical ||
      small == ExchangeForm::Hierarchical) {
    if (nodeSize < 1 || numRanks % nodeSize != 0)
      return check.error("is hierarchical over " + Twine(numRanks) +
                         " ranks in nodes of " + Twine(nodeSize));
  } else if (nodeSize != 0) {
    return check.error("has nodes of " + Twine(nodeSize) +
                       " ranks, but no hierarchical form");
  }
  // C4: a small form has one expression of tokens and a positive limit.
  int64_t limit = op.getSmallTokens();
  if (small ? !op.getTokens() || op.getTokens()->size() != 1 || limit < 1
            : op.getTokens() || limit != 0)
    return check.error(small ? "has a small form, but not one number of tokens "
                               "and a positive limit"
                             : "has tokens or a limit without a small form");
  // C5: rows and counts are replicated for both forms or for none.
  if (small && (op.getForm() == ExchangeForm::Replicated ||
                small == ExchangeForm::Replicated))
    return check.error("is replicated and has two forms");
  return success();
}

LogicalResult AllToAllOp::verify() {
  Inference check(*this);
  PlacementAttr placement = getPlacement();
  int64_t experts = placement.getExperts().size();
  // C1: rows has rank 2, counts is i32 [E].
  if (failed(check.expectRank("rows", getRows(), 2)) ||
      failed(expectCounts(check, "counts", getCounts(), {experts})))
    return failure();
  // C2: received [R', M], local_counts i32 [L], route i32 [numRanks, E].
  if (failed(check.expectSameElementType("received", getReceived(),
                                         elementTypeOf(getRows()))) ||
      failed(check.expectRank("received", getReceived(), 2)) ||
      failed(
          check.expectDims("received", getReceived(),
                           {getDim(getReceived(), 0), getDim(getRows(), 1)})) ||
      failed(expectCounts(check, "local_counts", getLocalCounts(),
                          {placement.maxLocalExperts()})))
    return failure();
  if (failed(expectCounts(check, "route", getRoute(),
                          {placement.getNumRanks(), experts})))
    return failure();
  return verifyForm(*this);
}

LogicalResult AllToAllBackOp::verify() {
  Inference check(*this);
  PlacementAttr placement = getPlacement();
  int64_t experts = placement.getExperts().size();
  // C1: rows has rank 2, route is i32 [numRanks, E], counts i32 [E].
  if (failed(check.expectRank("rows", getRows(), 2)) ||
      failed(expectCounts(check, "route", getRoute(),
                          {placement.getNumRanks(), experts})) ||
      failed(expectCounts(check, "counts", getCounts(), {experts})))
    return failure();
  // C2: the result is [R, N].
  if (failed(check.expectSameElementType("a result", getResult(),
                                         elementTypeOf(getRows()))) ||
      failed(check.expectRank("a result", getResult(), 2)))
    return failure();
  if (failed(check.expectDims("a result", getResult(),
                              {getDim(getResult(), 0), getDim(getRows(), 1)})))
    return failure();
  return verifyForm(*this);
}

//===----------------------------------------------------------------------===//
// Parts of a dimension
//===----------------------------------------------------------------------===//

/// `local` is one rank's part of `whole` along `axis`.
static LogicalResult verifyPart(Operation *op, Value local, Value whole,
                                int64_t axis, StringRef part) {
  Inference check(op);
  // C1: the axis is below the rank, the element type stays.
  if (failed(check.expectAxis(axis, rankOf(whole))) ||
      failed(
          check.expectSameElementType("a result", local, elementTypeOf(whole))))
    return failure();
  // C2: part stands in moe.local_symbols.
  std::optional<DimExpr> divided = lookUpSymbol(op, kLocalSymbols, part);
  if (!divided)
    return check.error("has part '" + part +
                       "', which is not in the function's "
                       "moe.local_symbols");
  // C3: part * (size / n) elements along the axis, else equal.
  Dims dims = getDims(whole);
  std::optional<DimExpr> factor = DimExpr::divideExactly(dims[axis], *divided);
  if (!factor)
    return check.error("divides " + dims[axis].toString() + " elements by '" +
                       part + "', a part of " + divided->toString());
  dims[axis] = DimExpr::symbol(part.str()) * *factor;
  return check.expectDims("a part", local, dims);
}

LogicalResult AllGatherOp::verify() {
  return verifyPart(*this, getX(), getResult(), getAxis(), getPart());
}

LogicalResult ShardOp::verify() {
  return verifyPart(*this, getResult(), getX(), getAxis(), getPart());
}

LogicalResult ReduceScatterOp::verify() {
  if (failed(verifyPart(*this, getResult(), getX(), getAxis(), getPart())))
    return failure();
  // C4: not i1.
  return Inference(*this).expectNumber("x", getX());
}

LogicalResult AllReduceOp::inferReturnTypes(MLIRContext *context,
                                            std::optional<Location> location,
                                            Adaptor adaptor,
                                            SmallVectorImpl<Type> &types) {
  // C1: not i1.
  if (failed(Inference(location, getOperationName())
                 .expectNumber("x", adaptor.getX())))
    return failure();
  types.push_back(adaptor.getX().getType());
  return success();
}
