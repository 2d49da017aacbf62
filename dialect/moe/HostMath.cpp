//===- HostMath.cpp - Elementwise functions and reductions ----------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialect/moe/HostTensor.h"
#include "dialect/moe/Shapes.h"

#include <cmath>
#include <limits>

using namespace mlir;

namespace moe::dialect {

//===----------------------------------------------------------------------===//
// Types
//===----------------------------------------------------------------------===//

static double roundFloat(double value, DType dtype) {
  if (dtype == DType::F16)
    return halfToFloat(floatToHalf(static_cast<float>(value)));
  if (dtype == DType::BF16)
    return bfloat16ToFloat(floatToBfloat16(static_cast<float>(value)));
  return value;
}

static int64_t wrapInteger(int64_t value, DType dtype) {
  switch (dtype) {
  case DType::Bool:
    return value != 0;
  case DType::I8:
    return static_cast<int8_t>(value);
  case DType::I16:
    return static_cast<int16_t>(value);
  case DType::I32:
    return static_cast<int32_t>(value);
  case DType::U8:
    return static_cast<uint8_t>(value);
  case DType::U16:
    return static_cast<uint16_t>(value);
  case DType::U32:
    return static_cast<uint32_t>(value);
  default:
    return value;
  }
}

/// Truncates; what does not fit becomes the nearest value that does, NaN 0.
static int64_t doubleToInteger(double value, DType to) {
  if (std::isnan(value))
    return 0;
  if (to == DType::U64 && value >= 0x1p63)
    return value >= 0x1p64 ? -1
                           : static_cast<int64_t>(static_cast<uint64_t>(value));
  if (value >= 0x1p63)
    return std::numeric_limits<int64_t>::max();
  if (value < -0x1p63)
    return std::numeric_limits<int64_t>::min();
  return static_cast<int64_t>(value);
}

static double integerToDouble(int64_t value, DType from) {
  return from == DType::U64 ? static_cast<double>(static_cast<uint64_t>(value))
                            : static_cast<double>(value);
}

Scalar castScalar(Scalar value, DType from, DType to) {
  if (moe::isFloat(from)) {
    if (to == DType::Bool)
      return scalarOf(int64_t(value.f != 0.0));
    if (to == DType::F32 && from == DType::F64)
      return scalarOf(double(static_cast<float>(value.f)));
    return moe::isFloat(to)
               ? scalarOf(roundFloat(value.f, to))
               : scalarOf(wrapInteger(doubleToInteger(value.f, to), to));
  }
  if (moe::isFloat(to))
    return scalarOf(roundFloat(integerToDouble(value.i, from), to));
  return scalarOf(wrapInteger(value.i, to));
}

//===----------------------------------------------------------------------===//
// Functions of one element
//===----------------------------------------------------------------------===//

static double sigmoid(double x) { return 1.0 / (1.0 + std::exp(-x)); }

static double unaryOfFloat(UnaryKind kind, double x) {
  constexpr double kSqrtHalf = 0.70710678118654752440;
  constexpr double kSqrt2OverPi = 0.79788456080286535588;
  switch (kind) {
  case UnaryKind::Neg:
    return -x;
  case UnaryKind::Abs:
    return std::fabs(x);
  case UnaryKind::Sqrt:
    return std::sqrt(x);
  case UnaryKind::Rsqrt:
    return 1.0 / std::sqrt(x);
  case UnaryKind::Reciprocal:
    return 1.0 / x;
  case UnaryKind::Exp:
    return std::exp(x);
  case UnaryKind::Log:
    return std::log(x);
  case UnaryKind::Sigmoid:
    return sigmoid(x);
  case UnaryKind::Tanh:
    return std::tanh(x);
  case UnaryKind::Erf:
    return std::erf(x);
  case UnaryKind::Relu:
    return std::isnan(x) ? x : std::fmax(x, 0.0);
  case UnaryKind::GeluErf:
    return 0.5 * x * (1.0 + std::erf(x * kSqrtHalf));
  case UnaryKind::GeluTanh:
    return 0.5 * x *
           (1.0 + std::tanh(kSqrt2OverPi * (x + 0.044715 * x * x * x)));
  case UnaryKind::Silu:
    return x * sigmoid(x);
  case UnaryKind::QuickGelu:
    return x * sigmoid(1.702 * x);
  case UnaryKind::Softplus:
    return x > 30.0 ? x : std::log1p(std::exp(x));
  case UnaryKind::Floor:
    return std::floor(x);
  case UnaryKind::Ceil:
    return std::ceil(x);
  case UnaryKind::Round:
    return std::nearbyint(x);
  case UnaryKind::Sign:
    return std::isnan(x) ? x : (x > 0.0) - (x < 0.0);
  case UnaryKind::Sin:
    return std::sin(x);
  case UnaryKind::Cos:
    return std::cos(x);
  case UnaryKind::Square:
    return x * x;
  case UnaryKind::IsNan:
    return std::isnan(x);
  case UnaryKind::IsInf:
    return std::isinf(x);
  case UnaryKind::IsPosInf:
    return std::isinf(x) && x > 0.0;
  case UnaryKind::IsNegInf:
    return std::isinf(x) && x < 0.0;
  case UnaryKind::Not:
    break;
  }
  llvm_unreachable("not takes i1");
}

static int64_t unaryOfInteger(UnaryKind kind, int64_t x, DType dtype) {
  // Unsigned arithmetic wraps where signed arithmetic would be undefined.
  uint64_t bits = x;
  bool isNegative = dtype != DType::U64 && x < 0;
  switch (kind) {
  case UnaryKind::Neg:
    return -bits;
  case UnaryKind::Abs:
    return isNegative ? -bits : bits;
  case UnaryKind::Sign:
    return isNegative ? -1 : x != 0;
  case UnaryKind::Square:
    return bits * bits;
  case UnaryKind::Relu:
    return isNegative ? 0 : x;
  case UnaryKind::Not:
    return !x;
  default:
    llvm_unreachable("takes floats");
  }
}

Scalar evaluateUnary(UnaryKind kind, Scalar x, DType dtype) {
  if (!moe::isFloat(dtype))
    return scalarOf(wrapInteger(unaryOfInteger(kind, x.i, dtype), dtype));
  double y = unaryOfFloat(kind, x.f);
  if (givesTruth(kind))
    return scalarOf(int64_t(y != 0.0));
  return scalarOf(roundFloat(y, dtype));
}

//===----------------------------------------------------------------------===//
// Functions of two elements
//===----------------------------------------------------------------------===//

static double binaryOfFloats(BinaryKind kind, double a, double b) {
  switch (kind) {
  case BinaryKind::Add:
    return a + b;
  case BinaryKind::Sub:
    return a - b;
  case BinaryKind::Mul:
    return a * b;
  case BinaryKind::Div:
    return a / b;
  case BinaryKind::Pow:
    return std::pow(a, b);
  case BinaryKind::Mod: {
    double rest = std::fmod(a, b);
    return rest != 0.0 && (rest < 0.0) != (b < 0.0) ? rest + b : rest;
  }
  case BinaryKind::Fmod:
    return std::fmod(a, b);
  case BinaryKind::Min:
    return std::isnan(a) || std::isnan(b) ? a + b : std::fmin(a, b);
  case BinaryKind::Max:
    return std::isnan(a) || std::isnan(b) ? a + b : std::fmax(a, b);
  default:
    llvm_unreachable("takes integers");
  }
}

/// Quotient (truncated) and remainder (sign of a); nothing for b = 0.
static std::optional<std::pair<int64_t, int64_t>>
divideIntegers(int64_t a, int64_t b, DType dtype) {
  if (b == 0)
    return std::nullopt;
  if (dtype == DType::U64)
    return std::pair<int64_t, int64_t>(uint64_t(a) / uint64_t(b),
                                       uint64_t(a) % uint64_t(b));
  // The quotient of the smallest integer by -1 does not exist.
  if (b == -1)
    return std::pair<int64_t, int64_t>(-uint64_t(a), 0);
  return std::pair(a / b, a % b);
}

static int64_t powerOfIntegers(int64_t a, int64_t b, DType dtype) {
  if (b < 0)
    return doubleToInteger(std::pow(double(a), double(b)), dtype);
  uint64_t result = 1, base = a;
  for (uint64_t e = b; e != 0; e >>= 1, base *= base)
    if (e & 1)
      result *= base;
  return result;
}

static std::optional<int64_t> binaryOfIntegers(BinaryKind kind, int64_t a,
                                               int64_t b, DType dtype) {
  auto isLess = [&](int64_t x, int64_t y) {
    return dtype == DType::U64 ? uint64_t(x) < uint64_t(y) : x < y;
  };
  switch (kind) {
  case BinaryKind::Add:
    return uint64_t(a) + uint64_t(b);
  case BinaryKind::Sub:
    return uint64_t(a) - uint64_t(b);
  case BinaryKind::Mul:
    return uint64_t(a) * uint64_t(b);
  case BinaryKind::Pow:
    return powerOfIntegers(a, b, dtype);
  case BinaryKind::Min:
    return isLess(b, a) ? b : a;
  case BinaryKind::Max:
    return isLess(a, b) ? b : a;
  case BinaryKind::And:
    return a & b;
  case BinaryKind::Or:
    return a | b;
  case BinaryKind::Xor:
    return a ^ b;
  case BinaryKind::Div:
  case BinaryKind::Mod:
  case BinaryKind::Fmod:
    break;
  }
  auto division = divideIntegers(a, b, dtype);
  if (!division)
    return std::nullopt;
  auto [quotient, rest] = *division;
  if (kind == BinaryKind::Div)
    return quotient;
  bool otherSign = dtype != DType::U64 && rest != 0 && (rest < 0) != (b < 0);
  return kind == BinaryKind::Mod && otherSign ? rest + b : rest;
}

std::optional<Scalar> evaluateBinary(BinaryKind kind, Scalar a, DType aType,
                                     Scalar b, DType bType) {
  bool isFloat = moe::isFloat(aType);
  if (isFloat || moe::isFloat(bType)) {
    double y = binaryOfFloats(kind, castScalar(a, aType, DType::F64).f,
                              castScalar(b, bType, DType::F64).f);
    return castScalar(scalarOf(y), DType::F64,
                      aType == DType::F32 ? DType::F64 : aType);
  }
  std::optional<int64_t> y = binaryOfIntegers(kind, a.i, b.i, aType);
  if (!y)
    return std::nullopt;
  return scalarOf(wrapInteger(*y, aType));
}

template <typename T> static bool compare(CompareKind kind, T a, T b) {
  switch (kind) {
  case CompareKind::Eq:
    return a == b;
  case CompareKind::Ne:
    return a != b;
  case CompareKind::Lt:
    return a < b;
  case CompareKind::Le:
    return a <= b;
  case CompareKind::Gt:
    return a > b;
  case CompareKind::Ge:
    return a >= b;
  }
  llvm_unreachable("all comparisons are listed");
}

bool evaluateCompare(CompareKind kind, Scalar a, Scalar b, DType dtype) {
  if (moe::isFloat(dtype))
    return compare(kind, a.f, b.f);
  if (dtype == DType::U64)
    return compare(kind, uint64_t(a.i), uint64_t(b.i));
  return compare(kind, a.i, b.i);
}

//===----------------------------------------------------------------------===//
// Tensors
//===----------------------------------------------------------------------===//

HostTensor hostCast(const HostTensor &x, DType to) {
  HostTensor result(to, x.shape);
  for (int64_t i = 0; i < x.size(); ++i)
    result.elements[i] = castScalar(x.elements[i], x.dtype, to);
  return result;
}

HostTensor hostUnary(UnaryKind kind, const HostTensor &x) {
  HostTensor result(givesTruth(kind) ? DType::Bool : x.dtype, x.shape);
  for (int64_t i = 0; i < x.size(); ++i)
    result.elements[i] = evaluateUnary(kind, x.elements[i], x.dtype);
  return result;
}

std::optional<HostTensor> hostBinary(BinaryKind kind, const HostTensor &a,
                                     const HostTensor &b) {
  HostTensor result(a.dtype, broadcastShapes(a.shape, b.shape));
  int64_t next = 0;
  bool isDefined = true;
  forEachIndex(result.shape, [&](ArrayRef<int64_t> index) {
    std::optional<Scalar> y =
        evaluateBinary(kind, a.elements[offsetOf(a.shape, index)], a.dtype,
                       b.elements[offsetOf(b.shape, index)], b.dtype);
    isDefined &= y.has_value();
    result.elements[next++] = y.value_or(Scalar{});
  });
  if (!isDefined)
    return std::nullopt;
  return result;
}

HostTensor hostCompare(CompareKind kind, const HostTensor &a,
                       const HostTensor &b) {
  HostTensor result(DType::Bool, broadcastShapes(a.shape, b.shape));
  int64_t next = 0;
  forEachIndex(result.shape, [&](ArrayRef<int64_t> index) {
    result.elements[next++] = scalarOf(int64_t(
        evaluateCompare(kind, a.elements[offsetOf(a.shape, index)],
                        b.elements[offsetOf(b.shape, index)], a.dtype)));
  });
  return result;
}

HostTensor hostSelect(const HostTensor &condition, const HostTensor &onTrue,
                      const HostTensor &onFalse) {
  HostTensor result(
      onTrue.dtype,
      broadcastShapes(condition.shape,
                      broadcastShapes(onTrue.shape, onFalse.shape)));
  int64_t next = 0;
  forEachIndex(result.shape, [&](ArrayRef<int64_t> index) {
    const HostTensor &chosen =
        condition.elements[offsetOf(condition.shape, index)].i ? onTrue
                                                               : onFalse;
    result.elements[next++] = chosen.elements[offsetOf(chosen.shape, index)];
  });
  return result;
}

/// The value that a reduction starts from.
static Scalar neutralElement(ReduceKind kind, DType dtype) {
  double infinity = std::numeric_limits<double>::infinity();
  bool isProduct = kind == ReduceKind::Prod;
  bool isMax = kind == ReduceKind::Max;
  if (kind != ReduceKind::Max && kind != ReduceKind::Min)
    return castScalar(scalarOf(int64_t(isProduct)), DType::I64, dtype);
  if (moe::isFloat(dtype))
    return scalarOf(isMax ? -infinity : infinity);
  bool isUnsigned = dtype == DType::Bool || dtype >= DType::U8;
  unsigned bits = dtype == DType::Bool ? 1 : 8 * dtypeSize(dtype);
  llvm::APInt extreme =
      isUnsigned
          ? (isMax ? llvm::APInt(bits, 0) : llvm::APInt::getMaxValue(bits))
          : (isMax ? llvm::APInt::getSignedMinValue(bits)
                   : llvm::APInt::getSignedMaxValue(bits));
  return scalarOf(isUnsigned ? int64_t(extreme.getZExtValue())
                             : extreme.getSExtValue());
}

static BinaryKind combinerOf(ReduceKind kind) {
  switch (kind) {
  case ReduceKind::Sum:
  case ReduceKind::Mean:
    return BinaryKind::Add;
  case ReduceKind::Max:
    return BinaryKind::Max;
  case ReduceKind::Min:
    return BinaryKind::Min;
  case ReduceKind::Prod:
    return BinaryKind::Mul;
  }
  llvm_unreachable("all reductions are listed");
}

HostTensor hostReduce(ReduceKind kind, const HostTensor &x,
                      ArrayRef<int64_t> axes, bool keepdims) {
  Shape kept = x.shape;
  for (int64_t axis : axes)
    kept[axis] = 1;
  // Floats accumulate unrounded.
  DType wide = moe::isFloat(x.dtype) ? DType::F64 : x.dtype;
  HostTensor sum(wide, kept);
  llvm::fill(sum.elements, neutralElement(kind, wide));
  int64_t next = 0;
  forEachIndex(x.shape, [&](ArrayRef<int64_t> index) {
    Scalar &out = sum.elements[offsetOf(kept, index)];
    out =
        *evaluateBinary(combinerOf(kind), out, wide, x.elements[next++], wide);
  });
  if (kind == ReduceKind::Mean && sum.size() > 0) {
    int64_t count = x.size() / sum.size();
    for (Scalar &out : sum.elements)
      out = moe::isFloat(wide) ? scalarOf(out.f / double(count))
                               : scalarOf(count ? out.i / count : 0);
  }
  HostTensor result(x.dtype, kept);
  for (int64_t i = 0; i < sum.size(); ++i)
    result.elements[i] = moe::isFloat(wide)
                             ? scalarOf(roundFloat(sum.elements[i].f, x.dtype))
                             : sum.elements[i];
  if (!keepdims) {
    Shape shape;
    for (auto [i, size] : llvm::enumerate(x.shape))
      if (!llvm::is_contained(axes, int64_t(i)))
        shape.push_back(size);
    result.shape = shape;
  }
  return result;
}

} // namespace moe::dialect
