//===- LargeModelTest.cpp - Models larger than memory ---------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Compiles a model of 20 GB, whose external data are one sparse file, and
// compares the peak memory with that of a tiny model. With
// --gtest_filter=*Embed* the plan is written with its weights (20 GB of disk,
// minutes).
//
//===----------------------------------------------------------------------===//

#include "test/models/generate/ExternalWeight.h"

#include "Tools.h"

#include <gtest/gtest.h>

#include <fcntl.h>
#include <sys/resource.h>

namespace fs = std::filesystem;
using namespace moe::test;
namespace onnx = moe::onnx;

namespace {

constexpr int64_t kExperts = 40;
constexpr int64_t kHidden = 4096;
constexpr int64_t kIntermediate = 8192;
constexpr int64_t kLayers = 2;

/// A graph of com.microsoft MoE nodes whose weights are ranges of weights.bin.
class ModelBuilder {
public:
  ModelBuilder() {
    model.set_ir_version(10);
    addOpset("", 21);
    addOpset("com.microsoft", 1);
    model.mutable_graph()->set_name("large");
    addPort(*model.mutable_graph()->add_input(), "x", kHidden);
    addPort(*model.mutable_graph()->add_input(), "logits", kExperts);
    std::string last = "x";
    for (int64_t layer = 0; layer < kLayers; ++layer)
      last = addLayer(last, layer + 1 == kLayers ? "y" : "h");
    addPort(*model.mutable_graph()->add_output(), "y", kHidden);
  }

  void write(const fs::path &folder) {
    std::ofstream(folder / "model.onnx", std::ios::binary)
        << model.SerializeAsString();
    int file = open((folder / "weights.bin").c_str(), O_CREAT | O_WRONLY, 0600);
    ASSERT_GE(file, 0);
    ASSERT_EQ(ftruncate(file, numBytes), 0);
    close(file);
  }

  int64_t numBytes = 0;

private:
  void addOpset(const std::string &domain, int64_t version) {
    onnx::OperatorSetIdProto *opset = model.add_opset_import();
    opset->set_domain(domain);
    opset->set_version(version);
  }

  void addPort(onnx::ValueInfoProto &port, const std::string &name,
               int64_t columns) {
    port.set_name(name);
    auto *tensor = port.mutable_type()->mutable_tensor_type();
    tensor->set_elem_type(1);
    tensor->mutable_shape()->add_dim()->set_dim_param("tokens");
    tensor->mutable_shape()->add_dim()->set_dim_value(columns);
  }

  std::string addWeight(const std::string &name, int64_t rows,
                        int64_t columns) {
    return addExternalWeight(*model.mutable_graph(), name,
                             {kExperts, rows, columns}, numBytes);
  }

  std::string addLayer(const std::string &input, const std::string &output) {
    onnx::NodeProto *node = model.mutable_graph()->add_node();
    node->set_op_type("MoE");
    node->set_domain("com.microsoft");
    node->set_name("moe_" + output);
    for (const std::string &name :
         {input, std::string("logits"),
          addWeight("fc1_" + output, kIntermediate, kHidden), std::string(),
          addWeight("fc2_" + output, kHidden, kIntermediate)})
      node->add_input(name);
    node->add_output(output);
    onnx::AttributeProto *k = node->add_attribute();
    k->set_name("k");
    k->set_type(onnx::AttributeProto::INT);
    k->set_i(2);
    return output;
  }

  onnx::ModelProto model;
};

class LargeModelTest : public testing::Test {
protected:
  void SetUp() override {
    ModelBuilder builder;
    builder.write(scratch.path);
    ASSERT_GE(builder.numBytes, int64_t(20) << 30);
  }

  /// Compiles a model in a child; returns its peak memory in MiB.
  int64_t peakOf(const fs::path &model, const std::string &weights) {
    std::string plan = scratch.path / "model.moeplan";
    std::string flag = "--weights=" + weights;
    std::string path = model;
    pid_t child = fork();
    if (child == 0) {
      execl(MOE_BIN_DIR "/moe-opt", "moe-opt", path.c_str(), "-o", plan.c_str(),
            "--ranks=4", flag.c_str(), nullptr);
      _exit(127);
    }
    int status = 0;
    rusage usage = {};
    EXPECT_EQ(wait4(child, &status, 0, &usage), child);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    fs::remove(plan);
    return usage.ru_maxrss / 1024;
  }

  fs::path tiny = MOE_MODELS_DIR "/ort/moe_gelu_top1/model.onnx";
  ScratchFolder scratch;
};

TEST_F(LargeModelTest, ReferenceNeedsNoMemoryForWeights) {
  int64_t base = peakOf(tiny, "reference");
  int64_t peak = peakOf(scratch.path / "model.onnx", "reference");
  EXPECT_LE(peak, base + 300) << "tiny model: " << base << " MiB";
  RecordProperty("peak_mib", static_cast<int>(peak));
  RecordProperty("tiny_mib", static_cast<int>(base));
}

TEST_F(LargeModelTest, EmbedNeedsAWindow) {
  int64_t base = peakOf(tiny, "embed");
  int64_t peak = peakOf(scratch.path / "model.onnx", "embed");
  EXPECT_LE(peak, base + 1024) << "tiny model: " << base << " MiB";
  RecordProperty("peak_mib", static_cast<int>(peak));
  RecordProperty("tiny_mib", static_cast<int>(base));
}

} // namespace
