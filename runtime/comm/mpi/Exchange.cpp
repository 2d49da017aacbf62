//===- Exchange.cpp - The messages of one collective ----------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/comm/mpi/Exchange.h"

#include "runtime/comm/mpi/MpiError.h"
#include "runtime/comm/mpi/MpiWorld.h"

#include <algorithm>
#include <cstring>
#include <thread>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

using namespace moe;
using namespace moe::mpi;
using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

/// Bytes that travel with a header; together they are sent without a handshake.
static constexpr size_t kInlineBytes = 3456;
static constexpr size_t kStageBytes = 3520;
/// MPI counts in int.
static constexpr size_t kPartBytes = size_t(1) << 30;
/// When a wait is long enough to be told to others that ask, and how often.
static constexpr milliseconds kReportPeriod{10};
/// How long what is under way may take to end after an error.
static constexpr milliseconds kCancelTime{250};

static void pauseCpu() {
#if defined(__x86_64__)
  _mm_pause();
#endif
}

bool Backoff::pause() {
  constexpr int kYields = 200, kSpinsPerLook = 256;
  ++numTurns;
  if (numTurns < numSpins) {
    pauseCpu();
    return numTurns % kSpinsPerLook == 0;
  }
  if (numTurns < numSpins + kYields)
    std::this_thread::yield();
  else
    std::this_thread::sleep_for(std::chrono::microseconds(50));
  return true;
}

Exchange::Exchange(MpiGroup group)
    : theGroup(std::move(group)), comm(theGroup.family->world->dataComm()),
      sendStage(theGroup.size() * kStageBytes),
      recvStage(theGroup.size() * kStageBytes) {}

MPI_Request *Exchange::addTransfer(Part part, int place) {
  transfers.push_back({part, place});
  ++numOpen;
  return &requests.emplace_back(MPI_REQUEST_NULL);
}

Status Exchange::run(const Call &call, std::span<const SendBlock> send,
                     std::span<const RecvBlock> recv, bool waitsForBusy) {
  MOE_RETURN_IF_ERROR(theGroup.family->check());
  ++sequence;
  hasReported = false;
  deadline = Clock::now() + theGroup.family->timeout;
  nextReport = Clock::now() + kReportPeriod;
  Status status = begin(call, send, recv);
  if (status.isOk())
    status = moveParts(call, recv, waitsForBusy);
  if (hasReported)
    theGroup.family->world->clearWaiting(this);
  if (!status.isOk())
    return fail(status);
  requests.clear();
  transfers.clear();
  return Status::ok();
}

Status Exchange::begin(const Call &call, std::span<const SendBlock> send,
                       std::span<const RecvBlock> recv) {
  // Each rank begins elsewhere, so that not all send to one.
  for (int i = 1; i < theGroup.size(); ++i) {
    int place = (theGroup.rank + i) % theGroup.size();
    MOE_RETURN_IF_ERROR(receiveHeader(place));
    MOE_RETURN_IF_ERROR(
        sendTo(place, call, send.empty() ? SendBlock() : send[place]));
  }
  if (send.empty() || recv.empty())
    return Status::ok();
  SendBlock from = send[theGroup.rank];
  RecvBlock to = recv[theGroup.rank];
  if (from.bytes != to.bytes)
    return Status(StatusCode::RankFailed,
                  call.describe() + ": " + theGroup.nameOf(theGroup.rank) +
                      " sends " + std::to_string(from.bytes) +
                      " bytes to itself, which expects " +
                      std::to_string(to.bytes));
  if (to.bytes > 0 && to.data != from.data)
    std::memcpy(to.data, from.data, to.bytes);
  return Status::ok();
}

Status Exchange::sendTo(int place, const Call &call, SendBlock block) {
  Header header;
  header.sequence = sequence;
  header.bytes = block.bytes;
  header.count = call.count;
  header.tag = call.tag;
  header.operation = static_cast<uint8_t>(call.operation);
  header.dtype = static_cast<uint8_t>(call.dtype);
  header.reduceOp = static_cast<uint8_t>(call.reduceOp);
  std::byte *stage = sendStage.data() + place * kStageBytes;
  std::memcpy(stage, &header, sizeof(header));
  bool isInline = block.bytes <= kInlineBytes;
  size_t bytes = sizeof(header);
  if (isInline && block.bytes > 0) {
    std::memcpy(stage + bytes, block.data, block.bytes);
    bytes += block.bytes;
  }
  int to = theGroup.members[place], tag = 2 * theGroup.channel;
  MOE_RETURN_IF_ERROR(
      check(MPI_Isend(stage, static_cast<int>(bytes), MPI_BYTE, to, tag, comm,
                      addTransfer(Part::HeaderOut, place))));
  for (size_t at = 0; !isInline && at < block.bytes; at += kPartBytes) {
    size_t size = std::min(kPartBytes, block.bytes - at);
    MOE_RETURN_IF_ERROR(
        check(MPI_Isend(block.data + at, static_cast<int>(size), MPI_BYTE, to,
                        tag + 1, comm, addTransfer(Part::DataOut, place))));
  }
  return Status::ok();
}

Status Exchange::receiveHeader(int place) {
  return check(MPI_Irecv(recvStage.data() + place * kStageBytes, kStageBytes,
                         MPI_BYTE, theGroup.members[place],
                         2 * theGroup.channel, comm,
                         addTransfer(Part::HeaderIn, place)));
}

Status Exchange::checkHeader(const Call &call, int place, const Header &header,
                             size_t expectedBytes) const {
  Call theirs{static_cast<Operation>(header.operation), header.tag,
              static_cast<DType>(header.dtype),
              static_cast<ReduceOp>(header.reduceOp), header.count};
  int first = std::min(place, theGroup.rank);
  int second = std::max(place, theGroup.rank);
  bool isMineFirst = first == theGroup.rank;
  if (header.sequence != sequence || theirs != call) {
    auto describe = [&](bool isMine) {
      return "operation " +
             std::to_string(isMine ? sequence : header.sequence) + ", " +
             (isMine ? call : theirs).describe();
    };
    return Status(StatusCode::RankFailed,
                  "ranks disagree: " + theGroup.nameOf(first) + " calls " +
                      describe(isMineFirst) + ", " + theGroup.nameOf(second) +
                      " calls " + describe(!isMineFirst));
  }
  if (header.bytes == expectedBytes)
    return Status::ok();
  return Status(StatusCode::RankFailed,
                call.describe() + ": " + theGroup.nameOf(place) + " sends " +
                    std::to_string(header.bytes) + " bytes to " +
                    theGroup.nameOf(theGroup.rank) + ", which expects " +
                    std::to_string(expectedBytes));
}

Status Exchange::takeHeader(const Call &call, int place, int numReceived,
                            RecvBlock block) {
  const std::byte *stage = recvStage.data() + place * kStageBytes;
  Header header;
  if (numReceived < static_cast<int>(sizeof(header)))
    return Status(StatusCode::RankFailed,
                  theGroup.nameOf(place) + " sent a header of " +
                      std::to_string(numReceived) + " bytes");
  std::memcpy(&header, stage, sizeof(header));
  MOE_RETURN_IF_ERROR(checkHeader(call, place, header, block.bytes));
  if (block.bytes <= kInlineBytes) {
    size_t numInline = numReceived - sizeof(header);
    if (numInline != block.bytes)
      return Status(StatusCode::RankFailed,
                    theGroup.nameOf(place) + " sent " +
                        std::to_string(numInline) + " of " +
                        std::to_string(block.bytes) + " bytes");
    if (numInline > 0)
      std::memcpy(block.data, stage + sizeof(header), numInline);
    return Status::ok();
  }
  for (size_t at = 0; at < block.bytes; at += kPartBytes) {
    size_t size = std::min(kPartBytes, block.bytes - at);
    MOE_RETURN_IF_ERROR(
        check(MPI_Irecv(block.data + at, static_cast<int>(size), MPI_BYTE,
                        theGroup.members[place], 2 * theGroup.channel + 1, comm,
                        addTransfer(Part::DataIn, place))));
  }
  return Status::ok();
}

Status Exchange::moveParts(const Call &call, std::span<const RecvBlock> recv,
                           bool waitsForBusy) {
  Backoff backoff(theGroup.family->world->numSpins());
  while (numOpen > 0) {
    doneIndices.resize(requests.size());
    doneStatuses.resize(requests.size());
    int numDone = 0;
    MOE_RETURN_IF_ERROR(
        check(MPI_Testsome(static_cast<int>(requests.size()), requests.data(),
                           &numDone, doneIndices.data(), doneStatuses.data())));
    if (numDone > 0) {
      MOE_RETURN_IF_ERROR(takeDone(call, recv, numDone));
      backoff.reset();
    } else if (backoff.pause()) {
      MOE_RETURN_IF_ERROR(lookAround(call, waitsForBusy));
    }
  }
  return Status::ok();
}

Status Exchange::takeDone(const Call &call, std::span<const RecvBlock> recv,
                          int numDone) {
  for (int i = 0; i < numDone; ++i) {
    --numOpen;
    Transfer transfer = transfers[doneIndices[i]];
    if (transfer.part != Part::HeaderIn)
      continue;
    int bytes = 0;
    MPI_Get_count(&doneStatuses[i], MPI_BYTE, &bytes);
    RecvBlock block = recv.empty() ? RecvBlock() : recv[transfer.place];
    MOE_RETURN_IF_ERROR(takeHeader(call, transfer.place, bytes, block));
  }
  return Status::ok();
}

//===----------------------------------------------------------------------===//
// Waiting and errors
//===----------------------------------------------------------------------===//

Status Exchange::lookAround(const Call &call, bool waitsForBusy) {
  MpiFamily &family = *theGroup.family;
  MOE_RETURN_IF_ERROR(family.check());
  if (!family.world->hasWatcher())
    family.world->lookAround();
  Clock::time_point now = Clock::now();
  if (now >= deadline)
    return giveUp(call, waitsForBusy);
  if (now < nextReport)
    return Status::ok();
  nextReport = now + kReportPeriod;
  family.world->setWaiting(this, missingRanks());
  hasReported = true;
  return Status::ok();
}

Status Exchange::giveUp(const Call &call, bool waitsForBusy) {
  MpiFamily &family = *theGroup.family;
  MpiWorld::Blame blame = family.world->blame(missingRanks());
  MOE_RETURN_IF_ERROR(family.check());
  // Ranks that wait for each other have deadlines of their own.
  bool isAlive = blame.fault == MpiWorld::Fault::Busy ||
                 blame.fault == MpiWorld::Fault::Deadlock;
  if (waitsForBusy && isAlive) {
    deadline = Clock::now() + family.timeout;
    return Status::ok();
  }
  return Status(StatusCode::Timeout,
                call.describe() + " waited " +
                    std::to_string(family.timeout.count()) + " ms for " +
                    blame.describe());
}

std::vector<int> Exchange::missingRanks() const {
  std::vector<int> ranks;
  for (size_t i = 0; i < requests.size(); ++i)
    if (requests[i] != MPI_REQUEST_NULL)
      ranks.push_back(theGroup.members[transfers[i].place]);
  std::sort(ranks.begin(), ranks.end());
  ranks.erase(std::unique(ranks.begin(), ranks.end()), ranks.end());
  return ranks;
}

/// Ends the family and what is under way. The family's first error counts.
Status Exchange::fail(const Status &why) {
  MpiFamily &family = *theGroup.family;
  family.fail(why);
  family.world->flush();
  cancelAll();
  return family.check();
}

// Messages that are on their way still reach the caller's memory, so they get
// the time to arrive. What nobody will answer any more is left to MPI, with the
// memory that it may use.
void Exchange::cancelAll() {
  for (size_t i = 0; i < requests.size(); ++i)
    if (requests[i] != MPI_REQUEST_NULL &&
        (transfers[i].part == Part::HeaderIn ||
         transfers[i].part == Part::DataIn))
      MPI_Cancel(&requests[i]);
  Clock::time_point end = Clock::now() + kCancelTime;
  int isDone = 0;
  while (Clock::now() < end && !isDone) {
    int result = MPI_Testall(static_cast<int>(requests.size()), requests.data(),
                             &isDone, MPI_STATUSES_IGNORE);
    if (result != MPI_SUCCESS)
      break;
    std::this_thread::sleep_for(std::chrono::microseconds(100));
  }
  if (!isDone) {
    theGroup.family->world->abandon(std::move(sendStage));
    theGroup.family->world->abandon(std::move(recvStage));
  }
  requests.clear();
  transfers.clear();
  numOpen = 0;
}
