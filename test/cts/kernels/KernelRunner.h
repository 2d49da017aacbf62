//===- KernelRunner.h - One step on given tensors ---------------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Tests describe a step and its operands; the runner makes the kernel, plans
// its workspace, fills result and workspace with garbage, and runs it:
//
//   Tensor y = Tensor::zeros(DType::F32, {2, 3});
//   runner.step("softmax").with("axis", 1).run({&x}, {&y});
//
//===----------------------------------------------------------------------===//

#ifndef MOE_TEST_CTS_KERNELS_KERNELRUNNER_H
#define MOE_TEST_CTS_KERNELS_KERNELRUNNER_H

#include "runtime/kernels/Kernel.h"
#include "runtime/kernels/cpu/Isa.h"
#include "runtime/plan/Plan_generated.h"
#include "runtime/support/ThreadPool.h"

#include <gtest/gtest.h>

#include <cstring>
#include <optional>
#include <random>

namespace moe::test {

/// A tensor with its memory. `view` may be changed to make strided operands.
struct Tensor {
  std::vector<std::byte> bytes;
  std::vector<std::vector<std::byte>> blockBytes;
  std::vector<BlockView> blocks;
  TensorView view;

  static Tensor zeros(DType dtype, std::vector<int64_t> dims);
  template <typename T>
  static Tensor of(DType dtype, std::vector<int64_t> dims,
                   const std::vector<T> &values) {
    Tensor result = zeros(dtype, std::move(dims));
    EXPECT_EQ(values.size() * sizeof(T), result.bytes.size());
    if (!values.empty())
      std::memcpy(result.bytes.data(), values.data(), result.bytes.size());
    return result;
  }
  static Tensor f32(std::vector<int64_t> dims, const std::vector<float> &v) {
    return of(DType::F32, std::move(dims), v);
  }
  static Tensor i32(std::vector<int64_t> dims, const std::vector<int32_t> &v) {
    return of(DType::I32, std::move(dims), v);
  }
  static Tensor i64(std::vector<int64_t> dims, const std::vector<int64_t> &v) {
    return of(DType::I64, std::move(dims), v);
  }
  /// Normal numbers; integers in [-9, 9], or [0, 9] if unsigned.
  static Tensor random(DType dtype, std::vector<int64_t> dims,
                       std::mt19937 &rng, float scale = 1);
  static Tensor absent();

  Tensor() = default;
  Tensor(const Tensor &other) { *this = other; }
  Tensor &operator=(const Tensor &other);

  /// Element i in row-major order of the view, whatever its strides.
  double at(int64_t i) const;
  void set(int64_t i, double value);
  int64_t size() const { return view.numElements(); }
  template <typename T> std::vector<T> values() const {
    std::vector<T> result(bytes.size() / sizeof(T));
    std::memcpy(result.data(), bytes.data(), bytes.size());
    return result;
  }
  /// The same values with dimensions in another order in memory.
  Tensor strided(std::vector<int> memoryOrder) const;
  /// The same elements in another type.
  Tensor as(DType dtype) const;
  /// A parameter in the layout of the products: of rank 2, or of rank 3 with a
  /// block for each expert.
  Tensor packed() const;
  /// A parameter with a row-major block for each first index.
  Tensor inBlocks() const;
};

/// Rows [0, count) of a matrix of f32, contiguous.
Tensor firstRows(const Tensor &matrix, int64_t count);

/// Where a test runs.
struct Machine {
  std::string isa;
  int threads;
};
std::vector<Machine> allMachines();
inline void PrintTo(const Machine &machine, std::ostream *stream) {
  *stream << machine.isa << " with " << machine.threads << " threads";
}
std::string machineName(const testing::TestParamInfo<Machine> &info);

/// A kernel with its operands and memory, to be run many times. The runner and
/// the tensors must outlive it.
class PreparedStep {
public:
  Status run();
  /// Whether the bytes behind the workspace were left alone.
  bool isGuardIntact() const;

private:
  friend class KernelRunner;
  std::unique_ptr<plan::StepT> step;
  std::unique_ptr<Kernel> kernel;
  std::vector<TensorView> inputs, outputs;
  std::vector<std::byte> memory;
  std::optional<StepContext> context;
};

class KernelRunner {
public:
  explicit KernelRunner(const Machine &machine);

  /// Begins a new step.
  KernelRunner &step(const std::string &kernel);
  KernelRunner &with(const std::string &name, int64_t value);
  KernelRunner &with(const std::string &name, int value) {
    return with(name, static_cast<int64_t>(value));
  }
  KernelRunner &with(const std::string &name, double value);
  KernelRunner &with(const std::string &name, const char *value);
  KernelRunner &withInts(const std::string &name, std::vector<int64_t> values);
  KernelRunner &withExprs(const std::string &name, std::vector<int64_t> values);
  KernelRunner &instr(const std::string &op, DType type, int a = -1, int b = -1,
                      int c = -1, double constant = 0);
  KernelRunner &results(std::vector<int> registers);
  /// The next run learns this many data symbols.
  KernelRunner &learning(std::vector<int64_t> bounds);

  StatusOr<std::unique_ptr<PreparedStep>>
  prepare(const std::vector<const Tensor *> &inputs,
          const std::vector<Tensor *> &outputs);
  Status tryRun(const std::vector<const Tensor *> &inputs,
                const std::vector<Tensor *> &outputs);
  void run(const std::vector<const Tensor *> &inputs,
           const std::vector<Tensor *> &outputs) {
    Status status = tryRun(inputs, outputs);
    ASSERT_TRUE(status.isOk()) << status.message();
  }

  /// For steps of a rank; by default there is one.
  KernelRunner &onRank(Communicator &communicator, const plan::LayerT *layer);
  KernelRunner &
  withParts(std::map<std::string, std::vector<int64_t>, std::less<>> parts);
  /// Communicators of the hierarchical form.
  KernelRunner &withNodes(Communicator *inside, Communicator *across);

  /// What the communicator of onRank sent.
  const Counters &communicatorCounters() { return communicator->counters(); }

  std::vector<int64_t> dataSizes;
  Counters counters;
  std::mt19937 rng{7};

private:
  plan::AttributeT &attribute(const std::string &name,
                              plan::AttributeKind kind);

  KernelRegistry registry;
  ThreadPool pool;
  std::vector<std::unique_ptr<Communicator>> single;
  Communicator *communicator;
  Communicator *insideNode = nullptr, *acrossNodes = nullptr;
  const plan::LayerT *layer = nullptr;
  std::unique_ptr<plan::StepT> current;
  std::map<std::string, std::vector<int64_t>, std::less<>> exprs, parts;
};

/// Tests that run once on every machine.
class KernelTest : public testing::TestWithParam<Machine> {
protected:
  KernelRunner runner{GetParam()};
  std::mt19937 rng{42};
};
#define MOE_ON_ALL_MACHINES(suite)                                             \
  INSTANTIATE_TEST_SUITE_P(Machines, suite,                                    \
                           testing::ValuesIn(::moe::test::allMachines()),      \
                           ::moe::test::machineName)

/// |found - expected| <= atol + rtol * |expected| for all elements; equal
/// infinities and NaNs agree.
void expectClose(const Tensor &found, const Tensor &expected, double rtol,
                 double atol = 0);
/// The same bytes.
void expectEqual(const Tensor &found, const Tensor &expected);

} // namespace moe::test

#endif // MOE_TEST_CTS_KERNELS_KERNELRUNNER_H
