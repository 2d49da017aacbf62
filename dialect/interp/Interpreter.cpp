//===- Interpreter.cpp - Evaluates moe functions --------------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialect/interp/Interpreter.h"

#include "dialect/interp/World.h"

using namespace mlir;
using namespace moe::dialect;

namespace moe::interp {

/// Every rank's values are kept until the end.
static constexpr int64_t kMaxRanks = 256;

//===----------------------------------------------------------------------===//
// Operations
//===----------------------------------------------------------------------===//

static FailureOr<Results> evaluateLocal(Operation *op, const Frame &frame) {
#define MOE_LOCAL_OP(OP)                                                       \
  if (auto inner = dyn_cast<OP>(op))                                           \
    return evaluate(inner, frame);
#include "dialect/interp/Ops.def"
  return op->emitError("has no meaning for the interpreter");
}

static LogicalResult storeResults(Operation *op, Frame &frame,
                                  Results results) {
  for (auto [result, value] : llvm::zip_equal(op->getResults(), results)) {
    roundElements(value);
    if (failed(frame.store(result, std::move(value))))
      return failure();
  }
  return success();
}

/// Whether the guard of `op` is zero. All ranks see one value: a guard holds
/// global symbols only.
static FailureOr<bool> isSkipped(Operation *op, ArrayRef<Frame> frames) {
  auto guard = op->getAttrOfType<DimsAttr>(kGuard);
  if (!guard)
    return false;
  std::optional<bool> isZero;
  for (const Frame &frame : frames) {
    FailureOr<Shape> value = frame.evaluate(op, guard.getDims());
    if (failed(value))
      return failure();
    if (isZero.value_or(value->front() == 0) != (value->front() == 0))
      return op->emitError("has a guard that differs by rank");
    isZero = value->front() == 0;
  }
  return *isZero;
}

/// Fails if an operand has no value.
static LogicalResult checkOperands(Operation *op, const Frame &frame) {
  for (Value operand : op->getOperands()) {
    if (frame.values.contains(operand))
      continue;
    InFlightDiagnostic error =
        op->emitError("reads a value that was not computed");
    if (Operation *source = operand.getDefiningOp())
      error.attachNote(source->getLoc())
          << "skipped, as its guard is zero; only results without elements may "
             "be read then";
    return error;
  }
  return success();
}

static LogicalResult run(Operation *op, MutableArrayRef<Frame> frames) {
  FailureOr<bool> skips = isSkipped(op, frames);
  if (failed(skips))
    return failure();
  if (*skips) {
    for (Frame &frame : frames)
      if (failed(frame.skip(op)))
        return failure();
    return success();
  }
  if (failed(checkOperands(op, frames.front())))
    return failure();
  if (auto collective = evaluateCollective(op, frames)) {
    if (failed(*collective))
      return failure();
    for (auto [frame, results] : llvm::zip_equal(frames, **collective))
      if (failed(storeResults(op, frame, std::move(results))))
        return failure();
    return success();
  }
  for (Frame &frame : frames) {
    FailureOr<Results> results = evaluateLocal(op, frame);
    if (failed(results) || failed(storeResults(op, frame, std::move(*results))))
      return failure();
  }
  return success();
}

//===----------------------------------------------------------------------===//
// Wholes and parts
//===----------------------------------------------------------------------===//

static Shape wholeOf(ArrayRef<Part> parts) {
  Shape shape;
  for (const Part &part : parts)
    shape.push_back(part.whole);
  return shape;
}

FailureOr<Shape> wholeShape(func::FuncOp function, RankedTensorType type,
                            const SymbolValues &symbols) {
  FailureOr<LocalSymbols> locals = LocalSymbols::of(function);
  if (failed(locals))
    return failure();
  // One rank has everything.
  SymbolValues values = symbols;
  if (failed(locals->bind(Grid(), /*rank=*/0, values)))
    return failure();
  FailureOr<SmallVector<Part>> parts =
      locals->partsOf(type, Grid(), /*rank=*/0, values);
  if (failed(parts))
    return failure();
  return wholeOf(*parts);
}

/// The rank's part of a whole argument.
static FailureOr<HostTensor> partOfArgument(func::FuncOp function,
                                            BlockArgument argument,
                                            const HostTensor &whole,
                                            const Frame &frame) {
  FailureOr<SmallVector<Part>> parts = frame.locals->partsOf(
      getTensorType(Value(argument)), frame.grid, frame.rank, frame.symbols);
  if (failed(parts))
    return failure();
  if (wholeOf(*parts) != whole.shape)
    return function.emitError() << "has argument " << argument.getArgNumber()
                                << " of another size than is given";
  return takeParts(whole, *parts);
}

/// Bits, so that NaN equals itself.
static bool areEqual(Scalar a, Scalar b) { return a.i == b.i; }

/// Writes the part of a rank into a result; false if another rank has written
/// something else there.
static bool writePart(HostTensor &whole, std::vector<bool> &isWritten,
                      const HostTensor &part, ArrayRef<Part> parts) {
  bool agrees = true;
  int64_t next = 0;
  forEachIndex(part.shape, [&](ArrayRef<int64_t> index) {
    Shape target(index);
    for (auto [i, place] : llvm::zip_equal(target, parts))
      i += place.range.begin;
    int64_t at = offsetOf(whole.shape, target);
    Scalar value = part.elements[next++];
    agrees &= !isWritten[at] || areEqual(whole.elements[at], value);
    whole.elements[at] = value;
    isWritten[at] = true;
  });
  return agrees;
}

/// Joins the parts of a result.
static FailureOr<InterpretResult> joinResult(Value result,
                                             ArrayRef<Frame> frames) {
  InterpretResult joined;
  std::optional<HostTensor> whole;
  std::vector<bool> isWritten;
  bool agree = true;
  for (const Frame &frame : frames) {
    FailureOr<SmallVector<Part>> parts = frame.locals->partsOf(
        getTensorType(result), frame.grid, frame.rank, frame.symbols);
    if (failed(parts))
      return failure();
    const HostTensor &part = joined.ofRank.emplace_back(frame.get(result));
    if (!whole) {
      whole.emplace(part.dtype, wholeOf(*parts));
      isWritten.resize(whole->size());
    }
    agree &= whole->shape == wholeOf(*parts);
    agree = agree && writePart(*whole, isWritten, part, *parts);
  }
  if (agree)
    joined.whole = std::move(whole);
  return joined;
}

/// The values of all ranks before the function runs.
static LogicalResult start(func::FuncOp function,
                           ArrayRef<HostTensor> arguments,
                           const InterpretOptions &options,
                           const LocalSymbols &locals,
                           MutableArrayRef<Frame> frames, Grid grid) {
  for (auto [rank, frame] : llvm::enumerate(frames)) {
    frame.rank = rank;
    frame.grid = grid;
    frame.locals = &locals;
    frame.weights = &options.weights;
    frame.symbols = options.symbols;
    if (failed(locals.bind(grid, rank, frame.symbols)))
      return failure();
    for (auto [argument, whole] :
         llvm::zip_equal(function.getArguments(), arguments)) {
      FailureOr<HostTensor> part =
          partOfArgument(function, argument, whole, frame);
      if (failed(part))
        return failure();
      frame.values[argument] = std::move(*part);
    }
  }
  return success();
}

FailureOr<SmallVector<InterpretResult>>
interpret(func::FuncOp function, ArrayRef<HostTensor> arguments,
          const InterpretOptions &options) {
  if (function.isDeclaration() || !function.getBody().hasOneBlock())
    return function.emitError("has no body of one block");
  FailureOr<LocalSymbols> locals = LocalSymbols::of(function);
  if (failed(locals))
    return failure();
  Grid grid = Grid::of(function, options.ranks);
  if (grid.numRanks < 1 || grid.numRanks > kMaxRanks)
    return function.emitError() << "cannot run on " << grid.numRanks
                                << " ranks, expected 1 to " << kMaxRanks;
  SmallVector<Frame> frames(grid.numRanks);
  if (failed(start(function, arguments, options, *locals, frames, grid)))
    return failure();
  Block &body = function.getBody().front();
  for (Operation &op : body.without_terminator())
    if (failed(run(&op, frames)))
      return failure();
  if (failed(checkOperands(body.getTerminator(), frames.front())))
    return failure();
  SmallVector<InterpretResult> results;
  for (Value result : body.getTerminator()->getOperands()) {
    FailureOr<InterpretResult> joined = joinResult(result, frames);
    if (failed(joined))
      return failure();
    results.push_back(std::move(*joined));
  }
  return results;
}

} // namespace moe::interp
