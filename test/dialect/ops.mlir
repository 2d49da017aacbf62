// RUN: moe-opt %s | moe-opt | FileCheck %s
// RUN: moe-opt %s --verify-roundtrip -o /dev/null

// Every operation prints as it parses.

#batch = #moe.dims<batch, seq, 16>
!x = tensor<?x?x16xf32, #moe.dims<batch, seq, 16>>
!rows = tensor<?x16xf32, #moe.dims<d0, 16>>

// CHECK-LABEL: @leaves
func.func @leaves(%n: tensor<i64>) {
  // CHECK: moe.param "w" <transpose [1, 0] (#moe.param<file "m.onnx" [64, 32] : tensor<2x4xf32>>) : tensor<4x2xf32>> : tensor<4x2xf32>
  %0 = moe.param "w" <transpose [1, 0] (#moe.param<file "m.onnx" [64, 32]
    : tensor<2x4xf32>>) : tensor<4x2xf32>> : tensor<4x2xf32>
  // CHECK: moe.constant dense<[1, 2]> : tensor<2xi64>
  %1 = moe.constant dense<[1, 2]> : tensor<2xi64> : tensor<2xi64>
  // CHECK: moe.shape <batch, 2 * seq> : tensor<2xi64>
  %2 = moe.shape <batch, seq * 2> : tensor<2xi64>
  // CHECK: moe.iota <past> : tensor<?xi64, #moe.dims<seq>>
  %3 = moe.iota <past> : tensor<?xi64, #moe.dims<seq>>
  // CHECK: moe.range %{{.*}}, %{{.*}}, %{{.*}} : (tensor<i64>, tensor<i64>, tensor<i64>) -> tensor<?xi64, #moe.dims<d0>>
  %4 = moe.range %n, %n, %n : (tensor<i64>, tensor<i64>, tensor<i64>)
    -> tensor<?xi64, #moe.dims<d0>>
  return
}

// CHECK-LABEL: @elementwise
func.func @elementwise(%x: !x, %b: tensor<16xf32>) {
  // CHECK: moe.unary gelu_erf
  %0 = moe.unary gelu_erf %x : (!x) -> !x
  // CHECK: moe.binary add
  %1 = moe.binary add %x, %b : (!x, tensor<16xf32>) -> !x
  // CHECK: moe.compare lt
  %2 = moe.compare lt %x, %b : (!x, tensor<16xf32>)
    -> tensor<?x?x16xi1, #batch>
  // CHECK: moe.select
  %3 = moe.select %2, %x, %b : (tensor<?x?x16xi1, #batch>, !x, tensor<16xf32>)
    -> !x
  // CHECK: moe.cast
  %4 = moe.cast %x : (!x) -> tensor<?x?x16xf16, #batch>
  // CHECK: moe.elementwise
  // CHECK-NEXT: ^bb0(%[[A:.*]]: tensor<f32>, %[[B:.*]]: tensor<f32>):
  // CHECK-NEXT:   moe.binary mul %[[A]], %[[B]]
  // CHECK-NEXT:   moe.yield
  %5 = moe.elementwise %x, %b : (!x, tensor<16xf32>) -> !x {
  ^bb0(%a: tensor<f32>, %c: tensor<f32>):
    %6 = moe.binary mul %a, %c : (tensor<f32>, tensor<f32>) -> tensor<f32>
    moe.yield %6 : tensor<f32>
  }
  return
}

// CHECK-LABEL: @compute
func.func @compute(%x: !x, %w: tensor<16x8xf32>, %b: tensor<8xf32>,
                   %s: tensor<16xf32>) {
  // CHECK: moe.reduce mean %{{.*}} {axes = array<i64: 2>, keepdims = true}
  %0 = moe.reduce mean %x {axes = array<i64: 2>, keepdims = true}
    : (!x) -> tensor<?x?x1xf32, #moe.dims<batch, seq, 1>>
  // CHECK: moe.arg_reduce max
  %1 = moe.arg_reduce max %x {axis = 2 : i64, keepdims = false}
    : (!x) -> tensor<?x?xi64, #moe.dims<batch, seq>>
  // CHECK: moe.matmul %{{.*}}, %{{.*}}, %{{.*}} :
  %2 = moe.matmul %x, %w, %b : (!x, tensor<16x8xf32>, tensor<8xf32>)
    -> tensor<?x?x8xf32, #moe.dims<batch, seq, 8>>
  // CHECK: moe.cumsum
  %3 = moe.cumsum %x {axis = 1 : i64, exclusive = true} : (!x) -> !x
  // CHECK: moe.top_k
  %4:2 = moe.top_k %x {axis = 2 : i64} : (!x)
    -> (tensor<?x?x2xf32, #moe.dims<batch, seq, 2>>,
        tensor<?x?x2xi64, #moe.dims<batch, seq, 2>>)
  // CHECK: moe.softmax
  %5 = moe.softmax %x {axis = 2 : i64} : (!x) -> !x
  // CHECK: moe.norm rms %{{.*}} scale %{{.*}} {axis = 2 : i64, epsilon = {{.*}} : f32}
  %6 = moe.norm rms %x scale %s {axis = 2 : i64, epsilon = 1.0e-5 : f32}
    : (!x, tensor<16xf32>) -> !x
  return
}

// CHECK-LABEL: @by_index
func.func @by_index(%x: tensor<4x8xf32>, %i: tensor<3xi64>,
                    %t: tensor<5x2xi64>, %e: tensor<4x2xi64>,
                    %u: tensor<5xf32>, %v: tensor<4x2xf32>,
                    %d: tensor<2xf32>) {
  // CHECK: moe.gather %{{.*}}, %{{.*}} {axis = 1 : i64} : (tensor<4x8xf32>, tensor<3xi64>) -> tensor<4x3xf32>
  %0 = moe.gather %x, %i {axis = 1 : i64}
    : (tensor<4x8xf32>, tensor<3xi64>) -> tensor<4x3xf32>
  // CHECK: moe.gather_nd
  %1 = moe.gather_nd %x, %t : (tensor<4x8xf32>, tensor<5x2xi64>)
    -> tensor<5xf32>
  // CHECK: moe.gather_elements
  %2 = moe.gather_elements %x, %e {axis = 1 : i64}
    : (tensor<4x8xf32>, tensor<4x2xi64>) -> tensor<4x2xf32>
  // CHECK: moe.scatter_elements
  %3 = moe.scatter_elements %x, %e, %v {axis = 1 : i64}
    : (tensor<4x8xf32>, tensor<4x2xi64>, tensor<4x2xf32>) -> tensor<4x8xf32>
  // CHECK: moe.scatter_nd {{.*}} {kind = #moe<scatter_kind add>}
  %4 = moe.scatter_nd %x, %t, %u {kind = #moe<scatter_kind add>}
    : (tensor<4x8xf32>, tensor<5x2xi64>, tensor<5xf32>) -> tensor<4x8xf32>
  // CHECK: moe.one_hot
  %5 = moe.one_hot %i, %d {axis = 1 : i64} : (tensor<3xi64>, tensor<2xf32>)
    -> tensor<3x7xf32>
  // CHECK: moe.non_zero
  %6 = moe.non_zero %x : (tensor<4x8xf32>)
    -> tensor<2x?xi64, #moe.dims<2, d0>>
  return
}

// CHECK-LABEL: @by_position
func.func @by_position(%x: !x, %z: tensor<f32>) {
  // CHECK: moe.slice %{{.*}} <0, seq - 1, 0> {steps = array<i64: 1, 1, 2>}
  %0 = moe.slice %x <0, seq - 1, 0> {steps = array<i64: 1, 1, 2>} : (!x)
    -> tensor<?x1x8xf32, #moe.dims<batch, 1, 8>>
  // CHECK: moe.concat {{.*}} -> tensor<?x?x16xf32, #moe.dims<batch, 2 * seq, 16>>
  %1 = moe.concat %x, %x {axis = 1 : i64} : (!x, !x)
    -> tensor<?x?x16xf32, #moe.dims<batch, 2 * seq, 16>>
  // CHECK: moe.pad constant %{{.*}}, %{{.*}} <0, 1, 0>
  %2 = moe.pad constant %x, %z <0, 1, 0> : (!x, tensor<f32>)
    -> tensor<?x?x16xf32, #moe.dims<batch, seq + 2, 16>>
  // CHECK: moe.transpose
  %3 = moe.transpose %x {permutation = array<i64: 1, 0, 2>} : (!x)
    -> tensor<?x?x16xf32, #moe.dims<seq, batch, 16>>
  // CHECK: moe.reshape {{.*}} -> tensor<?x4x4xf32, #moe.dims<batch * seq, 4, 4>>
  %4 = moe.reshape %x : (!x)
    -> tensor<?x4x4xf32, #moe.dims<batch * seq, 4, 4>>
  // CHECK: moe.broadcast
  %5 = moe.broadcast %z : (tensor<f32>) -> !x
  // CHECK: moe.trilu %{{.*}} <past> {upper = true}
  %6 = moe.trilu %x <past> {upper = true} : (!x) -> !x
  return
}

// CHECK-LABEL: @attention
func.func @attention(%q: tensor<2x4x3x8xf32>, %k: tensor<2x2x5x8xf32>,
                     %c: tensor<1x3x4xf32>, %m: tensor<3x5xi1>,
                     %s: tensor<4xf32>, %l: tensor<2xi64>) {
  // CHECK: moe.rotary
  %0 = moe.rotary %q, %c, %c {rotary_dim = 8 : i64}
    : (tensor<2x4x3x8xf32>, tensor<1x3x4xf32>, tensor<1x3x4xf32>)
    -> tensor<2x4x3x8xf32>
  // CHECK: moe.attention %{{.*}}, %{{.*}}, %{{.*}} mask %{{.*}} sink %{{.*}} lengths %{{.*}} {causal = true, scale = 1.000000e+00 : f32}
  %1 = moe.attention %q, %k, %k mask %m sink %s lengths %l
    {scale = 1.0 : f32, causal = true}
    : (tensor<2x4x3x8xf32>, tensor<2x2x5x8xf32>, tensor<2x2x5x8xf32>,
       tensor<3x5xi1>, tensor<4xf32>, tensor<2xi64>) -> tensor<2x4x3x8xf32>
  // CHECK: moe.cache_append "kv"
  %2 = moe.cache_append "kv" %k, %k {axis = 2 : i64}
    : (tensor<2x2x5x8xf32>, tensor<2x2x5x8xf32>) -> tensor<2x2x10x8xf32>
  return
}

// CHECK-LABEL: @experts
func.func @experts(%x: tensor<?x16xf32, #moe.dims<batch, 16>>,
                   %logits: tensor<?x4xf32, #moe.dims<batch, 4>>,
                   %w1: tensor<4x16x32xf32>, %w2: tensor<4x32x16xf32>,
                   %u: tensor<16x32xf32>, %v: tensor<32x16xf32>,
                   %g: tensor<?x2xf32, #moe.dims<batch, 2>>) {
  // CHECK: moe.gate %{{.*}} {k = 2 : i64, normalize = #moe<normalize sum_max>}
  %0:2 = moe.gate %logits {k = 2 : i64, normalize = #moe<normalize sum_max>}
    : (tensor<?x4xf32, #moe.dims<batch, 4>>)
    -> (tensor<?x2xf32, #moe.dims<batch, 2>>,
        tensor<?x2xi32, #moe.dims<batch, 2>>)
  // CHECK: moe.dispatch
  %1:3 = moe.dispatch %x, %0#1 {num_experts = 4 : i64}
    : (tensor<?x16xf32, #moe.dims<batch, 16>>,
       tensor<?x2xi32, #moe.dims<batch, 2>>)
    -> (!rows, tensor<4xi32>, tensor<?x2xi32, #moe.dims<batch, 2>>)
  // CHECK: moe.experts relu %{{.*}}, %{{.*}} w1 %{{.*}} w2 %{{.*}} :
  %2 = moe.experts relu %1#0, %1#1 w1 %w1 w2 %w2
    : (!rows, tensor<4xi32>, tensor<4x16x32xf32>, tensor<4x32x16xf32>) -> !rows
  // CHECK: moe.combine
  %3 = moe.combine %2, %1#2, %0#0
    : (!rows, tensor<?x2xi32, #moe.dims<batch, 2>>,
       tensor<?x2xf32, #moe.dims<batch, 2>>)
    -> tensor<?x16xf32, #moe.dims<batch, 16>>
  // CHECK: moe.ffn silu {{.*}} w3 %{{.*}} {gating = #moe<gating split>}
  %4 = moe.ffn silu %x w1 %u w2 %v w3 %u {gating = #moe<gating split>}
    : (tensor<?x16xf32, #moe.dims<batch, 16>>, tensor<16x32xf32>,
       tensor<32x16xf32>, tensor<16x32xf32>)
    -> tensor<?x16xf32, #moe.dims<batch, 16>>
  // CHECK: moe.mix residual %{{.*}}, %{{.*}} gate %{{.*}} :
  %5 = moe.mix residual %3, %4 gate %g
    : (tensor<?x16xf32, #moe.dims<batch, 16>>,
       tensor<?x16xf32, #moe.dims<batch, 16>>,
       tensor<?x2xf32, #moe.dims<batch, 2>>)
    -> tensor<?x16xf32, #moe.dims<batch, 16>>
  return
}

// CHECK-LABEL: @collectives
func.func @collectives(%rows: !rows, %counts: tensor<4xi32>,
                       %x: tensor<?x4xf32, #moe.dims<batch.local, 4>>)
    attributes {moe.local_symbols = {"batch.local" = "batch"}} {
  // CHECK: moe.all_to_all %{{.*}}, %{{.*}} {placement = #moe.placement<2 {{\[\[}}0], [0], [1], [0, 1{{\]\]}}>}
  %0:3 = moe.all_to_all %rows, %counts
    {placement = #moe.placement<2 [[0], [0], [1], [0, 1]]>}
    : (!rows, tensor<4xi32>)
    -> (tensor<?x16xf32, #moe.dims<d1, 16>>, tensor<3xi32>, tensor<2x4xi32>)
  // CHECK: moe.all_to_all_back
  %1 = moe.all_to_all_back %0#0, %0#2, %counts
    {placement = #moe.placement<2 [[0], [0], [1], [0, 1]]>}
    : (tensor<?x16xf32, #moe.dims<d1, 16>>, tensor<2x4xi32>, tensor<4xi32>)
    -> !rows
  // CHECK: moe.all_gather %{{.*}} {axis = 0 : i64, part = "batch.local"}
  %2 = moe.all_gather %x {axis = 0 : i64, part = "batch.local"}
    : (tensor<?x4xf32, #moe.dims<batch.local, 4>>)
    -> tensor<?x4xf32, #moe.dims<batch, 4>>
  // CHECK: moe.all_reduce sum
  %3 = moe.all_reduce sum %2 : (tensor<?x4xf32, #moe.dims<batch, 4>>)
    -> tensor<?x4xf32, #moe.dims<batch, 4>>
  // CHECK: moe.shard
  %4 = moe.shard %3 {axis = 0 : i64, part = "batch.local"}
    : (tensor<?x4xf32, #moe.dims<batch, 4>>)
    -> tensor<?x4xf32, #moe.dims<batch.local, 4>>
  // CHECK: moe.reduce_scatter max
  %5 = moe.reduce_scatter max %3 {axis = 0 : i64, part = "batch.local"}
    : (tensor<?x4xf32, #moe.dims<batch, 4>>)
    -> tensor<?x4xf32, #moe.dims<batch.local, 4>>
  return
}
