//===- BoundsTest.cpp - Tests of Bounds.h ---------------------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontend/onnx/Bounds.h"

#include "dialect/moe/MoeOps.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Parser/Parser.h"

#include <gtest/gtest.h>

using namespace mlir;

namespace moe::onnx_import {
namespace {

/// The bound of what the body returns.
std::string boundOf(const std::string &body) {
  MLIRContext context;
  context.loadDialect<func::FuncDialect, dialect::MoeDialect>();
  std::string text = "func.func @f(%x: tensor<?x4xi64, #moe.dims<n, 4>>, "
                     "%i: tensor<i64>) {\n" +
                     body + "\nreturn\n}";
  OwningOpRef<ModuleOp> module = parseSourceString<ModuleOp>(text, &context);
  if (!module)
    return "does not parse";
  Block &block = (*module->getOps<func::FuncOp>().begin()).front();
  Operation *last = block.getTerminator()->getPrevNode();
  std::optional<DimExpr> bound = upperBound(last->getResult(0));
  return bound ? bound->toString() : "none";
}

TEST(BoundsTest, Sizes) {
  EXPECT_EQ(boundOf("%0 = moe.shape <n> : tensor<i64>"), "n");
  EXPECT_EQ(boundOf("%0 = moe.constant dense<[3, 8]> : tensor<2xi64> : "
                    "tensor<2xi64>"),
            "8");
  EXPECT_EQ(boundOf("%0 = moe.cast %i : (tensor<i64>) -> tensor<i32>"), "none");
}

// DeepSpeed's capacity, ceil(1.25 * (n / 4)), one more for rounding.
TEST(BoundsTest, CapacityInFloats) {
  EXPECT_EQ(boundOf(R"(
        %0 = moe.shape <n> : tensor<i64>
        %1 = moe.cast %0 : (tensor<i64>) -> tensor<f32>
        %2 = moe.constant dense<4.0> : tensor<f32> : tensor<f32>
        %3 = moe.binary div %1, %2 : (tensor<f32>, tensor<f32>) -> tensor<f32>
        %4 = moe.constant dense<1.25> : tensor<f32> : tensor<f32>
        %5 = moe.binary mul %3, %4 : (tensor<f32>, tensor<f32>) -> tensor<f32>
        %6 = moe.unary ceil %5 : (tensor<f32>) -> tensor<f32>
        %7 = moe.cast %6 : (tensor<f32>) -> tensor<i64>)"),
            "ceildiv(5 * n, 16) + 1");
}

// The largest number of rows of an expert is at most the number of rows.
TEST(BoundsTest, CountsOfOneHot) {
  EXPECT_EQ(boundOf(R"(
        %0 = moe.arg_reduce max %x {axis = 1, keepdims = false}
            : (tensor<?x4xi64, #moe.dims<n, 4>>)
            -> tensor<?xi64, #moe.dims<n>>
        %1 = moe.constant dense<[0, 1]> : tensor<2xi64> : tensor<2xi64>
        %2 = moe.one_hot %0, %1 {axis = 1}
            : (tensor<?xi64, #moe.dims<n>>, tensor<2xi64>)
            -> tensor<?x4xi64, #moe.dims<n, 4>>
        %3 = moe.reduce sum %2 {axes = array<i64: 0>, keepdims = false}
            : (tensor<?x4xi64, #moe.dims<n, 4>>) -> tensor<4xi64>
        %4 = moe.reduce max %3 {axes = array<i64: 0>, keepdims = false}
            : (tensor<4xi64>) -> tensor<i64>)"),
            "n");
}

TEST(BoundsTest, UnknownNumbersHaveNone) {
  EXPECT_EQ(boundOf("%0 = moe.reduce max %x {axes = array<i64: 0>, keepdims = "
                    "false} : (tensor<?x4xi64, #moe.dims<n, 4>>) -> "
                    "tensor<4xi64>"),
            "none");
}

TEST(BoundsTest, MinimumNeedsOneSide) {
  EXPECT_EQ(boundOf(R"(
        %0 = moe.shape <n> : tensor<i64>
        %1 = moe.binary min %i, %0 : (tensor<i64>, tensor<i64>) -> tensor<i64>)"),
            "n");
}

} // namespace
} // namespace moe::onnx_import
