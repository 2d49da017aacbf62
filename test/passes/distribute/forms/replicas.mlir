// RUN: moe-opt %s --moe-place-experts="ranks=5 reduce-exact" --moe-distribute \
// RUN:   --moe-verify-distributed | FileCheck %s
// RUN: moe-opt %s -o /dev/null --moe-interpret-keep \
// RUN:   --moe-place-experts="ranks=5 reduce-exact" --moe-distribute \
// RUN:   --moe-interpret="after=layer dims=batch:7"
// RUN: moe-opt %s -o /dev/null --moe-interpret-keep \
// RUN:   --moe-place-experts="ranks=5 reduce-exact" --moe-distribute \
// RUN:   --moe-interpret="after=layer dims=batch:1"

// Where sums must not be split, whole experts are replicated: a sender divides
// its rows between the replicas.

// CHECK: #moe.placement<5 {{\[\[}}0, 1, 2], [3, 4]]>

!x = tensor<?x4xf32, #moe.dims<batch, 4>>
!logits = tensor<?x2xf32, #moe.dims<batch, 2>>
!weights = tensor<?x2xf32, #moe.dims<batch, 2>>
!choices = tensor<?x2xi32, #moe.dims<batch, 2>>
!rows = tensor<?x4xf32, #moe.dims<r, 4>>
!w1 = tensor<2x4x48xf32>
!b1 = tensor<2x48xf32>
!w2 = tensor<2x48x4xf32>
!b2 = tensor<2x4xf32>

func.func @layer(%x: !x, %logits: !logits) -> !x
    attributes {moe.data_symbols = {r = "2 * batch"}} {
  %w1 = moe.param <file "weights" [0, 1536] : !w1> : !w1
  %b1 = moe.param <file "weights" [1536, 384] : !b1> : !b1
  %w2 = moe.param <file "weights" [1920, 1536] : !w2> : !w2
  %b2 = moe.param <file "weights" [3456, 32] : !b2> : !b2
  %w, %e = moe.gate %logits {k = 2 : i64}
    : (!logits) -> (!weights, !choices)
  %rows, %counts, %slots = moe.dispatch %x, %e {num_experts = 2 : i64}
    : (!x, !choices) -> (!rows, tensor<2xi32>, !choices)
  %y = moe.experts silu %rows, %counts w1 %w1 b1 %b1 w2 %w2 b2 %b2
    : (!rows, tensor<2xi32>, !w1, !b1, !w2, !b2) -> !rows
  %z = moe.combine %y, %slots, %w : (!rows, !choices, !weights) -> !x
  return %z : !x
}
