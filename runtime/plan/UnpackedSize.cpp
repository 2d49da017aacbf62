//===- UnpackedSize.cpp - Memory that a packed program asks for -----------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/plan/UnpackedSize.h"
#include "runtime/plan/Plan_generated.h"

using namespace moe;

namespace {
class Measure {
public:
  uint64_t sizeOf(const plan::Program &program);
  bool isAligned = true;

private:
  uint64_t sizeOf(const flatbuffers::String *text) {
    return text ? text->size() : 0;
  }
  template <typename T> uint64_t sizeOf(const flatbuffers::Vector<T> *values) {
    if (!values)
      return 0;
    isAligned &= reinterpret_cast<uintptr_t>(values->Data()) % sizeof(T) == 0;
    return values->size() * sizeof(T);
  }
  /// The references to tables and what `size` counts in each of them.
  template <typename T, typename Size>
  uint64_t sizeOfAll(const flatbuffers::Vector<flatbuffers::Offset<T>> *tables,
                     Size size) {
    uint64_t total = 0;
    if (tables)
      for (const T *table : *tables)
        total += sizeof(flatbuffers::uoffset_t) + size(*table);
    return total;
  }

  uint64_t sizeOf(const plan::Step &step);
  uint64_t sizeOf(const plan::Layer &layer);
  uint64_t sizeOf(const plan::Param &param);
};
} // namespace

uint64_t Measure::sizeOf(const plan::Step &step) {
  return sizeOf(step.kernel()) + sizeOf(step.inputs()) +
         sizeOf(step.outputs()) + sizeOf(step.results()) +
         sizeOf(step.waits()) + sizeOf(step.nodes()) +
         sizeOfAll(step.attributes(),
                   [&](const plan::Attribute &attribute) {
                     return sizeOf(attribute.name()) + sizeOf(attribute.s()) +
                            sizeOf(attribute.ints()) +
                            sizeOf(attribute.floats()) +
                            sizeOf(attribute.exprs());
                   }) +
         sizeOfAll(step.program(), [&](const plan::Instr &instr) {
           return sizeOf(instr.op());
         });
}

uint64_t Measure::sizeOf(const plan::Layer &layer) {
  return sizeOf(layer.router()) + sizeOf(layer.capacity()) +
         sizeOf(layer.nodes()) +
         sizeOfAll(layer.places(), [&](const plan::ExpertPlace &place) {
           return sizeOf(place.ranks());
         });
}

uint64_t Measure::sizeOf(const plan::Param &param) {
  return sizeOf(param.name()) + sizeOf(param.layout()) + sizeOf(param.dims()) +
         sizeOfAll(param.blocks(),
                   [](const plan::Block &) { return uint64_t(0); });
}

uint64_t Measure::sizeOf(const plan::Program &program) {
  auto sizeOfString = [&](const flatbuffers::String &text) {
    return sizeOf(&text);
  };
  auto sizeOfPort = [&](const plan::Port &port) {
    return sizeOf(port.name()) + sizeOf(port.dims());
  };
  auto sizeOfTable = [&](const auto &table) { return sizeOf(table); };
  return sizeOf(program.producer()) + sizeOf(program.model()) +
         sizeOf(program.chunk_hashes()) +
         sizeOfAll(program.exprs(), sizeOfString) +
         sizeOfAll(program.nodes(), sizeOfString) +
         sizeOfAll(program.symbols(),
                   [&](const plan::Symbol &x) { return sizeOf(x.name()); }) +
         sizeOfAll(
             program.constraints(),
             [&](const plan::Constraint &x) { return sizeOf(x.what()); }) +
         sizeOfAll(program.inputs(), sizeOfPort) +
         sizeOfAll(program.outputs(), sizeOfPort) +
         sizeOfAll(program.buffers(),
                   [&](const plan::Buffer &x) {
                     return sizeOf(x.name()) + sizeOf(x.dims()) +
                            sizeOf(x.strides());
                   }) +
         sizeOfAll(program.constants(),
                   [&](const plan::Constant &x) { return sizeOf(x.data()); }) +
         sizeOfAll(program.steps(), sizeOfTable) +
         sizeOfAll(program.params(), sizeOfTable) +
         sizeOfAll(program.param_exprs(),
                   [&](const plan::ParamExpr &x) {
                     return sizeOf(x.operands()) + sizeOf(x.ints()) +
                            sizeOf(x.dims());
                   }) +
         sizeOfAll(
             program.files(),
             [&](const plan::WeightFile &x) { return sizeOf(x.path()); }) +
         sizeOfAll(program.states(),
                   [&](const plan::State &x) {
                     return sizeOf(x.name()) + sizeOf(x.dims());
                   }) +
         sizeOfAll(program.layers(), sizeOfTable);
}

std::optional<uint64_t> moe::unpackedSize(const plan::Program &program) {
  Measure measure;
  uint64_t size = measure.sizeOf(program);
  if (!measure.isAligned)
    return std::nullopt;
  return size;
}
