//===- ElementwiseProgram.h - A program of one element ----------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A step "elementwise" is a list of instructions over numbered registers. The
// program is interpreted once for a tile of kTile elements, not once for each
// element, so that the cost of interpreting vanishes and a register is an
// array that an inner loop runs over:
//
//   %2 = add %0, %1       for i < 256: slot[2][i] = slot[0][i] + slot[1][i]
//   %3 = silu %2          for i < 256: slot[3][i] = silu(slot[2][i])
//
// Registers whose value is no longer needed share their slot with later ones.
// Types are known when operands are: bind() chooses the loops.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_RUNTIME_KERNELS_CPU_ELEMENTWISEPROGRAM_H
#define MOE_RUNTIME_KERNELS_CPU_ELEMENTWISEPROGRAM_H

#include "runtime/kernels/Kernel.h"
#include "runtime/kernels/cpu/Isa.h"

#include <optional>
#include <span>
#include <vector>

namespace moe::cpu {

inline constexpr int64_t kTile = 256;
/// A register of any kind.
inline constexpr int64_t kSlotBytes = kTile * sizeof(int64_t);

struct ElementwiseInstr {
  ElementwiseOp op = ElementwiseOp::Constant;
  /// Type of the result; absent: that of output 0 (single operations).
  std::optional<DType> type;
  int operands[3] = {-1, -1, -1};
  double f = 0;
  int64_t i = 0;
};

/// An instruction for operands of known types.
struct BoundInstr {
  TileFunction function; ///< null for constants
  TileFunction convert;  ///< brings operand b to the type of a, or null
  TileFunction round;    ///< or null
  int operands[3];
};

class ElementwiseProgram {
public:
  /// From Step.program and Step.results.
  static StatusOr<ElementwiseProgram> parse(const plan::StepT &step);
  /// One operation on all inputs.
  static ElementwiseProgram single(ElementwiseOp op, int numInputs);

  /// Chooses the loops: `bound` has numInstrs() entries, `types` one for each
  /// register. Errors: types that do not fit, operations that do not exist.
  Status bind(const KernelArgs &args, const Isa &isa,
              std::span<BoundInstr> bound, std::span<DType> types) const;

  int numInputs() const { return inputs; }
  int numInstrs() const { return static_cast<int>(instrs.size()); }
  int numRegisters() const { return inputs + numInstrs(); }
  int numSlots() const { return slots; }
  int slotOf(int reg) const { return slotOfRegister[reg]; }
  const std::vector<int> &results() const { return resultRegisters; }
  const ElementwiseInstr &instr(int i) const { return instrs[i]; }
  bool isConstant(int i) const {
    return instrs[i].op == ElementwiseOp::Constant;
  }

private:
  void assignSlots();

  int inputs = 0;
  int slots = 0;
  std::vector<ElementwiseInstr> instrs;
  std::vector<int> resultRegisters;
  std::vector<int> slotOfRegister;
};

} // namespace moe::cpu

#endif // MOE_RUNTIME_KERNELS_CPU_ELEMENTWISEPROGRAM_H
