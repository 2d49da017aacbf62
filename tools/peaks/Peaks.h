//===- Peaks.h - What the machine can do at most ----------------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Work that reads `bytes` from memory and does `operations` takes at least
//
//   floor = max(bytes / bandwidth, operations / peak)
//
// and this measures the two rates: bandwidth over much more memory than the
// caches hold, peaks in registers. Each is that of the best of several loops,
// because a floor that a kernel can go below is none. On shared machines rates
// change while one watches; a meter can look again next to each measurement.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_TOOLS_PEAKS_PEAKS_H
#define MOE_TOOLS_PEAKS_PEAKS_H

#include "runtime/support/Status.h"
#include "tools/peaks/PeakLoops.h"

#include <memory>
#include <string_view>

namespace moe::tools {

/// The size of the largest cache, as the system tells it, or a guess.
uint64_t lastLevelCacheBytes();
/// So many times the largest cache must pass by before bytes are read again.
inline constexpr uint64_t kCacheFactor = 8;

/// Rates per second of `threads` threads together.
struct Peaks {
  int threads = 1;
  double bandwidth = 0;      ///< bytes read from memory
  double flops = 0;          ///< f32 multiplications and additions
  double int8Operations = 0; ///< the same of 8-bit integers
  /// The loops that reached them.
  std::string_view readLoop, f32Loop, int8Loop;
};

/// What bounds work, and how fast it can be.
struct Floor {
  double seconds = 0;
  bool isMemory = true;

  /// `operations` at the rate `peak`.
  static Floor of(double bytes, double operations, double bandwidth,
                  double peak);
};

class PeakMeter {
public:
  /// With this many threads. Reserves kCacheFactor times the largest cache, at
  /// most a quarter of the machine's memory. Errors: OutOfMemory.
  static StatusOr<std::unique_ptr<PeakMeter>> create(int threads);
  ~PeakMeter();

  /// Bytes that it reserves.
  static uint64_t memoryBytes();
  /// All loops; takes some tenths of a second.
  Peaks measure();
  /// The loops of `peaks` again, for some hundredths of a second.
  Peaks again(const Peaks &peaks);

private:
  struct Impl;
  explicit PeakMeter(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl;
};

/// The larger of each rate.
Peaks best(const Peaks &a, const Peaks &b);

} // namespace moe::tools

#endif // MOE_TOOLS_PEAKS_PEAKS_H
