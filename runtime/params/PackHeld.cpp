//===- PackHeld.cpp - What a rank holds, packed ---------------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/params/PackHeld.h"
#include "runtime/params/BlockPart.h"
#include "runtime/params/WeightStore.h"

using namespace moe;

/// The codes of a whole block of a parameter in this format.
static StatusOr<QuantSource> codesOf(const BlockReader &reader,
                                     const plan::ParamT &param,
                                     const plan::BlockT &block,
                                     const QuantFormat &format) {
  switch (block.source) {
  case plan::BlockSource_Embedded:
    return packedCodes(format, param.dims, reader.plan.blockBytes(block));
  case plan::BlockSource_Reference: {
    std::optional<QuantMatrix> matrix = reader.evaluator->codes(block.expr);
    if (!matrix || matrix->format != format)
      return Status(StatusCode::BadPlan, "param " + param.name +
                                             ": has no codes of the format " +
                                             quantLayoutName(format));
    return std::move(matrix->source);
  }
  case plan::BlockSource_Synthetic:
    break;
  }
  return syntheticCodes(block.seed, format, param.dims);
}

/// Windows of a whole block, whatever it is made of.
static StatusOr<WindowSource> sourceOf(const BlockReader &reader,
                                       const plan::ParamT &param,
                                       const plan::BlockT &block) {
  using Indices = std::span<const int64_t>;
  using Out = std::span<std::byte>;
  std::optional<QuantFormat> format = parseQuantLayout(param.layout);
  if (block.source == plan::BlockSource_Reference)
    return WindowSource([&](Indices starts, Indices sizes, Out out) {
      return reader.evaluator->evaluate(block.expr, starts, sizes, out)
          .at("param " + param.name);
    });
  if (format) {
    MOE_ASSIGN_OR_RETURN(QuantSource codes,
                         codesOf(reader, param, block, *format));
    return dequantizedWindows(std::move(codes), DType(param.dtype));
  }
  if (block.source == plan::BlockSource_Embedded)
    return WindowSource([&](Indices starts, Indices sizes, Out out) {
      readBlockWindow(param.layout, DType(param.dtype), param.dims,
                      reader.plan.blockBytes(block), starts, sizes, out);
      return Status::ok();
    });
  return WindowSource([&](Indices starts, Indices sizes, Out out) {
    fillSynthetic(block.seed, DType(param.dtype), param.dims, starts, sizes,
                  out);
    return Status::ok();
  });
}

/// Packs codes as codes.
static Status packCodes(const BlockReader &reader, const plan::ParamT &param,
                        const HeldBlock &held, const QuantFormat &format,
                        const BytesSink &sink) {
  if (parseQuantLayout(param.layout) != format)
    return Status(StatusCode::Unsupported,
                  "param " + param.name + ": layout '" + param.layout +
                      "' cannot become '" + quantLayoutName(format) + "'");
  if (held.axis == 0 &&
      (held.part.begin % format.block != 0 ||
       (held.part.end % format.block != 0 && held.part.end != param.dims[0])))
    return Status(StatusCode::Unsupported,
                  "param " + param.name + ": a part cuts blocks of " +
                      std::to_string(format.block) + " codes");
  MOE_ASSIGN_OR_RETURN(
      QuantSource whole,
      codesOf(reader, param, *param.blocks[held.block], format));
  QuantSource part = [&](const QuantWindow &window, QuantPiece &piece) {
    QuantWindow moved = window;
    if (held.axis == 0)
      moved.firstRow += held.part.begin;
    else if (held.axis == 1)
      moved.firstColumn += held.part.begin;
    return whole(moved, piece);
  };
  return streamPacked(part, format, held.dims(param.dims), sink);
}

/// Packs numbers, which may have been codes.
static Status packNumbers(const BlockReader &reader, const plan::ParamT &param,
                          const HeldBlock &held, std::string_view layout,
                          const BytesSink &sink) {
  MOE_ASSIGN_OR_RETURN(WindowSource whole,
                       sourceOf(reader, param, *param.blocks[held.block]));
  WindowSource part = [&](std::span<const int64_t> starts,
                          std::span<const int64_t> sizes,
                          std::span<std::byte> out) {
    std::vector<int64_t> moved(starts.begin(), starts.end());
    moved[held.axis] += held.part.begin;
    return whole(moved, sizes, out);
  };
  return streamPacked(held.axis < 0 ? whole : part, DType(param.dtype),
                      held.dims(param.dims), layout, sink);
}

Status moe::packHeld(const BlockReader &reader, const plan::ParamT &param,
                     const HeldBlock &held, std::string_view layout,
                     const BytesSink &sink) {
  if (std::optional<QuantFormat> format = parseQuantLayout(layout))
    return packCodes(reader, param, held, *format, sink);
  return packNumbers(reader, param, held, layout, sink);
}
