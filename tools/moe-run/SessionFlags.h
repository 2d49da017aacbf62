//===- SessionFlags.h - Options of every command that loads a plan *- C++
//-*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_TOOLS_MOE_RUN_SESSIONFLAGS_H
#define MOE_TOOLS_MOE_RUN_SESSIONFLAGS_H

#include "moe/Session.h"
#include "tools/common/CommandLine.h"

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace moe::tools {

/// A plan that is loaded, and memory to run it.
struct Session {
  std::shared_ptr<Model> model;
  std::unique_ptr<Context> context;
  /// What --max said.
  NamedNumbers maxima;
};

struct SessionFlags {
  std::string plan;
  int threads = 0;
  std::string device = "cpu";
  std::optional<std::string> max;
  std::string verify = "full";
  std::vector<std::string> weightsFolders;
  double timeoutSeconds = 30;
  uint64_t memoryBytes = 0;
  std::string profile;
  std::string processes = "auto";

  void addTo(CLI::App &app);
  /// Loads the plan and its weights, of one rank if ranks are processes.
  StatusOr<Session> open() const;
  /// After the last run and Context::gatherStatistics: writes what --profile
  /// asks for.
  Status writeProfile(const Context &context) const;
};

/// Errors (Usage) for a name that is no symbol of the model's inputs.
Status checkSymbols(const Model &model, std::string_view option,
                    const NamedNumbers &numbers);

} // namespace moe::tools

#endif // MOE_TOOLS_MOE_RUN_SESSIONFLAGS_H
