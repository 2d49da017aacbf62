// RUN: moe-opt %s -o /dev/null \
// RUN:   --moe-interpret="before=whole after=ranks dims=batch:5" \
// RUN:   --moe-interpret="before=whole after=ranks dims=batch:1"

// A dense MLP over tp = 3: the first product has columns of its weight on each
// rank, the second the rows that belong to them, and one sum over the ranks
// makes the whole. The second bias is added once, behind the sum.
//
//   x [n, 4] --- w1 columns 0-1 - act - w2 rows 0-1 ---+
//            --- w1 columns 2-3 - act - w2 rows 2-3 ---+-- all_reduce - + b2
//            --- w1 columns 4-6 - act - w2 rows 4-6 ---+

!x = tensor<?x4xf32, #moe.dims<batch, 4>>
!h = tensor<?x7xf32, #moe.dims<batch, 7>>
!w1 = tensor<4x7xf32>
!b1 = tensor<7xf32>
!w2 = tensor<7x4xf32>
!b2 = tensor<4xf32>
!x_local = tensor<?x4xf32, #moe.dims<batch.local, 4>>
!h_local = tensor<?x?xf32, #moe.dims<batch.local, inner.local>>
!w1_local = tensor<4x?xf32, #moe.dims<4, inner.local>>
!b1_local = tensor<?xf32, #moe.dims<inner.local>>
!w2_local = tensor<?x4xf32, #moe.dims<inner.local, 4>>

module attributes {moe.mesh = #moe.mesh<dp = 1, ep = 1, tp = 3>} {

func.func @whole(%x: !x, %w1: !w1, %b1: !b1, %w2: !w2, %b2: !b2) -> (!x, !x) {
  %h = moe.matmul %x, %w1, %b1 : (!x, !w1, !b1) -> !h
  %a = moe.unary relu %h : (!h) -> !h
  %y = moe.matmul %a, %w2, %b2 : (!h, !w2, !b2) -> !x
  return %y, %y : !x, !x
}

// The same as products and as one operation. Arguments that are divided over tp
// are fed as the whole; each rank takes its part.
func.func @ranks(%x: !x_local, %w1: !w1_local, %b1: !b1_local, %w2: !w2_local,
                 %b2: !b2) -> (!x_local, !x_local) attributes {
      moe.local_symbols = {"batch.local" = "batch", "inner.local" = "7"},
      moe.symbol_groups = {"inner.local" = "tp"}} {
  %h = moe.matmul %x, %w1, %b1 : (!x_local, !w1_local, !b1_local) -> !h_local
  %a = moe.unary relu %h : (!h_local) -> !h_local
  %p = moe.matmul %a, %w2 : (!h_local, !w2_local) -> !x_local
  %s = moe.all_reduce sum %p {group = #moe<comm_group tp>}
    : (!x_local) -> !x_local
  %y = moe.binary add %s, %b2 : (!x_local, !b2) -> !x_local

  %q = moe.ffn relu %x w1 %w1 b1 %b1 w2 %w2
    : (!x_local, !w1_local, !b1_local, !w2_local) -> !x_local
  %t = moe.all_reduce sum %q {group = #moe<comm_group tp>}
    : (!x_local) -> !x_local
  %z = moe.binary add %t, %b2 : (!x_local, !b2) -> !x_local
  return %y, %z : !x_local, !x_local
}

}
