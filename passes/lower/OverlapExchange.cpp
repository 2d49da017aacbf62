//===- OverlapExchange.cpp - Computes while rows of tokens travel ---------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The residual branch or shared expert of an MoE layer needs nothing from the
// exchange. It is moved between moe.all_to_all and moe.experts, and if it is
// long enough to pay for a hand-over, the exchange runs beside it, on stream 1:
//
//   stream 0   gate, dispatch | ffn, coefficients | experts, back, combine
//   stream 1                  | all_to_all        |
//
// A layer whose tokens are split into chunks overlaps with itself: the experts
// of one chunk run beside the exchange of the next, and rows go back while the
// next ones are computed. Two chunks are under way at a time, so memory does
// not grow with their number.
//
//   stream 0   dispatch 0, dispatch 1 | experts 0 | experts 1 | combine 0, 1
//   stream 1   all_to_all 0 and 1     |           | back 0    |
//
// The last rows to go back have nothing left to run beside.
//
// Before: one block in the order of the model. After: the same operations in an
// order of which every value is defined before its uses; all ranks have the
// same, so collectives meet. `moe.stream` says what runs on stream 1.
//
//===----------------------------------------------------------------------===//

#include "passes/Passes.h"

#include "dialect/moe/MoeOps.h"
#include "dialect/moe/MoeTypes.h"
#include "passes/lower/LayerInfo.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/Remarks.h"
#include "llvm/ADT/DenseSet.h"

namespace moe::pass {
#define GEN_PASS_DEF_OVERLAPEXCHANGEPASS
#include "passes/Passes.h.inc"
} // namespace moe::pass

using namespace mlir;
using namespace moe;
using namespace moe::dialect;
using namespace moe::pass;

/// Multiply-adds for each token from which on a dense branch takes longer than
/// the hand-over to another thread and back, even for a single token: 2^20 of
/// them are tens of microseconds on one core, a hand-over is a few.
static constexpr double kWorthwhileProducts = 1 << 20;

static bool isCollective(Operation *op) {
  if (auto gate = dyn_cast<GateOp>(op))
    return gate.getPart().has_value();
  return isa<AllToAllOp, AllToAllBackOp, AllGatherOp, AllReduceOp,
             ReduceScatterOp>(op);
}

/// Elements of a weight; of one in parts, those of the whole.
static double elementsOf(Value weight) {
  if (!weight)
    return 0;
  if (auto shard = weight.getDefiningOp<ShardOp>())
    weight = shard.getX();
  RankedTensorType type = getTensorType(weight);
  double elements = 1;
  for (int64_t size : type.getShape())
    elements *= ShapedType::isDynamic(size) ? 0 : size;
  return elements;
}

/// Multiply-adds of `op` for each of its rows.
static double productsOf(Operation *op) {
  if (auto ffn = dyn_cast<FfnOp>(op))
    return elementsOf(ffn.getW1()) + elementsOf(ffn.getW2()) +
           elementsOf(ffn.getW3());
  if (auto matmul = dyn_cast<MatmulOp>(op))
    return elementsOf(matmul.getRhs());
  return 0;
}

namespace {

/// The way of some tokens of a layer to its experts and back.
struct Chunk {
  AllToAllOp there;
  ExpertsOp experts;
  AllToAllBackOp back;
};

/// Orders the operations from a layer's first exchange to the next layer.
class LayerOrder {
public:
  LayerOrder(SmallVector<Chunk> chunks, Operation *end);

  /// Independent work behind the first exchange, all else in its order.
  void hoist();
  /// That, and chunks interleaved.
  void interleave();

  /// Multiply-adds for each token that need nothing from the exchange.
  double independentProducts() const;

private:
  /// Puts `target` next, behind those of its operands that are not placed yet.
  void place(Operation *target);
  void placeIndependent();
  /// Puts what can be computed of the rows that `back` brought.
  void placeFollowers(AllToAllBackOp back);
  void placeRest();
  void append(Operation *op);
  bool isPlaced(Value value) const;

  SmallVector<Chunk> chunks;
  /// The first operation behind the region, which stays where it is.
  Operation *end;
  SmallVector<Operation *> region;
  SmallVector<Operation *> independent;
  DenseSet<Operation *> open;
};

struct OverlapExchange
    : moe::pass::impl::OverlapExchangePassBase<OverlapExchange> {
  using OverlapExchangePassBase::OverlapExchangePassBase;

  void runOnOperation() override;
  void overlapLayer(const LayerInfo &layer,
                    const DenseSet<Operation *> &dispatches);
};

} // namespace

//===----------------------------------------------------------------------===//
// LayerOrder
//===----------------------------------------------------------------------===//

LayerOrder::LayerOrder(SmallVector<Chunk> layerChunks, Operation *end)
    : chunks(std::move(layerChunks)), end(end) {
  for (Operation *op = chunks[0].there; op != end; op = op->getNextNode())
    region.push_back(op);
  open.insert(region.begin(), region.end());

  // Collectives keep their order. Tokens of later chunks are dispatched when it
  // is their turn.
  DenseSet<Operation *> dependent;
  for (Operation *op : region) {
    bool depends = llvm::any_of(op->getOperands(), [&](Value operand) {
      return dependent.contains(operand.getDefiningOp());
    });
    if (depends || isCollective(op) || isa<DispatchOp>(op))
      dependent.insert(op);
    else
      independent.push_back(op);
  }
}

double LayerOrder::independentProducts() const {
  double products = 0;
  for (Operation *op : independent)
    products += productsOf(op);
  return products;
}

bool LayerOrder::isPlaced(Value value) const {
  return !open.contains(value.getDefiningOp());
}

void LayerOrder::append(Operation *op) {
  op->moveBefore(end);
  open.erase(op);
}

void LayerOrder::place(Operation *target) {
  if (!open.contains(target))
    return;
  DenseSet<Operation *> needed = {target};
  SmallVector<Operation *> work = {target};
  while (!work.empty())
    for (Value operand : work.pop_back_val()->getOperands())
      if (!isPlaced(operand) && needed.insert(operand.getDefiningOp()).second)
        work.push_back(operand.getDefiningOp());
  for (Operation *op : region)
    if (needed.contains(op))
      append(op);
}

void LayerOrder::placeIndependent() {
  for (Operation *op : independent)
    place(op);
}

void LayerOrder::placeFollowers(AllToAllBackOp back) {
  DenseSet<Operation *> followers = {back};
  for (Operation *op : region) {
    bool follows = llvm::any_of(op->getOperands(), [&](Value operand) {
      return followers.contains(operand.getDefiningOp());
    });
    bool isReady = llvm::all_of(op->getOperands(),
                                [&](Value value) { return isPlaced(value); });
    if (!open.contains(op) || !follows || !isReady || isCollective(op))
      continue;
    followers.insert(op);
    append(op);
  }
}

void LayerOrder::placeRest() {
  for (Operation *op : region)
    place(op);
}

void LayerOrder::hoist() {
  place(chunks[0].there);
  placeIndependent();
  placeRest();
}

void LayerOrder::interleave() {
  size_t numChunks = chunks.size();
  place(chunks[0].there);
  place(chunks[1].there);
  placeIndependent();
  for (size_t i = 0; i < numChunks; ++i) {
    if (i > 0 && i + 1 < numChunks)
      place(chunks[i + 1].there);
    place(chunks[i].experts);
    place(chunks[i].back);
    if (i > 0)
      placeFollowers(chunks[i - 1].back);
  }
  placeRest();
}

//===----------------------------------------------------------------------===//
// The pass
//===----------------------------------------------------------------------===//

/// The chunks of a layer in the order of the program; none if its experts are
/// not reached by an exchange in one block.
static SmallVector<Chunk> chunksOf(const LayerInfo &layer) {
  SmallVector<Chunk> chunks;
  for (Operation *op : layer.operations) {
    auto experts = dyn_cast<ExpertsOp>(op);
    if (!experts)
      continue;
    Chunk chunk{experts.getRows().getDefiningOp<AllToAllOp>(), experts, {}};
    for (Operation *user : experts->getUsers())
      chunk.back = dyn_cast<AllToAllBackOp>(user);
    if (!chunk.there || !chunk.back ||
        chunk.there->getBlock() != layer.experts->getBlock())
      return {};
    chunks.push_back(chunk);
  }
  llvm::sort(chunks, [](const Chunk &a, const Chunk &b) {
    return a.there->isBeforeInBlock(b.there);
  });
  return chunks;
}

static void setStream(Operation *op) {
  op->setDiscardableAttr(
      kStream, IntegerAttr::get(IntegerType::get(op->getContext(), 64), 1));
}

static mlir::remark::RemarkOpts remarkNamed(StringRef name) {
  return mlir::remark::RemarkOpts::name(name).category("moe-overlap-exchange");
}

static std::string inWords(double products) {
  return std::to_string(static_cast<int64_t>(products)) +
         " multiply-adds per token";
}

void OverlapExchange::overlapLayer(const LayerInfo &layer,
                                   const DenseSet<Operation *> &dispatches) {
  SmallVector<Chunk> chunks = chunksOf(layer);
  if (chunks.empty())
    return;
  // Up to the tokens of the next layer.
  Operation *end = chunks[0].there->getNextNode();
  while (!end->hasTrait<OpTrait::IsTerminator>() &&
         (!dispatches.contains(end) || layer.operations.contains(end)))
    end = end->getNextNode();

  LayerOrder order(chunks, end);
  double products = order.independentProducts();
  Location loc = chunks[0].there.getLoc();
  if (overlap != "off" && chunks.size() > 1) {
    order.interleave();
    for (Chunk &chunk : chunks) {
      setStream(chunk.there);
      if (&chunk != &chunks.back())
        setStream(chunk.back);
    }
    mlir::remark::passed(loc, remarkNamed("overlapped"))
        << "experts of each of " + std::to_string(chunks.size()) +
               " chunks run beside the exchange of the next";
    return;
  }
  order.hoist();
  if (products == 0)
    return;
  if (overlap == "on" ||
      (overlap == "auto" && products >= kWorthwhileProducts)) {
    setStream(chunks[0].there);
    mlir::remark::passed(loc, remarkNamed("overlapped"))
        << inWords(products) + " run beside the exchange";
    return;
  }
  mlir::remark::missed(loc, remarkNamed("in-order"))
      << inWords(products) + " stand between the exchange and the experts" +
             (overlap == "off" ? "" : ": too few to pay for a second stream");
}

void OverlapExchange::runOnOperation() {
  if (overlap != "auto" && overlap != "on" && overlap != "off") {
    getOperation().emitError()
        << "unknown overlap '" << overlap << "', expected auto, on or off";
    return signalPassFailure();
  }
  DenseSet<Operation *> dispatches;
  getOperation().walk([&](DispatchOp op) { dispatches.insert(op); });
  for (const LayerInfo &layer : collectLayers(getOperation()))
    overlapLayer(layer, dispatches);
}
