//===- BuildEinsum.cpp - Einsum as products and transposes ----------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Two operands at a time: each index is
//
//   batch      in both operands and in the result
//   summed     in both operands, not in the result
//   free       in one operand and in the result
//
// (one in neither the other operand nor the result is summed beforehand), and
//
//   sec,sm->ecm    transpose to [e, c, s], matmul with [s, m]
//   se,sc->sec     nothing is summed: [s, e, 1] * [s, 1, c]
//   sec,ecm->sm    reshape to [s, e * c] and [e * c, m], matmul
//
//===----------------------------------------------------------------------===//

#include "frontend/onnx/Builders.h"

#include "llvm/ADT/StringExtras.h"

using namespace mlir;
using namespace moe::dialect;

namespace moe::onnx_import {

namespace {

/// A tensor whose dimensions have names.
struct Labeled {
  Value value;
  std::string labels;
};

/// Two operands become one.
class Contraction {
public:
  Contraction(NodeContext &n, Labeled a, Labeled b, const std::string &kept)
      : n(n), a(std::move(a)), b(std::move(b)), kept(kept) {}
  Labeled run();

private:
  void sortLabels();
  Labeled multiply();
  Labeled product();
  /// The dimensions of `x` in the order of `labels`, which are all of them.
  Value ordered(const Labeled &x, const std::string &labels);
  Labeled sumUnused(Labeled x, const Labeled &other);
  Dims sizes(const Labeled &x, const std::string &labels) const;

  NodeContext &n;
  Labeled a, b;
  std::string kept;
  std::string batch, summed, freeA, freeB;
};

} // namespace

static bool contains(const std::string &labels, char label) {
  return labels.find(label) != std::string::npos;
}

Dims Contraction::sizes(const Labeled &x, const std::string &labels) const {
  Dims dims;
  for (char label : labels)
    dims.push_back(getDim(x.value, x.labels.find(label)));
  return dims;
}

Value Contraction::ordered(const Labeled &x, const std::string &labels) {
  SmallVector<int64_t> permutation;
  for (char label : labels)
    permutation.push_back(x.labels.find(label));
  return n.transpose(x.value, permutation);
}

Labeled Contraction::sumUnused(Labeled x, const Labeled &other) {
  SmallVector<int64_t> axes;
  std::string labels;
  for (auto [i, label] : llvm::enumerate(x.labels)) {
    if (contains(kept, label) || contains(other.labels, label))
      labels += label;
    else
      axes.push_back(i);
  }
  if (axes.empty())
    return x;
  return {n.reduce(ReduceKind::Sum, x.value, axes, false), labels};
}

void Contraction::sortLabels() {
  for (char label : a.labels) {
    if (!contains(b.labels, label))
      freeA += label;
    else if (contains(kept, label))
      batch += label;
    else
      summed += label;
  }
  for (char label : b.labels)
    if (!contains(a.labels, label))
      freeB += label;
}

// Nothing is summed: an elementwise product.
Labeled Contraction::multiply() {
  Dims one = sizes(a, batch + freeA), other = sizes(b, batch);
  one.append(freeB.size(), DimExpr(1));
  other.append(freeA.size(), DimExpr(1));
  other.append(sizes(b, freeB));
  Value x = n.reshape(ordered(a, batch + freeA), one);
  Value y = n.reshape(ordered(b, batch + freeB), other);
  return {n.binary(BinaryKind::Mul, x, y), batch + freeA + freeB};
}

Labeled Contraction::product() {
  Dims batchDims = sizes(a, batch);
  Dims rows = sizes(a, freeA), columns = sizes(b, freeB);
  // Without batch, further rows can stand in front; else they are merged.
  bool mergeRows = !batch.empty() || freeA.empty();
  Dims lhs = batchDims, rhs = batchDims;
  if (mergeRows)
    lhs.push_back(dialect::product(rows));
  else
    lhs.append(rows);
  lhs.push_back(dialect::product(sizes(a, summed)));
  rhs.push_back(dialect::product(sizes(b, summed)));
  rhs.push_back(dialect::product(columns));
  Value x = n.reshape(ordered(a, batch + freeA + summed), lhs);
  Value y = n.reshape(ordered(b, batch + summed + freeB), rhs);
  Dims result = batchDims;
  result.append(rows);
  result.append(columns);
  return {n.reshape(n.matmul(x, y), result), batch + freeA + freeB};
}

Labeled Contraction::run() {
  a = sumUnused(a, b);
  b = sumUnused(b, a);
  sortLabels();
  for (char label : batch + summed)
    if (failed(n.unify(getDim(a.value, a.labels.find(label)),
                       getDim(b.value, b.labels.find(label)))))
      return {n.placeholder(), batch + freeA + freeB};
  return summed.empty() ? multiply() : product();
}

//===----------------------------------------------------------------------===//
// The equation
//===----------------------------------------------------------------------===//

namespace {
struct Equation {
  SmallVector<std::string> inputs;
  std::string output;
};
} // namespace

/// Dimensions that an ellipsis stands for are named 0, 1, 2 ... from the right.
static std::string expandEllipsis(StringRef term, int64_t count) {
  std::string labels;
  for (size_t i = 0; i < term.size(); ++i) {
    if (!term.substr(i).starts_with("...")) {
      labels += term[i];
      continue;
    }
    for (int64_t j = count; j-- > 0;)
      labels += static_cast<char>('0' + j);
    i += 2;
  }
  return labels;
}

static FailureOr<Equation> parseEquation(NodeContext &n) {
  std::string text = n.stringAttr("equation", "");
  llvm::erase(text, ' ');
  auto [left, right] = StringRef(text).split("->");
  bool isExplicit = StringRef(text).contains("->");
  SmallVector<StringRef> terms;
  left.split(terms, ',');
  if (terms.size() != n.numInputs())
    return n.invalid("equation \"" + text + "\" does not have " +
                     Twine(n.numInputs()) + " inputs");
  Equation equation;
  int64_t most = 0;
  for (auto [i, term] : llvm::enumerate(terms)) {
    int64_t named = term.size(), hidden = 0;
    if (term.contains("...")) {
      named -= 3;
      hidden = n.rank(i) - named;
    }
    if (named + hidden != n.rank(i) || hidden < 0)
      return n.invalid("equation \"" + text + "\" does not fit input " +
                       Twine(i) + " of rank " + Twine(n.rank(i)));
    most = std::max(most, hidden);
    equation.inputs.push_back(expandEllipsis(term, hidden));
  }
  equation.output = expandEllipsis(right, most);
  std::string all = llvm::join(equation.inputs, "");
  if (!isExplicit) {
    // What occurs once, in alphabetical order, behind the ellipsis.
    equation.output = expandEllipsis("...", most);
    std::string sorted = all;
    llvm::sort(sorted);
    for (char label : sorted)
      if (llvm::isAlpha(label) && llvm::count(all, label) == 1)
        equation.output += label;
  }
  for (char label : equation.output)
    if (!contains(all, label) || llvm::count(equation.output, label) != 1)
      return n.invalid("equation \"" + text + "\" has an invalid result");
  for (char label : all)
    if (!llvm::isAlnum(label))
      return n.invalid("equation \"" + text + "\" has an invalid index");
  return equation;
}

/// A label that occurs twice takes the diagonal of its two dimensions.
static Labeled takeDiagonals(NodeContext &n, Labeled x) {
  for (size_t i = 0; i < x.labels.size(); ++i) {
    size_t j = x.labels.find(x.labels[i], i + 1);
    if (j == std::string::npos)
      continue;
    DimExpr size = getDim(x.value, i);
    std::optional<int64_t> count = size.constantValue();
    if (failed(n.unify(size, getDim(x.value, j))) || !count) {
      (void)n.unsupported("a diagonal of size " + size.toString());
      return {n.placeholder(), x.labels};
    }
    // The two dimensions last, as one, of which every (size + 1)th is taken.
    std::string order = x.labels;
    SmallVector<int64_t> permutation;
    for (size_t axis = 0; axis < order.size(); ++axis)
      if (axis != i && axis != j)
        permutation.push_back(axis);
    permutation.append({static_cast<int64_t>(i), static_cast<int64_t>(j)});
    Value moved = n.transpose(x.value, permutation);
    Dims dims = getDims(moved);
    dims.pop_back();
    dims.back() = DimExpr(*count * *count);
    Value flat = n.reshape(moved, dims);
    dims.back() = size;
    SmallVector<int64_t> steps(dims.size(), 1);
    steps.back() = *count + 1;
    Value diagonal = n.slice(flat, Dims(dims.size(), DimExpr(0)), dims, steps);
    char label = order[i];
    llvm::erase(order, label);
    return takeDiagonals(n, {diagonal, order + label});
  }
  return x;
}

LogicalResult buildEinsum(NodeContext &n) {
  FailureOr<Equation> equation = parseEquation(n);
  if (failed(equation))
    return failure();
  SmallVector<Labeled> operands;
  for (auto [i, labels] : llvm::enumerate(equation->inputs)) {
    if (!n.has(i) || n.elementType(i) != n.elementType(0))
      return n.invalid("has an input that is absent or of another type");
    operands.push_back(takeDiagonals(n, {n.value(i), labels}));
  }
  Labeled result = operands.front();
  for (size_t i = 1; i < operands.size() && !n.hasFailed(); ++i) {
    // Indices of later operands must survive.
    std::string kept = equation->output;
    for (size_t j = i + 1; j < operands.size(); ++j)
      kept += operands[j].labels;
    result = Contraction(n, result, operands[i], kept).run();
  }
  SmallVector<int64_t> unused, permutation;
  std::string labels;
  for (auto [i, label] : llvm::enumerate(result.labels)) {
    if (contains(equation->output, label))
      labels += label;
    else
      unused.push_back(i);
  }
  if (!unused.empty())
    result.value = n.reduce(ReduceKind::Sum, result.value, unused, false);
  for (char label : equation->output)
    permutation.push_back(labels.find(label));
  n.set(0, n.transpose(result.value, permutation));
  return success();
}

} // namespace moe::onnx_import
