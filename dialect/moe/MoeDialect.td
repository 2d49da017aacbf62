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

    **Ranks.** `moe.mesh` of the module says how many ranks there are, and
    `moe.node_size` how many of them are on a node. Rank (o, t) has number o * tp
    + t: o counts the dp * ep owners of rows, t the slices of tensors. The
    dictionary `moe.symbol_groups` of a function says which group of ranks
    divides a local symbol: `rows` (ranks of equal t; the default), `tp` (of
    equal o) or `world`. A whole may hold local symbols of another group. An
    operation whose `moe.guard` is zero is skipped; one with `moe.stream` 1 runs
    beside those of stream 0.
    * A1: `moe.mesh` is a #moe.mesh, A2: `moe.node_size` is a positive i64, A3:
      `moe.local_symbols` and `moe.data_symbols` hold expressions, A4:
      `moe.symbol_groups` gives groups to local symbols, A5: `moe.guard` is a
      #moe.dims of one expression, in which no local or data symbol stands, A6:
      `moe.stream` is an i64, 0 or 1.

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
  let hasOperationAttrVerify = 1;
  let extraClassDeclaration = "void registerAttributes();";
}

#endif // MOE_DIALECT_MOE_MOEDIALECT_TD
