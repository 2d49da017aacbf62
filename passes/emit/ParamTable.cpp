//===- ParamTable.cpp - Expressions of weights as table rows --------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/emit/ParamTable.h"

#include "dialect/moe/MoeTypes.h"
#include "dialect/plan/PlanDialect.h"
#include "mlir/IR/Builders.h"
#include "runtime/plan/Plan_generated.h"
#include "runtime/support/File.h"
#include "llvm/ADT/StringExtras.h"

using namespace mlir;
using namespace moe;
using namespace moe::dialect;
using namespace moe::pass;

/// "File" for "file": the schema's names are the dialect's in another case.
static std::optional<plan::ParamExprKind> parseKind(StringRef name) {
  for (plan::ParamExprKind kind : plan::EnumValuesParamExprKind())
    if (name.equals_insensitive(plan::EnumNameParamExprKind(kind)))
      return kind;
  return std::nullopt;
}

StatusOr<uint32_t> ParamTable::addFile(StringRef name) {
  auto [it, isNew] = files.try_emplace(name, program.files.size());
  if (!isNew)
    return it->second;
  StatusOr<InputFile> file = InputFile::openInside(folder, name.str());
  if (!file.isOk())
    return file.status();
  auto row = std::make_unique<plan::WeightFileT>();
  row->path = pathPrefix + name.str();
  row->size = file->size();
  program.files.push_back(std::move(row));
  return it->second;
}

uint32_t ParamTable::addConstant(DenseElementsAttr elements) {
  auto row = std::make_unique<plan::ConstantT>();
  row->data = plan_dialect::bytesOf(elements);
  program.constants.push_back(std::move(row));
  return program.constants.size() - 1;
}

StatusOr<uint32_t> ParamTable::add(ParamAttr param) {
  if (auto it = known.find(param); it != known.end())
    return it->second;
  std::optional<plan::ParamExprKind> kind = parseKind(param.getKind());
  if (!kind)
    return Status(StatusCode::Internal, "plans have no weights of kind '" +
                                            param.getKind().str() + "'");
  auto row = std::make_unique<plan::ParamExprT>();
  row->kind = *kind;
  for (Attribute operand : param.getOperands()) {
    MOE_ASSIGN_OR_RETURN(uint32_t index, add(cast<ParamAttr>(operand)));
    row->operands.push_back(index);
  }
  row->ints.assign(param.getInts().begin(), param.getInts().end());
  if (param.getFile()) {
    MOE_ASSIGN_OR_RETURN(row->file, addFile(param.getFile().getValue()));
  }
  if (auto number = dyn_cast_or_null<FloatAttr>(param.getValue()))
    row->f = number.getValueAsDouble();
  if (auto number = dyn_cast_or_null<IntegerAttr>(param.getValue()))
    row->i = number.getValue().getSExtValue();
  if (auto elements = dyn_cast_or_null<DenseElementsAttr>(param.getValue()))
    row->ints.push_back(addConstant(elements));
  RankedTensorType type = param.getType();
  row->dtype = static_cast<uint8_t>(*toDType(type.getElementType()));
  row->dims.assign(type.getShape().begin(), type.getShape().end());
  uint32_t index = program.param_exprs.size();
  program.param_exprs.push_back(std::move(row));
  known[param] = index;
  return index;
}

//===----------------------------------------------------------------------===//
// The inverse
//===----------------------------------------------------------------------===//

/// The bytes of an `inline` expression as elements of `type`.
static DenseElementsAttr elementsOf(const std::vector<uint8_t> &bytes,
                                    RankedTensorType type) {
  Type elementType = type.getElementType();
  size_t width = dtypeSize(*toDType(elementType));
  SmallVector<Attribute> elements;
  Builder builder(type.getContext());
  for (size_t at = 0; at + width <= bytes.size(); at += width) {
    uint64_t bits = 0;
    for (size_t i = 0; i < width; ++i)
      bits |= uint64_t(bytes[at + i]) << (8 * i);
    APInt value(elementType.getIntOrFloatBitWidth(), bits, /*isSigned=*/false,
                /*implicitTrunc=*/true);
    if (auto floats = dyn_cast<FloatType>(elementType))
      elements.push_back(
          FloatAttr::get(floats, APFloat(floats.getFloatSemantics(), value)));
    else
      elements.push_back(IntegerAttr::get(elementType, value));
  }
  return DenseElementsAttr::get(type, elements);
}

ParamAttr moe::pass::importParamExpr(const plan::ProgramT &program,
                                     uint32_t index, MLIRContext *context) {
  const plan::ParamExprT &row = *program.param_exprs[index];
  SmallVector<Attribute> operands;
  for (uint32_t operand : row.operands)
    operands.push_back(importParamExpr(program, operand, context));
  Type elementType = fromDType(context, DType(row.dtype));
  auto type = RankedTensorType::get(row.dims, elementType);
  SmallVector<int64_t> ints(row.ints.begin(), row.ints.end());
  Attribute value;
  StringAttr file;
  if (row.kind == plan::ParamExprKind_File ||
      row.kind == plan::ParamExprKind_VarInt)
    file = StringAttr::get(context, program.files[row.file]->path);
  if (row.kind == plan::ParamExprKind_Inline)
    value = elementsOf(program.constants[ints.pop_back_val()]->data, type);
  if (row.kind == plan::ParamExprKind_Scale)
    value = FloatAttr::get(elementType, row.f);
  if (row.kind == plan::ParamExprKind_Fill && isa<FloatType>(elementType))
    value = FloatAttr::get(elementType, row.f);
  if (row.kind == plan::ParamExprKind_Fill && !isa<FloatType>(elementType))
    value = IntegerAttr::get(elementType, row.i);
  std::string kind = StringRef(plan::EnumNameParamExprKind(row.kind)).lower();
  return ParamAttr::get(context, StringAttr::get(context, kind), file, value,
                        ints, operands, type);
}
