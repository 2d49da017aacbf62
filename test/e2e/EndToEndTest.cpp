//===- EndToEndTest.cpp - Whole models through the tools ------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Compiles every model below test/models/<set> for a number of ranks, with more
// options of moe-opt where they are given, runs all its reference inputs, and
// checks
//
//   * that moe-inspect lists exactly the MoE layers of check.json,
//   * that matrices are kept in codes, or that none is, if check.json says so,
//   * that moe-run reproduces the expected outputs,
//   * that the work is spread: no rank holds more than its share of the expert
//     weights, and all ranks together compute at most tokens * k expert rows.
//
// usage: EndToEndTest --set=NAME,.. --ranks=N [--opt=OPTION]..
//                     [GoogleTest options]
//
//===----------------------------------------------------------------------===//

#include "Tools.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cctype>
#include <sstream>

namespace fs = std::filesystem;
using namespace moe::test;
using nlohmann::json;

namespace {

std::string theSets = "deepspeed";
int theRanks = 1;
std::vector<std::string> theOptions;

std::vector<fs::path> modelFolders(const std::string &set) {
  std::vector<fs::path> folders;
  for (const auto &entry : fs::directory_iterator(MOE_MODELS_DIR "/" + set))
    if (fs::exists(entry.path() / "model.onnx"))
      folders.push_back(entry.path());
  std::sort(folders.begin(), folders.end());
  return folders;
}

std::vector<fs::path> referenceInputs(const fs::path &folder) {
  std::vector<fs::path> files;
  for (const auto &entry : fs::directory_iterator(folder))
    if (entry.path().filename().string().starts_with("inputs_"))
      files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  return files;
}

std::string number(const json &spec, const char *key, double otherwise) {
  return json(spec.value(key, otherwise)).dump();
}

class ModelTest : public testing::Test {
public:
  explicit ModelTest(fs::path folder) : folder(std::move(folder)) {}

  void TestBody() override {
    json spec = json::object();
    if (fs::exists(folder / "check.json"))
      spec = json::parse(readFile(folder / "check.json"));
    std::string plan = scratch.path / "model.moeplan";
    std::vector<std::string> args = {folder / "model.onnx", "-o", plan,
                                     "--ranks=" + std::to_string(theRanks)};
    for (const json &option : spec.value("opt", json::array()))
      args.push_back(option);
    args.insert(args.end(), theOptions.begin(), theOptions.end());
    Outcome compiled = runTool("moe-opt", args, scratch.path);
    if (spec.value("refused", false)) {
      EXPECT_TRUE(compiled.exitCode == 3 || compiled.exitCode == 4)
          << "exit code " << compiled.exitCode;
      EXPECT_NE(compiled.errors.find("error"), std::string::npos);
      EXPECT_FALSE(fs::exists(plan));
      return;
    }
    ASSERT_EQ(compiled.exitCode, 0) << compiled.errors;
    json layers = spec.value("moe_layers", json::array());
    checkPlan(plan, spec, layers);
    for (const fs::path &inputs : referenceInputs(folder))
      checkRun(plan, inputs, spec, layers);
  }

private:
  void checkPlan(const std::string &plan, const json &spec,
                 const json &layers) {
    Outcome inspected = runTool("moe-inspect", {plan, "--json"}, scratch.path);
    ASSERT_EQ(inspected.exitCode, 0) << inspected.errors;
    json found = json::array();
    json report = json::parse(inspected.output);
    for (const json &layer : report["moe_layers"])
      found.push_back({layer["experts"], layer["k"]});
    EXPECT_EQ(found, layers);
    // Slices of experts may begin within blocks.
    if (spec.contains("codes") && theRanks == 1)
      for (const json &weight : report["weights"]) {
        auto layout = weight["layout"].get<std::string>();
        if (layout.starts_with("panel16"))
          EXPECT_EQ(layout.starts_with("panel16.q"), spec["codes"].get<bool>())
              << weight;
      }
  }

  void checkRun(const std::string &plan, const fs::path &inputs,
                const json &spec, const json &layers) {
    SCOPED_TRACE(inputs.filename().string());
    std::string expected = inputs;
    expected.replace(expected.rfind("inputs"), 6, "expected");
    Outcome run = runTool("moe-run",
                          {plan, "--inputs", inputs, "--expect", expected,
                           "--atol", number(spec, "atol", 1e-4), "--rtol",
                           number(spec, "rtol", 1e-3), "--json"},
                          scratch.path);
    ASSERT_EQ(run.exitCode, 0) << run.errors;
    checkSpread(json::parse(run.output), layers);
  }

  void checkSpread(const json &report, const json &layers) {
    const json &ranks = report["ranks"];
    ASSERT_EQ(ranks.size(), static_cast<size_t>(theRanks));
    if (layers.empty())
      return;
    double largest = 0, sum = 0, share = 0;
    for (const json &rank : ranks) {
      largest = std::max(largest, rank["expert_weight_bytes"].get<double>());
      sum += rank["expert_weight_bytes"].get<double>();
    }
    for (const json &layer : layers) {
      int experts = layer[0];
      double most = (experts + theRanks - 1) / theRanks;
      share = std::max(share, most / experts);
    }
    EXPECT_LE(largest, sum * share * 1.02);
    checkRows(report, layers);
  }

  /// Every token visits at most k experts of a layer: the first output has one
  /// row for each token.
  void checkRows(const json &report, const json &layers) {
    const json &shape = report["outputs"].begin().value()["shape"];
    int64_t tokens = 1;
    for (size_t i = 0; i + 1 < shape.size(); ++i)
      tokens *= shape[i].get<int64_t>();
    int64_t rows = 0, most = 0;
    for (const json &rank : report["ranks"])
      rows += rank["expert_rows"].get<int64_t>();
    for (const json &layer : layers)
      most += tokens * layer[1].get<int64_t>();
    EXPECT_LE(rows, most);
    EXPECT_GT(rows, 0);
  }

  fs::path folder;
  ScratchFolder scratch;
};

} // namespace

static void registerSet(const std::string &set) {
  for (const fs::path &folder : modelFolders(set)) {
    std::string name = folder.filename();
    std::replace_if(
        name.begin(), name.end(), [](char c) { return !isalnum(c); }, '_');
    testing::RegisterTest(set.c_str(), name.c_str(), nullptr, nullptr, __FILE__,
                          __LINE__, [folder] { return new ModelTest(folder); });
  }
}

int main(int argc, char **argv) {
  testing::InitGoogleTest(&argc, argv);
  for (int i = 1; i < argc; ++i) {
    std::string arg = argv[i];
    if (arg.starts_with("--set="))
      theSets = arg.substr(6);
    else if (arg.starts_with("--ranks="))
      theRanks = std::atoi(arg.c_str() + 8);
    else if (arg.starts_with("--opt="))
      theOptions.push_back(arg.substr(6));
    else {
      fprintf(stderr, "usage: %s --set=NAME,.. --ranks=N [--opt=OPTION]..\n",
              argv[0]);
      return 2;
    }
  }
  std::stringstream sets(theSets);
  for (std::string set; std::getline(sets, set, ',');)
    registerSet(set);
  return RUN_ALL_TESTS();
}
