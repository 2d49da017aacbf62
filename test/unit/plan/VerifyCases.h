//===- VerifyCases.h - Changes that a program must not have -----*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_TEST_UNIT_PLAN_VERIFYCASES_H
#define MOE_TEST_UNIT_PLAN_VERIFYCASES_H

#include "TestProgram.h"
#include "runtime/plan/PlanVerify.h"

#include <gtest/gtest.h>

#include <functional>

namespace moe::test {

/// A change to a program and the error it must cause.
struct VerifyCase {
  const char *message;
  std::function<void(plan::ProgramT &)> change;
};

/// `make` gives a program that passes.
inline void expectErrors(plan::ProgramT (*make)(),
                         const std::vector<VerifyCase> &cases) {
  for (const VerifyCase &item : cases) {
    plan::ProgramT program = make();
    item.change(program);
    Status status = verifyProgram(program, 0);
    EXPECT_EQ(status.code(), StatusCode::BadPlan) << item.message;
    EXPECT_EQ(status.message(), item.message);
  }
}

} // namespace moe::test

#endif // MOE_TEST_UNIT_PLAN_VERIFYCASES_H
