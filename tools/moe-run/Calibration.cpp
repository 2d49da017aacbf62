//===- Calibration.cpp - Measures what the cost model needs ---------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// With the kernels themselves, because a rate that no kernel reaches predicts
// nothing. Each number comes from a step that little else decides:
//
//   bandwidth       reading (tools/peaks), and from caches one row times
//                   matrices that are read in turn
//   peak            many rows times a matrix in the cache; of int8 as much
//                   more as the machine can do
//   overhead        a step on a handful of elements
//   time per unit   a step on many, without what the numbers above explain
//
//===----------------------------------------------------------------------===//

#include "tools/moe-run/Calibration.h"

#include "runtime/comm/Communicator.h"
#include "runtime/support/Cores.h"
#include "tools/common/Signals.h"
#include "tools/moe-run/KernelProbe.h"
#include "tools/moe-run/Statistics.h"
#include "tools/peaks/Peaks.h"

#include <algorithm>
#include <atomic>
#include <thread>
#include <unistd.h>

using namespace moe;
using namespace moe::cost;
using namespace moe::tools;

static constexpr int64_t kDepth = 256, kColumns = 1024;
static constexpr double kMatrixBytes = 4.0 * kDepth * kColumns;
/// Beyond any cache that one core may fill.
static constexpr double kMemoryBytes = 256 << 20;

namespace {

class Calibrator {
public:
  explicit Calibrator(const std::function<void(std::string_view)> &progress)
      : progress(progress), cluster(defaultCluster()), device(cluster.device) {}

  StatusOr<Cluster> run() {
    using Part = Status (Calibrator::*)();
    constexpr std::pair<const char *, Part> kParts[] = {
        {"products", &Calibrator::products},
        {"bandwidth", &Calibrator::bandwidths},
        {"shared bandwidth", &Calibrator::sharedBandwidth},
        {"attention", &Calibrator::attention},
        {"other kernels", &Calibrator::kernels},
        {"links", &Calibrator::links}};
    for (auto [name, part] : kParts) {
      MOE_RETURN_IF_ERROR(interruption());
      progress(name);
      MOE_RETURN_IF_ERROR((this->*part)());
    }
    cluster.devicesPerNode = numCores;
    device.memoryBytes = static_cast<double>(sysconf(_SC_PHYS_PAGES)) *
                         static_cast<double>(sysconf(_SC_PAGE_SIZE)) / numCores;
    return cluster;
  }

private:
  Status products();
  Status bandwidths();
  Status sharedBandwidth();
  Status attention();
  Status kernels();
  Status links();

  KernelCost &kernel(KernelKind kind) {
    return device.kernels[static_cast<size_t>(kind)];
  }
  /// Overhead and time per unit from a small and a large step.
  Status setKernel(KernelKind kind, KernelProbe &small, KernelProbe &large,
                   double units);

  const std::function<void(std::string_view)> &progress;
  Cluster cluster;
  Device &device;
  int numCores = coreBudget().numThreads();
};

} // namespace

/// Bytes per second of one row times matrices of `bytes` in all.
static StatusOr<double> readRate(double bytes, double budget) {
  KernelProbe probe("matmul");
  // Small matrices for small caches, so that there are several.
  int64_t columns = bytes < 4 * kMatrixBytes ? kColumns / 8 : kColumns;
  double matrix = 4.0 * kDepth * static_cast<double>(columns);
  auto copies = std::max<int64_t>(2, static_cast<int64_t>(bytes / matrix));
  probe.input({1, kDepth}).weight(kDepth, columns, copies);
  probe.output({1, columns});
  MOE_ASSIGN_OR_RETURN(double seconds, probe.seconds(budget));
  return matrix / seconds;
}

/// What threads can do together.
static StatusOr<Peaks> peaksOf(int threads) {
  MOE_ASSIGN_OR_RETURN(std::unique_ptr<PeakMeter> meter,
                       PeakMeter::create(threads));
  return meter->measure();
}

Status Calibrator::products() {
  constexpr int64_t kRows = 192, kInner = 512;
  KernelProbe tiny("matmul");
  tiny.input({1, 16}).weight(16, 16).output({1, 16});
  MOE_ASSIGN_OR_RETURN(kernel(KernelKind::Product).overhead, tiny.seconds());
  KernelProbe large("matmul");
  large.input({kRows, kInner}).weight(kInner, kInner).output({kRows, kInner});
  MOE_ASSIGN_OR_RETURN(double seconds, large.seconds(0.2));
  device.peakFlops = 2.0 * kRows * kInner * kInner / seconds;
  KernelProbe ffn("ffn");
  ffn.set("activation", std::string("gelu_erf"));
  ffn.input({kRows, 64}).weight(64, 2048).absent().weight(2048, 64).absent();
  ffn.output({kRows, 64});
  MOE_ASSIGN_OR_RETURN(double both, ffn.seconds());
  double products = 2.0 * kRows * 64 * 2048 * 2 / device.peakFlops;
  kernel(KernelKind::Product).perUnit =
      std::max(0.0, both - products) / (kRows * 2048);
  return Status::ok();
}

Status Calibrator::bandwidths() {
  MOE_ASSIGN_OR_RETURN(Peaks peaks, peaksOf(1));
  device.memoryBandwidth = peaks.bandwidth;
  // Kernels come about as close to either peak.
  device.peakInt8 = device.peakFlops * peaks.int8Operations / peaks.flops;
  long known = sysconf(_SC_LEVEL2_CACHE_SIZE);
  double first = known > 0 ? static_cast<double>(known) : 1 << 20;
  device.caches.clear();
  std::vector<double> sizes = {0.75 * first};
  for (double size = 4 << 20; size < kMemoryBytes; size *= 2)
    if (size > 1.5 * first)
      sizes.push_back(size);
  for (double size : sizes) {
    MOE_ASSIGN_OR_RETURN(double rate, readRate(size, 0.06));
    // Caches end where memory begins.
    if (rate < 1.15 * device.memoryBandwidth)
      break;
    device.caches.push_back({size, rate});
  }
  return Status::ok();
}

Status Calibrator::sharedBandwidth() {
  MOE_ASSIGN_OR_RETURN(Peaks all, peaksOf(numCores));
  cluster.nodeMemoryBandwidth = std::max(all.bandwidth, device.memoryBandwidth);
  return Status::ok();
}

Status Calibrator::attention() {
  auto probe = [](int64_t heads, int64_t queries, int64_t keys, int64_t depth) {
    KernelProbe result("attention");
    result.set("scale", 0.1).input({1, heads, queries, depth});
    result.input({1, heads, keys, depth}).input({1, heads, keys, depth});
    result.output({1, heads, queries, depth});
    return result.seconds();
  };
  KernelCost &cost = kernel(KernelKind::Attention);
  MOE_ASSIGN_OR_RETURN(cost.overhead, probe(1, 1, 1, 16));
  constexpr double kScores = 8.0 * 64 * 64, kHead = 32;
  MOE_ASSIGN_OR_RETURN(double seconds, probe(8, 64, 64, 32));
  double products = 2 * kScores * 2 * kHead / device.peakFlops;
  cost.perUnit = std::max(0.0, seconds - cost.overhead - products) / kScores;
  return Status::ok();
}

Status Calibrator::setKernel(KernelKind kind, KernelProbe &small,
                             KernelProbe &large, double units) {
  KernelCost &cost = kernel(kind);
  MOE_ASSIGN_OR_RETURN(cost.overhead, small.seconds(0.03));
  MOE_ASSIGN_OR_RETURN(double seconds, large.seconds());
  cost.perUnit = std::max(0.0, seconds - cost.overhead) / units;
  return Status::ok();
}

Status Calibrator::kernels() {
  auto add = [](KernelProbe &probe, int64_t rows, int64_t columns) {
    probe.input({rows, columns}).input({rows, columns});
    probe.output({rows, columns}).instruction("add", 0, 1);
  };
  KernelProbe fewAdds("elementwise"), adds("elementwise");
  add(fewAdds, 1, 8);
  add(adds, 64, 512);
  MOE_RETURN_IF_ERROR(
      setKernel(KernelKind::Elementwise, fewAdds, adds, 64 * 512));

  auto norm = [](KernelProbe &probe, int64_t rows, int64_t columns) {
    probe.set("kind", std::string("layer")).set("axis", int64_t(1));
    probe.set("epsilon", 1e-5).input({rows, columns}).input({columns});
    probe.input({columns}).output({rows, columns});
  };
  KernelProbe fewNorms("norm"), norms("norm");
  norm(fewNorms, 1, 8);
  norm(norms, 64, 512);
  MOE_RETURN_IF_ERROR(setKernel(KernelKind::Norm, fewNorms, norms, 64 * 512));

  auto gate = [](KernelProbe &probe, int64_t tokens, int64_t experts) {
    probe.set("k", int64_t(2)).input({tokens, experts});
    probe.absent().absent().absent().absent();
    probe.output({tokens, 2}).output({tokens, 2}, DType::I32);
  };
  KernelProbe fewGates("gate"), gates("gate");
  gate(fewGates, 1, 2);
  gate(gates, 256, 16);
  MOE_RETURN_IF_ERROR(setKernel(KernelKind::Gate, fewGates, gates, 256 * 16));

  auto gather = [](KernelProbe &probe, int64_t rows, int64_t columns) {
    probe.set("axis", int64_t(0)).input({512, columns}).indices({rows}, 512);
    probe.output({rows, columns});
  };
  KernelProbe fewRows("gather"), rows("gather");
  gather(fewRows, 1, 8);
  gather(rows, 256, 256);
  return setKernel(KernelKind::Move, fewRows, rows, 256 * 256 * 4);
}

//===----------------------------------------------------------------------===//
// Links
//===----------------------------------------------------------------------===//

/// Seconds of one exchange in which each of `numRanks` threads sends `bytes`
/// to each other one.
static StatusOr<double> exchangeSeconds(int numRanks, size_t bytes, int runs) {
  auto comms = createThreadCommunicators(numRanks, std::chrono::seconds(30));
  std::vector<Status> statuses(numRanks);
  std::vector<double> times(numRanks);
  auto rankBody = [&](int rank) -> Status {
    std::vector<std::byte> from(bytes * numRanks), to(bytes * numRanks);
    std::vector<SendBlock> send;
    std::vector<RecvBlock> receive;
    for (int other = 0; other < numRanks; ++other) {
      send.push_back({from.data() + other * bytes, bytes});
      receive.push_back({to.data() + other * bytes, bytes});
    }
    std::vector<double> batches;
    for (int batch = 0; batch < 9; ++batch) {
      Stopwatch watch;
      for (int i = 0; i < runs; ++i)
        MOE_RETURN_IF_ERROR(comms[rank]->allToAllV(send, receive, 0));
      batches.push_back(watch.milliseconds() / 1e3 / runs);
    }
    // Ranks that the system puts aside make all others wait: the best batch
    // is the one without.
    times[rank] = summarize(batches).min;
    return Status::ok();
  };
  std::vector<std::thread> threads;
  for (int rank = 0; rank < numRanks; ++rank)
    threads.emplace_back([&, rank] {
      statuses[rank] = rankBody(rank);
      if (!statuses[rank].isOk())
        comms[rank]->abort(statuses[rank]);
    });
  for (std::thread &thread : threads)
    thread.join();
  for (const Status &status : statuses)
    MOE_RETURN_IF_ERROR(status);
  return *std::max_element(times.begin(), times.end());
}

Status Calibrator::links() {
  constexpr size_t kSmall = 64, kLarge = 1 << 20;
  if (numCores < 2)
    return Status::ok(); // Nothing to measure: the guesses stay.
  Link &link = cluster.insideNode;
  MOE_ASSIGN_OR_RETURN(double pair, exchangeSeconds(2, kSmall, 2000));
  MOE_ASSIGN_OR_RETURN(double large, exchangeSeconds(2, kLarge, 40));
  link.bandwidth =
      kLarge / std::max(large - pair, kLarge / (1000 * link.bandwidth));
  // What more ranks add are messages.
  int many = std::min(numCores, 8);
  double more = pair;
  if (many > 2) {
    MOE_ASSIGN_OR_RETURN(more, exchangeSeconds(many, kSmall, 1000));
  }
  link.latency =
      many > 2 ? std::max(0.05 * pair, (more - pair) / (many - 2)) : pair / 4;
  link.overhead = std::max(0.0, pair - link.latency);
  return Status::ok();
}

StatusOr<Cluster>
tools::calibrate(const std::function<void(std::string_view)> &progress) {
  return Calibrator(progress).run();
}
