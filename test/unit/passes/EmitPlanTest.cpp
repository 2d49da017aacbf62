//===- EmitPlanTest.cpp - The plan dialect and the plan file --------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/emit/EmitPlan.h"

#include "dialect/plan/PlanDialect.h"
#include "runtime/plan/PlanFile.h"
#include "runtime/plan/Plan_generated.h"

#include "mlir/Parser/Parser.h"

#include <cstring>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>

using namespace mlir;
using namespace moe;
using namespace moe::pass;

namespace fs = std::filesystem;

/// A plan that uses every table; w is 2 x 3, e has two experts of 2 x 1.
static const char *kPlan = R"mlir(
plan.program attributes {num_ranks = 2 : i64} {
  plan.symbol "b.local" local_part whole "b"
  plan.symbol "r" data bound "b.local * 2"
  plan.symbol "b" input {axis = 0 : i64, input = 0 : i64}
  plan.constraint "b" equals "b" : "trivial"
  plan.constant [1, 0, 0, 0]
  plan.layer 2 experts k 1 "softmax top-1" capacity "none" residual
    places <2 [[0], [1]]> nodes ["/Gate"]
  plan.param "w" f32 "panel16" [2, 3] blocks
    [#moe.param<file "w.bin" [0, 24] : tensor<2x3xf32>>]
  plan.param "e" f32 "row" [2, 1] blocks
    [#moe.param<slice [0, 0, 1, 1] (#moe.param<file "w.bin" [0, 24] :
       tensor<2x3xf32>>) : tensor<2x1xf32>>,
     #moe.param<fill = 2.5 : f32 : tensor<2x1xf32>>]
    {experts = 2 : i64, layer = 0 : i64, is_expert}
  plan.state "kv" f32 <b, 4> axis 1 length "3" divided 0 by "b.local"
    {input = 1 : i64, output = 1 : i64}
  %none = plan.none
  %x = plan.buffer input "x" f32 <b.local, 2> {index = 0 : i64}
  %w = plan.buffer param "w" f32 <2, 3> {index = 0 : i64}
  %e = plan.buffer param "e" f32 <2, 1> {index = 1 : i64}
  %c = plan.buffer constant i32 <1> {index = 0 : i64}
  %past = plan.buffer state "kv" f32 <b.local, 3> {index = 0 : i64}
  %kv = plan.buffer state "kv" f32 <b.local, 4> {index = 0 : i64}
  %a = plan.buffer arena "a" f32 <b.local, 3> alive 0 to 2
  %t = plan.buffer arena "a" f32 <b.local, 1> of %a offset "2" strides <3, 1>
  %y = plan.buffer output "y" f32 <b.local, 3> {index = 0 : i64}
  plan.input "x" f32 <b, 2> in %x divided 0 by "b.local"
  plan.input "past" f32 <b, 3> divided 0 by "b.local" {state = 0 : i64}
  plan.output "y" f32 <b, 3> in %y divided 0 by "b.local"
  plan.output "present" f32 <b, 4> divided 0 by "b.local" {state = 0 : i64}
  plan.step "matmul" ins(%x, %w, %none) outs(%a) {transpose_rhs = 0 : i64}
    nodes ["/MatMul"]
  plan.step "cache_append" ins(%past, %t) outs(%kv) {axis = 1 : i64}
  plan.step "elementwise" ins(%a, %c) outs(%y)
    program [#plan.instr<"cast" f32 [1]>, #plan.instr<"add" f32 [0, 2]>,
             #plan.instr<"constant" f32 [] = 0.5 : f64>,
             #plan.instr<"mul" f32 [3, 4]>] registers [5]
    layer 0 nodes ["/Cast", "/Add"]
  plan.step "test" ins() outs() {a = 1 : i64, b = 0.5 : f64, c = "text",
    d = array<i64: 1, 2>, e = array<f64: 0.5>, f = #moe.dims<b, 2>}
}
)mlir";

/// The fields of a mesh with slices, guards and streams; w is used whole and in
/// parts.
static const char *kParallelPlan = R"mlir(
plan.program attributes {num_ranks = 8 : i64, dp = 2 : i64, tp = 2 : i64,
                         num_streams = 2 : i64, num_events = 1 : i64} {
  plan.symbol "b.local" local_part whole "b"
  plan.symbol "h.local" local_part whole "3" {group = #moe<comm_group tp>}
  plan.symbol "t.local" local_part whole "b.local"
    {group = #moe<comm_group tp>}
  plan.symbol "b" input {axis = 0 : i64, input = 0 : i64}
  plan.layer 2 experts k 1 "softmax top-1" capacity "none"
    places <8 over world domains 2 [[0, 4], [1 + 2, 5 + 6]]> nodes []
  plan.param "w" f32 "panel16" [2, 3] blocks
    [#moe.param<file "w.bin" [0, 24] : tensor<2x3xf32>>] divided 1 by "h.local"
  plan.param "w.1" f32 "panel16" [2, 3] blocks
    [#moe.param<file "w.bin" [0, 24] : tensor<2x3xf32>>]
  plan.param "e" f32 "row" [2, 3] blocks
    [#moe.param<file "w.bin" [0, 24] : tensor<2x3xf32>>,
     #moe.param<fill = 2.5 : f32 : tensor<2x3xf32>>]
    divided 1 {experts = 2 : i64, layer = 0 : i64, is_expert,
               part_unit = 32 : i64}
  plan.state "kv" f32 <b, 3, 4> axis 2 length "3" divided 0 by "b.local"
    sliced 1 by "h.local" {input = 1 : i64, output = 1 : i64}
  %x = plan.buffer input "x" f32 <b.local, 2> {index = 0 : i64}
  %w = plan.buffer param "w" f32 <2, h.local> {index = 0 : i64}
  %all = plan.buffer param "w.1" f32 <2, 3> {index = 1 : i64}
  %y = plan.buffer output "y" f32 <b.local, h.local> {index = 0 : i64}
  plan.input "x" f32 <b, 2> in %x divided 0 by "b.local"
  plan.input "past" f32 <b, 3, 3> divided 0 by "b.local"
    sliced 1 by "h.local" {state = 0 : i64}
  plan.output "y" f32 <b, 3> in %y divided 0 by "b.local"
    sliced 1 by "h.local"
  plan.output "present" f32 <b, 3, 4> divided 0 by "b.local"
    sliced 1 by "h.local" {state = 0 : i64}
  plan.step "matmul" ins(%x, %w) outs(%y)
    attributes {group = #moe<comm_group tp>, guard = "max(0, b - 64)",
                records = 0 : i64, stream = 1 : i64}
  plan.step "matmul" ins(%x, %all) outs(%y) attributes {waits = array<i64: 0>}
}
)mlir";

namespace {
class EmitPlanTest : public ::testing::Test {
protected:
  EmitPlanTest() {
    context.loadDialect<plan_dialect::PlanDialect>();
    module = parseSourceString<ModuleOp>(kPlan, &context);
    parallel = parseSourceString<ModuleOp>(kParallelPlan, &context);
    folder = fs::path(MOE_BINARY_DIR) / "test" / "emit-plan";
    fs::create_directories(folder);
    const float values[6] = {1, 2, 3, 4, 5, 6};
    std::ofstream(folder / "w.bin", std::ios::binary)
        .write(reinterpret_cast<const char *>(values), sizeof(values));
  }
  EmitOptions options(const char *name) const {
    EmitOptions options;
    options.outputPath = (folder / name).string();
    options.modelFolder = folder.string();
    options.modelName = "model.onnx";
    return options;
  }

  MLIRContext context;
  OwningOpRef<ModuleOp> module, parallel;
  fs::path folder;
};
} // namespace

static std::vector<float> floatsOf(const PlanFile &plan,
                                   const plan::BlockT &block) {
  std::span<const std::byte> bytes = plan.blockBytes(block);
  std::vector<float> values(bytes.size() / sizeof(float));
  std::memcpy(values.data(), bytes.data(), bytes.size());
  return values;
}

static std::string serialized(const plan::ProgramT &program) {
  flatbuffers::FlatBufferBuilder builder;
  builder.Finish(plan::Program::Pack(builder, &program));
  return std::string(reinterpret_cast<const char *>(builder.GetBufferPointer()),
                     builder.GetSize());
}

static plan_dialect::ParamOp firstParam(ModuleOp module) {
  auto program = *module.getOps<plan_dialect::ProgramOp>().begin();
  return *program.getBody().getOps<plan_dialect::ParamOp>().begin();
}

static std::string readFile(const std::string &path) {
  std::ifstream file(path, std::ios::binary);
  return std::string(std::istreambuf_iterator<char>(file), {});
}

static std::string textOf(ModuleOp module) {
  std::string text;
  llvm::raw_string_ostream(text) << module;
  return text;
}

TEST_F(EmitPlanTest, ProgramsSurviveTheWayToTheSchemaAndBack) {
  for (ModuleOp original : {*module, *parallel}) {
    ASSERT_TRUE(original);
    StatusOr<plan::ProgramT> program = exportProgram(original);
    ASSERT_TRUE(program.isOk()) << program.status().message();
    StatusOr<OwningOpRef<ModuleOp>> imported =
        importProgram(*program, &context);
    ASSERT_TRUE(imported.isOk());
    ASSERT_TRUE(succeeded((**imported).verify()));
    StatusOr<plan::ProgramT> again = exportProgram(**imported);
    ASSERT_TRUE(again.isOk()) << again.status().message();
    EXPECT_EQ(serialized(*program), serialized(*again));
    // The text says all of it too.
    OwningOpRef<ModuleOp> parsed =
        parseSourceString<ModuleOp>(textOf(**imported), &context);
    ASSERT_TRUE(parsed);
    StatusOr<plan::ProgramT> reread = exportProgram(*parsed);
    ASSERT_TRUE(reread.isOk()) << reread.status().message();
    EXPECT_EQ(serialized(*program), serialized(*reread));
  }
}

TEST_F(EmitPlanTest, WritesWhatAMeshNeeds) {
  ASSERT_TRUE(parallel);
  StatusOr<plan::ProgramT> program = exportProgram(*parallel);
  ASSERT_TRUE(program.isOk()) << program.status().message();
  EXPECT_EQ(program->num_ranks, 8u);
  EXPECT_EQ(program->dp, 2u);
  EXPECT_EQ(program->tp, 2u);
  EXPECT_EQ(program->symbols[1]->group, plan::Group_Tp);
  const plan::LayerT &layer = *program->layers[0];
  EXPECT_EQ(layer.group, plan::Group_World);
  EXPECT_EQ(layer.domains, 2u);
  EXPECT_EQ(layer.places[1]->ranks, (std::vector<uint32_t>{1, 2, 5, 6}));
  EXPECT_EQ(layer.places[1]->slices, 2u);
  EXPECT_EQ(program->params[0]->part_axis, 1);
  EXPECT_EQ(program->params[0]->part, 1);
  EXPECT_EQ(program->params[1]->part_axis, -1);
  EXPECT_EQ(program->params[2]->part_unit, 32u);
  EXPECT_EQ(program->states[0]->slice_axis, 1);
  EXPECT_EQ(program->outputs[0]->slice_part, 1);
  const plan::StepT &step = *program->steps[0];
  EXPECT_EQ(step.group, plan::Group_Tp);
  EXPECT_EQ(program->exprs[step.guard], "max(0, b - 64)");
  EXPECT_EQ(step.stream, 1);
  EXPECT_EQ(step.records, 0);
  EXPECT_EQ(program->steps[1]->waits, std::vector<uint32_t>{0});
}

TEST_F(EmitPlanTest, WritesABlockOnceForTheWholeAndForItsParts) {
  ASSERT_TRUE(parallel);
  Status status = emitPlan(*parallel, options("parts.moeplan"));
  ASSERT_TRUE(status.isOk()) << status.message();
  StatusOr<PlanFile> plan = PlanFile::open(options("parts.moeplan").outputPath);
  ASSERT_TRUE(plan.isOk()) << plan.status().message();
  const auto &params = plan->program().params;
  EXPECT_EQ(params[0]->blocks[0]->offset, params[1]->blocks[0]->offset);
  // In another layout it is another block.
  EXPECT_NE(params[0]->blocks[0]->offset, params[2]->blocks[0]->offset);

  // Made up, they are equal too.
  EmitOptions synthetic = options("parts-synthetic.moeplan");
  synthetic.weights = WeightsMode::Synthetic;
  ASSERT_TRUE(emitPlan(*parallel, synthetic).isOk());
  plan = PlanFile::open(synthetic.outputPath);
  ASSERT_TRUE(plan.isOk()) << plan.status().message();
  const auto &made = plan->program().params;
  EXPECT_EQ(made[0]->blocks[0]->seed, made[1]->blocks[0]->seed);
  EXPECT_NE(made[0]->blocks[0]->seed, made[2]->blocks[1]->seed);
}

TEST_F(EmitPlanTest, EmbedsBlocksInTheirLayout) {
  ASSERT_TRUE(module);
  Status status = emitPlan(*module, options("embed.moeplan"));
  ASSERT_TRUE(status.isOk()) << status.message();
  StatusOr<PlanFile> plan = PlanFile::open(options("embed.moeplan").outputPath);
  ASSERT_TRUE(plan.isOk()) << plan.status().message();
  EXPECT_TRUE(plan->verifyAllBlocks().isOk());
  EXPECT_TRUE(plan->program().param_exprs.empty());
  EXPECT_EQ(plan->program().model, "model.onnx");

  // panel16: element (k, n) at k * 16 + n.
  std::vector<float> w = floatsOf(*plan, *plan->program().params[0]->blocks[0]);
  ASSERT_EQ(w.size(), 32u);
  EXPECT_EQ(std::vector<float>(w.begin(), w.begin() + 4),
            (std::vector<float>{1, 2, 3, 0}));
  EXPECT_EQ(w[16], 4);
  const plan::ParamT &experts = *plan->program().params[1];
  EXPECT_EQ(floatsOf(*plan, *experts.blocks[0]), (std::vector<float>{1, 4}));
  EXPECT_EQ(floatsOf(*plan, *experts.blocks[1]),
            (std::vector<float>{2.5, 2.5}));
}

TEST_F(EmitPlanTest, RefersToFilesNextToThePlan) {
  ASSERT_TRUE(module);
  EmitOptions reference = options("reference.moeplan");
  reference.weights = WeightsMode::Reference;
  Status status = emitPlan(*module, reference);
  ASSERT_TRUE(status.isOk()) << status.message();
  StatusOr<PlanFile> plan = PlanFile::open(reference.outputPath);
  ASSERT_TRUE(plan.isOk()) << plan.status().message();
  ASSERT_EQ(plan->program().files.size(), 1u);
  EXPECT_EQ(plan->program().files[0]->path, "w.bin");
  EXPECT_EQ(plan->program().files[0]->size, 24u);
  EXPECT_EQ(plan->program().params[0]->blocks[0]->source,
            plan::BlockSource_Reference);
  EXPECT_EQ(plan->weightsSize(), 0u);

  // The expressions come back with the program.
  StatusOr<OwningOpRef<ModuleOp>> imported =
      importProgram(plan->program(), &context);
  ASSERT_TRUE(imported.isOk());
  EXPECT_EQ(firstParam(**imported).getBlocks(),
            firstParam(*module).getBlocks());
}

TEST_F(EmitPlanTest, MakesUpOneSeedForEachBlock) {
  ASSERT_TRUE(module);
  EmitOptions synthetic = options("synthetic.moeplan");
  synthetic.weights = WeightsMode::Synthetic;
  synthetic.seed = 7;
  ASSERT_TRUE(emitPlan(*module, synthetic).isOk());
  StatusOr<PlanFile> plan = PlanFile::open(synthetic.outputPath);
  ASSERT_TRUE(plan.isOk()) << plan.status().message();
  const plan::ParamT &experts = *plan->program().params[1];
  EXPECT_EQ(experts.blocks[0]->source, plan::BlockSource_Synthetic);
  EXPECT_NE(experts.blocks[0]->seed, experts.blocks[1]->seed);
}

TEST_F(EmitPlanTest, GivesTheSameBytesTwice) {
  ASSERT_TRUE(module);
  ASSERT_TRUE(emitPlan(*module, options("first.moeplan")).isOk());
  ASSERT_TRUE(emitPlan(*module, options("second.moeplan")).isOk());
  EXPECT_EQ(readFile(options("first.moeplan").outputPath),
            readFile(options("second.moeplan").outputPath));
}

TEST_F(EmitPlanTest, LeavesNothingBehindWhenAWeightIsMissing) {
  ASSERT_TRUE(module);
  fs::remove(folder / "w.bin");
  fs::remove(folder / "missing.moeplan");
  Status status = emitPlan(*module, options("missing.moeplan"));
  EXPECT_EQ(status.code(), StatusCode::IoError);
  EXPECT_NE(status.message().find("w.bin"), std::string::npos);
  EXPECT_FALSE(fs::exists(folder / "missing.moeplan"));
}
