//===- PlanBuilder.cpp - Rows of a plan's tables --------------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/lower/PlanBuilder.h"

using namespace mlir;
using namespace moe;
using namespace moe::dialect;
using namespace moe::pass;
using namespace moe::plan_dialect;

PlanBuilder::PlanBuilder(Location loc) : loc(loc), context(loc.getContext()) {
  for (std::unique_ptr<Block> &table : tables)
    table = std::make_unique<Block>();
}

OpBuilder PlanBuilder::at(Table table) {
  OpBuilder builder(context);
  builder.setInsertionPointToEnd(tables[table].get());
  return builder;
}

//===----------------------------------------------------------------------===//
// Buffers
//===----------------------------------------------------------------------===//

Value PlanBuilder::none() {
  if (!noneValue) {
    OpBuilder builder = at(Buffers);
    noneValue = NoneOp::create(builder, loc, BufferType::get(context));
  }
  return noneValue;
}

Value PlanBuilder::buffer(const BufferSpec &spec, Type elementType,
                          ArrayRef<DimExpr> dims) {
  OpBuilder builder = at(Buffers);
  StringAttr name =
      spec.name.empty() ? StringAttr() : builder.getStringAttr(spec.name);
  return BufferOp::create(builder, loc, BufferType::get(context), spec.kind,
                          name, elementType, DimsAttr::get(context, dims),
                          Value(), StringAttr(), DimsAttr(),
                          static_cast<uint64_t>(spec.index));
}

Value PlanBuilder::view(Value base, ArrayRef<DimExpr> dims) {
  OpBuilder builder = at(Buffers);
  auto of = base.getDefiningOp<BufferOp>();
  return BufferOp::create(builder, loc, BufferType::get(context), of.getKind(),
                          of.getNameAttr(), of.getElementType(),
                          DimsAttr::get(context, dims), base, StringAttr(),
                          DimsAttr());
}

Value PlanBuilder::view(Value base, ArrayRef<DimExpr> dims,
                        const DimExpr &offset, ArrayRef<DimExpr> strides) {
  OpBuilder builder = at(Buffers);
  auto of = base.getDefiningOp<BufferOp>();
  StringAttr offsetText;
  if (offset != DimExpr(0))
    offsetText = builder.getStringAttr(offset.toString());
  return BufferOp::create(builder, loc, BufferType::get(context), of.getKind(),
                          of.getNameAttr(), of.getElementType(),
                          DimsAttr::get(context, dims), base, offsetText,
                          DimsAttr::get(context, strides));
}

//===----------------------------------------------------------------------===//
// Constants and weights
//===----------------------------------------------------------------------===//

Value PlanBuilder::constant(dialect::ConstantOp op) {
  Value &known = constants[op.getValue()];
  if (known)
    return known;
  auto elements = cast<DenseElementsAttr>(op.getValue());
  OpBuilder builder = at(Constants);
  int64_t index = size(Constants);
  std::vector<uint8_t> bytes = bytesOf(elements);
  plan_dialect::ConstantOp::create(
      builder, op.getLoc(),
      builder.getDenseI8ArrayAttr(
          SmallVector<int8_t>(bytes.begin(), bytes.end())));
  return known = buffer({BufferKind::Constant, index, ""},
                        elements.getElementType(), getDims(op.getResult()));
}

std::string PlanBuilder::uniqueParamName(StringRef name) {
  std::string unique = name.empty() ? "weight" : name.str();
  for (int i = 1; !paramNames.insert(unique).second; ++i)
    unique = (name + "." + Twine(i)).str();
  return unique;
}

Value PlanBuilder::param(const ParamSpec &spec) {
  OpBuilder builder = at(Params);
  SmallVector<Attribute> blocks(spec.blocks.begin(), spec.blocks.end());
  ArrayAttr blocksAttr = builder.getArrayAttr(blocks);
  // The layer is part of the identity: it says who owns the blocks. So is the
  // part: a weight that is used whole and in parts has two rows.
  Attribute part = spec.part ? spec.part : builder.getStringAttr("");
  Attribute key = builder.getArrayAttr(
      {blocksAttr, builder.getStringAttr(spec.layout),
       builder.getI64IntegerAttr(spec.experts ? spec.layer : -1),
       builder.getI64IntegerAttr(spec.partAxis), part});
  Value &known = params[key];
  if (known)
    return known;
  RankedTensorType type = spec.blocks[0].getType();
  int64_t index = size(Params);
  std::string name = uniqueParamName(spec.name);
  plan_dialect::ParamOp::create(
      builder, loc, name, type.getElementType(), spec.layout, type.getShape(),
      blocksAttr, static_cast<uint64_t>(spec.experts),
      static_cast<uint64_t>(spec.layer), spec.experts > 0,
      static_cast<uint64_t>(spec.partAxis), spec.part,
      static_cast<uint64_t>(spec.partUnit));
  return known =
             buffer({BufferKind::Param, index, name}, type.getElementType(),
                    spec.localDims.empty() ? getDims(type) : spec.localDims);
}

//===----------------------------------------------------------------------===//
// The program
//===----------------------------------------------------------------------===//

ProgramOp PlanBuilder::finish(Operation *anchor, MeshAttr mesh) {
  OpBuilder builder(anchor);
  int64_t dp = mesh.getDp(), tp = mesh.getTp();
  auto program = ProgramOp::create(
      builder, loc, StringAttr(), static_cast<uint64_t>(dp * mesh.getEp() * tp),
      static_cast<uint64_t>(dp), static_cast<uint64_t>(tp));
  Block &body = program.getBody().emplaceBlock();
  for (std::unique_ptr<Block> &table : tables)
    body.getOperations().splice(body.end(), table->getOperations());
  return program;
}
