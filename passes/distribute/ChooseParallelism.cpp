//===- ChooseParallelism.cpp - The mesh, and how each layer runs on it ----===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Sets `moe.mesh` and `moe.node_size` on the module and `moe.form` on each
// moe.experts (ParallelForm.h), as the user said. Layers count from 0 in the
// order of the graph.
//
// Before: recognized moe operations. After: all decisions about ranks that do
// not depend on single experts are attributes, and none contradicts another.
//
//===----------------------------------------------------------------------===//

#include "passes/Passes.h"

#include "dialect/moe/MoeOps.h"
#include "passes/distribute/ParallelForm.h"
#include "passes/distribute/Sharding.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/Remarks.h"

namespace moe::pass {
#define GEN_PASS_DEF_CHOOSEPARALLELISMPASS
#include "passes/Passes.h.inc"
} // namespace moe::pass

using namespace mlir;
using namespace moe;
using namespace moe::dialect;
using namespace moe::solver;

namespace {
struct ChooseParallelism
    : moe::pass::impl::ChooseParallelismPassBase<ChooseParallelism> {
  using ChooseParallelismPassBase::ChooseParallelismPassBase;

  void runOnOperation() override {
    if (Status status = choose(); !status.isOk()) {
      getOperation().emitError() << status.message();
      signalPassFailure();
    }
  }

private:
  Status choose();
  StatusOr<MeshDegrees> chooseMesh() const;
  void setMesh(const MeshDegrees &mesh);
};
} // namespace

StatusOr<MeshDegrees> ChooseParallelism::chooseMesh() const {
  MeshDegrees given;
  if (!mesh.empty()) {
    StatusOr<MeshDegrees> parsed = parseMesh(mesh);
    MOE_RETURN_IF_ERROR(parsed.status().at("mesh"));
    given = *parsed;
  }
  StatusOr<MeshDegrees> chosen =
      completeMesh(given, mesh.empty() && ranks == 0 ? 1 : ranks);
  MOE_RETURN_IF_ERROR(chosen.status().at("mesh"));
  if (reduceExact && chosen->tp > 1)
    return Status(StatusCode::Usage,
                  "mesh: tp = " + std::to_string(chosen->tp) +
                      " splits sums over ranks, which --reduce=exact forbids");
  return *chosen;
}

void ChooseParallelism::setMesh(const MeshDegrees &mesh) {
  ModuleOp module = getOperation();
  module->setAttr(moe::pass::kMesh,
                  MeshAttr::get(&getContext(), mesh.dp, mesh.ep, mesh.tp));
  if (nodeSize > 0)
    module->setAttr(moe::pass::kNodeSize,
                    Builder(&getContext()).getI64IntegerAttr(nodeSize));
  mlir::remark::passed(
      module.getLoc(),
      mlir::remark::RemarkOpts::name("mesh").category("moe-choose-parallelism"))
      << "a mesh of " + toString(mesh);
}

Status ChooseParallelism::choose() {
  if (ranks < 0 || nodeSize < 0)
    return Status(StatusCode::Usage, "numbers of ranks are not negative");
  MOE_ASSIGN_OR_RETURN(MeshDegrees chosen, chooseMesh());
  StatusOr<LayerForms> forms = parseLayerForms(layerForm);
  MOE_RETURN_IF_ERROR(forms.status().at("layer-form"));
  FormLimits limits{chosen, nodeSize, reduceExact};
  setMesh(chosen);

  int64_t numLayers = 0;
  Status status;
  getOperation().walk([&](ExpertsOp op) {
    LayerForm form = forms->of(numLayers);
    status = checkForm(form, limits)
                 .at("layer-form: layer " + std::to_string(numLayers));
    if (!status.isOk())
      return WalkResult::interrupt();
    ++numLayers;
    if (DictionaryAttr attribute =
            moe::pass::toAttribute(&getContext(), form)) {
      op->setAttr(moe::pass::kForm, attribute);
      mlir::remark::passed(op.getLoc(),
                           mlir::remark::RemarkOpts::name("form").category(
                               "moe-choose-parallelism"))
          << "runs as the user said: " + toString(form);
    }
    return WalkResult::advance();
  });
  MOE_RETURN_IF_ERROR(status);
  return forms->checkLayers(numLayers).at("layer-form");
}
