//===- PreTokenizer.h - Cuts text into words --------------------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_RUNTIME_TEXT_PRETOKENIZER_H
#define MOE_RUNTIME_TEXT_PRETOKENIZER_H

#include "runtime/text/Regex.h"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace moe {

/// What becomes of the parts that a splitter's pattern matches.
enum class SplitBehavior {
  Removed,
  Isolated,
  MergedWithPrevious,
  MergedWithNext,
  Contiguous,
};

/// Parts of a text: what a pattern matches, and what lies between.
class Splitter {
public:
  /// `invert`: the parts between the matches count as the matches.
  Splitter(Regex pattern, SplitBehavior behavior, bool invert)
      : pattern(std::move(pattern)), behavior(behavior), invert(invert) {}
  /// The parts of a text from left to right, none empty.
  StatusOr<std::vector<TextRange>> split(std::string_view text) const;

private:
  Regex pattern;
  SplitBehavior behavior;
  bool invert;
};

/// A step of a tokenizer's pre_tokenizer.
struct PreTokenizerStep {
  /// Puts a space before each part that does not begin with one.
  bool addPrefixSpace = false;
  std::optional<Splitter> splitter;
};

/// Applies steps one after the other. Errors (BadModel): see Regex::findAll.
StatusOr<std::vector<std::string>>
preTokenize(const std::vector<PreTokenizerStep> &steps, std::string_view text);

} // namespace moe

#endif // MOE_RUNTIME_TEXT_PRETOKENIZER_H
