//===- ExchangeKernel.h - What both ways of an exchange share ---*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Three orders of the same rows. On the rank that sends, rows are sorted by
// expert. In a message, by expert again, but only those of one pair of ranks.
// On the rank that computes, by expert and then by sender:
//
//   rank 0 holds e0, e1; rank 1 holds e2; both send to rank 0
//   rank 0 sends [e0 e0 e1], rank 1 sends [e0 e1 e1]
//   rank 0 has   [e0 e0 | e0 | e1 | e1 e1]
//                 from 0   1    0    1
//
// The way back is the same in reverse; the rows of an expert in slices come
// back from each of them and are added. Messages are the same in all forms: the
// hierarchical one only carries them in two hops.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_RUNTIME_KERNELS_CPU_EXCHANGEKERNEL_H
#define MOE_RUNTIME_KERNELS_CPU_EXCHANGEKERNEL_H

#include "runtime/kernels/cpu/ExchangeForms.h"
#include "runtime/kernels/cpu/ExchangePlaces.h"

namespace moe::cpu {

class ExchangeKernel : public CpuKernel {
public:
  ExchangeKernel(const KernelSpec &spec, const Isa &isa, ExchangePlaces places,
                 ExchangeForms forms);

protected:
  /// Tables of one run.
  struct Tables {
    int64_t *rowBegin; ///< [E + 1], of the sender's rows for each expert
    int64_t
        *localBegin; ///< [own holdings][numRanks], of the rows computed here
    SendBlock *send; ///< [numRanks]
    RecvBlock *recv; ///< [numRanks]
    Relay::Peers peers;
    int64_t *transit; ///< bytes, see Relay
  };
  Tables cutTables(Scratch &scratch) const;
  CopyList cutCopies(Scratch &scratch) const;
  /// Workspace of the rows of one form: `sent` and `received` rows in messages
  /// and `passed` rows in transit at most.
  void cutRows(Scratch &scratch, ExchangeForm form, int64_t sent,
               int64_t received, int64_t passed, int64_t rowBytes) const;

  Status checkRows(const TensorView &from, const TensorView &to) const;
  Status checkCounts(const TensorView &view, const char *operand,
                     std::initializer_list<int64_t> dims) const;
  Status checkValues(std::span<const int32_t> counts, int64_t rows) const;
  StatusOr<ExchangeForm> formOf(const StepContext &context) const;
  static int64_t rowBytesOf(const TensorView &rows) {
    return rows.dims[1] * static_cast<int64_t>(dtypeSize(rows.dtype));
  }

  void setRowBegins(const int32_t *counts, const Tables &tables) const;
  /// Sets localBegin; returns the rows that this rank computes.
  int64_t setLocalBegins(const int32_t *route, const Tables &tables) const;

  /// Calls see(begin, rows) for the rows from `sender` that are computed here,
  /// in the order of a message.
  template <typename See>
  void forLocalRuns(const int32_t *route, const Tables &tables, int sender,
                    See &&see) const {
    std::span<const Holding> own = places.ownHoldings();
    int domain = places.domainOf(sender);
    const int32_t *counts = route + sender * places.numExperts();
    for (size_t h = 0; h < own.size(); ++h)
      if (own[h].domain == domain)
        see(tables.localBegin[h * places.numRanks() + sender],
            int64_t(counts[own[h].expert]));
  }
  /// Calls see(index, begin, rows) for the runs of this sender to `target`, in
  /// the order of a message.
  template <typename See>
  void forRunsTo(const Tables &tables, int target, See &&see) const {
    for (int32_t index : places.runsTo(target)) {
      const Run &run = places.runs()[index];
      int64_t begin = tables.rowBegin[run.expert];
      Interval rows = partOfWhole(tables.rowBegin[run.expert + 1] - begin,
                                  run.part, run.parts);
      see(index, begin + rows.begin, rows.size());
    }
  }

  /// Sends the pieces of forSent(rank, see) to every rank; what comes from a
  /// rank, as large as the pieces of forReceived, is in tables.recv afterwards,
  /// in place where that is possible. In the hierarchical form, tables.transit
  /// is set.
  template <typename ForSent, typename ForReceived>
  Status exchangeRows(ExchangeForm form, StepContext &context,
                      const Tables &tables, Scratch &scratch, ForSent forSent,
                      ForReceived forReceived) const {
    bool inPlace = form == ExchangeForm::Flat;
    auto byRank = [](int i) { return i; };
    auto inOrder = [&](int i) { return inPlace ? i : relay.inOrder(i); };
    CopyList copies = cutCopies(scratch);
    if (!placeMessages(places.numRanks(), inPlace, inOrder, forSent, scratch,
                       tables.send))
      return expectWorkspace(context, *scratch.bytes());
    for (int r = 0; r < places.numRanks(); ++r)
      forMessageCopies(r, tables.send[r], forSent,
                       [&](std::byte *piece, std::byte *at, int64_t bytes) {
                         copies.add(at, piece, bytes);
                       });
    if (!placeMessages(places.numRanks(), inPlace, byRank, forReceived, scratch,
                       tables.recv))
      return expectWorkspace(context, *scratch.bytes());
    copies.run(context.pool);
    return sendRows(form, context, tables, scratch);
  }

  const ExchangePlaces places;
  const ExchangeForms forms;
  const Relay relay;

private:
  Status sendRows(ExchangeForm form, StepContext &context, const Tables &tables,
                  Scratch &scratch) const;
};

std::unique_ptr<Kernel> makeAllToAll(const KernelSpec &spec, const Isa &isa,
                                     ExchangePlaces places,
                                     ExchangeForms forms);
std::unique_ptr<Kernel> makeAllToAllBack(const KernelSpec &spec, const Isa &isa,
                                         ExchangePlaces places,
                                         ExchangeForms forms);

} // namespace moe::cpu

#endif // MOE_RUNTIME_KERNELS_CPU_EXCHANGEKERNEL_H
