//===- ElementwiseTiles.h - Elementwise programs by tiles -------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// An input is read in place if it lies in memory as the registers need it;
// otherwise a tile of it is copied, with conversion and broadcasting, segment
// by segment of the innermost dimension. Results are written in the same ways.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_RUNTIME_KERNELS_CPU_ELEMENTWISETILES_H
#define MOE_RUNTIME_KERNELS_CPU_ELEMENTWISETILES_H

#include "runtime/kernels/cpu/ElementwiseGeometry.h"
#include "runtime/kernels/cpu/ElementwiseProgram.h"

namespace moe::cpu {

/// Everything of a run that does not fit the stack.
struct ElementwiseBuffers {
  BoundInstr *bound;
  DType *types;
  ElementwiseOperand *operands;
  void **registers; ///< [threads][registers]
  std::byte *slots; ///< [threads][slots]
};

/// Runs the program tile by tile in one thread.
class ElementwiseTiles {
public:
  ElementwiseTiles(const ElementwiseProgram &program, const Isa &isa,
                   const ElementwiseGeometry &geometry,
                   const ElementwiseBuffers &buffers, int thread)
      : program(program), isa(isa), g(geometry), buffers(buffers),
        reg(buffers.registers + thread * program.numRegisters()),
        slots(buffers.slots + thread * program.numSlots() * kSlotBytes),
        canShare(!geometry.overlaps(program.numInputs())) {}

  void run(int64_t begin, int64_t end) {
    fillOnce(std::min(kTile, pad(end - begin)));
    for (int64_t position = begin; position < end; position += kTile) {
      int64_t count = std::min(kTile, end - position);
      loadInputs(position, count);
      placeResults(position, count);
      execute(pad(count));
      storeResults(position, count);
    }
  }

private:
  static int64_t pad(int64_t count) {
    return (count + kTileGranule - 1) / kTileGranule * kTileGranule;
  }
  std::byte *slot(int r) { return slots + program.slotOf(r) * kSlotBytes; }
  bool isConstant(int r) const {
    return r >= program.numInputs() &&
           program.isConstant(r - program.numInputs());
  }
  /// Where result i is written without a copy, or null.
  std::byte *directResult(size_t i, int64_t position, int64_t count) const {
    const std::vector<int> &results = program.results();
    bool isDirect = count == kTile && canShare &&
                    results[i] >= program.numInputs() &&
                    !isConstant(results[i]) &&
                    std::count(results.begin(), results.end(), results[i]) == 1;
    return isDirect ? inPlace(g, g.operands[program.numInputs() + i], position,
                              count)
                    : nullptr;
  }
  void fillOnce(int64_t count);
  void loadInputs(int64_t position, int64_t count);
  void placeResults(int64_t position, int64_t count);
  void execute(int64_t count);
  void storeResults(int64_t position, int64_t count);

  const ElementwiseProgram &program;
  const Isa &isa;
  const ElementwiseGeometry &g;
  const ElementwiseBuffers &buffers;
  void **reg;
  std::byte *slots;
  bool canShare;
};

} // namespace moe::cpu

#endif // MOE_RUNTIME_KERNELS_CPU_ELEMENTWISETILES_H
