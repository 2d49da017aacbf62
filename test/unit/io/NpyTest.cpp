//===- NpyTest.cpp - Arrays in NumPy's file format ------------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/io/Npy.h"

#include "Scratch.h"

using namespace moe;
using NpyTest = moe::test::ScratchTest;

TEST_F(NpyTest, ReadsFortranOrder) {
  StatusOr<HostTensor> tensor =
      readNpyFile(MOE_SOURCE_DIR "/test/golden/arrays-fortran.npy");
  ASSERT_TRUE(tensor.isOk()) << tensor.status().message();
  EXPECT_EQ(tensor->dims(), (std::vector<int64_t>{2, 3, 4}));
  for (int i = 0; i < 24; ++i)
    EXPECT_EQ(tensor->as<float>()[i], i - 3);
}

TEST_F(NpyTest, WritesTheHeaderThatNumPyWrites) {
  // The first 128 bytes of numpy.save's file of zeros((2, 3), "<f4").
  std::string expected = "\x93NUMPY";
  expected += std::string("\x01\x00\x76\x00", 4);
  expected += "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }";
  expected.append(127 - expected.size(), ' ');
  expected += '\n';
  EXPECT_EQ(npyHeader(DType::F32, std::vector<int64_t>{2, 3}), expected);
}

TEST_F(NpyTest, HeaderComesBack) {
  for (std::vector<int64_t> dims :
       {std::vector<int64_t>{}, {7}, {0, 2}, {1, 2, 3, 4, 5, 6, 7, 8}})
    for (unsigned i = 0; i < kNumDTypes; ++i) {
      auto dtype = static_cast<DType>(i);
      std::string text = npyHeader(dtype, dims);
      EXPECT_EQ(text.size() % 64, 0u);
      StatusOr<NpyHeader> header = parseNpyHeader(text.substr(10));
      ASSERT_TRUE(header.isOk()) << header.status().message();
      // bf16 has no name of its own.
      EXPECT_EQ(header->dtype, dtype == DType::BF16 ? DType::F32 : dtype);
      EXPECT_EQ(header->dims, dims);
      EXPECT_FALSE(header->fortranOrder);
    }
}

TEST_F(NpyTest, HeaderMayHaveAnyOrderAndSpaces) {
  StatusOr<NpyHeader> header = parseNpyHeader(
      "{ \"shape\" :( 3 ,4 ,) ,'fortran_order':True,'descr':'|b1'}  \n");
  ASSERT_TRUE(header.isOk()) << header.status().message();
  EXPECT_EQ(header->dims, (std::vector<int64_t>{3, 4}));
  EXPECT_EQ(header->dtype, DType::Bool);
  EXPECT_TRUE(header->fortranOrder);
}

TEST_F(NpyTest, ReadsVersions2And3) {
  std::string header = "{'descr':'<i4','fortran_order':False,'shape':(1,)}\n";
  for (char version : {2, 3}) {
    std::string bytes = "\x93NUMPY";
    bytes += {version, 0, static_cast<char>(header.size()), 0, 0, 0};
    bytes += header + std::string("\x2a\0\0\0", 4);
    StatusOr<HostTensor> tensor = readNpyFile(write("x.npy", bytes));
    ASSERT_TRUE(tensor.isOk()) << tensor.status().message();
    EXPECT_EQ(tensor->as<int32_t>()[0], 42);
  }
}

TEST_F(NpyTest, EveryTruncationIsAnError) {
  std::string bytes = read(MOE_SOURCE_DIR "/test/golden/arrays-fortran.npy");
  for (size_t size = 0; size < bytes.size(); ++size) {
    Status status = readNpyFile(write("x.npy", bytes.substr(0, size))).status();
    ASSERT_EQ(status.code(), StatusCode::IoError) << size;
    ASSERT_TRUE(status.message().starts_with(folder.string()))
        << status.message();
  }
}
