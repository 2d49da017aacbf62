// RUN: moe-opt %s -o /dev/null \
// RUN:   --moe-interpret="before=whole after=ranks dims=batch:5" \
// RUN:   --moe-interpret="before=whole after=ranks ranks=4 dims=batch:1"

// The vocabulary over tp. Embedding: rows of tokens that are another rank's are
// zeros, and the sum over tp is the whole. Output: each rank has the logits of
// its tokens of the vocabulary, gathered along them.
//
//            t = 0           t = 1
//   table    rows 0..3       rows 4..8      9 tokens in all
//   ids      2  7  6         2  7  6
//   gather   x2 0  0         0  x7 x6
//   sum      x2 x7 x6        x2 x7 x6

!ids = tensor<?xi64, #moe.dims<batch>>
!x = tensor<?x4xf32, #moe.dims<batch, 4>>
!logits = tensor<?x9xf32, #moe.dims<batch, 9>>
!table = tensor<9x4xf32>
!ids_local = tensor<?xi64, #moe.dims<batch.local>>
!x_local = tensor<?x4xf32, #moe.dims<batch.local, 4>>
!part_local = tensor<?x?xf32, #moe.dims<batch.local, vocab.local>>
!logits_local = tensor<?x9xf32, #moe.dims<batch.local, 9>>
!table_local = tensor<?x4xf32, #moe.dims<vocab.local, 4>>

module attributes {moe.mesh = #moe.mesh<dp = 1, ep = 2, tp = 2>} {

func.func @whole(%ids: !ids) -> (!x, !logits) {
  %table = moe.param "table" <file "table" [0, 144] : !table> : !table
  %x = moe.gather %table, %ids {axis = 0 : i64} : (!table, !ids) -> !x
  %y = moe.matmul %x, %table {transpose_rhs = true} : (!x, !table) -> !logits
  return %x, %y : !x, !logits
}

func.func @ranks(%ids: !ids_local) -> (!x_local, !logits_local) attributes {
      moe.local_symbols = {"batch.local" = "batch", "vocab.local" = "9"},
      moe.symbol_groups = {"vocab.local" = "tp"}} {
  %whole = moe.param "table" <file "table" [0, 144] : !table> : !table
  %table = moe.shard %whole {axis = 0 : i64, part = "vocab.local"}
    : (!table) -> !table_local
  %partial = moe.gather %table, %ids {axis = 0 : i64, part = "vocab.local"}
    : (!table_local, !ids_local) -> !x_local
  %x = moe.all_reduce sum %partial {group = #moe<comm_group tp>}
    : (!x_local) -> !x_local
  %part = moe.matmul %x, %table {transpose_rhs = true}
    : (!x_local, !table_local) -> !part_local
  %y = moe.all_gather %part {axis = 1 : i64, part = "vocab.local"}
    : (!part_local) -> !logits_local
  return %x, %y : !x_local, !logits_local
}

}
