//===- MpiWorld.h - All processes, and who watches them ---------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A rank that waits sees only that a message does not come. Why it does not is
// found out beside the collectives, by a thread of each process that
//
//   - receives the news that a rank has failed,
//   - looks after the processes of this machine: one that has died fails
//     everything at once,
//   - answers the question whom this rank waits for.
//
// At a deadline the waiting rank asks those it waits for, and whom they name,
// until it finds one that is stopped, does not answer, or waits for nobody:
//
//   rank 0 --waits for--> rank 1 --waits for--> rank 3, which is stopped
//
// Without MPI_THREAD_MULTIPLE there is no such thread: ranks then look around,
// and answer, while they wait in a collective.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_RUNTIME_COMM_MPI_MPIWORLD_H
#define MOE_RUNTIME_COMM_MPI_MPIWORLD_H

#include "runtime/comm/ProcessGroup.h"
#include "runtime/comm/ProcessTable.h"
#include "runtime/comm/mpi/NoticePort.h"

#include <atomic>
#include <condition_variable>
#include <map>
#include <thread>

namespace moe::mpi {

class MpiFamily;

class MpiWorld {
public:
  explicit MpiWorld(const ProcessOptions &options) : options(options) {}
  ~MpiWorld();
  MpiWorld(const MpiWorld &) = delete;
  MpiWorld &operator=(const MpiWorld &) = delete;

  /// Starts MPI and waits for all processes.
  Status start();
  /// Ends MPI; all ranks must have met before.
  Status finish();
  /// Says goodbye and waits a moment for the others to do so.
  void leave();

  int rank() const { return theRank; }
  int size() const { return theSize; }
  /// Processes of this machine.
  int numNeighbours() const { return theNumNeighbours; }
  int numCores() const { return theNumCores; }
  std::span<const int> ownCores() const { return theOwnCores; }
  /// For the messages of collectives.
  MPI_Comm dataComm() const { return data; }
  /// The largest tag of a message.
  int maxTag() const { return theMaxTag; }
  /// How often to look for a message before letting others run.
  int numSpins() const { return theNumSpins; }
  bool hasWatcher() const { return watcher.joinable(); }

  void addFamily(MpiFamily &family);
  void removeFamily(MpiFamily &family);
  /// Tells the first `numRanks` ranks that a family has ended.
  void tellAbort(uint32_t family, int numRanks, const Status &why);
  /// Ends all families, here and elsewhere.
  void failAll(const Status &why);
  /// Waits a moment until what was told has left.
  void flush();

  /// Receives and sends notices and looks after the processes.
  void lookAround();
  /// To be called before this rank ends because of `why`. A launcher that ends
  /// a job because a rank has died sends the same signal as a user who has had
  /// enough: if a rank has, that is the error.
  void findReasonOfSignal(const Status &why);

  /// What an operation waits for, until it says that it waits no more.
  void setWaiting(const void *operation, std::vector<int> missing);
  void clearWaiting(const void *operation);

  /// Who is to blame that messages do not come.
  enum class Fault : uint8_t { Stopped, Silent, Busy, Deadlock };
  struct Blame {
    Fault fault = Fault::Busy;
    std::vector<int> ranks;

    /// "rank 3 (stopped)".
    std::string describe() const;
  };
  Blame blame(const std::vector<int> &missing);

  /// Keeps memory that MPI may still use.
  void abandon(std::vector<std::byte> memory);

private:
  struct Answer {
    uint32_t number = 0;
    std::vector<int> missing;
    bool isWaiting = false;
  };

  Status meetAll();
  void sayGoodbye();
  bool haveAllLeft();
  Status countCores();
  Status attachNeighbours();
  void unlinkSharedMemory();
  void stopWatching();
  void watch();
  void wakeWatcher();
  void tell(int numRanks, const Notice &notice);
  void handleNotice(int from, const Notice &notice);
  void takeAbort(const Notice &notice);
  void takeAnswer(int from, const Notice &notice);
  void answer(int to, const Notice &question);
  void poll();
  void findDead();
  std::map<int, Answer> askAll(const std::vector<int> &ranks);

  const ProcessOptions options;
  int theRank = 0, theSize = 1, theMaxTag = 32767, theNumSpins = 0;
  int theNumNeighbours = 1, theNumCores = 1;
  std::vector<int> theOwnCores;
  MPI_Comm data = MPI_COMM_NULL, control = MPI_COMM_NULL;
  ProcessId self;
  std::vector<ProcessId> processes;
  /// The file of shared memory that this process has made.
  std::string ownSegment;

  // One thread at a time polls.
  std::mutex pollMutex;
  NoticePort port;
  /// Ranks that have died, or are about to end and have said so.
  std::unique_ptr<std::atomic<bool>[]> hasLeft;
  std::chrono::steady_clock::time_point nextLook;

  std::mutex familiesMutex;
  std::map<uint32_t, MpiFamily *> families;
  /// Of families that this rank has not founded yet.
  std::map<uint32_t, Status> earlyErrors;
  Status errorOfAll;

  std::mutex waitingMutex;
  std::map<const void *, std::vector<int>> waiting;

  std::mutex blameMutex;
  std::mutex answersMutex;
  std::condition_variable answersChanged;
  uint32_t numQuestions = 0;
  std::map<int, Answer> answers;

  std::mutex abandonedMutex;
  std::vector<std::vector<std::byte>> abandoned;

  std::mutex wakeMutex;
  std::condition_variable wake;
  bool isStopping = false, isWanted = false;
  std::thread watcher;
};

} // namespace moe::mpi

#endif // MOE_RUNTIME_COMM_MPI_MPIWORLD_H
