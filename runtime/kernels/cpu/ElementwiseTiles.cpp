//===- ElementwiseTiles.cpp - Elementwise programs by tiles ---------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/kernels/cpu/ElementwiseTiles.h"

#include <algorithm>

namespace moe::cpu {

static int64_t registerBytes(RegisterKind kind) {
  return kind == RegisterKind::F32 || kind == RegisterKind::Bool ? 4 : 8;
}

/// The constant in `count` elements of a register.
static void fillConstant(const ElementwiseInstr &instr, DType type, void *reg,
                         int64_t count) {
  switch (registerKind(type)) {
  case RegisterKind::F32:
    std::fill_n(static_cast<float *>(reg), count, static_cast<float>(instr.f));
    return;
  case RegisterKind::F64:
    std::fill_n(static_cast<double *>(reg), count, instr.f);
    return;
  case RegisterKind::I64:
  case RegisterKind::U64:
    std::fill_n(static_cast<int64_t *>(reg), count, instr.i);
    return;
  case RegisterKind::Bool:
    std::fill_n(static_cast<int32_t *>(reg), count, instr.i != 0 ? 1 : 0);
    return;
  }
}

void ElementwiseTiles::fillOnce(int64_t count) {
  for (int r = 0; r < program.numRegisters(); ++r) {
    reg[r] = slot(r);
    if (isConstant(r)) {
      int i = r - program.numInputs();
      fillConstant(program.instr(i), buffers.types[r], reg[r], count);
      if (TileFunction round = buffers.bound[i].round)
        round(reg[r], nullptr, nullptr, reg[r], count);
    } else if (r < program.numInputs() && g.operands[r].isScalar) {
      isa.loadTile(g.operands[r].dtype, g.operands[r].data, 0, reg[r], count);
    }
  }
}

void ElementwiseTiles::loadInputs(int64_t position, int64_t count) {
  for (int i = 0; i < program.numInputs(); ++i) {
    const ElementwiseOperand &o = g.operands[i];
    if (o.isScalar)
      continue;
    reg[i] =
        count == kTile && canShare ? inPlace(g, o, position, count) : nullptr;
    if (reg[i])
      continue;
    reg[i] = slot(i);
    int64_t bytes = registerBytes(registerKind(o.dtype));
    forSegments(
        g, o, position, count,
        [&](std::byte *data, int64_t stride, int64_t done, int64_t length) {
          isa.loadTile(o.dtype, data, stride, slot(i) + done * bytes, length);
        });
  }
}

void ElementwiseTiles::placeResults(int64_t position, int64_t count) {
  for (size_t i = 0; i < program.results().size(); ++i) {
    int r = program.results()[i];
    if (std::byte *memory = directResult(i, position, count))
      reg[r] = memory;
    else if (r >= program.numInputs())
      reg[r] = slot(r);
  }
}

void ElementwiseTiles::execute(int64_t count) {
  std::byte *converted = slots + (program.numSlots() - 1) * kSlotBytes;
  for (int i = 0; i < program.numInstrs(); ++i) {
    const BoundInstr &instr = buffers.bound[i];
    if (!instr.function)
      continue;
    auto operand = [&](int o) -> const void * {
      return instr.operands[o] < 0 ? nullptr : reg[instr.operands[o]];
    };
    void *out = reg[program.numInputs() + i];
    const void *b = operand(1);
    if (instr.convert) {
      instr.convert(b, nullptr, nullptr, converted, count);
      b = converted;
    }
    instr.function(operand(0), b, operand(2), out, count);
    if (instr.round)
      instr.round(out, nullptr, nullptr, out, count);
  }
}

void ElementwiseTiles::storeResults(int64_t position, int64_t count) {
  for (size_t i = 0; i < program.results().size(); ++i) {
    if (directResult(i, position, count))
      continue;
    const ElementwiseOperand &o = g.operands[program.numInputs() + i];
    auto *values = static_cast<const std::byte *>(reg[program.results()[i]]);
    int64_t bytes = registerBytes(registerKind(o.dtype));
    forSegments(
        g, o, position, count,
        [&](std::byte *data, int64_t stride, int64_t done, int64_t length) {
          isa.storeTile(o.dtype, values + done * bytes, data, stride, length);
        });
  }
}

} // namespace moe::cpu
