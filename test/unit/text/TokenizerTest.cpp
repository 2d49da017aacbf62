//===- TokenizerTest.cpp - Text to tokens and back ------------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Reference.h"

using namespace moe;
using namespace moe::test;
using nlohmann::json;
using Ids = std::vector<TokenId>;

static Ids encode(const Tokenizer &tokenizer, const std::string &text) {
  StatusOr<Ids> ids = tokenizer.encode(text);
  EXPECT_TRUE(ids.isOk()) << ids.status().message();
  return ids.isOk() ? *ids : Ids();
}

// test/golden/make_tokenizer_encodings.py tells where these come from.
TEST(TokenizerTest, GivesWhatTheTokenizersLibraryGives) {
  json base = referenceTokenizer();
  for (const json &entry : readTestJson("golden/tokenizer-encodings.json")) {
    SCOPED_TRACE(entry["name"].get<std::string>());
    json changed = base;
    changed.merge_patch(entry["patch"]);
    Tokenizer tokenizer = parseGood(changed);
    for (const json &test : entry["cases"]) {
      std::string text = test["text"];
      Ids ids = encode(tokenizer, text);
      EXPECT_EQ(ids, test["ids"].get<Ids>()) << text;
      EXPECT_EQ(tokenizer.decode(ids), test["decoded"]) << text;
    }
  }
}

TEST(TokenizerTest, GreedyReferencesOfTheTrainedModels) {
  Tokenizer tokenizer = parseGood(referenceTokenizer());
  for (const char *model : {"prmoe-lm", "moe-top2-lm"})
    for (const json &test :
         readTestJson(std::string("models/prmoe/") + model + "/greedy.json")) {
      EXPECT_EQ(encode(tokenizer, test["prompt"]),
                test["prompt_ids"].get<Ids>());
      EXPECT_EQ(tokenizer.decode(test["generated_ids"].get<Ids>()),
                test["generated_text"]);
    }
}

TEST(TokenizerTest, KnowsItsVocabulary) {
  Tokenizer tokenizer = parseGood(referenceTokenizer());
  EXPECT_EQ(tokenizer.vocabularySize(), 1024);
  EXPECT_EQ(tokenizer.find("<|endoftext|>"), 0);
  EXPECT_EQ(tokenizer.find("no such token"), std::nullopt);
  EXPECT_EQ(tokenizer.endTokens(), Ids({0}));
  EXPECT_EQ(tokenizer.bytesOf(0), "");
  EXPECT_EQ(tokenizer.bytesOf(-1), "");
  EXPECT_EQ(tokenizer.bytesOf(1 << 30), "");
}

TEST(TokenizerTest, RefusesTextThatIsNotUtf8) {
  Tokenizer tokenizer = parseGood(referenceTokenizer());
  EXPECT_EQ(tokenizer.encode("a\xff").status().code(), StatusCode::Usage);
}

TEST(TokenizerTest, NfcIsForTextThatStaysAsItIs) {
  json changed = referenceTokenizer();
  Ids plain = encode(parseGood(changed), "na\u00efve \u4f60\u597d");
  changed["normalizer"] = {{"type", "NFC"}};
  Tokenizer tokenizer = parseGood(changed);
  EXPECT_EQ(encode(tokenizer, "na\u00efve \u4f60\u597d"), plain);
  // i and a combining diaeresis.
  Status status = tokenizer.encode("nai\u0308ve").status();
  EXPECT_EQ(status.code(), StatusCode::Usage);
  EXPECT_NE(status.message().find("U+0308"), std::string::npos);
}

TEST(TokenizerTest, LoadNamesTheFile) {
  std::string path = MOE_SOURCE_DIR "/test/models/prmoe/tokenizer.json";
  EXPECT_TRUE(Tokenizer::load(path).isOk());
  Status missing = Tokenizer::load(path + ".no").status();
  EXPECT_EQ(missing.code(), StatusCode::IoError);
  Status wrong = Tokenizer::load(__FILE__).status();
  EXPECT_EQ(wrong.code(), StatusCode::BadModel);
  EXPECT_TRUE(wrong.message().starts_with(__FILE__)) << wrong.message();
}
