//===- FuseElementwise.cpp - Joins operations to programs of an element ---===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Every unary, binary, compare, select and cast becomes a moe.elementwise, and
// a producer of which the consumer is the only user moves into it, so a chain
// reads and writes memory once:
//
//   a = x * s;  b = a + y;  c = tanh(b)
//     ->  c = elementwise(x, s, y) { tanh(x * s + y) }
//
// Producer and consumer must have the same sizes: a smaller producer would be
// computed once for each element that it broadcasts to. Cheap producers with
// several users move into each of them if all are elementwise. Constants of one
// element become constants of the program.
//
// Before: moe operations in any order of definition and use. After: no unary,
// binary, compare, select or cast stands outside of a moe.elementwise.
//
//===----------------------------------------------------------------------===//

#include "passes/Passes.h"

#include "dialect/moe/MoeOps.h"
#include "dialect/moe/MoeTypes.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/Remarks.h"
#include "llvm/ADT/SetVector.h"

namespace moe::pass {
#define GEN_PASS_DEF_FUSEELEMENTWISEPASS
#include "passes/Passes.h.inc"
} // namespace moe::pass

using namespace mlir;
using namespace moe;
using namespace moe::dialect;

/// More inputs or operations than these gain nothing: the program's registers
/// no longer stay in the nearest cache.
static constexpr size_t kMaxInputs = 8;
static constexpr size_t kMaxOperations = 24;
/// A producer of at most this many operations may be computed by each user.
static constexpr size_t kMaxCheapOperations = 2;
static constexpr size_t kMaxCopies = 4;

static bool isSimple(Operation *op) {
  return isa<UnaryOp, BinaryOp, CompareOp, SelectOp, CastOp>(op) &&
         !isa<ElementwiseOp>(op->getParentOp());
}

static RankedTensorType scalarType(Value value) {
  return RankedTensorType::get({}, getTensorType(value).getElementType());
}

/// The single element of a constant as an attribute of rank 0.
static DenseElementsAttr constantElement(Value value) {
  auto constant = value.getDefiningOp<ConstantOp>();
  if (!constant || getTensorType(value).getNumElements() != 1)
    return {};
  auto elements = dyn_cast<DenseElementsAttr>(constant.getValue());
  return elements ? elements.reshape(scalarType(value)) : DenseElementsAttr();
}

static Location fuse(ArrayRef<Location> locations, MLIRContext *context) {
  return FusedLoc::get(context, locations);
}

//===----------------------------------------------------------------------===//
// One operation becomes a program
//===----------------------------------------------------------------------===//

static ElementwiseOp wrap(Operation *op) {
  OpBuilder builder(op);
  llvm::SetVector<Value> inputs;
  for (Value operand : op->getOperands())
    if (!constantElement(operand))
      inputs.insert(operand);
  // A program without inputs has nothing to run over.
  if (inputs.empty())
    inputs.insert(op->getOperand(0));

  auto wrapped = ElementwiseOp::create(
      builder, op->getLoc(), op->getResultTypes(), inputs.getArrayRef());
  Block *body = builder.createBlock(&wrapped.getBody());
  IRMapping mapping;
  for (Value input : inputs)
    mapping.map(input, body->addArgument(scalarType(input), op->getLoc()));
  for (Value operand : op->getOperands())
    if (!mapping.contains(operand))
      mapping.map(operand, ConstantOp::create(builder, op->getLoc(),
                                              constantElement(operand)));
  Operation *element = builder.clone(*op, mapping);
  element->getResult(0).setType(scalarType(op->getResult(0)));
  YieldOp::create(builder, op->getLoc(), element->getResults());
  op->replaceAllUsesWith(wrapped);
  op->erase();
  return wrapped;
}

//===----------------------------------------------------------------------===//
// A producer moves into its consumer
//===----------------------------------------------------------------------===//

static size_t numOperations(ElementwiseOp op) {
  return llvm::range_size(op.getBody().front().without_terminator());
}

/// Functions that cost about as much as reading an operand.
static bool isCheap(ElementwiseOp op) {
  if (numOperations(op) > kMaxCheapOperations)
    return false;
  return llvm::none_of(op.getBody().front(), [](Operation &inner) {
    auto unary = dyn_cast<UnaryOp>(inner);
    auto binary = dyn_cast<BinaryOp>(inner);
    if (binary)
      return binary.getKind() == BinaryKind::Pow ||
             binary.getKind() == BinaryKind::Mod ||
             binary.getKind() == BinaryKind::Fmod;
    return unary &&
           !llvm::is_contained({UnaryKind::Neg, UnaryKind::Abs, UnaryKind::Not,
                                UnaryKind::Relu, UnaryKind::Square},
                               unary.getKind());
  });
}

static bool mayFuse(ElementwiseOp producer, ElementwiseOp consumer) {
  if (producer.getNumResults() != 1 ||
      getDims(producer.getResult(0)) != getDims(consumer.getResult(0)))
    return false;
  if (numOperations(producer) + numOperations(consumer) > kMaxOperations)
    return false;
  llvm::SmallDenseSet<Value> inputs(consumer.getInputs().begin(),
                                    consumer.getInputs().end());
  inputs.erase(producer.getResult(0));
  inputs.insert(producer.getInputs().begin(), producer.getInputs().end());
  if (inputs.size() > kMaxInputs)
    return false;
  llvm::SmallDenseSet<Operation *> users(producer->user_begin(),
                                         producer->user_end());
  if (users.size() == 1)
    return true;
  return users.size() <= kMaxCopies && isCheap(producer) &&
         llvm::all_of(users,
                      [](Operation *user) { return isa<ElementwiseOp>(user); });
}

/// `consumer` with `producer` inside of it, in place of `consumer`.
static ElementwiseOp fuse(ElementwiseOp producer, ElementwiseOp consumer) {
  Value value = producer.getResult(0);
  llvm::SetVector<Value> inputs;
  inputs.insert(producer.getInputs().begin(), producer.getInputs().end());
  for (Value input : consumer.getInputs())
    if (input != value)
      inputs.insert(input);

  OpBuilder builder(consumer);
  Location loc =
      fuse({producer.getLoc(), consumer.getLoc()}, builder.getContext());
  auto fused = ElementwiseOp::create(builder, loc, consumer.getResultTypes(),
                                     inputs.getArrayRef());
  Block *body = builder.createBlock(&fused.getBody());
  DenseMap<Value, Value> arguments;
  for (Value input : inputs)
    arguments[input] = body->addArgument(scalarType(input), loc);

  // The value of `producer` is that of its yield.
  for (ElementwiseOp part : {producer, consumer}) {
    IRMapping mapping;
    Block &from = part.getBody().front();
    for (auto [input, argument] :
         llvm::zip_equal(part.getInputs(), from.getArguments()))
      mapping.map(argument, arguments.lookup(input));
    for (Operation &op : from.without_terminator())
      builder.clone(op, mapping);
    auto yield = cast<YieldOp>(from.getTerminator());
    if (part == consumer)
      builder.clone(*yield, mapping);
    else
      arguments[value] = mapping.lookup(yield.getValues()[0]);
  }
  consumer->replaceAllUsesWith(fused);
  consumer->erase();
  if (producer->use_empty())
    producer->erase();
  return fused;
}

//===----------------------------------------------------------------------===//
// The pass
//===----------------------------------------------------------------------===//

static ElementwiseOp firstProducer(ElementwiseOp consumer) {
  for (Value input : consumer.getInputs())
    if (auto producer = input.getDefiningOp<ElementwiseOp>())
      if (mayFuse(producer, consumer))
        return producer;
  return {};
}

namespace {
struct FuseElementwise
    : moe::pass::impl::FuseElementwisePassBase<FuseElementwise> {
  void runOnOperation() override {
    SmallVector<Operation *> simple;
    getOperation().walk([&](Operation *op) {
      if (isSimple(op))
        simple.push_back(op);
    });
    for (Operation *op : simple)
      wrap(op);
    for (auto func : getOperation().getOps<func::FuncOp>())
      for (Block &block : func.getBody())
        fuseBlock(block);
  }

  /// In order of definition, so a producer is complete when its consumer takes
  /// it. What a fusion erases stands before the consumer.
  void fuseBlock(Block &block) {
    for (auto it = block.begin(); it != block.end(); ++it) {
      auto consumer = dyn_cast<ElementwiseOp>(*it);
      if (!consumer)
        continue;
      bool changed = false;
      while (ElementwiseOp producer = firstProducer(consumer)) {
        consumer = fuse(producer, consumer);
        changed = true;
      }
      it = Block::iterator(consumer);
      if (changed)
        mlir::remark::passed(consumer.getLoc(),
                             mlir::remark::RemarkOpts::name("fused").category(
                                 "moe-fuse-elementwise"))
            << std::to_string(numOperations(consumer)) +
                   " operations in one program over " +
                   toString(getDims(consumer.getResult(0)));
    }
  }
};
} // namespace
