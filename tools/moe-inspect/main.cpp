//===- main.cpp - Shows what is in a plan ---------------------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/plan/PlanFile.h"
#include "tools/common/CommandLine.h"
#include "tools/common/Signals.h"
#include "tools/moe-inspect/PlanJson.h"
#include "tools/moe-inspect/PlanText.h"

#include <CLI/CLI.hpp>
#include <cstdio>

using namespace moe;
using namespace moe::tools;

static Status inspect(const std::string &path, bool json, bool verify) {
  MOE_ASSIGN_OR_RETURN(PlanFile plan, PlanFile::open(path));
  if (verify)
    MOE_RETURN_IF_ERROR(plan.verifyAllBlocks());
  std::string text;
  if (json) {
    MOE_ASSIGN_OR_RETURN(nlohmann::ordered_json object, planJson(plan));
    text = jsonText(object) + "\n";
  } else {
    MOE_ASSIGN_OR_RETURN(text, planText(plan));
  }
  std::fputs(text.c_str(), stdout);
  return flushOutput();
}

int main(int argc, char **argv) {
  receiveSignals();
  CLI::App app("Shows the layers, placement, exchanges, caches and steps of a "
               "plan, each with the ONNX nodes it came from.",
               "moe-inspect");
  std::string path;
  bool json = false, verify = false;
  app.add_option("plan", path, "The plan, as moe-opt wrote it")->required();
  app.add_flag("--json", json, "Print one JSON object");
  app.add_flag("--verify", verify,
               "Also compare all weights with their checksums");
  app.footer("\nexamples:\n"
             "  moe-inspect model.moeplan\n"
             "  moe-inspect model.moeplan --json");
  if (std::optional<int> exitCode =
          parseCommandLine(app, {argv + 1, argv + argc}))
    return *exitCode;
  Status status = inspect(path, json, verify);
  return status.isOk() ? 0 : reportError("moe-inspect", status);
}
