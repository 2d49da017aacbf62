// RUN: moe-opt %s --moe-place-experts="ranks=5" --moe-distribute \
// RUN:   --moe-verify-distributed | FileCheck %s
// RUN: moe-opt %s -o /dev/null --moe-interpret-keep \
// RUN:   --moe-place-experts="ranks=5" --moe-distribute \
// RUN:   --moe-interpret="after=layer dims=batch:7"
// RUN: moe-opt %s -o /dev/null --moe-interpret-keep \
// RUN:   --moe-place-experts="ranks=5" --moe-distribute \
// RUN:   --moe-interpret="after=layer dims=batch:1"

// Two experts on five ranks: thirds of the first, halves of the second. The
// inner dimension of 48 is 3 units of 16. Rows go to each slice and their
// partial sums come back. The halves of a concatenated w1 become weights of
// their own, so that a slice has as much of both.

// CHECK: r.received = "batch"
// CHECK: %[[W1:.*]] = moe.param <slice [0, 0, 0, 1, 1, 1] {{.*}} : tensor<2x4x48xf32>
// CHECK: %[[W3:.*]] = moe.param <slice [0, 0, 48, 1, 1, 1] {{.*}} : tensor<2x4x48xf32>
// CHECK: moe.all_to_all %{{.*}} {placement = #moe.placement<5 {{\[\[}}0 + 1 + 2], [3 + 4]]>}
// CHECK-SAME: -> (tensor<?x4xf32, #moe.dims<r.received, 4>>, tensor<1xi32>, tensor<5x2xi32>)
// CHECK: moe.experts  silu %{{.*}} w1 %[[W1]] b1 %{{.*}} w2 %{{.*}} b2 %{{.*}} w3 %[[W3]] b3 %{{.*}} {gating = #moe<gating split>

!x = tensor<?x4xf32, #moe.dims<batch, 4>>
!logits = tensor<?x2xf32, #moe.dims<batch, 2>>
!weights = tensor<?x2xf32, #moe.dims<batch, 2>>
!choices = tensor<?x2xi32, #moe.dims<batch, 2>>
!rows = tensor<?x4xf32, #moe.dims<r, 4>>
!w1 = tensor<2x4x96xf32>
!b1 = tensor<2x96xf32>
!w2 = tensor<2x48x4xf32>
!b2 = tensor<2x4xf32>

func.func @layer(%x: !x, %logits: !logits) -> !x
    attributes {moe.data_symbols = {r = "2 * batch"}} {
  %w1 = moe.param <file "weights" [0, 3072] : !w1> : !w1
  %b1 = moe.param <file "weights" [3072, 768] : !b1> : !b1
  %w2 = moe.param <file "weights" [3840, 1536] : !w2> : !w2
  %b2 = moe.param <file "weights" [5376, 32] : !b2> : !b2
  %w, %e = moe.gate %logits {k = 2 : i64}
    : (!logits) -> (!weights, !choices)
  %rows, %counts, %slots = moe.dispatch %x, %e {num_experts = 2 : i64}
    : (!x, !choices) -> (!rows, tensor<2xi32>, !choices)
  %y = moe.experts silu %rows, %counts w1 %w1 b1 %b1 w2 %w2 b2 %b2
    {gating = #moe<gating concatenated>}
    : (!rows, tensor<2xi32>, !w1, !b1, !w2, !b2) -> !rows
  %z = moe.combine %y, %slots, %w : (!rows, !choices, !weights) -> !x
  return %z : !x
}
