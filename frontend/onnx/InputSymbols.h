//===- InputSymbols.h - Sizes of a model's inputs ----------------*- C++
//-*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A model names the sizes of its inputs, each file in its own way:
//
//   input_ids       [batch, sequence_len]
//   attention_mask  [batch, past_seq_len + seq_len]
//   past.0.key      [batch, 2, past_sequence_len, 16]
//
// Names become symbols. An expression over names of which none is the size of
// an input by itself cannot be taken apart, so it becomes one symbol. When a
// node demands that two sizes are equal, a symbol gets an expression for its
// value, here past_seq_len_seq_len = past_sequence_len + sequence_len, and the
// import starts again.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_FRONTEND_ONNX_INPUTSYMBOLS_H
#define MOE_FRONTEND_ONNX_INPUTSYMBOLS_H

#include "frontend/onnx/onnx.pb.h"
#include "runtime/support/DimExpr.h"

#include <map>
#include <string>
#include <vector>

namespace moe::onnx_import {

/// True if `expr` is >= 0 for all values of its symbols, as far as its text
/// shows.
bool isNonNegative(const DimExpr &expr);
/// a >= b for all values of the symbols, as far as can be seen.
bool isAtLeast(const DimExpr &a, const DimExpr &b);

class InputSymbols {
public:
  /// Declares the sizes of all inputs. Errors: BadModel for a negative size or
  /// an input without shape.
  Status declare(const std::vector<const onnx::ValueInfoProto *> &inputs);

  /// The sizes of input `i`, with all values that symbols have got.
  std::vector<DimExpr> dimsOf(size_t i) const;

  bool isInputSymbol(const std::string &name) const {
    return order.count(name);
  }

  /// Makes a and b equal by giving a symbol a value; false if no value does.
  bool demandEqual(const DimExpr &a, const DimExpr &b);

private:
  struct RawDim {
    std::string text; // empty: `constant`
    int64_t constant = 0;
  };

  std::string newSymbol(const std::string &text);
  std::string symbolFor(const std::string &name);
  DimExpr convert(const std::string &text);
  void assign(const std::string &symbol, const DimExpr &value);

  std::vector<std::vector<RawDim>> raw;
  std::vector<std::vector<DimExpr>> dims;
  /// Name in the file -> symbol.
  std::map<std::string, std::string> byName;
  /// Symbol -> number of its declaration.
  std::map<std::string, size_t> order;
  /// Values that names in the file have got, for names that are no symbols.
  std::map<std::string, DimExpr, std::less<>> solvedNames;
};

} // namespace moe::onnx_import

#endif // MOE_FRONTEND_ONNX_INPUTSYMBOLS_H
