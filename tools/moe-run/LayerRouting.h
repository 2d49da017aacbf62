//===- LayerRouting.h - Which experts the tokens of a run choose *- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
//   uniform    any k experts
//   zipf:0.8   expert number i with chance 1 / i^0.8
//   one        all tokens the same k experts
//
// Every run has another routing. Which experts are the numbers 1, 2, .. of a
// run is chosen such that those come first that no run has used for longest:
// by the time that weights are used again, all others have passed.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_TOOLS_MOE_RUN_LAYERROUTING_H
#define MOE_TOOLS_MOE_RUN_LAYERROUTING_H

#include "runtime/support/Status.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace moe::tools {

struct RoutingKind {
  std::string name = "uniform";
  /// The exponent of zipf, 0 for uniform.
  double exponent = 0;
  bool isOne = false;
};
/// The text of --routing. Errors (Usage).
StatusOr<RoutingKind> parseRouting(std::string_view text);

/// The routing of one run.
struct Routing {
  /// [tokens, experts]; those that are chosen have the largest.
  std::vector<float> logits;
  /// [tokens, k], best first, and what the gate weighs them with: softmax over
  /// the chosen.
  std::vector<int32_t> chosen;
  std::vector<double> weights;
  /// Experts that have tokens, ascending.
  std::vector<int32_t> active;
};

/// `count` routings, one after the other; the same seed gives the same.
std::vector<Routing> makeRoutings(const RoutingKind &kind, int64_t tokens,
                                  int64_t experts, int64_t k, size_t count,
                                  uint64_t seed);

} // namespace moe::tools

#endif // MOE_TOOLS_MOE_RUN_LAYERROUTING_H
