//===- InputFile.h - Reading a file at offsets -------------------*- C++
//-*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_FRONTEND_ONNX_INPUTFILE_H
#define MOE_FRONTEND_ONNX_INPUTFILE_H

#include "runtime/support/Status.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

namespace moe::onnx_import {

/// An open regular file. Its size is that at opening; a file that shrinks
/// later gives an error, never less data.
class InputFile {
public:
  /// Takes over `fd`; messages begin with `name`, if it is not empty. Errors:
  /// IoError if it is not a regular file.
  static StatusOr<std::shared_ptr<const InputFile>> adopt(int fd,
                                                          std::string name);
  /// The same without a name.
  static StatusOr<std::shared_ptr<const InputFile>>
  open(const std::string &path);
  ~InputFile();
  InputFile(const InputFile &) = delete;
  InputFile &operator=(const InputFile &) = delete;

  uint64_t size() const { return theSize; }
  /// Number of names that the file has in its file system.
  uint64_t numLinks() const { return theLinks; }
  const std::string &name() const { return theName; }
  /// Fills `bytes` from `offset`. Errors: IoError, also at the end of the file.
  Status readAt(uint64_t offset, std::span<std::byte> bytes) const;

private:
  InputFile(int fd, std::string name, uint64_t size, uint64_t links)
      : fd(fd), theName(std::move(name)), theSize(size), theLinks(links) {}

  int fd;
  std::string theName;
  uint64_t theSize;
  uint64_t theLinks;
};

} // namespace moe::onnx_import

#endif // MOE_FRONTEND_ONNX_INPUTFILE_H
