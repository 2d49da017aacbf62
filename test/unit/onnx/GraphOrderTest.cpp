//===- GraphOrderTest.cpp - Tests of GraphOrder.h -------------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontend/onnx/GraphOrder.h"

#include <gtest/gtest.h>

namespace moe::onnx_import {
namespace {

class GraphOrderTest : public testing::Test {
protected:
  onnx::NodeProto *add(std::vector<std::string> inputs,
                       std::vector<std::string> outputs) {
    onnx::NodeProto *node = graph.add_node();
    node->set_op_type("Add");
    for (const std::string &name : inputs)
      node->add_input(name);
    for (const std::string &name : outputs)
      node->add_output(name);
    return node;
  }
  StatusOr<std::vector<int>> order(std::vector<std::string> results) {
    return orderNodes(graph.node(), results,
                      [](const std::string &name) { return name == "x"; });
  }
  void expectError(std::vector<std::string> results, const char *reason) {
    auto found = order(std::move(results));
    ASSERT_FALSE(found.isOk());
    EXPECT_EQ(found.status().code(), StatusCode::BadModel);
    EXPECT_NE(found.status().message().find(reason), std::string::npos)
        << found.status().message();
  }

  onnx::GraphProto graph;
};

TEST_F(GraphOrderTest, KeepsTheOrderOfTheFile) {
  add({"x"}, {"a"});
  add({"x"}, {"b"});
  add({"b", "a"}, {"y"});
  EXPECT_EQ(*order({"y"}), (std::vector<int>{0, 1, 2}));
}

TEST_F(GraphOrderTest, SortsWhatIsNotSorted) {
  add({"b", "a"}, {"y"});
  add({"a"}, {"b"});
  add({"x"}, {"a"});
  EXPECT_EQ(*order({"y"}), (std::vector<int>{2, 1, 0}));
}

TEST_F(GraphOrderTest, LeavesOutWhatNothingNeeds) {
  add({"x"}, {"a"});
  add({"a"}, {"loss"});
  add({"a"}, {"y"});
  EXPECT_EQ(*order({"y"}), (std::vector<int>{0, 2}));
}

TEST_F(GraphOrderTest, SeesWhatBranchesCapture) {
  onnx::NodeProto *branch = add({"x"}, {"y"});
  onnx::GraphProto *inner = branch->add_attribute()->mutable_g();
  onnx::NodeProto *node = inner->add_node();
  node->add_input("a");
  node->add_output("local");
  inner->add_output()->set_name("local");
  add({"x"}, {"a"});
  EXPECT_EQ(*order({"y"}), (std::vector<int>{1, 0}));
}

TEST_F(GraphOrderTest, AbsentInputsNeedNothing) {
  add({"x", "", "x"}, {"", "y"});
  EXPECT_EQ(*order({"y"}), (std::vector<int>{0}));
}

TEST_F(GraphOrderTest, RefusesCycles) {
  add({"x", "b"}, {"a"});
  add({"a"}, {"b"});
  expectError({"b"}, "cycle");
}

TEST_F(GraphOrderTest, RefusesNamesWithoutValue) {
  add({"nothing"}, {"y"});
  expectError({"y"}, "input \"nothing\" has no value");
  graph.Clear();
  expectError({"y"}, "output \"y\" has no value");
}

TEST_F(GraphOrderTest, RefusesValuesWithTwoNodes) {
  add({"x"}, {"y"});
  add({"x"}, {"y"});
  expectError({"y"}, "defined twice");
  graph.Clear();
  add({}, {"x"});
  expectError({"x"}, "defined twice");
}

} // namespace
} // namespace moe::onnx_import
