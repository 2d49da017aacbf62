//===- ExprWindows.cpp - What reads files and plan ------------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/params/ExprWindows.h"
#include "runtime/params/Elements.h"

#include <algorithm>

using namespace moe;
using plan::ParamExprT;

using Bytes = ExprWindows::Bytes;

Status ExprWindows::evaluate(uint32_t index, const Window &window,
                             std::byte *out) const {
  const ParamExprT &expr = at(index);
  auto count = static_cast<size_t>(window.numElements());
  if (count == 0)
    return Status::ok();
  if (expr.kind == kUnpackCodes)
    return unpack(expr.operands[0], expr.ints[0], expr.dims.back(), window,
                  out);
  switch (expr.kind) {
  case plan::ParamExprKind_File:
    return files.readWindow(expr.file, expr.ints[0], expr.dims, window,
                            elementBytes(expr), out);
  case plan::ParamExprKind_VarInt:
    return varInts(expr, window, out);
  case plan::ParamExprKind_Fill:
    fillElements(DType(expr.dtype), expr.f, expr.i, out, count);
    return Status::ok();
  case plan::ParamExprKind_Inline:
    return inlined(expr, window, out);
  case plan::ParamExprKind_Slice:
    return slice(expr, window, out);
  case plan::ParamExprKind_Transpose:
    return transpose(expr, window, out);
  case plan::ParamExprKind_Reshape:
    return reshape(expr, window, out);
  case plan::ParamExprKind_Concat:
    return concat(expr, window, out);
  case plan::ParamExprKind_Stack:
    return stack(expr, window, out);
  case plan::ParamExprKind_Take:
    return take(expr, window, out);
  case plan::ParamExprKind_Cast: {
    MOE_ASSIGN_OR_RETURN(Bytes from, evaluate(expr.operands[0], window));
    convertElements(DType(at(expr.operands[0]).dtype), from.data(),
                    DType(expr.dtype), out, count);
    return Status::ok();
  }
  case plan::ParamExprKind_Scale:
    MOE_RETURN_IF_ERROR(evaluate(expr.operands[0], window, out));
    scaleElements(DType(expr.dtype), expr.f, out, count);
    return Status::ok();
  case plan::ParamExprKind_Add:
  case plan::ParamExprKind_Mul:
    return combine(expr, window, out);
  case plan::ParamExprKind_Dequantize:
    return dequantize(expr, window, out);
  case plan::ParamExprKind_Quantize:
    return quantize(expr, window, out);
  }
  return Status(StatusCode::Internal, "a kind of weights is not evaluated");
}

//===----------------------------------------------------------------------===//
// Leaves
//===----------------------------------------------------------------------===//

Status ExprWindows::inlined(const ParamExprT &expr, const Window &window,
                            std::byte *out) const {
  auto *data = reinterpret_cast<const std::byte *>(
      tables.constants[expr.ints[0]]->data.data());
  Extents strides = rowMajor(expr.dims);
  for (int i = 0; i < window.rank; ++i)
    data += window.starts[i] * strides[i] * elementBytes(expr);
  copyStrided(window.rank, window.sizes, data, strides, out,
              rowMajor({window.sizes.data(), size_t(window.rank)}),
              elementBytes(expr));
  return Status::ok();
}

namespace {
/// Decodes the varints of a range of a file, one after the other.
class VarIntReader {
public:
  VarIntReader(const InputFile &file, uint64_t begin, uint64_t count)
      : file(file), position(begin), end(begin + count) {}

  StatusOr<uint64_t> next() {
    uint64_t value = 0;
    for (int shift = 0; shift < 70; shift += 7) {
      if (used == buffer.size())
        MOE_RETURN_IF_ERROR(refill());
      auto byte = static_cast<uint8_t>(buffer[used++]);
      if (shift < 64)
        value |= static_cast<uint64_t>(byte & 0x7f) << shift;
      if (!(byte & 0x80))
        return value;
    }
    return error("an integer has more than 10 bytes");
  }

private:
  Status error(const char *what) const {
    return Status(StatusCode::BadModel, file.path() + ": " + what +
                                            " before byte " +
                                            std::to_string(position));
  }
  Status refill() {
    if (position == end)
      return error("there are fewer integers than elements");
    buffer.resize(std::min<uint64_t>(65536, end - position));
    MOE_RETURN_IF_ERROR(file.readAt(position, buffer));
    position += buffer.size();
    used = 0;
    return Status::ok();
  }

  const InputFile &file;
  uint64_t position, end;
  Bytes buffer;
  size_t used = 0;
};
} // namespace

/// Stores an integer as protobuf means it: f16 and bf16 travel as their bits.
static void storeVarInt(DType dtype, uint64_t value, std::byte *out) {
  if (dtype == DType::F16 || dtype == DType::BF16)
    dtype = DType::U16;
  fillElements(dtype, static_cast<double>(static_cast<int64_t>(value)),
               static_cast<int64_t>(value), out, 1);
}

Status ExprWindows::varInts(const ParamExprT &expr, const Window &window,
                            std::byte *out) const {
  MOE_ASSIGN_OR_RETURN(std::shared_ptr<const InputFile> file,
                       files.get(expr.file));
  VarIntReader reader(*file, expr.ints[0], expr.ints[1]);
  Extents strides = rowMajor(expr.dims);
  Extents at = {};
  int64_t numRead = 0;
  // The elements of a window come in the order of the file.
  for (;;) {
    int64_t index = 0;
    for (int i = 0; i < window.rank; ++i)
      index += (window.starts[i] + at[i]) * strides[i];
    for (; numRead < index; ++numRead)
      MOE_RETURN_IF_ERROR(reader.next().status());
    MOE_ASSIGN_OR_RETURN(uint64_t value, reader.next());
    ++numRead;
    storeVarInt(DType(expr.dtype), value, out);
    out += elementBytes(expr);
    int i = window.rank;
    while (i-- > 0 && ++at[i] == window.sizes[i])
      at[i] = 0;
    if (i < 0)
      return Status::ok();
  }
}
