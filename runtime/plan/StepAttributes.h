//===- StepAttributes.h - Typed access to attributes of a step --*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// How a kernel reads its attributes:
//
//   StepAttributes attributes(spec.step);
//   MOE_ASSIGN_OR_RETURN(kernel->axis, attributes.getInt("axis"));
//   MOE_ASSIGN_OR_RETURN(kernel->eps, attributes.getFloat("eps", 1e-5));
//   MOE_ASSIGN_OR_RETURN(kernel->kind, attributes.getEnum<Kind>(
//       "kind", {{"layer", Kind::Layer}, {"rms", Kind::Rms}}));
//   MOE_RETURN_IF_ERROR(attributes.checkAllRead());
//
// Every error is a BadPlan that names the step's kernel and the attribute.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_RUNTIME_PLAN_STEPATTRIBUTES_H
#define MOE_RUNTIME_PLAN_STEPATTRIBUTES_H

#include "runtime/plan/Plan_generated.h"
#include "runtime/support/Status.h"

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace moe {

/// Reads attributes and remembers which were read. The step must outlive it.
/// Without a default, an attribute that is missing is an error.
class StepAttributes {
public:
  explicit StepAttributes(const plan::StepT &step) : step(step) {}

  bool has(std::string_view name) const;

  StatusOr<int64_t> getInt(std::string_view name,
                           std::optional<int64_t> orElse = {});
  /// An integer that is 0 or 1.
  StatusOr<bool> getBool(std::string_view name,
                         std::optional<bool> orElse = {});
  StatusOr<double> getFloat(std::string_view name,
                            std::optional<double> orElse = {});
  StatusOr<std::string> getString(std::string_view name,
                                  std::optional<std::string> orElse = {});
  StatusOr<std::vector<int64_t>>
  getInts(std::string_view name,
          std::optional<std::vector<int64_t>> orElse = {});
  StatusOr<std::vector<double>>
  getFloats(std::string_view name,
            std::optional<std::vector<double>> orElse = {});
  /// The number of expressions; their values are in StepContext::exprs.
  StatusOr<size_t> getNumExprs(std::string_view name,
                               std::optional<size_t> orElse = {});

  /// The value of the keyword that the (string) attribute holds.
  template <typename T>
  StatusOr<T>
  getEnum(std::string_view name,
          std::initializer_list<std::pair<std::string_view, T>> keywords,
          std::optional<T> orElse = {}) {
    if (orElse && !has(name))
      return *orElse;
    MOE_ASSIGN_OR_RETURN(std::string text, getString(name));
    std::string expected;
    for (const auto &[keyword, value] : keywords) {
      if (keyword == text)
        return value;
      expected += (expected.empty() ? "" : ", ") + std::string(keyword);
    }
    return error(name, "is '" + text + "', expected one of " + expected);
  }

  /// Refuses attributes that nobody asked for: a plan that says something
  /// which this runtime does not understand must not run.
  Status checkAllRead() const;
  /// "step matmul: attribute 'axis' <what>".
  Status error(std::string_view name, const std::string &what) const;

private:
  /// The attribute, null if it is missing, or an error if its kind is wrong.
  StatusOr<const plan::AttributeT *> find(std::string_view name,
                                          plan::AttributeKind kind);
  template <typename T, typename Get>
  StatusOr<T> get(std::string_view name, plan::AttributeKind kind,
                  std::optional<T> orElse, Get value);

  const plan::StepT &step;
  std::set<std::string, std::less<>> read;
};

} // namespace moe

#endif // MOE_RUNTIME_PLAN_STEPATTRIBUTES_H
