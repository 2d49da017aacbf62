//===- WeightFiles.cpp - Files that weights come from ---------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/params/WeightFiles.h"

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <system_error>

using namespace moe;
namespace fs = std::filesystem;

/// Models of one file per tensor have more files than a process may open.
static constexpr size_t kMaxOpen = 64;

WeightFiles::WeightFiles(
    const std::vector<std::unique_ptr<plan::WeightFileT>> &files,
    std::vector<std::string> folders)
    : files(files), opened(files.size()) {
  for (std::string &folder : folders) {
    std::error_code error;
    fs::path absolute = fs::absolute(folder.empty() ? "." : folder, error);
    this->folders.push_back(error ? folder
                                  : absolute.lexically_normal().string());
  }
}

StatusOr<InputFile> WeightFiles::open(const std::string &path) const {
  Status status(
      StatusCode::IoError,
      path + ": lies outside of the plan's folder; allow its folder with "
             "--weights-folder");
  for (const std::string &base : folders) {
    fs::path full = (fs::path(base) / path).lexically_normal();
    for (const std::string &folder : folders) {
      fs::path inside = full.lexically_relative(folder);
      if (inside.empty() || *inside.begin() == "..")
        continue;
      StatusOr<InputFile> file = InputFile::openInside(folder, inside.string());
      if (file.isOk())
        return file;
      status = file.status();
    }
  }
  return status;
}

StatusOr<std::shared_ptr<const InputFile>> WeightFiles::get(uint32_t index) {
  std::lock_guard lock(mutex);
  if (opened[index])
    return opened[index];
  const plan::WeightFileT &entry = *files[index];
  MOE_ASSIGN_OR_RETURN(InputFile file, open(entry.path));
  if (file.size() != entry.size)
    return Status(StatusCode::IoError,
                  file.path() + ": has " + std::to_string(file.size()) +
                      " bytes, expected " + std::to_string(entry.size));
  if (order.size() == kMaxOpen) {
    opened[order.front()].reset();
    order.pop_front();
  }
  order.push_back(index);
  opened[index] = std::make_shared<const InputFile>(std::move(file));
  return opened[index];
}

/// Reads `count` runs of runBytes, `pitch` bytes apart. Small runs are cut out
/// of larger reads.
static Status readRuns(const InputFile &file, uint64_t offset, int64_t count,
                       uint64_t pitch, uint64_t runBytes, std::byte *out) {
  constexpr uint64_t kSmallRun = 4096, kMaxPitch = 65536, kRead = 1 << 20;
  if (runBytes >= kSmallRun || pitch > kMaxPitch) {
    for (int64_t i = 0; i < count; ++i)
      MOE_RETURN_IF_ERROR(
          file.readAt(offset + i * pitch, {out + i * runBytes, runBytes}));
    return Status::ok();
  }
  std::vector<std::byte> rows;
  int64_t rowsPerRead = std::min(count, static_cast<int64_t>(kRead / pitch));
  for (int64_t i = 0; i < count; i += rowsPerRead) {
    int64_t n = std::min(rowsPerRead, count - i);
    rows.resize((n - 1) * pitch + runBytes);
    MOE_RETURN_IF_ERROR(file.readAt(offset + i * pitch, rows));
    for (int64_t k = 0; k < n; ++k)
      std::memcpy(out + (i + k) * runBytes, rows.data() + k * pitch, runBytes);
  }
  return Status::ok();
}

Status WeightFiles::readWindow(uint32_t index, uint64_t begin,
                               std::span<const int64_t> dims,
                               const Window &window, size_t elementBytes,
                               std::byte *out) {
  MOE_ASSIGN_OR_RETURN(std::shared_ptr<const InputFile> file, get(index));
  Extents strides = rowMajor(dims);
  // Dimensions from `inner` on make up one run of bytes.
  int inner = window.rank;
  uint64_t runBytes = elementBytes;
  while (inner > 0) {
    --inner;
    runBytes *= window.sizes[inner];
    if (window.sizes[inner] != dims[inner])
      break;
  }
  uint64_t offset = begin;
  for (int i = 0; i < window.rank; ++i)
    offset += window.starts[i] * strides[i] * elementBytes;
  if (inner == 0)
    return file->readAt(offset, {out, runBytes});

  // The dimension before `inner` is read at once, those in front one by one.
  int rows = inner - 1;
  uint64_t pitch = strides[rows] * elementBytes;
  Extents at = {};
  for (;;) {
    uint64_t shift = 0;
    for (int i = 0; i < rows; ++i)
      shift += at[i] * strides[i] * elementBytes;
    MOE_RETURN_IF_ERROR(readRuns(*file, offset + shift, window.sizes[rows],
                                 pitch, runBytes, out));
    out += window.sizes[rows] * runBytes;
    int i = rows;
    while (i-- > 0 && ++at[i] == window.sizes[i])
      at[i] = 0;
    if (i < 0)
      return Status::ok();
  }
}
