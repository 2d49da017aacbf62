//===- PlanFormat.h - Bytes of the plan's header ----------------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_RUNTIME_PLAN_PLANFORMAT_H
#define MOE_RUNTIME_PLAN_PLANFORMAT_H

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>
#include <type_traits>

namespace moe::plan_format {

// The structs are the bytes of the file.
static_assert(std::endian::native == std::endian::little,
              "plans are little endian");

inline constexpr std::array<char, 8> kMagic = {'M', 'O', 'E', 'P',
                                               'L', 'A', 'N', '\0'};
/// Bits of features that a reader must know; none so far.
inline constexpr uint64_t kKnownFeatures = 0;

enum class SectionKind : uint32_t { Weights = 1, Program = 2 };

struct Section {
  SectionKind kind;
  uint32_t reserved;
  uint64_t offset;
  uint64_t size;
  uint64_t hash;
};

struct Header {
  std::array<char, 8> magic;
  uint16_t major;
  uint16_t minor;
  uint32_t numSections;
  uint64_t features;
  uint64_t fileSize;
  /// Of Preamble with zero here.
  uint64_t hash;
  std::array<uint64_t, 3> reserved;
};

/// What a plan begins with.
struct Preamble {
  Header header;
  Section weights;
  Section program;
};
static_assert(sizeof(Header) == 64 && sizeof(Preamble) == 128 &&
              std::has_unique_object_representations_v<Preamble>);

/// XXH3 of 64 bits.
uint64_t hashBytes(const void *data, size_t bytes);

inline uint64_t hashPreamble(Preamble preamble) {
  preamble.header.hash = 0;
  return hashBytes(&preamble, sizeof(preamble));
}

inline uint64_t hashOfHashes(std::span<const uint64_t> hashes) {
  return hashBytes(hashes.data(), hashes.size_bytes());
}

} // namespace moe::plan_format

#endif // MOE_RUNTIME_PLAN_PLANFORMAT_H
