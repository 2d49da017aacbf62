//===- LowerGather.cpp - Look-ups in tables of codes ----------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A table that is integers in the file stays so: its codes, scales and zero
// points are three weights, row by row, and the step makes floats of the rows
// that it looks up:
//
//   gather (param dequantize [4, 32] (q, s, z)), ids
//     -> step "gather_codes" q, ids, s, z {bits = 4, block = 32, size = ..}
//
// What lies between the codes and the look-up comes after it instead:
//
//   gather (param transpose (cast (dequantize ..))), ids
//     -> transpose (cast (gather (param dequantize ..), ids))
//
//===----------------------------------------------------------------------===//

#include "dialect/moe/MoeTypes.h"
#include "passes/lower/FunctionLowering.h"
#include "runtime/params/Layouts.h"

#include "mlir/IR/Remarks.h"

using namespace mlir;
using namespace moe;
using namespace moe::dialect;
using namespace moe::pass;

static ParamAttr termOf(ParamAttr x, unsigned i = 0) {
  return llvm::cast<ParamAttr>(x.getOperands()[i]);
}

static bool isKernelFloat(Type type) {
  return type.isF32() || type.isF16() || type.isBF16();
}

static bool areCodes(ParamAttr table) {
  return table.getKind().getValue() == "dequantize" &&
         isKernelFloat(table.getType().getElementType()) &&
         table.getType().getNumElements() > 0;
}

/// Codes, or codes that are only transposed and cast to other floats.
static bool haveCodes(ParamAttr table) {
  StringRef kind = table.getKind();
  if (kind == "transpose" ||
      (kind == "cast" && isa<FloatType>(table.getType().getElementType())))
    return haveCodes(termOf(table));
  return areCodes(table);
}

//===----------------------------------------------------------------------===//
// Movements and casts
//===----------------------------------------------------------------------===//

/// Dimension i of a transposed table is dimension permutation[i] of the table;
/// those of the indices stand for the axis. Returns the same of what was looked
/// up.
static SmallVector<int64_t> permutationOfRows(ArrayRef<int64_t> permutation,
                                              int64_t axis,
                                              int64_t numIndexDims) {
  int64_t from = permutation[axis];
  SmallVector<int64_t> result;
  for (auto [i, source] : llvm::enumerate(permutation)) {
    if (static_cast<int64_t>(i) == axis) {
      for (int64_t j = 0; j < numIndexDims; ++j)
        result.push_back(from + j);
      continue;
    }
    result.push_back(source < from ? source : source + numIndexDims - 1);
  }
  return result;
}

/// What `op` looks up, of `table` along `axis`.
static Value lookUp(OpBuilder &builder, GatherOp op, ParamAttr table,
                    int64_t axis) {
  Location loc = op.getLoc();
  if (areCodes(table)) {
    auto param = op.getData().getDefiningOp<ParamOp>();
    Value codes =
        ParamOp::create(builder, param.getLoc(), table, param.getNameAttr());
    return GatherOp::create(builder, loc, codes, op.getIndices(), axis, 0,
                            StringAttr());
  }
  ParamAttr source = termOf(table);
  if (table.getKind().getValue() == "cast") {
    Value rows = lookUp(builder, op, source, axis);
    Type type = table.getType().getElementType();
    return CastOp::create(builder, loc, getTensorType(type, getDims(rows)),
                          rows);
  }
  Value rows = lookUp(builder, op, source, table.getInts()[axis]);
  int64_t numIndexDims = getTensorType(op.getIndices()).getRank();
  return TransposeOp::create(
      builder, loc, rows,
      permutationOfRows(table.getInts(), axis, numIndexDims));
}

void FunctionLowering::exposeTables() {
  for (auto op : llvm::to_vector(func.getOps<GatherOp>())) {
    auto param = op.getData().getDefiningOp<ParamOp>();
    if (!param || op.getBatchDims() != 0 || areCodes(param.getValue()) ||
        !haveCodes(param.getValue()))
      continue;
    OpBuilder builder(op);
    Value rows = lookUp(builder, op, param.getValue(), op.getAxis());
    op.replaceAllUsesWith(rows);
    op.erase();
  }
}

//===----------------------------------------------------------------------===//
// Steps
//===----------------------------------------------------------------------===//

bool FunctionLowering::lowerGather(GatherOp op) {
  ParamOp param = weightBehind(op.getData());
  if (!param || !areCodes(param.getValue()))
    return false;
  ParamAttr table = param.getValue();
  int64_t last = table.getType().getRank() - 1;
  ParamSpec spec = specOf(op.getData());
  bool isAlongRows = static_cast<int64_t>(op.getAxis()) == last;
  auto remarkNamed = [](StringRef name) {
    return mlir::remark::RemarkOpts::name(name).category("moe-lower-to-plan");
  };
  if (op.getBatchDims() != 0 || spec.partAxis == last ||
      (isAlongRows && op.getPart())) {
    mlir::remark::missed(op.getLoc(), remarkNamed("table"))
        << "'" + spec.name +
               "' becomes floats: ranks or batches divide its rows";
    return false;
  }
  // Codes, scales or zero points, of which ranks have the same part.
  auto weight = [&](unsigned i, StringRef what) {
    ParamSpec part = spec;
    part.name += what;
    part.layout = kRowLayout;
    part.blocks.push_back(termOf(table, i));
    if (!part.localDims.empty())
      part.localDims.back() =
          DimExpr(termOf(table, i).getType().getShape().back());
    return plan.param(part);
  };
  DictionaryAttr ofOp = settingsOf(op);
  SmallVector<Value> inputs = {weight(0, ""),
                               operandOf(op, 1, op.getIndices(), ofOp),
                               weight(1, ".scales")};
  if (table.getOperands().size() == 3)
    inputs.push_back(weight(2, ".zeros"));
  NamedAttrList settings(ofOp);
  Builder builder(context);
  settings.erase("batch_dims");
  settings.set("bits", builder.getI64IntegerAttr(table.getInts()[0]));
  settings.set("block", builder.getI64IntegerAttr(table.getInts()[1]));
  settings.set("size",
               builder.getI64IntegerAttr(table.getType().getShape().back()));
  mlir::remark::passed(op.getLoc(), remarkNamed("table"))
      << "'" + spec.name + "' stays in codes";
  addStep(op, "gather_codes", inputs, {resultBuffer(op.getResult())},
          settings.getDictionary(context));
  return true;
}
