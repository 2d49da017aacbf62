//===- BlockPart.h - Parts of packed weights --------------------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A rank often needs a part of a block along one dimension. Where the part is
// contiguous in the block and lies as it would lie alone, it is used in place:
//
//   row,      [4, 6], rows 1..2       bytes [6, 18) of the elements
//   panel16,  [4, 48], columns 16..31 the second panel
//   panel16,  [4, 48], rows 1..2      not contiguous: two rows of each panel
//
//===----------------------------------------------------------------------===//

#ifndef MOE_RUNTIME_PARAMS_BLOCKPART_H
#define MOE_RUNTIME_PARAMS_BLOCKPART_H

#include "runtime/params/HeldBlocks.h"
#include "runtime/support/DType.h"
#include "runtime/support/Status.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace moe {

/// The bytes of a block of `dims` in `layout` that are the part as it would lie
/// alone in this layout; nothing if no such bytes exist. The layout and the
/// part must fit `dims`.
std::optional<Interval> contiguousPart(std::string_view layout, DType dtype,
                                       std::span<const int64_t> dims,
                                       const HeldBlock &part);

/// Copies the window [starts, starts + sizes) of a block of `dims` in `layout`
/// to `out`, row major. The layout must fit, and `block` and `out` must have
/// the bytes that this needs.
void readBlockWindow(std::string_view layout, DType dtype,
                     std::span<const int64_t> dims,
                     std::span<const std::byte> block,
                     std::span<const int64_t> starts,
                     std::span<const int64_t> sizes, std::span<std::byte> out);

} // namespace moe

#endif // MOE_RUNTIME_PARAMS_BLOCKPART_H
