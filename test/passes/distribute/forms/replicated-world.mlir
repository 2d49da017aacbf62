// RUN: moe-opt %s --moe-place-experts="ranks=4 tp=2" --moe-distribute \
// RUN:   --moe-verify-distributed | FileCheck %s
// RUN: moe-opt %s -o /dev/null --moe-interpret-keep \
// RUN:   --moe-place-experts="ranks=4 tp=2" --moe-distribute \
// RUN:   --moe-interpret="after=layer inputs=random"

// Without a batch all ranks have all tokens.

// CHECK: r = "12", r.received = "12"
// CHECK-NOT: moe.shard
// CHECK: moe.all_to_all %{{.*}} {form = #moe<exchange_form replicated>, placement = #moe.placement<4 over world {{\[\[}}0], [1], [1], [2], [3], [3]]>}
// CHECK-NOT: moe.all_gather

!x = tensor<6x4xf32>
!logits = tensor<6x6xf32>
!weights = tensor<6x2xf32>
!choices = tensor<6x2xi32>
!rows = tensor<?x4xf32, #moe.dims<r, 4>>
!w1 = tensor<6x4x8xf32>
!b1 = tensor<6x8xf32>
!w2 = tensor<6x8x4xf32>
!b2 = tensor<6x4xf32>

func.func @layer(%x: !x, %logits: !logits) -> !x
    attributes {moe.data_symbols = {r = "12"}} {
  %w1 = moe.param <file "weights" [0, 768] : !w1> : !w1
  %b1 = moe.param <file "weights" [768, 192] : !b1> : !b1
  %w2 = moe.param <file "weights" [960, 768] : !w2> : !w2
  %b2 = moe.param <file "weights" [1728, 96] : !b2> : !b2
  %w, %e = moe.gate %logits {k = 2 : i64}
    : (!logits) -> (!weights, !choices)
  %rows, %counts, %slots = moe.dispatch %x, %e {num_experts = 6 : i64}
    : (!x, !choices) -> (!rows, tensor<6xi32>, !choices)
  %y = moe.experts silu %rows, %counts w1 %w1 b1 %b1 w2 %w2 b2 %b2
    {moe.form = {exchange = "replicated"}}
    : (!rows, tensor<6xi32>, !w1, !b1, !w2, !b2) -> !rows
  %z = moe.combine %y, %slots, %w : (!rows, !choices, !weights) -> !x
  return %z : !x
}
