//===- ChromeTrace.cpp - A run for chrome://tracing -----------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/exec/ChromeTrace.h"
#include "runtime/exec/Executable.h"
#include "runtime/io/Json.h"

using namespace moe;
using Json = nlohmann::ordered_json;

std::string moe::chromeTrace(const Model &model,
                             std::span<const StepTime> times) {
  Json events = Json::array();
  int numStreams = model.executable()->numStreams();
  for (int track = 0; track < model.numRanks() * numStreams; ++track) {
    std::string name = "rank " + std::to_string(track / numStreams);
    if (numStreams > 1)
      name += ", stream " + std::to_string(track % numStreams);
    events.push_back({{"ph", "M"},
                      {"name", "thread_name"},
                      {"pid", 0},
                      {"tid", track},
                      {"args", {{"name", name}}}});
  }
  // The format counts in microseconds.
  for (const StepTime &time : times)
    events.push_back(
        {{"ph", "X"},
         {"name", model.stepKernel(time.step)},
         {"pid", 0},
         {"tid", time.rank * numStreams + time.stream},
         {"ts", time.begin / 1e3},
         {"dur", (time.end - time.begin) / 1e3},
         {"args",
          {{"step", time.step}, {"nodes", model.stepNodes(time.step)}}}});
  return jsonText(Json{{"traceEvents", events}, {"displayTimeUnit", "ms"}});
}
