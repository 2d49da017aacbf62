//===- QuantFormat.cpp - Weights as integers with scales ------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/params/QuantFormat.h"
#include "runtime/support/CheckedMath.h"

#include <array>
#include <charconv>

using namespace moe;

static constexpr int64_t kColumns = 16;
/// Codes of a panel are padded to this many rows.
static constexpr int64_t kRowGranule = 32;

static bool isAllowed(const QuantFormat &format) {
  bool hasBlock =
      format.block == 16 || (format.block > 0 && format.block % 32 == 0);
  return (format.bits == 4 || format.bits == 8) && hasBlock &&
         (format.scales == DType::F16 || format.scales == DType::F32);
}

namespace {
/// The name of a layout without memory of its own: kernels parse names at every
/// run.
class LayoutName {
public:
  explicit LayoutName(const QuantFormat &format) {
    append(kQuantLayouts);
    append(format.bits);
    append("x");
    append(format.block);
    if (format.scales == DType::F32)
      append(".f32");
    if (format.hasZeroPoints)
      append(".z");
  }

  std::string_view text() const { return {characters.data(), length}; }

private:
  void append(std::string_view part) {
    part.copy(characters.data() + length, part.size());
    length += part.size();
  }
  void append(int64_t number) {
    char *begin = characters.data(), *end = begin + characters.size();
    length = std::to_chars(begin + length, end, number).ptr - begin;
  }

  /// Two numbers of at most 20 characters, and at most 16 others.
  std::array<char, 64> characters;
  size_t length = 0;
};
} // namespace

std::string moe::quantLayoutName(const QuantFormat &format) {
  return std::string(LayoutName(format).text());
}

std::optional<QuantFormat> moe::parseQuantLayout(std::string_view layout) {
  if (!layout.starts_with(kQuantLayouts))
    return std::nullopt;
  std::string_view rest = layout.substr(kQuantLayouts.size());
  auto takeNumber = [&](auto &number) {
    auto [end, error] =
        std::from_chars(rest.data(), rest.data() + rest.size(), number);
    if (error != std::errc())
      return false;
    rest.remove_prefix(end - rest.data());
    return true;
  };
  QuantFormat format;
  if (!takeNumber(format.bits) || !rest.starts_with('x'))
    return std::nullopt;
  rest.remove_prefix(1);
  if (!takeNumber(format.block) || !isAllowed(format))
    return std::nullopt;
  format.hasZeroPoints = rest.ends_with(".z");
  if (rest.starts_with(".f32"))
    format.scales = DType::F32;
  // Every format has one name: no leading zeros, no other order, nothing more.
  if (LayoutName(format).text() != layout)
    return std::nullopt;
  return format;
}

StatusOr<QuantPanel> QuantPanel::of(const QuantFormat &format, int64_t depth) {
  auto error = [&](const std::string &what) {
    return Status(StatusCode::BadPlan,
                  "layout '" + quantLayoutName(format) + "' " + what);
  };
  if (!isAllowed(format))
    return error("does not exist: expected 4 or 8 bits, blocks of 16 or a "
                 "multiple of 32, scales of f16 or f32");
  if (depth < 0)
    return error("has " + std::to_string(depth) + " rows");
  int64_t granules = depth / kRowGranule + (depth % kRowGranule != 0);
  int64_t blocks = depth / format.block + (depth % format.block != 0);
  auto padded = [](std::optional<uint64_t> bytes) {
    return bytes ? checkedAlignUp(*bytes) : std::nullopt;
  };
  std::optional<uint64_t> codes = checkedProduct(
      std::array{granules, kRowGranule * format.bits / 8}, kColumns);
  std::optional<uint64_t> scales = padded(
      checkedProduct(std::array{blocks, kColumns}, dtypeSize(format.scales)));
  std::optional<uint64_t> zeros =
      padded(checkedProduct(std::array{blocks, kColumns}));
  std::optional<uint64_t> beforeZeros, bytes;
  if (codes && scales && zeros) {
    beforeZeros = checkedAdd(*codes, *scales);
    bytes = beforeZeros;
    if (format.hasZeroPoints && beforeZeros)
      bytes = checkedAdd(*beforeZeros, *zeros);
  }
  if (!bytes || *bytes > INT64_MAX)
    return error("has panels whose size overflows with " +
                 std::to_string(depth) + " rows");
  QuantPanel panel;
  panel.scales = static_cast<int64_t>(*codes);
  panel.zeros = static_cast<int64_t>(*beforeZeros);
  panel.bytes = static_cast<int64_t>(*bytes);
  return panel;
}
