//===- WireScanTest.cpp - Tests of WireScan.h -----------------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontend/onnx/WireScan.h"

#include "frontend/onnx/onnx.pb.h"
#include "test/unit/onnx/TempFolder.h"

namespace moe::onnx_import {
namespace {

class WireScanTest : public testing::Test {
protected:
  StatusOr<std::string> scan(const std::string &bytes) {
    this->bytes = bytes;
    auto file = InputFile::open(temp.write("model.onnx", bytes));
    EXPECT_TRUE(file.isOk());
    return scanModel(**file);
  }
  StatusOr<std::string> scan(const onnx::ModelProto &model) {
    return scan(model.SerializeAsString());
  }
  /// Scans a model that must be right, and parses the result.
  onnx::ModelProto parse(const onnx::ModelProto &model) {
    auto scanned = scan(model);
    EXPECT_TRUE(scanned.isOk()) << scanned.status().message();
    onnx::ModelProto result;
    EXPECT_TRUE(result.ParseFromString(*scanned));
    return result;
  }
  /// The bytes of the file that a range names.
  std::string rangeOf(const onnx::TensorProto &tensor) {
    return bytes.substr(tensor.file_range().offset(),
                        tensor.file_range().length());
  }

  TempFolder temp;
  std::string bytes;
};

onnx::TensorProto *addRaw(onnx::GraphProto *graph, size_t count) {
  onnx::TensorProto *tensor = graph->add_initializer();
  tensor->set_name("w");
  tensor->set_data_type(2);
  tensor->add_dims(count);
  std::string data;
  for (size_t i = 0; i < count; ++i)
    data += static_cast<char>(i * 7);
  tensor->set_raw_data(data);
  return tensor;
}

TEST_F(WireScanTest, LeavesWeightsInTheFile) {
  onnx::ModelProto model;
  std::string data = addRaw(model.mutable_graph(), 5000)->raw_data();
  onnx::ModelProto scanned = parse(model);
  const onnx::TensorProto &tensor = scanned.graph().initializer(0);
  EXPECT_FALSE(tensor.has_raw_data());
  EXPECT_EQ(rangeOf(tensor), data);
  EXPECT_FALSE(tensor.file_range().varint());
  EXPECT_EQ(tensor.name(), "w");
  EXPECT_EQ(tensor.dims(0), 5000);
}

TEST_F(WireScanTest, KeepsSmallDataToo) {
  onnx::ModelProto model;
  std::string data = addRaw(model.mutable_graph(), 1024)->raw_data();
  onnx::ModelProto scanned = parse(model);
  EXPECT_EQ(scanned.graph().initializer(0).raw_data(), data);
  EXPECT_EQ(rangeOf(scanned.graph().initializer(0)), data);
}

TEST_F(WireScanTest, FindsTensorsEverywhere) {
  // An attribute of a node in a branch of a node of a function.
  onnx::ModelProto model;
  onnx::NodeProto *node = model.add_functions()->add_node();
  onnx::GraphProto *branch = node->add_attribute()->mutable_g();
  onnx::GraphProto other;
  *branch->add_node()->add_attribute()->mutable_t() = *addRaw(&other, 3000);
  *branch->add_sparse_initializer()->mutable_values() = *addRaw(&other, 3000);
  onnx::ModelProto scanned = parse(model);
  const onnx::GraphProto &found = scanned.functions(0).node(0).attribute(0).g();
  EXPECT_TRUE(found.node(0).attribute(0).t().has_file_range());
  EXPECT_FALSE(found.node(0).attribute(0).t().has_raw_data());
  EXPECT_TRUE(found.sparse_initializer(0).values().has_file_range());
}

TEST_F(WireScanTest, CountsVarints) {
  onnx::ModelProto model;
  onnx::TensorProto *tensor = model.mutable_graph()->add_initializer();
  tensor->set_data_type(7);
  tensor->add_dims(4000);
  for (int i = 0; i < 4000; ++i)
    tensor->add_int64_data(i % 3 == 0 ? -1 : i);
  onnx::ModelProto scanned = parse(model);
  const auto &range = scanned.graph().initializer(0).file_range();
  EXPECT_TRUE(range.varint());
  EXPECT_EQ(range.count(), 4000u);
  EXPECT_EQ(scanned.graph().initializer(0).int64_data_size(), 0);
}

TEST_F(WireScanTest, LeavesFloatsOfTypedFields) {
  onnx::ModelProto model;
  onnx::TensorProto *tensor = model.mutable_graph()->add_initializer();
  for (int i = 0; i < 1000; ++i)
    tensor->add_float_data(i);
  onnx::ModelProto scanned = parse(model);
  const onnx::TensorProto &result = scanned.graph().initializer(0);
  EXPECT_EQ(result.float_data_size(), 0);
  ASSERT_EQ(result.file_range().length(), 4000u);
  float last;
  std::memcpy(&last, rangeOf(result).data() + 3996, 4);
  EXPECT_EQ(last, 999.0f);
}

TEST_F(WireScanTest, DropsWhatNobodyReads) {
  onnx::ModelProto model;
  model.set_doc_string(std::string(100000, 'd'));
  model.mutable_graph()->add_node()->set_doc_string("d");
  auto *entry = model.add_metadata_props();
  entry->set_key("k");
  entry->set_value(std::string(100000, 'v'));
  auto scanned = scan(model);
  ASSERT_TRUE(scanned.isOk());
  EXPECT_LT(scanned->size(), 100u);
}

TEST_F(WireScanTest, IgnoresRangesInTheFile) {
  // A file must not point the importer at bytes of its choice.
  onnx::ModelProto model;
  auto *range = model.mutable_graph()->add_initializer()->mutable_file_range();
  range->set_offset(1);
  range->set_length(2);
  EXPECT_FALSE(parse(model).graph().initializer(0).has_file_range());
}

TEST_F(WireScanTest, RefusesDeepNesting) {
  onnx::ModelProto model;
  onnx::GraphProto *graph = model.mutable_graph();
  for (int i = 0; i < 2000; ++i)
    graph = graph->add_node()->add_attribute()->mutable_g();
  auto scanned = scan(model);
  ASSERT_FALSE(scanned.isOk());
  EXPECT_NE(scanned.status().message().find("deeper than 64"),
            std::string::npos);
}

TEST_F(WireScanTest, RefusesWhatIsNoMessage) {
  for (const std::string &bytes :
       {std::string(), std::string("\x00", 1), std::string("\x3b"),
        std::string("\x3a\x05\x0a"), std::string(20, '\xff'),
        std::string("\x3a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01")}) {
    auto scanned = scan(bytes);
    ASSERT_FALSE(scanned.isOk());
    EXPECT_EQ(scanned.status().code(), StatusCode::BadModel);
  }
}

TEST_F(WireScanTest, EveryTruncationIsRefusedOrParses) {
  onnx::ModelProto model;
  model.set_ir_version(10);
  addRaw(model.mutable_graph(), 2000);
  onnx::NodeProto *node = model.mutable_graph()->add_node();
  node->set_op_type("Add");
  node->add_attribute()->add_ints(3);
  std::string whole = model.SerializeAsString();
  for (size_t size = 0; size < whole.size(); ++size) {
    auto scanned = scan(whole.substr(0, size));
    if (!scanned.isOk())
      continue;
    onnx::ModelProto parsed;
    EXPECT_TRUE(parsed.ParseFromString(*scanned)) << size;
  }
}

TEST_F(WireScanTest, FlippedBitsNeverCrash) {
  onnx::ModelProto model;
  addRaw(model.mutable_graph(), 40);
  model.mutable_graph()->add_node()->add_attribute()->add_ints(3);
  std::string whole = model.SerializeAsString();
  for (size_t bit = 0; bit < 8 * whole.size(); ++bit) {
    std::string flipped = whole;
    flipped[bit / 8] ^= static_cast<char>(1 << bit % 8);
    auto scanned = scan(flipped);
    onnx::ModelProto parsed;
    if (scanned.isOk())
      (void)parsed.ParseFromString(*scanned);
  }
}

} // namespace
} // namespace moe::onnx_import
