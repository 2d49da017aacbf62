//===- ByteSource.h - Bytes from front to back ------------------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// An array is read the same way from a file of its own, from a stored and from
// a deflated member of an archive.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_RUNTIME_IO_BYTESOURCE_H
#define MOE_RUNTIME_IO_BYTESOURCE_H

#include "runtime/support/File.h"
#include "runtime/support/Status.h"

#include <cstddef>
#include <cstdint>
#include <span>

namespace moe {

class ByteSource {
public:
  virtual ~ByteSource() = default;
  /// Bytes that are still to come; known before they are read, and bounded by
  /// what stands behind them.
  virtual uint64_t remaining() const = 0;
  /// Fills `to` with the next bytes; an error if there are fewer.
  virtual Status read(std::span<std::byte> to) = 0;
};

/// A range of a file, which must outlive it.
class FileSource final : public ByteSource {
public:
  /// The range must lie in the file.
  FileSource(const InputFile &file, uint64_t offset, uint64_t bytes)
      : file(file), offset(offset), left(bytes) {}
  uint64_t remaining() const override { return left; }
  Status read(std::span<std::byte> to) override;

private:
  const InputFile &file;
  uint64_t offset;
  uint64_t left;
};

/// The error with the path of `file` in front, where it is not yet there.
Status inFile(const InputFile &file, const Status &status);

} // namespace moe

#endif // MOE_RUNTIME_IO_BYTESOURCE_H
