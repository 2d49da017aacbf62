//===- MoeAttrs.td - Enums and attributes of moe -----------*- tablegen -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_DIALECT_MOE_MOEATTRS_TD
#define MOE_DIALECT_MOE_MOEATTRS_TD

include "dialect/moe/MoeDialect.td"
include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/BuiltinAttributeInterfaces.td"
include "mlir/IR/TensorEncoding.td"
include "mlir/IR/EnumAttr.td"

//===----------------------------------------------------------------------===//
// Enums
//===----------------------------------------------------------------------===//

class Moe_I32Enum<string name, string summary, list<I32EnumAttrCase> cases>
    : I32EnumAttr<name, summary, cases> {
  let cppNamespace = "::moe::dialect";
  let genSpecializedAttr = 0;
}
class Moe_EnumAttr<EnumAttrInfo info, string mnemonic>
    : EnumAttr<Moe_Dialect, info, mnemonic> {
  let assemblyFormat = "$value";
}

def Moe_UnaryKind : Moe_I32Enum<"UnaryKind", "function of one element", [
  I32EnumAttrCase<"Neg", 0, "neg">,
  I32EnumAttrCase<"Abs", 1, "abs">,
  I32EnumAttrCase<"Sqrt", 2, "sqrt">,
  I32EnumAttrCase<"Rsqrt", 3, "rsqrt">,
  I32EnumAttrCase<"Reciprocal", 4, "reciprocal">,
  I32EnumAttrCase<"Exp", 5, "exp">,
  I32EnumAttrCase<"Log", 6, "log">,
  I32EnumAttrCase<"Sigmoid", 7, "sigmoid">,
  I32EnumAttrCase<"Tanh", 8, "tanh">,
  I32EnumAttrCase<"Erf", 9, "erf">,
  I32EnumAttrCase<"Relu", 10, "relu">,
  I32EnumAttrCase<"GeluErf", 11, "gelu_erf">,
  I32EnumAttrCase<"GeluTanh", 12, "gelu_tanh">,
  I32EnumAttrCase<"Silu", 13, "silu">,
  I32EnumAttrCase<"Softplus", 14, "softplus">,
  I32EnumAttrCase<"Floor", 15, "floor">,
  I32EnumAttrCase<"Ceil", 16, "ceil">,
  I32EnumAttrCase<"Round", 17, "round">,
  I32EnumAttrCase<"Sign", 18, "sign">,
  I32EnumAttrCase<"Sin", 19, "sin">,
  I32EnumAttrCase<"Cos", 20, "cos">,
  I32EnumAttrCase<"Not", 21, "not">,
  I32EnumAttrCase<"IsNan", 22, "is_nan">,
  I32EnumAttrCase<"IsInf", 23, "is_inf">,
  I32EnumAttrCase<"IsPosInf", 24, "is_pos_inf">,
  I32EnumAttrCase<"IsNegInf", 25, "is_neg_inf">,
  I32EnumAttrCase<"QuickGelu", 26, "quick_gelu">,
  I32EnumAttrCase<"Square", 27, "square">
]>;
def Moe_UnaryKindAttr : Moe_EnumAttr<Moe_UnaryKind, "unary_kind">;

def Moe_BinaryKind : Moe_I32Enum<"BinaryKind", "function of two elements", [
  I32EnumAttrCase<"Add", 0, "add">,
  I32EnumAttrCase<"Sub", 1, "sub">,
  I32EnumAttrCase<"Mul", 2, "mul">,
  I32EnumAttrCase<"Div", 3, "div">,
  I32EnumAttrCase<"Pow", 4, "pow">,
  I32EnumAttrCase<"Mod", 5, "mod">,
  I32EnumAttrCase<"Fmod", 6, "fmod">,
  I32EnumAttrCase<"Min", 7, "min">,
  I32EnumAttrCase<"Max", 8, "max">,
  I32EnumAttrCase<"And", 9, "and">,
  I32EnumAttrCase<"Or", 10, "or">,
  I32EnumAttrCase<"Xor", 11, "xor">
]>;
def Moe_BinaryKindAttr : Moe_EnumAttr<Moe_BinaryKind, "binary_kind">;

def Moe_CompareKind : Moe_I32Enum<"CompareKind", "comparison", [
  I32EnumAttrCase<"Eq", 0, "eq">,
  I32EnumAttrCase<"Ne", 1, "ne">,
  I32EnumAttrCase<"Lt", 2, "lt">,
  I32EnumAttrCase<"Le", 3, "le">,
  I32EnumAttrCase<"Gt", 4, "gt">,
  I32EnumAttrCase<"Ge", 5, "ge">
]>;
def Moe_CompareKindAttr : Moe_EnumAttr<Moe_CompareKind, "compare_kind">;

def Moe_ReduceKind : Moe_I32Enum<"ReduceKind", "reduction", [
  I32EnumAttrCase<"Sum", 0, "sum">,
  I32EnumAttrCase<"Mean", 1, "mean">,
  I32EnumAttrCase<"Max", 2, "max">,
  I32EnumAttrCase<"Min", 3, "min">,
  I32EnumAttrCase<"Prod", 4, "prod">
]>;
def Moe_ReduceKindAttr : Moe_EnumAttr<Moe_ReduceKind, "reduce_kind">;

def Moe_ArgReduceKind : Moe_I32Enum<"ArgReduceKind", "index of an extreme", [
  I32EnumAttrCase<"Max", 0, "max">,
  I32EnumAttrCase<"Min", 1, "min">
]>;
def Moe_ArgReduceKindAttr : Moe_EnumAttr<Moe_ArgReduceKind, "arg_reduce_kind">;

def Moe_ScatterKind : Moe_I32Enum<"ScatterKind",
    "what a scatter does to the element that is there", [
  I32EnumAttrCase<"None", 0, "none">,
  I32EnumAttrCase<"Add", 1, "add">,
  I32EnumAttrCase<"Mul", 2, "mul">,
  I32EnumAttrCase<"Max", 3, "max">,
  I32EnumAttrCase<"Min", 4, "min">
]>;
def Moe_ScatterKindAttr : Moe_EnumAttr<Moe_ScatterKind, "scatter_kind">;

def Moe_PadMode : Moe_I32Enum<"PadMode", "what padding holds", [
  I32EnumAttrCase<"Constant", 0, "constant">,
  I32EnumAttrCase<"Edge", 1, "edge">,
  I32EnumAttrCase<"Reflect", 2, "reflect">,
  I32EnumAttrCase<"Wrap", 3, "wrap">
]>;
def Moe_PadModeAttr : Moe_EnumAttr<Moe_PadMode, "pad_mode">;

def Moe_NormKind : Moe_I32Enum<"NormKind", "normalization", [
  I32EnumAttrCase<"Layer", 0, "layer">,
  I32EnumAttrCase<"Rms", 1, "rms">
]>;
def Moe_NormKindAttr : Moe_EnumAttr<Moe_NormKind, "norm_kind">;

// Activation of an expert or dense FFN. `swiglu` is
// min(g, limit) * sigmoid(alpha * min(g, limit)) * (clamp(l, -limit, limit) +
// beta).
def Moe_Activation : Moe_I32Enum<"Activation", "activation of an FFN", [
  I32EnumAttrCase<"Identity", 0, "identity">,
  I32EnumAttrCase<"Relu", 1, "relu">,
  I32EnumAttrCase<"Relu2", 2, "relu2">,
  I32EnumAttrCase<"GeluErf", 3, "gelu_erf">,
  I32EnumAttrCase<"GeluTanh", 4, "gelu_tanh">,
  I32EnumAttrCase<"Silu", 5, "silu">,
  I32EnumAttrCase<"Swiglu", 6, "swiglu">,
  I32EnumAttrCase<"Sigmoid", 7, "sigmoid">,
  I32EnumAttrCase<"Tanh", 8, "tanh">
]>;
def Moe_ActivationAttr : Moe_EnumAttr<Moe_Activation, "activation">;

// How an FFN is gated: not; columns g0,l0,g1,l1 of w1; columns [g..|l..] of
// w1; or g from w1 and l from w3.
def Moe_Gating : Moe_I32Enum<"Gating", "where gate and linear part are", [
  I32EnumAttrCase<"None", 0, "none">,
  I32EnumAttrCase<"Interleaved", 1, "interleaved">,
  I32EnumAttrCase<"Concatenated", 2, "concatenated">,
  I32EnumAttrCase<"Split", 3, "split">
]>;
def Moe_GatingAttr : Moe_EnumAttr<Moe_Gating, "gating">;

// How a product reads its rows: as the numbers that they are, or, if its
// weights have codes of blocks (quantize, dequantize), rounded to 8 bits:
// blocks of 32 along K, scale = largest magnitude / 127 as f32, codes to the
// nearest, ties to even; a block of a row and a block of a column give the sum
// of the products of their codes, exactly, times both scales, in f32, added
// block after block.
def Moe_Arithmetic : Moe_I32Enum<"Arithmetic", "how products read rows", [
  I32EnumAttrCase<"Float", 0, "float">,
  I32EnumAttrCase<"Int8", 1, "int8">
]>;
def Moe_ArithmeticAttr : Moe_EnumAttr<Moe_Arithmetic, "arithmetic">;

def Moe_RouterScore : Moe_I32Enum<"RouterScore", "score of an expert", [
  I32EnumAttrCase<"Softmax", 0, "softmax">,
  I32EnumAttrCase<"Sigmoid", 1, "sigmoid">,
  I32EnumAttrCase<"Logits", 2, "logits">,
  I32EnumAttrCase<"SparseMixer", 3, "sparse_mixer">
]>;
def Moe_RouterScoreAttr : Moe_EnumAttr<Moe_RouterScore, "router_score">;

def Moe_GroupScore : Moe_I32Enum<"GroupScore", "score of a group of experts", [
  I32EnumAttrCase<"Max", 0, "max">,
  I32EnumAttrCase<"Top2Sum", 1, "top2_sum">
]>;
def Moe_GroupScoreAttr : Moe_EnumAttr<Moe_GroupScore, "group_score">;

// The mixing weight of a chosen expert: its score; the softmax over the
// logits of the k chosen; or the sigmoid of its logit.
def Moe_MixWeight : Moe_I32Enum<"MixWeight", "weight of a chosen expert", [
  I32EnumAttrCase<"Score", 0, "score">,
  I32EnumAttrCase<"SoftmaxTopk", 1, "softmax_topk">,
  I32EnumAttrCase<"SigmoidLogit", 2, "sigmoid_logit">
]>;
def Moe_MixWeightAttr : Moe_EnumAttr<Moe_MixWeight, "mix_weight">;

// none; w / (sum + eps); w / max(sum, eps).
def Moe_Normalize : Moe_I32Enum<"Normalize", "normalization of the k weights", [
  I32EnumAttrCase<"None", 0, "none">,
  I32EnumAttrCase<"SumPlus", 1, "sum_plus">,
  I32EnumAttrCase<"SumMax", 2, "sum_max">
]>;
def Moe_NormalizeAttr : Moe_EnumAttr<Moe_Normalize, "normalize">;

// Who keeps a place in an expert that overflows, and its slot there:
// choice: all first choices in token order, then all second choices (k = 1, 2;
// second choices queue behind ALL first choices, counted before dropping);
// token: token order; probs: the C highest per expert by softmax probability;
// logits: by logit, where a token that did not choose the expert competes with
// 0, so that a negative logit may lose its place to nobody (DeepSpeed 0.15.0 to
// 0.18.9); in both survivors sit in token order, ties go to the lower token;
// random: a seeded random set (DeepSpeed's random token
// selection), token order inside.
def Moe_DropPolicy : Moe_I32Enum<"DropPolicy", "who survives an overflow", [
  I32EnumAttrCase<"None", 0, "none">,
  I32EnumAttrCase<"Choice", 1, "choice">,
  I32EnumAttrCase<"Token", 2, "token">,
  I32EnumAttrCase<"Probs", 3, "probs">,
  I32EnumAttrCase<"Logits", 4, "logits">,
  I32EnumAttrCase<"Random", 5, "random">
]>;
def Moe_DropPolicyAttr : Moe_EnumAttr<Moe_DropPolicy, "drop_policy">;

def Moe_MixKind : Moe_I32Enum<"MixKind", "how two branches are mixed", [
  I32EnumAttrCase<"Residual", 0, "residual">,
  I32EnumAttrCase<"Add", 1, "add">,
  I32EnumAttrCase<"SigmoidGate", 2, "sigmoid_gate">
]>;
def Moe_MixKindAttr : Moe_EnumAttr<Moe_MixKind, "mix_kind">;

def Moe_CollectiveReduce : Moe_I32Enum<"CollectiveReduce",
    "reduction over ranks", [
  I32EnumAttrCase<"Sum", 0, "sum">,
  I32EnumAttrCase<"Max", 1, "max">
]>;
def Moe_CollectiveReduceAttr
    : Moe_EnumAttr<Moe_CollectiveReduce, "collective_reduce">;

// Ranks of the mesh that act together. Rank (o, t) has number o * tp + t, where
// o counts the dp * ep owners of rows and t the slices of tensors. rows: the
// ranks of equal t, by o; tp: the ranks of equal o, by t; world: all.
def Moe_CommGroup : Moe_I32Enum<"CommGroup", "ranks that act together", [
  I32EnumAttrCase<"Rows", 0, "rows">,
  I32EnumAttrCase<"Tp", 1, "tp">,
  I32EnumAttrCase<"World", 2, "world">
]>;
def Moe_CommGroupAttr : Moe_EnumAttr<Moe_CommGroup, "comm_group">;

// How rows travel to experts. flat: every pair of ranks; hierarchical: first
// inside a node, then between equal ranks of nodes; replicated: every rank of
// the group has all rows already and takes those of its experts.
def Moe_ExchangeForm : Moe_I32Enum<"ExchangeForm", "how rows travel", [
  I32EnumAttrCase<"Flat", 0, "flat">,
  I32EnumAttrCase<"Hierarchical", 1, "hierarchical">,
  I32EnumAttrCase<"Replicated", 2, "replicated">
]>;
def Moe_ExchangeFormAttr : Moe_EnumAttr<Moe_ExchangeForm, "exchange_form">;

//===----------------------------------------------------------------------===//
// Attributes
//===----------------------------------------------------------------------===//

class Moe_Attr<string name, string attrMnemonic, list<Trait> traits = []>
    : AttrDef<Moe_Dialect, name, traits> {
  let mnemonic = attrMnemonic;
}

def Moe_DimsAttr : Moe_Attr<"Dims", "dims",
    [DeclareAttrInterfaceMethods<VerifiableTensorEncoding>]> {
  let summary = "sizes as expressions over symbols";
  let description = [{
    `#moe.dims<batch, past + seq, 128>`. Each entry is the normal form of a
    DimExpr, kept as text, so equal sizes are equal attributes. As the encoding
    of a tensor there is one entry for each dimension: the constant where the
    dimension is static, an expression where it is `?`.
  }];
  let parameters = (ins ArrayRefParameter<"::mlir::StringAttr">:$exprs);
  let hasCustomAssemblyFormat = 1;
  let genVerifyDecl = 1;
  let extraClassDeclaration = [{
    static DimsAttr get(::mlir::MLIRContext *context,
                        ::llvm::ArrayRef<::moe::DimExpr> dims);
    static DimsAttr get(::mlir::MLIRContext *context,
                        ::llvm::ArrayRef<int64_t> dims);
    /// The entries parsed.
    ::llvm::SmallVector<::moe::DimExpr> getDims() const;
    ::moe::DimExpr getDim(unsigned i) const;
    size_t size() const { return getExprs().size(); }
  }];
}

def Moe_ParamAttr : Moe_Attr<"Param", "param"> {
  let summary = "a weight: an expression over file ranges and constants";
  let description = [{
    A tree. Leaves: `file` (bytes [ints[0], ints[0] + ints[1]) of `file`),
    `varint` (the same, protobuf varints), `fill` (`value`), `inline` (`value`,
    a DenseElementsAttr of at most 1 KiB). Inner nodes: `slice` (ints: starts,
    then steps), `transpose` (ints: permutation), `reshape`, `concat` (ints:
    axis), `stack` (new first axis), `cast`, `scale` (`value`), `add`, `mul`,
    `dequantize` (operands q, scales, [zero points]; ints: bits, block),
    `quantize` (operand [.., K, N], ints: bits, block along K, zero points: the
    values that are left after rounding to blocks of integers), `take` (ints:
    axis, then which entry each one is). The kinds and their meaning are those of
    ParamExprKind in runtime/plan/Plan.fbs. `type` is the shape and element type of the result.

    ```mlir
    #moe.param<transpose [1, 0] (#moe.param<file "model.onnx" [1024, 2048]
      : tensor<16x32xf32>>) : tensor<32x16xf32>>
    #moe.param<fill = 1.0 : f32 : tensor<32xf32>>
    ```
    dialect/moe/ParamBuilder.h makes them, simplified.
  }];
  let parameters = (ins
    "::mlir::StringAttr":$kind,
    OptionalParameter<"::mlir::StringAttr">:$file,
    OptionalParameter<"::mlir::Attribute">:$value,
    OptionalArrayRefParameter<"int64_t">:$ints,
    OptionalArrayRefParameter<"::mlir::Attribute">:$operands,
    "::mlir::RankedTensorType":$type);
  let hasCustomAssemblyFormat = 1;
  let genVerifyDecl = 1;
}

def Moe_PlacementAttr : Moe_Attr<"Placement", "placement"> {
  let summary = "the ranks that hold each expert, or slices of it";
  let description = [{
    `#moe.placement<4 [[0], [0], [1], [2, 3]]>`: four ranks of the group rows;
    expert 3 has two replicas. `#moe.placement<8 over world domains 2 [[0, 4],
    [1 + 2, 5 + 6]]>`: each replica of expert 1 is sliced: rank 1 holds the
    first half of the intermediate dimension, rank 2 the second, and their
    results are partial sums. `experts` holds the ranks of an expert replica
    after replica, `slices` how many make one replica.

    The ranks form `domains` equal blocks, rank r in block floor(r * domains /
    numRanks), and so do the replicas of each expert: a sender uses those of its
    block. Of n rows for an expert with c replicas there, sender r gives replica
    (r + i) modulo c the rows [floor(i * n / c), floor((i + 1) * n / c)).
  }];
  let parameters = (ins "int64_t":$numRanks,
                    "::moe::dialect::CommGroup":$group, "int64_t":$domains,
                    ArrayRefParameter<"::mlir::DenseI64ArrayAttr">:$experts,
                    ArrayRefParameter<"int64_t">:$slices);
  let builders = [
    /// Whole experts, one domain.
    AttrBuilder<(ins "int64_t":$numRanks,
                 "::llvm::ArrayRef<::mlir::DenseI64ArrayAttr>":$experts), [{
      return $_get($_ctxt, numRanks, CommGroup::Rows, /*domains=*/1, experts,
                   ::llvm::SmallVector<int64_t>(experts.size(), 1));
    }]>
  ];
  let hasCustomAssemblyFormat = 1;
  let genVerifyDecl = 1;
  let extraClassDeclaration = [{
    /// Slice `slice` of `numSlices` of an expert.
    struct LocalExpert {
      int64_t expert = 0;
      int64_t slice = 0;
      int64_t numSlices = 1;
    };
    /// What `rank` holds, experts rising.
    ::llvm::SmallVector<LocalExpert> localExperts(int64_t rank) const;
    /// Experts that `rank` holds (slices of), in order.
    ::llvm::SmallVector<int64_t> expertsOf(int64_t rank) const;
    /// The largest number of experts on one rank.
    int64_t maxLocalExperts() const;
    bool hasSlices() const;
    /// Of a sender's `count` rows for `expert`, the replica of each part and
    /// the part's rows: (ranks of the slices, begin, end), in the order of rows.
    struct Share {
      ::llvm::ArrayRef<int64_t> ranks;
      int64_t begin = 0;
      int64_t end = 0;
    };
    ::llvm::SmallVector<Share> sharesOf(int64_t expert, int64_t sender,
                                        int64_t count) const;
  }];
}

def Moe_MeshAttr : Moe_Attr<"Mesh", "mesh"> {
  let summary = "the mesh of ranks";
  let description = "`#moe.mesh<dp = 1, ep = 4, tp = 1>`";
  let parameters = (ins "int64_t":$dp, "int64_t":$ep, "int64_t":$tp);
  let assemblyFormat = "`<` struct(params) `>`";
  let genVerifyDecl = 1;
}

#endif // MOE_DIALECT_MOE_MOEATTRS_TD
