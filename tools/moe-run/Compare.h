//===- Compare.h - Found outputs against expected ones ----------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_TOOLS_MOE_RUN_COMPARE_H
#define MOE_TOOLS_MOE_RUN_COMPARE_H

#include "runtime/io/HostTensor.h"

#include <string>
#include <vector>

namespace moe::tools {

/// found and expected agree if |found - expected| <= absolute + relative *
/// |expected|. Two NaN agree, and two equal infinities.
struct Tolerance {
  double absolute = 1e-4;
  double relative = 1e-3;
};

/// What all compared tensors have in common.
struct Comparison {
  int64_t elements = 0;
  int64_t differing = 0;
  /// Tensors of another shape.
  int64_t misshapen = 0;
  double maxAbsoluteError = 0;
  /// By |expected|; elements that are expected to be 0 have no say.
  double maxRelativeError = 0;
  /// For each of the first differing elements: 'output "y"[0, 3]: found 1.5,
  /// expected 2', and for a wrong shape the shapes.
  std::vector<std::string> differences;

  bool isEqual() const { return differing == 0 && misshapen == 0; }
  /// "3 of 512 elements differ; largest absolute error ..."
  std::string summary() const;
};

void compare(const HostTensor &found, const HostTensor &expected,
             const Tolerance &tolerance, Comparison &result);

} // namespace moe::tools

#endif // MOE_TOOLS_MOE_RUN_COMPARE_H
