//===- Utf8.cpp - Text in UTF-8 -------------------------------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/io/Utf8.h"

using namespace moe;

Utf8Step moe::decodeUtf8(std::string_view text) {
  auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  unsigned char lead = byte(0);
  if (lead < 0x80)
    return {Utf8Step::Character, 1, lead};
  size_t length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  if (lead < 0xc2 || lead > 0xf4)
    return {Utf8Step::Invalid, 1, 0};
  uint32_t codePoint = lead & (0x7f >> length);
  for (size_t i = 1; i < length; ++i) {
    if (i == text.size())
      return {Utf8Step::Incomplete, i, 0};
    // Overlong forms, surrogates and values beyond U+10FFFF show in the
    // second byte.
    unsigned char low = 0x80, high = 0xbf;
    if (i == 1) {
      low = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
      high = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
    }
    if (byte(i) < low || byte(i) > high)
      return {Utf8Step::Invalid, i, 0};
    codePoint = codePoint << 6 | (byte(i) & 0x3f);
  }
  return {Utf8Step::Character, length, codePoint};
}

void moe::appendUtf8(std::string &text, uint32_t codePoint) {
  if (codePoint > 0x10ffff || (codePoint >= 0xd800 && codePoint < 0xe000))
    codePoint = 0xfffd;
  auto tail = [&](int shift) {
    text += static_cast<char>(0x80 | ((codePoint >> shift) & 0x3f));
  };
  if (codePoint < 0x80) {
    text += static_cast<char>(codePoint);
    return;
  }
  if (codePoint < 0x800) {
    text += static_cast<char>(0xc0 | codePoint >> 6);
    return tail(0);
  }
  if (codePoint < 0x10000) {
    text += static_cast<char>(0xe0 | codePoint >> 12);
    tail(6);
    return tail(0);
  }
  text += static_cast<char>(0xf0 | codePoint >> 18);
  tail(12);
  tail(6);
  tail(0);
}

bool moe::isValidUtf8(std::string_view text) {
  while (!text.empty()) {
    Utf8Step step = decodeUtf8(text);
    if (step.kind != Utf8Step::Character)
      return false;
    text.remove_prefix(step.bytes);
  }
  return true;
}

std::string moe::printableUtf8(std::string_view text) {
  std::string result;
  while (!text.empty()) {
    Utf8Step step = decodeUtf8(text);
    bool isControl = step.codePoint < 0x20 ||
                     (step.codePoint >= 0x7f && step.codePoint < 0xa0);
    if (step.kind != Utf8Step::Character)
      appendUtf8(result, 0xfffd);
    else if (isControl)
      result += '?';
    else
      result += text.substr(0, step.bytes);
    text.remove_prefix(step.bytes);
  }
  return result;
}
