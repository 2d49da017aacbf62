//===- LayerProgram.h - A plan of one MoE layer for tests -------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// x [batch, 8] -> all_to_all -> experts (4 of [8] -> [32] -> [8], k = 1)
//              -> all_to_all_back -> y, where each rank sends all its rows.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_TEST_UNIT_COST_LAYERPROGRAM_H
#define MOE_TEST_UNIT_COST_LAYERPROGRAM_H

#include "runtime/plan/Plan_generated.h"

namespace moe::test {

inline constexpr int kExchange = 0, kExperts = 1, kBack = 2;

/// For 1, 2 or 4 ranks, experts in blocks.
plan::ProgramT layerProgram(int numRanks);
/// Adds a string attribute to a step.
void setText(plan::StepT &step, const char *name, const char *value);
/// Adds an integer attribute to a step.
void setNumber(plan::StepT &step, const char *name, int64_t value);

} // namespace moe::test

#endif // MOE_TEST_UNIT_COST_LAYERPROGRAM_H
