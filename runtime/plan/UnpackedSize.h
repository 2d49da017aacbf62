//===- UnpackedSize.h - Memory that a packed program asks for ---*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_RUNTIME_PLAN_UNPACKEDSIZE_H
#define MOE_RUNTIME_PLAN_UNPACKEDSIZE_H

#include <cstdint>
#include <optional>

namespace moe::plan {
struct Program;
} // namespace moe::plan

namespace moe {

/// The bytes of all strings and vectors in a FlatBuffer that passed its
/// verifier. Tables in it may refer to the same vector, so a small file could
/// stand for endless memory; what a writer makes never exceeds the file.
/// Nothing if a vector is not aligned, which the verifier does not see.
std::optional<uint64_t> unpackedSize(const plan::Program &program);

} // namespace moe

#endif // MOE_RUNTIME_PLAN_UNPACKEDSIZE_H
