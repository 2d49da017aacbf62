//===- MoeFolders.cpp - Constant folding and identities -------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialect/moe/HostTensor.h"
#include "dialect/moe/MoeOps.h"
#include "dialect/moe/MoeTypes.h"
#include "dialect/moe/Shapes.h"

using namespace mlir;
using namespace moe;
using namespace moe::dialect;

/// The attribute of a folded value; null if there is none or it is too large.
static OpFoldResult folded(Operation *op,
                           const std::optional<HostTensor> &tensor) {
  if (!tensor)
    return {};
  return writeConstant(op->getContext(), *tensor);
}

/// True if `value` is a constant, every element of which is `expected`.
static bool isAll(Attribute value, double expected) {
  std::optional<HostTensor> tensor = readConstant(value);
  if (!tensor || tensor->size() == 0)
    return false;
  for (int64_t i = 0; i < tensor->size(); ++i)
    if (tensor->asDouble(i) != expected)
      return false;
  return true;
}

/// True if the result of an operation has at most as many elements as a
/// constant can hold, so that folding is worth a try.
static bool isSmall(Value result) {
  std::optional<SmallVector<int64_t>> shape = constantDims(getDims(result));
  std::optional<int64_t> count =
      shape ? numElementsOf(*shape) : std::optional<int64_t>();
  return count && *count <= kMaxConstantBytes;
}

//===----------------------------------------------------------------------===//
// Leaves
//===----------------------------------------------------------------------===//

OpFoldResult ConstantOp::fold(FoldAdaptor adaptor) { return getValue(); }

OpFoldResult ShapeOp::fold(FoldAdaptor adaptor) {
  std::optional<SmallVector<int64_t>> values =
      constantDims(getDims().getDims());
  if (!values)
    return {};
  HostTensor sizes(*toDType(getType().getElementType()), getType().getShape());
  for (auto [i, value] : llvm::enumerate(*values))
    sizes.elements[i] = scalarOf(value);
  return folded(*this, sizes);
}

OpFoldResult IotaOp::fold(FoldAdaptor adaptor) {
  std::optional<int64_t> start = getStart().getDim(0).constantValue();
  if (!start || !isSmall(getResult()))
    return {};
  DType dtype = *toDType(getType().getElementType());
  HostTensor values(dtype, getType().getShape());
  for (int64_t i = 0; i < values.size(); ++i)
    values.elements[i] =
        castScalar(scalarOf(*start + i * static_cast<int64_t>(getStep())),
                   DType::I64, dtype);
  return folded(*this, values);
}

//===----------------------------------------------------------------------===//
// Elementwise
//===----------------------------------------------------------------------===//

OpFoldResult UnaryOp::fold(FoldAdaptor adaptor) {
  // not(not(x)) -> x
  if (getKind() == UnaryKind::Not)
    if (auto inner = getX().getDefiningOp<UnaryOp>();
        inner && inner.getKind() == UnaryKind::Not)
      return inner.getX();
  std::optional<HostTensor> x = readConstant(adaptor.getX());
  if (!x)
    return {};
  return folded(*this, hostUnary(getKind(), *x));
}

/// True if `x kind value` is x.
static bool isRightIdentity(BinaryKind kind, Attribute value) {
  switch (kind) {
  case BinaryKind::Add:
  case BinaryKind::Sub:
  case BinaryKind::Or:
  case BinaryKind::Xor:
    return isAll(value, 0.0);
  case BinaryKind::Mul:
  case BinaryKind::Div:
  case BinaryKind::Pow:
    return isAll(value, 1.0);
  case BinaryKind::And: {
    auto elements = dyn_cast_or_null<DenseElementsAttr>(value);
    return elements &&
           isAll(value, elements.getElementType().isInteger(1) ? 1.0 : -1.0);
  }
  default:
    return false;
  }
}

static bool isCommutative(BinaryKind kind) {
  return kind != BinaryKind::Sub && kind != BinaryKind::Div &&
         kind != BinaryKind::Pow && kind != BinaryKind::Mod &&
         kind != BinaryKind::Fmod;
}

OpFoldResult BinaryOp::fold(FoldAdaptor adaptor) {
  // x + 0, x * 1 and the like -> x [no broadcast]
  BinaryKind kind = getKind();
  if (getLhs().getType() == getType() &&
      isRightIdentity(kind, adaptor.getRhs()))
    return getLhs();
  if (getRhs().getType() == getType() && isCommutative(kind) &&
      isRightIdentity(kind, adaptor.getLhs()))
    return getRhs();
  std::optional<HostTensor> lhs = readConstant(adaptor.getLhs()),
                            rhs = readConstant(adaptor.getRhs());
  if (!lhs || !rhs || !isSmall(getResult()))
    return {};
  return folded(*this, hostBinary(kind, *lhs, *rhs));
}

OpFoldResult CompareOp::fold(FoldAdaptor adaptor) {
  std::optional<HostTensor> lhs = readConstant(adaptor.getLhs()),
                            rhs = readConstant(adaptor.getRhs());
  if (!lhs || !rhs || !isSmall(getResult()))
    return {};
  return folded(*this, hostCompare(getKind(), *lhs, *rhs));
}

OpFoldResult SelectOp::fold(FoldAdaptor adaptor) {
  // select(c, x, x) -> x; select(true, x, y) -> x [no broadcast]
  bool isAlwaysTrue =
      getOnTrue() == getOnFalse() || isAll(adaptor.getCondition(), 1.0);
  if (isAlwaysTrue && getOnTrue().getType() == getType())
    return getOnTrue();
  if (isAll(adaptor.getCondition(), 0.0) && getOnFalse().getType() == getType())
    return getOnFalse();
  std::optional<HostTensor> condition = readConstant(adaptor.getCondition()),
                            onTrue = readConstant(adaptor.getOnTrue()),
                            onFalse = readConstant(adaptor.getOnFalse());
  if (!condition || !onTrue || !onFalse || !isSmall(getResult()))
    return {};
  return folded(*this, hostSelect(*condition, *onTrue, *onFalse));
}

OpFoldResult CastOp::fold(FoldAdaptor adaptor) {
  if (getX().getType() == getType())
    return getX();
  std::optional<HostTensor> x = readConstant(adaptor.getX());
  if (!x)
    return {};
  // A value of f32 was rounded when it became an attribute.
  return folded(*this, hostCast(*x, *toDType(getType().getElementType())));
}

OpFoldResult ReduceOp::fold(FoldAdaptor adaptor) {
  if (getAxes().empty())
    return getX();
  std::optional<HostTensor> x = readConstant(adaptor.getX());
  if (!x || !isSmall(getResult()))
    return {};
  return folded(*this, hostReduce(getKind(), *x, getAxes(), getKeepdims()));
}

//===----------------------------------------------------------------------===//
// Moving
//===----------------------------------------------------------------------===//

OpFoldResult GatherOp::fold(FoldAdaptor adaptor) {
  std::optional<HostTensor> data = readConstant(adaptor.getData()),
                            indices = readConstant(adaptor.getIndices());
  if (!data || !indices || getPart() || !isSmall(getResult()))
    return {};
  return folded(*this, hostGather(*data, *indices, getAxis(), getBatchDims()));
}

OpFoldResult SliceOp::fold(FoldAdaptor adaptor) {
  std::optional<SmallVector<int64_t>> starts =
      constantDims(getStarts().getDims());
  // The whole of x, forwards -> x
  if (starts && getX().getType() == getType() &&
      llvm::all_of(*starts, [](int64_t start) { return start == 0; }) &&
      llvm::all_of(getSteps(), [](int64_t step) { return step == 1; }))
    return getX();
  std::optional<HostTensor> x = readConstant(adaptor.getX());
  if (!x || !starts || !isSmall(getResult()))
    return {};
  return folded(*this,
                hostSlice(*x, *starts, getSteps(), getType().getShape()));
}

OpFoldResult ConcatOp::fold(FoldAdaptor adaptor) {
  if (getInputs().size() == 1)
    return getInputs().front();
  SmallVector<HostTensor> inputs;
  for (Attribute value : adaptor.getInputs()) {
    std::optional<HostTensor> input = readConstant(value);
    if (!input)
      return {};
    inputs.push_back(std::move(*input));
  }
  if (!isSmall(getResult()))
    return {};
  return folded(*this, hostConcat(inputs, getAxis()));
}

OpFoldResult TransposeOp::fold(FoldAdaptor adaptor) {
  if (llvm::equal(getPermutation(),
                  llvm::seq<int64_t>(0, getPermutation().size())))
    return getX();
  std::optional<HostTensor> x = readConstant(adaptor.getX());
  if (!x)
    return {};
  return folded(*this, hostTranspose(*x, getPermutation()));
}

OpFoldResult ReshapeOp::fold(FoldAdaptor adaptor) {
  if (getX().getType() == getType())
    return getX();
  // reshape(reshape(x)) -> reshape(x)
  if (auto inner = getX().getDefiningOp<ReshapeOp>()) {
    getXMutable().assign(inner.getX());
    return getResult();
  }
  std::optional<HostTensor> x = readConstant(adaptor.getX());
  if (!x || !isSmall(getResult()))
    return {};
  return folded(*this, hostReshape(*x, getType().getShape()));
}

OpFoldResult BroadcastOp::fold(FoldAdaptor adaptor) {
  if (getX().getType() == getType())
    return getX();
  // broadcast(broadcast(x)) -> broadcast(x)
  if (auto inner = getX().getDefiningOp<BroadcastOp>()) {
    getXMutable().assign(inner.getX());
    return getResult();
  }
  std::optional<HostTensor> x = readConstant(adaptor.getX());
  if (!x || !isSmall(getResult()))
    return {};
  return folded(*this, hostBroadcast(*x, getType().getShape()));
}
