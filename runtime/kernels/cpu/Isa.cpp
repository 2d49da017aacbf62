//===- Isa.cpp - The instruction sets that were compiled ------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/kernels/cpu/Isa.h"

#include <array>

namespace moe::cpu {

namespace isa_portable {
extern const Isa kIsa;
}
#if defined(MOE_HAVE_X86)
namespace isa_avx2 {
extern const Isa kIsa;
}
namespace isa_avx512 {
extern const Isa kIsa, kVnniIsa;
}
#endif

std::span<const Isa *const> allIsas() {
  static constexpr std::array kAll = {
#if defined(MOE_HAVE_X86)
    &isa_avx512::kVnniIsa,
    &isa_avx512::kIsa,
    &isa_avx2::kIsa,
#endif
    &isa_portable::kIsa,
  };
  return kAll;
}

const Isa *findIsa(std::string_view name) {
  for (const Isa *isa : allIsas())
    if (isa->name == name)
      return isa;
  return nullptr;
}

} // namespace moe::cpu
