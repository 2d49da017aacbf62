//===- Elementwise.cpp - elementwise, unary, binary, compare, select, cast ===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Runs an ElementwiseProgram over all elements. Threads share the elements in
// chunks of tiles.
//
//===----------------------------------------------------------------------===//

#include "runtime/kernels/cpu/ElementwiseTiles.h"
#include "runtime/kernels/cpu/Kernels.h"
#include "runtime/kernels/cpu/Support.h"
#include "runtime/plan/StepAttributes.h"

namespace moe::cpu {

namespace {

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
  ElementwiseBuffers cut(Scratch &scratch, int numThreads) const;

  ElementwiseProgram program;
};

} // namespace

ElementwiseBuffers ElementwiseKernel::cut(Scratch &scratch,
                                          int numThreads) const {
  int64_t threads = numThreads;
  ElementwiseBuffers buffers;
  buffers.bound = scratch.take<BoundInstr>(program.numInstrs());
  buffers.types = scratch.take<DType>(program.numRegisters());
  buffers.operands = scratch.take<ElementwiseOperand>(program.numInputs() +
                                                      program.results().size());
  buffers.registers = scratch.take<void *>(threads * program.numRegisters());
  buffers.slots =
      scratch.take<std::byte>(threads * program.numSlots() * kSlotBytes);
  return buffers;
}

Status ElementwiseKernel::run(const KernelArgs &args,
                              StepContext &context) const {
  Scratch scratch(context.workspace);
  int numThreads = context.pool.numThreads();
  ElementwiseBuffers buffers = cut(scratch, numThreads);
  if (!scratch.fits())
    return expectWorkspace(context, *scratch.bytes());
  MOE_RETURN_IF_ERROR(program.bind(
      args, isa, {buffers.bound, static_cast<size_t>(program.numInstrs())},
      {buffers.types, static_cast<size_t>(program.numRegisters())}));
  ElementwiseGeometry geometry;
  geometry.operands = {buffers.operands,
                       args.inputs.size() + args.outputs.size()};
  MOE_RETURN_IF_ERROR(geometry.arrange(name, args));
  int64_t tiles = (geometry.elements + kTile - 1) / kTile;
  double work = static_cast<double>(kTile) * (1 + program.numInstrs()) * 2;
  forRange(context.pool, tiles, work,
           [&](int64_t begin, int64_t end, int thread) {
             ElementwiseTiles(program, isa, geometry, buffers, thread)
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
