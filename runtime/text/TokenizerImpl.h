//===- TokenizerImpl.h - The parts of a tokenizer ---------------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_RUNTIME_TEXT_TOKENIZERIMPL_H
#define MOE_RUNTIME_TEXT_TOKENIZERIMPL_H

#include "runtime/text/AddedTokens.h"
#include "runtime/text/PreTokenizer.h"
#include "runtime/text/Tokenizer.h"

#include <string>
#include <unordered_map>
#include <vector>

namespace moe {

struct Tokenizer::Impl {
  bool requiresNfc = false;
  /// Looked for before and after normalisation.
  AddedTokens rawTokens;
  AddedTokens normalizedTokens;
  std::vector<PreTokenizerStep> steps;
  Bpe bpe;
  /// What the post-processor puts around a text.
  std::vector<TokenId> prefix;
  std::vector<TokenId> suffix;

  std::unordered_map<TokenId, std::string> bytesOfToken;
  std::unordered_map<std::string, TokenId> addedIds;
  std::vector<TokenId> endTokens;
  TokenId vocabularySize = 0;
};

} // namespace moe

#endif // MOE_RUNTIME_TEXT_TOKENIZERIMPL_H
