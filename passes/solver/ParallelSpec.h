//===- ParallelSpec.h - What a user asks of mesh and layers -----*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The texts of two options, and what they mean.
//
//   --mesh=dp=2,tp=2           degrees; what is missing follows from the ranks:
//                              8 ranks give ep = 2
//   --layer-form=*:coordinated,3:slice=2+hierarchical
//                              forms of MoE layers, counted from 0 in the order
//                              of the graph; what stands for one layer goes
//                              before what stands for all (*)
//
// Words of a form, joined by +, and what they set:
//
//   flat, hierarchical, coordinated, replicated    how rows travel
//   spread, slice, slice=N, replicate              how experts lie on ranks
//   small=flat|hierarchical, small-tokens=N        how rows travel up to N
//                                                  tokens in all
//   chunks=N, chunk-tokens=N                       above so many tokens, the
//                                                  layer runs in N chunks
//
//===----------------------------------------------------------------------===//

#ifndef MOE_PASSES_SOLVER_PARALLELSPEC_H
#define MOE_PASSES_SOLVER_PARALLELSPEC_H

#include "runtime/support/Status.h"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace moe::solver {

/// The degrees of a mesh; 0: not said.
struct MeshDegrees {
  int64_t dp = 0, ep = 0, tp = 0;

  int64_t numRanks() const { return dp * ep * tp; }
  bool operator==(const MeshDegrees &) const = default;
};
/// "dp = 1, ep = 4, tp = 2".
std::string toString(const MeshDegrees &mesh);

/// Parses "dp=2,ep=4,tp=2" with any of the three. Errors: Usage.
StatusOr<MeshDegrees> parseMesh(std::string_view text);
/// Sets what was not said. `numRanks` 0: as many as the degrees need. Else one
/// missing degree takes the ranks that the others leave: ep, or dp if ep is
/// said, or tp if both are. Errors: Usage if they do not fit the ranks.
StatusOr<MeshDegrees> completeMesh(MeshDegrees given, int64_t numRanks);

enum class Exchange { Flat, Hierarchical, Coordinated, Replicated };
enum class ExpertForm { Spread, Slice, Replicate };
/// The words of the option and of `moe.form`.
std::string_view toString(Exchange exchange);
std::string_view toString(ExpertForm experts);
std::optional<Exchange> parseExchange(std::string_view word);
std::optional<ExpertForm> parseExpertForm(std::string_view word);

/// How one MoE layer runs; what is absent is the compiler's choice.
struct LayerForm {
  std::optional<Exchange> exchange;
  std::optional<ExpertForm> experts;
  /// Ranks of one replica of an expert; 0: as many as there are.
  std::optional<int64_t> slices;
  /// How rows travel up to `smallTokens` tokens.
  std::optional<Exchange> small;
  std::optional<int64_t> smallTokens;
  /// Above `chunkTokens` tokens, the layer runs in so many chunks.
  std::optional<int64_t> chunks, chunkTokens;

  bool isEmpty() const { return *this == LayerForm(); }
  bool operator==(const LayerForm &) const = default;
  /// This form, with what it leaves open from `other`.
  LayerForm orElse(const LayerForm &other) const;
};
/// In the words of the option; "default" if nothing is said.
std::string toString(const LayerForm &form);

struct LayerForms {
  LayerForm all;
  std::map<int64_t, LayerForm> layers;

  LayerForm of(int64_t layer) const;
  /// Errors (Usage): a form for a layer that does not exist.
  Status checkLayers(int64_t numLayers) const;
};
/// Parses the text of --layer-form; empty is no form. Errors: Usage.
StatusOr<LayerForms> parseLayerForms(std::string_view text);

/// What a form must fit.
struct FormLimits {
  MeshDegrees mesh;
  /// Ranks of a node; 0: there is one node.
  int64_t nodeSize = 0;
  /// No sum of an expert may be split (--reduce=exact).
  bool reduceExact = false;
};
/// Errors (Usage): a form that contradicts itself or the limits.
Status checkForm(const LayerForm &form, const FormLimits &limits);

} // namespace moe::solver

#endif // MOE_PASSES_SOLVER_PARALLELSPEC_H
