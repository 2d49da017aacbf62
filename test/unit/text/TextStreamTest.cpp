//===- TextStreamTest.cpp - Text of tokens that come one by one -----------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/text/TextStream.h"

#include "Reference.h"

using namespace moe;
using namespace moe::test;

namespace {

class TextStreamTest : public testing::Test {
protected:
  /// The tokens of single bytes.
  std::vector<TokenId> bytes(std::string_view text) {
    std::vector<TokenId> ids;
    for (char c : text)
      for (TokenId id = 0; id < tokenizer.vocabularySize(); ++id)
        if (tokenizer.bytesOf(id) == std::string_view(&c, 1))
          ids.push_back(id);
    EXPECT_EQ(ids.size(), text.size());
    return ids;
  }
  /// What each byte makes the stream give, joined by '|'.
  std::string given(TextStream &stream, std::string_view text) {
    std::string result;
    for (TokenId id : bytes(text))
      result += stream.push(id) + "|";
    return result;
  }

  Tokenizer tokenizer = parseGood(referenceTokenizer());
};

} // namespace

TEST_F(TextStreamTest, HoldsBackIncompleteCharacters) {
  TextStream stream(tokenizer);
  EXPECT_EQ(given(stream, "a\xc3\xa9\xe2\x82\xac"
                          "b"),
            "a||\xc3\xa9|||\xe2\x82\xac|b|");
  EXPECT_EQ(stream.finish(), "");
}

TEST_F(TextStreamTest, InvalidBytesBecomeReplacementCharacters) {
  TextStream stream(tokenizer);
  EXPECT_EQ(given(stream, "\xff\xe2\x82x"), "\xef\xbf\xbd|||\xef\xbf\xbdx|");
  EXPECT_EQ(given(stream, "\xe2"), "|");
  EXPECT_EQ(stream.finish(), "\xef\xbf\xbd");
}

TEST_F(TextStreamTest, StopsBeforeAStopString) {
  TextStream stream(tokenizer, {"STOP", "END"});
  EXPECT_EQ(given(stream, "aS"), "a||");
  EXPECT_EQ(given(stream, "TSTO"), "|ST|||");
  EXPECT_FALSE(stream.isStopped());
  EXPECT_EQ(given(stream, "Pxyz"), "||||");
  EXPECT_TRUE(stream.isStopped());
  EXPECT_EQ(stream.finish(), "");
}

TEST_F(TextStreamTest, GivesWhatWasHeldAtTheEnd) {
  TextStream stream(tokenizer, {"END"});
  EXPECT_EQ(given(stream, "EN"), "||");
  EXPECT_EQ(stream.finish(), "EN");
  EXPECT_FALSE(stream.isStopped());
}

TEST_F(TextStreamTest, TakesTheFirstOfSeveralStopStrings) {
  // One token that holds both.
  TextStream stream(tokenizer, {"e", "th"});
  std::optional<TokenId> the = tokenizer.find("\xc4\xa0the");
  ASSERT_TRUE(the);
  EXPECT_EQ(stream.push(*the), " ");
  EXPECT_TRUE(stream.isStopped());
}
