//===- Reduce.cpp - reduce, arg_reduce, cumsum ----------------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Reductions accumulate in the widest type of their kind (f64, i64, u64). The
// order depends on the reduced sizes alone: rows of elements that follow each
// other are added in kChains interleaved chains, rows one after the other.
//
//===----------------------------------------------------------------------===//

#include "runtime/kernels/cpu/Element.h"
#include "runtime/kernels/cpu/Kernels.h"
#include "runtime/kernels/cpu/Support.h"
#include "runtime/plan/StepAttributes.h"

#include <limits>

namespace moe::cpu {

namespace {

enum class ReduceKind : uint8_t { Sum, Mean, Max, Min, Prod };
enum class ArgKind : uint8_t { Max, Min };

constexpr int64_t kChains = 8;

/// Dimensions with the strides of x, row major over all of them.
struct Loops {
  int rank = 0;
  int64_t dims[kMaxRank];
  int64_t strides[kMaxRank];

  void add(int64_t dim, int64_t stride) {
    if (dim == 1)
      return;
    if (rank > 0 && strides[rank - 1] == stride * dim) {
      dims[rank - 1] *= dim;
      strides[rank - 1] = stride;
      return;
    }
    dims[rank] = dim;
    strides[rank++] = stride;
  }
  int64_t count() const {
    int64_t result = 1;
    for (int i = 0; i < rank; ++i)
      result *= dims[i];
    return result;
  }
  int64_t offset(int64_t index) const {
    int64_t result = 0;
    for (int i = rank - 1; i >= 0; --i) {
      result += index % dims[i] * strides[i];
      index /= dims[i];
    }
    return result;
  }
  /// Splits off the innermost dimension; a single element if there is none.
  std::pair<int64_t, int64_t> popInner() {
    if (rank == 0)
      return {1, 0};
    --rank;
    return {dims[rank], strides[rank]};
  }
};

class ReduceKernel : public CpuKernel {
public:
  ReduceKernel(const KernelSpec &spec, const Isa &isa, ReduceKind kind,
               std::vector<int64_t> axes, bool keepDims)
      : CpuKernel(spec, isa), kind(kind), axes(std::move(axes)),
        keepDims(keepDims) {}
  Status run(const KernelArgs &args, StepContext &context) const override;

private:
  Status split(const TensorView &x, const TensorView &out, Loops &kept,
               Loops &reduced) const;
  template <typename T, typename Op>
  void runWith(const TensorView &x, const TensorView &out, Loops kept,
               Loops reduced, ThreadPool &pool) const;

  ReduceKind kind;
  std::vector<int64_t> axes;
  bool keepDims;
};

class ArgReduceKernel : public CpuKernel {
public:
  ArgReduceKernel(const KernelSpec &spec, const Isa &isa, ArgKind kind,
                  int64_t axis, bool keepDims, bool selectLast)
      : CpuKernel(spec, isa), kind(kind), axis(axis), keepDims(keepDims),
        selectLast(selectLast) {}
  Status run(const KernelArgs &args, StepContext &context) const override;

private:
  ArgKind kind;
  int64_t axis;
  bool keepDims, selectLast;
};

class CumsumKernel : public CpuKernel {
public:
  CumsumKernel(const KernelSpec &spec, const Isa &isa, int64_t axis,
               bool exclusive, bool reverse)
      : CpuKernel(spec, isa), axis(axis), exclusive(exclusive),
        reverse(reverse) {}
  Status run(const KernelArgs &args, StepContext &context) const override;

private:
  int64_t axis;
  bool exclusive, reverse;
};

//===----------------------------------------------------------------------===//
// Operations
//===----------------------------------------------------------------------===//

template <typename W> struct SumOp {
  static W initial() { return 0; }
  static W step(W a, W b) {
    if constexpr (std::is_floating_point_v<W>)
      return a + b;
    else // wraps around
      return static_cast<W>(static_cast<uint64_t>(a) +
                            static_cast<uint64_t>(b));
  }
};
template <typename W> struct ProdOp {
  static W initial() { return 1; }
  static W step(W a, W b) {
    if constexpr (std::is_floating_point_v<W>)
      return a * b;
    else
      return static_cast<W>(static_cast<uint64_t>(a) *
                            static_cast<uint64_t>(b));
  }
};
template <typename W> struct MaxOp {
  static W initial() {
    if constexpr (std::is_floating_point_v<W>)
      return -std::numeric_limits<W>::infinity();
    else
      return std::numeric_limits<W>::lowest();
  }
  // NaN wins.
  static W step(W a, W b) { return b > a || b != b ? b : a; }
};
template <typename W> struct MinOp {
  static W initial() {
    if constexpr (std::is_floating_point_v<W>)
      return std::numeric_limits<W>::infinity();
    else
      return std::numeric_limits<W>::max();
  }
  static W step(W a, W b) { return b < a || b != b ? b : a; }
};

/// `sum` goes on with a row of elements.
template <typename T, typename Op, typename W>
W reduceRow(const T *x, int64_t count, int64_t stride, W sum) {
  W chains[kChains];
  std::fill_n(chains, kChains, Op::initial());
  int64_t i = 0;
  for (; i + kChains <= count; i += kChains)
    for (int64_t c = 0; c < kChains; ++c)
      chains[c] = Op::step(chains[c], Element<T>::load(x[(i + c) * stride]));
  for (int64_t c = 0; i < count; ++i, ++c)
    chains[c] = Op::step(chains[c], Element<T>::load(x[i * stride]));
  for (W chain : chains)
    sum = Op::step(sum, chain);
  return sum;
}

} // namespace

//===----------------------------------------------------------------------===//
// reduce
//===----------------------------------------------------------------------===//

Status ReduceKernel::split(const TensorView &x, const TensorView &out,
                           Loops &kept, Loops &reduced) const {
  MOE_RETURN_IF_ERROR(expectDType(out, x.dtype, "result"));
  MOE_RETURN_IF_ERROR(expectContiguous(out, "result"));
  TensorView expected;
  for (int i = 0; i < x.rank; ++i) {
    bool isReduced = std::find(axes.begin(), axes.end(), i) != axes.end();
    (isReduced ? reduced : kept).add(x.dims[i], x.strides[i]);
    if (!isReduced || keepDims)
      expected.dims[expected.rank++] = isReduced ? 1 : x.dims[i];
  }
  for (int64_t axis : axes)
    if (axis < 0 || axis >= x.rank)
      return badPlan("axis " + std::to_string(axis) + " of " + shapeText(x));
  return expectSameShape(expected, out, "reduced operand and result");
}

template <typename T, typename Op>
void ReduceKernel::runWith(const TensorView &x, const TensorView &out,
                           Loops kept, Loops reduced, ThreadPool &pool) const {
  using W = typename Element<T>::Wide;
  const T *from = dataOf<T>(x);
  T *to = out.as<T>();
  int64_t size = reduced.count();
  auto store = [&](int64_t i, W sum) {
    if (kind == ReduceKind::Mean) {
      if constexpr (std::is_floating_point_v<W>)
        sum /= static_cast<W>(size);
      else
        sum = size == 0 ? 0 : sum / static_cast<W>(size);
    }
    // The least bool is not the least integer.
    if (size == 0 && x.dtype == DType::Bool && kind == ReduceKind::Max)
      sum = 0;
    to[i] = Element<T>::store(sum);
  };
  bool keepsInner = kept.rank > 0 && kept.strides[kept.rank - 1] == 1 &&
                    kept.dims[kept.rank - 1] > 1;
  if (!keepsInner) {
    auto [rowSize, rowStride] = reduced.popInner();
    int64_t rows = reduced.count();
    return forRange(pool, kept.count(), static_cast<double>(size),
                    [&](int64_t begin, int64_t end, int) {
                      for (int64_t i = begin; i < end; ++i) {
                        const T *base = from + kept.offset(i);
                        W sum = Op::initial();
                        for (int64_t r = 0; r < rows; ++r)
                          sum = reduceRow<T, Op>(base + reduced.offset(r),
                                                 rowSize, rowStride, sum);
                        store(i, sum);
                      }
                    });
  }
  // Neighbouring results are reduced side by side, so that rows of x are read
  // as they lie.
  constexpr int64_t kBlock = 64;
  int64_t inner = kept.popInner().first;
  int64_t blocks = (inner + kBlock - 1) / kBlock;
  auto body = [&](int64_t begin, int64_t end, int) {
    for (int64_t item = begin; item < end; ++item) {
      int64_t outer = item / blocks, first = item % blocks * kBlock;
      int64_t count = std::min(kBlock, inner - first);
      const T *base = from + kept.offset(outer) + first;
      W sums[kBlock];
      std::fill_n(sums, kBlock, Op::initial());
      for (int64_t r = 0; r < size; ++r) {
        const T *row = base + reduced.offset(r);
        for (int64_t i = 0; i < count; ++i)
          sums[i] = Op::step(sums[i], Element<T>::load(row[i]));
      }
      for (int64_t i = 0; i < count; ++i)
        store(outer * inner + first + i, sums[i]);
    }
  };
  forRange(pool, kept.count() * blocks,
           static_cast<double>(size * std::min(inner, kBlock)), body);
}

Status ReduceKernel::run(const KernelArgs &args, StepContext &context) const {
  const TensorView &x = args.inputs[0], &out = args.outputs[0];
  Loops kept, reduced;
  MOE_RETURN_IF_ERROR(split(x, out, kept, reduced));
  visitElementType(x.dtype, [&]<typename T>() {
    using W = typename Element<T>::Wide;
    switch (kind) {
    case ReduceKind::Sum:
    case ReduceKind::Mean:
      return runWith<T, SumOp<W>>(x, out, kept, reduced, context.pool);
    case ReduceKind::Max:
      return runWith<T, MaxOp<W>>(x, out, kept, reduced, context.pool);
    case ReduceKind::Min:
      return runWith<T, MinOp<W>>(x, out, kept, reduced, context.pool);
    case ReduceKind::Prod:
      return runWith<T, ProdOp<W>>(x, out, kept, reduced, context.pool);
    }
  });
  return Status::ok();
}

//===----------------------------------------------------------------------===//
// arg_reduce
//===----------------------------------------------------------------------===//

Status ArgReduceKernel::run(const KernelArgs &args,
                            StepContext &context) const {
  const TensorView &x = args.inputs[0], &out = args.outputs[0];
  int normal = normalAxis(axis, x.rank);
  if (normal < 0)
    return badPlan("axis " + std::to_string(axis) + " of " + shapeText(x));
  MOE_RETURN_IF_ERROR(expectDType(out, DType::I64, "result"));
  MOE_RETURN_IF_ERROR(expectContiguous(x, "x"));
  MOE_RETURN_IF_ERROR(expectContiguous(out, "result"));
  int64_t count = x.dims[normal];
  int64_t inner = productOf(x, normal + 1, x.rank);
  int64_t rows = productOf(x, 0, normal) * inner;
  if (out.numElements() != rows || out.rank != x.rank - (keepDims ? 0 : 1))
    return badPlan("the result of shape " + shapeText(out) + " does not fit " +
                   shapeText(x));
  if (count == 0 && rows > 0)
    return badPlan("axis " + std::to_string(axis) + " of " + shapeText(x) +
                   " has no element");
  visitElementType(x.dtype, [&]<typename T>() {
    const T *from = dataOf<T>(x);
    int64_t *to = out.as<int64_t>();
    forRange(context.pool, rows, static_cast<double>(count),
             [&](int64_t begin, int64_t end, int) {
               for (int64_t row = begin; row < end; ++row) {
                 const T *base =
                     from + row / inner * count * inner + row % inner;
                 int64_t best = 0;
                 auto bestValue = Element<T>::load(base[0]);
                 for (int64_t i = 1; i < count; ++i) {
                   auto value = Element<T>::load(base[i * inner]);
                   bool isBetter = kind == ArgKind::Max ? value > bestValue
                                                        : value < bestValue;
                   if (isBetter || (selectLast && value == bestValue)) {
                     best = i;
                     bestValue = value;
                   }
                 }
                 to[row] = best;
               }
             });
  });
  return Status::ok();
}

//===----------------------------------------------------------------------===//
// cumsum
//===----------------------------------------------------------------------===//

Status CumsumKernel::run(const KernelArgs &args, StepContext &context) const {
  const TensorView &x = args.inputs[0], &out = args.outputs[0];
  int normal = normalAxis(axis, x.rank);
  if (normal < 0)
    return badPlan("axis " + std::to_string(axis) + " of " + shapeText(x));
  MOE_RETURN_IF_ERROR(expectSameShape(x, out, "operand and result"));
  MOE_RETURN_IF_ERROR(expectDType(out, x.dtype, "result"));
  MOE_RETURN_IF_ERROR(expectContiguous(x, "x"));
  MOE_RETURN_IF_ERROR(expectContiguous(out, "result"));
  int64_t count = x.dims[normal];
  int64_t inner = productOf(x, normal + 1, x.rank);
  visitElementType(x.dtype, [&]<typename T>() {
    using Op = SumOp<typename Element<T>::Wide>;
    const T *from = dataOf<T>(x);
    T *to = out.as<T>();
    forRange(context.pool, productOf(x, 0, normal) * inner,
             static_cast<double>(count), [&](int64_t begin, int64_t end, int) {
               for (int64_t row = begin; row < end; ++row) {
                 int64_t base = row / inner * count * inner + row % inner;
                 auto sum = Op::initial();
                 for (int64_t step = 0; step < count; ++step) {
                   int64_t i =
                       base + (reverse ? count - 1 - step : step) * inner;
                   auto value = Element<T>::load(from[i]);
                   auto next = Op::step(sum, value);
                   to[i] = Element<T>::store(exclusive ? sum : next);
                   sum = next;
                 }
               }
             });
  });
  return Status::ok();
}

//===----------------------------------------------------------------------===//
// Registration
//===----------------------------------------------------------------------===//

static StatusOr<std::unique_ptr<Kernel>> createReduce(const KernelSpec &spec,
                                                      const Isa &isa) {
  MOE_RETURN_IF_ERROR(checkOperands(spec, 1, 1, 1));
  StepAttributes attributes(spec.step);
  MOE_ASSIGN_OR_RETURN(
      ReduceKind kind,
      attributes.getEnum<ReduceKind>("kind", {{"sum", ReduceKind::Sum},
                                              {"mean", ReduceKind::Mean},
                                              {"max", ReduceKind::Max},
                                              {"min", ReduceKind::Min},
                                              {"prod", ReduceKind::Prod}}));
  MOE_ASSIGN_OR_RETURN(std::vector<int64_t> axes, attributes.getInts("axes"));
  MOE_ASSIGN_OR_RETURN(bool keepDims, attributes.getBool("keepdims"));
  MOE_RETURN_IF_ERROR(attributes.checkAllRead());
  return std::unique_ptr<Kernel>(std::make_unique<ReduceKernel>(
      spec, isa, kind, std::move(axes), keepDims));
}

static StatusOr<std::unique_ptr<Kernel>> createArgReduce(const KernelSpec &spec,
                                                         const Isa &isa) {
  MOE_RETURN_IF_ERROR(checkOperands(spec, 1, 1, 1));
  StepAttributes attributes(spec.step);
  MOE_ASSIGN_OR_RETURN(ArgKind kind, attributes.getEnum<ArgKind>(
                                         "kind", {{"max", ArgKind::Max},
                                                  {"min", ArgKind::Min}}));
  MOE_ASSIGN_OR_RETURN(int64_t axis, attributes.getInt("axis"));
  MOE_ASSIGN_OR_RETURN(bool keepDims, attributes.getBool("keepdims"));
  MOE_ASSIGN_OR_RETURN(bool selectLast,
                       attributes.getBool("select_last", false));
  MOE_RETURN_IF_ERROR(attributes.checkAllRead());
  return std::unique_ptr<Kernel>(std::make_unique<ArgReduceKernel>(
      spec, isa, kind, axis, keepDims, selectLast));
}

static StatusOr<std::unique_ptr<Kernel>> createCumsum(const KernelSpec &spec,
                                                      const Isa &isa) {
  MOE_RETURN_IF_ERROR(checkOperands(spec, 1, 1, 1));
  StepAttributes attributes(spec.step);
  MOE_ASSIGN_OR_RETURN(int64_t axis, attributes.getInt("axis"));
  MOE_ASSIGN_OR_RETURN(bool exclusive, attributes.getBool("exclusive", false));
  MOE_ASSIGN_OR_RETURN(bool reverse, attributes.getBool("reverse", false));
  MOE_RETURN_IF_ERROR(attributes.checkAllRead());
  return std::unique_ptr<Kernel>(
      std::make_unique<CumsumKernel>(spec, isa, axis, exclusive, reverse));
}

void registerReduce(KernelRegistry &registry, const Isa &isa) {
  registry.add("reduce", [&isa](const KernelSpec &spec) {
    return createReduce(spec, isa);
  });
  registry.add("arg_reduce", [&isa](const KernelSpec &spec) {
    return createArgReduce(spec, isa);
  });
  registry.add("cumsum", [&isa](const KernelSpec &spec) {
    return createCumsum(spec, isa);
  });
}

} // namespace moe::cpu
