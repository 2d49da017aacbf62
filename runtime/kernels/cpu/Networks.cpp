//===- Networks.cpp - Rows through one or many networks -------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/kernels/cpu/NetworkTiles.h"

namespace moe::cpu {

int64_t NetworksKernel::passRows(const Call &call) {
  constexpr int64_t kHiddenBytes = 64 << 20;
  int64_t rowBytes = call.sizes.hiddenStride() * 4;
  int64_t fitting = rowBytes > 0 ? kHiddenBytes / rowBytes : call.rows;
  int64_t groups = std::max(kRowBlock, fitting) / call.rowsTogether;
  return std::min(call.rows, std::max<int64_t>(groups, 1) * call.rowsTogether);
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
    buffers.x = scratch.take<float>(call.inputRows * call.sizes.inputs);
  if (roundsRows(operands))
    buffers.roundedX = scratch.take<QuantBlock>(
        call.inputRows * QuantBlock::count(call.sizes.inputs));
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

double NetworksKernel::flopsOf(std::span<const NetworkPart> parts) const {
  double flops = 0;
  for (const NetworkPart &part : parts)
    flops += ffnFlopsPerRow(part.sizes, attributes.gating) *
             static_cast<double>(part.rows);
  return flops;
}

void NetworksKernel::computeHiddenRows(const Call &call,
                                       const NetworkInput &input,
                                       const NetworkBuffers &buffers,
                                       int64_t begin,
                                       std::span<NetworkPart> parts,
                                       bool arePacked, ThreadPool &pool) const {
  int64_t inputs = call.sizes.inputs, blocks = QuantBlock::count(inputs);
  // A block of hidden values is rounded by the thread that computes all of it.
  int64_t blockPanels = buffers.roundedHidden ? QuantBlock::kSize / kPanel : 1;
  forTiles(
      pool, parts, flopsOf(parts) / 2, arePacked, blockPanels,
      [](const NetworkPart &part) { return part.sizes.hiddenPanels(); },
      [&](const NetworkPart &part, int64_t row, int64_t count, Interval panels,
          int thread) {
        row += part.row;
        int64_t first = input.rowOf ? 0 : row;
        HiddenTile tile{input.x + first * inputs,
                        inputs,
                        count,
                        panels.begin,
                        panels.size(),
                        buffers.hiddenRow(call.sizes, row - begin)};
        if (input.rounded)
          tile.rounded = input.rounded + first * blocks;
        if (input.rowOf)
          tile.rowOf = input.rowOf + row;
        tile.roundedHidden = buffers.roundedHiddenRow(call.sizes, row - begin);
        computeHidden(isa, attributes, part.sizes, part.weights, tile,
                      buffers.threads[thread]);
      });
}

void NetworksKernel::computeOutputTile(const Call &call,
                                       const NetworkBuffers &buffers,
                                       const NetworkPart &part, int64_t row,
                                       int64_t rows, Interval panels,
                                       std::byte *out, int thread) const {
  OutputTile tile{buffers.hiddenRow(call.sizes, row),
                  rows,
                  panels.begin,
                  panels.size(),
                  out,
                  call.out->dtype,
                  buffers.roundedHiddenRow(call.sizes, row)};
  computeOutput(isa, part.sizes, part.weights, tile, buffers.threads[thread]);
}

NetworkInput NetworksKernel::readInput(const Call &call,
                                       const NetworkBuffers &buffers,
                                       int64_t rows, ThreadPool &pool) const {
  NetworkInput input{dataOf<float>(*call.x), buffers.roundedX};
  if (buffers.x) {
    TensorView used = *call.x;
    used.rank = 1;
    used.dims[0] = rows * call.sizes.inputs;
    used.strides[0] = 1;
    convertToF32(pool, isa, used, buffers.x);
    input.x = buffers.x;
  }
  if (!buffers.roundedX)
    return input;
  int64_t inputs = call.sizes.inputs, blocks = QuantBlock::count(inputs);
  forRange(pool, rows, static_cast<double>(inputs),
           [&](int64_t first, int64_t end, int) {
             for (int64_t row = first; row < end; ++row)
               isa.quantizeRow(input.x + row * inputs, inputs,
                               buffers.roundedX + row * blocks);
           });
  return input;
}

NetworkPart NetworksKernel::partOf(const Call &call,
                                   const FfnOperands &operands, int64_t network,
                                   int64_t row, int64_t rows) const {
  FfnOperands::Index index = indexOf(network);
  FfnSizes sizes = call.sizes;
  sizes.hiddenRoom = sizes.hidden;
  sizes.hidden = index.hiddenOf(call.wholeHidden).size();
  return {operands.weights(call.wholeHidden, index), sizes, row, rows,
          /*firstItem=*/0};
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
  NetworkInput input = readInput(call, buffers, rows, context.pool);
  int64_t rowBytes =
      call.sizes.outputs * static_cast<int64_t>(dtypeSize(call.out->dtype));
  // Networks in turn, cut where a pass is full.
  int64_t limit = passRows(call);
  int64_t network = 0, taken = 0;
  for (int64_t begin = 0; begin < rows;) {
    int64_t numParts = 0, row = begin;
    while (row < rows && row - begin < limit) {
      int64_t all = call.counts ? call.counts[network] : rows;
      int64_t count = std::min(all - taken, begin + limit - row);
      if (count > 0)
        buffers.parts[numParts++] = partOf(call, operands, network, row, count);
      row += count;
      taken += count;
      if (taken == all) {
        ++network;
        taken = 0;
      }
    }
    std::span parts(buffers.parts, static_cast<size_t>(numParts));
    context.counters.flops += static_cast<uint64_t>(flopsOf(parts));
    computeHiddenRows(call, input, buffers, begin, parts, operands.arePacked(),
                      context.pool);
    forTiles(
        context.pool, parts, flopsOf(parts) / 2, operands.arePacked(), 1,
        [](const NetworkPart &part) { return part.sizes.outputPanels(); },
        [&](const NetworkPart &part, int64_t first, int64_t count,
            Interval panels, int thread) {
          first += part.row;
          computeOutputTile(call, buffers, part, first - begin, count, panels,
                            call.out->as<std::byte>() + first * rowBytes,
                            thread);
        });
    begin = row;
  }
  return Status::ok();
}

} // namespace moe::cpu
