//===- Kernel.h - What runs a step ------------------------------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A kernel is made once from a step of the plan (attributes parsed, variants
// chosen, errors reported there) and run many times. It must keep the rules
// that make results independent of ranks, threads and batch:
//
//   * each output element is accumulated over K in one fixed order, whatever
//     the number of rows; threads share outputs, never K;
//   * a row's arithmetic does not depend on its neighbours; tails use the same
//     operations as full tiles.
//
// Kernels of the plan carry the name of the moe operation that they compute
// ("matmul" for moe.matmul) and its attributes under the same names, enums as
// their keyword.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_RUNTIME_KERNELS_KERNEL_H
#define MOE_RUNTIME_KERNELS_KERNEL_H

#include "runtime/comm/Communicator.h"
#include "runtime/support/Status.h"
#include "runtime/support/TensorView.h"

#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace moe::plan {
struct StepT;
struct LayerT;
} // namespace moe::plan

namespace moe {
class ThreadPool;

/// What a step runs with; one for each rank and context.
struct StepContext {
  ThreadPool &pool;
  /// Of the ranks that the step's group names.
  Communicator &comm;
  Counters &counters;
  /// At least what workspaceBytes returned, 64-byte aligned.
  std::span<std::byte> workspace;
  /// Distinguishes this step in collectives; equal on all ranks.
  uint32_t tag = 0;
  /// How ranks divide things: for each LocalPart symbol, the begin of the part
  /// of every rank of its group and, last, the whole.
  const std::map<std::string, std::vector<int64_t>, std::less<>> *parts =
      nullptr;
  /// Values of the scalar expressions of the step ("exprs" attributes), by
  /// attribute name, evaluated for the shapes of this run.
  const std::map<std::string, std::vector<int64_t>, std::less<>> *exprs =
      nullptr;
  /// The data symbols that this step defines: those that occur first in the
  /// dims of its outputs (output by output, dimension by dimension, each once).
  /// Views of outputs come with the bounds as sizes. A kernel that learns the
  /// values stores them here, at most the bound, and writes its outputs row
  /// major by these sizes; the views of later steps then have them. Preset to
  /// the bounds; empty when the caller keeps the bounds.
  std::span<int64_t> dataSizes;
  /// Steps with an attribute node_size: the ranks of `comm` in this rank's node
  /// and those with its place in every node.
  Communicator *insideNode = nullptr;
  Communicator *acrossNodes = nullptr;
};

/// Operands of one run. Absent optional operands have rank -1.
struct KernelArgs {
  std::span<const TensorView> inputs;
  std::span<const TensorView> outputs;
};

class Kernel {
public:
  virtual ~Kernel();
  /// Scratch bytes for operands of at most these shapes (data may be null).
  virtual StatusOr<size_t> workspaceBytes(const KernelArgs &args,
                                          int numThreads) const {
    return size_t(0);
  }
  /// Computes the outputs. Allocates nothing. Errors only for what the values
  /// of inputs cause (an index out of range) and for failed collectives.
  virtual Status run(const KernelArgs &args, StepContext &context) const = 0;
};

/// What a kernel is made from.
struct KernelSpec {
  const plan::StepT &step;
  /// The MoE layer that the step belongs to, or null.
  const plan::LayerT *layer = nullptr;
  /// The place of this rank in the step's group, and the size of the group.
  int rank = 0;
  int numRanks = 1;
};

using KernelFactory =
    std::function<StatusOr<std::unique_ptr<Kernel>>(const KernelSpec &)>;

class KernelRegistry {
public:
  /// `weightLayouts`: the layouts that the kernel reads for weight operands,
  /// best first.
  void add(std::string name, KernelFactory factory,
           std::vector<std::string> weightLayouts = {"row"});
  bool contains(std::string_view name) const;
  StatusOr<std::unique_ptr<Kernel>> create(const KernelSpec &spec) const;
  std::span<const std::string> weightLayouts(std::string_view name) const;
  std::vector<std::string> names() const;

private:
  struct Entry {
    KernelFactory factory;
    std::vector<std::string> weightLayouts;
  };
  std::map<std::string, Entry, std::less<>> entries;
};

/// The kernels for CPUs, variants chosen by what the machine has, or by the
/// environment variable MOE_CPU_ISA: portable, avx2, avx512, avx512vnni.
const KernelRegistry &cpuKernels();

} // namespace moe

#endif // MOE_RUNTIME_KERNELS_KERNEL_H
