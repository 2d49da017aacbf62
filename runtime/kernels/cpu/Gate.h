//===- Gate.h - gate ---------------------------------------------*- C++
//-*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Three phases: each token chooses its experts (in parallel), experts that
// overflow drop tokens (GateDrop.h), and the weights are finished. Without
// capacity, a token is done at once. A kernel that does more than a gate
// (Router.cpp) calls the phases itself.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_RUNTIME_KERNELS_CPU_GATE_H
#define MOE_RUNTIME_KERNELS_CPU_GATE_H

#include "runtime/kernels/cpu/GateDrop.h"
#include "runtime/kernels/cpu/Support.h"

#include <initializer_list>
#include <string>

namespace moe::cpu {

/// All operands of a gate as f32 (or null), and the memory of the run.
struct Routing : Choices {
  /// Memory of one thread, each [E].
  struct Rows {
    float *score, *selection, *other;
  };

  const float *logits = nullptr, *selectionBias = nullptr,
              *expertScale = nullptr, *mixScores = nullptr;
  const uint8_t *usedToken = nullptr;

  // Converted operands.
  float *logitsBuffer, *biasBuffer, *scaleBuffer, *mixBuffer;
  Rows *threads;
  DropMemory dropping;

  bool isUsed(int64_t token) const { return !usedToken || usedToken[token]; }
};

/// Operands: logits, selection_bias, expert_scale, mix_scores, used_token;
/// results: weights, experts. With `part`, ranks divide the tokens, and those
/// of all compete.
class GateKernel : public CpuKernel {
public:
  GateKernel(const KernelSpec &spec, const Isa &isa, GateConfig config,
             std::string part)
      : CpuKernel(spec, isa), config(config), part(std::move(part)),
        dropping(config, /*isDivided=*/!this->part.empty(), spec.rank,
                 spec.numRanks),
        numRanks(spec.numRanks) {}
  StatusOr<size_t> workspaceBytes(const KernelArgs &args,
                                  int numThreads) const override;
  Status run(const KernelArgs &args, StepContext &context) const override;

  // The phases of a run.
  Status check(const KernelArgs &args) const;
  Routing cut(Scratch &scratch, const KernelArgs &args, int numThreads) const;
  /// Brings the operands to f32.
  void load(const KernelArgs &args, ThreadPool &pool, Routing &routing) const;
  /// Chooses the experts of one token.
  void route(const Routing &routing, int64_t token, int thread) const;
  /// Chooses the experts of all tokens.
  void routeAll(const Routing &routing, ThreadPool &pool) const;
  /// Lets experts that overflow drop tokens. Collective with `part`.
  Status drop(const Routing &routing, StepContext &context) const;

private:
  using Rows = Routing::Rows;

  Status checkOperand(const KernelArgs &args, size_t i, const char *operand,
                      std::initializer_list<int64_t> dims) const;
  StatusOr<RowsOfRanks> rowsOf(const StepContext &context,
                               int64_t tokens) const;
  bool drops() const { return config.dropPolicy != DropPolicy::None; }

  void choose(const Routing &routing, int64_t token, const Rows &rows) const;
  void mixSparsely(const Routing &routing, int64_t token,
                   const Rows &rows) const;
  void limitGroups(float *selection, float *groups, int64_t experts) const;
  void setWeights(const Routing &routing, int64_t token,
                  const Rows &rows) const;
  void setKeys(const Routing &routing, int64_t token, const Rows &rows) const;
  void normalize(const Routing &routing, int64_t token) const;
  void finish(const Routing &routing, int64_t token) const;

  GateConfig config;
  std::string part; ///< the symbol that ranks divide, or empty
  GateDrop dropping;
  int numRanks;
};

} // namespace moe::cpu

#endif // MOE_RUNTIME_KERNELS_CPU_GATE_H
