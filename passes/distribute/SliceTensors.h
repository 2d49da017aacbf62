//===- SliceTensors.h - Tensors in slices over the group tp -----*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Anchors (attention, FFNs, vocabulary) say what is divided: an axis of so many
// units, of which each rank of the group tp has its part. From an anchor two
// movements follow the graph, both by the rules of Sharding.h:
//
//   take   what an anchor reads: the part of op(x) is op(the part of x), down
//          to the weights, where it is moe.shard(moe.param): a divided weight;
//   give   what an anchor makes: op(x) of a part is a part, until a product
//          sums over it. That sum is a moe.all_reduce; a result of the function
//          stays in slices; whatever else reads it gets a moe.all_gather.
//
// Attention over 4 heads, `H` their part on this rank:
//
//   q = matmul x, wq          [.., 4 * 28]        matmul x, shard(wq)  [.., 28
//   H] reshape, transpose        [b, 4, s, 28]       the same             [b,
//   H, ..] attention q, k, v                       ->    attention [b, H, ..]
//   transpose, reshape        [.., 4 * 28]        the same             [.., 28
//   H] matmul .., wo                                 all_reduce(matmul ..,
//   shard(wo))
//
// The ops of before stay until the end (Slicing::finish): those that nobody
// reads any more are erased then; where both remain and the op is expensive,
// the part is cut out of the whole again.
//
// A Cut is more general than a rank's part. With `picks` it names units of the
// axis: a slice of a fused product is the product with a slice of the weight,
// repeated heads are the product with repeated columns, both by `take`.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_PASSES_DISTRIBUTE_SLICETENSORS_H
#define MOE_PASSES_DISTRIBUTE_SLICETENSORS_H

#include "dialect/moe/MoeOps.h"
#include "dialect/moe/MoeTypes.h"
#include "passes/distribute/Sharding.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Remarks.h"

#include <deque>
#include <map>
#include <set>
#include <tuple>

namespace moe::pass {

/// Which units of an axis are wanted. The axis has units.whole of them, all of
/// one size.
struct Cut {
  Part units;
  /// How many units are wanted.
  DimExpr kept;
  /// The units by number; none: the part of this rank.
  llvm::SmallVector<int64_t> picks;

  bool isOfRank() const { return picks.empty(); }
};

/// The dimensions of the part of a tensor.
dialect::Dims cutDims(llvm::ArrayRef<DimExpr> dims, int axis, const Cut &cut);

mlir::RankedTensorType cutType(mlir::Value value, int axis, const Cut &cut);

/// Units that follow one another: the first, and how many.
llvm::SmallVector<std::pair<int64_t, int64_t>>
runsOf(llvm::ArrayRef<int64_t> picks);

/// The picked units of a weight.
dialect::ParamAttr pickUnits(dialect::ParamAttr weight, int axis,
                             const Cut &cut);
/// Of `size` elements, those of one unit: 16, or as large a power of two as
/// divides the size.
int64_t unitOf(int64_t size);

/// One function while its tensors are sliced.
class Slicing {
public:
  /// A value, and its part.
  struct Moved {
    mlir::Value whole;
    int axis;
    const Cut *cut;
    mlir::Value part;
  };

  Slicing(mlir::func::FuncOp func, int64_t tp);

  mlir::func::FuncOp getFunction() { return func; }
  int64_t getTp() const { return tp; }

  /// The part of this rank, of `numUnits` units; one for each purpose and
  /// number. `purpose` names the symbol.
  const Cut &rankCut(llvm::StringRef purpose, int64_t numUnits);
  /// Units by number.
  const Cut &pickCut(int64_t numUnits, llvm::ArrayRef<int64_t> picks);

  /// The part of `value`, computed from parts as far as rules know how.
  mlir::Value take(mlir::Value value, int axis, const Cut &cut);
  /// True if `take` comes from weights alone; counts the products on the way.
  bool isOfWeights(mlir::Value value, int axis, const Cut &cut,
                   unsigned &numProducts);
  /// True if somebody wants `part` of `value` as it is: a product that sums
  /// over it, or a result of the function.
  bool isWanted(mlir::Value value, int axis, const Cut &cut);
  /// Lets users of `whole` have `part`, or gather it.
  void give(mlir::Value whole, mlir::Value part, int axis, const Cut &cut);
  /// A partial sum of this rank summed over ranks, `bias` (or null) added.
  mlir::Value sum(mlir::OpBuilder &builder, mlir::Location loc,
                  mlir::Value partial, mlir::Value bias);
  /// True if there is a part of `value` that an operation on parts makes.
  bool hasPart(mlir::Value value) const;
  /// True if the function's results depend on `op`.
  static bool isLive(mlir::Operation *op);

  /// Erases what is not read, divides arguments and results, declares symbols.
  void finish();

private:
  using Key = std::tuple<void *, int, const Cut *>;
  static Key keyOf(mlir::Value value, int axis, const Cut &cut) {
    return {value.getAsOpaquePointer(), axis, &cut};
  }

  // SliceTensorsTake.cpp
  mlir::Value takeHere(mlir::Value value, int axis, const Cut &cut);
  mlir::Value takeFromProducer(mlir::OpResult value, int axis, const Cut &cut);
  bool isOfWeights(mlir::Value value, int axis, const Cut &cut,
                   unsigned &numProducts, std::map<Key, bool> &seen);
  mlir::Operation *cloneOnParts(mlir::Operation *op, const OpSharding &rule,
                                const Cut &cut);

  // SliceTensorsRearrange.cpp
  const Cut *cutOfSlice(dialect::SliceOp op, int axis, const Cut *cut);
  mlir::Value sliceOfUnits(dialect::SliceOp op, int axis, const Cut &picked,
                           mlir::RankedTensorType type);
  mlir::Value takeOfSlice(dialect::SliceOp op, int axis, const Cut &cut);
  mlir::Value takeOfUnfolded(dialect::ReshapeOp op, int axis, const Cut &cut);
  mlir::Value takeOfRegrouped(dialect::ReshapeOp op, int axis, const Cut &cut);

  // SliceTensorsGive.cpp
  std::optional<OpSharding> ruleOfUser(mlir::Operation *user, mlir::Value whole,
                                       int axis, const Cut &cut);
  bool isWantedBy(mlir::Operation *user, mlir::Value whole, int axis,
                  const Cut &cut, std::set<Key> &seen);
  void giveTo(mlir::Operation *user, mlir::Value whole, mlir::Value part,
              int axis, const Cut &cut);
  void contract(dialect::MatmulOp op, mlir::Value part, const Cut &cut);

  // SliceTensorsFinish.cpp
  void splitFused();
  bool settle();
  bool returnPart(const Moved &moved);
  bool cutFromWhole(const Moved &moved);
  void eraseDead();
  void divideArguments();
  void declareSymbols();

  mlir::func::FuncOp func;
  int64_t tp;
  std::deque<Cut> cuts;
  std::map<std::pair<std::string, int64_t>, const Cut *> rankCuts;
  std::map<Key, mlir::Value> taken;
  /// What cloneOnParts made, in that order.
  std::vector<Moved> moved;
  /// Operations that lead to results, while settling.
  llvm::DenseSet<mlir::Operation *> live;
};

/// True if `rule` can be kept: what it divides has a multiple of the units.
bool fits(mlir::Operation *op, const OpSharding &rule);
/// True for operations that only moe-distribute may touch: the MoE layer
/// between its gate and its result, and what moves data between ranks.
bool isFixed(mlir::Operation *op);

// The anchors. Each leaves as it is what it cannot slice, and says why.
void sliceAttention(Slicing &slicing, dialect::AttentionOp op);
void sliceFfn(Slicing &slicing, dialect::FfnOp op);
/// Products that read nothing but products.
void slicePairs(Slicing &slicing);
/// Embeddings and the output projection.
void sliceVocabulary(Slicing &slicing);

/// A remark's category.
inline constexpr llvm::StringLiteral kSliceTensors = "moe-slice-tensors";

} // namespace moe::pass

#endif // MOE_PASSES_DISTRIBUTE_SLICETENSORS_H
