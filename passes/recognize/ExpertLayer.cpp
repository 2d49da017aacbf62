//===- ExpertLayer.cpp - Build a recognized layer -------------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/recognize/ExpertLayer.h"

#include "dialect/moe/MoeBuild.h"
#include "dialect/moe/MoeDialect.h"
#include "dialect/moe/ParamCodes.h"
#include "dialect/moe/SizeBounds.h"
#include "passes/recognize/Match.h"

#include "mlir/IR/Remarks.h"
#include "mlir/Interfaces/FunctionInterfaces.h"
#include "llvm/Support/FormatVariadic.h"

using namespace mlir;
using namespace moe::dialect;

namespace moe::pass {

//===----------------------------------------------------------------------===//
// Weights
//===----------------------------------------------------------------------===//

/// The expression of a matrix as [.., in, out], of a stacked bias as [E, out].
static ParamAttr canonicalWeight(const WeightRef &weight, bool isBias) {
  ParamAttr value = ParamOp(weight.param).getValue();
  if (isBias && weight.isStacked) {
    ArrayRef<int64_t> shape = value.getType().getShape();
    return param::reshape(value, {shape.front(), shape.back()});
  }
  if (!weight.isTransposed)
    return value;
  int64_t rank = value.getType().getRank();
  auto permutation = llvm::to_vector(llvm::seq<int64_t>(0, rank));
  std::swap(permutation[rank - 1], permutation[rank - 2]);
  return param::transpose(value, permutation);
}

/// "experts.0.w1", "experts.1.w1" -> "experts.*.w1".
static StringAttr commonName(ArrayRef<WeightRef> weights) {
  StringAttr first = ParamOp(weights.front().param).getNameAttr();
  if (!first || weights.size() == 1)
    return first;
  StringRef prefix = first, suffix = first;
  for (const WeightRef &weight : weights.drop_front()) {
    StringAttr next = ParamOp(weight.param).getNameAttr();
    if (!next)
      return {};
    while (!next.getValue().starts_with(prefix))
      prefix = prefix.drop_back();
    while (!next.getValue().ends_with(suffix))
      suffix = suffix.drop_front();
  }
  if (prefix == first.getValue() ||
      prefix.size() + suffix.size() > first.size())
    return first;
  return StringAttr::get(first.getContext(), prefix + "*" + suffix);
}

namespace {
/// Makes the weights of one operation: those of all experts stacked, or those
/// of the one FFN as they are.
class WeightBuilder {
public:
  WeightBuilder(OpBuilder &builder, ArrayRef<FfnMatch> ffns)
      : builder(builder), ffns(ffns) {}

  Value build(WeightRef FfnMatch::*member) {
    if (!(ffns.front().*member))
      return Value();
    SmallVector<WeightRef> weights;
    for (const FfnMatch &ffn : ffns)
      weights.push_back(ffn.*member);
    return create(weights, join(weights, isBias(member)));
  }

  /// The first or second half of the columns.
  Value buildHalf(WeightRef FfnMatch::*member, bool second) {
    if (!(ffns.front().*member))
      return Value();
    WeightRef weight = ffns.front().*member;
    ParamAttr whole = join({weight}, isBias(member));
    SmallVector<int64_t> sizes(whole.getType().getShape());
    SmallVector<int64_t> starts(sizes.size(), 0), steps(sizes.size(), 1);
    sizes.back() /= 2;
    starts.back() = second ? sizes.back() : 0;
    return create({weight}, param::slice(whole, starts, steps, sizes));
  }

private:
  OpBuilder &builder;
  ArrayRef<FfnMatch> ffns;

  static bool isBias(WeightRef FfnMatch::*member) {
    return member == &FfnMatch::b1 || member == &FfnMatch::b2 ||
           member == &FfnMatch::b3;
  }

  static ParamAttr join(ArrayRef<WeightRef> weights, bool isBias) {
    SmallVector<ParamAttr> values;
    for (const WeightRef &weight : weights) {
      ParamAttr value = canonicalWeight(weight, isBias);
      // Codes lie along the sums, where either way says the same.
      if (!isBias)
        value = param::codesAlong(value, value.getType().getRank() - 2);
      values.push_back(value);
    }
    return values.size() == 1 ? values.front() : param::stack(values);
  }

  Value create(ArrayRef<WeightRef> weights, ParamAttr value) {
    ParamOp first = weights.front().param;
    return ParamOp::create(builder, first.getLoc(), value, commonName(weights));
  }
};

struct FfnOperands {
  Value w1, b1, w2, b2, w3, b3;
  Gating gating;
};
} // namespace

static FfnOperands buildOperands(OpBuilder &builder, ArrayRef<FfnMatch> ffns) {
  WeightBuilder weights(builder, ffns);
  FfnOperands operands;
  operands.gating = ffns.front().gating;
  operands.w2 = weights.build(&FfnMatch::w2);
  operands.b2 = weights.build(&FfnMatch::b2);
  if (ffns.front().isLinearFirst && ffns.size() == 1) {
    // [l.. | g..] is no gating of the dialect; two weights say the same.
    operands.gating = Gating::Split;
    operands.w1 = weights.buildHalf(&FfnMatch::w1, true);
    operands.b1 = weights.buildHalf(&FfnMatch::b1, true);
    operands.w3 = weights.buildHalf(&FfnMatch::w1, false);
    operands.b3 = weights.buildHalf(&FfnMatch::b1, false);
    return operands;
  }
  operands.w1 = weights.build(&FfnMatch::w1);
  operands.b1 = weights.build(&FfnMatch::b1);
  operands.w3 = weights.build(&FfnMatch::w3);
  operands.b3 = weights.build(&FfnMatch::b3);
  return operands;
}

//===----------------------------------------------------------------------===//
// Operations
//===----------------------------------------------------------------------===//

int64_t ExpertLayer::numExperts() const {
  if (ffns.size() > 1 || ffns.front().w2.isDense())
    return ffns.size();
  return ParamOp(ffns.front().w2.param).getValue().getType().getDimSize(0);
}

/// A new data symbol of the function around the builder.
static DimExpr newDataSymbol(OpBuilder &builder, StringRef base,
                             const DimExpr &bound) {
  Operation *function = builder.getInsertionBlock()->getParentOp();
  NamedAttrList symbols(function->getAttrOfType<DictionaryAttr>(kDataSymbols));
  std::string name;
  for (size_t i = symbols.getAttrs().size(); name.empty() || symbols.get(name);
       ++i)
    name = (base + "." + Twine(i)).str();
  std::map<std::string, DimExpr, std::less<>> known;
  for (NamedAttribute symbol : symbols)
    if (auto text = dyn_cast<StringAttr>(symbol.getValue()))
      if (auto most = DimExpr::parse(text.getValue().str()); most.isOk())
        known.emplace(symbol.getName().str(), *most);
  DimExpr most = upperBoundOf(bound, known);
  symbols.set(name, builder.getStringAttr(most.toString()));
  function->setAttr(kDataSymbols, symbols.getDictionary(builder.getContext()));
  return DimExpr::symbol(name);
}

static void remarkLayer(Location loc, const ExpertLayer &layer, int64_t k) {
  auto gate = stripCasts(layer.experts).getDefiningOp<GateOp>();
  std::string router = "custom";
  std::string capacity;
  if (gate) {
    router = stringifyRouterScore(gate.getScore()).str();
    if (gate.getMixWeight() == MixWeight::SoftmaxTopk)
      router += ", softmax over the chosen";
    if (gate.getNumGroups() > 1)
      router += llvm::formatv(", {0} of {1} groups",
                              static_cast<int64_t>(gate.getTopkGroups()),
                              static_cast<int64_t>(gate.getNumGroups()));
    if (gate.getDropPolicy() != DropPolicy::None)
      capacity = llvm::formatv(", capacity factor {0} but at least {1}",
                               gate.getCapacityFactor().convertToFloat(),
                               static_cast<int64_t>(gate.getMinCapacity()));
  }
  int64_t experts = layer.numExperts();
  mlir::remark::passed(
      loc, mlir::remark::RemarkOpts::name("layer").category("moe-recognize"))
      << llvm::formatv("{0} experts, k = {1}, router {2}{3}; was {4}, {5:F2} "
                       "times the work",
                       experts, k, router, capacity, layer.form,
                       static_cast<double>(experts) / k)
             .str();
}

/// How all products read their rows; in float if they differ.
static ArithmeticAttr arithmeticOf(MLIRContext *context,
                                   ArrayRef<FfnMatch> ffns) {
  bool isInt8 = llvm::all_of(ffns, [](const FfnMatch &ffn) {
    return llvm::all_of(ffn.ops, [](Operation *op) {
      auto product = dyn_cast<MatmulOp>(op);
      return !product || product.getArithmetic() == Arithmetic::Int8;
    });
  });
  return ArithmeticAttr::get(context,
                             isInt8 ? Arithmetic::Int8 : Arithmetic::Float);
}

FailureOr<Value> buildExpertLayer(OpBuilder &builder, Location loc,
                                  const ExpertLayer &layer) {
  // What the dialect cannot express stays as written; that is no error.
  ScopedDiagnosticHandler ignore(builder.getContext(),
                                 [](Diagnostic &) { return success(); });
  if (layer.ffns.front().isLinearFirst && layer.ffns.size() > 1)
    return failure();
  Dims choices = getDims(layer.experts);
  Dims tokens = getDims(layer.tokens);
  std::optional<int64_t> k =
      choices.size() == 2 ? choices[1].constantValue() : std::nullopt;
  if (!k || tokens.size() != 2 || tokens[0] != choices[0])
    return failure();
  int64_t numExperts = layer.numExperts();
  Type i32 = builder.getI32Type();
  Type element = getTensorType(layer.tokens).getElementType();

  Value experts = castTo(builder, loc, stripCasts(layer.experts), i32);
  DimExpr rows = newDataSymbol(builder, "rows", choices[0] * DimExpr(*k));
  auto dispatch = DispatchOp::create(
      builder, loc, getTensorType(element, {rows, tokens[1]}),
      getTensorType(i32, {DimExpr(numExperts)}), getTensorType(i32, choices),
      layer.tokens, experts, layer.weighsInputs ? layer.weights : Value(),
      builder.getI64IntegerAttr(numExperts));

  FfnOperands ffn = buildOperands(builder, layer.ffns);
  llvm::SetVector<Operation *> ops;
  for (const FfnMatch &match : layer.ffns)
    ops.insert(match.ops.begin(), match.ops.end());
  const FfnMatch &form = layer.ffns.front();
  auto outputs = createChecked<ExpertsOp>(
      builder, fuseLocations(builder.getContext(), ops.getArrayRef()),
      dispatch.getRows(), dispatch.getCounts(), ffn.w1, ffn.b1, ffn.w2, ffn.b2,
      ffn.w3, ffn.b3,
      ActivationAttr::get(builder.getContext(), form.activation),
      GatingAttr::get(builder.getContext(), ffn.gating),
      builder.getF32FloatAttr(form.alpha), builder.getF32FloatAttr(form.beta),
      builder.getF32FloatAttr(form.limit),
      arithmeticOf(builder.getContext(), layer.ffns), PlacementAttr());
  if (failed(outputs))
    return failure();
  auto combined = createChecked<CombineOp>(
      builder, loc, outputs->getResult(), dispatch.getSlots(),
      layer.weighsInputs ? Value() : layer.weights);
  if (failed(combined))
    return failure();
  remarkLayer(loc, layer, *k);
  return combined->getResult();
}

FailureOr<Value> buildFfn(OpBuilder &builder, Location loc,
                          const FfnMatch &ffn) {
  ScopedDiagnosticHandler ignore(builder.getContext(),
                                 [](Diagnostic &) { return success(); });
  FfnOperands operands = buildOperands(builder, {ffn});
  auto op = createChecked<FfnOp>(
      builder, loc, ffn.input, operands.w1, operands.b1, operands.w2,
      operands.b2, operands.w3, operands.b3,
      ActivationAttr::get(builder.getContext(), ffn.activation),
      GatingAttr::get(builder.getContext(), operands.gating),
      builder.getF32FloatAttr(ffn.alpha), builder.getF32FloatAttr(ffn.beta),
      builder.getF32FloatAttr(ffn.limit),
      arithmeticOf(builder.getContext(), {ffn}));
  if (failed(op))
    return failure();
  return op->getResult();
}

} // namespace moe::pass
