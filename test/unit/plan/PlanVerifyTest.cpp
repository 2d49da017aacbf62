//===- PlanVerifyTest.cpp - Programs that must be refused -----------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/plan/PlanVerify.h"
#include "VerifyCases.h"

using namespace moe;
using namespace moe::test;

TEST(PlanVerify, AcceptsTheSmallProgram) {
  Status status = verifyProgram(syntheticProgram(), 0);
  EXPECT_TRUE(status.isOk()) << status.message();
}

static void expectErrors(const std::vector<VerifyCase> &cases) {
  expectErrors(syntheticProgram, cases);
}

using Program = plan::ProgramT;

TEST(PlanVerify, Header) {
  expectErrors({
      {"program: num_ranks is 0, expected 1 to 65536",
       [](Program &p) { p.num_ranks = 0; }},
      {"program: num_streams is 3, expected 1 to 2",
       [](Program &p) { p.num_streams = 3; }},
      {"program: num_events is 3, expected at most the number of steps 2",
       [](Program &p) { p.num_events = 3; }},
      {"program: chunk_bytes is 0, expected a multiple of 64 from 4096 to "
       "4194304",
       [](Program &p) { p.chunk_bytes = 0; }},
      {"program has a null entry in a table",
       [](Program &p) { p.steps[0].reset(); }},
  });
}

TEST(PlanVerify, SymbolsAndExpressions) {
  expectErrors({
      {"expression 0 (batchh): symbol 'batchh' is not declared",
       [](Program &p) { p.exprs[0] = "batchh"; }},
      {"expression 0 (1 + batch): is not in normal form, expected 'batch + 1'",
       [](Program &p) { p.exprs[0] = "1 + batch"; }},
      {"expression 0 ((batch)): is not in normal form",
       [](Program &p) { p.exprs[0] = "(batch)"; }},
      {"symbol 0 (9): is not a valid name",
       [](Program &p) { p.symbols[0]->name = "9"; }},
      {"symbol 1 (batch): is declared twice",
       [](Program &p) { add(p.symbols).name = "batch"; }},
      {"symbol 0 (batch): input is 1, expected less than 1",
       [](Program &p) { p.symbols[0]->input = 1; }},
      {"symbol 0 (batch): axis is 2, expected less than 2",
       [](Program &p) { p.symbols[0]->axis = 2; }},
      {"symbol 0 (batch): is read from a dimension '4' of input x",
       [](Program &p) { p.symbols[0]->axis = 1; }},
      {"symbol 0 (batch): default_max is -1, expected at least 0",
       [](Program &p) { p.symbols[0]->default_max = -1; }},
      {"symbol 1 (n): bound 'n' uses symbols that are not known there",
       [](Program &p) {
         plan::SymbolT &symbol = add(p.symbols);
         symbol.name = "n";
         symbol.kind = plan::SymbolKind_Data;
         symbol.bound = expr(p, "n");
       }},
      {"constraint 0: rhs is 99, expected less than 5",
       [](Program &p) { add(p.constraints).rhs = 99; }},
  });
}

TEST(PlanVerify, PortsAndStates) {
  expectErrors({
      {"input 0: has no name", [](Program &p) { p.inputs[0]->name = ""; }},
      {"output 0 (y): element type is 13, expected less than 13",
       [](Program &p) { p.outputs[0]->dtype = 13; }},
      {"output 0 (y): dimensions have rank 9, expected at most 8",
       [](Program &p) { p.outputs[0]->dims.resize(9); }},
      {"output 0 (y): buffer is 6, expected less than 6",
       [](Program &p) { p.outputs[0]->buffer = 6; }},
      {"output 0 (y): state is 0, expected less than 0",
       [](Program &p) { p.outputs[0]->state = 0; }},
      {"output 0 (y): part is symbol batch, which ranks do not divide",
       [](Program &p) {
         p.outputs[0]->part_axis = 0;
         p.outputs[0]->part = 0;
       }},
      {"input 1 (x): has the name of another input",
       [](Program &p) {
         addPort(p, p.inputs, "x", {"batch", "4"}, -1);
       }},
      {"output 0 (y): is written by no step",
       [](Program &p) {
         p.steps[1]->outputs.clear();
         p.steps[1]->results.clear();
       }},
      {"state 0 (cache): axis is 2, expected less than 2",
       [](Program &p) {
         plan::StateT &state = add(p.states);
         state.name = "cache";
         state.dims = exprs(p, {"batch", "4"});
         state.axis = 2;
       }},
      {"state 0 (cache): input x is not a port of this state",
       [](Program &p) {
         plan::StateT &state = add(p.states);
         state.name = "cache";
         state.dims = exprs(p, {"batch", "4"});
         state.input = 0;
       }},
  });
}

TEST(PlanVerify, Buffers) {
  expectErrors({
      {"buffer 2 (product): last_step is 2, expected less than 2",
       [](Program &p) { p.buffers[2]->last_step = 2; }},
      {"buffer 2 (product): first_step is 1, expected less than 1",
       [](Program &p) {
         p.buffers[2]->first_step = 1;
         p.buffers[2]->last_step = 0;
       }},
      {"buffer 0 (x): input is -1, expected less than 1",
       [](Program &p) { p.buffers[0]->index = -1; }},
      {"buffer 1 (w): differs from param w in element type or dimensions",
       [](Program &p) {
         p.buffers[1]->dims = exprs(p, {"4", "4"});
       }},
      {"buffer 4 (one): differs in size from constant 0 of 8 bytes",
       [](Program &p) { p.buffers[4]->dims = exprs(p, {"3"}); }},
      {"buffer 5 (view): lies outside its base, buffer 4",
       [](Program &p) { p.buffers[5]->dims = exprs(p, {"2"}); }},
      {"buffer 5 (view): lies outside its base, buffer 4",
       [](Program &p) { p.buffers[5]->offset = expr(p, "-1"); }},
      {"buffer 5 (view): has 2 strides, expected 1",
       [](Program &p) {
         p.buffers[5]->strides = exprs(p, {"1", "1"});
       }},
      {"buffer 4 (one): is a view of itself",
       [](Program &p) { p.buffers[4]->base = 5; }},
      {"buffer 5 (view): base is 6, expected less than 6",
       [](Program &p) { p.buffers[5]->base = 6; }},
      {"buffer 5 (view): differs from its base, buffer 3, in kind or element "
       "type",
       [](Program &p) { p.buffers[5]->base = 3; }},
      {"buffer 0 (x): has an offset or strides, which only views have",
       [](Program &p) { p.buffers[0]->has_offset = true; }},
      {"buffer 2 (product): dimensions have the negative size -1",
       [](Program &p) { p.buffers[2]->dims = exprs(p, {"-1"}); }},
  });
}

TEST(PlanVerify, Steps) {
  expectErrors({
      {"step 0 (matmul): input 0 is buffer 99, expected less than 6",
       [](Program &p) { p.steps[0]->inputs[0] = 99; }},
      {"step 0 (matmul): output 0 is buffer -1, expected less than 6",
       [](Program &p) { p.steps[0]->outputs[0] = -1; }},
      {"step 0 (matmul): input 0, buffer 2, is read before a step writes it",
       [](Program &p) { p.steps[0]->inputs[0] = 2; }},
      {"step 0 (matmul): output 0, buffer 1, is written but is of kind Param",
       [](Program &p) { p.steps[0]->outputs[0] = 1; }},
      {"step 1 (elementwise): input 0, buffer 2, is alive in steps 0 to 0 only",
       [](Program &p) { p.buffers[2]->last_step = 0; }},
      {"step 0 (matmul): layer is 1, expected less than 1",
       [](Program &p) { p.steps[0]->layer = 1; }},
      {"step 0 (matmul): node is 2, expected less than 2",
       [](Program &p) { p.steps[0]->nodes = {2}; }},
      {"step 0 (matmul): stream is 1, expected less than 1",
       [](Program &p) { p.steps[0]->stream = 1; }},
      {"step 0 (matmul): waits for event 0, which no earlier step records",
       [](Program &p) {
         p.num_events = 1;
         p.steps[0]->waits = {0};
       }},
      {"step 1 (elementwise): records event 0 for the second time",
       [](Program &p) {
         p.num_events = 1;
         p.steps[0]->records = p.steps[1]->records = 0;
       }},
      {"step 0 (matmul): attribute 'transpose' has no name or comes twice",
       [](Program &p) { add(p.steps[0]->attributes).name = "transpose"; }},
      {"step 0: has no kernel", [](Program &p) { p.steps[0]->kernel = ""; }},
  });
}

TEST(PlanVerify, ElementwisePrograms) {
  expectErrors({
      {"step 1 (elementwise): instruction 0 (add) has register 2 as operand 1",
       [](Program &p) { p.steps[1]->program[0]->b = 2; }},
      {"step 1 (elementwise): instruction 0 (add) has register -1 as operand 1",
       [](Program &p) { p.steps[1]->program[0]->b = -1; }},
      {"step 1 (elementwise): instruction 1 (relu) has register 0 as operand 1",
       [](Program &p) { p.steps[1]->program[1]->b = 0; }},
      {"step 1 (elementwise): instruction 1 (lu) is not known",
       [](Program &p) { p.steps[1]->program[1]->op = "lu"; }},
      {"step 1 (elementwise): has 2 results, expected 1",
       [](Program &p) {
         p.steps[1]->results = {0, 1};
       }},
      {"step 1 (elementwise): result register is 4, expected less than 4",
       [](Program &p) { p.steps[1]->results = {4}; }},
      {"step 0 (matmul): has a program, which only elementwise steps have",
       [](Program &p) { add(p.steps[0]->program).op = "relu"; }},
  });
}

TEST(PlanVerify, LayersAndPlacement) {
  expectErrors({
      {"layer 0 (softmax): selects 5 experts, expected between 1 and 4",
       [](Program &p) { p.layers[0]->k = 5; }},
      {"layer 0 (softmax): has 0 experts, expected 1 to 65536",
       [](Program &p) { p.layers[0]->experts = 0; }},
      {"layer 0 (softmax): places 3 experts, expected 4",
       [](Program &p) { p.layers[0]->places.pop_back(); }},
      {"layer 0 (softmax): expert 3 is on no rank",
       [](Program &p) { p.layers[0]->places[3]->ranks.clear(); }},
      {"layer 0 (softmax): expert 3 is twice on one rank",
       [](Program &p) {
         p.layers[0]->places[3]->ranks = {1, 1};
       }},
      {"layer 0 (softmax): rank of an expert is 2, expected less than 2",
       [](Program &p) { p.layers[0]->places[3]->ranks = {2}; }},
  });
}

TEST(PlanVerify, ParamsAndBlocks) {
  expectErrors({
      {"param 1 (w): has the name of another param",
       [](Program &p) { p.params[1]->name = "w"; }},
      {"param 1 (experts): has 3 blocks, expected 4",
       [](Program &p) { p.params[1]->blocks.pop_back(); }},
      {"param 1 (experts): layer is -1, expected less than 1",
       [](Program &p) { p.params[1]->layer = -1; }},
      {"param 0 (w): layout 'columns' is not known",
       [](Program &p) { p.params[0]->layout = "columns"; }},
      {"param 0 (w): has a block of 47 bytes, expected 48",
       [](Program &p) { p.params[0]->blocks[0]->bytes = 47; }},
      {"param 0 (w): layout 'row' has a size that is negative or overflows",
       [](Program &p) {
         p.params[0]->dims = {int64_t(1) << 32, int64_t(1) << 32};
       }},
      {"param 0 (w): has a block at 0 that is not aligned or lies outside the "
       "weights section of 0 bytes",
       [](Program &p) {
         p.params[0]->blocks[0]->source = plan::BlockSource_Embedded;
       }},
      {"param 0 (w): expression is 0, expected less than 0",
       [](Program &p) {
         p.params[0]->blocks[0]->source = plan::BlockSource_Reference;
       }},
  });
}

TEST(PlanVerify, EmbeddedBlocksCoverTheSection) {
  plan::ProgramT program = syntheticProgram();
  plan::BlockT &block = *program.params[0]->blocks[0];
  block.source = plan::BlockSource_Embedded;
  program.chunk_hashes = {1};
  EXPECT_TRUE(verifyProgram(program, 64).isOk());
  EXPECT_EQ(verifyProgram(program, 128).message(),
            "weights section: has 128 bytes, its blocks 64");
  block.offset = 64;
  EXPECT_EQ(verifyProgram(program, 128).message(),
            "weights section: a block is at 64, expected 0");
  block.offset = 0;
  block.first_hash = 1;
  EXPECT_EQ(verifyProgram(program, 64).message(),
            "param 0 (w): has chunk hashes from 1, expected 1 of 1");
}

TEST(PlanVerify, ParamExpressions) {
  auto fill = [](Program &p, std::vector<int64_t> dims) -> plan::ParamExprT & {
    plan::ParamExprT &expr = add(p.param_exprs);
    expr.kind = plan::ParamExprKind_Fill;
    expr.dims = std::move(dims);
    return expr;
  };
  auto unary = [&](Program &p, plan::ParamExprKind kind,
                   std::vector<int64_t> from, std::vector<int64_t> to,
                   std::vector<int64_t> ints) {
    fill(p, std::move(from));
    plan::ParamExprT &expr = fill(p, std::move(to));
    expr.kind = kind;
    expr.operands = {0};
    expr.ints = std::move(ints);
  };
  expectErrors({
      {"param expression 0: Fill has operand 0, expected less than 0",
       [&](Program &p) { fill(p, {1}).operands = {0}; }},
      {"param expression 0: Fill has a size that is negative or overflows",
       [&](Program &p) { fill(p, {-1}); }},
      {"param expression 0: Inline is constant 1, expected less than 1",
       [&](Program &p) {
         plan::ParamExprT &expr = fill(p, {1});
         expr.kind = plan::ParamExprKind_Inline;
         expr.ints = {1};
       }},
      {"param expression 0: File reads bytes [8, +4) of w.bin, which has 11",
       [&](Program &p) {
         add(p.files).path = "w.bin";
         p.files[0]->size = 11;
         plan::ParamExprT &expr = fill(p, {1});
         expr.kind = plan::ParamExprKind_File;
         expr.ints = {8, 4};
       }},
      {"param expression 1: Slice leaves its operand in dimension 0",
       [&](Program &p) {
         unary(p, plan::ParamExprKind_Slice, {4}, {3}, {2, 1});
       }},
      {"param expression 1: Slice has a step of 0",
       [&](Program &p) {
         unary(p, plan::ParamExprKind_Slice, {4}, {3}, {0, 0});
       }},
      {"param expression 1: Take needs an operand and an axis of its "
       "dimensions",
       [&](Program &p) { unary(p, plan::ParamExprKind_Take, {4}, {2}, {}); }},
      {"param expression 1: Take needs an operand and an axis of its "
       "dimensions",
       [&](Program &p) {
         unary(p, plan::ParamExprKind_Take, {4}, {2}, {1, 0, 0});
       }},
      {"param expression 1: Take takes 3 entries, expected 2",
       [&](Program &p) {
         unary(p, plan::ParamExprKind_Take, {4}, {2}, {0, 0, 1, 2});
       }},
      {"param expression 1: Take takes entry 4 of 4",
       [&](Program &p) {
         unary(p, plan::ParamExprKind_Take, {4}, {2}, {0, 0, 4});
       }},
      {"param expression 1: Take takes entry -1 of 4",
       [&](Program &p) {
         unary(p, plan::ParamExprKind_Take, {4}, {2}, {0, -1, 0});
       }},
      {"param expression 1: Take changes dimensions beside its axis",
       [&](Program &p) {
         unary(p, plan::ParamExprKind_Take, {4, 3}, {2, 2}, {0, 0, 1});
       }},
      {"param expression 1: Transpose has no permutation",
       [&](Program &p) {
         unary(p, plan::ParamExprKind_Transpose, {2, 2}, {2, 2}, {1, 1});
       }},
      {"param expression 1: Reshape changes the number of elements",
       [&](Program &p) {
         unary(p, plan::ParamExprKind_Reshape, {4}, {5}, {});
       }},
      {"param expression 1: Concat joins 4 entries, expected 5",
       [&](Program &p) {
         unary(p, plan::ParamExprKind_Concat, {4}, {5}, {0});
       }},
      {"param expression 1: Dequantize has 0 operands and 0 integers, expected "
       "2 and 2",
       [&](Program &p) {
         fill(p, {4});
         fill(p, {4}).kind = plan::ParamExprKind_Dequantize;
       }},
      {"param expression 20: is nested deeper than 64 or larger than 1048576 "
       "nodes",
       [&](Program &p) {
         fill(p, {4});
         for (uint32_t i = 0; i < 40; ++i) {
           plan::ParamExprT &expr = fill(p, {4});
           expr.kind = plan::ParamExprKind_Add;
           expr.operands = {i, i};
         }
       }},
  });
}

TEST(PlanVerify, ExtentOfViews) {
  using V = std::vector<int64_t>;
  EXPECT_EQ(viewExtent(0, V{2, 3}, V{3, 1}), 6u);
  EXPECT_EQ(viewExtent(5, V{}, V{}), 6u);
  EXPECT_EQ(viewExtent(0, V{0, 3}, V{3, 1}), 0u);
  EXPECT_EQ(viewExtent(4, V{5}, V{-1}), 5u);
  EXPECT_EQ(viewExtent(3, V{5}, V{-1}), std::nullopt);
  EXPECT_EQ(viewExtent(-1, V{1}, V{1}), std::nullopt);
  EXPECT_EQ(viewExtent(0, V{INT64_MAX, INT64_MAX}, V{INT64_MAX, 1}),
            std::nullopt);
  EXPECT_EQ(viewExtent(0, V{1000}, V{0}), 1u);
}
