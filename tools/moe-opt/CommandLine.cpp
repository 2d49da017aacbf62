//===- CommandLine.cpp - The options of moe-opt ---------------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "tools/moe-opt/CommandLine.h"

#include "passes/solver/ParallelSpec.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"
#include "llvm/Support/GlobPattern.h"
#include "llvm/Support/MathExtras.h"
#include "llvm/Support/raw_ostream.h"

using namespace llvm;

namespace moe::tool {

/// Ranks are numbered in 32 bits in the plan; this is far beyond any mesh.
static constexpr int64_t kMaxRanks = 65536;

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

bool Options::isModel() const {
  StringRef name = input;
  return name.ends_with(".onnx") || name.ends_with(".onnxtxt") ||
         name.ends_with(".textproto");
}

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

/// embed, reference, synthetic or synthetic:seed.
Status CommandLine::parseWeights(Options &options) const {
  auto [mode, seed] = StringRef(weights).split(':');
  bool hasSeed = StringRef(weights).contains(':');
  if (mode == "synthetic") {
    options.weights = Weights::Synthetic;
    if (hasSeed && seed.getAsInteger(10, options.seed))
      return Status(StatusCode::Usage,
                    "--weights: seed '" + seed.str() + "' is not a number");
    return Status::ok();
  }
  if (mode == "embed")
    options.weights = Weights::Embed;
  else if (mode == "reference")
    options.weights = Weights::Reference;
  else
    return Status(StatusCode::Usage,
                  "--weights: unknown value '" + mode.str() +
                      "', expected embed, reference or synthetic[:seed]");
  if (hasSeed)
    return Status(StatusCode::Usage,
                  "--weights: only synthetic weights have a seed");
  return Status::ok();
}

/// What weights become. The words are those of pass::WeightsOptions.
Status CommandLine::parseDtype(Options &options) const {
  auto check = [](const cl::opt<std::string> &option,
                  ArrayRef<StringRef> words) {
    if (option.getNumOccurrences() == 0 ||
        is_contained(words, StringRef(option)))
      return Status::ok();
    return Status(StatusCode::Usage, "--" + option.ArgStr.str() +
                                         ": unknown value '" + option +
                                         "', expected " + join(words, ", "));
  };
  MOE_RETURN_IF_ERROR(check(dtype, {"f32", "f16", "bf16", "int8", "int4"}));
  MOE_RETURN_IF_ERROR(check(activations, {"float", "int8", "file"}));
  if (quantBlock != 16 && (quantBlock < 0 || quantBlock % 32 != 0))
    return Status(StatusCode::Usage,
                  "--quant-block: " + std::to_string(quantBlock) +
                      " is not 0, 16 or a multiple of 32");
  bool makesCodes = dtype == "int8" || dtype == "int4";
  for (const cl::Option *option :
       std::initializer_list<const cl::Option *>{&quantBlock, &quantZeroPoints})
    if (option->getNumOccurrences() != 0 && !makesCodes)
      return Status(StatusCode::Usage, "--" + option->ArgStr.str() +
                                           ": needs --dtype=int8 or int4");
  if (!keepF32.empty() && (dtype.empty() || dtype == "f32"))
    return Status(StatusCode::Usage,
                  "--keep-f32: needs --dtype=f16, bf16, int8 or int4");
  for (const std::string &pattern : keepF32)
    if (auto glob = GlobPattern::create(pattern); !glob)
      return Status(StatusCode::Usage, "--keep-f32: '" + pattern +
                                           "': " + toString(glob.takeError()));
  options.dtype = dtype;
  options.activations = activations;
  options.quantBlock = quantBlock;
  options.quantZeroPoints = quantZeroPoints;
  options.keepF32.assign(keepF32.begin(), keepF32.end());
  return Status::ok();
}

/// Ranks, mesh and forms; whether they fit the model is seen later.
Status CommandLine::parseRanks(Options &options) const {
  bool hasRanks = ranks.getNumOccurrences() != 0;
  if (ranks < 1 || ranks > kMaxRanks)
    return Status(StatusCode::Usage, "--ranks: " + std::to_string(ranks) +
                                         " is not between 1 and " +
                                         std::to_string(kMaxRanks));
  options.ranks = ranks;
  options.mesh = mesh;
  if (mesh.getNumOccurrences() != 0) {
    StatusOr<solver::MeshDegrees> degrees = solver::parseMesh(options.mesh);
    MOE_RETURN_IF_ERROR(degrees.status().at("--mesh"));
    degrees = solver::completeMesh(*degrees, hasRanks ? options.ranks : 0);
    MOE_RETURN_IF_ERROR(degrees.status().at("--mesh"));
    options.ranks = degrees->numRanks();
  }
  options.layerForm = layerForm;
  if (layerForm.getNumOccurrences() != 0 && options.layerForm.empty())
    return Status(StatusCode::Usage, "--layer-form: the list is empty");
  MOE_RETURN_IF_ERROR(
      solver::parseLayerForms(options.layerForm).status().at("--layer-form"));
  options.profile = profile;
  options.spareExperts = spareExperts;
  if (spareExperts.getNumOccurrences() != 0 &&
      (spareExperts < 0 || options.profile.empty()))
    return Status(
        StatusCode::Usage,
        "--spare-experts: needs --profile and a number of at least 0");
  options.nodeSize = nodeSize;
  if (nodeSize.getNumOccurrences() != 0 &&
      (nodeSize < 1 || options.ranks % nodeSize != 0))
    return Status(StatusCode::Usage,
                  "--node-size: nodes of " + std::to_string(nodeSize) +
                      " ranks do not divide " + std::to_string(options.ranks) +
                      " ranks");
  return Status::ok();
}

/// Bytes as in 16G or 512M; nothing if it is no such number.
static std::optional<int64_t> parseBytes(StringRef text) {
  StringRef number = text.take_while([](char c) { return isDigit(c); });
  StringRef unit = text.drop_front(number.size());
  unit.consume_back("iB") || unit.consume_back("B");
  int64_t value = 0;
  size_t power =
      unit.empty() ? 0 : StringRef("KMGT").find(toUpper(unit[0])) + 1;
  if (number.getAsInteger(10, value) || unit.size() > 1 ||
      (!unit.empty() && power == 0) || power > 4)
    return std::nullopt;
  int64_t bytes = 0;
  if (MulOverflow(value, int64_t(1) << (10 * power), bytes))
    return std::nullopt;
  return bytes;
}

/// What is known about machines, and what to say about the plan.
Status CommandLine::parseMachine(Options &options) const {
  options.cluster = cluster;
  if (memory.getNumOccurrences() != 0) {
    std::optional<int64_t> bytes = parseBytes(memory);
    if (!bytes || *bytes == 0)
      return Status(StatusCode::Usage,
                    "--memory: '" + memory +
                        "' is not a number of bytes, as in 16G");
    options.memory = *bytes;
  }
  options.report = report;
  if (simulate && report != Report::None)
    return Status(StatusCode::Usage,
                  "--simulate: --report says the same and more");
  if (simulate)
    options.report = Report::Simulation;
  options.shapes.assign(shapes.begin(), shapes.end());
  if (!options.shapes.empty() && options.report == Report::None)
    return Status(StatusCode::Usage, "--shape: needs --report or --simulate");
  if (options.report != Report::None && options.emit != Emit::MoePlan)
    return Status(StatusCode::Usage,
                  "--report and --simulate need a whole plan, not --emit");
  options.capacityPerRank = capacityScope == CapacityScope::Rank;
  if (randomTokens.getNumOccurrences() != 0)
    options.dropSeed = randomTokens;
  options.overlap = overlap;
  return Status::ok();
}

/// Whether the options suit a model, or MLIR.
Status CommandLine::checkInput(const Options &options) const {
  if (options.isModel()) {
    if (options.emit == Emit::MoePlan && options.output.empty() &&
        options.report == Report::None)
      return Status(StatusCode::Usage,
                    "-o: needs the name of the plan file to write");
    return Status::ok();
  }
  for (const cl::Option *option : std::initializer_list<const cl::Option *>{
           &ranks, &mesh, &layerForm, &nodeSize, &profile, &spareExperts,
           &cluster, &memory, &report, &simulate, &capacityScope, &randomTokens,
           &overlap, &weights, &emit, &reduce, &dtype, &activations,
           &quantBlock, &quantZeroPoints,
           // Its operator & is that of the list's values.
           std::addressof<const cl::Option>(keepF32)})
    if (option->getNumOccurrences() != 0)
      return Status(StatusCode::Usage, "--" + option->ArgStr.str() +
                                           ": needs a model (.onnx), not '" +
                                           options.input + "'");
  return Status::ok();
}

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
