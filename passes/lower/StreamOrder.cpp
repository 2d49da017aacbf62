//===- StreamOrder.cpp - What steps of two streams share ------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/lower/StreamOrder.h"

#include "runtime/plan/StepKinds.h"

using namespace mlir;
using namespace moe;
using namespace moe::pass;
using namespace moe::plan_dialect;

SmallVector<int64_t> moe::pass::joinsOf(ArrayRef<StepOp> steps) {
  SmallVector<int64_t> joins(steps.size());
  DenseMap<int64_t, size_t> recorders;
  SmallVector<size_t> open;
  for (size_t number = 0; number < steps.size(); ++number) {
    StepOp step = steps[number];
    joins[number] = number;
    for (int64_t event : step.getWaits().value_or(ArrayRef<int64_t>())) {
      auto recorder = recorders.find(event);
      if (recorder == recorders.end())
        continue;
      llvm::erase_if(open, [&](size_t issued) {
        bool isDone = issued <= recorder->second;
        if (isDone)
          joins[issued] = number;
        return isDone;
      });
    }
    if (step.getStream() == 0)
      continue;
    recorders[step.getRecords()] = number;
    open.push_back(number);
  }
  for (size_t issued : open)
    joins[issued] = steps.size();
  return joins;
}

StreamOrder::StreamOrder(ProgramOp program) {
  for (auto symbol : program.getBody().getOps<SymbolOp>())
    if (symbol.getKind() == SymbolKind::Data)
      dataSymbols.insert(symbol.getNameAttr());
  for (auto buffer : program.getBody().getOps<BufferOp>())
    if (buffer.getKind() == BufferKind::State && !buffer.getBase())
      states.try_emplace(buffer.getIndex(), buffer.getOperation());
}

//===----------------------------------------------------------------------===//
// Resources
//===----------------------------------------------------------------------===//

auto StreamOrder::memoryOf(Value value) const -> Resource {
  auto buffer = value.getDefiningOp<BufferOp>();
  while (buffer && buffer.getBase())
    buffer = buffer.getBase().getDefiningOp<BufferOp>();
  if (buffer && buffer.getKind() == BufferKind::State)
    return states.lookup(buffer.getIndex());
  return buffer ? buffer.getOperation() : nullptr;
}

void StreamOrder::addSymbols(StringAttr expr,
                             SmallVectorImpl<Resource> &symbols) {
  auto [it, isNew] = known.try_emplace(expr);
  if (isNew)
    for (const std::string &name : parseExpr(expr).symbols()) {
      auto symbol = StringAttr::get(expr.getContext(), name);
      if (dataSymbols.contains(symbol))
        it->second.push_back(symbol.getAsOpaquePointer());
    }
  symbols.append(it->second);
}

auto StreamOrder::symbolsOf(Value value) -> SmallVector<Resource> {
  SmallVector<Resource> symbols;
  auto buffer = value.getDefiningOp<BufferOp>();
  while (buffer) {
    for (StringAttr size : buffer.getDims().getExprs())
      addSymbols(size, symbols);
    if (std::optional<dialect::DimsAttr> strides = buffer.getStrides())
      for (StringAttr stride : strides->getExprs())
        addSymbols(stride, symbols);
    if (buffer.getOffsetAttr())
      addSymbols(buffer.getOffsetAttr(), symbols);
    Value base = buffer.getBase();
    buffer = base ? base.getDefiningOp<BufferOp>() : BufferOp();
  }
  return symbols;
}

//===----------------------------------------------------------------------===//
// Order
//===----------------------------------------------------------------------===//

/// As isCollective() of the plan's steps.
static bool isCollectiveStep(StepOp step) {
  std::string_view kernel(step.getKernel().data(), step.getKernel().size());
  std::optional<DictionaryAttr> settings = step.getSettings();
  return isCollectiveKernel(kernel) ||
         (isCollectiveWithPart(kernel) && settings && settings->get("part"));
}

StepOp StreamOrder::conflictOf(StepOp step) {
  if (!last || isCollectiveStep(step))
    return last;
  StepOp latest;
  auto take = [&](StepOp other) {
    if (other && (!latest || latest->isBeforeInBlock(other)))
      latest = other;
  };
  auto takeSymbols = [&](Value buffer) {
    for (Resource symbol : symbolsOf(buffer))
      take(uses.lookup(symbol).write);
  };
  for (Value input : step.getInputs()) {
    take(uses.lookup(memoryOf(input)).write);
    takeSymbols(input);
  }
  for (Value output : step.getOutputs()) {
    Use use = uses.lookup(memoryOf(output));
    take(use.read);
    take(use.write);
    takeSymbols(output);
  }
  return latest;
}

void StreamOrder::add(StepOp step) {
  bool isBeside = step.getStream() != 0;
  // The first step that writes a size defines it.
  for (Value output : step.getOutputs())
    for (Resource symbol : symbolsOf(output))
      if (defined.insert(symbol).second && isBeside)
        uses[symbol].write = step;
  if (!isBeside)
    return;
  for (Value input : step.getInputs())
    if (Resource memory = memoryOf(input))
      uses[memory].read = step;
  for (Value output : step.getOutputs())
    if (Resource memory = memoryOf(output))
      uses[memory].write = step;
  last = step;
}
