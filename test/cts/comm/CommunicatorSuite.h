//===- CommunicatorSuite.h - What every communicator must do ----*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A backend instantiates the suite with its factory:
//
//   INSTANTIATE_TEST_SUITE_P(Threads, CommunicatorSuite,
//       testing::ValuesIn(paramsFor(createThreadCommunicators)), nameOf);
//
//===----------------------------------------------------------------------===//

#ifndef MOE_TEST_CTS_COMM_COMMUNICATORSUITE_H
#define MOE_TEST_CTS_COMM_COMMUNICATORSUITE_H

#include "runtime/comm/Communicator.h"

#include <gtest/gtest.h>

#include <functional>
#include <map>

namespace moe::test {

/// The communicators of those ranks that this process hosts: all of them, or
/// one, or none.
using CommunicatorFactory =
    std::function<std::vector<std::unique_ptr<Communicator>>(
        int numRanks, std::chrono::milliseconds timeout)>;

struct CommunicatorParam {
  CommunicatorFactory factory;
  int numRanks;
};

/// One parameter for each number of ranks from 1 to `maxRanks`.
std::vector<CommunicatorParam> paramsFor(CommunicatorFactory factory,
                                         int maxRanks = 8);
std::string nameOf(const testing::TestParamInfo<CommunicatorParam> &info);

class CommunicatorSuite : public testing::TestWithParam<CommunicatorParam> {
protected:
  using Body = std::function<Status(Communicator &)>;

  int numRanks() const { return GetParam().numRanks; }
  /// Runs `body` on all ranks at once; the results of the ranks that this
  /// process hosts. Memory that `body` gives to an operation must not be on its
  /// stack if it may fail.
  std::map<int, Status>
  runOnAll(const Body &body,
           std::chrono::milliseconds timeout = std::chrono::seconds(60));
  /// The same, and expects success.
  void expectOnAll(const Body &body);
  /// Counters of each hosted rank after the last run.
  std::map<int, Counters> counters;
};

} // namespace moe::test

#endif // MOE_TEST_CTS_COMM_COMMUNICATORSUITE_H
