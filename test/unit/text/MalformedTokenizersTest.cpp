//===- MalformedTokenizersTest.cpp - Tokenizers that must be refused ------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A table of changes (JSON merge patches) of a good tokenizer.json, each with
// the exit code and the words of its error.
//
//===----------------------------------------------------------------------===//

#include "Reference.h"

#include <ostream>

using namespace moe;
using namespace moe::test;
using nlohmann::json;

namespace {

constexpr StatusCode kBad = StatusCode::BadModel;
constexpr StatusCode kUnsupported = StatusCode::Unsupported;

struct Malformed {
  const char *name;
  const char *patch;
  StatusCode code;
  const char *error;
};

void PrintTo(const Malformed &test, std::ostream *out) { *out << test.name; }

constexpr Malformed kTable[] = {
    {"NotAnObject", "[]", kBad, "is not a JSON object"},
    {"NoModel", R"({"model": null})", kBad, "model is missing"},
    {"WordPiece", R"({"model": {"type": "WordPiece"}})", kUnsupported,
     "model.type is \"WordPiece\""},
    {"TypeIsNumber", R"({"model": {"type": 3}})", kUnsupported, "model.type"},
    {"Dropout", R"({"model": {"dropout": 0.1}})", kUnsupported,
     "model.dropout is 0.1"},
    {"Prefix", R"({"model": {"continuing_subword_prefix": "##"}})",
     kUnsupported, "model.continuing_subword_prefix"},
    {"ByteFallback", R"({"model": {"byte_fallback": true}})", kUnsupported,
     "model.byte_fallback"},
    {"IgnoreMergesIsText", R"({"model": {"ignore_merges": "yes"}})", kBad,
     "model.ignore_merges is neither true nor false"},
    {"VocabIsList", R"({"model": {"vocab": []}})", kBad, "model.vocab"},
    {"IdIsText", R"({"model": {"vocab": {"x": "1"}}})", kBad,
     "model.vocab['x'] is not a token id"},
    {"IdIsNegative", R"({"model": {"vocab": {"x": -1}}})", kBad,
     "model.vocab['x'] is not a token id"},
    {"IdIsHuge", R"({"model": {"vocab": {"x": 9223372036854775807}}})", kBad,
     "model.vocab['x'] is not a token id"},
    {"IdIsBeyond64Bits", R"({"model": {"vocab": {"x": 18446744073709551615}}})",
     kBad, "model.vocab['x'] is not a token id"},
    {"IdIsFraction", R"({"model": {"vocab": {"x": 1.5}}})", kBad,
     "model.vocab['x'] is not a token id"},
    {"IdTwice", R"({"model": {"vocab": {"zzzz": 3}}})", kBad,
     "two tokens with id 3"},
    {"MergesIsText", R"({"model": {"merges": "a b"}})", kBad,
     "model.merges is not a list"},
    {"MergeOfOne", R"({"model": {"merges": ["ab"]}})", kBad,
     "model.merges[0] is not two tokens"},
    {"MergeOfThree", R"({"model": {"merges": [["a", "b", "c"]]}})", kBad,
     "model.merges[0] is not a pair"},
    {"MergeOfNumbers", R"({"model": {"merges": [[1, 2]]}})", kBad,
     "model.merges[0][0] is not a string"},
    {"MergeUnknownToken", R"({"model": {"merges": ["a qqqq"]}})", kBad,
     "model.merges[0] uses 'qqqq'"},
    {"MergeWithoutResult", R"({"model": {"merges": ["q z"]}})", kBad,
     "model.merges[0] uses 'qz'"},
    {"UnknownTokenMissing", R"({"model": {"unk_token": "<unk>"}})", kBad,
     "model.unk_token is not in model.vocab"},
    {"AddedTokensIsText", R"({"added_tokens": "x"})", kBad,
     "added_tokens is not a list"},
    {"AddedTokenEmpty", R"({"added_tokens": [{"id": 1, "content": ""}]})", kBad,
     "added_tokens[0].content is empty"},
    {"AddedTokenWithoutId", R"({"added_tokens": [{"content": "x"}]})", kBad,
     "added_tokens[0].id"},
    {"Lowercase", R"({"normalizer": {"type": "Lowercase"}})", kUnsupported,
     "normalizer is {\"type\":\"Lowercase\"}"},
    {"NormalizerInSequence",
     R"({"normalizer": {"type": "Sequence", "normalizers":
         [{"type": "NFC"}, {"type": "Precompiled"}]}})",
     kUnsupported, "normalizer.normalizers[1]"},
    {"Metaspace", R"({"pre_tokenizer": {"type": "Metaspace"}})", kUnsupported,
     "pre_tokenizer is {"},
    {"NoPreTokenizer", R"({"pre_tokenizer": null})", kUnsupported,
     "one with ByteLevel"},
    {"PreTokenizerWithoutType", R"({"pre_tokenizer": {"type": null}})", kBad,
     "pre_tokenizer.type is not a string"},
    {"BadPattern",
     R"({"pre_tokenizer": {"type": "Split", "pattern": {"Regex": "a(b"},
         "behavior": "Isolated"}})",
     kBad, "pre_tokenizer has a bad pattern at byte 3"},
    {"NoPattern",
     R"({"pre_tokenizer": {"type": "Split", "behavior": "Isolated"}})", kBad,
     "pre_tokenizer.pattern has neither"},
    {"EmptyPattern",
     R"({"pre_tokenizer": {"type": "Split", "pattern": {"String": ""},
         "behavior": "Isolated"}})",
     kBad, "pre_tokenizer.pattern is empty"},
    {"UnknownBehavior",
     R"({"pre_tokenizer": {"type": "Split", "pattern": {"String": "a"},
         "behavior": "Dropped"}})",
     kUnsupported, "pre_tokenizer.behavior is \"Dropped\""},
    {"SplitBehindByteLevel",
     R"({"pre_tokenizer": {"type": "Sequence", "pretokenizers":
         [{"type": "ByteLevel"}, {"type": "Digits"}]}})",
     kUnsupported, "nothing behind ByteLevel"},
    {"Roberta", R"({"post_processor": {"type": "RobertaProcessing"}})",
     kUnsupported, "post_processor.type is \"RobertaProcessing\""},
    {"TemplateWithoutText",
     R"({"post_processor": {"type": "TemplateProcessing", "single": []}})",
     kBad, "post_processor.single has no Sequence"},
    {"TemplateTokenMissing",
     R"({"post_processor": {"type": "TemplateProcessing", "single":
         [{"SpecialToken": {"id": "<s>"}}], "special_tokens": {}}})",
     kBad, "post_processor.special_tokens.<s> has no ids"},
    {"WordPieceDecoder", R"({"decoder": {"type": "WordPiece"}})", kUnsupported,
     "decoder is"},
    {"NoDecoder", R"({"decoder": null})", kUnsupported, "decoder is null"},
};

class MalformedTokenizerTest : public testing::TestWithParam<Malformed> {};

} // namespace

TEST_P(MalformedTokenizerTest, IsRefused) {
  json changed = referenceTokenizer();
  changed.merge_patch(json::parse(GetParam().patch));
  Status status = Tokenizer::parse(changed.dump()).status();
  EXPECT_EQ(status.code(), GetParam().code) << status.message();
  EXPECT_NE(status.message().find(GetParam().error), std::string::npos)
      << status.message();
  EXPECT_LT(status.message().size(), 300u);
}

INSTANTIATE_TEST_SUITE_P(Table, MalformedTokenizerTest,
                         testing::ValuesIn(kTable), [](const auto &info) {
                           return std::string(info.param.name);
                         });

TEST(HostileTokenizerTest, DeepJsonIsRefused) {
  Status status = Tokenizer::parse(std::string(1'000'000, '[')).status();
  EXPECT_EQ(status.code(), kBad);
}

TEST(HostileTokenizerTest, EveryTruncationIsRefused) {
  std::string text = referenceTokenizer().dump();
  for (size_t size = 0; size < text.size(); size += 97)
    EXPECT_FALSE(Tokenizer::parse(text.substr(0, size)).isOk()) << size;
}

TEST(HostileTokenizerTest, PatternsThatTakeForeverEnd) {
  json changed = referenceTokenizer();
  changed["pre_tokenizer"] = {{"type", "Sequence"},
                              {"pretokenizers",
                               {{{"type", "Split"},
                                 {"pattern", {{"Regex", "(a+)+[0-9]"}}},
                                 {"behavior", "Isolated"},
                                 {"invert", false}},
                                {{"type", "ByteLevel"}}}}};
  StatusOr<std::vector<TokenId>> ids =
      parseGood(changed).encode(std::string(5000, 'a'));
  ASSERT_FALSE(ids.isOk());
  EXPECT_EQ(ids.status().code(), kBad);
  EXPECT_NE(ids.status().message().find("match limit"), std::string::npos)
      << ids.status().message();
}
