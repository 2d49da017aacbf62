//===- WireScan.h - A model's message without its weights --------*- C++
//-*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// An ONNX file is one protobuf message, and a parser for messages holds all of
// it, weights included. The scan reads the file's wire format once through a
// small window and writes a shorter message:
//
//   TensorProto { dims: 4096 dims: 4096 data_type: 1 name: "w"
//                 raw_data: <67108864 bytes> }
//   becomes
//   TensorProto { dims: 4096 dims: 4096 data_type: 1 name: "w"
//                 file_range { offset: 1337 length: 67108864 } }
//
// for every tensor, wherever it lies: initializers, attributes, subgraphs,
// functions. Data of up to 1 KiB stay in the message too. Documentation,
// metadata and fields that the importer does not know are left out.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_FRONTEND_ONNX_WIRESCAN_H
#define MOE_FRONTEND_ONNX_WIRESCAN_H

#include "frontend/onnx/InputFile.h"

#include <string>

namespace moe::onnx_import {

/// Tensor data of at most this many bytes stay in the message.
inline constexpr uint64_t kInlineBytes = 1024;

/// The message of `file`, a serialized ModelProto, without weights. Errors:
/// BadModel for what is no such message, is nested deeper than 64 subgraphs,
/// has more than 8 million fields, or holds 2 GiB or more besides weights.
StatusOr<std::string> scanModel(const InputFile &file);

} // namespace moe::onnx_import

#endif // MOE_FRONTEND_ONNX_WIRESCAN_H
