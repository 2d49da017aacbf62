//===- Zip.h - Numbers of the zip format ------------------------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The records of a zip archive, by the section numbers of PKWARE's APPNOTE
// 6.3.9. All numbers are little endian and unaligned.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_RUNTIME_IO_ZIP_H
#define MOE_RUNTIME_IO_ZIP_H

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace moe::zip {

inline constexpr uint32_t kLocalSignature = 0x04034b50;     // 4.3.7
inline constexpr uint32_t kCentralSignature = 0x02014b50;   // 4.3.12
inline constexpr uint32_t kEnd64Signature = 0x06064b50;     // 4.3.14
inline constexpr uint32_t kLocator64Signature = 0x07064b50; // 4.3.15
inline constexpr uint32_t kEndSignature = 0x06054b50;       // 4.3.16

inline constexpr size_t kLocalBytes = 30;
inline constexpr size_t kCentralBytes = 46;
inline constexpr size_t kEnd64Bytes = 56;
inline constexpr size_t kLocator64Bytes = 20;
inline constexpr size_t kEndBytes = 22;

inline constexpr uint16_t kStored = 0;
inline constexpr uint16_t kDeflated = 8;
inline constexpr uint16_t kEncryptedFlag = 1;
inline constexpr uint16_t kUtf8Flag = 1 << 11;
/// In a field of 16 or 32 bits: the value stands in the zip64 record.
inline constexpr uint16_t kIn64Short = 0xffff;
inline constexpr uint32_t kIn64 = 0xffffffff;
inline constexpr uint16_t kExtra64 = 1;

/// The number of `bytes` bytes at `offset`, which must lie in `data`.
inline uint64_t load(std::string_view data, size_t offset, int bytes) {
  uint64_t value = 0;
  for (int i = bytes - 1; i >= 0; --i)
    value = value << 8 | static_cast<unsigned char>(data[offset + i]);
  return value;
}

/// Appends a number of `bytes` bytes.
inline void store(std::string &data, uint64_t value, int bytes) {
  for (int i = 0; i < bytes; ++i, value >>= 8)
    data += static_cast<char>(value & 0xff);
}

} // namespace moe::zip

#endif // MOE_RUNTIME_IO_ZIP_H
