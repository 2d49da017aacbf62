//===- Commands.h - The commands of moe-run ---------------------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_TOOLS_MOE_RUN_COMMANDS_H
#define MOE_TOOLS_MOE_RUN_COMMANDS_H

#include <string>
#include <vector>

namespace moe::tools {

/// The whole program.
int runProgram(int argc, char **argv);

/// Each command parses its own words and returns the exit code.
int runCommand(const std::vector<std::string> &words);
int generateCommand(const std::vector<std::string> &words);
int perplexityCommand(const std::vector<std::string> &words);
int benchCommand(const std::vector<std::string> &words);
/// `moe-run bench` with --layer.
int benchLayerCommand(std::vector<std::string> words);
int calibrateCommand(const std::vector<std::string> &words);

} // namespace moe::tools

#endif // MOE_TOOLS_MOE_RUN_COMMANDS_H
