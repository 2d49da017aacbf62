//===- LowerWeights.cpp - Weights of products in fewer bytes --------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Rounds weights to what the user chose. The rounding is part of the weight's
// expression, so that everything behind this pass, down to the plan writer,
// the kernels and the reference interpreter, agrees about the values:
//
//   matmul x, w  ->  matmul x, quantize [4, 32, 0] (w)
//   matmul x, w  ->  matmul x, cast f32 (cast f16 (w))
//
// Of f16, a weight with numbers that would become infinite stays. A weight with
// several readers gets one expression for each way it is read;
// who looks rows up in it, as embeddings do, keeps the numbers of the file.
//
// Before: a recognized model on one device. After: the same operations; weights
// of products are rounded, and `arithmetic` says how their rows are read.
//
//===----------------------------------------------------------------------===//

#include "passes/Passes.h"
#include "passes/lower/LayerInfo.h"
#include "passes/quantize/WeightRange.h"
#include "passes/quantize/WeightReaders.h"

#include "dialect/moe/MoeTypes.h"
#include "dialect/moe/ParamBuilder.h"
#include "dialect/moe/WeightStorage.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/Remarks.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/SetVector.h"
#include "llvm/ADT/TypeSwitch.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/GlobPattern.h"
#include "llvm/Support/raw_ostream.h"

#include <cmath>

namespace moe::pass {
#define GEN_PASS_DEF_LOWERWEIGHTSPASS
#include "passes/Passes.h.inc"
} // namespace moe::pass

using namespace mlir;
using namespace moe;
using namespace moe::dialect;
using namespace moe::pass;

/// Below this, in either dimension, bytes do not matter and errors may.
static constexpr int64_t kSmall = 32;

namespace {
/// A pattern of names that stay.
struct Keep {
  std::string text;
  llvm::GlobPattern pattern;
  bool isUsed = false;
};

struct LowerWeights : moe::pass::impl::LowerWeightsPassBase<LowerWeights> {
  using LowerWeightsPassBase::LowerWeightsPassBase;

  void runOnOperation() override;

private:
  LogicalResult readOptions();
  void lower(Operation *op, ReadWeight &weight);
  std::optional<std::string> reasonToStay(Operation *op,
                                          const ReadWeight &weight);
  std::optional<std::string> reasonOfRange(Operation *op, ParamOp param);
  ParamAttr rounded(ParamAttr weight) const;
  void chooseArithmetic(Operation *op);

  std::vector<Keep> keeps;
  /// What was made of weights, read as [K, N] and as [N, K].
  llvm::MapVector<Operation *, std::array<ParamOp, 2>> made;
  /// Of weights that were read.
  DenseMap<ParamAttr, float> largestOf;
};
} // namespace

static remark::RemarkOpts remarkOptions(StringRef name) {
  return remark::RemarkOpts::name(name).category("moe-lower-weights");
}

LogicalResult LowerWeights::readOptions() {
  auto error = [&](const Twine &message) {
    return getOperation().emitError() << message;
  };
  if (!llvm::is_contained({"", "f32", "f16", "bf16", "int8", "int4"},
                          StringRef(dtype)))
    return error("dtype: unknown value '" + dtype +
                 "', expected f32, f16, bf16, int8 or int4");
  if (!llvm::is_contained({"", "file", "float", "int8"},
                          StringRef(activations)))
    return error("activations: unknown value '" + activations +
                 "', expected float, int8 or file");
  if (block != 16 && (block < 0 || block % 32 != 0))
    return error("block: " + Twine(block) +
                 " is not 0, 16 or a multiple of 32");
  for (const std::string &text : keep) {
    auto pattern = llvm::GlobPattern::create(text);
    if (!pattern)
      return error("--keep-f32: '" + text +
                   "': " + toString(pattern.takeError()));
    keeps.push_back({text, std::move(*pattern)});
  }
  return success();
}

/// The weight rounded to what the user chose.
ParamAttr LowerWeights::rounded(ParamAttr weight) const {
  if (StringRef(dtype).starts_with("int"))
    return param::quantize(weight, dtype == "int8" ? 8 : 4, block, zeroPoints);
  Type wide = weight.getType().getElementType();
  Type narrow = dtype == "f16" ? Type(Float16Type::get(weight.getContext()))
                               : BFloat16Type::get(weight.getContext());
  return param::cast(param::cast(weight, narrow), wide);
}

/// Why a weight keeps its numbers; nothing if it does not.
std::optional<std::string>
LowerWeights::reasonToStay(Operation *op, const ReadWeight &weight) {
  llvm::SetVector<StringAttr> names;
  collectNodeNames(op->getLoc(), names);
  names.insert(
      StringAttr::get(op->getContext(), weight.param().getName().value_or("")));
  for (Keep &each : keeps) {
    bool matches = llvm::any_of(names, [&](StringAttr name) {
      return each.pattern.match(name.getValue());
    });
    if (matches) {
      each.isUsed = true;
      return "'" + each.text + "' keeps it";
    }
  }
  if (codeFormat(weight.value))
    return "the file has it in codes";
  if (isRouterProduct(op))
    return "a router reads its product";
  ArrayRef<int64_t> shape = weight.value.getType().getShape().take_back(2);
  if (shape[0] < kSmall || shape[1] < kSmall)
    return "it is small";
  bool hasTwoBytes = narrowed(weight.value) ||
                     !weight.value.getType().getElementType().isF32();
  if (hasTwoBytes && !StringRef(dtype).starts_with("int"))
    return "it has two bytes an element";
  return reasonOfRange(op, weight.param());
}

/// Why a weight keeps its numbers if f16 lacks some of them. Codes scale to
/// what a block has, and bf16 reaches as far as f32.
std::optional<std::string> LowerWeights::reasonOfRange(Operation *op,
                                                       ParamOp param) {
  if (dtype != "f16" || folder.empty())
    return std::nullopt;
  auto [largest, isNew] = largestOf.try_emplace(param.getValue());
  if (isNew) {
    StatusOr<float> read = largestMagnitude(param.getValue(), folder);
    if (!read.isOk()) {
      op->emitError() << "weight '" << param.getName().value_or("")
                      << "': " << read.status().message();
      signalPassFailure();
      return "it cannot be read";
    }
    largest->second = *read;
  }
  if (!std::isinf(halfToFloat(floatToHalf(largest->second))))
    return std::nullopt;
  std::string reason;
  llvm::raw_string_ostream(reason)
      << "its largest number is "
      << llvm::format("%.6g", static_cast<double>(largest->second))
      << ", beyond the 65504 of f16";
  if (isNew)
    op->emitWarning() << "weight '" << param.getName().value_or("")
                      << "' stays f32: " << reason;
  return reason;
}

static std::string sizeText(ParamAttr weight) {
  std::string text;
  for (int64_t size : weight.getType().getShape()) {
    text += text.empty() ? "" : "x";
    text += std::to_string(size);
  }
  return text;
}

void LowerWeights::lower(Operation *op, ReadWeight &weight) {
  ParamOp param = weight.param();
  std::string name = llvm::formatv("'{0}' [{1}]", param.getName().value_or(""),
                                   sizeText(weight.value));
  if (auto reason = reasonToStay(op, weight)) {
    remark::missed(op->getLoc(), remarkOptions("stays"))
        << name + " stays " + describeStorage(weight.value) + ": " + *reason;
    return;
  }
  ParamOp &lowered = made[param][weight.isTransposed];
  if (!lowered) {
    ParamAttr value = rounded(weight.value);
    remark::passed(op->getLoc(), remarkOptions("lowered"))
        << name + " becomes " + describeStorage(value);
    if (weight.isTransposed)
      value = param::transpose(value, {1, 0});
    OpBuilder builder(param);
    lowered =
        ParamOp::create(builder, param.getLoc(), value, param.getNameAttr());
  }
  weight.operand->set(lowered);
}

//===----------------------------------------------------------------------===//
// Arithmetic
//===----------------------------------------------------------------------===//

static void setArithmetic(Operation *op, Arithmetic arithmetic) {
  llvm::TypeSwitch<Operation *>(op).Case<MatmulOp, FfnOp, ExpertsOp>(
      [&](auto product) { product.setArithmetic(arithmetic); });
}

void LowerWeights::chooseArithmetic(Operation *op) {
  SmallVector<ReadWeight> weights = weightsOf(op);
  if (weights.empty())
    return;
  if (activations == "float") {
    if (arithmeticOf(op) == Arithmetic::Int8)
      remark::missed(op->getLoc(), remarkOptions("arithmetic"))
          << "computes in float, though the file allows rows of 8 bits "
             "(activations=file)";
    return setArithmetic(op, Arithmetic::Float);
  }
  if (isRouterProduct(op))
    return;
  for (const ReadWeight &weight : weights)
    if (!suitsInt8(weight.value)) {
      remark::missed(op->getLoc(), remarkOptions("arithmetic"))
          << llvm::formatv("computes in float: '{0}' is {1}, not in codes with "
                           "blocks of 32 n",
                           weight.param().getName().value_or(""),
                           describeStorage(weight.value))
                 .str();
      return setArithmetic(op, Arithmetic::Float);
    }
  setArithmetic(op, Arithmetic::Int8);
  remark::passed(op->getLoc(), remarkOptions("arithmetic"))
      << "rows are rounded to 8 bits";
}

void LowerWeights::runOnOperation() {
  if (failed(readOptions()))
    return signalPassFailure();
  SmallVector<Operation *> products;
  getOperation().walk([&](Operation *op) {
    if (isa<MatmulOp, FfnOp, ExpertsOp>(op))
      products.push_back(op);
  });
  if (!dtype.empty() && dtype != "f32")
    for (Operation *op : products)
      for (ReadWeight &weight : weightsOf(op))
        lower(op, weight);
  if (!activations.empty() && activations != "file")
    llvm::for_each(products, [&](Operation *op) { chooseArithmetic(op); });
  for (auto &[param, lowered] : made)
    if (param->use_empty())
      param->erase();
  for (const Keep &each : keeps)
    if (!each.isUsed)
      getOperation().emitWarning() << "--keep-f32: '" << each.text
                                   << "' matches no weight that was to be "
                                   << "lowered";
}
