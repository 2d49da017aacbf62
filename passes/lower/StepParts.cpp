//===- StepParts.cpp - What a step takes from its operation ---------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/lower/StepParts.h"

#include "dialect/moe/MoeTypes.h"
#include "dialect/moe/WeightStorage.h"
#include "dialect/plan/PlanDialect.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace moe;
using namespace moe::dialect;
using namespace moe::pass;

//===----------------------------------------------------------------------===//
// Operands
//===----------------------------------------------------------------------===//

/// Operands in the .td of operations whose last one is optional.
static size_t numSlots(Operation *op) {
  if (isa<MatmulOp, DispatchOp, CombineOp, OneHotOp, MixOp>(op))
    return 3;
  if (isa<TopKOp, PadOp>(op))
    return 2;
  return op->getNumOperands();
}

SmallVector<Value> moe::pass::operandSlots(Operation *op) {
  SmallVector<Value> slots;
  auto segments = op->getAttrOfType<DenseI32ArrayAttr>("operandSegmentSizes");
  if (!segments) {
    llvm::append_range(slots, op->getOperands());
    slots.resize(numSlots(op));
    return slots;
  }
  unsigned next = 0;
  for (int32_t size : segments.asArrayRef())
    slots.push_back(size == 0 ? Value() : op->getOperand(next++));
  return slots;
}

//===----------------------------------------------------------------------===//
// Settings
//===----------------------------------------------------------------------===//

template <typename EnumAttrT> static StringAttr keyword(EnumAttrT attr) {
  return StringAttr::get(attr.getContext(), stringifyEnum(attr.getValue()));
}

/// What layer, step and buffers say.
static bool isSaidElsewhere(Operation *op, NamedAttribute attr) {
  if (isa<PlacementAttr, CommGroupAttr>(attr.getValue()))
    return true;
  // Kernels compute in floats unless they are told otherwise.
  auto arithmetic = dyn_cast<ArithmeticAttr>(attr.getValue());
  if (arithmetic && arithmetic.getValue() == Arithmetic::Float)
    return true;
  return attr.getName() == "operandSegmentSizes" ||
         (isa<CacheAppendOp>(op) && attr.getName() == "state");
}

/// Null for an attribute of a kind that settings do not have.
static Attribute convertSetting(Attribute attr) {
  MLIRContext *context = attr.getContext();
  auto number = [&](int64_t value) {
    return IntegerAttr::get(IntegerType::get(context, 64), value);
  };
  return llvm::TypeSwitch<Attribute, Attribute>(attr)
      .Case([&](BoolAttr b) { return number(b.getValue()); })
      .Case([&](IntegerAttr i) { return number(i.getInt()); })
      .Case([&](FloatAttr f) {
        return FloatAttr::get(Float64Type::get(context), f.getValueAsDouble());
      })
      .Case<StringAttr, DenseI64ArrayAttr, DimsAttr>(
          [](auto same) { return same; })
      .Case<UnaryKindAttr, BinaryKindAttr, CompareKindAttr, ReduceKindAttr,
            ArgReduceKindAttr, ScatterKindAttr, PadModeAttr, NormKindAttr,
            ActivationAttr, GatingAttr, RouterScoreAttr, GroupScoreAttr,
            MixWeightAttr, NormalizeAttr, DropPolicyAttr, MixKindAttr,
            CollectiveReduceAttr, ExchangeFormAttr, ArithmeticAttr>(
          [](auto e) { return keyword(e); })
      .Default([](Attribute) { return Attribute(); });
}

FailureOr<DictionaryAttr> moe::pass::stepSettings(Operation *op) {
  NamedAttrList settings;
  for (NamedAttribute attr : op->getAttrs()) {
    // Attributes of the operation have no dialect in their name.
    if (attr.getNameDialect() || isSaidElsewhere(op, attr))
      continue;
    Attribute value = convertSetting(attr.getValue());
    if (!value)
      return op->emitOpError()
             << "has attribute '" << attr.getName().getValue()
             << "' = " << attr.getValue() << ", which a step cannot say";
    settings.append(attr.getName(), value);
  }
  auto experts = dyn_cast<ExpertsOp>(op);
  if (experts && experts.getPlacement() && experts.getPlacement()->hasSlices())
    settings.append(
        "slice_unit",
        Builder(op->getContext()).getI64IntegerAttr(sliceUnit(experts)));
  return settings.getDictionary(op->getContext());
}

//===----------------------------------------------------------------------===//
// Ranks and guards
//===----------------------------------------------------------------------===//

CommGroup moe::pass::stepGroup(Operation *op) {
  return llvm::TypeSwitch<Operation *, CommGroup>(op)
      .Case<ShardOp, AllGatherOp, ReduceScatterOp>(
          [](auto op) { return groupOfPart(op, op.getPart()); })
      .Case<GatherOp, GateOp>([](auto op) {
        return op.getPart() ? groupOfPart(op, *op.getPart()) : CommGroup::Rows;
      })
      .Case([](AllReduceOp op) { return op.getGroup(); })
      .Case<AllToAllOp, AllToAllBackOp>(
          [](auto op) { return op.getPlacement().getGroup(); })
      .Case([](ExpertsOp op) {
        return op.getPlacement() ? op.getPlacement()->getGroup()
                                 : CommGroup::Rows;
      })
      .Default([](Operation *) { return CommGroup::Rows; });
}

StringAttr moe::pass::stepGuard(Operation *op) {
  auto guard = dyn_cast_or_null<DimsAttr>(op->getDiscardableAttr(kGuard));
  return guard ? guard.getExprs()[0] : StringAttr();
}

bool moe::pass::runTogether(Operation *a, Operation *b) {
  return a->getBlock() == b->getBlock() &&
         a->getDiscardableAttr(kStream) == b->getDiscardableAttr(kStream) &&
         stepGuard(a) == stepGuard(b);
}

//===----------------------------------------------------------------------===//
// Elementwise programs
//===----------------------------------------------------------------------===//

static StringRef instructionName(Operation *op) {
  return llvm::TypeSwitch<Operation *, StringRef>(op)
      .Case<UnaryOp, BinaryOp, CompareOp>(
          [](auto op) { return stringifyEnum(op.getKind()); })
      .Case([](SelectOp) { return "select"; })
      .Case([](CastOp) { return "cast"; })
      .Default([](Operation *) { return "constant"; });
}

/// The value of a constant of rank 0: f64 for floats, i64 for the rest.
static TypedAttr constantValue(ConstantOp op) {
  MLIRContext *context = op.getContext();
  auto elements = cast<DenseElementsAttr>(op.getValue());
  if (isa<FloatType>(elements.getElementType())) {
    auto value = *elements.getValues<FloatAttr>().begin();
    return FloatAttr::get(Float64Type::get(context), value.getValueAsDouble());
  }
  auto type = IntegerType::get(context, 64);
  APInt value = *elements.getValues<APInt>().begin();
  bool isUnsigned = elements.getElementType().isUnsignedInteger() ||
                    elements.getElementType().isInteger(1);
  return IntegerAttr::get(type, isUnsigned ? value.zextOrTrunc(64)
                                           : value.sextOrTrunc(64));
}

ElementwiseProgram moe::pass::elementwiseProgram(ElementwiseOp op) {
  MLIRContext *context = op.getContext();
  Block &body = op.getBody().front();
  DenseMap<Value, int64_t> registers;
  for (BlockArgument argument : body.getArguments())
    registers[argument] = argument.getArgNumber();
  auto registersOf = [&](ValueRange values) {
    SmallVector<int64_t> numbers;
    for (Value value : values)
      numbers.push_back(registers.lookup(value));
    return DenseI64ArrayAttr::get(context, numbers);
  };
  SmallVector<Attribute> instructions;
  for (Operation &inner : body.without_terminator()) {
    TypedAttr value;
    if (auto constant = dyn_cast<ConstantOp>(inner))
      value = constantValue(constant);
    instructions.push_back(plan_dialect::InstrAttr::get(
        context, StringAttr::get(context, instructionName(&inner)),
        getTensorType(inner.getResult(0)).getElementType(),
        registersOf(inner.getOperands()), value));
    int64_t defined = registers.size();
    registers[inner.getResult(0)] = defined;
  }
  return {ArrayAttr::get(context, instructions),
          registersOf(body.getTerminator()->getOperands())};
}
