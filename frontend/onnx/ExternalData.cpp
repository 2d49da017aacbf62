//===- ExternalData.cpp - The files that a model may read -----------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontend/onnx/ExternalData.h"

#include "runtime/support/CheckedMath.h"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <climits>
#include <cstring>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace moe::onnx_import {

static std::string quoted(std::string_view text) {
  std::string result = "\"";
  for (char c : text.substr(0, 256))
    result += static_cast<unsigned char>(c) < 0x20 ? '?' : c;
  return result + (text.size() > 256 ? "...\"" : "\"");
}

//===----------------------------------------------------------------------===//
// The model's own place
//===----------------------------------------------------------------------===//

ModelLocation locateModel(const std::string &path) {
  size_t slash = path.rfind('/');
  if (slash == std::string::npos)
    return {".", path};
  return {slash == 0 ? "/" : path.substr(0, slash), path.substr(slash + 1)};
}

//===----------------------------------------------------------------------===//
// Paths
//===----------------------------------------------------------------------===//

Status checkDataPath(std::string_view location) {
  auto refuse = [&](const char *why) {
    return Status(StatusCode::BadModel,
                  "external data path " + quoted(location) + " " + why);
  };
  if (location.empty())
    return refuse("is empty");
  if (location.size() >= PATH_MAX)
    return refuse("is too long");
  if (location.find('\0') != std::string_view::npos)
    return refuse("contains a NUL character");
  // ONNX Runtime's name for tensors in its own memory.
  if (location.find("_ORT_MEM_ADDR_") != std::string_view::npos)
    return refuse("is an address in another program's memory");
  if (location.front() == '/')
    return refuse("is absolute, expected a path relative to the model");
  for (size_t begin = 0; begin <= location.size();) {
    size_t end = std::min(location.find('/', begin), location.size());
    if (location.substr(begin, end - begin) == "..")
      return refuse("contains \"..\"");
    begin = end + 1;
  }
  return Status::ok();
}

//===----------------------------------------------------------------------===//
// DataFolder
//===----------------------------------------------------------------------===//

StatusOr<std::unique_ptr<DataFolder>>
DataFolder::open(const std::string &folder, bool allowLinkedData) {
  int fd = ::open(folder.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0)
    return Status(StatusCode::IoError,
                  folder + ": cannot be opened: " + std::strerror(errno));
  return std::unique_ptr<DataFolder>(new DataFolder(fd, allowLinkedData));
}

DataFolder::~DataFolder() { close(fd); }

// O_NONBLOCK: opening a FIFO must not wait for its other end.
static constexpr int kOpenFlags = O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;

// Without openat2 (a kernel before 5.6, or a filter): one component after the
// other, and no links at all.
static int openWithoutLinks(int folder, const std::string &location) {
  int current = dup(folder);
  for (size_t begin = 0; current >= 0;) {
    size_t slash = location.find('/', begin);
    bool isLast = slash == std::string::npos;
    std::string part = location.substr(begin, isLast ? slash : slash - begin);
    int next = part.empty()
                   ? dup(current)
                   : openat(current, part.c_str(),
                            O_NOFOLLOW | O_CLOEXEC |
                                (isLast ? kOpenFlags : O_PATH | O_DIRECTORY));
    int error = errno;
    close(current);
    if (isLast) {
      errno = error;
      return next;
    }
    errno = error;
    current = next;
    begin = slash + 1;
  }
  return -1;
}

StatusOr<int> DataFolder::openBeneath(const std::string &location) const {
  if (allowLinkedData) {
    int file = openat(fd, location.c_str(), kOpenFlags);
    if (file >= 0)
      return file;
  } else {
    open_how how = {};
    how.flags = kOpenFlags;
    how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
    long file = syscall(SYS_openat2, fd, location.c_str(), &how, sizeof(how));
    if (file < 0 && (errno == ENOSYS || errno == EPERM))
      file = openWithoutLinks(fd, location);
    if (file >= 0)
      return static_cast<int>(file);
  }
  if (errno == EXDEV || errno == ELOOP)
    return Status(StatusCode::BadModel, "external data path " +
                                            quoted(location) +
                                            " leads out of the model's folder");
  return Status(StatusCode::IoError,
                "external data " + quoted(location) +
                    " cannot be opened: " + std::strerror(errno));
}

StatusOr<std::shared_ptr<const InputFile>>
DataFolder::openFile(std::string_view location) {
  if (auto it = files.find(location); it != files.end())
    return it->second;
  MOE_RETURN_IF_ERROR(checkDataPath(location));
  // A model names few files; one that names many must not use up descriptors.
  if (files.size() >= 512)
    files.clear();
  std::string name(location);
  MOE_ASSIGN_OR_RETURN(int file, openBeneath(name));
  StatusOr<std::shared_ptr<const InputFile>> opened =
      InputFile::adopt(file, quoted(name));
  if (!opened.isOk())
    return Status(StatusCode::BadModel,
                  "external data " + opened.status().message());
  if (!allowLinkedData && (*opened)->numLinks() > 1)
    return Status(StatusCode::BadModel,
                  "external data " + quoted(name) +
                      " has other names (hard links), which may lie outside "
                      "of the model's folder");
  files.emplace(name, *opened);
  return *opened;
}

//===----------------------------------------------------------------------===//
// Ranges
//===----------------------------------------------------------------------===//

StatusOr<uint64_t> parseDataNumber(std::string_view key,
                                   std::string_view text) {
  uint64_t value = 0;
  auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() ||
      value > INT64_MAX)
    return Status(StatusCode::BadModel, "external data " + std::string(key) +
                                            " " + quoted(text) +
                                            " is not a number from 0 to 2^63");
  return value;
}

Status checkDataRange(const DataRange &range, uint64_t numBytes,
                      uint64_t fileSize) {
  if (range.length && *range.length != numBytes)
    return {StatusCode::BadModel,
            "external data has length " + std::to_string(*range.length) +
                ", expected " + std::to_string(numBytes) + " bytes"};
  std::optional<uint64_t> end = checkedAdd(range.offset, numBytes);
  if (!end || *end > fileSize)
    return {StatusCode::BadModel,
            "external data at offset " + std::to_string(range.offset) +
                " with " + std::to_string(numBytes) +
                " bytes ends behind the file, which has " +
                std::to_string(fileSize)};
  return Status::ok();
}

} // namespace moe::onnx_import
