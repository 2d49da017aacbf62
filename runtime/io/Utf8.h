//===- Utf8.h - Text in UTF-8 -----------------------------------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_RUNTIME_IO_UTF8_H
#define MOE_RUNTIME_IO_UTF8_H

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace moe {

/// What stands at the front of some bytes.
struct Utf8Step {
  enum Kind {
    Character,  ///< `codePoint`, in `bytes` bytes
    Invalid,    ///< `bytes` bytes that no character begins with
    Incomplete, ///< the beginning of a character, cut off by the end
  };
  Kind kind;
  size_t bytes;
  uint32_t codePoint;
};

/// Decodes the front of `text`, which must not be empty. Invalid bytes are
/// the "maximal subpart" of Unicode 15, section 3.9: each becomes one U+FFFD.
Utf8Step decodeUtf8(std::string_view text);

/// Appends a code point; surrogates and what lies beyond U+10FFFF become
/// U+FFFD.
void appendUtf8(std::string &text, uint32_t codePoint);

bool isValidUtf8(std::string_view text);

/// A copy that may be shown: bytes that are not UTF-8 become U+FFFD and
/// control characters '?'.
std::string printableUtf8(std::string_view text);

} // namespace moe

#endif // MOE_RUNTIME_IO_UTF8_H
