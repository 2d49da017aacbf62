//===- TestKernels.cpp - Small kernels for tests of sessions --------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "test/unit/exec/TestProgram.h"

#include <algorithm>
#include <chrono>
#include <thread>

using namespace moe;
using namespace moe::test;

namespace {

using Run = Status (*)(const KernelArgs &args, StepContext &context);

class TestKernel final : public Kernel {
public:
  TestKernel(Run body, const KernelSpec &spec)
      : body(body), place(spec.rank), size(spec.numRanks) {}
  StatusOr<size_t> workspaceBytes(const KernelArgs &, int) const override {
    return size_t(100);
  }
  Status run(const KernelArgs &args, StepContext &context) const override {
    if (context.workspace.size() < 100)
      return Status(StatusCode::Internal, "no workspace");
    if (place != context.comm.rank() || size != context.comm.size())
      return Status(StatusCode::Internal, "made for another group");
    return body(args, context);
  }

private:
  Run body;
  int place, size;
};

/// Calls body(offset in a, offset in b) for all elements of equal dims.
template <typename Body>
void forEach(const TensorView &a, const TensorView &b, Body body) {
  int64_t count = a.numElements();
  for (int64_t i = 0; i < count; ++i) {
    int64_t rest = i, inA = 0, inB = 0;
    for (int axis = a.rank - 1; axis >= 0; --axis) {
      int64_t position = rest % a.dims[axis];
      rest /= a.dims[axis];
      inA += position * a.strides[axis];
      inB += position * b.strides[axis];
    }
    body(inA, inB);
  }
}

/// y = x + 1, in any strides.
Status addOne(const KernelArgs &args, StepContext &context) {
  const TensorView &x = args.inputs[0], &y = args.outputs[0];
  forEach(x, y, [&](int64_t from, int64_t to) {
    y.as<float>()[to] = x.as<float>()[from] + 1;
  });
  context.counters.flops += x.numElements();
  return Status::ok();
}

/// y [n, 4] = the rows x [n of this rank, 4] of all ranks.
Status gatherRows(const KernelArgs &args, StepContext &context) {
  const TensorView &x = args.inputs[0], &y = args.outputs[0];
  const std::vector<int64_t> &begins =
      context.parts->find("batch.local")->second;
  std::vector<RecvBlock> blocks;
  for (int rank = 0; rank < context.comm.size(); ++rank)
    blocks.push_back(
        {y.as<std::byte>() + begins[rank] * 16,
         static_cast<size_t>(begins[rank + 1] - begins[rank]) * 16});
  return context.comm.allGatherV(
      {x.as<std::byte>(), static_cast<size_t>(x.numElements()) * 4}, blocks,
      context.tag);
}

/// Writes new [b, s, 4] to the last s entries of the state [b, T, 4].
Status append(const KernelArgs &args, StepContext &) {
  const TensorView &fresh = args.inputs[0];
  TensorView tail = args.outputs[0];
  tail.data =
      tail.as<float>() + (tail.dims[1] - fresh.dims[1]) * tail.strides[1];
  forEach(fresh, tail, [&](int64_t from, int64_t to) {
    tail.as<float>()[to] = fresh.as<float>()[from];
  });
  return Status::ok();
}

/// y [b, n] = the sum over T of the state [b, T, n].
Status sumState(const KernelArgs &args, StepContext &) {
  const TensorView &x = args.inputs[0], &y = args.outputs[0];
  for (int64_t b = 0; b < x.dims[0]; ++b)
    for (int64_t i = 0; i < x.dims[2]; ++i) {
      float sum = 0;
      for (int64_t t = 0; t < x.dims[1]; ++t)
        sum += x.as<float>()[b * x.strides[0] + t * x.strides[1] + i];
      y.as<float>()[b * x.dims[2] + i] = sum;
    }
  return Status::ok();
}

/// The same, but fails if the last entry of the first row is negative.
Status sumUnlessNegative(const KernelArgs &args, StepContext &context) {
  const TensorView &x = args.inputs[0];
  if (x.dims[0] > 0 && x.as<float>()[(x.dims[1] - 1) * x.strides[1]] < 0)
    return Status(StatusCode::BadModel, "a negative entry");
  return sumState(args, context);
}

/// Keeps the rows of x [n, 4] that begin with an odd number: y [d0, 4].
Status oddRows(const KernelArgs &args, StepContext &context) {
  const float *x = args.inputs[0].as<float>();
  float *y = args.outputs[0].as<float>();
  int64_t count = 0;
  for (int64_t row = 0; row < args.inputs[0].dims[0]; ++row)
    if (static_cast<int>(x[row * 4]) % 2 != 0)
      std::copy_n(x + row * 4, 4, y + 4 * count++);
  context.dataSizes[0] = count;
  return Status::ok();
}

/// y [1] = the attribute "value", an expression.
Status value(const KernelArgs &args, StepContext &context) {
  args.outputs[0].as<float>()[0] = context.exprs->find("value")->second[0];
  return Status::ok();
}

/// y [1] = the sum of the bytes of all blocks of w1, a parameter of experts.
Status sumBlocks(const KernelArgs &args, StepContext &) {
  float sum = 0;
  for (const BlockView &block : args.inputs[2].blocks)
    for (size_t i = 0; i < block.bytes; ++i)
      sum += static_cast<float>(block.data[i]);
  args.outputs[0].as<float>()[0] = sum;
  return Status::ok();
}

/// y [1] = the number of rows of a parameter.
Status numRows(const KernelArgs &args, StepContext &) {
  args.outputs[0].as<float>()[0] = args.inputs[0].dims[0];
  return Status::ok();
}

/// y = the sum of x over the step's group.
Status sumGroup(const KernelArgs &args, StepContext &context) {
  const TensorView &x = args.inputs[0], &y = args.outputs[0];
  std::copy_n(x.as<float>(), x.numElements(), y.as<float>());
  return context.comm.allReduce(y.data, y.numElements(), DType::F32,
                                ReduceOp::Sum, context.tag);
}

/// y [2] = the sums of x [1] inside the node and across nodes.
Status sumNodes(const KernelArgs &args, StepContext &context) {
  float *y = args.outputs[0].as<float>();
  y[0] = y[1] = args.inputs[0].as<float>()[0];
  MOE_RETURN_IF_ERROR(context.insideNode->allReduce(
      y, 1, DType::F32, ReduceOp::Sum, context.tag));
  return context.acrossNodes->allReduce(y + 1, 1, DType::F32, ReduceOp::Sum,
                                        context.tag);
}

/// y [tokens, 4] = this rank's part of x [batch.local, 4].
Status takeTokens(const KernelArgs &args, StepContext &context) {
  const std::vector<int64_t> &begins = context.parts->find("tokens")->second;
  std::copy_n(args.inputs[0].as<float>() + 4 * begins[context.comm.rank()],
              args.outputs[0].numElements(), args.outputs[0].as<float>());
  return Status::ok();
}

/// The parts of all ranks, one behind the other.
Status gatherTokens(const KernelArgs &args, StepContext &context) {
  const std::vector<int64_t> &begins = context.parts->find("tokens")->second;
  const TensorView &x = args.inputs[0];
  std::vector<RecvBlock> blocks;
  for (int rank = 0; rank < context.comm.size(); ++rank)
    blocks.push_back(
        {args.outputs[0].as<std::byte>() + begins[rank] * 16,
         static_cast<size_t>(begins[rank + 1] - begins[rank]) * 16});
  return context.comm.allGatherV(
      {x.as<std::byte>(), static_cast<size_t>(x.numElements()) * 4}, blocks,
      context.tag);
}

/// y [1, 4] = x [1, 4] of the next rank. Named like the real one, because the
/// runtime keeps the order of collectives.
Status allToAll(const KernelArgs &args, StepContext &context) {
  int rank = context.comm.rank(), size = context.comm.size();
  std::vector<SendBlock> send(size);
  std::vector<RecvBlock> recv(size);
  send[(rank + size - 1) % size] = {args.inputs[0].as<std::byte>(), 16};
  recv[(rank + 1) % size] = {args.outputs[0].as<std::byte>(), 16};
  return context.comm.allToAllV(send, recv, context.tag);
}

/// y = x + 1, after a while.
Status slowAddOne(const KernelArgs &args, StepContext &context) {
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  return addOne(args, context);
}

/// Fails on rank 1; the others wait for it.
Status failOnRank1(const KernelArgs &, StepContext &context) {
  if (context.comm.rank() == 1)
    return Status(StatusCode::BadModel, "index 9 is out of range");
  return context.comm.barrier(context.tag);
}

/// Fails if x[0] is negative.
Status failIfNegative(const KernelArgs &args, StepContext &context) {
  if (args.inputs[0].numElements() > 0 && args.inputs[0].as<float>()[0] < 0)
    return Status(StatusCode::BadModel, "a negative number");
  return addOne(args, context);
}

/// Rank 0 waits for a rank that never comes.
Status waitForever(const KernelArgs &args, StepContext &context) {
  if (context.comm.rank() == 0)
    return context.comm.barrier(context.tag + 1000);
  std::this_thread::sleep_for(std::chrono::milliseconds(30));
  return addOne(args, context);
}

} // namespace

const KernelRegistry &moe::test::testKernels() {
  static const KernelRegistry registry = [] {
    KernelRegistry result;
    auto add = [&](std::string name, Run run) {
      result.add(
          std::move(name),
          [run](const KernelSpec &spec) -> StatusOr<std::unique_ptr<Kernel>> {
            return std::unique_ptr<Kernel>(new TestKernel(run, spec));
          });
    };
    add("add_one", addOne);
    add("gather_rows", gatherRows);
    add("append", append);
    add("sum_state", sumState);
    add("sum_unless_negative", sumUnlessNegative);
    add("odd_rows", oddRows);
    add("value", value);
    add("experts", sumBlocks);
    add("fail_on_rank_1", failOnRank1);
    add("fail_if_negative", failIfNegative);
    add("wait_forever", waitForever);
    add("num_rows", numRows);
    add("sum_group", sumGroup);
    add("sum_nodes", sumNodes);
    add("take_tokens", takeTokens);
    add("gather_tokens", gatherTokens);
    add("all_to_all", allToAll);
    add("slow_add_one", slowAddOne);
    return result;
  }();
  return registry;
}
