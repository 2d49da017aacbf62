//===- FileTest.cpp - Files: mapped, read in pieces, written whole --------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/support/File.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace moe;
namespace fs = std::filesystem;

namespace {
class FileTest : public testing::Test {
protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "moe-file-XXXXXX";
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    folder = pattern;
  }
  void TearDown() override { fs::remove_all(folder); }

  std::string write(const std::string &name, const std::string &text) {
    fs::path path = folder / name;
    fs::create_directories(path.parent_path());
    std::ofstream(path) << text;
    return path;
  }
  size_t numEntries() const {
    return std::distance(fs::directory_iterator(folder), {});
  }
  fs::path folder;
};
} // namespace

static std::span<const std::byte> bytesOf(std::string_view text) {
  return std::as_bytes(std::span(text));
}

static std::string textOf(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char *>(bytes.data()), bytes.size()};
}

TEST_F(FileTest, MapsAFile) {
  StatusOr<MappedFile> file = MappedFile::open(write("a", "hello"));
  ASSERT_TRUE(file.isOk());
  EXPECT_EQ(textOf(file->bytes()), "hello");
  StatusOr<MappedFile> empty = MappedFile::open(write("e", ""));
  ASSERT_TRUE(empty.isOk());
  EXPECT_TRUE(empty->bytes().empty());
}

TEST_F(FileTest, ReadsInsideTheFileOnly) {
  StatusOr<InputFile> file = InputFile::open(write("a", "hello"));
  ASSERT_TRUE(file.isOk());
  std::byte into[3];
  ASSERT_TRUE(file->readAt(1, into).isOk());
  EXPECT_EQ(textOf(into), "ell");
  EXPECT_EQ(file->readAt(3, into).code(), StatusCode::IoError);
  EXPECT_EQ(file->readAt(UINT64_MAX, into).code(), StatusCode::IoError);
}

TEST_F(FileTest, RefusesWhatIsNotAFile) {
  std::string missing = folder / "missing";
  Status status = InputFile::open(missing).status();
  EXPECT_EQ(status.code(), StatusCode::IoError);
  EXPECT_NE(status.message().find(missing), std::string::npos);
  EXPECT_FALSE(InputFile::open(folder).isOk());
  std::string pipe = folder / "pipe";
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  EXPECT_FALSE(InputFile::open(pipe).isOk()) << "must not wait either";
}

TEST_F(FileTest, StaysInsideTheFolder) {
  write("in/sub/w", "weights");
  write("secret", "secret");
  std::string inside = folder / "in";
  fs::create_symlink("../secret", folder / "in/link");
  fs::create_symlink("sub", folder / "in/alias");
  EXPECT_TRUE(InputFile::openInside(inside, "sub/w").isOk());
  EXPECT_TRUE(InputFile::openInside(inside, "alias/w").isOk());
  for (const char *path : {"../secret", "sub/../../secret", "link", "",
                           "/etc/passwd", "sub", "missing"})
    EXPECT_EQ(InputFile::openInside(inside, path).status().code(),
              StatusCode::IoError)
        << path;
  EXPECT_FALSE(
      InputFile::openInside(inside, std::string("sub/w\0x", 7)).isOk());
}

TEST_F(FileTest, ReadsWholeFilesUpToALimit) {
  std::string path = write("a", "hello");
  EXPECT_EQ(*readWholeFile(path, 5), "hello");
  EXPECT_EQ(readWholeFile(path, 4).status().code(), StatusCode::IoError);
}

TEST_F(FileTest, WritesAppendsAndPatches) {
  std::string path = write("out", "old");
  StatusOr<AtomicFileWriter> writer = AtomicFileWriter::create(path);
  ASSERT_TRUE(writer.isOk());
  ASSERT_TRUE(writer->append(bytesOf("abc")).isOk());
  ASSERT_TRUE(writer->alignTo(8).isOk());
  ASSERT_TRUE(writer->append(bytesOf("d")).isOk());
  ASSERT_TRUE(writer->patch(1, bytesOf("X")).isOk());
  EXPECT_FALSE(writer->patch(8, bytesOf("XY")).isOk());
  EXPECT_EQ(*readWholeFile(path, 100), "old") << "not before commit";
  ASSERT_TRUE(writer->commit().isOk());
  EXPECT_EQ(*readWholeFile(path, 100), std::string("aXc\0\0\0\0\0d", 9));
  EXPECT_EQ(numEntries(), 1u);
}

TEST_F(FileTest, LeavesTheOldFileWithoutCommit) {
  std::string path = write("out", "old");
  {
    StatusOr<AtomicFileWriter> writer = AtomicFileWriter::create(path);
    ASSERT_TRUE(writer.isOk());
    ASSERT_TRUE(writer->append(bytesOf("new")).isOk());
  }
  EXPECT_EQ(*readWholeFile(path, 100), "old");
  EXPECT_EQ(numEntries(), 1u);
}

TEST_F(FileTest, TheNextWriterRemovesWhatAKilledOneLeft) {
  std::string path = folder / "out";
  pid_t child = fork();
  if (child == 0) {
    StatusOr<AtomicFileWriter> writer = AtomicFileWriter::create(path);
    _exit(writer.isOk() && writer->append(bytesOf("new")).isOk() ? 0 : 1);
  }
  int result = 0;
  ASSERT_EQ(waitpid(child, &result, 0), child);
  ASSERT_EQ(result, 0);
  EXPECT_EQ(numEntries(), 1u);
  ASSERT_TRUE(writeWholeFile(path, bytesOf("next")).isOk());
  EXPECT_EQ(*readWholeFile(path, 100), "next");
  EXPECT_EQ(numEntries(), 1u);
}

TEST_F(FileTest, TwoWritersDoNotDisturbEachOther) {
  std::string path = folder / "out";
  StatusOr<AtomicFileWriter> first = AtomicFileWriter::create(path);
  ASSERT_TRUE(first.isOk());
  ASSERT_TRUE(first->append(bytesOf("first")).isOk());
  ASSERT_TRUE(writeWholeFile(path, bytesOf("second")).isOk());
  ASSERT_TRUE(first->commit().isOk());
  EXPECT_EQ(*readWholeFile(path, 100), "first");
}

TEST_F(FileTest, ReplacesRegularFilesOnly) {
  EXPECT_EQ(AtomicFileWriter::create("/dev/null").status().code(),
            StatusCode::IoError);
  EXPECT_FALSE(AtomicFileWriter::create(folder).isOk());
  EXPECT_FALSE(AtomicFileWriter::create(folder / "missing/out").isOk());
  std::string path = write("real", "old");
  fs::create_symlink("real", folder / "link");
  ASSERT_TRUE(writeWholeFile(folder / "link", bytesOf("new")).isOk());
  EXPECT_TRUE(fs::is_symlink(folder / "link"));
  EXPECT_EQ(*readWholeFile(path, 100), "new");
}
