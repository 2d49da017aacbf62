// RUN: moe-opt %s --split-input-file --moe-fuse-elementwise --moe-lower-to-plan \
// RUN:   | FileCheck %s

// Operations become steps; weights lie as their kernels read them.

// CHECK: plan.program
// CHECK: plan.symbol "batch" {{ *}}input {axis = 0 : i64, input = 0 : i64}
// CHECK: plan.param "w" f32 "panel16" [8, 4] blocks [#moe.param<transpose [1, 0] (#moe.param<file "m.bin" [0, 128] : tensor<4x8xf32>>) : tensor<8x4xf32>>]
// CHECK: plan.param "b" f32 "row" [4]
// CHECK: %[[X:.*]] = plan.buffer {{ *}}input "x" f32 <batch, 8> {index = 0 : i64}
// CHECK: %[[Y:.*]] = plan.buffer {{ *}}output "y" f32 <batch, 4> {index = 0 : i64}
// CHECK: %[[W:.*]] = plan.buffer {{ *}}param "w" f32 <8, 4> {index = 0 : i64}
// CHECK: %[[B:.*]] = plan.buffer {{ *}}param "b" f32 <4> {index = 1 : i64}
// CHECK: %[[H:.*]] = plan.buffer {{ *}}arena "/MatMul" f32 <batch, 4>
// CHECK: plan.input "x" f32 <batch, 8> in %[[X]]
// CHECK: plan.output "y" f32 <batch, 4> in %[[Y]]
// CHECK: plan.step "matmul" ins(%[[X]], %[[W]], %[[B]]) outs(%[[H]]) {transpose_rhs = 0 : i64} nodes ["/MatMul"]
// CHECK: plan.step "elementwise" ins(%[[H]]) outs(%[[Y]])
// CHECK-SAME: program [#plan.instr<"constant" f32 [] = 2.000000e+00 : f64>, #plan.instr<"mul" f32 [0, 1]>, #plan.instr<"relu" f32 [2]>]
// CHECK-SAME: registers [3]
// CHECK-SAME: nodes ["/Mul", "/Relu"]
func.func @main(%x: tensor<?x8xf32, #moe.dims<batch, 8>> {moe.name = "x"})
    -> (tensor<?x4xf32, #moe.dims<batch, 4>> {moe.name = "y"}) {
  %w = moe.param "w" <file "m.bin" [0, 128] : tensor<4x8xf32>> : tensor<4x8xf32>
  %b = moe.param "b" <file "m.bin" [128, 16] : tensor<4xf32>> : tensor<4xf32>
  %two = moe.constant dense<2.0> : tensor<f32> : tensor<f32>
  %0 = moe.matmul %x, %w, %b {transpose_rhs = true} : (tensor<?x8xf32, #moe.dims<batch, 8>>, tensor<4x8xf32>, tensor<4xf32>) -> tensor<?x4xf32, #moe.dims<batch, 4>> loc("/MatMul")
  %1 = moe.binary mul %0, %two : (tensor<?x4xf32, #moe.dims<batch, 4>>, tensor<f32>) -> tensor<?x4xf32, #moe.dims<batch, 4>> loc("/Mul")
  %2 = moe.unary relu %1 : (tensor<?x4xf32, #moe.dims<batch, 4>>) -> tensor<?x4xf32, #moe.dims<batch, 4>> loc("/Relu")
  func.return %2 : tensor<?x4xf32, #moe.dims<batch, 4>>
}

// -----

// Each expert has its block; a layer says what its router does.

// CHECK: plan.layer 2 experts k 1 "softmax top-1" capacity "factor 1, at least 4, keeps in token order" residual places <1 {{\[\[}}0], [0]]> nodes ["/TopK", "/Experts", "/Mix"]
// CHECK: plan.param "w1" f32 "panel16" [4, 8] blocks [#moe.param<file "m.bin" [0, 128] : tensor<4x8xf32>>, #moe.param<file "m.bin" [128, 128] : tensor<4x8xf32>>] {experts = 2 : i64, is_expert, layer = 0 : i64}
// CHECK: plan.param "b1" f32 "row" [8] blocks [#moe.param<fill = 1.000000e+00 : f32 : tensor<8xf32>>, #moe.param<fill = 1.000000e+00 : f32 : tensor<8xf32>>]
// CHECK: plan.param "w2" f32 "panel16" [8, 4] blocks [#moe.param<file "a.bin" [0, 128] : tensor<8x4xf32>>, #moe.param<file "b.bin" [0, 128] : tensor<8x4xf32>>] {experts = 2 : i64, is_expert, layer = 0 : i64}
// CHECK: %[[NONE:.*]] = plan.none
// CHECK: plan.step "gate" ins(%{{.*}}, %[[NONE]], %[[NONE]], %[[NONE]], %[[NONE]])
// CHECK-SAME: drop_policy = "token"
// CHECK-SAME: layer 0
// CHECK: plan.step "routed_experts" ins(%{{.*}}, %{{.*}}, %{{.*}}, %[[W1:.*]], %[[B1:.*]], %[[W2:.*]], %[[NONE]], %[[NONE]], %[[NONE]])
// CHECK-SAME: activation = "relu"
// CHECK-SAME: layer 0
func.func @main(%x: tensor<?x4xf32, #moe.dims<t, 4>>, %logits: tensor<?x2xf32, #moe.dims<t, 2>>,
                %gate: tensor<?x2xf32, #moe.dims<t, 2>>)
    -> tensor<?x4xf32, #moe.dims<t, 4>> attributes {moe.data_symbols = {r = "t"}} {
  %w1 = moe.param "w1" <file "m.bin" [0, 256] : tensor<2x4x8xf32>> : tensor<2x4x8xf32>
  %w2 = moe.param "w2" <stack (#moe.param<file "a.bin" [0, 128] : tensor<8x4xf32>>, #moe.param<file "b.bin" [0, 128] : tensor<8x4xf32>>) : tensor<2x8x4xf32>> : tensor<2x8x4xf32>
  %b1 = moe.param "b1" <fill = 1.0 : f32 : tensor<2x8xf32>> : tensor<2x8xf32>
  %weights, %experts = moe.gate %logits {k = 1 : i64, drop_policy = #moe<drop_policy token>, min_capacity = 4 : i64} : (tensor<?x2xf32, #moe.dims<t, 2>>) -> (tensor<?x1xf32, #moe.dims<t, 1>>, tensor<?x1xi32, #moe.dims<t, 1>>) loc("/TopK")
  %rows, %counts, %slots = moe.dispatch %x, %experts {num_experts = 2 : i64} : (tensor<?x4xf32, #moe.dims<t, 4>>, tensor<?x1xi32, #moe.dims<t, 1>>) -> (tensor<?x4xf32, #moe.dims<r, 4>>, tensor<2xi32>, tensor<?x1xi32, #moe.dims<t, 1>>)
  %0 = moe.experts relu %rows, %counts w1 %w1 b1 %b1 w2 %w2 {placement = #moe.placement<1 [[0], [0]]>} : (tensor<?x4xf32, #moe.dims<r, 4>>, tensor<2xi32>, tensor<2x4x8xf32>, tensor<2x8xf32>, tensor<2x8x4xf32>) -> tensor<?x4xf32, #moe.dims<r, 4>> loc("/Experts")
  %1 = moe.combine %0, %slots, %weights : (tensor<?x4xf32, #moe.dims<r, 4>>, tensor<?x1xi32, #moe.dims<t, 1>>, tensor<?x1xf32, #moe.dims<t, 1>>) -> tensor<?x4xf32, #moe.dims<t, 4>>
  %2 = moe.mix residual %1, %x gate %gate : (tensor<?x4xf32, #moe.dims<t, 4>>, tensor<?x4xf32, #moe.dims<t, 4>>, tensor<?x2xf32, #moe.dims<t, 2>>) -> tensor<?x4xf32, #moe.dims<t, 4>> loc("/Mix")
  func.return %2 : tensor<?x4xf32, #moe.dims<t, 4>>
}

// -----

// A cache is a state that its step appends to; ports name its past and present.

// CHECK: plan.state "kv" f32 <batch, 2, past + seq, 8> axis 2 length "past" {input = 0 : i64, output = 0 : i64}
// CHECK: %[[PAST:.*]] = plan.buffer {{ *}}state "kv" f32 <batch, 2, past, 8> {index = 0 : i64}
// CHECK: %[[PRESENT:.*]] = plan.buffer {{ *}}state "kv" f32 <batch, 2, past + seq, 8> {index = 0 : i64}
// CHECK: plan.input "past" f32 <batch, 2, past, 8> {state = 0 : i64}
// CHECK: plan.output "present" f32 <batch, 2, past + seq, 8> {state = 0 : i64}
// CHECK: plan.step "cache_append" ins(%[[PAST]], %{{.*}}) outs(%[[PRESENT]]) {axis = 2 : i64}
func.func @main(%past: tensor<?x2x?x8xf32, #moe.dims<batch, 2, past, 8>> {moe.name = "past", moe.state = "kv"},
                %new: tensor<?x2x?x8xf32, #moe.dims<batch, 2, seq, 8>>)
    -> (tensor<?x2x?x8xf32, #moe.dims<batch, 2, past + seq, 8>> {moe.name = "present", moe.state = "kv"}) {
  %0 = moe.cache_append "kv" %past, %new {axis = 2 : i64} : (tensor<?x2x?x8xf32, #moe.dims<batch, 2, past, 8>>, tensor<?x2x?x8xf32, #moe.dims<batch, 2, seq, 8>>) -> tensor<?x2x?x8xf32, #moe.dims<batch, 2, past + seq, 8>>
  func.return %0 : tensor<?x2x?x8xf32, #moe.dims<batch, 2, past + seq, 8>>
}

// -----

// A past that is no state is joined with what is new.

// CHECK-NOT: plan.state
// CHECK: plan.step "concat"
func.func @main(%past: tensor<?x8xf32, #moe.dims<past, 8>>, %new: tensor<?x8xf32, #moe.dims<seq, 8>>)
    -> tensor<?x8xf32, #moe.dims<past + seq, 8>> {
  %0 = moe.cache_append "kv" %past, %new {axis = 0 : i64} : (tensor<?x8xf32, #moe.dims<past, 8>>, tensor<?x8xf32, #moe.dims<seq, 8>>) -> tensor<?x8xf32, #moe.dims<past + seq, 8>>
  func.return %0 : tensor<?x8xf32, #moe.dims<past + seq, 8>>
}

// -----

// What no step computes is copied to its output.

// CHECK: %[[X:.*]] = plan.buffer {{ *}}input
// CHECK: %[[Y:.*]] = plan.buffer {{ *}}output
// CHECK: plan.step "copy" ins(%[[X]]) outs(%[[Y]])
func.func @main(%x: tensor<4xf32>) -> tensor<4xf32> {
  func.return %x : tensor<4xf32>
}

// -----

// Matrices of two bytes are packed as they are; a transposed one as [K, N].

// CHECK: plan.param "w" f16 "panel16" [8, 4] blocks [#moe.param<transpose [1, 0] (#moe.param<file "m.bin" [0, 64] : tensor<4x8xf16>>) : tensor<8x4xf16>>]
// CHECK: plan.param "b" f16 "row" [4]
// CHECK: plan.param "v" bf16 "panel16" [4, 4] blocks [#moe.param<file "m.bin" [72, 32] : tensor<4x4xbf16>>]
// CHECK: plan.step "matmul"
// CHECK-SAME: transpose_rhs = 0 : i64
// CHECK: plan.step "matmul"
func.func @main(%x: tensor<?x8xf16, #moe.dims<batch, 8>>, %z: tensor<?x4xbf16, #moe.dims<batch, 4>>)
    -> (tensor<?x4xf16, #moe.dims<batch, 4>>, tensor<?x4xbf16, #moe.dims<batch, 4>>) {
  %w = moe.param "w" <file "m.bin" [0, 64] : tensor<4x8xf16>> : tensor<4x8xf16>
  %b = moe.param "b" <file "m.bin" [64, 8] : tensor<4xf16>> : tensor<4xf16>
  %v = moe.param "v" <file "m.bin" [72, 32] : tensor<4x4xbf16>> : tensor<4x4xbf16>
  %0 = moe.matmul %x, %w, %b {transpose_rhs = true} : (tensor<?x8xf16, #moe.dims<batch, 8>>, tensor<4x8xf16>, tensor<4xf16>) -> tensor<?x4xf16, #moe.dims<batch, 4>>
  %1 = moe.matmul %z, %v : (tensor<?x4xbf16, #moe.dims<batch, 4>>, tensor<4x4xbf16>) -> tensor<?x4xbf16, #moe.dims<batch, 4>>
  func.return %0, %1 : tensor<?x4xf16, #moe.dims<batch, 4>>, tensor<?x4xbf16, #moe.dims<batch, 4>>
}
