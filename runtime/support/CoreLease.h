//===- CoreLease.h - Cores that threads are bound to ------------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Threads that work together should not be moved while they do, and never share
// a core while another one is idle. So each gets a core of its own, where the
// process may use enough of them and no other owner in the process has taken
// them. The environment variable MOE_AFFINITY=off leaves all to the system.
//
// A thread that calls in from outside is not bound, for its owner may use it
// and start threads from it. It is only moved away from the cores of the
// threads that it works with, should it run on one of them.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_RUNTIME_SUPPORT_CORELEASE_H
#define MOE_RUNTIME_SUPPORT_CORELEASE_H

#include <span>
#include <vector>

namespace moe {

class CoreLease {
public:
  /// No cores.
  CoreLease() = default;
  /// `count` cores, beginning with the one that the caller runs on. None if
  /// there are not as many free ones, or for less than two threads.
  static CoreLease take(int count);
  /// The same of `cores` alone, which no other process uses.
  static CoreLease takeOf(std::span<const int> cores, int count);
  CoreLease(CoreLease &&other) noexcept : cores(std::move(other.cores)) {
    other.cores.clear();
  }
  CoreLease &operator=(CoreLease &&other) noexcept {
    cores.swap(other.cores);
    return *this;
  }
  ~CoreLease();

  explicit operator bool() const { return !cores.empty(); }
  /// The cores of threads [first, first + count); empty without any. No threads
  /// may also begin behind the last core.
  std::span<const int> part(int first, int count) const {
    return cores.empty() || count == 0 ? std::span<const int>()
                                       : std::span(cores).subspan(first, count);
  }
  /// Sees to it that the calling thread, number 0, runs on no core of the
  /// others; it stays free to move.
  void settleCaller() const;

private:
  std::vector<int> cores;
};

/// Binds the calling thread to a core. Where that fails, the system goes on to
/// place it.
void bindThisThread(int core);
/// Binds the calling thread, and those that it starts from now on, to some
/// cores, unless MOE_AFFINITY=off.
void bindThisThread(std::span<const int> cores);

} // namespace moe

#endif // MOE_RUNTIME_SUPPORT_CORELEASE_H
