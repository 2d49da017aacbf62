//===- BuildExperts.cpp - ONNX Runtime's MoE ------------------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontend/onnx/ExpertsBuilder.h"

#include "llvm/ADT/StringSwitch.h"

using namespace mlir;
using namespace moe::dialect;

namespace moe::onnx_import {

namespace {
class MoEBuilder : public ExpertsBuilder {
public:
  using ExpertsBuilder::ExpertsBuilder;

private:
  LogicalResult readWeights() override;
  FailureOr<Value> matrix(unsigned i, int64_t rows, int64_t columns);
};
} // namespace

//===----------------------------------------------------------------------===//
// Tokens and routing
//===----------------------------------------------------------------------===//

Value asRows(NodeContext &n, Value x) {
  Dims dims = getDims(x);
  DimExpr last = dims.pop_back_val();
  return n.reshape(x, {product(dims), last});
}

LogicalResult ExpertsBuilder::readTokens() {
  if (n.rank(0) < 2 || n.rank(1) < 2)
    return n.invalid("has tokens of rank " + Twine(n.rank(0)) +
                     " and logits of rank " + Twine(n.rank(1)));
  x = asRows(n, n.value(0));
  logits = asRows(n, n.value(1));
  if (failed(n.unify(getDim(logits, 0), getDim(x, 0))))
    return failure();
  std::optional<int64_t> e = getDim(logits, 1).constantValue(),
                         m = getDim(x, 1).constantValue();
  if (!e || !m || *e < 1 || *m < 1)
    return n.unsupported("tokens of size " + getDim(x, 1).toString() + " for " +
                         getDim(logits, 1).toString() + " experts");
  numExperts = *e;
  hidden = *m;
  return success();
}

LogicalResult ExpertsBuilder::readActivation() {
  std::string name = n.stringAttr("activation_type", "relu");
  int64_t fusion = n.intAttr("swiglu_fusion", 0);
  bool isGated = name == "swiglu" || name == "geglu";
  bool saysHow = n.hasAttr("activation_alpha") ||
                 n.hasAttr("activation_beta") || n.hasAttr("swiglu_limit");
  alpha = n.floatAttr("activation_alpha", 1.0f);
  beta = n.floatAttr("activation_beta", 0.0f);
  limit = n.floatAttr("swiglu_limit", INFINITY);
  if (name == "swiglu" && !saysHow) {
    n.warn("swiglu without alpha, beta and limit: taken as that of gpt-oss, "
           "1.702, 1 and 7");
    alpha = 1.702f;
    beta = 1.0f;
    limit = 7.0f;
  }
  // Gelu of these operators is the one with tanh.
  std::optional<Activation> kind =
      llvm::StringSwitch<std::optional<Activation>>(name)
          .Case("relu", Activation::Relu)
          .Cases({"gelu", "geglu"}, Activation::GeluTanh)
          .Case("silu", Activation::Silu)
          .Case("swiglu", Activation::Swiglu)
          .Case("identity", Activation::Identity)
          .Default(std::nullopt);
  if (!kind)
    return n.unsupported("attribute 'activation_type' = \"" + name +
                         "\" is not supported");
  activation = *kind;
  if (fusion < 0 || fusion > 2)
    return n.invalid("attribute 'swiglu_fusion' is " + Twine(fusion));
  // Without a matrix of its own the linear part stands between the gates.
  if (isGated)
    gating = fusion == 2 ? Gating::Concatenated : Gating::Interleaved;
  return success();
}

LogicalResult ExpertsBuilder::route() {
  int64_t k = n.intAttr("k", 1);
  bool normalize = n.intAttr("normalize_routing_weights", 0) != 0;
  bool sparseMixer = n.intAttr("use_sparse_mixer", 0) != 0;
  if (k < 1 || k > numExperts)
    return n.invalid("selects " + Twine(k) +
                     " experts, expected between 1 "
                     "and " +
                     Twine(numExperts));
  if (sparseMixer && k != 2)
    return n.invalid("is a sparse mixer of " + Twine(k) +
                     " experts, expected 2");
  auto gate = n.createOp<GateOp>(
      n.cast(logits, n.f32()), Value(), Value(),
      mixScores ? n.cast(mixScores, n.f32()) : Value(), Value(), k,
      sparseMixer ? RouterScore::SparseMixer : RouterScore::Softmax,
      MixWeight::Score,
      normalize && !sparseMixer ? Normalize::SumPlus : Normalize::None,
      APFloat(0.0f), APFloat(1.0f), 1, 1, GroupScore::Max, false,
      APFloat(0.01f), DropPolicy::None, APFloat(1.0f), 0, false, IntegerAttr(),
      StringAttr());
  if (failed(gate))
    return failure();
  weights = gate->getWeights();
  experts = gate->getExperts();
  return success();
}

LogicalResult ExpertsBuilder::compute() {
  DimExpr tokens = getDim(x, 0);
  DimExpr k = getDim(experts, 1);
  DimExpr rows = n.newDataSymbol(tokens * k);
  Type i32 = IntegerType::get(n.context(), 32);
  auto dispatch = n.createTypedOp<DispatchOp>(
      getTensorType(n.elementType(0), {rows, DimExpr(hidden)}),
      getTensorType(i32, {DimExpr(numExperts)}),
      getTensorType(i32, {tokens, k}), x, experts, Value(), numExperts);
  if (failed(dispatch))
    return failure();
  Value y = n.create<ExpertsOp>(dispatch->getRows(), dispatch->getCounts(), w1,
                                b1, w2, b2, w3, b3, activation, gating,
                                APFloat(alpha), APFloat(beta), APFloat(limit),
                                arithmetic, PlacementAttr());
  y = n.create<CombineOp>(y, dispatch->getSlots(), weights);
  n.set(0, n.reshape(y, n.dims(0)));
  return success();
}

LogicalResult ExpertsBuilder::run() {
  if (failed(readTokens()) || failed(readActivation()) ||
      failed(readWeights()) || failed(route()))
    return failure();
  return compute();
}

//===----------------------------------------------------------------------===//
// MoE
//===----------------------------------------------------------------------===//

// Inputs: x, logits, fc1 [E, F, M], its bias, fc2 [E, M, I], its bias, fc3
// [E, I, M], its bias. Files of older versions declare fc1 and fc2 with their
// last dimensions swapped, and the same bytes.
FailureOr<Value> MoEBuilder::matrix(unsigned i, int64_t rows, int64_t columns) {
  Value given = n.value(i);
  std::optional<SmallVector<int64_t>> shape = constantDims(n.dims(i));
  if (!shape || shape->size() != 3 || (*shape)[0] != numExperts)
    return n.invalid("has weights of dimensions " +
                     toString(ArrayRef(n.dims(i))) + " for " +
                     Twine(numExperts) + " experts");
  auto fits = [](int64_t size, int64_t expected) {
    return expected == -1 || size == expected;
  };
  if (!fits((*shape)[1], rows) || !fits((*shape)[2], columns)) {
    if (!fits((*shape)[2], rows) || !fits((*shape)[1], columns))
      return n.invalid("has weights of dimensions " +
                       toString(ArrayRef(n.dims(i))) +
                       " that do not fit the tokens or each other");
    given = n.reshape(given, {DimExpr(numExperts), DimExpr((*shape)[2]),
                              DimExpr((*shape)[1])});
  }
  return n.transpose(n.cast(given, n.elementType(0)), {0, 2, 1});
}

LogicalResult MoEBuilder::readWeights() {
  if (!n.has(4))
    return n.invalid("lacks the weights of its second layer");
  FailureOr<Value> fc1 = matrix(2, -1, hidden), fc2 = matrix(4, hidden, -1);
  if (failed(fc1) || failed(fc2))
    return failure();
  w1 = *fc1;
  w2 = *fc2;
  if (n.has(6)) {
    FailureOr<Value> fc3 = matrix(6, -1, hidden);
    if (failed(fc3))
      return failure();
    w3 = *fc3;
    gating = Gating::Split;
  }
  b1 = bias(3);
  b2 = bias(5);
  b3 = bias(7);
  return success(!n.hasFailed());
}

LogicalResult buildMoE(NodeContext &n) { return MoEBuilder(n).run(); }

} // namespace moe::onnx_import
