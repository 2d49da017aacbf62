//===- ElementwiseProgram.cpp - A program of one element ------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/kernels/cpu/ElementwiseProgram.h"

#include "runtime/plan/Plan_generated.h"

namespace moe::cpu {

static Status badProgram(const std::string &what) {
  return Status(StatusCode::BadPlan, "step elementwise: " + what);
}

static int numOperands(ElementwiseOp op) {
  if (op == ElementwiseOp::Constant)
    return 0;
  if (isUnary(op) || op == ElementwiseOp::Cast)
    return 1;
  return op == ElementwiseOp::Select ? 3 : 2;
}

static StatusOr<ElementwiseInstr> parseInstr(const plan::InstrT &from,
                                             int numRegisters) {
  auto op = parseElementwiseOp(from.op);
  if (!op)
    return badProgram("no operation is named '" + from.op + "'");
  if (from.type >= kNumDTypes)
    return badProgram("the result of '" + from.op + "' has type " +
                      std::to_string(from.type) + ", expected less than " +
                      std::to_string(kNumDTypes));
  ElementwiseInstr instr;
  instr.op = *op;
  instr.type = static_cast<DType>(from.type);
  instr.f = from.f;
  instr.i = from.i;
  const int operands[3] = {from.a, from.b, from.c};
  for (int i = 0; i < numOperands(*op); ++i) {
    if (operands[i] < 0 || operands[i] >= numRegisters)
      return badProgram("'" + from.op + "' reads register " +
                        std::to_string(operands[i]) + ", expected one of the " +
                        std::to_string(numRegisters) + " before it");
    instr.operands[i] = operands[i];
  }
  return instr;
}

StatusOr<ElementwiseProgram>
ElementwiseProgram::parse(const plan::StepT &step) {
  constexpr size_t kMaxInstrs = 1 << 16;
  ElementwiseProgram program;
  if (step.program.size() + step.inputs.size() > kMaxInstrs)
    return badProgram("has " + std::to_string(step.program.size()) +
                      " instructions, expected at most " +
                      std::to_string(kMaxInstrs));
  program.inputs = static_cast<int>(step.inputs.size());
  for (const auto &instr : step.program) {
    MOE_ASSIGN_OR_RETURN(ElementwiseInstr parsed,
                         parseInstr(*instr, program.numRegisters()));
    program.instrs.push_back(parsed);
  }
  if (step.results.size() != step.outputs.size() || step.results.empty())
    return badProgram("has " + std::to_string(step.results.size()) +
                      " results and " + std::to_string(step.outputs.size()) +
                      " outputs, expected equal numbers");
  for (int result : step.results)
    if (result < 0 || result >= program.numRegisters())
      return badProgram("result " + std::to_string(result) +
                        " is not a register");
  program.resultRegisters.assign(step.results.begin(), step.results.end());
  program.assignSlots();
  return program;
}

ElementwiseProgram ElementwiseProgram::single(ElementwiseOp op, int numInputs) {
  ElementwiseProgram program;
  program.inputs = numInputs;
  ElementwiseInstr instr;
  instr.op = op;
  for (int i = 0; i < numInputs; ++i)
    instr.operands[i] = i;
  program.instrs.push_back(instr);
  program.resultRegisters = {numInputs};
  program.assignSlots();
  return program;
}

void ElementwiseProgram::assignSlots() {
  // Inputs and constants keep their slots, which may be filled only once. A
  // result never takes the slot of an operand of the same instruction, whose
  // elements may be narrower.
  std::vector<int> lastUse(numRegisters(), -1);
  for (int i = 0; i < numInstrs(); ++i)
    for (int operand : instrs[i].operands)
      if (operand >= 0)
        lastUse[operand] = i;
  for (int result : resultRegisters)
    lastUse[result] = numInstrs();
  slotOfRegister.assign(numRegisters(), -1);
  slots = 0;
  for (int i = 0; i < inputs; ++i)
    slotOfRegister[i] = slots++;
  std::vector<int> free;
  auto isReusable = [&](int reg) {
    return reg >= inputs && !isConstant(reg - inputs);
  };
  for (int i = 0; i < numInstrs(); ++i) {
    int reg = inputs + i;
    if (free.empty() || isConstant(i)) {
      slotOfRegister[reg] = slots++;
    } else {
      slotOfRegister[reg] = free.back();
      free.pop_back();
    }
    for (int o = 0; o < 3; ++o) {
      int operand = instrs[i].operands[o];
      bool isRepeated = std::find(instrs[i].operands, instrs[i].operands + o,
                                  operand) != instrs[i].operands + o;
      if (operand >= 0 && !isRepeated && lastUse[operand] == i &&
          isReusable(operand))
        free.push_back(slotOfRegister[operand]);
    }
    if (lastUse[reg] < 0 && isReusable(reg))
      free.push_back(slotOfRegister[reg]);
  }
  ++slots; // for converted operands
}

/// What the operand types of an instruction must be, and its loops.
static Status bindInstr(const ElementwiseInstr &instr, DType type,
                        std::span<const DType> types, const Isa &isa,
                        BoundInstr &bound) {
  using Op = ElementwiseOp;
  std::string opName(elementwiseOpName(instr.op));
  auto typeOf = [&](int operand) { return types[instr.operands[operand]]; };
  auto mismatch = [&] {
    std::string text = "'" + opName + "' of";
    for (int i = 0; i < numOperands(instr.op); ++i)
      text.append(" ").append(dtypeName(typeOf(i)));
    return badProgram(text + " cannot give " + std::string(dtypeName(type)));
  };
  bound = {nullptr, nullptr, isa.roundTile(type), {}};
  std::copy_n(instr.operands, 3, bound.operands);
  if (instr.op == Op::Constant)
    return Status::ok();
  RegisterKind kind = registerKind(typeOf(0));
  if (isUnary(instr.op)) {
    bool isTest = instr.op >= Op::IsNan && instr.op <= Op::IsNegInf;
    if (type != (isTest ? DType::Bool : typeOf(0)))
      return mismatch();
    bound.function = isa.unaryTile(instr.op, kind);
  } else if (isBinary(instr.op)) {
    if (type != typeOf(0) || (typeOf(1) != type && instr.op != Op::Pow))
      return mismatch();
    bound.function = isa.binaryTile(instr.op, kind);
    if (registerKind(typeOf(1)) != kind)
      bound.convert = isa.castTile(registerKind(typeOf(1)), kind);
  } else if (isCompare(instr.op)) {
    if (typeOf(0) != typeOf(1) || type != DType::Bool)
      return mismatch();
    bound.function = isa.compareTile(instr.op, kind);
  } else if (instr.op == Op::Select) {
    if (typeOf(0) != DType::Bool || typeOf(1) != type || typeOf(2) != type)
      return mismatch();
    bound.function = isa.selectTile(registerKind(type));
  } else {
    bound.function = isa.castTile(kind, registerKind(type));
  }
  if (!bound.function)
    return Status(StatusCode::Unsupported,
                  "elementwise: '" + opName + "' of " +
                      std::string(dtypeName(typeOf(0))) + " is not supported");
  return Status::ok();
}

Status ElementwiseProgram::bind(const KernelArgs &args, const Isa &isa,
                                std::span<BoundInstr> bound,
                                std::span<DType> types) const {
  if (args.inputs.size() != static_cast<size_t>(inputs) ||
      args.outputs.size() != resultRegisters.size())
    return badProgram("operands do not fit the program");
  for (int i = 0; i < inputs; ++i)
    types[i] = args.inputs[i].dtype;
  for (int i = 0; i < numInstrs(); ++i) {
    int reg = inputs + i;
    types[reg] = instrs[i].type.value_or(args.outputs[0].dtype);
    MOE_RETURN_IF_ERROR(bindInstr(instrs[i], types[reg], types, isa, bound[i]));
  }
  for (size_t i = 0; i < resultRegisters.size(); ++i)
    if (types[resultRegisters[i]] != args.outputs[i].dtype)
      return badProgram("result " + std::to_string(i) + " is " +
                        std::string(dtypeName(types[resultRegisters[i]])) +
                        ", but its buffer has elements " +
                        std::string(dtypeName(args.outputs[i].dtype)));
  return Status::ok();
}

} // namespace moe::cpu
