//===- SliceTensorsFinish.cpp - What remains of the whole tensors ---------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Slicing::finish. Beside each operation on parts the one on the whole still
// stands. Usually nobody reads that any more. If somebody does, and it is
// expensive, the parts are cut out of its result instead. Last, arguments of
// which only parts are read become ports in slices, and with them the past of
// every cache whose present is one.
//
//===----------------------------------------------------------------------===//

#include "passes/distribute/SliceTensors.h"

#include "llvm/ADT/SetVector.h"

using namespace mlir;
using namespace moe;
using namespace moe::dialect;
using namespace moe::pass;

//===----------------------------------------------------------------------===//
// Which of two remain
//===----------------------------------------------------------------------===//

static llvm::DenseSet<Operation *> findLive(func::FuncOp func) {
  Operation *terminator = func.front().getTerminator();
  llvm::DenseSet<Operation *> live = {terminator};
  SmallVector<Operation *> work = {terminator};
  while (!work.empty())
    for (Value operand : work.pop_back_val()->getOperands())
      if (Operation *op = operand.getDefiningOp(); op && live.insert(op).second)
        work.push_back(op);
  return live;
}

/// True if the past of `op` is an argument that is read for `part`, a slice of
/// it, and for nothing else.
static bool ownsPast(CacheAppendOp op, CacheAppendOp part,
                     const llvm::DenseSet<Operation *> &live) {
  auto past = dyn_cast<BlockArgument>(op.getPast());
  return past && llvm::all_of(past.getUsers(), [&](Operation *user) {
           return !live.contains(user) || user == op ||
                  user == part.getPast().getDefiningOp();
         });
}

/// Results of the function that are the whole of a part become the part.
bool Slicing::returnPart(const Moved &moved) {
  Operation *whole = moved.whole.getDefiningOp();
  Operation *part = moved.part.getDefiningOp();
  auto terminator = cast<func::ReturnOp>(func.front().getTerminator());
  if (!live.contains(whole) || !live.contains(part) || !moved.cut->isOfRank() ||
      !getDim(moved.whole, moved.axis).isConstant())
    return false;
  for (OpOperand &use : moved.whole.getUses()) {
    if (!live.contains(use.getOwner()))
      continue;
    if (use.getOwner() != terminator)
      return false;
    if (!func.getResultAttr(use.getOperandNumber(), kState))
      continue;
    auto append = dyn_cast<CacheAppendOp>(whole);
    if (!append || !ownsPast(append, cast<CacheAppendOp>(part), live))
      return false;
  }
  terminator->replaceUsesOfWith(moved.whole, moved.part);
  return true;
}

/// Where both are computed and that is much work, or divides the past of a
/// cache only: the part is cut out of the whole.
bool Slicing::cutFromWhole(const Moved &moved) {
  Operation *whole = moved.whole.getDefiningOp();
  Operation *part = moved.part.getDefiningOp();
  if (!isa<MatmulOp, FfnOp, AttentionOp, CacheAppendOp>(part) ||
      !live.contains(part) || !live.contains(whole))
    return false;
  Value value = moved.part;
  value.replaceAllUsesWith(takeHere(moved.whole, moved.axis, *moved.cut));
  return true;
}

/// A fused product of which some slices have become products of their own: the
/// rest become some as well, if nobody reads it as a whole.
void Slicing::splitFused() {
  live = findLive(func);
  llvm::SetVector<Operation *> products;
  for (const Moved &each : moved)
    if (!each.cut->isOfRank() && each.whole.getDefiningOp<MatmulOp>())
      products.insert(each.whole.getDefiningOp());
  for (Operation *product : products) {
    Value whole = product->getResult(0);
    int last = getTensorType(whole).getRank() - 1;
    SmallVector<SliceOp> slices;
    bool isSliced = llvm::all_of(whole.getUsers(), [&](Operation *user) {
      if (!live.contains(user))
        return true;
      slices.push_back(dyn_cast<SliceOp>(user));
      return slices.back() && cutOfSlice(slices.back(), last, nullptr);
    });
    if (!isSliced)
      continue;
    for (SliceOp slice : slices)
      slice.getResult().replaceAllUsesWith(
          sliceOfUnits(slice, last, *cutOfSlice(slice, last, nullptr),
                       getTensorType(slice.getResult())));
  }
}

bool Slicing::hasPart(Value value) const {
  return llvm::any_of(moved,
                      [&](const Moved &each) { return each.whole == value; });
}

bool Slicing::settle() {
  live = findLive(func);
  for (const Moved &each : moved)
    if (returnPart(each))
      return true;
  for (const Moved &each : llvm::reverse(moved))
    if (cutFromWhole(each))
      return true;
  return false;
}

//===----------------------------------------------------------------------===//
// The function
//===----------------------------------------------------------------------===//

void Slicing::eraseDead() {
  live = findLive(func);
  for (Operation &op : llvm::make_early_inc_range(llvm::reverse(func.front())))
    if (!live.contains(&op))
      op.erase();
}

/// The only way in which users of `argument` shard it over tp, if there is one.
static ShardOp findOnlyShard(BlockArgument argument) {
  ShardOp first;
  for (Operation *user : argument.getUsers()) {
    auto shard = dyn_cast<ShardOp>(user);
    if (!shard || groupOfPart(shard, shard.getPart()) != CommGroup::Tp)
      return {};
    if (first && (first.getAxis() != shard.getAxis() ||
                  first.getPart() != shard.getPart()))
      return {};
    first = shard;
  }
  if (first && !getDim(argument, first.getAxis()).isConstant())
    return {};
  return first;
}

void Slicing::divideArguments() {
  for (BlockArgument argument : func.getArguments()) {
    ShardOp shard = findOnlyShard(argument);
    // The past of a state is divided iff its present is.
    bool isState =
        static_cast<bool>(func.getArgAttr(argument.getArgNumber(), kState));
    if (!shard || (isState && !llvm::all_of(shard->getUsers(),
                                            llvm::IsaPred<CacheAppendOp>)))
      continue;
    argument.setType(shard.getType());
    for (Operation *user : llvm::make_early_inc_range(argument.getUsers())) {
      user->getResult(0).replaceAllUsesWith(argument);
      user->erase();
    }
  }
  func.setType(
      FunctionType::get(func.getContext(), func.front().getArgumentTypes(),
                        func.front().getTerminator()->getOperandTypes()));
}

void Slicing::declareSymbols() {
  Builder builder(func.getContext());
  NamedAttrList symbols(func->getAttrOfType<DictionaryAttr>(kLocalSymbols));
  NamedAttrList groups(func->getAttrOfType<DictionaryAttr>(kSymbolGroups));
  Attribute tpGroup = builder.getStringAttr(stringifyCommGroup(CommGroup::Tp));
  for (const auto &[purpose, cut] : rankCuts) {
    symbols.set(cut->units.symbol,
                builder.getStringAttr(cut->units.whole.toString()));
    groups.set(cut->units.symbol, tpGroup);
  }
  if (!rankCuts.empty()) {
    func->setAttr(kLocalSymbols, symbols.getDictionary(func.getContext()));
    func->setAttr(kSymbolGroups, groups.getDictionary(func.getContext()));
  }
}

void Slicing::finish() {
  splitFused();
  // Each turn replaces one value for good.
  while (settle())
    ;
  eraseDead();
  declareSymbols();
  divideArguments();
}
