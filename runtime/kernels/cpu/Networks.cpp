//===- Networks.cpp - Rows through one or many networks -------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/kernels/cpu/Networks.h"

namespace moe::cpu {

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

bool NetworksKernel::roundsRows(const FfnOperands &operands) const {
  return attributes.arithmetic == Arithmetic::Int8 &&
         (operands.storage1.takesRounded() ||
          (operands.w3->present() && operands.storage3.takesRounded()));
}

bool NetworksKernel::roundsHidden(const FfnOperands &operands) const {
  return attributes.arithmetic == Arithmetic::Int8 &&
         operands.storage2.takesRounded();
}

NetworkBuffers NetworksKernel::cut(Scratch &scratch, const Call &call,
                                   const FfnOperands &operands,
                                   int numThreads) const {
  NetworkBuffers buffers{};
  if (call.x->dtype != DType::F32)
    buffers.x = scratch.take<float>(call.rows * call.sizes.inputs);
  if (roundsRows(operands))
    buffers.roundedX = scratch.take<QuantBlock>(
        call.rows * QuantBlock::count(call.sizes.inputs));
  if (roundsHidden(operands))
    buffers.roundedHidden =
        scratch.take<QuantBlock>(passRows(call) * call.sizes.hiddenBlocks());
  else
    buffers.hidden =
        scratch.take<float>(passRows(call) * call.sizes.hiddenStride());
  buffers.parts = scratch.take<NetworkPart>(call.networks + 1);
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
static const NetworkPart &partOf(std::span<const NetworkPart> parts,
                                 int64_t item) {
  auto after = std::upper_bound(
      parts.begin(), parts.end(), item,
      [](int64_t i, const NetworkPart &part) { return i < part.firstItem; });
  return *(after - 1);
}

/// Numbers the work items of all parts, which have panelsOf(part) panels of
/// outputs each; returns their number and sets the panels of a group, at least
/// what it was.
template <typename PanelsOf>
static int64_t numberItems(std::span<NetworkPart> parts, PanelsOf panelsOf,
                           bool arePacked, int threads, int64_t &groupSize) {
  ItemCounts counts;
  counts.arePacked = arePacked;
  for (const NetworkPart &part : parts) {
    counts.rows += part.rows;
    counts.rowBlocks += ceilDiv(part.rows, kRowBlock);
    counts.mostRows = std::max(counts.mostRows, std::min(part.rows, kRowBlock));
    counts.panels = std::max(counts.panels, panelsOf(part));
  }
  groupSize = std::max(groupSize, groupPanels(counts, threads));
  int64_t items = 0;
  for (NetworkPart &part : parts) {
    part.firstItem = items;
    items += ceilDiv(part.rows, kRowBlock) * ceilDiv(panelsOf(part), groupSize);
  }
  return items;
}

/// Calls body(part, first row in the part, rows, panel, panels, thread), with
/// at least `groupSize` panels unless they are the last ones.
template <typename PanelsOf, typename Body>
static void forTiles(ThreadPool &pool, std::span<NetworkPart> parts,
                     double work, bool arePacked, int64_t groupSize,
                     PanelsOf panelsOf, Body body) {
  int64_t items =
      numberItems(parts, panelsOf, arePacked, pool.numThreads(), groupSize);
  forItems(pool, items, work, [&](int64_t item, int thread) {
    const NetworkPart &part = partOf(parts, item);
    int64_t rowBlocks = ceilDiv(part.rows, kRowBlock);
    int64_t index = item - part.firstItem;
    int64_t row = index % rowBlocks * kRowBlock;
    int64_t panel = index / rowBlocks * groupSize;
    body(part, row, std::min(kRowBlock, part.rows - row), panel,
         std::min(groupSize, panelsOf(part) - panel), thread);
  });
}

void NetworksKernel::runPass(const Call &call, const float *x,
                             const NetworkBuffers &buffers, int64_t begin,
                             std::span<NetworkPart> parts, bool arePacked,
                             StepContext &context) const {
  double flops = 0;
  for (const NetworkPart &part : parts)
    flops += ffnFlopsPerRow(part.sizes, attributes.gating) *
             static_cast<double>(part.rows);
  context.counters.flops += static_cast<uint64_t>(flops);
  auto hiddenRow = [&](int64_t row) -> float * {
    if (!buffers.hidden)
      return nullptr;
    return buffers.hidden + (row - begin) * call.sizes.hiddenStride();
  };
  auto roundedHiddenRow = [&](int64_t row) -> QuantBlock * {
    if (!buffers.roundedHidden)
      return nullptr;
    return buffers.roundedHidden + (row - begin) * call.sizes.hiddenBlocks();
  };
  int64_t inputs = call.sizes.inputs, outputs = call.sizes.outputs;
  // A block of hidden values is rounded by the thread that computes all of it.
  int64_t blockPanels = buffers.roundedHidden ? QuantBlock::kSize / kPanel : 1;
  forTiles(
      context.pool, parts, flops / 2, arePacked, blockPanels,
      [](const NetworkPart &part) { return part.sizes.hiddenPanels(); },
      [&](const NetworkPart &part, int64_t row, int64_t count, int64_t panel,
          int64_t panels, int thread) {
        row += part.row;
        HiddenTile tile{x + row * inputs, inputs,        count, panel,
                        panels,           hiddenRow(row)};
        if (buffers.roundedX)
          tile.rounded = buffers.roundedX + row * QuantBlock::count(inputs);
        tile.roundedHidden = roundedHiddenRow(row);
        computeHidden(isa, attributes, part.sizes, part.weights, tile,
                      buffers.threads[thread]);
      });
  int64_t size = static_cast<int64_t>(dtypeSize(call.out->dtype));
  forTiles(
      context.pool, parts, flops / 2, arePacked, 1,
      [](const NetworkPart &part) { return part.sizes.outputPanels(); },
      [&](const NetworkPart &part, int64_t row, int64_t count, int64_t panel,
          int64_t panels, int thread) {
        row += part.row;
        OutputTile tile{hiddenRow(row),
                        count,
                        panel,
                        panels,
                        call.out->as<std::byte>() + row * outputs * size,
                        call.out->dtype,
                        roundedHiddenRow(row)};
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

Status NetworksKernel::runCall(const Call &call, const FfnOperands &operands,
                               StepContext &context) const {
  Scratch scratch(context.workspace);
  NetworkBuffers buffers =
      cut(scratch, call, operands, context.pool.numThreads());
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
  if (buffers.roundedX) {
    int64_t inputs = call.sizes.inputs, blocks = QuantBlock::count(inputs);
    forRange(context.pool, rows, static_cast<double>(inputs),
             [&](int64_t first, int64_t end, int) {
               for (int64_t row = first; row < end; ++row)
                 isa.quantizeRow(x + row * inputs, inputs,
                                 buffers.roundedX + row * blocks);
             });
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
            {buffers.parts, static_cast<size_t>(numParts)},
            operands.arePacked(), context);
    begin = row;
  }
  return Status::ok();
}

} // namespace moe::cpu
