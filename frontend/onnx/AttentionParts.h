//===- AttentionParts.h - Attention of the ONNX standard ---------*- C++
//-*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_FRONTEND_ONNX_ATTENTIONPARTS_H
#define MOE_FRONTEND_ONNX_ATTENTIONPARTS_H

#include "frontend/onnx/NodeContext.h"

namespace moe::onnx_import {

/// The attributes of an Attention node, and its inputs as heads.
struct AttentionParts {
  mlir::Value q, k, v; // [B, H, S, D], [B, KV, T, D], [B, KV, T, Dv]
  mlir::Value mask;    // broadcasts to [B, H, S, T]; i1 (true: seen) or floats
  mlir::Value lengths; // [B]
  /// Query i stands at key i + offset.
  DimExpr offset;
  bool isFlat = false;
  bool isCausal = false;
  float scale = 1.0f, softcap = 0.0f;
  /// Keys that are seen before and after the query; -1 for all.
  int64_t left = -1, right = -1;
};

/// Two masks, each of i1 (true: seen) or of numbers to add, as one. Either may
/// be null.
mlir::Value joinMasks(NodeContext &n, mlir::Value a, mlir::Value b);

/// The keys that a query sees by its position, i1 [S, T]; null for all.
mlir::Value positionMask(NodeContext &n, const AttentionParts &p);

/// Output 3 of the node: scores as `mode` says: 0 as they are, 1 after softcap,
/// 2 with the mask, 3 after softmax.
llvm::LogicalResult setScores(NodeContext &n, const AttentionParts &p,
                              int64_t mode);

} // namespace moe::onnx_import

#endif // MOE_FRONTEND_ONNX_ATTENTIONPARTS_H
