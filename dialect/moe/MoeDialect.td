//===- MoeDialect.td - The language of models with experts -*- tablegen -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_DIALECT_MOE_MOEDIALECT_TD
#define MOE_DIALECT_MOE_MOEDIALECT_TD

include "mlir/IR/OpBase.td"

def Moe_Dialect : Dialect {
  let name = "moe";
  let cppNamespace = "::moe::dialect";
  let summary = "transformers with experts, from a model file to ranks";
  let description = [{
    Value semantics on ranked tensors, in three families: tensor operations
    (what a transformer needs around its experts), MoE operations (gate,
    dispatch, experts, combine), and collective operations, which appear only
    after distribution.

    **Shapes.** A dynamic dimension is never a bare `?`: the tensor's encoding
    `#moe.dims<batch, past + seq, 128>` gives every dimension as an expression
    (runtime/support/DimExpr.h). A static tensor has no encoding. Symbols are
    input symbols (`batch`); local symbols (`batch.local`, after distribution),
    one rank's part of an expression, which stands in the function's dictionary
    attribute `moe.local_symbols`; and data symbols: counts known only at run
    time, whose upper bounds stand in the dictionary `moe.data_symbols`. The
    array `moe.constraints` of `[lhs, rhs, what]` says which expressions over
    input symbols a run must find equal, and what relies on it.

    **Broadcasting.** Elementwise operations and matmul broadcast as ONNX and
    numpy do: dimensions are aligned at the right, 1 stretches. Two different
    expressions never broadcast.

    **Weights.** `moe.param` refers to bytes in files by a `#moe.param`
    expression. No weight is ever in the IR.

    **Functions.** A model is one `func.func` with arguments and results named
    by `moe.name`. An argument that is the past of a cache has `moe.state` (the
    name of the state); the result that is its present has it too.
  }];
  let useDefaultAttributePrinterParser = 1;
  let dependentDialects = ["::mlir::func::FuncDialect"];
  let hasConstantMaterializer = 1;
  let extraClassDeclaration = "void registerAttributes();";
}

#endif // MOE_DIALECT_MOE_MOEDIALECT_TD
