//===- SliceTensorsWeights.cpp - Units of weights as expressions ----------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What is known when compiling becomes part of the weight's expression, so
// that no rank moves elements at run time: slices of fused products, repeated
// key heads, columns in another order.
//
//===----------------------------------------------------------------------===//

#include "passes/distribute/SliceTensors.h"

#include "dialect/moe/ParamBuilder.h"

using namespace mlir;
using namespace moe;
using namespace moe::dialect;

int64_t moe::pass::unitOf(int64_t size) {
  int64_t unit = 16;
  while (size % unit != 0)
    unit /= 2;
  return unit;
}

SmallVector<std::pair<int64_t, int64_t>>
moe::pass::runsOf(ArrayRef<int64_t> picks) {
  SmallVector<std::pair<int64_t, int64_t>> runs;
  for (int64_t unit : picks) {
    if (!runs.empty() && unit == runs.back().first + runs.back().second)
      ++runs.back().second;
    else
      runs.push_back({unit, 1});
  }
  return runs;
}

ParamAttr moe::pass::pickUnits(ParamAttr weight, int axis, const Cut &cut) {
  ArrayRef<int64_t> shape = weight.getType().getShape();
  int64_t unit = shape[axis] / *cut.units.whole.constantValue();
  SmallVector<ParamAttr> pieces;
  for (auto [first, count] : runsOf(cut.picks)) {
    SmallVector<int64_t> starts(shape.size(), 0), steps(shape.size(), 1);
    SmallVector<int64_t> sizes(shape);
    starts[axis] = first * unit;
    sizes[axis] = count * unit;
    pieces.push_back(param::slice(weight, starts, steps, sizes));
  }
  return param::concat(pieces, axis);
}

ParamAttr moe::pass::bringColumnsForward(ParamAttr weight, int axis,
                                         ArrayRef<int64_t> sizes, int front) {
  SmallVector<int64_t> shape(weight.getType().getShape()), unfolded;
  for (auto [i, size] : llvm::enumerate(shape)) {
    if (static_cast<int>(i) == axis)
      llvm::append_range(unfolded, sizes);
    else
      unfolded.push_back(size);
  }
  SmallVector<int64_t> permutation =
      llvm::to_vector(llvm::seq<int64_t>(0, unfolded.size()));
  auto *begin = permutation.begin() + axis;
  std::rotate(begin, begin + front, begin + front + 1);
  return param::reshape(
      param::transpose(param::reshape(weight, unfolded), permutation), shape);
}
