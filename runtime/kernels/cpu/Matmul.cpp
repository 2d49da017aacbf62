//===- Matmul.cpp - matmul ------------------------------------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// f32, f16, bf16 and codes go through Product.h: work items are (batch, block
// of rows, group of panels). Rows are rounded before them if arithmetic is int8
// and the rhs takes them so. f64 and integers take a plain loop.
//
//===----------------------------------------------------------------------===//

#include "runtime/kernels/cpu/Element.h"
#include "runtime/kernels/cpu/Kernels.h"
#include "runtime/kernels/cpu/Product.h"
#include "runtime/kernels/cpu/Support.h"
#include "runtime/plan/StepAttributes.h"

namespace moe::cpu {

namespace {

/// [batch.., M, K] x [batch.., K, N], with strides in elements.
struct Problem {
  int64_t rows = 0, depth = 0, columns = 0;
  int64_t batches = 1;
  int batchRank = 0;
  int64_t batchDims[kMaxRank] = {};
  int64_t lhsBatch[kMaxRank] = {}, rhsBatch[kMaxRank] = {},
          outBatch[kMaxRank] = {};
  int64_t lhsRow = 0, lhsDepth = 1;
  int64_t outRow = 0, outColumn = 1;
  RhsMatrix rhs; ///< of batch 0

  /// Offsets of batch `index` in the three operands.
  struct Offsets {
    int64_t lhs = 0, rhs = 0, out = 0;
  };
  Offsets offsets(int64_t index) const {
    Offsets result;
    for (int i = batchRank - 1; i >= 0; --i) {
      int64_t at = index % batchDims[i];
      index /= batchDims[i];
      result.lhs += at * lhsBatch[i];
      result.rhs += at * rhsBatch[i];
      result.out += at * outBatch[i];
    }
    return result;
  }
};

struct Buffers {
  QuantBlock *rounded; ///< all rows, if they are rounded
  float *lhs;          ///< a lhs of another type as contiguous f32
  float *rows;   ///< for each thread [kRowBlock][K], for a lhs with strides
  float *panels; ///< for each thread
  float *tiles;  ///< for each thread [kRowBlock][kGroupColumns], or fewer
                 ///< rows of more
  int64_t panelsPerThread;
};

class MatmulKernel : public CpuKernel {
public:
  MatmulKernel(const KernelSpec &spec, const Isa &isa, bool transposeRhs,
               Arithmetic arithmetic)
      : CpuKernel(spec, isa), transposeRhs(transposeRhs),
        arithmetic(arithmetic) {}

  StatusOr<size_t> workspaceBytes(const KernelArgs &args,
                                  int numThreads) const override {
    MOE_RETURN_IF_ERROR(problemOf(args).status());
    Scratch scratch;
    cut(scratch, args, numThreads);
    return scratch.bytes();
  }
  Status run(const KernelArgs &args, StepContext &context) const override;

private:
  StatusOr<Problem> problemOf(const KernelArgs &args) const;
  Status setBatches(const KernelArgs &args, Problem &problem) const;
  Buffers cut(Scratch &scratch, const KernelArgs &args, int numThreads) const;
  void roundRows(const Problem &problem, const float *lhs,
                 const KernelArgs &args, const Buffers &buffers,
                 ThreadPool &pool) const;
  void runF32(const Problem &problem, const float *lhs, const KernelArgs &args,
              const Buffers &buffers, ThreadPool &pool) const;
  template <typename T>
  void runPlain(const Problem &problem, const KernelArgs &args,
                ThreadPool &pool) const;

  bool transposeRhs;
  Arithmetic arithmetic;
};

} // namespace

/// Whether products of this type accumulate in f32.
static bool usesF32(DType dtype) {
  return dtype == DType::F32 || dtype == DType::F16 || dtype == DType::BF16;
}

Status MatmulKernel::setBatches(const KernelArgs &args,
                                Problem &problem) const {
  const TensorView &lhs = args.inputs[0], &rhs = args.inputs[1];
  const TensorView &out = args.outputs[0];
  problem.batchRank = out.rank - 2;
  for (int i = 0; i < problem.batchRank; ++i) {
    problem.batchDims[i] = out.dims[i];
    problem.batches *= out.dims[i];
    problem.outBatch[i] = out.strides[i];
  }
  auto align = [&](const TensorView &view, int64_t *strides) {
    int missing = out.rank - view.rank;
    for (int i = 0; i < view.rank - 2; ++i) {
      if (view.dims[i] != 1 && view.dims[i] != out.dims[missing + i])
        return false;
      strides[missing + i] = view.dims[i] == 1 ? 0 : view.strides[i];
    }
    return true;
  };
  if (!align(lhs, problem.lhsBatch) || !align(rhs, problem.rhsBatch))
    return badPlan("batch dimensions of " + shapeText(lhs) + " and " +
                   shapeText(rhs) + " do not broadcast to " + shapeText(out));
  return Status::ok();
}

/// Takes the innermost batch dimension for rows while the rhs is the same for
/// all of it and rows follow each other at one distance.
static void mergeRows(Problem &p) {
  for (; p.batchRank > 0; --p.batchRank) {
    int last = p.batchRank - 1;
    if (p.batchDims[last] == 1)
      continue;
    if (p.rows == 1) { // The stride of a single row has no say.
      p.lhsRow = p.lhsBatch[last];
      p.outRow = p.outBatch[last];
    }
    if (p.rhsBatch[last] != 0 || p.lhsBatch[last] != p.rows * p.lhsRow ||
        p.outBatch[last] != p.rows * p.outRow)
      return;
    p.rows *= p.batchDims[last];
    p.batches /= p.batchDims[last];
  }
}

StatusOr<Problem> MatmulKernel::problemOf(const KernelArgs &args) const {
  const TensorView &lhs = args.inputs[0], &rhs = args.inputs[1];
  const TensorView &out = args.outputs[0], &bias = inputOrAbsent(args, 2);
  if (lhs.rank < 2 || rhs.rank < 2 || out.rank != std::max(lhs.rank, rhs.rank))
    return badPlan("operands " + shapeText(lhs) + " and " + shapeText(rhs) +
                   " do not give " + shapeText(out));
  // Packed memory is for the right side; codes have fewer bytes than elements.
  if (lhs.layout != "row")
    return badPlan("lhs has layout '" + std::string(lhs.layout) +
                   "', expected 'row'");
  Problem p;
  p.rows = lhs.dims[lhs.rank - 2];
  p.depth = lhs.dims[lhs.rank - 1];
  p.columns = rhs.dims[rhs.rank - (transposeRhs ? 2 : 1)];
  if (rhs.dims[rhs.rank - (transposeRhs ? 1 : 2)] != p.depth ||
      out.dims[out.rank - 2] != p.rows || out.dims[out.rank - 1] != p.columns)
    return badPlan("operands " + shapeText(lhs) + " and " + shapeText(rhs) +
                   " do not give " + shapeText(out));
  if (bias.present() && (bias.rank != 1 || bias.dims[0] != p.columns))
    return badPlan("bias has shape " + shapeText(bias) + ", expected [" +
                   std::to_string(p.columns) + "]");
  if (bias.present()) {
    MOE_RETURN_IF_ERROR(expectContiguous(bias, "bias"));
    if (!usesF32(lhs.dtype) || !usesF32(bias.dtype))
      MOE_RETURN_IF_ERROR(expectDType(bias, lhs.dtype, "bias"));
  }
  p.lhsRow = lhs.strides[lhs.rank - 2];
  p.lhsDepth = lhs.strides[lhs.rank - 1];
  p.outRow = out.strides[out.rank - 2];
  p.outColumn = out.strides[out.rank - 1];
  MOE_RETURN_IF_ERROR(setBatches(args, p));
  p.rhs.data = blockData(rhs);
  p.rhs.dtype = rhs.dtype;
  p.rhs.depth = p.depth;
  p.rhs.columns = p.columns;
  p.rhs.depthStride = rhs.strides[rhs.rank - (transposeRhs ? 1 : 2)];
  p.rhs.columnStride = rhs.strides[rhs.rank - (transposeRhs ? 2 : 1)];
  std::optional<RhsStorage> storage = RhsStorage::of(rhs.layout);
  bool isReadable = storage.has_value();
  if (isReadable && storage->isPacked())
    isReadable = rhs.rank == 2 && !transposeRhs && usesF32(rhs.dtype);
  if (isReadable && storage->kind == RhsStorage::Kind::Codes)
    isReadable = QuantPanel::of(storage->format, p.depth).isOk();
  if (!isReadable)
    return badPlan("rhs of shape " + shapeText(rhs) + " and layout '" +
                   std::string(rhs.layout) + "' cannot be read");
  p.rhs.storage = *storage;
  bool sameTypes =
      lhs.dtype == out.dtype &&
      (lhs.dtype == rhs.dtype || (usesF32(lhs.dtype) && usesF32(rhs.dtype)));
  if (!sameTypes || lhs.dtype == DType::Bool)
    return badPlan("elements " + std::string(dtypeName(lhs.dtype)) + " and " +
                   std::string(dtypeName(rhs.dtype)) + " cannot give " +
                   std::string(dtypeName(out.dtype)));
  return p;
}

/// Rows of an item that may have to be gathered.
static int64_t rowsOf(const TensorView &lhs) {
  return std::min(kRowBlock, productOf(lhs, 0, lhs.rank - 1));
}

Buffers MatmulKernel::cut(Scratch &scratch, const KernelArgs &args,
                          int numThreads) const {
  const TensorView &lhs = args.inputs[0], &rhs = args.inputs[1];
  Buffers buffers{};
  if (!usesF32(lhs.dtype))
    return buffers;
  // Strides are not known when memory is planned: there is always room to
  // gather the rows of an item.
  int64_t depth = lhs.dims[lhs.rank - 1];
  const TensorView &out = args.outputs[0];
  if (arithmetic == Arithmetic::Int8 &&
      RhsStorage::of(rhs.layout).value_or(RhsStorage()).takesRounded())
    buffers.rounded = scratch.take<QuantBlock>(productOf(out, 0, out.rank - 1) *
                                               QuantBlock::count(depth));
  if (lhs.dtype != DType::F32)
    buffers.lhs = scratch.take<float>(lhs.numElements());
  buffers.rows = scratch.take<float>(
      lhs.dtype == DType::F32 ? numThreads * rowsOf(lhs) * depth : 0);
  buffers.panelsPerThread =
      panelScratch(rhs.layout != "row", depth, kGroupPanels);
  buffers.panels = scratch.take<float>(numThreads * buffers.panelsPerThread);
  buffers.tiles = scratch.take<float>(numThreads * kRowBlock * kGroupColumns);
  return buffers;
}

void MatmulKernel::roundRows(const Problem &p, const float *lhs,
                             const KernelArgs &args, const Buffers &buffers,
                             ThreadPool &pool) const {
  int64_t blocks = QuantBlock::count(p.depth);
  bool isStrided = p.lhsDepth != 1 && p.depth > 1;
  auto body = [&](int64_t begin, int64_t end, int thread) {
    float *gathered = buffers.rows + thread * rowsOf(args.inputs[0]) * p.depth;
    for (int64_t i = begin; i < end; ++i) {
      const float *row =
          lhs + p.offsets(i / p.rows).lhs + i % p.rows * p.lhsRow;
      if (isStrided) {
        isa.loadTile(DType::F32, row, p.lhsDepth, gathered, p.depth);
        row = gathered;
      }
      isa.quantizeRow(row, p.depth, buffers.rounded + i * blocks);
    }
  };
  forRange(pool, p.batches * p.rows, static_cast<double>(p.depth), body);
}

void MatmulKernel::runF32(const Problem &p, const float *lhs,
                          const KernelArgs &args, const Buffers &buffers,
                          ThreadPool &pool) const {
  const TensorView &out = args.outputs[0], &bias = inputOrAbsent(args, 2);
  RowVector biasRow{bias.present() ? blockData(bias) : nullptr, bias.dtype};
  int64_t outBytes = static_cast<int64_t>(dtypeSize(out.dtype));
  int64_t rowBlocks = ceilDiv(p.rows, kRowBlock);
  int64_t groupSize =
      groupPanels({p.rhs.panels(), p.rows * p.batches, rowBlocks * p.batches,
                   std::min(p.rows, kRowBlock), p.rhs.storage.isPacked()},
                  pool.numThreads());
  int64_t groups = ceilDiv(p.rhs.panels(), groupSize);
  double work = 2.0 * static_cast<double>(p.batches) *
                static_cast<double>(p.rows) * static_cast<double>(p.depth) *
                static_cast<double>(p.columns);
  auto body = [&](int64_t item, int thread) {
    // Row blocks of one group follow each other: they share its panels.
    int64_t row = item % rowBlocks * kRowBlock;
    int64_t panel = item / rowBlocks % groups * groupSize;
    int64_t batch = item / rowBlocks / groups;
    Problem::Offsets offsets = p.offsets(batch);
    int64_t rows = std::min(kRowBlock, p.rows - row);
    int64_t column = panel * kPanel;
    int64_t columns = std::min(groupSize * kPanel, p.columns - column);
    ProductRows product;
    product.a = lhs + offsets.lhs + row * p.lhsRow;
    product.aStride = p.lhsRow;
    product.rows = rows;
    if (buffers.rounded) {
      product.rounded =
          buffers.rounded + (batch * p.rows + row) * QuantBlock::count(p.depth);
    } else if (p.lhsDepth != 1 && p.depth > 1) {
      float *gathered =
          buffers.rows + thread * rowsOf(args.inputs[0]) * p.depth;
      for (int64_t r = 0; r < rows; ++r)
        isa.loadTile(DType::F32, product.a + r * p.lhsRow, p.lhsDepth,
                     gathered + r * p.depth, p.depth);
      product.a = gathered;
      product.aStride = p.depth;
    }
    RhsMatrix rhs = p.rhs;
    if (!rhs.storage.isPacked())
      rhs.data += offsets.rhs * static_cast<int64_t>(dtypeSize(rhs.dtype));
    std::byte *target =
        out.as<std::byte>() +
        (offsets.out + row * p.outRow + column * p.outColumn) * outBytes;
    bool isDirect =
        out.dtype == DType::F32 && p.outColumn == 1 && columns % kPanel == 0;
    product.c = isDirect ? reinterpret_cast<float *>(target)
                         : buffers.tiles + thread * kRowBlock * kGroupColumns;
    product.cStride =
        isDirect ? p.outRow : std::max(groupSize * kPanel, kGroupColumns);
    multiplyPanels(isa, rhs, panel, ceilDiv(columns, kPanel), product,
                   buffers.panels + thread * buffers.panelsPerThread);
    float biasScratch[kStreamColumns];
    const float *added = biasRow.data
                             ? biasRow.read(isa, column, columns, biasScratch)
                             : nullptr;
    for (int64_t r = 0; r < rows; ++r) {
      float *values = product.c + r * product.cStride;
      if (added)
        isa.axpyRow(1.0f, added, values, columns);
      if (!isDirect)
        isa.storeTile(out.dtype, values, target + r * p.outRow * outBytes,
                      p.outColumn, columns);
    }
  };
  forItems(pool, rowBlocks * groups * p.batches, work, body);
}

template <typename T>
void MatmulKernel::runPlain(const Problem &p, const KernelArgs &args,
                            ThreadPool &pool) const {
  using Wide = typename Element<T>::Wide;
  const T *lhs = dataOf<T>(args.inputs[0]);
  const T *rhs = reinterpret_cast<const T *>(p.rhs.data);
  T *out = args.outputs[0].as<T>();
  const TensorView &bias = inputOrAbsent(args, 2);
  const T *added = bias.present() ? dataOf<T>(bias) : nullptr;
  auto body = [&](int64_t begin, int64_t end, int) {
    for (int64_t i = begin; i < end; ++i) {
      Problem::Offsets offsets = p.offsets(i / p.rows);
      int64_t row = i % p.rows;
      const T *a = lhs + offsets.lhs + row * p.lhsRow;
      for (int64_t n = 0; n < p.columns; ++n) {
        const T *b = rhs + offsets.rhs + n * p.rhs.columnStride;
        Wide sum = 0;
        for (int64_t k = 0; k < p.depth; ++k) {
          Wide x = Element<T>::load(a[k * p.lhsDepth]);
          Wide y = Element<T>::load(b[k * p.rhs.depthStride]);
          if constexpr (std::is_floating_point_v<Wide>)
            sum += x * y;
          else // wraps around
            sum = static_cast<Wide>(static_cast<uint64_t>(sum) +
                                    static_cast<uint64_t>(x) *
                                        static_cast<uint64_t>(y));
        }
        if (added)
          sum = static_cast<Wide>(sum + Element<T>::load(added[n]));
        out[offsets.out + row * p.outRow + n * p.outColumn] =
            Element<T>::store(sum);
      }
    }
  };
  forRange(pool, p.batches * p.rows,
           2.0 * static_cast<double>(p.depth) * static_cast<double>(p.columns),
           body);
}

Status MatmulKernel::run(const KernelArgs &args, StepContext &context) const {
  MOE_ASSIGN_OR_RETURN(Problem p, problemOf(args));
  const TensorView &lhs = args.inputs[0];
  if (args.outputs[0].numElements() == 0)
    return Status::ok();
  context.counters.flops +=
      2 * static_cast<uint64_t>(p.batches) * p.rows * p.depth * p.columns;
  if (!usesF32(lhs.dtype)) {
    mergeRows(p);
    visitElementType(lhs.dtype,
                     [&]<typename T>() { runPlain<T>(p, args, context.pool); });
    return Status::ok();
  }
  Scratch scratch(context.workspace);
  Buffers buffers = cut(scratch, args, context.pool.numThreads());
  if (!scratch.fits())
    return expectWorkspace(context, *scratch.bytes());
  const float *data = dataOf<float>(lhs);
  if (lhs.dtype != DType::F32) {
    convertToF32(context.pool, isa, lhs, buffers.lhs);
    data = buffers.lhs;
    TensorView dense = lhs;
    dense.setContiguous();
    p.lhsRow = dense.strides[lhs.rank - 2];
    p.lhsDepth = 1;
    int missing = args.outputs[0].rank - lhs.rank;
    for (int i = 0; i < lhs.rank - 2; ++i)
      if (lhs.dims[i] != 1)
        p.lhsBatch[missing + i] = dense.strides[i];
  }
  mergeRows(p);
  if (buffers.rounded)
    roundRows(p, data, args, buffers, context.pool);
  runF32(p, data, args, buffers, context.pool);
  return Status::ok();
}

void registerMatmul(KernelRegistry &registry, const Isa &isa) {
  registry.add(
      "matmul",
      [&isa](const KernelSpec &spec) -> StatusOr<std::unique_ptr<Kernel>> {
        MOE_RETURN_IF_ERROR(checkOperands(spec, 2, 3, 1));
        StepAttributes attributes(spec.step);
        MOE_ASSIGN_OR_RETURN(bool transposeRhs,
                             attributes.getBool("transpose_rhs", false));
        MOE_ASSIGN_OR_RETURN(Arithmetic arithmetic,
                             parseArithmetic(attributes));
        MOE_RETURN_IF_ERROR(attributes.checkAllRead());
        return std::unique_ptr<Kernel>(std::make_unique<MatmulKernel>(
            spec, isa, transposeRhs, arithmetic));
      },
      {"panel16", std::string(kQuantLayouts), "row"});
}

} // namespace moe::cpu
