//===- Wrapping.h - Arithmetic that wraps around ----------------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_RUNTIME_KERNELS_CPU_ISA_WRAPPING_H
#define MOE_RUNTIME_KERNELS_CPU_ISA_WRAPPING_H

#include "runtime/kernels/cpu/Isa.h"

#include <cstdint>

namespace moe::cpu::MOE_ISA {

/// Integers wrap around: their arithmetic is done on unsigned numbers.
template <typename T> struct Wrapping { using Type = T; };
template <> struct Wrapping<int64_t> { using Type = uint64_t; };

} // namespace moe::cpu::MOE_ISA

#endif // MOE_RUNTIME_KERNELS_CPU_ISA_WRAPPING_H
