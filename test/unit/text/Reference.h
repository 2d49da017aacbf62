//===- Reference.h - The tokenizer of the trained models --------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_TEST_UNIT_TEXT_REFERENCE_H
#define MOE_TEST_UNIT_TEXT_REFERENCE_H

#include "runtime/io/Json.h"
#include "runtime/support/File.h"
#include "runtime/text/Tokenizer.h"

#include <gtest/gtest.h>

namespace moe::test {

/// A JSON file below test/.
inline nlohmann::json readTestJson(const std::string &path) {
  StatusOr<std::string> text =
      readWholeFile(MOE_SOURCE_DIR "/test/" + path, 64 << 20);
  EXPECT_TRUE(text.isOk()) << text.status().message();
  return *parseJson(*text);
}

inline nlohmann::json referenceTokenizer() {
  return readTestJson("models/prmoe/tokenizer.json");
}

inline Tokenizer parseGood(const nlohmann::json &json) {
  StatusOr<Tokenizer> tokenizer = Tokenizer::parse(json.dump());
  EXPECT_TRUE(tokenizer.isOk()) << tokenizer.status().message();
  return *tokenizer;
}

} // namespace moe::test

#endif // MOE_TEST_UNIT_TEXT_REFERENCE_H
