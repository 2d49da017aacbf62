//===- PerplexityCommand.cpp - moe-run perplexity: scores a text ----------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Window w of n tokens feeds ids[n w .. n w + n - 1] from position 0 and scores
// ids[n w + 1 .. n w + n].
//
//===----------------------------------------------------------------------===//

#include "runtime/io/Json.h"
#include "runtime/io/Npy.h"
#include "tools/common/Progress.h"
#include "tools/common/Signals.h"
#include "tools/common/Table.h"
#include "tools/moe-run/Commands.h"
#include "tools/moe-run/LanguageModel.h"
#include "tools/moe-run/Processes.h"
#include "tools/moe-run/SessionFlags.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <optional>

using namespace moe;
using namespace moe::tools;
using nlohmann::ordered_json;

namespace {

constexpr char kExamples[] = R"(
example:
  moe-run perplexity model.moeplan --ids validation.npy --window 256)";

struct PerplexityFlags {
  SessionFlags session;
  std::string ids;
  int64_t window = 256;
  int64_t numWindows = 0;
  bool json = false;

  void addTo(CLI::App &app) {
    session.addTo(app);
    app.add_option("--ids", ids, "Token ids of a text (.npy, integers)")
        ->required();
    app.add_option("--window", window, "Tokens that the model sees at once")
        ->check(CLI::Range(int64_t(1), int64_t(1) << 24));
    app.add_option("--windows", numWindows,
                   "Score only the first N windows (0: all)")
        ->check(CLI::Range(int64_t(0), int64_t(1) << 40));
    app.add_flag("--json", json, "Print one JSON object");
    app.footer(kExamples);
  }
};

/// Minus the logarithm of the probability of `target`.
double negativeLogLikelihood(std::span<const float> logits, int64_t target) {
  double largest = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (float logit : logits)
    sum += std::exp(logit - largest);
  return std::log(sum) + largest - logits[target];
}

StatusOr<HostTensor> readIds(const std::string &path) {
  MOE_ASSIGN_OR_RETURN(HostTensor ids, readNpyFile(path));
  if (ids.dims().size() != 1)
    return Status(StatusCode::IoError, path + ": shape " +
                                           shapeText(ids.dims()) +
                                           ", expected one dimension");
  return convertTensor(ids, DType::I64);
}

Status checkIds(std::span<const int64_t> ids, const LanguageModel &model,
                const std::string &path) {
  constexpr int64_t kMaxId = INT32_MAX;
  int64_t limit = model.vocabularySize().value_or(kMaxId);
  for (size_t i = 0; i < ids.size(); ++i)
    if (ids[i] < 0 || ids[i] >= limit)
      return Status(StatusCode::IoError,
                    path + ": element " + std::to_string(i) + " is " +
                        std::to_string(ids[i]) + ", expected a token of 0 to " +
                        std::to_string(limit - 1));
  return Status::ok();
}

/// Sum over the targets of one window.
StatusOr<double> scoreWindow(LanguageModel &model,
                             std::span<const int64_t> ids) {
  auto length = static_cast<int64_t>(ids.size()) - 1;
  TokenBatch batch;
  batch.numRows = 1;
  batch.length = length;
  batch.ids.assign(ids.begin(), ids.end() - 1);
  batch.mask.assign(length, 1);
  model.reset();
  MOE_RETURN_IF_ERROR(model.run(batch));
  double sum = 0;
  for (int64_t i = 0; i < length; ++i) {
    MOE_ASSIGN_OR_RETURN(std::span<const float> logits, model.logits(0, i));
    if (ids[i + 1] >= static_cast<int64_t>(logits.size()))
      return Status(StatusCode::IoError, "token " + std::to_string(ids[i + 1]) +
                                             " is beyond the model's " +
                                             std::to_string(logits.size()) +
                                             " logits");
    sum += negativeLogLikelihood(logits, ids[i + 1]);
  }
  return sum;
}

/// Sum over the targets of all windows.
StatusOr<double> scoreWindows(LanguageModel &model,
                              std::span<const int64_t> ids, int64_t window,
                              int64_t numWindows) {
  Progress progress("window", numWindows);
  double sum = 0;
  for (int64_t w = 0; w < numWindows; ++w) {
    MOE_RETURN_IF_ERROR(interruption());
    MOE_ASSIGN_OR_RETURN(
        double part, scoreWindow(model, ids.subspan(w * window, window + 1)));
    sum += part;
    double nll = sum / static_cast<double>((w + 1) * window);
    progress.update(w + 1, "perplexity " + fixedText(std::exp(nll), 3));
  }
  return sum;
}

void print(const PerplexityFlags &flags, int64_t windows, double sum) {
  int64_t targets = windows * flags.window;
  double nll = sum / static_cast<double>(targets);
  if (flags.json) {
    ordered_json object = {{"windows", windows},
                           {"targets", targets},
                           {"nll", nll},
                           {"perplexity", std::exp(nll)}};
    std::printf("%s\n", jsonText(object).c_str());
    return;
  }
  std::printf("%lld windows, %lld tokens: %.6f nats per token, perplexity "
              "%.4f\n",
              static_cast<long long>(windows), static_cast<long long>(targets),
              nll, std::exp(nll));
}

Status scoreAll(const PerplexityFlags &flags) {
  MOE_ASSIGN_OR_RETURN(HostTensor tensor, readIds(flags.ids));
  std::span<const int64_t> ids = tensor.as<int64_t>();
  int64_t windows = (tensor.numElements() - 1) / flags.window;
  if (tensor.numElements() <= flags.window)
    return Status(StatusCode::IoError,
                  flags.ids + ": " + std::to_string(tensor.numElements()) +
                      " tokens, expected at least one more than --window " +
                      std::to_string(flags.window));
  if (flags.numWindows > windows)
    return Status(StatusCode::Usage,
                  "--windows " + std::to_string(flags.numWindows) + ": " +
                      flags.ids + " holds only " + std::to_string(windows));
  if (flags.numWindows > 0)
    windows = flags.numWindows;

  MOE_ASSIGN_OR_RETURN(Session session, flags.session.open());
  MOE_ASSIGN_OR_RETURN(LanguageModel model,
                       LanguageModel::create(*session.context));
  MOE_RETURN_IF_ERROR(checkIds(ids, model, flags.ids));
  if (int64_t limit = model.maxLength().value_or(flags.window);
      flags.window > limit)
    return Status(StatusCode::Usage, "--window " +
                                         std::to_string(flags.window) +
                                         ": the model has " +
                                         std::to_string(limit) + " positions");
  CancelOnSignal cancel = cancelOnSignal(*session.context);
  MOE_ASSIGN_OR_RETURN(double sum,
                       scoreWindows(model, ids, flags.window, windows));
  MOE_RETURN_IF_ERROR(session.context->gatherStatistics());
  print(flags, windows, sum);
  MOE_RETURN_IF_ERROR(flags.session.writeProfile(*session.context));
  return flushOutput();
}

} // namespace

int tools::perplexityCommand(const std::vector<std::string> &words) {
  CLI::App app("Scores a text of token ids.", "moe-run perplexity");
  PerplexityFlags flags;
  flags.addTo(app);
  if (std::optional<int> exitCode = parseCommandLine(app, words))
    return *exitCode;
  return endProgram("moe-run perplexity", scoreAll(flags));
}
