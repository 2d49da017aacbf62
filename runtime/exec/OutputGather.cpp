//===- OutputGather.cpp - Outputs of ranks that are processes -------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Each process has an array of its own for every output, in which its rank has
// written its part. The other parts come from the ranks that write them.
//
//===----------------------------------------------------------------------===//

#include "runtime/exec/RankRunner.h"
#include "runtime/kernels/cpu/StridedCopy.h"

using namespace moe;

Status RankRunner::gatherOutputs() {
  // It is no part of the model's work.
  Counters counted = comms->world().counters();
  for (size_t i = 0; i < program.outputs.size(); ++i) {
    const plan::PortT &port = *program.outputs[i];
    if (!request->outputs[i].data || !Executable::isDivided(port))
      continue;
    uint32_t tag = static_cast<uint32_t>(executable->numSteps() + i);
    if (Status status = gatherOutput(port, request->outputs[i], tag);
        !status.isOk())
      return status.at("output \"" + port.name + "\"");
  }
  comms->world().counters() = counted;
  return Status::ok();
}

Status RankRunner::gatherOutput(const plan::PortT &port, PortMemory whole,
                                uint32_t tag) {
  // Parts that do not lie in one piece travel through memory of their own.
  bool isScattered = Executable::isScattered(port);
  if (isScattered)
    gathered.resize(whole.bytes);
  std::vector<TensorView> parts;
  std::vector<RecvBlock> blocks;
  size_t begin = 0;
  for (int each = 0; each < executable->numRanks(); ++each) {
    parts.push_back(portView(port, whole, each));
    bool isWriter = executable->isWriter(port, each);
    size_t bytes =
        isWriter ? parts[each].numElements() * dtypeSize(parts[each].dtype) : 0;
    if (bytes > whole.bytes - begin)
      return Status(StatusCode::BadPlan, "the parts of ranks overlap");
    auto *inPlace = static_cast<std::byte *>(parts[each].data);
    blocks.push_back({isScattered ? gathered.data() + begin : inPlace, bytes});
    begin += bytes;
  }
  auto packed = [&](int each) {
    TensorView view = parts[each];
    view.setContiguous();
    view.data = blocks[each].data;
    return view;
  };
  const RecvBlock &mine = blocks[rank];
  if (isScattered && mine.bytes > 0)
    cpu::copyStrided(main.pool, cpu::CopyBox(parts[rank], packed(rank)));
  MOE_RETURN_IF_ERROR(
      comms->world().allGatherV({mine.data, mine.bytes}, blocks, tag));
  for (int each = 0; isScattered && each < executable->numRanks(); ++each)
    if (blocks[each].bytes > 0 && each != rank)
      cpu::copyStrided(main.pool, cpu::CopyBox(packed(each), parts[each]));
  return Status::ok();
}
