// RUN: moe-opt %s -o /dev/null \
// RUN:   --moe-interpret="before=whole after=ranks dims=batch:7" \
// RUN:   --moe-interpret="before=whole after=ranks dims=batch:2" \
// RUN:   --moe-interpret="before=whole after=ranks dims=batch:0"

// Fewer experts than ranks: expert 1 is on ranks 1 and 2, and its rows are
// spread over both.
//
//   rank 0    e0            sender s gives replica (s + i) mod 2 the rows
//   rank 1    e1            [i n / 2, (i + 1) n / 2) of its n rows for e1
//   rank 2    e1
//
// Nothing is added on the way: the bits are those of one rank.

!x = tensor<?x4xf32, #moe.dims<batch, 4>>
!logits = tensor<?x2xf32, #moe.dims<batch, 2>>
!weights = tensor<?x2xf32, #moe.dims<batch, 2>>
!choices = tensor<?x2xi32, #moe.dims<batch, 2>>
!rows = tensor<?x4xf32, #moe.dims<d0, 4>>
!w1 = tensor<2x4x5xf32>
!w2 = tensor<2x5x4xf32>
!x_local = tensor<?x4xf32, #moe.dims<batch.local, 4>>
!logits_local = tensor<?x2xf32, #moe.dims<batch.local, 2>>
!weights_local = tensor<?x2xf32, #moe.dims<batch.local, 2>>
!choices_local = tensor<?x2xi32, #moe.dims<batch.local, 2>>
!received = tensor<?x4xf32, #moe.dims<d1, 4>>

#placement = #moe.placement<3 [[0], [1, 2]]>

module attributes {moe.mesh = #moe.mesh<dp = 1, ep = 3, tp = 1>} {

func.func @whole(%x: !x, %logits: !logits, %w1: !w1, %w2: !w2) -> !x {
  %w, %e = moe.gate %logits {k = 2 : i64} : (!logits) -> (!weights, !choices)
  %rows, %counts, %slots = moe.dispatch %x, %e {num_experts = 2 : i64}
    : (!x, !choices) -> (!rows, tensor<2xi32>, !choices)
  %y = moe.experts gelu_erf %rows, %counts w1 %w1 w2 %w2
    : (!rows, tensor<2xi32>, !w1, !w2) -> !rows
  %z = moe.combine %y, %slots, %w : (!rows, !choices, !weights) -> !x
  return %z : !x
}

func.func @ranks(%x: !x_local, %logits: !logits_local, %w1: !w1, %w2: !w2)
    -> !x_local attributes {moe.local_symbols = {"batch.local" = "batch"}} {
  %w, %e = moe.gate %logits {k = 2 : i64}
    : (!logits_local) -> (!weights_local, !choices_local)
  %rows, %counts, %slots = moe.dispatch %x, %e {num_experts = 2 : i64}
    : (!x_local, !choices_local) -> (!rows, tensor<2xi32>, !choices_local)
  %received, %local, %route = moe.all_to_all %rows, %counts
    {placement = #placement} : (!rows, tensor<2xi32>)
    -> (!received, tensor<1xi32>, tensor<3x2xi32>)
  %y = moe.experts gelu_erf %received, %local w1 %w1 w2 %w2
    {placement = #placement} : (!received, tensor<1xi32>, !w1, !w2) -> !received
  %back = moe.all_to_all_back %y, %route, %counts {placement = #placement}
    : (!received, tensor<3x2xi32>, tensor<2xi32>) -> !rows
  %z = moe.combine %back, %slots, %w
    : (!rows, !choices_local, !weights_local) -> !x_local
  return %z : !x_local
}

}
