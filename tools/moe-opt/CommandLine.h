//===- CommandLine.h - The options of moe-opt --------------------*- C++
//-*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_TOOLS_MOE_OPT_COMMANDLINE_H
#define MOE_TOOLS_MOE_OPT_COMMANDLINE_H

#include "runtime/support/Status.h"

#include "llvm/Support/CommandLine.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace moe::tool {

/// Where a compilation stops.
enum class Emit { Import, Moe, Distributed, Plan, MoePlan };
enum class Weights { Embed, Reference, Synthetic };
enum class Reduce { Any, Exact };
/// What is said about the plan besides the plan.
enum class Report { None, Simulation, Text, Json };

enum class CapacityScope { Batch, Rank };
enum class Overlap { Auto, On, Off };

/// What the user asked for.
struct Options {
  std::string input;
  std::string output;
  Emit emit = Emit::MoePlan;
  int64_t ranks = 1;
  /// Degrees and forms in the words of passes/solver/ParallelSpec.h.
  std::string mesh, layerForm;
  /// Ranks on a node; 0: there is one node.
  int64_t nodeSize = 0;
  /// How often experts were chosen: a file, or empty.
  std::string profile;
  int64_t spareExperts = 1;
  /// File that describes the machines, or empty; bytes that a rank may use, or
  /// 0.
  std::string cluster;
  int64_t memory = 0;
  Report report = Report::None;
  /// Shapes for the report, as in batch=1,seq=1; empty: typical ones.
  std::vector<std::string> shapes;
  /// Capacities count the tokens of a rank.
  bool capacityPerRank = false;
  /// Chance decides who keeps a place in a full expert, by this seed.
  std::optional<int64_t> dropSeed;
  /// Which exchanges run on a stream of their own.
  Overlap overlap = Overlap::Auto;
  /// How weights are stored and products computed; see
  /// pass::WeightsOptions, whose words these are.
  std::string dtype, activations;
  int64_t quantBlock = 32;
  bool quantZeroPoints = false;
  std::vector<std::string> keepF32;
  Weights weights = Weights::Embed;
  uint64_t seed = 0;
  Reduce reduce = Reduce::Any;
  bool remarks = false;
  bool verbose = false;
  bool allowLinkedData = false;
  /// Ends recognition with a crash, for tests.
  bool crashes = false;

  /// The input is a model, not MLIR.
  bool isModel() const;
};

/// Registers the options with LLVM's parser while it lives.
class CommandLine {
public:
  CommandLine();

  /// Parses all options, MLIR's too. Messages go to standard error; Usage if
  /// they do not parse or contradict each other. --help ends the process.
  StatusOr<Options> parse(int argc, char **argv);

private:
  Status parseWeights(Options &options) const;
  Status parseDtype(Options &options) const;
  Status parseRanks(Options &options) const;
  Status parseMachine(Options &options) const;
  Status checkInput(const Options &options) const;

  llvm::cl::OptionCategory category;
  llvm::cl::opt<std::string> input, output, weights, dtype, activations;
  llvm::cl::opt<int64_t> quantBlock;
  llvm::cl::opt<bool> quantZeroPoints;
  llvm::cl::list<std::string> keepF32;
  llvm::cl::opt<Emit> emit;
  llvm::cl::opt<std::string> mesh, layerForm;
  llvm::cl::opt<int64_t> ranks, nodeSize;
  llvm::cl::opt<std::string> profile;
  llvm::cl::opt<int64_t> spareExperts;
  llvm::cl::opt<std::string> cluster, memory;
  llvm::cl::opt<Report> report;
  llvm::cl::opt<bool> simulate;
  llvm::cl::list<std::string> shapes;
  llvm::cl::opt<CapacityScope> capacityScope;
  llvm::cl::opt<int64_t> randomTokens;
  llvm::cl::opt<Overlap> overlap;
  llvm::cl::opt<Reduce> reduce;
  llvm::cl::opt<bool> remarks, verbose, allowLinkedData, crashes;
  llvm::cl::extrahelp examples;
};

} // namespace moe::tool

#endif // MOE_TOOLS_MOE_OPT_COMMANDLINE_H
