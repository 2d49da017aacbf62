//===- ExprWindows.h - Windows of expressions, by kind ----------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What ParamEvaluator is made of: one function for each kind of expression,
// which carries a window to its operands. Expressions are verified and windows
// lie inside of them.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_RUNTIME_PARAMS_EXPRWINDOWS_H
#define MOE_RUNTIME_PARAMS_EXPRWINDOWS_H

#include "runtime/params/WeightFiles.h"
#include "runtime/params/Window.h"
#include "runtime/plan/Plan_generated.h"
#include "runtime/support/Status.h"

#include <cstddef>
#include <deque>
#include <span>
#include <vector>

namespace moe {

/// A kind beside those of plans: codes of ints[0] bits, a byte each, out of the
/// operand, which is packed as q of Dequantize.
inline constexpr auto kUnpackCodes =
    static_cast<plan::ParamExprKind>(plan::ParamExprKind_MAX + 1);

class ExprWindows {
public:
  using Bytes = std::vector<std::byte>;
  using Exprs = std::deque<plan::ParamExprT>;

  /// `more` are expressions whose indices follow those of `tables`, or null.
  ExprWindows(const plan::ProgramT &tables, WeightFiles &files,
              const Exprs *more = nullptr)
      : tables(tables), files(files), more(more) {}

  const plan::ParamExprT &at(uint32_t expr) const {
    size_t count = tables.param_exprs.size();
    return expr < count ? *tables.param_exprs[expr] : (*more)[expr - count];
  }
  static size_t elementBytes(const plan::ParamExprT &expr) {
    return dtypeSize(DType(expr.dtype));
  }

  Status evaluate(uint32_t index, const Window &window, std::byte *out) const;
  /// The window in memory of its own.
  StatusOr<Bytes> evaluate(uint32_t index, const Window &window) const {
    Bytes bytes(window.numElements() * elementBytes(at(index)));
    MOE_RETURN_IF_ERROR(evaluate(index, window, bytes.data()));
    return bytes;
  }
  /// A window of floats of any type, as f32.
  Status readFloats(uint32_t index, const Window &window, std::byte *out) const;

private:
  using Expr = plan::ParamExprT;

  // Leaves, in ExprWindows.cpp.
  Status inlined(const Expr &, const Window &, std::byte *out) const;
  Status varInts(const Expr &, const Window &, std::byte *out) const;
  // Movements, in ExprMoves.cpp.
  Status slice(const Expr &, const Window &, std::byte *out) const;
  Status transpose(const Expr &, const Window &, std::byte *out) const;
  Status reshape(const Expr &, const Window &, std::byte *out) const;
  Status concat(const Expr &, const Window &, std::byte *out) const;
  Status stack(const Expr &, const Window &, std::byte *out) const;
  Status take(const Expr &, const Window &, std::byte *out) const;
  // Arithmetic, in ExprArithmetic.cpp.
  Status combine(const Expr &, const Window &, std::byte *out) const;
  StatusOr<Bytes> broadcast(uint32_t operand, const Window &window) const;
  Status dequantize(const Expr &, const Window &, std::byte *out) const;
  Status quantize(const Expr &, const Window &, std::byte *out) const;
  Status unpack(uint32_t operand, int64_t bits, int64_t count, const Window &,
                std::byte *out) const;

  const plan::ProgramT &tables;
  WeightFiles &files;
  const Exprs *more;
};

} // namespace moe

#endif // MOE_RUNTIME_PARAMS_EXPRWINDOWS_H
