//===- Router.cpp - router ------------------------------------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What the steps matmul, gate and dispatch do, in one: the logits of a block of
// tokens are still in the first cache when its experts are chosen. All numbers
// are those of the three steps; the code is that of their kernels.
//
//   x, w, bias -> logits of 16..96 tokens -> their choices     shared by
//   threads choices    -> counts and slots                             one
//   thread tokens     -> rows, grouped by expert                      shared by
//   threads
//
// With too few tokens for that, threads share the columns of the product.
//
//===----------------------------------------------------------------------===//

#include "runtime/kernels/cpu/Dispatch.h"
#include "runtime/kernels/cpu/Gate.h"
#include "runtime/kernels/cpu/Kernels.h"
#include "runtime/kernels/cpu/Product.h"
#include "runtime/plan/StepAttributes.h"

#include <array>

namespace moe::cpu {

namespace {

/// Inputs of the step. Those of the gate behind its logits are next to each
/// other, in its order.
enum Operand : size_t {
  kX,
  kWeight,
  kBias,
  kSelectionBias,
  kExpertScale,
  kMixScores,
  kUsedToken,
  kTokens,
  kNumOperands
};
constexpr size_t kGateOperands = 5;
/// Results: weights, experts and, if rows are moved, rows, counts, slots.
constexpr size_t kGateResults = 2;
constexpr size_t kAllResults = 5;

/// Fewer tokens are no work item: products want several rows at a time.
constexpr int64_t kMinTokens = 16;

/// The operands of the gate and of dispatch.
struct Parts {
  std::array<TensorView, kGateOperands> gateInputs;
  std::array<TensorView, 2> dispatchInputs;
  KernelArgs gate, dispatch;
  RhsMatrix weight;
};

class RouterKernel : public CpuKernel {
public:
  RouterKernel(const KernelSpec &spec, const Isa &isa, GateConfig config,
               int64_t numExperts)
      : CpuKernel(spec, isa), gate(spec, isa, config, /*part=*/""),
        dispatch(spec, isa, numExperts) {}
  StatusOr<size_t> workspaceBytes(const KernelArgs &args,
                                  int numThreads) const override {
    Parts parts;
    MOE_RETURN_IF_ERROR(setParts(args, parts));
    Scratch scratch;
    cut(scratch, parts, numThreads);
    return scratch.bytes();
  }
  Status run(const KernelArgs &args, StepContext &context) const override;

private:
  struct Buffers {
    float *logits; ///< [T, E]
    float *tiles;  ///< for each thread, of a product with columns to spare
    float *panels; ///< for each thread, of a weight that is not packed
    int64_t panelsPerThread;
    Routing routing;
    DispatchKernel::Buffers dispatch;
  };
  static bool moves(const KernelArgs &args) {
    return args.outputs.size() == kAllResults;
  }
  Status setParts(const KernelArgs &args, Parts &parts) const;
  StatusOr<RhsMatrix> weightOf(const KernelArgs &args) const;
  Buffers cut(Scratch &scratch, const Parts &parts, int numThreads) const;
  void multiply(const KernelArgs &args, const Parts &parts,
                const Buffers &buffers, int64_t token, int64_t tokens,
                int64_t panel, int64_t panels, int thread) const;
  void choose(const KernelArgs &args, const Parts &parts,
              const Buffers &buffers, ThreadPool &pool) const;

  GateKernel gate;
  DispatchKernel dispatch;
};

} // namespace

//===----------------------------------------------------------------------===//
// Operands
//===----------------------------------------------------------------------===//

StatusOr<RhsMatrix> RouterKernel::weightOf(const KernelArgs &args) const {
  const TensorView &x = args.inputs[kX], &w = args.inputs[kWeight];
  const TensorView &bias = args.inputs[kBias];
  MOE_RETURN_IF_ERROR(expectRank(x, 2, "x"));
  MOE_RETURN_IF_ERROR(expectRank(w, 2, "weight"));
  MOE_RETURN_IF_ERROR(expectDType(x, DType::F32, "x"));
  MOE_RETURN_IF_ERROR(expectContiguous(x, "x"));
  if (x.dims[1] != w.dims[0])
    return badPlan("x " + shapeText(x) + " does not fit the weight " +
                   shapeText(w));
  if (bias.present()) {
    MOE_RETURN_IF_ERROR(expectContiguous(bias, "bias"));
    MOE_RETURN_IF_ERROR(expectDType(bias, DType::F32, "bias"));
    if (bias.rank != 1 || bias.dims[0] != w.dims[1])
      return badPlan("bias has shape " + shapeText(bias) + ", expected [" +
                     std::to_string(w.dims[1]) + "]");
  }
  std::optional<RhsStorage> storage = RhsStorage::of(w.layout);
  bool isReadable = storage && w.dtype != DType::F64 && isFloat(w.dtype);
  if (isReadable && storage->kind == RhsStorage::Kind::Codes)
    isReadable = QuantPanel::of(storage->format, w.dims[0]).isOk();
  if (!isReadable)
    return badPlan("weight of layout '" + std::string(w.layout) +
                   "' cannot be read");
  RhsMatrix rhs;
  rhs.data = blockData(w);
  rhs.dtype = w.dtype;
  rhs.storage = *storage;
  rhs.depth = w.dims[0];
  rhs.columns = w.dims[1];
  rhs.depthStride = w.strides[0];
  rhs.columnStride = w.strides[1];
  return rhs;
}

Status RouterKernel::setParts(const KernelArgs &args, Parts &parts) const {
  MOE_ASSIGN_OR_RETURN(parts.weight, weightOf(args));
  TensorView &logits = parts.gateInputs[0];
  logits.dtype = DType::F32;
  logits.rank = 2;
  logits.dims[0] = args.inputs[kX].dims[0];
  logits.dims[1] = parts.weight.columns;
  logits.setContiguous();
  auto others = args.inputs.subspan(kSelectionBias, kGateOperands - 1);
  bool hasOthers = std::any_of(others.begin(), others.end(),
                               [](auto &view) { return view.present(); });
  if (hasOthers)
    std::copy(others.begin(), others.end(), &parts.gateInputs[1]);
  parts.gate = {
      std::span(parts.gateInputs).first(hasOthers ? kGateOperands : 1),
      args.outputs.first(kGateResults)};
  MOE_RETURN_IF_ERROR(gate.check(parts.gate));
  if (!moves(args))
    return Status::ok();
  parts.dispatchInputs = {args.inputs[kTokens], args.outputs[1]};
  parts.dispatch = {parts.dispatchInputs, args.outputs.subspan(kGateResults)};
  return dispatch.check(parts.dispatch);
}

RouterKernel::Buffers RouterKernel::cut(Scratch &scratch, const Parts &parts,
                                        int numThreads) const {
  Buffers buffers{};
  buffers.logits = scratch.take<float>(parts.gateInputs[0].numElements());
  if (parts.weight.columns % kPanel != 0)
    buffers.tiles = scratch.take<float>(numThreads * kRowBlock *
                                        roundUp(parts.weight.columns, kPanel));
  buffers.panelsPerThread =
      panelScratch(parts.weight.storage.isPacked(), parts.weight.depth,
                   parts.weight.panels());
  buffers.panels = scratch.take<float>(numThreads * buffers.panelsPerThread);
  buffers.routing = gate.cut(scratch, parts.gate, numThreads);
  if (!parts.dispatch.inputs.empty())
    buffers.dispatch = dispatch.cut(scratch, parts.dispatch, numThreads);
  return buffers;
}

//===----------------------------------------------------------------------===//
// Running
//===----------------------------------------------------------------------===//

/// Logits of `tokens` tokens for the experts of `panels` panels.
void RouterKernel::multiply(const KernelArgs &args, const Parts &parts,
                            const Buffers &buffers, int64_t token,
                            int64_t tokens, int64_t panel, int64_t panels,
                            int thread) const {
  const RhsMatrix &weight = parts.weight;
  int64_t column = panel * kPanel;
  int64_t columns = std::min(panels * kPanel, weight.columns - column);
  bool isDirect = columns % kPanel == 0;
  int64_t padded = roundUp(weight.columns, kPanel);
  float *logits = buffers.logits + token * weight.columns + column;
  ProductRows product;
  product.a = dataOf<float>(args.inputs[kX]) + token * weight.depth;
  product.aStride = weight.depth;
  product.rows = tokens;
  product.c = isDirect ? logits : buffers.tiles + thread * kRowBlock * padded;
  product.cStride = isDirect ? weight.columns : padded;
  multiplyPanels(isa, weight, panel, panels, product,
                 buffers.panels + thread * buffers.panelsPerThread);
  const TensorView &bias = args.inputs[kBias];
  for (int64_t t = 0; t < tokens; ++t) {
    float *values = product.c + t * product.cStride;
    if (bias.present())
      isa.axpyRow(1.0f, dataOf<float>(bias) + column, values, columns);
    if (!isDirect)
      std::copy_n(values, columns, logits + t * weight.columns);
  }
}

void RouterKernel::choose(const KernelArgs &args, const Parts &parts,
                          const Buffers &buffers, ThreadPool &pool) const {
  const Routing &routing = buffers.routing;
  int64_t panels = parts.weight.panels();
  double work = 2.0 * static_cast<double>(parts.weight.depth) *
                static_cast<double>(routing.tokens) *
                static_cast<double>(routing.experts);
  // As many items for each thread.
  int64_t items = roundUp(ceilDiv(routing.tokens, kRowBlock),
                          int64_t(2) * pool.numThreads());
  int64_t each = ceilDiv(routing.tokens, items);
  if (each >= kMinTokens || pool.numThreads() == 1) {
    int64_t size = std::max(each, kMinTokens);
    forItems(pool, ceilDiv(routing.tokens, size), work,
             [&](int64_t item, int thread) {
               int64_t begin = item * size;
               int64_t end = std::min(routing.tokens, begin + size);
               multiply(args, parts, buffers, begin, end - begin, 0, panels,
                        thread);
               for (int64_t token = begin; token < end; ++token)
                 gate.route(routing, token, thread);
             });
    return;
  }
  int64_t size = groupPanels(
      {panels, routing.tokens, ceilDiv(routing.tokens, kRowBlock),
       std::min(routing.tokens, kRowBlock), parts.weight.storage.isPacked()},
      pool.numThreads());
  int64_t groups = ceilDiv(panels, size);
  int64_t blocks = ceilDiv(routing.tokens, kRowBlock);
  forItems(pool, groups * blocks, work, [&](int64_t item, int thread) {
    int64_t begin = item % blocks * kRowBlock, panel = item / blocks * size;
    multiply(args, parts, buffers, begin,
             std::min(kRowBlock, routing.tokens - begin), panel,
             std::min(size, panels - panel), thread);
  });
  gate.routeAll(routing, pool);
}

Status RouterKernel::run(const KernelArgs &args, StepContext &context) const {
  Parts parts;
  MOE_RETURN_IF_ERROR(setParts(args, parts));
  Scratch scratch(context.workspace);
  Buffers buffers = cut(scratch, parts, context.pool.numThreads());
  if (!scratch.fits())
    return expectWorkspace(context, *scratch.bytes());
  parts.gateInputs[0].data = buffers.logits;
  gate.load(parts.gate, context.pool, buffers.routing);
  context.counters.flops += 2 * static_cast<uint64_t>(parts.weight.depth) *
                            buffers.routing.tokens * buffers.routing.experts;
  if (buffers.routing.tokens > 0)
    choose(args, parts, buffers, context.pool);
  MOE_RETURN_IF_ERROR(gate.drop(buffers.routing, context));
  if (!moves(args))
    return Status::ok();
  return dispatch.move(parts.dispatch, buffers.dispatch, context);
}

//===----------------------------------------------------------------------===//
// Registration
//===----------------------------------------------------------------------===//

static StatusOr<std::unique_ptr<Kernel>> createRouter(const KernelSpec &spec,
                                                      const Isa &isa) {
  size_t results =
      spec.step.outputs.size() == kGateResults ? kGateResults : kAllResults;
  MOE_RETURN_IF_ERROR(checkOperands(spec, kNumOperands, kNumOperands, results));
  StepAttributes attributes(spec.step);
  MOE_ASSIGN_OR_RETURN(GateConfig config, GateConfig::parse(attributes));
  int64_t numExperts = 0;
  if (results == kAllResults) {
    MOE_ASSIGN_OR_RETURN(numExperts, attributes.getInt("num_experts"));
  }
  MOE_RETURN_IF_ERROR(attributes.checkAllRead());
  if (numExperts < 0)
    return attributes.error("num_experts", "is " + std::to_string(numExperts));
  return std::unique_ptr<Kernel>(
      std::make_unique<RouterKernel>(spec, isa, config, numExperts));
}

void registerRouter(KernelRegistry &registry, const Isa &isa) {
  registry.add(
      "router",
      [&isa](const KernelSpec &spec) { return createRouter(spec, isa); },
      {"panel16", std::string(kQuantLayouts), "row"});
}

} // namespace moe::cpu
