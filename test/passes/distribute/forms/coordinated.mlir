// RUN: moe-opt %s --moe-place-experts="ranks=4 tp=2" --moe-distribute \
// RUN:   --moe-verify-distributed | FileCheck %s
// RUN: moe-opt %s -o /dev/null --moe-interpret-keep \
// RUN:   --moe-place-experts="ranks=4 tp=2" --moe-distribute \
// RUN:   --moe-interpret="after=layer dims=batch:9"
// RUN: moe-opt %s -o /dev/null --moe-interpret-keep \
// RUN:   --moe-place-experts="ranks=4 tp=2" --moe-distribute \
// RUN:   --moe-interpret="after=layer dims=batch:1"

// As flat, but only ranks of equal t exchange, so experts depend on o alone.
// The two owners have n0 + n1 = batch tokens; halves of both are at most (n0 + 1
// + n1 + 1) / 2.

// CHECK: r = "3 * tokens1.local", r.received = "3 * floordiv(batch, 2) + 3"
// CHECK-SAME: tokens1.local = "batch.local"
// CHECK: moe.dispatch {{.*}}tensor<?x4xf32, #moe.dims<tokens1.local, 4>>
// CHECK: moe.all_to_all {{.*}}placement = #moe.placement<2 {{\[\[}}0], [0], [0], [1], [1], [1]]>}
// CHECK: moe.all_to_all_back
// CHECK: moe.all_gather {{.*}}part = "tokens1.local"

!x = tensor<?x4xf32, #moe.dims<batch, 4>>
!logits = tensor<?x6xf32, #moe.dims<batch, 6>>
!weights = tensor<?x3xf32, #moe.dims<batch, 3>>
!choices = tensor<?x3xi32, #moe.dims<batch, 3>>
!rows = tensor<?x4xf32, #moe.dims<r, 4>>
!w1 = tensor<6x4x8xf32>
!b1 = tensor<6x8xf32>
!w2 = tensor<6x8x4xf32>
!b2 = tensor<6x4xf32>

func.func @layer(%x: !x, %logits: !logits) -> !x
    attributes {moe.data_symbols = {r = "3 * batch"}} {
  %w1 = moe.param <file "weights" [0, 768] : !w1> : !w1
  %b1 = moe.param <file "weights" [768, 192] : !b1> : !b1
  %w2 = moe.param <file "weights" [960, 768] : !w2> : !w2
  %b2 = moe.param <file "weights" [1728, 96] : !b2> : !b2
  %w, %e = moe.gate %logits {k = 3 : i64}
    : (!logits) -> (!weights, !choices)
  %rows, %counts, %slots = moe.dispatch %x, %e {num_experts = 6 : i64}
    : (!x, !choices) -> (!rows, tensor<6xi32>, !choices)
  %y = moe.experts silu %rows, %counts w1 %w1 b1 %b1 w2 %w2 b2 %b2
    {moe.form = {exchange = "coordinated"}}
    : (!rows, tensor<6xi32>, !w1, !b1, !w2, !b2) -> !rows
  %z = moe.combine %y, %slots, %w : (!rows, !choices, !weights) -> !x
  return %z : !x
}
