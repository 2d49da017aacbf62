//===- Pipelines.h - The passes of a compilation in order -------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A compilation runs these pipelines one after the other. What fails in the
// first is a model that the project does not support (StatusCode::Unsupported):
// its gate reports every reason. Those for weights and parallelism fail for
// what the user asked (StatusCode::Usage). A failure in the others is an error
// of the compiler (StatusCode::Internal).
//
//===----------------------------------------------------------------------===//

#ifndef MOE_PASSES_PIPELINES_H
#define MOE_PASSES_PIPELINES_H

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace mlir {
class OpPassManager;
} // namespace mlir

namespace moe::solver {
struct MeshSolution;
} // namespace moe::solver

namespace moe::pass {

/// From an imported model to moe operations; ends with moe-verify-recognized.
void buildRecognizePipeline(mlir::OpPassManager &pm);

struct WeightsOptions {
  /// f32, f16, bf16, int8 or int4; empty: as in the file.
  std::string dtype;
  /// Of int8 and int4: numbers along K that share a scale, 0 for a column; and
  /// whether blocks have zero points.
  int64_t block = 32;
  bool hasZeroPoints = false;
  /// Patterns of weights or nodes that stay as they are.
  std::vector<std::string> keep;
  /// Where the files of the model are: f16 looks for numbers that it does not
  /// have. Empty: they are not read.
  std::string folder;
  /// float or int8; empty: as in the file.
  std::string activations;
};
/// How weights are stored and products computed. What fails here is a choice of
/// the user (StatusCode::Usage).
void buildWeightsPipeline(mlir::OpPassManager &pm,
                          const WeightsOptions &options);

struct DistributeOptions {
  /// 0: as many as the mesh has.
  int64_t ranks = 1;
  /// Never split an expert's sums over ranks (--reduce=exact).
  bool reduceExact = false;
  /// Degrees and forms in the words of passes/solver/ParallelSpec.h.
  std::string mesh, layerForm;
  /// Ranks on a node; 0: there is one node.
  int64_t nodeSize = 0;
  /// File that describes the machines, or empty; bytes that a rank may use, or
  /// 0.
  std::string cluster;
  int64_t memory = 0;
  /// Where to put the meshes that were weighed, or null.
  solver::MeshSolution *weighed = nullptr;
  /// A file of moe-run --profile, or empty; and how many experts beyond its
  /// share a rank may hold then.
  std::string profile;
  int64_t spareExperts = 1;
  /// Capacities count the tokens of a rank (--capacity-scope=rank).
  bool capacityPerRank = false;
  /// Chance decides who keeps a place in a full expert, by this seed.
  std::optional<int64_t> dropSeed;
};
/// Chooses the mesh and the forms of layers. What fails here is a choice of the
/// user that does not fit the model (StatusCode::Usage).
void buildParallelismPipeline(mlir::OpPassManager &pm,
                              const DistributeOptions &options);
/// From one device to a mesh of ranks; ends with moe-verify-distributed.
void buildDistributePipeline(mlir::OpPassManager &pm,
                             const DistributeOptions &options);

struct LowerOptions {
  /// Which exchanges run on a stream of their own: auto, on or off.
  std::string overlap = "auto";
};
/// From the moe dialect to one plan.program; ends with plan-verify.
void buildLowerPipeline(mlir::OpPassManager &pm,
                        const LowerOptions &options = {});

/// Makes the three known to --pass-pipeline as moe-recognize-pipeline,
/// moe-distribute-pipeline and moe-lower-pipeline.
void registerPipelines();

} // namespace moe::pass

#endif // MOE_PASSES_PIPELINES_H
