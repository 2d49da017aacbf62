//===- ExpertNetworks.h - The experts that a rank has -----------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What the steps experts and routed_experts share: which network is which
// expert of the layer, or which slice of one, and whether its weights are here.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_RUNTIME_KERNELS_CPU_EXPERTNETWORKS_H
#define MOE_RUNTIME_KERNELS_CPU_EXPERTNETWORKS_H

#include "runtime/kernels/cpu/Networks.h"

#include <optional>
#include <vector>

namespace moe::cpu {

/// The attributes of experts, and where their layer has placed them.
struct ExpertConfig {
  FfnAttributes attributes;
  int64_t sliceUnit = kPanel; ///< hidden values that slices keep together
  /// Experts of this rank in the order of counts, if experts are placed.
  std::vector<LocalExpert> held;
  int64_t numExperts = -1; ///< of all ranks; -1 if experts are not placed

  static StatusOr<ExpertConfig> parse(const KernelSpec &spec,
                                      StepAttributes &attributes);
};

class ExpertNetworks : public NetworksKernel {
public:
  ExpertNetworks(const KernelSpec &spec, const Isa &isa, ExpertConfig config)
      : NetworksKernel(spec, isa, config.attributes),
        config(std::move(config)) {}

protected:
  /// The sizes of weights and rows; `networks` experts have choices.
  StatusOr<Call> expertCall(const KernelArgs &args, const FfnOperands &operands,
                            int64_t networks) const;
  /// Whether the weights are here that the rows need; counts the rows.
  Status checkNetworks(const Call &call, std::span<const int32_t> counts,
                       const FfnOperands &operands, Counters &counters) const;
  FfnOperands::Index indexOf(int64_t local) const override;
  /// Experts of this rank, or slices of them, if experts are placed.
  std::optional<int64_t> numHeld() const {
    if (config.numExperts < 0)
      return std::nullopt;
    return static_cast<int64_t>(config.held.size());
  }

private:
  ExpertConfig config;
};

} // namespace moe::cpu

#endif // MOE_RUNTIME_KERNELS_CPU_EXPERTNETWORKS_H
