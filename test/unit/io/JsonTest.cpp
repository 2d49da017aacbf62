//===- JsonTest.cpp - JSON from files that nobody vouches for -------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/io/Json.h"

#include <gtest/gtest.h>

using namespace moe;

TEST(JsonTest, ParsesAndPrints) {
  StatusOr<nlohmann::json> value = parseJson(R"({"b": [1, "x"], "a": null})");
  ASSERT_TRUE(value.isOk());
  EXPECT_EQ((*value)["b"][1], "x");
  nlohmann::ordered_json out;
  out["b"] = 1;
  out["a"] = "\xff";
  EXPECT_EQ(jsonText(out), "{\"b\":1,\"a\":\"\xef\xbf\xbd\"}");
}

TEST(JsonTest, ErrorsNameThePlace) {
  Status status = parseJson("{\n \"a\": }").status();
  EXPECT_EQ(status.code(), StatusCode::IoError);
  EXPECT_NE(status.message().find("line 2, column"), std::string::npos)
      << status.message();
  for (const char *text : {"", "{", "nul", "\"\xff\"", "[1,]", "1 2", "\x01"})
    EXPECT_FALSE(parseJson(text).isOk()) << text;
}

TEST(JsonTest, DepthIsLimited) {
  std::string brackets(64, '[');
  EXPECT_TRUE(parseJson(brackets + std::string(64, ']')).isOk());
  EXPECT_EQ(parseJson("[" + brackets).status().message(),
            "JSON is nested deeper than 64");
  EXPECT_FALSE(parseJson(std::string(10'000'000, '[')).isOk());
  // Brackets in strings do not count.
  EXPECT_TRUE(parseJson("\"\\\"" + std::string(100, '{') + "\"").isOk());
}
