//===- ThreadCommunicator.cpp - Ranks that are threads of a process -------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Every rank publishes a note: what it calls and where its bytes are. After
// the meeting each rank reads all notes, so all ranks see the same mismatch,
// and then copies what is for it straight from the senders' memory.
//
// Small messages are staged: their bytes travel in the note itself. A rank has
// two notes and uses them in turn. Before it writes a note again, every rank
// has entered the operation in between and has therefore finished reading. So
// staged operations need no second meeting.
//
//===----------------------------------------------------------------------===//

#include "runtime/comm/Reduce.h"
#include "runtime/comm/ThreadGroup.h"

#include <algorithm>
#include <cstring>
#include <numeric>

using namespace moe;

namespace {

void copyBytes(void *to, const void *from, size_t bytes) {
  if (bytes > 0 && to != from)
    std::memcpy(to, from, bytes);
}

class ThreadCommunicator final : public Communicator {
public:
  ThreadCommunicator(std::shared_ptr<ThreadGroup> group, int rank,
                     std::shared_ptr<Counters> counters)
      : Communicator(std::move(counters)), group(std::move(group)),
        theRank(rank), sources(this->group->numRanks),
        gatherBlocks(this->group->numRanks) {}

  int rank() const override { return theRank; }
  int size() const override { return group->numRanks; }

  Status barrier(uint32_t tag) override;
  Status allGather(std::span<const std::byte> send, std::span<std::byte> recv,
                   uint32_t tag) override;
  Status allGatherV(std::span<const std::byte> send,
                    std::span<const RecvBlock> recv, uint32_t tag) override;
  Status allToAllV(std::span<const SendBlock> send,
                   std::span<const RecvBlock> recv, uint32_t tag) override;
  Status allReduce(void *data, int64_t count, DType dtype, ReduceOp op,
                   uint32_t tag) override;
  Status reduceScatter(const void *send, void *recv, int64_t count, DType dtype,
                       ReduceOp op, uint32_t tag) override;
  StatusOr<std::unique_ptr<Communicator>> split(int color,
                                                uint32_t tag) override;
  void abort(const Status &why) override;
  Status check() const override { return group->meeting.check(); }

private:
  /// Fails for everyone, because the ranks did not call the same thing.
  Status fail(Status status);
  void publish(const Call &call, const void *data, size_t bytes);
  Status meet(const Call &call);
  Status checkBytes(const Call &call);
  Status move(const Call &call, std::span<const RecvBlock> recv);
  void leaveUnlessStaged();
  Note &noteOf(int rank) { return group->note(numCalls, rank); }

  std::shared_ptr<ThreadGroup> group;
  const int theRank;
  uint64_t numCalls = 0;
  bool allStaged = true;
  std::vector<const std::byte *> sources;
  std::vector<RecvBlock> gatherBlocks;
};

Status ThreadCommunicator::fail(Status status) {
  group->meeting.abort(status);
  return status;
}

/// Puts `data` into this rank's note if it is small.
void ThreadCommunicator::publish(const Call &call, const void *data,
                                 size_t bytes) {
  Note &note = noteOf(theRank);
  note.call = call;
  note.isStaged = bytes <= kStagedBytes;
  const std::byte *from = static_cast<const std::byte *>(data);
  if (note.isStaged) {
    copyBytes(note.stage.get(), data, bytes);
    from = note.stage.get();
  }
  note.send[0] = {from, bytes};
}

Status ThreadCommunicator::meet(const Call &call) {
  MOE_RETURN_IF_ERROR(group->meeting.enter(theRank, call.name(), call.tag));
  allStaged = true;
  for (int rank = 0; rank < size(); ++rank) {
    const Note &note = noteOf(rank);
    allStaged &= note.isStaged;
    if (note.call == noteOf(0).call)
      continue;
    return fail(Status(StatusCode::RankFailed,
                       "ranks disagree: " + group->nameOf(0) + " calls " +
                           noteOf(0).call.describe() + ", " +
                           group->nameOf(rank) + " calls " +
                           note.call.describe()));
  }
  return Status::ok();
}

void ThreadCommunicator::leaveUnlessStaged() {
  if (!allStaged)
    group->meeting.leave(theRank);
}

Status ThreadCommunicator::barrier(uint32_t tag) {
  return allToAllV({}, {}, tag);
}

Status ThreadCommunicator::allGather(std::span<const std::byte> send,
                                     std::span<std::byte> recv, uint32_t tag) {
  Call call{Operation::AllGather, tag};
  MOE_RETURN_IF_ERROR(
      checkArguments(*this, recv.size() == send.size() * size(), call,
                     "the receive buffer must hold one part for each rank"));
  for (int rank = 0; rank < size(); ++rank)
    gatherBlocks[rank] = {recv.data() + rank * send.size(), send.size()};
  return allGatherV(send, gatherBlocks, tag);
}

Status ThreadCommunicator::allGatherV(std::span<const std::byte> send,
                                      std::span<const RecvBlock> recv,
                                      uint32_t tag) {
  Call call{Operation::AllGather, tag};
  MOE_RETURN_IF_ERROR(group->meeting.check());
  MOE_RETURN_IF_ERROR(checkArguments(*this, recv.size() == size_t(size()), call,
                                     "needs one receive block for each rank"));
  publish(call, send.data(), send.size());
  Note &mine = noteOf(theRank);
  std::fill(mine.send.begin(), mine.send.end(), SendBlock(mine.send[0]));
  for (int rank = 0; rank < size(); ++rank)
    mine.recvBytes[rank] = recv[rank].bytes;
  MOE_RETURN_IF_ERROR(move(call, recv));
  countMessages(counters(), send.size(), size() - 1);
  return Status::ok();
}

Status ThreadCommunicator::allToAllV(std::span<const SendBlock> send,
                                     std::span<const RecvBlock> recv,
                                     uint32_t tag) {
  bool isBarrier = send.empty() && recv.empty();
  Call call{isBarrier ? Operation::Barrier : Operation::AllToAll, tag};
  MOE_RETURN_IF_ERROR(group->meeting.check());
  size_t numBlocks = isBarrier ? 0 : size();
  MOE_RETURN_IF_ERROR(checkArguments(
      *this, send.size() == numBlocks && recv.size() == numBlocks, call,
      "needs one send block and one receive block for each rank"));

  size_t bytes = 0;
  for (const SendBlock &block : send)
    bytes += block.bytes;
  publish(call, nullptr, 0);
  Note &mine = noteOf(theRank);
  mine.isStaged = bytes <= kStagedBytes;
  std::byte *stage = mine.stage.get();
  for (size_t rank = 0; rank < numBlocks; ++rank) {
    mine.send[rank] = send[rank];
    mine.recvBytes[rank] = recv[rank].bytes;
    if (!mine.isStaged)
      continue;
    copyBytes(stage, send[rank].data, send[rank].bytes);
    mine.send[rank].data = stage;
    stage += send[rank].bytes;
  }
  MOE_RETURN_IF_ERROR(move(call, recv));
  for (size_t rank = 0; rank < numBlocks; ++rank)
    if (static_cast<int>(rank) != theRank)
      countMessages(counters(), send[rank].bytes, 1);
  return Status::ok();
}

/// Every rank looks at every pair, so all find the same mismatch and nobody
/// copies anything.
Status ThreadCommunicator::checkBytes(const Call &call) {
  if (call.operation == Operation::Barrier)
    return Status::ok();
  for (int from = 0; from < size(); ++from) {
    for (int to = 0; to < size(); ++to) {
      size_t sent = noteOf(from).send[to].bytes;
      size_t expected = noteOf(to).recvBytes[from];
      if (sent == expected)
        continue;
      return fail(Status(StatusCode::RankFailed,
                         call.describe() + ": " + group->nameOf(from) +
                             " sends " + std::to_string(sent) + " bytes to " +
                             group->nameOf(to) + ", which expects " +
                             std::to_string(expected)));
    }
  }
  return Status::ok();
}

/// Meets the others and copies this rank's blocks from their notes.
Status ThreadCommunicator::move(const Call &call,
                                std::span<const RecvBlock> recv) {
  MOE_RETURN_IF_ERROR(meet(call));
  MOE_RETURN_IF_ERROR(checkBytes(call));
  if (!recv.empty()) {
    // Each rank begins elsewhere, so that not all read from one.
    for (int i = 0; i < size(); ++i) {
      int from = (theRank + i) % size();
      copyBytes(recv[from].data, noteOf(from).send[theRank].data,
                recv[from].bytes);
    }
  }
  leaveUnlessStaged();
  ++numCalls;
  return Status::ok();
}

Status ThreadCommunicator::allReduce(void *data, int64_t numElements,
                                     DType dtype, ReduceOp op, uint32_t tag) {
  Call call{Operation::AllReduce, tag, dtype, op, numElements};
  MOE_RETURN_IF_ERROR(group->meeting.check());
  MOE_RETURN_IF_ERROR(checkArguments(*this,
                                     canReduce(dtype) && numElements >= 0, call,
                                     "needs f32, f64, i32 or i64"));
  size_t width = dtypeSize(dtype);
  publish(call, data, numElements * width);
  MOE_RETURN_IF_ERROR(meet(call));

  // Staged: everyone adds everything. Else rank r adds chunk r in place, which
  // no other rank reads before the second meeting, and then all fetch all.
  int64_t begin = 0, end = numElements;
  if (!allStaged) {
    begin = chunkBegin(numElements, theRank, size());
    end = chunkBegin(numElements, theRank + 1, size());
  }
  for (int rank = 0; rank < size(); ++rank)
    sources[rank] = noteOf(rank).send[0].data + begin * width;
  std::byte *result = static_cast<std::byte *>(data);
  reduceInOrder(result + begin * width, sources, end - begin, dtype, op);

  if (allStaged) {
    countMessages(counters(), numElements * width, size() - 1);
  } else {
    group->meeting.leave(theRank);
    for (int i = 1; i < size(); ++i) {
      int from = (theRank + i) % size();
      int64_t first = chunkBegin(numElements, from, size());
      int64_t last = chunkBegin(numElements, from + 1, size());
      copyBytes(result + first * width,
                noteOf(from).send[0].data + first * width,
                (last - first) * width);
      countMessages(counters(), (last - first) * width, 1);
    }
    countMessages(counters(), (end - begin) * width, size() - 1);
    group->meeting.leave(theRank);
  }
  ++numCalls;
  return Status::ok();
}

Status ThreadCommunicator::reduceScatter(const void *send, void *recv,
                                         int64_t numElements, DType dtype,
                                         ReduceOp op, uint32_t tag) {
  Call call{Operation::ReduceScatter, tag, dtype, op, numElements};
  MOE_RETURN_IF_ERROR(group->meeting.check());
  MOE_RETURN_IF_ERROR(checkArguments(*this,
                                     canReduce(dtype) && numElements >= 0, call,
                                     "needs f32, f64, i32 or i64"));
  size_t partBytes = numElements * dtypeSize(dtype);
  publish(call, send, partBytes * size());
  MOE_RETURN_IF_ERROR(meet(call));
  for (int rank = 0; rank < size(); ++rank)
    sources[rank] = noteOf(rank).send[0].data + theRank * partBytes;
  reduceInOrder(recv, sources, numElements, dtype, op);
  leaveUnlessStaged();
  countMessages(counters(), partBytes, size() - 1);
  ++numCalls;
  return Status::ok();
}

StatusOr<std::unique_ptr<Communicator>>
ThreadCommunicator::split(int color, uint32_t tag) {
  Call call{Operation::Split, tag};
  MOE_RETURN_IF_ERROR(group->meeting.check());
  publish(call, &color, sizeof(color));
  MOE_RETURN_IF_ERROR(meet(call));
  std::vector<int> members;
  int place = 0;
  for (int rank = 0; rank < size(); ++rank) {
    int other;
    std::memcpy(&other, noteOf(rank).send[0].data, sizeof(other));
    if (other != color)
      continue;
    if (rank == theRank)
      place = static_cast<int>(members.size());
    members.push_back(rank);
  }
  ++numCalls;
  return std::unique_ptr<Communicator>(new ThreadCommunicator(
      group->takePart(color, members), place, sharedCounters()));
}

void ThreadCommunicator::abort(const Status &why) {
  group->meeting.abort(abortError(group->nameOf(theRank), why));
}

} // namespace

std::vector<std::unique_ptr<Communicator>>
moe::createThreadCommunicators(int numRanks, std::chrono::milliseconds timeout,
                               int numThreads) {
  auto family = std::make_shared<RendezvousFamily>(
      std::max(numRanks, numThreads), timeout);
  std::vector<int> names(numRanks);
  std::iota(names.begin(), names.end(), 0);
  auto group = std::make_shared<ThreadGroup>(family, std::move(names));
  std::vector<std::unique_ptr<Communicator>> communicators;
  for (int rank = 0; rank < numRanks; ++rank)
    communicators.push_back(std::make_unique<ThreadCommunicator>(
        group, rank, std::make_shared<Counters>()));
  return communicators;
}
