// RUN: moe-opt %s -o /dev/null \
// RUN:   --moe-interpret="before=whole after=ranks dims=tokens:7" \
// RUN:   --moe-interpret="before=whole after=ranks dims=tokens:1"

// Every rank of a group has the same tokens and takes the rows of its experts,
// as if rank 0 were the only sender: nothing travels on the way there. On the
// way back all ranks get all rows, so that they agree behind moe.combine. Here
// the group is tp; tokens are those of the owner.
//
//            t = 0            t = 1
//   o = 0    rank 0  e0 e1    rank 1  e2      the same tokens on 0 and 1
//   o = 1    rank 2  e0 e1    rank 3  e2      others on 2 and 3

!x = tensor<?x4xf32, #moe.dims<tokens, 4>>
!logits = tensor<?x3xf32, #moe.dims<tokens, 3>>
!weights = tensor<?x2xf32, #moe.dims<tokens, 2>>
!choices = tensor<?x2xi32, #moe.dims<tokens, 2>>
!rows = tensor<?x4xf32, #moe.dims<d0, 4>>
!received = tensor<?x4xf32, #moe.dims<d1, 4>>
!x_local = tensor<?x4xf32, #moe.dims<tokens.local, 4>>
!logits_local = tensor<?x3xf32, #moe.dims<tokens.local, 3>>
!weights_local = tensor<?x2xf32, #moe.dims<tokens.local, 2>>
!choices_local = tensor<?x2xi32, #moe.dims<tokens.local, 2>>
!w1 = tensor<3x4x5xf32>
!w2 = tensor<3x5x4xf32>

#placement = #moe.placement<2 over tp [[0], [0], [1]]>

module attributes {moe.mesh = #moe.mesh<dp = 1, ep = 2, tp = 2>} {

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
    -> !x_local attributes {moe.local_symbols = {"tokens.local" = "tokens"}} {
  %w, %e = moe.gate %logits {k = 2 : i64}
    : (!logits_local) -> (!weights_local, !choices_local)
  %rows, %counts, %slots = moe.dispatch %x, %e {num_experts = 3 : i64}
    : (!x_local, !choices_local) -> (!rows, tensor<3xi32>, !choices_local)
  %received, %local, %route = moe.all_to_all %rows, %counts
    {placement = #placement, form = #moe<exchange_form replicated>}
    : (!rows, tensor<3xi32>) -> (!received, tensor<2xi32>, tensor<2x3xi32>)
  %y = moe.experts gelu_erf %received, %local w1 %w1 w2 %w2
    {placement = #placement} : (!received, tensor<2xi32>, !w1, !w2) -> !received
  %back = moe.all_to_all_back %y, %route, %counts
    {placement = #placement, form = #moe<exchange_form replicated>}
    : (!received, tensor<2x3xi32>, tensor<3xi32>) -> !rows
  %z = moe.combine %back, %slots, %w
    : (!rows, !choices_local, !weights_local) -> !x_local
  return %z : !x_local
}

}
