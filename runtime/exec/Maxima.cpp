//===- Maxima.cpp - How large the symbols may become ----------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/exec/Maxima.h"

#include <algorithm>

using namespace moe;

Maxima::Maxima(std::shared_ptr<const plan::ProgramT> shared)
    : program(std::move(shared)), given(program->symbols.size()),
      hasGrown(program->symbols.size()) {}

Status Maxima::setExplicit(const std::map<std::string, int64_t> &maxima) {
  std::vector<std::optional<int64_t>> next(program->symbols.size());
  for (const auto &[name, value] : maxima) {
    std::string known;
    bool isFound = false;
    for (size_t i = 0; i < next.size(); ++i) {
      if (!isInput(i))
        continue;
      known += (known.empty() ? "" : ", ") + program->symbols[i]->name;
      if (program->symbols[i]->name != name)
        continue;
      isFound = true;
      next[i] = value;
    }
    if (!isFound)
      return Status(StatusCode::Usage,
                    "--max names \"" + name + "\", expected one of " + known);
    if (value < 0)
      return Status(StatusCode::Usage, "--max " + name + "=" +
                                           std::to_string(value) +
                                           " is negative");
  }
  given = std::move(next);
  return Status::ok();
}

bool Maxima::areAllKnown() const {
  for (size_t i = 0; i < given.size(); ++i)
    if (isInput(i) && !given[i] && program->symbols[i]->default_max <= 0)
      return false;
  return true;
}

bool Maxima::useDefaults() const {
  for (size_t i = 0; i < given.size(); ++i)
    if (isInput(i) && !given[i])
      return true;
  return false;
}

std::vector<int64_t> Maxima::initial() const {
  std::vector<int64_t> result(given.size());
  for (size_t i = 0; i < given.size(); ++i)
    if (isInput(i))
      result[i] = given[i].value_or(program->symbols[i]->default_max);
  return result;
}

Status Maxima::check(std::span<const int64_t> values) const {
  for (size_t i = 0; i < given.size(); ++i) {
    if (!given[i] || values[i] <= *given[i])
      continue;
    std::string name = program->symbols[i]->name;
    std::string value = std::to_string(values[i]);
    return Status(StatusCode::OutOfMemory,
                  name + " = " + value + " exceeds its maximum " +
                      std::to_string(*given[i]) + "; raise it with --max " +
                      name + "=" + value);
  }
  return Status::ok();
}

std::vector<int64_t> Maxima::grown(std::span<const int64_t> values,
                                   std::span<const int64_t> prepared,
                                   bool ahead) const {
  std::vector<int64_t> result(given.size());
  for (size_t i = 0; i < given.size(); ++i) {
    if (!isInput(i))
      continue;
    int64_t before = prepared.empty() ? 0 : prepared[i];
    result[i] = given[i].value_or(std::max(before, values[i]));
    bool growsAgain = hasGrown[i] && !given[i] && values[i] > before;
    if (ahead && growsAgain)
      result[i] += std::max<int64_t>(result[i] / 2, 32);
  }
  return result;
}

void Maxima::noteGrowth(std::span<const int64_t> values,
                        std::span<const int64_t> prepared) {
  for (size_t i = 0; i < given.size(); ++i)
    if (isInput(i) && !prepared.empty() && values[i] > prepared[i])
      hasGrown[i] = true;
}
