//===- ImportProgram.cpp - From the schema's tables to the plan dialect ---===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/emit/EmitPlan.h"

#include "dialect/moe/MoeTypes.h"
#include "dialect/plan/PlanDialect.h"
#include "passes/emit/ParamTable.h"
#include "runtime/plan/Mesh.h"
#include "runtime/plan/Plan_generated.h"

#include "mlir/IR/Builders.h"

using namespace mlir;
using namespace moe;
using namespace moe::pass;
using namespace moe::plan_dialect;

namespace {
/// Makes the operations of one program, whose indices are verified.
class Importer {
public:
  Importer(const plan::ProgramT &program, MLIRContext *context)
      : program(program), context(context), builder(context),
        loc(UnknownLoc::get(context)) {}
  OwningOpRef<ModuleOp> run();

private:
  StringAttr text(const std::string &value) {
    return builder.getStringAttr(value);
  }
  StringAttr expr(uint32_t index) { return text(program.exprs[index]); }
  dialect::DimsAttr exprs(const std::vector<uint32_t> &indices);
  ArrayAttr nodes(const std::vector<uint32_t> &indices);
  IntegerAttr number(int64_t value) { return builder.getI64IntegerAttr(value); }
  Type type(uint8_t dtype) { return dialect::fromDType(context, DType(dtype)); }
  StringAttr partName(int32_t part) {
    return part < 0 ? StringAttr() : text(program.symbols[part]->name);
  }
  Value buffer(int32_t index);

  void addSymbols();
  void addConstants();
  void addLayers();
  void addParams();
  void addStates();
  void addBuffers();
  template <typename OpT>
  void addPorts(const std::vector<std::unique_ptr<plan::PortT>> &ports);
  void addStep(const plan::StepT &step);
  Attribute setting(const plan::AttributeT &attribute);
  InstrAttr instruction(const plan::InstrT &instr);

  const plan::ProgramT &program;
  MLIRContext *context;
  OpBuilder builder;
  Location loc;
  SmallVector<Value> buffers;
  Value none;
};
} // namespace

dialect::DimsAttr Importer::exprs(const std::vector<uint32_t> &indices) {
  SmallVector<StringAttr> texts;
  for (uint32_t index : indices)
    texts.push_back(expr(index));
  return dialect::DimsAttr::get(context, texts);
}

ArrayAttr Importer::nodes(const std::vector<uint32_t> &indices) {
  SmallVector<Attribute> names;
  for (uint32_t index : indices)
    names.push_back(text(program.nodes[index]));
  return builder.getArrayAttr(names);
}

Value Importer::buffer(int32_t index) {
  if (index >= 0)
    return buffers[index];
  if (!none)
    none = NoneOp::create(builder, loc, BufferType::get(context));
  return none;
}

//===----------------------------------------------------------------------===//
// Tables
//===----------------------------------------------------------------------===//

void Importer::addSymbols() {
  for (const auto &symbol : program.symbols) {
    auto kind = static_cast<plan_dialect::SymbolKind>(symbol->kind);
    auto op = SymbolOp::create(
        builder, loc, text(symbol->name), SymbolKindAttr::get(context, kind),
        number(symbol->input), number(symbol->axis),
        kind == SymbolKind::LocalPart ? expr(symbol->whole) : StringAttr(),
        kind == SymbolKind::Data ? expr(symbol->bound) : StringAttr(),
        number(symbol->default_max));
    op.setGroup(static_cast<dialect::CommGroup>(symbol->group));
  }
  for (const auto &constraint : program.constraints)
    ConstraintOp::create(builder, loc, expr(constraint->lhs),
                         expr(constraint->rhs), text(constraint->what));
}

void Importer::addConstants() {
  for (const auto &constant : program.constants)
    ConstantOp::create(builder, loc,
                       builder.getDenseI8ArrayAttr(SmallVector<int8_t>(
                           constant->data.begin(), constant->data.end())));
}

void Importer::addLayers() {
  for (const auto &layer : program.layers) {
    SmallVector<DenseI64ArrayAttr> places;
    SmallVector<int64_t> slices;
    for (const auto &place : layer->places) {
      places.push_back(builder.getDenseI64ArrayAttr(
          SmallVector<int64_t>(place->ranks.begin(), place->ranks.end())));
      slices.push_back(place->slices);
    }
    dialect::PlacementAttr placement;
    if (!places.empty())
      placement = dialect::PlacementAttr::get(
          context, Mesh::of(program).sizeOf(layer->group),
          static_cast<dialect::CommGroup>(layer->group), layer->domains, places,
          slices);
    LayerOp::create(builder, loc, layer->experts, layer->k, layer->router,
                    layer->capacity, layer->residual, layer->shared, placement,
                    nodes(layer->nodes));
  }
}

void Importer::addParams() {
  for (const auto &param : program.params) {
    SmallVector<Attribute> blocks;
    for (const auto &block : param->blocks)
      if (block->source == plan::BlockSource_Reference)
        blocks.push_back(importParamExpr(program, block->expr, context));
      else
        blocks.push_back(number(block->bytes));
    ParamOp::create(builder, loc, param->name, type(param->dtype),
                    param->layout, param->dims, builder.getArrayAttr(blocks),
                    static_cast<uint64_t>(param->experts),
                    static_cast<uint64_t>(param->layer), param->is_expert,
                    static_cast<uint64_t>(param->part_axis),
                    partName(param->part), param->part_unit);
  }
}

void Importer::addStates() {
  for (const auto &state : program.states)
    StateOp::create(
        builder, loc, state->name, type(state->dtype), exprs(state->dims),
        static_cast<uint64_t>(state->axis), program.exprs[state->length],
        static_cast<uint64_t>(state->part_axis), partName(state->part),
        static_cast<uint64_t>(state->input),
        static_cast<uint64_t>(state->output),
        static_cast<uint64_t>(state->slice_axis), partName(state->slice_part));
}

void Importer::addBuffers() {
  for (const auto &row : program.buffers) {
    bool hasStrides = !row->strides.empty();
    buffers.push_back(BufferOp::create(
        builder, loc, BufferType::get(context),
        static_cast<plan_dialect::BufferKind>(row->kind),
        row->name.empty() ? StringAttr() : text(row->name), type(row->dtype),
        exprs(row->dims), row->base < 0 ? Value() : buffers[row->base],
        row->has_offset ? expr(row->offset) : StringAttr(),
        hasStrides ? exprs(row->strides) : dialect::DimsAttr(),
        static_cast<uint64_t>(row->index),
        static_cast<uint64_t>(row->first_step),
        static_cast<uint64_t>(row->last_step)));
  }
}

template <typename OpT>
void Importer::addPorts(
    const std::vector<std::unique_ptr<plan::PortT>> &ports) {
  for (const auto &port : ports)
    OpT::create(builder, loc, port->name, type(port->dtype), exprs(port->dims),
                port->buffer < 0 ? Value() : buffers[port->buffer],
                static_cast<uint64_t>(port->part_axis), partName(port->part),
                static_cast<uint64_t>(port->state),
                static_cast<uint64_t>(port->slice_axis),
                partName(port->slice_part));
}

//===----------------------------------------------------------------------===//
// Steps
//===----------------------------------------------------------------------===//

Attribute Importer::setting(const plan::AttributeT &attribute) {
  switch (attribute.kind) {
  case plan::AttributeKind_Int:
    return number(attribute.i);
  case plan::AttributeKind_Float:
    return builder.getF64FloatAttr(attribute.f);
  case plan::AttributeKind_String:
    return text(attribute.s);
  case plan::AttributeKind_Ints:
    return builder.getDenseI64ArrayAttr(attribute.ints);
  case plan::AttributeKind_Floats:
    return builder.getDenseF64ArrayAttr(attribute.floats);
  case plan::AttributeKind_Exprs:
    return exprs(attribute.exprs);
  }
  return builder.getUnitAttr();
}

InstrAttr Importer::instruction(const plan::InstrT &instr) {
  SmallVector<int64_t> operands;
  for (int32_t operand : {instr.a, instr.b, instr.c})
    if (operand >= 0)
      operands.push_back(operand);
  Type resultType = type(instr.type);
  TypedAttr value;
  if (instr.op == "constant" && isa<FloatType>(resultType))
    value = builder.getF64FloatAttr(instr.f);
  else if (instr.op == "constant")
    value = number(instr.i);
  return InstrAttr::get(context, text(instr.op), resultType,
                        builder.getDenseI64ArrayAttr(operands), value);
}

void Importer::addStep(const plan::StepT &step) {
  SmallVector<Value> inputs, outputs;
  for (int32_t input : step.inputs)
    inputs.push_back(buffer(input));
  for (int32_t output : step.outputs)
    outputs.push_back(buffer(output));
  NamedAttrList settings;
  for (const auto &attribute : step.attributes)
    settings.append(attribute->name, setting(*attribute));
  SmallVector<Attribute> instructions;
  for (const auto &instr : step.program)
    instructions.push_back(instruction(*instr));
  bool isElementwise = !step.results.empty();
  SmallVector<int64_t> registers(step.results.begin(), step.results.end());
  SmallVector<int64_t> waits(step.waits.begin(), step.waits.end());
  StepOp::create(
      builder, loc, text(step.kernel), inputs, outputs,
      settings.empty() ? DictionaryAttr() : settings.getDictionary(context),
      isElementwise ? builder.getArrayAttr(instructions) : ArrayAttr(),
      isElementwise ? builder.getDenseI64ArrayAttr(registers)
                    : DenseI64ArrayAttr(),
      number(step.stream),
      waits.empty() ? DenseI64ArrayAttr() : builder.getDenseI64ArrayAttr(waits),
      number(step.records), number(step.layer),
      step.nodes.empty() ? ArrayAttr() : nodes(step.nodes),
      dialect::CommGroupAttr::get(context,
                                  static_cast<dialect::CommGroup>(step.group)),
      step.guard >= 0 ? expr(step.guard) : StringAttr());
}

OwningOpRef<ModuleOp> Importer::run() {
  OwningOpRef<ModuleOp> module = ModuleOp::create(loc);
  builder.setInsertionPointToEnd(module->getBody());
  auto op = ProgramOp::create(
      builder, loc, program.model.empty() ? StringAttr() : text(program.model),
      static_cast<uint64_t>(program.num_ranks),
      static_cast<uint64_t>(program.dp), static_cast<uint64_t>(program.tp),
      static_cast<uint64_t>(program.num_streams),
      static_cast<uint64_t>(program.num_events));
  builder.setInsertionPointToEnd(&op.getBody().emplaceBlock());
  addSymbols();
  addConstants();
  addLayers();
  addParams();
  addStates();
  addBuffers();
  addPorts<InputOp>(program.inputs);
  addPorts<OutputOp>(program.outputs);
  for (const auto &step : program.steps)
    addStep(*step);
  return module;
}

StatusOr<OwningOpRef<ModuleOp>>
moe::pass::importProgram(const plan::ProgramT &program, MLIRContext *context) {
  context->loadDialect<PlanDialect>();
  return Importer(program, context).run();
}
