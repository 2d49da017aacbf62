//===- Elementwise.cpp - elementwise, unary, binary, compare, select, cast ===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Runs an ElementwiseProgram over all elements. Threads share the elements in
// chunks of tiles. An input is read in place if it lies in memory as the
// registers need it; otherwise a tile of it is copied, with conversion and
// broadcasting, segment by segment of the innermost dimension.
//
//===----------------------------------------------------------------------===//

#include "runtime/kernels/cpu/ElementwiseProgram.h"
#include "runtime/kernels/cpu/Kernels.h"
#include "runtime/kernels/cpu/Support.h"
#include "runtime/plan/StepAttributes.h"

namespace moe::cpu {

namespace {

/// An input or output seen through the merged dimensions of the results.
struct Operand {
  std::byte *data;
  int64_t elementBytes;
  DType dtype;
  bool isScalar;
  bool isDense; ///< f32 in the order of the elements
  int64_t strides[kMaxRank];
};

/// The loops of one run: the dimensions of the results, merged where all
/// operands allow it, and the operands, inputs first.
struct Geometry {
  int rank = 0;
  int64_t dims[kMaxRank] = {};
  int64_t elements = 1;
  std::span<Operand> operands;
};

/// Everything of a run that does not fit the stack.
struct Buffers {
  BoundInstr *bound;
  DType *types;
  Operand *operands;
  void **registers; ///< [threads][registers]
  std::byte *slots; ///< [threads][slots]
};

class ElementwiseKernel : public CpuKernel {
public:
  ElementwiseKernel(const KernelSpec &spec, const Isa &isa,
                    ElementwiseProgram program)
      : CpuKernel(spec, isa), program(std::move(program)) {}

  StatusOr<size_t> workspaceBytes(const KernelArgs &args,
                                  int numThreads) const override {
    std::vector<BoundInstr> bound(program.numInstrs());
    std::vector<DType> types(program.numRegisters());
    MOE_RETURN_IF_ERROR(program.bind(args, isa, bound, types));
    Scratch scratch;
    cut(scratch, numThreads);
    return scratch.bytes();
  }
  Status run(const KernelArgs &args, StepContext &context) const override;

private:
  Buffers cut(Scratch &scratch, int numThreads) const;
  Status arrange(const KernelArgs &args, Geometry &geometry) const;

  ElementwiseProgram program;
};

} // namespace

static int64_t registerBytes(RegisterKind kind) {
  return kind == RegisterKind::F32 || kind == RegisterKind::Bool ? 4 : 8;
}

/// The constant in `count` elements of a register.
static void fillConstant(const ElementwiseInstr &instr, DType type, void *reg,
                         int64_t count) {
  switch (registerKind(type)) {
  case RegisterKind::F32:
    std::fill_n(static_cast<float *>(reg), count, static_cast<float>(instr.f));
    return;
  case RegisterKind::F64:
    std::fill_n(static_cast<double *>(reg), count, instr.f);
    return;
  case RegisterKind::I64:
  case RegisterKind::U64:
    std::fill_n(static_cast<int64_t *>(reg), count, instr.i);
    return;
  case RegisterKind::Bool:
    std::fill_n(static_cast<int32_t *>(reg), count, instr.i != 0 ? 1 : 0);
    return;
  }
}

Buffers ElementwiseKernel::cut(Scratch &scratch, int numThreads) const {
  int64_t threads = numThreads;
  Buffers buffers;
  buffers.bound = scratch.take<BoundInstr>(program.numInstrs());
  buffers.types = scratch.take<DType>(program.numRegisters());
  buffers.operands =
      scratch.take<Operand>(program.numInputs() + program.results().size());
  buffers.registers = scratch.take<void *>(threads * program.numRegisters());
  buffers.slots =
      scratch.take<std::byte>(threads * program.numSlots() * kSlotBytes);
  return buffers;
}

/// Whether dimension i continues dimension i + 1 in all operands.
static bool canMerge(const Geometry &g, int i) {
  return std::all_of(g.operands.begin(), g.operands.end(),
                     [&](const Operand &o) {
                       return o.strides[i] == o.strides[i + 1] * g.dims[i + 1];
                     });
}

static void mergeDims(Geometry &g) {
  auto erase = [&](int dim) {
    for (int i = dim; i + 1 < g.rank; ++i) {
      g.dims[i] = g.dims[i + 1];
      for (Operand &o : g.operands)
        o.strides[i] = o.strides[i + 1];
    }
    --g.rank;
  };
  for (int i = g.rank - 1; i >= 0; --i)
    if (g.dims[i] == 1)
      erase(i);
  for (int i = g.rank - 2; i >= 0; --i) {
    if (!canMerge(g, i))
      continue;
    g.dims[i + 1] *= g.dims[i];
    erase(i);
  }
}

Status ElementwiseKernel::arrange(const KernelArgs &args,
                                  Geometry &geometry) const {
  const TensorView &shape = args.outputs[0];
  geometry.rank = shape.rank;
  std::copy_n(shape.dims, shape.rank, geometry.dims);
  geometry.elements = shape.numElements();
  size_t numInputs = args.inputs.size();
  for (size_t i = 0; i < geometry.operands.size(); ++i) {
    const TensorView &view =
        i < numInputs ? args.inputs[i] : args.outputs[i - numInputs];
    bool isOutput = i >= numInputs;
    Operand &operand = geometry.operands[i];
    operand.data = const_cast<std::byte *>(blockData(view));
    operand.dtype = view.dtype;
    operand.elementBytes = static_cast<int64_t>(dtypeSize(view.dtype));
    operand.isScalar = !isOutput;
    int missing = shape.rank - view.rank;
    if (view.rank < 0 || missing < 0)
      return badPlan("an operand of rank " + std::to_string(view.rank) +
                     " does not broadcast to " + shapeText(shape));
    for (int d = 0; d < shape.rank; ++d) {
      int64_t size = d < missing ? 1 : view.dims[d - missing];
      bool isBroadcast = size == 1 && shape.dims[d] != 1;
      if (size != shape.dims[d] && (!isBroadcast || isOutput))
        return badPlan("an operand of shape " + shapeText(view) +
                       " does not broadcast to " + shapeText(shape));
      operand.strides[d] =
          d < missing || isBroadcast ? 0 : view.strides[d - missing];
      if (operand.strides[d] != 0 && size != 1)
        operand.isScalar = false;
    }
  }
  mergeDims(geometry);
  for (Operand &operand : geometry.operands) {
    operand.isDense = operand.dtype == DType::F32;
    int64_t stride = 1;
    for (int d = geometry.rank - 1; d >= 0; --d) {
      operand.isDense &= operand.strides[d] == stride;
      stride *= geometry.dims[d];
    }
  }
  return Status::ok();
}

/// Calls body(data, stride, done, count) for the segments of the innermost
/// dimension that elements [position, position + count) consist of.
template <typename Body>
static void forSegments(const Geometry &g, const Operand &o, int64_t position,
                        int64_t count, Body body) {
  if (g.rank == 0)
    return body(o.data, int64_t(1), int64_t(0), count);
  int last = g.rank - 1;
  int64_t index[kMaxRank];
  int64_t offset = 0, rest = position;
  for (int d = last; d >= 0; --d) {
    index[d] = rest % g.dims[d];
    rest /= g.dims[d];
    offset += index[d] * o.strides[d];
  }
  for (int64_t done = 0; done < count;) {
    int64_t length = std::min(count - done, g.dims[last] - index[last]);
    body(o.data + offset * o.elementBytes, o.strides[last], done, length);
    done += length;
    if (done == count)
      return;
    offset -= index[last] * o.strides[last];
    index[last] = 0;
    for (int d = last - 1; d >= 0; --d) {
      offset += o.strides[d];
      if (++index[d] < g.dims[d])
        break;
      offset -= g.dims[d] * o.strides[d];
      index[d] = 0;
    }
  }
}

/// The memory of elements that lie side by side within the innermost
/// dimension, or null.
static std::byte *withinRow(const Geometry &g, const Operand &o,
                            int64_t position, int64_t count) {
  int last = g.rank - 1;
  if (o.dtype != DType::F32 || g.rank == 0 || o.strides[last] != 1 ||
      position % g.dims[last] + count > g.dims[last])
    return nullptr;
  std::byte *memory = nullptr;
  forSegments(
      g, o, position, count,
      [&](std::byte *data, int64_t, int64_t, int64_t) { memory = data; });
  return memory;
}

/// The memory of elements [position, position + count), if it can serve as a
/// register, or null.
static inline std::byte *inPlace(const Geometry &g, const Operand &o,
                                 int64_t position, int64_t count) {
  return o.isDense ? o.data + position * o.elementBytes
                   : withinRow(g, o, position, count);
}

/// Whether any two of the operands, one of them an output, share memory.
static bool overlaps(const Geometry &g, size_t numInputs) {
  auto range = [&](const Operand &o) {
    int64_t low = 0, high = o.elementBytes;
    for (int d = 0; d < g.rank; ++d)
      (o.strides[d] < 0 ? low : high) +=
          o.strides[d] * (g.dims[d] - 1) * o.elementBytes;
    return std::pair(o.data + low, o.data + high);
  };
  for (size_t i = numInputs; i < g.operands.size(); ++i) {
    auto [begin, end] = range(g.operands[i]);
    for (size_t j = 0; j < i; ++j) {
      auto [otherBegin, otherEnd] = range(g.operands[j]);
      if (begin < otherEnd && otherBegin < end)
        return true;
    }
  }
  return false;
}

namespace {

/// Runs the program tile by tile in one thread.
class TileRunner {
public:
  TileRunner(const ElementwiseProgram &program, const Isa &isa,
             const Geometry &geometry, const Buffers &buffers, int thread)
      : program(program), isa(isa), g(geometry), buffers(buffers),
        reg(buffers.registers + thread * program.numRegisters()),
        slots(buffers.slots + thread * program.numSlots() * kSlotBytes),
        canShare(!overlaps(geometry, program.numInputs())) {}

  void run(int64_t begin, int64_t end) {
    fillOnce(std::min(kTile, pad(end - begin)));
    for (int64_t position = begin; position < end; position += kTile) {
      int64_t count = std::min(kTile, end - position);
      loadInputs(position, count);
      placeResults(position, count);
      execute(pad(count));
      storeResults(position, count);
    }
  }

private:
  static int64_t pad(int64_t count) {
    return (count + kTileGranule - 1) / kTileGranule * kTileGranule;
  }
  std::byte *slot(int r) { return slots + program.slotOf(r) * kSlotBytes; }
  bool isConstant(int r) const {
    return r >= program.numInputs() &&
           program.isConstant(r - program.numInputs());
  }
  /// Where result i is written without a copy, or null.
  std::byte *directResult(size_t i, int64_t position, int64_t count) const {
    const std::vector<int> &results = program.results();
    bool isDirect = count == kTile && canShare &&
                    results[i] >= program.numInputs() &&
                    !isConstant(results[i]) &&
                    std::count(results.begin(), results.end(), results[i]) == 1;
    return isDirect ? inPlace(g, g.operands[program.numInputs() + i], position,
                              count)
                    : nullptr;
  }
  void fillOnce(int64_t count);
  void loadInputs(int64_t position, int64_t count);
  void placeResults(int64_t position, int64_t count);
  void execute(int64_t count);
  void storeResults(int64_t position, int64_t count);

  const ElementwiseProgram &program;
  const Isa &isa;
  const Geometry &g;
  const Buffers &buffers;
  void **reg;
  std::byte *slots;
  bool canShare;
};

} // namespace

void TileRunner::fillOnce(int64_t count) {
  for (int r = 0; r < program.numRegisters(); ++r) {
    reg[r] = slot(r);
    if (isConstant(r)) {
      int i = r - program.numInputs();
      fillConstant(program.instr(i), buffers.types[r], reg[r], count);
      if (TileFunction round = buffers.bound[i].round)
        round(reg[r], nullptr, nullptr, reg[r], count);
    } else if (r < program.numInputs() && g.operands[r].isScalar) {
      isa.loadTile(g.operands[r].dtype, g.operands[r].data, 0, reg[r], count);
    }
  }
}

void TileRunner::loadInputs(int64_t position, int64_t count) {
  for (int i = 0; i < program.numInputs(); ++i) {
    const Operand &o = g.operands[i];
    if (o.isScalar)
      continue;
    reg[i] =
        count == kTile && canShare ? inPlace(g, o, position, count) : nullptr;
    if (reg[i])
      continue;
    reg[i] = slot(i);
    int64_t bytes = registerBytes(registerKind(o.dtype));
    forSegments(
        g, o, position, count,
        [&](std::byte *data, int64_t stride, int64_t done, int64_t length) {
          isa.loadTile(o.dtype, data, stride, slot(i) + done * bytes, length);
        });
  }
}

void TileRunner::placeResults(int64_t position, int64_t count) {
  for (size_t i = 0; i < program.results().size(); ++i) {
    int r = program.results()[i];
    if (std::byte *memory = directResult(i, position, count))
      reg[r] = memory;
    else if (r >= program.numInputs())
      reg[r] = slot(r);
  }
}

void TileRunner::execute(int64_t count) {
  std::byte *converted = slots + (program.numSlots() - 1) * kSlotBytes;
  for (int i = 0; i < program.numInstrs(); ++i) {
    const BoundInstr &instr = buffers.bound[i];
    if (!instr.function)
      continue;
    auto operand = [&](int o) -> const void * {
      return instr.operands[o] < 0 ? nullptr : reg[instr.operands[o]];
    };
    void *out = reg[program.numInputs() + i];
    const void *b = operand(1);
    if (instr.convert) {
      instr.convert(b, nullptr, nullptr, converted, count);
      b = converted;
    }
    instr.function(operand(0), b, operand(2), out, count);
    if (instr.round)
      instr.round(out, nullptr, nullptr, out, count);
  }
}

void TileRunner::storeResults(int64_t position, int64_t count) {
  for (size_t i = 0; i < program.results().size(); ++i) {
    if (directResult(i, position, count))
      continue;
    const Operand &o = g.operands[program.numInputs() + i];
    auto *values = static_cast<const std::byte *>(reg[program.results()[i]]);
    int64_t bytes = registerBytes(registerKind(o.dtype));
    forSegments(
        g, o, position, count,
        [&](std::byte *data, int64_t stride, int64_t done, int64_t length) {
          isa.storeTile(o.dtype, values + done * bytes, data, stride, length);
        });
  }
}

Status ElementwiseKernel::run(const KernelArgs &args,
                              StepContext &context) const {
  Scratch scratch(context.workspace);
  int numThreads = context.pool.numThreads();
  Buffers buffers = cut(scratch, numThreads);
  if (!scratch.fits())
    return expectWorkspace(context, *scratch.bytes());
  MOE_RETURN_IF_ERROR(program.bind(
      args, isa, {buffers.bound, static_cast<size_t>(program.numInstrs())},
      {buffers.types, static_cast<size_t>(program.numRegisters())}));
  Geometry geometry;
  geometry.operands = {buffers.operands,
                       args.inputs.size() + args.outputs.size()};
  MOE_RETURN_IF_ERROR(arrange(args, geometry));
  int64_t tiles = (geometry.elements + kTile - 1) / kTile;
  double work = static_cast<double>(kTile) * (1 + program.numInstrs()) * 2;
  forRange(context.pool, tiles, work,
           [&](int64_t begin, int64_t end, int thread) {
             TileRunner(program, isa, geometry, buffers, thread)
                 .run(begin * kTile, std::min(end * kTile, geometry.elements));
           });
  return Status::ok();
}

static StatusOr<std::unique_ptr<Kernel>>
createElementwise(const KernelSpec &spec, const Isa &isa) {
  StepAttributes attributes(spec.step);
  MOE_RETURN_IF_ERROR(attributes.checkAllRead());
  MOE_ASSIGN_OR_RETURN(ElementwiseProgram program,
                       ElementwiseProgram::parse(spec.step));
  return std::unique_ptr<Kernel>(
      std::make_unique<ElementwiseKernel>(spec, isa, std::move(program)));
}

/// A single operation; `isKind` says which keywords the step may have.
static KernelFactory singleFactory(const Isa &isa, int numInputs,
                                   bool (*isKind)(ElementwiseOp)) {
  return [&isa, numInputs,
          isKind](const KernelSpec &spec) -> StatusOr<std::unique_ptr<Kernel>> {
    MOE_RETURN_IF_ERROR(checkOperands(spec, numInputs, numInputs, 1));
    StepAttributes attributes(spec.step);
    std::string keyword = spec.step.kernel;
    if (isKind) {
      MOE_ASSIGN_OR_RETURN(keyword, attributes.getString("kind"));
    }
    MOE_RETURN_IF_ERROR(attributes.checkAllRead());
    auto op = parseElementwiseOp(keyword);
    if (!op || (isKind && !isKind(*op)))
      return attributes.error("kind", "is '" + keyword +
                                          "', which is not an operation");
    return std::unique_ptr<Kernel>(std::make_unique<ElementwiseKernel>(
        spec, isa, ElementwiseProgram::single(*op, numInputs)));
  };
}

void registerElementwise(KernelRegistry &registry, const Isa &isa) {
  registry.add("elementwise", [&isa](const KernelSpec &spec) {
    return createElementwise(spec, isa);
  });
  registry.add("unary", singleFactory(isa, 1, isUnary));
  registry.add("binary", singleFactory(isa, 2, isBinary));
  registry.add("compare", singleFactory(isa, 2, isCompare));
  registry.add("select", singleFactory(isa, 3, nullptr));
  registry.add("cast", singleFactory(isa, 1, nullptr));
}

} // namespace moe::cpu
