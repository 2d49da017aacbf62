//===- LinearMatch.cpp - Products of rows with weights --------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/recognize/LinearMatch.h"

#include "passes/recognize/Match.h"

using namespace mlir;
using namespace moe::dialect;

namespace moe::pass {

/// The value before reshapes that keep the last two dimensions.
static Value stripLeadingReshapes(Value value) {
  while (auto reshape = value.getDefiningOp<ReshapeOp>()) {
    Dims from = getDims(reshape.getX()), to = getDims(value);
    if (from.size() < 2 || to.size() < 2 ||
        ArrayRef<DimExpr>(from).take_back(2) !=
            ArrayRef<DimExpr>(to).take_back(2))
      break;
    value = reshape.getX();
  }
  return value;
}

static bool swapsLastTwo(TransposeOp transpose) {
  ArrayRef<int64_t> permutation = transpose.getPermutation();
  size_t rank = permutation.size();
  for (size_t i = 0; i + 2 < rank; ++i)
    if (permutation[i] != static_cast<int64_t>(i))
      return false;
  return rank >= 2 && permutation[rank - 2] == static_cast<int64_t>(rank - 1);
}

/// A parameter of `rank`; one of rank + 1, stacked; or one of rank + 1 of which
/// axis 0 was gathered.
static std::optional<WeightRef> matchParamOrGather(Value value, int64_t rank) {
  if (auto param = value.getDefiningOp<ParamOp>()) {
    int64_t found = getTensorType(value).getRank();
    if (found == rank || found == rank + 1)
      return WeightRef{param, Value(), false, found == rank + 1};
  }
  auto gather = value.getDefiningOp<GatherOp>();
  if (!gather || gather.getAxis() != 0 || gather.getBatchDims() != 0)
    return std::nullopt;
  auto param = gather.getData().getDefiningOp<ParamOp>();
  if (!param || getTensorType(gather.getData()).getRank() != rank + 1)
    return std::nullopt;
  return WeightRef{param, stripReshapesAndCasts(gather.getIndices())};
}

/// `value` [.., a, b] as a weight.
static std::optional<WeightRef> matchMatrix(Value value) {
  bool isTransposed = false;
  value = stripLeadingReshapes(value);
  while (auto transpose = value.getDefiningOp<TransposeOp>()) {
    if (!swapsLastTwo(transpose))
      break;
    isTransposed = !isTransposed;
    value = stripLeadingReshapes(transpose.getX());
  }
  auto weight = matchParamOrGather(value, 2);
  if (weight)
    weight->isTransposed = isTransposed;
  return weight;
}

static bool endsInOne(Value value) {
  return getDims(value).back() == DimExpr(1);
}

/// True if each matrix of `weight` meets what belongs to it in `lhs`: one row
/// if it was gathered, one batch if it is stacked.
static bool meetsOwnRows(const WeightRef &weight, Value lhs) {
  Dims dims = getDims(lhs);
  ArrayRef<DimExpr> leading = ArrayRef<DimExpr>(dims).drop_back(2);
  if (weight.experts)
    return dims[dims.size() - 2] == DimExpr(1);
  ParamOp param = weight.param;
  return !weight.isStacked || product(leading) == getDim(param.getResult(), 0);
}

/// x W with gathered rows as [.., 1, in] [.., in, out], or W x as
/// [.., out, in] [.., in, 1].
static std::optional<Linear> matchProduct(MatmulOp product) {
  if (auto weight = matchMatrix(product.getRhs())) {
    weight->isTransposed ^= product.getTransposeRhs();
    if (!meetsOwnRows(*weight, product.getLhs()))
      return std::nullopt;
    return Linear{product.getLhs(), *weight, {}, product};
  }
  if (product.getTransposeRhs() || product.getBias() ||
      !endsInOne(product.getRhs()))
    return std::nullopt;
  auto weight = matchMatrix(product.getLhs());
  if (!weight || !weight->experts)
    return std::nullopt;
  weight->isTransposed = !weight->isTransposed;
  return Linear{product.getRhs(), *weight, {}, product};
}

/// A bias of the kind of `weight`: a vector, gathered vectors, or [E, 1, out].
static std::optional<WeightRef> matchBias(Value value,
                                          const WeightRef &weight) {
  if (weight.isStacked) {
    Dims dims = getDims(value);
    ParamOp matrix = weight.param;
    auto param = stripReshapes(value).getDefiningOp<ParamOp>();
    if (!param || dims.size() != 3 || dims[1] != DimExpr(1) ||
        dims[0] != getDim(matrix.getResult(), 0))
      return std::nullopt;
    return WeightRef{param, Value(), false, true};
  }
  auto bias = matchParamOrGather(stripReshapes(value), 1);
  return bias && bias->isChosenAs(weight) ? bias : std::nullopt;
}

std::optional<Linear> matchLinear(Value value) {
  value = stripReshapes(value);
  if (auto product = value.getDefiningOp<MatmulOp>()) {
    auto linear = matchProduct(product);
    if (!linear || !product.getBias())
      return linear;
    auto bias = matchBias(product.getBias(), linear->weight);
    if (!bias)
      return std::nullopt;
    linear->bias = *bias;
    return linear;
  }
  auto sum = matchBinary(value, BinaryKind::Add);
  if (!sum)
    return std::nullopt;
  for (auto [product, vector] : {*sum, ValuePair{sum->b, sum->a}}) {
    auto matmul = stripReshapes(product).getDefiningOp<MatmulOp>();
    auto linear =
        matmul && !matmul.getBias() ? matchProduct(matmul) : std::nullopt;
    auto bias = linear ? matchBias(vector, linear->weight) : std::nullopt;
    if (!bias)
      continue;
    linear->bias = *bias;
    return linear;
  }
  return std::nullopt;
}

} // namespace moe::pass
