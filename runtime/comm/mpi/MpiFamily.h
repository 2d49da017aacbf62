//===- MpiFamily.h - Communicators that fail together -----------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_RUNTIME_COMM_MPI_MPIFAMILY_H
#define MOE_RUNTIME_COMM_MPI_MPIFAMILY_H

#include "runtime/support/Status.h"

#include <atomic>
#include <chrono>
#include <memory>
#include <mutex>

namespace moe::mpi {

class MpiWorld;

/// A communicator of the first ranks of the world and all that were split from
/// it.
class MpiFamily {
public:
  MpiFamily(std::shared_ptr<MpiWorld> world, uint32_t number, int numRanks,
            std::chrono::milliseconds timeout);
  ~MpiFamily();

  /// The error that ended the family, if there is one.
  Status check() const;
  /// Ends the family here and tells the other members. The first error wins.
  void fail(const Status &why);
  /// The same for what another rank has told.
  void failHere(const Status &why);

  const std::shared_ptr<MpiWorld> world;
  const uint32_t number;
  const int numRanks;
  const std::chrono::milliseconds timeout;

private:
  bool setError(const Status &why);

  std::atomic<bool> hasFailed{false};
  mutable std::mutex mutex;
  Status error;
};

} // namespace moe::mpi

#endif // MOE_RUNTIME_COMM_MPI_MPIFAMILY_H
