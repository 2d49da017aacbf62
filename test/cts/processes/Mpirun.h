//===- Mpirun.h - Jobs of several processes for tests -----------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_TEST_CTS_PROCESSES_MPIRUN_H
#define MOE_TEST_CTS_PROCESSES_MPIRUN_H

#include "test/e2e/Tools.h"

#include <algorithm>
#include <chrono>
#include <gtest/gtest.h>
#include <map>
#include <set>
#include <sstream>
#include <thread>

namespace moe::test {

/// How a job went.
struct Job {
  Outcome outcome;
  /// Exit code of each process. Once two have ended with an error the launcher
  /// may kill the others at once, and the shells that note their exit codes.
  std::map<int, int> exitCodes;

  /// True if all processes whose exit code is known had one of these.
  bool haveEndedWith(std::initializer_list<int> expected) const {
    return !exitCodes.empty() &&
           std::all_of(exitCodes.begin(), exitCodes.end(), [&](auto &entry) {
             return std::find(expected.begin(), expected.end(), entry.second) !=
                    expected.end();
           });
  }
  std::chrono::steady_clock::time_point end;
};

/// Compiles a model that is in the tree.
inline void compile(const std::string &model, int ranks,
                    const std::filesystem::path &plan,
                    const std::vector<std::string> &options = {}) {
  std::vector<std::string> words = {MOE_MODELS_DIR "/" + model + "/model.onnx",
                                    "-o", plan,
                                    "--ranks=" + std::to_string(ranks)};
  words.insert(words.end(), options.begin(), options.end());
  Outcome outcome = runTool("moe-opt", words, plan.parent_path());
  ASSERT_EQ(outcome.exitCode, 0) << outcome.errors;
}

/// Runs words under mpirun, each rank in a shell that notes the exit code.
/// `words` begins with options of mpirun and may hold ":" between programs; a
/// word "%" stands for the shell and its program.
class MpirunTest : public testing::Test {
protected:
  Job mpirun(const std::vector<std::string> &words) {
    std::filesystem::path codes = scratch.path / "codes";
    std::filesystem::remove_all(codes);
    std::filesystem::create_directory(codes);
    // The launcher's signals are for the program: the shell outlives them.
    std::string script = "trap : TERM; echo $PPID > " + quote(launcherFile()) +
                         "; \"$@\" 2> " + quote(codes.string()) +
                         "/$OMPI_COMM_WORLD_RANK.err; code=$?; echo $code > " +
                         quote(codes.string()) +
                         "/$OMPI_COMM_WORLD_RANK; exit $code";
    std::string command =
        "OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 timeout "
        "-k 5 90 " MOE_MPIEXEC " --oversubscribe";
    for (const std::string &word : words) {
      if (word == "%")
        command.append(" sh -c ").append(quote(script)).append(" sh");
      else
        command.append(" ").append(quote(word));
    }
    Job job;
    job.outcome = runShell(command, scratch.path);
    job.end = std::chrono::steady_clock::now();
    for (const auto &entry : std::filesystem::directory_iterator(codes)) {
      std::string text = readFile(entry.path());
      if (entry.path().extension() == ".err")
        job.outcome.errors += text;
      else if (!text.empty())
        job.exitCodes[std::stoi(entry.path().filename())] = std::stoi(text);
    }
    return job;
  }

  /// Where the ranks of a job write the number of the launcher's process.
  std::string launcherFile() const { return scratch.path / "launcher"; }

  /// Lines of standard error that contain `text`.
  static std::vector<std::string> linesWith(const Job &job,
                                            const std::string &text) {
    std::vector<std::string> lines;
    std::istringstream stream(job.outcome.errors);
    for (std::string line; std::getline(stream, line);)
      if (line.find(text) != line.npos)
        lines.push_back(line);
    return lines;
  }

  /// What Open MPI keeps in shared memory.
  static std::set<std::string> sharedMemory() {
    std::set<std::string> names;
    std::error_code error;
    for (const auto &entry :
         std::filesystem::directory_iterator("/dev/shm", error))
      names.insert(entry.path().filename());
    return names;
  }

  /// Processes that were given a file of this test.
  int numProcesses() const {
    int count = 0;
    std::error_code error;
    for (const auto &entry :
         std::filesystem::directory_iterator("/proc", error)) {
      std::string name = entry.path().filename();
      if (name.find_first_not_of("0123456789") != name.npos ||
          std::stoi(name) == getpid())
        continue;
      std::string words = readFile(entry.path() / "cmdline");
      count += words.find(scratch.path.string()) != words.npos;
    }
    return count;
  }

  /// Waits a moment for what ends by itself.
  void expectNothingLeft(const std::set<std::string> &before) const {
    auto isNew = [&](const std::string &name) {
      return !before.contains(name);
    };
    std::set<std::string> now;
    for (int i = 0; i < 300; ++i) {
      now = sharedMemory();
      if (numProcesses() == 0 && std::none_of(now.begin(), now.end(), isNew))
        return;
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    EXPECT_EQ(numProcesses(), 0);
    EXPECT_TRUE(std::none_of(now.begin(), now.end(), isNew))
        << testing::PrintToString(now);
  }

  ScratchFolder scratch;
};

} // namespace moe::test

#endif // MOE_TEST_CTS_PROCESSES_MPIRUN_H
