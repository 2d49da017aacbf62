//===- CoreLease.cpp - Cores that threads are bound to --------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/support/CoreLease.h"
#include "runtime/support/Cores.h"

#include <algorithm>
#include <cstdlib>
#include <mutex>
#include <string_view>

#if defined(__linux__)
#include <sched.h>
#endif

using namespace moe;

static std::mutex leaseMutex;
/// The cores that somebody in this process has, by leaseMutex.
static std::vector<int> &takenCores() {
  static std::vector<int> taken;
  return taken;
}

static bool isTurnedOff() {
  const char *value = std::getenv("MOE_AFFINITY");
  return value && std::string_view(value) == "off";
}

#if defined(__linux__)
/// Larger numbers of cores are not bound.
static bool hasNumber(int core) { return core >= 0 && core < CPU_SETSIZE; }

static int currentCore() { return sched_getcpu(); }

/// Nothing for no cores.
static void bindTo(std::span<const int> cores) {
  cpu_set_t set;
  CPU_ZERO(&set);
  for (int core : cores)
    if (hasNumber(core))
      CPU_SET(core, &set);
  if (CPU_COUNT(&set) > 0)
    sched_setaffinity(0, sizeof set, &set);
}

/// Moves the calling thread to a core of its mask.
static void moveThisThread(int core) {
  cpu_set_t old;
  if (!hasNumber(core) || sched_getaffinity(0, sizeof old, &old) != 0 ||
      !CPU_ISSET(core, &old))
    return;
  bindTo({&core, 1});
  sched_setaffinity(0, sizeof old, &old);
}
#else
static int currentCore() { return -1; }
static void bindTo(std::span<const int>) {}
static void moveThisThread(int) {}
#endif

void moe::bindThisThread(int core) { bindTo({&core, 1}); }

void moe::bindThisThread(std::span<const int> cores) {
  if (!isTurnedOff())
    bindTo(cores);
}

CoreLease CoreLease::take(int count) {
  return takeOf(coreBudget().allowed, count);
}

CoreLease CoreLease::takeOf(std::span<const int> cores, int count) {
  CoreLease lease;
  if (count < 2 || !coreBudget().hasRoomFor(count) || isTurnedOff())
    return lease;
  std::lock_guard lock(leaseMutex);
  std::vector<int> &taken = takenCores();
  std::vector<int> free;
  for (int core : cores)
    if (std::find(taken.begin(), taken.end(), core) == taken.end())
      free.push_back(core);
  if (static_cast<size_t>(count) > free.size())
    return lease;
  // Processes that know nothing of each other begin at different cores.
  std::rotate(free.begin(),
              std::lower_bound(free.begin(), free.end(), currentCore()),
              free.end());
  lease.cores.assign(free.begin(), free.begin() + count);
  taken.insert(taken.end(), lease.cores.begin(), lease.cores.end());
  return lease;
}

CoreLease::~CoreLease() {
  std::lock_guard lock(leaseMutex);
  std::erase_if(takenCores(), [&](int core) {
    return std::find(cores.begin(), cores.end(), core) != cores.end();
  });
}

void CoreLease::settleCaller() const {
  if (cores.empty())
    return;
  int core = currentCore();
  if (std::find(cores.begin() + 1, cores.end(), core) != cores.end())
    moveThisThread(cores[0]);
}
