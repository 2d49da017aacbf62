//===- LayerSpec.h - One expert layer without a model -----------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
//   E=128,k=8,H=2048,I=768,act=silu,gated
//
// is a layer of E experts of which a token chooses k. Each has two matrices
// [H, I] and [I, H] with the activation between them, or, gated, three: the
// activation of one product [H, I] times another one.
//
// Such a layer may fit a cache, in which no weights of a real model lie when
// their turn comes. So there are copies of it, one after the other used.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_TOOLS_MOE_RUN_LAYERSPEC_H
#define MOE_TOOLS_MOE_RUN_LAYERSPEC_H

#include "runtime/support/DType.h"
#include "runtime/support/Status.h"

#include <string>
#include <string_view>
#include <vector>

namespace moe::tools {

struct LayerSpec {
  int64_t experts = 0, k = 0, hidden = 0, inner = 0;
  /// A keyword of the kernel experts.
  std::string activation = "silu";
  bool isGated = false;

  // How weights are kept.
  std::string weightType = "f32"; ///< what --dtype says
  DType dtype = DType::F32;
  std::string layout = "panel16";
  /// Rows are rounded to 8 bits before they are multiplied.
  bool roundsRows = false;
  bool hasBias = false;
  /// The layer is there so many times.
  int64_t copies = 1;

  int64_t allExperts() const { return copies * experts; }
  int numMatrices() const { return isGated ? 3 : 2; }
  /// Multiplications and additions of one row in one expert.
  double operationsPerRow() const {
    return 2.0 * numMatrices() * static_cast<double>(hidden) *
           static_cast<double>(inner);
  }
};

/// A parameter of the experts: [rows, columns], or [columns] if rows is 0.
struct LayerParam {
  std::string name;
  int64_t rows = 0, columns = 0;
  DType dtype = DType::F32;
  std::string layout = "row";

  std::vector<int64_t> dims() const {
    return rows > 0 ? std::vector<int64_t>{rows, columns}
                    : std::vector<int64_t>{columns};
  }
};
/// In the order of the kernel's operands w1, b1, w2, b2, w3, b3; what the
/// layer lacks has no name.
std::vector<LayerParam> paramsOf(const LayerSpec &spec);
/// Bytes of one expert.
StatusOr<uint64_t> expertBytes(const LayerSpec &spec);

/// The text of --layer. Errors (Usage): what it lacks or has too much.
StatusOr<LayerSpec> parseLayer(std::string_view text);

/// What --dtype, --activations, --quant-block and --quant-zero-points say.
struct LayerTypes {
  std::string weights = "f32";
  std::string activations = "float";
  int64_t block = 32;
  bool hasZeroPoints = false;
};
/// Errors (Usage): types that do not go together.
Status setTypes(LayerSpec &spec, const LayerTypes &types);

/// As many copies as have `workingSet` bytes of weights.
Status setCopies(LayerSpec &spec, uint64_t workingSet);

} // namespace moe::tools

#endif // MOE_TOOLS_MOE_RUN_LAYERSPEC_H
