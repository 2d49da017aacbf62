//===- ExternalDataTest.cpp - Tests of ExternalData.h ---------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontend/onnx/ExternalData.h"

#include "test/unit/onnx/TempFolder.h"

#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

namespace moe::onnx_import {
namespace {

class ExternalDataTest : public testing::Test {
protected:
  ExternalDataTest() {
    mkdir(temp.file("model").c_str(), 0700);
    mkdir(temp.file("model/sub").c_str(), 0700);
    temp.write("model/w.bin", "weights!");
    temp.write("model/sub/w.bin", "weights!");
    temp.write("secret", "secret");
    data = *DataFolder::open(temp.file("model"), false);
    linked = *DataFolder::open(temp.file("model"), true);
  }

  void expectRefused(std::string_view location, const char *reason) {
    auto file = data->openFile(location);
    ASSERT_FALSE(file.isOk()) << location;
    EXPECT_NE(file.status().message().find(reason), std::string::npos)
        << file.status().message();
  }

  TempFolder temp;
  std::unique_ptr<DataFolder> data, linked;
};

TEST_F(ExternalDataTest, OpensFilesBeneathTheFolder) {
  for (const char *location : {"w.bin", "sub/w.bin", "./w.bin", "sub//w.bin"}) {
    auto file = data->openFile(location);
    ASSERT_TRUE(file.isOk()) << file.status().message();
    EXPECT_EQ((*file)->size(), 8u);
  }
}

TEST_F(ExternalDataTest, RefusesPaths) {
  expectRefused("", "is empty");
  expectRefused("/etc/passwd", "is absolute");
  expectRefused("..", "contains \"..\"");
  expectRefused("../secret", "contains \"..\"");
  expectRefused("sub/../../secret", "contains \"..\"");
  expectRefused("sub/..", "contains \"..\"");
  expectRefused("./../secret", "contains \"..\"");
  expectRefused(std::string_view("w.bin\0x", 7), "NUL");
  expectRefused("*/_ORT_MEM_ADDR_/*", "address");
  expectRefused(std::string(5000, 'a'), "too long");
}

TEST_F(ExternalDataTest, NamesThatOnlyLookLikeParentsAreFine) {
  temp.write("model/..w", "x");
  temp.write("model/w..", "x");
  EXPECT_TRUE(data->openFile("..w").isOk());
  EXPECT_TRUE(data->openFile("w..").isOk());
}

TEST_F(ExternalDataTest, RefusesLinksThatLeaveTheFolder) {
  ASSERT_EQ(symlink("../secret", temp.file("model/link").c_str()), 0);
  ASSERT_EQ(symlink("..", temp.file("model/parent").c_str()), 0);
  ASSERT_EQ(symlink("/", temp.file("model/root").c_str()), 0);
  expectRefused("link", "leads out of the model's folder");
  expectRefused("parent/secret", "leads out of the model's folder");
  expectRefused("root/etc/passwd", "leads out of the model's folder");
}

TEST_F(ExternalDataTest, FollowsLinksInside) {
  ASSERT_EQ(symlink("sub/w.bin", temp.file("model/inside").c_str()), 0);
  EXPECT_TRUE(data->openFile("inside").isOk());
}

TEST_F(ExternalDataTest, RefusesHardLinks) {
  ASSERT_EQ(link(temp.file("secret").c_str(), temp.file("model/hard").c_str()),
            0);
  expectRefused("hard", "hard links");
}

TEST_F(ExternalDataTest, RefusesWhatIsNoFile) {
  ASSERT_EQ(mkfifo(temp.file("model/fifo").c_str(), 0600), 0);
  expectRefused("fifo", "not a regular file");
  expectRefused("sub", "not a regular file");
  expectRefused("missing", "cannot be opened");
  // Only root may make a device.
  if (mknod(temp.file("model/null").c_str(), S_IFCHR | 0600, makedev(1, 3)) ==
      0)
    expectRefused("null", "not a regular file");
}

TEST_F(ExternalDataTest, LinksOutsideNeedConsent) {
  ASSERT_EQ(symlink("../secret", temp.file("model/link").c_str()), 0);
  auto file = linked->openFile("link");
  ASSERT_TRUE(file.isOk()) << file.status().message();
  EXPECT_EQ((*file)->size(), 6u);
  // But no path outside.
  EXPECT_FALSE(linked->openFile("../secret").isOk());
}

TEST(DataRangeTest, ChecksBounds) {
  EXPECT_TRUE(checkDataRange({0, 8}, 8, 8).isOk());
  EXPECT_TRUE(checkDataRange({4, std::nullopt}, 4, 8).isOk());
  EXPECT_TRUE(checkDataRange({8, 0}, 0, 8).isOk());
  EXPECT_FALSE(checkDataRange({0, 4}, 8, 8).isOk());
  EXPECT_FALSE(checkDataRange({1, 8}, 8, 8).isOk());
  EXPECT_FALSE(checkDataRange({9, 0}, 0, 8).isOk());
  EXPECT_FALSE(
      checkDataRange({INT64_MAX, UINT64_MAX - 1}, UINT64_MAX - 1, 8).isOk());
}

TEST(DataRangeTest, ParsesNumbers) {
  EXPECT_EQ(*parseDataNumber("offset", "0"), 0u);
  EXPECT_EQ(*parseDataNumber("offset", "9223372036854775807"),
            uint64_t(INT64_MAX));
  for (const char *text : {"", "-1", "+1", " 1", "1 ", "0x10", "1e3",
                           "9223372036854775808", "99999999999999999999"})
    EXPECT_FALSE(parseDataNumber("offset", text).isOk()) << text;
}

TEST(LocateModelTest, SplitsPaths) {
  EXPECT_EQ(locateModel("model.onnx").folder, ".");
  EXPECT_EQ(locateModel("a/b/model.onnx").folder, "a/b");
  EXPECT_EQ(locateModel("/model.onnx").folder, "/");
  EXPECT_EQ(locateModel("a/b/model.onnx").name, "model.onnx");
}

} // namespace
} // namespace moe::onnx_import
