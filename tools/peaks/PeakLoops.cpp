//===- PeakLoops.cpp - Loops that read or multiply as fast as can be ------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "tools/peaks/PeakLoops.h"

#include <cstdlib>
#include <cstring>
#include <string_view>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

using namespace moe::tools;

#define MOE_INLINE inline __attribute__((always_inline))

/// One cache line, in as many registers as the instruction set needs.
typedef uint64_t Line __attribute__((vector_size(64), may_alias));
typedef float Floats __attribute__((vector_size(16), may_alias));
typedef uint16_t Shorts __attribute__((vector_size(16), may_alias));

/// Keeps the compiler from knowing a register's value, without instructions.
#if defined(__x86_64__)
#define MOE_FORGET(x) asm volatile("" : "+v"(x))
#define MOE_FORGET_SSE(x) asm volatile("" : "+x"(x))
#else
#define MOE_FORGET_SSE(x) asm volatile("" : "+w"(x))
#endif

template <typename T> static MOE_INLINE uint64_t firstWord(const T &value) {
  uint64_t word;
  std::memcpy(&word, &value, sizeof(word));
  return word;
}

//===----------------------------------------------------------------------===//
// Reading
//===----------------------------------------------------------------------===//

/// `Streams` ranges at a time, as a product reads several panels; `Ahead` bytes
/// before they are needed, lines are asked for.
template <int Streams, int Ahead>
static MOE_INLINE uint64_t readBody(const std::byte *memory, size_t bytes) {
  constexpr int kLines = 4;
  static_assert(kReadUnit % (Streams * kLines * sizeof(Line)) == 0);
  size_t part = bytes / Streams;
  Line sums[kLines] = {};
  for (size_t at = 0; at < part; at += kLines * sizeof(Line))
#pragma GCC unroll 4
    for (int stream = 0; stream < Streams; ++stream) {
      const std::byte *from = memory + stream * part + at;
#pragma GCC unroll 4
      for (int line = 0; line < kLines; ++line) {
        if constexpr (Ahead > 0)
          __builtin_prefetch(from + line * sizeof(Line) + Ahead);
        sums[line] +=
            *reinterpret_cast<const Line *>(from + line * sizeof(Line));
      }
    }
  Line sum = (sums[0] + sums[1]) + (sums[2] + sums[3]);
  return firstWord(sum);
}

template <int Streams, int Ahead>
static uint64_t read(const std::byte *memory, size_t bytes) {
  return readBody<Streams, Ahead>(memory, bytes);
}

#if defined(__x86_64__)
template <int Streams, int Ahead>
__attribute__((target("avx2"))) static uint64_t
readAvx2(const std::byte *memory, size_t bytes) {
  return readBody<Streams, Ahead>(memory, bytes);
}
template <int Streams, int Ahead>
__attribute__((target("avx512f"))) static uint64_t
readAvx512(const std::byte *memory, size_t bytes) {
  return readBody<Streams, Ahead>(memory, bytes);
}
#endif

std::vector<ReadLoop> moe::tools::readLoops() {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f"))
    return {{"64 bytes, 1 range", readAvx512<1, 0>},
            {"64 bytes, 1 range, prefetch", readAvx512<1, 2048>},
            {"64 bytes, 2 ranges", readAvx512<2, 0>},
            {"64 bytes, 4 ranges", readAvx512<4, 0>},
            {"64 bytes, 4 ranges, prefetch", readAvx512<4, 1024>}};
  if (__builtin_cpu_supports("avx2"))
    return {{"32 bytes, 1 range", readAvx2<1, 0>},
            {"32 bytes, 1 range, prefetch", readAvx2<1, 2048>},
            {"32 bytes, 2 ranges", readAvx2<2, 0>},
            {"32 bytes, 4 ranges", readAvx2<4, 0>},
            {"32 bytes, 4 ranges, prefetch", readAvx2<4, 1024>}};
#endif
  return {{"1 range", read<1, 0>},
          {"1 range, prefetch", read<1, 2048>},
          {"4 ranges", read<4, 0>},
          {"4 ranges, prefetch", read<4, 1024>}};
}

//===----------------------------------------------------------------------===//
// Multiplying
//===----------------------------------------------------------------------===//
//
// Independent sums, enough of them to hide the latency of an instruction on
// every unit that can execute it, few enough to stay in registers.

static constexpr int kSums = 12;

static uint64_t multiplyF32(int64_t rounds) {
  Floats a = {0.5f, 0.5f, 0.5f, 0.5f}, sums[kSums] = {};
  for (int64_t round = 0; round < rounds; ++round)
#pragma GCC unroll 12
    for (Floats &sum : sums) {
      MOE_FORGET_SSE(a);
      sum += a * a;
    }
  Floats total = {};
  for (const Floats &sum : sums)
    total += sum;
  return firstWord(total);
}

/// Without instructions for it, 8 bits are multiplied as 16.
static uint64_t multiplyInt16(int64_t rounds) {
  Shorts a = {1, 2, 3, 4, 5, 6, 7, 8}, sums[kSums] = {};
  for (int64_t round = 0; round < rounds; ++round)
#pragma GCC unroll 12
    for (Shorts &sum : sums) {
      MOE_FORGET_SSE(a);
      sum += a * a;
    }
  Shorts total = {};
  for (const Shorts &sum : sums)
    total += sum;
  return firstWord(total);
}

#if defined(__x86_64__)

#define MOE_MULTIPLY_LOOP(NAME, TARGET, REGISTER, ZERO, START, STATEMENT)      \
  __attribute__((target(TARGET))) static uint64_t NAME(int64_t rounds) {       \
    REGISTER a = START, b = START, sums[kSums];                                \
    for (REGISTER & sum : sums)                                                \
      sum = ZERO;                                                              \
    for (int64_t round = 0; round < rounds; ++round)                           \
      _Pragma("GCC unroll 12") for (REGISTER & sum : sums) STATEMENT;          \
    uint64_t total = 0;                                                        \
    for (REGISTER & sum : sums)                                                \
      total += firstWord(sum);                                                 \
    return total + firstWord(a) + firstWord(b);                                \
  }

MOE_MULTIPLY_LOOP(multiplyF32Fma, "avx2,fma", __m256, _mm256_setzero_ps(),
                  _mm256_set1_ps(0.5f), sum = _mm256_fmadd_ps(a, b, sum))
MOE_MULTIPLY_LOOP(multiplyF32Avx512, "avx512f", __m512, _mm512_setzero_ps(),
                  _mm512_set1_ps(0.5f), sum = _mm512_fmadd_ps(a, b, sum))

// Three instructions where there is none of its own.
MOE_MULTIPLY_LOOP(multiplyInt8Avx2, "avx2", __m256i, _mm256_setzero_si256(),
                  _mm256_set1_epi8(1), {
                    MOE_FORGET_SSE(a);
                    sum = _mm256_add_epi32(
                        sum, _mm256_madd_epi16(_mm256_maddubs_epi16(a, b),
                                               _mm256_set1_epi16(1)));
                  })
MOE_MULTIPLY_LOOP(multiplyInt8Avx512, "avx512f,avx512bw", __m512i,
                  _mm512_setzero_si512(), _mm512_set1_epi8(1), {
                    MOE_FORGET(a);
                    sum = _mm512_add_epi32(
                        sum, _mm512_madd_epi16(_mm512_maddubs_epi16(a, b),
                                               _mm512_set1_epi16(1)));
                  })
MOE_MULTIPLY_LOOP(multiplyInt8AvxVnni, "avx2,avxvnni", __m256i,
                  _mm256_setzero_si256(), _mm256_set1_epi8(1),
                  sum = _mm256_dpbusd_avx_epi32(sum, a, b))
MOE_MULTIPLY_LOOP(multiplyInt8Avx512Vnni, "avx512f,avx512bw,avx512vnni",
                  __m512i, _mm512_setzero_si512(), _mm512_set1_epi8(1),
                  sum = _mm512_dpbusd_epi32(sum, a, b))

#endif

/// Whether kernels may use `isa`: what MOE_CPU_ISA holds them to holds for the
/// loops that they are compared with.
static bool isAllowed(std::string_view isa) {
  constexpr std::string_view kIsas[] = {"portable", "avx2", "avx512",
                                        "avx512vnni"};
  const char *wanted = std::getenv("MOE_CPU_ISA");
  for (std::string_view each : kIsas) {
    if (each == isa)
      return true;
    if (wanted && each == wanted)
      return false;
  }
  return true;
}

std::vector<MultiplyLoop> moe::tools::f32Loops() {
  std::vector<MultiplyLoop> loops = {{"multiply, add", 8 * kSums, multiplyF32}};
#if defined(__x86_64__)
  if (isAllowed("avx2") && __builtin_cpu_supports("avx2") &&
      __builtin_cpu_supports("fma"))
    loops.push_back({"FMA, 8 numbers", 16 * kSums, multiplyF32Fma});
  if (isAllowed("avx512") && __builtin_cpu_supports("avx512f"))
    loops.push_back({"FMA, 16 numbers", 32 * kSums, multiplyF32Avx512});
#endif
  return loops;
}

std::vector<MultiplyLoop> moe::tools::int8Loops() {
  std::vector<MultiplyLoop> loops = {
      {"16-bit multiply, add", 16 * kSums, multiplyInt16}};
#if defined(__x86_64__)
  if (isAllowed("avx2") && __builtin_cpu_supports("avx2"))
    loops.push_back({"maddubs, 32 bytes", 64 * kSums, multiplyInt8Avx2});
  if (isAllowed("avx512") && __builtin_cpu_supports("avx512bw"))
    loops.push_back({"maddubs, 64 bytes", 128 * kSums, multiplyInt8Avx512});
  if (isAllowed("avx512vnni") && __builtin_cpu_supports("avxvnni"))
    loops.push_back({"VNNI, 32 bytes", 64 * kSums, multiplyInt8AvxVnni});
  if (isAllowed("avx512vnni") && __builtin_cpu_supports("avx512vnni"))
    loops.push_back({"VNNI, 64 bytes", 128 * kSums, multiplyInt8Avx512Vnni});
#endif
  return loops;
}
