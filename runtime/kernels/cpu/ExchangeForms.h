//===- ExchangeForms.h - The ways on which rows travel ----------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
//   flat          every rank sends to every rank: p - 1 messages
//   hierarchical  two hops, G - 1 and p / G - 1 messages for nodes of G ranks:
//                 to the rank of the own node that has the place of the target,
//                 which passes on what it got from all ranks of its node
//   replicated    nothing is sent; every rank takes its rows of the tensor that
//                 all of them have. On the way back all ranks get all results.
//
// Rank 0 to rank 5 of three nodes of two ranks:
//
//   node 0    0 --- 1          1 has the place of 5,
//                   |
//   node 2    4     5          and passes rows of 0 and 1 on to it
//
// The results of all forms are the same bits.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_RUNTIME_KERNELS_CPU_EXCHANGEFORMS_H
#define MOE_RUNTIME_KERNELS_CPU_EXCHANGEFORMS_H

#include "runtime/kernels/cpu/ExchangeMessages.h"

#include <optional>

namespace moe {
class StepAttributes;
}

namespace moe::cpu {

enum class ExchangeForm : uint8_t { Flat, Hierarchical, Replicated };

/// The attributes form, node_size, small_form, small_tokens and tokens.
struct ExchangeForms {
  ExchangeForm form = ExchangeForm::Flat;
  std::optional<ExchangeForm> smallForm;
  int64_t smallTokens = 0;
  int64_t nodeSize = 0;

  /// BadPlan for what contradicts itself or the `numRanks` of the group.
  static StatusOr<ExchangeForms> parse(StepAttributes &attributes,
                                       int numRanks);
  bool isReplicated() const { return form == ExchangeForm::Replicated; }
  bool mayBe(ExchangeForm other) const {
    return form == other || smallForm == other;
  }
  /// Which form a run takes whose batch has this many tokens.
  ExchangeForm formFor(int64_t tokens) const {
    return smallForm && tokens <= smallTokens ? *smallForm : form;
  }
};

/// The two hops of the hierarchical form.
class Relay {
public:
  Relay(int rank, int numRanks, int64_t nodeSize)
      : size(static_cast<int>(nodeSize)),
        nodes(numRanks / static_cast<int>(nodeSize)), place(rank % size) {}

  int nodeSize() const { return size; }
  int numNodes() const { return nodes; }
  /// This rank's place in its node.
  int ownPlace() const { return place; }
  int rankAt(int node, int at) const { return node * size + at; }
  /// The order in which first hops carry what is for all ranks: by place, then
  /// by node.
  int inOrder(int i) const { return rankAt(i % nodes, i / nodes); }
  /// The rank of this one's place in node n.
  int peerInNode(int n) const { return rankAt(n, place); }

  /// Blocks for peers of one hop.
  struct Peers {
    SendBlock *send;
    RecvBlock *recv;
  };
  Peers cutPeers(Scratch &scratch) const {
    int most = std::max(size, nodes);
    return {scratch.take<SendBlock>(most), scratch.take<RecvBlock>(most)};
  }
  /// Entries of `transit` below.
  int64_t transitSize() const { return int64_t(size) * nodes; }

  /// What is wrong with the communicators of a step, if anything.
  Status check(const StepContext &context, const std::string &step) const;

  /// First hop: send[r] is for rank r, one behind the other in inOrder(). What
  /// rank s of this node has for rank peerInNode(n) arrives in `arrived`, one
  /// behind the other by s and n; transit[s * numNodes() + n] are its bytes.
  Status hopInside(StepContext &context, const SendBlock *send,
                   const int64_t *transit, std::byte *arrived,
                   Peers peers) const;
  /// Second hop: to each node the pieces in `arrived` that forPieces(n, see)
  /// enumerates. recv[r] is for what rank r sent, one behind the other by r.
  template <typename ForPieces>
  Status hopAcross(StepContext &context, ForPieces forPieces, int64_t maxPieces,
                   const RecvBlock *recv, Peers peers, Scratch &scratch) const {
    CopyList copies(scratch, maxPieces);
    auto identity = [](int n) { return n; };
    if (!placeMessages(nodes, /*inPlace=*/true, identity, forPieces, scratch,
                       peers.send))
      return noScratch();
    for (int n = 0; n < nodes; ++n)
      forMessageCopies(n, peers.send[n], forPieces,
                       [&](std::byte *piece, std::byte *at, int64_t bytes) {
                         copies.add(at, piece, bytes);
                       });
    copies.run(context.pool);
    return sendAcross(context, recv, peers);
  }
  /// Both hops for rows, whose bytes in transit are known.
  Status sendRows(StepContext &context, const SendBlock *send,
                  const int64_t *transit, const RecvBlock *recv, Peers peers,
                  Scratch &scratch) const;

  /// Scratch of sendRows for at most `bytes` in transit.
  void cutTransit(Scratch &scratch, int64_t bytes) const {
    scratch.take<std::byte>(bytes);
    CopyList copies(scratch, transitSize());
    scratch.take<std::byte>(bytes);
  }

private:
  Status sendAcross(StepContext &context, const RecvBlock *recv,
                    Peers peers) const;
  static Status noScratch();

  int size, nodes, place;
};

} // namespace moe::cpu

#endif // MOE_RUNTIME_KERNELS_CPU_EXCHANGEFORMS_H
