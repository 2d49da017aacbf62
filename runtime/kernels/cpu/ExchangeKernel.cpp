//===- ExchangeKernel.cpp - What both ways of an exchange share -----------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/kernels/cpu/ExchangeKernel.h"

#include "runtime/kernels/cpu/Kernels.h"
#include "runtime/plan/StepAttributes.h"

namespace moe::cpu {

ExchangeKernel::ExchangeKernel(const KernelSpec &spec, const Isa &isa,
                               ExchangePlaces places, ExchangeForms forms)
    : CpuKernel(spec, isa), places(std::move(places)), forms(forms),
      relay(spec.rank, spec.numRanks,
            forms.nodeSize > 0 ? forms.nodeSize : spec.numRanks) {}

//===----------------------------------------------------------------------===//
// Memory
//===----------------------------------------------------------------------===//

ExchangeKernel::Tables ExchangeKernel::cutTables(Scratch &scratch) const {
  int64_t numRanks = places.numRanks();
  auto numHeld = static_cast<int64_t>(places.ownHoldings().size());
  Tables tables;
  tables.rowBegin = scratch.take<int64_t>(places.numExperts() + 1);
  tables.localBegin = scratch.take<int64_t>(numHeld * numRanks);
  tables.send = scratch.take<SendBlock>(numRanks);
  tables.recv = scratch.take<RecvBlock>(numRanks);
  tables.peers = relay.cutPeers(scratch);
  tables.transit = scratch.take<int64_t>(relay.transitSize());
  return tables;
}

/// The pieces of all messages, sent or received.
CopyList ExchangeKernel::cutCopies(Scratch &scratch) const {
  auto numHeld = static_cast<int64_t>(places.ownHoldings().size());
  auto numRuns = static_cast<int64_t>(places.runs().size());
  return CopyList(scratch, std::max(numRuns, numHeld * places.numRanks()));
}

void ExchangeKernel::cutRows(Scratch &scratch, ExchangeForm form, int64_t sent,
                             int64_t received, int64_t passed,
                             int64_t rowBytes) const {
  cutCopies(scratch);
  scratch.take<std::byte>(sent * rowBytes);
  scratch.take<std::byte>(received * rowBytes);
  if (form == ExchangeForm::Hierarchical)
    relay.cutTransit(scratch, passed * rowBytes);
  cutCopies(scratch);
}

//===----------------------------------------------------------------------===//
// Checks
//===----------------------------------------------------------------------===//

Status ExchangeKernel::checkRows(const TensorView &from,
                                 const TensorView &to) const {
  MOE_RETURN_IF_ERROR(expectRank(from, 2, "rows"));
  MOE_RETURN_IF_ERROR(expectRank(to, 2, "result"));
  MOE_RETURN_IF_ERROR(expectDType(to, from.dtype, "result"));
  MOE_RETURN_IF_ERROR(expectContiguous(from, "rows"));
  MOE_RETURN_IF_ERROR(expectContiguous(to, "result"));
  if (from.dims[1] != to.dims[1])
    return badPlan("rows " + shapeText(from) + " cannot give " + shapeText(to));
  // Relays tell each other numbers of rows in 32 bits.
  int64_t mostRows = INT32_MAX / places.maxSlices();
  if (forms.mayBe(ExchangeForm::Hierarchical) &&
      std::max(from.dims[0], to.dims[0]) > mostRows)
    return unsupported("more than " + std::to_string(mostRows) +
                       " rows in two hops");
  return Status::ok();
}

Status ExchangeKernel::checkCounts(const TensorView &view, const char *operand,
                                   std::initializer_list<int64_t> dims) const {
  MOE_RETURN_IF_ERROR(expectRank(view, static_cast<int>(dims.size()), operand));
  MOE_RETURN_IF_ERROR(expectDType(view, DType::I32, operand));
  MOE_RETURN_IF_ERROR(expectContiguous(view, operand));
  if (std::equal(dims.begin(), dims.end(), view.dims))
    return Status::ok();
  return badPlan("operand '" + std::string(operand) + "' of shape " +
                 shapeText(view) + " does not fit " +
                 std::to_string(places.numExperts()) + " experts on " +
                 std::to_string(places.numRanks()) + " ranks");
}

Status ExchangeKernel::checkValues(std::span<const int32_t> counts,
                                   int64_t rows) const {
  int64_t total = 0;
  for (int32_t count : counts) {
    if (count < 0)
      return badPlan("a count is " + std::to_string(count));
    total += count;
  }
  if (total <= rows)
    return Status::ok();
  return badPlan(std::to_string(total) + " rows are counted, but there is " +
                 "memory for " + std::to_string(rows));
}

StatusOr<ExchangeForm>
ExchangeKernel::formOf(const StepContext &context) const {
  int64_t tokens = 0;
  if (forms.smallForm) {
    MOE_ASSIGN_OR_RETURN(std::span<const int64_t> values,
                         exprs(context, "tokens", 1));
    tokens = values[0];
  }
  ExchangeForm form = forms.formFor(tokens);
  if (form == ExchangeForm::Hierarchical)
    MOE_RETURN_IF_ERROR(relay.check(context, name));
  return form;
}

//===----------------------------------------------------------------------===//
// Rows
//===----------------------------------------------------------------------===//

void ExchangeKernel::setRowBegins(const int32_t *counts,
                                  const Tables &tables) const {
  tables.rowBegin[0] = 0;
  for (int64_t e = 0; e < places.numExperts(); ++e)
    tables.rowBegin[e + 1] = tables.rowBegin[e] + counts[e];
}

int64_t ExchangeKernel::setLocalBegins(const int32_t *route,
                                       const Tables &tables) const {
  std::span<const Holding> own = places.ownHoldings();
  int64_t row = 0;
  int64_t *begin = tables.localBegin;
  for (const Holding &holding : own)
    for (int sender = 0; sender < places.numRanks(); ++sender) {
      *begin++ = row;
      row += route[sender * places.numExperts() + holding.expert];
    }
  return row;
}

Status ExchangeKernel::sendRows(ExchangeForm form, StepContext &context,
                                const Tables &tables, Scratch &scratch) const {
  if (form == ExchangeForm::Hierarchical)
    return relay.sendRows(context, tables.send, tables.transit, tables.recv,
                          tables.peers, scratch);
  auto numRanks = static_cast<size_t>(places.numRanks());
  return context.comm.allToAllV({tables.send, numRanks},
                                {tables.recv, numRanks}, context.tag);
}

//===----------------------------------------------------------------------===//
// Registration
//===----------------------------------------------------------------------===//

using MakeExchange = std::unique_ptr<Kernel> (*)(const KernelSpec &,
                                                 const Isa &, ExchangePlaces,
                                                 ExchangeForms);

static KernelFactory exchangeFactory(const Isa &isa, size_t numInputs,
                                     size_t numOutputs, MakeExchange make) {
  return [&isa, numInputs, numOutputs,
          make](const KernelSpec &spec) -> StatusOr<std::unique_ptr<Kernel>> {
    MOE_RETURN_IF_ERROR(checkOperands(spec, numInputs, numInputs, numOutputs));
    StepAttributes attributes(spec.step);
    MOE_ASSIGN_OR_RETURN(ExchangeForms forms,
                         ExchangeForms::parse(attributes, spec.numRanks));
    MOE_RETURN_IF_ERROR(attributes.checkAllRead());
    MOE_ASSIGN_OR_RETURN(ExchangePlaces places,
                         ExchangePlaces::create(spec, forms.isReplicated()));
    return make(spec, isa, std::move(places), forms);
  };
}

void registerExchange(KernelRegistry &registry, const Isa &isa) {
  registry.add("all_to_all", exchangeFactory(isa, 2, 3, makeAllToAll));
  registry.add("all_to_all_back", exchangeFactory(isa, 3, 1, makeAllToAllBack));
}

} // namespace moe::cpu
