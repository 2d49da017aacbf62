//===- Gate.cpp - gate ----------------------------------------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Three phases: each token chooses its experts (in parallel), experts that
// overflow drop tokens (GateDrop.h), and the weights are finished. Without
// capacity, a token is done at once.
//
// With `part`, ranks divide the tokens, and those of all compete.
//
//===----------------------------------------------------------------------===//

#include "runtime/kernels/cpu/Element.h"
#include "runtime/kernels/cpu/GateDrop.h"
#include "runtime/kernels/cpu/Kernels.h"
#include "runtime/kernels/cpu/Support.h"
#include "runtime/plan/StepAttributes.h"

#include <cmath>
#include <limits>

namespace moe::cpu {

namespace {

constexpr float kMinusInfinity = -std::numeric_limits<float>::infinity();

/// Memory of one thread, each [E].
struct Rows {
  float *score, *selection, *other;
};

/// All operands as f32 (or null), and the memory of the run.
struct Routing : Choices {
  const float *logits = nullptr, *selectionBias = nullptr,
              *expertScale = nullptr, *mixScores = nullptr;
  const uint8_t *usedToken = nullptr;

  // Converted operands.
  float *logitsBuffer, *biasBuffer, *scaleBuffer, *mixBuffer;
  Rows *threads;
  DropMemory dropping;

  bool isUsed(int64_t token) const { return !usedToken || usedToken[token]; }
};

class GateKernel : public CpuKernel {
public:
  GateKernel(const KernelSpec &spec, const Isa &isa, GateConfig config,
             std::string part)
      : CpuKernel(spec, isa), config(config), part(std::move(part)),
        dropping(config, /*isDivided=*/!this->part.empty(), spec.rank,
                 spec.numRanks),
        numRanks(spec.numRanks) {}
  StatusOr<size_t> workspaceBytes(const KernelArgs &args,
                                  int numThreads) const override {
    MOE_RETURN_IF_ERROR(check(args));
    Scratch scratch;
    cut(scratch, args, numThreads);
    return scratch.bytes();
  }
  Status run(const KernelArgs &args, StepContext &context) const override;

private:
  Status check(const KernelArgs &args) const;
  Status checkOperand(const KernelArgs &args, size_t i, const char *operand,
                      std::initializer_list<int64_t> dims) const;
  Routing cut(Scratch &scratch, const KernelArgs &args, int numThreads) const;
  StatusOr<RowsOfRanks> rowsOf(const StepContext &context,
                               int64_t tokens) const;

  void choose(const Routing &routing, int64_t token, const Rows &rows) const;
  void mixSparsely(const Routing &routing, int64_t token,
                   const Rows &rows) const;
  void limitGroups(float *selection, float *groups, int64_t experts) const;
  void setWeights(const Routing &routing, int64_t token,
                  const Rows &rows) const;
  void setKeys(const Routing &routing, int64_t token, const Rows &rows) const;
  void normalize(const Routing &routing, int64_t token) const;
  void finish(const Routing &routing, int64_t token) const;

  GateConfig config;
  std::string part; ///< the symbol that ranks divide, or empty
  GateDrop dropping;
  int numRanks;
};

} // namespace

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

//===----------------------------------------------------------------------===//
// Choosing
//===----------------------------------------------------------------------===//

/// The indices of the k largest values in order, ties to the lower index. NaN
/// counts as minus infinity.
static void chooseLargest(const float *values, int64_t count, int64_t k,
                          int32_t *chosen) {
  auto valueOf = [&](int64_t i) {
    return values[i] != values[i] ? kMinusInfinity : values[i];
  };
  int64_t found = 0;
  for (int64_t i = 0; i < count; ++i) {
    float value = valueOf(i);
    if (found == k && !(value > valueOf(chosen[k - 1])))
      continue;
    int64_t place = found < k ? found++ : k - 1;
    for (; place > 0 && value > valueOf(chosen[place - 1]); --place)
      chosen[place] = chosen[place - 1];
    chosen[place] = static_cast<int32_t>(i);
  }
}

void GateKernel::limitGroups(float *selection, float *groups,
                             int64_t experts) const {
  int64_t size = experts / config.numGroups;
  for (int64_t g = 0; g < config.numGroups; ++g) {
    const float *members = selection + g * size;
    bool sumsTwo = config.groupScore == GroupScore::Top2Sum && size > 1;
    int32_t best[2] = {0, 0};
    chooseLargest(members, size, sumsTwo ? 2 : 1, best);
    groups[g] = members[best[0]] + (sumsTwo ? members[best[1]] : 0);
  }
  auto isBefore = [&](int64_t a, int64_t b) {
    return groups[a] > groups[b] || (groups[a] == groups[b] && a < b);
  };
  for (int64_t g = 0; g < config.numGroups; ++g) {
    int64_t better = 0;
    for (int64_t other = 0; other < config.numGroups; ++other)
      better += isBefore(other, g);
    if (better >= config.topkGroups)
      std::fill_n(selection + g * size, size,
                  config.groupFillZero ? 0.0f : kMinusInfinity);
  }
}

/// The two choices of the sparse mixer: each is the softmax over the logits
/// that are close to the largest one, the second without the first expert.
void GateKernel::mixSparsely(const Routing &routing, int64_t token,
                             const Rows &rows) const {
  const float *logits = routing.logits + token * routing.experts;
  float *left = rows.selection, *masked = rows.other;
  std::copy_n(logits, routing.experts, left);
  for (int64_t j = 0; j < config.k; ++j) {
    int32_t best = 0;
    chooseLargest(left, routing.experts, 1, &best);
    float top = left[best];
    for (int64_t e = 0; e < routing.experts; ++e) {
      bool isFar = top - logits[e] > 2.0f * config.jitterEps *
                                         std::max(std::fabs(logits[e]), top);
      masked[e] = isFar ? kMinusInfinity : left[e];
    }
    isa.softmaxRow(masked, masked, routing.experts, false);
    routing.chosen[token * config.k + j] = best;
    routing.weights[token * config.k + j] = masked[best];
    left[best] = kMinusInfinity;
  }
}

void GateKernel::setWeights(const Routing &routing, int64_t token,
                            const Rows &rows) const {
  int64_t at = token * routing.experts;
  const float *base =
      config.mixWeight == MixWeight::Score ? rows.score : routing.logits + at;
  if (routing.mixScores)
    base = routing.mixScores + at;
  const int32_t *chosen = routing.chosen + token * config.k;
  float *weights = routing.weights + token * config.k;
  for (int64_t j = 0; j < config.k; ++j)
    weights[j] = base[chosen[j]];
  if (config.mixWeight == MixWeight::SoftmaxTopk)
    isa.softmaxRow(weights, weights, config.k, false);
  if (config.mixWeight == MixWeight::SigmoidLogit)
    isa.sigmoidRow(weights, weights, config.k);
}

void GateKernel::choose(const Routing &routing, int64_t token,
                        const Rows &rows) const {
  if (config.score == RouterScore::SparseMixer)
    return mixSparsely(routing, token, rows);
  const float *logits = routing.logits + token * routing.experts;
  if (config.score == RouterScore::Softmax)
    isa.softmaxRow(logits, rows.score, routing.experts, false);
  else if (config.score == RouterScore::Sigmoid)
    isa.sigmoidRow(logits, rows.score, routing.experts);
  else
    std::copy_n(logits, routing.experts, rows.score);
  const float *selection = rows.score;
  if (routing.selectionBias || config.numGroups > 1) {
    for (int64_t e = 0; e < routing.experts; ++e)
      rows.selection[e] =
          rows.score[e] +
          (routing.selectionBias ? routing.selectionBias[e] : 0);
    if (config.numGroups > 1)
      limitGroups(rows.selection, rows.other, routing.experts);
    selection = rows.selection;
  }
  chooseLargest(selection, routing.experts, config.k,
                routing.chosen + token * config.k);
  setWeights(routing, token, rows);
}

//===----------------------------------------------------------------------===//
// Dropping
//===----------------------------------------------------------------------===//

/// What the choices of a token compete with.
void GateKernel::setKeys(const Routing &routing, int64_t token,
                         const Rows &rows) const {
  const float *logits = routing.logits + token * routing.experts;
  const float *keys = logits;
  if (config.dropPolicy == DropPolicy::Probs) {
    isa.softmaxRow(logits, rows.other, routing.experts, false);
    keys = rows.other;
  }
  for (int64_t i = token * config.k; i < (token + 1) * config.k; ++i)
    routing.competitors[i] = {keys[routing.chosen[i]], routing.chosen[i]};
}

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

//===----------------------------------------------------------------------===//
// Weights
//===----------------------------------------------------------------------===//

void GateKernel::normalize(const Routing &routing, int64_t token) const {
  if (config.normalize == Normalize::None)
    return;
  float *weights = routing.weights + token * config.k;
  float sum = 0;
  for (int64_t j = 0; j < config.k; ++j)
    sum += weights[j];
  float divisor = config.normalize == Normalize::SumPlus
                      ? sum + config.normalizeEps
                      : std::max(sum, config.normalizeEps);
  for (int64_t j = 0; j < config.k; ++j)
    weights[j] /= divisor;
}

void GateKernel::finish(const Routing &routing, int64_t token) const {
  for (int64_t i = token * config.k; i < (token + 1) * config.k; ++i) {
    int32_t expert = routing.chosen[i];
    float weight = routing.weights[i] * config.scale;
    if (expert >= 0 && routing.expertScale)
      weight *= routing.expertScale[expert];
    routing.weights[i] = expert < 0 ? 0.0f : weight;
  }
}

Status GateKernel::run(const KernelArgs &args, StepContext &context) const {
  MOE_RETURN_IF_ERROR(check(args));
  ThreadPool &pool = context.pool;
  MOE_ASSIGN_OR_RETURN(RowsOfRanks rowsOfRanks,
                       rowsOf(context, args.inputs[0].dims[0]));
  Scratch scratch(context.workspace);
  Routing routing = cut(scratch, args, pool.numThreads());
  if (!scratch.fits())
    return expectWorkspace(context, *scratch.bytes());
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

  bool drops = config.dropPolicy != DropPolicy::None;
  auto forTokens = [&](auto body) {
    forRange(pool, routing.tokens, 20.0 * static_cast<double>(routing.experts),
             [&](int64_t begin, int64_t end, int thread) {
               for (int64_t token = begin; token < end; ++token)
                 body(token, routing.threads[thread]);
             });
  };
  forTokens([&](int64_t token, const Rows &rows) {
    if (!routing.isUsed(token)) {
      for (int64_t i = token * config.k; i < (token + 1) * config.k; ++i) {
        routing.drop(i);
        if (routing.competitors)
          routing.competitors[i] = {0, -1};
      }
      return;
    }
    choose(routing, token, rows);
    if (routing.competitors)
      setKeys(routing, token, rows);
    if (!drops || !config.normalizeAfterDrop)
      normalize(routing, token);
    if (!drops)
      finish(routing, token);
  });
  if (!drops)
    return Status::ok();
  MOE_RETURN_IF_ERROR(
      dropping.run(routing, rowsOfRanks, routing.dropping, context));
  forTokens([&](int64_t token, const Rows &) {
    if (config.normalizeAfterDrop && routing.isUsed(token))
      normalize(routing, token);
    finish(routing, token);
  });
  return Status::ok();
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
