//===- BuildArithmetic.cpp - Functions of several elements ----------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Each operator has two sides: on sizes, which are known while importing, it is
// arithmetic on expressions; on data it is an operation.
//
//===----------------------------------------------------------------------===//

#include "frontend/onnx/Builders.h"

#include "llvm/ADT/StringSwitch.h"

using namespace mlir;
using namespace moe::dialect;

namespace moe::onnx_import {

//===----------------------------------------------------------------------===//
// Arithmetic on sizes
//===----------------------------------------------------------------------===//

using FoldFn =
    llvm::function_ref<std::optional<DimExpr>(llvm::ArrayRef<DimExpr>)>;

/// Index of the element of a tensor of `shape` that broadcasts to `position` of
/// a tensor of rank >= that of `shape`.
static int64_t broadcastIndex(ArrayRef<int64_t> shape,
                              ArrayRef<int64_t> position) {
  int64_t index = 0;
  for (auto [size, at] :
       llvm::zip_equal(shape, position.take_back(shape.size())))
    index = index * size + (size == 1 ? 0 : at);
  return index;
}

/// Sets output 0 to fold(inputs..), element by element, if all elements of all
/// inputs are known and `fold` has a result for all of them.
static bool foldSizes(NodeContext &n, Type elementType, FoldFn fold) {
  SmallVector<SizeElements> inputs;
  Dims shape;
  for (unsigned i = 0; i < n.numInputs(); ++i) {
    // Narrow integers wrap around; nobody computes sizes with them.
    unsigned width = n.elementType(i).getIntOrFloatBitWidth();
    if (width != 1 && width < 32)
      return false;
    std::optional<SizeElements> elements = knownElements(n.input(i));
    if (!elements ||
        llvm::any_of(*elements, [](const SizeElement &e) { return e.runTime; }))
      return false;
    FailureOr<Dims> dims = broadcastDims(shape, n.dims(i));
    if (failed(dims))
      return false;
    shape = *dims;
    inputs.push_back(std::move(*elements));
  }
  RankedTensorType type = getTensorType(elementType, shape);
  int64_t numResults = numFollowedElements(type);
  if (numResults < 0)
    return false;
  SizeElements results;
  SmallVector<int64_t> position(shape.size(), 0);
  for (int64_t count = numResults; count > 0; --count) {
    SmallVector<DimExpr> arguments;
    for (auto [i, elements] : llvm::enumerate(inputs))
      arguments.push_back(
          elements[broadcastIndex(n.type(i).getShape(), position)].expr);
    std::optional<DimExpr> result = fold(arguments);
    if (!result)
      return false;
    results.push_back(*result);
    for (size_t i = shape.size(); i-- > 0;) {
      if (++position[i] < type.getDimSize(i))
        break;
      position[i] = 0;
    }
  }
  n.setElements(0, type, std::move(results));
  return true;
}

static DimExpr truthValue(const DimExpr &x) {
  return DimExpr(x == DimExpr(0) ? 0 : 1);
}

static std::optional<DimExpr> foldDivision(BinaryKind kind, const DimExpr &a,
                                           const DimExpr &b, bool truncate) {
  // For numbers >= 0 truncation is rounding down, and the sign of a remainder
  // is nobody's.
  if (isNonNegative(a) && isAtLeast(b, DimExpr(1)))
    return kind == BinaryKind::Div ? DimExpr::floorDiv(a, b)
                                   : DimExpr::mod(a, b);
  std::optional<int64_t> x = a.constantValue(), y = b.constantValue();
  if (!x || !y || *y == 0 || (*x == INT64_MIN && *y == -1))
    return std::nullopt;
  if (kind == BinaryKind::Div)
    return DimExpr(*x / *y);
  int64_t rest = *x % *y;
  if (!truncate && rest != 0 && (rest < 0) != (*y < 0))
    rest += *y;
  return DimExpr(rest);
}

static std::optional<DimExpr> foldBinary(BinaryKind kind, const DimExpr &a,
                                         const DimExpr &b, bool isBool) {
  switch (kind) {
  case BinaryKind::Add:
    return a + b;
  case BinaryKind::Sub:
    return a - b;
  case BinaryKind::Mul:
    return a * b;
  case BinaryKind::Div:
  case BinaryKind::Mod:
  case BinaryKind::Fmod:
    return foldDivision(kind, a, b, kind == BinaryKind::Fmod);
  case BinaryKind::Max:
  case BinaryKind::Min: {
    bool isMax = kind == BinaryKind::Max;
    if (isAtLeast(a, b))
      return isMax ? a : b;
    if (isAtLeast(b, a))
      return isMax ? b : a;
    return isMax ? DimExpr::max(a, b) : DimExpr::min(a, b);
  }
  case BinaryKind::And:
    return isBool ? std::optional(truthValue(a) * truthValue(b)) : std::nullopt;
  case BinaryKind::Or:
    return isBool ? std::optional(truthValue(truthValue(a) + truthValue(b)))
                  : std::nullopt;
  case BinaryKind::Xor:
    return isBool ? std::optional(DimExpr(truthValue(a) != truthValue(b)))
                  : std::nullopt;
  default:
    return std::nullopt;
  }
}

/// Whether a comparison holds for all values of the symbols, or for none.
static std::optional<bool> decide(CompareKind kind, const DimExpr &a,
                                  const DimExpr &b) {
  bool less = isAtLeast(b, a + DimExpr(1)),
       greater = isAtLeast(a, b + DimExpr(1));
  bool atMost = isAtLeast(b, a), atLeast = isAtLeast(a, b);
  auto choose = [](bool yes, bool no) -> std::optional<bool> {
    if (yes || no)
      return yes;
    return std::nullopt;
  };
  switch (kind) {
  case CompareKind::Eq:
    return choose(a == b, less || greater);
  case CompareKind::Ne:
    return choose(less || greater, a == b);
  case CompareKind::Lt:
    return choose(less, atLeast);
  case CompareKind::Le:
    return choose(atMost, greater);
  case CompareKind::Gt:
    return choose(greater, atMost);
  case CompareKind::Ge:
    return choose(atLeast, less);
  }
  return std::nullopt;
}

//===----------------------------------------------------------------------===//
// Builders
//===----------------------------------------------------------------------===//

LogicalResult buildBinary(NodeContext &n) {
  BinaryKind kind = llvm::StringSwitch<BinaryKind>(n.opType())
                        .Case("Add", BinaryKind::Add)
                        .Cases({"And", "BitwiseAnd"}, BinaryKind::And)
                        .Case("Div", BinaryKind::Div)
                        .Case("Mod", BinaryKind::Mod)
                        .Case("Mul", BinaryKind::Mul)
                        .Cases({"Or", "BitwiseOr"}, BinaryKind::Or)
                        .Case("Pow", BinaryKind::Pow)
                        .Case("Sub", BinaryKind::Sub)
                        .Cases({"Xor", "BitwiseXor"}, BinaryKind::Xor);
  if (kind == BinaryKind::Mod && n.intAttr("fmod", 0) != 0)
    kind = BinaryKind::Fmod;
  bool isBool = n.elementType(0).isInteger(1);
  bool isFolded = n.elementType(0) == n.elementType(1) &&
                  foldSizes(n, n.elementType(0), [&](ArrayRef<DimExpr> x) {
                    return foldBinary(kind, x[0], x[1], isBool);
                  });
  if (!isFolded)
    n.set(0, n.binary(kind, n.value(0), n.value(1)));
  return success();
}

LogicalResult buildVariadic(NodeContext &n) {
  bool isMean = n.opType() == "Mean";
  BinaryKind kind = llvm::StringSwitch<BinaryKind>(n.opType())
                        .Case("Max", BinaryKind::Max)
                        .Case("Min", BinaryKind::Min)
                        .Default(BinaryKind::Add);
  for (unsigned i = 0; i < n.numInputs(); ++i)
    if (!n.has(i))
      return n.invalid("lacks an input that is not optional");
  auto fold = [&](ArrayRef<DimExpr> x) -> std::optional<DimExpr> {
    DimExpr result = x[0];
    for (const DimExpr &other : x.drop_front())
      result = *foldBinary(kind, result, other, false);
    return result;
  };
  if (!isMean && foldSizes(n, n.elementType(0), fold))
    return success();
  Value result = n.value(0);
  for (unsigned i = 1; i < n.numInputs(); ++i)
    result = n.binary(kind, result, n.value(i));
  if (isMean)
    result = n.binary(BinaryKind::Div, result, n.numInputs());
  n.set(0, result);
  return success();
}

LogicalResult buildCompare(NodeContext &n) {
  CompareKind kind = llvm::StringSwitch<CompareKind>(n.opType())
                         .Case("Equal", CompareKind::Eq)
                         .Case("Greater", CompareKind::Gt)
                         .Case("GreaterOrEqual", CompareKind::Ge)
                         .Case("Less", CompareKind::Lt)
                         .Case("LessOrEqual", CompareKind::Le);
  bool isFolded =
      foldSizes(n, n.i1(), [&](ArrayRef<DimExpr> x) -> std::optional<DimExpr> {
        std::optional<bool> result = decide(kind, x[0], x[1]);
        return result ? std::optional(DimExpr(*result)) : std::nullopt;
      });
  if (!isFolded)
    n.set(0, n.compare(kind, n.value(0), n.value(1)));
  return success();
}

LogicalResult buildWhere(NodeContext &n) {
  bool isFolded = foldSizes(n, n.elementType(1),
                            [&](ArrayRef<DimExpr> x) -> std::optional<DimExpr> {
                              return x[0] == DimExpr(0) ? x[2] : x[1];
                            });
  if (!isFolded)
    n.set(0, n.select(n.value(0), n.value(1), n.value(2)));
  return success();
}

} // namespace moe::onnx_import
