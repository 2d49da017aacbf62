//===- Attention.cpp - attention ------------------------------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A work item is a block of query rows that read the same keys: the rows of
// all heads of one group, one head after the other. It goes over the keys in
// blocks of kKeyBlock, counted from position 0, and keeps for each row the
// largest score so far, the sum of the weights and the weighted sum of values
// (online softmax). A row's result depends on its own query, the keys and
// their positions alone: neither the rows beside it nor the number of rows
// changes the order of anything.
//
//===----------------------------------------------------------------------===//

#include "runtime/kernels/cpu/Element.h"
#include "runtime/kernels/cpu/Kernels.h"
#include "runtime/kernels/cpu/Product.h"
#include "runtime/kernels/cpu/Support.h"
#include "runtime/plan/StepAttributes.h"

#include <cmath>
#include <limits>

namespace moe::cpu {

namespace {

constexpr int64_t kQueryRows = 32;
constexpr float kHidden = -std::numeric_limits<float>::infinity();

struct Options {
  float scale = 1;
  float maskFill = kHidden;
  float softcap = 0;
  bool causal = false;
  int64_t window = 0;
};

/// The operands of one run.
struct Operands {
  const TensorView *q, *k, *v, *mask, *sink, *lengths, *out;
  int64_t batch, heads, groups, queries, keys, depth, width;
  int64_t headsPerGroup;
  int64_t maskStrides[4]; ///< of [B, H, S, T], 0 where broadcast

  int64_t groupRows() const { return headsPerGroup * queries; }
  bool readsKeys() const { return isPlain(*k); }
  bool readsValues() const { return isPlain(*v); }
  /// The mask of query i of head h from key j on.
  const std::byte *maskRow(int64_t b, int64_t h, int64_t i, int64_t j) const {
    return blockData(*mask) + (b * maskStrides[0] + h * maskStrides[1] +
                               i * maskStrides[2] + j * maskStrides[3]) *
                                  static_cast<int64_t>(dtypeSize(mask->dtype));
  }
  /// Keys of row b of the batch.
  int64_t length(int64_t b) const {
    if (!lengths->present())
      return keys;
    return std::clamp<int64_t>(
        dataOf<int64_t>(*lengths)[b * lengths->strides[0]], 0, keys);
  }

private:
  /// Whether the rows can be read where they are.
  static bool isPlain(const TensorView &view) {
    return view.dtype == DType::F32 && view.strides[3] == 1;
  }
};

/// Memory of one thread.
struct Scratchpad {
  float *q;      ///< [kQueryRows][depth rounded up to 8]
  float *scores; ///< [kQueryRows][kKeyBlock]
  float *sums;   ///< [kQueryRows][width rounded up to 16]
  float *keys;   ///< [kKeyBlock][depth]
  float *values; ///< [kKeyBlock][width rounded up to 16]
  float *row;    ///< [max(width, kKeyBlock)]
};

/// Positions [first, end) that a query sees.
struct Range {
  int64_t first, end;
};

class AttentionKernel : public CpuKernel {
public:
  AttentionKernel(const KernelSpec &spec, const Isa &isa, Options options)
      : CpuKernel(spec, isa), options(options) {}
  StatusOr<size_t> workspaceBytes(const KernelArgs &args,
                                  int numThreads) const override {
    MOE_ASSIGN_OR_RETURN(Operands operands, operandsOf(args));
    Scratch scratch;
    cut(scratch, operands, numThreads);
    return scratch.bytes();
  }
  Status run(const KernelArgs &args, StepContext &context) const override;

private:
  StatusOr<Operands> operandsOf(const KernelArgs &args) const;
  Status checkMask(Operands &operands) const;
  /// One for each thread.
  static Scratchpad *cut(Scratch &scratch, const Operands &operands,
                         int numThreads);
  Range visible(const Operands &o, int64_t b, int64_t query) const;

  /// Rows [first, first + count) of group `group` of row b of the batch.
  struct Item {
    int64_t b, group, first, count;
  };
  void runItem(const Operands &o, const Item &item,
               const Scratchpad &pad) const;
  void runBlock(const Operands &o, const Item &item, const Scratchpad &pad,
                int64_t begin, int64_t count, float *max, float *sum) const;
  bool isNegligible(const Operands &o, const Item &item, int64_t begin,
                    int64_t count, const float *max) const;
  void addValues(const Operands &o, const Item &item, const Scratchpad &pad,
                 int64_t begin, int64_t count) const;
  void adjustScores(const Operands &o, const Item &item, int64_t row,
                    int64_t begin, int64_t count, float *scores,
                    float *maskRow) const;
  void finishRow(const Operands &o, const Item &item, int64_t row, float max,
                 float sum, const Scratchpad &pad) const;

  Options options;
};

} // namespace

//===----------------------------------------------------------------------===//
// Operands
//===----------------------------------------------------------------------===//

Status AttentionKernel::checkMask(Operands &o) const {
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

StatusOr<Operands> AttentionKernel::operandsOf(const KernelArgs &args) const {
  Operands o{};
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

Scratchpad *AttentionKernel::cut(Scratch &scratch, const Operands &o,
                                 int numThreads) {
  int64_t paddedWidth = roundUp(o.width, kPanel);
  auto *pads = scratch.take<Scratchpad>(numThreads);
  for (int i = 0; i < numThreads; ++i) {
    Scratchpad pad;
    pad.q = scratch.take<float>(kQueryRows * roundUp(o.depth, 8));
    pad.scores = scratch.take<float>(kQueryRows * kKeyBlock);
    pad.sums = scratch.take<float>(kQueryRows * paddedWidth);
    pad.keys = scratch.take<float>(kKeyBlock * o.depth);
    pad.values = scratch.take<float>(kKeyBlock * paddedWidth);
    pad.row = scratch.take<float>(std::max(o.width, kKeyBlock));
    if (pads)
      pads[i] = pad;
  }
  return pads;
}

/// The address of element [b, h, i, 0].
static std::byte *rowOf(const TensorView &view, int64_t b, int64_t h,
                        int64_t i) {
  return const_cast<std::byte *>(blockData(view)) +
         (b * view.strides[0] + h * view.strides[1] + i * view.strides[2]) *
             static_cast<int64_t>(dtypeSize(view.dtype));
}

//===----------------------------------------------------------------------===//
// One item
//===----------------------------------------------------------------------===//

Range AttentionKernel::visible(const Operands &o, int64_t b,
                               int64_t query) const {
  int64_t length = o.length(b);
  int64_t self = length - o.queries + query;
  Range range{0, length};
  if (options.causal)
    range.end = std::min(length, self + 1);
  if (options.window > 0)
    range.first = std::max<int64_t>(0, self - options.window + 1);
  return range;
}

void AttentionKernel::adjustScores(const Operands &o, const Item &item,
                                   int64_t row, int64_t begin, int64_t count,
                                   float *scores, float *maskRow) const {
  int64_t head = item.group * o.headsPerGroup + row / o.queries;
  int64_t query = row % o.queries;
  isa.scaleRow(options.scale, scores, scores, count);
  if (options.softcap > 0) {
    std::fill(scores + count, scores + kKeyBlock, 0.0f);
    isa.softcapRow(options.softcap, scores, kKeyBlock);
  }
  if (o.mask->present()) {
    const TensorView &mask = *o.mask;
    const std::byte *from = o.maskRow(item.b, head, query, begin);
    if (mask.dtype == DType::Bool) {
      auto *visibleKeys = reinterpret_cast<const uint8_t *>(from);
      if (o.maskStrides[3] == 1)
        isa.hideScores(visibleKeys, options.maskFill, scores, count);
      else
        for (int64_t j = 0; j < count; ++j)
          if (!visibleKeys[j * o.maskStrides[3]])
            scores[j] = options.maskFill;
    } else if (mask.dtype == DType::F64) {
      auto *added = reinterpret_cast<const double *>(from);
      for (int64_t j = 0; j < count; ++j)
        scores[j] += static_cast<float>(added[j * o.maskStrides[3]]);
    } else {
      isa.loadTile(mask.dtype, from, o.maskStrides[3], maskRow, count);
      isa.axpyRow(1.0f, maskRow, scores, count);
    }
  }
  Range range = visible(o, item.b, query);
  int64_t first = std::clamp<int64_t>(range.first - begin, 0, count);
  int64_t end = std::clamp<int64_t>(range.end - begin, 0, count);
  std::fill(scores, scores + first, kHidden);
  std::fill(scores + std::max(first, end), scores + kKeyBlock, kHidden);
}

/// Whether the mask hides a block of keys from all rows, and so far below the
/// scores that they have seen that every weight would be exactly 0: then
/// leaving the block out changes nothing.
bool AttentionKernel::isNegligible(const Operands &o, const Item &item,
                                   int64_t begin, int64_t count,
                                   const float *max) const {
  constexpr float kUnderflow = 105; // its weight is 0
  if (!o.mask->present() || o.mask->dtype != DType::Bool ||
      o.maskStrides[3] != 1)
    return false;
  for (int64_t r = 0; r < item.count; ++r) {
    int64_t row = item.first + r;
    int64_t head = item.group * o.headsPerGroup + row / o.queries;
    if (!(max[r] - kUnderflow > options.maskFill))
      return false;
    auto *visibleKeys = reinterpret_cast<const uint8_t *>(
        o.maskRow(item.b, head, row % o.queries, begin));
    uint8_t any = 0;
    for (int64_t j = 0; j < count; ++j)
      any |= visibleKeys[j];
    if (any)
      return false;
  }
  return true;
}

void AttentionKernel::runBlock(const Operands &o, const Item &item,
                               const Scratchpad &pad, int64_t begin,
                               int64_t count, float *max, float *sum) const {
  ScoreArgs score;
  score.q = pad.q;
  score.qStride = roundUp(o.depth, 8);
  score.k =
      reinterpret_cast<const float *>(rowOf(*o.k, item.b, item.group, begin));
  score.kStride = o.k->strides[2];
  if (!o.readsKeys()) {
    for (int64_t j = 0; j < count; ++j)
      isa.loadTile(o.k->dtype, rowOf(*o.k, item.b, item.group, begin + j),
                   o.k->strides[3], pad.keys + j * o.depth, o.depth);
    score.k = pad.keys;
    score.kStride = o.depth;
  }
  score.scores = pad.scores;
  score.scoreStride = kKeyBlock;
  score.rows = item.count;
  score.keys = count;
  score.depth = o.depth;
  isa.scoreTile(score);

  int64_t paddedWidth = roundUp(o.width, kPanel);
  for (int64_t r = 0; r < item.count; ++r) {
    float *scores = pad.scores + r * kKeyBlock;
    adjustScores(o, item, item.first + r, begin, count, scores, pad.row);
    float factor = isa.softmaxBlock(scores, max + r, sum + r);
    float *sums = pad.sums + r * paddedWidth;
    if (factor != 1.0f)
      isa.scaleRow(factor, sums, sums, paddedWidth);
  }

  addValues(o, item, pad, begin, count);
}

/// sums += weights * values, key after key.
void AttentionKernel::addValues(const Operands &o, const Item &item,
                                const Scratchpad &pad, int64_t begin,
                                int64_t count) const {
  int64_t paddedWidth = roundUp(o.width, kPanel);
  GemmArgs gemm;
  gemm.a = pad.scores;
  gemm.aStride = kKeyBlock;
  gemm.rows = item.count;
  gemm.panels = paddedWidth / kPanel;
  gemm.panelStride = kPanel;
  gemm.c = pad.sums;
  gemm.cStride = paddedWidth;
  gemm.accumulate = true;
  // Panels may run over the end of a row, into columns of the sums that nobody
  // reads; behind the very last row there may be no memory.
  bool isLast = begin + count == o.keys && paddedWidth != o.width;
  int64_t readable = o.readsValues() ? count - (isLast ? 1 : 0) : 0;
  if (readable > 0) {
    gemm.b =
        reinterpret_cast<const float *>(rowOf(*o.v, item.b, item.group, begin));
    gemm.bStride = o.v->strides[2];
    gemm.depth = readable;
    isa.gemm(gemm);
  }
  if (readable == count)
    return;
  for (int64_t j = readable; j < count; ++j) {
    float *to = pad.values + j * paddedWidth;
    isa.loadTile(o.v->dtype, rowOf(*o.v, item.b, item.group, begin + j),
                 o.v->strides[3], to, o.width);
    std::fill(to + o.width, to + paddedWidth, 0.0f);
  }
  gemm.a = pad.scores + readable;
  gemm.b = pad.values + readable * paddedWidth;
  gemm.bStride = paddedWidth;
  gemm.depth = count - readable;
  isa.gemm(gemm);
}

void AttentionKernel::finishRow(const Operands &o, const Item &item,
                                int64_t row, float max, float sum,
                                const Scratchpad &pad) const {
  int64_t head = item.group * o.headsPerGroup + row / o.queries;
  float *sums = pad.sums + (row - item.first) * roundUp(o.width, kPanel);
  if (o.sink->present()) {
    float sink;
    isa.toF32(o.sink->dtype,
              blockData(*o.sink) +
                  head * o.sink->strides[0] *
                      static_cast<int64_t>(dtypeSize(o.sink->dtype)),
              &sink, 1);
    float larger = std::max(max, sink);
    if (larger != kHidden) {
      float factor = std::exp(max - larger);
      isa.scaleRow(factor, sums, sums, o.width);
      sum = sum * factor + std::exp(sink - larger);
    }
  }
  if (sum == 0)
    std::fill(sums, sums + o.width, 0.0f);
  else
    isa.scaleRow(1.0f / sum, sums, sums, o.width);
  isa.storeTile(o.out->dtype, sums,
                rowOf(*o.out, item.b, head, row % o.queries), o.out->strides[3],
                o.width);
}

void AttentionKernel::runItem(const Operands &o, const Item &item,
                              const Scratchpad &pad) const {
  float max[kQueryRows], sum[kQueryRows];
  int64_t paddedDepth = roundUp(o.depth, 8);
  std::fill(pad.sums, pad.sums + item.count * roundUp(o.width, kPanel), 0.0f);
  Range all{o.keys, 0};
  for (int64_t r = 0; r < item.count; ++r) {
    max[r] = kHidden;
    sum[r] = 0;
    int64_t row = item.first + r;
    int64_t head = item.group * o.headsPerGroup + row / o.queries;
    float *to = pad.q + r * paddedDepth;
    isa.loadTile(o.q->dtype, rowOf(*o.q, item.b, head, row % o.queries),
                 o.q->strides[3], to, o.depth);
    std::fill(to + o.depth, to + paddedDepth, 0.0f);
    Range range = visible(o, item.b, row % o.queries);
    all.first = std::min(all.first, range.first);
    all.end = std::max(all.end, range.end);
  }
  for (int64_t begin = all.first / kKeyBlock * kKeyBlock; begin < all.end;
       begin += kKeyBlock) {
    int64_t count = std::min(kKeyBlock, all.end - begin);
    if (!isNegligible(o, item, begin, count, max))
      runBlock(o, item, pad, begin, count, max, sum);
  }
  for (int64_t r = 0; r < item.count; ++r)
    finishRow(o, item, item.first + r, max[r], sum[r], pad);
}

Status AttentionKernel::run(const KernelArgs &args,
                            StepContext &context) const {
  MOE_ASSIGN_OR_RETURN(Operands o, operandsOf(args));
  if (o.out->numElements() == 0)
    return Status::ok();
  Scratch scratch(context.workspace);
  Scratchpad *pads = cut(scratch, o, context.pool.numThreads());
  if (!scratch.fits())
    return expectWorkspace(context, *scratch.bytes());
  int64_t seen = 0;
  for (int64_t b = 0; b < o.batch; ++b)
    for (int64_t i = 0; i < o.queries; ++i) {
      Range range = visible(o, b, i);
      seen += std::max<int64_t>(0, range.end - range.first) * o.heads;
    }
  uint64_t flops = 2 * static_cast<uint64_t>(seen) *
                   static_cast<uint64_t>(o.depth + o.width);
  context.counters.flops += flops;
  int64_t blocks = ceilDiv(o.groupRows(), kQueryRows);
  // The last rows of a causal mask see most: they go first.
  forItems(context.pool, o.batch * o.groups * blocks,
           static_cast<double>(flops), [&](int64_t index, int thread) {
             int64_t block = blocks - 1 - index / (o.batch * o.groups);
             int64_t pair = index % (o.batch * o.groups);
             Item item{pair / o.groups, pair % o.groups, block * kQueryRows, 0};
             item.count = std::min(kQueryRows, o.groupRows() - item.first);
             runItem(o, item, pads[thread]);
           });
  return Status::ok();
}

static StatusOr<std::unique_ptr<Kernel>> createAttention(const KernelSpec &spec,
                                                         const Isa &isa) {
  MOE_RETURN_IF_ERROR(checkOperands(spec, 3, 6, 1));
  StepAttributes attributes(spec.step);
  Options options;
  MOE_ASSIGN_OR_RETURN(double scale, attributes.getFloat("scale"));
  MOE_ASSIGN_OR_RETURN(double fill, attributes.getFloat("mask_fill", kHidden));
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
