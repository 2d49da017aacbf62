//===- BuildIndex.cpp - Operators that move elements by index -------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontend/onnx/Builders.h"

#include "llvm/ADT/StringSwitch.h"

using namespace mlir;
using namespace moe::dialect;

namespace moe::onnx_import {

//===----------------------------------------------------------------------===//
// Gather
//===----------------------------------------------------------------------===//

/// Picks from the elements of a vector by known indices.
static std::optional<SizeElements> gatherElements(NodeContext &n) {
  std::optional<SizeElements> indices = knownElements(n.input(1));
  if (n.rank(0) != 1 || !indices)
    return std::nullopt;
  std::optional<SizeElements> data = n.elements(n.input(0));
  if (!data)
    return std::nullopt;
  SizeElements picked;
  int64_t size = static_cast<int64_t>(data->size());
  for (const SizeElement &element : *indices) {
    std::optional<int64_t> index =
        element.isKnown() ? element.expr.constantValue() : std::nullopt;
    if (!index || *index < -size || *index >= size)
      return std::nullopt;
    picked.push_back((*data)[*index < 0 ? *index + size : *index]);
  }
  return picked;
}

/// An element of 0, 1, 2 ... by a constant index.
static std::optional<DimExpr> pickCounted(NodeContext &n, int64_t index) {
  auto iota = n.input(0).ir ? n.input(0).ir.getDefiningOp<IotaOp>() : IotaOp();
  if (!iota)
    return std::nullopt;
  DimExpr at = index < 0 ? n.dim(0, 0) + DimExpr(index) : DimExpr(index);
  return iota.getStart().getDim(0) + at * DimExpr(iota.getStep());
}

/// One slice of the data by a constant index: no gather is needed.
static FailureOr<Value> pickOne(NodeContext &n, int64_t index, int64_t axis) {
  DimExpr size = n.dim(0, axis);
  std::optional<int64_t> count = size.constantValue();
  if (count && (index < -*count || index >= *count))
    return n.invalid("index " + Twine(index) + " is not one of " +
                     Twine(*count));
  if (!n.assumeAtLeast(size, DimExpr(index < 0 ? -index : index + 1)))
    return n.gather(n.value(0), n.value(1), axis);
  DimExpr start = index < 0 ? size + DimExpr(index) : DimExpr(index);
  Value slice = n.sliceAxis(n.value(0), axis, start, DimExpr(1));
  return n.squeeze(slice, {axis});
}

LogicalResult buildGather(NodeContext &n) {
  FailureOr<int64_t> axis = n.axisIn(n.intAttr("axis", 0), n.rank(0));
  if (failed(axis))
    return failure();
  if (std::optional<SizeElements> picked = gatherElements(n)) {
    n.setMoved(0, getTensorType(n.elementType(0), n.dims(1)), std::move(picked),
               [&] { return n.gather(n.value(0), n.value(1), *axis); });
    return success();
  }
  std::optional<double> index = n.constantNumber(1);
  if (index && n.rank(1) == 0) {
    if (std::optional<DimExpr> element =
            pickCounted(n, static_cast<int64_t>(*index)))
      return n.setElements(0, getTensorType(n.elementType(0), {}), {*element}),
             success();
    FailureOr<Value> picked = pickOne(n, static_cast<int64_t>(*index), *axis);
    if (failed(picked))
      return failure();
    n.set(0, *picked);
    return success();
  }
  n.set(0, n.gather(n.value(0), n.value(1), *axis));
  return success();
}

LogicalResult buildGatherElements(NodeContext &n) {
  FailureOr<int64_t> axis = n.axisIn(n.intAttr("axis", 0), n.rank(0));
  if (failed(axis))
    return failure();
  n.set(0, n.create<GatherElementsOp>(n.value(0), n.value(1), *axis));
  return success();
}

//===----------------------------------------------------------------------===//
// GatherND
//===----------------------------------------------------------------------===//

/// The dimensions of another size than 1.
static SmallVector<unsigned> longAxes(Value value) {
  SmallVector<unsigned> axes;
  for (auto [i, dim] : llvm::enumerate(getDims(value)))
    if (dim != DimExpr(1))
      axes.push_back(i);
  return axes;
}

/// The dimension of `value` along which it counts 0, 1, 2 ...; nothing if it
/// does something else.
static std::optional<unsigned> countingAxis(Value value) {
  if (auto iota = value.getDefiningOp<IotaOp>()) {
    bool counts =
        iota.getStart().getDim(0) == DimExpr(0) && iota.getStep() == 1;
    return counts ? std::optional(0u) : std::nullopt;
  }
  if (auto broadcast = value.getDefiningOp<BroadcastOp>()) {
    std::optional<unsigned> axis = countingAxis(broadcast.getX());
    unsigned added = getTensorType(value).getRank() -
                     getTensorType(broadcast.getX()).getRank();
    if (!axis ||
        getDim(value, *axis + added) != getDim(broadcast.getX(), *axis))
      return std::nullopt;
    return *axis + added;
  }
  if (auto reshape = value.getDefiningOp<ReshapeOp>()) {
    // Only dimensions of size 1 may come and go.
    SmallVector<unsigned> from = longAxes(reshape.getX()), to = longAxes(value);
    std::optional<unsigned> axis = countingAxis(reshape.getX());
    bool keepsSizes = from.size() == to.size() &&
                      llvm::all_of(llvm::zip_equal(from, to), [&](auto pair) {
                        return getDim(reshape.getX(), std::get<0>(pair)) ==
                               getDim(value, std::get<1>(pair));
                      });
    auto it = axis ? llvm::find(from, *axis) : from.end();
    if (keepsSizes && it != from.end())
      return to[it - from.begin()];
  }
  return std::nullopt;
}

/// For indices [.., n]: the dimension of the tuples along which index i counts.
/// Nothing unless all do, each along its own.
static std::optional<SmallVector<unsigned>> countingAxes(Value indices) {
  SmallVector<Value> parts = {indices};
  int64_t last = getTensorType(indices).getRank() - 1;
  if (auto concat = indices.getDefiningOp<ConcatOp>()) {
    if (static_cast<int64_t>(concat.getAxis()) != last)
      return std::nullopt;
    parts = llvm::to_vector(concat.getInputs());
  }
  SmallVector<unsigned> axes;
  for (Value part : parts) {
    std::optional<unsigned> axis = countingAxis(part);
    if (getDim(part, last) != DimExpr(1) || !axis || *axis == last ||
        llvm::is_contained(axes, *axis))
      return std::nullopt;
    axes.push_back(*axis);
  }
  return axes;
}

/// Exporters read a mask at [b, j] for all b and j: that is the mask itself,
/// with other dimensions. Sizes that are read as a whole are demanded to be
/// equal, so that the mask has the batch of the tokens. Null if it is not so.
static Value gatherAll(NodeContext &n) {
  Value indices = n.value(1), data = n.value(0);
  std::optional<SmallVector<unsigned>> axes = countingAxes(indices);
  if (!axes || axes->size() > static_cast<size_t>(n.rank(0)))
    return {};
  Dims tuples = getDims(indices);
  tuples.pop_back();
  for (auto [i, axis] : llvm::enumerate(*axes))
    if (!n.tryUnify(n.dim(0, i), tuples[axis]))
      return {};
  // Data dimensions in the order of the tuples', then the rest.
  SmallVector<int64_t> order = llvm::to_vector(
      llvm::seq<int64_t>(0, static_cast<int64_t>(axes->size())));
  llvm::sort(order,
             [&](int64_t a, int64_t b) { return (*axes)[a] < (*axes)[b]; });
  SmallVector<int64_t> permutation = order;
  for (int64_t i = axes->size(); i < n.rank(0); ++i)
    permutation.push_back(i);
  Dims narrow(tuples.size(), DimExpr(1)), wide = tuples;
  for (unsigned axis : *axes)
    narrow[axis] = tuples[axis];
  for (int64_t i = axes->size(); i < n.rank(0); ++i) {
    narrow.push_back(n.dim(0, i));
    wide.push_back(n.dim(0, i));
  }
  return n.stretch(n.reshape(n.transpose(data, permutation), narrow), wide);
}

LogicalResult buildGatherND(NodeContext &n) {
  int64_t batchDims = n.intAttr("batch_dims", 0);
  if (n.rank(1) < 1 || batchDims < 0)
    return n.invalid("has indices of rank " + Twine(n.rank(1)) + " and " +
                     Twine(batchDims) + " batch dimensions");
  if (batchDims == 0)
    if (Value all = gatherAll(n))
      return n.set(0, all), success();
  if (n.hasFailed())
    return failure();
  Dims data = n.dims(0), indices = n.dims(1);
  for (int64_t i = 0; i < batchDims && i < n.rank(0) && i < n.rank(1); ++i)
    if (failed(n.unify(data[i], indices[i])))
      return failure();
  // With one index for each tuple it is a gather.
  if (batchDims == 0 && indices.back() == DimExpr(1)) {
    Value flat = n.squeeze(n.value(1), {n.rank(1) - 1});
    n.set(0, n.gather(n.value(0), flat, 0));
    return success();
  }
  n.set(0, n.create<GatherNdOp>(n.value(0), n.value(1), batchDims));
  return success();
}

//===----------------------------------------------------------------------===//
// Scatter
//===----------------------------------------------------------------------===//

static FailureOr<ScatterKind> readReduction(NodeContext &n) {
  std::string name = n.stringAttr("reduction", "none");
  std::optional<ScatterKind> kind = symbolizeScatterKind(name);
  if (!kind)
    return n.invalid("attribute 'reduction' is \"" + name +
                     "\", expected none, add, mul, max or min");
  return *kind;
}

LogicalResult buildScatterElements(NodeContext &n) {
  FailureOr<ScatterKind> kind = readReduction(n);
  FailureOr<int64_t> axis = n.axisIn(n.intAttr("axis", 0), n.rank(0));
  if (failed(kind) || failed(axis) || failed(n.unify(n.dims(1), n.dims(2))))
    return failure();
  n.set(0, n.create<ScatterElementsOp>(n.value(0), n.value(1), n.value(2),
                                       *axis, *kind));
  return success();
}

LogicalResult buildScatterND(NodeContext &n) {
  FailureOr<ScatterKind> kind = readReduction(n);
  if (failed(kind))
    return failure();
  Dims indices = n.dims(1), data = n.dims(0);
  std::optional<int64_t> count =
      indices.empty() ? std::nullopt : indices.back().constantValue();
  if (!count || *count < 1 || *count > n.rank(0))
    return n.unsupported("has indices of dimensions " +
                         toString(ArrayRef(indices)));
  Dims updates(indices.begin(), indices.end() - 1);
  updates.append(data.begin() + *count, data.end());
  if (failed(n.unify(n.dims(2), updates)))
    return failure();
  n.set(0, n.create<ScatterNdOp>(n.value(0), n.value(1), n.value(2), *kind));
  return success();
}

// past_cache [B, .., T, ..], update [B, .., S, ..]: row b of update goes to
// write_indices[b] along the axis, modulo T if circular.
LogicalResult buildTensorScatter(NodeContext &n) {
  std::string mode = n.stringAttr("mode", "linear");
  FailureOr<int64_t> axis = n.axisIn(n.intAttr("axis", -2), n.rank(0));
  if (failed(axis))
    return failure();
  if (*axis == 0 || (mode != "linear" && mode != "circular"))
    return n.invalid("has axis 0 or an unknown mode");
  Dims update = n.dims(1);
  if (update.size() != static_cast<size_t>(n.rank(0)))
    return n.invalid("has an update of another rank");
  // indices[b, .., s, ..] = write_indices[b] + s
  Dims along(update.size(), DimExpr(1)), rows = along;
  along[*axis] = update[*axis];
  rows[0] = update[0];
  Value indices = n.reshape(n.iota(DimExpr(0), update[*axis], n.i64()), along);
  if (n.has(2))
    indices = n.binary(BinaryKind::Add, indices, n.reshape(n.value(2), rows));
  if (mode == "circular")
    indices =
        n.binary(BinaryKind::Mod, indices,
                 n.reshape(n.sizes({n.dim(0, *axis)}, n.i64(), true), {}));
  if (n.hasFailed())
    return failure();
  n.set(0, n.create<ScatterElementsOp>(n.value(0), n.stretch(indices, update),
                                       n.value(1), *axis, ScatterKind::None));
  return success();
}

//===----------------------------------------------------------------------===//
// Making and finding indices
//===----------------------------------------------------------------------===//

LogicalResult buildOneHot(NodeContext &n) {
  FailureOr<int64_t> axis = n.axisIn(n.intAttr("axis", -1), n.rank(0) + 1);
  if (failed(axis))
    return failure();
  bool isKnown = n.knownSize(1).has_value();
  FailureOr<DimExpr> depth = n.sizeOrSymbol(1, "input 'depth'", std::nullopt);
  if (failed(depth))
    return failure();
  if (product(n.dims(2)) != DimExpr(2))
    return n.invalid("has values that are not two");
  // The depth as an operand says the value of its symbol.
  bool isData = !isKnown || knownElements(n.input(1))->front().runTime;
  Dims dims = n.dims(0);
  dims.insert(dims.begin() + *axis, *depth);
  Value indices = n.value(0);
  if (isa<FloatType>(n.elementType(0)))
    indices = n.cast(indices, n.i64());
  n.set(0, n.createTyped<OneHotOp>(getTensorType(n.elementType(2), dims),
                                   indices, n.reshape(n.value(2), {DimExpr(2)}),
                                   isData ? n.value(1) : Value(), *axis));
  return success();
}

LogicalResult buildNonZero(NodeContext &n) {
  DimExpr count = n.newDataSymbol(product(n.dims(0)));
  n.set(0,
        n.createTyped<NonZeroOp>(
            getTensorType(n.i64(), {DimExpr(n.rank(0)), count}), n.value(0)));
  return success();
}

LogicalResult buildTopK(NodeContext &n) {
  FailureOr<int64_t> axis = n.axisIn(n.intAttr("axis", -1), n.rank(0));
  bool largest = n.intAttr("largest", 1) != 0;
  // The results are sorted in any case.
  n.ignoreAttr("sorted");
  if (failed(axis))
    return failure();
  DimExpr size = n.dim(0, *axis);
  FailureOr<DimExpr> k = n.sizeOrSymbol(1, "input 'K'", size);
  if (failed(k))
    return failure();
  if ((size - *k).constantValue().value_or(0) < 0 ||
      k->constantValue().value_or(0) < 0)
    return n.invalid("takes " + k->toString() + " of " + size.toString() +
                     " elements");
  bool isData = knownElements(n.input(1))->front().runTime;
  Dims dims = n.dims(0);
  dims[*axis] = *k;
  auto top = n.createTypedOp<TopKOp>(
      getTensorType(n.elementType(0), dims), getTensorType(n.i64(), dims),
      n.value(0), isData ? n.value(1) : Value(), *axis, largest);
  if (failed(top))
    return n.unsupported("cannot be made");
  n.set(0, top->getValues());
  n.set(1, top->getIndices());
  return success();
}

} // namespace moe::onnx_import
