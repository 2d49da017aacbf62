//===- QuantExprs.h - Weights that come as codes ----------------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Which expressions of Program.param_exprs are codes with scales that were only
// moved, so that they can be packed without ever becoming floats:
//
//   dequantize [N, K] -> transpose [K, N]           codes of a file
//   quantize [E, K, N] -> slice [1, K, N] -> ..     codes that are rounded
//
// Movements (slice, transpose, reshape, concat, stack) keep the codes if each
// block still lies along one dimension and is not cut. A last block may be
// shorter, and codes of files may lose rows at its end: their scales stay.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_RUNTIME_PLAN_QUANTEXPRS_H
#define MOE_RUNTIME_PLAN_QUANTEXPRS_H

#include "runtime/params/QuantFormat.h"

#include <cstdint>
#include <optional>
#include <vector>

namespace moe::plan {
struct ProgramT;
struct ParamExprT;
} // namespace moe::plan

namespace moe {

/// What is known of the codes of an expression.
struct QuantExpr {
  bool isRounded = false;    ///< by `quantize`; else a file has the codes
  int bits = 4;              ///< 2, 4 or 8
  int64_t block = 0;         ///< 0: all of `axis` is one block
  int axis = 0;              ///< dimension along which blocks lie
  DType scales = DType::F16; ///< of the layout: F16 or F32
  bool hasZeroPoints = false;

  bool operator==(const QuantExpr &) const = default;
};

/// Analyses the expressions of a table, which must be as verifyParamExprs wants
/// them. The table may grow between calls.
class QuantExprs {
public:
  explicit QuantExprs(const plan::ProgramT &tables) : tables(tables) {}

  /// Nothing if the expression is no moved codes.
  const std::optional<QuantExpr> &of(uint32_t expr);
  /// The format of a matrix [K, N] whose blocks lie along K; nothing if it has
  /// no codes, or blocks that no layout has. Codes of 2 bits become such of 4,
  /// scales of bf16 f32. The values of a matrix that is not f32 are these
  /// rounded to its type, which a product with the codes leaves out.
  std::optional<QuantFormat> formatOf(uint32_t expr);

private:
  using Result = std::optional<QuantExpr>;

  const plan::ParamExprT &at(uint32_t expr) const;
  Result analyse(const plan::ParamExprT &expr) const;
  Result dequantize(const plan::ParamExprT &expr) const;
  Result quantize(const plan::ParamExprT &expr) const;
  Result slice(const plan::ParamExprT &expr, QuantExpr from) const;
  Result reshape(const plan::ParamExprT &expr, QuantExpr from) const;
  Result join(const plan::ParamExprT &expr, QuantExpr from) const;

  const plan::ProgramT &tables;
  std::vector<Result> known;
};

} // namespace moe

#endif // MOE_RUNTIME_PLAN_QUANTEXPRS_H
