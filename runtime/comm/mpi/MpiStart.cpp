//===- MpiStart.cpp - How processes meet and part -------------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/comm/mpi/MpiError.h"
#include "runtime/comm/mpi/MpiWorld.h"
#include "runtime/support/Cores.h"

#include <algorithm>
#include <bitset>
#include <cstdlib>
#include <fstream>
#include <unistd.h>

using namespace moe;
using namespace moe::mpi;

/// How long a process that has failed waits for the others to find out.
static constexpr std::chrono::milliseconds kLeaveTime{800};

/// Open MPI keeps files in /dev/shm until it ends, and a launcher that is
/// killed leaves them. Once all neighbours have mapped them they need no name.
void MpiWorld::unlinkSharedMemory() {
  // The name of a process's own file ends in its place on the machine.
  const char *place = std::getenv("OMPI_COMM_WORLD_LOCAL_RANK");
  std::string ending = place ? std::string(".") + place : "";
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    size_t begin = line.find("/dev/shm/");
    if (begin == line.npos)
      continue;
    // Another rank may have been faster.
    std::string path = line.substr(begin, line.find(" (deleted)") - begin);
    if (path.find("vader_segment") == path.npos &&
        path.find("sm_segment") == path.npos)
      continue;
    unlink(path.c_str());
    if (place && path.ends_with(ending))
      ownSegment = path;
  }
}

Status MpiWorld::start() {
  int isUsed = 0;
  MPI_Initialized(&isUsed);
  if (isUsed)
    return Status(StatusCode::Internal, "MPI is in use by another part");
  // Reading a neighbour's memory directly takes the reader along if the
  // neighbour dies meanwhile.
  setenv("OMPI_MCA_btl_vader_single_copy_mechanism", "none", /*replace=*/0);
  int provided = 0;
  MOE_RETURN_IF_ERROR(
      check(MPI_Init_thread(nullptr, nullptr, MPI_THREAD_MULTIPLE, &provided)));
  if (provided < MPI_THREAD_SERIALIZED)
    return Status(StatusCode::Unsupported,
                  "this MPI serves only the thread that started it");
  MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
  MPI_Comm_rank(MPI_COMM_WORLD, &theRank);
  MPI_Comm_size(MPI_COMM_WORLD, &theSize);
  MOE_RETURN_IF_ERROR(meetAll());
  MOE_RETURN_IF_ERROR(port.open(control));
  if (provided == MPI_THREAD_MULTIPLE)
    watcher = std::thread([this] { watch(); });
  return Status::ok();
}

Status MpiWorld::meetAll() {
  for (MPI_Comm *comm : {&data, &control}) {
    MOE_RETURN_IF_ERROR(check(MPI_Comm_dup(MPI_COMM_WORLD, comm)));
    MPI_Comm_set_errhandler(*comm, MPI_ERRORS_RETURN);
  }
  int *limit = nullptr, hasLimit = 0;
  MPI_Comm_get_attr(data, MPI_TAG_UB, &limit, &hasLimit);
  if (hasLimit)
    theMaxTag = *limit;

  self = ProcessId::ofThis();
  processes.resize(theSize);
  hasLeft = std::make_unique<std::atomic<bool>[]>(theSize);
  MOE_RETURN_IF_ERROR(
      check(MPI_Allgather(&self, sizeof(self), MPI_BYTE, processes.data(),
                          sizeof(self), MPI_BYTE, MPI_COMM_WORLD)));
  MOE_RETURN_IF_ERROR(attachNeighbours());
  theNumNeighbours = static_cast<int>(std::count_if(
      processes.begin(), processes.end(),
      [&](const ProcessId &each) { return each.machine == self.machine; }));
  MOE_RETURN_IF_ERROR(countCores());
  if (options.ignoreProcessTable)
    self.machine = 0;
  return Status::ok();
}

namespace {
/// What a process tells the others about its cores.
struct ProcessCores {
  std::bitset<1024> allowed; // Further ones are not counted.
  bool isBound = false;

  bool operator==(const ProcessCores &) const = default;
};
static_assert(std::is_trivially_copyable_v<ProcessCores>);
} // namespace

/// The cores of all processes of this machine, each counted once, and which of
/// them are for this process.
Status MpiWorld::countCores() {
  ProcessCores own, all;
  for (int core : coreBudget().allowed)
    if (static_cast<size_t>(core) < own.allowed.size())
      own.allowed.set(core);
  own.isBound = isBoundByParent();
  std::vector<ProcessCores> ofProcesses(theSize);
  MOE_RETURN_IF_ERROR(check(
      MPI_Allgather(&own, sizeof(ProcessCores), MPI_BYTE, ofProcesses.data(),
                    sizeof(ProcessCores), MPI_BYTE, MPI_COMM_WORLD)));
  int place = 0;
  bool canShare = !own.isBound;
  for (int rank = 0; rank < theSize; ++rank) {
    if (processes[rank].machine != self.machine)
      continue;
    all.allowed |= ofProcesses[rank].allowed;
    canShare &= ofProcesses[rank] == own;
    place += rank < theRank;
  }
  // A quota is that of a container, which all of them are in.
  CoreBudget budget = coreBudget();
  budget.allowed.clear();
  for (size_t core = 0; core < all.allowed.size(); ++core)
    if (all.allowed.test(core))
      budget.allowed.push_back(static_cast<int>(core));
  theNumCores = budget.numThreads();
  if (budget.hasRoomFor(theNumNeighbours)) {
    theNumSpins = 4000;
    if (canShare)
      theOwnCores = coresOfProcess(budget.allowed, place, theNumNeighbours);
  }
  return Status::ok();
}

/// A first message to each process of this machine, after which shared memory
/// is mapped.
Status MpiWorld::attachNeighbours() {
  std::vector<MPI_Request> requests;
  std::vector<char> received(theSize);
  char sent = 0;
  for (int rank = 0; rank < theSize; ++rank) {
    if (processes[rank].machine != self.machine || rank == theRank)
      continue;
    MOE_RETURN_IF_ERROR(check(MPI_Irecv(&received[rank], 1, MPI_BYTE, rank, 0,
                                        data, &requests.emplace_back())));
    MOE_RETURN_IF_ERROR(check(MPI_Isend(&sent, 1, MPI_BYTE, rank, 0, data,
                                        &requests.emplace_back())));
  }
  MOE_RETURN_IF_ERROR(check(MPI_Waitall(static_cast<int>(requests.size()),
                                        requests.data(), MPI_STATUSES_IGNORE)));
  MOE_RETURN_IF_ERROR(check(MPI_Barrier(MPI_COMM_WORLD)));
  unlinkSharedMemory();
  return Status::ok();
}

void MpiWorld::stopWatching() {
  if (!watcher.joinable())
    return;
  {
    std::lock_guard lock(wakeMutex);
    isStopping = true;
  }
  wake.notify_all();
  watcher.join();
}

void MpiWorld::sayGoodbye() {
  Notice goodbye;
  goodbye.kind = NoticeKind::Goodbye;
  tell(theSize, goodbye);
  flush();
}

bool MpiWorld::haveAllLeft() {
  for (int rank = 0; rank < theSize; ++rank)
    if (rank != theRank && !hasLeft[rank] &&
        stateOf(processes[rank], self) != ProcessState::Dead)
      return false;
  return true;
}

void MpiWorld::leave() {
  sayGoodbye();
  auto end = std::chrono::steady_clock::now() + kLeaveTime;
  while (!haveAllLeft() && std::chrono::steady_clock::now() < end) {
    lookAround();
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

Status MpiWorld::finish() {
  // Others may still be on their way here when this process is no more.
  sayGoodbye();
  stopWatching();
  port.close();
  // Open MPI removes its file and is loud about one that is not there.
  if (!ownSegment.empty())
    std::ofstream(ownSegment).flush();
  Status status = check(MPI_Finalize());
  if (!ownSegment.empty())
    unlink(ownSegment.c_str());
  return status;
}

// After an error MPI is not ended: it would wait for ranks that are no more.
MpiWorld::~MpiWorld() { stopWatching(); }
