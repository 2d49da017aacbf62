// RUN: moe-opt %s -o /dev/null \
// RUN:   --moe-interpret="before=whole after=ranks dims=batch:9" \
// RUN:   --moe-interpret="before=whole after=ranks dims=batch:3" \
// RUN:   --moe-interpret="before=whole after=ranks dims=batch:0"

// ep = 2, tp = 2. The two ranks of an owner have the same tokens. Each takes
// its half of them, exchanges rows with the ranks of equal t only, and the
// results are gathered over tp. The expert that a rank has depends on o alone.
//
//            t = 0         t = 1
//   o = 0    rank 0  e0    rank 1  e0       tokens of batch.local over tp
//   o = 1    rank 2  e1    rank 3  e1
//            |             |
//            all_to_all    all_to_all

!x = tensor<?x4xf32, #moe.dims<batch, 4>>
!logits = tensor<?x2xf32, #moe.dims<batch, 2>>
!weights = tensor<?x1xf32, #moe.dims<batch, 1>>
!choices = tensor<?x1xi32, #moe.dims<batch, 1>>
!rows = tensor<?x4xf32, #moe.dims<d0, 4>>
!w1 = tensor<2x4x5xf32>
!w2 = tensor<2x5x4xf32>
!x_owner = tensor<?x4xf32, #moe.dims<batch.local, 4>>
!logits_owner = tensor<?x2xf32, #moe.dims<batch.local, 2>>
!x_local = tensor<?x4xf32, #moe.dims<tokens.local, 4>>
!logits_local = tensor<?x2xf32, #moe.dims<tokens.local, 2>>
!weights_local = tensor<?x1xf32, #moe.dims<tokens.local, 1>>
!choices_local = tensor<?x1xi32, #moe.dims<tokens.local, 1>>
!received = tensor<?x4xf32, #moe.dims<d1, 4>>

#placement = #moe.placement<2 [[0], [1]]>

module attributes {moe.mesh = #moe.mesh<dp = 1, ep = 2, tp = 2>} {

func.func @whole(%x: !x, %logits: !logits, %w1: !w1, %w2: !w2) -> !x {
  %w, %e = moe.gate %logits {k = 1 : i64} : (!logits) -> (!weights, !choices)
  %rows, %counts, %slots = moe.dispatch %x, %e {num_experts = 2 : i64}
    : (!x, !choices) -> (!rows, tensor<2xi32>, !choices)
  %y = moe.experts gelu_erf %rows, %counts w1 %w1 w2 %w2
    : (!rows, tensor<2xi32>, !w1, !w2) -> !rows
  %z = moe.combine %y, %slots, %w : (!rows, !choices, !weights) -> !x
  return %z : !x
}

func.func @ranks(%x: !x_owner, %logits: !logits_owner, %w1: !w1, %w2: !w2)
    -> !x_owner attributes {
      moe.local_symbols = {"batch.local" = "batch",
                           "tokens.local" = "batch.local"},
      moe.symbol_groups = {"tokens.local" = "tp"}} {
  %xt = moe.shard %x {axis = 0 : i64, part = "tokens.local"}
    : (!x_owner) -> !x_local
  %lt = moe.shard %logits {axis = 0 : i64, part = "tokens.local"}
    : (!logits_owner) -> !logits_local
  %w, %e = moe.gate %lt {k = 1 : i64}
    : (!logits_local) -> (!weights_local, !choices_local)
  %rows, %counts, %slots = moe.dispatch %xt, %e {num_experts = 2 : i64}
    : (!x_local, !choices_local) -> (!rows, tensor<2xi32>, !choices_local)
  %received, %local, %route = moe.all_to_all %rows, %counts
    {placement = #placement} : (!rows, tensor<2xi32>)
    -> (!received, tensor<1xi32>, tensor<2x2xi32>)
  %y = moe.experts gelu_erf %received, %local w1 %w1 w2 %w2
    {placement = #placement} : (!received, tensor<1xi32>, !w1, !w2) -> !received
  %back = moe.all_to_all_back %y, %route, %counts {placement = #placement}
    : (!received, tensor<2x2xi32>, tensor<2xi32>) -> !rows
  %zt = moe.combine %back, %slots, %w
    : (!rows, !choices_local, !weights_local) -> !x_local
  %z = moe.all_gather %zt {axis = 0 : i64, part = "tokens.local"}
    : (!x_local) -> !x_owner
  return %z : !x_owner
}

}
