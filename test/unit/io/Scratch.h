//===- Scratch.h - A folder for the files of a test -------------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_TEST_UNIT_IO_SCRATCH_H
#define MOE_TEST_UNIT_IO_SCRATCH_H

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>

namespace moe::test {

/// Gives each test an empty folder, removed afterwards.
class ScratchTest : public testing::Test {
protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "moe-io-XXXXXX";
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    folder = pattern;
  }
  void TearDown() override { std::filesystem::remove_all(folder); }

  std::string write(const std::string &name, const std::string &bytes) {
    std::ofstream(folder / name, std::ios::binary) << bytes;
    return folder / name;
  }
  static std::string read(const std::string &path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }

  std::filesystem::path folder;
};

} // namespace moe::test

#endif // MOE_TEST_UNIT_IO_SCRATCH_H
