// What a function computes does not change when ranks share it: its values
// before and after distribution, on two ranks, for batches that divide, do not
// divide and are smaller than the number of ranks.
//
// RUN: moe-opt %s -o /dev/null --moe-interpret="function=layer dims=batch:4,seq:3" \
// RUN:   --moe-place-experts=ranks=2 --moe-distribute \
// RUN:   --moe-interpret="function=layer ranks=2 dims=batch:4,seq:3" \
// RUN:   | FileCheck %s
// RUN: moe-opt %s -o /dev/null --moe-interpret="function=layer dims=batch:5,seq:2" \
// RUN:   --moe-place-experts=ranks=4 --moe-distribute \
// RUN:   --moe-interpret="function=layer ranks=4 dims=batch:5,seq:2" \
// RUN:   | FileCheck %s
// RUN: moe-opt %s -o /dev/null --moe-interpret="function=layer dims=batch:1,seq:4" \
// RUN:   --moe-place-experts=ranks=3 --moe-distribute \
// RUN:   --moe-interpret="function=layer ranks=3 dims=batch:1,seq:4" \
// RUN:   | FileCheck %s
// RUN: moe-opt %s -o /dev/null --moe-interpret="function=tokens dims=n:5" \
// RUN:   --moe-place-experts=ranks=8 --moe-distribute \
// RUN:   --moe-interpret="function=tokens ranks=8 dims=n:5" \
// RUN:   | FileCheck %s --check-prefix=TOKENS

// CHECK: result 0: [[LAYER:.*]]
// CHECK: result 1: [[SUM:.*]]
// CHECK: result 0: [[LAYER]]
// CHECK: result 1: [[SUM]]

!x = tensor<?x?x4xf32, #moe.dims<batch, seq, 4>>
!t = tensor<?x4xf32, #moe.dims<batch * seq, 4>>
!choice = tensor<?x2xi32, #moe.dims<batch * seq, 2>>
!weight = tensor<?x2xf32, #moe.dims<batch * seq, 2>>
!rows = tensor<?x4xf32, #moe.dims<r, 4>>

// An MoE layer with capacity and residual branch, between operations that keep
// rows apart and one that mixes them.
func.func @layer(%x: !x) -> (!x, tensor<?x4xf32, #moe.dims<seq, 4>>)
    attributes {moe.data_symbols = {r = "2 * batch * seq"}} {
  %wg = moe.constant dense<[[1.0, -0.5, 0.25], [0.5, 1.0, -1.0], [-0.75, 0.5, 1.0], [0.125, -1.0, 0.5]]> : tensor<4x3xf32> : tensor<4x3xf32>
  %w1 = moe.param <fill = 0.5 : f32 : tensor<3x4x4xf32>> : tensor<3x4x4xf32>
  %b1 = moe.param <inline = dense<[[0.0, 0.5, 1.0, 1.5], [2.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.25, 0.0]]> : tensor<3x4xf32> : tensor<3x4xf32>> : tensor<3x4xf32>
  %w2 = moe.param <fill = 0.25 : f32 : tensor<3x4x4xf32>> : tensor<3x4x4xf32>
  %v = moe.param <fill = 0.125 : f32 : tensor<4x4xf32>> : tensor<4x4xf32>
  %t = moe.reshape %x : (!x) -> !t
  %logits = moe.matmul %t, %wg : (!t, tensor<4x3xf32>) -> tensor<?x3xf32, #moe.dims<batch * seq, 3>>
  %weights, %experts = moe.gate %logits {k = 2 : i64, drop_policy = #moe<drop_policy choice>, capacity_factor = 0.5 : f32, min_capacity = 1 : i64} : (tensor<?x3xf32, #moe.dims<batch * seq, 3>>) -> (!weight, !choice)
  %rows, %counts, %slots = moe.dispatch %t, %experts {num_experts = 3 : i64} : (!t, !choice) -> (!rows, tensor<3xi32>, !choice)
  %done = moe.experts relu %rows, %counts w1 %w1 b1 %b1 w2 %w2 : (!rows, tensor<3xi32>, tensor<3x4x4xf32>, tensor<3x4xf32>, tensor<3x4x4xf32>) -> !rows
  %moe = moe.combine %done, %slots, %weights : (!rows, !choice, !weight) -> !t
  %dense = moe.ffn relu %t w1 %v w2 %v : (!t, tensor<4x4xf32>, tensor<4x4xf32>) -> !t
  %mixed = moe.mix add %moe, %dense : (!t, !t) -> !t
  %y = moe.reshape %mixed : (!t) -> !x
  %sum = moe.reduce sum %y {axes = array<i64: 0>, keepdims = false} : (!x) -> tensor<?x4xf32, #moe.dims<seq, 4>>
  %z = moe.binary add %y, %sum : (!x, tensor<?x4xf32, #moe.dims<seq, 4>>) -> !x
  func.return %z, %sum : !x, tensor<?x4xf32, #moe.dims<seq, 4>>
}

// TOKENS: result 0: [[TOKENS:.*]]
// TOKENS: result 0: [[TOKENS]]

!nrows = tensor<?x4xf32, #moe.dims<s, 4>>

// Tokens in the second dimension: no batch, and fewer experts than ranks.
func.func @tokens(%x: tensor<4x?xf32, #moe.dims<4, n>>, %logits: tensor<2x?xf32, #moe.dims<2, n>>)
    -> tensor<?x4xf32, #moe.dims<n, 4>> attributes {moe.data_symbols = {s = "n"}} {
  %w1 = moe.param <inline = dense<[[[1.0, 0.0], [0.0, 1.0], [1.0, 1.0], [0.5, 0.0]], [[-1.0, 0.0], [0.0, -1.0], [1.0, 1.0], [0.0, 0.5]]]> : tensor<2x4x2xf32> : tensor<2x4x2xf32>> : tensor<2x4x2xf32>
  %w2 = moe.param <fill = 0.25 : f32 : tensor<2x2x4xf32>> : tensor<2x2x4xf32>
  %t = moe.transpose %x {permutation = array<i64: 1, 0>} : (tensor<4x?xf32, #moe.dims<4, n>>) -> tensor<?x4xf32, #moe.dims<n, 4>>
  %l = moe.transpose %logits {permutation = array<i64: 1, 0>} : (tensor<2x?xf32, #moe.dims<2, n>>) -> tensor<?x2xf32, #moe.dims<n, 2>>
  %weights, %experts = moe.gate %l {k = 1 : i64} : (tensor<?x2xf32, #moe.dims<n, 2>>) -> (tensor<?x1xf32, #moe.dims<n, 1>>, tensor<?x1xi32, #moe.dims<n, 1>>)
  %rows, %counts, %slots = moe.dispatch %t, %experts {num_experts = 2 : i64} : (tensor<?x4xf32, #moe.dims<n, 4>>, tensor<?x1xi32, #moe.dims<n, 1>>) -> (!nrows, tensor<2xi32>, tensor<?x1xi32, #moe.dims<n, 1>>)
  %done = moe.experts identity %rows, %counts w1 %w1 w2 %w2 : (!nrows, tensor<2xi32>, tensor<2x4x2xf32>, tensor<2x2x4xf32>) -> !nrows
  %y = moe.combine %done, %slots, %weights : (!nrows, tensor<?x1xi32, #moe.dims<n, 1>>, tensor<?x1xf32, #moe.dims<n, 1>>) -> tensor<?x4xf32, #moe.dims<n, 4>>
  func.return %y : tensor<?x4xf32, #moe.dims<n, 4>>
}
