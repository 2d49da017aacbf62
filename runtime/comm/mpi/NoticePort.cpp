//===- NoticePort.cpp - Messages beside the collectives -------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/comm/mpi/NoticePort.h"

#include "runtime/comm/mpi/MpiError.h"

#include <algorithm>
#include <cstring>

using namespace moe;
using namespace moe::mpi;

Notice Notice::abort(uint32_t family, const Status &why) {
  Notice notice;
  notice.kind = NoticeKind::Abort;
  notice.family = family;
  notice.code = why.exitCode();
  size_t length = std::min(why.message().size(), sizeof(text) - 1);
  std::memcpy(notice.text, why.message().data(), length);
  return notice;
}

Status Notice::error() const {
  std::string message(text, strnlen(text, sizeof(text)));
  for (StatusCode known :
       {StatusCode::Timeout, StatusCode::Interrupted, StatusCode::Terminated})
    if (code == static_cast<int>(known))
      return Status(known, std::move(message));
  return Status(StatusCode::RankFailed, std::move(message));
}

Status NoticePort::open(MPI_Comm newComm) {
  comm = newComm;
  return check(MPI_Irecv(&received, sizeof(received), MPI_BYTE, MPI_ANY_SOURCE,
                         0, comm, &receiving));
}

void NoticePort::post(int to, const Notice &notice) {
  std::lock_guard lock(mutex);
  posted.push_back({notice, to});
}

void NoticePort::poll(
    const std::function<void(int from, const Notice &)> &handle) {
  if (comm == MPI_COMM_NULL)
    return;
  {
    std::lock_guard lock(mutex);
    for (Sending &each : posted)
      MPI_Isend(&each.notice, sizeof(Notice), MPI_BYTE, each.to, 0, comm,
                &each.request);
    sending.splice(sending.end(), posted);
    std::erase_if(sending, [](Sending &each) {
      int isDone = 0;
      return MPI_Test(&each.request, &isDone, MPI_STATUS_IGNORE) !=
                 MPI_SUCCESS ||
             isDone;
    });
  }
  for (;;) {
    int hasCome = 0;
    MPI_Status status;
    if (MPI_Test(&receiving, &hasCome, &status) != MPI_SUCCESS || !hasCome)
      return;
    int bytes = 0;
    MPI_Get_count(&status, MPI_BYTE, &bytes);
    if (bytes == sizeof(Notice))
      handle(status.MPI_SOURCE, received);
    MPI_Irecv(&received, sizeof(received), MPI_BYTE, MPI_ANY_SOURCE, 0, comm,
              &receiving);
  }
}

bool NoticePort::isFlushed() const {
  std::lock_guard lock(mutex);
  return posted.empty() && sending.empty();
}

void NoticePort::close() {
  if (receiving == MPI_REQUEST_NULL)
    return;
  MPI_Cancel(&receiving);
  MPI_Wait(&receiving, MPI_STATUS_IGNORE);
  comm = MPI_COMM_NULL;
}
