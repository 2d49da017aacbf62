//===- KernelProbe.h - The time of one kernel -------------------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
//   KernelProbe probe("matmul");
//   probe.input({1, 256}).weight(256, 1024, 64).output({1, 1024});
//   StatusOr<double> seconds = probe.seconds();
//
// A weight may have several copies, which the runs read in turn: so many bytes
// are between one use of a byte and the next.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_TOOLS_MOE_RUN_KERNELPROBE_H
#define MOE_TOOLS_MOE_RUN_KERNELPROBE_H

#include "runtime/kernels/Kernel.h"
#include "runtime/plan/Plan_generated.h"

#include <memory>
#include <string>
#include <vector>

namespace moe::tools {

class KernelProbe {
public:
  explicit KernelProbe(const std::string &kernel);
  ~KernelProbe();

  KernelProbe &set(const std::string &name, int64_t value);
  KernelProbe &set(const std::string &name, double value);
  KernelProbe &set(const std::string &name, const std::string &value);
  /// An instruction of an elementwise program over the f32 inputs.
  KernelProbe &instruction(const std::string &op, int a, int b);

  /// An f32 operand of small numbers.
  KernelProbe &input(const std::vector<int64_t> &dims);
  /// An i32 operand that counts modulo `below`.
  KernelProbe &indices(const std::vector<int64_t> &dims, int64_t below);
  KernelProbe &absent();
  /// A packed f32 matrix.
  KernelProbe &weight(int64_t rows, int64_t columns, int64_t copies = 1);
  KernelProbe &output(const std::vector<int64_t> &dims,
                      DType dtype = DType::F32);

  /// The median time of a run in this thread, of about `budget` seconds of
  /// runs. Errors: what the kernel reports.
  StatusOr<double> seconds(double budget = 0.06);

private:
  struct Operand;
  plan::AttributeT &attribute(const std::string &name,
                              plan::AttributeKind kind);
  Operand &add(DType dtype, const std::vector<int64_t> &dims, bool isInput);

  plan::StepT step;
  std::vector<std::unique_ptr<Operand>> operands;
};

} // namespace moe::tools

#endif // MOE_TOOLS_MOE_RUN_KERNELPROBE_H
