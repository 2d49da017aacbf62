//===- NodeContext.cpp - One ONNX node for its builder --------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontend/onnx/NodeContext.h"

#include "frontend/onnx/WeightIntegers.h"

#include "dialect/moe/Shapes.h"
#include "frontend/onnx/Bounds.h"

using namespace mlir;
using namespace moe::dialect;

namespace moe::onnx_import {

//===----------------------------------------------------------------------===//
// Inputs
//===----------------------------------------------------------------------===//

static bool allKnown(ArrayRef<SizeElement> elements) {
  return llvm::all_of(elements,
                      [](const SizeElement &e) { return e.isKnown(); });
}

/// The elements as a constant, if all are numbers.
static DenseElementsAttr asConstant(RankedTensorType type,
                                    ArrayRef<SizeElement> elements) {
  SmallVector<APInt> values;
  for (const SizeElement &element : elements) {
    std::optional<int64_t> value = element.expr.constantValue();
    if (!value)
      return {};
    values.emplace_back(type.getElementTypeBitWidth(),
                        static_cast<uint64_t>(*value), /*isSigned=*/true,
                        /*implicitTrunc=*/true);
  }
  return DenseElementsAttr::get(type, values);
}

Value NodeContext::materialize(ImportValue &value) {
  if (value.ir)
    return value.ir;
  // The operation belongs to the node that the value comes from.
  Location nodeLoc = loc;
  loc = value.loc;
  if (auto attr = dyn_cast_or_null<ParamAttr>(value.leaf)) {
    value.ir = param(attr, value.paramName);
  } else if (value.leaf) {
    value.ir = constant(llvm::cast<DenseElementsAttr>(value.leaf));
  } else if (DenseElementsAttr dense =
                 asConstant(value.type, *value.elements)) {
    value.ir = constant(dense);
  } else {
    Dims dims;
    for (const SizeElement &element : *value.elements)
      dims.push_back(element.expr);
    value.ir = sizes(dims, value.type.getElementType(),
                     /*isScalar=*/value.type.getRank() == 0);
    value.ir = reshape(value.ir, getDims(value.type));
  }
  loc = nodeLoc;
  return value.ir;
}

std::optional<SizeElements> NodeContext::elements(ImportValue &value) {
  std::optional<SizeElements> known = knownElements(value);
  RankedTensorType type = value.type;
  int64_t count = numFollowedElements(type);
  if (known || !isInteger(type.getElementType()) || count < 0)
    return known;
  SizeElements fresh;
  Value source = materialize(value);
  for (int64_t i = 0; i < count; ++i) {
    unsigned number = ++state.numRunTimeElements;
    state.runTimeSources[number] = source;
    fresh.push_back(SizeElement::atRunTime(number));
  }
  value.elements = fresh;
  return fresh;
}

FailureOr<Dims> NodeContext::sizesOf(unsigned i, StringRef what) {
  std::optional<SizeElements> known = elements(input(i));
  if (!known)
    return unsupported(what + " has more than " + Twine(kMaxFollowedElements) +
                       " elements or is not an integer tensor of known size");
  Dims dims;
  for (const SizeElement &element : *known) {
    if (element.isKnown()) {
      dims.push_back(element.expr);
      continue;
    }
    auto it = state.runTimeSymbols.find(element.runTime);
    if (it == state.runTimeSymbols.end())
      return unsupported(what + " is known only at run time");
    dims.push_back(it->second);
  }
  return dims;
}

FailureOr<SmallVector<int64_t>> NodeContext::constantInts(unsigned i,
                                                          StringRef what) {
  FailureOr<Dims> dims = sizesOf(i, what);
  if (failed(dims))
    return failure();
  std::optional<SmallVector<int64_t>> values = constantDims(*dims);
  if (!values)
    return unsupported(what + " is " + toString(ArrayRef(*dims)) +
                       ", expected constants");
  return *values;
}

FailureOr<std::vector<int64_t>> NodeContext::weightInts(unsigned i,
                                                        StringRef what) {
  StatusOr<std::vector<int64_t>> values = readIntegers(input(i), state.model);
  if (values.isOk())
    return *std::move(values);
  std::string message = (what + " " + values.status().message()).str();
  return values.status().code() == StatusCode::Unsupported
             ? unsupported(message)
             : invalid(message);
}

FailureOr<DimExpr> NodeContext::sizeOrSymbol(unsigned i, StringRef what,
                                             std::optional<DimExpr> limit) {
  if (std::optional<DimExpr> size = knownSize(i))
    return *size;
  std::optional<SizeElements> known = elements(input(i));
  if (!known || known->size() != 1)
    return invalid(what + " has dimensions " + toString(ArrayRef(dims(i))) +
                   ", expected one integer");
  unsigned number = known->front().runTime;
  std::optional<DimExpr> bound =
      upperBound(state.runTimeSources.lookup(number));
  if (bound && limit && !isAtLeast(*limit, *bound))
    bound = isAtLeast(*bound, *limit) ? *limit : DimExpr::min(*bound, *limit);
  if (!bound)
    bound = limit;
  if (!bound)
    return unsupported(what + " is known only at run time and has no bound");
  DimExpr symbol = state.newDataSymbol(*bound);
  state.runTimeSymbols.insert({number, symbol});
  return symbol;
}

std::optional<DimExpr> NodeContext::knownSize(unsigned i) {
  std::optional<SizeElements> known = elements(input(i));
  if (!known || known->size() != 1)
    return std::nullopt;
  const SizeElement &element = known->front();
  if (element.isKnown())
    return element.expr;
  auto it = state.runTimeSymbols.find(element.runTime);
  if (it == state.runTimeSymbols.end())
    return std::nullopt;
  return it->second;
}

std::optional<double> NodeContext::constantNumber(unsigned i) {
  if (!has(i))
    return std::nullopt;
  DenseElementsAttr dense = constantOf(input(i));
  if (!dense || dense.getNumElements() != 1)
    return std::nullopt;
  if (isa<FloatType>(dense.getElementType())) {
    APFloat value = *dense.value_begin<APFloat>();
    bool losesInfo;
    value.convert(APFloat::IEEEdouble(), APFloat::rmNearestTiesToEven,
                  &losesInfo);
    return value.convertToDouble();
  }
  const APInt value = *dense.value_begin<APInt>();
  bool isUnsigned = dense.getElementType().isUnsignedInteger() ||
                    dense.getElementType().isInteger(1);
  return value.roundToDouble(!isUnsigned);
}

//===----------------------------------------------------------------------===//
// Attributes
//===----------------------------------------------------------------------===//

const onnx::AttributeProto *NodeContext::findAttr(StringRef name) {
  knownAttributes.insert(name);
  for (const onnx::AttributeProto *attribute : attributes)
    if (name == StringRef(attribute->name()))
      return attribute;
  return nullptr;
}

const onnx::AttributeProto *
NodeContext::typedAttr(StringRef name,
                       onnx::AttributeProto::AttributeType type) {
  const onnx::AttributeProto *attribute = findAttr(name);
  if (attribute && attribute->type() != type) {
    (void)invalid("attribute '" + name + "' has type " +
                  Twine(static_cast<int>(attribute->type())) + ", expected " +
                  Twine(static_cast<int>(type)));
    return nullptr;
  }
  return attribute;
}

int64_t NodeContext::intAttr(StringRef name, int64_t otherwise) {
  const auto *attribute = typedAttr(name, onnx::AttributeProto::INT);
  return attribute ? attribute->i() : otherwise;
}

int64_t NodeContext::requiredInt(StringRef name) {
  const auto *attribute = typedAttr(name, onnx::AttributeProto::INT);
  if (!attribute)
    (void)invalid("attribute '" + name + "' is missing");
  return attribute ? attribute->i() : 0;
}

float NodeContext::floatAttr(StringRef name, float otherwise) {
  const auto *attribute = typedAttr(name, onnx::AttributeProto::FLOAT);
  return attribute ? attribute->f() : otherwise;
}

std::string NodeContext::stringAttr(StringRef name, StringRef otherwise) {
  const auto *attribute = typedAttr(name, onnx::AttributeProto::STRING);
  return attribute ? attribute->s() : otherwise.str();
}

std::optional<SmallVector<int64_t>> NodeContext::intsAttr(StringRef name) {
  const auto *attribute = typedAttr(name, onnx::AttributeProto::INTS);
  if (!attribute)
    return std::nullopt;
  return SmallVector<int64_t>(attribute->ints().begin(),
                              attribute->ints().end());
}

LogicalResult NodeContext::expectInt(StringRef name, int64_t otherwise,
                                     int64_t supported) {
  int64_t value = intAttr(name, otherwise);
  if (value == supported)
    return success();
  return unsupported("attribute '" + name + "' = " + Twine(value) +
                     " is not supported, expected " + Twine(supported));
}

LogicalResult NodeContext::checkAttributes() {
  for (const onnx::AttributeProto *attribute : attributes)
    if (!knownAttributes.contains(attribute->name()))
      return unsupported("attribute '" + attribute->name() +
                         "' is not known for this operator");
  return success();
}

FailureOr<int64_t> NodeContext::axisIn(int64_t axis, int64_t rank) {
  if (axis < -rank || axis >= rank)
    return invalid("axis " + Twine(axis) + " is not one of a tensor of rank " +
                   Twine(rank));
  return axis < 0 ? axis + rank : axis;
}

FailureOr<SmallVector<int64_t>> NodeContext::axesIn(ArrayRef<int64_t> axes,
                                                    int64_t rank) {
  SmallVector<int64_t> result;
  for (int64_t axis : axes) {
    FailureOr<int64_t> counted = axisIn(axis, rank);
    if (failed(counted))
      return failure();
    result.push_back(*counted);
  }
  llvm::sort(result);
  if (std::unique(result.begin(), result.end()) != result.end())
    return invalid("an axis is given twice");
  return result;
}

//===----------------------------------------------------------------------===//
// Outputs
//===----------------------------------------------------------------------===//

void NodeContext::set(unsigned i, Value value) {
  if (!wants(i))
    return;
  ImportValue &out = state.newValue(loc);
  out.type = getTensorType(value);
  out.ir = value;
  outputs[i] = &out;
}

void NodeContext::setElements(unsigned i, RankedTensorType type,
                              SizeElements elements) {
  if (!wants(i))
    return;
  ImportValue &out = state.newValue(loc);
  out.type = type;
  out.elements = std::move(elements);
  outputs[i] = &out;
}

void NodeContext::setMoved(unsigned i, RankedTensorType type,
                           std::optional<SizeElements> elements,
                           llvm::function_ref<Value()> emit) {
  if (elements && allKnown(*elements))
    return setElements(i, type, std::move(*elements));
  Value value = emit();
  if (hasFailed() || !wants(i))
    return;
  set(i, value);
  outputs[i]->elements = std::move(elements);
}

} // namespace moe::onnx_import
