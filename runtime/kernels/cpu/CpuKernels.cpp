//===- CpuKernels.cpp - The kernels for CPUs ------------------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/kernels/cpu/Kernels.h"

#include <cstdlib>

namespace moe::cpu {

KernelRegistry createCpuKernels(const Isa &isa) {
  KernelRegistry registry;
  registerAttention(registry, isa);
  registerCollectiveReduce(registry, isa);
  registerCollectives(registry, isa);
  registerDispatch(registry, isa);
  registerElementwise(registry, isa);
  registerExchange(registry, isa);
  registerFfn(registry, isa);
  registerGate(registry, isa);
  registerGather(registry, isa);
  registerGenerate(registry, isa);
  registerMatmul(registry, isa);
  registerMovement(registry, isa);
  registerPad(registry, isa);
  registerReduce(registry, isa);
  registerRotary(registry, isa);
  registerRoutedExperts(registry, isa);
  registerRouter(registry, isa);
  registerRows(registry, isa);
  registerScatter(registry, isa);
  registerTopK(registry, isa);
  return registry;
}

/// Kernels that all refuse with `error`.
static KernelRegistry failingKernels(const KernelRegistry &like,
                                     const Status &error) {
  KernelRegistry registry;
  for (const std::string &name : like.names())
    registry.add(
        name,
        [error](const KernelSpec &) -> StatusOr<std::unique_ptr<Kernel>> {
          return error;
        },
        {like.weightLayouts(name).begin(), like.weightLayouts(name).end()});
  return registry;
}

static const Isa &bestIsa() {
  for (const Isa *isa : allIsas())
    if (isa->isSupported())
      return *isa;
  return *allIsas().back();
}

/// By MOE_CPU_ISA, or the best.
static KernelRegistry selectKernels() {
  const char *wanted = std::getenv("MOE_CPU_ISA");
  if (!wanted || !*wanted)
    return createCpuKernels(bestIsa());
  const Isa *isa = findIsa(wanted);
  if (isa && isa->isSupported())
    return createCpuKernels(*isa);
  std::string known;
  for (const Isa *each : allIsas())
    known += (known.empty() ? "" : ", ") + std::string(each->name);
  return failingKernels(createCpuKernels(bestIsa()),
                        Status(StatusCode::Usage,
                               "environment variable MOE_CPU_ISA is '" +
                                   std::string(wanted) + "', expected one of " +
                                   known + " that this machine supports"));
}

} // namespace moe::cpu

const moe::KernelRegistry &moe::cpuKernels() {
  static const KernelRegistry registry = cpu::selectKernels();
  return registry;
}
