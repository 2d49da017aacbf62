//===- TestProgram.h - Plans written by hand --------------------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
//   TestProgram p(/*numRanks=*/2);
//   p.input("x", {"batch", "4"}, "batch");
//   int x = p.inputBuffer(0, {"batch.local", "4"});
//   ...
//   std::shared_ptr<Model> model = p.finish();
//
//===----------------------------------------------------------------------===//

#ifndef MOE_TEST_UNIT_EXEC_TESTPROGRAM_H
#define MOE_TEST_UNIT_EXEC_TESTPROGRAM_H

#include "moe/Session.h"
#include "runtime/exec/Executable.h"

#include <gtest/gtest.h>

namespace moe::test {

/// Kernels that tests use; see TestKernels.cpp.
const KernelRegistry &testKernels();

class TestProgram {
public:
  using Dims = std::vector<std::string>;

  explicit TestProgram(int numRanks, int tp = 1);

  uint32_t expr(const std::string &text);
  std::vector<uint32_t> exprs(const Dims &dims);
  /// An input symbol that is read from dims[axis] of an input.
  void symbol(const std::string &name, int input, int axis,
              int64_t defaultMax = 0);
  /// "NAME.local", this rank's part of `whole`.
  void localPart(const std::string &name, const std::string &whole,
                 plan::Group group = plan::Group_Rows);
  void dataSymbol(const std::string &name, const std::string &bound);

  /// Ports; `part` names the local symbol that divides axis `partAxis`.
  int input(const std::string &name, const Dims &dims,
            const std::string &part = "", int partAxis = 0);
  int output(const std::string &name, const Dims &dims,
             const std::string &part = "", int partAxis = 0);
  /// Divides a port or state along a second axis.
  template <typename T>
  void slice(T &tensor, const std::string &part, int axis) {
    tensor.slice_axis = axis;
    tensor.slice_part = findSymbol(part);
  }
  int state(const std::string &name, const Dims &dims, int axis,
            const std::string &length, const std::string &part);

  int buffer(plan::BufferKind kind, int index, const Dims &dims);
  int inputBuffer(int port, const Dims &dims);
  int outputBuffer(int port, const Dims &dims);
  int arena(const Dims &dims);
  int view(int base, const Dims &dims);

  plan::StepT &step(const std::string &kernel, std::vector<int> inputs,
                    std::vector<int> outputs);
  /// A step of stream 1 that records the event of its number; returns that.
  uint32_t sideStep(const std::string &kernel, std::vector<int> inputs,
                    std::vector<int> outputs);

  int32_t findSymbol(const std::string &name) const;

  /// The blocks of one parameter that a rank holds.
  using ParamLoader = std::function<ParamBlocks(int rank, uint32_t param,
                                                std::string_view layout)>;
  /// Fills in lifetimes, verifies and makes the model.
  std::shared_ptr<Model> finish(ParamLoader loadParam = nullptr,
                                const KernelRegistry &kernels = testKernels());

  plan::ProgramT program;

private:
  int32_t addPort(std::vector<std::unique_ptr<plan::PortT>> &ports,
                  const std::string &name, const Dims &dims,
                  const std::string &part, int partAxis);
  void setLifetimes();
};

/// A program of one step, `kernel`, on rows of x [batch, 4] that ranks divide;
/// y has the same shape.
std::shared_ptr<Model> rowsModel(int numRanks, const std::string &kernel,
                                 int64_t defaultMax = 0);

/// 0, 1, 2 ... plus `first`.
std::vector<float> counting(int64_t count, float first = 0);

/// The floats of an output; fails if it does not exist.
std::vector<float> floatsOf(std::span<const Output> outputs,
                            std::string_view name);

std::unique_ptr<Context> contextOf(std::shared_ptr<Model> model,
                                   const ContextOptions &options = {});

/// The error of a run that must fail.
Status errorOf(Context &context, std::span<const Input> inputs,
               const RunOptions &options = {});

/// An f32 input.
Input floats(std::string_view name, const std::vector<int64_t> &dims,
             const std::vector<float> &data);

} // namespace moe::test

#endif // MOE_TEST_UNIT_EXEC_TESTPROGRAM_H
