// RUN: moe-opt %s -o /dev/null --moe-interpret="function=parts ranks=2 dims=batch:3 inputs=iota" \
// RUN:   --moe-interpret="function=reduce ranks=3" \
// RUN:   --moe-interpret="function=exchange ranks=2 dims=batch:3 inputs=iota" \
// RUN:   --moe-interpret="before=one_rank after=two_ranks ranks=2 dims=batch:5" \
// RUN:   --moe-interpret="before=one_rank after=two_ranks ranks=2 dims=batch:1" \
// RUN:   | FileCheck %s

// Operations between ranks, without any: all ranks run in lock-step.

#locals = {"batch.local" = "batch"}
!whole = tensor<?x1xf32, #moe.dims<batch, 1>>
!part = tensor<?x1xf32, #moe.dims<batch.local, 1>>

// Three rows on two ranks: rank 0 has row 0, rank 1 rows 1 and 2.
// CHECK-LABEL: @parts
// CHECK: result 0: f32[3, 1] {{\[\[}}0], [1], [2]]
// The number of rows that a rank has.
// CHECK: result 1: differs by rank
// CHECK:   rank 0: i64[] 1
// CHECK:   rank 1: i64[] 2
// CHECK: result 2: f32[3, 1] {{\[\[}}0], [1], [2]]
func.func @parts(%x: !part) -> (!whole, tensor<i64>, !part)
    attributes {moe.local_symbols = #locals} {
  %0 = moe.all_gather %x {axis = 0 : i64, part = "batch.local"}
    : (!part) -> !whole
  %1 = moe.shape <batch.local> : tensor<i64>
  %2 = moe.shard %0 {axis = 0 : i64, part = "batch.local"} : (!whole) -> !part
  return %0, %1, %2 : !whole, tensor<i64>, !part
}

// CHECK-LABEL: @reduce
// CHECK: result 0: f32[] 6
// CHECK: result 1: f32[] 2
func.func @reduce() -> (tensor<f32>, tensor<f32>) {
  %x = moe.constant dense<2.0> : tensor<f32> : tensor<f32>
  %0 = moe.all_reduce sum %x : (tensor<f32>) -> tensor<f32>
  %1 = moe.all_reduce max %x : (tensor<f32>) -> tensor<f32>
  return %0, %1 : tensor<f32>, tensor<f32>
}

// Tokens 0, 1, 2 go to experts 2, 0 and 1; expert 0 is on rank 0, experts 1 and
// 2 on rank 1. Rank 0 holds token 0 and sends it to rank 1; rank 1 sends token
// 1 to rank 0 and keeps token 2, whose expert comes first.
// CHECK-LABEL: @exchange
// CHECK: result 0: differs by rank
// CHECK:   rank 0: f32[1, 1] {{\[\[}}1]]
// CHECK:   rank 1: f32[2, 1] {{\[\[}}2], [0]]
// CHECK: result 1: differs by rank
// CHECK:   rank 0: i32[2] [1, 0]
// CHECK:   rank 1: i32[2] [1, 1]
// CHECK: result 2: differs by rank
// CHECK:   rank 0: i32[2, 3] {{\[\[}}0, 0, 0], [1, 0, 0]]
// CHECK:   rank 1: i32[2, 3] {{\[\[}}0, 0, 1], [0, 1, 0]]
// And back where they came from, in the order of the experts.
// CHECK: result 3: f32[3, 1] {{\[\[}}0], [1], [2]]
func.func @exchange(%x: !part)
    -> (tensor<?x1xf32, #moe.dims<d1, 1>>, tensor<2xi32>, tensor<2x3xi32>,
        !part) attributes {moe.local_symbols = #locals} {
  %all = moe.constant dense<[[2], [0], [1]]> : tensor<3x1xi32>
    : tensor<3x1xi32>
  %whole = moe.reshape %all : (tensor<3x1xi32>) -> tensor<3x1xi32>
  %zero = moe.iota <0> : tensor<?xi64, #moe.dims<batch>>
  %global = moe.gather %all, %zero {axis = 0 : i64}
    : (tensor<3x1xi32>, tensor<?xi64, #moe.dims<batch>>)
    -> tensor<?x1xi32, #moe.dims<batch, 1>>
  %e = moe.shard %global {axis = 0 : i64, part = "batch.local"}
    : (tensor<?x1xi32, #moe.dims<batch, 1>>)
    -> tensor<?x1xi32, #moe.dims<batch.local, 1>>
  %rows, %counts, %slots = moe.dispatch %x, %e {num_experts = 3 : i64}
    : (!part, tensor<?x1xi32, #moe.dims<batch.local, 1>>)
    -> (tensor<?x1xf32, #moe.dims<d0, 1>>, tensor<3xi32>,
        tensor<?x1xi32, #moe.dims<batch.local, 1>>)
  %received, %local, %route = moe.all_to_all %rows, %counts
    {placement = #moe.placement<2 [[0], [1], [1]]>}
    : (tensor<?x1xf32, #moe.dims<d0, 1>>, tensor<3xi32>)
    -> (tensor<?x1xf32, #moe.dims<d1, 1>>, tensor<2xi32>, tensor<2x3xi32>)
  %back = moe.all_to_all_back %received, %route, %counts
    {placement = #moe.placement<2 [[0], [1], [1]]>}
    : (tensor<?x1xf32, #moe.dims<d1, 1>>, tensor<2x3xi32>, tensor<3xi32>)
    -> tensor<?x1xf32, #moe.dims<d0, 1>>
  %y = moe.combine %back, %slots
    : (tensor<?x1xf32, #moe.dims<d0, 1>>,
       tensor<?x1xi32, #moe.dims<batch.local, 1>>) -> !part
  return %received, %local, %route, %y
    : tensor<?x1xf32, #moe.dims<d1, 1>>, tensor<2xi32>, tensor<2x3xi32>, !part
}

// A layer on one rank and the same on two, expert 2 on both.

!x = tensor<?x4xf32, #moe.dims<batch, 4>>
!xl = tensor<?x4xf32, #moe.dims<batch.local, 4>>
!rows = tensor<?x4xf32, #moe.dims<d0, 4>>
!received = tensor<?x4xf32, #moe.dims<d1, 4>>

func.func @one_rank(%x: !x, %logits: tensor<?x3xf32, #moe.dims<batch, 3>>)
    -> !x {
  %w1 = moe.param "w1" <file "w1" [0, 240] : tensor<3x4x5xf32>>
    : tensor<3x4x5xf32>
  %w2 = moe.param "w2" <file "w2" [0, 240] : tensor<3x5x4xf32>>
    : tensor<3x5x4xf32>
  %w, %e = moe.gate %logits {k = 2 : i64}
    : (tensor<?x3xf32, #moe.dims<batch, 3>>)
    -> (tensor<?x2xf32, #moe.dims<batch, 2>>,
        tensor<?x2xi32, #moe.dims<batch, 2>>)
  %rows, %counts, %slots = moe.dispatch %x, %e {num_experts = 3 : i64}
    : (!x, tensor<?x2xi32, #moe.dims<batch, 2>>)
    -> (!rows, tensor<3xi32>, tensor<?x2xi32, #moe.dims<batch, 2>>)
  %y = moe.experts gelu_erf %rows, %counts w1 %w1 w2 %w2
    : (!rows, tensor<3xi32>, tensor<3x4x5xf32>, tensor<3x5x4xf32>) -> !rows
  %z = moe.combine %y, %slots, %w
    : (!rows, tensor<?x2xi32, #moe.dims<batch, 2>>,
       tensor<?x2xf32, #moe.dims<batch, 2>>) -> !x
  return %z : !x
}

#placement = #moe.placement<2 [[0], [1], [0, 1]]>
func.func @two_ranks(%x: !xl,
                     %logits: tensor<?x3xf32, #moe.dims<batch.local, 3>>)
    -> !xl attributes {moe.local_symbols = #locals} {
  %w1 = moe.param "w1" <file "w1" [0, 240] : tensor<3x4x5xf32>>
    : tensor<3x4x5xf32>
  %w2 = moe.param "w2" <file "w2" [0, 240] : tensor<3x5x4xf32>>
    : tensor<3x5x4xf32>
  %w, %e = moe.gate %logits {k = 2 : i64}
    : (tensor<?x3xf32, #moe.dims<batch.local, 3>>)
    -> (tensor<?x2xf32, #moe.dims<batch.local, 2>>,
        tensor<?x2xi32, #moe.dims<batch.local, 2>>)
  %rows, %counts, %slots = moe.dispatch %x, %e {num_experts = 3 : i64}
    : (!xl, tensor<?x2xi32, #moe.dims<batch.local, 2>>)
    -> (!rows, tensor<3xi32>, tensor<?x2xi32, #moe.dims<batch.local, 2>>)
  %received, %local, %route = moe.all_to_all %rows, %counts
    {placement = #placement}
    : (!rows, tensor<3xi32>) -> (!received, tensor<2xi32>, tensor<2x3xi32>)
  %y = moe.experts gelu_erf %received, %local w1 %w1 w2 %w2
    {placement = #placement}
    : (!received, tensor<2xi32>, tensor<3x4x5xf32>, tensor<3x5x4xf32>)
    -> !received
  %back = moe.all_to_all_back %y, %route, %counts {placement = #placement}
    : (!received, tensor<2x3xi32>, tensor<3xi32>) -> !rows
  %z = moe.combine %back, %slots, %w
    : (!rows, tensor<?x2xi32, #moe.dims<batch.local, 2>>,
       tensor<?x2xf32, #moe.dims<batch.local, 2>>) -> !xl
  return %z : !xl
}
