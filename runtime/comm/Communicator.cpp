//===- Communicator.cpp - Collectives between ranks -----------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/comm/Communicator.h"

using namespace moe;

Communicator::Communicator() : theCounters(std::make_shared<Counters>()) {}

Communicator::Communicator(std::shared_ptr<Counters> counters)
    : theCounters(std::move(counters)) {}

Communicator::~Communicator() = default;
