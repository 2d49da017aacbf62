//===- RegistryTest.cpp - Which kernels there are -------------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/kernels/cpu/Kernels.h"
#include "runtime/params/QuantFormat.h"
#include "test/cts/kernels/KernelRunner.h"

#include <cstdlib>
#include <fstream>
#include <regex>
#include <set>

using namespace moe;

namespace {

TEST(Registry, HasAKernelForEveryOperation) {
  // Leaves, views and what stands inside others are no steps.
  const std::set<std::string> noSteps = {"param", "constant", "reshape",
                                         "yield"};
  std::ifstream file(MOE_SOURCE_DIR "/dialect/moe/MoeOps.td");
  std::string line;
  KernelRegistry registry = cpu::createCpuKernels(*cpu::findIsa("portable"));
  int found = 0;
  const std::regex operation("^def Moe_\\w+ : \\w*Op<\"?(Moe_Dialect, )?"
                             "\"?(\\w+)\".*");
  for (std::smatch match; std::getline(file, line);) {
    if (!std::regex_match(line, match, operation) ||
        noSteps.count(match[2].str()))
      continue;
    ++found;
    EXPECT_TRUE(registry.contains(match[2].str())) << match[2];
  }
  EXPECT_GT(found, 40);
}

TEST(Registry, NamesLayoutsBestFirst) {
  KernelRegistry registry = cpu::createCpuKernels(*cpu::findIsa("portable"));
  for (const char *name : {"matmul", "ffn", "experts", "routed_experts"}) {
    std::span<const std::string> layouts = registry.weightLayouts(name);
    ASSERT_EQ(layouts.size(), 3u);
    EXPECT_EQ(layouts[0], "panel16");
    EXPECT_EQ(layouts[1], kQuantLayouts);
  }
  EXPECT_EQ(registry.weightLayouts("norm")[0], "row");
  EXPECT_TRUE(registry.weightLayouts("nothing").empty());
}

TEST(Registry, PrefersTheWidestInstructionSet) {
  std::vector<std::string_view> names;
  for (const cpu::Isa *isa : cpu::allIsas())
    names.push_back(isa->name);
  EXPECT_EQ(names.back(), "portable");
  if (names.size() > 1) {
    EXPECT_EQ(names, (std::vector<std::string_view>{"avx512vnni", "avx512",
                                                    "avx2", "portable"}));
  }
}

TEST(Registry, RefusesUnknownKernelsAndAttributes) {
  KernelRegistry registry = cpu::createCpuKernels(*cpu::findIsa("portable"));
  plan::StepT step;
  step.kernel = "matmul3";
  EXPECT_EQ(registry.create({step}).status().message(),
            "no kernel is named 'matmul3'");
  step.kernel = "copy";
  EXPECT_EQ(registry.create({step}).status().message(),
            "step copy: has 0 inputs and 0 outputs, expected 1 and 1");
  step.inputs = {0};
  step.outputs = {0};
  step.attributes.push_back(std::make_unique<plan::AttributeT>());
  step.attributes[0]->name = "speed";
  EXPECT_EQ(registry.create({step}).status().message(),
            "step copy: attribute 'speed' is not known");
}

TEST(Registry, RefusesAnUnknownInstructionSet) {
  // The choice is made once for a process; no other test here asks for it.
  ASSERT_EQ(setenv("MOE_CPU_ISA", "vax", 1), 0);
  plan::StepT step;
  step.kernel = "copy";
  Status status = cpuKernels().create({step}).status();
  EXPECT_EQ(status.code(), StatusCode::Usage);
  EXPECT_NE(status.message().find("MOE_CPU_ISA is 'vax'"), std::string::npos)
      << status.message();
  unsetenv("MOE_CPU_ISA");
}

} // namespace
