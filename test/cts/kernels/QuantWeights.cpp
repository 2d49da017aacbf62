//===- QuantWeights.cpp - Weights in codes, for tests ---------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Panels are filled number by number, as QuantFormat.h describes them, and not
// by the functions that the runtime packs with: one can be wrong without the
// other.
//
//===----------------------------------------------------------------------===//

#include "test/cts/kernels/QuantWeights.h"

#include "runtime/params/Quantize.h"

#include <cmath>
#include <set>

namespace moe::test {

/// The name of a layout, in memory that views can refer to.
static std::string_view nameOf(const QuantFormat &format) {
  static std::set<std::string> names;
  return *names.insert(quantLayoutName(format)).first;
}

namespace {
/// One matrix [depth, columns] that becomes codes.
struct Packer {
  QuantFormat format;
  int64_t depth, columns;
  QuantPanel panel = *QuantPanel::of(format, depth);
  std::vector<std::byte> bytes = std::vector<std::byte>(
      static_cast<size_t>((columns + 15) / 16 * panel.bytes));

  std::byte *panelOf(int64_t column) {
    return bytes.data() + column / 16 * panel.bytes;
  }

  void setCode(int64_t row, int64_t column, uint32_t code) {
    constexpr int kPlaces[] = {0, 2, 4, 6, 1, 3, 5, 7};
    int64_t rows = 32 / format.bits;
    int64_t place = format.bits == 4 ? kPlaces[row % 8] : row % 4;
    std::byte *at = panelOf(column) + (row / rows * 16 + column % 16) * 4;
    uint32_t word;
    std::memcpy(&word, at, sizeof word);
    word |= code << (format.bits * place);
    std::memcpy(at, &word, sizeof word);
  }

  void setBlock(int64_t block, int64_t column, BlockScale value) {
    int64_t at = block * 16 + column % 16;
    std::byte *scales = panelOf(column) + panel.scales;
    if (format.scales == DType::F32) {
      std::memcpy(scales + 4 * at, &value.scale, 4);
    } else {
      uint16_t half = floatToHalf(value.scale);
      std::memcpy(scales + 2 * at, &half, 2);
    }
    if (format.hasZeroPoints)
      panelOf(column)[panel.zeros + at] = static_cast<std::byte>(value.zero);
  }

  /// Rounds `count` rows of a column, from element `at` on.
  void roundBlock(const QuantWeights &to, int64_t at, int64_t block,
                  int64_t count) {
    float *values = to.values.view.as<float>() + at;
    int64_t column = at % columns;
    std::vector<uint8_t> codes(count);
    BlockScale scale =
        quantizeBlock(format, values, columns, count, codes.data(), 1);
    if (format.scales == DType::F32)
      scale.scale *= 1.1f; // one that f16 does not have
    setBlock(block, column, scale);
    for (int64_t i = 0; i < count; ++i) {
      setCode(block * format.block + i, column, codes[i]);
      values[i * columns] = dequantized(codes[i], scale);
      to.numbers.view.as<float>()[at + i * columns] =
          static_cast<float>(codes[i] - scale.zero);
      to.scales.view.as<float>()[at + i * columns] = scale.scale;
    }
  }

  /// Matrix `index` of what was a weight.
  void round(const QuantWeights &to, int64_t index) {
    for (int64_t column = 0; column < (columns + 15) / 16 * 16; ++column) {
      for (int64_t row = 0; row < depth; row += format.block) {
        int64_t block = row / format.block;
        int64_t count = std::min(format.block, depth - row);
        if (column < columns)
          roundBlock(to, (index * depth + row) * columns + column, block,
                     count);
        else
          setBlock(block, column, {0, format.zero()});
      }
      // Codes of value 0 where there are no numbers.
      for (int64_t row = 0; row < (depth + 31) / 32 * 32; ++row)
        if (column >= columns || row >= depth)
          setCode(row, column, static_cast<uint32_t>(format.zero()));
    }
  }
};
} // namespace

QuantWeights QuantWeights::of(const Tensor &weight, const QuantFormat &format) {
  QuantWeights result{weight, weight, weight, weight};
  if (!weight.view.present())
    return result;
  int rank = weight.view.rank;
  int64_t depth = weight.view.dims[rank - 2];
  int64_t columns = weight.view.dims[rank - 1];
  int64_t experts = rank == 3 ? weight.view.dims[0] : 1;
  result.codes = Tensor();
  result.codes.view.rank = 2;
  result.codes.view.dims[0] = depth;
  result.codes.view.dims[1] = columns;
  result.codes.view.setContiguous();
  result.codes.view.layout = nameOf(format);
  for (int64_t e = 0; e < experts; ++e) {
    Packer packer{format, depth, columns};
    packer.round(result, e);
    result.codes.blockBytes.push_back(std::move(packer.bytes));
  }
  result.codes.blocks.resize(result.codes.blockBytes.size());
  result.codes = Tensor(result.codes); // copying makes the blocks anew
  return result;
}

Tensor QuantWeights::product(const Tensor &x, const QuantFormat &format,
                             bool isFused) const {
  auto add = [&](float a, float b, float c) {
    return isFused ? std::fma(a, b, c) : a * b + c;
  };
  int64_t rows = x.view.dims[0], depth = x.view.dims[1];
  int64_t columns = values.view.dims[1];
  int64_t segment = std::min<int64_t>(format.block, 32);
  Tensor y = Tensor::zeros(DType::F32, {rows, columns});
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t j = 0; j < columns; ++j) {
      float total = 0;
      for (int64_t d = 0; d < depth;) {
        float scale = scales.view.as<float>()[d * columns + j], sum = 0;
        for (int64_t end = std::min(depth, d + segment); d < end; ++d)
          sum = add(x.view.as<float>()[r * depth + d],
                    numbers.view.as<float>()[d * columns + j], sum);
        total = add(sum, scale, total);
      }
      y.view.as<float>()[r * columns + j] = total;
    }
  return y;
}

std::vector<QuantFormat> someQuantFormats() {
  std::vector<QuantFormat> formats;
  for (int bits : {4, 8})
    for (bool hasZeroPoints : {false, true})
      for (auto [block, scales] : {std::pair{16, DType::F16},
                                   {32, DType::F16},
                                   {96, DType::F32},
                                   {128, DType::F16},
                                   {544, DType::F32}})
        formats.push_back({bits, block, scales, hasZeroPoints});
  return formats;
}

} // namespace moe::test
