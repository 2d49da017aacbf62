//===- EvalParam.cpp - Meaning of #moe.param ------------------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialect/interp/World.h"
#include "dialect/moe/Shapes.h"
#include "runtime/params/Quantize.h"
#include "runtime/support/File.h"
#include "llvm/ADT/Hashing.h"

#include <algorithm>
#include <cstring>

using namespace mlir;
using namespace moe::dialect;

namespace moe::interp {

/// splitmix64.
static uint64_t mixBits(uint64_t state) {
  state += 0x9e3779b97f4a7c15u;
  state = (state ^ (state >> 30)) * 0xbf58476d1ce4e5b9u;
  state = (state ^ (state >> 27)) * 0x94d049bb133111ebu;
  return state ^ (state >> 31);
}

/// A value that depends on the place in the file only: floats in [-1, 1),
/// integers in [0, 8).
static HostTensor makeUp(ParamAttr param, DType dtype, uint64_t seed) {
  HostTensor result(dtype, param.getType().getShape());
  uint64_t nameBits = seed;
  for (char c : param.getFile().getValue())
    nameBits = mixBits(nameBits + uint8_t(c));
  int64_t width = dtypeSize(dtype);
  for (int64_t i = 0; i < result.size(); ++i) {
    uint64_t bits = mixBits(nameBits + param.getInts()[0] + i * width);
    result.elements[i] =
        result.isFloat()
            ? castScalar(scalarOf(double(bits >> 11) * 0x1p-52 - 1.0),
                         DType::F64, dtype)
            : castScalar(scalarOf(int64_t(bits >> 61)), DType::I64, dtype);
  }
  return result;
}

/// One element from its bytes in a file.
static Scalar decode(DType dtype, const std::byte *bytes) {
  auto load = [&](auto value) {
    std::memcpy(&value, bytes, sizeof(value));
    return value;
  };
  switch (dtype) {
  case DType::F32:
    return scalarOf(double(load(float())));
  case DType::F64:
    return scalarOf(load(double()));
  case DType::F16:
    return scalarOf(double(halfToFloat(load(uint16_t()))));
  case DType::BF16:
    return scalarOf(double(bfloat16ToFloat(load(uint16_t()))));
  case DType::I8:
    return scalarOf(int64_t(load(int8_t())));
  case DType::I16:
    return scalarOf(int64_t(load(int16_t())));
  case DType::I32:
    return scalarOf(int64_t(load(int32_t())));
  case DType::I64:
  case DType::U64:
    return scalarOf(load(int64_t()));
  case DType::U8:
  case DType::Bool:
    return scalarOf(int64_t(load(uint8_t())));
  case DType::U16:
    return scalarOf(int64_t(load(uint16_t())));
  case DType::U32:
    return scalarOf(int64_t(load(uint32_t())));
  }
  llvm_unreachable("all element types are listed");
}

static StatusOr<HostTensor> readFile(ParamAttr param, DType dtype,
                                     const std::string &folder) {
  MOE_ASSIGN_OR_RETURN(
      InputFile file,
      InputFile::openInside(folder, param.getFile().getValue().str()));
  HostTensor result(dtype, param.getType().getShape());
  size_t width = dtypeSize(dtype);
  std::vector<std::byte> bytes(result.size() * width);
  MOE_RETURN_IF_ERROR(file.readAt(param.getInts()[0], bytes));
  for (int64_t i = 0; i < result.size(); ++i)
    result.elements[i] = decode(dtype, bytes.data() + i * width);
  return result;
}

/// Code i of `count` in a row: of `bits` bits, low bits first along the last
/// dimension, or the low bits of a byte of its own.
static int64_t unpack(const HostTensor &packed, int64_t row, int64_t i,
                      int64_t count, int64_t bits) {
  int64_t rowBytes = packed.shape.back();
  int64_t perByte = rowBytes == count ? 1 : 8 / bits;
  int64_t byte = packed.elements[row * rowBytes + i / perByte].i;
  return (byte >> (i % perByte * bits)) & ((int64_t(1) << bits) - 1);
}

static HostTensor dequantize(ParamAttr param, ArrayRef<HostTensor> operands) {
  int64_t bits = param.getInts()[0], block = param.getInts()[1];
  HostTensor result(operands[1].dtype, param.getType().getShape());
  int64_t width = result.shape.back();
  int64_t blocks = operands[1].shape.back();
  for (int64_t at = 0; at < result.size(); ++at) {
    int64_t row = at / width, i = at % width, b = block ? i / block : 0;
    int64_t zero = operands.size() == 3
                       ? unpack(operands[2], row, b, blocks, bits)
                       : int64_t(1) << (bits - 1);
    result.elements[at] =
        scalarOf(double(unpack(operands[0], row, i, width, bits) - zero) *
                 operands[1].elements[row * blocks + b].f);
  }
  return result;
}

/// Each matrix [K, N] rounded in blocks of its columns.
static HostTensor quantize(ParamAttr param, const HostTensor &x) {
  HostTensor result(x.dtype, x.shape);
  int64_t depth = x.shape.end()[-2], columns = x.shape.back();
  QuantFormat format;
  format.bits = param.getInts()[0];
  format.block = quantBlock(param.getInts()[1], depth);
  format.hasZeroPoints = param.getInts()[2] != 0;
  std::vector<float> numbers(x.size());
  for (int64_t i = 0; i < x.size(); ++i)
    numbers[i] = static_cast<float>(x.elements[i].f);
  std::vector<uint8_t> codes(x.size());
  for (int64_t column = 0; column < x.size(); ++column) {
    if (column % (depth * columns) >= columns)
      continue; // not in the first row of its matrix
    for (int64_t k = 0; k < depth; k += format.block) {
      int64_t first = column + k * columns;
      int64_t count = std::min(format.block, depth - k);
      BlockScale scale = quantizeBlock(format, numbers.data() + first, columns,
                                       count, codes.data() + first, columns);
      for (int64_t i = first; i < first + count * columns; i += columns)
        result.elements[i] = scalarOf(double(dequantized(codes[i], scale)));
    }
  }
  return result;
}

static FailureOr<HostTensor> evaluateInner(Operation *op, ParamAttr param,
                                           ArrayRef<HostTensor> operands) {
  StringRef kind = param.getKind();
  ArrayRef<int64_t> ints = param.getInts();
  RankedTensorType type = param.getType();
  DType dtype = *toDType(type.getElementType());
  size_t rank = type.getRank();
  if (kind == "slice")
    return *hostSlice(operands[0], ints.take_front(rank), ints.drop_front(rank),
                      type.getShape());
  if (kind == "transpose")
    return hostTranspose(operands[0], ints);
  if (kind == "reshape")
    return hostReshape(operands[0], type.getShape());
  if (kind == "concat")
    return hostConcat(operands, ints[0]);
  if (kind == "stack")
    return hostReshape(hostConcat(operands, 0), type.getShape());
  if (kind == "take") {
    HostTensor entries(DType::I64, {type.getDimSize(ints[0])});
    for (auto [i, entry] : llvm::enumerate(ints.drop_front()))
      entries.elements[i].i = entry;
    return *hostGather(operands[0], entries, ints[0], 0);
  }
  if (kind == "cast")
    return hostCast(operands[0], dtype);
  if (kind == "add" || kind == "mul")
    return hostBroadcast(
        *hostBinary(kind == "add" ? BinaryKind::Add : BinaryKind::Mul,
                    operands[0], operands[1]),
        type.getShape());
  if (kind == "scale") {
    HostTensor factor(dtype, {});
    factor.elements[0] =
        scalarOf(cast<FloatAttr>(param.getValue()).getValueAsDouble());
    return *hostBinary(BinaryKind::Mul, operands[0], factor);
  }
  if (kind == "dequantize")
    return dequantize(param, operands);
  if (kind == "quantize")
    return quantize(param, operands[0]);
  return op->emitError() << "has a weight of kind '" << kind
                         << "', which the interpreter does not know";
}

FailureOr<HostTensor> evaluateParam(Operation *op, ParamAttr param,
                                    const WeightSource &source) {
  StringRef kind = param.getKind();
  RankedTensorType type = param.getType();
  DType dtype = *toDType(type.getElementType());
  if (kind == "file" || (kind == "varint" && !source.folder)) {
    if (!source.folder)
      return makeUp(param, dtype, source.seed);
    StatusOr<HostTensor> read = readFile(param, dtype, *source.folder);
    if (!read.isOk())
      return op->emitError() << read.status().message();
    return std::move(*read);
  }
  if (kind == "inline") {
    if (std::optional<HostTensor> value = readConstant(param.getValue()))
      return *value;
  }
  if (kind == "fill") {
    auto scalar = RankedTensorType::get({}, type.getElementType());
    return hostBroadcast(
        *readConstant(DenseElementsAttr::get(scalar, param.getValue())),
        type.getShape());
  }
  SmallVector<HostTensor> operands;
  for (Attribute operand : param.getOperands()) {
    FailureOr<HostTensor> value =
        evaluateParam(op, cast<ParamAttr>(operand), source);
    if (failed(value))
      return failure();
    operands.push_back(std::move(*value));
  }
  FailureOr<HostTensor> result = evaluateInner(op, param, operands);
  if (succeeded(result))
    roundElements(*result);
  return result;
}

} // namespace moe::interp
