//===- PlanEnums.td - Enums of the plan dialect ------------*- tablegen -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Alone in a file: the generator of enums takes all that it sees, those of the
// moe dialect too.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_DIALECT_PLAN_PLANENUMS_TD
#define MOE_DIALECT_PLAN_PLANENUMS_TD

include "mlir/IR/EnumAttr.td"

class Plan_I32Enum<string name, string summary, list<I32EnumAttrCase> cases>
    : I32EnumAttr<name, summary, cases> {
  let cppNamespace = "::moe::plan_dialect";
  let genSpecializedAttr = 0;
}

def Plan_SymbolKind : Plan_I32Enum<"SymbolKind", "where a size comes from", [
  I32EnumAttrCase<"Input", 0, "input">,
  I32EnumAttrCase<"LocalPart", 1, "local_part">,
  I32EnumAttrCase<"Data", 2, "data">
]>;

def Plan_BufferKind : Plan_I32Enum<"BufferKind", "whose memory it is", [
  I32EnumAttrCase<"Arena", 0, "arena">,
  I32EnumAttrCase<"Input", 1, "input">,
  I32EnumAttrCase<"Output", 2, "output">,
  I32EnumAttrCase<"Param", 3, "param">,
  I32EnumAttrCase<"State", 4, "state">,
  I32EnumAttrCase<"Constant", 5, "constant">
]>;

#endif // MOE_DIALECT_PLAN_PLANENUMS_TD
