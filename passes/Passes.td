//===- Passes.td - All passes of the compiler --------------*- tablegen -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// In the order of the pipelines (Pipelines.cpp says why each stands where).
//
//===----------------------------------------------------------------------===//

#ifndef MOE_PASSES_PASSES_TD
#define MOE_PASSES_PASSES_TD

include "mlir/Pass/PassBase.td"

class Moe_ModulePass<string flag> : Pass<flag, "::mlir::ModuleOp"> {
  let dependentDialects = ["::moe::dialect::MoeDialect"];
}

//===----------------------------------------------------------------------===//
// recognize
//===----------------------------------------------------------------------===//

def UnifySymbolsPass : Moe_ModulePass<"moe-unify-symbols"> {
  let summary = "one symbol for sizes that the graph needs to be equal";
  let description = [{
    Where indices that count to n read along a dimension of size m, m is n: the
    symbol m is replaced everywhere, and the run checks the inputs.
  }];
}

def RecognizeCachePass : Moe_ModulePass<"moe-recognize-cache"> {
  let summary = "finds the key-value caches of a generation model";
  let description = [{
    An argument to which something is appended and which leaves the function
    again is a cache: the concat becomes moe.cache_append, argument and result
    get `moe.state`.
  }];
}

def RecognizeAttentionPass : Moe_ModulePass<"moe-recognize-attention"> {
  let summary = "finds softmax(q k^T * scale + mask) v";
  let description = [{
    Any way to scale (scores, queries, keys or both), to mask (added or
    selected), to repeat key heads, with a sink column and with rows that see
    nothing becomes one moe.attention.
  }];
}

def RecognizeGatePass : Moe_ModulePass<"moe-recognize-gate"> {
  let summary = "finds routers: scores, the k best, their weights";
  let description = [{
    Works backwards from a top_k over the experts to the logits and forwards to
    the mixing weights; what matches a router family of moe.gate becomes one.
  }];
}

def RecognizeDeepSpeedPass : Moe_ModulePass<"moe-recognize-deepspeed"> {
  let summary = "finds DeepSpeed's MoE layer";
  let description = [{
    The dense form (masks of tokens x experts x capacity and two products over
    them) and the index form, for k = 1, 2 and more, with and without dropping.
    Which tokens survive an overflow is read from the graph.
  }];
}

def RecognizeBatchedPass : Moe_ModulePass<"moe-recognize-batched"> {
  let summary = "finds experts whose weights are gathered for each token";
}

def RecognizeMaskedPass : Moe_ModulePass<"moe-recognize-masked"> {
  let summary = "finds experts that run on all tokens and are masked";
}

def RecognizeLoopedPass : Moe_ModulePass<"moe-recognize-looped"> {
  let summary = "finds experts that gather their tokens and scatter results";
  let description = [{
    An unrolled loop over experts. Where a trace has left out experts, the model
    is refused.
  }];
}

def RecognizeStackedPass : Moe_ModulePass<"moe-recognize-stacked"> {
  let summary = "finds experts that run on all tokens as one batch";
}

def RecognizeSharedPass : Moe_ModulePass<"moe-recognize-shared"> {
  let summary = "finds dense FFNs and how they are mixed with experts";
  let description = [{
    Shared experts with and without a sigmoid gate, the residual branch of
    PR-MoE, and plain MLPs become moe.ffn; what adds them to experts moe.mix.
  }];
}

def CheckExpertsPass : Moe_ModulePass<"moe-check-experts"> {
  let summary = "compares the experts of a model with its routers";
  let description = [{
    Tracing loses experts that no token of the example chose. A router that is
    wider than the experts found behind it is an error; a router without
    recognized experts runs dense as written, which is a warning.
  }];
}

//===----------------------------------------------------------------------===//
// optimize
//===----------------------------------------------------------------------===//

def CanonicalizeTensorPass : Moe_ModulePass<"moe-canonicalize-tensor"> {
  let summary = "one form for each idea that exporters write in many ways";
  let description = [{
    Activations, normalizations and biased products that are written out become
    single operations, and arithmetic without effect goes.
  }];
}

//===----------------------------------------------------------------------===//
// verify
//===----------------------------------------------------------------------===//

def VerifyRecognizedPass : Moe_ModulePass<"moe-verify-recognized"> {
  let summary = "checks that a recognized model can be distributed and lowered";
  let description = [{
    The gate after recognition. Every operation must have a kernel, every size
    must be known before the run except the rows of moe.dispatch, and every
    symbol must be the size of some input. All that is not so is reported at
    once, each with the ONNX node that it came from.
  }];
}

def VerifyDistributedPass : Moe_ModulePass<"moe-verify-distributed"> {
  let summary = "checks that a distributed model is one program for all ranks";
  let description = [{
    The gate after distribution: every moe.experts has a placement on all ranks
    and, on more than one rank, reads what moe.all_to_all received; local
    symbols are declared; only moe.shard makes a value local and only a
    collective makes it global.
  }];
}

def VerifyPlanPass : Moe_ModulePass<"plan-verify"> {
  let summary = "checks that a plan can be written";
  let description = [{
    The gate before the emitter. Runs the verifier that whoever reads a plan
    file runs, on the tables that the emitter would write: every index,
    lifetime, view and symbol.
  }];
  let dependentDialects = ["::moe::plan_dialect::PlanDialect"];
}

//===----------------------------------------------------------------------===//
// distribute
//===----------------------------------------------------------------------===//

def ChooseParallelismPass : Moe_ModulePass<"moe-choose-parallelism"> {
  let summary = "chooses the mesh, and how each MoE layer runs on it";
  let description = [{
    Sets `moe.mesh` and `moe.node_size` on the module and `moe.form` on each
    moe.experts. `mesh` gives degrees ("dp=2,tp=2"), those that it leaves open
    follow from `ranks`. `layer-form` forces the form of layers, counted from 0
    ("3:slice=2+hierarchical,*:coordinated").
  }];
  let options = [
    Option<"ranks", "ranks", "int64_t", "0",
           "number of ranks (0: as many as the mesh has)">,
    Option<"mesh", "mesh", "std::string", "",
           "degrees of the mesh, as in dp=2,ep=4,tp=2">,
    Option<"layerForm", "layer-form", "std::string", "",
           "forms of layers, as in 3:slice,*:coordinated">,
    Option<"nodeSize", "node-size", "int64_t", "0",
           "ranks on a node (0: there is one node)">,
    Option<"reduceExact", "reduce-exact", "bool", "false",
           "never split an expert's sums over ranks">,
  ];
}

def ReadLoadsPass : Moe_ModulePass<"moe-read-loads"> {
  let summary = "attaches the loads that a profile has measured to experts";
  let description = [{
    Sets `moe.loads` on each moe.experts from a file that `moe-run --profile`
    wrote. Without a file nothing changes.
  }];
  let options = [
    Option<"profile", "profile", "std::string", "",
           "how often the experts of each layer were chosen">,
  ];
}

def PlaceExpertsPass : Moe_ModulePass<"moe-place-experts"> {
  let summary = "says which ranks hold each expert";
  let description = [{
    Sets `placement` on each moe.experts, and `moe.mesh` on the module. Experts
    are spread in block order, their numbers per rank differing by at most one.
    With fewer experts than ranks, whole experts are replicated.
  }];
  let options = [
    Option<"ranks", "ranks", "int64_t", "1", "number of ranks">,
    Option<"reduceExact", "reduce-exact", "bool", "false",
           "never split an expert's sums over ranks">,
  ];
}

def DistributePass : Moe_ModulePass<"moe-distribute"> {
  let summary = "divides the rows of the batch over the ranks of the mesh";
  let description = [{
    Chooses the symbol of the batch, follows it through the function, and makes
    one program that runs on every rank: rows are sharded, what mixes rows is
    gathered first, and rows of tokens visit the ranks of their experts by
    moe.all_to_all and come back by moe.all_to_all_back.
  }];
}

//===----------------------------------------------------------------------===//
// lower
//===----------------------------------------------------------------------===//

def FuseElementwisePass : Moe_ModulePass<"moe-fuse-elementwise"> {
  let summary = "joins elementwise operations to programs of one element";
  let description = [{
    Every unary, binary, compare, select and cast becomes a moe.elementwise. A
    producer moves into its only consumer if both have the same sizes, a cheap
    one into each of a few consumers, so a chain reads and writes memory once.
  }];
}

def OverlapExchangePass : Moe_ModulePass<"moe-overlap-exchange"> {
  let summary = "computes independent work while rows of tokens travel";
  let description = [{
    Moves what a layer's dense branch needs between moe.all_to_all and
    moe.experts.
  }];
}

def LowerToPlanPass : Moe_ModulePass<"moe-lower-to-plan"> {
  let summary = "from values to buffers, from operations to steps";
  let description = [{
    Replaces the function by one plan.program: a step for each operation, a
    buffer for each result, weights in the layouts that kernels read, caches as
    states. Reshapes, transposes, slices and broadcasts become views where the
    kernels that read them know strides.
  }];
  let dependentDialects = ["::moe::plan_dialect::PlanDialect"];
}

def PlanLivenessPass : Moe_ModulePass<"plan-liveness"> {
  let summary = "the steps between which each arena buffer is alive";
  let description = [{
    From the first step that writes a buffer or a view of it to the last that
    reads it. Buffers that no step uses are removed.
  }];
  let dependentDialects = ["::moe::plan_dialect::PlanDialect"];
}

#endif // MOE_PASSES_PASSES_TD
