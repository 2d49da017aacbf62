//===- Emitter.cpp - Making operations while importing --------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontend/onnx/Emitter.h"

#include "dialect/moe/ParamCodes.h"
#include "dialect/moe/Shapes.h"
#include "runtime/support/CheckedMath.h"

#include "mlir/IR/Verifier.h"

using namespace mlir;
using namespace moe::dialect;

namespace moe::onnx_import {

//===----------------------------------------------------------------------===//
// Errors
//===----------------------------------------------------------------------===//

LogicalResult Emitter::fail(StatusCode code, const Twine &message) {
  // The first error of a node says what is wrong; others follow from it.
  if (!hasFailed())
    state.error(code, place + ": " + message.str());
  state.nodeFailed = true;
  return failure();
}

LogicalResult Emitter::unsupported(const Twine &message) {
  return fail(StatusCode::Unsupported, message);
}

LogicalResult Emitter::invalid(const Twine &message) {
  return fail(StatusCode::BadModel, message);
}

void Emitter::warn(const Twine &message) {
  state.warnings.push_back(place + ": " + message.str());
}

Emitter::DiagnosticCapture::DiagnosticCapture(Emitter &emitter)
    : handler(emitter.context(), [&emitter](Diagnostic &diagnostic) {
        if (diagnostic.getSeverity() == DiagnosticSeverity::Error)
          (void)emitter.invalid(diagnostic.str());
        return success();
      }) {}

LogicalResult Emitter::verifyOp(Operation *op) { return mlir::verify(op); }

Value Emitter::placeholder() {
  state.nodeFailed = true;
  // The largest rank: builders may look at any dimension of it.
  Dims dims(8, DimExpr::symbol("unsized"));
  Type type = getTensorType(f32(), dims);
  return UnrealizedConversionCastOp::create(builder, loc, type, ValueRange())
      .getResult(0);
}

bool Emitter::tryUnify(const DimExpr &a, const DimExpr &b) {
  if (a == b)
    return true;
  if (!hasFailed() && !(a - b).isConstant() && state.symbols.demandEqual(a, b))
    state.restart = true;
  return false;
}

LogicalResult Emitter::unify(const DimExpr &a, const DimExpr &b) {
  if (a == b)
    return success();
  if ((a - b).isConstant())
    return invalid("sizes " + a.toString() + " and " + b.toString() +
                   " differ, expected equal ones");
  if (tryUnify(a, b) || state.restart)
    return failure();
  return unsupported("sizes " + a.toString() + " and " + b.toString() +
                     " must be equal, which cannot be shown");
}

LogicalResult Emitter::unify(ArrayRef<DimExpr> a, ArrayRef<DimExpr> b) {
  if (a.size() != b.size())
    return invalid("dimensions " + toString(a) + " and " + toString(b) +
                   " differ, expected equal ones");
  for (auto [x, y] : llvm::zip_equal(a, b))
    if (failed(unify(x, y)))
      return failure();
  return success();
}

bool Emitter::assumeAtLeast(const DimExpr &a, const DimExpr &b) {
  if (isAtLeast(a, b))
    return true;
  // No input can make a difference that is constant larger.
  if ((a - b).isConstant())
    return false;
  ImportState::Constraint constraint{DimExpr::max(a, b), a, place};
  for (const std::string &symbol : constraint.lhs.symbols())
    if (!state.symbols.isInputSymbol(symbol))
      return false;
  for (const ImportState::Constraint &other : state.constraints)
    if (other.lhs == constraint.lhs && other.rhs == constraint.rhs)
      return true;
  state.constraints.push_back(std::move(constraint));
  return true;
}

FailureOr<Dims> Emitter::broadcast(ArrayRef<DimExpr> a, ArrayRef<DimExpr> b) {
  if (a.size() < b.size())
    std::swap(a, b);
  Dims result(a.begin(), a.end());
  for (size_t i = 0; i < b.size(); ++i) {
    DimExpr &out = result[a.size() - b.size() + i];
    if (out == b[i] || b[i] == DimExpr(1))
      continue;
    if (out == DimExpr(1))
      out = b[i];
    else if (failed(unify(out, b[i])))
      return failure();
  }
  return result;
}

//===----------------------------------------------------------------------===//
// Folding
//===----------------------------------------------------------------------===//

Value Emitter::fold(Operation *op) {
  SmallVector<OpFoldResult> results;
  Value value = op->getResult(0);
  if (failed(op->fold(results)) || results.empty())
    return value;
  if (auto folded = dyn_cast<Value>(results.front())) {
    if (folded.getType() != value.getType())
      return value;
    op->erase();
    return folded;
  }
  auto dense =
      dyn_cast<DenseElementsAttr>(llvm::cast<Attribute>(results.front()));
  if (!dense || dense.getType() != value.getType())
    return value;
  op->erase();
  return constant(dense);
}

ParamAttr paramOf(Value value) {
  auto op = value ? value.getDefiningOp<ParamOp>() : ParamOp();
  return op ? op.getValue() : ParamAttr();
}

StringAttr paramNameOf(Value value) {
  auto op = value ? value.getDefiningOp<ParamOp>() : ParamOp();
  return op ? op.getNameAttr() : StringAttr();
}

ParamAttr Emitter::asParam(Value x) {
  if (ParamAttr attr = paramOf(x))
    return attr;
  auto op = x.getDefiningOp<ConstantOp>();
  auto dense =
      op ? dyn_cast<DenseElementsAttr>(op.getValue()) : DenseElementsAttr();
  return dense ? param::inlined(dense) : ParamAttr();
}

// A product or sum of a weight with a constant or another weight.
Value Emitter::foldParams(BinaryKind kind, Value a, Value b) {
  if (!paramOf(a) && !paramOf(b))
    return {};
  ParamAttr x = asParam(a), y = asParam(b);
  if (!x || !y || !isa<FloatType>(x.getType().getElementType()) ||
      x.getType().getElementType() != y.getType().getElementType())
    return {};
  StringAttr name = paramNameOf(paramOf(a) ? a : b);
  return param(kind == BinaryKind::Add ? param::add(x, y) : param::mul(x, y),
               name);
}

//===----------------------------------------------------------------------===//
// Leaves
//===----------------------------------------------------------------------===//

Type Emitter::f32() const { return Float32Type::get(context()); }
Type Emitter::i64() const { return IntegerType::get(context(), 64); }
Type Emitter::i1() const { return IntegerType::get(context(), 1); }

DenseI64ArrayAttr Emitter::ints(ArrayRef<int64_t> values) const {
  return DenseI64ArrayAttr::get(context(), values);
}

Value Emitter::constant(DenseElementsAttr value) {
  return ConstantOp::create(builder, loc, value);
}

Value Emitter::scalar(Type elementType, double number, unsigned rank) {
  auto type = RankedTensorType::get(SmallVector<int64_t>(rank, 1), elementType);
  TypedAttr attr;
  if (auto floatType = dyn_cast<FloatType>(elementType))
    attr = FloatAttr::get(floatType, number);
  else
    attr = IntegerAttr::get(
        elementType, APInt(elementType.getIntOrFloatBitWidth(),
                           static_cast<uint64_t>(static_cast<int64_t>(number)),
                           /*isSigned=*/true, /*implicitTrunc=*/true));
  return constant(DenseElementsAttr::get(type, Attribute(attr)));
}

Value Emitter::intVector(ArrayRef<int64_t> values) {
  auto type =
      RankedTensorType::get({static_cast<int64_t>(values.size())}, i64());
  return constant(DenseElementsAttr::get(type, values));
}

Value Emitter::param(ParamAttr value, StringAttr name) {
  return createTyped<ParamOp>(value, name);
}

Value Emitter::sizes(ArrayRef<DimExpr> dims, Type elementType, bool isScalar) {
  SmallVector<int64_t> shape;
  if (!isScalar)
    shape.push_back(static_cast<int64_t>(dims.size()));
  return createTyped<ShapeOp>(RankedTensorType::get(shape, elementType),
                              DimsAttr::get(context(), dims));
}

Value Emitter::iota(const DimExpr &start, const DimExpr &count,
                    Type elementType, int64_t step) {
  return createTyped<IotaOp>(getTensorType(elementType, {count}),
                             DimsAttr::get(context(), {start}), step);
}

Value Emitter::filled(ArrayRef<DimExpr> dims, Type elementType, double number) {
  return stretch(scalar(elementType, number), dims);
}

//===----------------------------------------------------------------------===//
// Elementwise
//===----------------------------------------------------------------------===//

Value Emitter::unary(UnaryKind kind, Value x) {
  return create<UnaryOp>(kind, x);
}

Value Emitter::binary(BinaryKind kind, Value a, Value b) {
  if (failed(broadcast(getDims(a), getDims(b))))
    return placeholder();
  if (kind == BinaryKind::Add || kind == BinaryKind::Mul)
    if (Value folded = foldParams(kind, a, b))
      return folded;
  return create<BinaryOp>(kind, a, b);
}

Value Emitter::binary(BinaryKind kind, Value a, double b) {
  return binary(kind, a, scalar(getTensorType(a).getElementType(), b));
}

Value Emitter::compare(CompareKind kind, Value a, Value b) {
  if (failed(broadcast(getDims(a), getDims(b))))
    return placeholder();
  return create<CompareOp>(kind, a, b);
}

Value Emitter::select(Value condition, Value a, Value b) {
  FailureOr<Dims> dims = broadcast(getDims(a), getDims(b));
  if (failed(dims) || failed(broadcast(getDims(condition), *dims)))
    return placeholder();
  return create<SelectOp>(condition, a, b);
}

Value Emitter::cast(Value x, Type elementType) {
  RankedTensorType type = getTensorType(x);
  if (type.getElementType() == elementType)
    return x;
  if (ParamAttr attr = paramOf(x); attr && isa<FloatType>(elementType))
    return param(param::cast(attr, elementType), paramNameOf(x));
  return createTyped<CastOp>(withElementType(type, elementType), x);
}

//===----------------------------------------------------------------------===//
// Reductions, products
//===----------------------------------------------------------------------===//

Value Emitter::reduce(ReduceKind kind, Value x, ArrayRef<int64_t> axes,
                      bool keepDims) {
  return create<ReduceOp>(kind, x, axes, keepDims);
}

Value Emitter::matmul(Value a, Value b, Value bias, bool transposeB,
                      Arithmetic arithmetic) {
  Dims lhs = getDims(a), rhs = getDims(b);
  if (lhs.size() < 2 || rhs.size() < 2) {
    (void)invalid("a matrix product of dimensions " + toString(lhs) + " and " +
                  toString(rhs));
    return placeholder();
  }
  int64_t axis = rhs.size() - (transposeB ? 1 : 2);
  DimExpr k = rhs[axis];
  if (failed(unify(lhs.back(), k)) ||
      failed(broadcast(ArrayRef(lhs).drop_back(2), ArrayRef(rhs).drop_back(2))))
    return placeholder();
  // Codes lie along the sums, where either way says the same.
  if (ParamAttr weight = paramOf(b))
    if (ParamAttr turned = param::codesAlong(weight, axis); turned != weight)
      b = param(turned, paramNameOf(b));
  return create<MatmulOp>(a, b, bias, transposeB, arithmetic);
}

Value Emitter::softmax(Value x, int64_t axis, bool isLog) {
  return create<SoftmaxOp>(x, axis, isLog);
}

Value Emitter::norm(NormKind kind, Value x, Value scale, Value bias,
                    int64_t axis, float epsilon) {
  Dims dims = getDims(x);
  for (Value operand : {scale, bias})
    if (operand && axis <= static_cast<int64_t>(dims.size()) &&
        failed(broadcast(ArrayRef(dims).drop_front(axis), getDims(operand))))
      return placeholder();
  return create<NormOp>(kind, x, scale, bias, axis, APFloat(epsilon));
}

//===----------------------------------------------------------------------===//
// Moving elements
//===----------------------------------------------------------------------===//

Value Emitter::reshape(Value x, ArrayRef<DimExpr> dims) {
  RankedTensorType from = getTensorType(x);
  RankedTensorType to = getTensorType(from.getElementType(), dims);
  if (from == to)
    return x;
  // Sizes on both sides cancel, so that the rest may say what must be equal.
  Dims left = getDims(x), right;
  for (const DimExpr &dim : dims) {
    auto it = llvm::find(left, dim);
    if (it == left.end() || dim == DimExpr(0))
      right.push_back(dim);
    else
      left.erase(it);
  }
  if (failed(unify(product(left), product(right))))
    return placeholder();
  if (ParamAttr attr = paramOf(x); attr && to.hasStaticShape())
    return param(param::reshape(attr, to.getShape()), paramNameOf(x));
  return createTyped<ReshapeOp>(to, x);
}

Value Emitter::transpose(Value x, ArrayRef<int64_t> permutation) {
  if (!isPermutation(permutation, getTensorType(x).getRank())) {
    (void)invalid("a permutation that is not one of " +
                  Twine(getTensorType(x).getRank()) + " dimensions");
    return placeholder();
  }
  if (ParamAttr attr = paramOf(x))
    return param(param::transpose(attr, permutation), paramNameOf(x));
  return create<TransposeOp>(x, permutation);
}

Value Emitter::stretch(Value x, ArrayRef<DimExpr> dims) {
  RankedTensorType type =
      getTensorType(getTensorType(x).getElementType(), dims);
  if (type == x.getType())
    return x;
  return createTyped<BroadcastOp>(type, x);
}

Value Emitter::unsqueeze(Value x, ArrayRef<int64_t> axes) {
  Dims dims = getDims(x);
  for (int64_t axis : axes) {
    if (axis < 0 || axis > static_cast<int64_t>(dims.size()))
      return (void)invalid("axis " + Twine(axis) + " is out of range"),
             placeholder();
    dims.insert(dims.begin() + axis, DimExpr(1));
  }
  return reshape(x, dims);
}

Value Emitter::squeeze(Value x, ArrayRef<int64_t> axes) {
  Dims dims;
  for (auto [i, dim] : llvm::enumerate(getDims(x)))
    if (!llvm::is_contained(axes, static_cast<int64_t>(i)))
      dims.push_back(dim);
  return reshape(x, dims);
}

Value Emitter::slice(Value x, ArrayRef<DimExpr> starts, ArrayRef<DimExpr> dims,
                     ArrayRef<int64_t> steps) {
  SmallVector<int64_t> allSteps(steps);
  allSteps.resize(dims.size(), 1);
  RankedTensorType type =
      getTensorType(getTensorType(x).getElementType(), dims);
  if (type == x.getType() &&
      llvm::all_of(allSteps, [](int64_t step) { return step == 1; }))
    return x;
  ParamAttr attr = paramOf(x);
  std::optional<SmallVector<int64_t>> from = constantDims(starts);
  if (attr && from && type.hasStaticShape()) {
    for (int64_t i = 0; i < type.getRank(); ++i)
      if (!isValidSlice(attr.getType().getDimSize(i), (*from)[i], allSteps[i],
                        type.getDimSize(i)))
        return (void)invalid("a slice that leaves its tensor"), placeholder();
    return param(param::slice(attr, *from, allSteps, type.getShape()),
                 paramNameOf(x));
  }
  return createTyped<SliceOp>(type, x, DimsAttr::get(context(), starts),
                              allSteps);
}

Value Emitter::sliceAxis(Value x, int64_t axis, const DimExpr &start,
                         const DimExpr &size) {
  Dims dims = getDims(x);
  Dims starts(dims.size(), DimExpr(0));
  starts[axis] = start;
  dims[axis] = size;
  return slice(x, starts, dims);
}

Value Emitter::concat(ArrayRef<Value> parts, int64_t axis) {
  Dims dims = getDims(parts.front());
  if (axis < 0 || axis >= static_cast<int64_t>(dims.size()))
    return (void)invalid("axis " + Twine(axis) + " is out of range"),
           placeholder();
  SmallVector<ParamAttr> params;
  for (Value part : parts) {
    Dims other = getDims(part);
    if (axis < static_cast<int64_t>(other.size()))
      dims[axis] = other[axis];
    if (failed(unify(dims, other)))
      return placeholder();
    if (ParamAttr attr = paramOf(part);
        attr && getTensorType(part).getElementType() ==
                    getTensorType(parts.front()).getElementType())
      params.push_back(attr);
  }
  if (parts.size() == 1)
    return parts.front();
  if (params.size() == parts.size())
    return param(param::concat(params, axis), paramNameOf(parts.front()));
  return create<ConcatOp>(ValueRange(parts), axis);
}

Value Emitter::gather(Value data, Value indices, int64_t axis,
                      int64_t batchDims) {
  Dims rows = getDims(data), columns = getDims(indices);
  size_t batch = batchDims;
  if (batch <= rows.size() && batch <= columns.size() &&
      failed(unify(ArrayRef(rows).take_front(batch),
                   ArrayRef(columns).take_front(batch))))
    return placeholder();
  return create<GatherOp>(data, indices, axis, batchDims, StringAttr());
}

} // namespace moe::onnx_import
