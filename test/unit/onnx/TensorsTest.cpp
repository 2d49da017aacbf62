//===- TensorsTest.cpp - Tests of Tensors.h -------------------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontend/onnx/Tensors.h"

#include "test/unit/onnx/TempFolder.h"

#include <cstring>

namespace moe::onnx_import {
namespace {

class TensorsTest : public testing::Test {
protected:
  TensorsTest() {
    model.location = {temp.path, "model.onnx"};
    model.data = *DataFolder::open(temp.path, false);
  }

  onnx::TensorProto tensor(int32_t type, std::vector<int64_t> dims) {
    onnx::TensorProto result;
    result.set_data_type(type);
    for (int64_t dim : dims)
      result.add_dims(dim);
    return result;
  }
  void setExternal(onnx::TensorProto &tensor, const char *key,
                   const std::string &value) {
    tensor.set_data_location(onnx::TensorProto::EXTERNAL);
    auto *entry = tensor.add_external_data();
    entry->set_key(key);
    entry->set_value(value);
  }
  StatusCode codeOf(const onnx::TensorProto &tensor) {
    return readTensor(tensor, model).status().code();
  }

  TempFolder temp;
  ModelFile model;
};

TEST_F(TensorsTest, NamesAllTypes) {
  EXPECT_EQ(elementTypeName(1), "FLOAT");
  EXPECT_EQ(elementTypeName(17), "FLOAT8E4M3FN");
  EXPECT_EQ(elementTypeName(26), "INT2");
  EXPECT_EQ(elementTypeName(99), "data type 99");
  for (int32_t type = 0; type <= 26; ++type)
    EXPECT_EQ(elementTypeName(type).find("data type"), std::string::npos);
  EXPECT_EQ(elementBits(22), 4u);
  EXPECT_EQ(elementDType(16), DType::BF16);
  EXPECT_EQ(elementDType(21), std::nullopt);
}

TEST_F(TensorsTest, ReadsTypedFields) {
  onnx::TensorProto floats = tensor(1, {2});
  floats.add_float_data(1.5f);
  floats.add_float_data(-2.0f);
  auto read = readTensor(floats, model);
  ASSERT_TRUE(read.isOk());
  float values[2];
  ASSERT_EQ(read->bytes->size(), 8u);
  std::memcpy(values, read->bytes->data(), 8);
  EXPECT_EQ(values[0], 1.5f);
  EXPECT_EQ(values[1], -2.0f);

  // Halves stand in int32_data as bits.
  onnx::TensorProto half = tensor(10, {1});
  half.add_int32_data(0x3c00);
  EXPECT_EQ(*readTensor(half, model)->bytes, std::string("\x00\x3c", 2));
  onnx::TensorProto truth = tensor(9, {3});
  for (int value : {1, 0, 1})
    truth.add_int32_data(value);
  EXPECT_EQ(*readTensor(truth, model)->bytes, std::string("\1\0\1", 3));
  onnx::TensorProto unsigned64 = tensor(13, {1});
  unsigned64.add_uint64_data(UINT64_MAX);
  EXPECT_EQ(*readTensor(unsigned64, model)->bytes, std::string(8, '\xff'));
}

TEST_F(TensorsTest, ReadsScalarsAndEmptyTensors) {
  onnx::TensorProto scalar = tensor(7, {});
  scalar.add_int64_data(5);
  EXPECT_EQ(readTensor(scalar, model)->numElements, 1u);
  auto empty = readTensor(tensor(1, {3, 0, 4}), model);
  ASSERT_TRUE(empty.isOk());
  EXPECT_EQ(empty->numElements, 0u);
  EXPECT_TRUE(empty->bytes->empty());
}

TEST_F(TensorsTest, RefusesSizesThatDoNotFit) {
  onnx::TensorProto few = tensor(1, {3});
  few.add_float_data(1);
  EXPECT_EQ(codeOf(few), StatusCode::BadModel);
  onnx::TensorProto raw = tensor(1, {1});
  raw.set_raw_data("12345");
  EXPECT_EQ(codeOf(raw), StatusCode::BadModel);
  EXPECT_EQ(codeOf(tensor(1, {-1})), StatusCode::BadModel);
  EXPECT_EQ(codeOf(tensor(1, {INT64_MAX, INT64_MAX})), StatusCode::BadModel);
  EXPECT_EQ(codeOf(tensor(1, {int64_t(1) << 62})), StatusCode::BadModel);
  EXPECT_EQ(codeOf(tensor(0, {1})), StatusCode::BadModel);
  EXPECT_EQ(codeOf(tensor(1000, {1})), StatusCode::BadModel);
  EXPECT_EQ(codeOf(tensor(8, {1})), StatusCode::Unsupported);
}

TEST_F(TensorsTest, ReadsExternalData) {
  temp.write("w.bin", std::string("\1\0\0\0\2\0\0\0", 8));
  onnx::TensorProto external = tensor(6, {1});
  setExternal(external, "location", "w.bin");
  setExternal(external, "offset", "4");
  auto read = readTensor(external, model);
  ASSERT_TRUE(read.isOk()) << read.status().message();
  EXPECT_EQ(*read->bytes, std::string("\2\0\0\0", 4));
  EXPECT_EQ(read->file, "w.bin");
  EXPECT_EQ(read->offset, 4u);
  EXPECT_EQ(read->length, 4u);
}

TEST_F(TensorsTest, RefusesHostileExternalData) {
  temp.write("w.bin", std::string(8, '\0'));
  auto external = [&](const std::string &location, const std::string &offset,
                      const std::string &length) {
    onnx::TensorProto result = tensor(6, {2});
    setExternal(result, "location", location);
    setExternal(result, "offset", offset);
    setExternal(result, "length", length);
    return codeOf(result);
  };
  EXPECT_EQ(external("w.bin", "0", "8"), StatusCode::Ok);
  EXPECT_EQ(external("w.bin", "1", "8"), StatusCode::BadModel);
  EXPECT_EQ(external("w.bin", "0", "4"), StatusCode::BadModel);
  EXPECT_EQ(external("w.bin", "-1", "8"), StatusCode::BadModel);
  EXPECT_EQ(external("w.bin", "9223372036854775807", "8"),
            StatusCode::BadModel);
  EXPECT_EQ(external("../w.bin", "0", "8"), StatusCode::BadModel);
  EXPECT_EQ(external("missing", "0", "8"), StatusCode::IoError);
}

} // namespace
} // namespace moe::onnx_import
