//===- PlanSizes.h - Sizes of a plan on all ranks ---------------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Ranks differ in the values of local symbols only, and those differ by at most
// one, so thousands of ranks have a few different sizes. They are evaluated
// once for each class of ranks with equal values:
//
//   batch = 10 over 4 ranks: batch.local = 2 3 2 3, two classes
//
// Data symbols, whose values only a run tells, have their bounds.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_RUNTIME_COST_PLANSIZES_H
#define MOE_RUNTIME_COST_PLANSIZES_H

#include "runtime/plan/Mesh.h"
#include "runtime/plan/Plan_generated.h"
#include "runtime/support/Status.h"

#include <map>
#include <string>
#include <vector>

namespace moe::cost {

class PlanSizes {
public:
  /// `shape`: a value for every symbol of the inputs. `program` must have
  /// passed verifyProgram. Errors: OutOfMemory for sizes beyond 64 bits.
  static StatusOr<PlanSizes>
  create(const plan::ProgramT &program,
         const std::map<std::string, int64_t> &shape);

  int numClasses() const { return static_cast<int>(values.size()); }
  int classOf(int rank) const { return classes[rank]; }
  /// The value of an expression on the ranks of a class.
  int64_t value(int rankClass, uint32_t expr) const {
    return values[rankClass][expr];
  }
  /// The value of a local symbol, and of what it is a part of.
  int64_t symbolValue(int rankClass, int symbol) const {
    return symbolValues[rankClass][symbol];
  }
  int64_t wholeOf(int rankClass, int symbol) const;

  /// Sizes of a buffer on the ranks of a class.
  std::vector<int64_t> dims(int rankClass, int buffer) const;
  /// Elements; products beyond 2^53 lose precision, which no estimate minds.
  double elements(int rankClass, int buffer) const;
  double bytes(int rankClass, int buffer) const;

  const plan::ProgramT &program() const { return *theProgram; }
  const Mesh &mesh() const { return theMesh; }

private:
  const plan::ProgramT *theProgram = nullptr;
  Mesh theMesh;
  std::vector<int> classes;
  /// By class, then expression or symbol.
  std::vector<std::vector<int64_t>> values, symbolValues;
};

} // namespace moe::cost

#endif // MOE_RUNTIME_COST_PLANSIZES_H
