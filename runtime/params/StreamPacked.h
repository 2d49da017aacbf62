//===- StreamPacked.h - Weights piece by piece into a layout ----*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Weights are packed without ever being in memory as a whole: a source gives
// windows, a sink takes the bytes of the layout in their order.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_RUNTIME_PARAMS_STREAMPACKED_H
#define MOE_RUNTIME_PARAMS_STREAMPACKED_H

#include "runtime/params/QuantSource.h"
#include "runtime/support/DType.h"
#include "runtime/support/Status.h"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string_view>

namespace moe {

/// Gives any window of a tensor, like ParamEvaluator::evaluate.
using WindowSource = std::function<Status(std::span<const int64_t> starts,
                                          std::span<const int64_t> sizes,
                                          std::span<std::byte> out)>;
/// Takes the bytes of a block, piece by piece in order.
using BytesSink = std::function<Status(std::span<const std::byte>)>;

/// Streams a tensor in `layout` (see Layouts.h) from its source to a sink, in
/// pieces of a few MiB: layoutBytes(layout, dtype, dims) bytes in all. Layouts
/// of codes are not for floats: Unsupported.
Status streamPacked(const WindowSource &source, DType dtype,
                    std::span<const int64_t> dims, std::string_view layout,
                    const BytesSink &sink);
/// The same for a matrix in codes. A piece is at least a panel: its memory is
/// a few MiB for matrices of up to 100,000 rows.
Status streamPacked(const QuantSource &source, const QuantFormat &format,
                    std::span<const int64_t> dims, const BytesSink &sink);

/// Windows of the values of a matrix in codes: (code - zero) * scale in f32,
/// rounded to `dtype` if that is another type.
WindowSource dequantizedWindows(QuantSource source, DType dtype);

/// Rounds the numbers of a matrix of `depth` rows, which `numbers` gives as
/// f32, by the rule of Quantize.h; it reads some whole blocks at a time.
QuantSource roundedCodes(const QuantFormat &format, int64_t depth,
                         WindowSource numbers);

} // namespace moe

#endif // MOE_RUNTIME_PARAMS_STREAMPACKED_H
