//===- CApiTest.cpp - The C API through the shared library ----------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "moe/moe.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <string>
#include <vector>

namespace {

/// A model that doubles x [batch, 4] on two ranks.
class CApi : public testing::Test {
protected:
  void SetUp() override {
    std::string plan = testing::TempDir() + "capi-double.moeplan";
    std::string command =
        MOE_BINARY_DIR "/test/WriteExamplePlan '" + plan + "'";
    ASSERT_EQ(std::system(command.c_str()), 0);
    ASSERT_EQ(moe_model_load(plan.c_str(), nullptr, &model), MOE_OK)
        << moe_last_error();
    ASSERT_EQ(moe_context_create(model, nullptr, &context), MOE_OK)
        << moe_last_error();
  }
  void TearDown() override {
    moe_context_release(context);
    moe_model_release(model);
  }

  moe_status run(int64_t batch, moe_dtype dtype = MOE_F32) {
    data.assign(4 * batch, 1.5f);
    moe_tensor x = {"x", dtype, 2, {batch, 4}, data.data(), 4 * data.size()};
    return moe_context_run(context, &x, 1, 0);
  }

  moe_model *model = nullptr;
  moe_context *context = nullptr;
  std::vector<float> data;
};

} // namespace

TEST_F(CApi, DescribesTheModel) {
  EXPECT_EQ(moe_model_num_ranks(model), 2);
  ASSERT_EQ(moe_model_num_inputs(model), 1u);
  EXPECT_STREQ(moe_model_input_name(model, 0), "x");
  EXPECT_EQ(moe_model_input_name(model, 1), nullptr);
  EXPECT_EQ(moe_model_input_dtype(model, 0), MOE_F32);
  ASSERT_EQ(moe_model_input_rank(model, 0), 2u);
  EXPECT_STREQ(moe_model_input_dim(model, 0, 0), "batch");
  EXPECT_STREQ(moe_model_input_dim(model, 0, 1), "4");
  EXPECT_EQ(moe_model_input_dim(model, 0, 2), nullptr);
  ASSERT_EQ(moe_model_num_outputs(model), 1u);
  EXPECT_STREQ(moe_model_output_name(model, 0), "y");

  moe_symbol batch = {"batch", 7};
  int64_t dims[MOE_MAX_RANK];
  ASSERT_EQ(moe_model_input_shape(model, 0, &batch, 1, dims), MOE_OK);
  EXPECT_EQ(dims[0], 7);
  EXPECT_EQ(dims[1], 4);
  EXPECT_EQ(moe_model_input_shape(model, 0, nullptr, 0, dims), MOE_USAGE);
}

TEST_F(CApi, RunsAndReturnsOutputs) {
  for (int64_t batch : {3, 1, 10}) {
    ASSERT_EQ(run(batch), MOE_OK) << moe_last_error();
    ASSERT_EQ(moe_context_num_outputs(context), 1u);
    moe_tensor y;
    ASSERT_EQ(moe_context_output_by_name(context, "y", &y), MOE_OK);
    EXPECT_STREQ(y.name, "y");
    EXPECT_EQ(y.dtype, MOE_F32);
    ASSERT_EQ(y.rank, 2u);
    EXPECT_EQ(y.dims[0], batch);
    EXPECT_EQ(y.bytes, 16u * batch);
    for (int64_t i = 0; i < 4 * batch; ++i)
      EXPECT_EQ(static_cast<const float *>(y.data)[i], 3.0f);
  }
}

TEST_F(CApi, ReportsErrors) {
  moe_model *none = nullptr;
  EXPECT_EQ(moe_model_load("/nowhere/x.moeplan", nullptr, &none), MOE_IO_ERROR);
  EXPECT_NE(std::string(moe_last_error()).find("/nowhere/x.moeplan"),
            std::string::npos);
  EXPECT_EQ(none, nullptr);
  EXPECT_EQ(moe_model_load(nullptr, nullptr, &none), MOE_USAGE);

  EXPECT_EQ(run(2, MOE_I32), MOE_IO_ERROR);
  EXPECT_STREQ(moe_last_error(),
               "input \"x\" has element type i32, expected f32");
  EXPECT_EQ(run(2, static_cast<moe_dtype>(99)), MOE_USAGE);
  moe_tensor y;
  EXPECT_EQ(moe_context_output(context, 0, &y), MOE_USAGE);
  EXPECT_EQ(moe_context_output_by_name(context, "z", &y), MOE_USAGE);
  EXPECT_EQ(moe_context_run(context, nullptr, 0, 1u << 20), MOE_USAGE);
}

TEST_F(CApi, MaximaHold) {
  moe_symbol batch = {"batch", 4};
  ASSERT_EQ(moe_context_prepare(context, &batch, 1), MOE_OK);
  ASSERT_EQ(moe_context_initialize(context), MOE_OK);
  EXPECT_EQ(run(4), MOE_OK);
  EXPECT_EQ(run(5), MOE_OUT_OF_MEMORY);
  EXPECT_NE(std::string(moe_last_error()).find("--max batch=5"),
            std::string::npos);
  batch.name = "bach";
  EXPECT_EQ(moe_context_prepare(context, &batch, 1), MOE_USAGE);
  EXPECT_EQ(run(4), MOE_OK);
}

TEST_F(CApi, ContextsOutliveTheModel) {
  moe_model_release(model);
  model = nullptr;
  EXPECT_EQ(run(2), MOE_OK);
  moe_context_cancel(context); // without a run, nothing
  EXPECT_EQ(moe_context_state_length(context), 0);
  moe_context_reset_state(context);
  EXPECT_EQ(run(2), MOE_OK);
}
