// RUN: moe-opt %s --moe-place-experts="ranks=4 tp=2" --moe-distribute \
// RUN:   --moe-verify-distributed | FileCheck %s
// RUN: moe-opt %s -o /dev/null --moe-interpret-keep \
// RUN:   --moe-place-experts="ranks=4 tp=2" --moe-distribute \
// RUN:   --moe-interpret="after=layer dims=batch:9"
// RUN: moe-opt %s -o /dev/null --moe-interpret-keep \
// RUN:   --moe-place-experts="ranks=4 tp=2" --moe-distribute \
// RUN:   --moe-interpret="after=layer dims=batch:1"
// RUN: moe-opt %s --moe-place-experts="ranks=4 tp=2" \
// RUN:   --moe-distribute=capacity-per-rank --moe-verify-distributed \
// RUN:   | FileCheck %s --check-prefix=RANK

// Tokens compete for places with those of all ranks: the gate has a part. Per
// rank they compete with the tokens of one owner only: DeepSpeed's rule.

// CHECK-NOT: moe.all_gather
// CHECK: %[[W:.*]], %[[E:.*]] = moe.gate %arg1 {{{.*}}part = "batch.local"} {{.*}} -> (tensor<?x2xf32, #moe.dims<batch.local, 2>>
// CHECK: %[[PART:.*]] = moe.shard %[[E]] {axis = 0 : i64, part = "tokens1.local"}
// CHECK: moe.dispatch %{{.*}}, %[[PART]]

// RANK: %[[W:.*]], %[[E:.*]] = moe.gate %arg1
// RANK-NOT: part =
// RANK-SAME: -> (tensor<?x2xf32, #moe.dims<batch.local, 2>>
// RANK: moe.shard %[[E]] {axis = 0 : i64, part = "tokens1.local"}

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
  %w, %e = moe.gate %logits {k = 2 : i64, min_capacity = 1 : i64,
      capacity_factor = 0.5 : f32, drop_policy = #moe<drop_policy choice>}
    : (!logits) -> (!weights, !choices)
  %rows, %counts, %slots = moe.dispatch %x, %e {num_experts = 4 : i64}
    : (!x, !choices) -> (!rows, tensor<4xi32>, !choices)
  %y = moe.experts silu %rows, %counts w1 %w1 b1 %b1 w2 %w2 b2 %b2
    : (!rows, tensor<4xi32>, !w1, !b1, !w2, !b2) -> !rows
  %z = moe.combine %y, %slots, %w : (!rows, !choices, !weights) -> !x
  return %z : !x
}
