//===- PreTokenizer.cpp - Cuts text into words ----------------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/text/PreTokenizer.h"

#include <algorithm>

using namespace moe;

namespace {

struct Part {
  TextRange range;
  bool isMatch;
};

/// Matches and what lies between them, covering the text.
std::vector<Part> coverText(const std::vector<TextRange> &matches,
                            size_t textBytes, bool invert) {
  std::vector<Part> parts;
  size_t begin = 0;
  for (const TextRange &match : matches) {
    if (begin < match.begin)
      parts.push_back({{begin, match.begin}, invert});
    parts.push_back({match, !invert});
    begin = match.end;
  }
  if (begin < textBytes)
    parts.push_back({{begin, textBytes}, invert});
  return parts;
}

std::vector<TextRange> mergeParts(std::vector<Part> parts,
                                  SplitBehavior behavior) {
  bool backwards = behavior == SplitBehavior::MergedWithNext;
  if (backwards)
    std::reverse(parts.begin(), parts.end());
  std::vector<TextRange> result;
  bool previousIsMatch = false;
  for (const Part &part : parts) {
    bool joins = behavior == SplitBehavior::Contiguous
                     ? part.isMatch == previousIsMatch
                     : part.isMatch && !previousIsMatch;
    previousIsMatch = part.isMatch;
    if (!joins || result.empty())
      result.push_back(part.range);
    else if (backwards)
      result.back().begin = part.range.begin;
    else
      result.back().end = part.range.end;
  }
  if (backwards)
    std::reverse(result.begin(), result.end());
  return result;
}

std::vector<TextRange> applyBehavior(std::vector<Part> parts,
                                     SplitBehavior behavior) {
  if (behavior != SplitBehavior::Removed && behavior != SplitBehavior::Isolated)
    return mergeParts(std::move(parts), behavior);
  std::vector<TextRange> result;
  for (const Part &part : parts)
    if (!part.isMatch || behavior == SplitBehavior::Isolated)
      result.push_back(part.range);
  return result;
}

} // namespace

StatusOr<std::vector<TextRange>> Splitter::split(std::string_view text) const {
  MOE_ASSIGN_OR_RETURN(std::vector<TextRange> matches, pattern.findAll(text));
  return applyBehavior(coverText(matches, text.size(), invert), behavior);
}

StatusOr<std::vector<std::string>>
moe::preTokenize(const std::vector<PreTokenizerStep> &steps,
                 std::string_view text) {
  std::vector<std::string> words;
  if (!text.empty())
    words.emplace_back(text);
  for (const PreTokenizerStep &step : steps) {
    std::vector<std::string> next;
    for (std::string &word : words) {
      if (step.addPrefixSpace && word.front() != ' ')
        word.insert(word.begin(), ' ');
      if (!step.splitter) {
        next.push_back(std::move(word));
        continue;
      }
      MOE_ASSIGN_OR_RETURN(std::vector<TextRange> parts,
                           step.splitter->split(word));
      for (const TextRange &part : parts)
        next.push_back(word.substr(part.begin, part.end - part.begin));
    }
    words = std::move(next);
  }
  return words;
}
