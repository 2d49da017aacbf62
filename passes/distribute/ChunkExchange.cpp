//===- ChunkExchange.cpp - Tokens of a layer travel in chunks -------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A layer whose `moe.form` has n > 1 chunks routes its tokens in n parts, so
// that the experts of one can work while the rows of the next are under way
// (moe-overlap-exchange puts them on streams):
//
//   dispatch, there, experts, back, combine   of tokens 0 .. t
//   dispatch, there, experts, back, combine   of the rest
//   concat
//
// Of T tokens of a rank, chunk c has floor((T + c) / n), which are T in all.
// With few tokens the parts are not worth their messages: below `chunk_tokens`
// tokens of all ranks, chunk 0 has all and the operations of the others, which
// have `moe.guard`, are skipped. The indicator min(1, tokens // chunk_tokens)
// says which is the case; it has global symbols, so ranks agree.
//
// The gate stands before the split and tokens are independent behind it, so
// results keep their bits.
//
// Before: a distributed function. After: the layers with chunks have their
// operations from moe.dispatch to moe.combine once per chunk.
//
//===----------------------------------------------------------------------===//

#include "passes/Passes.h"

#include "dialect/moe/MoeOps.h"
#include "dialect/moe/MoeTypes.h"
#include "passes/distribute/ExpertLayer.h"
#include "passes/distribute/ParallelForm.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/Remarks.h"
#include "llvm/ADT/SetVector.h"

namespace moe::pass {
#define GEN_PASS_DEF_CHUNKEXCHANGEPASS
#include "passes/Passes.h.inc"
} // namespace moe::pass

using namespace mlir;
using namespace moe;
using namespace moe::dialect;
using namespace moe::pass;

namespace {
/// One layer, from its dispatch to its combine.
class ChunkedLayer {
public:
  ChunkedLayer(ExpertsOp experts, int64_t numChunks, int64_t chunkTokens)
      : experts(experts), builder(experts), numChunks(numChunks),
        chunkTokens(chunkTokens) {}

  /// Why the layer cannot be split, or nothing.
  std::optional<StringRef> findOperations();
  void split();

private:
  void setSizes();
  void boundRows();
  Value takeChunk(Value value, int64_t chunk);
  void clone(Operation *op, int64_t chunk);
  void markGuard(Operation *op, int64_t chunk);
  std::string nameOf(const std::string &symbol, int64_t chunk) const {
    return symbol + "." + std::to_string(chunk);
  }

  ExpertsOp experts;
  OpBuilder builder;
  int64_t numChunks, chunkTokens;

  DispatchOp dispatch;
  CombineOp combine;
  /// Between the two, in order and with both.
  llvm::SetVector<Operation *> operations;
  /// Rows that only values tell: those of the dispatch and those received.
  std::set<std::string> dataSymbols;

  DimExpr tokens;    ///< of this rank
  DimExpr allTokens; ///< of all ranks
  DimExpr indicator; ///< 1 if the chunks are used, else 0
  /// sizes[c] tokens of chunk c from starts[c].
  Dims sizes, starts;
  SmallVector<IRMapping> maps;
  std::map<std::pair<void *, int64_t>, Value> taken;
};

bool isElementwise(Operation *op) {
  return isa<UnaryOp, BinaryOp, SelectOp, CastOp, ElementwiseOp>(op);
}

/// `size` with local symbols replaced by what ranks divide.
DimExpr globalSize(Operation *op, DimExpr size) {
  for (bool changed = true; changed;) {
    changed = false;
    std::map<std::string, DimExpr, std::less<>> wholes;
    for (const std::string &symbol : size.symbols())
      if (auto whole = lookUpSymbol(op, kLocalSymbols, symbol))
        wholes.emplace(symbol, *whole);
    changed = !wholes.empty();
    size = size.substitute(wholes);
  }
  return size;
}
} // namespace

//===----------------------------------------------------------------------===//
// What belongs to the layer
//===----------------------------------------------------------------------===//

std::optional<StringRef> ChunkedLayer::findOperations() {
  dispatch = findDispatch(experts);
  if (!dispatch)
    return "its rows come from no moe.dispatch";
  operations.insert(dispatch);
  for (Operation *op = dispatch->getNextNode(); op && !combine;
       op = op->getNextNode()) {
    bool depends = llvm::any_of(op->getOperands(), [&](Value operand) {
      return operations.contains(operand.getDefiningOp());
    });
    if (!depends)
      continue;
    combine = dyn_cast<CombineOp>(op);
    if (!combine && !isElementwise(op) &&
        !isa<AllToAllOp, AllToAllBackOp, ExpertsOp>(op))
      return "something else uses its rows or counts";
    operations.insert(op);
  }
  if (!combine)
    return "no moe.combine is behind it";
  for (Operation *op : operations)
    for (Operation *user : op->getUsers())
      if (op != combine && !operations.contains(user))
        return "something else uses its rows or counts";
  allTokens = globalSize(dispatch, getDim(dispatch.getX(), 0));
  if (hasDataSymbol(dispatch, allTokens))
    return "only values tell the number of its tokens";

  for (Operation *op : operations)
    for (Value result : op->getResults())
      for (const DimExpr &size : getDims(result))
        for (const std::string &symbol : size.symbols())
          if (lookUpSymbol(op, kDataSymbols, symbol))
            dataSymbols.insert(symbol);
  return std::nullopt;
}

//===----------------------------------------------------------------------===//
// Sizes
//===----------------------------------------------------------------------===//

void ChunkedLayer::setSizes() {
  tokens = getDim(dispatch.getX(), 0);
  indicator = chunkTokens == 0
                  ? DimExpr(1)
                  : DimExpr::min(1, DimExpr::floorDiv(allTokens, chunkTokens));
  DimExpr later;
  for (int64_t c = 1; c < numChunks; ++c)
    later = later + indicator * DimExpr::floorDiv(tokens + c, numChunks);
  sizes.push_back(tokens - later);
  for (int64_t c = 1; c < numChunks; ++c)
    sizes.push_back(indicator * DimExpr::floorDiv(tokens + c, numChunks));
  DimExpr next;
  for (const DimExpr &size : sizes) {
    starts.push_back(next);
    next = next + size;
  }
}

/// Each chunk has data symbols of its own. If B bounds the rows of s senders
/// with k rows per token at most, a chunk has at most k * ceil(T / n) of each
/// sender's k * T, in all no more than (B + s * k * (n - 1)) / n; or chunk 0
/// has all, but of fewer than chunkTokens tokens.
void ChunkedLayer::boundRows() {
  auto func = dispatch->getParentOfType<func::FuncOp>();
  NamedAttrList bounds(func->getAttrOfType<DictionaryAttr>(kDataSymbols));
  int64_t numRanks = experts.getPlacement()->getNumRanks();
  int64_t choices = getTensorType(dispatch.getExperts()).getDimSize(1);
  std::optional<std::string> sent = getDim(dispatch.getRows(), 0).symbolName();
  for (const std::string &symbol : dataSymbols) {
    DimExpr all =
        *lookUpSymbol(func.front().getTerminator(), kDataSymbols, symbol);
    int64_t numSenders = symbol == sent ? 1 : numRanks;
    DimExpr part = DimExpr::floorDiv(
        all + numSenders * choices * (numChunks - 1), numChunks);
    DimExpr first = DimExpr::max(part, choices * chunkTokens);
    for (int64_t c = 0; c < numChunks; ++c)
      bounds.set(nameOf(symbol, c),
                 builder.getStringAttr(
                     DimExpr::min(all, c == 0 ? first : part).toString()));
    bounds.erase(symbol);
  }
  func->setAttr(kDataSymbols, bounds.getDictionary(func.getContext()));
}

//===----------------------------------------------------------------------===//
// Copies
//===----------------------------------------------------------------------===//

void ChunkedLayer::markGuard(Operation *op, int64_t chunk) {
  if (chunk > 0 && !indicator.isConstant())
    op->setAttr(kGuard,
                DimsAttr::get(op->getContext(), ArrayRef<DimExpr>(indicator)));
}

/// The tokens of a chunk, of a value that has a row for each.
Value ChunkedLayer::takeChunk(Value value, int64_t chunk) {
  Value &part = taken[{value.getAsOpaquePointer(), chunk}];
  if (part)
    return part;
  RankedTensorType type = getTensorType(value);
  Dims dims = getDims(type), from(dims.size(), DimExpr());
  SmallVector<int64_t> steps(dims.size(), 1);
  dims[0] = sizes[chunk];
  from[0] = starts[chunk];
  auto slice = SliceOp::create(
      builder, dispatch.getLoc(), getTensorType(type.getElementType(), dims),
      value, DimsAttr::get(builder.getContext(), from), steps);
  markGuard(slice, chunk);
  part = slice;
  return part;
}

/// The operation on the tokens of one chunk.
void ChunkedLayer::clone(Operation *op, int64_t chunk) {
  IRMapping &map = maps[chunk];
  if (isa<DispatchOp, CombineOp>(op))
    for (Value operand : op->getOperands())
      if (!map.contains(operand))
        map.map(operand, takeChunk(operand, chunk));
  Operation *copy = builder.clone(*op, map);
  std::map<std::string, DimExpr, std::less<>> rows;
  for (const std::string &symbol : dataSymbols)
    rows.emplace(symbol, DimExpr::symbol(nameOf(symbol, chunk)));
  auto dispatched = dyn_cast<DispatchOp>(copy);
  for (Value result : copy->getResults()) {
    RankedTensorType type = getTensorType(result);
    Dims dims = getDims(type);
    for (DimExpr &size : dims)
      size = size.substitute(rows);
    bool isOfTokens =
        isa<CombineOp>(op) || (dispatched && result == dispatched.getSlots());
    if (isOfTokens)
      dims[0] = sizes[chunk];
    result.setType(getTensorType(type.getElementType(), dims));
  }
  markGuard(copy, chunk);
}

void ChunkedLayer::split() {
  setSizes();
  maps.resize(numChunks);
  builder.setInsertionPoint(combine);
  SmallVector<Value> results;
  for (int64_t c = 0; c < numChunks; ++c) {
    for (Operation *op : operations)
      clone(op, c);
    results.push_back(maps[c].lookup(combine.getResult()));
  }
  boundRows();
  auto whole = ConcatOp::create(builder, combine.getLoc(), results, 0);
  combine.getResult().replaceAllUsesWith(whole.getResult());
  mlir::remark::passed(
      dispatch.getLoc(),
      mlir::remark::RemarkOpts::name("chunks").category("moe-chunk-exchange"))
      << llvm::formatv(
             "{0} chunks of {1} tokens{2}", numChunks, tokens.toString(),
             chunkTokens == 0
                 ? std::string()
                 : llvm::formatv(", from {0} in all", chunkTokens).str())
             .str();
  for (Operation *op : llvm::reverse(operations))
    op->erase();
}

namespace {
struct ChunkExchange : moe::pass::impl::ChunkExchangePassBase<ChunkExchange> {
  void runOnOperation() override {
    SmallVector<ExpertsOp> layers;
    getOperation().walk([&](ExpertsOp op) {
      if (op.getRows().getDefiningOp<AllToAllOp>())
        layers.push_back(op);
    });
    for (ExpertsOp experts : layers) {
      StatusOr<solver::LayerForm> form =
          toLayerForm(experts->getAttrOfType<DictionaryAttr>(kForm));
      if (!form.isOk()) {
        experts.emitOpError() << form.status().message();
        return signalPassFailure();
      }
      int64_t numChunks = form->chunks.value_or(1);
      if (numChunks < 2)
        continue;
      ChunkedLayer layer(experts, numChunks, form->chunkTokens.value_or(0));
      if (std::optional<StringRef> reason = layer.findOperations()) {
        mlir::remark::missed(experts.getLoc(),
                             mlir::remark::RemarkOpts::name("whole").category(
                                 "moe-chunk-exchange"))
            << "the layer runs in one chunk: " + reason->str();
        continue;
      }
      layer.split();
    }
  }
};
} // namespace
