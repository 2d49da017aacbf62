//===- ParamSlice.cpp - Parts of expressions of weights -------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A part of a weight is pushed down to what the weight is made of, so that what
// is left of it reads the bytes of the part only.
//
//===----------------------------------------------------------------------===//

#include "dialect/moe/ParamNodes.h"

using namespace mlir;

namespace moe::dialect::param {

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

} // namespace moe::dialect::param
