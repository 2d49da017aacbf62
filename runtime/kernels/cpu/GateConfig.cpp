//===- GateConfig.cpp - The attributes of moe.gate ------------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/kernels/cpu/GateConfig.h"

#include "runtime/plan/StepAttributes.h"

#include <algorithm>
#include <cmath>

namespace moe::cpu {

static Status parseEnums(StepAttributes &attributes, GateConfig &config) {
  MOE_ASSIGN_OR_RETURN(config.score,
                       attributes.getEnum<RouterScore>(
                           "score",
                           {{"softmax", RouterScore::Softmax},
                            {"sigmoid", RouterScore::Sigmoid},
                            {"logits", RouterScore::Logits},
                            {"sparse_mixer", RouterScore::SparseMixer}},
                           RouterScore::Softmax));
  MOE_ASSIGN_OR_RETURN(config.mixWeight,
                       attributes.getEnum<MixWeight>(
                           "mix_weight",
                           {{"score", MixWeight::Score},
                            {"softmax_topk", MixWeight::SoftmaxTopk},
                            {"sigmoid_logit", MixWeight::SigmoidLogit}},
                           MixWeight::Score));
  MOE_ASSIGN_OR_RETURN(config.normalize, attributes.getEnum<Normalize>(
                                             "normalize",
                                             {{"none", Normalize::None},
                                              {"sum_plus", Normalize::SumPlus},
                                              {"sum_max", Normalize::SumMax}},
                                             Normalize::None));
  MOE_ASSIGN_OR_RETURN(
      config.groupScore,
      attributes.getEnum<GroupScore>(
          "group_score",
          {{"max", GroupScore::Max}, {"top2_sum", GroupScore::Top2Sum}},
          GroupScore::Max));
  MOE_ASSIGN_OR_RETURN(config.dropPolicy, attributes.getEnum<DropPolicy>(
                                              "drop_policy",
                                              {{"none", DropPolicy::None},
                                               {"choice", DropPolicy::Choice},
                                               {"token", DropPolicy::Token},
                                               {"probs", DropPolicy::Probs},
                                               {"logits", DropPolicy::Logits},
                                               {"random", DropPolicy::Random}},
                                              DropPolicy::None));
  return Status::ok();
}

StatusOr<GateConfig> GateConfig::parse(StepAttributes &attributes) {
  GateConfig config;
  MOE_RETURN_IF_ERROR(parseEnums(attributes, config));
  MOE_ASSIGN_OR_RETURN(config.k, attributes.getInt("k"));
  MOE_ASSIGN_OR_RETURN(double eps, attributes.getFloat("normalize_eps", 0.0));
  MOE_ASSIGN_OR_RETURN(double scale, attributes.getFloat("scale", 1.0));
  MOE_ASSIGN_OR_RETURN(double jitter, attributes.getFloat("jitter_eps", 0.01));
  MOE_ASSIGN_OR_RETURN(config.numGroups, attributes.getInt("num_groups", 1));
  MOE_ASSIGN_OR_RETURN(config.topkGroups, attributes.getInt("topk_groups", 1));
  MOE_ASSIGN_OR_RETURN(config.groupFillZero,
                       attributes.getBool("group_fill_zero", false));
  MOE_ASSIGN_OR_RETURN(config.capacityFactor,
                       attributes.getFloat("capacity_factor", 1.0));
  MOE_ASSIGN_OR_RETURN(config.minCapacity,
                       attributes.getInt("min_capacity", 0));
  MOE_ASSIGN_OR_RETURN(config.normalizeAfterDrop,
                       attributes.getBool("normalize_after_drop", false));
  bool needsSeed = config.dropPolicy == DropPolicy::Random;
  MOE_ASSIGN_OR_RETURN(
      int64_t seed,
      attributes.getInt("random_seed",
                        needsSeed ? std::nullopt : std::optional<int64_t>(0)));
  config.normalizeEps = static_cast<float>(eps);
  config.scale = static_cast<float>(scale);
  config.jitterEps = static_cast<float>(jitter);
  config.randomSeed = static_cast<uint64_t>(seed);
  if (config.k < 1)
    return attributes.error("k", "is " + std::to_string(config.k) +
                                     ", expected at least 1");
  if (config.numGroups < 1 || config.topkGroups < 1 ||
      config.topkGroups > config.numGroups)
    return attributes.error("topk_groups",
                            "is " + std::to_string(config.topkGroups) +
                                ", expected 1 to " +
                                std::to_string(config.numGroups));
  if (config.score == RouterScore::SparseMixer && config.k != 2)
    return attributes.error("k", "is " + std::to_string(config.k) +
                                     ", expected 2 with the sparse mixer");
  return config;
}

int64_t GateConfig::capacity(int64_t numTokens, int64_t numExperts) const {
  float perExpert =
      static_cast<float>(numTokens) / static_cast<float>(numExperts);
  float factor = static_cast<float>(capacityFactor * static_cast<double>(k));
  float places = std::ceil(perExpert * factor);
  // A hostile factor must not make the conversion undefined.
  if (!(places < 0x1p62f))
    return std::max<int64_t>(minCapacity, int64_t(1) << 62);
  return std::max(minCapacity, static_cast<int64_t>(places));
}

uint64_t randomTokenPriority(uint64_t seed, int64_t token, int64_t expert) {
  // splitmix64 of the three, one after the other.
  uint64_t state = seed;
  for (uint64_t word :
       {static_cast<uint64_t>(token), static_cast<uint64_t>(expert)}) {
    state += word + 0x9e3779b97f4a7c15u;
    state = (state ^ (state >> 30)) * 0xbf58476d1ce4e5b9u;
    state = (state ^ (state >> 27)) * 0x94d049bb133111ebu;
    state ^= state >> 31;
  }
  return state;
}

} // namespace moe::cpu
