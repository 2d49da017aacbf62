//===- OptionTableTest.cpp - Wrong use of the tools -----------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A table of command lines that must be refused, each with its exit code and
// words of its error. None of them needs a model: PLAN is a plan, NONE does not
// exist.
//
//===----------------------------------------------------------------------===//

#include "test/unit/tools/BigramPlan.h"

#include <ostream>

using namespace moe::test;

namespace {

struct WrongUse {
  const char *name;
  std::vector<std::string> args;
  int exitCode;
  const char *error;
};

void PrintTo(const WrongUse &test, std::ostream *out) { *out << test.name; }

std::vector<WrongUse> table() {
  std::vector<std::string> generate = {"generate",  "PLAN",     "--tokenizer",
                                       "TOKENIZER", "--prompt", "x"};
  auto with = [](std::vector<std::string> args, std::vector<std::string> more) {
    args.insert(args.end(), more.begin(), more.end());
    return args;
  };
  return {
      {"NoWords", {}, 2, "usage"},
      {"NoPlan", {"run"}, 2, "plan"},
      {"MisspelledCommand", {"generat", "PLAN"}, 2, "mean 'generate'"},
      {"MissingFile", {"NONE"}, 7, "NONE"},
      {"NotAPlan", {"TOKENIZER"}, 6, "tokenizer.json"},
      {"Folder", {"/tmp"}, 7, "/tmp"},
      {"TwoPlans", {"PLAN", "PLAN"}, 2, "unexpected argument"},
      {"UnknownOption", {"PLAN", "--thread", "2"}, 2, "mean '--threads'"},
      {"UnknownOptionWithValue", {"PLAN", "--input=x"}, 2, "mean '--inputs'"},
      {"FarFromAnyOption", {"PLAN", "--zzzzzzzz"}, 2, "'--zzzzzzzz'"},
      {"ShortOption", {"PLAN", "-q"}, 2, "'-q'"},
      {"NoValue", {"PLAN", "--inputs"}, 2, "--inputs"},
      {"ThreadsZero", {"PLAN", "--threads", "0"}, 2, "--threads"},
      {"ThreadsNegative", {"PLAN", "--threads", "-1"}, 2, "--threads"},
      {"ThreadsHuge", {"PLAN", "--threads", "4294967297"}, 2, "--threads"},
      {"ThreadsText", {"PLAN", "--threads", "two"}, 2, "--threads"},
      {"Device", {"PLAN", "--device", "tpu"}, 2, "--device"},
      {"Verify", {"PLAN", "--verify", "maybe"}, 2, "--verify"},
      {"WeightsFolder",
       {"PLAN", "--weights-folder", "/no/such/folder"},
       2,
       "--weights-folder"},
      {"TimeoutNaN", {"PLAN", "--timeout", "nan"}, 2, "--timeout"},
      {"TimeoutNegative", {"PLAN", "--timeout", "-5"}, 2, "--timeout"},
      {"MemoryText", {"PLAN", "--memory", "lots"}, 2, "--memory"},
      {"MemoryNegative", {"PLAN", "--memory", "-1"}, 2, "--memory"},
      {"MemoryTooSmall", {"PLAN", "--memory", "1"}, 10, ""},
      {"MaxSyntax", {"PLAN", "--max", "batch"}, 2, "--max"},
      {"MaxEmpty", {"PLAN", "--max", ""}, 2, "--max: the list is empty"},
      {"MaxEmptyItem", {"PLAN", "--max", "a=1,"}, 2, "--max: item 2 of 2"},
      {"MaxNoValue", {"--max=", "PLAN"}, 2, "--max: its value is empty"},
      {"ShapeEmptyItem",
       {"bench", "PLAN", "--shape", ",seq=1"},
       2,
       "--shape: item 1 of 2 is empty"},
      {"MaxNegative", {"PLAN", "--max", "batch=-1"}, 2, "--max"},
      {"MaxUnknown", {"PLAN", "--max", "sequence=4"}, 2, "'sequence'"},
      {"MaxOverflow",
       {"PLAN", "--max", "seq=99999999999999999999"},
       2,
       "--max"},
      {"MaxBeyondMemory", {"PLAN", "--max", "seq=9223372036854775807"}, 10, ""},
      {"AtolNegative", {"PLAN", "--atol", "-1"}, 2, "--atol"},
      {"AtolNaN", {"PLAN", "--atol", "nan"}, 2, "--atol"},
      {"RtolInfinite", {"PLAN", "--rtol", "inf"}, 2, "--rtol"},
      {"SeedNegative", {"PLAN", "--seed", "-1"}, 2, "--seed"},
      {"ShapeWithInputs",
       {"PLAN", "--inputs", "NONE", "--shape", "batch=1"},
       2,
       "--shape"},
      {"ShapeUnknown", {"PLAN", "--shape", "bach=1"}, 2, "mean 'batch'"},
      {"InputsMissing", {"PLAN", "--inputs", "NONE"}, 7, "NONE"},
      {"InputsNotNpz", {"PLAN", "--inputs", "TOKENIZER"}, 7, "npz"},
      {"ExpectMissing", {"PLAN", "--expect", "NONE"}, 7, "NONE"},
      {"GenerateNoTokenizer",
       {"generate", "PLAN", "--prompt", "x"},
       2,
       "--tokenizer"},
      {"GenerateNoPrompt",
       {"generate", "PLAN", "--tokenizer", "TOKENIZER"},
       2,
       "--prompt"},
      {"GenerateEmptyPrompt",
       {"generate", "PLAN", "--tokenizer", "TOKENIZER", "--prompt", ""},
       2,
       "--prompt"},
      {"GeneratePromptNotUtf8",
       {"generate", "PLAN", "--tokenizer", "TOKENIZER", "--prompt", "\xff"},
       2,
       "UTF-8"},
      {"GenerateTokenizerIsPlan",
       {"generate", "PLAN", "--tokenizer", "PLAN", "--prompt", "x"},
       3,
       "not JSON"},
      {"GenerateNoTokens", with(generate, {"--max-new-tokens", "0"}), 2,
       "--max-new-tokens"},
      {"TemperatureNegative", with(generate, {"--temperature", "-0.5"}), 2,
       "--temperature"},
      {"TemperatureNaN", with(generate, {"--temperature", "nan"}), 2,
       "--temperature"},
      {"TemperatureInfinite", with(generate, {"--temperature", "inf"}), 2,
       "--temperature"},
      {"TopKNegative", with(generate, {"--top-k", "-1"}), 2, "--top-k"},
      {"TopPZero", with(generate, {"--top-p", "0"}), 2, "--top-p"},
      {"TopPTwo", with(generate, {"--top-p", "2"}), 2, "--top-p"},
      {"StopEmpty", with(generate, {"--stop", ""}), 2, "--stop"},
      {"PerplexityNoIds", {"perplexity", "PLAN"}, 2, "--ids"},
      {"PerplexityWindowZero",
       {"perplexity", "PLAN", "--ids", "NONE", "--window", "0"},
       2,
       "--window"},
      {"PerplexityIdsMissing",
       {"perplexity", "PLAN", "--ids", "NONE"},
       7,
       "NONE"},
      {"PerplexityIdsNotNpy",
       {"perplexity", "PLAN", "--ids", "TOKENIZER"},
       7,
       "npy"},
      {"BenchShape", {"bench", "PLAN", "--shape", "batch:1"}, 2, "--shape"},
      {"BenchSeconds", {"bench", "PLAN", "--seconds", "-1"}, 2, "--seconds"},
  };
}

using HelpTest = BigramTest;

class WrongUseTest : public BigramTest,
                     public testing::WithParamInterface<WrongUse> {};

} // namespace

TEST_P(WrongUseTest, IsRefused) {
  std::vector<std::string> args = GetParam().args;
  for (std::string &arg : args)
    arg = arg == "PLAN"        ? plan
          : arg == "TOKENIZER" ? tokenizer
          : arg == "NONE"      ? file("NONE")
                               : arg;
  Outcome outcome = run(args);
  EXPECT_EQ(outcome.exitCode, GetParam().exitCode) << outcome.errors;
  EXPECT_NE(outcome.errors.find(GetParam().error), std::string::npos)
      << outcome.errors;
  EXPECT_EQ(outcome.output, "");
}

INSTANTIATE_TEST_SUITE_P(Table, WrongUseTest, testing::ValuesIn(table()),
                         [](const auto &info) {
                           return std::string(info.param.name);
                         });

TEST_F(HelpTest, HelpOfEveryCommandHasExamples) {
  for (const char *command : {"run", "generate", "perplexity", "bench"}) {
    Outcome outcome = run({command, "--help"});
    EXPECT_EQ(outcome.exitCode, 0);
    EXPECT_NE(outcome.output.find("example"), std::string::npos);
    EXPECT_NE(outcome.output.find("--threads"), std::string::npos);
  }
  Outcome outcome = run({"--help"});
  EXPECT_EQ(outcome.exitCode, 0);
  EXPECT_NE(outcome.output.find("moe-run generate"), std::string::npos);
}
