//===- ImportModelsTest.cpp - Imports the example models ------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Every model below test/models must import to IR that verifies, or be refused
// as unsupported with a message for each node. Models that stand in folders of
// the first kind must import.
//
//===----------------------------------------------------------------------===//

#include "frontend/onnx/OnnxImporter.h"

#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/IR/Verifier.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <set>

namespace fs = std::filesystem;

namespace moe::onnx_import {
namespace {

class ImportModelsTest : public testing::TestWithParam<fs::path> {
protected:
  ImportModelsTest() {
    context.disableMultithreading();
    context.getDiagEngine().registerHandler([this](mlir::Diagnostic &d) {
      if (d.getSeverity() == mlir::DiagnosticSeverity::Error)
        errors.push_back(d.str());
      return mlir::success();
    });
  }

  mlir::MLIRContext context;
  std::vector<std::string> errors;
};

TEST_P(ImportModelsTest, ImportsOrNamesWhatIsUnsupported) {
  static const std::set<std::string> kMustImport = {"deepspeed", "prmoe", "ort",
                                                    "hf"};
  StatusCode code = StatusCode::Ok;
  auto module = importOnnx(GetParam().string(), context, {}, code);
  std::string group = GetParam().parent_path().parent_path().filename();
  if (succeeded(module)) {
    EXPECT_TRUE(errors.empty());
    EXPECT_TRUE(succeeded(mlir::verify(**module)));
    return;
  }
  EXPECT_EQ(kMustImport.count(group), 0u) << errors.front();
  EXPECT_EQ(code, StatusCode::Unsupported);
  ASSERT_FALSE(errors.empty());
  for (const std::string &error : errors)
    EXPECT_EQ(error.rfind("node \"", 0), 0u) << error;
}

std::vector<fs::path> allModels() {
  std::vector<fs::path> models;
  fs::path root = fs::path(MOE_SOURCE_DIR) / "test/models";
  for (const auto &entry : fs::recursive_directory_iterator(root))
    if (entry.path().extension() == ".onnx")
      models.push_back(entry.path());
  std::sort(models.begin(), models.end());
  return models;
}

std::string nameOf(const testing::TestParamInfo<fs::path> &info) {
  std::string name = info.param.parent_path().filename();
  for (char &c : name)
    if (!std::isalnum(static_cast<unsigned char>(c)))
      c = '_';
  return name;
}

INSTANTIATE_TEST_SUITE_P(Examples, ImportModelsTest,
                         testing::ValuesIn(allModels()), nameOf);

} // namespace
} // namespace moe::onnx_import
