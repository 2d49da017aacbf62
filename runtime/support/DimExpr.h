//===- DimExpr.h - Sizes as expressions over symbols ------------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A dimension of a tensor is an integer expression over named symbols:
//
//   128      batch      past + seq      2 * batch * seq      ceildiv(seq, 16)
//
// Both halves of the project use it: the compiler compares, adds and divides
// dimensions without knowing their values; the runtime evaluates them once the
// inputs are there.
//
// Every expression is kept in one normal form, a sum of terms; a term is an
// integer coefficient times a product of atoms in sorted order; an atom is a
// symbol or one of ceildiv, floordiv, mod, max, min over two expressions that
// did not fold. Two expressions that are equal by the rules of polynomials
// therefore have equal text:
//
//   (past + seq) * 2 - past        ==  "past + 2 * seq"
//   floordiv(4 * batch * seq, seq) ==  "4 * batch"      (exact division folds)
//
// Symbols are spelled [A-Za-z_][A-Za-z0-9_.]*. Symbols stand for values >= 0.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_RUNTIME_SUPPORT_DIMEXPR_H
#define MOE_RUNTIME_SUPPORT_DIMEXPR_H

#include "runtime/support/Status.h"

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace moe {

/// Values of symbols; std::less<> allows look-up by string_view.
using SymbolValues = std::map<std::string, int64_t, std::less<>>;

class DimExpr {
public:
  /// Zero.
  DimExpr();
  DimExpr(int64_t constant);
  ~DimExpr();
  DimExpr(const DimExpr &);
  DimExpr(DimExpr &&) noexcept;
  DimExpr &operator=(const DimExpr &);
  DimExpr &operator=(DimExpr &&) noexcept;

  /// `name` must be a valid symbol (see isSymbolName).
  static DimExpr symbol(std::string_view name);
  static bool isSymbolName(std::string_view name);
  /// Parses the text form; also "(a + b) * c", "a - b", "a // b" for
  /// floordiv and "max(a, b)". At most 4096 characters, nesting of 64.
  static StatusOr<DimExpr> parse(std::string_view text);

  DimExpr operator+(const DimExpr &other) const;
  DimExpr operator-(const DimExpr &other) const;
  DimExpr operator*(const DimExpr &other) const;
  static DimExpr ceilDiv(const DimExpr &a, const DimExpr &b);
  static DimExpr floorDiv(const DimExpr &a, const DimExpr &b);
  static DimExpr mod(const DimExpr &a, const DimExpr &b);
  static DimExpr max(const DimExpr &a, const DimExpr &b);
  static DimExpr min(const DimExpr &a, const DimExpr &b);
  /// a / b if the division is exact for all values of the symbols.
  static std::optional<DimExpr> divideExactly(const DimExpr &a,
                                              const DimExpr &b);

  bool operator==(const DimExpr &other) const;
  bool operator!=(const DimExpr &other) const { return !(*this == other); }

  bool isConstant() const;
  std::optional<int64_t> constantValue() const;
  /// The name if the expression is one symbol.
  std::optional<std::string> symbolName() const;
  std::set<std::string> symbols() const;
  /// Replaces symbols by expressions, all at once.
  DimExpr
  substitute(const std::map<std::string, DimExpr, std::less<>> &by) const;
  /// The value, in checked arithmetic. Errors: a symbol without a value
  /// (Internal), overflow or division by zero (OutOfMemory, BadModel).
  StatusOr<int64_t> evaluate(const SymbolValues &values) const;
  /// The normal form.
  std::string toString() const;

  /// An instruction of a machine with a stack: Constant and Symbol push a
  /// value, the others replace the two on top by their result.
  struct Instruction {
    enum class Op {
      Constant,
      Symbol,
      Add,
      Mul,
      CeilDiv,
      FloorDiv,
      Mod,
      Max,
      Min
    };
    Op op = Op::Constant;
    int64_t constant = 0;
    std::string symbol;
  };
  /// The expression as a program, for those who evaluate it often. Empty if
  /// the expression is too large to be evaluated.
  std::vector<Instruction> program() const;

private:
  struct Impl;
  explicit DimExpr(std::shared_ptr<const Impl> impl);
  std::shared_ptr<const Impl> impl;
};

} // namespace moe

#endif // MOE_RUNTIME_SUPPORT_DIMEXPR_H
