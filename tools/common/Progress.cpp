//===- Progress.cpp - Shows on a terminal how far work is -----------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "tools/common/Progress.h"

#include <cstdio>
#include <unistd.h>

using namespace moe::tools;

// Return to the first column; erase to the end of the line.
static constexpr char kRestart[] = "\r\033[K";

Progress::Progress(std::string what, int64_t total)
    : what(std::move(what)), total(total), isShown(isatty(STDERR_FILENO)) {}

Progress::~Progress() {
  if (isShown)
    std::fputs(kRestart, stderr);
}

void Progress::update(int64_t done, const std::string &note) {
  Clock::time_point now = Clock::now();
  if (!isShown || now - last < std::chrono::milliseconds(100))
    return;
  last = now;
  std::fprintf(stderr, "%s%s %lld/%lld  %s", kRestart, what.c_str(),
               static_cast<long long>(done), static_cast<long long>(total),
               note.c_str());
  std::fflush(stderr);
}
