//===- ExchangeForms.cpp - The ways on which rows travel ------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/kernels/cpu/ExchangeForms.h"

#include "runtime/plan/StepAttributes.h"

namespace moe::cpu {

//===----------------------------------------------------------------------===//
// Attributes
//===----------------------------------------------------------------------===//

static StatusOr<ExchangeForm> parseForm(StepAttributes &attributes,
                                        std::string_view name) {
  return attributes.getEnum<ExchangeForm>(
      name,
      {{"flat", ExchangeForm::Flat},
       {"hierarchical", ExchangeForm::Hierarchical},
       {"replicated", ExchangeForm::Replicated}},
      ExchangeForm::Flat);
}

StatusOr<ExchangeForms> ExchangeForms::parse(StepAttributes &attributes,
                                             int numRanks) {
  ExchangeForms result;
  MOE_ASSIGN_OR_RETURN(result.form, parseForm(attributes, "form"));
  if (attributes.has("small_form")) {
    MOE_ASSIGN_OR_RETURN(result.smallForm, parseForm(attributes, "small_form"));
  }
  MOE_ASSIGN_OR_RETURN(result.nodeSize, attributes.getInt("node_size", 0));
  MOE_ASSIGN_OR_RETURN(result.smallTokens,
                       attributes.getInt("small_tokens", 0));
  MOE_ASSIGN_OR_RETURN(size_t numTokens,
                       attributes.getNumExprs("tokens", size_t(0)));

  if (result.nodeSize < 0 || result.nodeSize > numRanks ||
      (result.nodeSize > 0 && numRanks % result.nodeSize != 0))
    return attributes.error("node_size",
                            "is " + std::to_string(result.nodeSize) +
                                ", which does not divide the " +
                                std::to_string(numRanks) + " ranks");
  if (result.mayBe(ExchangeForm::Hierarchical) && result.nodeSize == 0)
    return attributes.error("node_size", "is missing for a hierarchical form");
  if (result.smallTokens < 0)
    return attributes.error("small_tokens", "is negative");
  if (!result.smallForm)
    return result.smallTokens == 0
               ? StatusOr<ExchangeForms>(result)
               : attributes.error("small_tokens", "has no small_form");
  if (numTokens != 1)
    return attributes.error("tokens", "has " + std::to_string(numTokens) +
                                          " values, expected 1");
  // Rows that all ranks have cannot be exchanged now and then.
  if ((result.smallForm == ExchangeForm::Replicated) != result.isReplicated())
    return attributes.error("small_form",
                            "mixes rows that all ranks have with others");
  return result;
}

//===----------------------------------------------------------------------===//
// Relay
//===----------------------------------------------------------------------===//

Status Relay::check(const StepContext &context, const std::string &step) const {
  auto fits = [](const Communicator *comm, int size) {
    return comm && comm->size() == size;
  };
  if (fits(context.insideNode, size) && fits(context.acrossNodes, nodes) &&
      context.insideNode->rank() == place)
    return Status::ok();
  return Status(StatusCode::Internal,
                step + ": has no communicators for nodes of " +
                    std::to_string(size) + " ranks");
}

Status Relay::noScratch() {
  return Status(StatusCode::Internal,
                "the workspace is too small for rows in transit");
}

Status Relay::hopInside(StepContext &context, const SendBlock *send,
                        const int64_t *transit, std::byte *arrived,
                        Peers peers) const {
  for (int at = 0; at < size; ++at) {
    SendBlock &block = peers.send[at];
    block = {nullptr, 0};
    for (int n = 0; n < nodes; ++n) {
      const SendBlock &part = send[rankAt(n, at)];
      if (part.bytes > 0 && block.bytes == 0)
        block.data = part.data;
      block.bytes += part.bytes;
    }
    int64_t bytes = 0;
    for (int n = 0; n < nodes; ++n)
      bytes += transit[at * nodes + n];
    peers.recv[at] = {arrived, static_cast<size_t>(bytes)};
    arrived += bytes;
  }
  return context.insideNode->allToAllV({peers.send, static_cast<size_t>(size)},
                                       {peers.recv, static_cast<size_t>(size)},
                                       context.tag);
}

Status Relay::sendAcross(StepContext &context, const RecvBlock *recv,
                         Peers peers) const {
  for (int n = 0; n < nodes; ++n) {
    RecvBlock &block = peers.recv[n];
    block = recv[rankAt(n, 0)];
    for (int at = 1; at < size; ++at) {
      const RecvBlock &part = recv[rankAt(n, at)];
      if (block.bytes == 0)
        block.data = part.data;
      block.bytes += part.bytes;
    }
  }
  return context.acrossNodes->allToAllV(
      {peers.send, static_cast<size_t>(nodes)},
      {peers.recv, static_cast<size_t>(nodes)}, context.tag);
}

Status Relay::sendRows(StepContext &context, const SendBlock *send,
                       const int64_t *transit, const RecvBlock *recv,
                       Peers peers, Scratch &scratch) const {
  int64_t bytes = 0;
  for (int64_t i = 0; i < transitSize(); ++i)
    bytes += transit[i];
  auto *arrived = scratch.take<std::byte>(bytes);
  if (!scratch.fits())
    return noScratch();
  MOE_RETURN_IF_ERROR(hopInside(context, send, transit, arrived, peers));
  // Pieces of node n lie among those of the others, one for each sender.
  auto forPieces = [&](int node, auto &&see) {
    std::byte *at = arrived;
    for (int s = 0; s < size; ++s)
      for (int n = 0; n < nodes; ++n) {
        int64_t piece = transit[s * nodes + n];
        if (n == node)
          see(at, piece);
        at += piece;
      }
  };
  return hopAcross(context, forPieces, transitSize(), recv, peers, scratch);
}

} // namespace moe::cpu
