//===- Support.h - What kernels for CPUs share ------------------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_RUNTIME_KERNELS_CPU_SUPPORT_H
#define MOE_RUNTIME_KERNELS_CPU_SUPPORT_H

#include "runtime/kernels/Kernel.h"
#include "runtime/kernels/cpu/Isa.h"
#include "runtime/support/CheckedMath.h"
#include "runtime/support/ThreadPool.h"

#include <algorithm>
#include <cstdint>
#include <string>

namespace moe::cpu {

/// Base of the kernels: the name for errors, the instruction set, and the
/// checks that a plan, which may be hostile, has to pass.
class CpuKernel : public Kernel {
public:
  CpuKernel(const KernelSpec &spec, const Isa &isa);

protected:
  /// The plan contradicts itself: BadPlan "matmul: <what>".
  Status badPlan(const std::string &what) const;
  /// What this runtime cannot do: Unsupported.
  Status unsupported(const std::string &what) const;
  /// A kernel that needs row-major memory was given something else.
  Status expectContiguous(const TensorView &view, const char *operand) const;
  Status expectDType(const TensorView &view, DType dtype,
                     const char *operand) const;
  Status expectRank(const TensorView &view, int rank,
                    const char *operand) const;
  Status expectSameShape(const TensorView &a, const TensorView &b,
                         const char *what) const;
  Status expectWorkspace(const StepContext &context, size_t bytes) const;
  /// The values of an attribute of expressions; `count` of them.
  StatusOr<std::span<const int64_t>>
  exprs(const StepContext &context, std::string_view name, size_t count) const;
  /// How the `numRanks` of the step's group divide the symbol `part`: the begin
  /// of each rank's part and, last, the whole.
  StatusOr<std::span<const int64_t>> partBegins(const StepContext &context,
                                                std::string_view part,
                                                int numRanks) const;

  const Isa &isa;
  const std::string name;
};

/// Refuses a step with other numbers of operands. Optional operands at the end
/// may be left out.
Status checkOperands(const KernelSpec &spec, size_t minInputs, size_t maxInputs,
                     size_t numOutputs);
/// Input i, or an absent operand.
const TensorView &inputOrAbsent(const KernelArgs &args, size_t i);

std::string shapeText(const TensorView &view);
/// The bytes of a tensor or of block i of a parameter.
const std::byte *blockData(const TensorView &view, size_t i = 0);
/// The elements of an input, which may be a parameter.
template <typename T> const T *dataOf(const TensorView &view) {
  return reinterpret_cast<const T *>(blockData(view));
}
/// Product of dims[from, to).
int64_t productOf(const TensorView &view, int from, int to);
/// An axis that counts from the end brought to [0, rank); -1 if outside.
int normalAxis(int64_t axis, int rank);

/// Cuts a workspace into arrays, each aligned to 64 bytes. Without memory it
/// only counts, so one function serves for planning and for the run:
///
///   Buffers cut(Scratch &scratch, ...) { buffers.a = scratch.take<float>(n);
class Scratch {
public:
  Scratch() = default;
  explicit Scratch(std::span<std::byte> memory)
      : base(memory.data()), capacity(memory.size()) {}

  /// Null while counting, or when the memory is too small.
  template <typename T> T *take(int64_t count) {
    auto bytes = checkedMul(static_cast<uint64_t>(std::max<int64_t>(count, 0)),
                            static_cast<uint64_t>(sizeof(T)));
    auto padded = bytes ? checkedAlignUp(*bytes) : std::nullopt;
    auto end = padded ? checkedAdd(used, *padded) : std::nullopt;
    if (!end) {
      overflow = true;
      return nullptr;
    }
    uint64_t begin = used;
    used = *end;
    return base && used <= capacity ? reinterpret_cast<T *>(base + begin)
                                    : nullptr;
  }
  /// What was taken, or OutOfMemory when it cannot be expressed.
  StatusOr<size_t> bytes() const;
  /// Whether everything that was taken exists.
  bool fits() const { return !overflow && used <= capacity; }

private:
  std::byte *base = nullptr;
  uint64_t capacity = 0;
  uint64_t used = 0;
  bool overflow = false;
};

/// Work below this many operations is not worth waking a thread for.
inline constexpr double kMinParallelWork = 20000;

/// Calls body(item, thread) for every item; in this thread if `work`, the
/// number of operations of all items, is small.
template <typename Body>
void forItems(ThreadPool &pool, int64_t items, double work, Body &&body) {
  if (work > kMinParallelWork && pool.numThreads() > 1)
    return pool.parallelFor(items, body);
  for (int64_t item = 0; item < items; ++item)
    body(item, 0);
}

/// Calls body(begin, end, thread) for parts of [0, count).
template <typename Body>
void forRange(ThreadPool &pool, int64_t count, double workPerItem,
              Body &&body) {
  if (count <= 0)
    return;
  double work = workPerItem * static_cast<double>(count);
  int64_t threads = pool.numThreads();
  if (work <= kMinParallelWork || threads == 1 || count == 1)
    return body(int64_t(0), count, 0);
  int64_t parts = std::min(
      {count, 4 * threads,
       std::max(threads, static_cast<int64_t>(work / kMinParallelWork))});
  int64_t size = (count + parts - 1) / parts;
  pool.parallelFor((count + size - 1) / size, [&](int64_t part, int thread) {
    body(part * size, std::min(count, (part + 1) * size), thread);
  });
}

/// Elements of any of these types, row by row, as f32: out is contiguous.
void convertToF32(ThreadPool &pool, const Isa &isa, const TensorView &view,
                  float *out);

} // namespace moe::cpu

#endif // MOE_RUNTIME_KERNELS_CPU_SUPPORT_H
