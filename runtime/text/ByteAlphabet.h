//===- ByteAlphabet.h - Bytes as printable characters -----------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Byte-level tokenizers write every byte as one printable character, so that
// their files are text: '!' to '~' and most of Latin-1 stand for themselves,
// the other 68 bytes for U+0100, U+0101 ... (GPT-2, encoder.py,
// bytes_to_unicode). A space is "\u0120".
//
//===----------------------------------------------------------------------===//

#ifndef MOE_RUNTIME_TEXT_BYTEALPHABET_H
#define MOE_RUNTIME_TEXT_BYTEALPHABET_H

#include <optional>
#include <string>
#include <string_view>

namespace moe {

/// The character, in UTF-8, that stands for a byte.
const std::string &characterOfByte(unsigned char byte);

/// The bytes that a token's characters stand for; nothing if one of them
/// stands for no byte.
std::optional<std::string> bytesOfCharacters(std::string_view token);

} // namespace moe

#endif // MOE_RUNTIME_TEXT_BYTEALPHABET_H
