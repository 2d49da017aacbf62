//===- ModelFile.h - A parsed ONNX model -------------------------*- C++
//-*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_FRONTEND_ONNX_MODELFILE_H
#define MOE_FRONTEND_ONNX_MODELFILE_H

#include "frontend/onnx/ExternalData.h"
#include "frontend/onnx/onnx.pb.h"

#include <memory>
#include <string>

namespace moe::onnx_import {

struct ModelFile {
  onnx::ModelProto proto;
  ModelLocation location;
  /// The file that file ranges in `proto` refer to; null for text.
  std::shared_ptr<const InputFile> file;
  std::unique_ptr<DataFolder> data;
};

/// Reads the model at `path`, without its weights. Errors: IoError, BadModel.
StatusOr<std::unique_ptr<ModelFile>> readModel(const std::string &path,
                                               bool allowLinkedData);

} // namespace moe::onnx_import

#endif // MOE_FRONTEND_ONNX_MODELFILE_H
