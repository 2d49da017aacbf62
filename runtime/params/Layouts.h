//===- Layouts.h - How weights lie in memory --------------------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A block of weights is stored in a layout that a kernel reads:
//
//   row      the elements in row-major order.
//   panel16  of a matrix [K, N]: panels of 16 columns, [ceil(N / 16)][K][16],
//            the columns beyond N zero. Element (k, n) is at
//            ((n / 16) * K + k) * 16 + n % 16. Elements are f32, f16 or bf16.
//   panel16.q...
//            of a matrix [K, N]: panels of 16 columns of codes with their
//            scales and zero points (QuantFormat.h). The type of the weight
//            says as what its values count: f32, f16 or bf16.
//
// A product reads one panel from front to back while it keeps a tile of
// outputs in registers.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_RUNTIME_PARAMS_LAYOUTS_H
#define MOE_RUNTIME_PARAMS_LAYOUTS_H

#include "runtime/params/QuantFormat.h"
#include "runtime/support/DType.h"
#include "runtime/support/Status.h"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace moe {

inline constexpr int64_t kPanelWidth = 16;
inline constexpr std::string_view kRowLayout = "row";
inline constexpr std::string_view kPanel16Layout = "panel16";

/// Whether panels can have elements of this type.
inline bool isPanelType(DType dtype) {
  return dtype == DType::F32 || dtype == DType::F16 || dtype == DType::BF16;
}

/// Bytes of a block of `dims` in `layout`; panels need two dimensions and f32,
/// f16 or bf16. Errors: unknown layout, overflow.
StatusOr<uint64_t> layoutBytes(std::string_view layout, DType dtype,
                               std::span<const int64_t> dims);
/// Rearranges row-major `from` into `to`, whose sizes must be what
/// layoutBytes says. Not for layouts of codes, which floats do not determine:
/// see packRounded, and streamPacked for codes.
Status packLayout(std::string_view layout, DType dtype,
                  std::span<const int64_t> dims,
                  std::span<const std::byte> from, std::span<std::byte> to);
/// The inverse of packLayout; of layouts of codes the values.
Status unpackLayout(std::string_view layout, DType dtype,
                    std::span<const int64_t> dims,
                    std::span<const std::byte> from, std::span<std::byte> to);
/// Rounds the numbers of a row-major matrix by the rule of Quantize.h and packs
/// their codes; `to` has layoutBytes(quantLayoutName(format), F32, dims) bytes.
Status packRounded(const QuantFormat &format, std::span<const int64_t> dims,
                   std::span<const float> from, std::span<std::byte> to);

} // namespace moe

#endif // MOE_RUNTIME_PARAMS_LAYOUTS_H
