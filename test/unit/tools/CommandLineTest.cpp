//===- CommandLineTest.cpp - Options of the runtime's tools ---------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "tools/common/CommandLine.h"

#include "tools/common/Table.h"

#include <gtest/gtest.h>

using namespace moe;
using namespace moe::tools;

TEST(CommandLineTest, ClosestWord) {
  std::vector<std::string> words = {"--threads", "--temperature", "--top-k",
                                    "--top-p"};
  EXPECT_EQ(closestWord("--thread", words), "--threads");
  EXPECT_EQ(closestWord("--therads", words), "--threads");
  EXPECT_EQ(closestWord("--temp", words), "--temperature");
  EXPECT_EQ(closestWord("--topp", words), "--top-p");
  EXPECT_EQ(closestWord("--verbose", words), std::nullopt);
  EXPECT_EQ(closestWord("", words), std::nullopt);
  EXPECT_EQ(closestWord(std::string(100000, 'x'), words), std::nullopt);
}

TEST(CommandLineTest, NamedNumbers) {
  StatusOr<NamedNumbers> numbers =
      parseNamedNumbers("--max", "batch=8,seq=512");
  ASSERT_TRUE(numbers.isOk());
  EXPECT_EQ(*numbers, (NamedNumbers{{"batch", 8}, {"seq", 512}}));
}

TEST(CommandLineTest, Numbers) {
  EXPECT_EQ(*parseNumbers("--tokens", "1,20,-3", -3, 20),
            (std::vector<int64_t>{1, 20, -3}));
}

TEST(CommandLineTest, MalformedNumbers) {
  EXPECT_EQ(parseNumbers("--tokens", "1,,2", 1, 9).status().message(),
            "--tokens: item 2 of 3 is empty");
  EXPECT_EQ(parseNumbers("--tokens", "1,2,", 1, 9).status().message(),
            "--tokens: item 3 of 3 is empty");
  EXPECT_EQ(parseNumbers("--tokens", "", 1, 9).status().message(),
            "--tokens: the list is empty");
  EXPECT_EQ(parseNumbers("--tokens", "1,2x", 1, 9).status().message(),
            "--tokens: found '2x', expected a number from 1 to 9");
  for (const char *text : {"0", "10", ",", " 1", "1 2", "1.5", "+1"})
    EXPECT_EQ(parseNumbers("--tokens", text, 1, 9).status().code(),
              StatusCode::Usage)
        << text;
}

TEST(CommandLineTest, MalformedNamedNumbers) {
  for (const char *text :
       {"batch", "batch=", "=8", "batch=x", "batch=8x", "batch=-1", "batch= 8",
        "batch=9223372036854775808", "batch=1,,seq=2", "batch=1;seq=2",
        "batch=1,batch=2", ",", "", "batch=1,", ",batch=1", "batch=,seq=1"}) {
    Status status = parseNamedNumbers("--max", text).status();
    EXPECT_EQ(status.code(), StatusCode::Usage) << text;
    EXPECT_TRUE(status.message().starts_with("--max")) << text;
  }
}

TEST(TableTest, AlignsColumns) {
  Table table({"name", ">size"});
  table.addRow({"\xc3\xa9t\xc3\xa9", "5"});
  table.addRow({"x", "1000"});
  EXPECT_EQ(table.text(), "  name  size\n"
                          "  \xc3\xa9t\xc3\xa9      5\n"
                          "  x     1000\n");
}

TEST(TableTest, Texts) {
  EXPECT_EQ(bytesText(1023), "1023 B");
  EXPECT_EQ(bytesText(1536), "1.5 KiB");
  EXPECT_EQ(bytesText(uint64_t(3) << 30), "3.0 GiB");
  EXPECT_EQ(shortText("abcdef", 6), "abcdef");
  EXPECT_EQ(shortText("\xc3\xa9"
                      "bcdefg",
                      6),
            "\xc3\xa9"
            "bc...");
}
