//===- Experts.cpp - ffn and experts --------------------------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/kernels/cpu/ExpertNetworks.h"
#include "runtime/kernels/cpu/Kernels.h"
#include "runtime/plan/StepAttributes.h"

namespace moe::cpu {

namespace {

class FfnKernel : public NetworksKernel {
public:
  using NetworksKernel::NetworksKernel;
  StatusOr<size_t> workspaceBytes(const KernelArgs &args,
                                  int numThreads) const override;
  Status run(const KernelArgs &args, StepContext &context) const override;

private:
  StatusOr<Call> callOf(const KernelArgs &args,
                        const FfnOperands &operands) const;
};

class ExpertsKernel : public ExpertNetworks {
public:
  using ExpertNetworks::ExpertNetworks;
  StatusOr<size_t> workspaceBytes(const KernelArgs &args,
                                  int numThreads) const override;
  Status run(const KernelArgs &args, StepContext &context) const override;

private:
  StatusOr<Call> callOf(const KernelArgs &args,
                        const FfnOperands &operands) const;
};

} // namespace

//===----------------------------------------------------------------------===//
// ffn
//===----------------------------------------------------------------------===//

StatusOr<NetworksKernel::Call>
FfnKernel::callOf(const KernelArgs &args, const FfnOperands &operands) const {
  Call call;
  MOE_ASSIGN_OR_RETURN(call.sizes, operands.sizes(name, attributes.gating));
  call.wholeHidden = call.sizes.hidden;
  MOE_ASSIGN_OR_RETURN(int64_t networks, operands.numNetworks(name));
  if (networks >= 0)
    return badPlan("w1 has shape " + shapeText(*operands.w1) +
                   ", expected a matrix");
  call.x = &args.inputs[0];
  call.out = &args.outputs[0];
  MOE_RETURN_IF_ERROR(checkRows(call));
  call.inputRows = call.rows = productOf(*call.x, 0, call.x->rank - 1);
  return call;
}

StatusOr<size_t> FfnKernel::workspaceBytes(const KernelArgs &args,
                                           int numThreads) const {
  FfnOperands operands(args, 1);
  MOE_ASSIGN_OR_RETURN(Call call, callOf(args, operands));
  Scratch scratch;
  cut(scratch, call, operands, numThreads);
  return scratch.bytes();
}

Status FfnKernel::run(const KernelArgs &args, StepContext &context) const {
  FfnOperands operands(args, 1);
  MOE_ASSIGN_OR_RETURN(Call call, callOf(args, operands));
  return runCall(call, operands, context);
}

//===----------------------------------------------------------------------===//
// experts
//===----------------------------------------------------------------------===//

StatusOr<NetworksKernel::Call>
ExpertsKernel::callOf(const KernelArgs &args,
                      const FfnOperands &operands) const {
  const TensorView &counts = args.inputs[1];
  MOE_RETURN_IF_ERROR(expectRank(counts, 1, "counts"));
  MOE_RETURN_IF_ERROR(expectDType(counts, DType::I32, "counts"));
  MOE_RETURN_IF_ERROR(expectContiguous(counts, "counts"));
  MOE_ASSIGN_OR_RETURN(Call call, expertCall(args, operands, counts.dims[0]));
  call.counts = dataOf<int32_t>(counts);
  return call;
}

StatusOr<size_t> ExpertsKernel::workspaceBytes(const KernelArgs &args,
                                               int numThreads) const {
  FfnOperands operands(args, 2);
  MOE_ASSIGN_OR_RETURN(Call call, callOf(args, operands));
  Scratch scratch;
  cut(scratch, call, operands, numThreads);
  return scratch.bytes();
}

Status ExpertsKernel::run(const KernelArgs &args, StepContext &context) const {
  FfnOperands operands(args, 2);
  MOE_ASSIGN_OR_RETURN(Call call, callOf(args, operands));
  std::span counts(call.counts, static_cast<size_t>(call.networks));
  MOE_RETURN_IF_ERROR(checkNetworks(call, counts, operands, context.counters));
  return runCall(call, operands, context);
}

//===----------------------------------------------------------------------===//
// Registration
//===----------------------------------------------------------------------===//

static StatusOr<std::unique_ptr<Kernel>> createFfn(const KernelSpec &spec,
                                                   const Isa &isa) {
  MOE_RETURN_IF_ERROR(checkOperands(spec, 4, 7, 1));
  StepAttributes attributes(spec.step);
  MOE_ASSIGN_OR_RETURN(FfnAttributes parsed, FfnAttributes::parse(attributes));
  MOE_RETURN_IF_ERROR(attributes.checkAllRead());
  return std::unique_ptr<Kernel>(
      std::make_unique<FfnKernel>(spec, isa, parsed));
}

static StatusOr<std::unique_ptr<Kernel>> createExperts(const KernelSpec &spec,
                                                       const Isa &isa) {
  MOE_RETURN_IF_ERROR(checkOperands(spec, 5, 8, 1));
  StepAttributes attributes(spec.step);
  MOE_ASSIGN_OR_RETURN(ExpertConfig config,
                       ExpertConfig::parse(spec, attributes));
  MOE_RETURN_IF_ERROR(attributes.checkAllRead());
  return std::unique_ptr<Kernel>(
      std::make_unique<ExpertsKernel>(spec, isa, std::move(config)));
}

void registerFfn(KernelRegistry &registry, const Isa &isa) {
  registry.add("ffn",
               [&isa](const KernelSpec &spec) { return createFfn(spec, isa); },
               {"panel16", std::string(kQuantLayouts), "row"});
  registry.add(
      "experts",
      [&isa](const KernelSpec &spec) { return createExperts(spec, isa); },
      {"panel16", std::string(kQuantLayouts), "row"});
}

} // namespace moe::cpu
