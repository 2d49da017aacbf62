//===- MoeAttrs.cpp - Enums and attributes of the moe dialect -------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialect/moe/MoeAttrs.h"

#include "dialect/moe/MoeTypes.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/SmallSet.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace moe;
using namespace moe::dialect;

#include "dialect/moe/MoeEnums.cpp.inc"
#define GET_ATTRDEF_CLASSES
#include "dialect/moe/MoeAttrs.cpp.inc"

void MoeDialect::registerAttributes() {
  addAttributes<
#define GET_ATTRDEF_LIST
#include "dialect/moe/MoeAttrs.cpp.inc"
      >();
}

bool moe::dialect::givesTruth(UnaryKind kind) {
  return kind == UnaryKind::IsNan || kind == UnaryKind::IsInf ||
         kind == UnaryKind::IsPosInf || kind == UnaryKind::IsNegInf;
}

//===----------------------------------------------------------------------===//
// DimsAttr
//===----------------------------------------------------------------------===//

DimsAttr DimsAttr::get(MLIRContext *context, ArrayRef<DimExpr> dims) {
  SmallVector<StringAttr> texts;
  for (const DimExpr &dim : dims)
    texts.push_back(StringAttr::get(context, dim.toString()));
  return get(context, ArrayRef<StringAttr>(texts));
}

DimsAttr DimsAttr::get(MLIRContext *context, ArrayRef<int64_t> dims) {
  SmallVector<DimExpr> exprs(dims.begin(), dims.end());
  return get(context, ArrayRef<DimExpr>(exprs));
}

DimExpr DimsAttr::getDim(unsigned i) const {
  StatusOr<DimExpr> dim = DimExpr::parse(getExprs()[i].getValue().str());
  // The verifier has seen every entry.
  assert(dim.isOk() && "an entry of #moe.dims is not an expression");
  return dim.isOk() ? *dim : DimExpr();
}

SmallVector<DimExpr> DimsAttr::getDims() const {
  SmallVector<DimExpr> dims;
  for (size_t i = 0; i < size(); ++i)
    dims.push_back(getDim(i));
  return dims;
}

LogicalResult DimsAttr::verify(function_ref<InFlightDiagnostic()> emitError,
                               ArrayRef<StringAttr> exprs) {
  for (StringAttr text : exprs) {
    StatusOr<DimExpr> dim = DimExpr::parse(text.getValue().str());
    if (!dim.isOk())
      return emitError() << dim.status().message();
    if (dim->toString() != text.getValue())
      return emitError() << "'" << text.getValue()
                         << "' is not in normal form, expected '"
                         << dim->toString() << "'";
  }
  return success();
}

LogicalResult
DimsAttr::verifyEncoding(ArrayRef<int64_t> shape, Type elementType,
                         function_ref<InFlightDiagnostic()> emitError) const {
  if (shape.size() != size())
    return emitError() << "has " << size() << " expressions for a tensor of "
                       << "rank " << shape.size();
  if (!ShapedType::isDynamicShape(shape))
    return emitError() << "a static tensor has no #moe.dims encoding";
  for (const auto &[i, size] : llvm::enumerate(shape)) {
    std::optional<int64_t> value = getDim(i).constantValue();
    if (ShapedType::isDynamic(size)) {
      if (value)
        return emitError() << "dimension " << i << " is '?', but its expression"
                           << " is the constant " << *value;
    } else if (value != size) {
      return emitError() << "dimension " << i << " is " << size
                         << ", but its expression is '"
                         << getExprs()[i].getValue() << "'";
    }
  }
  return success();
}

namespace {
/// Copies the tokens of one expression to text; DimExpr::parse reads that. MLIR
/// has no raw text of an attribute to offer, only its tokens.
class DimTextParser {
public:
  explicit DimTextParser(AsmParser &parser) : parser(parser) {}

  ParseResult parseSum(std::string &text) {
    if (++depth > kMaxDepth)
      return parser.emitError(parser.getCurrentLocation(),
                              "expression is nested too deeply");
    if (succeeded(parser.parseOptionalMinus()))
      text += "-";
    if (parseProduct(text))
      return failure();
    while (true) {
      if (succeeded(parser.parseOptionalPlus()))
        text += "+";
      else if (succeeded(parser.parseOptionalMinus()))
        text += "-";
      else
        break;
      if (parseProduct(text))
        return failure();
    }
    --depth;
    return success();
  }

private:
  static constexpr int kMaxDepth = 64;

  ParseResult parseProduct(std::string &text) {
    if (parseFactor(text))
      return failure();
    while (succeeded(parser.parseOptionalStar())) {
      text += "*";
      if (parseFactor(text))
        return failure();
    }
    return success();
  }

  ParseResult parseFactor(std::string &text) {
    int64_t constant;
    OptionalParseResult integer = parser.parseOptionalInteger(constant);
    if (integer.has_value()) {
      text += std::to_string(constant);
      return *integer;
    }
    StringRef name;
    bool isName = succeeded(parser.parseOptionalKeyword(&name));
    if (isName)
      text += name;
    if (failed(parser.parseOptionalLParen()))
      return isName ? success()
                    : parser.emitError(parser.getCurrentLocation(),
                                       "expected a size");
    text += "(";
    if (parseSum(text))
      return failure();
    while (succeeded(parser.parseOptionalComma())) {
      text += ",";
      if (parseSum(text))
        return failure();
    }
    text += ")";
    return parser.parseRParen();
  }

  AsmParser &parser;
  int depth = 0;
};
} // namespace

Attribute DimsAttr::parse(AsmParser &parser, Type) {
  SmallVector<DimExpr> dims;
  auto parseDim = [&]() -> ParseResult {
    llvm::SMLoc loc = parser.getCurrentLocation();
    std::string text;
    if (DimTextParser(parser).parseSum(text))
      return failure();
    StatusOr<DimExpr> dim = DimExpr::parse(text);
    if (!dim.isOk())
      return parser.emitError(loc, dim.status().message());
    dims.push_back(*dim);
    return success();
  };
  if (parser.parseCommaSeparatedList(AsmParser::Delimiter::LessGreater,
                                     parseDim))
    return {};
  return DimsAttr::get(parser.getContext(), ArrayRef<DimExpr>(dims));
}

void DimsAttr::print(AsmPrinter &printer) const {
  printer << "<";
  llvm::interleaveComma(getExprs(), printer,
                        [&](StringAttr text) { printer << text.getValue(); });
  printer << ">";
}

//===----------------------------------------------------------------------===//
// PlacementAttr
//===----------------------------------------------------------------------===//

LogicalResult
PlacementAttr::verify(function_ref<InFlightDiagnostic()> emitError,
                      int64_t numRanks, ArrayRef<DenseI64ArrayAttr> experts) {
  if (numRanks < 1)
    return emitError() << "has " << numRanks << " ranks, expected at least 1";
  for (const auto &[expert, ranks] : llvm::enumerate(experts)) {
    if (ranks.empty())
      return emitError() << "expert " << expert << " is on no rank";
    llvm::SmallSet<int64_t, 4> seen;
    for (int64_t rank : ranks.asArrayRef()) {
      if (rank < 0 || rank >= numRanks)
        return emitError() << "expert " << expert << " is on rank " << rank
                           << " of " << numRanks;
      if (!seen.insert(rank).second)
        return emitError() << "expert " << expert << " is twice on rank "
                           << rank;
    }
  }
  return success();
}

SmallVector<int64_t> PlacementAttr::expertsOf(int64_t rank) const {
  SmallVector<int64_t> held;
  for (const auto &[expert, ranks] : llvm::enumerate(getExperts()))
    if (llvm::is_contained(ranks.asArrayRef(), rank))
      held.push_back(expert);
  return held;
}

int64_t PlacementAttr::maxLocalExperts() const {
  SmallVector<int64_t> count(getNumRanks(), 0);
  for (DenseI64ArrayAttr ranks : getExperts())
    for (int64_t rank : ranks.asArrayRef())
      ++count[rank];
  return *llvm::max_element(count);
}

Attribute PlacementAttr::parse(AsmParser &parser, Type) {
  int64_t numRanks;
  SmallVector<DenseI64ArrayAttr> experts;
  auto parseExpert = [&]() -> ParseResult {
    SmallVector<int64_t> ranks;
    auto parseRank = [&] { return parser.parseInteger(ranks.emplace_back()); };
    if (parser.parseCommaSeparatedList(AsmParser::Delimiter::Square, parseRank))
      return failure();
    experts.push_back(DenseI64ArrayAttr::get(parser.getContext(), ranks));
    return success();
  };
  llvm::SMLoc loc = parser.getCurrentLocation();
  if (parser.parseLess() || parser.parseInteger(numRanks) ||
      parser.parseCommaSeparatedList(AsmParser::Delimiter::Square,
                                     parseExpert) ||
      parser.parseGreater())
    return {};
  return parser.getChecked<PlacementAttr>(loc, parser.getContext(), numRanks,
                                          experts);
}

void PlacementAttr::print(AsmPrinter &printer) const {
  printer << "<" << getNumRanks() << " [";
  llvm::interleaveComma(getExperts(), printer, [&](DenseI64ArrayAttr ranks) {
    printer << "[";
    llvm::interleaveComma(ranks.asArrayRef(), printer);
    printer << "]";
  });
  printer << "]>";
}

//===----------------------------------------------------------------------===//
// MeshAttr
//===----------------------------------------------------------------------===//

LogicalResult MeshAttr::verify(function_ref<InFlightDiagnostic()> emitError,
                               int64_t dp, int64_t ep, int64_t tp) {
  if (dp < 1 || ep < 1 || tp < 1)
    return emitError() << "is " << dp << " x " << ep << " x " << tp
                       << ", expected positive degrees";
  return success();
}
