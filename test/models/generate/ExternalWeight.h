//===- ExternalWeight.h - Weights that are ranges of a file -----*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_TEST_MODELS_GENERATE_EXTERNALWEIGHT_H
#define MOE_TEST_MODELS_GENERATE_EXTERNALWEIGHT_H

#include "frontend/onnx/onnx.pb.h"

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace moe::test {

/// Adds the f32 initializer `name` at `numBytes` of weights.bin, which grows by
/// it; returns the name.
inline std::string addExternalWeight(onnx::GraphProto &graph,
                                     const std::string &name,
                                     const std::vector<int64_t> &dims,
                                     int64_t &numBytes) {
  constexpr int kFloat = 1;
  onnx::TensorProto *tensor = graph.add_initializer();
  tensor->set_name(name);
  tensor->set_data_type(kFloat);
  int64_t bytes = 4;
  for (int64_t dim : dims) {
    tensor->add_dims(dim);
    bytes *= dim;
  }
  tensor->set_data_location(onnx::TensorProto::EXTERNAL);
  for (auto [key, value] :
       {std::pair<std::string, std::string>{"location", "weights.bin"},
        {"offset", std::to_string(numBytes)},
        {"length", std::to_string(bytes)}}) {
    onnx::StringStringEntryProto *entry = tensor->add_external_data();
    entry->set_key(key);
    entry->set_value(value);
  }
  numBytes += bytes;
  return name;
}

} // namespace moe::test

#endif // MOE_TEST_MODELS_GENERATE_EXTERNALWEIGHT_H
