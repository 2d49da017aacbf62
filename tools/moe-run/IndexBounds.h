//===- IndexBounds.h - Which integers an input may hold ---------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_TOOLS_MOE_RUN_INDEXBOUNDS_H
#define MOE_TOOLS_MOE_RUN_INDEXBOUNDS_H

#include <cstdint>
#include <optional>

namespace moe::plan {
struct ProgramT;
} // namespace moe::plan

namespace moe::tools {

/// Rows of the smallest table that values of input `port` index, followed
/// through the steps of the plan; nothing if they index no table of known
/// size. For token ids this is the size of the vocabulary, for positions the
/// length of the context.
std::optional<int64_t> indexBound(const plan::ProgramT &program, int port);

} // namespace moe::tools

#endif // MOE_TOOLS_MOE_RUN_INDEXBOUNDS_H
