//===- InterpretPass.cpp - The pass moe-interpret -------------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialect/interp/Interpret.h"

#include "dialect/interp/Interpreter.h"
#include "dialect/moe/MoeTypes.h"
#include "mlir/Parser/Parser.h"
#include "llvm/Support/Format.h"

#include <cmath>
#include <random>

namespace moe::interp {
#define GEN_PASS_DEF_INTERPRETPASS
#define GEN_PASS_DEF_INTERPRETKEEPPASS
#include "dialect/interp/InterpretPass.h.inc"
} // namespace moe::interp

using namespace mlir;
using namespace moe;
using namespace moe::dialect;
using namespace moe::interp;

static constexpr StringLiteral kKept = "moe.interpret_kept";

//===----------------------------------------------------------------------===//
// Printing
//===----------------------------------------------------------------------===//

/// Six significant digits.
static std::string formatNumber(double value) {
  std::string text;
  llvm::raw_string_ostream(text) << llvm::format("%.6g", value);
  return text;
}

/// "[[1, 2], [3, 4]]".
static void printElements(raw_ostream &out, const HostTensor &tensor,
                          int64_t axis, int64_t &next) {
  if (axis == tensor.rank()) {
    Scalar element = tensor.elements[next++];
    if (tensor.isFloat())
      out << formatNumber(element.f);
    else
      out << element.i;
    return;
  }
  out << "[";
  for (int64_t i = 0; i < tensor.shape[axis]; ++i) {
    out << (i ? ", " : "");
    printElements(out, tensor, axis + 1, next);
  }
  out << "]";
}

/// "f32[2, 2] [[1, 2], [3, 4]]"; large tensors by their sum and extremes.
static void printTensor(raw_ostream &out, const HostTensor &tensor) {
  constexpr int64_t kMaxPrinted = 256;
  out << dtypeName(tensor.dtype) << "[";
  llvm::interleaveComma(tensor.shape, out);
  out << "] ";
  int64_t next = 0;
  if (tensor.size() <= kMaxPrinted) {
    printElements(out, tensor, 0, next);
    out << "\n";
    return;
  }
  double sum = 0.0, least = tensor.asDouble(0), most = least;
  for (int64_t i = 0; i < tensor.size(); ++i) {
    double value = tensor.asDouble(i);
    sum += value;
    least = std::fmin(least, value);
    most = std::fmax(most, value);
  }
  out << "sum " << formatNumber(sum) << " min " << formatNumber(least)
      << " max " << formatNumber(most) << "\n";
}

static void printResult(raw_ostream &out, int64_t index,
                        const InterpretResult &result) {
  out << "result " << index << ": ";
  if (result.whole) {
    printTensor(out, *result.whole);
    return;
  }
  out << "differs by rank\n";
  for (auto [rank, value] : llvm::enumerate(result.ofRank)) {
    out << "  rank " << rank << ": ";
    printTensor(out, value);
  }
}

//===----------------------------------------------------------------------===//
// The pass
//===----------------------------------------------------------------------===//

namespace {
struct InterpretPass : interp::impl::InterpretPassBase<InterpretPass> {
  using InterpretPassBase::InterpretPassBase;

  void runOnOperation() override {
    if (failed(run()))
      signalPassFailure();
  }

private:
  LogicalResult run();
  LogicalResult print();
  LogicalResult compareFunctions();
  FailureOr<SymbolValues> parseDims();
  FailureOr<func::FuncOp> find(ModuleOp module, StringRef name);
  FailureOr<SmallVector<HostTensor>> makeInputs(func::FuncOp function,
                                                const SymbolValues &symbols);
  HostTensor makeInput(DType dtype, ArrayRef<int64_t> shape, uint64_t seed);
  LogicalResult compare(func::FuncOp function, int64_t index,
                        const HostTensor &expected, const HostTensor &found);
  InterpretOptions optionsFor(const SymbolValues &symbols, int64_t numRanks);
};
} // namespace

LogicalResult InterpretPass::run() {
  if (function.empty() == after.empty())
    return getOperation().emitError(
        "moe-interpret needs either 'function' or 'after'");
  if (inputs != "random" && inputs != "iota")
    return getOperation().emitError()
           << "moe-interpret has inputs 'random' or 'iota', not '" << inputs
           << "'";
  return after.empty() ? print() : compareFunctions();
}

FailureOr<SymbolValues> InterpretPass::parseDims() {
  SymbolValues symbols;
  for (StringRef entry : dims) {
    auto [name, text] = entry.split(':');
    int64_t value;
    if (text.getAsInteger(10, value) || value < 0)
      return getOperation().emitError()
             << "'" << entry << "' is not symbol:value";
    symbols[name.str()] = value;
  }
  return symbols;
}

FailureOr<func::FuncOp> InterpretPass::find(ModuleOp module, StringRef name) {
  name.consume_front("@");
  if (auto found = module.lookupSymbol<func::FuncOp>(name))
    return found;
  return getOperation().emitError() << "there is no function '" << name << "'";
}

HostTensor InterpretPass::makeInput(DType dtype, ArrayRef<int64_t> shape,
                                    uint64_t inputSeed) {
  HostTensor result(dtype, shape);
  std::mt19937_64 generator(inputSeed);
  for (int64_t i = 0; i < result.size(); ++i) {
    uint64_t bits = generator();
    if (inputs == "iota")
      result.elements[i] = castScalar(scalarOf(i), DType::I64, dtype);
    else if (result.isFloat())
      result.elements[i] = castScalar(
          scalarOf(double(bits >> 11) * 0x1p-52 - 1.0), DType::F64, dtype);
    else
      result.elements[i] = castScalar(
          scalarOf(int64_t(bits >> 1) % std::max<int64_t>(1, maxInteger)),
          DType::I64, dtype);
  }
  return result;
}

FailureOr<SmallVector<HostTensor>>
InterpretPass::makeInputs(func::FuncOp function, const SymbolValues &symbols) {
  SmallVector<HostTensor> result;
  for (BlockArgument argument : function.getArguments()) {
    auto type = dyn_cast<RankedTensorType>(argument.getType());
    std::optional<DType> dtype =
        type ? toDType(type.getElementType()) : std::optional<DType>();
    if (!dtype)
      return function.emitError() << "has argument " << argument.getArgNumber()
                                  << ", which is no tensor with values";
    FailureOr<Shape> shape = wholeShape(function, type, symbols);
    if (failed(shape))
      return failure();
    result.push_back(makeInput(*dtype, *shape, seed + argument.getArgNumber()));
  }
  return result;
}

InterpretOptions InterpretPass::optionsFor(const SymbolValues &symbols,
                                           int64_t numRanks) {
  InterpretOptions options;
  options.ranks = numRanks;
  options.symbols = symbols;
  options.weights.seed = seed;
  if (!weights.empty())
    options.weights.folder = weights;
  return options;
}

LogicalResult InterpretPass::print() {
  FailureOr<SymbolValues> symbols = parseDims();
  FailureOr<func::FuncOp> found = find(getOperation(), function);
  if (failed(symbols) || failed(found))
    return failure();
  FailureOr<SmallVector<HostTensor>> arguments = makeInputs(*found, *symbols);
  if (failed(arguments))
    return failure();
  auto results = interpret(*found, *arguments, optionsFor(*symbols, ranks));
  if (failed(results))
    return failure();
  llvm::outs() << "@" << found->getSymName() << "\n";
  for (auto [index, result] : llvm::enumerate(*results))
    printResult(llvm::outs(), index, result);
  return success();
}

LogicalResult InterpretPass::compare(func::FuncOp function, int64_t index,
                                     const HostTensor &expected,
                                     const HostTensor &found) {
  if (expected.shape != found.shape || expected.dtype != found.dtype)
    return function.emitError() << "has another type of result " << index;
  double largest = 0.0;
  int64_t numDiffering = 0, first = -1;
  for (int64_t i = 0; i < expected.size(); ++i) {
    double a = expected.asDouble(i), b = found.asDouble(i);
    if (a == b || (std::isnan(a) && std::isnan(b)))
      continue;
    double difference = std::fabs(a - b);
    largest = std::fmax(largest, difference);
    // The negation also catches NaN.
    if (!(difference <= atol + rtol * std::fabs(a))) {
      first = first < 0 ? i : first;
      ++numDiffering;
    }
  }
  if (numDiffering == 0)
    return success();
  return function.emitError()
         << "has result " << index << " that differs in " << numDiffering
         << " of " << expected.size() << " elements, first in element " << first
         << ": found " << formatNumber(found.asDouble(first)) << ", expected "
         << formatNumber(expected.asDouble(first)) << "; largest difference "
         << formatNumber(largest);
}

LogicalResult InterpretPass::compareFunctions() {
  FailureOr<SymbolValues> symbols = parseDims();
  FailureOr<func::FuncOp> changed = find(getOperation(), after);
  if (failed(symbols) || failed(changed))
    return failure();
  OwningOpRef<ModuleOp> kept;
  ModuleOp source = getOperation();
  if (before.empty()) {
    auto text = source->getAttrOfType<StringAttr>(kKept);
    if (!text)
      return source.emitError("there is no 'before', and nothing was kept by "
                              "moe-interpret-keep");
    kept = parseSourceString<ModuleOp>(text, &getContext());
    source = *kept;
  }
  FailureOr<func::FuncOp> original =
      find(source, before.empty() ? after : before);
  if (failed(original))
    return failure();
  FailureOr<SmallVector<HostTensor>> arguments =
      makeInputs(*original, *symbols);
  if (failed(arguments))
    return failure();
  if (original->getNumArguments() != changed->getNumArguments() ||
      original->getNumResults() != changed->getNumResults())
    return changed->emitError("has another number of arguments or results");
  auto expected = interpret(*original, *arguments, optionsFor(*symbols, 1));
  auto found = interpret(*changed, *arguments, optionsFor(*symbols, ranks));
  if (failed(expected) || failed(found))
    return failure();
  for (size_t i = 0; i < expected->size(); ++i) {
    if (!(*found)[i].whole)
      return changed->emitError()
             << "has result " << i << " that differs by rank";
    if (failed(compare(*changed, i, *(*expected)[i].whole, *(*found)[i].whole)))
      return failure();
  }
  return success();
}

//===----------------------------------------------------------------------===//
// Keeping a module
//===----------------------------------------------------------------------===//

namespace {
struct InterpretKeepPass
    : interp::impl::InterpretKeepPassBase<InterpretKeepPass> {
  void runOnOperation() override {
    std::string text;
    llvm::raw_string_ostream stream(text);
    getOperation()->removeAttr(kKept);
    getOperation()->print(stream, OpPrintingFlags().useLocalScope());
    getOperation()->setAttr(kKept, StringAttr::get(&getContext(), text));
  }
};
} // namespace
