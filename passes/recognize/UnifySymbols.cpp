//===- UnifySymbols.cpp - One symbol for sizes that must be equal ---------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Exporters give inputs symbols of their own even where the graph needs them
// to be equal. A padding mask [s43, s53] that is read at (b, t) for each of
// s54 sequences and each of past + seq positions is such a case: nothing but
// the reading ties it to the other inputs. This pass replaces s43 by s54 and
// s53 by past + seq wherever they stand. The run then checks the sizes of the
// inputs, and what follows knows that mask and sequences have the same batch.
//
// Needs nothing to hold before it; runs before all that compares sizes.
//
//===----------------------------------------------------------------------===//

#include "dialect/moe/MoeDialect.h"
#include "passes/Passes.h"
#include "passes/recognize/CountedIndex.h"
#include "passes/recognize/Match.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/AttrTypeSubElements.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/Remarks.h"
#include "llvm/Support/FormatVariadic.h"

using namespace mlir;
using namespace moe::dialect;

namespace moe::pass {
#define GEN_PASS_DEF_UNIFYSYMBOLSPASS
#include "passes/Passes.h.inc"

namespace {

using Substitution = std::map<std::string, DimExpr, std::less<>>;

/// Makes `size` equal to `count` by giving a value to a symbol.
void unify(const DimExpr &size, const DimExpr &count, Location loc,
           Substitution &by) {
  DimExpr a = size.substitute(by), b = count.substitute(by);
  if (a == b)
    return;
  std::optional<std::string> symbol = a.symbolName();
  if (!symbol || b.symbols().count(*symbol))
    return;
  for (auto &[name, value] : by)
    value = value.substitute({{*symbol, b}});
  by.emplace(*symbol, b);
  mlir::remark::analysis(
      loc, mlir::remark::RemarkOpts::name("unify").category("moe-recognize"))
      << llvm::formatv("sizes {0} and {1} must be equal", *symbol, b.toString())
             .str();
}

Substitution findEqualSizes(func::FuncOp function) {
  Substitution by;
  function.walk([&](GatherNdOp gather) {
    auto entries = matchCountedTuples(gather);
    if (!entries)
      return;
    for (auto [axis, entry] : llvm::enumerate(*entries))
      unify(getDim(gather.getData(), axis), entry.size, gather.getLoc(), by);
  });
  return by;
}

SmallVector<DimExpr> substituteAll(ArrayRef<DimExpr> dims,
                                   const Substitution &by) {
  SmallVector<DimExpr> result;
  for (const DimExpr &dim : dims)
    result.push_back(dim.substitute(by));
  return result;
}

void substitute(func::FuncOp function, const Substitution &by) {
  AttrTypeReplacer replacer;
  using TypeResult = std::optional<std::pair<Type, WalkResult>>;
  replacer.addReplacement([&](RankedTensorType type) -> TypeResult {
    if (!type.getEncoding())
      return std::nullopt;
    SmallVector<DimExpr> dims = substituteAll(getDims(type), by);
    return std::make_pair(Type(getTensorType(type.getElementType(), dims)),
                          WalkResult::skip());
  });
  replacer.addReplacement([&](DimsAttr attr) -> std::optional<Attribute> {
    return DimsAttr::get(attr.getContext(), substituteAll(attr.getDims(), by));
  });
  replacer.recursivelyReplaceElementsIn(function, /*replaceAttrs=*/true,
                                        /*replaceLocs=*/false,
                                        /*replaceTypes=*/true);
  NamedAttrList bounds(function->getAttrOfType<DictionaryAttr>(kDataSymbols));
  for (NamedAttribute bound : llvm::to_vector(bounds.getAttrs())) {
    auto text = dyn_cast<StringAttr>(bound.getValue());
    StatusOr<DimExpr> expr =
        DimExpr::parse(text ? text.getValue().str() : std::string());
    if (expr.isOk())
      bounds.set(bound.getName(),
                 StringAttr::get(function.getContext(),
                                 expr->substitute(by).toString()));
  }
  if (!bounds.empty())
    function->setAttr(kDataSymbols,
                      bounds.getDictionary(function.getContext()));
}

class UnifySymbols : public impl::UnifySymbolsPassBase<UnifySymbols> {
  void runOnOperation() override {
    for (auto function : getOperation().getOps<func::FuncOp>()) {
      Substitution by = findEqualSizes(function);
      if (!by.empty())
        substitute(function, by);
    }
  }
};

} // namespace
} // namespace moe::pass
