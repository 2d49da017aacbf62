// RUN: moe-opt %s -o /dev/null \
// RUN:   --moe-interpret="before=whole after=ranks dims=batch:7" \
// RUN:   --moe-interpret="before=whole after=ranks dims=batch:2" \
// RUN:   --moe-interpret="before=whole after=ranks dims=batch:0"

// Fewer experts than ranks: each expert is cut along its inner dimension. All
// rows of an expert visit both of its ranks; each gives a partial sum, and
// moe.all_to_all_back adds them in the order of the slices. Slice 0 adds b2.
//
//   rank 0    e0, inner units 0        40 inner columns are units of 16, 16
//   rank 1    e0, inner units 1, 2     and 8; slice j of s has units
//   rank 2    e1, inner units 0        [floor(3 j / s), floor(3 (j + 1) / s))
//   rank 3    e1, inner units 1, 2

!x = tensor<?x4xf32, #moe.dims<batch, 4>>
!logits = tensor<?x2xf32, #moe.dims<batch, 2>>
!weights = tensor<?x2xf32, #moe.dims<batch, 2>>
!choices = tensor<?x2xi32, #moe.dims<batch, 2>>
!rows = tensor<?x4xf32, #moe.dims<d0, 4>>
!w1 = tensor<2x4x40xf32>
!w2 = tensor<2x40x4xf32>
!b1 = tensor<2x40xf32>
!b2 = tensor<2x4xf32>
!x_local = tensor<?x4xf32, #moe.dims<batch.local, 4>>
!logits_local = tensor<?x2xf32, #moe.dims<batch.local, 2>>
!weights_local = tensor<?x2xf32, #moe.dims<batch.local, 2>>
!choices_local = tensor<?x2xi32, #moe.dims<batch.local, 2>>
!received = tensor<?x4xf32, #moe.dims<d1, 4>>

#placement = #moe.placement<4 [[0 + 1], [2 + 3]]>

module attributes {moe.mesh = #moe.mesh<dp = 1, ep = 4, tp = 1>} {

func.func @whole(%x: !x, %logits: !logits, %w1: !w1, %b1: !b1, %w2: !w2,
                 %b2: !b2) -> !x {
  %w, %e = moe.gate %logits {k = 2 : i64} : (!logits) -> (!weights, !choices)
  %rows, %counts, %slots = moe.dispatch %x, %e {num_experts = 2 : i64}
    : (!x, !choices) -> (!rows, tensor<2xi32>, !choices)
  %y = moe.experts gelu_erf %rows, %counts w1 %w1 b1 %b1 w2 %w2 b2 %b2
    : (!rows, tensor<2xi32>, !w1, !b1, !w2, !b2) -> !rows
  %z = moe.combine %y, %slots, %w : (!rows, !choices, !weights) -> !x
  return %z : !x
}

func.func @ranks(%x: !x_local, %logits: !logits_local, %w1: !w1, %b1: !b1,
                 %w2: !w2, %b2: !b2)
    -> !x_local attributes {moe.local_symbols = {"batch.local" = "batch"}} {
  %w, %e = moe.gate %logits {k = 2 : i64}
    : (!logits_local) -> (!weights_local, !choices_local)
  %rows, %counts, %slots = moe.dispatch %x, %e {num_experts = 2 : i64}
    : (!x_local, !choices_local) -> (!rows, tensor<2xi32>, !choices_local)
  %received, %local, %route = moe.all_to_all %rows, %counts
    {placement = #placement} : (!rows, tensor<2xi32>)
    -> (!received, tensor<1xi32>, tensor<4x2xi32>)
  %y = moe.experts gelu_erf %received, %local w1 %w1 b1 %b1 w2 %w2 b2 %b2
    {placement = #placement}
    : (!received, tensor<1xi32>, !w1, !b1, !w2, !b2) -> !received
  %back = moe.all_to_all_back %y, %route, %counts {placement = #placement}
    : (!received, tensor<4x2xi32>, tensor<2xi32>) -> !rows
  %z = moe.combine %back, %slots, %w
    : (!rows, !choices_local, !weights_local) -> !x_local
  return %z : !x_local
}

}
