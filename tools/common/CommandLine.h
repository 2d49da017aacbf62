//===- CommandLine.h - Options of the runtime's tools -----------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// CLI11 reads the options; this makes its answers the project's: exit codes,
// the form of errors, and "did you mean".
//
//===----------------------------------------------------------------------===//

#ifndef MOE_TOOLS_COMMON_COMMANDLINE_H
#define MOE_TOOLS_COMMON_COMMANDLINE_H

#include "runtime/support/Status.h"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace CLI {
class App;
} // namespace CLI

namespace moe::tools {

/// The candidate that `word` most likely was meant to be: at most a third of
/// its letters are inserted, removed, replaced or exchanged.
std::optional<std::string>
closestWord(std::string_view word, const std::vector<std::string> &candidates);

/// "; did you mean 'seq'?", or nothing.
std::string didYouMean(std::string_view word,
                       const std::vector<std::string> &candidates);

/// Parses the words behind the program's name. Nothing if the command shall
/// go on; else the exit code: 0 after --help, 2 after an error, which then
/// stands on standard error.
std::optional<int> parseCommandLine(CLI::App &app,
                                    std::vector<std::string> words);

/// A list of numbers of an option, "1,4,16", each between `least` and `most`.
/// Errors (Usage) name the option.
StatusOr<std::vector<int64_t>> parseNumbers(std::string_view option,
                                            std::string_view text,
                                            int64_t least, int64_t most);

/// Values of names: "batch=8,seq=512".
using NamedNumbers = std::map<std::string, int64_t>;
/// Errors (Usage) name the option.
StatusOr<NamedNumbers> parseNamedNumbers(std::string_view option,
                                         std::string_view text);

/// Writes "PROGRAM: error: MESSAGE" to standard error; returns the exit code.
int reportError(std::string_view program, const Status &status);

/// Ends a program whose results are on standard output: what could not be
/// written there (a full disk, a closed pipe) is an IoError.
Status flushOutput();

} // namespace moe::tools

#endif // MOE_TOOLS_COMMON_COMMANDLINE_H
