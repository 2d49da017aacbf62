//===- HeldBlocks.h - Which weights a rank holds ----------------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_RUNTIME_PARAMS_HELDBLOCKS_H
#define MOE_RUNTIME_PARAMS_HELDBLOCKS_H

#include "runtime/plan/Placement.h"
#include "runtime/support/Status.h"

#include <vector>

namespace moe::plan {
struct ProgramT;
struct ParamT;
} // namespace moe::plan

namespace moe {

/// A block of a parameter, or the part of it that a rank holds.
struct HeldBlock {
  int block = 0; ///< in Param::blocks
  /// Dimension of which this is a part, or -1: the whole block.
  int axis = -1;
  Interval part = {};

  /// The dimensions of what is held.
  std::vector<int64_t> dims(std::vector<int64_t> whole) const {
    if (axis >= 0)
      whole[axis] = part.size();
    return whole;
  }
};

/// What `rank` of the program holds of `param`: one block of a dense parameter;
/// of experts one for each of localExperts(), in this order. BadPlan if the
/// ranks cannot divide the parameter as it says.
StatusOr<std::vector<HeldBlock>>
heldBlocks(const plan::ProgramT &program, const plan::ParamT &param, int rank);

/// Whether all parts of `param` that ranks hold begin at multiples of `unit`
/// along part_axis (true for weights that ranks hold whole). Errors as above.
StatusOr<bool> partsBeginAt(const plan::ProgramT &program,
                            const plan::ParamT &param, int64_t unit);

} // namespace moe

#endif // MOE_RUNTIME_PARAMS_HELDBLOCKS_H
