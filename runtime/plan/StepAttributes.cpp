//===- StepAttributes.cpp - Typed access to attributes of a step ----------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/plan/StepAttributes.h"

#include <algorithm>

using namespace moe;
using plan::AttributeT;

Status StepAttributes::error(std::string_view name,
                             const std::string &what) const {
  return Status(StatusCode::BadPlan, "step " + step.kernel + ": attribute '" +
                                         std::string(name) + "' " + what);
}

bool StepAttributes::has(std::string_view name) const {
  return std::any_of(
      step.attributes.begin(), step.attributes.end(),
      [&](const auto &attribute) { return attribute->name == name; });
}

StatusOr<const AttributeT *> StepAttributes::find(std::string_view name,
                                                  plan::AttributeKind kind) {
  read.emplace(name);
  for (const auto &attribute : step.attributes) {
    if (attribute->name != name)
      continue;
    if (attribute->kind != kind)
      return error(name, std::string("is of kind ") +
                             plan::EnumNameAttributeKind(attribute->kind) +
                             ", expected " + plan::EnumNameAttributeKind(kind));
    return attribute.get();
  }
  return nullptr;
}

template <typename T, typename Get>
StatusOr<T> StepAttributes::get(std::string_view name, plan::AttributeKind kind,
                                std::optional<T> orElse, Get value) {
  MOE_ASSIGN_OR_RETURN(const AttributeT *attribute, find(name, kind));
  if (attribute)
    return T(value(*attribute));
  if (orElse)
    return *std::move(orElse);
  return error(name, "is missing");
}

StatusOr<int64_t> StepAttributes::getInt(std::string_view name,
                                         std::optional<int64_t> orElse) {
  return get(name, plan::AttributeKind_Int, orElse,
             [](const AttributeT &attribute) { return attribute.i; });
}

StatusOr<bool> StepAttributes::getBool(std::string_view name,
                                       std::optional<bool> orElse) {
  MOE_ASSIGN_OR_RETURN(int64_t value, getInt(name, orElse));
  if (value != 0 && value != 1)
    return error(name, "is " + std::to_string(value) + ", expected 0 or 1");
  return value == 1;
}

StatusOr<double> StepAttributes::getFloat(std::string_view name,
                                          std::optional<double> orElse) {
  return get(name, plan::AttributeKind_Float, orElse,
             [](const AttributeT &attribute) { return attribute.f; });
}

StatusOr<std::string>
StepAttributes::getString(std::string_view name,
                          std::optional<std::string> orElse) {
  return get(name, plan::AttributeKind_String, std::move(orElse),
             [](const AttributeT &attribute) { return attribute.s; });
}

StatusOr<std::vector<int64_t>>
StepAttributes::getInts(std::string_view name,
                        std::optional<std::vector<int64_t>> orElse) {
  return get(name, plan::AttributeKind_Ints, std::move(orElse),
             [](const AttributeT &attribute) { return attribute.ints; });
}

StatusOr<std::vector<double>>
StepAttributes::getFloats(std::string_view name,
                          std::optional<std::vector<double>> orElse) {
  return get(name, plan::AttributeKind_Floats, std::move(orElse),
             [](const AttributeT &attribute) { return attribute.floats; });
}

StatusOr<size_t> StepAttributes::getNumExprs(std::string_view name,
                                             std::optional<size_t> orElse) {
  return get(
      name, plan::AttributeKind_Exprs, orElse,
      [](const AttributeT &attribute) { return attribute.exprs.size(); });
}

Status StepAttributes::checkAllRead() const {
  for (const auto &attribute : step.attributes)
    if (!read.contains(attribute->name))
      return error(attribute->name, "is not known");
  return Status::ok();
}
