//===- MpiCommunicator.h - Ranks that are processes -------------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_RUNTIME_COMM_MPI_MPICOMMUNICATOR_H
#define MOE_RUNTIME_COMM_MPI_MPICOMMUNICATOR_H

#include "runtime/comm/mpi/Exchange.h"

namespace moe::mpi {

class MpiCommunicator final : public Communicator {
public:
  MpiCommunicator(MpiGroup group, std::shared_ptr<Counters> counters);

  int rank() const override { return group.rank; }
  int size() const override { return group.size(); }

  Status barrier(uint32_t tag) override;
  Status allGather(std::span<const std::byte> send, std::span<std::byte> recv,
                   uint32_t tag) override;
  Status allGatherV(std::span<const std::byte> send,
                    std::span<const RecvBlock> recv, uint32_t tag) override;
  Status allToAllV(std::span<const SendBlock> send,
                   std::span<const RecvBlock> recv, uint32_t tag) override;
  Status allReduce(void *data, int64_t count, DType dtype, ReduceOp op,
                   uint32_t tag) override;
  Status reduceScatter(const void *send, void *recv, int64_t count, DType dtype,
                       ReduceOp op, uint32_t tag) override;
  StatusOr<std::unique_ptr<Communicator>> split(int color,
                                                uint32_t tag) override;
  void abort(const Status &why) override;
  Status check() const override { return group.family->check(); }

  /// Like allGather, but waits for a rank that is busy (ProcessGroup::gather).
  Status gatherPatiently(std::span<const std::byte> send,
                         std::span<std::byte> recv);

private:
  Status reduceSmall(const Call &call, std::byte *data);
  Status reduceInChunks(const Call &call, std::byte *data);
  /// Gets `bytes` from each rank and adds them to `result`.
  Status gatherAndReduce(const Call &call, std::span<const SendBlock> send,
                         int64_t count, void *result);
  std::span<const RecvBlock> blocksOf(std::span<std::byte> recv);

  Exchange exchange;
  const MpiGroup &group;
  int nextChannel;
  std::vector<SendBlock> sendBlocks;
  std::vector<RecvBlock> recvBlocks;
  std::vector<const std::byte *> sources;
  std::vector<std::byte> scratch;
};

} // namespace moe::mpi

#endif // MOE_RUNTIME_COMM_MPI_MPICOMMUNICATOR_H
