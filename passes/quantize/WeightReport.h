//===- WeightReport.h - What the rounding of weights costs ------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_PASSES_QUANTIZE_WEIGHTREPORT_H
#define MOE_PASSES_QUANTIZE_WEIGHTREPORT_H

#include "runtime/support/Status.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace mlir {
class ModuleOp;
} // namespace mlir

namespace moe::pass {

/// One weight of a product.
struct WeightRow {
  std::string name;
  std::string role;   ///< w1, w2, w3, or empty
  std::string stored; ///< in words: "int4 in blocks of 32"
  double bytesBefore = 0;
  double bytesAfter = 0;
};

/// The result with rounded weights and rows against that without.
struct ProductError {
  double largest = 0;  ///< of an element
  double relative = 0; ///< length of the difference by length of the result
};

/// A moe.matmul, moe.ffn or moe.experts.
struct ProductRow {
  std::string node;
  std::string operation;
  std::string arithmetic; ///< float or int8
  std::vector<WeightRow> weights;
  /// Absent where nothing is rounded, or nothing was measured.
  std::optional<ProductError> error;
};

struct WeightReportOptions {
  /// The folder of the model: file names in #moe.param are relative to it.
  std::string modelFolder;
  uint64_t seed = 0;
  /// Rows of N(0, 1) that are put into each product.
  int64_t numRows = 4;
  /// Of each layer, the first so many experts are measured.
  int64_t numExperts = 2;
  /// False: the files may not be there.
  bool measures = true;
};

/// The products of a recognized module on one device, in order. Weights are
/// read in windows of a few MiB and all arithmetic is f64. Errors: IoError,
/// BadModel for files that cannot be read.
StatusOr<std::vector<ProductRow>>
reportWeights(mlir::ModuleOp module, const WeightReportOptions &options);

} // namespace moe::pass

#endif // MOE_PASSES_QUANTIZE_WEIGHTREPORT_H
