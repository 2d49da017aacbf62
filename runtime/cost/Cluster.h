//===- Cluster.h - The machines that a plan runs on -------------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Equal nodes of equal devices; one rank runs on one device. A file describes
// them, in bytes, seconds, bytes per second and flop per second:
//
//   {
//     "nodes": 2,
//     "devices_per_node": 4,
//     "device": {
//       "memory_bytes": 8e9,
//       "memory_bandwidth": 2.2e10,
//       "peak_flops": 1.2e11,
//       "peak_int8": 2.4e11,
//       "caches": [{"bytes": 1e6, "bandwidth": 1.1e11}],
//       "step_overhead": 1e-7,
//       "kernels": {"norm": {"overhead": 5e-8, "per_unit": 3e-10}}
//     },
//     "node": {"memory_bandwidth": 4.3e10},
//     "links": {
//       "inside_node": {"latency": 1e-6, "bandwidth": 1e10, "overhead": 1e-6},
//       "across_nodes": {"latency": 5e-6, "bandwidth": 3e9, "overhead": 1e-6}
//     }
//   }
//
// Everything may be left out; what is missing is that of a core of a server of
// these years. `moe-run calibrate` measures this machine and writes such a
// file.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_RUNTIME_COST_CLUSTER_H
#define MOE_RUNTIME_COST_CLUSTER_H

#include "runtime/support/Status.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace moe::cost {

/// Kinds of work whose time is not that of products; each has its unit.
enum class KernelKind : unsigned char {
  Product,     ///< one element of an activation function
  Attention,   ///< one score: a query with a key, of one head
  Elementwise, ///< one element times one instruction
  Norm,        ///< one element of the operand; softmax and reductions too
  Gate,        ///< one score: a token with an expert
  Move,        ///< one byte that is written; gather, append, combine, ...
};
inline constexpr size_t kNumKernelKinds = 6;
/// "product", "attention", "elementwise", "norm", "gate", "move".
std::string_view toString(KernelKind kind);

/// What a step of a kind takes beside bandwidth and multiplications.
struct KernelCost {
  double overhead = 0; ///< seconds per step
  double perUnit = 0;  ///< seconds per unit, one thread
};

/// What is read again and again from `bytes` in all comes at `bandwidth`.
struct CacheLevel {
  double bytes = 0;
  double bandwidth = 0;
};

/// Rates of one thread.
struct Device {
  /// 0: nobody knows.
  double memoryBytes = 0;
  double memoryBandwidth = 0;
  double peakFlops = 0;
  /// Of products of rows that are rounded to 8 bits. Left out in a file, it is
  /// twice peakFlops: without VNNI less is reached, with it more.
  double peakInt8 = 0;
  /// Rising bytes.
  std::vector<CacheLevel> caches;
  /// Seconds between one step and the next.
  double stepOverhead = 0;
  std::array<KernelCost, kNumKernelKinds> kernels;

  const KernelCost &kernel(KernelKind kind) const {
    return kernels[static_cast<size_t>(kind)];
  }
};

struct Link {
  double latency = 0;   ///< seconds per message
  double bandwidth = 0; ///< bytes per second that a rank sends
  double overhead = 0;  ///< seconds per collective step
};

struct Cluster {
  int64_t nodes = 1;
  /// 0: as many as there are ranks. On one node, more ranks share its devices.
  int64_t devicesPerNode = 0;
  Device device;
  /// Of all devices of a node together.
  double nodeMemoryBandwidth = 0;
  Link insideNode, acrossNodes;

  /// Errors (Usage): several nodes with fewer devices than ranks.
  Status checkRanks(int64_t numRanks) const;
  /// Ranks of a node for so many ranks; 0 if they are on one node.
  int64_t nodeSize(int64_t numRanks) const {
    return nodes > 1 && devicesPerNode < numRanks ? devicesPerNode : 0;
  }
};

/// A node of cores that share its memory, with rates of these years.
Cluster defaultCluster();

/// Reads a description; what it leaves out stays as in defaultCluster().
/// Errors (Usage): no JSON, unknown keys, numbers out of range.
StatusOr<Cluster> parseCluster(std::string_view json);
StatusOr<Cluster> readCluster(const std::string &path);
/// The text of a description file, all keys.
std::string clusterText(const Cluster &cluster);

} // namespace moe::cost

#endif // MOE_RUNTIME_COST_CLUSTER_H
