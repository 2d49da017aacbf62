//===- ModelFile.cpp - A parsed ONNX model --------------------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontend/onnx/ModelFile.h"

#include "frontend/onnx/WireScan.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/tokenizer.h>
#include <google/protobuf/text_format.h>

#include <climits>
#include <span>

namespace moe::onnx_import {

/// Text is for tests and examples.
static constexpr uint64_t kMaxTextBytes = uint64_t(16) << 20;
/// Deeper than what the wire scan lets pass.
static constexpr int kMaxParseDepth = 400;

namespace {
/// Keeps the first error of the text parser.
class FirstError : public google::protobuf::io::ErrorCollector {
public:
  void AddError(int line, google::protobuf::io::ColumnNumber column,
                const std::string &message) override {
    if (text.empty())
      text = "line " + std::to_string(line + 1) + ", column " +
             std::to_string(column + 1) + ": " + message;
  }
  std::string text;
};
} // namespace

static Status parseText(const InputFile &file, onnx::ModelProto &proto) {
  if (file.size() > kMaxTextBytes)
    return {StatusCode::BadModel, "is text of more than 16 MiB"};
  std::string text(file.size(), '\0');
  MOE_RETURN_IF_ERROR(file.readAt(0, std::as_writable_bytes(std::span(text))));
  google::protobuf::TextFormat::Parser parser;
  FirstError error;
  parser.RecordErrorsTo(&error);
  parser.SetRecursionLimit(kMaxParseDepth);
  if (!parser.ParseFromString(text, &proto))
    return {StatusCode::BadModel, error.text};
  return Status::ok();
}

static Status parseBinary(const InputFile &file, onnx::ModelProto &proto) {
  MOE_ASSIGN_OR_RETURN(std::string message, scanModel(file));
  google::protobuf::io::CodedInputStream stream(
      reinterpret_cast<const uint8_t *>(message.data()),
      static_cast<int>(message.size()));
  stream.SetTotalBytesLimit(INT_MAX);
  stream.SetRecursionLimit(kMaxParseDepth);
  if (!proto.ParseFromCodedStream(&stream) || !stream.ConsumedEntireMessage())
    return {StatusCode::BadModel, "is not an ONNX model or is damaged"};
  return Status::ok();
}

StatusOr<std::unique_ptr<ModelFile>> readModel(const std::string &path,
                                               bool allowLinkedData) {
  auto model = std::make_unique<ModelFile>();
  MOE_ASSIGN_OR_RETURN(std::shared_ptr<const InputFile> file,
                       InputFile::open(path));
  model->location = locateModel(path);
  MOE_ASSIGN_OR_RETURN(
      model->data, DataFolder::open(model->location.folder, allowLinkedData));
  std::string_view name = path;
  if (name.ends_with(".textproto") || name.ends_with(".onnxtxt")) {
    MOE_RETURN_IF_ERROR(parseText(*file, model->proto));
  } else {
    MOE_RETURN_IF_ERROR(parseBinary(*file, model->proto));
    model->file = file;
  }
  return model;
}

} // namespace moe::onnx_import
