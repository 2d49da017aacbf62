//===- NpzTest.cpp - Named arrays in one archive --------------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/io/Npz.h"

#include "Scratch.h"

using namespace moe;
using NpzTest = moe::test::ScratchTest;

static HostTensor floats(const std::string &name, std::vector<float> values) {
  HostTensor tensor = *HostTensor::create(
      name, DType::F32, {static_cast<int64_t>(values.size())});
  std::copy(values.begin(), values.end(), tensor.as<float>().begin());
  return tensor;
}

static double expectedElement(DType dtype, int i) {
  switch (dtype) {
  case DType::Bool:
    return i % 2;
  case DType::U8:
  case DType::U16:
  case DType::U32:
  case DType::U64:
    return i;
  default:
    return i - 3;
  }
}

TEST_F(NpzTest, ReadsWhatNumPyWrites) {
  for (const char *file : {"arrays-stored.npz", "arrays-deflated.npz"}) {
    StatusOr<std::vector<HostTensor>> read =
        readNpz(std::string(MOE_SOURCE_DIR "/test/golden/") + file);
    ASSERT_TRUE(read.isOk()) << read.status().message();
    ASSERT_EQ(read->size(), 15u);
    for (const HostTensor &tensor : *read) {
      if (tensor.dims().size() != 3 || tensor.numElements() == 0)
        continue;
      ASSERT_EQ(tensor.numElements(), 24);
      for (int i = 0; i < 24; ++i)
        EXPECT_EQ(elementAsDouble(tensor, i),
                  expectedElement(tensor.dtype(), i))
            << tensor.name() << " " << i;
    }
    EXPECT_EQ((*read)[12].name(), "scalar");
    EXPECT_EQ((*read)[12].as<float>()[0], 1.5f);
    EXPECT_EQ((*read)[13].dims(), (std::vector<int64_t>{2, 0, 3}));
    EXPECT_EQ((*read)[14].name(), "a/../\xce\xb1");
  }
}

TEST_F(NpzTest, WritesAndReadsBack) {
  std::vector<HostTensor> tensors;
  tensors.push_back(floats("x", {1, -2, 3}));
  tensors.push_back(floats("/layers.0/\xc3\xa9", {}));
  tensors.push_back(*convertTensor(floats("b", {0.5f}), DType::BF16));
  std::string path = folder / "x.npz";
  ASSERT_TRUE(writeNpz(path, tensors).isOk());
  StatusOr<std::vector<HostTensor>> back = readNpz(path);
  ASSERT_TRUE(back.isOk()) << back.status().message();
  ASSERT_EQ(back->size(), 3u);
  EXPECT_EQ((*back)[0].as<float>()[1], -2.0f);
  EXPECT_EQ((*back)[1].name(), tensors[1].name());
  EXPECT_EQ((*back)[2].dtype(), DType::F32);
  EXPECT_EQ((*back)[2].as<float>()[0], 0.5f);
}

TEST_F(NpzTest, SameTensorsGiveTheSameBytes) {
  std::vector<HostTensor> tensors;
  tensors.push_back(floats("x", {1, 2}));
  ASSERT_TRUE(writeNpz(folder / "a.npz", tensors).isOk());
  ASSERT_TRUE(writeNpz(folder / "b.npz", tensors).isOk());
  EXPECT_EQ(read(folder / "a.npz"), read(folder / "b.npz"));
}

TEST_F(NpzTest, WritesAnEmptyArchive) {
  ASSERT_TRUE(writeNpz(folder / "a.npz", {}).isOk());
  StatusOr<std::vector<HostTensor>> back = readNpz(folder / "a.npz");
  ASSERT_TRUE(back.isOk()) << back.status().message();
  EXPECT_TRUE(back->empty());
}

TEST_F(NpzTest, NamesTheArrayThatIsMissing) {
  ASSERT_TRUE(writeNpz(folder / "a.npz", {}).isOk());
  StatusOr<NpzFile> file = NpzFile::open(folder / "a.npz");
  ASSERT_TRUE(file.isOk());
  EXPECT_EQ(file->read("logits").status().message(),
            (folder / "a.npz").string() + ": no array 'logits'");
}

TEST_F(NpzTest, NothingStaysOfAFailedWrite) {
  std::vector<HostTensor> tensors;
  tensors.push_back(floats(std::string(70000, 'x'), {1}));
  EXPECT_EQ(writeNpz(folder / "a.npz", tensors).code(), StatusCode::IoError);
  EXPECT_TRUE(std::filesystem::is_empty(folder));
  EXPECT_EQ(writeNpz(folder / "no" / "a.npz", {}).code(), StatusCode::IoError);
}

TEST_F(NpzTest, EveryTruncationIsAnError) {
  std::string bytes = read(MOE_SOURCE_DIR "/test/golden/arrays-deflated.npz");
  for (size_t size = 0; size < bytes.size(); ++size)
    ASSERT_EQ(readNpz(write("x.npz", bytes.substr(0, size))).status().code(),
              StatusCode::IoError)
        << size;
}

// Every eleventh bit, which takes a second.
TEST_F(NpzTest, NoFlippedBitChangesData) {
  StatusOr<std::vector<HostTensor>> reference =
      readNpz(MOE_SOURCE_DIR "/test/golden/arrays-deflated.npz");
  ASSERT_TRUE(reference.isOk());
  std::string bytes = read(MOE_SOURCE_DIR "/test/golden/arrays-deflated.npz");
  for (size_t bit = 0; bit < 8 * bytes.size(); bit += 11) {
    std::string flipped = bytes;
    flipped[bit / 8] ^= 1 << bit % 8;
    StatusOr<std::vector<HostTensor>> read = readNpz(write("x.npz", flipped));
    // Time stamps and attributes may change, and names are not covered by a
    // checksum; elements are.
    for (size_t i = 0; read.isOk() && i < read->size(); ++i) {
      auto found = (*read)[i].bytes(), expected = (*reference)[i].bytes();
      ASSERT_TRUE(std::equal(found.begin(), found.end(), expected.begin(),
                             expected.end()))
          << "bit " << bit << " of array " << (*reference)[i].name();
    }
  }
}
