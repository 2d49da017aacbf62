//===- Attention.cpp - attention ------------------------------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Threads share blocks of query rows. Where there are few blocks and many keys
// (one token after a long past), they share the chunks of keys of each block,
// and the chunks are merged afterwards, in the order in which one thread would
// have: AttentionRows.h.
//
//===----------------------------------------------------------------------===//

#include "runtime/kernels/cpu/AttentionRows.h"
#include "runtime/kernels/cpu/Kernels.h"
#include "runtime/kernels/cpu/Product.h"
#include "runtime/plan/StepAttributes.h"

namespace moe::cpu {

namespace {

/// With as many blocks for each thread, chunks are not shared.
constexpr int64_t kBlocksPerThread = 4;
/// Sums of chunks take no more than this.
constexpr int64_t kMaxChunkBytes = 8 << 20;

class AttentionKernel : public CpuKernel {
public:
  AttentionKernel(const KernelSpec &spec, const Isa &isa,
                  AttentionOptions options)
      : CpuKernel(spec, isa), options(options) {}
  StatusOr<size_t> workspaceBytes(const KernelArgs &args,
                                  int numThreads) const override {
    MOE_ASSIGN_OR_RETURN(AttentionOperands operands, operandsOf(args));
    Scratch scratch;
    cutPads(scratch, operands, numThreads);
    cutSlots(scratch, operands, numThreads, maxSlots(operands, numThreads));
    return scratch.bytes();
  }
  Status run(const KernelArgs &args, StepContext &context) const override;

private:
  StatusOr<AttentionOperands> operandsOf(const KernelArgs &args) const;
  Status checkMask(AttentionOperands &operands) const;
  /// One for each thread.
  static AttentionPad *cutPads(Scratch &scratch, const AttentionOperands &o,
                               int numThreads);
  static int64_t numChunks(const AttentionOperands &o) {
    return ceilDiv(o.keys, kChunkKeys);
  }
  /// For how many chunks of blocks there is memory.
  static int64_t maxSlots(const AttentionOperands &o, int numThreads);
  static RowSums *cutSlots(Scratch &scratch, const AttentionOperands &o,
                           int numThreads, int64_t numSlots);
  uint64_t countFlops(const AttentionOperands &o,
                      const AttentionRows &rows) const;

  AttentionOptions options;
};

} // namespace

//===----------------------------------------------------------------------===//
// Operands
//===----------------------------------------------------------------------===//

Status AttentionKernel::checkMask(AttentionOperands &o) const {
  const TensorView &mask = *o.mask;
  if (!mask.present())
    return Status::ok();
  const int64_t dims[4] = {o.batch, o.heads, o.queries, o.keys};
  int missing = 4 - mask.rank;
  for (int i = 0; i < 4; ++i) {
    int64_t size = i < missing || missing < 0 ? 1 : mask.dims[i - missing];
    if (missing < 0 || (size != 1 && size != dims[i]))
      return badPlan("mask of shape " + shapeText(mask) +
                     " does not broadcast to the scores");
    o.maskStrides[i] = size == 1 ? 0 : mask.strides[i - missing];
  }
  if (mask.dtype != DType::Bool && !isFloat(mask.dtype))
    return badPlan("mask has elements " + std::string(dtypeName(mask.dtype)));
  return Status::ok();
}

StatusOr<AttentionOperands>
AttentionKernel::operandsOf(const KernelArgs &args) const {
  AttentionOperands o{};
  o.q = &args.inputs[0];
  o.k = &args.inputs[1];
  o.v = &args.inputs[2];
  o.mask = &inputOrAbsent(args, 3);
  o.sink = &inputOrAbsent(args, 4);
  o.lengths = &inputOrAbsent(args, 5);
  o.out = &args.outputs[0];
  const TensorView &q = *o.q, &k = *o.k, &v = *o.v, &out = *o.out;
  for (const TensorView *view : {o.q, o.k, o.v, o.out}) {
    MOE_RETURN_IF_ERROR(expectRank(*view, 4, "q, k, v or result"));
    MOE_RETURN_IF_ERROR(expectDType(*view, q.dtype, "k, v or result"));
  }
  if (!isFloat(q.dtype) || q.dtype == DType::F64)
    return unsupported("elements " + std::string(dtypeName(q.dtype)));
  o.batch = q.dims[0];
  o.heads = q.dims[1];
  o.queries = q.dims[2];
  o.depth = q.dims[3];
  o.groups = k.dims[1];
  o.keys = k.dims[2];
  o.width = v.dims[3];
  bool fits = k.dims[0] == o.batch && v.dims[0] == o.batch &&
              out.dims[0] == o.batch && v.dims[1] == o.groups &&
              out.dims[1] == o.heads && v.dims[2] == o.keys &&
              out.dims[2] == o.queries && k.dims[3] == o.depth &&
              out.dims[3] == o.width &&
              (o.groups > 0 ? o.heads % o.groups == 0 : o.heads == 0);
  if (!fits)
    return badPlan("q " + shapeText(q) + ", k " + shapeText(k) + ", v " +
                   shapeText(v) + " cannot give " + shapeText(out));
  o.headsPerGroup = o.groups > 0 ? o.heads / o.groups : 0;
  if (o.sink->present() && (o.sink->rank != 1 || o.sink->dims[0] != o.heads ||
                            !isFloat(o.sink->dtype)))
    return badPlan("sink has shape " + shapeText(*o.sink) + ", expected [" +
                   std::to_string(o.heads) + "] of floats");
  if (o.lengths->present() &&
      (o.lengths->rank != 1 || o.lengths->dims[0] != o.batch ||
       o.lengths->dtype != DType::I64))
    return badPlan("lengths has shape " + shapeText(*o.lengths) +
                   ", expected [" + std::to_string(o.batch) + "] of i64");
  MOE_RETURN_IF_ERROR(checkMask(o));
  return o;
}

//===----------------------------------------------------------------------===//
// Memory
//===----------------------------------------------------------------------===//

AttentionPad *AttentionKernel::cutPads(Scratch &scratch,
                                       const AttentionOperands &o,
                                       int numThreads) {
  auto *pads = scratch.take<AttentionPad>(numThreads);
  for (int i = 0; i < numThreads; ++i) {
    AttentionPad pad = AttentionPad::cut(scratch, o);
    if (pads)
      pads[i] = pad;
  }
  return pads;
}

/// Fewer rows where there would be few blocks.
static int64_t rowsOfBlock(const AttentionOperands &o, int numThreads) {
  constexpr int64_t kMinRows = 32;
  int64_t rows = kQueryRows;
  while (rows > kMinRows && o.batch * o.groups * ceilDiv(o.groupRows(), rows) <
                                kBlocksPerThread * numThreads)
    rows /= 2;
  return std::min(rows, o.groupRows());
}

int64_t AttentionKernel::maxSlots(const AttentionOperands &o, int numThreads) {
  if (numThreads == 1 || numChunks(o) < 2)
    return 0;
  Scratch one;
  RowSums::cut(one, rowsOfBlock(o, numThreads), o.width);
  StatusOr<size_t> bytes = one.bytes();
  int64_t fitting =
      bytes.isOk() ? kMaxChunkBytes / std::max<int64_t>(1, *bytes) : 0;
  int64_t blocks = kBlocksPerThread * numThreads;
  return numChunks(o) <= fitting / blocks ? numChunks(o) * blocks : fitting;
}

RowSums *AttentionKernel::cutSlots(Scratch &scratch, const AttentionOperands &o,
                                   int numThreads, int64_t numSlots) {
  auto *slots = scratch.take<RowSums>(numSlots);
  int64_t rows = rowsOfBlock(o, numThreads);
  for (int64_t i = 0; i < numSlots; ++i) {
    RowSums slot = RowSums::cut(scratch, rows, o.width);
    if (slots)
      slots[i] = slot;
  }
  return slots;
}

//===----------------------------------------------------------------------===//
// Running
//===----------------------------------------------------------------------===//

uint64_t AttentionKernel::countFlops(const AttentionOperands &o,
                                     const AttentionRows &rows) const {
  int64_t seen = 0;
  for (int64_t b = 0; b < o.batch; ++b)
    for (int64_t i = 0; i < o.queries; ++i) {
      KeyRange range = rows.visible(b, i);
      seen += std::max<int64_t>(0, range.end - range.first) * o.heads;
    }
  return 2 * static_cast<uint64_t>(seen) *
         static_cast<uint64_t>(o.depth + o.width);
}

Status AttentionKernel::run(const KernelArgs &args,
                            StepContext &context) const {
  MOE_ASSIGN_OR_RETURN(AttentionOperands o, operandsOf(args));
  if (o.out->numElements() == 0)
    return Status::ok();
  ThreadPool &pool = context.pool;
  int64_t blockRows = rowsOfBlock(o, pool.numThreads());
  int64_t blocksPerGroup = ceilDiv(o.groupRows(), blockRows);
  int64_t blocks = o.batch * o.groups * blocksPerGroup;
  int64_t chunks = numChunks(o);
  int64_t slotsThatFit = maxSlots(o, pool.numThreads());
  bool sharesChunks = blocks < kBlocksPerThread * pool.numThreads() &&
                      chunks > 1 && chunks <= slotsThatFit / blocks;
  Scratch scratch(context.workspace);
  AttentionPad *pads = cutPads(scratch, o, pool.numThreads());
  RowSums *slots =
      sharesChunks ? cutSlots(scratch, o, pool.numThreads(), blocks * chunks)
                   : nullptr;
  if (!scratch.fits())
    return expectWorkspace(context, *scratch.bytes());

  AttentionRows rows(isa, options, o);
  uint64_t flops = countFlops(o, rows);
  context.counters.flops += flops;
  double work = static_cast<double>(flops);
  // The blocks of a group follow each other, so that its keys stay in the
  // second cache. The last rows of a causal mask see most: they go first.
  auto blockOf = [&](int64_t index) {
    int64_t pair = index / blocksPerGroup;
    int64_t first = (blocksPerGroup - 1 - index % blocksPerGroup) * blockRows;
    return RowBlock{pair / o.groups, pair % o.groups, first,
                    std::min(blockRows, o.groupRows() - first)};
  };
  if (!sharesChunks) {
    forItems(pool, blocks, work, [&](int64_t index, int thread) {
      rows.run(blockOf(index), pads[thread]);
    });
    return Status::ok();
  }
  forItems(pool, blocks * chunks, work, [&](int64_t item, int thread) {
    RowBlock block = blockOf(item / chunks);
    rows.loadQueries(block, pads[thread]);
    rows.runChunk(block, item % chunks, rows.visible(block), pads[thread],
                  slots[item]);
  });
  double sums = static_cast<double>(blocks * chunks * blockRows * o.width);
  forItems(pool, blocks, 2 * sums, [&](int64_t index, int thread) {
    RowBlock block = blockOf(index);
    RowSums *ofBlock = slots + index * chunks;
    for (int64_t chunk = 1; chunk < chunks; ++chunk)
      rows.merge(ofBlock[0], ofBlock[chunk], block.count);
    rows.finish(block, ofBlock[0], pads[thread]);
  });
  return Status::ok();
}

static StatusOr<std::unique_ptr<Kernel>> createAttention(const KernelSpec &spec,
                                                         const Isa &isa) {
  MOE_RETURN_IF_ERROR(checkOperands(spec, 3, 6, 1));
  StepAttributes attributes(spec.step);
  AttentionOptions options;
  MOE_ASSIGN_OR_RETURN(double scale, attributes.getFloat("scale"));
  MOE_ASSIGN_OR_RETURN(
      double fill, attributes.getFloat("mask_fill", AttentionOptions::kHidden));
  MOE_ASSIGN_OR_RETURN(double softcap, attributes.getFloat("softcap", 0.0));
  MOE_ASSIGN_OR_RETURN(options.causal, attributes.getBool("causal", false));
  MOE_ASSIGN_OR_RETURN(options.window, attributes.getInt("window", 0));
  MOE_RETURN_IF_ERROR(attributes.checkAllRead());
  options.scale = static_cast<float>(scale);
  options.maskFill = static_cast<float>(fill);
  options.softcap = static_cast<float>(softcap);
  return std::unique_ptr<Kernel>(
      std::make_unique<AttentionKernel>(spec, isa, options));
}

void registerAttention(KernelRegistry &registry, const Isa &isa) {
  registry.add("attention", [&isa](const KernelSpec &spec) {
    return createAttention(spec, isa);
  });
}

} // namespace moe::cpu
