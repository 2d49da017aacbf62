//===- File.cpp - Files: mapped and read in pieces ------------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/support/File.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

using namespace moe;

static Status ioError(const std::string &path, const std::string &what) {
  return Status(StatusCode::IoError, path + ": " + what);
}

static Status systemError(const std::string &path, const char *what) {
  return ioError(path, std::string(what) + ": " + std::strerror(errno));
}

void FileDescriptor::reset(int newFd) {
  if (fd >= 0)
    ::close(fd);
  fd = newFd;
}

//===----------------------------------------------------------------------===//
// InputFile
//===----------------------------------------------------------------------===//

// O_NONBLOCK: opening a pipe must not wait for its writer.
static constexpr int kOpenFlags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;

StatusOr<InputFile> InputFile::fromDescriptor(FileDescriptor fd,
                                              std::string path) {
  struct stat info;
  if (::fstat(fd.get(), &info) != 0)
    return systemError(path, "cannot be examined");
  if (!S_ISREG(info.st_mode))
    return ioError(path, "is not a regular file");
  InputFile file;
  file.fd = std::move(fd);
  file.thePath = std::move(path);
  file.theSize = static_cast<uint64_t>(info.st_size);
  return file;
}

StatusOr<InputFile> InputFile::open(const std::string &path) {
  FileDescriptor fd(::open(path.c_str(), kOpenFlags));
  if (!fd.isOpen())
    return systemError(path, "cannot be opened");
  return fromDescriptor(std::move(fd), path);
}

/// One component after the other, following no link: for kernels that lack
/// openat2.
static FileDescriptor openBeneath(int folder, std::string_view path) {
  FileDescriptor current(::fcntl(folder, F_DUPFD_CLOEXEC, 0));
  while (current.isOpen()) {
    size_t slash = path.find('/');
    std::string part(path.substr(0, slash));
    bool isLast = slash == std::string_view::npos;
    if (part == "..") {
      errno = EXDEV;
      return FileDescriptor();
    }
    if (!part.empty() && part != ".") {
      int flags = isLast ? kOpenFlags : O_PATH | O_DIRECTORY | O_CLOEXEC;
      current.reset(::openat(current.get(), part.c_str(), flags | O_NOFOLLOW));
    }
    if (isLast)
      return current;
    path.remove_prefix(slash + 1);
  }
  return current;
}

StatusOr<InputFile> InputFile::openInside(const std::string &folder,
                                          const std::string &path) {
  std::string shown = folder + "/" + path;
  if (path.empty() || path[0] == '/' || path.find('\0') != std::string::npos)
    return ioError(shown, "is not a path inside the folder");
  FileDescriptor root(::open(folder.empty() ? "." : folder.c_str(),
                             O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!root.isOpen())
    return systemError(folder, "cannot be opened");
  struct open_how how = {};
  how.flags = kOpenFlags;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
  FileDescriptor fd(static_cast<int>(
      ::syscall(SYS_openat2, root.get(), path.c_str(), &how, sizeof(how))));
  if (!fd.isOpen() && (errno == ENOSYS || errno == EPERM))
    fd = openBeneath(root.get(), path);
  if (!fd.isOpen() && errno == EXDEV)
    return ioError(shown, "leads out of the folder");
  if (!fd.isOpen())
    return systemError(shown, "cannot be opened");
  return fromDescriptor(std::move(fd), std::move(shown));
}

Status InputFile::readAt(uint64_t offset, std::span<std::byte> into) const {
  if (offset > theSize || into.size() > theSize - offset)
    return ioError(thePath, "bytes [" + std::to_string(offset) + ", +" +
                                std::to_string(into.size()) +
                                ") lie outside the file of " +
                                std::to_string(theSize) + " bytes");
  while (!into.empty()) {
    ssize_t got =
        ::pread(fd.get(), into.data(), into.size(), static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR)
      continue;
    if (got < 0)
      return systemError(thePath, "cannot be read");
    if (got == 0)
      return ioError(thePath, "became shorter while it was read");
    into = into.subspan(static_cast<size_t>(got));
    offset += static_cast<uint64_t>(got);
  }
  return Status::ok();
}

StatusOr<std::string> moe::readWholeFile(const std::string &path,
                                         uint64_t maxBytes) {
  MOE_ASSIGN_OR_RETURN(InputFile file, InputFile::open(path));
  if (file.size() > maxBytes)
    return ioError(path, "has " + std::to_string(file.size()) +
                             " bytes, expected at most " +
                             std::to_string(maxBytes));
  std::string text(file.size(), '\0');
  MOE_RETURN_IF_ERROR(
      file.readAt(0, std::as_writable_bytes(std::span<char>(text))));
  return text;
}

//===----------------------------------------------------------------------===//
// MappedFile
//===----------------------------------------------------------------------===//

StatusOr<MappedFile> MappedFile::open(const std::string &path) {
  MOE_ASSIGN_OR_RETURN(InputFile file, InputFile::open(path));
  MappedFile mapped;
  if (file.size() == 0)
    return mapped;
  void *data =
      ::mmap(nullptr, file.size(), PROT_READ, MAP_PRIVATE, file.fd.get(), 0);
  if (data == MAP_FAILED)
    return systemError(path, "cannot be mapped");
  mapped.data = static_cast<const std::byte *>(data);
  mapped.size = file.size();
  return mapped;
}

MappedFile::~MappedFile() {
  if (data)
    ::munmap(const_cast<std::byte *>(data), size);
}
