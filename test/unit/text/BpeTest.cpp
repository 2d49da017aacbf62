//===- BpeTest.cpp - Byte pair encoding -----------------------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/text/Bpe.h"

#include "runtime/text/ByteAlphabet.h"

#include <gtest/gtest.h>

using namespace moe;
using Ids = std::vector<TokenId>;

static Ids encode(const Bpe &bpe, std::string_view word) {
  Ids ids;
  bpe.encode(word, ids);
  return ids;
}

/// a = 0, b = 1, aa = 2, aab = 3, ab = 4; merges "a a", "aa b", "a b".
static Bpe makeBpe() {
  Bpe bpe;
  const char *tokens[] = {"a", "b", "aa", "aab", "ab"};
  for (TokenId id = 0; id < 5; ++id)
    bpe.addToken(tokens[id], id);
  bpe.addMerge(0, 0, 2, 0);
  bpe.addMerge(2, 1, 3, 1);
  bpe.addMerge(0, 1, 4, 2);
  return bpe;
}

TEST(BpeTest, MergesByRankThenFromTheLeft) {
  Bpe bpe = makeBpe();
  EXPECT_EQ(encode(bpe, ""), Ids());
  EXPECT_EQ(encode(bpe, "ab"), Ids({4}));
  // "a a" goes first though "a b" is there, and its leftmost place.
  EXPECT_EQ(encode(bpe, "aab"), Ids({3}));
  EXPECT_EQ(encode(bpe, "aaab"), Ids({2, 4}));
}

TEST(BpeTest, UnknownBytesVanishOrBecomeTheUnknownToken) {
  Bpe bpe = makeBpe();
  EXPECT_EQ(encode(bpe, "a!?b"), Ids({4}));
  bpe.addToken("<unk>", 9);
  bpe.setUnknown(9, /*fuse=*/false);
  EXPECT_EQ(encode(bpe, "a!?b"), Ids({0, 9, 9, 1}));
  bpe.setUnknown(9, /*fuse=*/true);
  EXPECT_EQ(encode(bpe, "a!?b!"), Ids({0, 9, 1, 9}));
}

TEST(BpeTest, IgnoreMergesTakesAWholeWord) {
  Bpe bpe = makeBpe();
  bpe.addToken("ba", 7);
  EXPECT_EQ(encode(bpe, "ba"), Ids({1, 0}));
  bpe.setIgnoreMerges(true);
  EXPECT_EQ(encode(bpe, "ba"), Ids({7}));
}

TEST(BpeTest, LongWordsTakeNoSquareTime) {
  // A square number of steps would take minutes.
  std::string word(1 << 20, 'a');
  EXPECT_EQ(encode(makeBpe(), word).size(), word.size() / 2);
}

TEST(ByteAlphabetTest, EveryByteHasACharacterOfItsOwn) {
  std::string all, bytes;
  for (int byte = 0; byte < 256; ++byte) {
    all += characterOfByte(static_cast<unsigned char>(byte));
    bytes += static_cast<char>(byte);
  }
  EXPECT_EQ(bytesOfCharacters(all), bytes);
  EXPECT_EQ(characterOfByte(' '), "\xc4\xa0");
  EXPECT_EQ(characterOfByte('A'), "A");
  EXPECT_EQ(bytesOfCharacters("a b"), std::nullopt);
  EXPECT_EQ(bytesOfCharacters("\xe2\x82\xac"), std::nullopt);
}
