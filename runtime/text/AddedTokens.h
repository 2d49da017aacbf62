//===- AddedTokens.h - Tokens that are found before all others --*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Beside the tokens of its model a tokenizer has a list of whole strings, such
// as "<|endoftext|>", that are cut out of the text first: leftmost, and of
// those the longest.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_RUNTIME_TEXT_ADDEDTOKENS_H
#define MOE_RUNTIME_TEXT_ADDEDTOKENS_H

#include "runtime/text/Bpe.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace moe {

struct AddedToken {
  std::string content;
  TokenId id = 0;
  bool singleWord = false; ///< not inside of a word
  bool lstrip = false;     ///< takes the white space before it
  bool rstrip = false;     ///< takes the white space behind it
};

class AddedTokens {
public:
  /// A part of a text: an added token, or what lies between.
  struct Piece {
    std::string_view text;
    std::optional<TokenId> id;
  };

  /// `token.content` must not be empty.
  void add(AddedToken token);
  /// Appends the pieces of a text in UTF-8.
  void split(std::string_view text, std::vector<Piece> &pieces) const;

private:
  const AddedToken *longestAt(std::string_view text) const;

  std::vector<AddedToken> tokens;
  /// A tree of the contents, byte by byte: (node, byte) -> node; node 0 is the
  /// root.
  std::unordered_map<uint64_t, uint32_t> edges;
  std::unordered_map<uint32_t, size_t> tokenOfNode;
};

} // namespace moe

#endif // MOE_RUNTIME_TEXT_ADDEDTOKENS_H
