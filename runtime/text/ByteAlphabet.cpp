//===- ByteAlphabet.cpp - Bytes as printable characters -------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/text/ByteAlphabet.h"

#include "runtime/io/Utf8.h"

#include <array>

using namespace moe;

namespace {

constexpr uint32_t kFirstShifted = 0x100;
constexpr int kNumShifted = 68;

bool standsForItself(unsigned byte) {
  return (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) ||
         byte >= 0xae;
}

struct Alphabet {
  std::array<std::string, 256> characters;
  std::array<unsigned char, kNumShifted> shifted;

  Alphabet() {
    uint32_t next = 0;
    for (unsigned byte = 0; byte < 256; ++byte) {
      uint32_t codePoint = byte;
      if (!standsForItself(byte)) {
        shifted[next] = static_cast<unsigned char>(byte);
        codePoint = kFirstShifted + next++;
      }
      appendUtf8(characters[byte], codePoint);
    }
  }
};

const Alphabet &alphabet() {
  static const Alphabet theAlphabet;
  return theAlphabet;
}

} // namespace

const std::string &moe::characterOfByte(unsigned char byte) {
  return alphabet().characters[byte];
}

std::optional<std::string> moe::bytesOfCharacters(std::string_view token) {
  std::string bytes;
  while (!token.empty()) {
    Utf8Step step = decodeUtf8(token);
    token.remove_prefix(step.bytes);
    if (step.kind != Utf8Step::Character)
      return std::nullopt;
    if (step.codePoint < 0x100 && standsForItself(step.codePoint))
      bytes += static_cast<char>(step.codePoint);
    else if (step.codePoint >= kFirstShifted &&
             step.codePoint < kFirstShifted + kNumShifted)
      bytes +=
          static_cast<char>(alphabet().shifted[step.codePoint - kFirstShifted]);
    else
      return std::nullopt;
  }
  return bytes;
}
