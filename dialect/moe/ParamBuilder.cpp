//===- ParamBuilder.cpp - Expressions of weights --------------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialect/moe/ParamBuilder.h"

#include "dialect/moe/HostTensor.h"
#include "dialect/moe/MoeTypes.h"
#include "dialect/moe/Shapes.h"

using namespace mlir;

namespace moe::dialect::param {

static ParamAttr make(StringRef kind, RankedTensorType type,
                      ArrayRef<int64_t> ints = {},
                      ArrayRef<ParamAttr> operands = {}, Attribute value = {},
                      StringAttr file = {}) {
  MLIRContext *context = type.getContext();
  SmallVector<Attribute> attributes(operands.begin(), operands.end());
  return ParamAttr::get(context, StringAttr::get(context, kind), file, value,
                        ints, attributes, type);
}

static bool isKind(ParamAttr x, StringRef kind) {
  return x.getKind().getValue() == kind;
}

static ParamAttr operandOf(ParamAttr x, unsigned i = 0) {
  return llvm::cast<ParamAttr>(x.getOperands()[i]);
}

static RankedTensorType withShape(ParamAttr x, ArrayRef<int64_t> shape) {
  return RankedTensorType::get(shape, x.getType().getElementType());
}

static int64_t bytesOf(RankedTensorType type) {
  return *numElementsOf(type.getShape()) *
         dtypeSize(*toDType(type.getElementType()));
}

//===----------------------------------------------------------------------===//
// Leaves
//===----------------------------------------------------------------------===//

ParamAttr file(RankedTensorType type, StringRef path, int64_t offset) {
  return make("file", type, {offset, bytesOf(type)}, {}, {},
              StringAttr::get(type.getContext(), path));
}

ParamAttr varint(RankedTensorType type, StringRef path, int64_t offset,
                 int64_t bytes) {
  return make("varint", type, {offset, bytes}, {}, {},
              StringAttr::get(type.getContext(), path));
}

ParamAttr fill(RankedTensorType type, TypedAttr value) {
  return make("fill", type, {}, {}, value);
}

ParamAttr inlined(DenseElementsAttr value) {
  return make("inline", llvm::cast<RankedTensorType>(value.getType()), {}, {},
              value);
}

//===----------------------------------------------------------------------===//
// Slice
//===----------------------------------------------------------------------===//

namespace {
/// A part of `x`: sizes[i] entries from starts[i] in steps.
struct Part {
  ParamAttr x;
  SmallVector<int64_t> starts, steps, sizes;

  bool isWhole(size_t i) const {
    return starts[i] == 0 && steps[i] == 1 &&
           sizes[i] == x.getType().getDimSize(i);
  }
  bool isWhole() const {
    return llvm::all_of(llvm::seq<size_t>(0, sizes.size()),
                        [&](size_t i) { return isWhole(i); });
  }
  RankedTensorType type() const { return withShape(x, sizes); }
  /// The same part of an operand that lacks the first dimension.
  ParamAttr tailOf(ParamAttr operand) const {
    return slice(operand, ArrayRef(starts).drop_front(),
                 ArrayRef(steps).drop_front(), ArrayRef(sizes).drop_front());
  }
  ParamAttr ofFile() const;
  ParamAttr ofSlice() const;
  ParamAttr ofTranspose() const;
  ParamAttr ofStack() const;
  ParamAttr ofConcat() const;
  ParamAttr ofDequantize() const;
  ParamAttr ofQuantize() const;
};
} // namespace

/// The same rounding of another weight.
static ParamAttr quantizeAs(ParamAttr like, ParamAttr x) {
  return quantize(x, like.getInts()[0], like.getInts()[1],
                  like.getInts()[2] != 0);
}

// slice(file, rows) -> file of a narrower range [consecutive rows]
ParamAttr Part::ofFile() const {
  if (sizes.empty() || steps[0] != 1)
    return {};
  for (size_t i = 1; i < sizes.size(); ++i)
    if (!isWhole(i))
      return {};
  int64_t numRows = x.getType().getDimSize(0);
  int64_t rowBytes = numRows == 0 ? 0 : bytesOf(x.getType()) / numRows;
  return file(type(), x.getFile().getValue(),
              x.getInts()[0] + starts[0] * rowBytes);
}

// slice(slice(x)) -> slice(x)
ParamAttr Part::ofSlice() const {
  ArrayRef<int64_t> inner = x.getInts();
  size_t rank = sizes.size();
  SmallVector<int64_t> newStarts, newSteps;
  for (size_t i = 0; i < rank; ++i) {
    newStarts.push_back(inner[i] + starts[i] * inner[rank + i]);
    newSteps.push_back(steps[i] * inner[rank + i]);
  }
  return slice(operandOf(x), newStarts, newSteps, sizes);
}

// slice(transpose(x)) -> transpose(slice(x))
ParamAttr Part::ofTranspose() const {
  SmallVector<int64_t> a(starts), b(steps), c(sizes);
  for (auto [i, from] : llvm::enumerate(x.getInts())) {
    a[from] = starts[i];
    b[from] = steps[i];
    c[from] = sizes[i];
  }
  return transpose(slice(operandOf(x), a, b, c), x.getInts());
}

// slice(stack(a, b, c)) -> stack of the parts of those chosen
ParamAttr Part::ofStack() const {
  SmallVector<ParamAttr> chosen;
  for (int64_t i = 0; i < sizes[0]; ++i)
    chosen.push_back(tailOf(operandOf(x, starts[0] + i * steps[0])));
  if (chosen.empty())
    return {};
  return stack(chosen);
}

// slice(concat(a, b)) -> slice(b) [the part lies in b]
ParamAttr Part::ofConcat() const {
  int64_t axis = x.getInts()[0], begin = 0;
  if (sizes[axis] == 0)
    return {};
  int64_t first = starts[axis];
  int64_t last = first + (sizes[axis] - 1) * steps[axis];
  for (size_t i = 0; i < x.getOperands().size(); ++i) {
    ParamAttr operand = operandOf(x, i);
    int64_t end = begin + operand.getType().getDimSize(axis);
    if (std::min(first, last) >= begin && std::max(first, last) < end) {
      SmallVector<int64_t> moved(starts);
      moved[axis] -= begin;
      return slice(operand, moved, steps, sizes);
    }
    begin = end;
  }
  return {};
}

// slice(dequantize(q, s)) -> dequantize(slice(q), slice(s)) [whole rows]
ParamAttr Part::ofDequantize() const {
  size_t last = sizes.size() - 1;
  if (!isWhole(last))
    return {};
  auto part = [&](unsigned i) {
    ParamAttr operand = operandOf(x, i);
    SmallVector<int64_t> shape(sizes);
    shape[last] = operand.getType().getDimSize(last);
    return slice(operand, starts, steps, shape);
  };
  ParamAttr zeroPoints = x.getOperands().size() == 3 ? part(2) : ParamAttr();
  return dequantize(part(0), part(1), zeroPoints, sizes[last], x.getInts()[0],
                    x.getInts()[1]);
}

// slice(quantize(x)) -> quantize(slice(x)) [whole blocks]
ParamAttr Part::ofQuantize() const {
  size_t axis = sizes.size() - 2;
  int64_t block = x.getInts()[1], end = starts[axis] + sizes[axis];
  bool isAligned = block > 0 && steps[axis] == 1 && starts[axis] % block == 0 &&
                   (end % block == 0 || end == x.getType().getDimSize(axis));
  if (!isWhole(axis) && !isAligned)
    return {};
  return quantizeAs(x, slice(operandOf(x), starts, steps, sizes));
}

ParamAttr slice(ParamAttr x, ArrayRef<int64_t> starts, ArrayRef<int64_t> steps,
                ArrayRef<int64_t> sizes) {
  Part part{x, SmallVector<int64_t>(starts), SmallVector<int64_t>(steps),
            SmallVector<int64_t>(sizes)};
  if (part.isWhole())
    return x;
  ParamAttr simpler;
  if (isKind(x, "file"))
    simpler = part.ofFile();
  else if (isKind(x, "fill"))
    simpler = make("fill", part.type(), {}, {}, x.getValue());
  else if (isKind(x, "slice"))
    simpler = part.ofSlice();
  else if (isKind(x, "transpose"))
    simpler = part.ofTranspose();
  else if (isKind(x, "stack"))
    simpler = part.ofStack();
  else if (isKind(x, "concat"))
    simpler = part.ofConcat();
  else if (isKind(x, "dequantize"))
    simpler = part.ofDequantize();
  else if (isKind(x, "quantize"))
    simpler = part.ofQuantize();
  else if (isKind(x, "cast") || isKind(x, "scale"))
    simpler = make(x.getKind(), part.type(), {},
                   {slice(operandOf(x), starts, steps, sizes)}, x.getValue());
  if (simpler)
    return simpler;
  SmallVector<int64_t> ints(starts);
  llvm::append_range(ints, steps);
  return make("slice", part.type(), ints, {x});
}

//===----------------------------------------------------------------------===//
// Transpose, reshape
//===----------------------------------------------------------------------===//

ParamAttr transpose(ParamAttr x, ArrayRef<int64_t> permutation) {
  // Identity -> x
  if (llvm::equal(permutation, llvm::seq<int64_t>(0, permutation.size())))
    return x;
  // transpose(transpose(x)) -> transpose(x)
  if (isKind(x, "transpose")) {
    SmallVector<int64_t> composed;
    for (int64_t i : permutation)
      composed.push_back(x.getInts()[i]);
    return transpose(operandOf(x), composed);
  }
  SmallVector<int64_t> shape;
  for (int64_t i : permutation)
    shape.push_back(x.getType().getDimSize(i));
  // transpose(fill) -> fill
  if (isKind(x, "fill"))
    return make("fill", withShape(x, shape), {}, {}, x.getValue());
  // Only dimensions of size 1 change places -> reshape(x)
  SmallVector<int64_t> moved;
  for (int64_t i : permutation)
    if (x.getType().getDimSize(i) != 1)
      moved.push_back(i);
  if (llvm::is_sorted(moved))
    return reshape(x, shape);
  // transpose(quantize(x)) -> quantize(transpose(x)) [matrices stay]
  int64_t rank = permutation.size();
  if (isKind(x, "quantize") && permutation[rank - 1] == rank - 1 &&
      permutation[rank - 2] == rank - 2)
    return quantizeAs(x, transpose(operandOf(x), permutation));
  return make("transpose", withShape(x, shape), permutation, {x});
}

ParamAttr reshape(ParamAttr x, ArrayRef<int64_t> shape) {
  RankedTensorType type = withShape(x, shape);
  if (type == x.getType())
    return x;
  // reshape(reshape(x)) -> reshape(x)
  if (isKind(x, "reshape"))
    return reshape(operandOf(x), shape);
  // reshape(file) -> file; reshape(fill) -> fill
  if (isKind(x, "file") || isKind(x, "varint") || isKind(x, "fill"))
    return make(x.getKind(), type, x.getInts(), {}, x.getValue(), x.getFile());
  // reshape(stack(x)) -> reshape(x)
  if (isKind(x, "stack") && x.getOperands().size() == 1)
    return reshape(operandOf(x), shape);
  // reshape(quantize(x)) -> quantize(reshape(x)) [matrices stay]
  if (isKind(x, "quantize") && shape.size() >= 2 &&
      shape.take_back(2) == x.getType().getShape().take_back(2))
    return quantizeAs(x, reshape(operandOf(x), shape));
  return make("reshape", type, {}, {x});
}

//===----------------------------------------------------------------------===//
// Joins
//===----------------------------------------------------------------------===//

/// True if all are fills by one value of equal element type.
static bool areEqualFills(ArrayRef<ParamAttr> inputs) {
  return llvm::all_of(inputs, [&](ParamAttr input) {
    return isKind(input, "fill") &&
           input.getValue() == inputs.front().getValue();
  });
}

/// The operands of weights that are all rounded alike; empty if they are not.
static SmallVector<ParamAttr> beforeQuantize(ArrayRef<ParamAttr> inputs) {
  SmallVector<ParamAttr> operands;
  for (ParamAttr input : inputs) {
    if (!isKind(input, "quantize") ||
        input.getInts() != inputs.front().getInts())
      return {};
    operands.push_back(operandOf(input));
  }
  return operands;
}

ParamAttr concat(ArrayRef<ParamAttr> inputs, int64_t axis) {
  if (inputs.size() == 1)
    return inputs.front();
  // concat(concat(a, b), c) -> concat(a, b, c)
  SmallVector<ParamAttr> flat;
  SmallVector<int64_t> shape(inputs.front().getType().getShape());
  shape[axis] = 0;
  for (ParamAttr input : inputs) {
    shape[axis] += input.getType().getDimSize(axis);
    if (isKind(input, "concat") && input.getInts()[0] == axis)
      for (Attribute operand : input.getOperands())
        flat.push_back(llvm::cast<ParamAttr>(operand));
    else
      flat.push_back(input);
  }
  RankedTensorType type = withShape(inputs.front(), shape);
  // concat(fill, fill) -> fill
  if (areEqualFills(inputs))
    return make("fill", type, {}, {}, inputs.front().getValue());
  // concat(quantize(a), quantize(b)) -> quantize(concat(a, b)) [not along K]
  if (SmallVector<ParamAttr> wide = beforeQuantize(flat);
      !wide.empty() && axis != type.getRank() - 2)
    return quantizeAs(flat.front(), concat(wide, axis));
  return make("concat", type, {axis}, flat);
}

ParamAttr stack(ArrayRef<ParamAttr> inputs) {
  SmallVector<int64_t> shape(inputs.front().getType().getShape());
  shape.insert(shape.begin(), inputs.size());
  RankedTensorType type = withShape(inputs.front(), shape);
  // stack(fill, fill) -> fill
  if (areEqualFills(inputs))
    return make("fill", type, {}, {}, inputs.front().getValue());
  // stack(x) -> reshape(x)
  if (inputs.size() == 1 && !isKind(inputs.front(), "transpose"))
    return reshape(inputs.front(), shape);
  // stack(transpose(a), transpose(b)) -> transpose(stack(a, b))
  bool areTransposed = llvm::all_of(inputs, [&](ParamAttr input) {
    return isKind(input, "transpose") &&
           input.getInts() == inputs.front().getInts();
  });
  if (areTransposed) {
    SmallVector<ParamAttr> operands;
    for (ParamAttr input : inputs)
      operands.push_back(operandOf(input));
    SmallVector<int64_t> permutation = {0};
    for (int64_t i : inputs.front().getInts())
      permutation.push_back(i + 1);
    return transpose(stack(operands), permutation);
  }
  // stack(quantize(a), quantize(b)) -> quantize(stack(a, b))
  if (SmallVector<ParamAttr> wide = beforeQuantize(inputs); !wide.empty())
    return quantizeAs(inputs.front(), stack(wide));
  return make("stack", type, {}, inputs);
}

//===----------------------------------------------------------------------===//
// Arithmetic
//===----------------------------------------------------------------------===//

ParamAttr cast(ParamAttr x, Type elementType) {
  RankedTensorType type = withElementType(x.getType(), elementType);
  if (type == x.getType())
    return x;
  if (!isKind(x, "fill"))
    return make("cast", type, {}, {x});
  // cast(fill) -> fill
  auto scalar = RankedTensorType::get({}, x.getType().getElementType());
  HostTensor value =
      *readConstant(DenseElementsAttr::get(scalar, x.getValue()));
  auto converted = llvm::cast<DenseElementsAttr>(
      writeConstant(type.getContext(), hostCast(value, *toDType(elementType))));
  return make("fill", type, {}, {}, converted.getSplatValue<Attribute>());
}

ParamAttr scale(ParamAttr x, double factor) {
  if (factor == 1.0)
    return x;
  auto value = FloatAttr::get(Float64Type::get(x.getContext()), factor);
  return make("scale", x.getType(), {}, {x}, value);
}

static ParamAttr binary(StringRef kind, ParamAttr a, ParamAttr b) {
  Shape shape = broadcastShapes(a.getType().getShape(), b.getType().getShape());
  return make(kind, withShape(a, shape), {}, {a, b});
}

ParamAttr add(ParamAttr a, ParamAttr b) { return binary("add", a, b); }
ParamAttr mul(ParamAttr a, ParamAttr b) { return binary("mul", a, b); }

ParamAttr dequantize(ParamAttr q, ParamAttr scales, ParamAttr zeroPoints,
                     int64_t size, int64_t bits, int64_t block) {
  SmallVector<int64_t> shape(q.getType().getShape());
  shape.back() = size;
  SmallVector<ParamAttr> operands = {q, scales};
  if (zeroPoints)
    operands.push_back(zeroPoints);
  return make("dequantize", withShape(scales, shape), {bits, block}, operands);
}

ParamAttr quantize(ParamAttr x, int64_t bits, int64_t block,
                   bool hasZeroPoints) {
  return make("quantize", x.getType(), {bits, block, hasZeroPoints ? 1 : 0},
              {x});
}

} // namespace moe::dialect::param
