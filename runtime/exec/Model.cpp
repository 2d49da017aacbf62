//===- Model.cpp - A loaded plan ------------------------------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "moe/Session.h"
#include "runtime/exec/Executable.h"
#include "runtime/exec/Guarded.h"
#include "runtime/plan/PlanFile.h"

using namespace moe;

namespace {
/// Weights refer to the plan, so the two live together.
struct OpenPlan {
  PlanFile file;
  std::unique_ptr<WeightStore> weights;
};
} // namespace

static StatusOr<std::shared_ptr<Model>> loadModel(const std::string &path,
                                                  const LoadOptions &options) {
  auto plan = std::make_shared<OpenPlan>();
  MOE_ASSIGN_OR_RETURN(plan->file, PlanFile::open(path));
  WeightStoreOptions storeOptions;
  storeOptions.verifyFull = options.verification == WeightVerification::Full;
  storeOptions.weightFolders = options.weightFolders;
  if (options.weightMemoryLimit > 0)
    storeOptions.memoryLimit = options.weightMemoryLimit;
  MOE_ASSIGN_OR_RETURN(plan->weights,
                       WeightStore::create(plan->file, storeOptions));
  auto load = [plan](std::span<const WeightRequest> requests) {
    return plan->weights->load(requests);
  };
  std::shared_ptr<const plan::ProgramT> program(plan, &plan->file.program());
  StatusOr<std::shared_ptr<Executable>> executable =
      Executable::create(program, cpuKernels(), load, options.onlyRank);
  if (!executable.isOk())
    return executable.status().at(path);
  return std::make_shared<Model>(*std::move(executable));
}

StatusOr<std::shared_ptr<Model>> Model::load(const std::string &path,
                                             const LoadOptions &options) {
  return guarded([&] { return loadModel(path, options); });
}

static std::vector<PortInfo>
describePorts(const Executable &executable,
              const std::vector<std::unique_ptr<plan::PortT>> &ports) {
  std::vector<PortInfo> result;
  for (const auto &port : ports) {
    PortInfo info{
        port->name, static_cast<DType>(port->dtype), {}, port->state >= 0};
    for (uint32_t expr : port->dims)
      info.dims.push_back(executable.exprs.text(expr));
    result.push_back(std::move(info));
  }
  return result;
}

Model::Model(std::shared_ptr<Executable> executable)
    : theExecutable(std::move(executable)),
      theInputs(describePorts(*theExecutable, theExecutable->program->inputs)),
      theOutputs(
          describePorts(*theExecutable, theExecutable->program->outputs)) {
  for (const auto &symbol : theExecutable->program->symbols)
    if (symbol->kind == plan::SymbolKind_Input)
      theSymbols.push_back({symbol->name, symbol->default_max});
}

Model::~Model() = default;

int Model::numRanks() const { return theExecutable->numRanks(); }
int Model::numSteps() const { return theExecutable->numSteps(); }
const std::string &Model::name() const { return theExecutable->program->model; }

int Model::numRepackedParams() const { return theExecutable->numRepacked(); }

std::string Model::stepKernel(int step) const {
  return theExecutable->program->steps[step]->kernel;
}

std::vector<std::string> Model::stepNodes(int step) const {
  std::vector<std::string> names;
  for (uint32_t node : theExecutable->program->steps[step]->nodes)
    if (node < theExecutable->program->nodes.size())
      names.push_back(theExecutable->program->nodes[node]);
  return names;
}

StatusOr<std::vector<int64_t>>
Model::shapeOf(const PortInfo &port,
               const std::map<std::string, int64_t> &values) const {
  SymbolValues known(values.begin(), values.end());
  std::vector<int64_t> shape;
  for (const std::string &text : port.dims) {
    MOE_ASSIGN_OR_RETURN(DimExpr expr, DimExpr::parse(text));
    for (const std::string &symbol : expr.symbols())
      if (!known.count(symbol))
        return Status(StatusCode::Usage, "symbol \"" + symbol +
                                             "\" has no value, but \"" +
                                             port.name + "\" has size " + text);
    MOE_ASSIGN_OR_RETURN(int64_t size, expr.evaluate(known));
    shape.push_back(size);
  }
  return shape;
}
