//===- Regex.h - Regular expressions of tokenizers --------------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Tokenizers are written for Oniguruma; their patterns mean the same to PCRE2
// with Unicode properties. Patterns come from files, so their size and the
// work that one match may take are limited.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_RUNTIME_TEXT_REGEX_H
#define MOE_RUNTIME_TEXT_REGEX_H

#include "runtime/support/Status.h"

#include <cstddef>
#include <memory>
#include <string_view>
#include <vector>

namespace moe {

/// A part [begin, end) of a text, in bytes.
struct TextRange {
  size_t begin = 0;
  size_t end = 0;
  bool isEmpty() const { return begin == end; }
};

class Regex {
public:
  /// Errors (BadModel): what is not a pattern, with the place in it.
  static StatusOr<Regex> compile(std::string_view pattern);

  /// All matches from left to right, none empty, none overlapping. `text`
  /// must be UTF-8. Errors (BadModel): a match takes too much work.
  StatusOr<std::vector<TextRange>> findAll(std::string_view text) const;

private:
  struct Impl;
  explicit Regex(std::shared_ptr<const Impl> impl) : impl(std::move(impl)) {}
  std::shared_ptr<const Impl> impl;
};

} // namespace moe

#endif // MOE_RUNTIME_TEXT_REGEX_H
