//===- SliceTensorsCuts.cpp - Units of an axis, and those of weights ------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What is known when compiling becomes part of a weight's expression, so that
// no rank moves elements at run time: slices of fused products and repeated
// heads of keys are other weights.
//
//===----------------------------------------------------------------------===//

#include "passes/distribute/SliceTensors.h"

#include "dialect/moe/ParamBuilder.h"

using namespace mlir;
using namespace moe;
using namespace moe::dialect;
using namespace moe::pass;

Dims moe::pass::cutDims(ArrayRef<DimExpr> dims, int axis, const Cut &cut) {
  Dims result(dims);
  result[axis] =
      *DimExpr::divideExactly(result[axis], cut.units.whole) * cut.kept;
  return result;
}

RankedTensorType moe::pass::cutType(Value value, int axis, const Cut &cut) {
  RankedTensorType type = getTensorType(value);
  return getTensorType(type.getElementType(),
                       cutDims(getDims(type), axis, cut));
}

Slicing::Slicing(func::FuncOp func, int64_t tp) : func(func), tp(tp) {}

const Cut &Slicing::rankCut(StringRef purpose, int64_t numUnits) {
  const Cut *&cut = rankCuts[{purpose.str(), numUnits}];
  if (cut)
    return *cut;
  // A name that the function does not know yet.
  auto declared = func->getAttrOfType<DictionaryAttr>(kLocalSymbols);
  auto isTaken = [&](StringRef name) {
    return (declared && declared.contains(name)) ||
           llvm::any_of(
               cuts, [&](const Cut &cut) { return cut.units.symbol == name; });
  };
  std::string symbol;
  for (int i = 0; symbol.empty() || isTaken(symbol); ++i)
    symbol = (purpose + Twine(i) + ".local").str();
  cut = &cuts.emplace_back(
      Cut{{symbol, DimExpr(numUnits)}, DimExpr::symbol(symbol), {}});
  return *cut;
}

const Cut &Slicing::pickCut(int64_t numUnits, ArrayRef<int64_t> picks) {
  for (const Cut &cut : cuts)
    if (cut.units.whole == DimExpr(numUnits) && ArrayRef(cut.picks) == picks)
      return cut;
  return cuts.emplace_back(Cut{{"", DimExpr(numUnits)},
                               DimExpr(static_cast<int64_t>(picks.size())),
                               SmallVector<int64_t>(picks)});
}

//===----------------------------------------------------------------------===//
// Units by number
//===----------------------------------------------------------------------===//

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
