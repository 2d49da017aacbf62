//===- GenerateCommand.cpp - moe-run generate: continues texts ------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/io/Json.h"
#include "runtime/text/Sampler.h"
#include "runtime/text/TextStream.h"
#include "tools/common/Progress.h"
#include "tools/common/Signals.h"
#include "tools/moe-run/Commands.h"
#include "tools/moe-run/LanguageModel.h"
#include "tools/moe-run/Processes.h"
#include "tools/moe-run/SessionFlags.h"
#include "tools/moe-run/Statistics.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <optional>

using namespace moe;
using namespace moe::tools;
using nlohmann::ordered_json;

namespace {

constexpr char kExamples[] = R"(
examples:
  moe-run generate model.moeplan --tokenizer tokenizer.json --prompt "ROMEO:"
  moe-run generate model.moeplan --tokenizer tokenizer.json --prompt "A" \
    --prompt "B" --max-new-tokens 64 --temperature 0.8 --top-p 0.95 --seed 7)";

struct GenerateFlags {
  SessionFlags session;
  std::string tokenizer;
  std::vector<std::string> prompts, stops;
  int64_t maxNewTokens = 128;
  SamplingOptions sampling;
  bool ignoreEos = false;
  bool json = false;

  void addTo(CLI::App &app) {
    session.addTo(app);
    app.add_option("--tokenizer", tokenizer, "The model's tokenizer.json")
        ->required();
    app.add_option("--prompt", prompts,
                   "Text to continue; several make a batch")
        ->required()
        ->take_all()
        ->allow_extra_args(false);
    app.add_option("--max-new-tokens", maxNewTokens,
                   "Most tokens to generate for each prompt")
        ->check(CLI::Range(int64_t(1), int64_t(1) << 24));
    app.add_option("--temperature", sampling.temperature,
                   "0: the most likely token; larger: more variety");
    app.add_option("--top-k", sampling.topK,
                   "Choose among the K most likely tokens (0: all)");
    app.add_option("--top-p", sampling.topP,
                   "Choose among the likeliest tokens that have probability P "
                   "together");
    app.add_option("--seed", sampling.seed, "Seed of the choices")
        ->check(CLI::NonNegativeNumber);
    app.add_option("--stop", stops, "End before this text; may be repeated")
        ->take_all()
        ->allow_extra_args(false);
    app.add_flag("--ignore-eos", ignoreEos,
                 "Go on after a token that ends the text");
    app.add_flag("--json", json, "Print one JSON object");
    app.footer(kExamples);
  }
  Status check() const {
    MOE_RETURN_IF_ERROR(sampling.check());
    if (std::count(stops.begin(), stops.end(), "") > 0)
      return Status(StatusCode::Usage, "--stop must not be empty");
    return Status::ok();
  }
};

/// One prompt and what follows it.
struct Sequence {
  std::vector<TokenId> promptIds, ids;
  std::string text;
  TextStream stream;
  Sampler sampler;
  bool isDone = false;
};

struct Timing {
  double firstTokenMs = 0;
  double totalMs = 0;
  std::vector<double> tokenMs; ///< of each later token
};

class Generator {
public:
  Generator(const GenerateFlags &flags, Session session, Tokenizer tokenizer,
            LanguageModel model)
      : flags(flags), session(std::move(session)),
        tokenizer(std::move(tokenizer)), model(std::move(model)) {}

  Status encodePrompts();
  /// Generates; what was done before an error stays in the sequences.
  Status generate();
  void report() const;

private:
  Status generateBatch(std::span<Sequence> batch);
  Status chooseTokens(std::span<Sequence> batch, std::vector<TokenId> &next);
  void accept(Sequence &sequence, TokenId id);
  void show(const std::string &text) const;
  bool mayShareBatch() const;
  Status checkLength() const;
  size_t numGenerated() const;
  ordered_json json() const;

  const GenerateFlags &flags;
  Session session;
  Tokenizer tokenizer;
  LanguageModel model;
  std::vector<Sequence> sequences;
  Timing timing;
};

Status Generator::encodePrompts() {
  for (const std::string &prompt : flags.prompts) {
    StatusOr<std::vector<TokenId>> ids = tokenizer.encode(prompt);
    if (!ids.isOk())
      return ids.status().at("--prompt");
    if (ids->empty())
      return Status(StatusCode::Usage,
                    "--prompt is empty, and the tokenizer adds no token that "
                    "begins a text");
    sequences.push_back({*std::move(ids),
                         {},
                         "",
                         TextStream(tokenizer, flags.stops),
                         Sampler(flags.sampling, sequences.size())});
    for (TokenId id : sequences.back().promptIds)
      if (id >= model.vocabularySize().value_or(id + 1))
        return Status(StatusCode::Usage,
                      "the tokenizer gives token " + std::to_string(id) +
                          ", the model knows " +
                          std::to_string(*model.vocabularySize()) +
                          "; is this the model's tokenizer?");
  }
  return checkLength();
}

Status Generator::checkLength() const {
  int64_t longest = 0;
  for (const Sequence &sequence : sequences)
    longest = std::max<int64_t>(longest, sequence.promptIds.size());
  // The last token is not fed.
  int64_t needed = longest + flags.maxNewTokens - 1;
  if (needed <= model.maxLength().value_or(needed))
    return Status::ok();
  return Status(StatusCode::OutOfMemory,
                "a prompt of " + std::to_string(longest) +
                    " tokens with --max-new-tokens " +
                    std::to_string(flags.maxNewTokens) + " needs " +
                    std::to_string(needed) + " positions, the model has " +
                    std::to_string(*model.maxLength()));
}

/// Without a mask a model cannot tell padding from text.
bool Generator::mayShareBatch() const {
  return model.takesMask() ||
         std::all_of(sequences.begin(), sequences.end(), [&](const auto &s) {
           return s.promptIds.size() == sequences[0].promptIds.size();
         });
}

Status Generator::generate() {
  if (mayShareBatch())
    return generateBatch(sequences);
  for (Sequence &sequence : sequences)
    MOE_RETURN_IF_ERROR(generateBatch({&sequence, 1}));
  return Status::ok();
}

Status Generator::generateBatch(std::span<Sequence> batch) {
  std::vector<std::vector<TokenId>> prompts;
  for (const Sequence &sequence : batch)
    prompts.push_back(sequence.promptIds);
  TokenBatch tokens = TokenBatch::create(prompts, /*padding=*/0);
  if (session.maxima.empty())
    MOE_RETURN_IF_ERROR(model.reserve(tokens.numRows, tokens.length,
                                      tokens.length + flags.maxNewTokens));
  model.reset();
  bool isStreamed = sequences.size() == 1 && !flags.json;
  Progress progress("token", isStreamed ? 0 : flags.maxNewTokens);
  Stopwatch watch;
  std::vector<TokenId> next(batch.size());
  for (int64_t step = 0; step < flags.maxNewTokens; ++step) {
    MOE_RETURN_IF_ERROR(interruption());
    if (step > 0)
      tokens.append(next);
    MOE_RETURN_IF_ERROR(model.run(tokens));
    MOE_RETURN_IF_ERROR(chooseTokens(batch, next));
    double elapsed = watch.restart();
    timing.totalMs += elapsed;
    if (step > 0)
      timing.tokenMs.push_back(elapsed);
    else if (timing.firstTokenMs == 0)
      timing.firstTokenMs = elapsed;
    if (!isStreamed)
      progress.update(step + 1);
    if (std::all_of(batch.begin(), batch.end(),
                    [](const Sequence &s) { return s.isDone; }))
      break;
  }
  for (Sequence &sequence : batch) {
    std::string rest = sequence.stream.finish();
    sequence.text += rest;
    show(rest);
  }
  return Status::ok();
}

Status Generator::chooseTokens(std::span<Sequence> batch,
                               std::vector<TokenId> &next) {
  for (size_t row = 0; row < batch.size(); ++row) {
    if (batch[row].isDone)
      continue;
    MOE_ASSIGN_OR_RETURN(std::span<const float> logits,
                         model.logits(static_cast<int64_t>(row)));
    MOE_ASSIGN_OR_RETURN(next[row], batch[row].sampler.sample(logits));
    accept(batch[row], next[row]);
  }
  return Status::ok();
}

void Generator::accept(Sequence &sequence, TokenId id) {
  const std::vector<TokenId> &ends = tokenizer.endTokens();
  if (!flags.ignoreEos && std::count(ends.begin(), ends.end(), id) > 0) {
    sequence.isDone = true;
    return;
  }
  sequence.ids.push_back(id);
  std::string text = sequence.stream.push(id);
  sequence.text += text;
  sequence.isDone = sequence.stream.isStopped();
  show(text);
}

/// Streams the text of a single prompt.
void Generator::show(const std::string &text) const {
  if (flags.json || sequences.size() != 1 || text.empty())
    return;
  std::fputs(text.c_str(), stdout);
  std::fflush(stdout);
}

size_t Generator::numGenerated() const {
  size_t count = 0;
  for (const Sequence &sequence : sequences)
    count += sequence.ids.size();
  return count;
}

ordered_json Generator::json() const {
  auto promptIds = ordered_json::array(), ids = promptIds, texts = promptIds;
  for (const Sequence &sequence : sequences) {
    promptIds.push_back(sequence.promptIds);
    ids.push_back(sequence.ids);
    texts.push_back(sequence.text);
  }
  // One prompt gives plain values, several give lists of them.
  bool isOne = sequences.size() == 1;
  TimeSummary times = summarize(timing.tokenMs);
  ordered_json object;
  object["prompt_ids"] = isOne ? promptIds[0] : promptIds;
  object["ids"] = isOne ? ids[0] : ids;
  object["text"] = isOne ? texts[0] : texts;
  object["first_token_ms"] = timing.firstTokenMs;
  object["tokens_per_second"] =
      timing.totalMs > 0
          ? 1000 * static_cast<double>(numGenerated()) / timing.totalMs
          : 0.0;
  object["token_ms"] = {
      {"p50", times.median}, {"p90", times.p90}, {"p99", times.p99}};
  object["ranks"] = ranksJson(*session.context);
  return object;
}

void Generator::report() const {
  if (flags.json) {
    std::printf("%s\n", jsonText(json()).c_str());
    return;
  }
  if (sequences.size() == 1)
    std::printf("\n");
  for (size_t i = 0; sequences.size() > 1 && i < sequences.size(); ++i)
    std::printf("--- prompt %zu ---\n%s\n", i + 1, sequences[i].text.c_str());
  TimeSummary times = summarize(timing.tokenMs);
  std::fflush(stdout);
  if (!isFirstProcess())
    return;
  std::fprintf(
      stderr,
      "%zu tokens, %.1f tokens/s, first token %.2f ms, per token p50 "
      "%.2f ms, p90 %.2f ms, p99 %.2f ms\n",
      numGenerated(),
      timing.totalMs > 0 ? 1000 * double(numGenerated()) / timing.totalMs : 0.0,
      timing.firstTokenMs, times.median, times.p90, times.p99);
}

Status generateAll(const GenerateFlags &flags) {
  MOE_RETURN_IF_ERROR(flags.check());
  MOE_ASSIGN_OR_RETURN(Tokenizer tokenizer, Tokenizer::load(flags.tokenizer));
  MOE_ASSIGN_OR_RETURN(Session session, flags.session.open());
  Context &context = *session.context;
  MOE_ASSIGN_OR_RETURN(LanguageModel model, LanguageModel::create(context));
  Generator generator(flags, std::move(session), std::move(tokenizer),
                      std::move(model));
  MOE_RETURN_IF_ERROR(generator.encodePrompts());
  CancelOnSignal cancel = cancelOnSignal(context);
  context.resetCounters();
  Status status = generator.generate();
  if (status.isOk())
    status = context.gatherStatistics();
  // An interrupted run still says what it did.
  if (status.isOk() || !interruption().isOk())
    generator.report();
  MOE_RETURN_IF_ERROR(status);
  MOE_RETURN_IF_ERROR(flags.session.writeProfile(context));
  return flushOutput();
}

} // namespace

int tools::generateCommand(const std::vector<std::string> &words) {
  CLI::App app("Continues texts, token by token.", "moe-run generate");
  GenerateFlags flags;
  flags.addTo(app);
  if (std::optional<int> exitCode = parseCommandLine(app, words))
    return *exitCode;
  return endProgram("moe-run generate", generateAll(flags));
}
