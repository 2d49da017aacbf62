// RUN: moe-opt %s --moe-place-experts="ranks=4 tp=2" --moe-distribute \
// RUN:   --moe-verify-distributed | FileCheck %s
// RUN: moe-opt %s -o /dev/null --moe-interpret-keep \
// RUN:   --moe-place-experts="ranks=4 tp=2" --moe-distribute \
// RUN:   --moe-interpret="after=layer dims=batch:9"
// RUN: moe-opt %s -o /dev/null --moe-interpret-keep \
// RUN:   --moe-place-experts="ranks=4 tp=2" --moe-distribute \
// RUN:   --moe-interpret="after=layer dims=batch:1"

// Two owners of rows, and two ranks t of each, which have equal rows: those
// divide the tokens of the layer, so each rank routes about a quarter. Experts
// lie on all four ranks. Behind the layer an owner's ranks have all its tokens.
//
//            t = 0            t = 1
//   o = 0    rank 0: e0       rank 1: e1 e2
//   o = 1    rank 2: e3       rank 3: e4 e5
//
// Every pair of ranks exchanges.
// A rank has at most two experts, so at most 2 of a token's 3 choices come.

// CHECK: func.func @layer(%[[X:.*]]: [[OWNER:.*]], %[[LOGITS:.*]]: {{.*}}) -> [[OWNER]]
// CHECK-SAME: r = "3 * tokens1.local", r.received = "2 * batch"
// CHECK-SAME: moe.local_symbols = {batch.local = "batch", tokens1.local = "batch.local"}
// CHECK-SAME: moe.symbol_groups = {tokens1.local = "tp"}
// CHECK: %[[W:.*]], %[[E:.*]] = moe.gate %[[LOGITS]]
// CHECK: %[[XT:.*]] = moe.shard %[[X]] {axis = 0 : i64, part = "tokens1.local"}
// CHECK: %[[ET:.*]] = moe.shard %[[E]] {axis = 0 : i64, part = "tokens1.local"}
// CHECK: %[[R:.*]], %[[C:.*]], %[[S:.*]] = moe.dispatch %[[XT]], %[[ET]]
// CHECK: moe.all_to_all %[[R]], %[[C]] {placement = #moe.placement<4 over world {{\[\[}}0], [1], [1], [2], [3], [3]]>}
// CHECK: moe.experts
// CHECK: %[[BACK:.*]] = moe.all_to_all_back
// CHECK: %[[WT:.*]] = moe.shard %[[W]] {axis = 0 : i64, part = "tokens1.local"}
// CHECK: %[[Z:.*]] = moe.combine %[[BACK]], %[[S]], %[[WT]]
// CHECK: %[[ALL:.*]] = moe.all_gather %[[Z]] {axis = 0 : i64, part = "tokens1.local"}
// CHECK: return %[[ALL]] : [[OWNER]]

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
    : (!rows, tensor<6xi32>, !w1, !b1, !w2, !b2) -> !rows
  %z = moe.combine %y, %slots, %w : (!rows, !choices, !weights) -> !x
  return %z : !x
}
