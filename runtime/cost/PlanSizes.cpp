//===- PlanSizes.cpp - Sizes of a plan on all ranks -----------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/cost/PlanSizes.h"

#include "runtime/exec/ExprTable.h"
#include "runtime/support/DType.h"

using namespace moe;
using namespace moe::cost;

/// The part of n that place r of p has.
static int64_t partOf(int64_t n, int place, int numPlaces) {
  auto begin = [&](int r) {
    return static_cast<int64_t>(static_cast<__int128>(n) * r / numPlaces);
  };
  return begin(place + 1) - begin(place);
}

namespace {
/// Values of symbols, rank by rank.
class SymbolSolver {
public:
  SymbolSolver(const plan::ProgramT &program, const Mesh &mesh,
               const ExprTable &exprs)
      : program(program), mesh(mesh), exprs(exprs) {
    // A part may be a part of other parts, a bound uses both.
    std::vector<bool> known(program.symbols.size());
    for (size_t i = 0; i < known.size(); ++i)
      known[i] = program.symbols[i]->kind == plan::SymbolKind_Input;
    for (size_t round = 0; round <= known.size(); ++round)
      for (size_t i = 0; i < known.size(); ++i)
        if (!known[i] && isReady(i, known)) {
          known[i] = true;
          order.push_back(static_cast<int>(i));
        }
  }

  Status solve(int rank, std::vector<int64_t> &values) const {
    for (int i : order) {
      const plan::SymbolT &symbol = *program.symbols[i];
      bool isPart = symbol.kind == plan::SymbolKind_LocalPart;
      MOE_ASSIGN_OR_RETURN(
          values[i],
          exprs.evaluate(isPart ? symbol.whole : symbol.bound, values));
      if (isPart)
        values[i] = partOf(values[i], mesh.placeOf(rank, symbol.group),
                           mesh.sizeOf(symbol.group));
    }
    return Status::ok();
  }

private:
  bool isReady(size_t i, const std::vector<bool> &known) const {
    const plan::SymbolT &symbol = *program.symbols[i];
    uint32_t expr =
        symbol.kind == plan::SymbolKind_LocalPart ? symbol.whole : symbol.bound;
    for (uint32_t operand : exprs.symbolsIn(expr))
      if (!known[operand])
        return false;
    return true;
  }

  const plan::ProgramT &program;
  const Mesh &mesh;
  const ExprTable &exprs;
  std::vector<int> order;
};
} // namespace

StatusOr<PlanSizes>
PlanSizes::create(const plan::ProgramT &program,
                  const std::map<std::string, int64_t> &shape) {
  PlanSizes sizes;
  sizes.theProgram = &program;
  sizes.theMesh = Mesh::of(program);
  std::vector<std::string> names;
  std::vector<int64_t> start;
  for (const auto &symbol : program.symbols) {
    names.push_back(symbol->name);
    auto it = shape.find(symbol->name);
    if (symbol->kind == plan::SymbolKind_Input && it == shape.end())
      return Status(StatusCode::Internal,
                    "symbol '" + symbol->name + "' has no value");
    start.push_back(it == shape.end() ? 0 : it->second);
  }
  MOE_ASSIGN_OR_RETURN(ExprTable exprs,
                       ExprTable::create(program.exprs, names));
  SymbolSolver solver(program, sizes.theMesh, exprs);
  std::map<std::vector<int64_t>, int> known;
  for (int rank = 0; rank < sizes.theMesh.numRanks; ++rank) {
    std::vector<int64_t> symbols = start;
    MOE_RETURN_IF_ERROR(solver.solve(rank, symbols));
    auto [it, isNew] = known.try_emplace(symbols, sizes.numClasses());
    sizes.classes.push_back(it->second);
    if (!isNew)
      continue;
    std::vector<int64_t> values(program.exprs.size());
    for (size_t expr = 0; expr < values.size(); ++expr) {
      MOE_ASSIGN_OR_RETURN(values[expr], exprs.evaluate(expr, symbols));
    }
    sizes.values.push_back(std::move(values));
    sizes.symbolValues.push_back(std::move(symbols));
  }
  return sizes;
}

int64_t PlanSizes::wholeOf(int rankClass, int symbol) const {
  return value(rankClass, theProgram->symbols[symbol]->whole);
}

std::vector<int64_t> PlanSizes::dims(int rankClass, int buffer) const {
  std::vector<int64_t> result;
  for (uint32_t expr : theProgram->buffers[buffer]->dims)
    result.push_back(value(rankClass, expr));
  return result;
}

double PlanSizes::elements(int rankClass, int buffer) const {
  double count = 1;
  for (uint32_t expr : theProgram->buffers[buffer]->dims)
    count *= static_cast<double>(value(rankClass, expr));
  return count;
}

double PlanSizes::bytes(int rankClass, int buffer) const {
  auto dtype = static_cast<DType>(theProgram->buffers[buffer]->dtype);
  return elements(rankClass, buffer) * static_cast<double>(dtypeSize(dtype));
}
