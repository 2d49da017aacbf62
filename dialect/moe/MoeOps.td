//===- MoeOps.td - Operations of the moe dialect -----------*- tablegen -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Constraints are numbered C1..Cn in each description; the number stands again
// at the check in MoeOps*.cpp and in test/dialect/invalid.mlir.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_DIALECT_MOE_MOEOPS_TD
#define MOE_DIALECT_MOE_MOEOPS_TD

include "dialect/moe/MoeAttrs.td"
include "mlir/Interfaces/InferTypeOpInterface.td"
include "mlir/Interfaces/SideEffectInterfaces.td"
include "mlir/Interfaces/ControlFlowInterfaces.td"
include "mlir/IR/BuiltinAttributes.td"

// Every operand and result has an element type of the plan format, and an
// expression for each dimension.
def Moe_SizedTensors : NativeOpTrait<"SizedTensors"> {
  let cppNamespace = "::moe::dialect";
}

// The result type is given where the operation is made.
class Moe_PureOp<string mnemonic, list<Trait> traits = []>
    : Op<Moe_Dialect, mnemonic,
         !listconcat([Moe_SizedTensors], traits, [Pure])> {
  let hasVerifier = 1;
}
// The result type follows from operands and attributes: the constraints are
// checked where it is inferred, so that a builder finds them too.
class Moe_InferredOp<string mnemonic, list<Trait> traits = []>
    : Op<Moe_Dialect, mnemonic,
         !listconcat([Moe_SizedTensors], traits, [Pure, InferTypeOpAdaptor])>;

defvar T = AnyRankedTensor;

//===----------------------------------------------------------------------===//
// Leaves
//===----------------------------------------------------------------------===//

def Moe_ParamOp : Moe_PureOp<"param"> {
  let summary = "a weight";
  let description = "* C1: the result has the type of `value`.";
  let arguments = (ins Moe_ParamAttr:$value, OptionalAttr<StrAttr>:$name);
  let results = (outs T:$result);
  let assemblyFormat = "($name^)? $value attr-dict `:` type($result)";
  let builders = [OpBuilder<(ins "::moe::dialect::ParamAttr":$value,
                                 CArg<"::mlir::StringAttr", "{}">:$name)>];
}
def Moe_ConstantOp : Moe_PureOp<"constant", [ConstantLike]> {
  let summary = "a small constant";
  let description = [{
    * C1: the result has the type of `value`, C2: at most 1 KiB.
  }];
  let arguments = (ins ElementsAttr:$value);
  let results = (outs T:$result);
  let assemblyFormat = "$value attr-dict `:` type($result)";
  let builders = [OpBuilder<(ins "::mlir::ElementsAttr":$value)>];
  let hasFolder = 1;
}
def Moe_ShapeOp : Moe_PureOp<"shape"> {
  let summary = "sizes as an integer tensor";
  let description = [{
    The values of `dims`. The result has rank 1 with one element for each entry,
    or rank 0 and `dims` one entry.
    * C1: the element type is an integer, C2: the rank and size are as above.
  }];
  let arguments = (ins Moe_DimsAttr:$dims);
  let results = (outs T:$result);
  let assemblyFormat = "$dims attr-dict `:` type($result)";
  let hasFolder = 1;
}
def Moe_IotaOp : Moe_PureOp<"iota"> {
  let summary = "start, start + step, ...";
  let description = [{
    * C1: `start` has one entry, C2: the result has rank 1 and is not i1.
  }];
  let arguments = (ins Moe_DimsAttr:$start,
    DefaultValuedAttr<I64Attr, "1">:$step);
  let results = (outs T:$result);
  let assemblyFormat = "$start attr-dict `:` type($result)";
  let hasFolder = 1;
}
def Moe_RangeOp : Moe_PureOp<"range"> {
  let summary = "start, start + delta, ... for bounds that are values";
  let description = [{
    The length is a data symbol.
    * C1: the operands have one element and one type, C2: the result has rank 1
      and their element type, which is not i1.
  }];
  let arguments = (ins T:$start, T:$limit, T:$delta);
  let results = (outs T:$result);
  let assemblyFormat = [{
    $start `,` $limit `,` $delta attr-dict `:`
    functional-type(operands, results)
  }];
}

//===----------------------------------------------------------------------===//
// Elementwise
//===----------------------------------------------------------------------===//

def Moe_UnaryOp : Moe_InferredOp<"unary"> {
  let summary = "a function of each element";
  let description = [{
    `is_nan` and the like give i1; all others the type of x.
    * C1: `not` takes i1, C2: neg, abs, sign, square and relu take numbers (not
      i1), C3: all others take floats.
  }];
  let arguments = (ins Moe_UnaryKindAttr:$kind, T:$x);
  let results = (outs T:$result);
  let assemblyFormat = [{
    $kind $x attr-dict `:` functional-type(operands, results)
  }];
  let hasFolder = 1;
}
def Moe_BinaryOp : Moe_InferredOp<"binary"> {
  let summary = "a function of two elements, broadcasting";
  let description = [{
    `div` of integers truncates towards zero; `mod` has the sign of the
    divisor, `fmod` that of the dividend. `pow` computes in the type of lhs;
    rhs may have another type. and, or, xor of integers work on their bits.
    * C1: the element types are equal (pow: both are numbers), C2: and, or, xor
      take i1 or integers, the others numbers (not i1), C3: the dimensions
      broadcast.
  }];
  let arguments = (ins Moe_BinaryKindAttr:$kind, T:$lhs, T:$rhs);
  let results = (outs T:$result);
  let assemblyFormat = [{
    $kind $lhs `,` $rhs attr-dict `:` functional-type(operands, results)
  }];
  let hasFolder = 1;
}
def Moe_CompareOp : Moe_InferredOp<"compare"> {
  let summary = "a comparison, broadcasting; the result is i1";
  let description = [{
    * C1: the element types are equal, C2: only eq and ne take i1, C3: the
      dimensions broadcast.
  }];
  let arguments = (ins Moe_CompareKindAttr:$kind, T:$lhs, T:$rhs);
  let results = (outs T:$result);
  let assemblyFormat = [{
    $kind $lhs `,` $rhs attr-dict `:` functional-type(operands, results)
  }];
  let hasFolder = 1;
}
def Moe_SelectOp : Moe_InferredOp<"select"> {
  let summary = "one of two elements by an i1, broadcasting";
  let description = [{
    * C1: the condition is i1, C2: the other element types are equal, C3: the
      dimensions broadcast.
  }];
  let arguments = (ins T:$condition, T:$onTrue, T:$onFalse);
  let results = (outs T:$result);
  let assemblyFormat = [{
    $condition `,` $onTrue `,` $onFalse attr-dict `:`
    functional-type(operands, results)
  }];
  let hasFolder = 1;
}
def Moe_CastOp : Moe_PureOp<"cast"> {
  let summary = "conversion to the element type of the result";
  let description = [{
    Float to integer truncates; to i1 is `!= 0`; to narrower floats rounds to
    nearest even.
    * C1: the dimensions stay.
  }];
  let arguments = (ins T:$x);
  let results = (outs T:$result);
  let assemblyFormat = "$x attr-dict `:` functional-type(operands, results)";
  let hasFolder = 1;
  let hasCanonicalizer = 1;
}
def Moe_ElementwiseOp : Moe_PureOp<"elementwise",
    [SingleBlock, IsolatedFromAbove]> {
  let summary = "a fused chain of elementwise operations";
  let description = [{
    The region is the program of one element: its arguments are the elements of
    the inputs as rank-0 tensors, its operations unary, binary, compare, select,
    cast and constant on rank-0 tensors, closed by moe.yield. Inputs broadcast
    to the shape of the results.
    * C1: there is one block argument for each input, rank 0, of its element
      type, C2: the body holds only the operations above, on rank 0, C3: it
      yields one value for each result, of its element type, C4: there is a
      result, all have the same dimensions, and the inputs broadcast to them.
  }];
  let arguments = (ins Variadic<T>:$inputs);
  let results = (outs Variadic<T>:$results);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = [{
    $inputs attr-dict-with-keyword `:` functional-type(operands, results) $body
  }];
}
def Moe_YieldOp : Op<Moe_Dialect, "yield",
    [Pure, Terminator, ReturnLike, HasParent<"ElementwiseOp">]> {
  let summary = "the results of an elementwise program";
  let arguments = (ins Variadic<T>:$values);
  let assemblyFormat = "$values attr-dict `:` type($values)";
}

//===----------------------------------------------------------------------===//
// Reductions, products
//===----------------------------------------------------------------------===//

def Moe_ReduceOp : Moe_InferredOp<"reduce"> {
  let summary = "a reduction over axes";
  let description = [{
    Empty axes reduce nothing. Sums of f16 and bf16 accumulate in f32.
    * C1: axes are sorted, unique and below the rank of x, C2: only max and min
      take i1.
  }];
  let arguments = (ins Moe_ReduceKindAttr:$kind, T:$x, DenseI64ArrayAttr:$axes,
    BoolAttr:$keepdims);
  let results = (outs T:$result);
  let assemblyFormat = [{
    $kind $x attr-dict `:` functional-type(operands, results)
  }];
  let hasFolder = 1;
}
def Moe_ArgReduceOp : Moe_InferredOp<"arg_reduce"> {
  let summary = "the index of the largest or smallest element along an axis";
  let description = [{
    Ties go to the lower index, or to the higher if select_last. The result is
    i64.
    * C1: the axis is below the rank of x, C2: x is not i1.
  }];
  let arguments = (ins Moe_ArgReduceKindAttr:$kind, T:$x, I64Attr:$axis,
    BoolAttr:$keepdims,
    DefaultValuedAttr<BoolAttr, "false">:$select_last);
  let results = (outs T:$result);
  let assemblyFormat = [{
    $kind $x attr-dict `:` functional-type(operands, results)
  }];
}
def Moe_MatmulOp : Moe_InferredOp<"matmul"> {
  let summary = "matrix product over broadcast batch dimensions";
  let description = [{
    `[.., M, K] x [.., K, N] -> [.., M, N]`, both of rank >= 2; leading
    dimensions broadcast. With transpose_rhs the rhs is `[.., N, K]`. `bias`
    (rank 1, `[N]`) is added last. Products of f16 and bf16 accumulate in f32.
    `arithmetic` int8 rounds the rows of lhs, where rhs is a weight in codes.
    * C1: the element types are equal and not i1, C2: both have rank >= 2, C3:
      K is equal, C4: the leading dimensions broadcast, C5: bias is `[N]`.
  }];
  let arguments = (ins T:$lhs, T:$rhs, Optional<T>:$bias,
    DefaultValuedAttr<BoolAttr, "false">:$transpose_rhs,
    DefaultValuedAttr<Moe_ArithmeticAttr, "Arithmetic::Float">:$arithmetic);
  let results = (outs T:$result);
  let assemblyFormat = [{
    $lhs `,` $rhs (`,` $bias^)? attr-dict `:` functional-type(operands, results)
  }];
  let hasCanonicalizer = 1;
}
def Moe_CumsumOp : Moe_InferredOp<"cumsum"> {
  let summary = "running sum along an axis";
  let description = [{
    * C1: the axis is below the rank of x, C2: x is not i1.
  }];
  let arguments = (ins T:$x, I64Attr:$axis,
    DefaultValuedAttr<BoolAttr, "false">:$exclusive,
    DefaultValuedAttr<BoolAttr, "false">:$reverse);
  let results = (outs T:$result);
  let assemblyFormat = "$x attr-dict `:` functional-type(operands, results)";
}
def Moe_TopKOp : Moe_PureOp<"top_k"> {
  let summary = "the k largest or smallest elements along an axis";
  let description = [{
    Values and i64 indices, ties to the lower index, sorted. k is the size of
    the results along `axis`; where that is a data symbol, the operand `k` (one
    element) gives its value.
    * C1: the axis is below the rank of x, C2: values has the type of x but for
      the size along axis, and indices its dimensions and i64, C3: a constant k
      is at most the size of x along axis, C4: the operand k is one integer.
  }];
  let arguments = (ins T:$x, Optional<T>:$k, I64Attr:$axis,
    DefaultValuedAttr<BoolAttr, "true">:$largest);
  let results = (outs T:$values, T:$indices);
  let assemblyFormat = [{
    $x (`,` $k^)? attr-dict `:` functional-type(operands, results)
  }];
}
def Moe_SoftmaxOp : Moe_InferredOp<"softmax"> {
  let summary = "softmax along an axis, or its logarithm";
  let description = [{
    * C1: the axis is below the rank of x, C2: x is of floats.
  }];
  let arguments = (ins T:$x, I64Attr:$axis,
    DefaultValuedAttr<BoolAttr, "false">:$log);
  let results = (outs T:$result);
  let assemblyFormat = "$x attr-dict `:` functional-type(operands, results)";
}
def Moe_NormOp : Moe_InferredOp<"norm", [AttrSizedOperandSegments]> {
  let summary = "layer or RMS normalization over the axes from `axis` on";
  let description = [{
    Statistics in f32. `(x - mean) / sqrt(var + eps) * scale + bias`, or
    `x / sqrt(mean(x^2) + eps) * scale`. Scale and bias broadcast to the
    normalized dimensions.
    * C1: the axis is below the rank of x, C2: all element types are floats, C3:
      scale and bias broadcast to the normalized dimensions, C4: rms has no
      bias.
  }];
  let arguments = (ins Moe_NormKindAttr:$kind, T:$x, Optional<T>:$scale,
    Optional<T>:$bias,
    I64Attr:$axis, F32Attr:$epsilon);
  let results = (outs T:$result);
  let assemblyFormat = [{
    $kind $x (`scale` $scale^)? (`bias` $bias^)? attr-dict `:`
    functional-type(operands, results)
  }];
}

//===----------------------------------------------------------------------===//
// Moving elements
//===----------------------------------------------------------------------===//

def Moe_GatherOp : Moe_InferredOp<"gather"> {
  let summary = "slices of `data` along `axis`, by index";
  let description = [{
    The first `batch_dims` dimensions of data and indices are the same rows:
    result[b.., i.., j.., t..] = data[b.., i.., indices[b.., j..], t..] with
    axis >= batch_dims. Negative indices count from the end. With `part`, data
    holds this rank's part of the axis, as moe.shard gives it; indices count in
    the whole, and those of other ranks' parts give zeros.
    * C1: 0 <= batch_dims <= axis < rank of data, and batch_dims <= rank of
      indices, C2: the indices are integers, C3: the batch dimensions are equal,
      C4: part stands in the function's moe.local_symbols and divides the axis
      of data.
  }];
  let arguments = (ins T:$data, T:$indices, I64Attr:$axis,
    DefaultValuedAttr<I64Attr, "0">:$batch_dims, OptionalAttr<StrAttr>:$part);
  let results = (outs T:$result);
  let assemblyFormat = [{
    $data `,` $indices attr-dict `:` functional-type(operands, results)
  }];
  let hasVerifier = 1;
  let hasFolder = 1;
}
def Moe_GatherNdOp : Moe_InferredOp<"gather_nd"> {
  let summary = "elements or slices by index tuples (ONNX GatherND)";
  let description = [{
    indices `[b.., i.., n]`: each tuple of n indices picks from the dimensions
    of data after the batch dimensions; result `[b.., i.., t..]`.
    * C1: 0 <= batch_dims < rank of data and of indices, C2: the indices are
      integers, C3: the batch dimensions are equal, C4: n is a constant between
      1 and rank of data - batch_dims.
  }];
  let arguments = (ins T:$data, T:$indices,
    DefaultValuedAttr<I64Attr, "0">:$batch_dims);
  let results = (outs T:$result);
  let assemblyFormat = [{
    $data `,` $indices attr-dict `:` functional-type(operands, results)
  }];
}
def Moe_GatherElementsOp : Moe_InferredOp<"gather_elements"> {
  let summary = "one element for each index (ONNX GatherElements)";
  let description = [{
    * C1: the axis is below the rank of data, C2: the indices are integers, C3:
      the ranks are equal, and constant sizes of indices are at most those of
      data but for the axis.
  }];
  let arguments = (ins T:$data, T:$indices, I64Attr:$axis);
  let results = (outs T:$result);
  let assemblyFormat = [{
    $data `,` $indices attr-dict `:` functional-type(operands, results)
  }];
}
def Moe_ScatterElementsOp : Moe_InferredOp<"scatter_elements"> {
  let summary = "writes one element for each index (ONNX ScatterElements)";
  let description = [{
    * C1: the axis is below the rank of data, C2: the indices are integers, C3:
      the ranks are equal, C4: updates has the dimensions of indices, C5: the
      element types of data and updates are equal.
  }];
  let arguments = (ins T:$data, T:$indices, T:$updates, I64Attr:$axis,
    DefaultValuedAttr<Moe_ScatterKindAttr, "ScatterKind::None">:$kind);
  let results = (outs T:$result);
  let assemblyFormat = [{
    $data `,` $indices `,` $updates attr-dict `:`
    functional-type(operands, results)
  }];
}
def Moe_ScatterNdOp : Moe_InferredOp<"scatter_nd"> {
  let summary = "writes elements or slices by index tuples (ONNX ScatterND)";
  let description = [{
    data `[d.., t..]`, indices `[i.., n]`, updates `[i.., t..]`, where n is the
    number of dimensions d.
    * C1: the indices are integers of rank >= 1, C2: n is a constant between 1
      and the rank of data, C3: updates has the dimensions above, C4: the
      element types of data and updates are equal.
  }];
  let arguments = (ins T:$data, T:$indices, T:$updates,
    DefaultValuedAttr<Moe_ScatterKindAttr, "ScatterKind::None">:$kind);
  let results = (outs T:$result);
  let assemblyFormat = [{
    $data `,` $indices `,` $updates attr-dict `:`
    functional-type(operands, results)
  }];
}
def Moe_SliceOp : Moe_PureOp<"slice"> {
  let summary = "a rectangular part";
  let description = [{
    `starts` has one entry and `steps` one integer for each dimension; sizes are
    those of the result. A negative step runs downwards from its start.
    * C1: ranks and numbers of entries are equal, C2: the element type stays,
      C3: no step is 0, C4: where everything is constant, all elements taken
      exist.
  }];
  let arguments = (ins T:$x, Moe_DimsAttr:$starts, DenseI64ArrayAttr:$steps);
  let results = (outs T:$result);
  let assemblyFormat = [{
    $x $starts attr-dict `:` functional-type(operands, results)
  }];
  let hasFolder = 1;
  let hasCanonicalizer = 1;
}
def Moe_ConcatOp : Moe_InferredOp<"concat"> {
  let summary = "one after the other along an axis";
  let description = [{
    * C1: there is an input, C2: the axis is below its rank, C3: ranks, element
      types and the other dimensions are equal.
  }];
  let arguments = (ins Variadic<T>:$inputs, I64Attr:$axis);
  let results = (outs T:$result);
  let assemblyFormat = [{
    $inputs attr-dict `:` functional-type(operands, results)
  }];
  let hasFolder = 1;
  let hasCanonicalizer = 1;
}
def Moe_PadOp : Moe_PureOp<"pad"> {
  let summary = "more elements before and after each dimension";
  let description = [{
    `low` elements before each dimension, and as many behind it as the size of
    the result asks for; `value` (default 0) for the mode constant.
    * C1: ranks and the number of entries of low are equal, C2: the element
      types are equal, C3: value is one element and the mode constant, C4: where
      they are constant, low >= 0 and low + size of x <= size of the result.
  }];
  let arguments = (ins T:$x, Optional<T>:$value, Moe_DimsAttr:$low,
    Moe_PadModeAttr:$mode);
  let results = (outs T:$result);
  let assemblyFormat = [{
    $mode $x (`,` $value^)? $low attr-dict `:`
    functional-type(operands, results)
  }];
}
def Moe_TransposeOp : Moe_InferredOp<"transpose"> {
  let summary =
    "dimensions in another order: result dimension i is x's permutation[i]";
  let description = "* C1: `permutation` is one of the dimensions of x.";
  let arguments = (ins T:$x, DenseI64ArrayAttr:$permutation);
  let results = (outs T:$result);
  let assemblyFormat = "$x attr-dict `:` functional-type(operands, results)";
  let hasFolder = 1;
  let hasCanonicalizer = 1;
}
def Moe_ReshapeOp : Moe_PureOp<"reshape"> {
  let summary = "the same elements in row-major order under other dimensions";
  let description = [{
    * C1: the products of the dimensions are equal expressions, C2: the element
      type stays.
  }];
  let arguments = (ins T:$x);
  let results = (outs T:$result);
  let assemblyFormat = "$x attr-dict `:` functional-type(operands, results)";
  let hasFolder = 1;
  let hasCanonicalizer = 1;
}
def Moe_BroadcastOp : Moe_PureOp<"broadcast"> {
  let summary = "stretches dimensions of size 1 and adds leading ones";
  let description = [{
    * C1: the element type stays, C2: the dimensions of x broadcast to those of
      the result.
  }];
  let arguments = (ins T:$x);
  let results = (outs T:$result);
  let assemblyFormat = "$x attr-dict `:` functional-type(operands, results)";
  let hasFolder = 1;
}
def Moe_TriluOp : Moe_InferredOp<"trilu"> {
  let summary =
    "upper or lower triangle of the last two dimensions, the rest zero";
  let description = [{
    Keeps element (i, j) if j - i >= diagonal (upper) or <= diagonal (lower);
    with negate_diagonal the diagonal is -`diagonal`.
    * C1: x has rank >= 2, C2: diagonal has one entry.
  }];
  let arguments = (ins T:$x, BoolAttr:$upper, Moe_DimsAttr:$diagonal,
    DefaultValuedAttr<BoolAttr, "false">:$negate_diagonal);
  let results = (outs T:$result);
  let assemblyFormat = [{
    $x $diagonal attr-dict `:` functional-type(operands, results)
  }];
}
def Moe_OneHotOp : Moe_PureOp<"one_hot"> {
  let summary =
    "on where the position along `axis` equals the index, off elsewhere";
  let description = [{
    `values` is `[off, on]`. The depth is the size of the result along axis;
    where that is a data symbol, `depth` (one element) gives its value.
    Negative indices count from the end; others outside give all off.
    * C1: the axis is below the rank of the result, C2: without it, the result
      has the dimensions of indices, C3: values is `[2]` of the element type of
      the result, C4: the operand depth is one integer, C5: the indices are
      integers.
  }];
  let arguments = (ins T:$indices, T:$values, Optional<T>:$depth,
    I64Attr:$axis);
  let results = (outs T:$result);
  let assemblyFormat = [{
    $indices `,` $values (`,` $depth^)? attr-dict `:`
    functional-type(operands, results)
  }];
}
def Moe_NonZeroOp : Moe_PureOp<"non_zero"> {
  let summary = "indices of the elements that are not zero (ONNX NonZero)";
  let description = [{
    The result is `[rank, n]`, in row-major order; n is a data symbol.
    * C1: the result is i64 of rank 2 with as many rows as x has dimensions.
  }];
  let arguments = (ins T:$x);
  let results = (outs T:$result);
  let assemblyFormat = "$x attr-dict `:` functional-type(operands, results)";
}

//===----------------------------------------------------------------------===//
// Attention
//===----------------------------------------------------------------------===//

def Moe_RotaryOp : Moe_InferredOp<"rotary"> {
  let summary = "rotary position embedding of the last dimension";
  let description = [{
    x `[B, H, S, D]`; cos and sin `[B or 1, S, R/2]` with R = rotary_dim <= D.
    Pairs are (i, i + R/2), or (2i, 2i + 1) if interleaved; the rest of D is
    copied.
    * C1: x has rank 4, C2: cos and sin are as above, C3: rotary_dim is even,
      positive and at most a constant D, C4: all are floats of one type.
  }];
  let arguments = (ins T:$x, T:$cos, T:$sin,
    DefaultValuedAttr<BoolAttr, "false">:$interleaved, I64Attr:$rotary_dim);
  let results = (outs T:$result);
  let assemblyFormat = [{
    $x `,` $cos `,` $sin attr-dict `:` functional-type(operands, results)
  }];
}
def Moe_AttentionOp : Moe_InferredOp<"attention", [AttrSizedOperandSegments]> {
  let summary = "scaled dot-product attention";
  let description = [{
    q `[B, H, S, D]`, k `[B, KV, T, D]`, v `[B, KV, T, Dv]`, H a multiple of KV
    (head h reads h / (H / KV)); result `[B, H, S, Dv]`.
    score = q.k * scale; if softcap > 0: softcap * tanh(score / softcap); then
    the mask, which broadcasts to `[B, H, S, T]`: of i1, a hidden score becomes
    `mask_fill`; of floats, it is added. `causal`: key j is hidden from query i
    if j > T - S + i; `window` > 0: also if j <= T - S + i - window; both hide
    with minus infinity. `lengths` `[B]` (i64): keys from lengths[b] on are
    hidden and row b has
    T replaced by lengths[b] in the rules above. `sink` `[H]`: exp(sink) is
    added to the denominator. A row in which everything is hidden by minus
    infinity is zero.
    * C1: q, k and v are floats of one type and rank 4, C2: B, T, D and KV
      agree, C3: KV divides H for all values of symbols and is not the constant
      0, C4: the mask is i1 or floats and broadcasts to `[B, H, S, T]`, C5: sink
      is floats `[H]`, C6: lengths is i64 `[B]`, C7: window and softcap are not
      negative.
  }];
  let arguments = (ins T:$q, T:$k, T:$v, Optional<T>:$mask, Optional<T>:$sink,
    Optional<T>:$lengths,
    F32Attr:$scale, DefaultValuedAttr<F32Attr, "-INFINITY">:$mask_fill,
    DefaultValuedAttr<F32Attr, "0.0f">:$softcap,
    DefaultValuedAttr<BoolAttr, "false">:$causal,
    DefaultValuedAttr<I64Attr, "0">:$window);
  let results = (outs T:$result);
  let assemblyFormat = [{
    $q `,` $k `,` $v (`mask` $mask^)? (`sink` $sink^)? (`lengths` $lengths^)?
    attr-dict `:` functional-type(operands, results)
  }];
}
def Moe_CacheAppendOp : Moe_InferredOp<"cache_append"> {
  let summary = "a cache with new entries at its end";
  let description = [{
    concat(past, new) along `axis`; `state` names the cache. In the plan the
    past is not copied: new is written behind it. With `lengths` `[B]` (i64, B
    the first dimension) only lengths[b] entries of row b of past count: its
    new entries stand at lengths[b], and what is behind them is unspecified.
    * C1: the axis is below the rank of past, C2: ranks, element types and the
      other dimensions are equal, C3: lengths is i64 `[B]` and the axis not 0.
  }];
  let arguments = (ins T:$past, T:$new_entries, Optional<T>:$lengths,
    StrAttr:$state, I64Attr:$axis);
  let results = (outs T:$result);
  let assemblyFormat = [{
    $state $past `,` $new_entries (`lengths` $lengths^)? attr-dict `:`
    functional-type(operands, results)
  }];
  let builders = [OpBuilder<(ins "::mlir::Value":$past,
                                 "::mlir::Value":$new_entries,
                                 "::mlir::StringAttr":$state,
                                 "::mlir::IntegerAttr":$axis), [{
    build($_builder, $_state, past, new_entries, ::mlir::Value(), state, axis);
  }]>];
}

//===----------------------------------------------------------------------===//
// Experts
//===----------------------------------------------------------------------===//

def Moe_GateOp : Moe_InferredOp<"gate", [AttrSizedOperandSegments]> {
  let summary = "chooses k experts for each token and weighs them";
  let description = [{
    logits `[T, E]` -> weights `[T, k]` f32, experts `[T, k]` i32, in order of
    choice. All arithmetic is f32; ties go to the lower index. A choice that was
    dropped has expert -1 and weight 0.

    1. score = softmax(logits), sigmoid(logits), logits, or the sparse mixer
       (k = 2, `jitter_eps`).
    2. selection = score + `selection_bias` `[E]`. With num_groups > 1 the
       experts form equal groups; the topk_groups best groups by `group_score`
       stay, in the others the selection becomes minus infinity (or 0 if
       group_fill_zero).
    3. The k best by selection.
    4. weight = by `mix_weight`, from `mix_scores` `[T, E]` instead of the score
       or logits where given; dropping by capacity; `normalize` over the choices
       (that survived, if normalize_after_drop); times `scale`, times
       `expert_scale` `[E]`.

    Capacity, if drop_policy is not none: C = max(min_capacity, ceil(f32(T / E)
    * f32(capacity_factor * k))), in f32 over all tokens of the batch.
    `used_token` `[T]` i1: others route nowhere and use no capacity.
    With `part`, the operands hold this rank's rows, which that local symbol
    divides; capacity and competition are those of the rows of all ranks of its
    group, in their order, and random counts tokens over all of them.
    * C1: 1 <= k <= E, C2: num_groups divides E and 1 <= topk_groups <=
      num_groups, C3: the sparse mixer has k = 2, C4: random needs a seed,
      C5: logits are floats `[T, E]` with E a constant, C6: the other operands
      have the dimensions above, C7: k of the experts that stay in the groups
      exist, C8: part stands in the function's moe.local_symbols and divides the
      rows, and there is a drop policy.
  }];
  let arguments = (ins T:$logits, Optional<T>:$selection_bias,
    Optional<T>:$expert_scale,
    Optional<T>:$mix_scores, Optional<T>:$used_token,
    I64Attr:$k,
    DefaultValuedAttr<Moe_RouterScoreAttr, "RouterScore::Softmax">:$score,
    DefaultValuedAttr<Moe_MixWeightAttr, "MixWeight::Score">:$mix_weight,
    DefaultValuedAttr<Moe_NormalizeAttr, "Normalize::None">:$normalize,
    DefaultValuedAttr<F32Attr, "0.0f">:$normalize_eps,
    DefaultValuedAttr<F32Attr, "1.0f">:$scale,
    DefaultValuedAttr<I64Attr, "1">:$num_groups,
    DefaultValuedAttr<I64Attr, "1">:$topk_groups,
    DefaultValuedAttr<Moe_GroupScoreAttr, "GroupScore::Max">:$group_score,
    DefaultValuedAttr<BoolAttr, "false">:$group_fill_zero,
    DefaultValuedAttr<F32Attr, "0.01f">:$jitter_eps,
    DefaultValuedAttr<Moe_DropPolicyAttr, "DropPolicy::None">:$drop_policy,
    DefaultValuedAttr<F32Attr, "1.0f">:$capacity_factor,
    DefaultValuedAttr<I64Attr, "0">:$min_capacity,
    DefaultValuedAttr<BoolAttr, "false">:$normalize_after_drop,
    OptionalAttr<I64Attr>:$random_seed,
    OptionalAttr<StrAttr>:$part);
  let results = (outs T:$weights, T:$experts);
  let assemblyFormat = [{
    $logits (`selection_bias` $selection_bias^)? (`expert_scale`
    $expert_scale^)? (`mix_scores` $mix_scores^)? (`used_token` $used_token^)?
    attr-dict `:` functional-type(operands, results)
  }];
  let hasVerifier = 1;
}
def Moe_DispatchOp : Moe_PureOp<"dispatch"> {
  let summary = "rows of tokens, grouped by expert";
  let description = [{
    x `[T, M]`, experts `[T, k]` -> rows `[R, M]`, counts `[E]` i32, slots
    `[T, k]` i32. R is a data symbol of bound T * k. Rows are sorted by expert,
    then token; counts[e] rows belong to expert e; slots[t, j] is the row of
    token t's choice j, or -1. With `weights` `[T, k]`, rows are scaled
    (Llama-4).
    * C1: x is `[T, M]` and experts i32 `[T, k]`, C2: weights are floats
      `[T, k]`, C3: the results are as above.
  }];
  let arguments = (ins T:$x, T:$experts, Optional<T>:$weights,
    I64Attr:$num_experts);
  let results = (outs T:$rows, T:$counts, T:$slots);
  let assemblyFormat = [{
    $x `,` $experts (`,` $weights^)? attr-dict `:`
    functional-type(operands, results)
  }];
}
def Moe_ExpertsOp : Moe_InferredOp<"experts", [AttrSizedOperandSegments]> {
  let summary = "the FFN of each expert on its rows";
  let description = [{
    rows `[R, M]` grouped by expert, counts `[E]`: for the rows of expert e
    `act(x w1[e] + b1[e]) w2[e] + b2[e]`, gated as `gating` says, result
    `[R, N]`. w1 `[E, M, F]` (F = I, or 2 I for interleaved and concatenated),
    b1 `[E, F]`, w2 `[E, I, N]`, b2 `[E, N]`, w3 `[E, M, I]`, b3 `[E, I]`.
    With `placement` and counts `[L]`, L the largest number of experts on one
    rank, rows and counts are those of the experts that this rank holds, in its
    order; counts that moe.all_to_all gives always are. Other counts `[E]` are of
    all experts: rows are not exchanged (yet). Of a sliced expert the rank
    computes with its part of I and gives a partial sum, with b2 on slice 0;
    parts are whole units of 16 or of a block of codes. `arithmetic` int8 rounds
    rows and hidden values before their products with weights in codes.
    * C1: rows is `[R, M]`, counts i32 of rank 1, C2: w1 and w2 are as above, E
      a constant, C3: w3 is there if gating is split, and only then, and as
      above, C4: the biases are as above, C5: counts is `[E]`, or `[L]` with
      placement, C6: swiglu is gated, C7: all floats have one type, C8: with
      slices, gating is not concatenated.
  }];
  let arguments = (ins T:$rows, T:$counts, T:$w1, Optional<T>:$b1, T:$w2,
    Optional<T>:$b2,
    Optional<T>:$w3, Optional<T>:$b3,
    Moe_ActivationAttr:$activation,
    DefaultValuedAttr<Moe_GatingAttr, "Gating::None">:$gating,
    DefaultValuedAttr<F32Attr, "1.0f">:$alpha,
    DefaultValuedAttr<F32Attr, "0.0f">:$beta,
    DefaultValuedAttr<F32Attr, "INFINITY">:$limit,
    DefaultValuedAttr<Moe_ArithmeticAttr, "Arithmetic::Float">:$arithmetic,
    OptionalAttr<Moe_PlacementAttr>:$placement);
  let results = (outs T:$result);
  let assemblyFormat = [{
    $activation $rows `,` $counts `w1` $w1 (`b1` $b1^)? `w2` $w2 (`b2` $b2^)?
    (`w3` $w3^)? (`b3` $b3^)?
    attr-dict `:` functional-type(operands, results)
  }];
}
def Moe_CombineOp : Moe_InferredOp<"combine"> {
  let summary = "the weighted sum of each token's expert rows";
  let description = [{
    rows `[R, N]`, slots `[T, k]`, weights `[T, k]` (absent: 1) -> `[T, N]`:
    the sum over the choices in order, accumulated in f32 and cast once. A slot
    of -1 adds nothing.
    * C1: rows are floats of rank 2, slots i32 of rank 2, C2: weights are floats
      with the dimensions of slots.
  }];
  let arguments = (ins T:$rows, T:$slots, Optional<T>:$weights);
  let results = (outs T:$result);
  let assemblyFormat = [{
    $rows `,` $slots (`,` $weights^)? attr-dict `:`
    functional-type(operands, results)
  }];
}
def Moe_FfnOp : Moe_InferredOp<"ffn", [AttrSizedOperandSegments]> {
  let summary = "a dense FFN: shared expert, residual branch or plain MLP";
  let description = [{
    x `[.., M]`; as moe.experts without experts: w1 `[M, F]`, b1 `[F]`,
    w2 `[I, N]`, b2 `[N]`, w3 `[M, I]`, b3 `[I]`; result `[.., N]`.
    * C1: x has rank >= 1, C2: w1 and w2 are as above, C3: w3 is there if gating
      is split, and only then, and as above, C4: the biases are as above, C5:
      swiglu is gated, C6: all are floats of one type.
  }];
  let arguments = (ins T:$x, T:$w1, Optional<T>:$b1, T:$w2, Optional<T>:$b2,
    Optional<T>:$w3, Optional<T>:$b3,
    Moe_ActivationAttr:$activation,
    DefaultValuedAttr<Moe_GatingAttr, "Gating::None">:$gating,
    DefaultValuedAttr<F32Attr, "1.0f">:$alpha,
    DefaultValuedAttr<F32Attr, "0.0f">:$beta,
    DefaultValuedAttr<F32Attr, "INFINITY">:$limit,
    DefaultValuedAttr<Moe_ArithmeticAttr, "Arithmetic::Float">:$arithmetic);
  let results = (outs T:$result);
  let assemblyFormat = [{
    $activation $x `w1` $w1 (`b1` $b1^)? `w2` $w2 (`b2` $b2^)? (`w3` $w3^)?
    (`b3` $b3^)?
    attr-dict `:` functional-type(operands, results)
  }];
}
def Moe_MixOp : Moe_InferredOp<"mix"> {
  let summary = "experts' output with a dense branch";
  let description = [{
    experts and dense `[.., N]`, gate `[.., 2]`, `[.., 1]` or absent.
    residual (PR-MoE): c = softmax(gate) over its 2 entries; experts * c0 +
    dense * c1. add: experts + dense. sigmoid_gate: experts + sigmoid(gate) *
    dense.
    * C1: experts and dense have one type, of floats, C2: the gate is there but
      for add, floats, with dimensions as above.
  }];
  let arguments = (ins Moe_MixKindAttr:$kind, T:$experts, T:$dense,
    Optional<T>:$gate);
  let results = (outs T:$result);
  let assemblyFormat = [{
    $kind $experts `,` $dense (`gate` $gate^)? attr-dict `:`
    functional-type(operands, results)
  }];
}

//===----------------------------------------------------------------------===//
// Collectives (after distribution)
//===----------------------------------------------------------------------===//

def Moe_AllToAllOp : Moe_PureOp<"all_to_all"> {
  let summary = "rows to the ranks that hold their experts, or back";
  let description = [{
    Forward: rows `[R, M]` and counts `[E]` as moe.dispatch gives them ->
    `[R', M]`, counts of the local experts `[L]` (L = the largest number of
    experts on one rank; unused entries 0), and `route` `[numRanks, E]` i32:
    rows that each rank sends to each expert on this rank. Received rows are
    sorted by local expert, then source rank, then source row. R' is a data
    symbol. The placement says how rows are spread over replicas; a sliced
    replica receives its rows on each of its ranks.

    The ranks are those of the placement's group. `form` says how rows travel;
    up to `small_tokens` of the `tokens` of all ranks, an expression over global
    symbols, it is `small_form`. The result is the same for all forms, but for
    replicated, where rows and counts are equal on all ranks of the group and
    only one copy of them is taken, as if rank 0 were the only sender. The
    hierarchical form works on nodes of `node_size` ranks.

    moe.all_to_all_back returns rows to where they came from.
    * C1: rows has rank 2, counts is i32 `[E]`, E the experts of the placement,
      C2: the results are as above, C3: node_size divides the ranks if a form is
      hierarchical, and is 0 if none is, C4: with small_form there are tokens,
      one expression, and small_tokens > 0, and neither without it, C5: with two
      forms none is replicated.
  }];
  let arguments = (ins T:$rows, T:$counts, Moe_PlacementAttr:$placement,
    DefaultValuedAttr<Moe_ExchangeFormAttr, "ExchangeForm::Flat">:$form,
    DefaultValuedAttr<I64Attr, "0">:$node_size,
    OptionalAttr<Moe_ExchangeFormAttr>:$small_form,
    DefaultValuedAttr<I64Attr, "0">:$small_tokens,
    OptionalAttr<Moe_DimsAttr>:$tokens);
  let results = (outs T:$received, T:$local_counts, T:$route);
  let assemblyFormat = [{
    $rows `,` $counts attr-dict `:` functional-type(operands, results)
  }];
}
def Moe_AllToAllBackOp : Moe_PureOp<"all_to_all_back"> {
  let summary = "rows back to the ranks that sent them";
  let description = [{
    rows `[R', N]` in the order that moe.all_to_all received, its route, and the
    counts `[E]` that it was given -> `[R, N]` in the order of the original
    rows. The partial sums of a sliced expert are added in the order of slices,
    in f32. Placement and forms are those of the way there; replicated gives all
    rows to all ranks.
    * C1: rows has rank 2, route is i32 `[numRanks, E]`, counts i32 `[E]`, C2:
      the result is as above, C3 to C5: as moe.all_to_all.
  }];
  let arguments = (ins T:$rows, T:$route, T:$counts,
    Moe_PlacementAttr:$placement,
    DefaultValuedAttr<Moe_ExchangeFormAttr, "ExchangeForm::Flat">:$form,
    DefaultValuedAttr<I64Attr, "0">:$node_size,
    OptionalAttr<Moe_ExchangeFormAttr>:$small_form,
    DefaultValuedAttr<I64Attr, "0">:$small_tokens,
    OptionalAttr<Moe_DimsAttr>:$tokens);
  let results = (outs T:$result);
  let assemblyFormat = [{
    $rows `,` $route `,` $counts attr-dict `:`
    functional-type(operands, results)
  }];
}
def Moe_AllGatherOp : Moe_PureOp<"all_gather"> {
  let summary = "the parts of all ranks, one after the other along an axis";
  let description = [{
    `part` is the local symbol that says how ranks divide `axis`: if it stands
    for this rank's part of n, x has part * (size / n) elements there and the
    result has size elements.
    * C1: the axis is below the rank of x and the element type stays, C2: part
      stands in the function's moe.local_symbols, C3: the dimensions are as
      above.
  }];
  let arguments = (ins T:$x, I64Attr:$axis, StrAttr:$part);
  let results = (outs T:$result);
  let assemblyFormat = "$x attr-dict `:` functional-type(operands, results)";
}
def Moe_ShardOp : Moe_PureOp<"shard"> {
  let summary = "this rank's part of a tensor that every rank has";
  let description = [{
    The inverse of moe.all_gather; moves nothing between ranks.
    * C1 to C3: as moe.all_gather, for result and x.
  }];
  let arguments = (ins T:$x, I64Attr:$axis, StrAttr:$part);
  let results = (outs T:$result);
  let assemblyFormat = "$x attr-dict `:` functional-type(operands, results)";
}
def Moe_AllReduceOp : Moe_InferredOp<"all_reduce"> {
  let summary = "elementwise reduction over the ranks of a group, in order";
  let description = "* C1: x is not i1.";
  let arguments = (ins Moe_CollectiveReduceAttr:$kind, T:$x,
    DefaultValuedAttr<Moe_CommGroupAttr, "CommGroup::Rows">:$group);
  let results = (outs T:$result);
  let assemblyFormat = [{
    $kind $x attr-dict `:` functional-type(operands, results)
  }];
}
def Moe_ReduceScatterOp : Moe_PureOp<"reduce_scatter"> {
  let summary = "this rank's part of the reduction over the ranks";
  let description = [{
    * C1 to C3: as moe.all_gather, for result and x, C4: x is not i1.
  }];
  let arguments = (ins Moe_CollectiveReduceAttr:$kind, T:$x, I64Attr:$axis,
    StrAttr:$part);
  let results = (outs T:$result);
  let assemblyFormat = [{
    $kind $x attr-dict `:` functional-type(operands, results)
  }];
}

#endif // MOE_DIALECT_MOE_MOEOPS_TD
