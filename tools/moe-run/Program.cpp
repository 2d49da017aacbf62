//===- Program.cpp - The commands of moe-run ------------------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The first word chooses a command; without one the plan is run.
//
//===----------------------------------------------------------------------===//

#include "tools/common/CommandLine.h"
#include "tools/common/Signals.h"
#include "tools/moe-run/Commands.h"

#include <cstdio>
#include <filesystem>

using namespace moe;
using namespace moe::tools;

namespace {

struct CommandRow {
  const char *name;
  int (*run)(const std::vector<std::string> &words);
};

constexpr CommandRow kCommands[] = {
    {"run", runCommand},
    {"generate", generateCommand},
    {"perplexity", perplexityCommand},
    {"bench", benchCommand},
    {"calibrate", calibrateCommand},
};

constexpr char kHelp[] =
    R"(Runs MoE models that moe-opt compiled.

usage: moe-run [run] PLAN [OPTIONS]      run the model once on arrays
       moe-run generate PLAN [OPTIONS]   continue texts
       moe-run perplexity PLAN [OPTIONS] score a text
       moe-run bench PLAN [OPTIONS]      measure time by shape
       moe-run bench --layer SIZES       measure one expert layer
       moe-run calibrate [OPTIONS]       measure this machine for moe-opt

'moe-run COMMAND --help' lists the options of a command.

examples:
  moe-run model.moeplan --inputs in.npz --expect out.npz
  moe-run generate model.moeplan --tokenizer tokenizer.json --prompt "ROMEO:"
  moe-run perplexity model.moeplan --ids validation.npy --window 256
  moe-run bench model.moeplan --shape batch=1,seq=1,past=128

exit codes: 0 ok, 1 other, 2 usage, 3 bad model, 4 unsupported, 5 results
differ, 6 plan corrupt or incompatible, 7 input/output, 8 a rank failed,
9 timeout, 10 out of memory or over a limit, 70 internal error, 130 and 143
after SIGINT and SIGTERM
)";

/// A first word that is no plan may be a command with a typing error.
std::string misspelledCommand(const std::string &word) {
  std::vector<std::string> names;
  for (const CommandRow &command : kCommands)
    names.push_back(command.name);
  if (word.starts_with("-") || std::filesystem::exists(word))
    return "";
  return didYouMean(word, names);
}

} // namespace

int tools::runProgram(int argc, char **argv) {
  receiveSignals();
  std::vector<std::string> words(argv + 1, argv + argc);
  if (words.empty() || words[0] == "--help" || words[0] == "-h") {
    std::fputs(kHelp, words.empty() ? stderr : stdout);
    return words.empty() ? static_cast<int>(StatusCode::Usage) : 0;
  }
  for (const CommandRow &command : kCommands)
    if (words[0] == command.name)
      return command.run({words.begin() + 1, words.end()});
  if (std::string hint = misspelledCommand(words[0]); !hint.empty())
    return reportError("moe-run",
                       Status(StatusCode::Usage, "no plan and no command '" +
                                                     words[0] + "'" + hint));
  return runCommand(words);
}
