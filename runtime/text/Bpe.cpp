//===- Bpe.cpp - Byte pair encoding ---------------------------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/text/Bpe.h"

#include "runtime/text/ByteAlphabet.h"

#include <queue>

using namespace moe;

/// A token of a word that is being merged; neighbours by index, -1 at the
/// ends.
struct Bpe::Symbol {
  TokenId id;
  int64_t previous;
  int64_t next;
  bool isMerged = false; ///< into the token on its left
};

static uint64_t pairKey(TokenId left, TokenId right) {
  return uint64_t(uint32_t(left)) << 32 | uint32_t(right);
}

void Bpe::addToken(std::string spelling, TokenId id) {
  tokens.insert_or_assign(std::move(spelling), id);
}

void Bpe::addMerge(TokenId left, TokenId right, TokenId merged, uint32_t rank) {
  merges.insert_or_assign(pairKey(left, right), Merge{rank, merged});
}

std::optional<TokenId> Bpe::find(std::string_view spelling) const {
  auto it = tokens.find(spelling);
  if (it == tokens.end())
    return std::nullopt;
  return it->second;
}

const Bpe::Merge *Bpe::findMerge(TokenId left, TokenId right) const {
  auto it = merges.find(pairKey(left, right));
  return it == merges.end() ? nullptr : &it->second;
}

std::vector<Bpe::Symbol> Bpe::symbolsOf(std::string_view word) const {
  std::vector<Symbol> symbols;
  bool afterUnknown = false;
  for (unsigned char byte : word) {
    std::optional<TokenId> id = find(characterOfByte(byte));
    bool isUnknown = !id;
    if (isUnknown && (!unknown || (afterUnknown && fuseUnknown)))
      continue;
    afterUnknown = isUnknown;
    int64_t index = static_cast<int64_t>(symbols.size());
    symbols.push_back({isUnknown ? *unknown : *id, index - 1, index + 1});
  }
  if (!symbols.empty())
    symbols.back().next = -1;
  return symbols;
}

void Bpe::mergeAll(std::vector<Symbol> &symbols) const {
  struct Candidate {
    uint32_t rank;
    int64_t position; ///< of the left token
    TokenId merged;
    bool operator>(const Candidate &other) const {
      return rank != other.rank ? rank > other.rank : position > other.position;
    }
  };
  std::priority_queue<Candidate, std::vector<Candidate>, std::greater<>> queue;
  auto consider = [&](int64_t left) {
    if (left < 0 || symbols[left].next < 0)
      return;
    const Merge *merge =
        findMerge(symbols[left].id, symbols[symbols[left].next].id);
    if (merge)
      queue.push({merge->rank, left, merge->merged});
  };
  for (size_t i = 0; i < symbols.size(); ++i)
    consider(static_cast<int64_t>(i));
  while (!queue.empty()) {
    Candidate best = queue.top();
    queue.pop();
    Symbol &left = symbols[best.position];
    if (left.isMerged || left.next < 0)
      continue;
    // One of the pair may have been merged since it was queued.
    Symbol &right = symbols[left.next];
    const Merge *merge = findMerge(left.id, right.id);
    if (!merge || merge->merged != best.merged)
      continue;
    left.id = best.merged;
    left.next = right.next;
    right.isMerged = true;
    if (left.next >= 0)
      symbols[left.next].previous = best.position;
    consider(left.previous);
    consider(best.position);
  }
}

void Bpe::encode(std::string_view word, std::vector<TokenId> &ids) const {
  if (ignoreMerges) {
    std::string spelling;
    for (unsigned char byte : word)
      spelling += characterOfByte(byte);
    if (std::optional<TokenId> id = find(spelling)) {
      ids.push_back(*id);
      return;
    }
  }
  std::vector<Symbol> symbols = symbolsOf(word);
  mergeAll(symbols);
  for (const Symbol &symbol : symbols)
    if (!symbol.isMerged)
      ids.push_back(symbol.id);
}
