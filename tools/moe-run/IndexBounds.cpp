//===- IndexBounds.cpp - Which integers an input may hold -----------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "tools/moe-run/IndexBounds.h"

#include "runtime/plan/Plan_generated.h"
#include "runtime/support/DType.h"
#include "runtime/support/DimExpr.h"

#include <algorithm>
#include <vector>

using namespace moe;
using namespace moe::tools;

namespace {

/// Follows the values of one input.
class Follower {
public:
  explicit Follower(const plan::ProgramT &program)
      : program(program), isReached(program.buffers.size()) {}

  std::optional<int64_t> follow(int port) {
    int buffer = program.inputs[port]->buffer;
    if (buffer < 0)
      return std::nullopt;
    isReached[rootOf(buffer)] = true;
    for (const auto &step : program.steps)
      visit(*step);
    return bound;
  }

private:
  int rootOf(int buffer) const {
    while (program.buffers[buffer]->base >= 0)
      buffer = program.buffers[buffer]->base;
    return buffer;
  }
  bool reaches(int buffer) const {
    return buffer >= 0 && isReached[rootOf(buffer)];
  }

  void visit(const plan::StepT &step) {
    bool isLookup = step.kernel == "gather" || step.kernel == "gather_codes";
    if (isLookup && step.inputs.size() >= 2 && reaches(step.inputs[1])) {
      noteTable(step);
      return;
    }
    if (std::none_of(step.inputs.begin(), step.inputs.end(),
                     [&](int buffer) { return reaches(buffer); }))
      return;
    for (int output : step.outputs)
      if (output >= 0 &&
          !isFloat(static_cast<DType>(program.buffers[output]->dtype)))
        isReached[rootOf(output)] = true;
  }

  /// A size of constants and of parts of constants that ranks divide, over all
  /// of them.
  std::optional<int64_t> wholeOf(uint32_t index) const {
    StatusOr<DimExpr> size = DimExpr::parse(program.exprs[index]);
    if (!size.isOk())
      return std::nullopt;
    SymbolValues wholes;
    for (const auto &symbol : program.symbols) {
      if (symbol->kind != plan::SymbolKind_LocalPart)
        continue;
      StatusOr<DimExpr> whole = DimExpr::parse(program.exprs[symbol->whole]);
      if (whole.isOk() && whole->constantValue())
        wholes[symbol->name] = *whole->constantValue();
    }
    StatusOr<int64_t> rows = size->evaluate(wholes);
    return rows.isOk() ? std::optional(*rows) : std::nullopt;
  }

  static std::optional<int64_t> intOf(const plan::StepT &step,
                                      std::string_view name) {
    for (const auto &attribute : step.attributes)
      if (attribute->name == name)
        return attribute->i;
    return std::nullopt;
  }

  void noteTable(const plan::StepT &step) {
    if (step.inputs[0] < 0)
      return;
    const plan::BufferT &table = *program.buffers[step.inputs[0]];
    auto rank = static_cast<int64_t>(table.dims.size());
    int64_t axis = intOf(step, "axis").value_or(-1);
    if (axis < 0 || axis >= rank)
      return;
    // Rows of codes are packed, and the step says how many there are in one.
    bool isAlongCodes = step.kernel == "gather_codes" && axis == rank - 1;
    std::optional<int64_t> entries =
        isAlongCodes ? intOf(step, "size") : wholeOf(table.dims[axis]);
    if (entries && *entries > 0)
      bound = std::min(bound.value_or(*entries), *entries);
  }

  const plan::ProgramT &program;
  std::vector<bool> isReached;
  std::optional<int64_t> bound;
};

} // namespace

std::optional<int64_t> tools::indexBound(const plan::ProgramT &program,
                                         int port) {
  return Follower(program).follow(port);
}
