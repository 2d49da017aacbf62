//===- Statistics.h - Numbers about runs ------------------------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_TOOLS_MOE_RUN_STATISTICS_H
#define MOE_TOOLS_MOE_RUN_STATISTICS_H

#include "moe/Session.h"
#include "runtime/io/Json.h"

#include <chrono>
#include <vector>

namespace moe::tools {

/// Milliseconds since it was made or restarted.
class Stopwatch {
public:
  double milliseconds() const {
    return std::chrono::duration<double, std::milli>(Clock::now() - begin)
        .count();
  }
  double restart() {
    double elapsed = milliseconds();
    begin = Clock::now();
    return elapsed;
  }

private:
  using Clock = std::chrono::steady_clock;
  Clock::time_point begin = Clock::now();
};

/// Of a list of times; all 0 if it is empty.
struct TimeSummary {
  double min = 0, median = 0, p90 = 0, p99 = 0, mean = 0;
  /// Standard deviation by mean.
  double cov = 0;
};
/// Percentiles are those times that so many percent do not exceed.
TimeSummary summarize(std::vector<double> times);

/// [{"rank", "weight_bytes", "expert_weight_bytes", "expert_rows", "messages",
/// "bytes_sent", "flops"}], as the ranks counted them.
nlohmann::ordered_json ranksJson(const Context &context);
/// The same as a table.
std::string ranksTable(const Context &context);

} // namespace moe::tools

#endif // MOE_TOOLS_MOE_RUN_STATISTICS_H
