//===- ChooseLayouts.cpp - The layouts in which weights are loaded --------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A parameter keeps the layout of the plan if all of its readers know it, and
// if no rank holds a part that cuts a block of codes; else it gets the best
// layout of the first reader that the others know too.
//
//===----------------------------------------------------------------------===//

#include "runtime/exec/Executable.h"
#include "runtime/params/HeldBlocks.h"
#include "runtime/params/QuantFormat.h"

#include <algorithm>

using namespace moe;

static bool contains(std::span<const std::string> layouts,
                     std::string_view layout) {
  return std::find(layouts.begin(), layouts.end(), layout) != layouts.end();
}

/// Whether weights may be loaded as the plan has them.
static StatusOr<bool> keepsLayout(const plan::ProgramT &program,
                                  const plan::ParamT &param,
                                  std::span<const std::string> readable) {
  std::optional<QuantFormat> format = parseQuantLayout(param.layout);
  if (!format)
    return contains(readable, param.layout);
  // One name stands for the layouts of all formats.
  if (!contains(readable, kQuantLayouts))
    return false;
  return param.part_axis == 0 ? partsBeginAt(program, param, format->block)
                              : true;
}

Status Executable::chooseLayouts(const KernelRegistry &registry) {
  std::vector<std::vector<std::string>> readable(program->params.size());
  std::vector<bool> isRead(program->params.size());
  for (const auto &step : program->steps) {
    std::span<const std::string> known = registry.weightLayouts(step->kernel);
    for (int32_t buffer : step->inputs) {
      if (buffer < 0)
        continue;
      const plan::BufferT &root = *program->buffers[buffers[buffer].root];
      if (root.kind != plan::BufferKind_Param)
        continue;
      std::vector<std::string> &common = readable[root.index];
      if (!isRead[root.index])
        common.assign(known.begin(), known.end());
      std::erase_if(common, [&](const std::string &layout) {
        return !contains(known, layout);
      });
      isRead[root.index] = true;
    }
  }
  for (size_t i = 0; i < program->params.size(); ++i) {
    const plan::ParamT &param = *program->params[i];
    bool keeps = !isRead[i];
    if (!keeps) {
      MOE_ASSIGN_OR_RETURN(keeps, keepsLayout(*program, param, readable[i]));
    }
    if (keeps) {
      layouts.push_back(param.layout);
      continue;
    }
    std::erase(readable[i], kQuantLayouts);
    if (readable[i].empty())
      return Status(StatusCode::Unsupported,
                    "parameter \"" + param.name +
                        "\" is read by kernels that have no layout in common");
    layouts.push_back(readable[i].front());
  }
  return Status::ok();
}
