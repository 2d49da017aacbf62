//===- Interpreter.cpp - Evaluates moe functions --------------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialect/interp/Interpreter.h"

#include "dialect/interp/World.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace moe::dialect;

namespace moe::interp {

//===----------------------------------------------------------------------===//
// Operations
//===----------------------------------------------------------------------===//

static FailureOr<Results> evaluateLocal(Operation *op, const Frame &frame) {
  return llvm::TypeSwitch<Operation *, FailureOr<Results>>(op)
      .Case<ParamOp, ConstantOp, ShapeOp, IotaOp, RangeOp, UnaryOp, BinaryOp,
            CompareOp, SelectOp, CastOp, ElementwiseOp, ReduceOp, ArgReduceOp,
            MatmulOp, CumsumOp, TopKOp, SoftmaxOp, NormOp, GatherOp, GatherNdOp,
            GatherElementsOp, ScatterElementsOp, ScatterNdOp, SliceOp, ConcatOp,
            PadOp, TransposeOp, ReshapeOp, BroadcastOp, TriluOp, OneHotOp,
            NonZeroOp, RotaryOp, AttentionOp, CacheAppendOp, GateOp, DispatchOp,
            ExpertsOp, CombineOp, FfnOp, MixOp>(
          [&](auto inner) { return evaluate(inner, frame); })
      .Default([](Operation *other) -> FailureOr<Results> {
        return other->emitError("has no meaning for the interpreter");
      });
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

static LogicalResult run(Operation *op, MutableArrayRef<Frame> frames) {
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

namespace {
/// The local symbols of a function and what they are parts of.
class LocalSymbols {
public:
  explicit LocalSymbols(func::FuncOp function) {
    auto dictionary = function->getAttrOfType<DictionaryAttr>(kLocalSymbols);
    if (!dictionary)
      return;
    for (NamedAttribute entry : dictionary) {
      auto text = dyn_cast<StringAttr>(entry.getValue());
      StatusOr<DimExpr> whole =
          text ? DimExpr::parse(text.getValue().str()) : StatusOr(DimExpr());
      if (whole.isOk())
        wholes.emplace(entry.getName().str(), *whole);
    }
  }

  /// The whole of a part's size.
  DimExpr wholeOf(const DimExpr &dim) const { return dim.substitute(wholes); }
  /// The dimension that ranks divide, with the local symbol in it.
  std::optional<std::pair<int64_t, std::string>>
  dividedAxis(RankedTensorType type) const {
    for (auto [axis, dim] : llvm::enumerate(getDims(type)))
      for (const std::string &symbol : dim.symbols())
        if (wholes.count(symbol))
          return std::pair(static_cast<int64_t>(axis), symbol);
    return std::nullopt;
  }
  /// Gives each local symbol the size of the rank's part.
  LogicalResult bind(func::FuncOp function, Frame &frame,
                     int64_t numRanks) const {
    for (const auto &[symbol, whole] : wholes) {
      FailureOr<Shape> size = frame.evaluate(function, whole);
      if (failed(size))
        return failure();
      Range range = partOf(size->front(), frame.rank, numRanks);
      frame.symbols[symbol] = range.end - range.begin;
    }
    return success();
  }
  /// The begin of the rank's part of the values of `symbol`.
  int64_t beginOf(llvm::StringRef symbol, const Frame &frame,
                  int64_t numRanks) const {
    int64_t size = *wholes.find(symbol.str())->second.evaluate(frame.symbols);
    return partOf(size, frame.rank, numRanks).begin;
  }

private:
  std::map<std::string, DimExpr, std::less<>> wholes;
};
} // namespace

FailureOr<Shape> wholeShape(func::FuncOp function, RankedTensorType type,
                            const SymbolValues &symbols) {
  LocalSymbols locals(function);
  Dims dims;
  for (const DimExpr &dim : getDims(type))
    dims.push_back(locals.wholeOf(dim));
  Frame frame;
  frame.symbols = symbols;
  return frame.evaluate(function, dims);
}

/// The rank's part of a whole argument.
static FailureOr<HostTensor>
partOfArgument(func::FuncOp function, BlockArgument argument,
               const HostTensor &whole, const LocalSymbols &locals,
               const Frame &frame, int64_t numRanks) {
  RankedTensorType type = getTensorType(Value(argument));
  auto divided = locals.dividedAxis(type);
  if (!divided)
    return whole;
  auto [axis, symbol] = *divided;
  std::optional<DimExpr> factor =
      DimExpr::divideExactly(getDim(type, axis), DimExpr::symbol(symbol));
  if (!factor)
    return function.emitError() << "has argument " << argument.getArgNumber()
                                << ", which ranks do not divide evenly";
  FailureOr<Shape> sizes =
      frame.evaluate(function, {*factor, getDim(type, axis)});
  if (failed(sizes))
    return failure();
  int64_t begin = locals.beginOf(symbol, frame, numRanks) * (*sizes)[0];
  return takeRange(whole, axis, {begin, begin + (*sizes)[1]});
}

static bool areEqual(const HostTensor &a, const HostTensor &b) {
  if (a.shape != b.shape)
    return false;
  // Bits, so that NaN equals itself.
  return llvm::all_of(llvm::zip_equal(a.elements, b.elements), [](auto pair) {
    return std::get<0>(pair).i == std::get<1>(pair).i;
  });
}

/// Joins the parts of a result.
static InterpretResult joinResult(Value result, ArrayRef<Frame> frames,
                                  const LocalSymbols &locals) {
  InterpretResult joined;
  for (const Frame &frame : frames)
    joined.ofRank.push_back(frame.get(result));
  if (auto divided = locals.dividedAxis(getTensorType(result)))
    joined.whole = hostConcat(joined.ofRank, divided->first);
  else if (llvm::all_of(joined.ofRank, [&](const HostTensor &part) {
             return areEqual(part, joined.ofRank.front());
           }))
    joined.whole = joined.ofRank.front();
  return joined;
}

FailureOr<SmallVector<InterpretResult>>
interpret(func::FuncOp function, ArrayRef<HostTensor> arguments,
          const InterpretOptions &options) {
  if (function.isDeclaration() || !function.getBody().hasOneBlock())
    return function.emitError("has no body of one block");
  LocalSymbols locals(function);
  SmallVector<Frame> frames(options.ranks);
  for (auto [rank, frame] : llvm::enumerate(frames)) {
    frame.rank = rank;
    frame.weights = &options.weights;
    frame.symbols = options.symbols;
    if (failed(locals.bind(function, frame, options.ranks)))
      return failure();
    for (auto [argument, whole] :
         llvm::zip_equal(function.getArguments(), arguments)) {
      FailureOr<HostTensor> part = partOfArgument(function, argument, whole,
                                                  locals, frame, options.ranks);
      if (failed(part))
        return failure();
      frame.values[argument] = std::move(*part);
    }
  }
  Block &body = function.getBody().front();
  for (Operation &op : body.without_terminator())
    if (failed(run(&op, frames)))
      return failure();
  SmallVector<InterpretResult> results;
  for (Value result : body.getTerminator()->getOperands())
    results.push_back(joinResult(result, frames, locals));
  return results;
}

} // namespace moe::interp
