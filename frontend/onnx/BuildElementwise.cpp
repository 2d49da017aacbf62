//===- BuildElementwise.cpp - Functions of one element --------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontend/onnx/Builders.h"
#include "frontend/onnx/Tensors.h"

#include "llvm/ADT/StringSwitch.h"

using namespace mlir;
using namespace moe::dialect;

namespace moe::onnx_import {

static UnaryKind unaryKind(StringRef name) {
  return llvm::StringSwitch<UnaryKind>(name)
      .Case("Abs", UnaryKind::Abs)
      .Case("Ceil", UnaryKind::Ceil)
      .Case("Cos", UnaryKind::Cos)
      .Case("Erf", UnaryKind::Erf)
      .Case("Exp", UnaryKind::Exp)
      .Case("Floor", UnaryKind::Floor)
      .Case("IsNaN", UnaryKind::IsNan)
      .Case("Log", UnaryKind::Log)
      .Case("Neg", UnaryKind::Neg)
      .Case("Not", UnaryKind::Not)
      .Case("Reciprocal", UnaryKind::Reciprocal)
      .Case("Relu", UnaryKind::Relu)
      .Case("Round", UnaryKind::Round)
      .Case("Sigmoid", UnaryKind::Sigmoid)
      .Case("Sign", UnaryKind::Sign)
      .Case("Sin", UnaryKind::Sin)
      .Case("Softplus", UnaryKind::Softplus)
      .Case("Sqrt", UnaryKind::Sqrt)
      .Case("Tanh", UnaryKind::Tanh);
}

/// The function of a known size, where it has an expression.
static std::optional<DimExpr> foldUnary(UnaryKind kind, const DimExpr &x) {
  if (kind == UnaryKind::Neg)
    return DimExpr(0) - x;
  if (kind == UnaryKind::Abs && isNonNegative(x))
    return x;
  if (kind == UnaryKind::Not && x.isConstant())
    return DimExpr(x == DimExpr(0));
  return std::nullopt;
}

LogicalResult buildUnary(NodeContext &n) {
  UnaryKind kind = unaryKind(n.opType());
  if (std::optional<SizeElements> elements = knownElements(n.input(0))) {
    SizeElements folded;
    for (const SizeElement &element : *elements)
      if (element.isKnown())
        if (std::optional<DimExpr> value = foldUnary(kind, element.expr))
          folded.push_back(*value);
    if (folded.size() == elements->size())
      return n.setElements(0, n.type(0), folded), success();
  }
  n.set(0, n.unary(kind, n.value(0)));
  return success();
}

LogicalResult buildIsInf(NodeContext &n) {
  bool negative = n.intAttr("detect_negative", 1) != 0;
  bool positive = n.intAttr("detect_positive", 1) != 0;
  if (!negative && !positive) {
    n.set(0, n.filled(n.dims(0), n.i1(), 0));
    return success();
  }
  UnaryKind kind = !negative   ? UnaryKind::IsPosInf
                   : !positive ? UnaryKind::IsNegInf
                               : UnaryKind::IsInf;
  n.set(0, n.unary(kind, n.value(0)));
  return success();
}

//===----------------------------------------------------------------------===//
// Activations
//===----------------------------------------------------------------------===//

LogicalResult buildGelu(NodeContext &n) {
  std::string approximate = n.stringAttr("approximate", "none");
  if (approximate != "none" && approximate != "tanh")
    return n.invalid("attribute 'approximate' is \"" + approximate +
                     "\", expected none or tanh");
  n.set(0, n.unary(approximate == "tanh" ? UnaryKind::GeluTanh
                                         : UnaryKind::GeluErf,
                   n.value(0)));
  return success();
}

LogicalResult buildFastGelu(NodeContext &n) {
  Value x = n.value(0);
  if (n.has(1))
    x = n.binary(BinaryKind::Add, x, n.value(1));
  n.set(0, n.unary(UnaryKind::GeluTanh, x));
  return success();
}

LogicalResult buildBiasGelu(NodeContext &n) {
  Value x = n.binary(BinaryKind::Add, n.value(0), n.value(1));
  n.set(0, n.unary(UnaryKind::GeluErf, x));
  return success();
}

/// x * sigmoid(alpha * x)
static Value scaledSilu(NodeContext &n, Value x, float alpha) {
  if (alpha == 1.0f)
    return n.unary(UnaryKind::Silu, x);
  Value gate = n.unary(UnaryKind::Sigmoid, n.binary(BinaryKind::Mul, x, alpha));
  return n.binary(BinaryKind::Mul, x, gate);
}

LogicalResult buildQuickGelu(NodeContext &n) {
  float alpha = n.floatAttr("alpha", 1.702f);
  n.set(0, alpha == 1.702f ? n.unary(UnaryKind::QuickGelu, n.value(0))
                           : scaledSilu(n, n.value(0), alpha));
  return success();
}

LogicalResult buildSwish(NodeContext &n) {
  n.set(0, scaledSilu(n, n.value(0), n.floatAttr("alpha", 1.0f)));
  return success();
}

LogicalResult buildClip(NodeContext &n) {
  Value x = n.value(0);
  if (n.has(1))
    x = n.binary(BinaryKind::Max, x, n.value(1));
  if (n.has(2))
    x = n.binary(BinaryKind::Min, x, n.value(2));
  n.set(0, x);
  return success();
}

//===----------------------------------------------------------------------===//
// Conversions
//===----------------------------------------------------------------------===//

static LogicalResult convert(NodeContext &n, Type to) {
  RankedTensorType type = withElementType(n.type(0), to);
  std::optional<SizeElements> elements = knownElements(n.input(0));
  // A size stays a size; as a float it becomes data, for which the arithmetic
  // of the file must be kept.
  if (elements && (to.isInteger(64) || to.isInteger(32)))
    return n.setMoved(0, type, elements,
                      [&] { return n.cast(n.value(0), to); }),
           success();
  if (elements && to.isInteger(1)) {
    SizeElements folded;
    for (const SizeElement &element : *elements)
      if (element.isKnown() &&
          (element.expr.isConstant() || isAtLeast(element.expr, DimExpr(1))))
        folded.push_back(DimExpr(element.expr != DimExpr(0)));
    if (folded.size() == elements->size())
      return n.setElements(0, type, folded), success();
  }
  n.set(0, n.cast(n.value(0), to));
  return success();
}

LogicalResult buildCast(NodeContext &n) {
  int64_t to = n.requiredInt("to");
  // Both are about 8-bit floats only.
  n.ignoreAttr("saturate");
  n.ignoreAttr("round_mode");
  std::optional<DType> dtype =
      to == static_cast<int32_t>(to) ? elementDType(to) : std::nullopt;
  if (!dtype)
    return n.unsupported("a cast to " +
                         elementTypeName(static_cast<int32_t>(to)) +
                         " is not supported");
  return convert(n, fromDType(n.context(), *dtype));
}

LogicalResult buildCastLike(NodeContext &n) {
  n.ignoreAttr("saturate");
  n.ignoreAttr("round_mode");
  return convert(n, n.elementType(1));
}

LogicalResult buildIdentity(NodeContext &n) {
  n.set(0, n.input(0));
  return success();
}

LogicalResult buildDropout(NodeContext &n) {
  // Nothing is dropped at inference, whatever the ratio.
  n.ignoreAttr("seed");
  if (n.has(2) && n.constantNumber(2).value_or(1.0) != 0.0)
    return n.unsupported("training_mode is not the constant false");
  n.set(0, n.input(0));
  if (n.wants(1))
    n.set(1, n.filled(n.dims(0), n.i1(), 1));
  return success();
}

} // namespace moe::onnx_import
