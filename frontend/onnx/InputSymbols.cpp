//===- InputSymbols.cpp - Sizes of a model's inputs -----------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontend/onnx/InputSymbols.h"

#include <algorithm>
#include <cctype>

namespace moe::onnx_import {

bool isNonNegative(const DimExpr &expr) {
  if (auto value = expr.constantValue())
    return *value >= 0;
  // Symbols are not negative, and neither are sums, products, quotients,
  // remainders and extremes of what has no minus sign in it.
  return expr.toString().find('-') == std::string::npos;
}

bool isAtLeast(const DimExpr &a, const DimExpr &b) {
  return isNonNegative(a - b);
}

//===----------------------------------------------------------------------===//
// Names
//===----------------------------------------------------------------------===//

/// Names that mean something else in a DimExpr or in the IR: functions, the
/// data symbols d0, d1 ..., and the dialect's name for a missing size.
static bool isReserved(const std::string &name) {
  for (const char *word :
       {"ceildiv", "floordiv", "mod", "max", "min", "unsized"})
    if (name == word)
      return true;
  return name.size() > 1 && name[0] == 'd' &&
         std::all_of(name.begin() + 1, name.end(),
                     [](unsigned char c) { return std::isdigit(c); });
}

std::string InputSymbols::newSymbol(const std::string &text) {
  std::string base;
  for (unsigned char c : text) {
    bool keep = std::isalnum(c) && c < 0x80;
    if (keep)
      base += static_cast<char>(c);
    else if (!base.empty() && base.back() != '_')
      base += '_';
  }
  while (!base.empty() && base.back() == '_')
    base.pop_back();
  base.resize(std::min<size_t>(base.size(), 64));
  if (base.empty() || std::isdigit(static_cast<unsigned char>(base[0])))
    base = "n" + base;
  std::string name = base;
  for (unsigned i = 2; order.count(name) || isReserved(name); ++i)
    name = base + "_" + std::to_string(i);
  order.emplace(name, order.size());
  return name;
}

std::string InputSymbols::symbolFor(const std::string &name) {
  auto it = byName.find(name);
  if (it == byName.end())
    it = byName.emplace(name, newSymbol(name)).first;
  return it->second;
}

//===----------------------------------------------------------------------===//
// Declaration
//===----------------------------------------------------------------------===//

/// The expression that `text` is, if it is more than one name.
static std::optional<DimExpr> parseExpression(const std::string &text) {
  StatusOr<DimExpr> expr = DimExpr::parse(text);
  if (!expr.isOk() || expr->symbolName())
    return std::nullopt;
  return *expr;
}

Status
InputSymbols::declare(const std::vector<const onnx::ValueInfoProto *> &inputs) {
  for (const onnx::ValueInfoProto *input : inputs) {
    const onnx::TypeProto::Tensor &type = input->type().tensor_type();
    if (!type.has_shape())
      return {StatusCode::Unsupported,
              "input \"" + input->name() + "\" has no declared rank"};
    std::vector<RawDim> &dims = raw.emplace_back();
    for (const auto &dim : type.shape().dim()) {
      if (dim.has_dim_value() && dim.dim_value() < 0)
        return {StatusCode::BadModel, "input \"" + input->name() +
                                          "\" has size " +
                                          std::to_string(dim.dim_value())};
      RawDim entry;
      if (dim.has_dim_value())
        entry.constant = dim.dim_value();
      else if (!dim.dim_param().empty())
        entry.text = dim.dim_param();
      else
        entry.text = input->name() + "_" + std::to_string(dims.size());
      dims.push_back(entry);
    }
  }
  // Names that are sizes by themselves come first: expressions refer to them.
  for (const auto &input : raw)
    for (const RawDim &dim : input)
      if (!dim.text.empty() && !parseExpression(dim.text))
        symbolFor(dim.text);
  for (const auto &input : raw) {
    std::vector<DimExpr> &converted = dims.emplace_back();
    for (const RawDim &dim : input)
      converted.push_back(dim.text.empty() ? DimExpr(dim.constant)
                                           : convert(dim.text));
  }
  return Status::ok();
}

DimExpr InputSymbols::convert(const std::string &text) {
  std::optional<DimExpr> parsed = parseExpression(text);
  if (!parsed || byName.count(text))
    return DimExpr::symbol(symbolFor(text));
  DimExpr expr = parsed->substitute(solvedNames);
  std::map<std::string, DimExpr, std::less<>> known;
  std::vector<std::string> unknown;
  for (const std::string &name : parsed->symbols()) {
    if (auto it = byName.find(name); it != byName.end())
      known.emplace(name, DimExpr::symbol(it->second));
    else if (!solvedNames.count(name))
      unknown.push_back(name);
  }
  if (unknown.empty())
    return expr.substitute(known);
  // No input has such a name as size. The whole expression becomes a symbol;
  // where it is a sum, one name gets its value from it.
  DimExpr whole = DimExpr::symbol(symbolFor(text));
  for (const std::string &name : unknown) {
    DimExpr rest = expr - DimExpr::symbol(name);
    if (unknown.size() > 1 || rest.symbols().count(name))
      continue;
    solvedNames.emplace(name, whole - rest.substitute(known));
    break;
  }
  return whole;
}

//===----------------------------------------------------------------------===//
// Equalities
//===----------------------------------------------------------------------===//

std::vector<DimExpr> InputSymbols::dimsOf(size_t i) const { return dims[i]; }

void InputSymbols::assign(const std::string &symbol, const DimExpr &value) {
  std::map<std::string, DimExpr, std::less<>> by = {{symbol, value}};
  for (std::vector<DimExpr> &input : dims)
    for (DimExpr &dim : input)
      dim = dim.substitute(by);
}

bool InputSymbols::demandEqual(const DimExpr &a, const DimExpr &b) {
  DimExpr difference = a - b;
  std::string best;
  DimExpr bestValue;
  auto rank = [&](const std::string &symbol, const DimExpr &value) {
    // A sum reads better than a difference, and a size that stands first in
    // the file better than a later one.
    return std::pair(isNonNegative(value), order.at(symbol));
  };
  for (const std::string &symbol : difference.symbols()) {
    // Data symbols are known too late to define a size of an input.
    if (!isInputSymbol(symbol))
      return false;
    DimExpr unit = DimExpr::symbol(symbol);
    for (const DimExpr &value : {unit - difference, unit + difference}) {
      if (value.symbols().count(symbol))
        continue;
      // No file means that an input is always empty.
      if (value.constantValue().value_or(1) < 1)
        continue;
      if (best.empty() || rank(symbol, value) > rank(best, bestValue)) {
        best = symbol;
        bestValue = value;
      }
    }
  }
  if (best.empty())
    return false;
  assign(best, bestValue);
  return true;
}

} // namespace moe::onnx_import
