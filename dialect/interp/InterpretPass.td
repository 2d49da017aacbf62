//===- InterpretPass.td - The pass moe-interpret -----------*- tablegen -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_DIALECT_INTERP_INTERPRETPASS_TD
#define MOE_DIALECT_INTERP_INTERPRETPASS_TD

include "mlir/Pass/PassBase.td"

def InterpretPass : Pass<"moe-interpret", "::mlir::ModuleOp"> {
  let summary = "evaluates functions on made-up inputs";
  let description = [{
    With `function`, prints the results of one function to standard output. With
    `after`, evaluates that function on `ranks` ranks and `before` on one, on
    the same inputs, and fails if a result differs by more than atol + rtol *
    |expected|. Without `before`, the function `after` is compared as it was
    when moe-interpret-keep ran. The module stays as it is.

    Inputs and results are those of the whole function: each rank takes its part
    along the local symbols in the type of an argument, whatever their groups,
    and the parts of a result are put together. The ranks are those of the
    module's `moe.mesh`; with `ranks`, any number, all in one group of rows
    unless the mesh has as many.

    ```
    moe-opt t.mlir --moe-interpret="function=f dims=batch:2,seq:3 inputs=iota"
    moe-opt t.mlir --moe-interpret="before=f after=g dims=batch:5"
    moe-opt t.mlir --moe-interpret-keep --moe-some-pass \\
        --moe-interpret="after=f dims=batch:5"
    ```
  }];
  let options = [
    Option<"function", "function", "std::string", "", "the function to print">,
    Option<"before", "before", "std::string", "",
           "the expected function; default: the kept one">,
    Option<"after", "after", "std::string", "", "the function to compare">,
    ListOption<"dims", "dims", "std::string", "symbol:value, ...">,
    Option<"ranks", "ranks", "int64_t", "0",
           "number of ranks; 0: those of moe.mesh, or 1">,
    Option<"inputs", "inputs", "std::string", "\"random\"",
           "random, or iota: 0, 1, 2, ...">,
    Option<"seed", "seed", "uint64_t", "0", "of random inputs and weights">,
    Option<"maxInteger", "max-integer", "int64_t", "8",
           "random integers are below">,
    Option<"atol", "atol", "double", "1e-6", "largest absolute difference">,
    Option<"rtol", "rtol", "double", "1e-6", "largest relative difference">,
    Option<"weights", "weights", "std::string", "",
           "folder of the weight files; made-up values without it">,
  ];
}

def InterpretKeepPass : Pass<"moe-interpret-keep", "::mlir::ModuleOp"> {
  let summary = "remembers the module for a later moe-interpret";
  let description = [{
    The module is kept as text in its attribute `moe.interpret_kept`, where no
    pass can change it. It stays for any number of comparisons.
  }];
}

#endif // MOE_DIALECT_INTERP_INTERPRETPASS_TD
