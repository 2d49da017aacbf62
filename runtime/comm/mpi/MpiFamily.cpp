//===- MpiFamily.cpp - Communicators that fail together -------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/comm/mpi/MpiFamily.h"

#include "runtime/comm/mpi/MpiWorld.h"

using namespace moe;
using namespace moe::mpi;

MpiFamily::MpiFamily(std::shared_ptr<MpiWorld> world, uint32_t number,
                     int numRanks, std::chrono::milliseconds timeout)
    : world(std::move(world)), number(number), numRanks(numRanks),
      timeout(timeout) {
  this->world->addFamily(*this);
}

MpiFamily::~MpiFamily() { world->removeFamily(*this); }

Status MpiFamily::check() const {
  if (!hasFailed.load(std::memory_order_acquire))
    return Status::ok();
  std::lock_guard lock(mutex);
  return error;
}

bool MpiFamily::setError(const Status &why) {
  std::lock_guard lock(mutex);
  if (!error.isOk())
    return false;
  error = why;
  hasFailed.store(true, std::memory_order_release);
  return true;
}

void MpiFamily::failHere(const Status &why) { setError(why); }

void MpiFamily::fail(const Status &why) {
  if (setError(why))
    world->tellAbort(number, numRanks, why);
}
