//===- ExpertsBuilder.h - What MoE and QMoE have in common ------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_FRONTEND_ONNX_EXPERTSBUILDER_H
#define MOE_FRONTEND_ONNX_EXPERTSBUILDER_H

#include "frontend/onnx/Builders.h"

#include <cmath>

namespace moe::onnx_import {

/// [.., C] as a matrix of rows.
mlir::Value asRows(NodeContext &n, mlir::Value x);

/// What both operators compute, whatever the form of their weights.
class ExpertsBuilder {
public:
  explicit ExpertsBuilder(NodeContext &n) : n(n) {}
  virtual ~ExpertsBuilder() = default;
  llvm::LogicalResult run();

protected:
  /// Sets w1, b1, w2, b2, w3, b3: weights as [E, in, out].
  virtual llvm::LogicalResult readWeights() = 0;
  llvm::LogicalResult readTokens();
  llvm::LogicalResult readActivation();
  llvm::LogicalResult route();
  llvm::LogicalResult compute();

  mlir::Value bias(unsigned i) {
    return n.has(i) ? n.cast(n.value(i), n.elementType(0)) : mlir::Value();
  }
  mlir::Value weight(dialect::ParamAttr param, unsigned source) {
    return n.cast(n.param(param, paramNameOf(n.value(source))),
                  n.elementType(0));
  }

  NodeContext &n;
  mlir::Value x, logits, mixScores;
  mlir::Value weights, experts;
  mlir::Value w1, b1, w2, b2, w3, b3;
  int64_t numExperts = 0, hidden = 0;
  dialect::Activation activation = dialect::Activation::Relu;
  dialect::Gating gating = dialect::Gating::None;
  float alpha = 1.0f, beta = 0.0f, limit = INFINITY;
  dialect::Arithmetic arithmetic = dialect::Arithmetic::Float;
};

} // namespace moe::onnx_import

#endif // MOE_FRONTEND_ONNX_EXPERTSBUILDER_H
