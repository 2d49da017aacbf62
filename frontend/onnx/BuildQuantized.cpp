//===- BuildQuantized.cpp - Quantized weights -----------------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialect/moe/ParamCodes.h"
#include "dialect/moe/Shapes.h"
#include "frontend/onnx/Builders.h"

#include "mlir/IR/Remarks.h"

using namespace mlir;
using namespace moe::dialect;

namespace moe::onnx_import {

//===----------------------------------------------------------------------===//
// Weights of blocks of few bits
//===----------------------------------------------------------------------===//

/// The expression of an input that must be a weight.
static FailureOr<ParamAttr> weightInput(NodeContext &n, unsigned i,
                                        StringRef what) {
  if (ParamAttr attr = n.asParam(n.value(i)))
    return attr;
  return n.unsupported(what + " is not a weight");
}

/// Integers that a constant in the IR holds at most.
static constexpr size_t kInlineIntegers = 1024 / sizeof(int64_t);

static bool hasElements(ParamAttr param, int64_t count) {
  return param.getType().getNumElements() == count;
}

ParamAttr widenedScales(ParamAttr scales, Type type) {
  unsigned bits = scales.getType().getElementTypeBitWidth();
  return bits < type.getIntOrFloatBitWidth() ? param::cast(scales, type)
                                             : scales;
}

// Zero points z [N, blocks] that are floats: (q - z) s = (q - d) s + (d - z) s,
// d = 2^(bits - 1). The first term is `weight`, the second one repeats in each
// block.
static ParamAttr shiftBlocks(ParamAttr weight, ParamAttr zero, ParamAttr scales,
                             int64_t bits, int64_t block) {
  int64_t size = scales.getType().getDimSize(0);
  int64_t blocks = scales.getType().getDimSize(1);
  int64_t k = weight.getType().getDimSize(1);
  Type type = scales.getType().getElementType();
  ParamAttr middle = param::fill(
      scales.getType(),
      FloatAttr::get(type, static_cast<double>(int64_t(1) << (bits - 1))));
  ParamAttr shift = param::mul(
      param::add(middle, param::scale(param::cast(zero, type), -1)), scales);
  shift = param::stretch(param::reshape(shift, {size, blocks, 1}),
                         {size, blocks, block});
  shift = param::slice(param::reshape(shift, {size, blocks * block}), {0, 0},
                       {1, 1}, {size, k});
  return param::add(weight, shift);
}

namespace {
/// Which scales and zero points the K rows of a weight have.
struct RowGroups {
  /// Of each row; empty if row k is in group k / block.
  std::vector<int64_t> of;
  /// Rows by group, if that makes each group a block; else empty.
  SmallVector<int64_t> order;
};
} // namespace

// B [N, ceil(K / block), block * bits / 8], scales [N, ceil(K / block)], zero
// points packed likewise, or floats like the scales. The result is [K, N], with
// rows in the order of their groups if there is one.
static FailureOr<ParamAttr> nbitsWeight(NodeContext &n, int64_t k, int64_t size,
                                        int64_t bits, int64_t block,
                                        const RowGroups &groups) {
  FailureOr<ParamAttr> q = weightInput(n, 1, "input 'B'");
  FailureOr<ParamAttr> scales = weightInput(n, 2, "input 'scales'");
  if (failed(q) || failed(scales))
    return failure();
  int64_t blocks = llvm::divideCeil(k, block);
  int64_t packedBytes = blocks * block * bits / 8;
  if (!q->getType().getElementType().isUnsignedInteger(8) ||
      !hasElements(*q, size * packedBytes) ||
      !hasElements(*scales, size * blocks) ||
      !isa<FloatType>(scales->getType().getElementType()))
    return n.invalid("has B or scales that do not fit K, N and block_size");
  // The last block may hold more than K needs.
  int64_t usedBytes = llvm::divideCeil(k * bits, 8);
  ParamAttr packed = param::slice(param::reshape(*q, {size, packedBytes}),
                                  {0, 0}, {1, 1}, {size, usedBytes});
  ParamAttr scale =
      param::reshape(widenedScales(*scales, n.elementType(0)), {size, blocks});
  ParamAttr integers, floats;
  if (n.has(3)) {
    FailureOr<ParamAttr> zero = weightInput(n, 3, "input 'zero_points'");
    int64_t zeroBytes = llvm::divideCeil(blocks * bits, 8);
    if (failed(zero))
      return failure();
    Type type = zero->getType().getElementType();
    bool isFloat = isa<FloatType>(type);
    if ((!isFloat && !type.isUnsignedInteger(8)) ||
        !hasElements(*zero, size * (isFloat ? blocks : zeroBytes)))
      return n.invalid("has zero points that do not fit K, N and block_size");
    (isFloat ? floats : integers) =
        param::reshape(*zero, {size, isFloat ? blocks : zeroBytes});
  }
  if (!groups.order.empty()) {
    packed = param::take(param::unpack(packed, k, bits), groups.order, 1);
  } else if (!groups.of.empty()) { // each row is a block
    scale = param::take(scale, groups.of, 1);
    integers = integers ? param::take(param::unpack(integers, blocks, bits),
                                      groups.of, 1)
                        : integers;
    floats = floats ? param::take(floats, groups.of, 1) : floats;
    block = 1;
  }
  ParamAttr weight = param::dequantize(packed, scale, integers, k, bits, block);
  if (floats)
    weight = shiftBlocks(weight, floats, scale, bits, block);
  return param::transpose(weight, {1, 0});
}

LogicalResult checkBits(NodeContext &n, int64_t bits, int64_t block) {
  if (bits != 2 && bits != 4 && bits != 8)
    return n.unsupported("attribute 'bits' = " + Twine(bits) +
                         " is not supported");
  if (block < 16 || !llvm::isPowerOf2_64(block) || block > (1 << 20))
    return n.invalid("attribute 'block_size' is " + Twine(block));
  return success();
}

/// How a product reads its rows at an accuracy level. 4 asks for 8 bits; what
/// the others allow is no more than exact.
static Arithmetic arithmeticAt(NodeContext &n, int64_t level, int64_t block) {
  if (level != 4)
    return Arithmetic::Float;
  bool hasFloatZeros = n.has(3) && isa<FloatType>(n.elementType(3));
  if (block % 32 == 0 && !hasFloatZeros)
    return Arithmetic::Int8;
  mlir::remark::missed(
      n.location(),
      mlir::remark::RemarkOpts::name("arithmetic").category("moe-import"))
      << (hasFloatZeros ? "computes in float: its zero points are floats"
                        : "computes in float: its blocks are no multiples of "
                          "32");
  return Arithmetic::Float;
}

// g_idx [K], perhaps padded to whole blocks: the block whose scale and zero
// point row k has.
static FailureOr<RowGroups> groupsOf(NodeContext &n, int64_t k, int64_t block) {
  RowGroups groups;
  if (!n.has(4))
    return groups;
  int64_t numGroups = llvm::divideCeil(k, block);
  // Before they are read: how many there are is up to the file.
  std::optional<int64_t> size = n.type(4).hasStaticShape()
                                    ? numElementsOf(n.type(4).getShape())
                                    : std::nullopt;
  if (size && *size != k && *size != numGroups * block)
    return n.invalid("input 'g_idx' has " + Twine(*size) +
                     " elements, expected " + Twine(k));
  FailureOr<std::vector<int64_t>> given = n.weightInts(4, "input 'g_idx'");
  if (failed(given))
    return failure();
  if (static_cast<int64_t>(given->size()) < k)
    return n.invalid("input 'g_idx' has " + Twine(given->size()) +
                     " elements, expected " + Twine(k));
  given->resize(k); // without those of rows that fill the last block
  for (auto [row, group] : llvm::enumerate(*given))
    if (group < 0 || group >= numGroups)
      return n.invalid("input 'g_idx' puts row " + Twine(row) + " in group " +
                       Twine(group) + ", expected less than " +
                       Twine(numGroups));
  auto isInOrder = [&](ArrayRef<int64_t> rows) {
    for (auto [i, row] : llvm::enumerate(rows))
      if ((*given)[row] != static_cast<int64_t>(i) / block)
        return false;
    return true;
  };
  SmallVector<int64_t> rows = llvm::to_vector(llvm::seq<int64_t>(0, k));
  if (isInOrder(rows))
    return groups;
  groups.of = *given;
  llvm::stable_sort(
      rows, [&](int64_t a, int64_t b) { return (*given)[a] < (*given)[b]; });
  auto options =
      mlir::remark::RemarkOpts::name("groups").category("moe-import");
  if (isInOrder(rows)) {
    groups.order = rows;
    mlir::remark::passed(n.location(), options)
        << "stays in codes, with its rows and those of x in the order of their "
           "groups";
  } else {
    mlir::remark::missed(n.location(), options)
        << "becomes floats: its groups of rows are no blocks";
  }
  return groups;
}

/// Input A with its columns in another order.
static Value columnsInOrder(NodeContext &n, ArrayRef<int64_t> order) {
  int64_t rank = n.rank(0), size = order.size();
  if (rank < 1)
    return (void)n.invalid("has a single number as A"), n.placeholder();
  if (failed(n.unify(n.dim(0, rank - 1), DimExpr(size))))
    return n.placeholder();
  SmallVector<ParamAttr> parts;
  auto i64 = n.i64();
  for (; !order.empty();
       order = order.drop_front(parts.back().getType().getDimSize(0))) {
    ArrayRef<int64_t> part = order.take_front(kInlineIntegers);
    auto type = RankedTensorType::get(static_cast<int64_t>(part.size()), i64);
    parts.push_back(param::inlined(DenseElementsAttr::get(type, part)));
  }
  Value indices = n.param(param::concat(parts, 0), StringAttr());
  return n.gather(n.value(0), indices, rank - 1);
}

LogicalResult buildMatMulNBits(NodeContext &n) {
  int64_t k = n.requiredInt("K"), size = n.requiredInt("N");
  int64_t bits = n.intAttr("bits", 4), block = n.requiredInt("block_size");
  int64_t accuracy = n.intAttr("accuracy_level", 0);
  if (n.hasFailed() || failed(checkBits(n, bits, block)) ||
      failed(n.expectInt("weight_prepacked", 0, 0)))
    return failure();
  if (k < 1 || size < 1 || k > INT32_MAX || size > INT32_MAX)
    return n.invalid("attributes 'K' and 'N' are " + Twine(k) + " and " +
                     Twine(size));
  if (accuracy < 0 || accuracy > 4)
    return n.invalid("attribute 'accuracy_level' is " + Twine(accuracy));
  FailureOr<RowGroups> groups = groupsOf(n, k, block);
  if (failed(groups))
    return failure();
  FailureOr<ParamAttr> weight = nbitsWeight(n, k, size, bits, block, *groups);
  if (failed(weight))
    return failure();
  Value x =
      groups->order.empty() ? n.value(0) : columnsInOrder(n, groups->order);
  Value b = n.param(*weight, paramNameOf(n.value(1)));
  b = n.cast(b, n.elementType(0));
  bool areBlocks = groups->of.empty() || !groups->order.empty();
  Value result = n.matmul(x, b, Value(), /*transposeB=*/false,
                          arithmeticAt(n, accuracy, areBlocks ? block : 1));
  if (n.has(5))
    result = n.binary(BinaryKind::Add, result, n.value(5));
  n.set(0, result);
  return success();
}

} // namespace moe::onnx_import
