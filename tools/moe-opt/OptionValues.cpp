//===- OptionValues.cpp - What the options of moe-opt may say -------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What can be known without a model is checked before one is read: words,
// numbers, and options that have no use without another one.
//
//===----------------------------------------------------------------------===//

#include "tools/moe-opt/CommandLine.h"

#include "passes/solver/ParallelSpec.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"
#include "llvm/Support/GlobPattern.h"
#include "llvm/Support/MathExtras.h"

using namespace llvm;

namespace moe::tool {

/// Ranks are numbered in 32 bits in the plan; this is far beyond any mesh.
static constexpr int64_t kMaxRanks = 65536;

bool Options::isModel() const {
  StringRef name = input;
  return name.ends_with(".onnx") || name.ends_with(".onnxtxt") ||
         name.ends_with(".textproto");
}

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

} // namespace moe::tool
