//===- Statistics.cpp - Numbers about runs --------------------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "tools/moe-run/Statistics.h"

#include "tools/common/Table.h"

#include <algorithm>
#include <cmath>
#include <numeric>

using namespace moe;
using namespace moe::tools;

TimeSummary tools::summarize(std::vector<double> times) {
  TimeSummary summary;
  if (times.empty())
    return summary;
  std::sort(times.begin(), times.end());
  auto percentile = [&](double percent) {
    auto rank = static_cast<size_t>(std::ceil(percent / 100 * times.size()));
    return times[std::max<size_t>(rank, 1) - 1];
  };
  summary.min = times.front();
  summary.median = percentile(50);
  summary.p90 = percentile(90);
  summary.p99 = percentile(99);
  auto count = static_cast<double>(times.size());
  summary.mean = std::accumulate(times.begin(), times.end(), 0.0) / count;
  double squares = 0;
  for (double time : times)
    squares += (time - summary.mean) * (time - summary.mean);
  if (summary.mean > 0)
    summary.cov = std::sqrt(squares / count) / summary.mean;
  return summary;
}

nlohmann::ordered_json tools::ranksJson(const Context &context) {
  auto ranks = nlohmann::ordered_json::array();
  for (int rank = 0; rank < context.model().numRanks(); ++rank) {
    Counters counters = context.counters(rank);
    ranks.push_back({{"rank", rank},
                     {"weight_bytes", counters.weightBytes},
                     {"expert_weight_bytes", counters.expertWeightBytes},
                     {"expert_rows", counters.expertRows},
                     {"messages", counters.messages},
                     {"bytes_sent", counters.bytesSent},
                     {"flops", counters.flops}});
  }
  return ranks;
}

std::string tools::ranksTable(const Context &context) {
  Table table({">rank", ">weights", ">of experts", ">expert rows", ">messages",
               ">sent", ">Mflop"});
  for (int rank = 0; rank < context.model().numRanks(); ++rank) {
    Counters counters = context.counters(rank);
    table.addRow({std::to_string(rank), bytesText(counters.weightBytes),
                  bytesText(counters.expertWeightBytes),
                  std::to_string(counters.expertRows),
                  std::to_string(counters.messages),
                  bytesText(counters.bytesSent),
                  fixedText(static_cast<double>(counters.flops) / 1e6, 1)});
  }
  return table.text();
}
