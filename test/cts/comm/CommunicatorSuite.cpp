//===- CommunicatorSuite.cpp - What every communicator must do ------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "test/cts/comm/CommunicatorSuite.h"

#include <algorithm>
#include <cstring>
#include <random>
#include <thread>

using namespace moe;
using namespace moe::test;
using namespace std::chrono_literals;

std::vector<CommunicatorParam> moe::test::paramsFor(CommunicatorFactory factory,
                                                    int maxRanks) {
  std::vector<CommunicatorParam> params;
  for (int numRanks = 1; numRanks <= maxRanks; ++numRanks)
    params.push_back({factory, numRanks});
  return params;
}

std::string
moe::test::nameOf(const testing::TestParamInfo<CommunicatorParam> &info) {
  return std::to_string(info.param.numRanks) + "Ranks";
}

std::map<int, Status>
CommunicatorSuite::runOnAll(const Body &body,
                            std::chrono::milliseconds timeout) {
  auto communicators = GetParam().factory(numRanks(), timeout);
  std::map<int, Status> results;
  for (auto &communicator : communicators)
    results[communicator->rank()];
  std::vector<std::thread> threads;
  for (auto &communicator : communicators)
    threads.emplace_back(
        [&body, &comm = *communicator,
         &result = results[communicator->rank()]] { result = body(comm); });
  for (std::thread &thread : threads)
    thread.join();
  counters.clear();
  for (auto &communicator : communicators)
    counters[communicator->rank()] = communicator->counters();
  return results;
}

void CommunicatorSuite::expectOnAll(const Body &body) {
  for (const auto &[rank, status] : runOnAll(body))
    EXPECT_TRUE(status.isOk()) << status.message();
}

namespace {

using Bytes = std::vector<std::byte>;

/// Bytes that tell who sent them to whom, in which round.
std::byte pattern(int from, int to, int round, size_t i) {
  return static_cast<std::byte>(from * 31 + to * 17 + round * 7 + i * 3);
}

Bytes message(int from, int to, int round, size_t bytes) {
  Bytes result(bytes);
  for (size_t i = 0; i < bytes; ++i)
    result[i] = pattern(from, to, round, i);
  return result;
}

/// Sizes that all ranks can compute: mostly small, some zero, some large.
size_t raggedSize(int from, int to, int round) {
  std::minstd_rand random(from * 1000003 + to * 1009 + round + 1);
  random.discard(8);
  switch (random() % 4) {
  case 0:
    return 0;
  case 1:
    return random() % 100000;
  default:
    return random() % 300;
  }
}

Status expectEqual(const Bytes &found, const Bytes &expected) {
  if (found == expected)
    return Status::ok();
  return Status(StatusCode::Other, "received bytes differ");
}

/// Elements of rank `rank` whose float sum depends on the order.
template <typename T> std::vector<T> contribution(int rank, int64_t count) {
  std::vector<T> result(count);
  for (int64_t i = 0; i < count; ++i) {
    T value = static_cast<T>((rank * 7919 + i * 104729) % 1000) / T(7);
    result[i] = (rank % 3 == 1 ? T(10000) : T(1)) * value;
  }
  return result;
}

template <typename T>
std::vector<T> reducedInOrder(int numRanks, int64_t count, ReduceOp op) {
  std::vector<T> result = contribution<T>(0, count);
  for (int rank = 1; rank < numRanks; ++rank) {
    std::vector<T> next = contribution<T>(rank, count);
    for (int64_t i = 0; i < count; ++i)
      result[i] = op == ReduceOp::Sum ? result[i] + next[i]
                                      : std::max(result[i], next[i]);
  }
  return result;
}

template <typename T>
Status checkAllReduce(Communicator &comm, DType dtype, ReduceOp op,
                      int64_t count, uint32_t tag) {
  std::vector<T> data = contribution<T>(comm.rank(), count);
  MOE_RETURN_IF_ERROR(comm.allReduce(data.data(), count, dtype, op, tag));
  if (data == reducedInOrder<T>(comm.size(), count, op))
    return Status::ok();
  return Status(StatusCode::Other, "sums differ for " + std::to_string(count) +
                                       " " + std::string(dtypeName(dtype)));
}

} // namespace

TEST_P(CommunicatorSuite, KnowsRankAndSize) {
  expectOnAll([&](Communicator &comm) {
    EXPECT_EQ(comm.size(), numRanks());
    EXPECT_GE(comm.rank(), 0);
    EXPECT_LT(comm.rank(), numRanks());
    EXPECT_TRUE(comm.check().isOk());
    return Status::ok();
  });
}

TEST_P(CommunicatorSuite, BarrierWaitsForEveryone) {
  using Clock = std::chrono::steady_clock;
  // One clock for all processes of a machine.
  auto now = [] { return int64_t(Clock::now().time_since_epoch().count()); };
  expectOnAll([&](Communicator &comm) {
    struct Visit {
      int64_t begin, end;
    };
    std::vector<Visit> visits(comm.size());
    for (int round = 0; round < 200; ++round) {
      Visit mine{now(), 0};
      MOE_RETURN_IF_ERROR(comm.barrier(round));
      mine.end = now();
      MOE_RETURN_IF_ERROR(
          comm.allGather(std::as_bytes(std::span(&mine, 1)),
                         std::as_writable_bytes(std::span(visits)), round));
      for (const Visit &first : visits)
        for (const Visit &last : visits)
          if (first.end < last.begin)
            return Status(StatusCode::Other, "a rank left before all had come");
    }
    return Status::ok();
  });
}

TEST_P(CommunicatorSuite, AllGatherConcatenatesParts) {
  for (size_t bytes : {size_t(0), size_t(1), size_t(64), size_t(50000)}) {
    expectOnAll([&](Communicator &comm) {
      Bytes received(bytes * comm.size());
      MOE_RETURN_IF_ERROR(
          comm.allGather(message(comm.rank(), 0, 0, bytes), received, 5));
      Bytes expected;
      for (int rank = 0; rank < comm.size(); ++rank) {
        Bytes part = message(rank, 0, 0, bytes);
        expected.insert(expected.end(), part.begin(), part.end());
      }
      return expectEqual(received, expected);
    });
  }
}

TEST_P(CommunicatorSuite, AllGatherVTakesRaggedParts) {
  expectOnAll([&](Communicator &comm) {
    for (int round = 0; round < 40; ++round) {
      std::vector<Bytes> received;
      std::vector<RecvBlock> blocks;
      for (int from = 0; from < comm.size(); ++from)
        received.emplace_back(raggedSize(from, 0, round));
      for (Bytes &part : received)
        blocks.push_back({part.data(), part.size()});
      Bytes mine =
          message(comm.rank(), 0, round, raggedSize(comm.rank(), 0, round));
      MOE_RETURN_IF_ERROR(comm.allGatherV(mine, blocks, round));
      for (int from = 0; from < comm.size(); ++from)
        MOE_RETURN_IF_ERROR(expectEqual(
            received[from], message(from, 0, round, received[from].size())));
    }
    return Status::ok();
  });
}

TEST_P(CommunicatorSuite, AllToAllVMovesRaggedBlocks) {
  expectOnAll([&](Communicator &comm) {
    for (int round = 0; round < 60; ++round) {
      std::vector<Bytes> sent, received;
      std::vector<SendBlock> sendBlocks;
      std::vector<RecvBlock> recvBlocks;
      for (int peer = 0; peer < comm.size(); ++peer) {
        sent.push_back(message(comm.rank(), peer, round,
                               raggedSize(comm.rank(), peer, round)));
        received.emplace_back(raggedSize(peer, comm.rank(), round));
        sendBlocks.push_back({sent[peer].data(), sent[peer].size()});
        recvBlocks.push_back({received[peer].data(), received[peer].size()});
      }
      MOE_RETURN_IF_ERROR(comm.allToAllV(sendBlocks, recvBlocks, round));
      for (int peer = 0; peer < comm.size(); ++peer)
        MOE_RETURN_IF_ERROR(
            expectEqual(received[peer], message(peer, comm.rank(), round,
                                                received[peer].size())));
    }
    return Status::ok();
  });
}

TEST_P(CommunicatorSuite, AllReduceAddsInRankOrder) {
  expectOnAll([&](Communicator &comm) {
    for (int64_t count : {0, 1, 7, 1000, 20011}) {
      for (ReduceOp op : {ReduceOp::Sum, ReduceOp::Max}) {
        MOE_RETURN_IF_ERROR(
            checkAllReduce<float>(comm, DType::F32, op, count, 1));
        MOE_RETURN_IF_ERROR(
            checkAllReduce<double>(comm, DType::F64, op, count, 2));
        MOE_RETURN_IF_ERROR(
            checkAllReduce<int32_t>(comm, DType::I32, op, count, 3));
        MOE_RETURN_IF_ERROR(
            checkAllReduce<int64_t>(comm, DType::I64, op, count, 4));
      }
    }
    return Status::ok();
  });
}

TEST_P(CommunicatorSuite, ReduceScatterGivesEachRankItsPart) {
  expectOnAll([&](Communicator &comm) {
    for (int64_t count : {0, 1, 13, 6000}) {
      std::vector<float> data =
          contribution<float>(comm.rank(), count * comm.size());
      std::vector<float> part(count);
      MOE_RETURN_IF_ERROR(comm.reduceScatter(data.data(), part.data(), count,
                                             DType::F32, ReduceOp::Sum, 9));
      std::vector<float> all = reducedInOrder<float>(
          comm.size(), count * comm.size(), ReduceOp::Sum);
      all.erase(all.begin(), all.begin() + comm.rank() * count);
      all.resize(count);
      if (part != all)
        return Status(StatusCode::Other, "sums differ");
    }
    return Status::ok();
  });
}

TEST_P(CommunicatorSuite, RefusesTypesItCannotAdd) {
  for (const auto &[rank, status] : runOnAll([](Communicator &comm) {
         uint16_t data[4] = {};
         return comm.allReduce(data, 4, DType::F16, ReduceOp::Sum, 0);
       }))
    EXPECT_FALSE(status.isOk());
}

TEST_P(CommunicatorSuite, DifferentOperationsFollowEachOther) {
  expectOnAll([&](Communicator &comm) {
    for (int round = 0; round < 100; ++round) {
      int64_t size = round % 10 == 9 ? 10000 : 3;
      MOE_RETURN_IF_ERROR(comm.barrier(3 * round));
      MOE_RETURN_IF_ERROR(checkAllReduce<float>(comm, DType::F32, ReduceOp::Sum,
                                                size, 3 * round + 1));
      Bytes received(size * comm.size());
      MOE_RETURN_IF_ERROR(comm.allGather(message(comm.rank(), 1, round, size),
                                         received, 3 * round + 2));
    }
    return Status::ok();
  });
}

TEST_P(CommunicatorSuite, CountsNonEmptyMessagesToOthers) {
  expectOnAll([&](Communicator &comm) {
    std::vector<Bytes> received(comm.size());
    std::vector<SendBlock> send(comm.size());
    std::vector<RecvBlock> recv(comm.size());
    std::vector<std::byte> data(10);
    // Everyone sends 10 bytes to rank 0 and nothing else.
    send[0] = {data.data(), data.size()};
    for (int from = 0; from < comm.size() && comm.rank() == 0; ++from) {
      received[from].resize(10);
      recv[from] = {received[from].data(), 10};
    }
    return comm.allToAllV(send, recv, 1);
  });
  for (const auto &[rank, counted] : counters) {
    EXPECT_EQ(counted.messages, rank == 0 ? 0u : 1u);
    EXPECT_EQ(counted.bytesSent, rank == 0 ? 0u : 10u);
  }
}

TEST_P(CommunicatorSuite, RefusesDifferentTags) {
  if (numRanks() == 1)
    GTEST_SKIP() << "needs a peer";
  for (const auto &[rank, status] : runOnAll([](Communicator &comm) {
         return comm.barrier(comm.rank() == 1 ? 18 : 17);
       })) {
    EXPECT_EQ(status.code(), StatusCode::RankFailed);
    EXPECT_NE(status.message().find("tag 17"), std::string::npos);
    EXPECT_NE(status.message().find("rank 1 calls"), std::string::npos);
    EXPECT_NE(status.message().find("tag 18"), std::string::npos);
  }
}

TEST_P(CommunicatorSuite, RefusesDifferentOperations) {
  if (numRanks() == 1)
    GTEST_SKIP() << "needs a peer";
  for (const auto &[rank, status] : runOnAll([](Communicator &comm) {
         float one = 1;
         if (comm.rank() == 1)
           return comm.allReduce(&one, 1, DType::F32, ReduceOp::Sum, 3);
         MOE_RETURN_IF_ERROR(comm.barrier(3));
         return comm.barrier(4);
       }))
    EXPECT_EQ(status.code(), StatusCode::RankFailed);
}

TEST_P(CommunicatorSuite, RefusesDifferentByteCounts) {
  if (numRanks() == 1)
    GTEST_SKIP() << "needs a peer";
  std::vector<std::byte> data(100 * 1000);
  std::vector<Bytes> received(numRanks(), Bytes(8 * 1000));
  for (size_t scale : {1, 1000}) {
    for (const auto &[rank, status] : runOnAll([&](Communicator &comm) {
           std::vector<SendBlock> send(comm.size());
           std::vector<RecvBlock> recv(comm.size());
           if (comm.rank() == 1)
             send[0] = {data.data(), 5 * scale};
           if (comm.rank() == 0)
             recv[1] = {received[0].data(), 4 * scale};
           MOE_RETURN_IF_ERROR(comm.allToAllV(send, recv, 2));
           // Who had no part in it may learn of it later.
           return comm.barrier(3);
         })) {
      EXPECT_EQ(status.code(), StatusCode::RankFailed);
      EXPECT_NE(status.message().find("rank 1 sends"), std::string::npos)
          << status.message();
    }
  }
}

TEST_P(CommunicatorSuite, AbortWakesWhoWaitsAndWhoComesLater) {
  auto begin = std::chrono::steady_clock::now();
  std::map<int, Status> results = runOnAll([&](Communicator &comm) {
    if (comm.rank() == numRanks() - 1) {
      std::this_thread::sleep_for(20ms);
      comm.abort(Status(StatusCode::BadModel, "index 7 is out of range"));
    }
    Status first = comm.barrier(1);
    EXPECT_FALSE(first.isOk());
    EXPECT_EQ(comm.check().message(), first.message());
    Status second = comm.barrier(2);
    EXPECT_EQ(first.message(), second.message());
    return second;
  });
  for (const auto &[rank, status] : results) {
    EXPECT_EQ(status.code(), StatusCode::RankFailed);
    EXPECT_EQ(status.message(), "rank " + std::to_string(numRanks() - 1) +
                                    " failed: index 7 is out of range");
  }
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 30s);
}

TEST_P(CommunicatorSuite, AbortAtAnyMomentLeavesNobodyBehind) {
  for (int trial = 0; trial < 20; ++trial) {
    // Memory that outlives the run, as a context's does.
    std::vector<Bytes> received(numRanks(), Bytes(20000 * numRanks()));
    Bytes mine(20000);
    runOnAll([&](Communicator &comm) {
      for (int round = 0;; ++round) {
        if (comm.rank() == trial % numRanks() && round == trial)
          comm.abort(Status(StatusCode::Other, "stop"));
        size_t bytes = round % 2 ? 100 : 20000;
        MOE_RETURN_IF_ERROR(comm.allGather(
            std::span(mine).first(bytes),
            std::span(received[comm.rank()]).first(bytes * comm.size()),
            round));
      }
    });
  }
}

TEST_P(CommunicatorSuite, DeadlineNamesWhoIsMissing) {
  if (numRanks() == 1)
    GTEST_SKIP() << "needs a peer";
  std::map<int, Status> results = runOnAll(
      [&](Communicator &comm) {
        if (comm.rank() == 1)
          std::this_thread::sleep_for(1s);
        return comm.barrier(4);
      },
      250ms);
  for (const auto &[rank, status] : results) {
    EXPECT_EQ(status.code(), StatusCode::Timeout);
    EXPECT_NE(status.message().find("for rank 1"), std::string::npos)
        << status.message();
  }
}

TEST_P(CommunicatorSuite, SplitGroupsEqualColorsInRankOrder) {
  expectOnAll([&](Communicator &comm) {
    for (int numGroups : {1, 2, 3}) {
      MOE_ASSIGN_OR_RETURN(std::unique_ptr<Communicator> part,
                           comm.split(comm.rank() % numGroups, numGroups));
      EXPECT_EQ(part->rank(), comm.rank() / numGroups);
      EXPECT_EQ(part->size(),
                (comm.size() - comm.rank() % numGroups + numGroups - 1) /
                    numGroups);
      std::vector<int32_t> ranks(part->size());
      int32_t mine = comm.rank();
      MOE_RETURN_IF_ERROR(
          part->allGather(std::as_bytes(std::span(&mine, 1)),
                          std::as_writable_bytes(std::span(ranks)), 20));
      for (int place = 0; place < part->size(); ++place)
        EXPECT_EQ(ranks[place], place * numGroups + comm.rank() % numGroups);
    }
    return Status::ok();
  });
}

TEST_P(CommunicatorSuite, PartsOfPartsOutliveTheirParents) {
  expectOnAll([&](Communicator &comm) {
    MOE_ASSIGN_OR_RETURN(std::unique_ptr<Communicator> half,
                         comm.split(comm.rank() * 2 / comm.size(), 1));
    MOE_ASSIGN_OR_RETURN(std::unique_ptr<Communicator> quarter,
                         half->split(-half->rank(), 2));
    half.reset();
    EXPECT_EQ(quarter->size(), 1);
    return checkAllReduce<float>(*quarter, DType::F32, ReduceOp::Sum, 100, 3);
  });
}

TEST_P(CommunicatorSuite, GroupsAndTheirRootTakeTurns) {
  expectOnAll([&](Communicator &comm) {
    MOE_ASSIGN_OR_RETURN(std::unique_ptr<Communicator> rows,
                         comm.split(comm.rank() % 2, 1));
    MOE_ASSIGN_OR_RETURN(std::unique_ptr<Communicator> columns,
                         comm.split(comm.rank() / 2, 1));
    for (int round = 0; round < 50; ++round) {
      int64_t count = round % 10 == 9 ? 20000 : 5;
      for (Communicator *each : {rows.get(), &comm, columns.get()})
        MOE_RETURN_IF_ERROR(checkAllReduce<float>(*each, DType::F32,
                                                  ReduceOp::Sum, count, round));
    }
    return Status::ok();
  });
}

TEST_P(CommunicatorSuite, GroupsCountIntoTheirRoot) {
  expectOnAll([&](Communicator &comm) {
    MOE_ASSIGN_OR_RETURN(std::unique_ptr<Communicator> part,
                         comm.split(comm.rank() / 2, 1));
    std::vector<std::byte> received(10 * part->size());
    return part->allGather(message(comm.rank(), 0, 0, 10), received, 2);
  });
  for (const auto &[rank, counted] : counters) {
    bool isAlone = rank == numRanks() - 1 && rank % 2 == 0;
    EXPECT_EQ(counted.messages, isAlone ? 0u : 1u);
    EXPECT_EQ(counted.bytesSent, isAlone ? 0u : 10u);
  }
}

TEST_P(CommunicatorSuite, AbortOfAPartEndsTheWholeFamily) {
  std::map<int, Status> results = runOnAll([&](Communicator &comm) {
    MOE_ASSIGN_OR_RETURN(std::unique_ptr<Communicator> rows,
                         comm.split(comm.rank() % 2, 1));
    MOE_ASSIGN_OR_RETURN(std::unique_ptr<Communicator> columns,
                         comm.split(comm.rank() / 2, 1));
    int last = comm.size() - 1;
    if (comm.rank() == last) {
      std::this_thread::sleep_for(20ms);
      rows->abort(Status(StatusCode::BadModel, "index 7 is out of range"));
    }
    // Some of the others wait in the root, some in groups without that rank.
    bool waitsInRoot = comm.rank() % 2 == 0 || comm.rank() == last;
    return waitsInRoot ? comm.barrier(2) : columns->barrier(3);
  });
  for (const auto &[rank, status] : results) {
    EXPECT_EQ(status.code(), StatusCode::RankFailed);
    EXPECT_EQ(status.message(), "rank " + std::to_string(numRanks() - 1) +
                                    " failed: index 7 is out of range");
  }
}

TEST_P(CommunicatorSuite, ErrorsOfAPartNameRanksOfTheRoot) {
  if (numRanks() < 4)
    GTEST_SKIP() << "needs two groups of two";
  std::map<int, Status> results = runOnAll([&](Communicator &comm) {
    MOE_ASSIGN_OR_RETURN(std::unique_ptr<Communicator> part,
                         comm.split(comm.rank() / 2, 1));
    return part->barrier(comm.rank() == 3 ? 8 : 7);
  });
  for (int rank : {2, 3}) {
    if (!results.contains(rank))
      continue;
    EXPECT_EQ(results[rank].code(), StatusCode::RankFailed);
    EXPECT_NE(results[rank].message().find("rank 3 calls"), std::string::npos)
        << results[rank].message();
    EXPECT_NE(results[rank].message().find("tag 8"), std::string::npos);
  }
}
