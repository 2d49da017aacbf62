//===- RoutedExperts.cpp - routed_experts ---------------------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What the steps dispatch, experts and combine do, in one. No row of x is
// moved: products read the rows of an expert where their tokens have them.
//
//   experts [T, k]  -> rows of experts: which token each one is
//   x, w1, w3       -> hidden values of all rows
//   hidden, w2      -> outputs of all rows
//   outputs         -> out [T, N], of each token in the order of its choices,
//                      and a residual [T, N] on top if the step has one
//
// Items of the second and third line are as those of experts. If the outputs
// stay in the caches, the thread that computes the last ones of some columns
// mixes these columns of all tokens at once, and no thread waits for others in
// between. Many rows are mixed token by token, when all are there.
//
// All numbers are those of the three steps; the code is that of their kernels.
//
//===----------------------------------------------------------------------===//

#include "runtime/kernels/cpu/Dispatch.h"
#include "runtime/kernels/cpu/ExpertNetworks.h"
#include "runtime/kernels/cpu/Kernels.h"
#include "runtime/kernels/cpu/NetworkTiles.h"
#include "runtime/plan/Plan_generated.h"
#include "runtime/plan/StepAttributes.h"

#include <atomic>
#include <optional>

namespace moe::cpu {

namespace {

/// Inputs of the step. From kW1 on are the weights, as those of experts.
enum Operand : size_t { kX, kExperts, kMixWeights, kW1, kResidual = kW1 + 6 };
constexpr size_t kMaxInputs = kResidual + 1;

/// Bytes of outputs that caches keep until they are mixed.
constexpr int64_t kKeptBytes = 1 << 20;

/// Memory of one run.
struct Buffers {
  NetworkBuffers networks;
  int32_t *counts;    ///< rows of each expert
  int64_t *next;      ///< the next row of each expert
  int32_t *slots;     ///< [T, k] rows of choices
  int32_t *rowOf;     ///< tokens of rows
  int32_t *finished;  ///< by the first panel of a group: items that are done
  std::byte *outputs; ///< [rows, N]
  float *sums;        ///< of each thread: a token, and a row in f32
};

/// Some tokens, and what their experts have to do.
struct Pass {
  Interval tokens;
  std::span<const int32_t> experts; ///< the choices of the tokens
  std::span<NetworkPart> parts;
};

class RoutedExpertsKernel : public ExpertNetworks {
public:
  RoutedExpertsKernel(const KernelSpec &spec, const Isa &isa,
                      ExpertConfig config, int64_t numExperts)
      : ExpertNetworks(spec, isa, std::move(config)), numExperts(numExperts) {}
  StatusOr<size_t> workspaceBytes(const KernelArgs &args,
                                  int numThreads) const override;
  Status run(const KernelArgs &args, StepContext &context) const override;

private:
  Status checkNumExperts(const TensorView &w1) const;
  Status checkResidual(const TensorView &residual, const TensorView &out) const;
  StatusOr<Call> callOf(const KernelArgs &args,
                        const FfnOperands &operands) const;
  Buffers cutAll(Scratch &scratch, const Call &call,
                 const FfnOperands &operands, int numThreads) const;
  Pass takeTokens(const Call &call, const FfnOperands &operands,
                  const Buffers &buffers, std::span<const int32_t> experts,
                  Interval tokens) const;
  void mix(const KernelArgs &args, const Call &call, const Buffers &buffers,
           const Pass &pass, Interval tokens, Interval columns,
           int thread) const;
  void computeOutputs(const KernelArgs &args, const Call &call,
                      const Buffers &buffers, const Pass &pass, bool arePacked,
                      ThreadPool &pool) const;

  int64_t numExperts;
};

} // namespace

//===----------------------------------------------------------------------===//
// Operands and memory
//===----------------------------------------------------------------------===//

/// No tensor has a size of this number, which memory depends on: it must not
/// exceed the experts that have weights. Blocks are known when they are loaded.
Status RoutedExpertsKernel::checkNumExperts(const TensorView &w1) const {
  std::optional<int64_t> held = numHeld();
  if (!held && w1.rank == 3)
    held = w1.dims[0];
  else if (!held && !w1.blocks.empty())
    held = static_cast<int64_t>(w1.blocks.size());
  if (!held || numExperts <= *held)
    return Status::ok();
  return badPlan("num_experts is " + std::to_string(numExperts) +
                 ", but there are weights of " + std::to_string(*held));
}

Status RoutedExpertsKernel::checkResidual(const TensorView &residual,
                                          const TensorView &out) const {
  if (!residual.present())
    return Status::ok();
  MOE_RETURN_IF_ERROR(expectDType(residual, out.dtype, "residual"));
  MOE_RETURN_IF_ERROR(expectSameShape(residual, out, "residual and result"));
  return expectContiguous(residual, "residual");
}

StatusOr<NetworksKernel::Call>
RoutedExpertsKernel::callOf(const KernelArgs &args,
                            const FfnOperands &operands) const {
  const TensorView &experts = args.inputs[kExperts];
  const TensorView &weights = args.inputs[kMixWeights];
  MOE_RETURN_IF_ERROR(expectRank(experts, 2, "experts"));
  MOE_RETURN_IF_ERROR(expectDType(experts, DType::I32, "experts"));
  MOE_RETURN_IF_ERROR(expectContiguous(experts, "experts"));
  MOE_ASSIGN_OR_RETURN(Call call, expertCall(args, operands, numExperts));
  if (experts.dims[0] != call.inputRows || experts.numElements() > INT32_MAX)
    return badPlan("experts " + shapeText(experts) + " do not fit x " +
                   shapeText(*call.x));
  call.rows = experts.numElements();
  MOE_RETURN_IF_ERROR(checkNumExperts(*operands.w1));
  MOE_RETURN_IF_ERROR(checkResidual(inputOrAbsent(args, kResidual), *call.out));
  auto numbers = checkedMul(static_cast<uint64_t>(call.rows),
                            static_cast<uint64_t>(call.sizes.outputs));
  if (!numbers || *numbers > INT64_MAX / sizeof(float))
    return badPlan("the outputs of " + std::to_string(call.rows) +
                   " choices exceed all memory");
  call.rowsTogether = std::max<int64_t>(experts.dims[1], 1);
  if (!weights.present())
    return call;
  if (!isFloat(weights.dtype) || weights.dtype == DType::F64)
    return unsupported("weights of " + std::string(dtypeName(weights.dtype)));
  MOE_RETURN_IF_ERROR(expectContiguous(weights, "weights"));
  MOE_RETURN_IF_ERROR(expectSameShape(experts, weights, "experts and weights"));
  return call;
}

Buffers RoutedExpertsKernel::cutAll(Scratch &scratch, const Call &call,
                                    const FfnOperands &operands,
                                    int numThreads) const {
  Buffers buffers{};
  int64_t rows = passRows(call);
  buffers.counts = scratch.take<int32_t>(numExperts);
  buffers.next = scratch.take<int64_t>(numExperts);
  buffers.slots = scratch.take<int32_t>(rows);
  buffers.rowOf = scratch.take<int32_t>(rows);
  buffers.finished = scratch.take<int32_t>(call.sizes.outputPanels());
  buffers.outputs =
      scratch.take<std::byte>(rows * call.sizes.outputs *
                              static_cast<int64_t>(dtypeSize(call.out->dtype)));
  buffers.sums = scratch.take<float>(numThreads * 2 * call.sizes.outputs);
  buffers.networks = cut(scratch, call, operands, numThreads);
  return buffers;
}

StatusOr<size_t> RoutedExpertsKernel::workspaceBytes(const KernelArgs &args,
                                                     int numThreads) const {
  FfnOperands operands(args, kW1);
  MOE_ASSIGN_OR_RETURN(Call call, callOf(args, operands));
  Scratch scratch;
  cutAll(scratch, call, operands, numThreads);
  return scratch.bytes();
}

//===----------------------------------------------------------------------===//
// Rows
//===----------------------------------------------------------------------===//

/// Gives the choices of some tokens rows, and the experts their parts. The
/// choices were checked, and passes that are done cannot have changed them: no
/// buffer of a plan shares memory with one of another type.
Pass RoutedExpertsKernel::takeTokens(const Call &call,
                                     const FfnOperands &operands,
                                     const Buffers &buffers,
                                     std::span<const int32_t> experts,
                                     Interval tokens) const {
  Pass pass{};
  pass.tokens = tokens;
  size_t k = experts.size() / static_cast<size_t>(call.inputRows);
  pass.experts = experts.subspan(static_cast<size_t>(tokens.begin) * k,
                                 static_cast<size_t>(tokens.size()) * k);
  std::span counts(buffers.counts, static_cast<size_t>(numExperts));
  std::fill(counts.begin(), counts.end(), 0);
  for (int32_t expert : pass.experts)
    if (expert >= 0)
      ++counts[expert];
  assignRows(pass.experts, counts, buffers.next, buffers.slots);
  for (size_t i = 0; i < pass.experts.size(); ++i)
    if (buffers.slots[i] >= 0)
      buffers.rowOf[buffers.slots[i]] =
          static_cast<int32_t>(tokens.begin + static_cast<int64_t>(i / k));
  size_t numParts = 0;
  int64_t row = 0;
  for (int64_t e = 0; e < numExperts; ++e) {
    if (counts[e] > 0)
      buffers.networks.parts[numParts++] =
          partOf(call, operands, e, row, counts[e]);
    row += counts[e];
  }
  pass.parts = {buffers.networks.parts, numParts};
  return pass;
}

//===----------------------------------------------------------------------===//
// Outputs
//===----------------------------------------------------------------------===//

/// Adds up outputs of some tokens of the pass in some columns.
void RoutedExpertsKernel::mix(const KernelArgs &args, const Call &call,
                              const Buffers &buffers, const Pass &pass,
                              Interval tokens, Interval columns,
                              int thread) const {
  const TensorView &weights = args.inputs[kMixWeights];
  const TensorView &residual = inputOrAbsent(args, kResidual);
  DType dtype = call.out->dtype;
  int64_t size = static_cast<int64_t>(dtypeSize(dtype));
  int64_t width = call.sizes.outputs, k = args.inputs[kExperts].dims[1];
  MixedRows mixed{{buffers.outputs + columns.begin * size, dtype}, width, {}};
  mixed.out = call.out->as<std::byte>();
  if (residual.present())
    mixed.residual = {blockData(residual), dtype};
  if (weights.present())
    mixed.weights = {blockData(weights) +
                         pass.tokens.begin * k *
                             static_cast<int64_t>(dtypeSize(weights.dtype)),
                     weights.dtype};
  for (int64_t token = tokens.begin; token < tokens.end; ++token)
    mixed.write(isa, buffers.slots, token * k, k, columns.size(),
                (pass.tokens.begin + token) * width + columns.begin,
                buffers.sums + thread * 2 * width);
}

void RoutedExpertsKernel::computeOutputs(const KernelArgs &args,
                                         const Call &call,
                                         const Buffers &buffers,
                                         const Pass &pass, bool arePacked,
                                         ThreadPool &pool) const {
  int64_t width = call.sizes.outputs, k = args.inputs[kExperts].dims[1];
  int64_t rowBytes = width * static_cast<int64_t>(dtypeSize(call.out->dtype));
  int64_t tokens = pass.tokens.size();
  bool areKept = !pass.parts.empty() && tokens * k * rowBytes <= kKeptBytes;
  int32_t itemsOfGroup = 0;
  for (const NetworkPart &part : pass.parts)
    itemsOfGroup += static_cast<int32_t>(ceilDiv(part.rows, kRowBlock));
  std::fill_n(buffers.finished, call.sizes.outputPanels(), 0);
  forTiles(
      pool, pass.parts, flopsOf(pass.parts) / 2, arePacked, 1,
      [](const NetworkPart &part) { return part.sizes.outputPanels(); },
      [&](const NetworkPart &part, int64_t row, int64_t rows, Interval panels,
          int thread) {
        row += part.row;
        computeOutputTile(call, buffers.networks, part, row, rows, panels,
                          buffers.outputs + row * rowBytes, thread);
        if (!areKept)
          return;
        // Zeros are here before the pool hands out items. Every item releases
        // its outputs; the last one acquires those of all others, as additions
        // of other threads in between do not break what each has released.
        std::atomic_ref<int32_t> finished(buffers.finished[panels.begin]);
        if (finished.fetch_add(1, std::memory_order_acq_rel) + 1 ==
            itemsOfGroup)
          mix(args, call, buffers, pass, {0, tokens},
              {panels.begin * kPanel, std::min(width, panels.end * kPanel)},
              thread);
      });
  if (areKept)
    return;
  forRange(pool, tokens, 2.0 * static_cast<double>(k * width),
           [&](int64_t begin, int64_t end, int thread) {
             mix(args, call, buffers, pass, {begin, end}, {0, width}, thread);
           });
}

//===----------------------------------------------------------------------===//
// Running
//===----------------------------------------------------------------------===//

Status RoutedExpertsKernel::run(const KernelArgs &args,
                                StepContext &context) const {
  FfnOperands operands(args, kW1);
  MOE_ASSIGN_OR_RETURN(Call call, callOf(args, operands));
  ThreadPool &pool = context.pool;
  bool arePacked = operands.arePacked();
  Scratch scratch(context.workspace);
  Buffers buffers = cutAll(scratch, call, operands, pool.numThreads());
  if (!scratch.fits())
    return expectWorkspace(context, *scratch.bytes());
  std::span experts(dataOf<int32_t>(args.inputs[kExperts]),
                    static_cast<size_t>(call.rows));
  std::span counts(buffers.counts, static_cast<size_t>(numExperts));
  MOE_RETURN_IF_ERROR(countChoices(experts, call.rowsTogether, counts, name));
  MOE_RETURN_IF_ERROR(checkNetworks(call, counts, operands, context.counters));
  NetworkInput input = readInput(call, buffers.networks, call.inputRows, pool);
  input.rowOf = buffers.rowOf;
  int64_t each =
      call.rows > 0 ? passRows(call) / call.rowsTogether : call.inputRows;
  for (int64_t token = 0; token < call.inputRows; token += each) {
    Pass pass = takeTokens(call, operands, buffers, experts,
                           {token, std::min(call.inputRows, token + each)});
    context.counters.flops += static_cast<uint64_t>(flopsOf(pass.parts));
    computeHiddenRows(call, input, buffers.networks, /*begin=*/0, pass.parts,
                      arePacked, pool);
    computeOutputs(args, call, buffers, pass, arePacked, pool);
  }
  return Status::ok();
}

//===----------------------------------------------------------------------===//
// Registration
//===----------------------------------------------------------------------===//

static StatusOr<std::unique_ptr<Kernel>>
createRoutedExperts(const KernelSpec &spec, const Isa &isa) {
  MOE_RETURN_IF_ERROR(checkOperands(spec, kW1 + 3, kMaxInputs, 1));
  StepAttributes attributes(spec.step);
  MOE_ASSIGN_OR_RETURN(ExpertConfig config,
                       ExpertConfig::parse(spec, attributes));
  MOE_ASSIGN_OR_RETURN(int64_t numExperts, attributes.getInt("num_experts"));
  MOE_RETURN_IF_ERROR(attributes.checkAllRead());
  if (numExperts < 0 || numExperts > INT32_MAX)
    return attributes.error("num_experts", "is " + std::to_string(numExperts));
  return std::unique_ptr<Kernel>(std::make_unique<RoutedExpertsKernel>(
      spec, isa, std::move(config), numExperts));
}

void registerRoutedExperts(KernelRegistry &registry, const Isa &isa) {
  registry.add(
      "routed_experts",
      [&isa](const KernelSpec &spec) { return createRoutedExperts(spec, isa); },
      {"panel16", std::string(kQuantLayouts), "row"});
}

} // namespace moe::cpu
