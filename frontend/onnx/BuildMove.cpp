//===- BuildMove.cpp - Operators that move elements -----------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontend/onnx/Builders.h"

using namespace mlir;
using namespace moe::dialect;

namespace moe::onnx_import {

/// Output 0 has the elements of input 0 in the same order.
static LogicalResult setReshaped(NodeContext &n, ArrayRef<DimExpr> dims) {
  RankedTensorType type = getTensorType(n.elementType(0), dims);
  std::optional<SizeElements> elements = n.elements(n.input(0));
  if (elements &&
      numFollowedElements(type) != static_cast<int64_t>(elements->size()))
    elements = std::nullopt;
  n.setMoved(0, type, std::move(elements),
             [&] { return n.reshape(n.value(0), dims); });
  return success();
}

//===----------------------------------------------------------------------===//
// Other dimensions, same elements
//===----------------------------------------------------------------------===//

/// The size that -1 stands for: what is left of the elements.
static FailureOr<DimExpr> inferSize(NodeContext &n, Dims from, Dims to) {
  // Sizes that are on both sides need no division.
  llvm::erase_if(to, [&](const DimExpr &dim) {
    auto it = llvm::find(from, dim);
    if (it == from.end() || dim == DimExpr(0))
      return false;
    from.erase(it);
    return true;
  });
  DimExpr all = product(from), others = product(to);
  if (others != DimExpr(0))
    if (std::optional<DimExpr> size = DimExpr::divideExactly(all, others))
      return *size;
  return n.unsupported("size -1 of " + toString(ArrayRef(n.dims(0))) +
                       " cannot be divided: " + all.toString() + " by " +
                       others.toString());
}

LogicalResult buildReshape(NodeContext &n) {
  FailureOr<Dims> sizes = n.sizesOf(1, "input 'shape'");
  bool allowZero = n.intAttr("allowzero", 0) != 0;
  if (failed(sizes))
    return failure();
  Dims dims, known;
  std::optional<size_t> inferred;
  for (auto [i, size] : llvm::enumerate(*sizes)) {
    DimExpr dim = size;
    if (size == DimExpr(0) && !allowZero) {
      if (static_cast<int64_t>(i) >= n.rank(0))
        return n.invalid("copies size " + Twine(i) + " of a tensor of rank " +
                         Twine(n.rank(0)));
      dim = n.dim(0, i);
    }
    if (dim == DimExpr(-1)) {
      if (inferred)
        return n.invalid("has two sizes of -1");
      inferred = i;
    } else if (dim.constantValue().value_or(0) < 0) {
      return n.invalid("has size " + dim.toString());
    } else {
      known.push_back(dim);
    }
    dims.push_back(dim);
  }
  if (inferred) {
    FailureOr<DimExpr> size = inferSize(n, n.dims(0), known);
    if (failed(size))
      return failure();
    dims[*inferred] = *size;
  }
  return setReshaped(n, dims);
}

LogicalResult buildFlatten(NodeContext &n) {
  int64_t axis = n.intAttr("axis", 1);
  if (axis < -n.rank(0) || axis > n.rank(0))
    return n.invalid("axis " + Twine(axis) + " is out of range");
  if (axis < 0)
    axis += n.rank(0);
  Dims dims = n.dims(0);
  return setReshaped(n, {product(ArrayRef(dims).take_front(axis)),
                         product(ArrayRef(dims).drop_front(axis))});
}

LogicalResult buildSqueeze(NodeContext &n) {
  SmallVector<int64_t> axes;
  if (n.has(1)) {
    FailureOr<SmallVector<int64_t>> given = n.constantInts(1, "input 'axes'");
    if (failed(given))
      return failure();
    FailureOr<SmallVector<int64_t>> counted = n.axesIn(*given, n.rank(0));
    if (failed(counted))
      return failure();
    axes = *counted;
  } else {
    for (auto [i, dim] : llvm::enumerate(n.dims(0)))
      if (dim == DimExpr(1))
        axes.push_back(i);
  }
  Dims dims;
  for (auto [i, dim] : llvm::enumerate(n.dims(0))) {
    if (!llvm::is_contained(axes, static_cast<int64_t>(i)))
      dims.push_back(dim);
    else if (failed(n.unify(dim, DimExpr(1))))
      return failure();
  }
  return setReshaped(n, dims);
}

LogicalResult buildUnsqueeze(NodeContext &n) {
  FailureOr<SmallVector<int64_t>> given = n.constantInts(1, "input 'axes'");
  if (failed(given))
    return failure();
  FailureOr<SmallVector<int64_t>> axes =
      n.axesIn(*given, n.rank(0) + static_cast<int64_t>(given->size()));
  if (failed(axes))
    return failure();
  Dims dims = n.dims(0);
  for (int64_t axis : *axes)
    dims.insert(dims.begin() + axis, DimExpr(1));
  return setReshaped(n, dims);
}

LogicalResult buildTranspose(NodeContext &n) {
  SmallVector<int64_t> permutation;
  if (auto given = n.intsAttr("perm"))
    permutation = *given;
  else
    for (int64_t i = n.rank(0); i-- > 0;)
      permutation.push_back(i);
  if (n.rank(0) <= 1 && permutation.size() == static_cast<size_t>(n.rank(0)))
    return n.set(0, n.input(0)), success();
  n.set(0, n.transpose(n.value(0), permutation));
  return success();
}

//===----------------------------------------------------------------------===//
// Repetition
//===----------------------------------------------------------------------===//

LogicalResult buildExpand(NodeContext &n) {
  FailureOr<Dims> sizes = n.sizesOf(1, "input 'shape'");
  if (failed(sizes))
    return failure();
  FailureOr<Dims> dims = n.broadcast(n.dims(0), *sizes);
  if (failed(dims))
    return failure();
  for (const DimExpr &dim : *dims)
    if (dim.constantValue().value_or(0) < 0)
      return n.invalid("has size " + dim.toString());
  RankedTensorType type = getTensorType(n.elementType(0), *dims);
  std::optional<SizeElements> elements = knownElements(n.input(0));
  int64_t count = numFollowedElements(type);
  if (elements && elements->size() == 1 && count >= 0)
    elements = SizeElements(count, SizeElement(elements->front()));
  else
    elements = std::nullopt;
  n.setMoved(0, type, std::move(elements),
             [&] { return n.stretch(n.value(0), *dims); });
  return success();
}

LogicalResult buildTile(NodeContext &n) {
  FailureOr<Dims> repeats = n.sizesOf(1, "input 'repeats'");
  if (failed(repeats))
    return failure();
  Dims dims = n.dims(0);
  if (repeats->size() != dims.size())
    return n.invalid("has " + Twine(repeats->size()) +
                     " repeats for a tensor of rank " + Twine(dims.size()));
  // A dimension d repeated r times is [1, d], stretched to [r, d], as r * d.
  Dims split, stretched, result;
  for (auto [dim, repeat] : llvm::zip_equal(dims, *repeats)) {
    bool needsSplit = repeat != DimExpr(1) && dim != DimExpr(1);
    if (needsSplit) {
      split.push_back(DimExpr(1));
      stretched.push_back(repeat);
    }
    split.push_back(dim);
    stretched.push_back(needsSplit ? dim : dim * repeat);
    result.push_back(dim * repeat);
  }
  Value x = n.stretch(n.reshape(n.value(0), split), stretched);
  n.set(0, n.reshape(x, result));
  return success();
}

//===----------------------------------------------------------------------===//
// Joining and splitting
//===----------------------------------------------------------------------===//

/// The elements of all inputs one after the other, for inputs of rank 1.
static std::optional<SizeElements> joinElements(NodeContext &n) {
  SizeElements joined;
  for (unsigned i = 0; i < n.numInputs(); ++i) {
    if (n.rank(i) != 1)
      return std::nullopt;
    std::optional<SizeElements> elements = n.elements(n.input(i));
    if (!elements || joined.size() + elements->size() > kMaxFollowedElements)
      return std::nullopt;
    joined.append(*elements);
  }
  return joined;
}

LogicalResult buildConcat(NodeContext &n) {
  for (unsigned i = 0; i < n.numInputs(); ++i)
    if (!n.has(i) || n.elementType(i) != n.elementType(0))
      return n.invalid("has an input that is absent or of another type");
  FailureOr<int64_t> axis = n.axisIn(n.requiredInt("axis"), n.rank(0));
  if (failed(axis))
    return failure();
  auto emit = [&] {
    SmallVector<Value> parts;
    for (unsigned i = 0; i < n.numInputs(); ++i)
      parts.push_back(n.value(i));
    return n.concat(parts, *axis);
  };
  if (std::optional<SizeElements> joined = joinElements(n)) {
    auto type = RankedTensorType::get({static_cast<int64_t>(joined->size())},
                                      n.elementType(0));
    n.setMoved(0, type, std::move(joined), emit);
    return success();
  }
  n.set(0, emit());
  return success();
}

/// The sizes of the parts along `dim`.
static FailureOr<Dims> splitSizes(NodeContext &n, const DimExpr &dim) {
  int64_t count = n.numOutputs();
  // Since opset 18 the number is given, and the last part may be smaller.
  if (n.hasAttr("num_outputs") && n.intAttr("num_outputs", 0) != count)
    return n.invalid("attribute 'num_outputs' is not the number of outputs");
  if (n.has(1)) {
    FailureOr<Dims> sizes = n.sizesOf(1, "input 'split'");
    if (failed(sizes))
      return failure();
    DimExpr sum(0);
    for (const DimExpr &size : *sizes) {
      if (size.constantValue().value_or(0) < 0)
        return n.invalid("has a part of size " + size.toString());
      sum = sum + size;
    }
    if (static_cast<int64_t>(sizes->size()) != count)
      return n.invalid("has " + Twine(sizes->size()) + " sizes for " +
                       Twine(count) + " outputs");
    if (failed(n.unify(sum, dim)))
      return failure();
    return *sizes;
  }
  if (count == 0)
    return n.invalid("has no output");
  if (std::optional<DimExpr> part = DimExpr::divideExactly(dim, DimExpr(count)))
    return Dims(count, *part);
  if (!n.hasAttr("num_outputs") || !dim.isConstant())
    return n.invalid("size " + dim.toString() + " cannot be split into " +
                     Twine(count) + " equal parts");
  DimExpr part = DimExpr::ceilDiv(dim, DimExpr(count));
  Dims sizes(count, part);
  sizes.back() = dim - part * DimExpr(count - 1);
  if (sizes.back().constantValue().value_or(0) < 0)
    return n.invalid("size " + dim.toString() + " has no " + Twine(count) +
                     " parts");
  return sizes;
}

LogicalResult buildSplit(NodeContext &n) {
  FailureOr<int64_t> axis = n.axisIn(n.intAttr("axis", 0), n.rank(0));
  if (failed(axis))
    return failure();
  FailureOr<Dims> sizes = splitSizes(n, n.dim(0, *axis));
  if (failed(sizes))
    return failure();
  std::optional<SizeElements> elements;
  if (n.rank(0) == 1 && constantDims(*sizes))
    elements = n.elements(n.input(0));
  DimExpr start(0);
  for (auto [i, size] : llvm::enumerate(*sizes)) {
    Dims dims = n.dims(0);
    dims[*axis] = size;
    std::optional<SizeElements> part;
    if (elements)
      part = SizeElements(ArrayRef(*elements).slice(*start.constantValue(),
                                                    *size.constantValue()));
    if (n.wants(i))
      n.setMoved(i, getTensorType(n.elementType(0), dims), std::move(part),
                 [&] { return n.sliceAxis(n.value(0), *axis, start, size); });
    start = start + size;
  }
  return success();
}

//===----------------------------------------------------------------------===//
// Padding, triangles
//===----------------------------------------------------------------------===//

namespace {
/// Elements to add before and after each dimension; negative ones go.
struct Padding {
  Dims low, high;
};
} // namespace

static FailureOr<Padding> readPadding(NodeContext &n) {
  size_t rank = n.rank(0);
  FailureOr<Dims> pads = n.sizesOf(1, "input 'pads'");
  if (failed(pads))
    return failure();
  SmallVector<int64_t> axes = llvm::to_vector(llvm::seq<int64_t>(0, rank));
  if (n.has(3)) {
    FailureOr<SmallVector<int64_t>> given = n.constantInts(3, "input 'axes'");
    if (failed(given))
      return failure();
    axes = *given;
  }
  if (pads->size() != 2 * axes.size())
    return n.invalid("has " + Twine(pads->size()) + " pads for " +
                     Twine(axes.size()) + " axes");
  Padding padding{Dims(rank, DimExpr(0)), Dims(rank, DimExpr(0))};
  for (auto [i, axis] : llvm::enumerate(axes)) {
    FailureOr<int64_t> counted = n.axisIn(axis, rank);
    if (failed(counted))
      return failure();
    padding.low[*counted] = (*pads)[i];
    padding.high[*counted] = (*pads)[axes.size() + i];
  }
  return padding;
}

/// Cuts off what negative pads take away and sets them to 0.
static Value cropNegative(NodeContext &n, Value x, Padding &padding) {
  Dims starts, dims = getDims(x);
  for (size_t i = 0; i < dims.size(); ++i) {
    starts.push_back(DimExpr(0));
    for (DimExpr *pad : {&padding.low[i], &padding.high[i]}) {
      if (pad->constantValue().value_or(0) >= 0)
        continue;
      if (pad == &padding.low[i])
        starts[i] = DimExpr(0) - *pad;
      dims[i] = dims[i] + *pad;
      *pad = DimExpr(0);
    }
    if (dims[i].constantValue().value_or(0) < 0)
      return (void)n.invalid("takes away more elements than there are"),
             n.placeholder();
  }
  return n.slice(x, starts, dims);
}

LogicalResult buildPad(NodeContext &n) {
  std::string mode = n.stringAttr("mode", "constant");
  std::optional<PadMode> kind = symbolizePadMode(mode);
  if (!kind)
    return n.unsupported("attribute 'mode' = \"" + mode +
                         "\" is not supported");
  FailureOr<Padding> padding = readPadding(n);
  if (failed(padding))
    return failure();
  Value x = cropNegative(n, n.value(0), *padding);
  if (n.hasFailed())
    return failure();
  Dims dims;
  for (auto [dim, low, high] :
       llvm::zip_equal(getDims(x), padding->low, padding->high))
    dims.push_back(dim + low + high);
  Value value;
  if (n.has(2) && *kind == PadMode::Constant)
    value = n.reshape(n.value(2), {});
  if (n.hasFailed())
    return failure();
  RankedTensorType type = getTensorType(n.elementType(0), dims);
  if (type == x.getType())
    n.set(0, x);
  else
    n.set(0, n.createTyped<PadOp>(type, x, value,
                                  DimsAttr::get(n.context(), padding->low),
                                  *kind));
  return success();
}

LogicalResult buildTrilu(NodeContext &n) {
  bool upper = n.intAttr("upper", 1) != 0;
  DimExpr diagonal(0);
  if (n.has(1)) {
    FailureOr<Dims> given = n.sizesOf(1, "input 'k'");
    if (failed(given) || given->size() != 1)
      return n.unsupported("input 'k' is not one known integer");
    diagonal = given->front();
  }
  // A size is not negative; the sign stands beside it.
  bool negate =
      !isNonNegative(diagonal) && isNonNegative(DimExpr(0) - diagonal);
  if (negate)
    diagonal = DimExpr(0) - diagonal;
  n.set(0, n.create<TriluOp>(n.value(0), upper,
                             DimsAttr::get(n.context(), {diagonal}), negate));
  return success();
}

} // namespace moe::onnx_import
