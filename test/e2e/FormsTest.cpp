//===- FormsTest.cpp - What holds for every form of parallelism -----------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Where nothing is reduced early, results have the same bits on every mesh and
// in every form of the exchange; at equal tp all forms agree. What the ranks
// sent and hold is what the forms promise, counted by the ranks themselves.
//
//===----------------------------------------------------------------------===//

#include "PlanTest.h"

#include <nlohmann/json.hpp>

#include <algorithm>

using namespace moe::test;
using nlohmann::json;

namespace {

class FormsTest : public PlanTest {
protected:
  /// What ranks counted in one run of prmoe-lm.
  json countersOf(const std::string &plan, const std::string &inputs) {
    Outcome outcome =
        runTool("moe-run", {plan, "--inputs", inputs, "--json"}, scratch.path);
    EXPECT_EQ(outcome.exitCode, 0) << outcome.errors;
    return json::parse(outcome.output)["ranks"];
  }
  static int64_t most(const json &ranks, const char *counter) {
    int64_t largest = 0;
    for (const json &rank : ranks)
      largest = std::max(largest, rank[counter].get<int64_t>());
    return largest;
  }
};

struct Form {
  int ranks;
  std::vector<std::string> options;
};

TEST_F(FormsTest, ExactFormsHaveTheBitsOfOneRank) {
  const Form forms[] = {
      {2, {"--mesh=dp=2,ep=1"}},
      {4, {"--mesh=dp=2,ep=2"}},
      {6, {"--mesh=dp=3,ep=2"}},
      {8, {"--mesh=dp=2,ep=4"}},
      {5, {}},
      {16, {}},
      {4, {"--layer-form=*:replicate"}},
      {4, {"--layer-form=*:hierarchical", "--node-size=2"}},
      {8, {"--layer-form=*:hierarchical", "--node-size=4"}},
      {4,
       {"--layer-form=*:flat+small=hierarchical+small-tokens=8",
        "--node-size=2"}},
      {4, {"--layer-form=*:chunks=2+chunk-tokens=4"}},
      {3, {"--layer-form=*:chunks=3+chunk-tokens=2", "--overlap=on"}},
      {4, {"--overlap=on"}},
  };
  // Prefill of a ragged batch, and decode.
  for (const char *name : {"inputs_2.npz", "inputs_3.npz"}) {
    std::string inputs = kModels / "prmoe-lm" / name;
    Tensors reference = run(compile("prmoe-lm", 1), inputs, 1);
    for (const Form &form : forms) {
      SCOPED_TRACE(std::string(name) + ", " + std::to_string(form.ranks) +
                   " ranks" +
                   (form.options.empty() ? "" : ", " + form.options[0]));
      std::vector<std::string> options = form.options;
      options.push_back("--reduce=exact");
      expectSameBits(run(compile("prmoe-lm", form.ranks, options), inputs, 2),
                     reference);
    }
  }
}

TEST_F(FormsTest, FormsAgreeAtEqualTp) {
  std::string inputs = kModels / "moe-top2-lm" / "inputs_1.npz";
  Tensors reference = run(
      compile("moe-top2-lm", 4, {"--mesh=ep=2,tp=2", "--layer-form=*:flat"}),
      inputs, 2);
  for (const char *form : {"coordinated", "replicated", "hierarchical"}) {
    SCOPED_TRACE(form);
    expectSameBits(run(compile("moe-top2-lm", 4,
                               {"--mesh=ep=2,tp=2", "--node-size=2",
                                std::string("--layer-form=*:") + form}),
                       inputs, 2),
                   reference);
  }
  // Rows divided by more owners change nothing either.
  expectSameBits(
      run(compile("moe-top2-lm", 6, {"--mesh=dp=3,tp=2"}), inputs, 2),
      reference);
}

TEST_F(FormsTest, SlicesShareTheWeightsOfExperts) {
  std::string inputs = kModels / "prmoe-lm" / "inputs_2.npz";
  json one = countersOf(compile("prmoe-lm", 1), inputs);
  json many = countersOf(compile("prmoe-lm", 16), inputs);
  // Layers of 4, 4 and 8 experts: a rank has a quarter of one expert, a
  // quarter, and half of one; slices differ by at most one unit of 16 columns.
  int64_t all = most(one, "expert_weight_bytes");
  EXPECT_LE(most(many, "expert_weight_bytes"), all / 16 * 5 / 4);
  int64_t rows = 0;
  for (const json &rank : many)
    rows += rank["expert_rows"].get<int64_t>();
  EXPECT_EQ(rows, one[0]["expert_rows"].get<int64_t>());
}

TEST_F(FormsTest, TensorSlicesShareTheWeights) {
  std::string inputs = kModels / "prmoe-lm" / "inputs_2.npz";
  json one = countersOf(compile("prmoe-lm", 1), inputs);
  json two = countersOf(compile("prmoe-lm", 2, {"--mesh=tp=2"}), inputs);
  // Norms, routers and positions are whole on every rank.
  EXPECT_LE(most(two, "weight_bytes"), most(one, "weight_bytes") * 55 / 100);
}

TEST_F(FormsTest, CapacityOfARankCountsItsOwnRows) {
  std::string path = kModels / "prmoe-lm-dropping" / "inputs_3.npz";
  auto batch = moe::readNpz(path);
  ASSERT_TRUE(batch.isOk()) << batch.status().message();
  int64_t rows = batch->front().dims()[0];
  ASSERT_GE(rows, 2);
  Tensors together = run(
      compile("prmoe-lm-dropping", 2, {"--capacity-scope=rank", "--mesh=ep=2"}),
      path, 2);
  std::string plan = compile("prmoe-lm-dropping", 1);
  // What rank r of 2 has is what one device makes of those rows alone.
  for (int64_t r = 0; r < 2; ++r) {
    int64_t begin = r * rows / 2, count = (r + 1) * rows / 2 - begin;
    std::vector<moe::HostTensor> own;
    for (const moe::HostTensor &tensor : *batch)
      own.push_back(rowsOf(tensor, begin, count));
    std::string inputs = scratch.path / "own.npz";
    ASSERT_TRUE(moe::writeNpz(inputs, own).isOk());
    Tensors expected;
    for (const auto &[name, tensor] : together)
      expected.emplace(name, rowsOf(tensor, begin, count));
    expectSameBits(run(plan, inputs, 1), expected);
  }
}

TEST_F(FormsTest, CapacityDropsTheSameTokensOnAnyRanks) {
  std::string inputs = kModels / "prmoe-lm-dropping" / "inputs_3.npz";
  auto compiled = [&](int ranks) {
    return compile("prmoe-lm-dropping", ranks, {"--reduce=exact"});
  };
  Tensors expected = run(compiled(1), inputs, 1);
  for (int ranks : {2, 3, 4, 8})
    expectSameBits(run(compiled(ranks), inputs, 2), expected);
}

TEST_F(FormsTest, ChanceDropsTheSameTokensOnAnyMesh) {
  std::string inputs = kModels / "prmoe-lm-dropping" / "inputs_3.npz";
  auto compiled = [&](int ranks, const std::string &seed) {
    return compile("prmoe-lm-dropping", ranks,
                   {"--random-token-selection=" + seed, "--reduce=exact"});
  };
  Tensors seven = run(compiled(1, "7"), inputs, 1);
  for (int ranks : {2, 3, 4})
    expectSameBits(run(compiled(ranks, "7"), inputs, 2), seven);
  // Another seed drops others.
  Tensors eight = run(compiled(1, "8"), inputs, 1);
  const moe::HostTensor &a = seven.at("logits"), &b = eight.at("logits");
  EXPECT_NE(memcmp(a.bytes().data(), b.bytes().data(), a.bytes().size()), 0);
}

// Enough tokens that every rank has rows for every expert. Messages of one
// layer, by hand: counts there, rows there, rows back.
TEST_F(FormsTest, MessagesAreThoseOfTheForm) {
  struct Case {
    int ranks;
    std::vector<std::string> options;
    int64_t perLayer;
  };
  const Case cases[] = {
      // 3 peers each time.
      {4, {"--mesh=ep=4", "--layer-form=*:flat+chunks=1"}, 3 * 3},
      // Two blocks that do not talk to each other: 1 peer.
      {4, {"--mesh=dp=2,ep=2", "--layer-form=*:flat+chunks=1"}, 3 * 1},
      // Two nodes of 4: 3 in the node and 1 across; on the way back the node
      // is told first how many rows come.
      {8,
       {"--mesh=ep=8", "--layer-form=*:hierarchical+chunks=1", "--node-size=4"},
       3 * (3 + 1) + 3},
      {8, {"--mesh=ep=8", "--layer-form=*:flat+chunks=1"}, 3 * 7},
  };
  constexpr int64_t kLayers = 3;
  for (const Case &c : cases) {
    SCOPED_TRACE(c.options[0] + " " + c.options[1]);
    std::string plan = compile("moe-top2-lm", c.ranks, c.options);
    Outcome outcome = runTool(
        "moe-run", {plan, "--shape", "batch=16,seq=256,past=0", "--json"},
        scratch.path);
    ASSERT_EQ(outcome.exitCode, 0) << outcome.errors;
    json report = json::parse(outcome.output);
    for (const json &rank : report["ranks"])
      EXPECT_EQ(rank["messages"].get<int64_t>(), kLayers * c.perLayer);
  }
}

} // namespace
