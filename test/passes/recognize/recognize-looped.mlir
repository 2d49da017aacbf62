// RUN: moe-opt %s --moe-recognize-looped | FileCheck %s
// RUN: moe-opt %s --moe-interpret-keep --moe-recognize-looped \
// RUN:   --moe-interpret="after=loop max-integer=2" -o /dev/null
// RUN: sed -e 's/5x2x2xi64/5x2x3xi64/g' \
// RUN:   -e 's/2x2x5xi64/3x2x5xi64/g' %s > %t
// RUN: not moe-opt %t --moe-recognize-looped 2>&1 \
// RUN:   | FileCheck %s --check-prefix=LOST

// With a router over three experts, one is lost.
// LOST: error: found 2 of 3 experts behind a router; tracing loses experts

// Each of two experts gathers the tokens that chose it, k = 2.
// CHECK-LABEL: func.func @loop
// CHECK-SAME: (%[[X:[a-z0-9]*]]: tensor<5x4xf32>, %[[W:[a-z0-9]*]]: tensor<5x2xf32>, %{{[a-z0-9]*}}: tensor<5x2xf32>)
// CHECK: %{{.*}}, %[[I:.*]] = moe.top_k
// CHECK: %[[E:.*]] = moe.cast %[[I]]
// CHECK: %[[R:.*]], %[[N:.*]], %[[S:.*]] = moe.dispatch %[[X]], %[[E]] {num_experts = 2 : i64}
// CHECK-DAG: moe.param "experts.*.w1" <stack
// CHECK: %[[O:.*]] = moe.experts relu %[[R]], %[[N]]
// CHECK: %[[Y:.*]] = moe.combine %[[O]], %[[S]], %[[W]]
// CHECK-NOT: moe.non_zero
// CHECK: return %[[Y]]
func.func @loop(%x: tensor<5x4xf32>, %w: tensor<5x2xf32>, %logits: tensor<5x2xf32>) -> tensor<5x4xf32> attributes {moe.data_symbols = {d0 = "10", d1 = "10"}} {
  %v, %i = moe.top_k %logits {axis = 1 : i64} : (tensor<5x2xf32>) -> (tensor<5x2xf32>, tensor<5x2xi64>)
  %w10 = moe.param "experts.0.w1" <file "m.onnx" [0, 96] : tensor<4x6xf32>> : tensor<4x6xf32>
  %w20 = moe.param "experts.0.w2" <file "m.onnx" [96, 96] : tensor<6x4xf32>> : tensor<6x4xf32>
  %w11 = moe.param "experts.1.w1" <file "m.onnx" [192, 96] : tensor<4x6xf32>> : tensor<4x6xf32>
  %w21 = moe.param "experts.1.w2" <file "m.onnx" [288, 96] : tensor<6x4xf32>> : tensor<6x4xf32>
  %values = moe.constant dense<[0, 1]> : tensor<2xi64> : tensor<2xi64>
  %k = moe.constant dense<2> : tensor<i64> : tensor<i64>
  %zero = moe.constant dense<0.0> : tensor<f32> : tensor<f32>
  %zeros = moe.broadcast %zero : (tensor<f32>) -> tensor<5x4xf32>
  %wf = moe.reshape %w : (tensor<5x2xf32>) -> tensor<10x1xf32>
  %hot = moe.one_hot %i, %values {axis = 2 : i64} : (tensor<5x2xi64>, tensor<2xi64>) -> tensor<5x2x2xi64>
  %t = moe.transpose %hot {permutation = array<i64: 2, 1, 0>} : (tensor<5x2x2xi64>) -> tensor<2x2x5xi64>
  %m0 = moe.slice %t <0, 0, 0> {steps = array<i64: 1, 1, 1>} : (tensor<2x2x5xi64>) -> tensor<1x2x5xi64>
  %m0r = moe.reshape %m0 : (tensor<1x2x5xi64>) -> tensor<2x5xi64>
  %m0b = moe.cast %m0r : (tensor<2x5xi64>) -> tensor<2x5xi1>
  %n0 = moe.non_zero %m0b : (tensor<2x5xi1>) -> tensor<2x?xi64, #moe.dims<2, d0>>
  %n0t = moe.transpose %n0 {permutation = array<i64: 1, 0>} : (tensor<2x?xi64, #moe.dims<2, d0>>) -> tensor<?x2xi64, #moe.dims<d0, 2>>
  %j0s = moe.slice %n0t <0, 0> {steps = array<i64: 1, 1>} : (tensor<?x2xi64, #moe.dims<d0, 2>>) -> tensor<?x1xi64, #moe.dims<d0, 1>>
  %t0s = moe.slice %n0t <0, 1> {steps = array<i64: 1, 1>} : (tensor<?x2xi64, #moe.dims<d0, 2>>) -> tensor<?x1xi64, #moe.dims<d0, 1>>
  %j0 = moe.reshape %j0s : (tensor<?x1xi64, #moe.dims<d0, 1>>) -> tensor<?xi64, #moe.dims<d0>>
  %t0 = moe.reshape %t0s : (tensor<?x1xi64, #moe.dims<d0, 1>>) -> tensor<?xi64, #moe.dims<d0>>
  %x0 = moe.gather %x, %t0 {axis = 0 : i64} : (tensor<5x4xf32>, tensor<?xi64, #moe.dims<d0>>) -> tensor<?x4xf32, #moe.dims<d0, 4>>
  %h0 = moe.matmul %x0, %w10 : (tensor<?x4xf32, #moe.dims<d0, 4>>, tensor<4x6xf32>) -> tensor<?x6xf32, #moe.dims<d0, 6>>
  %a0 = moe.unary relu %h0 : (tensor<?x6xf32, #moe.dims<d0, 6>>) -> tensor<?x6xf32, #moe.dims<d0, 6>>
  %o0 = moe.matmul %a0, %w20 : (tensor<?x6xf32, #moe.dims<d0, 6>>, tensor<6x4xf32>) -> tensor<?x4xf32, #moe.dims<d0, 4>>
  %f0 = moe.binary mul %t0, %k : (tensor<?xi64, #moe.dims<d0>>, tensor<i64>) -> tensor<?xi64, #moe.dims<d0>>
  %i0 = moe.binary add %j0, %f0 : (tensor<?xi64, #moe.dims<d0>>, tensor<?xi64, #moe.dims<d0>>) -> tensor<?xi64, #moe.dims<d0>>
  %g0 = moe.gather %wf, %i0 {axis = 0 : i64} : (tensor<10x1xf32>, tensor<?xi64, #moe.dims<d0>>) -> tensor<?x1xf32, #moe.dims<d0, 1>>
  %u0 = moe.binary mul %o0, %g0 : (tensor<?x4xf32, #moe.dims<d0, 4>>, tensor<?x1xf32, #moe.dims<d0, 1>>) -> tensor<?x4xf32, #moe.dims<d0, 4>>
  %s0 = moe.broadcast %t0s : (tensor<?x1xi64, #moe.dims<d0, 1>>) -> tensor<?x4xi64, #moe.dims<d0, 4>>
  %y0 = moe.scatter_elements %zeros, %s0, %u0 {axis = 0 : i64} : (tensor<5x4xf32>, tensor<?x4xi64, #moe.dims<d0, 4>>, tensor<?x4xf32, #moe.dims<d0, 4>>) -> tensor<5x4xf32>
  %m1 = moe.slice %t <1, 0, 0> {steps = array<i64: 1, 1, 1>} : (tensor<2x2x5xi64>) -> tensor<1x2x5xi64>
  %m1r = moe.reshape %m1 : (tensor<1x2x5xi64>) -> tensor<2x5xi64>
  %m1b = moe.cast %m1r : (tensor<2x5xi64>) -> tensor<2x5xi1>
  %n1 = moe.non_zero %m1b : (tensor<2x5xi1>) -> tensor<2x?xi64, #moe.dims<2, d1>>
  %n1t = moe.transpose %n1 {permutation = array<i64: 1, 0>} : (tensor<2x?xi64, #moe.dims<2, d1>>) -> tensor<?x2xi64, #moe.dims<d1, 2>>
  %j1s = moe.slice %n1t <0, 0> {steps = array<i64: 1, 1>} : (tensor<?x2xi64, #moe.dims<d1, 2>>) -> tensor<?x1xi64, #moe.dims<d1, 1>>
  %t1s = moe.slice %n1t <0, 1> {steps = array<i64: 1, 1>} : (tensor<?x2xi64, #moe.dims<d1, 2>>) -> tensor<?x1xi64, #moe.dims<d1, 1>>
  %j1 = moe.reshape %j1s : (tensor<?x1xi64, #moe.dims<d1, 1>>) -> tensor<?xi64, #moe.dims<d1>>
  %t1 = moe.reshape %t1s : (tensor<?x1xi64, #moe.dims<d1, 1>>) -> tensor<?xi64, #moe.dims<d1>>
  %x1 = moe.gather %x, %t1 {axis = 0 : i64} : (tensor<5x4xf32>, tensor<?xi64, #moe.dims<d1>>) -> tensor<?x4xf32, #moe.dims<d1, 4>>
  %h1 = moe.matmul %x1, %w11 : (tensor<?x4xf32, #moe.dims<d1, 4>>, tensor<4x6xf32>) -> tensor<?x6xf32, #moe.dims<d1, 6>>
  %a1 = moe.unary relu %h1 : (tensor<?x6xf32, #moe.dims<d1, 6>>) -> tensor<?x6xf32, #moe.dims<d1, 6>>
  %o1 = moe.matmul %a1, %w21 : (tensor<?x6xf32, #moe.dims<d1, 6>>, tensor<6x4xf32>) -> tensor<?x4xf32, #moe.dims<d1, 4>>
  %f1 = moe.binary mul %t1, %k : (tensor<?xi64, #moe.dims<d1>>, tensor<i64>) -> tensor<?xi64, #moe.dims<d1>>
  %i1 = moe.binary add %j1, %f1 : (tensor<?xi64, #moe.dims<d1>>, tensor<?xi64, #moe.dims<d1>>) -> tensor<?xi64, #moe.dims<d1>>
  %g1 = moe.gather %wf, %i1 {axis = 0 : i64} : (tensor<10x1xf32>, tensor<?xi64, #moe.dims<d1>>) -> tensor<?x1xf32, #moe.dims<d1, 1>>
  %u1 = moe.binary mul %o1, %g1 : (tensor<?x4xf32, #moe.dims<d1, 4>>, tensor<?x1xf32, #moe.dims<d1, 1>>) -> tensor<?x4xf32, #moe.dims<d1, 4>>
  %s1 = moe.broadcast %t1s : (tensor<?x1xi64, #moe.dims<d1, 1>>) -> tensor<?x4xi64, #moe.dims<d1, 4>>
  %y1 = moe.scatter_elements %zeros, %s1, %u1 {axis = 0 : i64} : (tensor<5x4xf32>, tensor<?x4xi64, #moe.dims<d1, 4>>, tensor<?x4xf32, #moe.dims<d1, 4>>) -> tensor<5x4xf32>
  %y = moe.binary add %y0, %y1 : (tensor<5x4xf32>, tensor<5x4xf32>) -> tensor<5x4xf32>
  return %y : tensor<5x4xf32>
}
