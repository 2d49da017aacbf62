//===- File.h - Files: mapped, read in pieces, written whole ----*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Every error here is an IoError that names the path. Only regular files are
// opened, so a pipe or a device in the place of a file cannot block or feed
// the process.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_RUNTIME_SUPPORT_FILE_H
#define MOE_RUNTIME_SUPPORT_FILE_H

#include "runtime/support/Status.h"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace moe {

/// Owns a file descriptor.
class FileDescriptor {
public:
  FileDescriptor() = default;
  explicit FileDescriptor(int fd) : fd(fd) {}
  ~FileDescriptor() { reset(); }
  FileDescriptor(FileDescriptor &&other) noexcept
      : fd(std::exchange(other.fd, -1)) {}
  FileDescriptor &operator=(FileDescriptor &&other) noexcept {
    reset(std::exchange(other.fd, -1));
    return *this;
  }
  int get() const { return fd; }
  bool isOpen() const { return fd >= 0; }
  void reset(int newFd = -1);

private:
  int fd = -1;
};

/// A file that is read in pieces; safe from several threads at once.
class InputFile {
public:
  static StatusOr<InputFile> open(const std::string &path);
  /// Opens `path`, relative to `folder` and inside of it: neither ".." nor a
  /// symbolic link leads out, also if files are exchanged meanwhile.
  static StatusOr<InputFile> openInside(const std::string &folder,
                                        const std::string &path);

  const std::string &path() const { return thePath; }
  /// The size when it was opened.
  uint64_t size() const { return theSize; }
  /// Reads exactly into.size() bytes at `offset`.
  Status readAt(uint64_t offset, std::span<std::byte> into) const;

private:
  friend class MappedFile;
  static StatusOr<InputFile> fromDescriptor(FileDescriptor fd,
                                            std::string path);
  FileDescriptor fd;
  std::string thePath;
  uint64_t theSize = 0;
};

/// A file mapped for reading. A file that another process cuts while it is
/// mapped ends this process (SIGBUS); readers of untrusted files use InputFile.
class MappedFile {
public:
  MappedFile() = default;
  static StatusOr<MappedFile> open(const std::string &path);
  ~MappedFile();
  MappedFile(MappedFile &&other) noexcept
      : data(std::exchange(other.data, nullptr)),
        size(std::exchange(other.size, 0)) {}
  MappedFile &operator=(MappedFile &&other) noexcept {
    std::swap(data, other.data);
    std::swap(size, other.size);
    return *this;
  }

  std::span<const std::byte> bytes() const { return {data, size}; }

private:
  const std::byte *data = nullptr;
  size_t size = 0;
};

/// The whole file, refused if it is larger than `maxBytes`.
StatusOr<std::string> readWholeFile(const std::string &path, uint64_t maxBytes);

/// Writes a file that appears under its name whole or not at all: the bytes go
/// to a temporary file beside it, which commit() renames. What a killed
/// process left there is removed by the next writer of the same target.
///
/// Bytes go to the system in pieces that begin at multiples of a large page:
/// it then keeps the file in large pages, and who maps it has few page faults.
/// So an error of the disk may show itself later than in the call that appends.
class AtomicFileWriter {
public:
  static StatusOr<AtomicFileWriter> create(const std::string &path);
  /// Removes the temporary file if commit() did not succeed.
  ~AtomicFileWriter();
  AtomicFileWriter(AtomicFileWriter &&) noexcept;
  AtomicFileWriter &operator=(AtomicFileWriter &&) noexcept;

  uint64_t size() const { return theSize; }
  Status append(std::span<const std::byte> bytes);
  /// Appends zeros up to a multiple of `alignment`.
  Status alignTo(uint64_t alignment);
  /// Overwrites bytes that were appended before.
  Status patch(uint64_t offset, std::span<const std::byte> bytes);
  /// Flushes to the disk and renames; nothing may be written afterwards.
  Status commit();

private:
  AtomicFileWriter() = default;
  Status flush();
  void discard();

  FileDescriptor fd;
  std::string target;
  std::string temporary;
  uint64_t theSize = 0;
  /// The last bytes that were appended, not yet written.
  std::vector<std::byte> pending;
};

/// Writes `bytes` through an AtomicFileWriter.
Status writeWholeFile(const std::string &path,
                      std::span<const std::byte> bytes);

} // namespace moe

#endif // MOE_RUNTIME_SUPPORT_FILE_H
