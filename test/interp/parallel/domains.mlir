// RUN: moe-opt %s -o /dev/null \
// RUN:   --moe-interpret="before=whole after=ranks dims=batch:9" \
// RUN:   --moe-interpret="before=whole after=ranks dims=batch:3" \
// RUN:   --moe-interpret="before=whole after=ranks dims=batch:0"

// Two copies of the model, dp = 2: all four ranks divide the batch, and a sender
// uses the experts of its own block.
//
//   block 0    rank 0 e0 e1    rank 1 e2
//   block 1    rank 2 e0 e1    rank 3 e2

!x = tensor<?x4xf32, #moe.dims<batch, 4>>
!logits = tensor<?x3xf32, #moe.dims<batch, 3>>
!weights = tensor<?x2xf32, #moe.dims<batch, 2>>
!choices = tensor<?x2xi32, #moe.dims<batch, 2>>
!rows = tensor<?x4xf32, #moe.dims<d0, 4>>
!w1 = tensor<3x4x5xf32>
!w2 = tensor<3x5x4xf32>
!x_local = tensor<?x4xf32, #moe.dims<batch.local, 4>>
!logits_local = tensor<?x3xf32, #moe.dims<batch.local, 3>>
!weights_local = tensor<?x2xf32, #moe.dims<batch.local, 2>>
!choices_local = tensor<?x2xi32, #moe.dims<batch.local, 2>>
!received = tensor<?x4xf32, #moe.dims<d1, 4>>

#placement = #moe.placement<4 domains 2 [[0, 2], [0, 2], [1, 3]]>

module attributes {moe.mesh = #moe.mesh<dp = 2, ep = 2, tp = 1>} {

func.func @whole(%x: !x, %logits: !logits, %w1: !w1, %w2: !w2) -> !x {
  %w, %e = moe.gate %logits {k = 2 : i64} : (!logits) -> (!weights, !choices)
  %rows, %counts, %slots = moe.dispatch %x, %e {num_experts = 3 : i64}
    : (!x, !choices) -> (!rows, tensor<3xi32>, !choices)
  %y = moe.experts gelu_erf %rows, %counts w1 %w1 w2 %w2
    : (!rows, tensor<3xi32>, !w1, !w2) -> !rows
  %z = moe.combine %y, %slots, %w : (!rows, !choices, !weights) -> !x
  return %z : !x
}

func.func @ranks(%x: !x_local, %logits: !logits_local, %w1: !w1, %w2: !w2)
    -> !x_local attributes {moe.local_symbols = {"batch.local" = "batch"}} {
  %w, %e = moe.gate %logits {k = 2 : i64}
    : (!logits_local) -> (!weights_local, !choices_local)
  %rows, %counts, %slots = moe.dispatch %x, %e {num_experts = 3 : i64}
    : (!x_local, !choices_local) -> (!rows, tensor<3xi32>, !choices_local)
  %received, %local, %route = moe.all_to_all %rows, %counts
    {placement = #placement} : (!rows, tensor<3xi32>)
    -> (!received, tensor<2xi32>, tensor<4x3xi32>)
  %y = moe.experts gelu_erf %received, %local w1 %w1 w2 %w2
    {placement = #placement} : (!received, tensor<2xi32>, !w1, !w2) -> !received
  %back = moe.all_to_all_back %y, %route, %counts {placement = #placement}
    : (!received, tensor<4x3xi32>, tensor<3xi32>) -> !rows
  %z = moe.combine %back, %slots, %w
    : (!rows, !choices_local, !weights_local) -> !x_local
  return %z : !x_local
}

}
