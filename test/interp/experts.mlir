// RUN: moe-opt %s -o /dev/null --moe-interpret="function=route" \
// RUN:   --moe-interpret="function=sliding inputs=iota" \
// RUN:   --moe-interpret="before=dense after=sparse dims=tokens:7" \
// RUN:   | FileCheck %s

// Tokens with logits (1, 0, 0), (0, 2, 1) and (3, 1, 2), k = 2; C = ceil(3 / 3
// * 0.5 * 2) = 1. First choices: 0, 1 and 0, where token 2 comes too late;
// second choices: token 0 takes 1 (tie to the lower index) too late, token 1
// takes 2, token 2 too late.
// CHECK-LABEL: @route
// CHECK: result 0: f32[3, 2] {{\[\[}}1, 0], [0.731059, 0.268941], [0, 0]]
// CHECK: result 1: i32[3, 2] {{\[\[}}0, -1], [1, 2], [-1, -1]]
// One row for each expert: tokens 0, 1, 1.
// CHECK: result 2: f32[3, 1] {{\[\[}}10], [20], [20]]
// CHECK: result 3: i32[3] [1, 1, 1]
// CHECK: result 4: i32[3, 2] {{\[\[}}0, -1], [1, 2], [-1, -1]]
// 10; 20 * (0.731 + 0.269); nothing.
// CHECK: result 5: f32[3, 1] {{\[\[}}10], [20], [0]]
func.func @route() -> (tensor<3x2xf32>, tensor<3x2xi32>,
                       tensor<?x1xf32, #moe.dims<d0, 1>>, tensor<3xi32>,
                       tensor<3x2xi32>, tensor<3x1xf32>) {
  %logits = moe.constant dense<[[1.0, 0.0, 0.0], [0.0, 2.0, 1.0],
                                [3.0, 1.0, 2.0]]> : tensor<3x3xf32>
    : tensor<3x3xf32>
  %x = moe.constant dense<[[10.0], [20.0], [30.0]]> : tensor<3x1xf32>
    : tensor<3x1xf32>
  %w, %e = moe.gate %logits
    {k = 2 : i64, drop_policy = #moe<drop_policy choice>,
     capacity_factor = 0.5 : f32, normalize = #moe<normalize sum_max>,
     normalize_eps = 1.0e-7 : f32, normalize_after_drop = true}
    : (tensor<3x3xf32>) -> (tensor<3x2xf32>, tensor<3x2xi32>)
  %rows, %counts, %slots = moe.dispatch %x, %e {num_experts = 3 : i64}
    : (tensor<3x1xf32>, tensor<3x2xi32>)
    -> (tensor<?x1xf32, #moe.dims<d0, 1>>, tensor<3xi32>, tensor<3x2xi32>)
  %y = moe.combine %rows, %slots, %w
    : (tensor<?x1xf32, #moe.dims<d0, 1>>, tensor<3x2xi32>, tensor<3x2xf32>)
    -> tensor<3x1xf32>
  return %w, %e, %rows, %counts, %slots, %y
    : tensor<3x2xf32>, tensor<3x2xi32>, tensor<?x1xf32, #moe.dims<d0, 1>>,
      tensor<3xi32>, tensor<3x2xi32>, tensor<3x1xf32>
}

// Queries are 0, so that the keys that are seen are averaged: v = 0, 1, 2, 3;
// query i of 2 stands at position 2 + i and sees its window of two keys.
// CHECK-LABEL: @sliding
// CHECK: result 0: f32[1, 1, 2, 1] {{\[\[\[\[}}1.5], [2.5]]]]
func.func @sliding(%v: tensor<1x1x4x1xf32>) -> tensor<1x1x2x1xf32> {
  %q = moe.constant dense<0.0> : tensor<1x1x2x1xf32> : tensor<1x1x2x1xf32>
  %0 = moe.attention %q, %v, %v
    {scale = 1.0 : f32, causal = true, window = 2 : i64}
    : (tensor<1x1x2x1xf32>, tensor<1x1x4x1xf32>, tensor<1x1x4x1xf32>)
    -> tensor<1x1x2x1xf32>
  return %0 : tensor<1x1x2x1xf32>
}

// All experts on all tokens, weighed by a softmax over all: what the sparse
// form computes with k = E.
!x = tensor<?x4xf32, #moe.dims<tokens, 4>>
!logits = tensor<?x2xf32, #moe.dims<tokens, 2>>
!weight = tensor<?x1xf32, #moe.dims<tokens, 1>>

func.func @dense(%x: !x, %logits: !logits, %w1: tensor<2x4x3xf32>,
                 %w2: tensor<2x3x4xf32>) -> !x {
  %s = moe.softmax %logits {axis = 1 : i64} : (!logits) -> !logits
  %s0 = moe.slice %s <0, 0> {steps = array<i64: 1, 1>} : (!logits) -> !weight
  %s1 = moe.slice %s <0, 1> {steps = array<i64: 1, 1>} : (!logits) -> !weight
  %a = moe.slice %w1 <0, 0, 0> {steps = array<i64: 1, 1, 1>}
    : (tensor<2x4x3xf32>) -> tensor<1x4x3xf32>
  %b = moe.slice %w1 <1, 0, 0> {steps = array<i64: 1, 1, 1>}
    : (tensor<2x4x3xf32>) -> tensor<1x4x3xf32>
  %c = moe.slice %w2 <0, 0, 0> {steps = array<i64: 1, 1, 1>}
    : (tensor<2x3x4xf32>) -> tensor<1x3x4xf32>
  %d = moe.slice %w2 <1, 0, 0> {steps = array<i64: 1, 1, 1>}
    : (tensor<2x3x4xf32>) -> tensor<1x3x4xf32>
  %a2 = moe.reshape %a : (tensor<1x4x3xf32>) -> tensor<4x3xf32>
  %b2 = moe.reshape %b : (tensor<1x4x3xf32>) -> tensor<4x3xf32>
  %c2 = moe.reshape %c : (tensor<1x3x4xf32>) -> tensor<3x4xf32>
  %d2 = moe.reshape %d : (tensor<1x3x4xf32>) -> tensor<3x4xf32>
  %y0 = moe.ffn relu %x w1 %a2 w2 %c2
    : (!x, tensor<4x3xf32>, tensor<3x4xf32>) -> !x
  %y1 = moe.ffn relu %x w1 %b2 w2 %d2
    : (!x, tensor<4x3xf32>, tensor<3x4xf32>) -> !x
  %z0 = moe.binary mul %y0, %s0 : (!x, !weight) -> !x
  %z1 = moe.binary mul %y1, %s1 : (!x, !weight) -> !x
  %y = moe.binary add %z0, %z1 : (!x, !x) -> !x
  return %y : !x
}

func.func @sparse(%x: !x, %logits: !logits, %w1: tensor<2x4x3xf32>,
                  %w2: tensor<2x3x4xf32>) -> !x {
  %w, %e = moe.gate %logits {k = 2 : i64} : (!logits)
    -> (!logits, tensor<?x2xi32, #moe.dims<tokens, 2>>)
  %rows, %counts, %slots = moe.dispatch %x, %e {num_experts = 2 : i64}
    : (!x, tensor<?x2xi32, #moe.dims<tokens, 2>>)
    -> (tensor<?x4xf32, #moe.dims<d0, 4>>, tensor<2xi32>,
        tensor<?x2xi32, #moe.dims<tokens, 2>>)
  %y = moe.experts relu %rows, %counts w1 %w1 w2 %w2
    : (tensor<?x4xf32, #moe.dims<d0, 4>>, tensor<2xi32>, tensor<2x4x3xf32>,
       tensor<2x3x4xf32>) -> tensor<?x4xf32, #moe.dims<d0, 4>>
  %z = moe.combine %y, %slots, %w
    : (tensor<?x4xf32, #moe.dims<d0, 4>>,
       tensor<?x2xi32, #moe.dims<tokens, 2>>, !logits) -> !x
  return %z : !x
}
