//===- ImportState.h - What an import knows ----------------------*- C++
//-*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The values of a graph while it is imported, and the errors found so far.
//
// Small integer tensors, the sizes that a graph computes with, are not made by
// operations. An ImportValue knows their elements as expressions, and an
// operation appears only when somebody needs the tensor as data:
//
//   Shape(x) -> Gather(1) -> Concat([-1], ..)      elements [-1, seq]
//      -> Reshape(y, ..)                           uses them, no operation
//      -> Cast(float)                              %s = moe.shape <-1, seq>
//
// An element that only a run can tell has a number instead. Where it becomes a
// size (the k of a TopK), a data symbol is made for it; the same number as the
// depth of a OneHot is then the same symbol.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_FRONTEND_ONNX_IMPORTSTATE_H
#define MOE_FRONTEND_ONNX_IMPORTSTATE_H

#include "dialect/moe/MoeAttrs.h"
#include "dialect/moe/MoeTypes.h"
#include "frontend/onnx/InputSymbols.h"
#include "frontend/onnx/ModelFile.h"

#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/Location.h"
#include "mlir/IR/Value.h"
#include "llvm/ADT/DenseMap.h"

#include <deque>
#include <optional>
#include <string>

namespace moe::onnx_import {

/// Tensors with at most this many elements are followed element by element.
inline constexpr int64_t kMaxFollowedElements = 64;

/// One element of an integer tensor: an expression, or what a run tells.
struct SizeElement {
  SizeElement(DimExpr expr) : expr(std::move(expr)) {}
  static SizeElement atRunTime(unsigned number) {
    SizeElement element{DimExpr()};
    element.runTime = number;
    return element;
  }

  DimExpr expr;
  /// Not 0 for an element known only at run time; equal numbers are equal
  /// elements.
  unsigned runTime = 0;

  bool isKnown() const { return runTime == 0; }
};
using SizeElements = llvm::SmallVector<SizeElement>;

/// A tensor of integers of 2 or 4 bits: only its codes can be used.
struct PackedTensor {
  llvm::SmallVector<int64_t> dims;
  unsigned bits = 4;
  bool isSigned = false;
  /// All elements in row-major order as ui8 of rank 1, from the low bits of
  /// each byte on.
  dialect::ParamAttr bytes;
};

/// What an ONNX name stands for.
struct ImportValue {
  explicit ImportValue(mlir::Location loc) : loc(loc) {}

  mlir::RankedTensorType type;
  /// Null until somebody needs the data; then made from `leaf` or `elements`.
  mlir::Value ir;
  /// The value of a moe.constant or a moe.param.
  mlir::Attribute leaf;
  mlir::StringAttr paramName;
  std::optional<SizeElements> elements;
  /// For what reads codes; for all else the value is poisoned.
  std::optional<PackedTensor> packed;
  mlir::Location loc;
  /// The node that makes it, or the tensor, is not supported.
  bool isPoisoned = false;
  /// The error to report when it is used, if it was not reported yet.
  std::string pendingError;
};

struct ImportState {
  ImportState(mlir::MLIRContext *context, ModelFile &model,
              InputSymbols &symbols)
      : context(context), model(model), symbols(symbols) {}

  mlir::MLIRContext *context;
  ModelFile &model;
  InputSymbols &symbols;
  std::deque<ImportValue> values;

  /// Set when a symbol has got a value: what was built is of no use.
  bool restart = false;
  /// Set when the node at hand is refused; the rest of its operations may be
  /// placeholders.
  bool nodeFailed = false;
  StatusCode code = StatusCode::Ok;
  llvm::SmallVector<std::string> errors;
  llvm::SmallVector<std::string> warnings;

  unsigned numRunTimeElements = 0;
  /// The tensor in which an element known at run time was first seen.
  llvm::DenseMap<unsigned, mlir::Value> runTimeSources;
  llvm::DenseMap<unsigned, DimExpr> runTimeSymbols;
  /// Equalities that the import relies on and a run must check.
  struct Constraint {
    DimExpr lhs, rhs;
    std::string what;
  };
  llvm::SmallVector<Constraint> constraints;
  /// Data symbols with their bounds, in order.
  llvm::SmallVector<std::pair<std::string, DimExpr>> dataSymbols;

  ImportValue &newValue(mlir::Location loc) { return values.emplace_back(loc); }
  /// Records an error of class `code`; the worst class counts: a bad model
  /// before an unsupported one.
  void error(StatusCode code, std::string message);
  bool hasFatalError() const {
    return code != StatusCode::Ok && code != StatusCode::Unsupported;
  }
  /// A new data symbol of at most `bound`.
  DimExpr newDataSymbol(const DimExpr &bound);
};

/// The elements of a value as far as they are known without looking at a run;
/// nothing if it is no small integer tensor or not known at all.
std::optional<SizeElements> knownElements(const ImportValue &value);

/// The number of elements of a tensor that is followed element by element; -1
/// for one of unknown size or with more.
int64_t numFollowedElements(mlir::RankedTensorType type);

/// The constant behind a value, or null.
mlir::DenseElementsAttr constantOf(const ImportValue &value);

} // namespace moe::onnx_import

#endif // MOE_FRONTEND_ONNX_IMPORTSTATE_H
