//===- Tokenizer.cpp - Text to tokens and back ----------------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/text/Tokenizer.h"

#include "runtime/io/Utf8.h"
#include "runtime/text/TextStream.h"
#include "runtime/text/TokenizerImpl.h"

#include <algorithm>
#include <cstdio>

using namespace moe;

namespace {

struct CodePoints {
  uint32_t first, last;
};

// Characters that normalisation to NFC leaves alone whatever stands beside
// them (Quick_Check=Yes and combining class 0 in Unicode 14): not all there
// are, but those of most texts.
constexpr CodePoints kStableInNfc[] = {
    {0x0000, 0x02ff},   {0x0400, 0x0482},   {0x048a, 0x052f}, {0x0531, 0x0556},
    {0x0561, 0x0587},   {0x05d0, 0x05ea},   {0x0620, 0x064a}, {0x2010, 0x205e},
    {0x20a0, 0x20c0},   {0x2190, 0x2328},   {0x232b, 0x2426}, {0x2460, 0x2adb},
    {0x2add, 0x2bff},   {0x3000, 0x3029},   {0x3041, 0x3096}, {0x309d, 0x30ff},
    {0x3400, 0x4dbf},   {0x4e00, 0x9fff},   {0xac00, 0xd7a3}, {0xff01, 0xffee},
    {0x1f300, 0x1faff}, {0x20000, 0x2a6df},
};

/// Nothing, or the first character that may not be stable.
std::optional<uint32_t> firstUnstable(std::string_view text) {
  while (!text.empty()) {
    Utf8Step step = decodeUtf8(text);
    text.remove_prefix(step.bytes);
    bool isStable = std::any_of(
        std::begin(kStableInNfc), std::end(kStableInNfc), [&](CodePoints r) {
          return step.codePoint >= r.first && step.codePoint <= r.last;
        });
    if (!isStable)
      return step.codePoint;
  }
  return std::nullopt;
}

} // namespace

StatusOr<std::vector<TokenId>> Tokenizer::encode(std::string_view text) const {
  if (!isValidUtf8(text))
    return Status(StatusCode::Usage, "text is not UTF-8");
  if (std::optional<uint32_t> found =
          impl->requiresNfc ? firstUnstable(text) : std::nullopt) {
    char name[16];
    std::snprintf(name, sizeof(name), "U+%04X", *found);
    return Status(StatusCode::Usage,
                  std::string("text holds ") + name +
                      ", which normalisation to NFC may change; the "
                      "tokenizer's normalizer NFC is supported only for text "
                      "that stays as it is");
  }
  std::vector<TokenId> ids = impl->prefix;
  std::vector<AddedTokens::Piece> pieces, inner;
  impl->rawTokens.split(text, pieces);
  for (const AddedTokens::Piece &piece : pieces) {
    if (piece.id)
      inner.push_back(piece);
    else
      impl->normalizedTokens.split(piece.text, inner);
  }
  for (const AddedTokens::Piece &piece : inner) {
    if (piece.id) {
      ids.push_back(*piece.id);
      continue;
    }
    MOE_ASSIGN_OR_RETURN(std::vector<std::string> words,
                         preTokenize(impl->steps, piece.text));
    for (const std::string &word : words)
      impl->bpe.encode(word, ids);
  }
  ids.insert(ids.end(), impl->suffix.begin(), impl->suffix.end());
  return ids;
}

std::string Tokenizer::decode(std::span<const TokenId> ids) const {
  TextStream stream(*this);
  std::string text;
  for (TokenId id : ids)
    text += stream.push(id);
  return text + stream.finish();
}

std::string_view Tokenizer::bytesOf(TokenId id) const {
  auto it = impl->bytesOfToken.find(id);
  return it == impl->bytesOfToken.end() ? std::string_view() : it->second;
}

TokenId Tokenizer::vocabularySize() const { return impl->vocabularySize; }

std::optional<TokenId> Tokenizer::find(std::string_view token) const {
  auto it = impl->addedIds.find(std::string(token));
  return it != impl->addedIds.end() ? it->second : impl->bpe.find(token);
}

const std::vector<TokenId> &Tokenizer::endTokens() const {
  return impl->endTokens;
}
