//===- ProgramVerifier.h - Parts of the program's verifier ------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Private to runtime/plan: one class whose parts stand in VerifyTables.cpp
// (expressions, symbols, ports, states), VerifyLayers.cpp, VerifyBuffers.cpp,
// VerifySteps.cpp, VerifyStreams.cpp and VerifyParams.cpp. Each part relies on
// those before it in verifyProgram.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_RUNTIME_PLAN_PROGRAMVERIFIER_H
#define MOE_RUNTIME_PLAN_PROGRAMVERIFIER_H

#include "runtime/plan/Mesh.h"
#include "runtime/plan/Plan_generated.h"
#include "runtime/plan/QuantExprs.h"
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

/// What is known when a step begins.
struct StepProgress {
  /// By root buffer: holds a value.
  std::vector<bool> written;
  /// Steps of stream 1 are numbered from 1. By event: the step of stream 1 that
  /// records it, 0 for one of stream 0, -1 before any does.
  std::vector<int64_t> recordedBy;
  /// By memory: the last step of stream 1 that reads and writes it.
  std::vector<int64_t> lastRead, lastWrite;
  /// How many steps stream 1 has begun, and stream 0 has waited for.
  int64_t numBegun = 0;
  int64_t numJoined = 0;
};

class ProgramVerifier {
public:
  ProgramVerifier(const plan::ProgramT &program, uint64_t weightsSize)
      : program(program), weightsSize(weightsSize), mesh(Mesh::of(program)),
        quants(program) {}

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
  Status verifyParams();
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
  Status checkGroup(const Place &place, plan::Group group) const;
  /// `part` must be a symbol that ranks divide.
  Status checkLocalPart(const Place &place, const char *what,
                        int32_t part) const;
  /// Axes of a port or state of rank `rank`: rows, then slices.
  template <typename T>
  Status checkParts(const Place &place, const T &tensor) const;
  Status checkPortPart(const Place &place, const char *what, int32_t part,
                       plan::Group group) const;
  Status verifyWhole(const Place &place, const plan::SymbolT &symbol) const;
  Status verifyInputSymbol(const Place &place,
                           const plan::SymbolT &symbol) const;
  Status verifyExpert(const Place &place, const plan::LayerT &layer,
                      size_t expert) const;
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

  Status verifyStep(size_t index, StepProgress &progress) const;
  Status verifyGroup(const Place &place, const plan::StepT &step) const;
  Status verifyOperand(const Place &place, const char *what, int64_t step,
                       int32_t buffer, bool isWrite,
                       StepProgress &progress) const;
  /// Fails if stream 1 may still use the buffer of a step of stream 0.
  Status verifyStreams(const Place &place, const std::string &what,
                       const plan::StepT &step, int32_t buffer, bool isWrite,
                       StepProgress &progress) const;
  size_t memoryOf(int32_t buffer) const;
  Status verifyAttributes(const Place &place, const plan::StepT &step) const;
  Status verifyInstructions(const Place &place, const plan::StepT &step) const;
  /// Weights of a layer's experts are read by steps of experts of this layer,
  /// as weights, and these read no others.
  Status verifyExpertWeights(const Place &place, const plan::StepT &step) const;
  /// What is added to mixed rows lies as the result does, elsewhere.
  Status verifyResidual(const Place &place, const plan::StepT &step) const;
  /// A table in codes has the numbers that its attributes say.
  Status verifyGatherCodes(const Place &place, const plan::StepT &step) const;
  Status verifyWaits(const Place &place, const plan::StepT &step,
                     StepProgress &progress) const;
  Status verifyRecord(const Place &place, const plan::StepT &step,
                      StepProgress &progress) const;

  Status verifyParam(size_t index);
  Status verifyParamPart(const Place &place, const plan::ParamT &param) const;
  bool isParamDim(const plan::ParamT &param, size_t axis, uint32_t expr) const;
  Status verifyBlock(const Place &place, const plan::ParamT &param,
                     const plan::BlockT &block, uint64_t layoutBytes);

  const plan::ProgramT &program;
  uint64_t weightsSize;
  /// Valid after verifyHeader.
  Mesh mesh;
  /// Valid after verifyParamExprs.
  QuantExprs quants;
  /// By name: index of Program.symbols.
  std::map<std::string, size_t, std::less<>> symbols;
  /// By index of Program.exprs.
  std::vector<DimExpr> exprs;
  /// By index of Program.exprs: kinds of the symbols in it.
  std::vector<unsigned> exprSymbols;
  /// By buffer: the buffer at the end of its chain of bases.
  std::vector<int32_t> rootOf;
};

} // namespace moe

#endif // MOE_RUNTIME_PLAN_PROGRAMVERIFIER_H
