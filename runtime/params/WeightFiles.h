//===- WeightFiles.h - Files that weights come from -------------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_RUNTIME_PARAMS_WEIGHTFILES_H
#define MOE_RUNTIME_PARAMS_WEIGHTFILES_H

#include "runtime/params/Window.h"
#include "runtime/plan/Plan_generated.h"
#include "runtime/support/File.h"
#include "runtime/support/Status.h"

#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace moe {

/// Opens files when they are needed and keeps the last ones open, inside of
/// `folders` only. Safe from several threads at once.
class WeightFiles {
public:
  WeightFiles(const std::vector<std::unique_ptr<plan::WeightFileT>> &files,
              std::vector<std::string> folders);

  /// The file, after its size was compared with the plan's.
  StatusOr<std::shared_ptr<const InputFile>> get(uint32_t index);

  /// Reads a window of a row-major tensor that begins at byte `begin`.
  Status readWindow(uint32_t index, uint64_t begin,
                    std::span<const int64_t> dims, const Window &window,
                    size_t elementBytes, std::byte *out);

private:
  StatusOr<InputFile> open(const std::string &path) const;

  const std::vector<std::unique_ptr<plan::WeightFileT>> &files;
  std::vector<std::string> folders;
  std::mutex mutex;
  std::vector<std::shared_ptr<const InputFile>> opened;
  /// Indices of the open ones, oldest first.
  std::deque<uint32_t> order;
};

} // namespace moe

#endif // MOE_RUNTIME_PARAMS_WEIGHTFILES_H
