//===- LayerCheck.h - What a layer must compute, in double ------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Slow and obvious: elements of the result from the weights as they lie in
// memory, read by the description of their layout, with none of the kernels'
// code. So what is timed is also right.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_TOOLS_MOE_RUN_LAYERCHECK_H
#define MOE_TOOLS_MOE_RUN_LAYERCHECK_H

#include "runtime/params/QuantFormat.h"
#include "runtime/support/TensorView.h"
#include "tools/moe-run/LayerSpec.h"

#include <array>
#include <functional>
#include <optional>
#include <span>

namespace moe::tools {

/// A matrix of weights [rows, columns] in a layout.
class StoredMatrix {
public:
  /// Errors: Unsupported for a layout that it does not know, Internal for a
  /// block of another size than the layout says.
  static StatusOr<StoredMatrix> create(const BlockView &block,
                                       std::string_view layout, DType dtype,
                                       int64_t rows, int64_t columns);
  int64_t rows() const { return numRows; }
  /// Element (row, column).
  double at(int64_t row, int64_t column) const;

private:
  StoredMatrix() = default;
  double code(const std::byte *panel, int64_t row, int64_t lane) const;

  const std::byte *data = nullptr;
  DType dtype = DType::F32;
  bool isPacked = false;
  int64_t numRows = 0, numColumns = 0;
  std::optional<QuantFormat> format;
  QuantPanel panel;
};

/// The matrices and biases of one expert, as paramsOf names them.
struct StoredExpert {
  std::array<std::optional<StoredMatrix>, 6> params;
};

/// A token's way through the layer.
struct TokenRoute {
  std::span<const float> x;
  std::span<const int32_t> experts;
  std::span<const double> weights;
};

/// An element of the result, and the sum of the magnitudes of what was added:
/// the scale of what rounding may do to it.
struct CheckedValue {
  double value = 0, magnitude = 0;
};

/// The given columns of one token. `expertAt` finds an expert's weights.
StatusOr<std::vector<CheckedValue>> layerOutputs(
    const LayerSpec &spec, const TokenRoute &token,
    std::span<const int64_t> columns,
    const std::function<StatusOr<StoredExpert>(int32_t expert)> &expertAt);

/// How far a result may be off, as part of the magnitude.
double toleranceOf(const LayerSpec &spec);

} // namespace moe::tools

#endif // MOE_TOOLS_MOE_RUN_LAYERCHECK_H
