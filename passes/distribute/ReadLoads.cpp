//===- ReadLoads.cpp - Attaches measured loads to layers of experts -------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A profile (runtime/io/LoadProfile.h) says how often the experts of each layer
// were chosen. Its layers stand in the order of the graph and become the
// attribute `moe.loads` of each moe.experts: rows of each expert per run, for
// small runs and for large ones, and pairs of experts with the tokens per run
// that chose both:
//
//   moe.loads = {small = array<f64: 1.5, 0.5>, large = array<f64: 300.0, 90.0>,
//                pairs = array<f64: 0.0, 1.0, 12.5>}
//
// Before: recognized moe operations. After: the same, with loads; a profile of
// other layers than the model's is an error.
//
//===----------------------------------------------------------------------===//

#include "passes/Passes.h"

#include "dialect/moe/MoeOps.h"
#include "dialect/moe/MoeTypes.h"
#include "passes/distribute/ExpertLoads.h"
#include "runtime/io/LoadProfile.h"
#include "runtime/support/File.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/Remarks.h"

namespace moe::pass {
#define GEN_PASS_DEF_READLOADSPASS
#include "passes/Passes.h.inc"
} // namespace moe::pass

using namespace mlir;
using namespace moe;
using namespace moe::dialect;

namespace {
struct ReadLoads : moe::pass::impl::ReadLoadsPassBase<ReadLoads> {
  using ReadLoadsPassBase::ReadLoadsPassBase;

  void runOnOperation() override {
    if (profile.empty())
      return;
    if (Status status = attach(); !status.isOk()) {
      // Not at the module itself, which would be printed whole.
      emitError(getOperation().getLoc()) << status.message();
      signalPassFailure();
    }
  }

private:
  StatusOr<LoadProfile> read() const;
  Status attach();
};
} // namespace

StatusOr<LoadProfile> ReadLoads::read() const {
  constexpr uint64_t kMaxBytes = uint64_t(256) << 20;
  MOE_ASSIGN_OR_RETURN(std::string text, readWholeFile(profile, kMaxBytes));
  StatusOr<LoadProfile> loaded = readLoadProfile(text);
  MOE_RETURN_IF_ERROR(loaded.status().at(profile));
  return loaded;
}

/// Entries per run.
static SmallVector<double> perRun(const ExpertLoads::Phase &phase) {
  double runs = std::max<int64_t>(phase.runs, 1);
  return llvm::map_to_vector(phase.rows, [&](int64_t rows) {
    return static_cast<double>(rows) / runs;
  });
}

static DictionaryAttr attributeOf(const ExpertLoads &loads,
                                  MLIRContext *context) {
  Builder builder(context);
  double runs = std::max<int64_t>(loads.small.runs + loads.large.runs, 1);
  SmallVector<double> pairs;
  int64_t numExperts = loads.pairs.empty() ? 0 : loads.numExperts();
  for (int64_t a = 0; a < numExperts; ++a)
    for (int64_t b = a + 1; b < numExperts; ++b)
      if (int64_t tokens = loads.pair(a, b))
        pairs.append({static_cast<double>(a), static_cast<double>(b),
                      static_cast<double>(tokens) / runs});
  return builder.getDictionaryAttr(
      {builder.getNamedAttr("small",
                            builder.getDenseF64ArrayAttr(perRun(loads.small))),
       builder.getNamedAttr("large",
                            builder.getDenseF64ArrayAttr(perRun(loads.large))),
       builder.getNamedAttr("pairs", builder.getDenseF64ArrayAttr(pairs))});
}

Status ReadLoads::attach() {
  MOE_ASSIGN_OR_RETURN(LoadProfile loaded, read());
  SmallVector<ExpertsOp> layers;
  getOperation().walk([&](ExpertsOp op) { layers.push_back(op); });
  if (layers.size() != loaded.layers.size())
    return Status(StatusCode::Usage, profile + ": loads of " +
                                         std::to_string(loaded.layers.size()) +
                                         " layers, the model has " +
                                         std::to_string(layers.size()) +
                                         " layers of experts");
  for (auto [index, op] : llvm::enumerate(layers)) {
    const ExpertLoads &loads = loaded.layers[index];
    int64_t numExperts = getTensorType(op.getW1()).getDimSize(0);
    if (loads.numExperts() != numExperts)
      return Status(StatusCode::Usage, profile + ": layer " +
                                           std::to_string(index) + " has " +
                                           std::to_string(loads.numExperts()) +
                                           " experts, the model's has " +
                                           std::to_string(numExperts));
    op->setAttr(moe::pass::kLoads, attributeOf(loads, &getContext()));
  }
  return Status::ok();
}
