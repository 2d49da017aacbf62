//===- EmitPlan.cpp - From a plan.program to a plan file ------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/emit/EmitPlan.h"

#include "dialect/plan/PlanDialect.h"
#include "passes/emit/ParamTable.h"
#include "runtime/params/ParamExpr.h"
#include "runtime/plan/PlanFile.h"
#include "runtime/plan/Plan_generated.h"

#include <filesystem>

using namespace mlir;
using namespace moe;
using namespace moe::pass;
using namespace moe::plan_dialect;

namespace fs = std::filesystem;

namespace {
/// Writes the blocks of one plan.
class WeightsWriter {
public:
  WeightsWriter(plan::ProgramT &program, const EmitOptions &options,
                PlanWriter &writer)
      : program(program), options(options), writer(writer) {}

  /// Fills in blocks of `program.params`, whose rows are `params` in order.
  Status run(ArrayRef<ParamOp> params);

private:
  Status embed(ArrayRef<ParamOp> params);
  Status embedBlock(plan::BlockT &block, StringRef layout,
                    dialect::ParamAttr value, const ParamEvaluator &evaluator,
                    uint32_t expr);
  Status refer(ArrayRef<ParamOp> params);
  void makeUp(ArrayRef<ParamOp> params);

  plan::ProgramT &program;
  const EmitOptions &options;
  PlanWriter &writer;
  uint64_t bytesDone = 0, bytesInAll = 0;
  /// Blocks that are one and the same are written once.
  DenseMap<std::pair<Attribute, Attribute>, plan::BlockT> written;
};
} // namespace

static dialect::ParamAttr valueOfBlock(ParamOp param, size_t i) {
  return dyn_cast<dialect::ParamAttr>(param.getBlocks()[i]);
}

static Status noValue(const plan::ParamT &param) {
  return Status(StatusCode::Internal,
                "weight '" + param.name + "' has no expression");
}

/// Where the model's files are as seen from the plan: nothing if in the same
/// folder, a relative folder if below, else an absolute one.
static std::string folderFromPlan(const EmitOptions &options) {
  std::error_code error;
  fs::path model = fs::weakly_canonical(options.modelFolder, error);
  fs::path plan =
      fs::weakly_canonical(fs::absolute(options.outputPath, error), error)
          .parent_path();
  fs::path relative = model.lexically_relative(plan);
  if (relative == ".")
    return "";
  bool isBelow = !relative.empty() && *relative.begin() != "..";
  return (isBelow ? relative : model).string() + "/";
}

//===----------------------------------------------------------------------===//
// The three modes
//===----------------------------------------------------------------------===//

Status WeightsWriter::embedBlock(plan::BlockT &block, StringRef layout,
                                 dialect::ParamAttr value,
                                 const ParamEvaluator &evaluator,
                                 uint32_t expr) {
  auto key = std::pair<Attribute, Attribute>(
      value, StringAttr::get(value.getContext(), layout));
  uint64_t bytes = block.bytes;
  if (auto it = written.find(key); it != written.end()) {
    block = it->second;
  } else {
    MOE_RETURN_IF_ERROR(writer.beginBlock());
    MOE_RETURN_IF_ERROR(streamPacked(evaluator, expr, layout.str(),
                                     [&](std::span<const std::byte> piece) {
                                       return writer.appendToBlock(piece);
                                     }));
    MOE_ASSIGN_OR_RETURN(block, writer.endBlock());
    written.try_emplace(key, block);
  }
  bytesDone += bytes;
  if (options.progress)
    options.progress(bytesDone, bytesInAll);
  return Status::ok();
}

Status WeightsWriter::embed(ArrayRef<ParamOp> params) {
  // The expressions are not part of the plan, only what they give.
  plan::ProgramT tables;
  ParamTable table(tables, options.modelFolder, "");
  std::vector<uint32_t> exprs;
  for (auto [row, op] : llvm::zip_equal(program.params, params))
    for (size_t i = 0; i < row->blocks.size(); ++i) {
      dialect::ParamAttr value = valueOfBlock(op, i);
      if (!value)
        return noValue(*row);
      MOE_ASSIGN_OR_RETURN(uint32_t expr, table.add(value));
      exprs.push_back(expr);
      bytesInAll += row->blocks[i]->bytes;
    }
  MOE_ASSIGN_OR_RETURN(ParamEvaluator evaluator,
                       ParamEvaluator::create(tables, {options.modelFolder}));
  size_t next = 0;
  for (auto [row, op] : llvm::zip_equal(program.params, params))
    for (size_t i = 0; i < row->blocks.size(); ++i) {
      Status status = embedBlock(*row->blocks[i], row->layout,
                                 valueOfBlock(op, i), evaluator, exprs[next++]);
      MOE_RETURN_IF_ERROR(status.at("weight '" + row->name + "'"));
    }
  return Status::ok();
}

Status WeightsWriter::refer(ArrayRef<ParamOp> params) {
  ParamTable table(program, options.modelFolder, folderFromPlan(options));
  for (auto [row, op] : llvm::zip_equal(program.params, params))
    for (size_t i = 0; i < row->blocks.size(); ++i) {
      dialect::ParamAttr value = valueOfBlock(op, i);
      if (!value)
        return noValue(*row);
      row->blocks[i]->source = plan::BlockSource_Reference;
      MOE_ASSIGN_OR_RETURN(row->blocks[i]->expr, table.add(value));
    }
  return Status::ok();
}

/// True if the value is read from a file and so says which weight it is.
static bool readsFile(dialect::ParamAttr value) {
  return value &&
         (value.getFile() || llvm::any_of(value.getOperands(), [](Attribute o) {
            return readsFile(cast<dialect::ParamAttr>(o));
          }));
}

/// A seed for each weight, so that no two are equal and none depends on others.
/// Blocks of one and the same weight, whole or in parts, have its seed.
void WeightsWriter::makeUp(ArrayRef<ParamOp> params) {
  uint64_t seed = options.seed;
  DenseMap<Attribute, uint64_t> known;
  for (auto [row, op] : llvm::zip_equal(program.params, params))
    for (size_t i = 0; i < row->blocks.size(); ++i) {
      plan::BlockT &block = *row->blocks[i];
      block.source = plan::BlockSource_Synthetic;
      // Weyl's sequence: distinct for 2^64 blocks.
      block.seed = seed += 0x9E3779B97F4A7C15;
      dialect::ParamAttr value = valueOfBlock(op, i);
      if (readsFile(value))
        block.seed = known.try_emplace(value, block.seed).first->second;
    }
}

Status WeightsWriter::run(ArrayRef<ParamOp> params) {
  switch (options.weights) {
  case WeightsMode::Embed:
    return embed(params);
  case WeightsMode::Reference:
    return refer(params);
  case WeightsMode::Synthetic:
    makeUp(params);
    return Status::ok();
  }
  return Status(StatusCode::Internal, "unknown weights mode");
}

//===----------------------------------------------------------------------===//
// The file
//===----------------------------------------------------------------------===//

Status moe::pass::emitPlan(ModuleOp module, const EmitOptions &options) {
  MOE_ASSIGN_OR_RETURN(plan::ProgramT program, exportProgram(module));
  program.model = options.modelName;
  auto op = *module.getOps<ProgramOp>().begin();
  SmallVector<ParamOp> params(op.getBody().getOps<ParamOp>());
  MOE_ASSIGN_OR_RETURN(PlanWriter writer,
                       PlanWriter::create(options.outputPath));
  MOE_RETURN_IF_ERROR(WeightsWriter(program, options, writer).run(params));
  return writer.finish(program);
}
