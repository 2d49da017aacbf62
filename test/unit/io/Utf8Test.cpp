//===- Utf8Test.cpp - Text in UTF-8 ---------------------------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/io/Utf8.h"

#include <gtest/gtest.h>

using namespace moe;

TEST(Utf8Test, EveryCodePointComesBack) {
  for (uint32_t c = 0; c <= 0x10ffff; ++c) {
    if (c == 0xd800)
      c = 0xe000;
    std::string text;
    appendUtf8(text, c);
    Utf8Step step = decodeUtf8(text);
    ASSERT_EQ(step.kind, Utf8Step::Character) << c;
    ASSERT_EQ(step.codePoint, c);
    ASSERT_EQ(step.bytes, text.size());
  }
}

TEST(Utf8Test, InvalidBytes) {
  // A lone tail, overlong forms, a surrogate, beyond U+10FFFF, a cut in the
  // middle.
  for (const char *text :
       {"\x80", "\xc0\x80", "\xc1\xbf", "\xe0\x80\x80", "\xf0\x80\x80\x80",
        "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xf5\x80", "\xff", "\xe2\x82z"}) {
    EXPECT_EQ(decodeUtf8(text).kind, Utf8Step::Invalid);
    EXPECT_FALSE(isValidUtf8(text));
  }
  EXPECT_EQ(decodeUtf8("\xe2\x82z").bytes, 2u);
  EXPECT_EQ(decodeUtf8("\xe2\x28z").bytes, 1u);
}

TEST(Utf8Test, IncompleteAtTheEnd) {
  for (const char *text : {"\xc3", "\xe2\x82", "\xf0\x9f\x98"})
    EXPECT_EQ(decodeUtf8(text).kind, Utf8Step::Incomplete);
  EXPECT_FALSE(isValidUtf8("a\xc3"));
}

TEST(Utf8Test, PrintableShowsNoControls) {
  EXPECT_EQ(printableUtf8("a\nb\x1b[2J\xff\xc2\x9b\xc3\xa9"),
            "a?b?[2J\xef\xbf\xbd?\xc3\xa9");
}
