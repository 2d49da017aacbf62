//===- AtomicFileWriter.cpp - Files written whole or not at all -----------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The temporary file of "d/x" is "d/.x.<pid>.<n>.moetmp". Its writer holds a
// lock on it, which ends with the process; a temporary file without a lock is
// therefore left over and may be removed.
//
//===----------------------------------------------------------------------===//

#include "runtime/support/File.h"
#include "runtime/support/HugePages.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <cstring>
#include <dirent.h>
#include <fcntl.h>
#include <memory>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

using namespace moe;

static constexpr std::string_view kSuffix = ".moetmp";

static Status systemError(const std::string &path, const char *what) {
  return Status(StatusCode::IoError,
                path + ": " + what + ": " + std::strerror(errno));
}

namespace {
struct SplitPath {
  std::string folder; // with the slash, or empty
  std::string name;
};
} // namespace

static SplitPath splitPath(const std::string &path) {
  size_t slash = path.rfind('/');
  if (slash == std::string::npos)
    return {"", path};
  return {path.substr(0, slash + 1), path.substr(slash + 1)};
}

/// True if `path` still names the file behind `fd`.
static bool isSameFile(int fd, const std::string &path) {
  struct stat opened, named;
  return ::fstat(fd, &opened) == 0 && ::lstat(path.c_str(), &named) == 0 &&
         opened.st_dev == named.st_dev && opened.st_ino == named.st_ino;
}

static void removeStaleFiles(const SplitPath &target) {
  std::string prefix = "." + target.name + ".";
  const char *folder = target.folder.empty() ? "." : target.folder.c_str();
  std::unique_ptr<DIR, int (*)(DIR *)> entries(::opendir(folder), ::closedir);
  if (!entries)
    return;
  while (const dirent *entry = ::readdir(entries.get())) {
    std::string_view name = entry->d_name;
    if (!name.starts_with(prefix) || !name.ends_with(kSuffix))
      continue;
    std::string path = target.folder + entry->d_name;
    FileDescriptor fd(
        ::open(path.c_str(), O_WRONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
    if (fd.isOpen() && ::flock(fd.get(), LOCK_EX | LOCK_NB) == 0 &&
        isSameFile(fd.get(), path))
      ::unlink(path.c_str());
  }
}

/// The file that is to be replaced: links are followed, so that a link stays
/// one, and only a regular file is ever replaced.
static StatusOr<std::string> resolveTarget(const std::string &path) {
  struct stat info;
  if (path.empty() || path.back() == '/')
    return Status(StatusCode::IoError, "'" + path + "' does not name a file");
  if (::stat(path.c_str(), &info) != 0)
    return path;
  if (!S_ISREG(info.st_mode))
    return Status(StatusCode::IoError, path + ": is not a regular file");
  char resolved[PATH_MAX];
  if (!::realpath(path.c_str(), resolved))
    return systemError(path, "cannot be resolved");
  return std::string(resolved);
}

StatusOr<AtomicFileWriter> AtomicFileWriter::create(const std::string &path) {
  static std::atomic<unsigned> counter{0};
  MOE_ASSIGN_OR_RETURN(std::string target, resolveTarget(path));
  SplitPath split = splitPath(target);
  removeStaleFiles(split);
  for (int attempt = 0; attempt < 100; ++attempt) {
    std::string temporary = split.folder + "." + split.name + "." +
                            std::to_string(::getpid()) + "." +
                            std::to_string(counter++) + std::string(kSuffix);
    FileDescriptor fd(
        ::open(temporary.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666));
    if (!fd.isOpen() && errno == EEXIST)
      continue;
    if (!fd.isOpen())
      return systemError(target, "cannot be written");
    // Another writer may take the file for a stale one before it is locked.
    if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK)
      continue;
    if (!isSameFile(fd.get(), temporary))
      continue;
    AtomicFileWriter writer;
    writer.fd = std::move(fd);
    writer.target = std::move(target);
    writer.temporary = std::move(temporary);
    return writer;
  }
  return Status(StatusCode::IoError,
                target + ": no temporary file can be created beside it");
}

AtomicFileWriter::~AtomicFileWriter() { discard(); }

AtomicFileWriter::AtomicFileWriter(AtomicFileWriter &&other) noexcept {
  *this = std::move(other);
}

AtomicFileWriter &
AtomicFileWriter::operator=(AtomicFileWriter &&other) noexcept {
  if (this == &other)
    return *this;
  discard();
  fd = std::move(other.fd);
  target = std::exchange(other.target, {});
  temporary = std::exchange(other.temporary, {});
  theSize = std::exchange(other.theSize, 0);
  pending = std::exchange(other.pending, {});
  return *this;
}

void AtomicFileWriter::discard() {
  if (!temporary.empty())
    ::unlink(temporary.c_str());
  temporary.clear();
  fd.reset();
}

/// Writes all of `bytes` at `offset`.
static Status writeAt(int fd, const std::string &path, uint64_t offset,
                      std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    ssize_t written =
        ::pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (written < 0 && errno == EINTR)
      continue;
    if (written < 0)
      return systemError(path, "cannot be written");
    bytes = bytes.subspan(static_cast<size_t>(written));
    offset += static_cast<uint64_t>(written);
  }
  return Status::ok();
}

Status AtomicFileWriter::append(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    size_t room = kHugePageBytes - theSize % kHugePageBytes;
    size_t count = std::min(room, bytes.size());
    if (pending.empty() && count == room) {
      count += (bytes.size() - room) / kHugePageBytes * kHugePageBytes;
      MOE_RETURN_IF_ERROR(
          writeAt(fd.get(), target, theSize, bytes.first(count)));
    } else {
      pending.insert(pending.end(), bytes.begin(), bytes.begin() + count);
    }
    theSize += count;
    bytes = bytes.subspan(count);
    if (theSize % kHugePageBytes == 0)
      MOE_RETURN_IF_ERROR(flush());
  }
  return Status::ok();
}

Status AtomicFileWriter::flush() {
  MOE_RETURN_IF_ERROR(
      writeAt(fd.get(), target, theSize - pending.size(), pending));
  pending.clear();
  return Status::ok();
}

Status AtomicFileWriter::alignTo(uint64_t alignment) {
  static constexpr std::array<std::byte, 4096> kZeros = {};
  uint64_t missing = (alignment - theSize % alignment) % alignment;
  while (missing > 0) {
    uint64_t count = std::min<uint64_t>(missing, kZeros.size());
    MOE_RETURN_IF_ERROR(append(std::span(kZeros).first(count)));
    missing -= count;
  }
  return Status::ok();
}

Status AtomicFileWriter::patch(uint64_t offset,
                               std::span<const std::byte> bytes) {
  if (offset > theSize || bytes.size() > theSize - offset)
    return Status(StatusCode::Internal,
                  target + ": a patch at " + std::to_string(offset) +
                      " lies outside the " + std::to_string(theSize) +
                      " bytes written");
  MOE_RETURN_IF_ERROR(flush());
  return writeAt(fd.get(), target, offset, bytes);
}

Status AtomicFileWriter::commit() {
  if (temporary.empty())
    return Status(StatusCode::Internal, target + ": was written already");
  MOE_RETURN_IF_ERROR(flush());
  if (::fsync(fd.get()) != 0)
    return systemError(target, "cannot be written");
  if (::rename(temporary.c_str(), target.c_str()) != 0)
    return systemError(target, "cannot be replaced");
  temporary.clear();
  fd.reset();
  // Makes the new name durable; file systems that cannot do it say so here,
  // and the file is complete all the same.
  std::string folder = splitPath(target).folder;
  FileDescriptor directory(::open(folder.empty() ? "." : folder.c_str(),
                                  O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (directory.isOpen())
    ::fsync(directory.get());
  return Status::ok();
}

Status moe::writeWholeFile(const std::string &path,
                           std::span<const std::byte> bytes) {
  MOE_ASSIGN_OR_RETURN(AtomicFileWriter writer, AtomicFileWriter::create(path));
  MOE_RETURN_IF_ERROR(writer.append(bytes));
  return writer.commit();
}
