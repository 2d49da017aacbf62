//===- ExchangeSettings.h - How the rows of a layer travel ------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_PASSES_DISTRIBUTE_EXCHANGESETTINGS_H
#define MOE_PASSES_DISTRIBUTE_EXCHANGESETTINGS_H

#include "dialect/moe/MoeOps.h"

namespace moe::pass {

/// The attributes of moe.all_to_all and moe.all_to_all_back.
struct ExchangeSettings {
  dialect::ExchangeForm form = dialect::ExchangeForm::Flat;
  /// Ranks of the placement's group on a node, for the hierarchical form.
  int64_t nodeSize = 0;
  /// How rows travel up to `smallTokens` tokens of all ranks.
  std::optional<dialect::ExchangeForm> small;
  int64_t smallTokens = 0;

  bool isReplicated() const {
    return form == dialect::ExchangeForm::Replicated;
  }
};

/// What `moe.form`, the placement, the mesh and the size of nodes say. Emits an
/// error if nodes do not divide the ranks between which rows travel.
mlir::FailureOr<ExchangeSettings> exchangeSettings(dialect::ExpertsOp op);

/// Ranks of the mesh that form one group of this kind.
int64_t sizeOfGroup(dialect::MeshAttr mesh, dialect::CommGroup group);

} // namespace moe::pass

#endif // MOE_PASSES_DISTRIBUTE_EXCHANGESETTINGS_H
