//===- PlanDialect.cpp - The plan dialect ---------------------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialect/plan/PlanDialect.h"

#include "dialect/moe/MoeTypes.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace moe;
using namespace moe::plan_dialect;

#include "dialect/plan/PlanDialect.cpp.inc"
#include "dialect/plan/PlanEnums.cpp.inc"

#define GET_TYPEDEF_CLASSES
#include "dialect/plan/PlanTypes.cpp.inc"

#define GET_ATTRDEF_CLASSES
#include "dialect/plan/PlanAttrs.cpp.inc"

#define GET_OP_CLASSES
#include "dialect/plan/PlanOps.cpp.inc"

void PlanDialect::initialize() {
  addTypes<
#define GET_TYPEDEF_LIST
#include "dialect/plan/PlanTypes.cpp.inc"
      >();
  addAttributes<
#define GET_ATTRDEF_LIST
#include "dialect/plan/PlanAttrs.cpp.inc"
      >();
  addOperations<
#define GET_OP_LIST
#include "dialect/plan/PlanOps.cpp.inc"
      >();
}

DimExpr plan_dialect::parseExpr(StringRef text) {
  StatusOr<DimExpr> expr = DimExpr::parse({text.data(), text.size()});
  return expr.isOk() ? *std::move(expr) : DimExpr();
}

std::vector<uint8_t> plan_dialect::bytesOf(DenseElementsAttr elements) {
  std::vector<uint8_t> bytes;
  size_t width = dtypeSize(*dialect::toDType(elements.getElementType()));
  auto append = [&](uint64_t bits) {
    for (size_t i = 0; i < width; ++i)
      bytes.push_back(static_cast<uint8_t>(bits >> (8 * i)));
  };
  if (isa<FloatType>(elements.getElementType()))
    for (APFloat value : elements.getValues<APFloat>())
      append(value.bitcastToAPInt().getZExtValue());
  else
    for (APInt value : elements.getValues<APInt>())
      append(value.getZExtValue());
  return bytes;
}

//===----------------------------------------------------------------------===//
// Verifiers
//===----------------------------------------------------------------------===//

static LogicalResult verifyExpr(Operation *op, StringRef what, StringRef text) {
  StatusOr<DimExpr> expr = DimExpr::parse({text.data(), text.size()});
  if (expr.isOk())
    return success();
  return op->emitOpError() << what << " is not an expression: "
                           << expr.status().message();
}

LogicalResult
InstrAttr::verify(llvm::function_ref<InFlightDiagnostic()> emitError,
                  StringAttr op, Type type, DenseI64ArrayAttr operands,
                  TypedAttr value) {
  if (!dialect::toDType(type))
    return emitError() << type << " is not an element type of plans";
  if (operands.size() > 3)
    return emitError() << "an instruction has at most 3 operands, found "
                       << operands.size();
  if (op.getValue() == "constant" &&
      !isa_and_nonnull<FloatAttr, IntegerAttr>(static_cast<Attribute>(value)))
    return emitError() << "a constant needs a number";
  return success();
}

LogicalResult ProgramOp::verify() {
  if (static_cast<int64_t>(getNumRanks()) < 1)
    return emitOpError("has no rank");
  for (Operation &op : getBody().front())
    if (op.getDialect() != (*this)->getDialect())
      return op.emitOpError("cannot stand in a plan");
  return success();
}

LogicalResult SymbolOp::verify() {
  // C1
  if (!DimExpr::isSymbolName({getName().data(), getName().size()}))
    return emitOpError() << "'" << getName() << "' is not the name of a symbol";
  // C2
  if ((getKind() == SymbolKind::LocalPart) != getWhole().has_value())
    return emitOpError("needs 'whole' if and only if it is a local part");
  if ((getKind() == SymbolKind::Data) != getBound().has_value())
    return emitOpError("needs 'bound' if and only if it is data");
  if (getWhole())
    return verifyExpr(*this, "'whole'", *getWhole());
  if (getBound())
    return verifyExpr(*this, "'bound'", *getBound());
  return success();
}

LogicalResult ParamOp::verify() {
  // C1
  for (Attribute block : getBlocks()) {
    auto param = dyn_cast<dialect::ParamAttr>(block);
    if (!param && !isa<IntegerAttr>(block))
      return emitOpError() << "block " << block << " is not a #moe.param";
    auto expected = RankedTensorType::get(getDims(), getElementType());
    if (param && param.getType() != expected)
      return emitOpError() << "has a block of type " << param.getType()
                           << ", expected " << expected;
  }
  size_t expected = std::max<int64_t>(1, getExperts());
  if (getBlocks().size() != expected)
    return emitOpError() << "has " << getBlocks().size() << " blocks, expected "
                         << expected;
  return success();
}

LogicalResult BufferOp::verify() {
  // C1
  if (getOffset() && failed(verifyExpr(*this, "'offset'", *getOffset())))
    return failure();
  if (!dialect::toDType(getElementType()))
    return emitOpError() << getElementType()
                         << " is not an element type of plans";
  // C2
  if (getBase()) {
    auto base = getBase().getDefiningOp<BufferOp>();
    if (!base || base.getKind() != getKind())
      return emitOpError("is a view of another kind of buffer");
  }
  // C3
  if (getStrides() && getStrides()->size() != getDims().size())
    return emitOpError() << "has " << getStrides()->size() << " strides for "
                         << getDims().size() << " dimensions";
  return success();
}

static LogicalResult verifyElementwise(StepOp step) {
  int64_t defined = step.getInputs().size();
  for (Attribute attr : step.getProgramAttr()) {
    auto instr = dyn_cast<InstrAttr>(attr);
    if (!instr)
      return step.emitOpError() << attr << " is not an instruction";
    // C2
    for (int64_t reg : instr.getOperands().asArrayRef())
      if (reg < 0 || reg >= defined)
        return step.emitOpError() << "register " << reg << " is not defined";
    ++defined;
  }
  // C3
  ArrayRef<int64_t> registers =
      step.getRegisters().value_or(ArrayRef<int64_t>());
  if (registers.size() != step.getOutputs().size())
    return step.emitOpError() << "has " << registers.size() << " results for "
                              << step.getOutputs().size() << " outputs";
  for (int64_t reg : registers)
    if (reg < 0 || reg >= defined)
      return step.emitOpError() << "register " << reg << " is not defined";
  return success();
}

LogicalResult StepOp::verify() {
  // C1
  if (getSettings())
    for (NamedAttribute attr : getSettingsAttr())
      if (!isa<IntegerAttr, FloatAttr, StringAttr, DenseI64ArrayAttr,
               DenseF64ArrayAttr, dialect::DimsAttr>(attr.getValue()))
        return emitOpError() << "setting '" << attr.getName().getValue()
                             << "' cannot be written: " << attr.getValue();
  if (getProgram())
    return verifyElementwise(*this);
  return success();
}
