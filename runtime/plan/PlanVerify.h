//===- PlanVerify.h - What a program must be to be trusted ------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// After verifyProgram, whoever reads the program may use every index without a
// check: buffers, expressions, params, placements and blocks exist; constants,
// params and views of static size have exactly the bytes that their buffers
// say; buffers are alive and written when a step reads them, and no two streams
// use them at once. Ranks of a group agree on what they divide. Not known
// before the values of symbols are: whether a view of symbolic size stays
// inside its base (see viewExtent).
//
// Errors are BadPlan and name the thing: "step 12 (matmul): input 0 is buffer
// 99, expected less than 40".
//
//===----------------------------------------------------------------------===//

#ifndef MOE_RUNTIME_PLAN_PLANVERIFY_H
#define MOE_RUNTIME_PLAN_PLANVERIFY_H

#include "runtime/support/Status.h"

#include <cstdint>
#include <optional>
#include <span>

namespace moe::plan {
struct ProgramT;
} // namespace moe::plan

namespace moe {

inline constexpr uint32_t kMaxRanks = 65536;
inline constexpr int32_t kMaxExperts = 65536;
inline constexpr uint32_t kMaxStreams = 2;
inline constexpr size_t kMaxConstantBytes = 1024;
/// Largest chunk of a weight block that has its own hash.
inline constexpr uint32_t kMaxChunkBytes = 4 << 20;

/// Verifies everything; `weightsSize` is the size of the weights section.
Status verifyProgram(const plan::ProgramT &program, uint64_t weightsSize);

/// Verifies files, constants and param_exprs alone: what ParamEvaluator needs.
Status verifyParamExprs(const plan::ProgramT &program);

/// The elements that a view spans in its base: 1 + its largest index, 0 if it
/// is empty. Nothing if a dimension or index is negative or overflows.
std::optional<uint64_t> viewExtent(int64_t offset,
                                   std::span<const int64_t> dims,
                                   std::span<const int64_t> strides);

} // namespace moe

#endif // MOE_RUNTIME_PLAN_PLANVERIFY_H
