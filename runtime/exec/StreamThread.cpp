//===- StreamThread.cpp - The second stream of a rank ---------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/exec/StreamThread.h"
#include "runtime/support/CoreLease.h"
#include "runtime/support/SpinWait.h"

#include <system_error>

using namespace moe;

StreamThread::StreamThread(std::function<void(uint32_t)> body,
                           StreamCores cores)
    : body(std::move(body)), threadSpins(cores.forThread ? kSpins : 0),
      ownerSpins(cores.forOwner ? kSpins : 0) {}

StatusOr<std::unique_ptr<StreamThread>>
StreamThread::create(std::function<void(uint32_t)> body, StreamCores cores,
                     int core) {
  std::unique_ptr<StreamThread> result(
      new StreamThread(std::move(body), cores));
  try {
    result->thread = std::thread([self = result.get(), core] {
      bindThisThread(core);
      self->work();
    });
  } catch (const std::system_error &error) {
    return Status(StatusCode::OutOfMemory,
                  std::string("cannot start a thread for a second stream: ") +
                      error.what());
  }
  return result;
}

StreamThread::~StreamThread() {
  if (!thread.joinable())
    return;
  isStopping = true;
  issue();
  thread.join();
}

void StreamThread::issue() {
  issued.fetch_add(1, std::memory_order_release);
  issued.notify_one();
}

void StreamThread::work() {
  for (uint32_t next = 0;; ++next) {
    waitForChange(issued, next, threadSpins);
    if (isStopping)
      return;
    body(next - first);
    ended.store(next + 1, std::memory_order_release);
    ended.notify_one();
  }
}

void StreamThread::waitFor(uint32_t count) {
  for (;;) {
    uint32_t now = ended.load(std::memory_order_acquire);
    if (now - first >= count)
      return;
    waitForChange(ended, now, ownerSpins);
  }
}
