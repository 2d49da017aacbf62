//===- MadeInputsTest.cpp - Inputs made from a plan's signature -----------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "tools/moe-run/SyntheticInputs.h"

#include "runtime/exec/Executable.h"
#include "test/unit/tools/BigramPlan.h"
#include "tools/moe-run/IndexBounds.h"

#include <set>

using namespace moe;
using namespace moe::test;
using namespace moe::tools;

namespace {

class MadeInputsTest : public BigramTest {
protected:
  void SetUp() override {
    BigramTest::SetUp();
    StatusOr<std::shared_ptr<Model>> loaded = Model::load(plan);
    ASSERT_TRUE(loaded.isOk()) << loaded.status().message();
    model = *loaded;
  }
  std::shared_ptr<Model> model;
};

} // namespace

TEST_F(MadeInputsTest, TableThatIsIndexedBoundsTheIntegers) {
  EXPECT_EQ(indexBound(*model->executable()->program, 0), kBigramTokens);
}

TEST_F(MadeInputsTest, TableThatRanksDivideBoundsThemAsAWhole) {
  plan::ProgramT program = *model->executable()->program;
  plan::SymbolT part;
  part.name = "tokens.local";
  part.kind = plan::SymbolKind_LocalPart;
  part.group = plan::Group_Tp;
  part.whole = static_cast<uint32_t>(program.exprs.size());
  program.exprs.push_back("512");
  program.symbols.push_back(std::make_unique<plan::SymbolT>(part));
  int table = program.steps.front()->inputs[0];
  program.buffers[table]->dims[0] = static_cast<uint32_t>(program.exprs.size());
  program.exprs.push_back("2 * tokens.local");
  EXPECT_EQ(indexBound(program, 0), kBigramTokens);
}

TEST_F(MadeInputsTest, RowsOfCodesBoundThemByTheirNumbers) {
  plan::ProgramT program = *model->executable()->program;
  plan::StepT &step = *program.steps.front();
  step.kernel = "gather_codes";
  auto size = std::make_unique<plan::AttributeT>();
  size->name = "size";
  size->i = 300;
  step.attributes.push_back(std::move(size));
  EXPECT_EQ(indexBound(program, 0), kBigramTokens);
  size_t last = program.buffers[step.inputs[0]]->dims.size() - 1;
  for (auto &attribute : step.attributes)
    if (attribute->name == "axis")
      attribute->i = static_cast<int64_t>(last);
  EXPECT_EQ(indexBound(program, 0), 300);
}

TEST_F(MadeInputsTest, ShapeIsCompleted) {
  StatusOr<NamedNumbers> shape = completeShape(*model, "--shape", {{"seq", 9}});
  ASSERT_TRUE(shape.isOk()) << shape.status().message();
  EXPECT_EQ(*shape, (NamedNumbers{{"batch", 4}, {"seq", 9}}));
  Status status = completeShape(*model, "--shape", {{"sek", 9}}).status();
  EXPECT_EQ(status.code(), StatusCode::Usage);
  EXPECT_EQ(status.message(), "--shape: the model has no size 'sek', only "
                              "batch, seq; did you mean 'seq'?");
}

TEST_F(MadeInputsTest, IdsAreTokensAndFollowTheSeed) {
  NamedNumbers shape = {{"batch", 8}, {"seq", 100}};
  auto make = [&](uint64_t seed) {
    return std::move(makeInputs(*model, shape, seed, true)->front());
  };
  HostTensor ids = make(1);
  EXPECT_EQ(ids.name(), "input_ids");
  EXPECT_EQ(ids.dims(), (std::vector<int64_t>{8, 100}));
  std::set<int64_t> seen;
  for (int64_t id : ids.as<int64_t>()) {
    EXPECT_GE(id, 0);
    EXPECT_LT(id, kBigramTokens);
    seen.insert(id);
  }
  EXPECT_GT(seen.size(), 400u);
  auto equal = [&](const HostTensor &a, const HostTensor &b) {
    return std::equal(a.bytes().begin(), a.bytes().end(), b.bytes().begin());
  };
  EXPECT_TRUE(equal(ids, make(1)));
  EXPECT_FALSE(equal(ids, make(2)));
}
