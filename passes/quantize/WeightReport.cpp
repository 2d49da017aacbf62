//===- WeightReport.cpp - What the rounding of weights costs --------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Each product is computed twice on the same rows: with the weights as they
// were before rounding, and as the plan has them, rows rounded where the
// arithmetic is int8. What the difference says is the error of one layer alone,
// on rows that are not those of a text: a hint where to look, not what a model
// loses.
//
//===----------------------------------------------------------------------===//

#include "passes/quantize/WeightReport.h"

#include "dialect/moe/HostTensor.h"
#include "dialect/moe/MoeTypes.h"
#include "dialect/moe/ParamBuilder.h"
#include "dialect/moe/Shapes.h"
#include "dialect/moe/WeightStorage.h"
#include "passes/emit/ParamTable.h"
#include "passes/quantize/WeightReaders.h"
#include "runtime/params/Elements.h"
#include "runtime/params/ParamExpr.h"
#include "runtime/plan/Plan_generated.h"

#include "mlir/IR/BuiltinOps.h"

#include <cmath>
#include <numbers>
#include <random>

using namespace mlir;
using namespace moe;
using namespace moe::dialect;
using namespace moe::pass;

/// Of a weight that is read at once.
static constexpr int64_t kWindowBytes = 4 << 20;

namespace {
/// Row major [rows, columns].
struct Matrix {
  int64_t rows = 0, columns = 0;
  std::vector<double> values;

  Matrix(int64_t rows, int64_t columns)
      : rows(rows), columns(columns), values(rows * columns) {}
  MutableArrayRef<double> row(int64_t r) {
    return MutableArrayRef(values).slice(r * columns, columns);
  }
};

/// One weight, bias included.
struct Factor {
  ParamAttr weight; ///< [K, N]
  ParamAttr bias;   ///< [N], or null
  bool roundsRows = false;
};

/// The matrices of an FFN, or of a product (w1 alone).
struct Network {
  std::optional<Factor> w1, w3, w2;
  Gating gating = Gating::None;
  HostActivation activation;
};

class Evaluation {
public:
  Evaluation(std::string folder) : folder(std::move(folder)) {}

  StatusOr<Matrix> run(const Network &network, const Matrix &x);

private:
  StatusOr<Matrix> product(const Factor &factor, Matrix x);
  Status read(ParamEvaluator &evaluator, uint32_t expr,
              ArrayRef<int64_t> starts, ArrayRef<int64_t> sizes);

  std::string folder;
  std::vector<std::byte> bytes;
  std::vector<float> window;
};
} // namespace

//===----------------------------------------------------------------------===//
// Products
//===----------------------------------------------------------------------===//

/// Leaves the window in `window`.
Status Evaluation::read(ParamEvaluator &evaluator, uint32_t expr,
                        ArrayRef<int64_t> starts, ArrayRef<int64_t> sizes) {
  int64_t count = *numElementsOf(sizes);
  DType dtype = evaluator.dtype(expr);
  bytes.resize(count * dtypeSize(dtype));
  window.resize(count);
  MOE_RETURN_IF_ERROR(evaluator.evaluate(expr, {starts.data(), starts.size()},
                                         {sizes.data(), sizes.size()}, bytes));
  convertElements(dtype, bytes.data(), DType::F32,
                  reinterpret_cast<std::byte *>(window.data()), count);
  return Status::ok();
}

StatusOr<Matrix> Evaluation::product(const Factor &factor, Matrix x) {
  if (factor.roundsRows)
    for (int64_t r = 0; r < x.rows; ++r)
      roundRow(x.row(r));
  plan::ProgramT tables;
  ParamTable table(tables, folder, "");
  MOE_ASSIGN_OR_RETURN(uint32_t expr, table.add(factor.weight));
  std::optional<uint32_t> bias;
  if (factor.bias) {
    MOE_ASSIGN_OR_RETURN(bias, table.add(factor.bias));
  }
  MOE_ASSIGN_OR_RETURN(ParamEvaluator evaluator,
                       ParamEvaluator::create(tables, {folder}));
  int64_t depth = factor.weight.getType().getDimSize(0);
  Matrix result(x.rows, factor.weight.getType().getDimSize(1));
  int64_t width =
      std::max<int64_t>(kWindowBytes / 4 / std::max<int64_t>(depth, 1), 16);
  for (int64_t n = 0; n < result.columns; n += width) {
    int64_t count = std::min(width, result.columns - n);
    MOE_RETURN_IF_ERROR(read(evaluator, expr, {0, n}, {depth, count}));
    for (int64_t r = 0; r < x.rows; ++r)
      for (int64_t k = 0; k < depth; ++k) {
        const float *from = window.data() + k * count;
        double *to = result.row(r).data() + n, factorOfRow = x.row(r)[k];
        for (int64_t i = 0; i < count; ++i)
          to[i] += factorOfRow * from[i];
      }
  }
  if (bias) {
    MOE_RETURN_IF_ERROR(read(evaluator, *bias, {0}, {result.columns}));
    for (int64_t r = 0; r < x.rows; ++r)
      for (int64_t n = 0; n < result.columns; ++n)
        result.row(r)[n] += window[n];
  }
  return result;
}

StatusOr<Matrix> Evaluation::run(const Network &network, const Matrix &x) {
  MOE_ASSIGN_OR_RETURN(Matrix first, product(*network.w1, x));
  if (!network.w2)
    return first;
  int64_t size = network.w2->weight.getType().getDimSize(0);
  Matrix third(x.rows, 0), inner(x.rows, size);
  if (network.w3) {
    MOE_ASSIGN_OR_RETURN(third, product(*network.w3, x));
  }
  bool interleaves = network.gating == Gating::Interleaved;
  for (int64_t r = 0; r < x.rows; ++r)
    for (int64_t i = 0; i < size; ++i) {
      std::optional<double> linear;
      if (network.gating == Gating::Split)
        linear = third.row(r)[i];
      else if (network.gating != Gating::None)
        linear = first.row(r)[interleaves ? 2 * i + 1 : size + i];
      double gate = first.row(r)[interleaves ? 2 * i : i];
      inner.row(r)[i] = evaluateActivation(network.activation, gate, linear);
    }
  return product(*network.w2, std::move(inner));
}

//===----------------------------------------------------------------------===//
// Operations
//===----------------------------------------------------------------------===//

static ParamAttr valueOf(Value value) {
  auto param = value ? value.getDefiningOp<ParamOp>() : ParamOp();
  return param ? param.getValue() : ParamAttr();
}

/// Entry `index` of the first dimension, or the weight itself if it has none
/// for experts.
static ParamAttr entryOf(ParamAttr weight, int64_t index, bool isOfExperts) {
  if (!weight || !isOfExperts)
    return weight;
  SmallVector<int64_t> sizes(weight.getType().getShape());
  SmallVector<int64_t> starts(sizes.size(), 0), steps(sizes.size(), 1);
  starts[0] = index;
  sizes[0] = 1;
  return param::reshape(param::slice(weight, starts, steps, sizes),
                        ArrayRef(sizes).drop_front());
}

/// The weights of expert `index`, as the plan has them or before they were
/// rounded.
static Network networkOf(Operation *op, int64_t index, bool isRounded) {
  Network network;
  bool isOfExperts = isa<ExpertsOp>(op);
  bool isInt8 = isRounded && arithmeticOf(op) == Arithmetic::Int8;
  auto biasOf = [&](StringRef role) -> Value {
    auto ofNetwork = [&](auto ffn) {
      return role == "w1"   ? ffn.getB1()
             : role == "w2" ? ffn.getB2()
                            : ffn.getB3();
    };
    if (auto matmul = dyn_cast<MatmulOp>(op))
      return matmul.getBias();
    auto experts = dyn_cast<ExpertsOp>(op);
    return experts ? ofNetwork(experts) : ofNetwork(cast<FfnOp>(op));
  };
  for (const ReadWeight &read : weightsOf(op)) {
    ParamAttr weight = isRounded ? read.value : beforeRounding(read.value);
    Factor factor{entryOf(weight, index, isOfExperts),
                  entryOf(valueOf(biasOf(read.role)), index, isOfExperts),
                  isInt8 && suitsInt8(read.value)};
    (read.role == "w2"   ? network.w2
     : read.role == "w3" ? network.w3
                         : network.w1) = factor;
  }
  auto setActivation = [&](auto ffn) {
    network.gating = ffn.getGating();
    network.activation = {ffn.getActivation(), ffn.getAlpha().convertToDouble(),
                          ffn.getBeta().convertToDouble(),
                          ffn.getLimit().convertToDouble()};
  };
  if (auto ffn = dyn_cast<FfnOp>(op))
    setActivation(ffn);
  if (auto experts = dyn_cast<ExpertsOp>(op))
    setActivation(experts);
  return network;
}

/// Rows of N(0, 1), by the method of Box and Muller.
static Matrix seededRows(int64_t rows, int64_t columns, uint64_t seed) {
  std::mt19937_64 random(seed);
  auto uniform = [&] {
    return (static_cast<double>(random() >> 11) + 0.5) * 0x1p-53;
  };
  Matrix x(rows, columns);
  for (double &value : x.values) {
    double radius = std::sqrt(-2 * std::log(uniform()));
    value = radius * std::cos(2 * std::numbers::pi * uniform());
  }
  return x;
}

/// All weights of the operation, so that it can be computed.
static bool isComplete(Operation *op) {
  size_t expected = 1;
  if (auto ffn = dyn_cast<FfnOp>(op))
    expected = ffn.getW3() ? 3 : 2;
  if (auto experts = dyn_cast<ExpertsOp>(op))
    expected = experts.getW3() ? 3 : 2;
  return weightsOf(op).size() == expected;
}

static StatusOr<ProductError> measure(Operation *op,
                                      const WeightReportOptions &options) {
  ParamAttr first = weightsOf(op).front().value;
  int64_t depth = first.getType().getShape().take_back(2)[0];
  int64_t numExperts = 1;
  if (isa<ExpertsOp>(op))
    numExperts = std::min(options.numExperts, first.getType().getDimSize(0));
  Matrix x = seededRows(options.numRows, depth, options.seed);
  Evaluation evaluation(options.modelFolder);
  ProductError error;
  double difference = 0, length = 0;
  for (int64_t expert = 0; expert < numExperts; ++expert) {
    MOE_ASSIGN_OR_RETURN(Matrix exact,
                         evaluation.run(networkOf(op, expert, false), x));
    MOE_ASSIGN_OR_RETURN(Matrix rounded,
                         evaluation.run(networkOf(op, expert, true), x));
    for (auto [a, b] : llvm::zip_equal(exact.values, rounded.values)) {
      if (!std::isfinite(a)) // the numbers of the file are not
        continue;
      // Numbers beyond f16 became infinite.
      double distance = std::isfinite(b) ? std::abs(a - b) : HUGE_VAL;
      error.largest = std::max(error.largest, distance);
      difference += distance * distance;
      length += a * a;
    }
  }
  error.relative = length > 0 ? std::sqrt(difference / length) : 0;
  return error;
}

StatusOr<std::vector<ProductRow>>
moe::pass::reportWeights(ModuleOp module, const WeightReportOptions &options) {
  SmallVector<Operation *> products;
  module.walk([&](Operation *op) {
    if (isComplete(op) && !weightsOf(op).empty())
      products.push_back(op);
  });
  std::vector<ProductRow> rows;
  for (Operation *op : products) {
    ProductRow row;
    row.node = nodeNameOf(op).str();
    row.operation = op->getName().stripDialect().str();
    row.arithmetic = stringifyArithmetic(arithmeticOf(op)).str();
    bool isRounded = arithmeticOf(op) == Arithmetic::Int8;
    for (const ReadWeight &weight : weightsOf(op)) {
      ParamAttr before = beforeRounding(weight.value);
      isRounded |= before != weight.value;
      row.weights.push_back({weight.param().getName().value_or("").str(),
                             weight.role.str(), describeStorage(weight.value),
                             storedBytes(before), storedBytes(weight.value)});
    }
    if (isRounded && options.measures) {
      StatusOr<ProductError> error = measure(op, options);
      MOE_RETURN_IF_ERROR(error.status().at("node \"" + row.node + "\""));
      row.error = *error;
    }
    rows.push_back(std::move(row));
  }
  return rows;
}
