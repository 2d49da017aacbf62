//===- Exchange.cpp - all_to_all, all_to_all_back -------------------------===//
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
// The way back is the same in reverse.
//
//===----------------------------------------------------------------------===//

#include "runtime/kernels/cpu/Kernels.h"
#include "runtime/kernels/cpu/Support.h"
#include "runtime/plan/Placement.h"
#include "runtime/plan/Plan_generated.h"
#include "runtime/plan/StepAttributes.h"

#include <cstring>

namespace moe::cpu {

namespace {

/// Who computes which expert.
struct Places {
  int rank = 0, numRanks = 1;
  int64_t numExperts = 0;
  /// The rank that computes expert e for sender r: targets[r * E + e].
  std::vector<int> targets;
  std::vector<int> localExperts;
  /// The largest number of experts on one rank.
  int64_t maxLocal = 0;

  static StatusOr<Places> create(const KernelSpec &spec);
  int targetOf(int sender, int64_t expert) const {
    return targets[sender * numExperts + expert];
  }
};

/// Memory of one exchange.
struct Buffers {
  int32_t *allCounts; ///< [numRanks, E], only on the way there
  SendBlock *send;    ///< [numRanks]
  RecvBlock *recv;    ///< [numRanks]
  std::byte *sent;    ///< rows as they are in the messages
  std::byte *received;
};

class ExchangeKernel : public CpuKernel {
public:
  ExchangeKernel(const KernelSpec &spec, const Isa &isa, Places places)
      : CpuKernel(spec, isa), places(std::move(places)) {}

protected:
  Buffers cut(Scratch &scratch, const TensorView &from,
              const TensorView &to) const {
    auto bytes = [](const TensorView &view) {
      return view.numElements() * static_cast<int64_t>(dtypeSize(view.dtype));
    };
    Buffers buffers;
    buffers.allCounts =
        scratch.take<int32_t>(places.numRanks * places.numExperts);
    buffers.send = scratch.take<SendBlock>(places.numRanks);
    buffers.recv = scratch.take<RecvBlock>(places.numRanks);
    buffers.sent = scratch.take<std::byte>(bytes(from));
    buffers.received = scratch.take<std::byte>(bytes(to));
    return buffers;
  }
  Status checkRows(const TensorView &from, const TensorView &to) const;
  Status checkCounts(const TensorView &view, const char *operand,
                     std::initializer_list<int64_t> dims) const;
  Status checkValues(std::span<const int32_t> counts, int64_t rows) const;

  Places places;
};

class AllToAllKernel : public ExchangeKernel {
public:
  using ExchangeKernel::ExchangeKernel;
  StatusOr<size_t> workspaceBytes(const KernelArgs &args,
                                  int numThreads) const override {
    MOE_RETURN_IF_ERROR(check(args));
    Scratch scratch;
    cut(scratch, args.inputs[0], args.outputs[0]);
    return scratch.bytes();
  }
  Status run(const KernelArgs &args, StepContext &context) const override;

private:
  Status check(const KernelArgs &args) const;
  StatusOr<int64_t> setRoute(const KernelArgs &args,
                             const int32_t *allCounts) const;
  void pack(const KernelArgs &args, const Buffers &buffers,
            int64_t rowBytes) const;
  void unpack(const KernelArgs &args, const Buffers &buffers,
              int64_t rowBytes) const;
};

class AllToAllBackKernel : public ExchangeKernel {
public:
  using ExchangeKernel::ExchangeKernel;
  StatusOr<size_t> workspaceBytes(const KernelArgs &args,
                                  int numThreads) const override {
    MOE_RETURN_IF_ERROR(check(args));
    Scratch scratch;
    cut(scratch, args.inputs[0], args.outputs[0]);
    return scratch.bytes();
  }
  Status run(const KernelArgs &args, StepContext &context) const override;

private:
  Status check(const KernelArgs &args) const;
  void pack(const KernelArgs &args, const Buffers &buffers,
            int64_t rowBytes) const;
};

} // namespace

//===----------------------------------------------------------------------===//
// What both ways share
//===----------------------------------------------------------------------===//

StatusOr<Places> Places::create(const KernelSpec &spec) {
  if (!spec.layer || spec.layer->places.empty())
    return Status(StatusCode::BadPlan,
                  "step " + spec.step.kernel + ": its layer has no placement");
  const plan::LayerT &layer = *spec.layer;
  Places result;
  result.rank = spec.rank;
  result.numRanks = spec.numRanks;
  result.numExperts = static_cast<int64_t>(layer.places.size());
  for (int r = 0; r < spec.numRanks; ++r) {
    for (const auto &place : layer.places) {
      if (place->ranks.empty())
        return Status(StatusCode::BadPlan,
                      "step " + spec.step.kernel + ": an expert has no rank");
      uint32_t target = place->ranks[r % place->ranks.size()];
      if (target >= static_cast<uint32_t>(spec.numRanks))
        return Status(StatusCode::BadPlan, "step " + spec.step.kernel +
                                               ": an expert is on rank " +
                                               std::to_string(target) + " of " +
                                               std::to_string(spec.numRanks));
      result.targets.push_back(static_cast<int>(target));
    }
    result.maxLocal = std::max(
        result.maxLocal, static_cast<int64_t>(expertsOf(layer, r).size()));
  }
  result.localExperts = expertsOf(layer, spec.rank);
  return result;
}

Status ExchangeKernel::checkRows(const TensorView &from,
                                 const TensorView &to) const {
  MOE_RETURN_IF_ERROR(expectRank(from, 2, "rows"));
  MOE_RETURN_IF_ERROR(expectRank(to, 2, "result"));
  MOE_RETURN_IF_ERROR(expectDType(to, from.dtype, "result"));
  MOE_RETURN_IF_ERROR(expectContiguous(from, "rows"));
  MOE_RETURN_IF_ERROR(expectContiguous(to, "result"));
  if (from.dims[1] == to.dims[1])
    return Status::ok();
  return badPlan("rows " + shapeText(from) + " cannot give " + shapeText(to));
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
                 std::to_string(places.numExperts) + " experts on " +
                 std::to_string(places.numRanks) + " ranks");
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

//===----------------------------------------------------------------------===//
// all_to_all
//===----------------------------------------------------------------------===//

Status AllToAllKernel::check(const KernelArgs &args) const {
  MOE_RETURN_IF_ERROR(checkRows(args.inputs[0], args.outputs[0]));
  MOE_RETURN_IF_ERROR(
      checkCounts(args.inputs[1], "counts", {places.numExperts}));
  MOE_RETURN_IF_ERROR(
      checkCounts(args.outputs[1], "local_counts", {places.maxLocal}));
  return checkCounts(args.outputs[2], "route",
                     {places.numRanks, places.numExperts});
}

/// Fills route and local counts; returns the rows that this rank receives.
StatusOr<int64_t> AllToAllKernel::setRoute(const KernelArgs &args,
                                           const int32_t *allCounts) const {
  int64_t numExperts = places.numExperts;
  int32_t *localCounts = args.outputs[1].as<int32_t>();
  int32_t *route = args.outputs[2].as<int32_t>();
  for (int r = 0; r < places.numRanks; ++r)
    for (int64_t e = 0; e < numExperts; ++e) {
      int64_t i = r * numExperts + e;
      route[i] = places.targetOf(r, e) == places.rank ? allCounts[i] : 0;
    }
  std::span<const int32_t> all(route, places.numRanks * numExperts);
  MOE_RETURN_IF_ERROR(checkValues(all, args.outputs[0].dims[0]));
  std::fill_n(localCounts, places.maxLocal, 0);
  int64_t total = 0;
  for (size_t i = 0; i < places.localExperts.size(); ++i) {
    for (int r = 0; r < places.numRanks; ++r)
      localCounts[i] += route[r * numExperts + places.localExperts[i]];
    total += localCounts[i];
  }
  return total;
}

/// Rows of each expert to the message for the rank that computes it.
void AllToAllKernel::pack(const KernelArgs &args, const Buffers &buffers,
                          int64_t rowBytes) const {
  const int32_t *counts = dataOf<int32_t>(args.inputs[1]);
  const std::byte *rows = blockData(args.inputs[0]);
  std::byte *to = buffers.sent;
  for (int target = 0; target < places.numRanks; ++target) {
    std::byte *begin = to;
    int64_t row = 0;
    for (int64_t e = 0; e < places.numExperts; row += counts[e++]) {
      if (places.targetOf(places.rank, e) != target || counts[e] == 0)
        continue;
      std::memcpy(to, rows + row * rowBytes, counts[e] * rowBytes);
      to += counts[e] * rowBytes;
    }
    buffers.send[target] = {begin, static_cast<size_t>(to - begin)};
  }
}

/// Rows of each message to their places, by expert and sender.
void AllToAllKernel::unpack(const KernelArgs &args, const Buffers &buffers,
                            int64_t rowBytes) const {
  const int32_t *route = args.outputs[2].as<int32_t>();
  std::byte *to = args.outputs[0].as<std::byte>();
  for (int expert : places.localExperts)
    for (int r = 0; r < places.numRanks; ++r) {
      int64_t bytes = route[r * places.numExperts + expert] * rowBytes;
      if (bytes == 0)
        continue;
      // The message has its experts in order: the next rows are these.
      std::memcpy(to, buffers.recv[r].data, bytes);
      buffers.recv[r].data += bytes;
      to += bytes;
    }
}

Status AllToAllKernel::run(const KernelArgs &args, StepContext &context) const {
  MOE_RETURN_IF_ERROR(check(args));
  const TensorView &rows = args.inputs[0], &counts = args.inputs[1];
  Scratch scratch(context.workspace);
  Buffers buffers = cut(scratch, rows, args.outputs[0]);
  if (!scratch.fits())
    return expectWorkspace(context, *scratch.bytes());
  size_t numExperts = static_cast<size_t>(places.numExperts);
  size_t numRanks = static_cast<size_t>(places.numRanks);
  std::span<const int32_t> own(dataOf<int32_t>(counts), numExperts);
  MOE_RETURN_IF_ERROR(checkValues(own, rows.dims[0]));
  MOE_RETURN_IF_ERROR(
      context.comm.allGather(std::as_bytes(own),
                             std::as_writable_bytes(std::span(
                                 buffers.allCounts, numRanks * numExperts)),
                             context.tag));
  MOE_ASSIGN_OR_RETURN(int64_t total, setRoute(args, buffers.allCounts));
  if (!context.dataSizes.empty())
    context.dataSizes[0] = total;
  int64_t rowBytes = rows.dims[1] * static_cast<int64_t>(dtypeSize(rows.dtype));
  pack(args, buffers, rowBytes);
  const int32_t *route = args.outputs[2].as<int32_t>();
  std::byte *to = buffers.received;
  for (size_t r = 0; r < numRanks; ++r) {
    int64_t received = 0;
    for (int expert : places.localExperts)
      received += route[r * numExperts + expert];
    buffers.recv[r] = {to, static_cast<size_t>(received * rowBytes)};
    to += received * rowBytes;
  }
  MOE_RETURN_IF_ERROR(context.comm.allToAllV(
      {buffers.send, numRanks}, {buffers.recv, numRanks}, context.tag));
  unpack(args, buffers, rowBytes);
  return Status::ok();
}

//===----------------------------------------------------------------------===//
// all_to_all_back
//===----------------------------------------------------------------------===//

Status AllToAllBackKernel::check(const KernelArgs &args) const {
  MOE_RETURN_IF_ERROR(checkRows(args.inputs[0], args.outputs[0]));
  MOE_RETURN_IF_ERROR(checkCounts(args.inputs[1], "route",
                                  {places.numRanks, places.numExperts}));
  return checkCounts(args.inputs[2], "counts", {places.numExperts});
}

/// Messages: the rows that came from each rank, by expert.
void AllToAllBackKernel::pack(const KernelArgs &args, const Buffers &buffers,
                              int64_t rowBytes) const {
  const int32_t *route = dataOf<int32_t>(args.inputs[1]);
  std::byte *message = buffers.sent;
  for (int r = 0; r < places.numRanks; ++r) {
    int64_t bytes = 0;
    for (int expert : places.localExperts)
      bytes += route[r * places.numExperts + expert] * rowBytes;
    buffers.send[r] = {message, static_cast<size_t>(bytes)};
    buffers.recv[r] = {message, 0}; // where packing goes on
    message += bytes;
  }
  const std::byte *from = blockData(args.inputs[0]);
  for (int expert : places.localExperts)
    for (int r = 0; r < places.numRanks; ++r) {
      int64_t bytes = route[r * places.numExperts + expert] * rowBytes;
      if (bytes == 0)
        continue;
      std::memcpy(buffers.recv[r].data, from, bytes);
      buffers.recv[r].data += bytes;
      from += bytes;
    }
}

Status AllToAllBackKernel::run(const KernelArgs &args,
                               StepContext &context) const {
  MOE_RETURN_IF_ERROR(check(args));
  const TensorView &rows = args.inputs[0], &out = args.outputs[0];
  Scratch scratch(context.workspace);
  Buffers buffers = cut(scratch, rows, out);
  if (!scratch.fits())
    return expectWorkspace(context, *scratch.bytes());
  size_t numExperts = static_cast<size_t>(places.numExperts);
  size_t numRanks = static_cast<size_t>(places.numRanks);
  const int32_t *route = dataOf<int32_t>(args.inputs[1]);
  const int32_t *counts = dataOf<int32_t>(args.inputs[2]);
  MOE_RETURN_IF_ERROR(
      checkValues({route, numRanks * numExperts}, rows.dims[0]));
  MOE_RETURN_IF_ERROR(checkValues({counts, numExperts}, out.dims[0]));
  int64_t rowBytes = rows.dims[1] * static_cast<int64_t>(dtypeSize(rows.dtype));

  pack(args, buffers, rowBytes);
  std::byte *to = buffers.received;
  for (size_t target = 0; target < numRanks; ++target) {
    int64_t bytes = 0;
    for (size_t e = 0; e < numExperts; ++e)
      if (places.targetOf(places.rank, static_cast<int64_t>(e)) ==
          static_cast<int>(target))
        bytes += counts[e] * rowBytes;
    buffers.recv[target] = {to, static_cast<size_t>(bytes)};
    to += bytes;
  }
  MOE_RETURN_IF_ERROR(context.comm.allToAllV(
      {buffers.send, numRanks}, {buffers.recv, numRanks}, context.tag));
  std::byte *result = out.as<std::byte>();
  for (size_t e = 0; e < numExperts; ++e) {
    int64_t bytes = counts[e] * rowBytes;
    RecvBlock &block =
        buffers.recv[places.targetOf(places.rank, static_cast<int64_t>(e))];
    if (bytes == 0)
      continue;
    std::memcpy(result, block.data, bytes);
    block.data += bytes;
    result += bytes;
  }
  return Status::ok();
}

//===----------------------------------------------------------------------===//
// Registration
//===----------------------------------------------------------------------===//

template <typename K>
static KernelFactory exchangeFactory(const Isa &isa, size_t numInputs,
                                     size_t numOutputs) {
  return [&isa, numInputs, numOutputs](
             const KernelSpec &spec) -> StatusOr<std::unique_ptr<Kernel>> {
    MOE_RETURN_IF_ERROR(checkOperands(spec, numInputs, numInputs, numOutputs));
    StepAttributes attributes(spec.step);
    MOE_ASSIGN_OR_RETURN(std::string form,
                         attributes.getString("form", "flat"));
    MOE_ASSIGN_OR_RETURN(int64_t nodeSize, attributes.getInt("node_size", 0));
    MOE_ASSIGN_OR_RETURN(int64_t small, attributes.getInt("small_tokens", 0));
    if (form != "flat" || nodeSize != 0 || small != 0)
      return Status(StatusCode::BadPlan, "step " + spec.step.kernel +
                                             ": unknown form '" + form + "'");
    MOE_RETURN_IF_ERROR(attributes.checkAllRead());
    MOE_ASSIGN_OR_RETURN(Places places, Places::create(spec));
    return std::unique_ptr<Kernel>(
        std::make_unique<K>(spec, isa, std::move(places)));
  };
}

void registerExchange(KernelRegistry &registry, const Isa &isa) {
  registry.add("all_to_all", exchangeFactory<AllToAllKernel>(isa, 2, 3));
  registry.add("all_to_all_back",
               exchangeFactory<AllToAllBackKernel>(isa, 3, 1));
}

} // namespace moe::cpu
