//===- FfnMatch.cpp - Find FFNs in tensor arithmetic ----------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/recognize/FfnMatch.h"

#include "passes/recognize/Match.h"

using namespace mlir;
using namespace moe::dialect;

namespace moe::pass {

//===----------------------------------------------------------------------===//
// Between the products
//===----------------------------------------------------------------------===//

namespace {
/// Some of the features of a Linear: all of them, a half, or every other.
struct Part {
  Linear linear;
  /// What the features were cut from.
  Value whole;
  DimExpr start = DimExpr(0), size = DimExpr(0);
  int64_t step = 1;

  bool isAll() const { return step == 1 && size == width(); }
  DimExpr width() const {
    MatmulOp product = linear.product;
    Dims dims = getDims(product.getResult());
    return linear.weight.experts && dims.back() == DimExpr(1) &&
                   dims.size() >= 2
               ? dims[dims.size() - 2]
               : dims.back();
  }
};

struct Gated {
  Value activated, linear;
  Activation activation;
  double alpha = 1, beta = 0, limit = INFINITY;
};
} // namespace

/// The last dimension that is not 1.
static std::optional<size_t> featureAxis(ArrayRef<DimExpr> dims) {
  for (size_t i = dims.size(); i-- > 0;)
    if (dims[i] != DimExpr(1))
      return i;
  return std::nullopt;
}

static std::optional<Part> matchPart(Value value) {
  value = stripReshapes(value);
  Part part;
  if (auto slice = value.getDefiningOp<SliceOp>()) {
    Dims from = getDims(slice.getX()), to = getDims(value);
    auto axis = featureAxis(from);
    if (!axis)
      return std::nullopt;
    SmallVector<DimExpr> starts = slice.getStarts().getDims();
    for (size_t i = 0; i < from.size(); ++i)
      if (i != *axis && (from[i] != to[i] || slice.getSteps()[i] != 1 ||
                         starts[i] != DimExpr(0)))
        return std::nullopt;
    part.start = starts[*axis];
    part.size = to[*axis];
    part.step = slice.getSteps()[*axis];
    value = stripReshapes(slice.getX());
  }
  auto linear = matchLinear(value);
  if (!linear)
    return std::nullopt;
  part.linear = *linear;
  part.whole = value;
  if (part.size == DimExpr(0))
    part.size = part.width();
  return part;
}

/// x of min(max(x, lo), hi) in either order; absent bounds are infinite.
static Value stripClamp(Value value, double &low, double &high) {
  while (true) {
    if (auto bounded = matchWithScalar(value, BinaryKind::Min)) {
      high = std::min(high, bounded->scalar);
      value = bounded->value;
    } else if (auto bounded = matchWithScalar(value, BinaryKind::Max)) {
      low = std::max(low, bounded->scalar);
      value = bounded->value;
    } else {
      return value;
    }
  }
}

static std::optional<Activation> activationOf(UnaryKind kind) {
  switch (kind) {
  case UnaryKind::Relu:
    return Activation::Relu;
  case UnaryKind::GeluErf:
    return Activation::GeluErf;
  case UnaryKind::GeluTanh:
    return Activation::GeluTanh;
  case UnaryKind::Silu:
    return Activation::Silu;
  case UnaryKind::Sigmoid:
    return Activation::Sigmoid;
  case UnaryKind::Tanh:
    return Activation::Tanh;
  default:
    return std::nullopt;
  }
}

struct Activated {
  Value x;
  Activation activation;
  /// Of x * sigmoid(alpha x), which has Activation::Swiglu.
  double alpha = 1;
};

static std::optional<Activated> matchActivated(Value value) {
  value = stripReshapes(value);
  if (auto product = matchBinary(value, BinaryKind::Mul)) {
    for (auto [x, squashed] : {*product, ValuePair{product->b, product->a}}) {
      Value argument = matchUnary(squashed, UnaryKind::Sigmoid);
      auto scaled = argument ? matchScaled(argument) : std::nullopt;
      if (scaled && scaled->value == x)
        return Activated{x, Activation::Swiglu, scaled->scalar};
    }
    return std::nullopt;
  }
  if (Value x = matchUnary(value, UnaryKind::QuickGelu))
    return Activated{x, Activation::Swiglu, 1.702};
  if (Value root = matchUnary(value, UnaryKind::Square))
    if (Value x = matchUnary(root, UnaryKind::Relu))
      return Activated{x, Activation::Relu2};
  auto unary = value.getDefiningOp<UnaryOp>();
  auto activation = unary ? activationOf(unary.getKind()) : std::nullopt;
  if (!activation)
    return std::nullopt;
  return Activated{unary.getX(), *activation};
}

/// swiglu(alpha, beta, limit) of moe-semantics.md, or act(g) * l.
static std::optional<Gated> matchGatedAs(Value activated, Value linear) {
  auto match = matchActivated(activated);
  if (!match)
    return std::nullopt;
  Gated gated{match->x, stripReshapes(linear), match->activation, match->alpha};
  if (gated.activation != Activation::Swiglu &&
      gated.activation != Activation::Silu)
    return gated;
  auto shifted = matchWithScalar(gated.linear, BinaryKind::Add);
  if (shifted) {
    gated.beta = shifted->scalar;
    gated.linear = stripReshapes(shifted->value);
  }
  double low = -INFINITY, high = INFINITY, gateLow = -INFINITY;
  gated.activated =
      stripClamp(stripReshapes(gated.activated), gateLow, gated.limit);
  gated.linear = stripClamp(gated.linear, low, high);
  bool isOneLimit =
      gateLow == -INFINITY && high == gated.limit && low == -gated.limit;
  if (!isOneLimit)
    return std::nullopt;
  bool isPlain = gated.beta == 0 && gated.limit == INFINITY;
  if (gated.activation == Activation::Silu && !isPlain)
    gated.activation = Activation::Swiglu;
  return gated;
}

static std::optional<Gated> matchGated(Value value) {
  auto product = matchBinary(stripReshapes(value), BinaryKind::Mul);
  if (!product || product->a.getType() != product->b.getType())
    return std::nullopt;
  if (auto gated = matchGatedAs(product->a, product->b))
    return gated;
  return matchGatedAs(product->b, product->a);
}

//===----------------------------------------------------------------------===//
// The whole
//===----------------------------------------------------------------------===//

/// Decides where gate and linear part are from how they were cut.
static bool setGating(FfnMatch &ffn, const Part &gate, const Part &linear) {
  ffn.w1 = gate.linear.weight;
  ffn.b1 = gate.linear.bias;
  if (gate.isAll() && linear.isAll()) {
    ffn.gating = Gating::Split;
    ffn.w3 = linear.linear.weight;
    ffn.b3 = linear.linear.bias;
    return stripReshapes(gate.linear.input) ==
           stripReshapes(linear.linear.input);
  }
  DimExpr half = gate.size;
  if (gate.whole != linear.whole || gate.size != linear.size ||
      gate.width() != half * DimExpr(2) || gate.step != linear.step)
    return false;
  auto startsAre = [&](const DimExpr &gateStart, const DimExpr &linearStart) {
    return gate.start == gateStart && linear.start == linearStart;
  };
  DimExpr zero(0);
  if (gate.step == 2) {
    ffn.gating = Gating::Interleaved;
    return startsAre(zero, DimExpr(1));
  }
  ffn.gating = Gating::Concatenated;
  ffn.isLinearFirst = startsAre(half, zero);
  return gate.step == 1 && (ffn.isLinearFirst || startsAre(zero, half));
}

static bool matchInner(FfnMatch &ffn, Value inner) {
  if (auto gated = matchGated(inner)) {
    auto gate = matchPart(gated->activated);
    auto linear = matchPart(gated->linear);
    if (!gate || !linear || !setGating(ffn, *gate, *linear))
      return false;
    ffn.input = gate->linear.input;
    ffn.activation = gated->activation;
    ffn.alpha = gated->alpha;
    ffn.beta = gated->beta;
    ffn.limit = gated->limit;
    ffn.ops.insert(gate->linear.product);
    ffn.ops.insert(linear->linear.product);
    return true;
  }
  auto activated = matchActivated(inner);
  auto first = activated ? matchLinear(activated->x) : std::nullopt;
  if (!first || activated->activation == Activation::Swiglu)
    return false;
  ffn.input = first->input;
  ffn.activation = activated->activation;
  ffn.w1 = first->weight;
  ffn.b1 = first->bias;
  ffn.ops.insert(first->product);
  return true;
}

/// The number of outputs or inputs of a matrix.
static DimExpr sizeOf(const WeightRef &weight, bool output) {
  Dims dims = getDims(ParamOp(weight.param).getResult());
  return output != weight.isTransposed ? dims.back() : dims[dims.size() - 2];
}

std::optional<FfnMatch> matchFfn(Value value) {
  auto second = matchLinear(value);
  if (!second)
    return std::nullopt;
  FfnMatch ffn;
  ffn.w2 = second->weight;
  ffn.b2 = second->bias;
  if (!matchInner(ffn, second->input))
    return std::nullopt;
  for (const WeightRef &weight : {ffn.w1, ffn.b1, ffn.b2, ffn.w3, ffn.b3})
    if (weight && !weight.isChosenAs(ffn.w2))
      return std::nullopt;
  bool holdsBoth =
      ffn.gating == Gating::Interleaved || ffn.gating == Gating::Concatenated;
  DimExpr inner = sizeOf(ffn.w2, /*output=*/false);
  if (sizeOf(ffn.w1, /*output=*/true) !=
      (holdsBoth ? inner * DimExpr(2) : inner))
    return std::nullopt;
  if (Operation *inner = stripReshapes(second->input).getDefiningOp())
    ffn.ops.insert(inner);
  ffn.ops.insert(second->product);
  return ffn;
}

static bool isSameForm(const WeightRef &a, const WeightRef &b) {
  if (static_cast<bool>(a) != static_cast<bool>(b))
    return false;
  if (!a)
    return true;
  auto sizesOf = [](const WeightRef &weight) {
    Value value = ParamOp(weight.param).getResult();
    Dims dims = getDims(value);
    if (weight.isTransposed)
      std::swap(dims[dims.size() - 2], dims.back());
    return getTensorType(getTensorType(value).getElementType(), dims);
  };
  return a.isChosenAs(b) && sizesOf(a) == sizesOf(b);
}

bool FfnMatch::hasFormOf(const FfnMatch &other) const {
  return activation == other.activation && gating == other.gating &&
         isLinearFirst == other.isLinearFirst && alpha == other.alpha &&
         beta == other.beta && limit == other.limit &&
         isSameForm(w1, other.w1) && isSameForm(b1, other.b1) &&
         isSameForm(w2, other.w2) && isSameForm(b2, other.b2) &&
         isSameForm(w3, other.w3) && isSameForm(b3, other.b3);
}

} // namespace moe::pass
