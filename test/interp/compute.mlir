// RUN: moe-opt %s -o /dev/null --moe-interpret="function=matmul inputs=iota" \
// RUN:   --moe-interpret="function=norms inputs=iota" \
// RUN:   --moe-interpret="function=order inputs=iota" \
// RUN:   --moe-interpret="function=moves inputs=iota dims=seq:3" \
// RUN:   --moe-interpret="function=by_index inputs=iota" | FileCheck %s

// What operations mean, on small numbers. Inputs are 0, 1, 2, ...

// [[0, 1], [2, 3]] x [[0, 1], [2, 3]] + [0, 1]
//   = [[2 + 0, 3 + 1], [6 + 0, 11 + 1]]
// CHECK-LABEL: @matmul
// CHECK: result 0: f32[2, 2] {{\[\[}}2, 4], [6, 12]]
// The rhs transposed is [[0, 2], [1, 3]]: [[1, 3], [3, 13]]
// CHECK: result 1: f32[2, 2] {{\[\[}}1, 3], [3, 13]]
func.func @matmul(%a: tensor<2x2xf32>, %b: tensor<2x2xf32>,
                  %c: tensor<2xf32>) -> (tensor<2x2xf32>, tensor<2x2xf32>) {
  %0 = moe.matmul %a, %b, %c
    : (tensor<2x2xf32>, tensor<2x2xf32>, tensor<2xf32>) -> tensor<2x2xf32>
  %1 = moe.matmul %a, %b {transpose_rhs = true}
    : (tensor<2x2xf32>, tensor<2x2xf32>) -> tensor<2x2xf32>
  return %0, %1 : tensor<2x2xf32>, tensor<2x2xf32>
}

// Rows (0, 1) and (2, 3): mean 0.5 and 2.5, variance 0.25; with eps 0.75 the
// divisor is 1. rms: mean squares 0.5 and 6.5; + 0.75 is 1.25 and 7.25.
// CHECK-LABEL: @norms
// CHECK: result 0: f32[2, 2] {{\[\[}}-0.5, 0.5], [-0.5, 0.5]]
// CHECK: result 1: f32[2, 2] {{\[\[}}0, 0.894427], [0.742781, 1.11417]]
// softmax(0, 1) = 1 / (1 + e), e / (1 + e)
// CHECK: result 2: f32[2, 2] {{\[\[}}0.268941, 0.731059], [0.268941, 0.731059]]
func.func @norms(%x: tensor<2x2xf32>)
    -> (tensor<2x2xf32>, tensor<2x2xf32>, tensor<2x2xf32>) {
  %0 = moe.norm layer %x {axis = 1 : i64, epsilon = 0.75 : f32}
    : (tensor<2x2xf32>) -> tensor<2x2xf32>
  %1 = moe.norm rms %x {axis = 1 : i64, epsilon = 0.75 : f32}
    : (tensor<2x2xf32>) -> tensor<2x2xf32>
  %2 = moe.softmax %x {axis = 1 : i64} : (tensor<2x2xf32>) -> tensor<2x2xf32>
  return %0, %1, %2 : tensor<2x2xf32>, tensor<2x2xf32>, tensor<2x2xf32>
}

// CHECK-LABEL: @order
// Ties go to the lower index.
// CHECK: result 0: f32[3] [5, 5, 3]
// CHECK: result 1: i64[3] [1, 3, 2]
// CHECK: result 2: i64[] 1
// CHECK: result 3: i64[] 3
// CHECK: result 4: f32[4] [1, 6, 9, 14]
// CHECK: result 5: f32[4] [13, 8, 5, 0]
func.func @order() -> (tensor<3xf32>, tensor<3xi64>, tensor<i64>, tensor<i64>,
                       tensor<4xf32>, tensor<4xf32>) {
  %x = moe.constant dense<[1.0, 5.0, 3.0, 5.0]> : tensor<4xf32> : tensor<4xf32>
  %0:2 = moe.top_k %x {axis = 0 : i64} : (tensor<4xf32>)
    -> (tensor<3xf32>, tensor<3xi64>)
  %1 = moe.arg_reduce max %x {axis = 0 : i64, keepdims = false}
    : (tensor<4xf32>) -> tensor<i64>
  %2 = moe.arg_reduce max %x
    {axis = 0 : i64, keepdims = false, select_last = true}
    : (tensor<4xf32>) -> tensor<i64>
  %3 = moe.cumsum %x {axis = 0 : i64} : (tensor<4xf32>) -> tensor<4xf32>
  %4 = moe.cumsum %x {axis = 0 : i64, exclusive = true, reverse = true}
    : (tensor<4xf32>) -> tensor<4xf32>
  return %0#0, %0#1, %1, %2, %3, %4 : tensor<3xf32>, tensor<3xi64>,
    tensor<i64>, tensor<i64>, tensor<4xf32>, tensor<4xf32>
}

// CHECK-LABEL: @moves
// The last row.
// CHECK: result 0: f32[1, 2] {{\[\[}}4, 5]]
// CHECK: result 1: f32[2, 3] {{\[\[}}0, 2, 4], [1, 3, 5]]
// CHECK: result 2: f32[3, 4] {{\[\[}}1, 0, 1, 0], [3, 2, 3, 2], [5, 4, 5, 4]]
// CHECK: result 3: f32[3, 2] {{\[\[}}0, 1], [0, 3], [0, 0]]
// CHECK: result 4: i64[2] [3, 6]
func.func @moves(%x: tensor<?x2xf32, #moe.dims<seq, 2>>)
    -> (tensor<1x2xf32>, tensor<2x?xf32, #moe.dims<2, seq>>,
        tensor<?x4xf32, #moe.dims<seq, 4>>,
        tensor<?x2xf32, #moe.dims<seq, 2>>, tensor<2xi64>) {
  %0 = moe.slice %x <seq - 1, 0> {steps = array<i64: 1, 1>}
    : (tensor<?x2xf32, #moe.dims<seq, 2>>) -> tensor<1x2xf32>
  %1 = moe.transpose %x {permutation = array<i64: 1, 0>}
    : (tensor<?x2xf32, #moe.dims<seq, 2>>) -> tensor<2x?xf32, #moe.dims<2, seq>>
  %2 = moe.pad reflect %x <0, 1>
    : (tensor<?x2xf32, #moe.dims<seq, 2>>) -> tensor<?x4xf32, #moe.dims<seq, 4>>
  %3 = moe.trilu %x <0> {upper = true}
    : (tensor<?x2xf32, #moe.dims<seq, 2>>) -> tensor<?x2xf32, #moe.dims<seq, 2>>
  %4 = moe.shape <seq, 2 * seq> : tensor<2xi64>
  return %0, %1, %2, %3, %4
    : tensor<1x2xf32>, tensor<2x?xf32, #moe.dims<2, seq>>,
      tensor<?x4xf32, #moe.dims<seq, 4>>,
      tensor<?x2xf32, #moe.dims<seq, 2>>, tensor<2xi64>
}

// x = [[0, 1, 2], [3, 4, 5]]
// CHECK-LABEL: @by_index
// CHECK: result 0: f32[2, 2] {{\[\[}}2, 0], [5, 3]]
// CHECK: result 1: f32[2] [2, 3]
// CHECK: result 2: f32[2, 3] {{\[\[}}0, 1, 3], [4, 4, 5]]
// CHECK: result 3: f32[2, 3] {{\[\[}}0, 0, 1], [1, 0, 0]]
// CHECK: result 4: i64[2, 5] {{\[\[}}0, 0, 1, 1, 1], [1, 2, 0, 1, 2]]
func.func @by_index(%x: tensor<2x3xf32>)
    -> (tensor<2x2xf32>, tensor<2xf32>, tensor<2x3xf32>, tensor<2x3xf32>,
        tensor<2x?xi64, #moe.dims<2, d0>>) {
  %i = moe.constant dense<[-1, 0]> : tensor<2xi64> : tensor<2xi64>
  %p = moe.constant dense<[[0, 2], [1, 0]]> : tensor<2x2xi64>
    : tensor<2x2xi64>
  %u = moe.constant dense<1.0> : tensor<2xf32> : tensor<2xf32>
  %v = moe.constant dense<[0.0, 1.0]> : tensor<2xf32> : tensor<2xf32>
  %0 = moe.gather %x, %i {axis = 1 : i64}
    : (tensor<2x3xf32>, tensor<2xi64>) -> tensor<2x2xf32>
  %1 = moe.gather_nd %x, %p : (tensor<2x3xf32>, tensor<2x2xi64>)
    -> tensor<2xf32>
  %2 = moe.scatter_nd %x, %p, %u {kind = #moe<scatter_kind add>}
    : (tensor<2x3xf32>, tensor<2x2xi64>, tensor<2xf32>) -> tensor<2x3xf32>
  %3 = moe.one_hot %i, %v {axis = 1 : i64}
    : (tensor<2xi64>, tensor<2xf32>) -> tensor<2x3xf32>
  %4 = moe.non_zero %x : (tensor<2x3xf32>) -> tensor<2x?xi64, #moe.dims<2, d0>>
  return %0, %1, %2, %3, %4
    : tensor<2x2xf32>, tensor<2xf32>, tensor<2x3xf32>, tensor<2x3xf32>,
      tensor<2x?xi64, #moe.dims<2, d0>>
}
