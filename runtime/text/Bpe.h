//===- Bpe.h - Byte pair encoding -------------------------------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A word begins as one token per byte. While two neighbours form a pair of the
// list of merges, the pair that stands first in the list is replaced by its
// merged token; of equal pairs the leftmost. (Sennrich et al. 2016; with a
// heap as in Hugging Face's tokenizers, so that a word of n bytes takes
// n log n steps.)
//
//===----------------------------------------------------------------------===//

#ifndef MOE_RUNTIME_TEXT_BPE_H
#define MOE_RUNTIME_TEXT_BPE_H

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace moe {

using TokenId = int32_t;

class Bpe {
public:
  /// How many will be added.
  void reserveTokens(size_t count) { tokens.reserve(count); }
  void reserveMerges(size_t count) { merges.reserve(count); }
  /// Tokens are spelled in the byte alphabet (see ByteAlphabet.h).
  void addToken(std::string spelling, TokenId id);
  /// The pair with the given place in the list becomes `merged`.
  void addMerge(TokenId left, TokenId right, TokenId merged, uint32_t rank);
  /// A word that is itself a token is not merged from its bytes.
  void setIgnoreMerges(bool value) { ignoreMerges = value; }
  /// What stands for bytes without a token; without one they vanish. `fuse`:
  /// neighbours become one.
  void setUnknown(TokenId id, bool fuse) {
    unknown = id;
    fuseUnknown = fuse;
  }

  std::optional<TokenId> find(std::string_view spelling) const;
  /// Appends the tokens of the bytes of a word.
  void encode(std::string_view word, std::vector<TokenId> &ids) const;

private:
  struct Merge {
    uint32_t rank;
    TokenId merged;
  };
  struct Symbol;
  const Merge *findMerge(TokenId left, TokenId right) const;
  std::vector<Symbol> symbolsOf(std::string_view word) const;
  void mergeAll(std::vector<Symbol> &symbols) const;

  struct Hash {
    using is_transparent = void;
    size_t operator()(std::string_view text) const {
      return std::hash<std::string_view>()(text);
    }
  };
  std::unordered_map<std::string, TokenId, Hash, std::equal_to<>> tokens;
  std::unordered_map<uint64_t, Merge> merges;
  bool ignoreMerges = false;
  bool fuseUnknown = false;
  std::optional<TokenId> unknown;
};

} // namespace moe

#endif // MOE_RUNTIME_TEXT_BPE_H
