//===- Exchange.h - The messages of one collective --------------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Every member sends every other one a header: the number of the operation,
// what it is, and how many bytes follow. The receiver compares it with its own
// call before it takes a byte, so ranks that disagree find out at once.
//
//   few bytes      [header bytes]
//   many bytes     [header]  [part of 1 GiB] [part] ...   parts are received
//                                                         after the check
//
// Nothing blocks: a loop tests what is under way, and looks meanwhile whether
// the family has failed and whether the time is up.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_RUNTIME_COMM_MPI_EXCHANGE_H
#define MOE_RUNTIME_COMM_MPI_EXCHANGE_H

#include "runtime/comm/Call.h"
#include "runtime/comm/mpi/MpiFamily.h"

#include <mpi.h>

namespace moe::mpi {

/// Waits longer the longer nothing happens.
class Backoff {
public:
  explicit Backoff(int numSpins) : numSpins(numSpins) {}
  void reset() { numTurns = 0; }
  /// True if it is time to look for other things than messages.
  bool pause();

private:
  const int numSpins;
  int numTurns = 0;
};

/// What the members of a group need to talk to each other.
struct MpiGroup {
  std::shared_ptr<MpiFamily> family;
  /// Sets the messages of this group apart from those of others with the same
  /// members.
  int channel = 0;
  int rank = 0;
  /// Ranks of the world, which are those of the root.
  std::vector<int> members;

  int size() const { return static_cast<int>(members.size()); }
  /// "rank 4": what the root calls it.
  std::string nameOf(int place) const {
    return "rank " + std::to_string(members[place]);
  }
};

/// Channels of a family are consecutive.
inline int64_t firstChannelOf(int64_t family) { return family * 4096; }

/// Moves blocks between all members, operation by operation.
class Exchange {
public:
  explicit Exchange(MpiGroup group);
  const MpiGroup &group() const { return theGroup; }

  /// send[p] goes to place p, what comes from p must be recv[p].bytes long.
  /// Both are empty or have a block for each member. With `waitsForBusy` a
  /// member that answers is waited for beyond the timeout.
  Status run(const Call &call, std::span<const SendBlock> send,
             std::span<const RecvBlock> recv, bool waitsForBusy = false);

private:
  struct Header {
    uint64_t sequence = 0;
    uint64_t bytes = 0;
    int64_t count = 0;
    uint32_t tag = 0;
    uint8_t operation = 0;
    uint8_t dtype = 0;
    uint8_t reduceOp = 0;
    uint8_t reserved = 0;
  };
  enum class Part : uint8_t { HeaderIn, HeaderOut, DataIn, DataOut };
  struct Transfer {
    Part part;
    int place;
  };

  Status begin(const Call &call, std::span<const SendBlock> send,
               std::span<const RecvBlock> recv);
  Status sendTo(int place, const Call &call, SendBlock block);
  Status receiveHeader(int place);
  Status takeHeader(const Call &call, int place, int numReceived,
                    RecvBlock block);
  Status checkHeader(const Call &call, int place, const Header &header,
                     size_t expectedBytes) const;
  Status moveParts(const Call &call, std::span<const RecvBlock> recv,
                   bool waitsForBusy);
  Status takeDone(const Call &call, std::span<const RecvBlock> recv,
                  int numDone);
  Status lookAround(const Call &call, bool waitsForBusy);
  Status giveUp(const Call &call, bool waitsForBusy);
  Status fail(const Status &why);
  void cancelAll();
  std::vector<int> missingRanks() const;
  MPI_Request *addTransfer(Part part, int place);

  const MpiGroup theGroup;
  MPI_Comm comm;
  uint64_t sequence = 0;
  std::vector<std::byte> sendStage, recvStage;

  // The present operation.
  std::vector<MPI_Request> requests;
  std::vector<Transfer> transfers;
  std::vector<int> doneIndices;
  std::vector<MPI_Status> doneStatuses;
  size_t numOpen = 0;
  std::chrono::steady_clock::time_point deadline, nextReport;
  bool hasReported = false;
};

} // namespace moe::mpi

#endif // MOE_RUNTIME_COMM_MPI_EXCHANGE_H
