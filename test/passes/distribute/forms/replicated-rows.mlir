// RUN: moe-opt %s --moe-place-experts="ranks=2" --moe-distribute \
// RUN:   --moe-verify-distributed | FileCheck %s
// RUN: moe-opt %s -o /dev/null --moe-interpret-keep \
// RUN:   --moe-place-experts="ranks=2" --moe-distribute \
// RUN:   --moe-interpret="after=layer dims=batch:5"
// RUN: moe-opt %s -o /dev/null --moe-interpret-keep \
// RUN:   --moe-place-experts="ranks=2" --moe-distribute \
// RUN:   --moe-interpret="after=layer dims=batch:1"

// All ranks get all tokens first, and each combines its own: one gather of
// tokens there, one of rows back, instead of an exchange each way.

// CHECK: r = "2 * batch", r.received = "2 * batch"
// CHECK: %[[W:.*]], %[[E:.*]] = moe.gate
// CHECK-DAG: %[[XA:.*]] = moe.all_gather %{{.*}} -> tensor<?x4xf32, #moe.dims<batch, 4>>
// CHECK-DAG: %[[EA:.*]] = moe.all_gather %[[E]]
// CHECK: %[[R:.*]], %[[C:.*]], %[[S:.*]] = moe.dispatch %[[XA]], %[[EA]]
// CHECK: moe.all_to_all %[[R]], %[[C]] {form = #moe<exchange_form replicated>, placement = #moe.placement<2 {{\[\[}}0], [0], [1], [1]]>}
// CHECK: %[[BACK:.*]] = moe.all_to_all_back
// CHECK: %[[OWN:.*]] = moe.shard %[[S]] {axis = 0 : i64, part = "batch.local"}
// CHECK: moe.combine %[[BACK]], %[[OWN]], %[[W]] {{.*}} -> tensor<?x4xf32, #moe.dims<batch.local, 4>>

!x = tensor<?x4xf32, #moe.dims<batch, 4>>
!logits = tensor<?x4xf32, #moe.dims<batch, 4>>
!weights = tensor<?x2xf32, #moe.dims<batch, 2>>
!choices = tensor<?x2xi32, #moe.dims<batch, 2>>
!rows = tensor<?x4xf32, #moe.dims<r, 4>>
!w1 = tensor<4x4x8xf32>
!b1 = tensor<4x8xf32>
!w2 = tensor<4x8x4xf32>
!b2 = tensor<4x4xf32>

func.func @layer(%x: !x, %logits: !logits) -> !x
    attributes {moe.data_symbols = {r = "2 * batch"}} {
  %w1 = moe.param <file "weights" [0, 512] : !w1> : !w1
  %b1 = moe.param <file "weights" [512, 128] : !b1> : !b1
  %w2 = moe.param <file "weights" [640, 512] : !w2> : !w2
  %b2 = moe.param <file "weights" [1152, 64] : !b2> : !b2
  %w, %e = moe.gate %logits {k = 2 : i64}
    : (!logits) -> (!weights, !choices)
  %rows, %counts, %slots = moe.dispatch %x, %e {num_experts = 4 : i64}
    : (!x, !choices) -> (!rows, tensor<4xi32>, !choices)
  %y = moe.experts silu %rows, %counts w1 %w1 b1 %b1 w2 %w2 b2 %b2
    {moe.form = {exchange = "replicated"}}
    : (!rows, tensor<4xi32>, !w1, !b1, !w2, !b2) -> !rows
  %z = moe.combine %y, %slots, %w : (!rows, !choices, !weights) -> !x
  return %z : !x
}
