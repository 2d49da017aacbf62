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

def DropAtRandomPass : Moe_ModulePass<"moe-drop-at-random"> {
  let summary = "lets chance choose who keeps a place in a full expert";
  let description = [{
    Gates with one choice per token and a capacity get drop_policy random:
    DeepSpeed's random token selection, seeded.
  }];
  let options = [
    Option<"seed", "seed", "int64_t", "0", "of the choice">,
  ];
}

//===----------------------------------------------------------------------===//
// quantize
//===----------------------------------------------------------------------===//

def LowerWeightsPass : Moe_ModulePass<"moe-lower-weights"> {
  let summary = "weights of products in fewer bytes";
  let description = [{
    Every weight that is the right side of a moe.matmul or a matrix of moe.ffn
    or moe.experts becomes `quantize` (int8, int4) or a cast to two bytes and
    back (f16, bf16) of itself; the type stays. What stays as it is, each with a
    remark: codes that the file has, products that make the logits of routers,
    small weights, and those that are kept by name. All other weights
    (embeddings, norms, biases) are none of products and stay.

    f16 has no numbers beyond 65504. With `folder`, where the model's files are,
    f16 reads each weight once, and one with larger numbers stays, with a
    warning.

    `activations` int8 sets the attribute `arithmetic` where all weights of an
    operation have codes in blocks of 32 n, but not where a router reads the
    result; float removes it, with a remark where the file has it.
  }];
  let options = [
    Option<"dtype", "dtype", "std::string", "\"\"",
           "f16, bf16, int8 or int4; f32 or nothing: as they are">,
    Option<"block", "block", "int64_t", "32",
           "numbers along K that share a scale; 0: all of a column">,
    Option<"zeroPoints", "zero-points", "bool", "false",
           "codes with zero points">,
    ListOption<"keep", "keep-f32", "std::string",
               "patterns of weights or nodes that stay as they are">,
    Option<"folder", "folder", "std::string", "\"\"",
           "where the model's files are; nothing: they are not read">,
    Option<"activations", "activations", "std::string", "\"\"",
           "float or int8; file or nothing: as it is">,
  ];
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
    ("3:slice=2+hierarchical,*:coordinated"). What nobody gives, the cost model
    chooses for the machines that `cluster` describes: the mesh whose decode and
    prefill take least time in `memory` bytes per rank.
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
    Option<"cluster", "cluster", "std::string", "",
           "file that describes the machines">,
    Option<"memory", "memory", "int64_t", "0",
           "bytes that a rank may use (0: what the cluster says, or any)">,
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
    Sets `placement` on each moe.experts, as `moe.form` asks or by itself: with
    at least as many experts as ranks they are spread in blocks; with fewer they
    are sliced, or with reduce-exact replicated. Numbers per rank differ by at
    most one. With dp > 1 each of dp blocks of ranks has all experts.

    The mesh is `moe.mesh` of the module. Where there is none, options say it.
  }];
  let options = [
    Option<"ranks", "ranks", "int64_t", "1", "number of ranks">,
    Option<"dp", "dp", "int64_t", "1", "blocks of ranks with all experts">,
    Option<"tp", "tp", "int64_t", "1", "ranks that slice tensors">,
    Option<"nodeSize", "node-size", "int64_t", "0",
           "ranks on a node (0: nobody knows)">,
    Option<"reduceExact", "reduce-exact", "bool", "false",
           "never split an expert's sums over ranks">,
    Option<"spareExperts", "spare-experts", "int64_t", "1",
           "experts beyond its share that a rank may hold as replicas, where "
           "loads are known">,
  ];
}

def DistributePass : Moe_ModulePass<"moe-distribute"> {
  let summary = "divides the rows of the batch over the ranks of the mesh";
  let description = [{
    Chooses the symbol of the batch, follows it through the function, and makes
    one program that runs on every rank: rows are sharded, what mixes rows is
    gathered first, and rows of tokens visit the ranks of their experts by
    moe.all_to_all and come back by moe.all_to_all_back, in the form that
    `moe.form` says.

    Where tokens compete for places in experts, the gate gets a `part`: ranks
    tell each other what decides, so that the same tokens are dropped on any
    number of ranks. With capacity-per-rank each rank decides on its own tokens,
    as DeepSpeed does.
  }];
  let options = [
    Option<"capacityPerRank", "capacity-per-rank", "bool", "false",
           "capacities count the tokens of a rank">,
  ];
}

def SliceTensorsPass : Moe_ModulePass<"moe-slice-tensors"> {
  let summary = "slices attention, FFNs and vocabulary over the group tp";
  let description = [{
    Heads of attention with their caches, inner columns of dense FFNs, rows of
    the embedding and columns of the output projection are divided over the
    ranks that have the same rows; each pair of products ends in one
    moe.all_reduce. What cannot be divided all of them compute, and a remark
    says why. With tp = 1 nothing changes.
  }];
}

def ChunkExchangePass : Moe_ModulePass<"moe-chunk-exchange"> {
  let summary = "lets experts compute while the next tokens travel";
  let description = [{
    Layers whose `moe.form` has several chunks route their tokens in so many
    parts. Below `chunk_tokens` tokens of all ranks the first part has all of
    them and the operations of the others are skipped by `moe.guard`.
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
    moe.experts. Where that is worth a hand-over, the exchange runs beside it, on
    stream 1 (`moe.stream`). Chunks of a layer are interleaved: experts of one
    run beside the exchange of the next.
  }];
  let options = [
    Option<"overlap", "overlap", "std::string", "\"auto\"",
           "which exchanges run on a stream of their own: auto (those that pay "
           "for it), on (all that can) or off">,
  ];
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

def PlanSchedulePass : Moe_ModulePass<"plan-schedule"> {
  let summary = "events between the streams of a rank";
  let description = [{
    Each step of stream 1 records an event; a step of stream 0 that uses memory
    or sizes that one works on waits for it.
  }];
  let dependentDialects = ["::moe::plan_dialect::PlanDialect"];
}

def PlanLivenessPass : Moe_ModulePass<"plan-liveness"> {
  let summary = "the steps between which each arena buffer is alive";
  let description = [{
    From the first step that writes a buffer or a view of it to the last that
    reads it; steps of stream 1 use theirs until a step waits for them. Buffers
    that no step uses are removed.
  }];
  let dependentDialects = ["::moe::plan_dialect::PlanDialect"];
}

#endif // MOE_PASSES_PASSES_TD
