//===- HostActivation.cpp - Values of the activations of FFNs -------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialect/moe/HostTensor.h"

#include <algorithm>
#include <cmath>

using namespace mlir;

namespace moe::dialect {

/// act(gate).
static double activate(const HostActivation &act, double gate) {
  auto unary = [&](UnaryKind kind) {
    return evaluateUnary(kind, scalarOf(gate), DType::F64).f;
  };
  switch (act.kind) {
  case Activation::Identity:
    return gate;
  case Activation::Relu:
    return unary(UnaryKind::Relu);
  case Activation::Relu2:
    return std::pow(unary(UnaryKind::Relu), 2.0);
  case Activation::GeluErf:
    return unary(UnaryKind::GeluErf);
  case Activation::GeluTanh:
    return unary(UnaryKind::GeluTanh);
  case Activation::Silu:
    return unary(UnaryKind::Silu);
  case Activation::Sigmoid:
    return unary(UnaryKind::Sigmoid);
  case Activation::Tanh:
    return unary(UnaryKind::Tanh);
  case Activation::Swiglu: {
    double clamped = std::fmin(gate, act.limit);
    return clamped / (1.0 + std::exp(-act.alpha * clamped));
  }
  }
  llvm_unreachable("all activations are listed");
}

double evaluateActivation(const HostActivation &act, double gate,
                          std::optional<double> linear) {
  double value = activate(act, gate);
  if (!linear)
    return value;
  if (act.kind == Activation::Swiglu)
    return value * (std::clamp(*linear, -act.limit, act.limit) + act.beta);
  return value * *linear;
}

} // namespace moe::dialect
