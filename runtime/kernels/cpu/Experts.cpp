//===- Experts.cpp - ffn and experts --------------------------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A dense FFN is the case of one network that has all rows. Work items are
// (network, block of rows, group of panels), handed out one by one, so rows
// that all go to one expert use every thread too. Hidden values are kept for a
// bounded number of rows; more rows take several passes.
//
//===----------------------------------------------------------------------===//

#include "runtime/kernels/cpu/Ffn.h"
#include "runtime/kernels/cpu/Kernels.h"
#include "runtime/plan/Placement.h"
#include "runtime/plan/Plan_generated.h"
#include "runtime/plan/StepAttributes.h"

namespace moe::cpu {

namespace {

/// Rows of one network in one pass.
struct Part {
  FfnWeights weights;
  FfnSizes sizes; ///< with the hidden values of the slice
  int64_t row;    ///< in rows and results
  int64_t rows;
  int64_t firstItem; ///< number of its first work item
};

struct Buffers {
  float *x;      ///< the input as f32 if it is of another type
  float *hidden; ///< [passRows][hiddenStride]
  Part *parts;
  FfnScratch *threads;
};

/// Common to both operations.
class NetworksKernel : public CpuKernel {
public:
  NetworksKernel(const KernelSpec &spec, const Isa &isa,
                 FfnAttributes attributes)
      : CpuKernel(spec, isa), attributes(attributes) {}

protected:
  /// The operands of one run; `counts` null for one network.
  struct Call {
    const TensorView *x = nullptr;
    const TensorView *out = nullptr;
    int64_t rows = 0;
    const int32_t *counts = nullptr;
    int64_t networks = 1;
    /// The hidden values of a whole network; `sizes` has those of the largest
    /// slice.
    int64_t wholeHidden = 0;
    FfnSizes sizes;
  };

  Status checkRows(const Call &call) const;
  Buffers cut(Scratch &scratch, const Call &call, const FfnOperands &operands,
              int numThreads) const;
  /// `indexOf(i)` says which network i is.
  template <typename IndexOf>
  Status runCall(const Call &call, const FfnOperands &operands,
                 StepContext &context, IndexOf indexOf) const;

  FfnAttributes attributes;

private:
  /// Rows whose hidden values are kept at once.
  static int64_t passRows(const Call &call);
  void runPass(const Call &call, const float *x, const Buffers &buffers,
               int64_t begin, std::span<Part> parts,
               StepContext &context) const;
};

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
                FfnAttributes attributes, std::vector<LocalExpert> held,
                int64_t numExperts)
      : NetworksKernel(spec, isa, attributes), held(std::move(held)),
        numExperts(numExperts) {}
  StatusOr<size_t> workspaceBytes(const KernelArgs &args,
                                  int numThreads) const override;
  Status run(const KernelArgs &args, StepContext &context) const override;

private:
  StatusOr<Call> callOf(const KernelArgs &args,
                        const FfnOperands &operands) const;
  /// The network of counts[local].
  FfnOperands::Index indexOf(int64_t local) const;
  Status checkNetworks(const Call &call, const FfnOperands &operands) const;

  /// Experts of this rank in the order of counts, if experts are placed.
  std::vector<LocalExpert> held;
  int64_t numExperts; ///< of all ranks; -1 if experts are not placed
};

} // namespace

//===----------------------------------------------------------------------===//
// Rows of one or many networks
//===----------------------------------------------------------------------===//

int64_t NetworksKernel::passRows(const Call &call) {
  constexpr int64_t kHiddenBytes = 64 << 20;
  int64_t rowBytes = call.sizes.hiddenStride() * 4;
  int64_t fitting = rowBytes > 0 ? kHiddenBytes / rowBytes : call.rows;
  return std::min(call.rows, std::max(kRowBlock, fitting));
}

Status NetworksKernel::checkRows(const Call &call) const {
  const TensorView &x = *call.x, &out = *call.out;
  bool sameRows = x.rank >= 1 && x.rank == out.rank &&
                  std::equal(x.dims, x.dims + x.rank - 1, out.dims) &&
                  x.dims[x.rank - 1] == call.sizes.inputs &&
                  out.dims[out.rank - 1] == call.sizes.outputs;
  if (!sameRows)
    return badPlan("rows " + shapeText(x) + " cannot give " + shapeText(out) +
                   " with weights from " + std::to_string(call.sizes.inputs) +
                   " to " + std::to_string(call.sizes.outputs) + " columns");
  if (x.dtype != out.dtype || !isFloat(x.dtype) || x.dtype == DType::F64)
    return unsupported("elements " + std::string(dtypeName(x.dtype)) + " to " +
                       std::string(dtypeName(out.dtype)));
  MOE_RETURN_IF_ERROR(expectContiguous(x, "rows"));
  return expectContiguous(out, "result");
}

Buffers NetworksKernel::cut(Scratch &scratch, const Call &call,
                            const FfnOperands &operands, int numThreads) const {
  Buffers buffers{};
  if (call.x->dtype != DType::F32)
    buffers.x = scratch.take<float>(call.rows * call.sizes.inputs);
  buffers.hidden =
      scratch.take<float>(passRows(call) * call.sizes.hiddenStride());
  buffers.parts = scratch.take<Part>(call.networks + 1);
  buffers.threads = scratch.take<FfnScratch>(numThreads);
  for (int i = 0; i < numThreads; ++i) {
    FfnScratch thread =
        FfnScratch::cut(scratch, call.sizes, operands.arePacked());
    if (buffers.threads)
      buffers.threads[i] = thread;
  }
  return buffers;
}

/// The part that work item `item` belongs to.
static const Part &partOf(std::span<const Part> parts, int64_t item) {
  auto after = std::upper_bound(
      parts.begin(), parts.end(), item,
      [](int64_t i, const Part &part) { return i < part.firstItem; });
  return *(after - 1);
}

/// Numbers the work items of all parts, which have panelsOf(part) panels of
/// outputs each; returns their number and sets the panels of a group.
template <typename PanelsOf>
static int64_t numberItems(std::span<Part> parts, PanelsOf panelsOf,
                           int threads, int64_t &groupSize) {
  int64_t rows = 0, rowBlocks = 0, mostPanels = 0;
  for (const Part &part : parts) {
    rows += part.rows;
    rowBlocks += ceilDiv(part.rows, kRowBlock);
    mostPanels = std::max(mostPanels, panelsOf(part));
  }
  groupSize = groupPanels(mostPanels, rows, rowBlocks, threads);
  int64_t items = 0;
  for (Part &part : parts) {
    part.firstItem = items;
    items += ceilDiv(part.rows, kRowBlock) * ceilDiv(panelsOf(part), groupSize);
  }
  return items;
}

/// Calls body(part, first row in the part, rows, panel, panels, thread).
template <typename PanelsOf, typename Body>
static void forTiles(ThreadPool &pool, std::span<Part> parts, double work,
                     PanelsOf panelsOf, Body body) {
  int64_t groupSize;
  int64_t items = numberItems(parts, panelsOf, pool.numThreads(), groupSize);
  forItems(pool, items, work, [&](int64_t item, int thread) {
    const Part &part = partOf(parts, item);
    int64_t rowBlocks = ceilDiv(part.rows, kRowBlock);
    int64_t index = item - part.firstItem;
    int64_t row = index % rowBlocks * kRowBlock;
    int64_t panel = index / rowBlocks * groupSize;
    body(part, row, std::min(kRowBlock, part.rows - row), panel,
         std::min(groupSize, panelsOf(part) - panel), thread);
  });
}

void NetworksKernel::runPass(const Call &call, const float *x,
                             const Buffers &buffers, int64_t begin,
                             std::span<Part> parts,
                             StepContext &context) const {
  double flops = 0;
  for (const Part &part : parts)
    flops += ffnFlopsPerRow(part.sizes, attributes.gating) *
             static_cast<double>(part.rows);
  context.counters.flops += static_cast<uint64_t>(flops);
  auto hiddenRow = [&](int64_t row) {
    return buffers.hidden + (row - begin) * call.sizes.hiddenStride();
  };
  int64_t inputs = call.sizes.inputs, outputs = call.sizes.outputs;
  forTiles(
      context.pool, parts, flops / 2,
      [](const Part &part) { return part.sizes.hiddenPanels(); },
      [&](const Part &part, int64_t row, int64_t count, int64_t panel,
          int64_t panels, int thread) {
        row += part.row;
        HiddenTile tile{x + row * inputs, inputs,        count, panel,
                        panels,           hiddenRow(row)};
        computeHidden(isa, attributes, part.sizes, part.weights, tile,
                      buffers.threads[thread]);
      });
  int64_t size = static_cast<int64_t>(dtypeSize(call.out->dtype));
  forTiles(
      context.pool, parts, flops / 2,
      [](const Part &part) { return part.sizes.outputPanels(); },
      [&](const Part &part, int64_t row, int64_t count, int64_t panel,
          int64_t panels, int thread) {
        row += part.row;
        OutputTile tile{hiddenRow(row),
                        count,
                        panel,
                        panels,
                        call.out->as<std::byte>() + row * outputs * size,
                        call.out->dtype};
        computeOutput(isa, part.sizes, part.weights, tile,
                      buffers.threads[thread]);
      });
}

/// The rows of all networks, or an error if their counts exceed the memory.
static StatusOr<int64_t> countRows(std::span<const int32_t> counts,
                                   const TensorView &x,
                                   const std::string &step) {
  int64_t rows = 0;
  for (size_t i = 0; i < counts.size(); ++i) {
    if (counts[i] < 0 || counts[i] > x.dims[0] - rows)
      return Status(StatusCode::BadPlan,
                    step + ": count " + std::to_string(counts[i]) +
                        " of expert " + std::to_string(i) +
                        " exceeds the rows " + shapeText(x));
    rows += counts[i];
  }
  return rows;
}

template <typename IndexOf>
Status NetworksKernel::runCall(const Call &call, const FfnOperands &operands,
                               StepContext &context, IndexOf indexOf) const {
  Scratch scratch(context.workspace);
  Buffers buffers = cut(scratch, call, operands, context.pool.numThreads());
  if (!scratch.fits())
    return expectWorkspace(context, *scratch.bytes());
  int64_t rows = call.rows;
  if (call.counts) {
    MOE_ASSIGN_OR_RETURN(
        rows, countRows({call.counts, static_cast<size_t>(call.networks)},
                        *call.x, name));
  }
  const float *x = dataOf<float>(*call.x);
  if (buffers.x) {
    TensorView used = *call.x;
    used.rank = 1;
    used.dims[0] = rows * call.sizes.inputs;
    used.strides[0] = 1;
    convertToF32(context.pool, isa, used, buffers.x);
    x = buffers.x;
  }
  // Networks in turn, cut where a pass is full.
  int64_t limit = passRows(call);
  int64_t network = 0, taken = 0;
  for (int64_t begin = 0; begin < rows;) {
    int64_t numParts = 0, row = begin;
    while (row < rows && row - begin < limit) {
      int64_t all = call.counts ? call.counts[network] : rows;
      int64_t count = std::min(all - taken, begin + limit - row);
      if (count > 0) {
        FfnOperands::Index index = indexOf(network);
        FfnSizes sizes = call.sizes;
        sizes.hiddenRoom = sizes.hidden;
        sizes.hidden = index.hiddenOf(call.wholeHidden).size();
        buffers.parts[numParts++] = {operands.weights(call.wholeHidden, index),
                                     sizes, row, count, 0};
      }
      row += count;
      taken += count;
      if (taken == all) {
        ++network;
        taken = 0;
      }
    }
    runPass(call, x, buffers, begin,
            {buffers.parts, static_cast<size_t>(numParts)}, context);
    begin = row;
  }
  return Status::ok();
}

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
  return runCall(call, operands, context,
                 [](int64_t) { return FfnOperands::Index(); });
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
  return {local, expert.expert, numExperts, expert.slice, expert.numSlices};
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
  return runCall(call, operands, context,
                 [&](int64_t local) { return indexOf(local); });
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
  MOE_ASSIGN_OR_RETURN(FfnAttributes parsed, FfnAttributes::parse(attributes));
  MOE_RETURN_IF_ERROR(attributes.checkAllRead());
  std::vector<LocalExpert> held;
  int64_t numExperts = -1;
  if (spec.layer && !spec.layer->places.empty()) {
    held = localExperts(*spec.layer, spec.rank);
    numExperts = spec.layer->experts;
  }
  return std::unique_ptr<Kernel>(std::make_unique<ExpertsKernel>(
      spec, isa, parsed, std::move(held), numExperts));
}

void registerFfn(KernelRegistry &registry, const Isa &isa) {
  registry.add("ffn",
               [&isa](const KernelSpec &spec) { return createFfn(spec, isa); },
               {"panel16", "row"});
  registry.add(
      "experts",
      [&isa](const KernelSpec &spec) { return createExperts(spec, isa); },
      {"panel16", "row"});
}

} // namespace moe::cpu
