//===- Tools.h - Running the tools from tests --------------------*- C++
//-*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_TEST_E2E_TOOLS_H
#define MOE_TEST_E2E_TOOLS_H

#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

namespace moe::test {

inline std::string readFile(const std::filesystem::path &path) {
  std::ifstream stream(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

/// A folder that is removed with its contents.
class ScratchFolder {
public:
  ScratchFolder() {
    std::string pattern =
        (std::filesystem::temp_directory_path() / "moe-e2e-XXXXXX");
    path = mkdtemp(pattern.data());
  }
  ~ScratchFolder() { std::filesystem::remove_all(path); }
  std::filesystem::path path;
};

struct Outcome {
  int exitCode = -1;
  std::string output;
  std::string errors;
};

/// Runs a shell command; its standard error is kept apart.
inline Outcome runShell(const std::string &command,
                        const std::filesystem::path &scratch) {
  std::filesystem::path errors = scratch / "stderr";
  Outcome outcome;
  FILE *pipe = popen((command + " 2>'" + errors.string() + "'").c_str(), "r");
  if (!pipe)
    return outcome;
  std::array<char, 4096> buffer;
  while (size_t count = fread(buffer.data(), 1, buffer.size(), pipe))
    outcome.output.append(buffer.data(), count);
  int status = pclose(pipe);
  outcome.exitCode = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  outcome.errors = readFile(errors);
  return outcome;
}

/// `text` as one word of a shell command.
inline std::string quote(const std::string &text) {
  std::string quoted = "'";
  for (char c : text)
    quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return quoted + "'";
}

/// Runs one of the tools; a run that takes longer than two minutes fails.
inline Outcome runTool(const std::string &tool,
                       const std::vector<std::string> &args,
                       const std::filesystem::path &scratch) {
  std::string command = "timeout 120 " + quote(MOE_BIN_DIR "/" + tool);
  for (const std::string &arg : args)
    command.append(" ").append(quote(arg));
  return runShell(command, scratch);
}

} // namespace moe::test

#endif // MOE_TEST_E2E_TOOLS_H
