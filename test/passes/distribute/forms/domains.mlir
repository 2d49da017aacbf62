// RUN: moe-opt %s --moe-place-experts="ranks=8 dp=2 tp=2" --moe-distribute \
// RUN:   --moe-verify-distributed | FileCheck %s
// RUN: moe-opt %s -o /dev/null --moe-interpret-keep \
// RUN:   --moe-place-experts="ranks=8 dp=2 tp=2" --moe-distribute \
// RUN:   --moe-interpret="after=layer dims=batch:13"
// RUN: moe-opt %s -o /dev/null --moe-interpret-keep \
// RUN:   --moe-place-experts="ranks=8 dp=2 tp=2" --moe-distribute \
// RUN:   --moe-interpret="after=layer dims=batch:1"

// dp = 2: ranks 0 to 3 and 4 to 7 have all experts each and exchange among
// themselves. Three experts on four ranks: the inner
// dimension is one unit, so the first is not sliced but replicated.

// CHECK: moe.mesh = #moe.mesh<dp = 2, ep = 2, tp = 2>
// CHECK: #moe.placement<8 over world domains 2 {{\[\[}}0, 1, 4, 5], [2, 6], [3, 7]]>

!x = tensor<?x4xf32, #moe.dims<batch, 4>>
!logits = tensor<?x3xf32, #moe.dims<batch, 3>>
!weights = tensor<?x2xf32, #moe.dims<batch, 2>>
!choices = tensor<?x2xi32, #moe.dims<batch, 2>>
!rows = tensor<?x4xf32, #moe.dims<r, 4>>
!w1 = tensor<3x4x16xf32>
!b1 = tensor<3x16xf32>
!w2 = tensor<3x16x4xf32>
!b2 = tensor<3x4xf32>

func.func @layer(%x: !x, %logits: !logits) -> !x
    attributes {moe.data_symbols = {r = "2 * batch"}} {
  %w1 = moe.param <file "weights" [0, 768] : !w1> : !w1
  %b1 = moe.param <file "weights" [768, 192] : !b1> : !b1
  %w2 = moe.param <file "weights" [960, 768] : !w2> : !w2
  %b2 = moe.param <file "weights" [1728, 48] : !b2> : !b2
  %w, %e = moe.gate %logits {k = 2 : i64}
    : (!logits) -> (!weights, !choices)
  %rows, %counts, %slots = moe.dispatch %x, %e {num_experts = 3 : i64}
    : (!x, !choices) -> (!rows, tensor<3xi32>, !choices)
  %y = moe.experts silu %rows, %counts w1 %w1 b1 %b1 w2 %w2 b2 %b2
    : (!rows, tensor<3xi32>, !w1, !b1, !w2, !b2) -> !rows
  %z = moe.combine %y, %slots, %w : (!rows, !choices, !weights) -> !x
  return %z : !x
}
