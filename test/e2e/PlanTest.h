//===- PlanTest.h - Compiling and running trained models --------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_TEST_E2E_PLANTEST_H
#define MOE_TEST_E2E_PLANTEST_H

#include "Tools.h"

#include "runtime/io/Npz.h"

#include <gtest/gtest.h>

#include <cstring>
#include <map>

namespace moe::test {

inline const std::filesystem::path kModels = MOE_MODELS_DIR "/prmoe";

class PlanTest : public testing::Test {
protected:
  /// Compiles a model of test/models/prmoe, or the one in a folder; returns
  /// the path of the plan.
  std::string compile(const char *model, int ranks,
                      std::vector<std::string> more = {}) {
    return compile(kModels / model, ranks, std::move(more));
  }
  std::string compile(const std::filesystem::path &folder, int ranks,
                      std::vector<std::string> more = {}) {
    std::string plan =
        scratch.path / (folder.filename().string() + std::to_string(ranks) +
                        std::to_string(numPlans++) + ".moeplan");
    std::vector<std::string> args = {folder / "model.onnx", "-o", plan,
                                     "--ranks=" + std::to_string(ranks)};
    args.insert(args.end(), more.begin(), more.end());
    Outcome outcome = runTool("moe-opt", args, scratch.path);
    EXPECT_EQ(outcome.exitCode, 0) << outcome.errors;
    return plan;
  }

  /// Runs a plan; returns all outputs by name.
  std::map<std::string, moe::HostTensor>
  run(const std::string &plan, const std::string &inputs, int threads,
      const std::vector<std::string> &more = {}) {
    return runWith(plan, {"--inputs", inputs}, threads, more);
  }
  /// The same on inputs that moe-run makes, of a shape as in "tokens=8".
  std::map<std::string, moe::HostTensor>
  runMade(const std::string &plan, const std::string &shape, int threads) {
    return runWith(plan, {"--shape", shape}, threads, {});
  }

private:
  std::map<std::string, moe::HostTensor>
  runWith(const std::string &plan, std::vector<std::string> args, int threads,
          const std::vector<std::string> &more) {
    std::string outputs = scratch.path / "outputs.npz";
    args.insert(args.begin(), plan);
    args.insert(args.end(),
                {"--outputs", outputs, "--threads", std::to_string(threads)});
    args.insert(args.end(), more.begin(), more.end());
    Outcome outcome = runTool("moe-run", args, scratch.path);
    EXPECT_EQ(outcome.exitCode, 0) << outcome.errors;
    std::map<std::string, moe::HostTensor> tensors;
    auto read = moe::readNpz(outputs);
    EXPECT_TRUE(read.isOk()) << read.status().message();
    if (read.isOk())
      for (moe::HostTensor &tensor : *read)
        tensors.emplace(tensor.name(), std::move(tensor));
    return tensors;
  }

protected:
  ScratchFolder scratch;
  int numPlans = 0;
};

using Tensors = std::map<std::string, moe::HostTensor>;

/// Rows [begin, begin + count) of the first dimension.
inline moe::HostTensor rowsOf(const moe::HostTensor &tensor, int64_t begin,
                              int64_t count) {
  std::vector<int64_t> dims = tensor.dims();
  size_t rowBytes = tensor.bytes().size() / dims[0];
  dims[0] = count;
  moe::HostTensor rows =
      *moe::HostTensor::create(tensor.name(), tensor.dtype(), dims);
  memcpy(rows.bytes().data(), tensor.bytes().data() + begin * rowBytes,
         count * rowBytes);
  return rows;
}

inline void expectSameBits(const Tensors &found, const Tensors &expected) {
  ASSERT_EQ(found.size(), expected.size());
  for (const auto &[name, tensor] : expected) {
    auto other = found.find(name);
    ASSERT_NE(other, found.end()) << name;
    ASSERT_EQ(other->second.dims(), tensor.dims()) << name;
    EXPECT_EQ(memcmp(other->second.bytes().data(), tensor.bytes().data(),
                     tensor.bytes().size()),
              0)
        << name;
  }
}

} // namespace moe::test

#endif // MOE_TEST_E2E_PLANTEST_H
