//===- ActivationForms.cpp - Canonical forms of activations ---------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// An activation written out is a product of x, constants and one factor that
// is linear in a squashing function of a polynomial in x:
//
//   gelu:        0.5 x (1 + erf(x / sqrt(2)))
//   gelu (tanh): 0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3)))
//   silu:        x sigmoid(x)
//   quick gelu:  x sigmoid(1.702 x)
//
// So patterns compare coefficients, whatever the order in which a file
// multiplies and adds.
//
//===----------------------------------------------------------------------===//

#include "passes/optimize/CanonicalForms.h"
#include "passes/recognize/Match.h"

#include "mlir/IR/PatternMatch.h"

#include <array>

using namespace mlir;
using namespace moe::dialect;

namespace moe::pass {
namespace {

/// Deep enough for any way to write an activation, and a bound on the search.
constexpr int kMaxDepth = 8;

/// Coefficients of 1, x, x^2, x^3.
using Polynomial = std::array<double, 4>;

std::optional<Polynomial> multiply(const Polynomial &a, const Polynomial &b) {
  Polynomial product = {};
  for (int i = 0; i < 4; ++i)
    for (int j = 0; j < 4; ++j) {
      if (a[i] == 0 || b[j] == 0)
        continue;
      if (i + j > 3)
        return std::nullopt;
      product[i + j] += a[i] * b[j];
    }
  return product;
}

std::optional<Polynomial> polynomialIn(Value value, Value x,
                                       int depth = kMaxDepth);

std::optional<Polynomial> polynomialOfBinary(BinaryOp op, Value x, int depth) {
  auto a = polynomialIn(op.getLhs(), x, depth);
  if (!a)
    return std::nullopt;
  if (op.getKind() == BinaryKind::Pow) {
    std::optional<double> exponent = getScalar(op.getRhs());
    std::optional<Polynomial> power = Polynomial{1, 0, 0, 0};
    if (exponent != 2.0 && exponent != 3.0)
      return std::nullopt;
    for (int i = 0; i < *exponent && power; ++i)
      power = multiply(*power, *a);
    return power;
  }
  auto b = polynomialIn(op.getRhs(), x, depth);
  if (!b)
    return std::nullopt;
  switch (op.getKind()) {
  case BinaryKind::Mul:
    return multiply(*a, *b);
  case BinaryKind::Div:
    if ((*b)[0] == 0 || (*b)[1] != 0 || (*b)[2] != 0 || (*b)[3] != 0)
      return std::nullopt;
    for (double &coefficient : *a)
      coefficient /= (*b)[0];
    return a;
  case BinaryKind::Add:
  case BinaryKind::Sub:
    for (int i = 0; i < 4; ++i)
      (*a)[i] += op.getKind() == BinaryKind::Add ? (*b)[i] : -(*b)[i];
    return a;
  default:
    return std::nullopt;
  }
}

/// `value` as a polynomial in `x`, if it is one.
std::optional<Polynomial> polynomialIn(Value value, Value x, int depth) {
  if (value == x)
    return Polynomial{0, 1, 0, 0};
  if (std::optional<double> scalar = getScalar(value))
    return Polynomial{*scalar, 0, 0, 0};
  if (depth == 0)
    return std::nullopt;
  if (auto binary = value.getDefiningOp<BinaryOp>())
    return polynomialOfBinary(binary, x, depth - 1);
  if (Value squared = matchUnary(value, UnaryKind::Square))
    if (auto root = polynomialIn(squared, x, depth - 1))
      return multiply(*root, *root);
  if (Value negated = matchUnary(value, UnaryKind::Neg))
    if (auto inner = polynomialIn(negated, x, depth - 1))
      return multiply(*inner, Polynomial{-1, 0, 0, 0});
  return std::nullopt;
}

struct Product {
  double scale = 1;
  SmallVector<Value> factors;
};

/// The factors of `value`, `whole` being one of them if it is there.
void factorize(Value value, Value whole, Product &product,
               int depth = kMaxDepth) {
  if (std::optional<double> scalar = getScalar(value)) {
    product.scale *= *scalar;
    return;
  }
  auto op = value.getDefiningOp<BinaryOp>();
  if (value != whole && op && depth > 0) {
    if (op.getKind() == BinaryKind::Mul) {
      factorize(op.getLhs(), whole, product, depth - 1);
      factorize(op.getRhs(), whole, product, depth - 1);
      return;
    }
    if (auto quotient = matchWithScalar(value, BinaryKind::Div)) {
      product.scale /= quotient->scalar;
      factorize(quotient->value, whole, product, depth - 1);
      return;
    }
  }
  product.factors.push_back(value);
}

/// The first erf, tanh or sigmoid in `value` that only constants are added to
/// and multiplied with.
UnaryOp findSquash(Value value) {
  for (int depth = 0; depth < kMaxDepth; ++depth) {
    if (auto unary = value.getDefiningOp<UnaryOp>()) {
      UnaryKind kind = unary.getKind();
      if (kind == UnaryKind::Erf || kind == UnaryKind::Tanh ||
          kind == UnaryKind::Sigmoid)
        return unary;
      return nullptr;
    }
    auto match = matchWithScalar(value, BinaryKind::Add);
    if (!match)
      match = matchScaled(value);
    if (!match)
      return nullptr;
    value = match->value;
  }
  return nullptr;
}

/// Values that `value` is a polynomial of.
void collectBases(Value value, SmallVectorImpl<Value> &bases,
                  int depth = kMaxDepth) {
  if (getScalar(value) || bases.size() > 32)
    return;
  bases.push_back(value);
  Operation *op = value.getDefiningOp();
  if (depth > 0 && isa_and_nonnull<BinaryOp, UnaryOp>(op))
    for (Value operand : op->getOperands())
      collectBases(operand, bases, depth - 1);
}

bool isPolynomial(const Polynomial &polynomial, double linear, double cubic) {
  return polynomial[0] == 0 && polynomial[2] == 0 &&
         std::abs(polynomial[1] - linear) < 1e-3 * linear &&
         std::abs(polynomial[3] - cubic) <= 1e-2 * cubic;
}

/// The activation of which `squash` of `argument` is the heart.
std::optional<UnaryKind> activationOf(UnaryKind squash,
                                      const Polynomial &argument) {
  // sqrt(2 / pi), and 0.044715 times that.
  constexpr double kLinear = 0.7978845608, kCubic = 0.0356774081;
  switch (squash) {
  case UnaryKind::Erf:
    if (isPolynomial(argument, 0.7071067812, 0))
      return UnaryKind::GeluErf;
    return std::nullopt;
  case UnaryKind::Tanh:
    if (isPolynomial(argument, kLinear, kCubic))
      return UnaryKind::GeluTanh;
    return std::nullopt;
  case UnaryKind::Sigmoid:
    if (isPolynomial(argument, 1, 0))
      return UnaryKind::Silu;
    if (isPolynomial(argument, 1.702, 0))
      return UnaryKind::QuickGelu;
    // sigmoid(2 y) = (1 + tanh(y)) / 2
    if (isPolynomial(argument, 2 * kLinear, 2 * kCubic))
      return UnaryKind::GeluTanh;
    return std::nullopt;
  default:
    return std::nullopt;
  }
}

// Pattern: products as above -> gelu_erf, gelu_tanh, silu, quick_gelu
struct WrittenActivation : OpRewritePattern<BinaryOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(BinaryOp op,
                                PatternRewriter &rewriter) const override {
    if (op.getKind() != BinaryKind::Mul && op.getKind() != BinaryKind::Div)
      return failure();
    Product product;
    factorize(op.getResult(), Value(), product);
    for (Value factor : product.factors)
      if (UnaryOp squash = findSquash(factor))
        if (succeeded(rewrite(op, factor, squash, rewriter)))
          return success();
    return failure();
  }

private:
  static LogicalResult rewrite(BinaryOp op, Value factor, UnaryOp squash,
                               PatternRewriter &rewriter) {
    auto linear = polynomialIn(factor, squash.getResult());
    if (!linear)
      return failure();
    SmallVector<Value> bases;
    collectBases(squash.getX(), bases);
    for (Value x : bases) {
      auto argument = polynomialIn(squash.getX(), x);
      auto kind =
          argument ? activationOf(squash.getKind(), *argument) : std::nullopt;
      if (!kind || x.getType() != op.getType())
        continue;
      Product product;
      factorize(op.getResult(), x, product);
      bool hasBoth = product.factors.size() == 2 &&
                     llvm::is_contained(product.factors, x) &&
                     llvm::is_contained(product.factors, factor);
      bool isSigmoid = squash.getKind() == UnaryKind::Sigmoid;
      double weight = product.scale * (*linear)[1];
      bool hasWeights = isSigmoid ? (*linear)[0] == 0 && isAbout(weight, 1)
                                  : isAbout((*linear)[0], (*linear)[1]) &&
                                        isAbout(weight, 0.5);
      if (!hasBoth || !hasWeights)
        continue;
      Location loc = rewriter.getFusedLoc({squash.getLoc(), op.getLoc()});
      rewriter.replaceOp(op, UnaryOp::create(rewriter, loc, *kind, x));
      return success();
    }
    return failure();
  }
};

// Pattern: 1 / (1 + exp(-x)) -> sigmoid(x)
struct WrittenSigmoid : OpRewritePattern<UnaryOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(UnaryOp op,
                                PatternRewriter &rewriter) const override {
    if (op.getKind() != UnaryKind::Reciprocal)
      return failure();
    auto sum = matchWithScalar(op.getX(), BinaryKind::Add);
    if (!sum || sum->scalar != 1.0)
      return failure();
    Value exponent = matchUnary(sum->value, UnaryKind::Exp);
    Value x = exponent ? matchUnary(exponent, UnaryKind::Neg) : Value();
    if (!x || x.getType() != op.getType())
      return failure();
    rewriter.replaceOpWithNewOp<UnaryOp>(op, UnaryKind::Sigmoid, x);
    return success();
  }
};

// Pattern: log(1 + exp(x)) -> softplus(x)
struct WrittenSoftplus : OpRewritePattern<UnaryOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(UnaryOp op,
                                PatternRewriter &rewriter) const override {
    if (op.getKind() != UnaryKind::Log)
      return failure();
    auto sum = matchWithScalar(op.getX(), BinaryKind::Add);
    Value x = sum && sum->scalar == 1.0 ? matchUnary(sum->value, UnaryKind::Exp)
                                        : Value();
    if (!x || x.getType() != op.getType())
      return failure();
    rewriter.replaceOpWithNewOp<UnaryOp>(op, UnaryKind::Softplus, x);
    return success();
  }
};

// Pattern: max(x, 0) -> relu(x) [x is of floats]
struct WrittenRelu : OpRewritePattern<BinaryOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(BinaryOp op,
                                PatternRewriter &rewriter) const override {
    auto match = matchWithScalar(op.getResult(), BinaryKind::Max);
    if (!match || match->scalar != 0.0 ||
        match->value.getType() != op.getType() ||
        !isa<FloatType>(getTensorType(op.getResult()).getElementType()))
      return failure();
    rewriter.replaceOpWithNewOp<UnaryOp>(op, UnaryKind::Relu, match->value);
    return success();
  }
};

} // namespace

void populateActivationPatterns(RewritePatternSet &patterns) {
  patterns.add<WrittenActivation, WrittenSigmoid, WrittenSoftplus, WrittenRelu>(
      patterns.getContext());
}

} // namespace moe::pass
