//===- TextCommandsTest.cpp - generate and perplexity ---------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/io/Json.h"
#include "runtime/io/Npy.h"
#include "runtime/support/File.h"
#include "runtime/text/Tokenizer.h"
#include "test/unit/tools/BigramPlan.h"

#include <cmath>

using namespace moe;
using namespace moe::test;
using nlohmann::json;

namespace {

class TextCommandsTest : public BigramTest {
protected:
  Outcome generate(std::vector<std::string> args) {
    args.insert(args.begin(), {"generate", plan, "--tokenizer", tokenizer});
    return run(args);
  }
  /// What follows a prompt by the model's table.
  std::vector<int> chain(int token, int count) {
    std::vector<int> ids;
    for (int i = 0; i < count; ++i)
      ids.push_back(token = tokenBehind(token));
    return ids;
  }
  /// The text in which chain(token) stands.
  std::string textOf(const std::vector<int> &ids) {
    StatusOr<Tokenizer> loaded = Tokenizer::load(tokenizer);
    EXPECT_TRUE(loaded.isOk());
    return loaded->decode(ids);
  }
  Outcome score(const std::vector<int32_t> &ids,
                std::vector<std::string> args) {
    std::string header =
        npyHeader(DType::I32, std::vector<int64_t>{int64_t(ids.size())});
    header.append(reinterpret_cast<const char *>(ids.data()), 4 * ids.size());
    EXPECT_TRUE(
        writeWholeFile(file("ids.npy"), std::as_bytes(std::span(header)))
            .isOk());
    args.insert(args.begin(), {"perplexity", plan, "--ids", file("ids.npy")});
    return run(args);
  }
};

} // namespace

TEST_F(TextCommandsTest, GreedyFollowsTheTable) {
  // "%" is token 5.
  Outcome outcome =
      generate({"--prompt", "%", "--max-new-tokens", "8", "--json"});
  ASSERT_EQ(outcome.exitCode, 0) << outcome.errors;
  EXPECT_EQ(outcome.errors, "");
  json report = json::parse(outcome.output);
  EXPECT_EQ(report["prompt_ids"], (std::vector<int>{5}));
  EXPECT_EQ(report["ids"], chain(5, 8));
  EXPECT_EQ(report["text"], textOf(chain(5, 8)));
  EXPECT_GT(report["tokens_per_second"], 0);
  EXPECT_GT(report["first_token_ms"], 0);
  for (const char *key : {"p50", "p90", "p99"})
    EXPECT_GT(report["token_ms"][key], 0);
}

TEST_F(TextCommandsTest, StreamsTextAndEndsWithStatistics) {
  Outcome outcome = generate({"--prompt", "%", "--max-new-tokens", "8"});
  EXPECT_EQ(outcome.exitCode, 0);
  EXPECT_EQ(outcome.output, textOf(chain(5, 8)) + "\n");
  EXPECT_NE(outcome.errors.find("8 tokens, "), std::string::npos);
  EXPECT_NE(outcome.errors.find("tokens/s"), std::string::npos);
}

TEST_F(TextCommandsTest, SeveralPromptsGiveLists) {
  // Of different lengths: without a mask they cannot share a batch.
  Outcome outcome = generate(
      {"--prompt", "%", "--prompt", "$%", "--max-new-tokens", "4", "--json"});
  ASSERT_EQ(outcome.exitCode, 0) << outcome.errors;
  json report = json::parse(outcome.output);
  EXPECT_EQ(report["ids"], (json{chain(5, 4), chain(5, 4)}));
  EXPECT_EQ(report["prompt_ids"], (json{{5}, {4, 5}}));
}

TEST_F(TextCommandsTest, EndOfTextEndsUnlessIgnored) {
  // The token behind which the table puts <|endoftext|>, token 0.
  int before = 0;
  while (tokenBehind(before) != 0)
    ++before;
  std::string prompt = textOf({before});
  Outcome outcome =
      generate({"--prompt", prompt, "--max-new-tokens", "3", "--json"});
  ASSERT_EQ(outcome.exitCode, 0) << outcome.errors;
  json report = json::parse(outcome.output);
  ASSERT_EQ(report["prompt_ids"].back(), before);
  EXPECT_EQ(report["ids"], json::array());
  outcome = generate(
      {"--prompt", prompt, "--max-new-tokens", "3", "--json", "--ignore-eos"});
  EXPECT_EQ(json::parse(outcome.output)["ids"], chain(before, 3));
}

TEST_F(TextCommandsTest, StopTextIsNotPartOfTheText) {
  std::string text = textOf(chain(5, 8));
  std::string stop = text.substr(text.size() / 2, 1);
  Outcome outcome = generate(
      {"--prompt", "%", "--max-new-tokens", "8", "--stop", stop, "--json"});
  EXPECT_EQ(json::parse(outcome.output)["text"],
            text.substr(0, text.find(stop)));
}

TEST_F(TextCommandsTest, SeedDecidesWhatIsSampled) {
  auto sample = [&](const char *seed) {
    Outcome outcome =
        generate({"--prompt", "%", "--max-new-tokens", "16", "--temperature",
                  "2", "--seed", seed, "--json"});
    return json::parse(outcome.output)["ids"];
  };
  EXPECT_EQ(sample("1"), sample("1"));
  EXPECT_NE(sample("1"), sample("2"));
  EXPECT_NE(sample("1"), json(chain(5, 16)));
}

TEST_F(TextCommandsTest, PerplexityOfTheChainAndOfAnother) {
  // Two windows of 4: all targets have logit 5 of 1024, the rest 0.
  std::vector<int32_t> ids = {9};
  for (int id : chain(9, 8))
    ids.push_back(id);
  Outcome outcome = score(ids, {"--window", "4", "--json"});
  ASSERT_EQ(outcome.exitCode, 0) << outcome.errors;
  double normalizer = std::log(std::exp(5.0) + 1023);
  json report = json::parse(outcome.output);
  EXPECT_EQ(report["windows"], 2);
  EXPECT_EQ(report["targets"], 8);
  EXPECT_NEAR(report["nll"], normalizer - 5, 1e-9);
  EXPECT_NEAR(report["perplexity"], std::exp(normalizer - 5), 1e-6);
  // The second target of the first window differs, and so does what follows.
  ids[2] += 1;
  outcome = score(ids, {"--window", "4", "--windows", "1", "--json"});
  report = json::parse(outcome.output);
  EXPECT_EQ(report["targets"], 4);
  EXPECT_NEAR(report["nll"], normalizer - 5.0 * 2 / 4, 1e-9);
}

TEST_F(TextCommandsTest, PerplexityRefusesIdsThatDoNotFit) {
  Outcome outcome = score({1, 2, 1024, 3, 4}, {"--window", "4"});
  EXPECT_EQ(outcome.exitCode, 7);
  EXPECT_NE(outcome.errors.find("element 2 is 1024, expected a token of 0 to "
                                "1023"),
            std::string::npos)
      << outcome.errors;
  EXPECT_EQ(score({1, 2, 3, 4}, {"--window", "4"}).exitCode, 7);
  EXPECT_EQ(
      score({1, 2, 3, 4, 5}, {"--window", "4", "--windows", "2"}).exitCode, 2);
}
