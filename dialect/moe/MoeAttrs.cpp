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

/// The ranks of one expert; `slices` of them make a replica.
static LogicalResult verifyExpert(function_ref<InFlightDiagnostic()> emitError,
                                  int64_t expert, ArrayRef<int64_t> ranks,
                                  int64_t slices, int64_t numRanks,
                                  int64_t domains) {
  if (ranks.empty())
    return emitError() << "expert " << expert << " is on no rank";
  if (slices < 1 || ranks.size() % slices != 0)
    return emitError() << "expert " << expert << " has " << ranks.size()
                       << " ranks for replicas of " << slices << " slices";
  if ((ranks.size() / slices) % domains != 0)
    return emitError() << "expert " << expert << " has "
                       << ranks.size() / slices << " replicas for " << domains
                       << " domains";
  llvm::SmallDenseSet<int64_t> seen;
  for (int64_t rank : ranks) {
    if (rank < 0 || rank >= numRanks)
      return emitError() << "expert " << expert << " is on rank " << rank
                         << " of " << numRanks;
    if (!seen.insert(rank).second)
      return emitError() << "expert " << expert << " is twice on rank " << rank;
  }
  return success();
}

LogicalResult
PlacementAttr::verify(function_ref<InFlightDiagnostic()> emitError,
                      int64_t numRanks, CommGroup group, int64_t domains,
                      ArrayRef<DenseI64ArrayAttr> experts,
                      ArrayRef<int64_t> slices) {
  if (numRanks < 1)
    return emitError() << "has " << numRanks << " ranks, expected at least 1";
  if (domains < 1 || numRanks % domains != 0)
    return emitError() << "has " << numRanks << " ranks in " << domains
                       << " domains, expected equal ones";
  if (slices.size() != experts.size())
    return emitError() << "has slices of " << slices.size() << " experts and "
                       << "ranks of " << experts.size();
  for (const auto &[expert, ranks] : llvm::enumerate(experts))
    if (failed(verifyExpert(emitError, expert, ranks.asArrayRef(),
                            slices[expert], numRanks, domains)))
      return failure();
  return success();
}

auto PlacementAttr::localExperts(int64_t rank) const
    -> SmallVector<LocalExpert> {
  SmallVector<LocalExpert> held;
  for (const auto &[expert, list] : llvm::enumerate(getExperts())) {
    ArrayRef<int64_t> ranks = list.asArrayRef();
    int64_t slices = getSlices()[expert];
    if (const auto *it = llvm::find(ranks, rank); it != ranks.end())
      held.push_back({static_cast<int64_t>(expert),
                      (it - ranks.begin()) % slices, slices});
  }
  return held;
}

SmallVector<int64_t> PlacementAttr::expertsOf(int64_t rank) const {
  return llvm::map_to_vector(localExperts(rank), [](const LocalExpert &local) {
    return local.expert;
  });
}

int64_t PlacementAttr::maxLocalExperts() const {
  SmallVector<int64_t> count(getNumRanks(), 0);
  for (DenseI64ArrayAttr ranks : getExperts())
    for (int64_t rank : ranks.asArrayRef())
      ++count[rank];
  return *llvm::max_element(count);
}

bool PlacementAttr::hasSlices() const {
  return llvm::any_of(getSlices(), [](int64_t slices) { return slices > 1; });
}

auto PlacementAttr::sharesOf(int64_t expert, int64_t sender,
                             int64_t count) const -> SmallVector<Share> {
  ArrayRef<int64_t> ranks = getExperts()[expert].asArrayRef();
  int64_t slices = getSlices()[expert], domains = getDomains();
  int64_t replicas = ranks.size() / slices / domains;
  int64_t first = sender * domains / getNumRanks() * replicas;
  SmallVector<Share> shares;
  for (int64_t i = 0; i < replicas; ++i) {
    int64_t replica = first + (sender + i) % replicas;
    shares.push_back({ranks.slice(replica * slices, slices),
                      i * count / replicas, (i + 1) * count / replicas});
  }
  return shares;
}

/// [0, 4], [1 + 2, 5 + 6]: replicas and their slices.
static ParseResult parseExpert(AsmParser &parser,
                               SmallVectorImpl<int64_t> &ranks,
                               int64_t &slices) {
  slices = 0;
  llvm::SMLoc loc = parser.getCurrentLocation();
  auto parseReplica = [&]() -> ParseResult {
    size_t begin = ranks.size();
    do
      if (parser.parseInteger(ranks.emplace_back()))
        return failure();
    while (succeeded(parser.parseOptionalPlus()));
    int64_t count = ranks.size() - begin;
    if (slices != 0 && slices != count)
      return parser.emitError(loc, "replicas have ")
             << slices << " and " << count << " slices";
    slices = count;
    return success();
  };
  return parser.parseCommaSeparatedList(AsmParser::Delimiter::Square,
                                        parseReplica);
}

Attribute PlacementAttr::parse(AsmParser &parser, Type) {
  int64_t numRanks, domains = 1;
  CommGroup group = CommGroup::Rows;
  SmallVector<DenseI64ArrayAttr> experts;
  SmallVector<int64_t> slices;
  llvm::SMLoc loc = parser.getCurrentLocation();
  if (parser.parseLess() || parser.parseInteger(numRanks))
    return {};
  if (succeeded(parser.parseOptionalKeyword("over"))) {
    StringRef keyword;
    if (parser.parseKeyword(&keyword))
      return {};
    std::optional<CommGroup> parsed = symbolizeCommGroup(keyword);
    if (!parsed) {
      parser.emitError(loc, "unknown group '") << keyword << "'";
      return {};
    }
    group = *parsed;
  }
  if (succeeded(parser.parseOptionalKeyword("domains")) &&
      parser.parseInteger(domains))
    return {};
  auto parseOne = [&]() -> ParseResult {
    SmallVector<int64_t> ranks;
    if (parseExpert(parser, ranks, slices.emplace_back()))
      return failure();
    experts.push_back(DenseI64ArrayAttr::get(parser.getContext(), ranks));
    return success();
  };
  if (parser.parseCommaSeparatedList(AsmParser::Delimiter::Square, parseOne) ||
      parser.parseGreater())
    return {};
  return parser.getChecked<PlacementAttr>(loc, parser.getContext(), numRanks,
                                          group, domains, experts, slices);
}

void PlacementAttr::print(AsmPrinter &printer) const {
  printer << "<" << getNumRanks();
  if (getGroup() != CommGroup::Rows)
    printer << " over " << stringifyCommGroup(getGroup());
  if (getDomains() != 1)
    printer << " domains " << getDomains();
  printer << " [";
  llvm::interleaveComma(
      llvm::zip_equal(getExperts(), getSlices()), printer, [&](auto entry) {
        auto [ranks, slices] = entry;
        printer << "[";
        for (auto [i, rank] : llvm::enumerate(ranks.asArrayRef()))
          printer << (i == 0 ? "" : i % slices == 0 ? ", " : " + ") << rank;
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
