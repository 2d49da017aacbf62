//===- Gate.cpp - gate ----------------------------------------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/kernels/cpu/Gate.h"
#include "runtime/kernels/cpu/Kernels.h"
#include "runtime/plan/StepAttributes.h"

namespace moe::cpu {

//===----------------------------------------------------------------------===//
// Operands
//===----------------------------------------------------------------------===//

Status GateKernel::checkOperand(const KernelArgs &args, size_t i,
                                const char *operand,
                                std::initializer_list<int64_t> dims) const {
  const TensorView &view = inputOrAbsent(args, i);
  if (!view.present())
    return Status::ok();
  MOE_RETURN_IF_ERROR(expectContiguous(view, operand));
  if (view.rank != static_cast<int>(dims.size()) ||
      !std::equal(dims.begin(), dims.end(), view.dims) ||
      !(isFloat(view.dtype) || i == 4))
    return badPlan("operand '" + std::string(operand) + "' has shape " +
                   shapeText(view) + ", which does not fit the logits " +
                   shapeText(args.inputs[0]));
  return Status::ok();
}

Status GateKernel::check(const KernelArgs &args) const {
  const TensorView &logits = args.inputs[0];
  MOE_RETURN_IF_ERROR(expectRank(logits, 2, "logits"));
  int64_t tokens = logits.dims[0], experts = logits.dims[1];
  MOE_RETURN_IF_ERROR(checkOperand(args, 0, "logits", {tokens, experts}));
  MOE_RETURN_IF_ERROR(checkOperand(args, 1, "selection_bias", {experts}));
  MOE_RETURN_IF_ERROR(checkOperand(args, 2, "expert_scale", {experts}));
  MOE_RETURN_IF_ERROR(checkOperand(args, 3, "mix_scores", {tokens, experts}));
  MOE_RETURN_IF_ERROR(checkOperand(args, 4, "used_token", {tokens}));
  const TensorView &used = inputOrAbsent(args, 4);
  if (used.present())
    MOE_RETURN_IF_ERROR(expectDType(used, DType::Bool, "used_token"));
  if (config.k > experts || experts % config.numGroups != 0)
    return badPlan("cannot choose " + std::to_string(config.k) + " of " +
                   std::to_string(experts) + " experts in " +
                   std::to_string(config.numGroups) + " groups");
  MOE_RETURN_IF_ERROR(expectDType(args.outputs[0], DType::F32, "weights"));
  MOE_RETURN_IF_ERROR(expectDType(args.outputs[1], DType::I32, "experts"));
  for (const TensorView &out : args.outputs) {
    if (out.rank != 2 || out.dims[0] != tokens || out.dims[1] != config.k)
      return badPlan("a result has shape " + shapeText(out) + ", expected [" +
                     std::to_string(tokens) + ", " + std::to_string(config.k) +
                     "]");
    MOE_RETURN_IF_ERROR(expectContiguous(out, "result"));
  }
  return Status::ok();
}

Routing GateKernel::cut(Scratch &scratch, const KernelArgs &args,
                        int numThreads) const {
  Routing routing;
  routing.tokens = args.inputs[0].dims[0];
  routing.experts = args.inputs[0].dims[1];
  auto buffer = [&](size_t i) -> float * {
    const TensorView &view = inputOrAbsent(args, i);
    return view.present() && view.dtype != DType::F32
               ? scratch.take<float>(view.numElements())
               : nullptr;
  };
  routing.logitsBuffer = buffer(0);
  routing.biasBuffer = buffer(1);
  routing.scaleBuffer = buffer(2);
  routing.mixBuffer = buffer(3);
  routing.threads = scratch.take<Rows>(numThreads);
  for (int i = 0; i < numThreads; ++i) {
    Rows rows{scratch.take<float>(routing.experts),
              scratch.take<float>(routing.experts),
              scratch.take<float>(routing.experts)};
    if (routing.threads)
      routing.threads[i] = rows;
  }
  routing.dropping = dropping.cut(scratch, routing.tokens, routing.experts);
  routing.competitors = routing.dropping.competitors;
  return routing;
}

void GateKernel::load(const KernelArgs &args, ThreadPool &pool,
                      Routing &routing) const {
  auto read = [&](size_t i, float *buffer) -> const float * {
    const TensorView &view = inputOrAbsent(args, i);
    if (!view.present())
      return nullptr;
    if (!buffer)
      return dataOf<float>(view);
    convertToF32(pool, isa, view, buffer);
    return buffer;
  };
  routing.logits = read(0, routing.logitsBuffer);
  routing.selectionBias = read(1, routing.biasBuffer);
  routing.expertScale = read(2, routing.scaleBuffer);
  routing.mixScores = read(3, routing.mixBuffer);
  const TensorView &used = inputOrAbsent(args, 4);
  routing.usedToken = used.present() ? dataOf<uint8_t>(used) : nullptr;
  routing.weights = args.outputs[0].as<float>();
  routing.chosen = args.outputs[1].as<int32_t>();
}

//===----------------------------------------------------------------------===//
// Running
//===----------------------------------------------------------------------===//

/// How ranks divide the tokens that compete, of which this one has `tokens`.
StatusOr<RowsOfRanks> GateKernel::rowsOf(const StepContext &context,
                                         int64_t tokens) const {
  RowsOfRanks rows;
  if (part.empty()) {
    rows.whole = tokens;
    return rows;
  }
  MOE_ASSIGN_OR_RETURN(rows.begins, partBegins(context, part, numRanks));
  int rank = context.comm.rank();
  int64_t units = rows.begins[rank + 1] - rows.begins[rank];
  if (units > 0 ? tokens % units != 0 : tokens != 0)
    return badPlan("this rank's part has " + std::to_string(units) +
                   " of the logits' " + std::to_string(tokens) + " rows");
  // Without rows, there is nothing to decide here and no size is needed.
  rows.each = units > 0 ? tokens / units : 0;
  auto whole = checkedMul(rows.begins.back(), rows.each);
  if (!whole)
    return badPlan("the rows of all ranks overflow 64 bits");
  rows.whole = *whole;
  return rows;
}

/// Calls body(token, thread) for every token.
template <typename Body>
static void forTokens(const Routing &routing, ThreadPool &pool, Body body) {
  forRange(pool, routing.tokens, 20.0 * static_cast<double>(routing.experts),
           [&](int64_t begin, int64_t end, int thread) {
             for (int64_t token = begin; token < end; ++token)
               body(token, thread);
           });
}

void GateKernel::routeAll(const Routing &routing, ThreadPool &pool) const {
  forTokens(routing, pool,
            [&](int64_t token, int thread) { route(routing, token, thread); });
}

Status GateKernel::drop(const Routing &routing, StepContext &context) const {
  if (!drops())
    return Status::ok();
  MOE_ASSIGN_OR_RETURN(RowsOfRanks rowsOfRanks,
                       rowsOf(context, routing.tokens));
  MOE_RETURN_IF_ERROR(
      dropping.run(routing, rowsOfRanks, routing.dropping, context));
  forTokens(routing, context.pool, [&](int64_t token, int) {
    if (config.normalizeAfterDrop && routing.isUsed(token))
      normalize(routing, token);
    finish(routing, token);
  });
  return Status::ok();
}

StatusOr<size_t> GateKernel::workspaceBytes(const KernelArgs &args,
                                            int numThreads) const {
  MOE_RETURN_IF_ERROR(check(args));
  Scratch scratch;
  cut(scratch, args, numThreads);
  return scratch.bytes();
}

Status GateKernel::run(const KernelArgs &args, StepContext &context) const {
  MOE_RETURN_IF_ERROR(check(args));
  Scratch scratch(context.workspace);
  Routing routing = cut(scratch, args, context.pool.numThreads());
  if (!scratch.fits())
    return expectWorkspace(context, *scratch.bytes());
  load(args, context.pool, routing);
  routeAll(routing, context.pool);
  return drop(routing, context);
}

static StatusOr<std::unique_ptr<Kernel>> createGate(const KernelSpec &spec,
                                                    const Isa &isa) {
  MOE_RETURN_IF_ERROR(checkOperands(spec, 1, 5, 2));
  StepAttributes attributes(spec.step);
  MOE_ASSIGN_OR_RETURN(GateConfig config, GateConfig::parse(attributes));
  MOE_ASSIGN_OR_RETURN(std::string part, attributes.getString("part", ""));
  MOE_RETURN_IF_ERROR(attributes.checkAllRead());
  if (!part.empty() && config.dropPolicy == DropPolicy::None)
    return attributes.error("part", "needs a drop policy");
  return std::unique_ptr<Kernel>(
      std::make_unique<GateKernel>(spec, isa, config, std::move(part)));
}

void registerGate(KernelRegistry &registry, const Isa &isa) {
  registry.add(
      "gate", [&isa](const KernelSpec &spec) { return createGate(spec, isa); });
}

} // namespace moe::cpu
