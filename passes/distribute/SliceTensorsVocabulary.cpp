//===- SliceTensorsVocabulary.cpp - Tokens' rows and columns over tp ------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The embedding is divided by rows: a rank looks up what it has, gives zeros
// for the rest, and ranks add. The output projection is divided by columns, and
// logits stay in slices if they are a result of the function. Both use one
// symbol, so tied weights are one divided weight.
//
//===----------------------------------------------------------------------===//

#include "passes/distribute/SliceTensors.h"

using namespace mlir;
using namespace moe;
using namespace moe::dialect;
using namespace moe::pass;

/// A lookup of rows in a weight [V, M].
static bool isLookup(GatherOp op) {
  auto table = op.getData().getDefiningOp<ParamOp>();
  if (!table || op.getAxis() != 0 || op.getBatchDims() != 0 || op.getPart())
    return false;
  RankedTensorType type = table.getType();
  return type.getRank() == 2 && isa<FloatType>(type.getElementType());
}

static bool isProductOfWeight(MatmulOp op) {
  auto weight = op.getRhs().getDefiningOp<ParamOp>();
  return weight && weight.getType().getRank() == 2;
}

/// Rows of the largest table whose rows a product reads, 0 if there is none.
/// Tables of positions are smaller, those of rotary embeddings narrower.
static int64_t findVocabulary(func::FuncOp func) {
  std::set<int64_t> widths;
  for (auto op : func.front().getOps<MatmulOp>())
    if (isProductOfWeight(op)) {
      Value lhs = op.getLhs();
      int last = getTensorType(lhs).getRank() - 1;
      widths.insert(getDim(lhs, last).constantValue().value_or(0));
    }
  int64_t rows = 0, elements = 0;
  for (auto op : func.front().getOps<GatherOp>()) {
    if (!isLookup(op))
      continue;
    RankedTensorType type = getTensorType(op.getData());
    if (widths.count(type.getDimSize(1)) && type.getNumElements() > elements) {
      rows = type.getDimSize(0);
      elements = type.getNumElements();
    }
  }
  return rows;
}

// Pattern: gather(w, ids) -> all_reduce(gather(part(w), ids))
static void sliceLookup(Slicing &slicing, GatherOp op, const Cut &cut) {
  Value table = slicing.take(op.getData(), 0, cut);
  OpBuilder builder(op);
  builder.setInsertionPointAfter(op);
  Value rows = GatherOp::create(
      builder, op.getLoc(), table, op.getIndices(), /*axis=*/0,
      /*batch_dims=*/0, builder.getStringAttr(cut.units.symbol));
  op.getResult().replaceAllUsesWith(
      slicing.sum(builder, op.getLoc(), rows, /*bias=*/Value()));
  mlir::remark::passed(
      op.getLoc(),
      mlir::remark::RemarkOpts::name("embedding").category(kSliceTensors))
      << "ranks divide the " +
             std::to_string(getTensorType(op.getData()).getDimSize(0)) +
             " rows";
}

/// Columns of the vocabulary, or a result of the function with a unit for each
/// rank.
static void sliceOutput(Slicing &slicing, MatmulOp op, int64_t vocabulary) {
  Value logits = op.getResult();
  int last = getTensorType(logits).getRank() - 1;
  int64_t size = *getDim(logits, last).constantValue();
  int64_t numUnits = size == 0 ? 0 : size / unitOf(size);
  if (numUnits < 2)
    return;
  const Cut question{{"", DimExpr(numUnits)}, DimExpr(), {}};
  if (size != vocabulary &&
      (numUnits < slicing.getTp() || !slicing.isWanted(logits, last, question)))
    return;
  const Cut &cut = slicing.rankCut("vocab", numUnits);
  slicing.give(logits, slicing.take(logits, last, cut), last, cut);
  mlir::remark::passed(
      op.getLoc(),
      mlir::remark::RemarkOpts::name("output").category(kSliceTensors))
      << "ranks divide the " + std::to_string(size) + " columns";
}

void moe::pass::sliceVocabulary(Slicing &slicing) {
  func::FuncOp func = slicing.getFunction();
  int64_t vocabulary = findVocabulary(func);
  for (auto op : llvm::to_vector(func.front().getOps<MatmulOp>()))
    if (isProductOfWeight(op) && Slicing::isLive(op) &&
        !slicing.hasPart(op.getResult()))
      sliceOutput(slicing, op, vocabulary);
  if (vocabulary == 0 || vocabulary / unitOf(vocabulary) < 2)
    return;
  const Cut &cut = slicing.rankCut("vocab", vocabulary / unitOf(vocabulary));
  for (auto op : llvm::to_vector(func.front().getOps<GatherOp>()))
    if (isLookup(op) && getTensorType(op.getData()).getDimSize(0) == vocabulary)
      sliceLookup(slicing, op, cut);
}
