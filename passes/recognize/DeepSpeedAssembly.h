//===- DeepSpeedAssembly.h - From choices to a moe.gate ---------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_PASSES_RECOGNIZE_DEEPSPEEDASSEMBLY_H
#define MOE_PASSES_RECOGNIZE_DEEPSPEEDASSEMBLY_H

#include "passes/recognize/DeepSpeedGate.h"
#include "passes/recognize/DeepSpeedTerms.h"

namespace moe::pass {

/// The gate that makes these choices; nothing if they do not belong together:
/// other logits, another normalizer, slots that are no running numbers, a
/// capacity that is none of DeepSpeed's.
std::optional<DeepSpeedGate> assembleGate(llvm::ArrayRef<GateTerm> terms);

} // namespace moe::pass

#endif // MOE_PASSES_RECOGNIZE_DEEPSPEEDASSEMBLY_H
