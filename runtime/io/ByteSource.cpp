//===- ByteSource.cpp - Bytes from front to back --------------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/io/ByteSource.h"

using namespace moe;

Status FileSource::read(std::span<std::byte> to) {
  if (to.size() > left)
    return Status(StatusCode::IoError,
                  "data are cut off: " + std::to_string(to.size()) +
                      " bytes wanted, " + std::to_string(left) + " left");
  MOE_RETURN_IF_ERROR(file.readAt(offset, to));
  offset += to.size();
  left -= to.size();
  return Status::ok();
}

Status moe::inFile(const InputFile &file, const Status &status) {
  return status.message().starts_with(file.path()) ? status
                                                   : status.at(file.path());
}
