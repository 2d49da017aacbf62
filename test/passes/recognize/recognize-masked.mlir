// RUN: moe-opt %s --moe-recognize-masked | FileCheck %s
// RUN: moe-opt %s --moe-interpret-keep --moe-recognize-masked \
// RUN:   --moe-interpret="after=masked_experts dims=tokens:5 max-integer=2" \
// RUN:   -o /dev/null

// Two experts on all tokens; the residual stream is added in the same chain.
// CHECK-LABEL: func.func @masked_experts
// CHECK-SAME: (%[[X:[a-z0-9]*]]: tensor<{{[^)]*}}>, %[[W:[a-z0-9]*]]: tensor<{{[^)]*}}>, %[[I:[a-z0-9]*]]: tensor
// CHECK: %[[E:.*]] = moe.cast %[[I]]
// CHECK: %[[R:.*]], %[[N:.*]], %[[S:.*]] = moe.dispatch %[[X]], %[[E]] {num_experts = 2 : i64}
// CHECK-DAG: moe.param "experts.*.w1" <stack
// CHECK-DAG: moe.param "experts.*.w2" <stack
// CHECK: %[[O:.*]] = moe.experts silu %[[R]], %[[N]]
// CHECK: %[[C:.*]] = moe.combine %[[O]], %[[S]], %[[W]]
// CHECK: %[[Y:.*]] = moe.binary add %[[X]], %[[C]]
// CHECK: return %[[Y]]
func.func @masked_experts(%x: tensor<?x4xf32, #moe.dims<tokens, 4>>, %w: tensor<?x2xf32, #moe.dims<tokens, 2>>, %i: tensor<?x2xi64, #moe.dims<tokens, 2>>) -> tensor<?x4xf32, #moe.dims<tokens, 4>> {
  %w10 = moe.param "experts.0.w1" <file "m.onnx" [0, 96] : tensor<4x6xf32>> : tensor<4x6xf32>
  %w20 = moe.param "experts.0.w2" <file "m.onnx" [96, 96] : tensor<6x4xf32>> : tensor<6x4xf32>
  %w11 = moe.param "experts.1.w1" <file "m.onnx" [192, 96] : tensor<4x6xf32>> : tensor<4x6xf32>
  %w21 = moe.param "experts.1.w2" <file "m.onnx" [288, 96] : tensor<6x4xf32>> : tensor<6x4xf32>
  %zero = moe.constant dense<0> : tensor<i64> : tensor<i64>
  %one = moe.constant dense<1> : tensor<i64> : tensor<i64>
  %h0 = moe.matmul %x, %w10 : (tensor<?x4xf32, #moe.dims<tokens, 4>>, tensor<4x6xf32>) -> tensor<?x6xf32, #moe.dims<tokens, 6>>
  %a0 = moe.unary silu %h0 : (tensor<?x6xf32, #moe.dims<tokens, 6>>) -> tensor<?x6xf32, #moe.dims<tokens, 6>>
  %o0 = moe.matmul %a0, %w20 : (tensor<?x6xf32, #moe.dims<tokens, 6>>, tensor<6x4xf32>) -> tensor<?x4xf32, #moe.dims<tokens, 4>>
  %e0 = moe.compare eq %i, %zero : (tensor<?x2xi64, #moe.dims<tokens, 2>>, tensor<i64>) -> tensor<?x2xi1, #moe.dims<tokens, 2>>
  %f0 = moe.cast %e0 : (tensor<?x2xi1, #moe.dims<tokens, 2>>) -> tensor<?x2xf32, #moe.dims<tokens, 2>>
  %m0 = moe.binary mul %w, %f0 : (tensor<?x2xf32, #moe.dims<tokens, 2>>, tensor<?x2xf32, #moe.dims<tokens, 2>>) -> tensor<?x2xf32, #moe.dims<tokens, 2>>
  %s0 = moe.reduce sum %m0 {axes = array<i64: 1>, keepdims = true} : (tensor<?x2xf32, #moe.dims<tokens, 2>>) -> tensor<?x1xf32, #moe.dims<tokens, 1>>
  %t0 = moe.binary mul %o0, %s0 : (tensor<?x4xf32, #moe.dims<tokens, 4>>, tensor<?x1xf32, #moe.dims<tokens, 1>>) -> tensor<?x4xf32, #moe.dims<tokens, 4>>
  %y0 = moe.binary add %x, %t0 : (tensor<?x4xf32, #moe.dims<tokens, 4>>, tensor<?x4xf32, #moe.dims<tokens, 4>>) -> tensor<?x4xf32, #moe.dims<tokens, 4>>
  %h1 = moe.matmul %x, %w11 : (tensor<?x4xf32, #moe.dims<tokens, 4>>, tensor<4x6xf32>) -> tensor<?x6xf32, #moe.dims<tokens, 6>>
  %a1 = moe.unary silu %h1 : (tensor<?x6xf32, #moe.dims<tokens, 6>>) -> tensor<?x6xf32, #moe.dims<tokens, 6>>
  %o1 = moe.matmul %a1, %w21 : (tensor<?x6xf32, #moe.dims<tokens, 6>>, tensor<6x4xf32>) -> tensor<?x4xf32, #moe.dims<tokens, 4>>
  %e1 = moe.compare eq %one, %i : (tensor<i64>, tensor<?x2xi64, #moe.dims<tokens, 2>>) -> tensor<?x2xi1, #moe.dims<tokens, 2>>
  %f1 = moe.cast %e1 : (tensor<?x2xi1, #moe.dims<tokens, 2>>) -> tensor<?x2xf32, #moe.dims<tokens, 2>>
  %m1 = moe.binary mul %f1, %w : (tensor<?x2xf32, #moe.dims<tokens, 2>>, tensor<?x2xf32, #moe.dims<tokens, 2>>) -> tensor<?x2xf32, #moe.dims<tokens, 2>>
  %s1 = moe.reduce sum %m1 {axes = array<i64: 1>, keepdims = true} : (tensor<?x2xf32, #moe.dims<tokens, 2>>) -> tensor<?x1xf32, #moe.dims<tokens, 1>>
  %t1 = moe.binary mul %s1, %o1 : (tensor<?x1xf32, #moe.dims<tokens, 1>>, tensor<?x4xf32, #moe.dims<tokens, 4>>) -> tensor<?x4xf32, #moe.dims<tokens, 4>>
  %y = moe.binary add %t1, %y0 : (tensor<?x4xf32, #moe.dims<tokens, 4>>, tensor<?x4xf32, #moe.dims<tokens, 4>>) -> tensor<?x4xf32, #moe.dims<tokens, 4>>
  return %y : tensor<?x4xf32, #moe.dims<tokens, 4>>
}

// Expert 1 reads other tokens.
// CHECK-LABEL: func.func @other_tokens
// CHECK-NOT: moe.dispatch
func.func @other_tokens(%x: tensor<5x4xf32>, %z: tensor<5x4xf32>, %w: tensor<5x1xf32>, %i: tensor<5x1xi64>) -> tensor<5x4xf32> {
  %w1 = moe.param "w1" <file "m.onnx" [0, 96] : tensor<4x6xf32>> : tensor<4x6xf32>
  %w2 = moe.param "w2" <file "m.onnx" [96, 96] : tensor<6x4xf32>> : tensor<6x4xf32>
  %zero = moe.constant dense<0> : tensor<i64> : tensor<i64>
  %one = moe.constant dense<1> : tensor<i64> : tensor<i64>
  %nothing = moe.constant dense<0.0> : tensor<f32> : tensor<f32>
  %h0 = moe.matmul %x, %w1 : (tensor<5x4xf32>, tensor<4x6xf32>) -> tensor<5x6xf32>
  %a0 = moe.unary relu %h0 : (tensor<5x6xf32>) -> tensor<5x6xf32>
  %o0 = moe.matmul %a0, %w2 : (tensor<5x6xf32>, tensor<6x4xf32>) -> tensor<5x4xf32>
  %e0 = moe.compare eq %i, %zero : (tensor<5x1xi64>, tensor<i64>) -> tensor<5x1xi1>
  %m0 = moe.select %e0, %w, %nothing : (tensor<5x1xi1>, tensor<5x1xf32>, tensor<f32>) -> tensor<5x1xf32>
  %s0 = moe.reduce sum %m0 {axes = array<i64: 1>, keepdims = true} : (tensor<5x1xf32>) -> tensor<5x1xf32>
  %t0 = moe.binary mul %o0, %s0 : (tensor<5x4xf32>, tensor<5x1xf32>) -> tensor<5x4xf32>
  %h1 = moe.matmul %z, %w1 : (tensor<5x4xf32>, tensor<4x6xf32>) -> tensor<5x6xf32>
  %a1 = moe.unary relu %h1 : (tensor<5x6xf32>) -> tensor<5x6xf32>
  %o1 = moe.matmul %a1, %w2 : (tensor<5x6xf32>, tensor<6x4xf32>) -> tensor<5x4xf32>
  %e1 = moe.compare eq %i, %one : (tensor<5x1xi64>, tensor<i64>) -> tensor<5x1xi1>
  %m1 = moe.select %e1, %w, %nothing : (tensor<5x1xi1>, tensor<5x1xf32>, tensor<f32>) -> tensor<5x1xf32>
  %s1 = moe.reduce sum %m1 {axes = array<i64: 1>, keepdims = true} : (tensor<5x1xf32>) -> tensor<5x1xf32>
  %t1 = moe.binary mul %o1, %s1 : (tensor<5x4xf32>, tensor<5x1xf32>) -> tensor<5x4xf32>
  %y = moe.binary add %t0, %t1 : (tensor<5x4xf32>, tensor<5x4xf32>) -> tensor<5x4xf32>
  return %y : tensor<5x4xf32>
}
