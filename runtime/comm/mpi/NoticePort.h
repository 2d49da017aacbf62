//===- NoticePort.h - Messages beside the collectives -----------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What ranks tell each other outside of collectives: that one has failed, and
// whom they wait for. Notices travel on a communicator of their own and are
// sent and received by whoever polls.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_RUNTIME_COMM_MPI_NOTICEPORT_H
#define MOE_RUNTIME_COMM_MPI_NOTICEPORT_H

#include "runtime/support/Status.h"

#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <mpi.h>
#include <mutex>
#include <vector>

namespace moe::mpi {

enum class NoticeKind : uint32_t { Abort, Question, Answer, Goodbye };

/// Ends all families.
constexpr uint32_t kAllFamilies = UINT32_MAX;

struct Notice {
  static constexpr int kMaxMissing = 8;

  NoticeKind kind = NoticeKind::Abort;
  uint32_t family = 0; ///< Abort
  int32_t code = 0;    ///< Abort: a StatusCode
  uint32_t number = 0; ///< Question; Answer: to which question
  /// Answer: ranks that the sender waits for; -1 if it does not wait.
  int32_t numMissing = -1;
  int32_t missing[kMaxMissing] = {};
  char text[968] = {}; ///< Abort: the message

  static Notice abort(uint32_t family, const Status &why);
  /// The error of an abort. Trusts nothing in it.
  Status error() const;
};
static_assert(sizeof(Notice) <= 1024, "must be sent without a handshake");

class NoticePort {
public:
  /// `comm` is used for nothing else and lives as long as the port.
  Status open(MPI_Comm comm);
  /// May be called by several threads; sent by the next poll.
  void post(int to, const Notice &notice);
  /// Sends what was posted and calls `handle` for what has come. One thread at
  /// a time.
  void poll(const std::function<void(int from, const Notice &)> &handle);
  /// True if all that was posted has left.
  bool isFlushed() const;
  /// Receives nothing more.
  void close();

private:
  struct Sending {
    Notice notice;
    int to = 0;
    MPI_Request request = MPI_REQUEST_NULL;
  };

  MPI_Comm comm = MPI_COMM_NULL;
  Notice received;
  MPI_Request receiving = MPI_REQUEST_NULL;
  mutable std::mutex mutex;
  std::list<Sending> posted, sending;
};

} // namespace moe::mpi

#endif // MOE_RUNTIME_COMM_MPI_NOTICEPORT_H
