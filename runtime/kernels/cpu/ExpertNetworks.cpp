//===- ExpertNetworks.cpp - The experts that a rank has -------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/kernels/cpu/ExpertNetworks.h"

#include "runtime/plan/Plan_generated.h"
#include "runtime/plan/StepAttributes.h"

namespace moe::cpu {

/// The attribute "slice_unit": whole panels.
static StatusOr<int64_t> parseSliceUnit(StepAttributes &attributes) {
  MOE_ASSIGN_OR_RETURN(int64_t unit, attributes.getInt("slice_unit", kPanel));
  if (unit < kPanel || unit % kPanel != 0)
    return attributes.error("slice_unit", "is " + std::to_string(unit) +
                                              ", expected a multiple of " +
                                              std::to_string(kPanel));
  return unit;
}

StatusOr<ExpertConfig> ExpertConfig::parse(const KernelSpec &spec,
                                           StepAttributes &attributes) {
  ExpertConfig config;
  MOE_ASSIGN_OR_RETURN(config.attributes, FfnAttributes::parse(attributes));
  MOE_ASSIGN_OR_RETURN(config.sliceUnit, parseSliceUnit(attributes));
  if (spec.layer && !spec.layer->places.empty()) {
    config.held = localExperts(*spec.layer, spec.rank);
    config.numExperts = spec.layer->experts;
  }
  return config;
}

StatusOr<NetworksKernel::Call>
ExpertNetworks::expertCall(const KernelArgs &args, const FfnOperands &operands,
                           int64_t networks) const {
  Call call;
  MOE_ASSIGN_OR_RETURN(call.sizes, operands.sizes(name, attributes.gating));
  call.wholeHidden = call.sizes.hidden;
  if (config.numExperts >= 0) {
    call.sizes.hidden = 0;
    for (size_t i = 0; i < config.held.size(); ++i)
      call.sizes.hidden = std::max(
          call.sizes.hidden,
          indexOf(static_cast<int64_t>(i)).hiddenOf(call.wholeHidden).size());
  }
  call.x = &args.inputs[0];
  call.out = &args.outputs[0];
  MOE_RETURN_IF_ERROR(expectRank(*call.x, 2, "rows"));
  MOE_RETURN_IF_ERROR(checkRows(call));
  call.inputRows = call.rows = call.x->dims[0];
  call.networks = networks;
  return call;
}

FfnOperands::Index ExpertNetworks::indexOf(int64_t local) const {
  if (config.numExperts < 0 ||
      local >= static_cast<int64_t>(config.held.size()))
    return {local, local, config.numExperts};
  const LocalExpert &expert = config.held[local];
  return {local,        expert.expert,    config.numExperts,
          expert.slice, expert.numSlices, config.sliceUnit};
}

Status ExpertNetworks::checkNetworks(const Call &call,
                                     std::span<const int32_t> counts,
                                     const FfnOperands &operands,
                                     Counters &counters) const {
  int64_t numHeld = static_cast<int64_t>(config.held.size());
  for (int64_t i = 0; i < static_cast<int64_t>(counts.size()); ++i) {
    if (counts[i] <= 0)
      continue;
    FfnOperands::Index index = indexOf(i);
    if ((config.numExperts >= 0 && i >= numHeld) || !operands.has(index))
      return badPlan("rows for expert " + std::to_string(i) +
                     " of this rank, whose weights are not here");
    if (!operands.haveSlices(call.wholeHidden, attributes.gating, index))
      return badPlan("the weights of expert " + std::to_string(i) +
                     " of this rank are not those of its slice");
    if (index.slice == 0)
      counters.expertRows += counts[i];
  }
  return Status::ok();
}

} // namespace moe::cpu
