//===- DType.h - Element types of tensors -----------------------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_RUNTIME_SUPPORT_DTYPE_H
#define MOE_RUNTIME_SUPPORT_DTYPE_H

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace moe {

/// Element types that a buffer can have. The numbers are part of the plan
/// format; Bool is one byte, 0 or 1.
enum class DType : uint8_t {
  F32 = 0,
  F64 = 1,
  F16 = 2,
  BF16 = 3,
  I8 = 4,
  I16 = 5,
  I32 = 6,
  I64 = 7,
  U8 = 8,
  U16 = 9,
  U32 = 10,
  U64 = 11,
  Bool = 12,
};
inline constexpr unsigned kNumDTypes = 13;

/// Bytes of one element.
size_t dtypeSize(DType dtype);
/// "f32", "i64", "bool" ...
std::string_view dtypeName(DType dtype);
std::optional<DType> parseDType(std::string_view name);
bool isFloat(DType dtype);

/// IEEE half and bfloat16, round to nearest even, NaN preserved.
float halfToFloat(uint16_t bits);
uint16_t floatToHalf(float value);
float bfloat16ToFloat(uint16_t bits);
uint16_t floatToBfloat16(float value);

} // namespace moe

#endif // MOE_RUNTIME_SUPPORT_DTYPE_H
