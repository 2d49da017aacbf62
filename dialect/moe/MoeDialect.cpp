//===- MoeDialect.cpp - The moe dialect -----------------------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialect/moe/MoeDialect.h"

#include "dialect/moe/MoeAttrs.h"
#include "dialect/moe/MoeOps.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Builders.h"
#include "runtime/support/DimExpr.h"

using namespace mlir;
using namespace moe::dialect;

#include "dialect/moe/MoeDialect.cpp.inc"

void MoeDialect::initialize() {
  registerAttributes();
  addOperations<
#define GET_OP_LIST
#include "dialect/moe/MoeOps.cpp.inc"
      >();
}

//===----------------------------------------------------------------------===//
// Attributes of operations of any dialect
//===----------------------------------------------------------------------===//

/// A dictionary of expressions: moe.local_symbols, moe.data_symbols.
static LogicalResult verifySymbols(Operation *op, NamedAttribute attribute) {
  auto symbols = dyn_cast<DictionaryAttr>(attribute.getValue());
  if (!symbols)
    return op->emitOpError()
           << "has " << attribute.getName() << " that is no dictionary";
  for (NamedAttribute symbol : symbols) {
    auto text = dyn_cast<StringAttr>(symbol.getValue());
    if (!text || !moe::DimExpr::parse(text.getValue().str()).isOk())
      return op->emitOpError() << "has " << symbol.getName() << " = "
                               << symbol.getValue() << ", which is no size";
  }
  return success();
}

static LogicalResult verifyGroups(Operation *op, Attribute attribute) {
  auto groups = dyn_cast<DictionaryAttr>(attribute);
  auto locals = op->getAttrOfType<DictionaryAttr>(kLocalSymbols);
  if (!groups)
    return op->emitOpError()
           << "has " << kSymbolGroups << " that is no dictionary";
  for (NamedAttribute entry : groups) {
    auto keyword = dyn_cast<StringAttr>(entry.getValue());
    if (!keyword || !symbolizeCommGroup(keyword.getValue()))
      return op->emitOpError()
             << "has the group " << entry.getValue() << " for "
             << entry.getName() << ", expected \"rows\", \"tp\" or \"world\"";
    if (!locals || !locals.contains(entry.getName()))
      return op->emitOpError() << "has a group for " << entry.getName()
                               << ", which is no local symbol";
  }
  return success();
}

static LogicalResult verifyGuard(Operation *op, Attribute attribute) {
  auto guard = dyn_cast<DimsAttr>(attribute);
  if (!guard || guard.size() != 1)
    return op->emitOpError() << "has guard " << attribute
                             << ", expected #moe.dims of one expression";
  for (const std::string &symbol : guard.getDim(0).symbols())
    if (lookUpSymbol(op, kLocalSymbols, symbol) ||
        lookUpSymbol(op, kDataSymbols, symbol))
      return op->emitOpError() << "is guarded by '" << symbol
                               << "', of which ranks have their own values";
  return success();
}

LogicalResult MoeDialect::verifyOperationAttribute(Operation *op,
                                                   NamedAttribute attribute) {
  StringRef name = attribute.getName();
  Attribute value = attribute.getValue();
  auto integer = dyn_cast<IntegerAttr>(value);
  bool isI64 = integer && integer.getType().isSignlessInteger(64);
  // A1: the mesh.
  if (name == kMesh && !isa<MeshAttr>(value))
    return op->emitOpError() << "has " << name << " that is no #moe.mesh";
  // A2: ranks on a node.
  if (name == kNodeSize && (!isI64 || integer.getInt() < 1))
    return op->emitOpError()
           << "has " << name << " = " << value << ", expected a positive i64";
  // A3: symbols; A4: their groups.
  if (name == kLocalSymbols || name == kDataSymbols)
    return verifySymbols(op, attribute);
  if (name == kSymbolGroups)
    return verifyGroups(op, value);
  // A5: guards; A6: streams.
  if (name == kGuard)
    return verifyGuard(op, value);
  if (name == kStream &&
      (!isI64 || (integer.getInt() != 0 && integer.getInt() != 1)))
    return op->emitOpError()
           << "has " << name << " = " << value << ", expected 0 or 1";
  return success();
}

Operation *MoeDialect::materializeConstant(OpBuilder &builder, Attribute value,
                                           Type type, Location loc) {
  auto elements = dyn_cast<ElementsAttr>(value);
  if (!elements || elements.getType() != type)
    return nullptr;
  return ConstantOp::create(builder, loc, elements);
}
