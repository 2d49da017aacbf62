//===- ExternalData.h - The files that a model may read ----------*- C++
//-*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A tensor of a model may lie in another file, which the model names. The name
// is untrusted: nothing outside of the model's own folder may be read, whatever
// it is called and whatever links lead to it.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_FRONTEND_ONNX_EXTERNALDATA_H
#define MOE_FRONTEND_ONNX_EXTERNALDATA_H

#include "frontend/onnx/InputFile.h"

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace moe::onnx_import {

/// Where a model is: its folder, and its name inside of it.
struct ModelLocation {
  std::string folder;
  std::string name;
};

/// The folder and the name that `path` says.
ModelLocation locateModel(const std::string &path);

/// The folder of a model, and the data files in it that are open.
class DataFolder {
public:
  /// With `allowLinkedData` links may lead out of the folder.
  static StatusOr<std::unique_ptr<DataFolder>> open(const std::string &folder,
                                                    bool allowLinkedData);
  ~DataFolder();
  DataFolder(const DataFolder &) = delete;
  DataFolder &operator=(const DataFolder &) = delete;

  /// The file that a model calls `location`, a relative path. Errors:
  /// BadModel if the path or the file is not acceptable, IoError if it cannot
  /// be opened.
  StatusOr<std::shared_ptr<const InputFile>>
  openFile(std::string_view location);

private:
  DataFolder(int fd, bool allowLinkedData)
      : fd(fd), allowLinkedData(allowLinkedData) {}
  StatusOr<int> openBeneath(const std::string &location) const;

  int fd;
  bool allowLinkedData;
  std::map<std::string, std::shared_ptr<const InputFile>, std::less<>> files;
};

/// Checks a path that a model gives: relative, without "..", not empty.
Status checkDataPath(std::string_view location);

/// The entries `offset` and `length` of external data.
struct DataRange {
  uint64_t offset = 0;
  std::optional<uint64_t> length;
};

/// A decimal number without sign.
StatusOr<uint64_t> parseDataNumber(std::string_view key, std::string_view text);

/// The bytes [offset, offset + numBytes) if they lie in a file of `fileSize`
/// bytes and `range` agrees.
Status checkDataRange(const DataRange &range, uint64_t numBytes,
                      uint64_t fileSize);

} // namespace moe::onnx_import

#endif // MOE_FRONTEND_ONNX_EXTERNALDATA_H
