//===- BigramPlan.h - A language model that is one table --------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// logits [batch, seq, 1024] of input_ids [batch, seq] are rows of a table:
// behind token t, token (7 t + 3) mod 1024 has logit 5, all others 0. So what
// the tools must print about it can be computed by hand.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_TEST_UNIT_TOOLS_BIGRAMPLAN_H
#define MOE_TEST_UNIT_TOOLS_BIGRAMPLAN_H

#include "runtime/support/Status.h"
#include "test/e2e/Tools.h"

#include <gtest/gtest.h>

namespace moe::test {

inline constexpr int kBigramTokens = 1024;
inline int tokenBehind(int token) { return (7 * token + 3) % kBigramTokens; }

Status writeBigramPlan(const std::string &path);

/// A folder with the plan "bigram.moeplan".
class BigramTest : public testing::Test {
protected:
  void SetUp() override;
  Outcome run(std::vector<std::string> args) {
    return runTool("moe-run", args, scratch.path);
  }
  std::string file(const std::string &name) const {
    return scratch.path / name;
  }

  ScratchFolder scratch;
  std::string plan;
  std::string tokenizer = MOE_SOURCE_DIR "/test/models/prmoe/tokenizer.json";
};

} // namespace moe::test

#endif // MOE_TEST_UNIT_TOOLS_BIGRAMPLAN_H
