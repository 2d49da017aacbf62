//===- HostTensorTest.cpp - A named tensor that owns its memory -----------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/io/HostTensor.h"

#include <gtest/gtest.h>

#include <limits>

using namespace moe;

static HostTensor make(DType dtype, std::vector<int64_t> dims) {
  StatusOr<HostTensor> tensor = HostTensor::create("x", dtype, std::move(dims));
  EXPECT_TRUE(tensor.isOk()) << tensor.status().message();
  return *std::move(tensor);
}

TEST(HostTensorTest, IsAlignedAndZero) {
  HostTensor tensor = make(DType::F32, {3, 5});
  EXPECT_EQ(reinterpret_cast<uintptr_t>(tensor.bytes().data()) % 64, 0u);
  EXPECT_EQ(tensor.numElements(), 15);
  for (float value : tensor.as<float>())
    EXPECT_EQ(value, 0.0f);
}

TEST(HostTensorTest, ScalarHasOneElementAndEmptyNone) {
  EXPECT_EQ(make(DType::I64, {}).numElements(), 1);
  HostTensor empty = make(DType::I64, {4, 0, 3});
  EXPECT_EQ(empty.numElements(), 0);
  EXPECT_NE(empty.view().data, nullptr);
}

TEST(HostTensorTest, ViewHasRowMajorStrides) {
  TensorView view = make(DType::F32, {2, 3, 4}).view();
  EXPECT_EQ(view.rank, 3);
  EXPECT_EQ(view.strides[0], 12);
  EXPECT_EQ(view.strides[2], 1);
}

TEST(HostTensorTest, RefusesSizesBeyondMemory) {
  constexpr int64_t kHuge = std::numeric_limits<int64_t>::max();
  for (std::vector<int64_t> dims :
       {std::vector<int64_t>{kHuge}, {kHuge, kHuge}, {int64_t(1) << 61}}) {
    StatusOr<HostTensor> tensor = HostTensor::create("x", DType::F32, dims);
    ASSERT_FALSE(tensor.isOk());
    EXPECT_EQ(tensor.status().code(), StatusCode::OutOfMemory);
  }
  EXPECT_EQ(HostTensor::create("x", DType::F32, {-1}).status().code(),
            StatusCode::IoError);
  EXPECT_EQ(HostTensor::create("x", DType::F32, std::vector<int64_t>(9, 1))
                .status()
                .code(),
            StatusCode::IoError);
}

TEST(HostTensorTest, ConvertsFloatsWithRounding) {
  HostTensor tensor = make(DType::F32, {3});
  tensor.as<float>()[0] = 1.0f + 0x1p-9f; // a tie: to even in bf16
  tensor.as<float>()[1] = -2.5f;
  tensor.as<float>()[2] = std::numeric_limits<float>::infinity();
  StatusOr<HostTensor> half = convertTensor(tensor, DType::BF16);
  ASSERT_TRUE(half.isOk());
  EXPECT_EQ(elementAsDouble(*half, 0), 1.0);
  EXPECT_EQ(elementAsDouble(*half, 1), -2.5);
  StatusOr<HostTensor> back = convertTensor(*half, DType::F32);
  ASSERT_TRUE(back.isOk());
  EXPECT_EQ(back->as<float>()[1], -2.5f);
  EXPECT_EQ(back->as<float>()[2], tensor.as<float>()[2]);
}

TEST(HostTensorTest, ConvertsIntegersThatFit) {
  HostTensor tensor = make(DType::I64, {2});
  tensor.as<int64_t>()[0] = -128;
  tensor.as<int64_t>()[1] = 127;
  StatusOr<HostTensor> small = convertTensor(tensor, DType::I8);
  ASSERT_TRUE(small.isOk());
  EXPECT_EQ(small->as<int8_t>()[0], -128);
  tensor.as<int64_t>()[1] = 128;
  EXPECT_EQ(convertTensor(tensor, DType::I8).status().message(),
            "array 'x' of i64: element 1 does not fit into i8");
  EXPECT_FALSE(convertTensor(tensor, DType::U64).isOk());
  EXPECT_FALSE(convertTensor(tensor, DType::Bool).isOk());
  EXPECT_EQ(convertTensor(tensor, DType::F32).status().message(),
            "array 'x' of i64, expected f32");
}
