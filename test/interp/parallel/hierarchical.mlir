// RUN: moe-opt %s -o /dev/null \
// RUN:   --moe-interpret="before=whole after=ranks dims=batch:9" \
// RUN:   --moe-interpret="before=whole after=ranks dims=batch:3"

// Four ranks on nodes of two: rows go to the rank of their node that stands where
// their target stands in its own, then across. Up to 4 tokens they go straight.
// Values do not depend on the way.
//
//   0 -- 1        0 to 3:  0 -> 1 -> 3
//   |    |
//   2 -- 3

!x = tensor<?x4xf32, #moe.dims<batch, 4>>
!logits = tensor<?x4xf32, #moe.dims<batch, 4>>
!weights = tensor<?x2xf32, #moe.dims<batch, 2>>
!choices = tensor<?x2xi32, #moe.dims<batch, 2>>
!rows = tensor<?x4xf32, #moe.dims<d0, 4>>
!w1 = tensor<4x4x5xf32>
!w2 = tensor<4x5x4xf32>
!x_local = tensor<?x4xf32, #moe.dims<batch.local, 4>>
!logits_local = tensor<?x4xf32, #moe.dims<batch.local, 4>>
!weights_local = tensor<?x2xf32, #moe.dims<batch.local, 2>>
!choices_local = tensor<?x2xi32, #moe.dims<batch.local, 2>>
!received = tensor<?x4xf32, #moe.dims<d1, 4>>

#placement = #moe.placement<4 [[0], [1], [2], [3]]>

module attributes {moe.mesh = #moe.mesh<dp = 1, ep = 4, tp = 1>} {

func.func @whole(%x: !x, %logits: !logits, %w1: !w1, %w2: !w2) -> !x {
  %w, %e = moe.gate %logits {k = 2 : i64} : (!logits) -> (!weights, !choices)
  %rows, %counts, %slots = moe.dispatch %x, %e {num_experts = 4 : i64}
    : (!x, !choices) -> (!rows, tensor<4xi32>, !choices)
  %y = moe.experts gelu_erf %rows, %counts w1 %w1 w2 %w2
    : (!rows, tensor<4xi32>, !w1, !w2) -> !rows
  %z = moe.combine %y, %slots, %w : (!rows, !choices, !weights) -> !x
  return %z : !x
}

func.func @ranks(%x: !x_local, %logits: !logits_local, %w1: !w1, %w2: !w2)
    -> !x_local attributes {moe.local_symbols = {"batch.local" = "batch"}} {
  %w, %e = moe.gate %logits {k = 2 : i64}
    : (!logits_local) -> (!weights_local, !choices_local)
  %rows, %counts, %slots = moe.dispatch %x, %e {num_experts = 4 : i64}
    : (!x_local, !choices_local) -> (!rows, tensor<4xi32>, !choices_local)
  %received, %local, %route = moe.all_to_all %rows, %counts
    {placement = #placement,
     form = #moe<exchange_form hierarchical>, node_size = 2 : i64,
     small_form = #moe<exchange_form flat>, small_tokens = 4 : i64,
     tokens = #moe.dims<batch>} : (!rows, tensor<4xi32>)
    -> (!received, tensor<1xi32>, tensor<4x4xi32>)
  %y = moe.experts gelu_erf %received, %local w1 %w1 w2 %w2
    {placement = #placement} : (!received, tensor<1xi32>, !w1, !w2) -> !received
  %back = moe.all_to_all_back %y, %route, %counts {placement = #placement,
     form = #moe<exchange_form hierarchical>, node_size = 2 : i64,
     small_form = #moe<exchange_form flat>, small_tokens = 4 : i64,
     tokens = #moe.dims<batch>}
    : (!received, tensor<4x4xi32>, tensor<4xi32>) -> !rows
  %z = moe.combine %back, %slots, %w
    : (!rows, !choices_local, !weights_local) -> !x_local
  return %z : !x_local
}

}
