//===- AddedTokens.cpp - Tokens that are found before all others ----------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/text/AddedTokens.h"

#include "runtime/io/Utf8.h"
#include "runtime/text/Regex.h"

#include <algorithm>

using namespace moe;

namespace {

/// White_Space of Unicode 15, PropList.txt.
bool isSpace(uint32_t c) {
  return (c >= 0x09 && c <= 0x0d) || c == 0x20 || c == 0x85 || c == 0xa0 ||
         c == 0x1680 || (c >= 0x2000 && c <= 0x200a) || c == 0x2028 ||
         c == 0x2029 || c == 0x202f || c == 0x205f || c == 0x3000;
}

size_t lastCharacterBegin(std::string_view text) {
  size_t begin = text.size() - 1;
  while (begin > 0 && (text[begin] & 0xc0) == 0x80)
    --begin;
  return begin;
}

/// Whether a text that is one character is part of a word.
bool isWord(std::string_view character) {
  static const StatusOr<Regex> word = Regex::compile("\\w");
  if (character.empty() || !word.isOk())
    return false;
  StatusOr<std::vector<TextRange>> found = word->findAll(character);
  return found.isOk() && !found->empty();
}

bool isInsideWord(std::string_view text, size_t begin, size_t end) {
  std::string_view before = text.substr(0, begin), after = text.substr(end);
  if (!before.empty())
    before = before.substr(lastCharacterBegin(before));
  if (!after.empty())
    after = after.substr(0, decodeUtf8(after).bytes);
  return isWord(before) || isWord(after);
}

/// Where the white space at the end of text[0, end) begins.
size_t spaceBegin(std::string_view text, size_t end) {
  while (end > 0) {
    size_t begin = lastCharacterBegin(text.substr(0, end));
    if (!isSpace(decodeUtf8(text.substr(begin)).codePoint))
      break;
    end = begin;
  }
  return end;
}

/// Where the white space that begins at `begin` ends.
size_t spaceEnd(std::string_view text, size_t begin) {
  while (begin < text.size()) {
    Utf8Step step = decodeUtf8(text.substr(begin));
    if (!isSpace(step.codePoint))
      break;
    begin += step.bytes;
  }
  return begin;
}

uint64_t edgeKey(uint32_t node, char byte) {
  return uint64_t(node) << 8 | static_cast<unsigned char>(byte);
}

} // namespace

void AddedTokens::add(AddedToken token) {
  uint32_t node = 0;
  for (char byte : token.content) {
    uint32_t fresh = static_cast<uint32_t>(edges.size()) + 1;
    node = edges.try_emplace(edgeKey(node, byte), fresh).first->second;
  }
  tokenOfNode.insert_or_assign(node, tokens.size());
  tokens.push_back(std::move(token));
}

const AddedToken *AddedTokens::longestAt(std::string_view text) const {
  const AddedToken *longest = nullptr;
  uint32_t node = 0;
  for (char byte : text) {
    auto edge = edges.find(edgeKey(node, byte));
    if (edge == edges.end())
      break;
    node = edge->second;
    if (auto it = tokenOfNode.find(node); it != tokenOfNode.end())
      longest = &tokens[it->second];
  }
  return longest;
}

void AddedTokens::split(std::string_view text,
                        std::vector<Piece> &pieces) const {
  size_t done = 0;
  for (size_t at = 0; at < text.size();) {
    const AddedToken *token = longestAt(text.substr(at));
    if (!token) {
      ++at;
      continue;
    }
    size_t begin = at, end = at + token->content.size();
    at = end;
    if (token->singleWord && isInsideWord(text, begin, end))
      continue;
    if (token->lstrip)
      begin = std::max(done, spaceBegin(text, begin));
    if (token->rstrip)
      end = spaceEnd(text, end);
    if (done < begin)
      pieces.push_back({text.substr(done, begin - done), std::nullopt});
    pieces.push_back({text.substr(begin, end - begin), token->id});
    at = done = end;
  }
  if (done < text.size())
    pieces.push_back({text.substr(done), std::nullopt});
}
