//===- LayerBench.h - Time of one expert layer ------------------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A cell is a number of tokens and a kind of routing. Its floor is
//
//   max((bytes of the experts that have tokens + x + y) / bandwidth,
//       2 * tokens * k * matrices * H * I / peak)
//
// averaged over its runs. The peak is that of f32, or of 8-bit integers where
// rows are rounded to them. Where all weights fit the caches, memory sets no
// floor.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_TOOLS_MOE_RUN_LAYERBENCH_H
#define MOE_TOOLS_MOE_RUN_LAYERBENCH_H

#include "moe/Session.h"
#include "tools/moe-run/LayerCheck.h"
#include "tools/moe-run/LayerRouting.h"
#include "tools/moe-run/LayerSpec.h"
#include "tools/moe-run/Statistics.h"
#include "tools/peaks/Peaks.h"

#include <memory>
#include <vector>

namespace moe::tools {

struct LayerBenchOptions {
  int threads = 0; ///< 0: one for each core
  double seconds = 1;
  uint64_t seed = 0;
  uint64_t memoryLimit = 0; ///< 0: the machine's
};

struct LayerCell {
  int64_t tokens = 0;
  std::string routing;
  size_t runs = 0;
  TimeSummary milliseconds;
  /// Averages over the runs.
  double activeExperts = 0, bytes = 0, operations = 0;
  Floor floor;
  double bandwidth = 0, peak = 0; ///< that the floor is made from
  /// What a run takes beside its steps, the median.
  double overheadMicroseconds = 0;
  /// By step, the median.
  std::vector<double> stepMicroseconds;
  /// Elements of results that were compared.
  size_t numChecked = 0;

  double percentOfFloor() const {
    return milliseconds.median > 0
               ? 100 * floor.seconds * 1e3 / milliseconds.median
               : 0;
  }
  /// Nothing is faster than its floor: then the measurement is wrong.
  bool isPlausible() const { return percentOfFloor() <= 103; }
};

class LayerBench {
public:
  /// Loads the layer and measures the machine. Errors: OutOfMemory for what
  /// does not fit the limit, what loading reports.
  static StatusOr<LayerBench> create(const LayerSpec &spec,
                                     const LayerBenchOptions &options,
                                     int64_t mostTokens);

  /// Errors: Internal for a wrong result, Interrupted.
  StatusOr<LayerCell> measure(int64_t tokens, const RoutingKind &routing);

  const LayerSpec &layer() const { return spec; }
  Context &context() { return *theContext; }
  const Peaks &peaks() const { return lastPeaks; }
  uint64_t weightBytes() const { return expertBytes * spec.allExperts(); }
  /// Whether weights have left the caches when they are needed again.
  bool isCold() const {
    return weightBytes() >= kCacheFactor * lastLevelCacheBytes();
  }

private:
  /// Elements of the result of one run.
  struct Sample {
    size_t run = 0;
    int64_t token = 0;
    std::vector<float> values;
  };
  struct Recorded;

  LayerBench(LayerSpec spec, LayerBenchOptions options)
      : spec(std::move(spec)), options(options) {}

  Status runOnce(int64_t tokens, const std::vector<Routing> &routings,
                 size_t run, Recorded *recorded);
  Status check(int64_t tokens, const std::vector<Routing> &routings,
               const std::vector<Sample> &samples, LayerCell &cell) const;
  StatusOr<StoredExpert> storedExpert(int32_t expert) const;
  std::vector<int64_t> sampledColumns() const;
  void setFloor(LayerCell &cell, const std::vector<Routing> &routings,
                const Peaks &peaks) const;

  LayerSpec spec;
  LayerBenchOptions options;
  uint64_t expertBytes = 0;
  std::shared_ptr<Model> model;
  std::unique_ptr<Context> theContext;
  std::unique_ptr<PeakMeter> meter;
  Peaks lastPeaks;
  std::vector<float> x;
};

} // namespace moe::tools

#endif // MOE_TOOLS_MOE_RUN_LAYERBENCH_H
