//===- LayerCheck.cpp - What a layer must compute, in double --------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "tools/moe-run/LayerCheck.h"

#include "runtime/params/Layouts.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numbers>

using namespace moe;
using namespace moe::tools;

//===----------------------------------------------------------------------===//
// Weights
//===----------------------------------------------------------------------===//

StatusOr<StoredMatrix> StoredMatrix::create(const BlockView &block,
                                            std::string_view layout,
                                            DType dtype, int64_t rows,
                                            int64_t columns) {
  StoredMatrix matrix;
  matrix.data = block.data;
  matrix.dtype = dtype;
  matrix.numRows = rows;
  matrix.numColumns = columns;
  matrix.format = parseQuantLayout(layout);
  matrix.isPacked = layout == kPanel16Layout;
  if (matrix.format) {
    MOE_ASSIGN_OR_RETURN(matrix.panel, QuantPanel::of(*matrix.format, rows));
  } else if (!matrix.isPacked && layout != kRowLayout) {
    return Status(StatusCode::Unsupported, "results with weights in layout '" +
                                               std::string(layout) +
                                               "' cannot be checked");
  }
  int64_t dims[] = {rows, columns};
  MOE_ASSIGN_OR_RETURN(uint64_t bytes, layoutBytes(layout, dtype, dims));
  if (block.bytes != bytes)
    return Status(StatusCode::Internal,
                  "a block of weights has " + std::to_string(block.bytes) +
                      " bytes, expected " + std::to_string(bytes));
  return matrix;
}

static double element(const std::byte *data, DType dtype, int64_t index) {
  if (dtype == DType::F32) {
    float value;
    std::memcpy(&value, data + 4 * index, sizeof(value));
    return value;
  }
  uint16_t bits;
  std::memcpy(&bits, data + 2 * index, sizeof(bits));
  return dtype == DType::F16 ? halfToFloat(bits) : bfloat16ToFloat(bits);
}

/// As QuantFormat.h describes a panel.
double StoredMatrix::code(const std::byte *at, int64_t row,
                          int64_t lane) const {
  if (format->bits == 8)
    return std::to_integer<int>(
        at[(row / 4 * kPanelWidth + lane) * 4 + row % 4]);
  // Low halves of the four bytes are rows 0 to 3, high halves rows 4 to 7.
  int byte =
      std::to_integer<int>(at[(row / 8 * kPanelWidth + lane) * 4 + row % 4]);
  return row % 8 < 4 ? byte & 15 : byte >> 4;
}

double StoredMatrix::at(int64_t row, int64_t column) const {
  int64_t lane = column % kPanelWidth, index = column / kPanelWidth;
  if (!format && !isPacked)
    return element(data, dtype, row * numColumns + column);
  if (!format)
    return element(data, dtype, (index * numRows + row) * kPanelWidth + lane);
  const std::byte *from = data + index * panel.bytes;
  int64_t block = row / format->block * kPanelWidth + lane;
  double zero = format->hasZeroPoints
                    ? std::to_integer<int>(from[panel.zeros + block])
                    : format->zero();
  return (code(from, row, lane) - zero) *
         element(from + panel.scales, format->scales, block);
}

//===----------------------------------------------------------------------===//
// The layer
//===----------------------------------------------------------------------===//

static double activate(std::string_view kind, double x) {
  double sigmoid = 1 / (1 + std::exp(-x));
  if (kind == "silu")
    return x * sigmoid;
  if (kind == "gelu_erf")
    return 0.5 * x * (1 + std::erf(x / std::numbers::sqrt2));
  if (kind == "gelu_tanh")
    return 0.5 * x *
           (1 + std::tanh(std::sqrt(2 / std::numbers::pi) *
                          (x + 0.044715 * x * x * x)));
  if (kind == "relu" || kind == "relu2")
    return x < 0 ? 0 : kind == "relu" ? x : x * x;
  if (kind == "sigmoid")
    return sigmoid;
  return kind == "tanh" ? std::tanh(x) : x;
}

/// What is left of a row after rounding to 8 bits in blocks of 32.
static void roundRow(std::vector<double> &row) {
  constexpr size_t kBlock = 32;
  for (size_t begin = 0; begin < row.size(); begin += kBlock) {
    size_t end = std::min(begin + kBlock, row.size());
    float most = 0;
    for (size_t i = begin; i < end; ++i)
      most = std::max(most, std::abs(static_cast<float>(row[i])));
    double scale = static_cast<double>(most / 127);
    for (size_t i = begin; i < end; ++i)
      row[i] = scale > 0 ? std::nearbyint(row[i] / scale) * scale : 0;
  }
}

/// row * column of `weights` + bias.
static CheckedValue product(const std::vector<double> &row,
                            const StoredMatrix &weights,
                            const std::optional<StoredMatrix> &bias,
                            int64_t column) {
  CheckedValue result;
  for (int64_t i = 0; i < weights.rows(); ++i) {
    double term = row[i] * weights.at(i, column);
    result.value += term;
    result.magnitude += std::abs(term);
  }
  if (bias) {
    result.value += bias->at(0, column);
    result.magnitude += std::abs(bias->at(0, column));
  }
  return result;
}

StatusOr<std::vector<CheckedValue>> tools::layerOutputs(
    const LayerSpec &spec, const TokenRoute &token,
    std::span<const int64_t> columns,
    const std::function<StatusOr<StoredExpert>(int32_t expert)> &expertAt) {
  std::vector<CheckedValue> outputs(columns.size());
  std::vector<double> x(token.x.begin(), token.x.end()), hidden(spec.inner);
  if (spec.roundsRows)
    roundRow(x);
  for (size_t choice = 0; choice < token.experts.size(); ++choice) {
    MOE_ASSIGN_OR_RETURN(StoredExpert expert, expertAt(token.experts[choice]));
    const auto &[w1, b1, w2, b2, w3, b3] = expert.params;
    for (int64_t i = 0; i < spec.inner; ++i) {
      hidden[i] = activate(spec.activation, product(x, *w1, b1, i).value);
      if (w3)
        hidden[i] *= product(x, *w3, b3, i).value;
    }
    if (spec.roundsRows)
      roundRow(hidden);
    for (size_t i = 0; i < columns.size(); ++i) {
      CheckedValue each = product(hidden, *w2, b2, columns[i]);
      outputs[i].value += token.weights[choice] * each.value;
      outputs[i].magnitude += token.weights[choice] * each.magnitude;
    }
  }
  return outputs;
}

double tools::toleranceOf(const LayerSpec &spec) {
  // Sums in f32 are off by far less. A value between two codes of 8 bits may
  // become one or the other: of hundreds of hidden values, a few by 1/254 of
  // the largest.
  return spec.roundsRows ? 2e-3 : 1e-4;
}
