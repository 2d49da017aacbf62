//===- Pipelines.cpp - The passes of a compilation in order ---------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/Pipelines.h"

#include "passes/Passes.h"
#include "passes/distribute/ChooseParallelism.h"

#include "mlir/Pass/PassManager.h"
#include "mlir/Pass/PassOptions.h"
#include "mlir/Pass/PassRegistry.h"
#include "mlir/Transforms/Passes.h"

using namespace mlir;

namespace moe::pass {

void buildRecognizePipeline(OpPassManager &pm) {
  // Folds what the importer left and removes values that nobody uses, so that
  // patterns meet one form only.
  pm.addPass(createCanonicalizerPass());
  pm.addPass(createCSEPass());

  // Before anything compares sizes.
  pm.addPass(createUnifySymbolsPass());

  // One form for each activation, norm and biased product: the recognizers
  // know no other.
  pm.addPass(createCanonicalizeTensorPass());

  // Independent of all that follows.
  pm.addPass(createRecognizeCachePass());
  pm.addPass(createRecognizeAttentionPass());

  // Gate and experts at once: its gates are no top_k over experts, and some of
  // its top_k are none of a gate.
  pm.addPass(createRecognizeDeepSpeedPass());

  // Routers that only choose and weigh; recognizers of experts say more about
  // a layer that they find behind a moe.gate.
  pm.addPass(createRecognizeGatePass());
  pm.addPass(createRecognizeBatchedPass());
  pm.addPass(createRecognizeMaskedPass());
  pm.addPass(createRecognizeStackedPass());
  pm.addPass(createRecognizeLoopedPass());

  // Last, because whatever is left of FFNs then is dense.
  pm.addPass(createRecognizeSharedPass());

  // All that could be found has been found.
  pm.addPass(createCheckExpertsPass());

  // Several layers may have made the same mask or table.
  pm.addPass(createCanonicalizerPass());
  pm.addPass(createCSEPass());

  // The gate: whatever follows may rely on it.
  pm.addPass(createVerifyRecognizedPass());
}

void buildWeightsPipeline(OpPassManager &pm, const WeightsOptions &options) {
  // After recognition, which compares weights as they are in the file; before
  // the choice of a mesh, which weighs the bytes that are left.
  LowerWeightsPassOptions lower;
  lower.dtype = options.dtype;
  lower.block = options.block;
  lower.zeroPoints = options.hasZeroPoints;
  lower.keep.assign(options.keep.begin(), options.keep.end());
  lower.folder = options.folder;
  lower.activations = options.activations;
  pm.addPass(createLowerWeightsPass(lower));
}

void buildParallelismPipeline(OpPassManager &pm,
                              const DistributeOptions &options) {
  // Another meaning of the model, on any number of ranks.
  if (options.dropSeed) {
    DropAtRandomPassOptions drop;
    drop.seed = *options.dropSeed;
    pm.addPass(createDropAtRandomPass(drop));
  }

  // Before anything is placed or divided: both do what it decides.
  ChooseParallelismPassOptions choose;
  choose.ranks = options.ranks;
  choose.reduceExact = options.reduceExact;
  choose.mesh = options.mesh;
  choose.layerForm = options.layerForm;
  choose.nodeSize = options.nodeSize;
  choose.cluster = options.cluster;
  choose.memory = options.memory;
  pm.addPass(createChooseParallelismPass(choose, options.weighed));

  // What is known about the experts' loads says which belong apart.
  ReadLoadsPassOptions loads;
  loads.profile = options.profile;
  pm.addPass(createReadLoadsPass(loads));

  // Where experts live decides what has to travel. A form that does not fit the
  // ranks is found here.
  PlaceExpertsPassOptions place;
  place.reduceExact = options.reduceExact;
  place.spareExperts = options.spareExperts;
  pm.addPass(createPlaceExpertsPass(place));
}

void buildDistributePipeline(OpPassManager &pm,
                             const DistributeOptions &options) {
  // Rows over ranks, tokens to their experts and back.
  DistributePassOptions distribute;
  distribute.capacityPerRank = options.capacityPerRank;
  pm.addPass(createDistributePass(distribute));

  // With rows and exchanges in place, what is left is dense: heads, inner
  // columns and the vocabulary are divided among ranks of equal rows.
  pm.addPass(createSliceTensorsPass());

  // Several users of one value each got their own gather or shard of it.
  pm.addPass(createCSEPass());

  // Copies the operations of layers that run in chunks: last, when each stands
  // there once.
  pm.addPass(createChunkExchangePass());

  // The gate.
  pm.addPass(createVerifyDistributedPass());
}

void buildLowerPipeline(OpPassManager &pm, const LowerOptions &options) {
  // After distribution, so that no fused program stands in the way of the
  // analysis of rows.
  pm.addPass(createFuseElementwisePass());

  // Last before the order of operations becomes the order of steps.
  OverlapExchangePassOptions overlap;
  overlap.overlap = options.overlap;
  pm.addPass(createOverlapExchangePass(overlap));

  pm.addPass(createLowerToPlanPass());

  // Needs all steps to exist, in their order.
  pm.addPass(createPlanSchedulePass());

  // A step beside others uses its memory until somebody waits for it.
  pm.addPass(createPlanLivenessPass());

  // The gate.
  pm.addPass(createVerifyPlanPass());
}

namespace {
struct DistributePipelineOptions
    : PassPipelineOptions<DistributePipelineOptions> {
  Option<int64_t> ranks{*this, "ranks", llvm::cl::desc("number of ranks"),
                        llvm::cl::init(1)};
  Option<bool> reduceExact{
      *this, "reduce-exact",
      llvm::cl::desc("never split an expert's sums over ranks"),
      llvm::cl::init(false)};
  Option<std::string> mesh{*this, "mesh",
                           llvm::cl::desc("degrees of the mesh")};
  Option<std::string> layerForm{*this, "layer-form",
                                llvm::cl::desc("forms of layers")};
  Option<int64_t> nodeSize{
      *this, "node-size", llvm::cl::desc("ranks on a node"), llvm::cl::init(0)};
};
struct LowerPipelineOptions : PassPipelineOptions<LowerPipelineOptions> {
  Option<std::string> overlap{
      *this, "overlap",
      llvm::cl::desc("exchanges on a stream of their own: auto, on or off"),
      llvm::cl::init("auto")};
};
} // namespace

void registerPipelines() {
  PassPipelineRegistration<>("moe-recognize-pipeline",
                             "from an imported model to moe operations",
                             buildRecognizePipeline);
  PassPipelineRegistration<DistributePipelineOptions>(
      "moe-distribute-pipeline", "from one device to a mesh of ranks",
      [](OpPassManager &pm, const DistributePipelineOptions &options) {
        DistributeOptions distribute;
        distribute.ranks = options.ranks;
        distribute.reduceExact = options.reduceExact;
        distribute.mesh = options.mesh;
        distribute.layerForm = options.layerForm;
        distribute.nodeSize = options.nodeSize;
        buildParallelismPipeline(pm, distribute);
        buildDistributePipeline(pm, distribute);
      });
  PassPipelineRegistration<LowerPipelineOptions>(
      "moe-lower-pipeline", "from the moe dialect to a plan",
      [](OpPassManager &pm, const LowerPipelineOptions &options) {
        LowerOptions lower;
        lower.overlap = options.overlap;
        buildLowerPipeline(pm, lower);
      });
}

} // namespace moe::pass
