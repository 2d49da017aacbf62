//===- ProcessGroup.h - Ranks that are processes ----------------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Processes that a launcher (mpirun) started together are ranks 0 to n - 1.
// What connects them is a library that is opened at run time, so that the
// runtime needs none of it for ranks that are threads.
//
// Who fails tells all others before it ends, and a process that dies is found
// by those on its machine; then every communicator of every process fails.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_RUNTIME_COMM_PROCESSGROUP_H
#define MOE_RUNTIME_COMM_PROCESSGROUP_H

#include "runtime/comm/Communicator.h"

#include <optional>
#include <span>

namespace moe {

struct ProcessOptions {
  /// How long the group itself waits for a rank that does not answer.
  std::chrono::milliseconds timeout{30000};
  /// Ask every rank how it is, also those whose state this machine's table of
  /// processes tells.
  bool ignoreProcessTable = false;
};

class ProcessGroup {
public:
  virtual ~ProcessGroup();
  virtual int rank() const = 0;
  virtual int size() const = 0;
  /// How many of them run on this machine.
  virtual int numNeighbours() const = 0;
  /// How many threads of theirs find a core here: a launcher may have given
  /// each process cores of its own, or all the same ones.
  virtual int numCores() const = 0;
  /// The cores that are this process's share of those that all processes of
  /// this machine may use. Empty where a launcher has bound them to cores, and
  /// where there is not a core for each.
  virtual std::span<const int> ownCores() const = 0;

  /// Called by all processes, in the same order: a communicator of the first
  /// `numRanks` of them, null on the others.
  virtual StatusOr<std::unique_ptr<Communicator>>
  createCommunicator(int numRanks, std::chrono::milliseconds timeout) = 0;
  /// Called by all processes: all[r * mine.size()] gets the bytes of rank r.
  /// Waits for a rank that is busy as long as it answers, so it suits moments
  /// to which ranks come at very different times.
  virtual Status gather(std::span<const std::byte> mine,
                        std::span<std::byte> all) = 0;
  /// Fails all communicators of all processes; `why` names this rank.
  virtual void abort(const Status &why) = 0;
  /// Ok until something has failed.
  virtual Status check() = 0;
  /// Called by a process before it ends because of an error, after it has said
  /// so: waits a moment for the others to come here too. A launcher that sees
  /// processes end kills the rest before they have said a word.
  virtual void leave() = 0;
  /// Called by all processes that found no error: waits for the others and
  /// leaves the group. Nothing of the group may be used afterwards. A process
  /// that ends without it has failed.
  virtual Status finish() = 0;
};

/// Opens libmoe_mpi.so, which lies beside the program, in the folder of
/// libraries of the installation, or where the system looks. Waits until all
/// processes have started. Errors: Unsupported, which says what is missing.
StatusOr<std::shared_ptr<ProcessGroup>>
openMpiProcesses(const ProcessOptions &options);

/// What the library shows.
struct ProcessLibrary {
  /// Must be kProcessLibraryVersion.
  const char *version;
  StatusOr<std::shared_ptr<ProcessGroup>> (*open)(const ProcessOptions &);
};
/// Of the function that returns it: extern "C" const ProcessLibrary *().
inline constexpr char kProcessLibrarySymbol[] = "moeProcessLibrary";
/// Changes with these interfaces.
inline constexpr char kProcessLibraryVersion[] = "moe-processes-2";

} // namespace moe

#endif // MOE_RUNTIME_COMM_PROCESSGROUP_H
