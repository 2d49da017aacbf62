//===- ExchangeMessages.h - Messages made of pieces -------------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A message to or from a peer is a sequence of pieces, each with a place in a
// tensor. Where the pieces of a message lie one behind the other, the message
// is sent from there or received there; else it has memory of its own and the
// pieces are copied, all of them at once by all threads:
//
//   tensor     a a b b b c       message to rank 0: a, b    in place
//                                message to rank 1: a, c    packed: a a c
//
//===----------------------------------------------------------------------===//

#ifndef MOE_RUNTIME_KERNELS_CPU_EXCHANGEMESSAGES_H
#define MOE_RUNTIME_KERNELS_CPU_EXCHANGEMESSAGES_H

#include "runtime/kernels/cpu/Support.h"

#include <algorithm>
#include <cstring>

namespace moe::cpu {

/// Copies that are made together.
class CopyList {
public:
  /// Room for `maxCopies`.
  CopyList(Scratch &scratch, int64_t maxCopies)
      : copies(scratch.take<Copy>(maxCopies)) {}

  void add(std::byte *to, const std::byte *from, int64_t bytes) {
    if (bytes == 0 || to == from)
      return;
    total += bytes;
    copies[count++] = {to, from, total};
  }

  /// Makes the copies and forgets them.
  void run(ThreadPool &pool) {
    constexpr int64_t kChunk = 128 << 10;
    if (total <= 2 * kChunk || pool.numThreads() == 1)
      copyRange(0, total);
    else
      pool.parallelFor((total + kChunk - 1) / kChunk, [&](int64_t i, int) {
        copyRange(i * kChunk, std::min(total, (i + 1) * kChunk));
      });
    count = total = 0;
  }

private:
  struct Copy {
    std::byte *to;
    const std::byte *from;
    int64_t end; ///< bytes up to and with this copy
  };

  /// Bytes [begin, end) of all copies, one behind the other.
  void copyRange(int64_t begin, int64_t end) const {
    const Copy *copy =
        std::upper_bound(copies, copies + count, begin,
                         [](int64_t at, const Copy &c) { return at < c.end; });
    int64_t first = copy == copies ? 0 : copy[-1].end;
    for (; begin < end; first = copy++->end) {
      int64_t last = std::min(end, copy->end);
      std::memcpy(copy->to + (begin - first), copy->from + (begin - first),
                  static_cast<size_t>(last - begin));
      begin = last;
    }
  }

  Copy *copies;
  int64_t count = 0, total = 0;
};

/// The pieces of one message, seen one after the other.
struct PieceSum {
  std::byte *first = nullptr;
  int64_t bytes = 0;
  bool isContiguous = true;

  void operator()(std::byte *at, int64_t size) {
    if (size == 0)
      return;
    if (bytes == 0)
      first = at;
    isContiguous &= at && at == first + bytes;
    bytes += size;
  }
};

/// Where the messages of all peers are. `forPieces(peer, see)` calls see(place,
/// bytes) for the pieces of a message, in order; a piece without a place (null)
/// keeps its message out of the tensor. `peerAt(i)` is the i-th peer, in whose
/// order messages with memory of their own lie one behind the other. Without
/// `inPlace` all of them are there. Block: SendBlock or RecvBlock. Returns
/// false if the scratch memory does not suffice.
template <typename Block, typename PeerAt, typename ForPieces>
bool placeMessages(int numPeers, bool inPlace, PeerAt peerAt,
                   ForPieces forPieces, Scratch &scratch, Block *blocks) {
  int64_t ownBytes = 0;
  for (int i = 0; i < numPeers; ++i) {
    int peer = peerAt(i);
    PieceSum sum;
    forPieces(peer, sum);
    bool isThere = inPlace && sum.isContiguous;
    blocks[peer] = {isThere ? sum.first : nullptr,
                    static_cast<size_t>(sum.bytes)};
    ownBytes += isThere ? 0 : sum.bytes;
  }
  auto *memory = scratch.take<std::byte>(ownBytes);
  if (!scratch.fits())
    return false;
  for (int i = 0; i < numPeers; ++i) {
    Block &block = blocks[peerAt(i)];
    if (block.data || block.bytes == 0)
      continue;
    block.data = memory;
    memory += block.bytes;
  }
  return true;
}

/// Adds the copies between a message and its pieces: `copy(piece, in message,
/// bytes)`; none for a message in place.
template <typename Block, typename ForPieces, typename AddCopy>
void forMessageCopies(int peer, const Block &block, ForPieces forPieces,
                      AddCopy copy) {
  auto *at = const_cast<std::byte *>(block.data);
  forPieces(peer, [&](std::byte *piece, int64_t bytes) {
    copy(piece, at, bytes);
    at += bytes;
  });
}

} // namespace moe::cpu

#endif // MOE_RUNTIME_KERNELS_CPU_EXCHANGEMESSAGES_H
