//===- CommandLine.cpp - Options of the runtime's tools -------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "tools/common/CommandLine.h"

#include "runtime/io/Utf8.h"
#include "runtime/support/Lists.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstring>

using namespace moe;
using namespace moe::tools;

/// Edits between two words: insert, remove, replace, exchange neighbours.
static size_t editDistance(std::string_view a, std::string_view b) {
  std::vector<std::vector<size_t>> cost(a.size() + 1,
                                        std::vector<size_t>(b.size() + 1));
  for (size_t i = 0; i <= a.size(); ++i) {
    for (size_t j = 0; j <= b.size(); ++j) {
      if (i == 0 || j == 0) {
        cost[i][j] = i + j;
        continue;
      }
      cost[i][j] = std::min({cost[i - 1][j] + 1, cost[i][j - 1] + 1,
                             cost[i - 1][j - 1] + (a[i - 1] != b[j - 1])});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        cost[i][j] = std::min(cost[i][j], cost[i - 2][j - 2] + 1);
    }
  }
  return cost[a.size()][b.size()];
}

std::optional<std::string>
tools::closestWord(std::string_view word,
                   const std::vector<std::string> &candidates) {
  constexpr size_t kLongestWord = 64;
  if (word.size() > kLongestWord)
    return std::nullopt;
  std::optional<std::string> best;
  size_t bestDistance = std::max<size_t>(1, word.size() / 3) + 1;
  for (const std::string &candidate : candidates) {
    size_t distance = editDistance(word, candidate);
    // The beginning of a longer name.
    if (word.size() >= 3 && candidate.starts_with(word))
      distance = 1;
    if (distance < bestDistance) {
      bestDistance = distance;
      best = candidate;
    }
  }
  return best;
}

std::string tools::didYouMean(std::string_view word,
                              const std::vector<std::string> &candidates) {
  std::optional<std::string> closest = closestWord(word, candidates);
  return closest ? "; did you mean '" + *closest + "'?" : "";
}

/// What is wrong with words that no option took.
static std::string describeExtras(const CLI::App &app) {
  std::vector<std::string> names;
  for (const CLI::Option *option : app.get_options())
    for (const std::string &name : option->get_lnames())
      names.push_back("--" + name);
  for (const std::string &word : app.remaining()) {
    std::string name = word.substr(0, word.find('='));
    if (name.starts_with("-"))
      return "unknown option '" + printableUtf8(name) + "'" +
             didYouMean(name, names);
  }
  return "unexpected argument '" + printableUtf8(app.remaining().front()) + "'";
}

/// The name in a word such as --tokens=, whose value CLI11 would look for in
/// the next word; nothing for other words.
static std::optional<std::string_view> nameWithoutValue(std::string_view word) {
  bool isNamed = word.size() > 3 && word.starts_with("--");
  if (!isNamed || word.find('=') != word.size() - 1)
    return std::nullopt;
  return word.substr(0, word.size() - 1);
}

std::optional<int> tools::parseCommandLine(CLI::App &app,
                                           std::vector<std::string> words) {
  for (const std::string &word : words)
    if (auto name = nameWithoutValue(word))
      return reportError(app.get_name(),
                         Status(StatusCode::Usage,
                                printableUtf8(*name) + ": its value is empty"));
  // CLI11 takes the words from the back.
  std::reverse(words.begin(), words.end());
  try {
    app.parse(std::move(words));
    return std::nullopt;
  } catch (const CLI::CallForHelp &) {
    std::fputs(app.help().c_str(), stdout);
    Status written = flushOutput();
    return written.isOk() ? 0 : reportError(app.get_name(), written);
  } catch (const CLI::ExtrasError &) {
    reportError(app.get_name(), Status(StatusCode::Usage, describeExtras(app)));
  } catch (const CLI::Error &error) {
    reportError(app.get_name(),
                Status(StatusCode::Usage, printableUtf8(error.what())));
  }
  std::fprintf(stderr, "see '%s --help'\n", app.get_name().c_str());
  return static_cast<int>(StatusCode::Usage);
}

/// A number of digits and perhaps a sign; nothing for any other text.
static std::optional<int64_t> parseNumber(std::string_view text) {
  int64_t value = 0;
  const char *end = text.data() + text.size();
  auto [last, error] = std::from_chars(text.data(), end, value);
  if (text.empty() || error != std::errc() || last != end)
    return std::nullopt;
  return value;
}

StatusOr<std::vector<int64_t>> tools::parseNumbers(std::string_view option,
                                                   std::string_view text,
                                                   int64_t least,
                                                   int64_t most) {
  auto items = splitList(text);
  MOE_RETURN_IF_ERROR(items.status().at(option));
  std::vector<int64_t> numbers;
  for (std::string_view item : *items) {
    std::optional<int64_t> number = parseNumber(item);
    if (!number || *number < least || *number > most)
      return Status(StatusCode::Usage,
                    std::string(option) + ": found '" + printableUtf8(item) +
                        "', expected a number from " + std::to_string(least) +
                        " to " + std::to_string(most));
    numbers.push_back(*number);
  }
  return numbers;
}

StatusOr<NamedNumbers> tools::parseNamedNumbers(std::string_view option,
                                                std::string_view text) {
  auto items = splitList(text);
  MOE_RETURN_IF_ERROR(items.status().at(option));
  NamedNumbers numbers;
  for (std::string_view item : *items) {
    size_t equals = std::min(item.find('='), item.size());
    std::string name(item.substr(0, equals));
    std::optional<int64_t> value =
        parseNumber(item.substr(std::min(equals + 1, item.size())));
    if (name.empty() || !value || *value < 0)
      return Status(StatusCode::Usage,
                    std::string(option) + ": found '" + printableUtf8(item) +
                        "', expected NAME=NUMBER, as in batch=8,seq=512");
    if (!numbers.emplace(name, *value).second)
      return Status(StatusCode::Usage, std::string(option) + ": '" +
                                           printableUtf8(name) +
                                           "' is given twice");
  }
  return numbers;
}

int tools::reportError(std::string_view program, const Status &status) {
  std::fprintf(stderr, "%.*s: error: %s\n", static_cast<int>(program.size()),
               program.data(), status.message().c_str());
  return status.exitCode();
}

Status tools::flushOutput() {
  if (std::fflush(stdout) == 0 && !std::ferror(stdout))
    return Status::ok();
  return Status(StatusCode::IoError,
                std::string("standard output cannot be written: ") +
                    std::strerror(errno));
}
