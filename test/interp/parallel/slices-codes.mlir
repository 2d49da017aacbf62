// RUN: moe-opt %s -o /dev/null \
// RUN:   --moe-interpret="before=whole after=ranks dims=batch:5" \
// RUN:   --moe-interpret="before=whole after=ranks dims=batch:1"

// 72 rows of w2 are three blocks of codes, enough for two slices: they are
// divided in units of 32, not 16, so that a slice has whole blocks and hidden
// values are rounded as they are on one rank.
//
//   ranks 0, 2    inner columns 0 .. 31
//   ranks 1, 3    inner columns 32 .. 71

!x = tensor<?x4xf32, #moe.dims<batch, 4>>
!logits = tensor<?x2xf32, #moe.dims<batch, 2>>
!weights = tensor<?x2xf32, #moe.dims<batch, 2>>
!choices = tensor<?x2xi32, #moe.dims<batch, 2>>
!rows = tensor<?x4xf32, #moe.dims<d0, 4>>
!w1 = tensor<2x4x72xf32>
!w2 = tensor<2x72x4xf32>
!x_local = tensor<?x4xf32, #moe.dims<batch.local, 4>>
!logits_local = tensor<?x2xf32, #moe.dims<batch.local, 2>>
!weights_local = tensor<?x2xf32, #moe.dims<batch.local, 2>>
!choices_local = tensor<?x2xi32, #moe.dims<batch.local, 2>>
!received = tensor<?x4xf32, #moe.dims<d1, 4>>

#placement = #moe.placement<4 [[0 + 1], [2 + 3]]>

module attributes {moe.mesh = #moe.mesh<dp = 1, ep = 4, tp = 1>} {

func.func @whole(%x: !x, %logits: !logits, %w1: !w1) -> !x {
  %w2 = moe.param "w2" <quantize [4, 32, 0] (#moe.param<file "m" [0, 2304] : !w2>) : !w2> : !w2
  %w, %e = moe.gate %logits {k = 2 : i64} : (!logits) -> (!weights, !choices)
  %rows, %counts, %slots = moe.dispatch %x, %e {num_experts = 2 : i64}
    : (!x, !choices) -> (!rows, tensor<2xi32>, !choices)
  %y = moe.experts gelu_erf %rows, %counts w1 %w1 w2 %w2
    {arithmetic = #moe<arithmetic int8>}
    : (!rows, tensor<2xi32>, !w1, !w2) -> !rows
  %z = moe.combine %y, %slots, %w : (!rows, !choices, !weights) -> !x
  return %z : !x
}

func.func @ranks(%x: !x_local, %logits: !logits_local, %w1: !w1)
    -> !x_local attributes {moe.local_symbols = {"batch.local" = "batch"}} {
  %w2 = moe.param "w2" <quantize [4, 32, 0] (#moe.param<file "m" [0, 2304] : !w2>) : !w2> : !w2
  %w, %e = moe.gate %logits {k = 2 : i64}
    : (!logits_local) -> (!weights_local, !choices_local)
  %rows, %counts, %slots = moe.dispatch %x, %e {num_experts = 2 : i64}
    : (!x_local, !choices_local) -> (!rows, tensor<2xi32>, !choices_local)
  %received, %local, %route = moe.all_to_all %rows, %counts
    {placement = #placement} : (!rows, tensor<2xi32>)
    -> (!received, tensor<1xi32>, tensor<4x2xi32>)
  %y = moe.experts gelu_erf %received, %local w1 %w1 w2 %w2
    {placement = #placement, arithmetic = #moe<arithmetic int8>}
    : (!received, tensor<1xi32>, !w1, !w2) -> !received
  %back = moe.all_to_all_back %y, %route, %counts {placement = #placement}
    : (!received, tensor<4x2xi32>, tensor<2xi32>) -> !rows
  %z = moe.combine %back, %slots, %w
    : (!rows, !choices_local, !weights_local) -> !x_local
  return %z : !x_local
}

}
