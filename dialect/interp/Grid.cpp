//===- Grid.cpp - Ranks and their parts of sizes --------------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialect/interp/Grid.h"

#include "dialect/moe/MoeOps.h"
#include "dialect/moe/MoeTypes.h"
#include "mlir/IR/BuiltinOps.h"

using namespace mlir;
using namespace moe::dialect;

namespace moe::interp {

//===----------------------------------------------------------------------===//
// Grid
//===----------------------------------------------------------------------===//

Grid Grid::of(func::FuncOp function, int64_t numRanks) {
  auto module = function->getParentOfType<ModuleOp>();
  auto mesh = module ? module->getAttrOfType<MeshAttr>(kMesh) : MeshAttr();
  int64_t meshRanks = mesh ? mesh.getDp() * mesh.getEp() * mesh.getTp() : 1;
  if (numRanks == 0)
    numRanks = meshRanks;
  return {numRanks, mesh && numRanks == meshRanks ? mesh.getTp() : 1};
}

int64_t Grid::sizeOf(CommGroup group) const {
  if (group == CommGroup::Rows)
    return numRanks / tp;
  return group == CommGroup::Tp ? tp : numRanks;
}

int64_t Grid::placeOf(int64_t rank, CommGroup group) const {
  if (group == CommGroup::Rows)
    return rank / tp;
  return group == CommGroup::Tp ? rank % tp : rank;
}

SmallVector<SmallVector<int64_t>> Grid::groupsOf(CommGroup group) const {
  int64_t numGroups = numRanks / sizeOf(group);
  SmallVector<SmallVector<int64_t>> groups(numGroups);
  for (int64_t rank = 0; rank < numRanks; ++rank) {
    // Ranks of a row group are equal in t, those of a tp group in o.
    int64_t which = group == CommGroup::Rows ? rank % tp
                    : group == CommGroup::Tp ? rank / tp
                                             : 0;
    groups[which].push_back(rank);
  }
  return groups;
}

//===----------------------------------------------------------------------===//
// LocalSymbols
//===----------------------------------------------------------------------===//

FailureOr<LocalSymbols> LocalSymbols::of(func::FuncOp function) {
  LocalSymbols result(function);
  auto dictionary = function->getAttrOfType<DictionaryAttr>(kLocalSymbols);
  if (!dictionary || function.isDeclaration())
    return result;
  SmallVector<StringRef> names;
  for (NamedAttribute entry : dictionary)
    names.push_back(entry.getName().strref());
  Operation *inside = function.front().getTerminator();
  while (!names.empty()) {
    size_t before = names.size();
    llvm::erase_if(names, [&](StringRef name) {
      std::optional<DimExpr> whole = lookUpSymbol(inside, kLocalSymbols, name);
      if (whole && llvm::any_of(whole->symbols(), [&](const std::string &used) {
            return llvm::is_contained(names, used);
          }))
        return false;
      if (whole)
        result.symbols.push_back(
            {name.str(), *whole, groupOfPart(inside, name)});
      return true;
    });
    if (names.size() == before)
      return function.emitError() << "has local symbols that are parts of each "
                                     "other, '"
                                  << names.front() << "' among them";
  }
  return result;
}

const LocalSymbols::Symbol *LocalSymbols::find(StringRef name) const {
  const auto *it = llvm::find_if(
      symbols, [&](const Symbol &symbol) { return symbol.name == name; });
  return it == symbols.end() ? nullptr : it;
}

FailureOr<int64_t> LocalSymbols::evaluate(const DimExpr &dim,
                                          const SymbolValues &values) const {
  StatusOr<int64_t> value = dim.evaluate(values);
  if (!value.isOk())
    return function->emitError() << value.status().message();
  return *value;
}

LogicalResult LocalSymbols::bind(const Grid &grid, int64_t rank,
                                 SymbolValues &values) const {
  for (const Symbol &symbol : symbols) {
    FailureOr<Part> part = partOf(symbol.name, grid, rank, values);
    if (failed(part))
      return failure();
    values[symbol.name] = part->range.end - part->range.begin;
  }
  return success();
}

FailureOr<Part> LocalSymbols::partOf(StringRef name, const Grid &grid,
                                     int64_t rank,
                                     const SymbolValues &values) const {
  const Symbol *symbol = find(name);
  if (!symbol)
    return function->emitError() << "has no local symbol '" << name << "'";
  FailureOr<int64_t> whole = evaluate(symbol->whole, values);
  if (failed(whole))
    return failure();
  return Part{*whole, rangeOfPlace(*whole, grid.placeOf(rank, symbol->group),
                                   grid.sizeOf(symbol->group))};
}

FailureOr<Part> LocalSymbols::partOf(const DimExpr &dim, const Grid &grid,
                                     int64_t rank,
                                     const SymbolValues &values) const {
  const Symbol *divides = nullptr;
  for (const std::string &name : dim.symbols()) {
    const Symbol *symbol = find(name);
    if (symbol && divides)
      return function->emitError()
             << "has a dimension of " << dim.toString()
             << " elements, in which two groups of ranks mingle";
    divides = symbol ? symbol : divides;
  }
  FailureOr<int64_t> size = evaluate(dim, values);
  if (failed(size))
    return failure();
  if (!divides)
    return Part{*size, {0, *size}};
  std::optional<DimExpr> factor =
      DimExpr::divideExactly(dim, DimExpr::symbol(divides->name));
  if (!factor)
    return function->emitError()
           << "has a dimension of " << dim.toString()
           << " elements, which ranks do not divide evenly";
  // The part of a part: first where the other group's part begins.
  FailureOr<Part> outer = partOf(*factor * divides->whole, grid, rank, values);
  FailureOr<Part> inner = partOf(divides->name, grid, rank, values);
  FailureOr<int64_t> scale = evaluate(*factor, values);
  if (failed(outer) || failed(inner) || failed(scale))
    return failure();
  int64_t begin = outer->range.begin + inner->range.begin * *scale;
  return Part{outer->whole, {begin, begin + *size}};
}

FailureOr<SmallVector<Part>>
LocalSymbols::partsOf(RankedTensorType type, const Grid &grid, int64_t rank,
                      const SymbolValues &values) const {
  SmallVector<Part> parts;
  for (const DimExpr &dim : getDims(type)) {
    FailureOr<Part> part = partOf(dim, grid, rank, values);
    if (failed(part))
      return failure();
    parts.push_back(*part);
  }
  return parts;
}

//===----------------------------------------------------------------------===//
// Ranges
//===----------------------------------------------------------------------===//

Range rangeOfPlace(int64_t size, int64_t place, int64_t numPlaces) {
  return {place * size / numPlaces, (place + 1) * size / numPlaces};
}

HostTensor takeParts(const HostTensor &x, ArrayRef<Part> parts) {
  Shape starts, sizes, steps(x.rank(), 1);
  for (const Part &part : parts) {
    starts.push_back(part.range.begin);
    sizes.push_back(part.range.end - part.range.begin);
  }
  return *hostSlice(x, starts, steps, sizes);
}

} // namespace moe::interp
