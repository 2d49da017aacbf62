//===- Experts.cpp - ffn and experts --------------------------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/kernels/cpu/Kernels.h"
#include "runtime/kernels/cpu/Networks.h"
#include "runtime/plan/Plan_generated.h"
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

class ExpertsKernel : public NetworksKernel {
public:
  ExpertsKernel(const KernelSpec &spec, const Isa &isa,
                FfnAttributes attributes, int64_t sliceUnit,
                std::vector<LocalExpert> held, int64_t numExperts)
      : NetworksKernel(spec, isa, attributes), sliceUnit(sliceUnit),
        held(std::move(held)), numExperts(numExperts) {}
  StatusOr<size_t> workspaceBytes(const KernelArgs &args,
                                  int numThreads) const override;
  Status run(const KernelArgs &args, StepContext &context) const override;

private:
  StatusOr<Call> callOf(const KernelArgs &args,
                        const FfnOperands &operands) const;
  FfnOperands::Index indexOf(int64_t local) const override;
  Status checkNetworks(const Call &call, const FfnOperands &operands) const;

  int64_t sliceUnit; ///< hidden values that slices keep together
  /// Experts of this rank in the order of counts, if experts are placed.
  std::vector<LocalExpert> held;
  int64_t numExperts; ///< of all ranks; -1 if experts are not placed
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
  call.rows = productOf(*call.x, 0, call.x->rank - 1);
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
  Call call;
  MOE_ASSIGN_OR_RETURN(call.sizes, operands.sizes(name, attributes.gating));
  call.wholeHidden = call.sizes.hidden;
  if (numExperts >= 0) {
    call.sizes.hidden = 0;
    for (size_t i = 0; i < held.size(); ++i)
      call.sizes.hidden = std::max(
          call.sizes.hidden,
          indexOf(static_cast<int64_t>(i)).hiddenOf(call.wholeHidden).size());
  }
  call.x = &args.inputs[0];
  call.out = &args.outputs[0];
  MOE_RETURN_IF_ERROR(expectRank(*call.x, 2, "rows"));
  MOE_RETURN_IF_ERROR(checkRows(call));
  const TensorView &counts = args.inputs[1];
  MOE_RETURN_IF_ERROR(expectRank(counts, 1, "counts"));
  MOE_RETURN_IF_ERROR(expectDType(counts, DType::I32, "counts"));
  MOE_RETURN_IF_ERROR(expectContiguous(counts, "counts"));
  call.rows = call.x->dims[0];
  call.networks = counts.dims[0];
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

FfnOperands::Index ExpertsKernel::indexOf(int64_t local) const {
  if (numExperts < 0 || local >= static_cast<int64_t>(held.size()))
    return {local, local, numExperts};
  const LocalExpert &expert = held[local];
  return {local,        expert.expert,    numExperts,
          expert.slice, expert.numSlices, sliceUnit};
}

/// Whether the weights are here that the rows need.
Status ExpertsKernel::checkNetworks(const Call &call,
                                    const FfnOperands &operands) const {
  int64_t numHeld = static_cast<int64_t>(held.size());
  for (int64_t i = 0; i < call.networks; ++i) {
    if (call.counts[i] <= 0)
      continue;
    if ((numExperts >= 0 && i >= numHeld) || !operands.has(indexOf(i)))
      return badPlan("rows for expert " + std::to_string(i) +
                     " of this rank, whose weights are not here");
    if (!operands.haveSlices(call.wholeHidden, attributes.gating, indexOf(i)))
      return badPlan("the weights of expert " + std::to_string(i) +
                     " of this rank are not those of its slice");
  }
  return Status::ok();
}

Status ExpertsKernel::run(const KernelArgs &args, StepContext &context) const {
  FfnOperands operands(args, 2);
  MOE_ASSIGN_OR_RETURN(Call call, callOf(args, operands));
  MOE_RETURN_IF_ERROR(checkNetworks(call, operands));
  for (int64_t i = 0; i < call.networks; ++i)
    if (call.counts[i] > 0 && indexOf(i).slice == 0)
      context.counters.expertRows += call.counts[i];
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

/// The attribute "slice_unit": whole panels.
static StatusOr<int64_t> parseSliceUnit(StepAttributes &attributes) {
  MOE_ASSIGN_OR_RETURN(int64_t unit, attributes.getInt("slice_unit", kPanel));
  if (unit < kPanel || unit % kPanel != 0)
    return attributes.error("slice_unit", "is " + std::to_string(unit) +
                                              ", expected a multiple of " +
                                              std::to_string(kPanel));
  return unit;
}

static StatusOr<std::unique_ptr<Kernel>> createExperts(const KernelSpec &spec,
                                                       const Isa &isa) {
  MOE_RETURN_IF_ERROR(checkOperands(spec, 5, 8, 1));
  StepAttributes attributes(spec.step);
  MOE_ASSIGN_OR_RETURN(FfnAttributes parsed, FfnAttributes::parse(attributes));
  MOE_ASSIGN_OR_RETURN(int64_t sliceUnit, parseSliceUnit(attributes));
  MOE_RETURN_IF_ERROR(attributes.checkAllRead());
  std::vector<LocalExpert> held;
  int64_t numExperts = -1;
  if (spec.layer && !spec.layer->places.empty()) {
    held = localExperts(*spec.layer, spec.rank);
    numExperts = spec.layer->experts;
  }
  return std::unique_ptr<Kernel>(std::make_unique<ExpertsKernel>(
      spec, isa, parsed, sliceUnit, std::move(held), numExperts));
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
