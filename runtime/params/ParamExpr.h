//===- ParamExpr.h - Weights from files, computed in windows ----*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A weight is an expression over ranges of files (Program.param_exprs). It is
// never computed whole: a caller asks for a window, a range of indices in each
// dimension, and the window is carried down to the files:
//
//   stack(w0, w1, ..)[e, 0:K, 0:16]    reads only we
//   transpose(w)[0:K, n:n+16]          reads the rows n..n+15 of w
//
// So memory is bounded by the window, whatever the size of the weight.
//
// What the kinds mean beyond Plan.fbs:
//   * Scale, Add and Mul compute in f32, for f64 in f64, and round once;
//     integers wrap around.
//   * Cast truncates floats towards zero (saturating, NaN gives 0); to bool is
//     "not 0".
//   * Dequantize gives (q - zero point) * scale in f32; without zero points
//     they are 2^(bits - 1). Where the last dimension of q (or of the zero
//     points) is as large as that of the result (or the scales), each code has
//     a byte, of which the low bits count.
//   * Quantize reads whole blocks of rows around a window.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_RUNTIME_PARAMS_PARAMEXPR_H
#define MOE_RUNTIME_PARAMS_PARAMEXPR_H

#include "runtime/params/StreamPacked.h"
#include "runtime/support/DType.h"
#include "runtime/support/Status.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace moe::plan {
struct ProgramT;
} // namespace moe::plan

namespace moe {

/// A matrix in codes.
struct QuantMatrix {
  QuantFormat format;
  QuantSource source;
};

/// Evaluates Program.param_exprs. Safe from several threads at once.
class ParamEvaluator {
public:
  /// Uses param_exprs, constants and files of `tables`, which must outlive it
  /// and not change. Files are read only inside of `folders`; a relative path
  /// is looked for in each of them, in order.
  static StatusOr<ParamEvaluator> create(const plan::ProgramT &tables,
                                         std::vector<std::string> folders);
  ParamEvaluator(ParamEvaluator &&) noexcept;
  ParamEvaluator &operator=(ParamEvaluator &&) noexcept;
  ~ParamEvaluator();

  /// Opens every file once and compares its size with the plan's. Gives the
  /// sum of the sizes.
  StatusOr<uint64_t> checkFiles() const;

  DType dtype(uint32_t expr) const;
  std::span<const int64_t> dims(uint32_t expr) const;

  /// The elements [starts[i], starts[i] + sizes[i]) of every dimension i, row
  /// major; `out` has exactly their bytes.
  Status evaluate(uint32_t expr, std::span<const int64_t> starts,
                  std::span<const int64_t> sizes,
                  std::span<std::byte> out) const;
  /// The whole expression.
  Status evaluate(uint32_t expr, std::span<std::byte> out) const;

  /// The codes of a matrix that has such (runtime/plan/QuantExprs.h), which are
  /// read without making floats of them. The source must not outlive this.
  std::optional<QuantMatrix> codes(uint32_t expr) const;

private:
  struct Impl;
  explicit ParamEvaluator(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl;
};

/// Streams an expression in `layout` to a sink, in pieces of a few MiB. Errors:
/// a layout of codes that is not the format of the expression's codes.
Status streamPacked(const ParamEvaluator &evaluator, uint32_t expr,
                    std::string_view layout, const BytesSink &sink);

} // namespace moe

#endif // MOE_RUNTIME_PARAMS_PARAMEXPR_H
