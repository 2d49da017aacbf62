//===- Kernels.h - Registration of the kernels for CPUs ---------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_RUNTIME_KERNELS_CPU_KERNELS_H
#define MOE_RUNTIME_KERNELS_CPU_KERNELS_H

#include "runtime/kernels/Kernel.h"
#include "runtime/kernels/cpu/Isa.h"

namespace moe::cpu {

void registerAttention(KernelRegistry &registry, const Isa &isa);
void registerCollectiveReduce(KernelRegistry &registry, const Isa &isa);
void registerCollectives(KernelRegistry &registry, const Isa &isa);
void registerDispatch(KernelRegistry &registry, const Isa &isa);
void registerElementwise(KernelRegistry &registry, const Isa &isa);
void registerExchange(KernelRegistry &registry, const Isa &isa);
void registerFfn(KernelRegistry &registry, const Isa &isa);
void registerGate(KernelRegistry &registry, const Isa &isa);
void registerGather(KernelRegistry &registry, const Isa &isa);
void registerGenerate(KernelRegistry &registry, const Isa &isa);
void registerMatmul(KernelRegistry &registry, const Isa &isa);
void registerMovement(KernelRegistry &registry, const Isa &isa);
void registerPad(KernelRegistry &registry, const Isa &isa);
void registerReduce(KernelRegistry &registry, const Isa &isa);
void registerRotary(KernelRegistry &registry, const Isa &isa);
void registerRoutedExperts(KernelRegistry &registry, const Isa &isa);
void registerRouter(KernelRegistry &registry, const Isa &isa);
void registerRows(KernelRegistry &registry, const Isa &isa);
void registerScatter(KernelRegistry &registry, const Isa &isa);
void registerTopK(KernelRegistry &registry, const Isa &isa);

/// All kernels with the inner loops of `isa`.
KernelRegistry createCpuKernels(const Isa &isa);

} // namespace moe::cpu

#endif // MOE_RUNTIME_KERNELS_CPU_KERNELS_H
