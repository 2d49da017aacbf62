//===- DimExpr.cpp - Sizes as expressions over symbols --------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// An expression is a sorted list of terms with its text beside it, so equality
// is equality of texts. Every rule that folds keeps the meaning for all values
// of the symbols; only a division by an expression that is zero (an error when
// it is evaluated) may disappear.
//
// What does not fit (a coefficient beyond 64 bits, a text that could not be
// parsed again) becomes the "too large" expression, which stays too large in
// every operation and fails when it is evaluated.
//
//===----------------------------------------------------------------------===//

#include "runtime/support/DimExpr.h"
#include "runtime/support/CheckedMath.h"
#include "runtime/support/DimExprParser.h"

#include <algorithm>
#include <numeric>
#include <vector>

using namespace moe;

namespace {

enum class AtomKind { Symbol, CeilDiv, FloorDiv, Mod, Max, Min };

struct Atom {
  AtomKind kind;
  std::string text;
  // Operands; unused by symbols.
  DimExpr a, b;
};
using AtomRef = std::shared_ptr<const Atom>;

/// coefficient * atoms[0] * atoms[1] ...; the atoms are sorted by text.
struct Term {
  int64_t coefficient;
  std::vector<AtomRef> atoms;
};

constexpr size_t kMaxText = 4096;
constexpr int kMaxDepth = 48;
constexpr std::string_view kTooLarge = "<too large>";

bool atomLess(const AtomRef &x, const AtomRef &y) { return x->text < y->text; }
bool atomEqual(const AtomRef &x, const AtomRef &y) {
  return x == y || x->text == y->text;
}

/// Order of terms in the text: by their atoms, the constant last.
bool termLess(const Term &x, const Term &y) {
  if (x.atoms.empty() || y.atoms.empty())
    return !x.atoms.empty() && y.atoms.empty();
  return std::lexicographical_compare(x.atoms.begin(), x.atoms.end(),
                                      y.atoms.begin(), y.atoms.end(), atomLess);
}

bool sameAtoms(const Term &x, const Term &y) {
  return std::equal(x.atoms.begin(), x.atoms.end(), y.atoms.begin(),
                    y.atoms.end(), atomEqual);
}

/// Graded lexicographic order, which multiplication respects.
bool gradedGreater(const Term &x, const Term &y) {
  if (x.atoms.size() != y.atoms.size())
    return x.atoms.size() > y.atoms.size();
  return std::lexicographical_compare(x.atoms.begin(), x.atoms.end(),
                                      y.atoms.begin(), y.atoms.end(), atomLess);
}

std::string_view functionName(AtomKind kind) {
  switch (kind) {
  case AtomKind::Symbol:
    return "";
  case AtomKind::CeilDiv:
    return "ceildiv";
  case AtomKind::FloorDiv:
    return "floordiv";
  case AtomKind::Mod:
    return "mod";
  case AtomKind::Max:
    return "max";
  case AtomKind::Min:
    return "min";
  }
  return "";
}

/// "2 * a * b", "a", "7"; the sign is left out.
void appendTerm(std::string &text, const Term &term) {
  uint64_t magnitude = term.coefficient < 0
                           ? 0 - static_cast<uint64_t>(term.coefficient)
                           : static_cast<uint64_t>(term.coefficient);
  bool first = true;
  if (magnitude != 1 || term.atoms.empty()) {
    text += std::to_string(magnitude);
    first = false;
  }
  for (const AtomRef &atom : term.atoms) {
    if (!first)
      text += " * ";
    text += atom->text;
    first = false;
  }
}

std::string termsText(const std::vector<Term> &terms) {
  if (terms.empty())
    return "0";
  std::string text;
  for (size_t i = 0; i < terms.size(); ++i) {
    bool negative = terms[i].coefficient < 0;
    if (i == 0)
      text += negative ? "-" : "";
    else
      text += negative ? " - " : " + ";
    appendTerm(text, terms[i]);
    if (text.size() > kMaxText)
      break;
  }
  return text;
}

int64_t floorDivide(int64_t a, int64_t b) {
  int64_t quotient = a / b;
  return quotient - ((a % b != 0) && ((a < 0) != (b < 0)));
}
int64_t ceilDivide(int64_t a, int64_t b) {
  int64_t quotient = a / b;
  return quotient + ((a % b != 0) && ((a < 0) == (b < 0)));
}

/// The value of a function of two integers, or nothing on a division by zero
/// or an overflow.
std::optional<int64_t> apply(AtomKind kind, int64_t a, int64_t b) {
  if (kind == AtomKind::Max)
    return std::max(a, b);
  if (kind == AtomKind::Min)
    return std::min(a, b);
  if (b == 0 || (a == INT64_MIN && b == -1))
    return std::nullopt;
  if (kind == AtomKind::FloorDiv)
    return floorDivide(a, b);
  if (kind == AtomKind::CeilDiv)
    return ceilDivide(a, b);
  return a - floorDivide(a, b) * b;
}

} // namespace

struct DimExpr::Impl {
  std::vector<Term> terms;
  std::string text;
  int depth = 0;
  bool tooLarge = false;

  static const Impl &of(const DimExpr &expr) { return *expr.impl; }
  static DimExpr make(std::shared_ptr<const Impl> impl) {
    return DimExpr(std::move(impl));
  }

  static DimExpr largest() {
    static const std::shared_ptr<const Impl> impl = [] {
      auto large = std::make_shared<Impl>();
      large->text = kTooLarge;
      large->tooLarge = true;
      return large;
    }();
    return make(impl);
  }

  /// Sorts terms, adds those with equal atoms and drops zeros.
  static DimExpr normalize(std::vector<Term> terms) {
    std::sort(terms.begin(), terms.end(), termLess);
    auto result = std::make_shared<Impl>();
    for (Term &term : terms) {
      if (!result->terms.empty() && sameAtoms(result->terms.back(), term)) {
        int64_t &sum = result->terms.back().coefficient;
        if (__builtin_add_overflow(sum, term.coefficient, &sum))
          return largest();
      } else {
        if (!result->terms.empty() && result->terms.back().coefficient == 0)
          result->terms.pop_back();
        result->terms.push_back(std::move(term));
      }
    }
    if (!result->terms.empty() && result->terms.back().coefficient == 0)
      result->terms.pop_back();
    for (const Term &term : result->terms)
      for (const AtomRef &atom : term.atoms)
        result->depth = std::max(
            {result->depth, of(atom->a).depth + 1, of(atom->b).depth + 1});
    result->text = termsText(result->terms);
    if (result->text.size() > kMaxText || result->depth > kMaxDepth)
      return largest();
    return make(std::move(result));
  }

  static DimExpr fromAtom(AtomRef atom) {
    return normalize({{1, {std::move(atom)}}});
  }

  static DimExpr function(AtomKind kind, const DimExpr &a, const DimExpr &b) {
    auto atom = std::make_shared<Atom>();
    atom->kind = kind;
    atom->text = std::string(functionName(kind)) + "(" + of(a).text + ", " +
                 of(b).text + ")";
    atom->a = a;
    atom->b = b;
    return fromAtom(std::move(atom));
  }

  /// Never negative, whatever the values (>= 0) of the symbols are.
  static bool isNonNegative(const DimExpr &expr) {
    return std::all_of(
        of(expr).terms.begin(), of(expr).terms.end(), [](const Term &term) {
          return term.coefficient >= 0 &&
                 std::all_of(
                     term.atoms.begin(), term.atoms.end(),
                     [](const AtomRef &x) { return isNonNegative(*x); });
        });
  }
  static bool isNonNegative(const Atom &atom) {
    switch (atom.kind) {
    case AtomKind::Symbol:
      return true;
    case AtomKind::Mod: // has the sign of the divisor
      return isNonNegative(atom.b);
    case AtomKind::Max:
      return isNonNegative(atom.a) || isNonNegative(atom.b);
    default:
      return isNonNegative(atom.a) && isNonNegative(atom.b);
    }
  }

  /// x / y if it is a term with an integer coefficient.
  static std::optional<Term> divideTerm(const Term &x, const Term &y) {
    if (y.coefficient == 0 ||
        (x.coefficient == INT64_MIN && y.coefficient == -1) ||
        x.coefficient % y.coefficient != 0 ||
        !std::includes(x.atoms.begin(), x.atoms.end(), y.atoms.begin(),
                       y.atoms.end(), atomLess))
      return std::nullopt;
    Term quotient{x.coefficient / y.coefficient, {}};
    std::set_difference(x.atoms.begin(), x.atoms.end(), y.atoms.begin(),
                        y.atoms.end(), std::back_inserter(quotient.atoms),
                        atomLess);
    return quotient;
  }

  /// The largest term that divides every term of both (coefficient > 0).
  static Term commonFactor(const DimExpr &a, const DimExpr &b) {
    Term common{0, {}};
    bool first = true;
    for (const DimExpr *expr : {&a, &b})
      for (const Term &term : of(*expr).terms) {
        if (term.coefficient == INT64_MIN)
          return {1, {}};
        common.coefficient = std::gcd(common.coefficient, term.coefficient);
        std::vector<AtomRef> shared;
        if (first)
          shared = term.atoms;
        else
          std::set_intersection(common.atoms.begin(), common.atoms.end(),
                                term.atoms.begin(), term.atoms.end(),
                                std::back_inserter(shared), atomLess);
        common.atoms = std::move(shared);
        first = false;
      }
    return common;
  }

  static DimExpr divideByTerm(const DimExpr &expr, const Term &divisor) {
    std::vector<Term> quotient;
    for (const Term &term : of(expr).terms)
      quotient.push_back(*divideTerm(term, divisor));
    return normalize(std::move(quotient));
  }

  /// Splits a = quotient * b + rest, as much as the terms allow, where b is
  /// one term: floordiv(8 * s + 5, 4) has quotient 2 * s + 1 and rest 1.
  static void split(const DimExpr &a, const DimExpr &b, DimExpr &quotient,
                    DimExpr &rest) {
    const std::vector<Term> &divisor = of(b).terms;
    if (divisor.size() != 1) {
      quotient = 0;
      rest = a;
      return;
    }
    std::vector<Term> whole, left;
    for (const Term &term : of(a).terms) {
      if (std::optional<Term> exact = divideTerm(term, divisor[0])) {
        whole.push_back(*std::move(exact));
      } else if (term.atoms.empty() && divisor[0].atoms.empty() &&
                 divisor[0].coefficient > 0) {
        int64_t c = term.coefficient, d = divisor[0].coefficient;
        whole.push_back({floorDivide(c, d), {}});
        left.push_back({*apply(AtomKind::Mod, c, d), {}});
      } else {
        left.push_back(term);
      }
    }
    quotient = normalize(std::move(whole));
    rest = normalize(std::move(left));
  }

  static DimExpr divide(AtomKind kind, DimExpr a, DimExpr b) {
    if (of(a).tooLarge || of(b).tooLarge)
      return largest();
    if (of(b).terms.empty())
      return function(kind, a, b); // an error when it is evaluated
    if (std::optional<DimExpr> exact = divideExactly(a, b))
      return *exact;
    Term common = commonFactor(a, b);
    if (common.coefficient > 1 || !common.atoms.empty()) {
      a = divideByTerm(a, common);
      b = divideByTerm(b, common);
    }
    DimExpr quotient, rest;
    split(a, b, quotient, rest);
    return quotient + functionOrValue(kind, rest, b);
  }

  static DimExpr functionOrValue(AtomKind kind, const DimExpr &a,
                                 const DimExpr &b) {
    std::optional<int64_t> x = a.constantValue(), y = b.constantValue();
    if (x && y)
      if (std::optional<int64_t> value = apply(kind, *x, *y))
        return *value;
    // Only 0 / b, 0 mod b: b may be any expression.
    if (x == 0 && !of(b).terms.empty() && kind != AtomKind::Max &&
        kind != AtomKind::Min)
      return 0;
    return function(kind, a, b);
  }

  /// Appends the operands of nested functions of `kind`.
  static void collect(AtomKind kind, const DimExpr &expr,
                      std::vector<DimExpr> &operands) {
    const std::vector<Term> &terms = of(expr).terms;
    if (terms.size() == 1 && terms[0].coefficient == 1 &&
        terms[0].atoms.size() == 1 && terms[0].atoms[0]->kind == kind) {
      collect(kind, terms[0].atoms[0]->a, operands);
      collect(kind, terms[0].atoms[0]->b, operands);
      return;
    }
    operands.push_back(expr);
  }

  /// max or min: operands flattened, those that never count dropped, sorted.
  static DimExpr extreme(AtomKind kind, const DimExpr &a, const DimExpr &b) {
    if (of(a).tooLarge || of(b).tooLarge)
      return largest();
    std::vector<DimExpr> operands, kept;
    collect(kind, a, operands);
    collect(kind, b, operands);
    std::sort(operands.begin(), operands.end(),
              [](const DimExpr &x, const DimExpr &y) {
                return of(x).text < of(y).text;
              });
    operands.erase(std::unique(operands.begin(), operands.end()),
                   operands.end());
    for (const DimExpr &x : operands) {
      bool counts =
          std::none_of(operands.begin(), operands.end(), [&](const DimExpr &y) {
            return x != y &&
                   isNonNegative(kind == AtomKind::Max ? y - x : x - y);
          });
      if (counts)
        kept.push_back(x);
    }
    DimExpr result = kept.back();
    for (size_t i = kept.size() - 1; i-- > 0;)
      result = functionOrValue(kind, kept[i], result);
    return result;
  }

  static DimExpr rebuild(const Atom &atom, const DimExpr &a, const DimExpr &b) {
    switch (atom.kind) {
    case AtomKind::Symbol:
      return DimExpr::symbol(atom.text);
    case AtomKind::CeilDiv:
      return DimExpr::ceilDiv(a, b);
    case AtomKind::FloorDiv:
      return DimExpr::floorDiv(a, b);
    case AtomKind::Mod:
      return DimExpr::mod(a, b);
    case AtomKind::Max:
      return DimExpr::max(a, b);
    case AtomKind::Min:
      return DimExpr::min(a, b);
    }
    return DimExpr();
  }

  static void collectSymbols(const DimExpr &expr,
                             std::set<std::string> &names) {
    for (const Term &term : of(expr).terms)
      for (const AtomRef &atom : term.atoms) {
        if (atom->kind == AtomKind::Symbol) {
          names.insert(atom->text);
          continue;
        }
        collectSymbols(atom->a, names);
        collectSymbols(atom->b, names);
      }
  }

  static Status overflow(const DimExpr &expr) {
    return Status(StatusCode::OutOfMemory,
                  "size '" + of(expr).text + "' overflows 64 bits");
  }

  static StatusOr<int64_t> evaluateAtom(const Atom &atom,
                                        const SymbolValues &values) {
    if (atom.kind == AtomKind::Symbol) {
      auto it = values.find(atom.text);
      if (it == values.end())
        return Status(StatusCode::Internal,
                      "symbol '" + atom.text + "' has no value");
      return it->second;
    }
    MOE_ASSIGN_OR_RETURN(int64_t a, atom.a.evaluate(values));
    MOE_ASSIGN_OR_RETURN(int64_t b, atom.b.evaluate(values));
    if (std::optional<int64_t> value = apply(atom.kind, a, b))
      return *value;
    if (b == 0)
      return Status(StatusCode::BadModel,
                    "size '" + atom.text + "' divides by zero");
    return Status(StatusCode::OutOfMemory,
                  "size '" + atom.text + "' overflows 64 bits");
  }

  static Instruction::Op instructionOf(AtomKind kind) {
    switch (kind) {
    case AtomKind::Symbol:
      return Instruction::Op::Symbol;
    case AtomKind::CeilDiv:
      return Instruction::Op::CeilDiv;
    case AtomKind::FloorDiv:
      return Instruction::Op::FloorDiv;
    case AtomKind::Mod:
      return Instruction::Op::Mod;
    case AtomKind::Max:
      return Instruction::Op::Max;
    case AtomKind::Min:
      return Instruction::Op::Min;
    }
    return Instruction::Op::Symbol;
  }

  static void append(const DimExpr &expr, std::vector<Instruction> &program) {
    const std::vector<Term> &terms = of(expr).terms;
    if (terms.empty())
      program.push_back({Instruction::Op::Constant, 0, ""});
    for (const Term &term : terms) {
      bool hasFactor = term.coefficient != 1 || term.atoms.empty();
      if (hasFactor)
        program.push_back({Instruction::Op::Constant, term.coefficient, ""});
      for (const AtomRef &atom : term.atoms) {
        if (atom->kind == AtomKind::Symbol) {
          program.push_back({Instruction::Op::Symbol, 0, atom->text});
        } else {
          append(atom->a, program);
          append(atom->b, program);
          program.push_back({instructionOf(atom->kind), 0, ""});
        }
        if (hasFactor || &atom != &term.atoms.front())
          program.push_back({Instruction::Op::Mul, 0, ""});
      }
      if (&term != &terms.front())
        program.push_back({Instruction::Op::Add, 0, ""});
    }
  }
};

DimExpr::DimExpr() {
  static const std::shared_ptr<const Impl> zero = [] {
    auto value = std::make_shared<Impl>();
    value->text = "0";
    return value;
  }();
  impl = zero;
}
DimExpr::DimExpr(int64_t constant) {
  auto value = std::make_shared<Impl>();
  if (constant != 0)
    value->terms.push_back({constant, {}});
  value->text = std::to_string(constant);
  impl = std::move(value);
}
DimExpr::DimExpr(std::shared_ptr<const Impl> impl) : impl(std::move(impl)) {}
DimExpr::~DimExpr() = default;
DimExpr::DimExpr(const DimExpr &) = default;
DimExpr &DimExpr::operator=(const DimExpr &) = default;
// A moved-from expression must stay usable, so a move is a copy.
DimExpr::DimExpr(DimExpr &&other) noexcept : impl(other.impl) {}
DimExpr &DimExpr::operator=(DimExpr &&other) noexcept {
  impl = other.impl;
  return *this;
}

DimExpr DimExpr::symbol(std::string_view name) {
  auto atom = std::make_shared<Atom>();
  atom->kind = AtomKind::Symbol;
  atom->text = name;
  return Impl::fromAtom(std::move(atom));
}

bool DimExpr::isSymbolName(std::string_view name) {
  auto isLetter = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
  };
  return !name.empty() && name.size() <= 256 && isLetter(name[0]) &&
         std::all_of(name.begin(), name.end(), [&](char c) {
           return isLetter(c) || (c >= '0' && c <= '9') || c == '.';
         });
}

StatusOr<DimExpr> DimExpr::parse(std::string_view text) {
  MOE_ASSIGN_OR_RETURN(DimExpr expr, parseDimExpr(text));
  if (expr.impl->tooLarge)
    return Status(StatusCode::BadModel,
                  "size '" + std::string(text) + "' is too large");
  return expr;
}

DimExpr DimExpr::operator+(const DimExpr &other) const {
  if (impl->tooLarge || other.impl->tooLarge)
    return Impl::largest();
  std::vector<Term> terms = impl->terms;
  terms.insert(terms.end(), other.impl->terms.begin(), other.impl->terms.end());
  return Impl::normalize(std::move(terms));
}

DimExpr DimExpr::operator-(const DimExpr &other) const {
  return *this + other * DimExpr(-1);
}

DimExpr DimExpr::operator*(const DimExpr &other) const {
  if (impl->tooLarge || other.impl->tooLarge ||
      impl->text.size() + other.impl->text.size() > kMaxText)
    return Impl::largest();
  std::vector<Term> terms;
  for (const Term &x : impl->terms)
    for (const Term &y : other.impl->terms) {
      Term product{0, {}};
      if (__builtin_mul_overflow(x.coefficient, y.coefficient,
                                 &product.coefficient))
        return Impl::largest();
      std::merge(x.atoms.begin(), x.atoms.end(), y.atoms.begin(), y.atoms.end(),
                 std::back_inserter(product.atoms), atomLess);
      terms.push_back(std::move(product));
    }
  return Impl::normalize(std::move(terms));
}

DimExpr DimExpr::ceilDiv(const DimExpr &a, const DimExpr &b) {
  return Impl::divide(AtomKind::CeilDiv, a, b);
}

DimExpr DimExpr::floorDiv(const DimExpr &a, const DimExpr &b) {
  return Impl::divide(AtomKind::FloorDiv, a, b);
}

DimExpr DimExpr::mod(const DimExpr &a, const DimExpr &b) {
  if (a.impl->tooLarge || b.impl->tooLarge)
    return Impl::largest();
  if (divideExactly(a, b))
    return 0;
  DimExpr quotient, rest;
  Impl::split(a, b, quotient, rest);
  return Impl::functionOrValue(AtomKind::Mod, rest, b);
}

DimExpr DimExpr::max(const DimExpr &a, const DimExpr &b) {
  return Impl::extreme(AtomKind::Max, a, b);
}

DimExpr DimExpr::min(const DimExpr &a, const DimExpr &b) {
  return Impl::extreme(AtomKind::Min, a, b);
}

std::optional<DimExpr> DimExpr::divideExactly(const DimExpr &a,
                                              const DimExpr &b) {
  if (a.impl->tooLarge || b.impl->tooLarge || b.impl->terms.empty())
    return std::nullopt;
  // Division of polynomials by their greatest terms.
  auto leading = [](const DimExpr &expr) -> const Term & {
    const std::vector<Term> &terms = Impl::of(expr).terms;
    return *std::min_element(terms.begin(), terms.end(), gradedGreater);
  };
  DimExpr quotient, rest = a;
  while (!rest.impl->terms.empty()) {
    std::optional<Term> term = Impl::divideTerm(leading(rest), leading(b));
    if (!term)
      return std::nullopt;
    DimExpr step = Impl::normalize({*std::move(term)});
    quotient = quotient + step;
    rest = rest - step * b;
    if (quotient.impl->tooLarge || rest.impl->tooLarge)
      return std::nullopt;
  }
  return quotient;
}

bool DimExpr::operator==(const DimExpr &other) const {
  return impl == other.impl || impl->text == other.impl->text;
}

bool DimExpr::isConstant() const { return constantValue().has_value(); }

std::optional<int64_t> DimExpr::constantValue() const {
  if (impl->tooLarge)
    return std::nullopt;
  if (impl->terms.empty())
    return 0;
  if (impl->terms.size() == 1 && impl->terms[0].atoms.empty())
    return impl->terms[0].coefficient;
  return std::nullopt;
}

std::optional<std::string> DimExpr::symbolName() const {
  if (impl->terms.size() != 1 || impl->terms[0].coefficient != 1 ||
      impl->terms[0].atoms.size() != 1 ||
      impl->terms[0].atoms[0]->kind != AtomKind::Symbol)
    return std::nullopt;
  return impl->terms[0].atoms[0]->text;
}

std::set<std::string> DimExpr::symbols() const {
  std::set<std::string> names;
  Impl::collectSymbols(*this, names);
  return names;
}

DimExpr DimExpr::substitute(
    const std::map<std::string, DimExpr, std::less<>> &by) const {
  if (impl->tooLarge)
    return *this;
  DimExpr sum;
  for (const Term &term : impl->terms) {
    DimExpr product(term.coefficient);
    for (const AtomRef &atom : term.atoms) {
      auto it = atom->kind == AtomKind::Symbol ? by.find(atom->text) : by.end();
      product = product * (it != by.end()
                               ? it->second
                               : Impl::rebuild(*atom, atom->a.substitute(by),
                                               atom->b.substitute(by)));
    }
    sum = sum + product;
  }
  return sum;
}

StatusOr<int64_t> DimExpr::evaluate(const SymbolValues &values) const {
  if (impl->tooLarge)
    return Impl::overflow(*this);
  __int128 sum = 0;
  for (const Term &term : impl->terms) {
    __int128 product = term.coefficient;
    for (const AtomRef &atom : term.atoms) {
      MOE_ASSIGN_OR_RETURN(int64_t value, Impl::evaluateAtom(*atom, values));
      if (__builtin_mul_overflow(product, static_cast<__int128>(value),
                                 &product))
        return Impl::overflow(*this);
    }
    if (__builtin_add_overflow(sum, product, &sum))
      return Impl::overflow(*this);
  }
  if (sum < INT64_MIN || sum > INT64_MAX)
    return Impl::overflow(*this);
  return static_cast<int64_t>(sum);
}

std::string DimExpr::toString() const { return impl->text; }

std::vector<DimExpr::Instruction> DimExpr::program() const {
  std::vector<Instruction> result;
  if (!impl->tooLarge)
    Impl::append(*this, result);
  return result;
}
