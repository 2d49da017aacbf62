//===- GenerateModel.cpp - Writes MoE models of any size ------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
//   GenerateModel FOLDER prmoe        PR-MoE 1.3B
//   GenerateModel FOLDER deep         60 layers of 256 experts
//   GenerateModel FOLDER layer E k H I [gated]
//
//===----------------------------------------------------------------------===//

#include "test/models/generate/LargeTransformer.h"

#include <cstdio>
#include <cstdlib>
#include <filesystem>

using namespace moe;
using namespace moe::test;

static int usage() {
  std::fprintf(stderr, "usage: GenerateModel FOLDER prmoe | deep | "
                       "layer EXPERTS K HIDDEN INNER [gated]\n");
  return static_cast<int>(StatusCode::Usage);
}

static int64_t numberOf(const char *text) {
  return std::strtoll(text, nullptr, 10);
}

int main(int argc, char **argv) {
  if (argc < 3)
    return usage();
  std::string folder = argv[1], kind = argv[2];
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  Status status;
  if (kind == "prmoe") {
    status = writeTransformer(folder, TransformerSizes::prmoe());
  } else if (kind == "deep") {
    status = writeTransformer(folder, TransformerSizes::deep());
  } else if (kind == "layer" && argc >= 7) {
    TransformerSizes sizes;
    sizes.experts = {numberOf(argv[3])};
    sizes.k = numberOf(argv[4]);
    sizes.hidden = numberOf(argv[5]);
    sizes.inner = numberOf(argv[6]);
    sizes.gated = argc > 7;
    if (sizes.experts[0] < 1 || sizes.k < 1 || sizes.hidden < 1 ||
        sizes.inner < 1)
      return usage();
    status = writeMoeLayer(folder, sizes);
  } else {
    return usage();
  }
  if (!status.isOk())
    std::fprintf(stderr, "GenerateModel: error: %s\n",
                 status.message().c_str());
  return status.exitCode();
}
