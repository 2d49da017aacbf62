//===- WeightRange.cpp - How large the numbers of a weight are ------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/quantize/WeightRange.h"

#include "passes/emit/ParamTable.h"
#include "runtime/params/Elements.h"
#include "runtime/params/ParamExpr.h"
#include "runtime/plan/Plan_generated.h"

#include <bit>

using namespace mlir;
using namespace moe;
using namespace moe::dialect;
using namespace moe::pass;

/// Of a weight that is read at once.
static constexpr int64_t kWindowElements = 1 << 20;

/// The largest of finite numbers. Their bits without the sign are ordered as
/// they are, which, unlike a comparison of floats, compilers turn into vectors.
static float largestOf(ArrayRef<float> numbers) {
  constexpr uint32_t kMagnitude = 0x7fffffff, kInfinity = 0x7f800000;
  uint32_t largest = 0;
  for (float number : numbers) {
    uint32_t bits = std::bit_cast<uint32_t>(number) & kMagnitude;
    largest = std::max(largest, bits < kInfinity ? bits : 0);
  }
  return std::bit_cast<float>(largest);
}

/// Sizes of a window of `shape` with at most kWindowElements elements, as many
/// of the last dimensions as go in.
static SmallVector<int64_t> windowOf(ArrayRef<int64_t> shape) {
  SmallVector<int64_t> window(shape.size(), 1);
  int64_t left = kWindowElements;
  for (size_t i = shape.size(); i-- > 0 && left > 1;) {
    window[i] = std::min(shape[i], left);
    left /= window[i];
  }
  return window;
}

StatusOr<float> moe::pass::largestMagnitude(ParamAttr weight,
                                            StringRef folder) {
  plan::ProgramT tables;
  ParamTable table(tables, folder.str(), "");
  MOE_ASSIGN_OR_RETURN(uint32_t expr, table.add(weight));
  MOE_ASSIGN_OR_RETURN(ParamEvaluator evaluator,
                       ParamEvaluator::create(tables, {folder.str()}));
  ArrayRef<int64_t> shape = weight.getType().getShape();
  if (llvm::is_contained(shape, 0))
    return 0.0f;
  DType dtype = evaluator.dtype(expr);
  SmallVector<int64_t> window = windowOf(shape), starts(shape.size(), 0);
  std::vector<std::byte> bytes;
  std::vector<float> numbers;
  float largest = 0;
  for (bool isInside = true; isInside;) {
    SmallVector<int64_t> sizes;
    int64_t count = 1;
    for (auto [size, start, most] : llvm::zip_equal(shape, starts, window)) {
      sizes.push_back(std::min(size - start, most));
      count *= sizes.back();
    }
    bytes.resize(count * dtypeSize(dtype));
    numbers.resize(count);
    MOE_RETURN_IF_ERROR(evaluator.evaluate(expr, {starts.data(), starts.size()},
                                           {sizes.data(), sizes.size()},
                                           bytes));
    convertElements(dtype, bytes.data(), DType::F32,
                    reinterpret_cast<std::byte *>(numbers.data()), count);
    largest = std::max(largest, largestOf(numbers));
    isInside = false;
    for (size_t i = shape.size(); i-- > 0 && !isInside;) {
      starts[i] += window[i];
      isInside = starts[i] < shape[i];
      if (!isInside)
        starts[i] = 0;
    }
  }
  return largest;
}
