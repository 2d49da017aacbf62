//===- GraphOrder.h - In which order nodes are imported ----------*- C++
//-*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_FRONTEND_ONNX_GRAPHORDER_H
#define MOE_FRONTEND_ONNX_GRAPHORDER_H

#include "frontend/onnx/onnx.pb.h"
#include "runtime/support/Status.h"

#include <functional>
#include <string>
#include <vector>

namespace moe::onnx_import {

using NodeList = google::protobuf::RepeatedPtrField<onnx::NodeProto>;

/// `"name" (Op)`, or `#7 (Op)` for a node without name.
std::string describeNode(const onnx::NodeProto &node, size_t index);

/// The nodes that `results` need, each behind those that it needs: in the order
/// of the file where that is such an order. `isDefined` says which names have a
/// value before the first node. Errors: BadModel for a name without value, a
/// value with two nodes, or a cycle.
StatusOr<std::vector<int>>
orderNodes(const NodeList &nodes, const std::vector<std::string> &results,
           const std::function<bool(const std::string &)> &isDefined);

} // namespace moe::onnx_import

#endif // MOE_FRONTEND_ONNX_GRAPHORDER_H
