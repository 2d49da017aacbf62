//===- Kernel.cpp - The registry of kernels -------------------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/kernels/Kernel.h"

#include "runtime/plan/Plan_generated.h"

using namespace moe;

Kernel::~Kernel() = default;

void KernelRegistry::add(std::string name, KernelFactory factory,
                         std::vector<std::string> weightLayouts) {
  entries[std::move(name)] = {std::move(factory), std::move(weightLayouts)};
}

bool KernelRegistry::contains(std::string_view name) const {
  return entries.find(name) != entries.end();
}

StatusOr<std::unique_ptr<Kernel>>
KernelRegistry::create(const KernelSpec &spec) const {
  auto found = entries.find(spec.step.kernel);
  if (found == entries.end())
    return Status(StatusCode::BadPlan,
                  "no kernel is named '" + spec.step.kernel + "'");
  return found->second.factory(spec);
}

std::span<const std::string>
KernelRegistry::weightLayouts(std::string_view name) const {
  auto found = entries.find(name);
  if (found == entries.end())
    return {};
  return found->second.weightLayouts;
}

std::vector<std::string> KernelRegistry::names() const {
  std::vector<std::string> result;
  for (const auto &[name, entry] : entries)
    result.push_back(name);
  return result;
}
