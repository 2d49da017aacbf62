//===- MoeOpsMove.cpp - Operations that move elements ---------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialect/moe/Inference.h"
#include "dialect/moe/Shapes.h"

using namespace mlir;
using namespace moe;
using namespace moe::dialect;

//===----------------------------------------------------------------------===//
// By index
//===----------------------------------------------------------------------===//

/// `a` and `b` begin with the same `count` dimensions.
static LogicalResult expectSameLeading(const Inference &check,
                                       ArrayRef<DimExpr> a, ArrayRef<DimExpr> b,
                                       size_t count) {
  return check.expect(a.take_front(count) == b.take_front(count),
                      "has batch dimensions " + toString(a.take_front(count)) +
                          " and " + toString(b.take_front(count)));
}

LogicalResult GatherOp::inferReturnTypes(MLIRContext *context,
                                         std::optional<Location> location,
                                         Adaptor adaptor,
                                         SmallVectorImpl<Type> &types) {
  Inference check(location, getOperationName());
  Dims data = getDims(adaptor.getData()),
       indices = getDims(adaptor.getIndices());
  int64_t axis = adaptor.getAxis(), batch = adaptor.getBatchDims();
  // C1: 0 <= batch_dims <= axis < rank of data, batch_dims <= rank of indices.
  if (failed(check.expectAxis(axis, data.size())) ||
      failed(check.expect(batch >= 0 && batch <= axis &&
                              batch <= static_cast<int64_t>(indices.size()),
                          "has " + Twine(batch) +
                              " batch dimensions with axis " + Twine(axis) +
                              " and indices of rank " + Twine(indices.size()))))
    return failure();
  // C2: the indices are integers.
  if (failed(check.expectInteger("indices", adaptor.getIndices())))
    return failure();
  // C3: the batch dimensions are equal.
  if (failed(expectSameLeading(check, data, indices, batch)))
    return failure();
  Dims dims(data.begin(), data.begin() + axis);
  dims.append(indices.begin() + batch, indices.end());
  dims.append(data.begin() + axis + 1, data.end());
  types.push_back(getTensorType(elementTypeOf(adaptor.getData()), dims));
  return success();
}

/// The number of indices in a tuple: the last of `indices`, a constant between
/// 1 and `limit`.
static FailureOr<int64_t> inferTupleSize(const Inference &check,
                                         ArrayRef<DimExpr> indices,
                                         int64_t limit) {
  std::optional<int64_t> size = indices.back().constantValue();
  if (!size || *size < 1 || *size > limit)
    return check.error("has tuples of " + indices.back().toString() +
                       " indices, expected between 1 and " + Twine(limit));
  return *size;
}

LogicalResult GatherOp::verify() {
  if (!getPart())
    return success();
  Inference check(*this);
  // C4: part stands in moe.local_symbols and divides the axis of data.
  if (!lookUpSymbol(*this, kLocalSymbols, *getPart()))
    return check.error("has part '" + *getPart() +
                       "', which is not in the function's moe.local_symbols");
  DimExpr size = getDim(getData(), getAxis());
  return check.expect(
      DimExpr::divideExactly(size, DimExpr::symbol(getPart()->str()))
          .has_value(),
      "has data of " + size.toString() + " entries, which is no part as '" +
          *getPart() + "' is");
}

LogicalResult GatherNdOp::inferReturnTypes(MLIRContext *context,
                                           std::optional<Location> location,
                                           Adaptor adaptor,
                                           SmallVectorImpl<Type> &types) {
  Inference check(location, getOperationName());
  Dims data = getDims(adaptor.getData()),
       indices = getDims(adaptor.getIndices());
  int64_t batch = adaptor.getBatchDims();
  // C1: 0 <= batch_dims < both ranks.
  int64_t rank = std::min(data.size(), indices.size());
  if (batch < 0 || batch >= rank)
    return check.error("has " + Twine(batch) + " batch dimensions of " +
                       toString(data) + " and " + toString(indices));
  // C2: the indices are integers.
  if (failed(check.expectInteger("indices", adaptor.getIndices())))
    return failure();
  // C3: the batch dimensions are equal.
  if (failed(expectSameLeading(check, data, indices, batch)))
    return failure();
  // C4: n is a constant between 1 and the remaining rank.
  FailureOr<int64_t> n = inferTupleSize(check, indices, data.size() - batch);
  if (failed(n))
    return failure();
  Dims dims(indices.begin(), indices.end() - 1);
  dims.append(data.begin() + batch + *n, data.end());
  types.push_back(getTensorType(elementTypeOf(adaptor.getData()), dims));
  return success();
}

LogicalResult GatherElementsOp::inferReturnTypes(
    MLIRContext *context, std::optional<Location> location, Adaptor adaptor,
    SmallVectorImpl<Type> &types) {
  Inference check(location, getOperationName());
  Dims data = getDims(adaptor.getData()),
       indices = getDims(adaptor.getIndices());
  int64_t axis = adaptor.getAxis();
  // C1: the axis is below the rank; C2: the indices are integers.
  if (failed(check.expectAxis(axis, data.size())) ||
      failed(check.expectInteger("indices", adaptor.getIndices())))
    return failure();
  // C3: the ranks are equal and the sizes fit.
  if (failed(check.expectRank("indices", adaptor.getIndices(), data.size())))
    return failure();
  for (auto [i, dim] : llvm::enumerate(indices)) {
    std::optional<int64_t> count = dim.constantValue();
    std::optional<int64_t> limit = data[i].constantValue();
    if (static_cast<int64_t>(i) != axis && count && limit && *count > *limit)
      return check.error("has " + Twine(*count) + " indices for " +
                         Twine(*limit) + " entries in dimension " + Twine(i));
  }
  types.push_back(getTensorType(elementTypeOf(adaptor.getData()), indices));
  return success();
}

LogicalResult ScatterElementsOp::inferReturnTypes(
    MLIRContext *context, std::optional<Location> location, Adaptor adaptor,
    SmallVectorImpl<Type> &types) {
  Inference check(location, getOperationName());
  Value data = adaptor.getData(), indices = adaptor.getIndices();
  // C1: the axis is below the rank; C2: the indices are integers.
  if (failed(check.expectAxis(adaptor.getAxis(), rankOf(data))) ||
      failed(check.expectInteger("indices", indices)))
    return failure();
  // C3: the ranks are equal; C4: updates has the dimensions of indices.
  if (failed(check.expectRank("indices", indices, rankOf(data))) ||
      failed(
          check.expectDims("updates", adaptor.getUpdates(), getDims(indices))))
    return failure();
  // C5: the element types are equal.
  if (failed(check.expectSameElementType("updates", adaptor.getUpdates(),
                                         elementTypeOf(data))))
    return failure();
  types.push_back(data.getType());
  return success();
}

LogicalResult ScatterNdOp::inferReturnTypes(MLIRContext *context,
                                            std::optional<Location> location,
                                            Adaptor adaptor,
                                            SmallVectorImpl<Type> &types) {
  Inference check(location, getOperationName());
  Value data = adaptor.getData();
  // C1: the indices are integers of rank >= 1.
  Dims indices = getDims(adaptor.getIndices());
  if (failed(check.expectInteger("indices", adaptor.getIndices())) ||
      failed(check.expect(!indices.empty(), "has indices of rank 0")))
    return failure();
  // C2: n is a constant between 1 and the rank.
  FailureOr<int64_t> n = inferTupleSize(check, indices, rankOf(data));
  if (failed(n))
    return failure();
  // C3: updates is [i.., t..].
  Dims expected(indices.begin(), indices.end() - 1);
  llvm::append_range(expected, llvm::drop_begin(getDims(data), *n));
  if (failed(check.expectDims("updates", adaptor.getUpdates(), expected)))
    return failure();
  // C4: the element types are equal.
  if (failed(check.expectSameElementType("updates", adaptor.getUpdates(),
                                         elementTypeOf(data))))
    return failure();
  types.push_back(data.getType());
  return success();
}

LogicalResult OneHotOp::verify() {
  Inference check(*this);
  int64_t axis = getAxis();
  // C1: the axis is below the rank of the result.
  if (failed(check.expectAxis(axis, rankOf(getResult()))))
    return failure();
  // C2: without it, the result has the dimensions of indices.
  Dims dims = getDims(getIndices());
  if (failed(check.expectRank("a result", getResult(), dims.size() + 1)))
    return failure();
  dims.insert(dims.begin() + axis, getDim(getResult(), axis));
  if (failed(check.expectDims("a result", getResult(), dims)))
    return failure();
  // C3: values is [2] of the element type of the result.
  if (failed(check.expectDims("values", getValues(), {DimExpr(2)})) ||
      failed(check.expectSameElementType("values", getValues(),
                                         elementTypeOf(getResult()))))
    return failure();
  // C4: depth is one integer.
  if (Value depth = getDepth()) {
    if (failed(check.expectInteger("depth", depth)) ||
        failed(check.expect(product(getDims(depth)) == DimExpr(1),
                            "has more than one depth")))
      return failure();
  }
  // C5: the indices are integers.
  return check.expectInteger("indices", getIndices());
}

LogicalResult NonZeroOp::verify() {
  Inference check(*this);
  // C1: [rank, n] of i64.
  if (failed(check.expectInteger("a result", getResult(), 64)) ||
      failed(check.expectRank("a result", getResult(), 2)))
    return failure();
  return check.expect(getDim(getResult(), 0) == DimExpr(rankOf(getX())),
                      "has " + getDim(getResult(), 0).toString() +
                          " rows for an operand of rank " +
                          Twine(rankOf(getX())));
}

//===----------------------------------------------------------------------===//
// By position
//===----------------------------------------------------------------------===//

LogicalResult SliceOp::verify() {
  Inference check(*this);
  int64_t rank = rankOf(getX());
  ArrayRef<int64_t> steps = getSteps();
  // C1: ranks and numbers of entries are equal.
  if (failed(check.expectRank("a result", getResult(), rank)))
    return failure();
  if (static_cast<int64_t>(getStarts().size()) != rank ||
      static_cast<int64_t>(steps.size()) != rank)
    return check.error("has " + Twine(getStarts().size()) + " starts and " +
                       Twine(steps.size()) + " steps for rank " + Twine(rank));
  // C2: the element type stays.
  if (failed(check.expectSameElementType("a result", getResult(),
                                         elementTypeOf(getX()))))
    return failure();
  for (int64_t i = 0; i < rank; ++i) {
    // C3: no step is 0.
    if (steps[i] == 0)
      return check.error("has step 0 in dimension " + Twine(i));
    // C4: constant parts lie inside.
    std::optional<int64_t> size = getDim(getX(), i).constantValue(),
                           start = getStarts().getDim(i).constantValue(),
                           count = getDim(getResult(), i).constantValue();
    if (size && start && count &&
        !isValidSlice(*size, *start, steps[i], *count))
      return check.error("takes " + Twine(*count) + " elements from " +
                         Twine(*start) + " in steps of " + Twine(steps[i]) +
                         " out of " + Twine(*size) + " in dimension " +
                         Twine(i));
  }
  return success();
}

LogicalResult ConcatOp::inferReturnTypes(MLIRContext *context,
                                         std::optional<Location> location,
                                         Adaptor adaptor,
                                         SmallVectorImpl<Type> &types) {
  Inference check(location, getOperationName());
  // C1: there is an input.
  if (adaptor.getInputs().empty())
    return check.error("has no input");
  Value first = adaptor.getInputs().front();
  int64_t axis = adaptor.getAxis();
  // C2: the axis is below the rank.
  if (failed(check.expectAxis(axis, rankOf(first))))
    return failure();
  // C3: ranks, element types and the other dimensions are equal.
  Dims dims = getDims(first);
  DimExpr total(0);
  for (Value input : adaptor.getInputs()) {
    if (failed(check.expectSameElementType("an input", input,
                                           elementTypeOf(first))) ||
        failed(check.expectRank("an input", input, dims.size())))
      return failure();
    DimExpr size = getDim(input, axis);
    dims[axis] = size;
    if (failed(check.expectDims("an input", input, dims)))
      return failure();
    total = total + size;
  }
  dims[axis] = total;
  types.push_back(getTensorType(elementTypeOf(first), dims));
  return success();
}

LogicalResult PadOp::verify() {
  Inference check(*this);
  int64_t rank = rankOf(getX());
  // C1: ranks and the number of entries are equal.
  if (failed(check.expectRank("a result", getResult(), rank)) ||
      failed(check.expect(static_cast<int64_t>(getLow().size()) == rank,
                          "has " + Twine(getLow().size()) +
                              " entries in low for rank " + Twine(rank))))
    return failure();
  // C2: the element types are equal.
  Type type = elementTypeOf(getX());
  if (failed(check.expectSameElementType("a result", getResult(), type)) ||
      (getValue() &&
       failed(check.expectSameElementType("value", getValue(), type))))
    return failure();
  // C3: value is one element and the mode constant.
  if (getValue() && (getMode() != PadMode::Constant ||
                     product(getDims(getValue())) != DimExpr(1)))
    return check.error("has a value that is not one element, or for a mode "
                       "that uses none");
  // C4: constant paddings are not negative.
  for (int64_t i = 0; i < rank; ++i) {
    DimExpr low = getLow().getDim(i);
    DimExpr high = getDim(getResult(), i) - getDim(getX(), i) - low;
    if (low.constantValue().value_or(0) < 0 ||
        high.constantValue().value_or(0) < 0)
      return check.error("pads dimension " + Twine(i) + " by " +
                         low.toString() + " and " + high.toString());
  }
  return success();
}

LogicalResult TransposeOp::inferReturnTypes(MLIRContext *context,
                                            std::optional<Location> location,
                                            Adaptor adaptor,
                                            SmallVectorImpl<Type> &types) {
  Inference check(location, getOperationName());
  Value x = adaptor.getX();
  // C1: a permutation of the dimensions.
  if (!isPermutation(adaptor.getPermutation(), rankOf(x)))
    return check.error("has a permutation that is not one of " +
                       Twine(rankOf(x)) + " dimensions");
  Dims dims;
  for (int64_t i : adaptor.getPermutation())
    dims.push_back(getDim(x, i));
  types.push_back(getTensorType(elementTypeOf(x), dims));
  return success();
}

LogicalResult ReshapeOp::verify() {
  Inference check(*this);
  Dims from = getDims(getX()), to = getDims(getResult());
  // C1: the products are equal.
  if (product(from) != product(to))
    return check.error("makes " + toString(to) + " of " + toString(from) +
                       ", which has another number of elements");
  // C2: the element type stays.
  return check.expectSameElementType("a result", getResult(),
                                     elementTypeOf(getX()));
}

LogicalResult BroadcastOp::verify() {
  Inference check(*this);
  // C1: the element type stays.
  if (failed(check.expectSameElementType("a result", getResult(),
                                         elementTypeOf(getX()))))
    return failure();
  // C2: x broadcasts to the result.
  return check.expect(broadcastsTo(getDims(getX()), getDims(getResult())),
                      "stretches " + toString(getDims(getX())) + " to " +
                          toString(getDims(getResult())));
}

LogicalResult TriluOp::inferReturnTypes(MLIRContext *context,
                                        std::optional<Location> location,
                                        Adaptor adaptor,
                                        SmallVectorImpl<Type> &types) {
  Inference check(location, getOperationName());
  Value x = adaptor.getX();
  // C1: x has rank >= 2; C2: diagonal has one entry.
  if (failed(check.expect(rankOf(x) >= 2, "has x of rank " + Twine(rankOf(x)) +
                                              ", expected at least 2")) ||
      failed(check.expect(adaptor.getDiagonal().size() == 1,
                          "has " + Twine(adaptor.getDiagonal().size()) +
                              " diagonals, expected 1")))
    return failure();
  types.push_back(x.getType());
  return success();
}
