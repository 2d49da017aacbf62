//===- VerifyMeshTest.cpp - Groups, slices, streams that must be refused --===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "VerifyCases.h"

using namespace moe;
using namespace moe::test;

using Program = plan::ProgramT;

namespace {

plan::SymbolT &addLocal(Program &program, const char *name, const char *whole,
                        plan::Group group) {
  plan::SymbolT &symbol = add(program.symbols);
  symbol.name = name;
  symbol.kind = plan::SymbolKind_LocalPart;
  symbol.whole = expr(program, whole);
  symbol.group = group;
  return symbol;
}

plan::ParamT &addParam(Program &program, const char *name,
                       std::vector<int64_t> dims, int numExperts) {
  plan::ParamT &param = add(program.params);
  param.name = name;
  param.layout = "row";
  param.dims = dims;
  param.experts = numExperts;
  param.is_expert = numExperts > 0;
  param.layer = numExperts > 0 ? 0 : -1;
  for (int i = 0; i < std::max(numExperts, 1); ++i) {
    plan::BlockT &block = add(param.blocks);
    block.source = plan::BlockSource_Synthetic;
    block.bytes = dims[0] * dims[1] * 4;
  }
  return param;
}

/// Symbols of a mesh of 2 x 1 x 2 ranks: batch.local of batch over rows, heads
/// of 6 over tp, tokens of batch.local over tp.
enum MeshSymbol { kBatch, kBatchLocal, kHeads, kTokens };

/// x [batch, 6] divided twice -> y [batch, 6] by a matrix [12, 6] of which
/// ranks have rows; a layer of two experts in two slices each.
Program meshProgram() {
  Program program;
  program.num_ranks = 4;
  program.tp = 2;
  plan::SymbolT &batch = add(program.symbols);
  batch.name = "batch";
  batch.input = 0;
  batch.axis = 0;
  addLocal(program, "batch.local", "batch", plan::Group_Rows);
  addLocal(program, "heads", "6", plan::Group_Tp);
  addLocal(program, "tokens", "batch.local", plan::Group_Tp);
  for (auto *ports : {&program.inputs, &program.outputs}) {
    bool isInput = ports == &program.inputs;
    plan::PortT &port = addPort(program, *ports, isInput ? "x" : "y",
                                {"batch", "6"}, isInput ? 0 : 1);
    port.part_axis = 0;
    port.part = kBatchLocal;
    port.slice_axis = 1;
    port.slice_part = kHeads;
  }
  addBuffer(program, "x", plan::BufferKind_Input, {"batch.local", "heads"}, 0);
  addBuffer(program, "y", plan::BufferKind_Output, {"batch.local", "heads"}, 0);
  addBuffer(program, "w", plan::BufferKind_Param, {"2 * heads", "6"}, 0);

  plan::ParamT &w = addParam(program, "w", {12, 6}, 0);
  w.part_axis = 0;
  w.part = kHeads;
  plan::ParamT &experts = addParam(program, "experts", {4, 64}, 2);
  experts.part_axis = 1;
  experts.part_unit = 16;

  plan::LayerT &layer = add(program.layers);
  layer.experts = 2;
  layer.k = 1;
  layer.router = "softmax";
  layer.group = plan::Group_World;
  for (uint32_t expert = 0; expert < 2; ++expert) {
    plan::ExpertPlaceT &place = add(layer.places);
    place.ranks = {2 * expert, 2 * expert + 1};
    place.slices = 2;
  }

  plan::StepT &step = add(program.steps);
  step.kernel = "experts";
  step.layer = 0;
  step.group = plan::Group_World;
  step.inputs = {0, 2};
  step.outputs = {1};
  step.guard = static_cast<int32_t>(expr(program, "batch"));
  return program;
}

/// a -> [stream 1] b -> [joined] y; in between c from a.
Program streamProgram() {
  Program program;
  program.num_streams = 2;
  program.num_events = 1;
  plan::SymbolT &n = add(program.symbols);
  n.name = "n";
  n.input = 0;
  n.axis = 0;
  addPort(program, program.inputs, "x", {"n"}, 0);
  addPort(program, program.outputs, "y", {"n"}, 3);
  addBuffer(program, "x", plan::BufferKind_Input, {"n"}, 0);
  for (const char *name : {"b", "c"}) {
    plan::BufferT &buffer =
        addBuffer(program, name, plan::BufferKind_Arena, {"n"}, -1);
    buffer.first_step = 0;
    buffer.last_step = 2;
  }
  addBuffer(program, "y", plan::BufferKind_Output, {"n"}, 0);
  auto addStep = [&](std::vector<int32_t> inputs, int32_t output) {
    plan::StepT &step = add(program.steps);
    step.kernel = "work";
    step.inputs = std::move(inputs);
    step.outputs = {output};
    return &step;
  };
  plan::StepT *side = addStep({0}, 1);
  side->stream = 1;
  side->records = 0;
  addStep({0}, 2);
  addStep({1, 2}, 3)->waits = {0};
  return program;
}

} // namespace

TEST(VerifyMesh, AcceptsAMesh) {
  Status status = verifyProgram(meshProgram(), 0);
  EXPECT_TRUE(status.isOk()) << status.message();
}

TEST(VerifyMesh, Ranks) {
  expectErrors(
      meshProgram,
      {
          {"program: dp * tp is 1 * 0, which does not divide the 4 ranks",
           [](Program &p) { p.tp = 0; }},
          {"program: dp * tp is 2 * 4, which does not divide the 4 ranks",
           [](Program &p) {
             p.dp = 2;
             p.tp = 4;
           }},
          {"program: dp * tp is 65536 * 65536, which does not divide the 4 "
           "ranks",
           [](Program &p) { p.dp = p.tp = 65536; }},
      });
}

TEST(VerifyMesh, Symbols) {
  expectErrors(
      meshProgram,
      {
          {"symbol 2 (heads): group is 3, expected less than 3",
           [](Program &p) { p.symbols[kHeads]->group = plan::Group(3); }},
          {"symbol 3 (tokens): whole 'batch.local' uses batch.local, of which "
           "its ranks have different parts",
           [](Program &p) { p.symbols[kTokens]->group = plan::Group_Rows; }},
          {"symbol 3 (tokens): whole 'batch.local' uses batch.local, of which "
           "its ranks have different parts",
           [](Program &p) { p.symbols[kTokens]->group = plan::Group_World; }},
          {"symbol 3 (tokens): whole 'tokens' uses tokens, of which its ranks "
           "have different parts",
           [](Program &p) { p.symbols[kTokens]->whole = expr(p, "tokens"); }},
          {"symbol 1 (batch.local): whole 'tokens' uses tokens, of which its "
           "ranks have different parts",
           [](Program &p) {
             p.symbols[kBatchLocal]->whole = expr(p, "tokens");
           }},
          {"symbol 3 (tokens): whole is 99, expected less than 5",
           [](Program &p) { p.symbols[kTokens]->whole = 99; }},
      });
}

TEST(VerifyMesh, PortsAndStates) {
  expectErrors(
      meshProgram,
      {
          {"input 0 (x): slice_axis is 2, expected less than 2",
           [](Program &p) { p.inputs[0]->slice_axis = 2; }},
          {"input 0 (x): slice_part is symbol batch, which ranks do not divide",
           [](Program &p) { p.inputs[0]->slice_part = kBatch; }},
          {"input 0 (x): slice_part is symbol batch.local, which group Rows "
           "divides, expected Tp",
           [](Program &p) { p.inputs[0]->slice_part = kBatchLocal; }},
          {"input 0 (x): part is symbol heads, which group Tp divides, "
           "expected Rows",
           [](Program &p) { p.inputs[0]->part = kHeads; }},
          {"output 0 (y): slice_part is symbol tokens, a part of what ranks "
           "divide",
           [](Program &p) { p.outputs[0]->slice_part = kTokens; }},
          {"output 0 (y): is divided twice along one dimension",
           [](Program &p) { p.outputs[0]->slice_axis = 0; }},
          {"state 0 (cache): grows along the dimension that ranks divide",
           [](Program &p) {
             plan::StateT &state = add(p.states);
             state.name = "cache";
             state.dims = exprs(p, {"batch", "6"});
             state.axis = 1;
             state.slice_axis = 1;
             state.slice_part = kHeads;
           }},
      });
}

TEST(VerifyMesh, Layers) {
  expectErrors(
      meshProgram,
      {
          {"layer 0 (softmax): group is 3, expected less than 3",
           [](Program &p) { p.layers[0]->group = plan::Group(3); }},
          {"layer 0 (softmax): rank of an expert is 3, expected less than 2",
           [](Program &p) { p.layers[0]->group = plan::Group_Rows; }},
          {"layer 0 (softmax): expert 0 has 2 ranks for replicas of 0 slices",
           [](Program &p) { p.layers[0]->places[0]->slices = 0; }},
          {"layer 0 (softmax): expert 1 has 2 ranks for replicas of 3 slices",
           [](Program &p) { p.layers[0]->places[1]->slices = 3; }},
          {"layer 0 (softmax): expert 1 is twice on one rank",
           [](Program &p) {
             p.layers[0]->places[1]->ranks = {3, 3};
           }},
          {"layer 0 (softmax): has 3 domains, which do not divide the 4 ranks "
           "of its group",
           [](Program &p) { p.layers[0]->domains = 3; }},
          {"layer 0 (softmax): has 0 domains, which do not divide the 4 ranks "
           "of its group",
           [](Program &p) { p.layers[0]->domains = 0; }},
          {"layer 0 (softmax): expert 0 has 1 replicas for 2 domains",
           [](Program &p) { p.layers[0]->domains = 2; }},
      });
}

TEST(VerifyMesh, Params) {
  expectErrors(
      meshProgram,
      {
          {"param 0 (w): part_axis is 2, expected less than 2",
           [](Program &p) { p.params[0]->part_axis = 2; }},
          {"param 0 (w): part is -1, expected less than 4",
           [](Program &p) { p.params[0]->part = -1; }},
          {"param 0 (w): part is symbol batch, which ranks do not divide",
           [](Program &p) { p.params[0]->part = kBatch; }},
          {"param 0 (w): part is a part of 'batch', expected a constant that "
           "divides 12",
           [](Program &p) { p.params[0]->part = kBatchLocal; }},
          {"param 0 (w): part is a part of '5', expected a constant that "
           "divides 12",
           [](Program &p) { p.symbols[kHeads]->whole = expr(p, "5"); }},
          {"param 0 (w): has a part_unit, which only experts have",
           [](Program &p) { p.params[0]->part_unit = 2; }},
          {"param 1 (experts): part_unit is 0, expected at least 1",
           [](Program &p) { p.params[1]->part_unit = 0; }},
          {"param 1 (experts): has a part, but slices of its experts divide it",
           [](Program &p) { p.params[1]->part = kHeads; }},
          {"buffer 2 (w): differs from param w in element type or dimensions",
           [](Program &p) { p.buffers[2]->dims[0] = expr(p, "heads"); }},
          {"buffer 2 (w): differs from param w in element type or dimensions",
           [](Program &p) { p.buffers[2]->dims[0] = expr(p, "12"); }},
      });
}

TEST(VerifyMesh, Steps) {
  expectErrors(
      meshProgram,
      {
          {"step 0 (experts): group is 3, expected less than 3",
           [](Program &p) { p.steps[0]->group = plan::Group(3); }},
          {"step 0 (experts): has group Rows, its layer has group World",
           [](Program &p) { p.steps[0]->group = plan::Group_Rows; }},
          {"step 0 (experts): guard is 99, expected less than 5",
           [](Program &p) { p.steps[0]->guard = 99; }},
          {"step 0 (experts): guard 'heads' uses symbols that are not known "
           "there",
           [](Program &p) {
             p.steps[0]->guard = static_cast<int32_t>(expr(p, "heads"));
           }},
          {"step 0 (experts): node_size is 3, which does not divide the 4 "
           "ranks of its group",
           [](Program &p) {
             plan::AttributeT &attribute = add(p.steps[0]->attributes);
             attribute.name = "node_size";
             attribute.i = 3;
           }},
      });
}

TEST(VerifyStreams, AcceptsTwoStreams) {
  Status status = verifyProgram(streamProgram(), 0);
  EXPECT_TRUE(status.isOk()) << status.message();
}

TEST(VerifyStreams, WhatTwoStreamsMustNotDo) {
  expectErrors(
      streamProgram,
      {
          {"step 0 (work): stream is 2, expected less than 2",
           [](Program &p) { p.steps[0]->stream = 2; }},
          {"step 0 (work): runs on stream 1 and records no event",
           [](Program &p) {
             p.steps[0]->records = -1;
             p.steps[2]->waits.clear();
           }},
          {"step 1 (work): waits for event 0, which no earlier step records",
           [](Program &p) {
             p.steps[0]->records = -1;
             p.steps[0]->stream = 0;
             p.steps[1]->waits = {0};
           }},
          {"step 2 (work): input 0, buffer 1, is used by a step of stream 1 "
           "for which nothing has waited",
           [](Program &p) { p.steps[2]->waits.clear(); }},
          {"step 1 (work): output 0, buffer 1, is used by a step of stream 1 "
           "for which nothing has waited",
           [](Program &p) { p.steps[1]->outputs = {1}; }},
          // What stream 1 reads must not change either.
          {"step 2 (work): output 0, buffer 2, is used by a step of stream 1 "
           "for which nothing has waited",
           [](Program &p) {
             p.buffers[2]->first_step = 0;
             std::swap(p.steps[0], p.steps[1]);
             p.steps[1]->inputs = {2};
             p.steps[2]->inputs = {0};
             p.steps[2]->outputs = {2};
             p.steps[2]->waits.clear();
           }},
      });
}

TEST(VerifyStreams, EventsOfStream0AreNoWaitForStream1) {
  expectErrors(streamProgram,
               {{"step 2 (work): input 0, buffer 1, is used by a step of "
                 "stream 1 for which nothing has waited",
                 [](Program &p) {
                   p.num_events = 2;
                   p.steps[1]->records = 1;
                   p.steps[2]->waits = {1};
                 }}});
}
