//===- CommandLine.cpp - The options of moe-opt ---------------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "tools/moe-opt/CommandLine.h"

#include "llvm/Support/raw_ostream.h"

using namespace llvm;

namespace moe::tool {

static constexpr StringLiteral kExamples = R"(
EXAMPLES:
  moe-opt model.onnx -o model.moeplan --ranks=4
      compiles a model for four ranks
  moe-opt model.onnx -o model.moeplan --mesh=dp=2,ep=4,tp=2
      for 16 ranks: 8 divide the rows of the batch, and each of them is 2 that
      slice tensors
  moe-opt model.onnx -o model.moeplan --ranks=16 --node-size=4 \
    --layer-form='*:hierarchical,3:slice=2'
      forces how MoE layers run: rows travel inside nodes of 4 ranks first; the
      experts of layer 3 are sliced over 2 ranks each
  moe-opt model.onnx --ranks=16 --cluster=cluster.json --memory=16G --report
      says which mesh is best on these machines, and why others are not; no plan
      is written without -o
  moe-opt model.onnx --ranks=4096 --simulate --shape=batch=4096,seq=1
      what each of 4096 ranks would do, without any of them
  moe-opt model.onnx -o model.moeplan --dtype=int4 --report
      weights of products in 4 bits; the report says what that costs in accuracy
  moe-opt model.onnx -o model.moeplan --dtype=int8 --activations=int8 \
    --keep-f32='*lm_head*'
      weights and rows in 8 bits, but for the product that makes the logits
  moe-opt model.onnx -o model.moeplan --weights=reference
      for one rank; the plan refers to the model's weight files
  moe-opt model.onnx --emit=moe
      prints what was recognised
  moe-opt test.mlir --canonicalize
      runs passes on MLIR, as mlir-opt does; --help-hidden lists them

EXIT CODES:
  0 ok, 1 other, 2 usage, 3 bad model, 4 unsupported operator, 7 input or
  output, 10 out of memory, 70 internal error (leaves a reproducer)
)";

CommandLine::CommandLine()
    : category("moe-opt options"),
      input(cl::Positional, cl::init("-"), cl::cat(category),
            cl::desc("<model.onnx or file.mlir>")),
      output("o", cl::value_desc("file"), cl::cat(category),
             cl::desc("where the plan or the MLIR goes")),
      weights("weights", cl::init("embed"), cl::cat(category),
              cl::value_desc("embed|reference|synthetic[:seed]"),
              cl::desc("what the plan holds of the weights: their bytes; where "
                       "they are in the model's files; or seeds for made-up "
                       "values")),
      dtype("dtype", cl::cat(category),
            cl::value_desc("f32|f16|bf16|int8|int4"),
            cl::desc("what weights of products are rounded to; codes that the "
                     "file has stay (default, and f32: as in the file)")),
      activations(
          "activations", cl::init("float"), cl::cat(category),
          cl::value_desc("float|int8|file"),
          cl::desc("how products with weights in codes read their rows: "
                   "as they are (default); rounded to 8 bits in blocks of 32; "
                   "or as the file says (accuracy_level 4: rounded)")),
      quantBlock("quant-block", cl::init(32), cl::cat(category),
                 cl::value_desc("n"),
                 cl::desc("numbers of a column that share a scale: 16 or a "
                          "multiple of 32; 0: all of them (default 32)")),
      quantZeroPoints("quant-zero-points", cl::cat(category),
                      cl::desc("int8 and int4 with a zero point for each "
                               "block")),
      keepF32("keep-f32", cl::cat(category), cl::value_desc("pattern"),
              cl::desc("weights or ONNX nodes that --dtype leaves as they are, "
                       "as in '*layers.0*'; may be repeated")),
      emit("emit", cl::init(Emit::MoePlan), cl::cat(category),
           cl::desc("stop earlier:"),
           cl::values(
               clEnumValN(Emit::Import, "import", "the model as imported"),
               clEnumValN(Emit::Moe, "moe", "after recognition"),
               clEnumValN(Emit::Distributed, "distributed",
                          "after distribution over ranks"),
               clEnumValN(Emit::Plan, "plan", "the plan as MLIR"),
               clEnumValN(Emit::MoePlan, "moeplan", "the plan file"))),
      mesh("mesh", cl::cat(category), cl::value_desc("dp=n,ep=n,tp=n"),
           cl::desc("dp * ep ranks divide the rows of the batch, each of them "
                    "is tp that slice tensors; what is left out follows from "
                    "--ranks")),
      layerForm("layer-form", cl::cat(category),
                cl::value_desc("layer:form,..."),
                cl::desc("how MoE layers run, counted from 0, or * for all; "
                         "words joined by +: flat, hierarchical, coordinated, "
                         "replicated; spread, slice[=n], replicate; "
                         "small=form, small-tokens=n; chunks=n, "
                         "chunk-tokens=n")),
      ranks("ranks", cl::init(1), cl::cat(category), cl::value_desc("n"),
            cl::desc("number of ranks (default 1, or what --mesh has)")),
      nodeSize("node-size", cl::init(0), cl::cat(category), cl::value_desc("n"),
               cl::desc("ranks on a node (default: all are on one)")),
      profile("profile", cl::cat(category), cl::value_desc("file"),
              cl::desc("how often experts were chosen, as moe-run --profile "
                       "wrote it: places experts and replicas by it")),
      spareExperts("spare-experts", cl::init(1), cl::cat(category),
                   cl::value_desc("n"),
                   cl::desc("with --profile: experts beyond its share that a "
                            "rank may hold, as replicas of busy ones "
                            "(default 1)")),
      cluster("cluster", cl::cat(category), cl::value_desc("file"),
              cl::desc("the machines, as moe-run calibrate describes them; by "
                       "default a node of equal cores")),
      memory("memory", cl::cat(category), cl::value_desc("bytes"),
             cl::desc("what a rank may use, as in 16G")),
      report("report", cl::ValueOptional, cl::init(Report::None),
             cl::cat(category),
             cl::desc("say what each rank, layer and step needs, and which "
                      "meshes were weighed:"),
             cl::values(clEnumValN(Report::Text, "text", "tables"),
                        clEnumValN(Report::Text, "", "the same"),
                        clEnumValN(Report::Json, "json", "one JSON object"))),
      simulate("simulate", cl::cat(category),
               cl::desc("walk the plan without running it: bytes, memory, "
                        "messages and predicted time of the ranks")),
      shapes("shape", cl::cat(category), cl::value_desc("batch=n,..."),
             cl::desc("sizes to predict; may be repeated (default: a decode "
                      "step and a prefill)")),
      capacityScope(
          "capacity-scope", cl::init(CapacityScope::Batch), cl::cat(category),
          cl::desc("whose tokens compete for places in an expert:"),
          cl::values(clEnumValN(CapacityScope::Batch, "batch",
                                "all of the batch, as on one device"),
                     clEnumValN(CapacityScope::Rank, "rank",
                                "those of a rank, as DeepSpeed does"))),
      randomTokens("random-token-selection", cl::cat(category),
                   cl::value_desc("seed"),
                   cl::desc("chance decides which tokens a full expert "
                            "drops")),
      overlap("overlap", cl::init(Overlap::Auto), cl::cat(category),
              cl::desc("exchanges on a stream of their own:"),
              cl::values(
                  clEnumValN(Overlap::Auto, "auto", "where chunks can overlap"),
                  clEnumValN(Overlap::On, "on", "all"),
                  clEnumValN(Overlap::Off, "off", "none"))),
      reduce("reduce", cl::init(Reduce::Any), cl::cat(category),
             cl::desc("how sums may be split over ranks:"),
             cl::values(clEnumValN(Reduce::Any, "any", "as is fastest"),
                        clEnumValN(Reduce::Exact, "exact",
                                   "not at all: results do not depend on the "
                                   "number of ranks"))),
      remarks("remarks", cl::cat(category),
              cl::desc("say what the compiler decided, and why")),
      verbose("verbose", cl::cat(category),
              cl::desc("remarks, and the time of each stage")),
      allowLinkedData("allow-linked-data", cl::cat(category),
                      cl::desc("external data may be symbolic links out of the "
                               "model's folder")),
      crashes("test-crash", cl::cat(category), cl::Hidden,
              cl::desc("crash after recognition, to test what remains")),
      examples(kExamples) {}

StatusOr<Options> CommandLine::parse(int argc, char **argv) {
  cl::HideUnrelatedOptions(category);
  cl::SetVersionPrinter([](raw_ostream &out) { out << "moe-opt 0.1.0\n"; });
  if (!cl::ParseCommandLineOptions(
          argc, argv, "compiler of Mixture-of-Experts models\n", &errs()))
    return Status(StatusCode::Usage, "options do not parse");
  Options options;
  options.input = input;
  options.output = output;
  options.emit = emit;
  options.reduce = reduce;
  options.remarks = remarks || verbose;
  options.verbose = verbose;
  options.allowLinkedData = allowLinkedData;
  options.crashes = crashes;
  MOE_RETURN_IF_ERROR(parseWeights(options));
  MOE_RETURN_IF_ERROR(parseDtype(options));
  MOE_RETURN_IF_ERROR(parseRanks(options));
  MOE_RETURN_IF_ERROR(parseMachine(options));
  MOE_RETURN_IF_ERROR(checkInput(options));
  return options;
}

} // namespace moe::tool
