//===- BuildQuantizedExperts.cpp - ONNX Runtime's QMoE --------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontend/onnx/ExpertsBuilder.h"

#include "dialect/moe/ParamCodes.h"

using namespace mlir;
using namespace moe::dialect;

namespace moe::onnx_import {

namespace {
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

LogicalResult buildQMoE(NodeContext &n) { return QMoEBuilder(n).run(); }

} // namespace moe::onnx_import
