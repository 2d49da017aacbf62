//===- main.cpp - Runs plans ----------------------------------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "tools/moe-run/Commands.h"

int main(int argc, char **argv) { return moe::tools::runProgram(argc, argv); }
