//===- StepAttributesTest.cpp - How kernels read attributes ---------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/plan/StepAttributes.h"

#include <gtest/gtest.h>

using namespace moe;

static plan::StepT makeStep() {
  plan::StepT step;
  step.kernel = "norm";
  auto add = [&](const char *name, plan::AttributeKind kind) -> auto & {
    step.attributes.push_back(std::make_unique<plan::AttributeT>());
    step.attributes.back()->name = name;
    step.attributes.back()->kind = kind;
    return *step.attributes.back();
  };
  add("axis", plan::AttributeKind_Int).i = -1;
  add("eps", plan::AttributeKind_Float).f = 0.5;
  add("kind", plan::AttributeKind_String).s = "rms";
  add("perm", plan::AttributeKind_Ints).ints = {1, 0};
  add("starts", plan::AttributeKind_Exprs).exprs = {4, 5, 6};
  return step;
}

TEST(StepAttributes, ReadsEveryKind) {
  plan::StepT step = makeStep();
  StepAttributes attributes(step);
  EXPECT_EQ(*attributes.getInt("axis"), -1);
  EXPECT_EQ(*attributes.getFloat("eps"), 0.5);
  EXPECT_EQ(*attributes.getString("kind"), "rms");
  EXPECT_EQ(*attributes.getInts("perm"), (std::vector<int64_t>{1, 0}));
  EXPECT_EQ(*attributes.getNumExprs("starts"), 3u);
  EXPECT_TRUE(attributes.checkAllRead().isOk());
}

TEST(StepAttributes, DefaultsStandInForWhatIsMissing) {
  plan::StepT step = makeStep();
  StepAttributes attributes(step);
  EXPECT_EQ(*attributes.getInt("missing", 7), 7);
  EXPECT_TRUE(*attributes.getBool("missing", true));
  EXPECT_EQ(*attributes.getInts("missing", std::vector<int64_t>{3}),
            std::vector<int64_t>{3});
  EXPECT_EQ(attributes.getInt("missing").status().message(),
            "step norm: attribute 'missing' is missing");
}

TEST(StepAttributes, ErrorsNameStepAndAttribute) {
  plan::StepT step = makeStep();
  StepAttributes attributes(step);
  EXPECT_EQ(attributes.getInt("eps").status().message(),
            "step norm: attribute 'eps' is of kind Float, expected Int");
  EXPECT_EQ(attributes.getBool("axis").status().message(),
            "step norm: attribute 'axis' is -1, expected 0 or 1");
  EXPECT_EQ(attributes.checkAllRead().message(),
            "step norm: attribute 'kind' is not known");
}

TEST(StepAttributes, KeywordsBecomeValues) {
  plan::StepT step = makeStep();
  StepAttributes attributes(step);
  EXPECT_EQ(*attributes.getEnum<int>("kind", {{"layer", 0}, {"rms", 1}}), 1);
  EXPECT_EQ(attributes.getEnum<int>("kind", {{"layer", 0}, {"batch", 1}})
                .status()
                .message(),
            "step norm: attribute 'kind' is 'rms', expected one of layer, "
            "batch");
  EXPECT_EQ(*attributes.getEnum<int>("missing", {{"layer", 0}}, 5), 5);
}
