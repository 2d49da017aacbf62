//===- DimExprParser.cpp - Text to size expressions -----------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/support/DimExprParser.h"

#include <charconv>

using namespace moe;

namespace {

constexpr size_t kMaxText = 4096;
constexpr int kMaxNesting = 64;

class Parser {
public:
  explicit Parser(std::string_view text) : text(text) {}

  StatusOr<DimExpr> parseAll() {
    MOE_ASSIGN_OR_RETURN(DimExpr expr, parseSum());
    skipSpace();
    if (position != text.size())
      return error("unexpected '" + std::string(1, text[position]) + "'");
    return expr;
  }

private:
  Status error(const std::string &what) const {
    return Status(StatusCode::BadModel, "size '" + std::string(text) +
                                            "': " + what + " at character " +
                                            std::to_string(position));
  }

  void skipSpace() {
    while (position < text.size() && text[position] == ' ')
      ++position;
  }

  bool accept(std::string_view token) {
    skipSpace();
    if (text.substr(position, token.size()) != token)
      return false;
    position += token.size();
    return true;
  }

  Status expect(std::string_view token) {
    if (accept(token))
      return Status::ok();
    return error("expected '" + std::string(token) + "'");
  }

  StatusOr<DimExpr> parseSum() {
    if (++nesting > kMaxNesting)
      return error("nested deeper than " + std::to_string(kMaxNesting));
    bool negative = accept("-");
    MOE_ASSIGN_OR_RETURN(DimExpr sum, parseProduct(negative));
    for (;;) {
      bool minus = false;
      if (!accept("+") && !(minus = accept("-")))
        break;
      MOE_ASSIGN_OR_RETURN(DimExpr product, parseProduct(minus));
      sum = sum + product;
    }
    --nesting;
    return sum;
  }

  StatusOr<DimExpr> parseProduct(bool negative) {
    MOE_ASSIGN_OR_RETURN(DimExpr product, parseAtom(negative));
    for (;;) {
      bool divides = false;
      if (!accept("*") && !(divides = accept("//")))
        return product;
      MOE_ASSIGN_OR_RETURN(DimExpr atom, parseAtom(false));
      product = divides ? DimExpr::floorDiv(product, atom) : product * atom;
    }
  }

  StatusOr<DimExpr> parseAtom(bool negative) {
    skipSpace();
    if (position < text.size() && text[position] >= '0' &&
        text[position] <= '9')
      return parseInteger(negative);
    MOE_ASSIGN_OR_RETURN(DimExpr atom, parsePositiveAtom());
    return negative ? atom * DimExpr(-1) : atom;
  }

  /// The sign belongs to the number, so that -2^63 can be read.
  StatusOr<DimExpr> parseInteger(bool negative) {
    std::string digits = negative ? "-" : "";
    size_t begin = position;
    while (position < text.size() && text[position] >= '0' &&
           text[position] <= '9')
      digits += text[position++];
    int64_t value = 0;
    auto result =
        std::from_chars(digits.data(), digits.data() + digits.size(), value);
    if (result.ec != std::errc()) {
      position = begin;
      return error("an integer beyond 64 bits");
    }
    return DimExpr(value);
  }

  StatusOr<DimExpr> parsePositiveAtom() {
    if (accept("(")) {
      MOE_ASSIGN_OR_RETURN(DimExpr inner, parseSum());
      MOE_RETURN_IF_ERROR(expect(")"));
      return inner;
    }
    size_t end = position;
    while (end < text.size() &&
           DimExpr::isSymbolName(text.substr(position, end + 1 - position)))
      ++end;
    if (end == position)
      return error("expected a size");
    std::string_view name = text.substr(position, end - position);
    position = end;
    if (!accept("("))
      return DimExpr::symbol(name);
    MOE_ASSIGN_OR_RETURN(DimExpr a, parseSum());
    MOE_RETURN_IF_ERROR(expect(","));
    MOE_ASSIGN_OR_RETURN(DimExpr b, parseSum());
    MOE_RETURN_IF_ERROR(expect(")"));
    return call(name, a, b);
  }

  StatusOr<DimExpr> call(std::string_view name, const DimExpr &a,
                         const DimExpr &b) const {
    if (name == "ceildiv")
      return DimExpr::ceilDiv(a, b);
    if (name == "floordiv")
      return DimExpr::floorDiv(a, b);
    if (name == "mod")
      return DimExpr::mod(a, b);
    if (name == "max")
      return DimExpr::max(a, b);
    if (name == "min")
      return DimExpr::min(a, b);
    return error("unknown function '" + std::string(name) + "'");
  }

  std::string_view text;
  size_t position = 0;
  int nesting = 0;
};

} // namespace

StatusOr<DimExpr> moe::parseDimExpr(std::string_view text) {
  if (text.size() > kMaxText)
    return Status(StatusCode::BadModel, "size of " +
                                            std::to_string(text.size()) +
                                            " characters, expected at most " +
                                            std::to_string(kMaxText));
  return Parser(text).parseAll();
}
