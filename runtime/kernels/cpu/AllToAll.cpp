//===- AllToAll.cpp - all_to_all ------------------------------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// First the counts travel, on the way of the rows: a rank tells another one the
// counts of the experts that it holds. In two hops, a message for a rank begins
// with the number of rows that will follow, which its relay has to know.
//
//===----------------------------------------------------------------------===//

#include "runtime/kernels/cpu/ExchangeKernel.h"

namespace moe::cpu {

namespace {

class AllToAllKernel : public ExchangeKernel {
public:
  using ExchangeKernel::ExchangeKernel;
  StatusOr<size_t> workspaceBytes(const KernelArgs &args,
                                  int numThreads) const override;
  Status run(const KernelArgs &args, StepContext &context) const override;

private:
  /// Memory of the counts.
  struct Counts {
    int32_t *sent;     ///< with a number of rows for each rank
    int32_t *arrived;  ///< in the first hop
    int32_t *received; ///< by sender, for what this rank holds
  };
  Counts cutCounts(Scratch &scratch) const;
  int64_t arrivedCounts() const;
  Status check(const KernelArgs &args) const;

  void packCounts(const Tables &tables, const Counts &counts,
                  bool withRows) const;
  Status exchangeCounts(StepContext &context, const Tables &tables,
                        const Counts &counts) const;
  Status relayCounts(StepContext &context, const Tables &tables,
                     const Counts &counts, int64_t rowBytes,
                     Scratch &scratch) const;
  Status setRoute(const int32_t *received, const TensorView &route) const;
  void setReplicatedRoute(const int32_t *counts, const TensorView &route) const;
  void setLocalCounts(const int32_t *route, const TensorView &local) const;
  StatusOr<int64_t> findRoute(ExchangeForm form, const KernelArgs &args,
                              StepContext &context, const Tables &tables,
                              const Counts &counts, Scratch &scratch) const;
  void takeRows(const KernelArgs &args, const Tables &tables,
                CopyList &copies) const;
  Status moveRows(ExchangeForm form, const KernelArgs &args,
                  StepContext &context, const Tables &tables,
                  Scratch &scratch) const;
};

} // namespace

//===----------------------------------------------------------------------===//
// Memory
//===----------------------------------------------------------------------===//

Status AllToAllKernel::check(const KernelArgs &args) const {
  MOE_RETURN_IF_ERROR(checkRows(args.inputs[0], args.outputs[0]));
  MOE_RETURN_IF_ERROR(
      checkCounts(args.inputs[1], "counts", {places.numExperts()}));
  MOE_RETURN_IF_ERROR(
      checkCounts(args.outputs[1], "local_counts", {places.maxLocal()}));
  return checkCounts(args.outputs[2], "route",
                     {places.numRanks(), places.numExperts()});
}

/// What the first hop brings from all ranks of the node.
int64_t AllToAllKernel::arrivedCounts() const {
  int64_t total = 0;
  if (!forms.mayBe(ExchangeForm::Hierarchical))
    return total;
  int first = places.rank() - relay.ownPlace();
  for (int s = 0; s < relay.nodeSize(); ++s)
    for (int n = 0; n < relay.numNodes(); ++n)
      total += 1 + places.numRuns(first + s, relay.peerInNode(n));
  return total;
}

AllToAllKernel::Counts AllToAllKernel::cutCounts(Scratch &scratch) const {
  auto numRuns = static_cast<int64_t>(places.runs().size());
  auto numHeld = static_cast<int64_t>(places.ownHoldings().size());
  Counts counts;
  counts.sent = scratch.take<int32_t>(numRuns + places.numRanks());
  counts.arrived = scratch.take<int32_t>(arrivedCounts());
  counts.received = scratch.take<int32_t>(numHeld * places.numRanks());
  return counts;
}

StatusOr<size_t> AllToAllKernel::workspaceBytes(const KernelArgs &args,
                                                int numThreads) const {
  MOE_RETURN_IF_ERROR(check(args));
  int64_t rows = args.inputs[0].dims[0], received = args.outputs[0].dims[0];
  int64_t sent = rows * places.maxSlices();
  // At a relay: the rows of the ranks of its node, which have memory for as
  // many as this one, and those for as many ranks as there are nodes.
  int64_t passed =
      std::min(relay.nodeSize() * sent, relay.numNodes() * received);
  size_t most = 0;
  for (ExchangeForm form : {ExchangeForm::Flat, ExchangeForm::Hierarchical,
                            ExchangeForm::Replicated}) {
    if (!forms.mayBe(form))
      continue;
    Scratch scratch;
    cutTables(scratch);
    cutCounts(scratch);
    if (form == ExchangeForm::Hierarchical)
      relay.cutTransit(scratch, arrivedCounts() * int64_t(sizeof(int32_t)));
    cutRows(scratch, form, sent, received, passed, rowBytesOf(args.inputs[0]));
    MOE_ASSIGN_OR_RETURN(size_t bytes, scratch.bytes());
    most = std::max(most, bytes);
  }
  return most;
}

//===----------------------------------------------------------------------===//
// Counts
//===----------------------------------------------------------------------===//

/// The counts for every rank, in the order of first hops if rows are told too.
void AllToAllKernel::packCounts(const Tables &tables, const Counts &counts,
                                bool withRows) const {
  int32_t *at = counts.sent;
  for (int i = 0; i < places.numRanks(); ++i) {
    int target = withRows ? relay.inOrder(i) : i;
    int32_t *begin = at;
    if (withRows)
      *at++ = 0;
    forRunsTo(tables, target, [&](int32_t index, int64_t, int64_t rows) {
      int32_t expert = places.runs()[index].expert;
      if (withRows)
        *begin += static_cast<int32_t>(rows);
      *at++ = static_cast<int32_t>(tables.rowBegin[expert + 1] -
                                   tables.rowBegin[expert]);
    });
    tables.send[target] = {reinterpret_cast<std::byte *>(begin),
                           (at - begin) * sizeof(int32_t)};
  }
  at = counts.received;
  for (int sender = 0; sender < places.numRanks(); ++sender) {
    int64_t expected = places.numRuns(sender, places.rank());
    tables.recv[sender] = {reinterpret_cast<std::byte *>(at),
                           expected * sizeof(int32_t)};
    at += expected;
  }
}

Status AllToAllKernel::exchangeCounts(StepContext &context,
                                      const Tables &tables,
                                      const Counts &counts) const {
  packCounts(tables, counts, /*withRows=*/false);
  auto numRanks = static_cast<size_t>(places.numRanks());
  return context.comm.allToAllV({tables.send, numRanks},
                                {tables.recv, numRanks}, context.tag);
}

/// The same in two hops; then tables.transit has the bytes of rows that this
/// rank will relay.
Status AllToAllKernel::relayCounts(StepContext &context, const Tables &tables,
                                   const Counts &counts, int64_t rowBytes,
                                   Scratch &scratch) const {
  packCounts(tables, counts, /*withRows=*/true);
  int first = places.rank() - relay.ownPlace();
  int numNodes = relay.numNodes();
  for (int64_t i = 0; i < relay.transitSize(); ++i)
    tables.transit[i] =
        (1 + places.numRuns(first + static_cast<int>(i / numNodes),
                            relay.peerInNode(static_cast<int>(i % numNodes)))) *
        int64_t(sizeof(int32_t));
  auto *arrived = reinterpret_cast<std::byte *>(counts.arrived);
  MOE_RETURN_IF_ERROR(relay.hopInside(context, tables.send, tables.transit,
                                      arrived, tables.peers));
  auto forPieces = [&](int node, auto &&see) {
    std::byte *at = arrived;
    for (int64_t i = 0; i < relay.transitSize(); ++i) {
      if (i % numNodes == node)
        see(at + sizeof(int32_t), tables.transit[i] - int64_t(sizeof(int32_t)));
      at += tables.transit[i];
    }
  };
  MOE_RETURN_IF_ERROR(relay.hopAcross(context, forPieces, relay.transitSize(),
                                      tables.recv, tables.peers, scratch));
  for (int64_t i = 0; i < relay.transitSize(); ++i) {
    int32_t rows;
    std::memcpy(&rows, arrived, sizeof(rows));
    arrived += tables.transit[i];
    if (rows < 0)
      return badPlan("a rank announces " + std::to_string(rows) + " rows");
    tables.transit[i] = rows * rowBytes;
  }
  return Status::ok();
}

//===----------------------------------------------------------------------===//
// Route
//===----------------------------------------------------------------------===//

Status AllToAllKernel::setRoute(const int32_t *received,
                                const TensorView &view) const {
  int32_t *route = view.as<int32_t>();
  std::fill_n(route, view.numElements(), 0);
  for (int sender = 0; sender < places.numRanks(); ++sender) {
    int domain = places.domainOf(sender);
    int32_t *row = route + sender * places.numExperts();
    for (const Holding &holding : places.ownHoldings()) {
      if (holding.domain != domain)
        continue;
      int32_t count = *received++;
      if (count < 0)
        return badPlan("a count is " + std::to_string(count));
      row[holding.expert] =
          static_cast<int32_t>(holding.rowsOf(sender, count).size());
    }
  }
  return Status::ok();
}

/// As if rank 0 were the only sender.
void AllToAllKernel::setReplicatedRoute(const int32_t *counts,
                                        const TensorView &view) const {
  int32_t *route = view.as<int32_t>();
  std::fill_n(route, view.numElements(), 0);
  for (const Holding &holding : places.ownHoldings())
    if (holding.domain == 0)
      route[holding.expert] = static_cast<int32_t>(
          holding.rowsOf(0, counts[holding.expert]).size());
}

void AllToAllKernel::setLocalCounts(const int32_t *route,
                                    const TensorView &local) const {
  int32_t *counts = local.as<int32_t>();
  std::fill_n(counts, places.maxLocal(), 0);
  for (const Holding &holding : places.ownHoldings()) {
    for (int sender = 0; sender < places.numRanks(); ++sender)
      *counts += route[sender * places.numExperts() + holding.expert];
    ++counts;
  }
}

//===----------------------------------------------------------------------===//
// Run
//===----------------------------------------------------------------------===//

/// Sets route and local counts; returns the rows that this rank gets.
StatusOr<int64_t>
AllToAllKernel::findRoute(ExchangeForm form, const KernelArgs &args,
                          StepContext &context, const Tables &tables,
                          const Counts &counts, Scratch &scratch) const {
  const int32_t *own = dataOf<int32_t>(args.inputs[1]);
  const TensorView &route = args.outputs[2];
  if (form == ExchangeForm::Replicated) {
    setReplicatedRoute(own, route);
  } else {
    MOE_RETURN_IF_ERROR(form == ExchangeForm::Flat
                            ? exchangeCounts(context, tables, counts)
                            : relayCounts(context, tables, counts,
                                          rowBytesOf(args.inputs[0]), scratch));
    MOE_RETURN_IF_ERROR(setRoute(counts.received, route));
  }
  const int32_t *routed = route.as<int32_t>();
  MOE_RETURN_IF_ERROR(
      checkValues({routed, static_cast<size_t>(route.numElements())},
                  args.outputs[0].dims[0]));
  setLocalCounts(routed, args.outputs[1]);
  return setLocalBegins(routed, tables);
}

/// This rank's rows of the tensor that all ranks have. They come from one
/// sender, so the order of messages is that of the result.
void AllToAllKernel::takeRows(const KernelArgs &args, const Tables &tables,
                              CopyList &copies) const {
  int64_t rowBytes = rowBytesOf(args.inputs[0]);
  const std::byte *from = blockData(args.inputs[0]);
  auto *to = args.outputs[0].as<std::byte>();
  forRunsTo(tables, places.rank(), [&](int32_t, int64_t row, int64_t count) {
    copies.add(to, from + row * rowBytes, count * rowBytes);
    to += count * rowBytes;
  });
}

Status AllToAllKernel::moveRows(ExchangeForm form, const KernelArgs &args,
                                StepContext &context, const Tables &tables,
                                Scratch &scratch) const {
  int64_t rowBytes = rowBytesOf(args.inputs[0]);
  auto *from = const_cast<std::byte *>(blockData(args.inputs[0]));
  auto *to = args.outputs[0].as<std::byte>();
  const int32_t *route = args.outputs[2].as<int32_t>();
  auto sent = [&](int target, auto &&see) {
    forRunsTo(tables, target, [&](int32_t, int64_t row, int64_t count) {
      see(from + row * rowBytes, count * rowBytes);
    });
  };
  auto received = [&](int sender, auto &&see) {
    forLocalRuns(route, tables, sender, [&](int64_t row, int64_t count) {
      see(to + row * rowBytes, count * rowBytes);
    });
  };
  if (form != ExchangeForm::Replicated)
    MOE_RETURN_IF_ERROR(
        exchangeRows(form, context, tables, scratch, sent, received));
  CopyList copies = cutCopies(scratch);
  if (!scratch.fits())
    return expectWorkspace(context, *scratch.bytes());
  if (form == ExchangeForm::Replicated) {
    takeRows(args, tables, copies);
  } else {
    for (int sender = 0; sender < places.numRanks(); ++sender)
      forMessageCopies(sender, tables.recv[sender], received,
                       [&](std::byte *piece, std::byte *at, int64_t bytes) {
                         copies.add(piece, at, bytes);
                       });
  }
  copies.run(context.pool);
  return Status::ok();
}

Status AllToAllKernel::run(const KernelArgs &args, StepContext &context) const {
  MOE_RETURN_IF_ERROR(check(args));
  MOE_ASSIGN_OR_RETURN(ExchangeForm form, formOf(context));
  const int32_t *own = dataOf<int32_t>(args.inputs[1]);
  MOE_RETURN_IF_ERROR(checkValues(
      {own, static_cast<size_t>(places.numExperts())}, args.inputs[0].dims[0]));
  Scratch scratch(context.workspace);
  Tables tables = cutTables(scratch);
  Counts counts = cutCounts(scratch);
  if (!scratch.fits())
    return expectWorkspace(context, *scratch.bytes());
  setRowBegins(own, tables);
  MOE_ASSIGN_OR_RETURN(int64_t rows,
                       findRoute(form, args, context, tables, counts, scratch));
  if (!context.dataSizes.empty())
    context.dataSizes[0] = rows;
  return moveRows(form, args, context, tables, scratch);
}

std::unique_ptr<Kernel> makeAllToAll(const KernelSpec &spec, const Isa &isa,
                                     ExchangePlaces places,
                                     ExchangeForms forms) {
  return std::make_unique<AllToAllKernel>(spec, isa, std::move(places), forms);
}

} // namespace moe::cpu
