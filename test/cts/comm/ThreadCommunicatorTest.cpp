//===- ThreadCommunicatorTest.cpp - Threads as ranks ----------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "test/cts/comm/CommunicatorSuite.h"

using namespace moe;
using namespace moe::test;

static std::vector<std::unique_ptr<Communicator>>
createThreads(int numRanks, std::chrono::milliseconds timeout) {
  return createThreadCommunicators(numRanks, timeout);
}

INSTANTIATE_TEST_SUITE_P(Threads, CommunicatorSuite,
                         testing::ValuesIn(paramsFor(createThreads)), nameOf);
