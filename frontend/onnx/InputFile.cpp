//===- InputFile.cpp - Reading a file at offsets --------------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontend/onnx/InputFile.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace moe::onnx_import {

static std::string withName(const std::string &name, const char *what) {
  return name.empty() ? what : name + " " + what;
}

static Status ioError(const std::string &name, const char *what, int error) {
  return {StatusCode::IoError,
          withName(name, what) + ": " + std::strerror(error)};
}

StatusOr<std::shared_ptr<const InputFile>> InputFile::adopt(int fd,
                                                            std::string name) {
  struct stat info;
  if (fstat(fd, &info) != 0) {
    int error = errno;
    close(fd);
    return ioError(name, "cannot be examined", error);
  }
  if (!S_ISREG(info.st_mode)) {
    close(fd);
    return Status(StatusCode::IoError, withName(name, "is not a regular file"));
  }
  return std::shared_ptr<const InputFile>(
      new InputFile(fd, std::move(name), static_cast<uint64_t>(info.st_size),
                    static_cast<uint64_t>(info.st_nlink)));
}

StatusOr<std::shared_ptr<const InputFile>>
InputFile::open(const std::string &path) {
  // O_NONBLOCK: opening a FIFO must not wait for its other end.
  int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
  if (fd < 0)
    return ioError("", "cannot be opened", errno);
  return adopt(fd, "");
}

InputFile::~InputFile() { close(fd); }

Status InputFile::readAt(uint64_t offset, std::span<std::byte> bytes) const {
  while (!bytes.empty()) {
    ssize_t count =
        pread(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (count < 0 && errno == EINTR)
      continue;
    if (count < 0)
      return ioError(theName, "cannot be read", errno);
    if (count == 0)
      return {StatusCode::IoError, withName(theName, "ends at byte ") +
                                       std::to_string(offset) +
                                       ", expected more"};
    offset += static_cast<uint64_t>(count);
    bytes = bytes.subspan(static_cast<size_t>(count));
  }
  return Status::ok();
}

} // namespace moe::onnx_import
