// RUN: moe-opt %s --moe-place-experts="ranks=2" --moe-distribute --moe-chunk-exchange \
// RUN:   --moe-verify-distributed | FileCheck %s
// RUN: moe-opt %s -o /dev/null --moe-interpret-keep \
// RUN:   --moe-place-experts="ranks=2" --moe-distribute --moe-chunk-exchange \
// RUN:   --moe-interpret="after=layer dims=batch:9"
// RUN: moe-opt %s -o /dev/null --moe-interpret-keep \
// RUN:   --moe-place-experts="ranks=2" --moe-distribute --moe-chunk-exchange \
// RUN:   --moe-interpret="after=layer dims=batch:8"
// RUN: moe-opt %s -o /dev/null --moe-interpret-keep \
// RUN:   --moe-place-experts="ranks=2" --moe-distribute --moe-chunk-exchange \
// RUN:   --moe-interpret="after=layer dims=batch:7"
// RUN: moe-opt %s -o /dev/null --moe-interpret-keep \
// RUN:   --moe-place-experts="ranks=2" --moe-distribute --moe-chunk-exchange \
// RUN:   --moe-interpret="after=layer dims=batch:0"

// From 8 tokens in all on, a rank's tokens travel in two chunks: floor(n / 2)
// and floor((n + 1) / 2). Below, the indicator min(1, batch // 8) is zero: the
// first chunk has all tokens and the second is skipped.
//
// Of batch.local tokens with 2 rows each a chunk sends at most 2 * (batch.local
// + 1) / 2; or it has all, but less than 8 tokens.

// CHECK: r.0 = "min(2 * batch.local, max(16, batch.local + 1))"
// CHECK-SAME: r.1 = "min(2 * batch.local, batch.local + 1)"
// CHECK: %[[X0:.*]] = moe.slice %{{.*}} <0, 0> {steps

// CHECK: moe.dispatch %[[X0]]
// CHECK: moe.all_to_all
// CHECK: moe.experts
// CHECK: moe.all_to_all_back
// CHECK: %[[Z0:.*]] = moe.combine

// CHECK: %[[X1:.*]] = moe.slice {{.*}} {moe.guard = #moe.dims<min(1, floordiv(batch, 8))>
// CHECK-SAME: -> tensor<?x4xf32, #moe.dims<floordiv(batch.local + 1, 2) * min(1, floordiv(batch, 8)), 4>>
// CHECK: moe.dispatch %[[X1]], {{.*}} {moe.guard = #moe.dims<min(1, floordiv(batch, 8))>
// CHECK: moe.all_to_all {{.*}} {moe.guard
// CHECK: moe.experts {{.*}}moe.guard
// CHECK: moe.all_to_all_back {{.*}} {moe.guard
// CHECK: %[[Z1:.*]] = moe.combine {{.*}} {moe.guard

// CHECK: moe.concat %[[Z0]], %[[Z1]] {axis = 0 : i64} {{.*}} -> tensor<?x4xf32, #moe.dims<batch.local, 4>>

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
    {moe.form = {chunks = 2 : i64, chunk_tokens = 8 : i64}}
    : (!rows, tensor<4xi32>, !w1, !b1, !w2, !b2) -> !rows
  %z = moe.combine %y, %slots, %w : (!rows, !choices, !weights) -> !x
  return %z : !x
}
