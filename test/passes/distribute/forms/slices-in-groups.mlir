// RUN: moe-opt %s --moe-place-experts="ranks=4" --moe-distribute \
// RUN:   --moe-verify-distributed | FileCheck %s
// RUN: moe-opt %s -o /dev/null --moe-interpret-keep \
// RUN:   --moe-place-experts="ranks=4" --moe-distribute \
// RUN:   --moe-interpret="after=layer dims=batch:7"
// RUN: moe-opt %s -o /dev/null --moe-interpret-keep \
// RUN:   --moe-place-experts="ranks=4" --moe-distribute \
// RUN:   --moe-interpret="after=layer dims=batch:1"

// More experts than ranks, sliced on demand: two ranks hold halves of three
// experts each. Halves may differ by a unit of 16 columns, so that each rank
// begins in its turn.

// CHECK: #moe.placement<4 {{\[\[}}0 + 1], [1 + 0], [0 + 1], [2 + 3], [3 + 2], [2 + 3]]>

!x = tensor<?x4xf32, #moe.dims<batch, 4>>
!logits = tensor<?x6xf32, #moe.dims<batch, 6>>
!weights = tensor<?x2xf32, #moe.dims<batch, 2>>
!choices = tensor<?x2xi32, #moe.dims<batch, 2>>
!rows = tensor<?x4xf32, #moe.dims<r, 4>>
!w1 = tensor<6x4x32xf32>
!b1 = tensor<6x32xf32>
!w2 = tensor<6x32x4xf32>
!b2 = tensor<6x4xf32>

func.func @layer(%x: !x, %logits: !logits) -> !x
    attributes {moe.data_symbols = {r = "2 * batch"}} {
  %w1 = moe.param <file "weights" [0, 3072] : !w1> : !w1
  %b1 = moe.param <file "weights" [3072, 768] : !b1> : !b1
  %w2 = moe.param <file "weights" [3840, 3072] : !w2> : !w2
  %b2 = moe.param <file "weights" [6912, 96] : !b2> : !b2
  %w, %e = moe.gate %logits {k = 2 : i64}
    : (!logits) -> (!weights, !choices)
  %rows, %counts, %slots = moe.dispatch %x, %e {num_experts = 6 : i64}
    : (!x, !choices) -> (!rows, tensor<6xi32>, !choices)
  %y = moe.experts silu %rows, %counts w1 %w1 b1 %b1 w2 %w2 b2 %b2
    {moe.form = {experts = "slice", slices = 2 : i64}}
    : (!rows, tensor<6xi32>, !w1, !b1, !w2, !b2) -> !rows
  %z = moe.combine %y, %slots, %w : (!rows, !choices, !weights) -> !x
  return %z : !x
}
