//===- LoadProfileTest.cpp - Expert loads in a file -----------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/io/LoadProfile.h"

#include <gtest/gtest.h>

using namespace moe;

TEST(ExpertLoads, CountsChoicesAndPairs) {
  ExpertLoads loads(4);
  // Two choices of three tokens; the second choice of the last was dropped.
  std::vector<int32_t> choices = {0, 2, 2, 0, 3, -1};
  loads.record(choices, 2);
  EXPECT_EQ(loads.small.runs, 1);
  EXPECT_EQ(loads.large.runs, 0);
  EXPECT_EQ(loads.small.rows, (std::vector<int64_t>{2, 0, 2, 1}));
  EXPECT_EQ(loads.pair(0, 2), 2);
  EXPECT_EQ(loads.pair(0, 3), 0);
}

TEST(ExpertLoads, TellsLargeRunsFromSmall) {
  ExpertLoads loads(2);
  loads.record(std::vector<int32_t>(ExpertLoads::kSmallTokens, 1), 1);
  loads.record(std::vector<int32_t>(ExpertLoads::kSmallTokens + 1, 0), 1);
  EXPECT_EQ(loads.small.rows,
            (std::vector<int64_t>{0, ExpertLoads::kSmallTokens}));
  EXPECT_EQ(loads.large.rows,
            (std::vector<int64_t>{ExpertLoads::kSmallTokens + 1, 0}));
}

TEST(ExpertLoads, AddsRanksOfTheSameRuns) {
  ExpertLoads a(2), b(2);
  a.record(std::vector<int32_t>{0, 1}, 2);
  b.record(std::vector<int32_t>{1, 0}, 2);
  a.addRank(b);
  EXPECT_EQ(a.small.runs, 1);
  EXPECT_EQ(a.small.rows, (std::vector<int64_t>{2, 2}));
  EXPECT_EQ(a.pair(0, 1), 2);
}

TEST(LoadProfile, ReadsWhatItWrites) {
  LoadProfile profile;
  profile.model = "model.onnx";
  profile.layers.emplace_back(3);
  profile.layers.emplace_back(8);
  profile.layers[0].record(std::vector<int32_t>{0, 2, 1, 2}, 2);
  profile.layers[1].record(std::vector<int32_t>{7, 6, 0}, 1);
  StatusOr<LoadProfile> read = readLoadProfile(writeLoadProfile(profile));
  ASSERT_TRUE(read.isOk()) << read.status().message();
  EXPECT_EQ(read->model, "model.onnx");
  EXPECT_EQ(read->layers, profile.layers);
}

TEST(LoadProfile, RefusesWhatIsNone) {
  auto messageOf = [](std::string_view text) {
    StatusOr<LoadProfile> profile = readLoadProfile(text);
    EXPECT_FALSE(profile.isOk()) << text;
    return profile.isOk() ? "" : profile.status().message();
  };
  EXPECT_EQ(messageOf("[]"), "profile: the file: is no object");
  EXPECT_EQ(messageOf(R"({"version": 2, "layers": []})"),
            "profile: the file: has version 2, expected 1");
  EXPECT_EQ(messageOf(R"({"version": 1})"),
            "profile: the file: needs \"layers\", a list");
  std::string begin = R"({"version": 1, "layers": [{"experts": 2, "small": )";
  EXPECT_EQ(messageOf(begin + R"({"runs": 1, "rows": [1]}}]})"),
            "profile: layer 0: needs \"small\" with rows of 1 to 65536 "
            "experts");
  EXPECT_EQ(messageOf(begin + R"({"runs": 1, "rows": [1, -1]}}]})"),
            "profile: layer 0, \"small\": the rows of expert 1 are no number "
            "of at least 0");
  begin += R"({"runs": 1, "rows": [1, 2]}, "large": )";
  EXPECT_EQ(messageOf(begin + "3}]}"),
            "profile: layer 0, \"large\": is no object");
  begin += R"({"runs": 0, "rows": [0, 0]}, "pairs": )";
  EXPECT_EQ(messageOf(begin + "[[1, 1, 3]]}]}"),
            "profile: layer 0: a pair is no [a, b, tokens] with a < b < 2");
}
