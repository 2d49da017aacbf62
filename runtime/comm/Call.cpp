//===- Call.cpp - What ranks must agree on --------------------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/comm/Call.h"

using namespace moe;

const char *Call::name() const {
  switch (operation) {
  case Operation::Barrier:
    return "barrier";
  case Operation::AllGather:
    return "all-gather";
  case Operation::AllToAll:
    return "all-to-all";
  case Operation::AllReduce:
    return "all-reduce";
  case Operation::ReduceScatter:
    return "reduce-scatter";
  case Operation::Split:
    return "split";
  }
  return "unknown";
}

std::string Call::describe() const {
  std::string text = std::string(name()) + " (tag " + std::to_string(tag);
  if (operation == Operation::AllReduce ||
      operation == Operation::ReduceScatter)
    text += ", " + std::to_string(count) + " x " +
            std::string(dtypeName(dtype)) +
            (reduceOp == ReduceOp::Sum ? ", sum" : ", max");
  return text + ")";
}

Status moe::abortError(const std::string &name, const Status &why) {
  bool isStop = why.code() == StatusCode::Interrupted ||
                why.code() == StatusCode::Terminated ||
                why.code() == StatusCode::Timeout;
  return Status(isStop ? why.code() : StatusCode::RankFailed,
                name + " failed: " + why.message());
}

Status moe::checkArguments(Communicator &group, bool isRight, const Call &call,
                           const char *what) {
  if (isRight)
    return Status::ok();
  Status status(StatusCode::Internal, call.describe() + ": " + what);
  group.abort(status);
  return status;
}

void moe::countMessages(Counters &counters, size_t bytes, int numMessages) {
  if (bytes == 0)
    return;
  counters.messages += numMessages;
  counters.bytesSent += bytes * numMessages;
}
