//===- Peaks.cpp - What the machine can do at most ------------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "tools/peaks/Peaks.h"

#include "runtime/support/CoreLease.h"
#include "runtime/support/Cores.h"
#include "runtime/support/HugePages.h"
#include "runtime/support/ThreadPool.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>
#include <fstream>
#include <sched.h>
#include <string>
#include <sys/mman.h>
#include <unistd.h>
#include <vector>

using namespace moe;
using namespace moe::tools;

/// What a thread takes at a time, and what is timed: long enough for
/// prefetching to get going, short enough to miss most pauses that others
/// cause.
static constexpr size_t kPieceBytes = 256 << 10;
static constexpr size_t kTimedBytes = 64 << 20;
static constexpr double kTimedSeconds = 5e-4;
/// Times of a loop of which the median counts.
static constexpr size_t kTimes = 20;
static constexpr uint64_t kGuessedCacheBytes = 32 << 20;

//===----------------------------------------------------------------------===//
// Sizes
//===----------------------------------------------------------------------===//

/// "32768K", "1M" or plain bytes; 0 for anything else.
static uint64_t parseCacheSize(const std::string &text) {
  size_t end = 0;
  while (end < text.size() && end < 12 && text[end] >= '0' && text[end] <= '9')
    ++end;
  if (end == 0)
    return 0;
  uint64_t size = std::stoull(text.substr(0, end));
  char unit = end < text.size() ? text[end] : '\0';
  return unit == 'K' ? size << 10 : unit == 'M' ? size << 20 : size;
}

uint64_t tools::lastLevelCacheBytes() {
  uint64_t largest = 0;
  for (int index = 0; index < 8; ++index) {
    std::ifstream file("/sys/devices/system/cpu/cpu0/cache/index" +
                       std::to_string(index) + "/size");
    std::string text;
    if (file >> text)
      largest = std::max(largest, parseCacheSize(text));
  }
#if defined(_SC_LEVEL3_CACHE_SIZE)
  if (long known = sysconf(_SC_LEVEL3_CACHE_SIZE); largest == 0 && known > 0)
    largest = static_cast<uint64_t>(known);
#endif
  return largest > 0 ? largest : kGuessedCacheBytes;
}

uint64_t PeakMeter::memoryBytes() {
  uint64_t wanted = kCacheFactor * lastLevelCacheBytes();
  long pages = sysconf(_SC_PHYS_PAGES), pageBytes = sysconf(_SC_PAGESIZE);
  if (pages > 0 && pageBytes > 0)
    wanted = std::min(wanted, static_cast<uint64_t>(pages) *
                                  static_cast<uint64_t>(pageBytes) / 4);
  return std::max<uint64_t>(wanted / kPieceBytes, 1) * kPieceBytes;
}

//===----------------------------------------------------------------------===//
// The meter
//===----------------------------------------------------------------------===//

/// A core for each thread, the caller's first, or none if there are too few.
static std::vector<int> coresFor(int threads) {
  std::vector<int> cores = coreBudget().allowed;
  if (cores.size() < static_cast<size_t>(threads))
    return {};
#if defined(__linux__)
  auto mine = std::find(cores.begin(), cores.end(), sched_getcpu());
  if (mine != cores.end())
    std::rotate(cores.begin(), mine, cores.end());
#endif
  cores.resize(threads);
  return cores;
}

namespace {
/// Keeps the calling thread on a core, and from that of another thread, while
/// it lives.
class BoundCaller {
public:
  explicit BoundCaller(const std::vector<int> &cores) {
#if defined(__linux__)
    isBound =
        !cores.empty() && sched_getaffinity(0, sizeof(before), &before) == 0;
    if (isBound)
      bindThisThread(cores.front());
#endif
  }
  ~BoundCaller() {
#if defined(__linux__)
    if (isBound)
      (void)sched_setaffinity(0, sizeof(before), &before);
#endif
  }
  BoundCaller(const BoundCaller &) = delete;
  BoundCaller &operator=(const BoundCaller &) = delete;

private:
#if defined(__linux__)
  cpu_set_t before;
  bool isBound = false;
#endif
};
} // namespace

struct PeakMeter::Impl {
  std::vector<int> cores;
  ThreadPool pool;
  std::byte *memory = nullptr;
  size_t bytes = 0;
  std::atomic<uint64_t> sink{0};

  explicit Impl(int threads)
      : cores(coresFor(threads)), pool(threads, cores, /*waitsAwake=*/true) {}
  ~Impl() {
    if (memory)
      munmap(memory, bytes);
  }

  /// The median of the seconds that body(i) takes for i < kTimes.
  template <typename Body> static double seconds(Body body) {
    std::vector<double> times;
    for (size_t i = 0; i < kTimes; ++i) {
      auto begin = std::chrono::steady_clock::now();
      body(i);
      times.push_back(std::chrono::duration<double>(
                          std::chrono::steady_clock::now() - begin)
                          .count());
    }
    auto middle = times.begin() + kTimes / 2;
    std::nth_element(times.begin(), middle, times.end());
    return std::max(*middle, 1e-9);
  }

  double readRate(const ReadLoop &loop) {
    size_t timed = std::min(kTimedBytes, bytes), parts = bytes / timed;
    double each = seconds([&](size_t i) {
      const std::byte *from = memory + i % parts * timed;
      auto body = [&](int64_t piece, int) {
        sink.fetch_xor(loop.run(from + piece * kPieceBytes, kPieceBytes),
                       std::memory_order_relaxed);
      };
      pool.parallelFor(static_cast<int64_t>(timed / kPieceBytes), body);
    });
    return static_cast<double>(timed / kPieceBytes * kPieceBytes) / each;
  }

  double multiplyRate(const MultiplyLoop &loop) {
    // So many rounds as take the time wanted, in pieces that threads share.
    constexpr int64_t kProbe = 500, kPieces = 64;
    double probe = seconds([&](size_t) {
      sink.fetch_xor(loop.run(kProbe), std::memory_order_relaxed);
    });
    double wanted = kTimedSeconds / probe * kProbe / kPieces;
    int64_t rounds = std::max<int64_t>(static_cast<int64_t>(wanted), 1);
    auto body = [&](int64_t, int) {
      sink.fetch_xor(loop.run(rounds), std::memory_order_relaxed);
    };
    int64_t pieces = kPieces * pool.numThreads();
    double each = seconds([&](size_t) { pool.parallelFor(pieces, body); });
    return loop.operations * static_cast<double>(rounds * pieces) / each;
  }
};

PeakMeter::PeakMeter(std::unique_ptr<Impl> impl) : impl(std::move(impl)) {}
PeakMeter::~PeakMeter() = default;

StatusOr<std::unique_ptr<PeakMeter>> PeakMeter::create(int threads) {
  auto impl = std::make_unique<Impl>(threads);
  size_t bytes = memoryBytes();
  void *memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED)
    return Status(StatusCode::OutOfMemory,
                  "no memory for " + std::to_string(bytes) +
                      " bytes to measure the bandwidth with");
  impl->memory = static_cast<std::byte *>(memory);
  impl->bytes = bytes;
  preferHugePages(memory, bytes);
  // Pages that nobody has written are all the same page of zeros.
  auto touch = [&](int64_t piece, int) {
    std::memset(impl->memory + piece * kPieceBytes, 1, kPieceBytes);
  };
  impl->pool.parallelFor(static_cast<int64_t>(bytes / kPieceBytes), touch);
  return std::unique_ptr<PeakMeter>(new PeakMeter(std::move(impl)));
}

/// Measures the loops that are wanted; an empty name wants all of them.
template <typename Loop, typename Measure>
static void takeBest(const std::vector<Loop> &loops, std::string_view wanted,
                     double &rate, std::string_view &name, Measure measure) {
  for (const Loop &loop : loops) {
    if (!wanted.empty() && wanted != loop.name)
      continue;
    double each = measure(loop);
    if (each <= rate)
      continue;
    rate = each;
    name = loop.name;
  }
}

Peaks PeakMeter::again(const Peaks &peaks) {
  BoundCaller bound(impl->cores);
  Peaks result;
  result.threads = impl->pool.numThreads();
  auto multiply = [&](const MultiplyLoop &loop) {
    return impl->multiplyRate(loop);
  };
  takeBest(readLoops(), peaks.readLoop, result.bandwidth, result.readLoop,
           [&](const ReadLoop &loop) { return impl->readRate(loop); });
  takeBest(f32Loops(), peaks.f32Loop, result.flops, result.f32Loop, multiply);
  takeBest(int8Loops(), peaks.int8Loop, result.int8Operations, result.int8Loop,
           multiply);
  return result;
}

Peaks PeakMeter::measure() { return again(Peaks()); }

Peaks tools::best(const Peaks &a, const Peaks &b) {
  Peaks result = a;
  if (b.bandwidth > a.bandwidth) {
    result.bandwidth = b.bandwidth;
    result.readLoop = b.readLoop;
  }
  if (b.flops > a.flops) {
    result.flops = b.flops;
    result.f32Loop = b.f32Loop;
  }
  if (b.int8Operations > a.int8Operations) {
    result.int8Operations = b.int8Operations;
    result.int8Loop = b.int8Loop;
  }
  return result;
}

Floor Floor::of(double bytes, double operations, double bandwidth,
                double peak) {
  double memory = bandwidth > 0 ? bytes / bandwidth : 0;
  double arithmetic = peak > 0 ? operations / peak : 0;
  return {std::max(memory, arithmetic), memory >= arithmetic};
}
