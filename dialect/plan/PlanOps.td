//===- PlanOps.td - The language of the machine ------------*- tablegen -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// One operation for each row of a table in runtime/plan/Plan.fbs, with the same
// names, so that a plan can be read, tested and edited as text. The schema says
// what a field means; indices into tables that are not operands keep their
// numbers, expressions are texts in place of indices.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_DIALECT_PLAN_PLANOPS_TD
#define MOE_DIALECT_PLAN_PLANOPS_TD

include "dialect/moe/MoeAttrs.td"
include "dialect/plan/PlanEnums.td"
include "mlir/Interfaces/SideEffectInterfaces.td"
include "mlir/IR/RegionKindInterface.td"
include "mlir/IR/BuiltinAttributes.td"

def Plan_Dialect : Dialect {
  let name = "plan";
  let cppNamespace = "::moe::plan_dialect";
  let summary = "steps over buffers, as the runtime runs them";
  let description = [{
    A `plan.program` holds the tables of a plan file. Buffers are values, steps
    run in the order of the operations.
  }];
  let useDefaultAttributePrinterParser = 1;
  let useDefaultTypePrinterParser = 1;
  let dependentDialects = ["::moe::dialect::MoeDialect"];
}

//===----------------------------------------------------------------------===//
// Types and attributes
//===----------------------------------------------------------------------===//

def Plan_Buffer : TypeDef<Plan_Dialect, "Buffer"> {
  let mnemonic = "buffer";
  let summary = "memory of a step's operand, or the absence of one";
}

class Plan_EnumAttr<EnumAttrInfo info, string mnemonic>
    : EnumAttr<Plan_Dialect, info, mnemonic> {
  let assemblyFormat = "$value";
}

def Plan_SymbolKindAttr : Plan_EnumAttr<Plan_SymbolKind, "symbol_kind">;

def Plan_BufferKindAttr : Plan_EnumAttr<Plan_BufferKind, "buffer_kind">;

def Plan_InstrAttr : AttrDef<Plan_Dialect, "Instr"> {
  let mnemonic = "instr";
  let summary = "one instruction of an elementwise program";
  let description = [{
    `#plan.instr<"add" f32 [0, 1]>`; of a constant, the value:
    `#plan.instr<"constant" f32 [] = 0.5 : f64>`.
  }];
  let parameters = (ins "::mlir::StringAttr":$op, "::mlir::Type":$type,
                        "::mlir::DenseI64ArrayAttr":$operands,
                        OptionalParameter<"::mlir::TypedAttr">:$value);
  let assemblyFormat = "`<` $op $type $operands (`=` $value^)? `>`";
  let genVerifyDecl = 1;
}

class Plan_Op<string mnemonic, list<Trait> traits = []>
    : Op<Plan_Dialect, mnemonic, traits>;
class Plan_Row<string mnemonic, list<Trait> traits = []>
    : Plan_Op<mnemonic, !listconcat(traits, [HasParent<"ProgramOp">])>;

defvar Plan_Bool = UnitAttr;
class Plan_Index<string default = "-1"> : DefaultValuedAttr<I64Attr, default>;

//===----------------------------------------------------------------------===//
// The program and its tables
//===----------------------------------------------------------------------===//

def Plan_ProgramOp : Plan_Op<"program",
    [IsolatedFromAbove, SingleBlock, NoTerminator, NoRegionArguments]> {
  let summary = "an execution plan (Program)";
  let arguments = (ins OptionalAttr<StrAttr>:$model,
                       DefaultValuedAttr<I64Attr, "1">:$num_ranks,
                       DefaultValuedAttr<I64Attr, "1">:$dp,
                       DefaultValuedAttr<I64Attr, "1">:$tp,
                       DefaultValuedAttr<I64Attr, "1">:$num_streams,
                       DefaultValuedAttr<I64Attr, "0">:$num_events);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = "attr-dict-with-keyword $body";
  let hasVerifier = 1;
}

def Plan_SymbolOp : Plan_Row<"symbol"> {
  let summary = "a symbol of sizes (Symbol)";
  let description = [{
    * C1: the name is a symbol's, C2: `whole` or `bound` stands where the kind
      needs it.
  }];
  let arguments = (ins StrAttr:$name, Plan_SymbolKindAttr:$kind,
                       Plan_Index<>:$input, Plan_Index<>:$axis,
                       OptionalAttr<StrAttr>:$whole,
                       OptionalAttr<StrAttr>:$bound,
                       DefaultValuedAttr<I64Attr, "0">:$default_max,
                       DefaultValuedAttr<Moe_CommGroupAttr,
                                         "::moe::dialect::CommGroup::Rows">:$group);
  let assemblyFormat = [{
    $name $kind (`whole` $whole^)? (`bound` $bound^)? attr-dict
  }];
  let hasVerifier = 1;
}

def Plan_ConstraintOp : Plan_Row<"constraint"> {
  let summary = "two sizes that must be equal (Constraint)";
  let arguments = (ins StrAttr:$lhs, StrAttr:$rhs, StrAttr:$what);
  let assemblyFormat = "$lhs `equals` $rhs `:` $what attr-dict";
}

def Plan_ConstantOp : Plan_Row<"constant"> {
  let summary = "bytes of a small constant (Constant)";
  let arguments = (ins DenseI8ArrayAttr:$data);
  let assemblyFormat = "$data attr-dict";
}

def Plan_LayerOp : Plan_Row<"layer"> {
  let summary = "a layer of experts (Layer)";
  let arguments = (ins I64Attr:$experts, I64Attr:$k, StrAttr:$router,
                       StrAttr:$capacity, Plan_Bool:$residual,
                       Plan_Bool:$shared,
                       OptionalAttr<Moe_PlacementAttr>:$places,
                       StrArrayAttr:$nodes);
  let assemblyFormat = [{
    $experts `experts` `k` $k $router `capacity` $capacity
    (`residual` $residual^)? (`shared` $shared^)? (`places` $places^)?
    `nodes` $nodes attr-dict
  }];
}

def Plan_ParamOp : Plan_Row<"param"> {
  let summary = "a weight (Param)";
  let description = [{
    One block for the whole parameter or one for each expert: a `#moe.param`
    expression, or the number of bytes where the block is in a plan file.
    * C1: an expression has the type of a block.
  }];
  let arguments = (ins StrAttr:$name, TypeAttr:$element_type, StrAttr:$layout,
                       DenseI64ArrayAttr:$dims, ArrayAttr:$blocks,
                       DefaultValuedAttr<I64Attr, "0">:$experts,
                       Plan_Index<>:$layer, Plan_Bool:$is_expert,
                       Plan_Index<>:$part_axis, OptionalAttr<StrAttr>:$part,
                       DefaultValuedAttr<I64Attr, "1">:$part_unit);
  let assemblyFormat = [{
    $name $element_type $layout $dims `blocks` $blocks
    (`divided` $part_axis^)? (`by` $part^)? attr-dict
  }];
  let hasVerifier = 1;
}

def Plan_StateOp : Plan_Row<"state"> {
  let summary = "a cache that steps append to (State)";
  let arguments = (ins StrAttr:$name, TypeAttr:$element_type,
                       Moe_DimsAttr:$dims,
                       I64Attr:$axis, StrAttr:$length, Plan_Index<>:$part_axis,
                       OptionalAttr<StrAttr>:$part, Plan_Index<>:$input,
                       Plan_Index<>:$output, Plan_Index<>:$slice_axis,
                       OptionalAttr<StrAttr>:$slice_part);
  let assemblyFormat = [{
    $name $element_type $dims `axis` $axis `length` $length
    (`divided` $part_axis^ `by` $part)?
    (`sliced` $slice_axis^ `by` $slice_part)? attr-dict
  }];
}

class Plan_Port<string mnemonic> : Plan_Row<mnemonic> {
  let arguments = (ins StrAttr:$name, TypeAttr:$element_type,
                       Moe_DimsAttr:$dims,
                       Optional<Plan_Buffer>:$buffer, Plan_Index<>:$part_axis,
                       OptionalAttr<StrAttr>:$part, Plan_Index<>:$state,
                       Plan_Index<>:$slice_axis,
                       OptionalAttr<StrAttr>:$slice_part);
  let assemblyFormat = [{
    $name $element_type $dims (`in` $buffer^)?
    (`divided` $part_axis^ `by` $part)?
    (`sliced` $slice_axis^ `by` $slice_part)? attr-dict
  }];
}
def Plan_InputOp : Plan_Port<"input"> {
  let summary = "an input of the model (Port)";
}
def Plan_OutputOp : Plan_Port<"output"> {
  let summary = "an output of the model (Port)";
}

def Plan_BufferOp : Plan_Row<"buffer"> {
  let summary = "a tensor in memory (Buffer)";
  let description = [{
    * C1: the sizes are valid expressions, C2: a view has the kind of its base,
      C3: strides have an entry for each dimension.
  }];
  let arguments = (ins Plan_BufferKindAttr:$kind,
                       OptionalAttr<StrAttr>:$name, TypeAttr:$element_type,
                       Moe_DimsAttr:$dims, Optional<Plan_Buffer>:$base,
                       OptionalAttr<StrAttr>:$offset,
                       OptionalAttr<Moe_DimsAttr>:$strides,
                       Plan_Index<>:$index, Plan_Index<>:$first_step,
                       Plan_Index<>:$last_step);
  let results = (outs Plan_Buffer:$result);
  let assemblyFormat = [{
    $kind ($name^)? $element_type $dims (`of` $base^)? (`offset` $offset^)?
    (`strides` $strides^)? (`alive` $first_step^ `to` $last_step)? attr-dict
  }];
  let hasVerifier = 1;
}

def Plan_NoneOp : Plan_Row<"none"> {
  let summary = "stands for an optional operand that is absent";
  let results = (outs Plan_Buffer:$result);
  let assemblyFormat = "attr-dict";
}

def Plan_StepOp : Plan_Row<"step", [AttrSizedOperandSegments]> {
  let summary = "one run of a kernel (Step)";
  let description = [{
    `settings` (Step.attributes) has integers, floats, strings, lists of them
    and `#moe.dims` (expressions). `program` and `registers` (Step.results) are
    those of elementwise. Streams, events, group and guard stand behind
    `attributes`.
    * C1: settings are of these kinds, C2: the program reads registers that
      are defined before, C3: it has a result for each output.
  }];
  let arguments = (ins StrAttr:$kernel, Variadic<Plan_Buffer>:$inputs,
                       Variadic<Plan_Buffer>:$outputs,
                       OptionalAttr<DictionaryAttr>:$settings,
                       OptionalAttr<ArrayAttr>:$program,
                       OptionalAttr<DenseI64ArrayAttr>:$registers,
                       DefaultValuedAttr<I64Attr, "0">:$stream,
                       OptionalAttr<DenseI64ArrayAttr>:$waits,
                       Plan_Index<>:$records, Plan_Index<>:$layer,
                       OptionalAttr<StrArrayAttr>:$nodes,
                       DefaultValuedAttr<Moe_CommGroupAttr,
                                         "::moe::dialect::CommGroup::Rows">:$group,
                       OptionalAttr<StrAttr>:$guard);
  let assemblyFormat = [{
    $kernel `ins` `(` $inputs `)` `outs` `(` $outputs `)` ($settings^)?
    (`program` $program^ `registers` $registers)? (`layer` $layer^)?
    (`nodes` $nodes^)? attr-dict-with-keyword
  }];
  let hasVerifier = 1;
}

#endif // MOE_DIALECT_PLAN_PLANOPS_TD
