//===- CalibrateCommand.cpp - moe-run calibrate: this machine in numbers --===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/support/File.h"
#include "tools/common/CommandLine.h"
#include "tools/common/Table.h"
#include "tools/moe-run/Calibration.h"
#include "tools/moe-run/Commands.h"

#include <CLI/CLI.hpp>
#include <cstdio>
#include <unistd.h>

using namespace moe;
using namespace moe::cost;
using namespace moe::tools;

static constexpr char kExamples[] = R"(
examples:
  moe-run calibrate -o cluster.json
  moe-opt model.onnx -o model.moeplan --ranks=2 --cluster=cluster.json
  moe-run bench model.moeplan --cluster cluster.json)";

static std::string giga(double value) { return fixedText(value / 1e9, 1); }
static std::string micro(double value) { return fixedText(value * 1e6, 2); }
static std::string nano(double value) { return fixedText(value * 1e9, 3); }

static void print(const Cluster &cluster) {
  const Device &device = cluster.device;
  std::printf("one thread    %s GFLOP/s, %s of int8, %s GB/s from memory\n",
              giga(device.peakFlops).c_str(), giga(device.peakInt8).c_str(),
              giga(device.memoryBandwidth).c_str());
  for (const CacheLevel &cache : device.caches)
    std::printf("              %s GB/s from %s\n",
                giga(cache.bandwidth).c_str(),
                bytesText(static_cast<uint64_t>(cache.bytes)).c_str());
  std::printf("all threads   %s GB/s from memory\n",
              giga(cluster.nodeMemoryBandwidth).c_str());
  std::printf("exchange      %s us and %s us for each message, %s GB/s\n",
              micro(cluster.insideNode.overhead).c_str(),
              micro(cluster.insideNode.latency).c_str(),
              giga(cluster.insideNode.bandwidth).c_str());
  Table table({"kernels", ">us per step", ">ns per unit"});
  for (size_t kind = 0; kind < kNumKernelKinds; ++kind)
    table.addRow({std::string(toString(static_cast<KernelKind>(kind))),
                  micro(device.kernels[kind].overhead),
                  nano(device.kernels[kind].perUnit)});
  std::printf("%s", table.text(0).c_str());
}

static Status run(const std::string &output) {
  bool showsProgress = isatty(STDERR_FILENO);
  StatusOr<Cluster> cluster = calibrate([&](std::string_view what) {
    if (showsProgress)
      std::fprintf(stderr, "\r\033[Kmeasuring %.*s",
                   static_cast<int>(what.size()), what.data());
  });
  if (showsProgress)
    std::fprintf(stderr, "\r\033[K");
  MOE_RETURN_IF_ERROR(cluster.status());
  if (!output.empty()) {
    std::string text = clusterText(*cluster);
    MOE_RETURN_IF_ERROR(writeWholeFile(output, std::as_bytes(std::span(text))));
  }
  print(*cluster);
  return flushOutput();
}

int tools::calibrateCommand(const std::vector<std::string> &words) {
  CLI::App app("Measures this machine for the cost model. Other work on it "
               "makes the numbers wrong.",
               "moe-run calibrate");
  std::string output;
  app.add_option("-o,--output", output, "Cluster file to write");
  app.footer(kExamples);
  if (std::optional<int> exitCode = parseCommandLine(app, words))
    return *exitCode;
  Status status = run(output);
  return status.isOk() ? 0 : reportError("moe-run calibrate", status);
}
