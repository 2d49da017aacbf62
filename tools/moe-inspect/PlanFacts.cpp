//===- PlanFacts.cpp - What a plan means for each rank --------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "tools/moe-inspect/PlanFacts.h"

#include "runtime/plan/Placement.h"

#include <algorithm>
#include <string_view>

using namespace moe;
using namespace moe::tools;

std::vector<RankFacts> tools::factsOfRanks(const plan::ProgramT &program) {
  std::vector<RankFacts> ranks(program.num_ranks);
  for (size_t rank = 0; rank < ranks.size(); ++rank) {
    RankFacts &facts = ranks[rank];
    for (const auto &layer : program.layers)
      facts.experts.push_back(expertsOf(*layer, static_cast<int>(rank)));
    for (const auto &param : program.params) {
      uint64_t bytes = 0;
      if (param->experts == 0 || param->layer < 0)
        bytes = bytesOf(*param);
      else
        for (int expert : facts.experts[param->layer])
          bytes += param->blocks[expert]->bytes;
      facts.weightBytes += bytes;
      facts.expertWeightBytes += param->is_expert ? bytes : 0;
    }
  }
  return ranks;
}

bool tools::isExchange(const plan::StepT &step) {
  constexpr std::string_view kCollectives[] = {"all_to_all", "all_to_all_back",
                                               "all_gather", "all_reduce",
                                               "reduce_scatter"};
  return std::find(std::begin(kCollectives), std::end(kCollectives),
                   step.kernel) != std::end(kCollectives);
}

std::vector<std::string> tools::nodeNames(const plan::ProgramT &program,
                                          const std::vector<uint32_t> &nodes) {
  std::vector<std::string> names;
  for (uint32_t node : nodes)
    names.push_back(program.nodes[node]);
  return names;
}

std::vector<std::string> tools::dimTexts(const plan::ProgramT &program,
                                         const std::vector<uint32_t> &exprs) {
  std::vector<std::string> texts;
  for (uint32_t expr : exprs)
    texts.push_back(program.exprs[expr]);
  return texts;
}

uint64_t tools::bytesOf(const plan::ParamT &param) {
  uint64_t bytes = 0;
  for (const auto &block : param.blocks)
    bytes += block->bytes;
  return bytes;
}

std::string tools::sourceOf(const plan::ParamT &param) {
  if (param.blocks.empty())
    return "none";
  switch (param.blocks.front()->source) {
  case plan::BlockSource_Reference:
    return "reference";
  case plan::BlockSource_Synthetic:
    return "synthetic";
  default:
    return "embedded";
  }
}
