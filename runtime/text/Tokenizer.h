//===- Tokenizer.h - Text to tokens and back --------------------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Reads the tokenizer.json of Hugging Face's tokenizers: byte-level BPE, the
// kind that GPT-2 introduced and nearly all newer models use. Supported are
//
//   normalizer      none; NFC for text that is in this form already
//   pre_tokenizer   ByteLevel, Split, Digits, and sequences of them
//   model           BPE with merges as strings or pairs, ignore_merges
//   post_processor  ByteLevel, TemplateProcessing, and sequences of them
//   decoder         ByteLevel
//
// and added tokens with all their flags. Anything else is an error that names
// the field. "truncation" and "padding" are settings of that library's batch
// interface and have no meaning here.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_RUNTIME_TEXT_TOKENIZER_H
#define MOE_RUNTIME_TEXT_TOKENIZER_H

#include "runtime/support/Status.h"
#include "runtime/text/Bpe.h"

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace moe {

class Tokenizer {
public:
  /// Reads a file of at most 64 MiB. Errors begin with the path: IoError (not
  /// readable), BadModel (malformed), Unsupported.
  static StatusOr<Tokenizer> load(const std::string &path);
  static StatusOr<Tokenizer> parse(std::string_view json);

  /// The tokens of a text, with those that the post-processor adds. Errors
  /// (Usage): the text is not UTF-8, or not NFC where the tokenizer wants it;
  /// (BadModel): a pattern of the tokenizer takes too much work.
  StatusOr<std::vector<TokenId>> encode(std::string_view text) const;
  /// The text of tokens, special ones left out; bytes that are not UTF-8
  /// become U+FFFD, ids without a token nothing.
  std::string decode(std::span<const TokenId> ids) const;
  /// The bytes that a token contributes to a text; empty for special tokens
  /// and for ids without a token.
  std::string_view bytesOf(TokenId id) const;

  /// One more than the largest id.
  TokenId vocabularySize() const;
  std::optional<TokenId> find(std::string_view token) const;
  /// Tokens that end a text: the file does not say, so these are the special
  /// tokens whose names models use for it.
  const std::vector<TokenId> &endTokens() const;

private:
  struct Impl;
  friend class TokenizerReader;
  explicit Tokenizer(std::shared_ptr<const Impl> impl)
      : impl(std::move(impl)) {}
  std::shared_ptr<const Impl> impl;
};

} // namespace moe

#endif // MOE_RUNTIME_TEXT_TOKENIZER_H
