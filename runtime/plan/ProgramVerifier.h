//===- ProgramVerifier.h - Parts of the program's verifier ------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Private to runtime/plan: one class whose parts stand in VerifyTables.cpp
// (symbols, ports, states, layers), VerifyBuffers.cpp, VerifySteps.cpp and
// VerifyParams.cpp. Each part relies on those before it in verifyProgram.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_RUNTIME_PLAN_PROGRAMVERIFIER_H
#define MOE_RUNTIME_PLAN_PROGRAMVERIFIER_H

#include "runtime/plan/Plan_generated.h"
#include "runtime/support/DimExpr.h"
#include "runtime/support/Status.h"
#include "runtime/support/TensorView.h"

#include <map>
#include <string>
#include <vector>

namespace moe {

/// Where an error is: text that is made only when there is one.
class Place {
public:
  Place(const char *table, size_t index, const std::string *name = nullptr)
      : table(table), index(index), name(name) {}
  /// "step 12 (matmul)".
  std::string text() const;
  Status error(const std::string &what) const;
  /// Expects 0 <= value < limit.
  Status checkIndex(const char *what, int64_t value, size_t limit) const;

private:
  const char *table;
  size_t index;
  const std::string *name;
};

class ProgramVerifier {
public:
  ProgramVerifier(const plan::ProgramT &program, uint64_t weightsSize)
      : program(program), weightsSize(weightsSize) {}

  Status verifyNoNulls() const;
  Status verifyHeader() const;
  Status verifyExprs();
  Status verifySymbols() const;
  Status verifyLayers() const;
  Status verifyPorts() const;
  Status verifyStates() const;
  Status verifyConstants() const;
  Status verifyFiles() const;
  Status verifyParamExprs() const;
  Status verifyParams() const;
  Status verifyBlocks() const;
  Status verifyBuffers();
  Status verifySteps() const;

private:
  /// Which symbols an expression may use, as bits of (1 << SymbolKind).
  enum SymbolSet : unsigned {
    kInputSymbols = 1u << plan::SymbolKind_Input,
    kLocalSymbols = 1u << plan::SymbolKind_LocalPart,
    kDataSymbols = 1u << plan::SymbolKind_Data,
    kAllSymbols = kInputSymbols | kLocalSymbols | kDataSymbols,
  };
  Status checkExpr(const Place &place, const char *what, uint32_t expr,
                   unsigned allowedSymbols) const;
  Status checkDims(const Place &place, const char *what,
                   const std::vector<uint32_t> &dims,
                   unsigned allowedSymbols) const;
  Status checkDType(const Place &place, uint8_t dtype) const;
  Status checkPart(const Place &place, int32_t partAxis, int32_t part,
                   size_t rank) const;
  Status verifyPort(const char *table,
                    const std::vector<std::unique_ptr<plan::PortT>> &ports,
                    size_t index) const;

  /// The values of `dims` if all are constants.
  std::optional<std::vector<int64_t>>
  staticDims(const std::vector<uint32_t> &dims) const;

  Status verifyBuffer(size_t index) const;
  Status verifyBufferSource(const Place &place,
                            const plan::BufferT &buffer) const;
  Status verifyParamBuffer(const Place &place,
                           const plan::BufferT &buffer) const;
  Status verifyView(const Place &place, const plan::BufferT &buffer) const;
  Status findRoots();

  Status verifyStep(size_t index, std::vector<bool> &written,
                    std::vector<bool> &recorded) const;
  Status verifyAccess(const Place &place, const char *what, int64_t step,
                      int32_t buffer, bool isWrite,
                      std::vector<bool> &written) const;
  Status verifyAttributes(const Place &place, const plan::StepT &step) const;
  Status verifyInstructions(const Place &place, const plan::StepT &step) const;
  Status verifyEvents(const Place &place, const plan::StepT &step,
                      std::vector<bool> &recorded) const;

  Status verifyParam(size_t index) const;
  Status verifyBlock(const Place &place, const plan::ParamT &param,
                     const plan::BlockT &block, uint64_t layoutBytes) const;

  const plan::ProgramT &program;
  uint64_t weightsSize;
  /// By index of Program.exprs.
  std::vector<DimExpr> exprs;
  /// By index of Program.exprs: kinds of the symbols in it.
  std::vector<unsigned> exprSymbols;
  /// By buffer: the buffer at the end of its chain of bases.
  std::vector<int32_t> rootOf;
};

} // namespace moe

#endif // MOE_RUNTIME_PLAN_PROGRAMVERIFIER_H
