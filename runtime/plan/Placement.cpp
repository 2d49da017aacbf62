//===- Placement.cpp - Which experts a rank holds -------------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/plan/Placement.h"
#include "runtime/plan/Plan_generated.h"

#include <algorithm>

using namespace moe;

std::vector<int> moe::expertsOf(const plan::LayerT &layer, int rank) {
  std::vector<int> experts;
  for (int expert = 0; expert < layer.experts; ++expert) {
    if (layer.places.empty()) {
      experts.push_back(expert);
      continue;
    }
    const std::vector<uint32_t> &ranks = layer.places[expert]->ranks;
    if (std::find(ranks.begin(), ranks.end(), static_cast<uint32_t>(rank)) !=
        ranks.end())
      experts.push_back(expert);
  }
  return experts;
}
