//===- BuildExperts.cpp - MoE and QMoE of ONNX Runtime --------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontend/onnx/Builders.h"

#include "dialect/moe/ParamCodes.h"

#include "llvm/ADT/StringSwitch.h"

#include <cmath>

using namespace mlir;
using namespace moe::dialect;

namespace moe::onnx_import {

namespace {

/// What both operators compute, whatever the form of their weights.
class ExpertsBuilder {
public:
  explicit ExpertsBuilder(NodeContext &n) : n(n) {}
  virtual ~ExpertsBuilder() = default;
  LogicalResult run();

protected:
  /// Sets w1, b1, w2, b2, w3, b3: weights as [E, in, out].
  virtual LogicalResult readWeights() = 0;
  LogicalResult readTokens();
  LogicalResult readActivation();
  LogicalResult route();
  LogicalResult compute();

  Value bias(unsigned i) {
    return n.has(i) ? n.cast(n.value(i), n.elementType(0)) : Value();
  }
  Value weight(ParamAttr param, unsigned source) {
    return n.cast(n.param(param, paramNameOf(n.value(source))),
                  n.elementType(0));
  }

  NodeContext &n;
  Value x, logits, mixScores;
  Value weights, experts;
  Value w1, b1, w2, b2, w3, b3;
  int64_t numExperts = 0, hidden = 0;
  Activation activation = Activation::Relu;
  Gating gating = Gating::None;
  float alpha = 1.0f, beta = 0.0f, limit = INFINITY;
  Arithmetic arithmetic = Arithmetic::Float;
};

class MoEBuilder : public ExpertsBuilder {
public:
  using ExpertsBuilder::ExpertsBuilder;

private:
  LogicalResult readWeights() override;
  FailureOr<Value> matrix(unsigned i, int64_t rows, int64_t columns);
};

class QMoEBuilder : public ExpertsBuilder {
public:
  using ExpertsBuilder::ExpertsBuilder;

private:
  LogicalResult readWeights() override;
  void warnOfRouting();
  LogicalResult readForm();
  FailureOr<Value> matrix(unsigned i, StringRef bitsAttr, unsigned zeroPoints,
                          int64_t rows, int64_t columns);
  int64_t allBits = 4, block = 0;
};

} // namespace

//===----------------------------------------------------------------------===//
// Tokens and routing
//===----------------------------------------------------------------------===//

/// [.., C] as a matrix of rows.
static Value asRows(NodeContext &n, Value x) {
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

//===----------------------------------------------------------------------===//
// QMoE
//===----------------------------------------------------------------------===//

// Matrix i [E, N, K * bits / 8] with scales at i + 1, [E, N] or [E, N, blocks].
// -1 for rows or columns: whatever they are.
FailureOr<Value> QMoEBuilder::matrix(unsigned i, StringRef bitsAttr,
                                     unsigned zeroPoints, int64_t rows,
                                     int64_t columns) {
  int64_t bits = n.intAttr(bitsAttr, allBits);
  if (bits != 2 && bits != 4 && bits != 8)
    return n.unsupported("weights of " + Twine(bits) +
                         " bits are not supported");
  ParamAttr q = n.asParam(n.value(i)), scales = n.asParam(n.value(i + 1));
  if (!q || !scales)
    return n.unsupported("weights or scales that are computed");
  ArrayRef<int64_t> shape = q.getType().getShape();
  if (!q.getType().getElementType().isUnsignedInteger(8) || shape.size() != 3 ||
      shape[0] != numExperts || (rows != -1 && shape[1] != rows) ||
      shape[2] > INT32_MAX)
    return n.invalid("has packed weights of dimensions " +
                     toString(ArrayRef(n.dims(i))) + " for " +
                     Twine(numExperts) + " experts");
  int64_t size = shape[2] * 8 / bits;
  if (columns != -1 && size != columns)
    return n.invalid("has packed weights of " + Twine(size) +
                     " columns, expected " + Twine(columns));
  int64_t blocks = block == 0 ? 1 : llvm::divideCeil(size, block);
  if (scales.getType().getNumElements() != shape[0] * shape[1] * blocks ||
      !isa<FloatType>(scales.getType().getElementType()))
    return n.invalid("has scales that do not fit the weights");
  scales = widenedScales(param::reshape(scales, {shape[0], shape[1], blocks}),
                         n.elementType(0));
  ParamAttr zero;
  if (n.has(zeroPoints)) {
    zero = n.asParam(n.value(zeroPoints));
    int64_t numBytes = zero ? zero.getType().getNumElements() : 0;
    int64_t zeroBytes = llvm::divideCeil(blocks * bits, 8);
    int64_t rowBytes = llvm::divideCeil(shape[1] * bits, 8);
    if (!zero || !zero.getType().getElementType().isUnsignedInteger(8) ||
        (numBytes != shape[0] * shape[1] * zeroBytes &&
         (blocks != 1 || numBytes != shape[0] * rowBytes)))
      return n.invalid("has zero points that do not fit the weights");
    // Of whole rows they are packed along the rows.
    if (numBytes != shape[0] * shape[1] * zeroBytes)
      zero = param::unpack(param::reshape(zero, {shape[0], rowBytes}), shape[1],
                           bits);
    zero = param::reshape(zero, {shape[0], shape[1], zeroBytes});
  }
  ParamAttr matrix = param::dequantize(q, scales, zero, size, bits, block);
  return weight(param::transpose(matrix, {0, 2, 1}), i);
}

// What the schema says holds; who compares with the CPU kernel should know.
void QMoEBuilder::warnOfRouting() {
  bool normalizes = n.intAttr("normalize_routing_weights", 0) != 0;
  bool sparseMixer = n.intAttr("use_sparse_mixer", 0) != 0;
  if (!mixScores && (sparseMixer || (!normalizes && n.intAttr("k", 1) > 1)))
    n.warn("the weights of the chosen experts are not made to sum up to 1, as "
           "attributes say; ONNX Runtime's CPU kernel does so nevertheless");
}

LogicalResult QMoEBuilder::readForm() {
  allBits = n.intAttr("expert_weight_bits", 4);
  block = n.intAttr("block_size", 0);
  std::string type = n.stringAttr("quant_type", "int");
  int64_t prepacked = n.intAttr("weights_prepacked", -1);
  if (type != "int")
    return n.unsupported("weights of type \"" + type + "\" are not supported");
  if (block < 0 || block > (1 << 20))
    return n.invalid("attribute 'block_size' is " + Twine(block));
  if (prepacked > 0)
    return n.unsupported("weights that are packed for another kernel");
  if (prepacked < 0 && n.elementType(0).isF16() &&
      (block == 32 || block == 64 || block == 128))
    n.warn("the file does not say whether the weights are packed for CUDA; "
           "taken as plain");
  // The least accuracy that is accepted; whole rows have no kernel of it.
  if (n.intAttr("accuracy_level", 0) == 4 && block > 0 && block % 32 == 0)
    arithmetic = Arithmetic::Int8;
  return n.expectInt("swiglu_limit_after_activation", 0, 0);
}

LogicalResult QMoEBuilder::readWeights() {
  if (failed(readForm()))
    return failure();
  for (unsigned i = 15; i < n.numInputs(); ++i)
    if (n.has(i))
      return n.unsupported("input " + Twine(i) + " is not supported");
  if (n.has(14))
    mixScores = asRows(n, n.value(14));
  warnOfRouting();
  if (!n.has(5) || !n.has(6) || !n.has(3))
    return n.invalid("lacks weights or scales");
  FailureOr<Value> fc1 = matrix(2, "fc1_expert_weight_bits", 11, -1, hidden);
  FailureOr<Value> fc2 = matrix(5, "fc2_expert_weight_bits", 12, hidden, -1);
  if (failed(fc1) || failed(fc2))
    return failure();
  w1 = *fc1;
  w2 = *fc2;
  if (n.has(8)) {
    if (!n.has(9))
      return n.invalid("lacks scales");
    FailureOr<Value> fc3 = matrix(8, "fc3_expert_weight_bits", 13, -1, hidden);
    if (failed(fc3))
      return failure();
    w3 = *fc3;
    gating = Gating::Split;
  }
  b1 = bias(4);
  b2 = bias(7);
  b3 = bias(10);
  return success(!n.hasFailed());
}

LogicalResult buildMoE(NodeContext &n) { return MoEBuilder(n).run(); }

LogicalResult buildQMoE(NodeContext &n) { return QMoEBuilder(n).run(); }

} // namespace moe::onnx_import
