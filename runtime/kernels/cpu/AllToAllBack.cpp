//===- AllToAllBack.cpp - all_to_all_back ---------------------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Rows return to where they came from; partial sums of slices are added in the
// order of the slices, in f32. In two hops, relays are first told how many rows
// they will get: the way there is forgotten.
//
//===----------------------------------------------------------------------===//

#include "runtime/kernels/cpu/ExchangeKernel.h"

namespace moe::cpu {

namespace {

class AllToAllBackKernel : public ExchangeKernel {
public:
  using ExchangeKernel::ExchangeKernel;
  StatusOr<size_t> workspaceBytes(const KernelArgs &args,
                                  int numThreads) const override;
  Status run(const KernelArgs &args, StepContext &context) const override;

private:
  /// Memory beside the rows.
  struct Buffers {
    int32_t *numSent;    ///< [numRanks], rows for every rank
    int32_t *numArrived; ///< in the first hop
    std::byte **partial; ///< of every run of slices, its rows in a message
  };
  Buffers cutBuffers(Scratch &scratch) const;
  Status check(const KernelArgs &args) const;
  bool isSliced(int32_t run) const { return places.runs()[run].numSlices > 1; }

  Status relaySizes(const int32_t *route, StepContext &context,
                    const Tables &tables, const Buffers &buffers,
                    int64_t rowBytes) const;
  template <typename ForReceived>
  Status gatherRows(const TensorView &rows, int64_t numRows,
                    StepContext &context, const Tables &tables,
                    Scratch &scratch, ForReceived forReceived) const;
  Status moveRows(ExchangeForm form, const KernelArgs &args,
                  StepContext &context, const Tables &tables,
                  const Buffers &buffers, Scratch &scratch) const;
  void placeRows(const TensorView &out, const Tables &tables,
                 const Buffers &buffers, CopyList &copies) const;
  void addSlices(const TensorView &out, const Tables &tables,
                 const Buffers &buffers, ThreadPool &pool) const;
};

} // namespace

//===----------------------------------------------------------------------===//
// Memory
//===----------------------------------------------------------------------===//

Status AllToAllBackKernel::check(const KernelArgs &args) const {
  const TensorView &rows = args.inputs[0];
  MOE_RETURN_IF_ERROR(checkRows(rows, args.outputs[0]));
  if (places.maxSlices() > 1 &&
      (!isFloat(rows.dtype) || rows.dtype == DType::F64))
    return unsupported("partial sums of elements " +
                       std::string(dtypeName(rows.dtype)));
  MOE_RETURN_IF_ERROR(checkCounts(args.inputs[1], "route",
                                  {places.numRanks(), places.numExperts()}));
  return checkCounts(args.inputs[2], "counts", {places.numExperts()});
}

AllToAllBackKernel::Buffers
AllToAllBackKernel::cutBuffers(Scratch &scratch) const {
  bool hasRelays = forms.mayBe(ExchangeForm::Hierarchical);
  Buffers buffers;
  buffers.numSent = scratch.take<int32_t>(hasRelays ? places.numRanks() : 0);
  buffers.numArrived =
      scratch.take<int32_t>(hasRelays ? relay.transitSize() : 0);
  buffers.partial = scratch.take<std::byte *>(
      places.maxSlices() > 1 ? static_cast<int64_t>(places.runs().size()) : 0);
  return buffers;
}

StatusOr<size_t> AllToAllBackKernel::workspaceBytes(const KernelArgs &args,
                                                    int numThreads) const {
  MOE_RETURN_IF_ERROR(check(args));
  int64_t sent = args.inputs[0].dims[0];
  int64_t received = args.outputs[0].dims[0] * places.maxSlices();
  // As on the way there, in reverse.
  int64_t passed =
      std::min(relay.nodeSize() * sent, relay.numNodes() * received);
  size_t most = 0;
  for (ExchangeForm form : {ExchangeForm::Flat, ExchangeForm::Hierarchical,
                            ExchangeForm::Replicated}) {
    if (!forms.mayBe(form))
      continue;
    Scratch scratch;
    cutTables(scratch);
    cutBuffers(scratch);
    cutRows(scratch, form, sent, received, passed, rowBytesOf(args.inputs[0]));
    MOE_ASSIGN_OR_RETURN(size_t bytes, scratch.bytes());
    most = std::max(most, bytes);
  }
  return most;
}

//===----------------------------------------------------------------------===//
// Messages
//===----------------------------------------------------------------------===//

/// Tells the ranks of the node how many rows they will relay; sets
/// tables.transit.
Status AllToAllBackKernel::relaySizes(const int32_t *route,
                                      StepContext &context,
                                      const Tables &tables,
                                      const Buffers &buffers,
                                      int64_t rowBytes) const {
  for (int i = 0; i < places.numRanks(); ++i) {
    int sender = relay.inOrder(i);
    int64_t rows = 0;
    forLocalRuns(route, tables, sender,
                 [&](int64_t, int64_t count) { rows += count; });
    buffers.numSent[i] = static_cast<int32_t>(rows);
    tables.send[sender] = {reinterpret_cast<std::byte *>(&buffers.numSent[i]),
                           sizeof(int32_t)};
  }
  std::fill_n(tables.transit, relay.transitSize(), int64_t(sizeof(int32_t)));
  MOE_RETURN_IF_ERROR(relay.hopInside(
      context, tables.send, tables.transit,
      reinterpret_cast<std::byte *>(buffers.numArrived), tables.peers));
  for (int64_t i = 0; i < relay.transitSize(); ++i) {
    if (buffers.numArrived[i] < 0)
      return badPlan("a rank announces " +
                     std::to_string(buffers.numArrived[i]) + " rows");
    tables.transit[i] = buffers.numArrived[i] * rowBytes;
  }
  return Status::ok();
}

/// Replicated: all rows to all ranks.
template <typename ForReceived>
Status AllToAllBackKernel::gatherRows(const TensorView &rows, int64_t numRows,
                                      StepContext &context,
                                      const Tables &tables, Scratch &scratch,
                                      ForReceived forReceived) const {
  if (!placeMessages(
          places.numRanks(), /*inPlace=*/true, [](int i) { return i; },
          forReceived, scratch, tables.recv))
    return expectWorkspace(context, *scratch.bytes());
  return context.comm.allGatherV(
      {blockData(rows), static_cast<size_t>(numRows * rowBytesOf(rows))},
      {tables.recv, static_cast<size_t>(places.numRanks())}, context.tag);
}

Status AllToAllBackKernel::moveRows(ExchangeForm form, const KernelArgs &args,
                                    StepContext &context, const Tables &tables,
                                    const Buffers &buffers,
                                    Scratch &scratch) const {
  const TensorView &rows = args.inputs[0], &out = args.outputs[0];
  const int32_t *route = dataOf<int32_t>(args.inputs[1]);
  int64_t rowBytes = rowBytesOf(rows);
  auto *from = const_cast<std::byte *>(blockData(rows));
  auto *to = out.as<std::byte>();
  auto sent = [&](int sender, auto &&see) {
    forLocalRuns(route, tables, sender, [&](int64_t row, int64_t count) {
      see(from + row * rowBytes, count * rowBytes);
    });
  };
  // Partial sums have no place in the result.
  auto received = [&](int target, auto &&see) {
    forRunsTo(tables, target, [&](int32_t run, int64_t row, int64_t count) {
      see(isSliced(run) ? nullptr : to + row * rowBytes, count * rowBytes);
    });
  };
  int64_t numRows = setLocalBegins(route, tables);
  if (form == ExchangeForm::Replicated)
    return gatherRows(rows, numRows, context, tables, scratch, received);
  if (form == ExchangeForm::Hierarchical)
    MOE_RETURN_IF_ERROR(relaySizes(route, context, tables, buffers, rowBytes));
  return exchangeRows(form, context, tables, scratch, sent, received);
}

//===----------------------------------------------------------------------===//
// Results
//===----------------------------------------------------------------------===//

/// Whole rows to their places; notes where those of slices are.
void AllToAllBackKernel::placeRows(const TensorView &out, const Tables &tables,
                                   const Buffers &buffers,
                                   CopyList &copies) const {
  int64_t rowBytes = rowBytesOf(out);
  auto *to = out.as<std::byte>();
  for (int target = 0; target < places.numRanks(); ++target) {
    std::byte *at = tables.recv[target].data;
    forRunsTo(tables, target, [&](int32_t run, int64_t row, int64_t count) {
      if (isSliced(run))
        buffers.partial[run] = at;
      else
        copies.add(to + row * rowBytes, at, count * rowBytes);
      at += count * rowBytes;
    });
  }
}

void AllToAllBackKernel::addSlices(const TensorView &out, const Tables &tables,
                                   const Buffers &buffers,
                                   ThreadPool &pool) const {
  constexpr int64_t kPiece = 256;
  int64_t width = static_cast<int64_t>(dtypeSize(out.dtype));
  std::span<const Run> runs = places.runs();
  // All slices of a part follow each other.
  for (size_t first = 0; first < runs.size(); first += runs[first].numSlices) {
    const Run &run = runs[first];
    if (run.numSlices == 1)
      continue;
    int64_t begin = tables.rowBegin[run.expert];
    Interval rows = partOfWhole(tables.rowBegin[run.expert + 1] - begin,
                                run.part, run.parts);
    auto *to = out.as<std::byte>() + (begin + rows.begin) * rowBytesOf(out);
    int64_t elements = rows.size() * out.dims[1];
    forRange(pool, (elements + kPiece - 1) / kPiece,
             static_cast<double>(kPiece * run.numSlices),
             [&](int64_t piece, int64_t end, int) {
               float sum[kPiece], part[kPiece];
               for (; piece < end; ++piece) {
                 int64_t offset = piece * kPiece * width;
                 int64_t count = std::min(kPiece, elements - piece * kPiece);
                 isa.toF32(out.dtype, buffers.partial[first] + offset, sum,
                           count);
                 for (int slice = 1; slice < run.numSlices; ++slice) {
                   isa.toF32(out.dtype, buffers.partial[first + slice] + offset,
                             part, count);
                   isa.axpyRow(1.0f, part, sum, count);
                 }
                 isa.fromF32(out.dtype, sum, to + offset, count);
               }
             });
  }
}

Status AllToAllBackKernel::run(const KernelArgs &args,
                               StepContext &context) const {
  MOE_RETURN_IF_ERROR(check(args));
  MOE_ASSIGN_OR_RETURN(ExchangeForm form, formOf(context));
  const TensorView &rows = args.inputs[0], &out = args.outputs[0];
  const int32_t *route = dataOf<int32_t>(args.inputs[1]);
  const int32_t *counts = dataOf<int32_t>(args.inputs[2]);
  MOE_RETURN_IF_ERROR(checkValues(
      {route, static_cast<size_t>(places.numRanks() * places.numExperts())},
      rows.dims[0]));
  MOE_RETURN_IF_ERROR(checkValues(
      {counts, static_cast<size_t>(places.numExperts())}, out.dims[0]));
  Scratch scratch(context.workspace);
  Tables tables = cutTables(scratch);
  Buffers buffers = cutBuffers(scratch);
  if (!scratch.fits())
    return expectWorkspace(context, *scratch.bytes());
  setRowBegins(counts, tables);
  MOE_RETURN_IF_ERROR(moveRows(form, args, context, tables, buffers, scratch));
  CopyList copies = cutCopies(scratch);
  if (!scratch.fits())
    return expectWorkspace(context, *scratch.bytes());
  placeRows(out, tables, buffers, copies);
  copies.run(context.pool);
  addSlices(out, tables, buffers, context.pool);
  return Status::ok();
}

std::unique_ptr<Kernel> makeAllToAllBack(const KernelSpec &spec, const Isa &isa,
                                         ExchangePlaces places,
                                         ExchangeForms forms) {
  return std::make_unique<AllToAllBackKernel>(spec, isa, std::move(places),
                                              forms);
}

} // namespace moe::cpu
