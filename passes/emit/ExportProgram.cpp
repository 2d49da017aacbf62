//===- ExportProgram.cpp - From the plan dialect to the schema's tables ---===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/emit/EmitPlan.h"

#include "dialect/moe/MoeTypes.h"
#include "dialect/plan/PlanDialect.h"
#include "runtime/params/Layouts.h"
#include "runtime/plan/Plan_generated.h"
#include "llvm/ADT/TypeSwitch.h"

#include <map>

using namespace mlir;
using namespace moe;
using namespace moe::pass;
using namespace moe::plan_dialect;

namespace {
/// Fills one program; operations become rows in their order.
class Exporter {
public:
  explicit Exporter(ProgramOp op) : op(op) {}
  StatusOr<plan::ProgramT> run();

private:
  uint32_t expr(StringRef text);
  std::vector<uint32_t> exprs(dialect::DimsAttr dims);
  uint32_t node(StringRef name);
  std::vector<uint32_t> nodes(std::optional<ArrayAttr> names);
  int32_t symbol(std::optional<StringRef> name) const;
  int32_t buffer(Value value) const;

  void add(SymbolOp op);
  void add(ConstraintOp op);
  void add(ConstantOp op);
  void add(LayerOp op);
  Status add(ParamOp op);
  void add(StateOp op);
  void add(BufferOp op);
  void add(StepOp op);
  template <typename OpT> std::unique_ptr<plan::PortT> port(OpT op);
  std::unique_ptr<plan::AttributeT> setting(NamedAttribute attr);
  std::unique_ptr<plan::InstrT> instruction(InstrAttr attr);

  ProgramOp op;
  plan::ProgramT program;
  std::map<std::string, uint32_t, std::less<>> exprIndices, nodeIndices;
  llvm::StringMap<int32_t> symbolIndices;
  DenseMap<Value, int32_t> bufferIndices;
};
} // namespace

static uint8_t dtypeOf(Type elementType) {
  return static_cast<uint8_t>(*dialect::toDType(elementType));
}

//===----------------------------------------------------------------------===//
// References between tables
//===----------------------------------------------------------------------===//

uint32_t Exporter::expr(StringRef text) {
  std::string normal = parseExpr(text).toString();
  auto [it, isNew] = exprIndices.try_emplace(normal, program.exprs.size());
  if (isNew)
    program.exprs.push_back(normal);
  return it->second;
}

std::vector<uint32_t> Exporter::exprs(dialect::DimsAttr dims) {
  std::vector<uint32_t> indices;
  for (StringAttr text : dims.getExprs())
    indices.push_back(expr(text));
  return indices;
}

uint32_t Exporter::node(StringRef name) {
  auto [it, isNew] = nodeIndices.try_emplace(name.str(), program.nodes.size());
  if (isNew)
    program.nodes.push_back(name.str());
  return it->second;
}

std::vector<uint32_t> Exporter::nodes(std::optional<ArrayAttr> names) {
  std::vector<uint32_t> indices;
  if (names)
    for (Attribute name : *names)
      indices.push_back(node(cast<StringAttr>(name).getValue()));
  return indices;
}

int32_t Exporter::symbol(std::optional<StringRef> name) const {
  auto it = name ? symbolIndices.find(*name) : symbolIndices.end();
  return it == symbolIndices.end() ? -1 : it->second;
}

int32_t Exporter::buffer(Value value) const {
  auto it = bufferIndices.find(value);
  return it == bufferIndices.end() ? -1 : it->second;
}

//===----------------------------------------------------------------------===//
// Tables
//===----------------------------------------------------------------------===//

void Exporter::add(SymbolOp op) {
  auto row = std::make_unique<plan::SymbolT>();
  row->name = op.getName().str();
  row->kind = static_cast<plan::SymbolKind>(op.getKind());
  row->input = op.getInput();
  row->axis = op.getAxis();
  if (op.getWhole())
    row->whole = expr(*op.getWhole());
  if (op.getBound())
    row->bound = expr(*op.getBound());
  row->default_max = op.getDefaultMax();
  row->group = static_cast<plan::Group>(op.getGroup());
  symbolIndices[op.getName()] = program.symbols.size();
  program.symbols.push_back(std::move(row));
}

void Exporter::add(ConstraintOp op) {
  auto row = std::make_unique<plan::ConstraintT>();
  row->lhs = expr(op.getLhs());
  row->rhs = expr(op.getRhs());
  row->what = op.getWhat().str();
  program.constraints.push_back(std::move(row));
}

void Exporter::add(ConstantOp op) {
  auto row = std::make_unique<plan::ConstantT>();
  row->data.assign(op.getData().begin(), op.getData().end());
  program.constants.push_back(std::move(row));
}

void Exporter::add(LayerOp op) {
  auto row = std::make_unique<plan::LayerT>();
  row->experts = op.getExperts();
  row->k = op.getK();
  row->router = op.getRouter().str();
  row->capacity = op.getCapacity().str();
  row->residual = op.getResidual();
  row->shared = op.getShared();
  if (std::optional<dialect::PlacementAttr> places = op.getPlaces()) {
    row->group = static_cast<plan::Group>(places->getGroup());
    row->domains = places->getDomains();
    for (auto [ranks, slices] :
         llvm::zip_equal(places->getExperts(), places->getSlices())) {
      auto place = std::make_unique<plan::ExpertPlaceT>();
      place->ranks.assign(ranks.asArrayRef().begin(), ranks.asArrayRef().end());
      place->slices = slices;
      row->places.push_back(std::move(place));
    }
  }
  row->nodes = nodes(op.getNodes());
  program.layers.push_back(std::move(row));
}

/// Blocks have their sizes only; what is in them is for the writer.
Status Exporter::add(ParamOp op) {
  auto row = std::make_unique<plan::ParamT>();
  row->name = op.getName().str();
  row->dtype = dtypeOf(op.getElementType());
  row->layout = op.getLayout().str();
  row->dims.assign(op.getDims().begin(), op.getDims().end());
  row->experts = op.getExperts();
  row->layer = op.getLayer();
  row->is_expert = op.getIsExpert();
  row->part_axis = op.getPartAxis();
  row->part = symbol(op.getPart());
  row->part_unit = op.getPartUnit();
  MOE_ASSIGN_OR_RETURN(uint64_t bytes,
                       layoutBytes(row->layout, DType(row->dtype), row->dims));
  for (Attribute block : op.getBlocks()) {
    auto blockRow = std::make_unique<plan::BlockT>();
    auto size = dyn_cast<IntegerAttr>(block);
    blockRow->bytes = size ? size.getInt() : bytes;
    blockRow->source = plan::BlockSource_Synthetic;
    row->blocks.push_back(std::move(blockRow));
  }
  program.params.push_back(std::move(row));
  return Status::ok();
}

void Exporter::add(StateOp op) {
  auto row = std::make_unique<plan::StateT>();
  row->name = op.getName().str();
  row->dtype = dtypeOf(op.getElementType());
  row->dims = exprs(op.getDims());
  row->axis = op.getAxis();
  row->length = expr(op.getLength());
  row->part_axis = op.getPartAxis();
  row->part = symbol(op.getPart());
  row->input = op.getInput();
  row->output = op.getOutput();
  row->slice_axis = op.getSliceAxis();
  row->slice_part = symbol(op.getSlicePart());
  program.states.push_back(std::move(row));
}

void Exporter::add(BufferOp op) {
  auto row = std::make_unique<plan::BufferT>();
  row->name = op.getName().value_or("").str();
  row->kind = static_cast<plan::BufferKind>(op.getKind());
  row->dtype = dtypeOf(op.getElementType());
  row->dims = exprs(op.getDims());
  row->first_step = op.getFirstStep();
  row->last_step = op.getLastStep();
  row->base = op.getBase() ? buffer(op.getBase()) : -1;
  if (op.getOffset()) {
    row->has_offset = true;
    row->offset = expr(*op.getOffset());
  }
  if (op.getStrides())
    row->strides = exprs(*op.getStrides());
  row->index = op.getIndex();
  bufferIndices[op.getResult()] = program.buffers.size();
  program.buffers.push_back(std::move(row));
}

template <typename OpT> std::unique_ptr<plan::PortT> Exporter::port(OpT op) {
  auto row = std::make_unique<plan::PortT>();
  row->name = op.getName().str();
  row->dtype = dtypeOf(op.getElementType());
  row->dims = exprs(op.getDims());
  row->part_axis = op.getPartAxis();
  row->part = symbol(op.getPart());
  row->buffer = op.getBuffer() ? buffer(op.getBuffer()) : -1;
  row->state = op.getState();
  row->slice_axis = op.getSliceAxis();
  row->slice_part = symbol(op.getSlicePart());
  return row;
}

//===----------------------------------------------------------------------===//
// Steps
//===----------------------------------------------------------------------===//

std::unique_ptr<plan::AttributeT> Exporter::setting(NamedAttribute attr) {
  auto row = std::make_unique<plan::AttributeT>();
  row->name = attr.getName().str();
  Attribute value = attr.getValue();
  if (auto number = dyn_cast<IntegerAttr>(value)) {
    row->kind = plan::AttributeKind_Int;
    row->i = number.getInt();
  } else if (auto number = dyn_cast<FloatAttr>(value)) {
    row->kind = plan::AttributeKind_Float;
    row->f = number.getValueAsDouble();
  } else if (auto text = dyn_cast<StringAttr>(value)) {
    row->kind = plan::AttributeKind_String;
    row->s = text.str();
  } else if (auto list = dyn_cast<DenseI64ArrayAttr>(value)) {
    row->kind = plan::AttributeKind_Ints;
    row->ints.assign(list.asArrayRef().begin(), list.asArrayRef().end());
  } else if (auto list = dyn_cast<DenseF64ArrayAttr>(value)) {
    row->kind = plan::AttributeKind_Floats;
    row->floats.assign(list.asArrayRef().begin(), list.asArrayRef().end());
  } else {
    row->kind = plan::AttributeKind_Exprs;
    row->exprs = exprs(cast<dialect::DimsAttr>(value));
  }
  return row;
}

std::unique_ptr<plan::InstrT> Exporter::instruction(InstrAttr attr) {
  auto row = std::make_unique<plan::InstrT>();
  row->op = attr.getOp().str();
  row->type = dtypeOf(attr.getType());
  ArrayRef<int64_t> operands = attr.getOperands().asArrayRef();
  row->a = operands.size() > 0 ? operands[0] : -1;
  row->b = operands.size() > 1 ? operands[1] : -1;
  row->c = operands.size() > 2 ? operands[2] : -1;
  Attribute value = attr.getValue();
  if (auto number = dyn_cast_or_null<FloatAttr>(value))
    row->f = number.getValueAsDouble();
  if (auto number = dyn_cast_or_null<IntegerAttr>(value))
    row->i = number.getInt();
  return row;
}

void Exporter::add(StepOp op) {
  auto row = std::make_unique<plan::StepT>();
  row->kernel = op.getKernel().str();
  for (Value input : op.getInputs())
    row->inputs.push_back(buffer(input));
  for (Value output : op.getOutputs())
    row->outputs.push_back(buffer(output));
  if (op.getSettings())
    for (NamedAttribute attr : op.getSettingsAttr())
      row->attributes.push_back(setting(attr));
  if (op.getProgram())
    for (Attribute attr : op.getProgramAttr())
      row->program.push_back(instruction(cast<InstrAttr>(attr)));
  if (op.getRegisters())
    row->results.assign(op.getRegisters()->begin(), op.getRegisters()->end());
  row->stream = op.getStream();
  if (op.getWaits())
    row->waits.assign(op.getWaits()->begin(), op.getWaits()->end());
  row->records = op.getRecords();
  row->layer = op.getLayer();
  row->nodes = nodes(op.getNodes());
  row->group = static_cast<plan::Group>(op.getGroup());
  if (op.getGuard())
    row->guard = expr(*op.getGuard());
  program.steps.push_back(std::move(row));
}

StatusOr<plan::ProgramT> Exporter::run() {
  program.producer = "MoeCompiler";
  program.model = op.getModel().value_or("").str();
  program.num_ranks = op.getNumRanks();
  program.dp = op.getDp();
  program.tp = op.getTp();
  program.num_streams = op.getNumStreams();
  program.num_events = op.getNumEvents();
  for (Operation &row : op.getBody().front()) {
    if (auto param = dyn_cast<ParamOp>(row))
      MOE_RETURN_IF_ERROR(add(param));
    else if (auto input = dyn_cast<InputOp>(row))
      program.inputs.push_back(port(input));
    else if (auto output = dyn_cast<OutputOp>(row))
      program.outputs.push_back(port(output));
    else
      llvm::TypeSwitch<Operation *>(&row)
          .Case<SymbolOp, ConstraintOp, ConstantOp, LayerOp, StateOp, BufferOp,
                StepOp>([&](auto op) { add(op); });
  }
  return std::move(program);
}

StatusOr<plan::ProgramT> moe::pass::exportProgram(ModuleOp module) {
  auto programs = llvm::to_vector(module.getOps<ProgramOp>());
  if (programs.size() != 1)
    return Status(StatusCode::Internal, "expected one plan, found " +
                                            std::to_string(programs.size()));
  return Exporter(programs[0]).run();
}
