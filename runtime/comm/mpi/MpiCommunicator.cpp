//===- MpiCommunicator.cpp - Ranks that are processes ---------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/comm/mpi/MpiCommunicator.h"

#include "runtime/comm/Reduce.h"
#include "runtime/comm/mpi/MpiWorld.h"

#include <algorithm>
#include <cstring>

using namespace moe;
using namespace moe::mpi;

MpiCommunicator::MpiCommunicator(MpiGroup newGroup,
                                 std::shared_ptr<Counters> counters)
    : Communicator(std::move(counters)), exchange(std::move(newGroup)),
      group(exchange.group()), nextChannel(group.channel + 1),
      sendBlocks(group.size()), recvBlocks(group.size()),
      sources(group.size()) {}

/// One block of `recv` for each rank, all of the same size.
std::span<const RecvBlock>
MpiCommunicator::blocksOf(std::span<std::byte> recv) {
  size_t bytes = recv.size() / size();
  for (int rank = 0; rank < size(); ++rank)
    recvBlocks[rank] = {recv.data() + rank * bytes, bytes};
  return recvBlocks;
}

Status MpiCommunicator::barrier(uint32_t tag) {
  return exchange.run({Operation::Barrier, tag}, {}, {});
}

Status MpiCommunicator::allGather(std::span<const std::byte> send,
                                  std::span<std::byte> recv, uint32_t tag) {
  Call call{Operation::AllGather, tag};
  MOE_RETURN_IF_ERROR(
      checkArguments(*this, recv.size() == send.size() * size(), call,
                     "the receive buffer must hold one part for each rank"));
  return allGatherV(send, blocksOf(recv), tag);
}

Status MpiCommunicator::allGatherV(std::span<const std::byte> send,
                                   std::span<const RecvBlock> recv,
                                   uint32_t tag) {
  Call call{Operation::AllGather, tag};
  MOE_RETURN_IF_ERROR(checkArguments(*this, recv.size() == size_t(size()), call,
                                     "needs one receive block for each rank"));
  std::fill(sendBlocks.begin(), sendBlocks.end(),
            SendBlock{send.data(), send.size()});
  MOE_RETURN_IF_ERROR(exchange.run(call, sendBlocks, recv));
  countMessages(counters(), send.size(), size() - 1);
  return Status::ok();
}

Status MpiCommunicator::gatherPatiently(std::span<const std::byte> send,
                                        std::span<std::byte> recv) {
  Call call{Operation::AllGather, 0};
  MOE_RETURN_IF_ERROR(
      checkArguments(*this, recv.size() == send.size() * size(), call,
                     "the receive buffer must hold one part for each rank"));
  std::fill(sendBlocks.begin(), sendBlocks.end(),
            SendBlock{send.data(), send.size()});
  return exchange.run(call, sendBlocks, blocksOf(recv), /*waitsForBusy=*/true);
}

Status MpiCommunicator::allToAllV(std::span<const SendBlock> send,
                                  std::span<const RecvBlock> recv,
                                  uint32_t tag) {
  Call call{Operation::AllToAll, tag};
  MOE_RETURN_IF_ERROR(checkArguments(
      *this, send.size() == size_t(size()) && recv.size() == size_t(size()),
      call, "needs one send block and one receive block for each rank"));
  MOE_RETURN_IF_ERROR(exchange.run(call, send, recv));
  for (int rank = 0; rank < size(); ++rank)
    if (rank != group.rank)
      countMessages(counters(), send[rank].bytes, 1);
  return Status::ok();
}

//===----------------------------------------------------------------------===//
// Reductions
//===----------------------------------------------------------------------===//

Status MpiCommunicator::gatherAndReduce(const Call &call,
                                        std::span<const SendBlock> send,
                                        int64_t count, void *result) {
  size_t bytes = count * dtypeSize(call.dtype);
  scratch.resize(bytes * size());
  std::span<const RecvBlock> recv = blocksOf(scratch);
  for (int rank = 0; rank < size(); ++rank)
    sources[rank] = recv[rank].data;
  MOE_RETURN_IF_ERROR(exchange.run(call, send, recv));
  reduceInOrder(result, sources, count, call.dtype, call.reduceOp);
  return Status::ok();
}

Status MpiCommunicator::allReduce(void *data, int64_t numElements, DType dtype,
                                  ReduceOp op, uint32_t tag) {
  Call call{Operation::AllReduce, tag, dtype, op, numElements};
  MOE_RETURN_IF_ERROR(checkArguments(*this,
                                     canReduce(dtype) && numElements >= 0, call,
                                     "needs f32, f64, i32 or i64"));
  auto *bytes = static_cast<std::byte *>(data);
  return numElements * dtypeSize(dtype) <= kSmallReduceBytes
             ? reduceSmall(call, bytes)
             : reduceInChunks(call, bytes);
}

/// Everyone adds everything.
Status MpiCommunicator::reduceSmall(const Call &call, std::byte *data) {
  size_t bytes = call.count * dtypeSize(call.dtype);
  std::fill(sendBlocks.begin(), sendBlocks.end(), SendBlock{data, bytes});
  MOE_RETURN_IF_ERROR(gatherAndReduce(call, sendBlocks, call.count, data));
  countMessages(counters(), bytes, size() - 1);
  return Status::ok();
}

/// Rank r adds chunk r, and then all fetch all.
Status MpiCommunicator::reduceInChunks(const Call &call, std::byte *data) {
  size_t width = dtypeSize(call.dtype);
  auto chunk = [&](int rank) {
    int64_t begin = chunkBegin(call.count, rank, size());
    int64_t end = chunkBegin(call.count, rank + 1, size());
    return std::span(data + begin * width, (end - begin) * width);
  };
  for (int rank = 0; rank < size(); ++rank)
    sendBlocks[rank] = {chunk(rank).data(), chunk(rank).size()};
  std::span<std::byte> mine = chunk(group.rank);
  MOE_RETURN_IF_ERROR(gatherAndReduce(call, sendBlocks,
                                      static_cast<int64_t>(mine.size() / width),
                                      mine.data()));

  for (int rank = 0; rank < size(); ++rank) {
    if (rank != group.rank)
      countMessages(counters(), sendBlocks[rank].bytes, 1);
    sendBlocks[rank] = {mine.data(), mine.size()};
    recvBlocks[rank] = {chunk(rank).data(), chunk(rank).size()};
  }
  MOE_RETURN_IF_ERROR(exchange.run(call, sendBlocks, recvBlocks));
  countMessages(counters(), mine.size(), size() - 1);
  return Status::ok();
}

Status MpiCommunicator::reduceScatter(const void *send, void *recv,
                                      int64_t numElements, DType dtype,
                                      ReduceOp op, uint32_t tag) {
  Call call{Operation::ReduceScatter, tag, dtype, op, numElements};
  MOE_RETURN_IF_ERROR(checkArguments(*this,
                                     canReduce(dtype) && numElements >= 0, call,
                                     "needs f32, f64, i32 or i64"));
  size_t bytes = numElements * dtypeSize(dtype);
  for (int rank = 0; rank < size(); ++rank)
    sendBlocks[rank] = {static_cast<const std::byte *>(send) + rank * bytes,
                        bytes};
  MOE_RETURN_IF_ERROR(gatherAndReduce(call, sendBlocks, numElements, recv));
  countMessages(counters(), bytes, size() - 1);
  return Status::ok();
}

//===----------------------------------------------------------------------===//
// Groups
//===----------------------------------------------------------------------===//

// The groups of one split have no member in common and may share a channel. It
// must be new to each of its members.
StatusOr<std::unique_ptr<Communicator>> MpiCommunicator::split(int color,
                                                               uint32_t tag) {
  struct Entry {
    int32_t color;
    int32_t nextChannel;
  };
  Call call{Operation::Split, tag};
  Entry mine{color, nextChannel};
  std::vector<Entry> entries(size());
  std::fill(
      sendBlocks.begin(), sendBlocks.end(),
      SendBlock{reinterpret_cast<const std::byte *>(&mine), sizeof(mine)});
  MOE_RETURN_IF_ERROR(exchange.run(
      call, sendBlocks, blocksOf(std::as_writable_bytes(std::span(entries)))));
  MpiGroup part;
  part.family = group.family;
  for (int rank = 0; rank < size(); ++rank) {
    part.channel = std::max(part.channel, entries[rank].nextChannel);
    if (entries[rank].color != color)
      continue;
    if (rank == group.rank)
      part.rank = part.size();
    part.members.push_back(group.members[rank]);
  }
  nextChannel = part.channel + 1;
  MOE_RETURN_IF_ERROR(checkArguments(
      *this, nextChannel < firstChannelOf(group.family->number + 1), call,
      "too many groups were split from one root"));
  return std::unique_ptr<Communicator>(
      new MpiCommunicator(std::move(part), sharedCounters()));
}

void MpiCommunicator::abort(const Status &why) {
  group.family->world->findReasonOfSignal(why);
  group.family->fail(abortError(group.nameOf(group.rank), why));
}
