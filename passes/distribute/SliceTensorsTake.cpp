//===- SliceTensorsTake.cpp - Parts of what operations make ---------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Slicing::take. The rules of Sharding.h go from operands to results; asked for
// each axis of each operand in turn, they also say which operands a part of a
// result needs.
//
//===----------------------------------------------------------------------===//

#include "passes/distribute/SliceTensors.h"

#include <numeric>

using namespace mlir;
using namespace moe;
using namespace moe::dialect;
using namespace moe::pass;

static int rankOf(Value value) { return getTensorType(value).getRank(); }

//===----------------------------------------------------------------------===//
// Cuts
//===----------------------------------------------------------------------===//

Dims moe::pass::cutDims(ArrayRef<DimExpr> dims, int axis, const Cut &cut) {
  Dims result(dims);
  result[axis] =
      *DimExpr::divideExactly(result[axis], cut.units.whole) * cut.kept;
  return result;
}

static RankedTensorType cutType(Value value, int axis, const Cut &cut) {
  RankedTensorType type = getTensorType(value);
  return getTensorType(type.getElementType(),
                       cutDims(getDims(type), axis, cut));
}

Slicing::Slicing(func::FuncOp func, int64_t tp) : func(func), tp(tp) {}

const Cut &Slicing::rankCut(StringRef purpose, int64_t numUnits) {
  const Cut *&cut = rankCuts[{purpose.str(), numUnits}];
  if (cut)
    return *cut;
  // A name that the function does not know yet.
  auto declared = func->getAttrOfType<DictionaryAttr>(kLocalSymbols);
  auto isTaken = [&](StringRef name) {
    return (declared && declared.contains(name)) ||
           llvm::any_of(
               cuts, [&](const Cut &cut) { return cut.units.symbol == name; });
  };
  std::string symbol;
  for (int i = 0; symbol.empty() || isTaken(symbol); ++i)
    symbol = (purpose + Twine(i) + ".local").str();
  cut = &cuts.emplace_back(
      Cut{{symbol, DimExpr(numUnits)}, DimExpr::symbol(symbol), {}});
  return *cut;
}

const Cut &Slicing::pickCut(int64_t numUnits, ArrayRef<int64_t> picks) {
  for (const Cut &cut : cuts)
    if (cut.units.whole == DimExpr(numUnits) && ArrayRef(cut.picks) == picks)
      return cut;
  return cuts.emplace_back(Cut{{"", DimExpr(numUnits)},
                               DimExpr(static_cast<int64_t>(picks.size())),
                               SmallVector<int64_t>(picks)});
}

//===----------------------------------------------------------------------===//
// Rules
//===----------------------------------------------------------------------===//

bool moe::pass::isFixed(Operation *op) {
  return isa<GateOp, DispatchOp, ExpertsOp, CombineOp, AllToAllOp,
             AllToAllBackOp, AllGatherOp, ShardOp, AllReduceOp,
             ReduceScatterOp>(op);
}

static bool fits(Value value, const Sharding &sharding) {
  return !sharding.isSharded() ||
         DimExpr::divideExactly(getDim(value, sharding.axis),
                                sharding.part->whole);
}

bool moe::pass::fits(Operation *op, const OpSharding &rule) {
  auto fit = [](auto pair) {
    auto [value, sharding] = pair;
    return ::fits(value, sharding);
  };
  return llvm::all_of(llvm::zip_equal(op->getOperands(), rule.operands), fit) &&
         llvm::all_of(llvm::zip_equal(op->getResults(), rule.results), fit);
}

/// How operands must lie so that `result` lies as wanted.
static std::optional<OpSharding> findRule(OpResult result, Sharding want) {
  Operation *op = result.getOwner();
  if (isFixed(op))
    return std::nullopt;
  SmallVector<Sharding> in(op->getNumOperands());
  for (auto [i, operand] : llvm::enumerate(op->getOperands())) {
    for (int axis = 0; axis < rankOf(operand); ++axis) {
      in[i] = want.at(axis);
      if (!fits(operand, in[i]))
        continue;
      OpSharding rule = chooseSharding(op, in);
      if (rule.operands[i] == in[i] &&
          rule.results[result.getResultNumber()] == want && fits(op, rule))
        return rule;
    }
    in[i] = Sharding::replicated();
  }
  return std::nullopt;
}

/// True for what divides or gathers rows, if rows are not on `axis`.
static bool movesOtherAxis(Operation *op, int axis) {
  if (auto shard = dyn_cast<ShardOp>(op))
    return static_cast<int>(shard.getAxis()) != axis;
  auto gather = dyn_cast<AllGatherOp>(op);
  return gather && static_cast<int>(gather.getAxis()) != axis;
}

/// True if each element along `axis` of the result is the same.
static bool isStretched(BroadcastOp op, int axis) {
  int ownAxis = axis - (rankOf(op.getResult()) - rankOf(op.getX()));
  return ownAxis < 0 || getDim(op.getX(), ownAxis) == DimExpr(1);
}

Operation *Slicing::cloneOnParts(Operation *op, const OpSharding &rule,
                                 const Cut &cut) {
  SmallVector<Value> operands;
  for (auto [operand, want] : llvm::zip_equal(op->getOperands(), rule.operands))
    operands.push_back(want.isSharded() ? take(operand, want.axis, cut)
                                        : operand);
  OpBuilder builder(op->getContext());
  builder.setInsertionPointAfter(op);
  Operation *clone = builder.clone(*op);
  clone->setOperands(operands);
  for (auto [whole, part, have] :
       llvm::zip_equal(op->getResults(), clone->getResults(), rule.results)) {
    if (!have.isSharded())
      continue;
    part.setType(cutType(whole, have.axis, cut));
    taken[keyOf(whole, have.axis, cut)] = part;
    moved.push_back({whole, have.axis, &cut, part});
  }
  return clone;
}

//===----------------------------------------------------------------------===//
// Where no rule helps
//===----------------------------------------------------------------------===//

/// `count` units from `first` on, cut out of `value`.
static Value sliceUnits(OpBuilder &builder, Value value, int axis,
                        const Cut &cut, int64_t first, int64_t count) {
  RankedTensorType type = getTensorType(value);
  Dims sizes = getDims(type), starts(sizes.size(), DimExpr(0));
  DimExpr unit = *DimExpr::divideExactly(sizes[axis], cut.units.whole);
  starts[axis] = unit * DimExpr(first);
  sizes[axis] = unit * DimExpr(count);
  SmallVector<int64_t> steps(sizes.size(), 1);
  return SliceOp::create(builder, value.getLoc(),
                         getTensorType(type.getElementType(), sizes), value,
                         DimsAttr::get(builder.getContext(), starts), steps);
}

/// The part cut out of `value` itself.
Value Slicing::takeHere(Value value, int axis, const Cut &cut) {
  OpBuilder builder(func.getContext());
  builder.setInsertionPointAfterValue(value);
  Location loc = value.getLoc();
  if (cut.isOfRank())
    return ShardOp::create(builder, loc, cutType(value, axis, cut), value, axis,
                           cut.units.symbol);
  if (auto param = value.getDefiningOp<ParamOp>())
    return ParamOp::create(builder, loc, pickUnits(param.getValue(), axis, cut),
                           param.getNameAttr());
  SmallVector<Value> pieces;
  for (auto [first, count] : runsOf(cut.picks))
    pieces.push_back(sliceUnits(builder, value, axis, cut, first, count));
  if (pieces.size() == 1)
    return pieces.front();
  return ConcatOp::create(builder, loc, pieces, axis);
}

//===----------------------------------------------------------------------===//
// Fused products
//===----------------------------------------------------------------------===//

/// Of the operand of a slice the units that it has, or that `cut` picks of it.
/// Nothing if not all is constant.
const Cut *Slicing::cutOfSlice(SliceOp op, int axis, const Cut *cut) {
  std::optional<int64_t> start = op.getStarts().getDim(axis).constantValue();
  std::optional<int64_t> size = getDim(op.getResult(), axis).constantValue();
  std::optional<int64_t> whole = getDim(op.getX(), axis).constantValue();
  if (!start || !size || !whole || *size == 0 || op.getSteps()[axis] != 1)
    return nullptr;
  int64_t unit = *size;
  SmallVector<int64_t> picks = {0};
  if (cut) {
    unit = *size / *cut->units.whole.constantValue();
    picks = cut->picks;
  }
  // Units of the slice in smaller ones, which those of the operand are as well.
  int64_t common = std::gcd(std::gcd(*start, unit), *whole);
  SmallVector<int64_t> units;
  for (int64_t pick : picks)
    for (int64_t i = 0; i < unit / common; ++i)
      units.push_back((*start + pick * unit) / common + i);
  return &pickCut(*whole / common, units);
}

/// The slice of `type` from the units `picked` of its operand.
Value Slicing::sliceOfUnits(SliceOp op, int axis, const Cut &picked,
                            RankedTensorType type) {
  Value x = take(op.getX(), axis, picked);
  if (x.getType() == type)
    return x;
  // The slice of other axes.
  OpBuilder builder(func.getContext());
  builder.setInsertionPointAfter(op);
  Dims starts = op.getStarts().getDims();
  starts[axis] = DimExpr(0);
  return SliceOp::create(builder, op.getLoc(), type, x,
                         DimsAttr::get(builder.getContext(), starts),
                         op.getSteps());
}

// Pattern: part(slice(matmul(x, w))) -> part(matmul(x, slice(w)))
Value Slicing::takeOfSlice(SliceOp op, int axis, const Cut &cut) {
  const Cut *picked = cutOfSlice(op, axis, cut.isOfRank() ? nullptr : &cut);
  unsigned numProducts = 0;
  if (!picked || !isOfWeights(op.getX(), axis, *picked, numProducts) ||
      numProducts == 0)
    return {};
  if (!cut.isOfRank())
    return sliceOfUnits(op, axis, *picked, cutType(op.getResult(), axis, cut));
  Value slice = sliceOfUnits(op, axis, *picked, getTensorType(op.getResult()));
  return take(slice, axis, cut);
}

/// A product whose columns are of a weight.
static bool hasColumns(MatmulOp op) {
  return op && op.getRhs().getDefiningOp<ParamOp>() &&
         rankOf(op.getRhs()) == 2 &&
         (!op.getBias() || op.getBias().getDefiningOp<ParamOp>());
}

// Pattern: part(reshape(matmul(x, w)) to [.., 3, H, D]) of H -> the product
// with the columns in the order [H, 3, D], transposed afterwards
Value Slicing::takeOfUnfolded(ReshapeOp op, int axis, const Cut &cut) {
  auto product = op.getX().getDefiningOp<MatmulOp>();
  if (!hasColumns(product))
    return {};
  Dims from = getDims(op.getX()), to = getDims(op.getResult());
  int last = from.size() - 1, front = axis - last;
  if (front <= 0 || ArrayRef(from).drop_back() != ArrayRef(to).take_front(last))
    return {};
  auto sizes = constantDims(ArrayRef(to).drop_front(last));
  if (!sizes)
    return {};
  OpBuilder builder(func.getContext());
  builder.setInsertionPointAfter(product);
  auto reordered = [&](Value weight, int columns) -> Value {
    if (!weight)
      return {};
    auto param = weight.getDefiningOp<ParamOp>();
    return ParamOp::create(
        builder, param.getLoc(),
        bringColumnsForward(param.getValue(), columns, *sizes, front),
        param.getNameAttr());
  };
  Value rhs = reordered(product.getRhs(), product.getTransposeRhs() ? 0 : 1);
  Value bias = reordered(product.getBias(), 0);
  Value all = MatmulOp::create(builder, product.getLoc(), product.getLhs(), rhs,
                               bias, product.getTransposeRhs());
  Value part = take(all, last, cut);
  builder.setInsertionPointAfter(op);
  Dims dims = cutDims(to, axis, cut);
  std::rotate(dims.begin() + last, dims.begin() + axis,
              dims.begin() + axis + 1);
  Type elementType = getTensorType(part).getElementType();
  Value unfolded = ReshapeOp::create(builder, op.getLoc(),
                                     getTensorType(elementType, dims), part);
  SmallVector<int64_t> permutation =
      llvm::to_vector(llvm::seq<int64_t>(0, dims.size()));
  std::rotate(permutation.begin() + last, permutation.begin() + last + 1,
              permutation.begin() + axis + 1);
  return TransposeOp::create(builder, op.getLoc(), unfolded, permutation);
}

//===----------------------------------------------------------------------===//
// Take
//===----------------------------------------------------------------------===//

Value Slicing::takeFromProducer(OpResult value, int axis, const Cut &cut) {
  Operation *op = value.getOwner();
  if (auto broadcast = dyn_cast<BroadcastOp>(op);
      broadcast && isStretched(broadcast, axis)) {
    OpBuilder builder(func.getContext());
    builder.setInsertionPointAfter(op);
    return BroadcastOp::create(builder, op->getLoc(), cutType(value, axis, cut),
                               broadcast.getX());
  }
  // Pattern: part(op(x)) -> op(part(x)) [op moves another axis between ranks]
  Sharding want{&cut.units, axis};
  if (movesOtherAxis(op, axis))
    return cloneOnParts(op, OpSharding{{want}, {want}}, cut)->getResult(0);
  // Pattern: part(op(x)) -> op(part(x)) [a rule for op]
  if (auto rule = findRule(value, want))
    return cloneOnParts(op, *rule, cut)->getResult(value.getResultNumber());
  if (auto slice = dyn_cast<SliceOp>(op))
    return takeOfSlice(slice, axis, cut);
  if (auto reshape = dyn_cast<ReshapeOp>(op); reshape && cut.isOfRank())
    return takeOfUnfolded(reshape, axis, cut);
  return {};
}

Value Slicing::take(Value value, int axis, const Cut &cut) {
  if (auto it = taken.find(keyOf(value, axis, cut)); it != taken.end())
    return it->second;
  Value part;
  if (auto result = dyn_cast<OpResult>(value))
    part = takeFromProducer(result, axis, cut);
  if (!part)
    part = takeHere(value, axis, cut);
  return taken[keyOf(value, axis, cut)] = part;
}

bool Slicing::isOfWeights(Value value, int axis, const Cut &cut,
                          unsigned &numProducts, std::map<Key, bool> &seen) {
  auto [it, isNew] = seen.try_emplace(keyOf(value, axis, cut), true);
  bool &answer = it->second;
  if (!isNew || value.getDefiningOp<ParamOp>())
    return answer;
  auto result = dyn_cast<OpResult>(value);
  if (!result)
    return answer = false;
  auto broadcast = value.getDefiningOp<BroadcastOp>();
  if (broadcast && isStretched(broadcast, axis))
    return answer;
  Operation *op = result.getOwner();
  auto rule = findRule(result, {&cut.units, axis});
  if (!rule) {
    auto slice = dyn_cast<SliceOp>(op);
    const Cut *picked =
        slice ? cutOfSlice(slice, axis, cut.isOfRank() ? nullptr : &cut)
              : nullptr;
    return answer = picked &&
                    isOfWeights(slice.getX(), axis, *picked, numProducts, seen);
  }
  numProducts += isa<MatmulOp>(op);
  for (auto [operand, want] :
       llvm::zip_equal(op->getOperands(), rule->operands))
    if (want.isSharded() &&
        !isOfWeights(operand, want.axis, cut, numProducts, seen))
      return answer = false;
  return answer;
}

bool Slicing::isOfWeights(Value value, int axis, const Cut &cut,
                          unsigned &numProducts) {
  std::map<Key, bool> seen;
  return isOfWeights(value, axis, cut, numProducts, seen);
}
