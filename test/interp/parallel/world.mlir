// RUN: moe-opt %s -o /dev/null \
// RUN:   --moe-interpret="before=whole after=ranks dims=batch:9 max-integer=2" \
// RUN:   --moe-interpret="before=whole after=ranks dims=batch:1 max-integer=2"

// dp = 2, ep = 1, tp = 2: all forms at once. The two ranks of an owner divide
// its tokens, rows travel between all ranks of a block of dp, and each block
// has expert 0 whole on both ranks and expert 1 in two slices.
//
//              t = 0                 t = 1
//   block 0    rank 0  e0, e1 0/2    rank 1  e0, e1 1/2
//   block 1    rank 2  e0, e1 0/2    rank 3  e0, e1 1/2

!x = tensor<?x4xf32, #moe.dims<batch, 4>>
!choices = tensor<?x1xi32, #moe.dims<batch, 1>>
!rows = tensor<?x4xf32, #moe.dims<d0, 4>>
!w1 = tensor<2x4x64xf32>
!b1 = tensor<2x64xf32>
!w2 = tensor<2x32x4xf32>
!b2 = tensor<2x4xf32>
!x_owner = tensor<?x4xf32, #moe.dims<batch.local, 4>>
!choices_owner = tensor<?x1xi32, #moe.dims<batch.local, 1>>
!x_local = tensor<?x4xf32, #moe.dims<tokens.local, 4>>
!choices_local = tensor<?x1xi32, #moe.dims<tokens.local, 1>>
!received = tensor<?x4xf32, #moe.dims<d1, 4>>

#placement = #moe.placement<4 over world domains 2 [[0, 1, 2, 3],
                                                    [0 + 1, 2 + 3]]>

module attributes {moe.mesh = #moe.mesh<dp = 2, ep = 1, tp = 2>} {

func.func @whole(%x: !x, %e: !choices, %w1: !w1, %b1: !b1, %w2: !w2, %b2: !b2)
    -> !x {
  %rows, %counts, %slots = moe.dispatch %x, %e {num_experts = 2 : i64}
    : (!x, !choices) -> (!rows, tensor<2xi32>, !choices)
  %y = moe.experts silu %rows, %counts w1 %w1 b1 %b1 w2 %w2 b2 %b2
    {gating = #moe<gating interleaved>}
    : (!rows, tensor<2xi32>, !w1, !b1, !w2, !b2) -> !rows
  %z = moe.combine %y, %slots : (!rows, !choices) -> !x
  return %z : !x
}

func.func @ranks(%x: !x_owner, %e: !choices_owner, %w1: !w1, %b1: !b1,
                 %w2: !w2, %b2: !b2) -> !x_owner attributes {
      moe.local_symbols = {"batch.local" = "batch",
                           "tokens.local" = "batch.local"},
      moe.symbol_groups = {"tokens.local" = "tp"}} {
  %xt = moe.shard %x {axis = 0 : i64, part = "tokens.local"}
    : (!x_owner) -> !x_local
  %et = moe.shard %e {axis = 0 : i64, part = "tokens.local"}
    : (!choices_owner) -> !choices_local
  %rows, %counts, %slots = moe.dispatch %xt, %et {num_experts = 2 : i64}
    : (!x_local, !choices_local) -> (!rows, tensor<2xi32>, !choices_local)
  %received, %local, %route = moe.all_to_all %rows, %counts
    {placement = #placement} : (!rows, tensor<2xi32>)
    -> (!received, tensor<2xi32>, tensor<4x2xi32>)
  %y = moe.experts silu %received, %local w1 %w1 b1 %b1 w2 %w2 b2 %b2
    {gating = #moe<gating interleaved>, placement = #placement}
    : (!received, tensor<2xi32>, !w1, !b1, !w2, !b2) -> !received
  %back = moe.all_to_all_back %y, %route, %counts {placement = #placement}
    : (!received, tensor<4x2xi32>, tensor<2xi32>) -> !rows
  %zt = moe.combine %back, %slots : (!rows, !choices_local) -> !x_local
  %z = moe.all_gather %zt {axis = 0 : i64, part = "tokens.local"}
    : (!x_local) -> !x_owner
  return %z : !x_owner
}

}
