// RUN: moe-opt %s -o /dev/null \
// RUN:   --moe-interpret="before=whole after=ranks dims=batch:3,seq:2,past:4" \
// RUN:   --moe-interpret="before=whole after=ranks dims=batch:1,seq:1,past:0"
// RUN: sed 's/ep = 2, tp = 2/ep = 1, tp = 4/' %s | moe-opt -o /dev/null \
// RUN:   --moe-interpret="before=whole after=ranks dims=batch:2,seq:2,past:1"

// Attention over tp: a rank has some heads of keys and the query heads that
// read them, so that it attends alone; its rows of the output weight give a
// partial sum. The cache is divided over both groups: rows and heads.
//
//   tp = 2, 6 query heads, 3 heads of keys        t = 0          t = 1
//     kv.local heads of keys                      1              2
//     2 * kv.local query heads                    0, 1           2 .. 5
//     8 * kv.local rows of the output weight      0 .. 7         8 .. 23
//
// With tp = 4 one rank has no head at all and adds zeros.

!x = tensor<?x?x24xf32, #moe.dims<batch, seq, 24>>
!kv = tensor<?x?x12xf32, #moe.dims<batch, seq, 12>>
!q4 = tensor<?x?x6x4xf32, #moe.dims<batch, seq, 6, 4>>
!k4 = tensor<?x?x3x4xf32, #moe.dims<batch, seq, 3, 4>>
!qh = tensor<?x6x?x4xf32, #moe.dims<batch, 6, seq, 4>>
!kh = tensor<?x3x?x4xf32, #moe.dims<batch, 3, seq, 4>>
!past = tensor<?x3x?x4xf32, #moe.dims<batch, 3, past, 4>>
!all = tensor<?x3x?x4xf32, #moe.dims<batch, 3, past + seq, 4>>
!angles = tensor<1x?x2xf32, #moe.dims<1, seq, 2>>
!wo = tensor<24x24xf32>

!xl = tensor<?x?x24xf32, #moe.dims<batch.local, seq, 24>>
!ql = tensor<?x?x?xf32, #moe.dims<batch.local, seq, 8 * kv.local>>
!kvl = tensor<?x?x?xf32, #moe.dims<batch.local, seq, 4 * kv.local>>
!q4l = tensor<?x?x?x4xf32, #moe.dims<batch.local, seq, 2 * kv.local, 4>>
!k4l = tensor<?x?x?x4xf32, #moe.dims<batch.local, seq, kv.local, 4>>
!qhl = tensor<?x?x?x4xf32, #moe.dims<batch.local, 2 * kv.local, seq, 4>>
!khl = tensor<?x?x?x4xf32, #moe.dims<batch.local, kv.local, seq, 4>>
!pastl = tensor<?x?x?x4xf32, #moe.dims<batch.local, kv.local, past, 4>>
!alll = tensor<?x?x?x4xf32, #moe.dims<batch.local, kv.local, past + seq, 4>>
!wol = tensor<?x24xf32, #moe.dims<8 * kv.local, 24>>

module attributes {moe.mesh = #moe.mesh<dp = 1, ep = 2, tp = 2>} {

func.func @whole(%q: !x, %k: !kv, %past: !past, %c: !angles, %wo: !wo)
    -> (!x, !all) {
  %q0 = moe.reshape %q : (!x) -> !q4
  %q1 = moe.transpose %q0 {permutation = array<i64: 0, 2, 1, 3>} : (!q4) -> !qh
  %q2 = moe.rotary %q1, %c, %c {rotary_dim = 4 : i64}
    : (!qh, !angles, !angles) -> !qh
  %k0 = moe.reshape %k : (!kv) -> !k4
  %k1 = moe.norm rms %k0 {axis = 3 : i64, epsilon = 1.0e-5 : f32} : (!k4) -> !k4
  %k2 = moe.transpose %k1 {permutation = array<i64: 0, 2, 1, 3>} : (!k4) -> !kh
  %all = moe.cache_append "k" %past, %k2 {axis = 2 : i64} : (!past, !kh) -> !all
  %a = moe.attention %q2, %all, %all {scale = 0.5 : f32, causal = true}
    : (!qh, !all, !all) -> !qh
  %a1 = moe.transpose %a {permutation = array<i64: 0, 2, 1, 3>} : (!qh) -> !q4
  %a2 = moe.reshape %a1 : (!q4) -> !x
  %y = moe.matmul %a2, %wo : (!x, !wo) -> !x
  return %y, %all : !x, !all
}

func.func @ranks(%q: !ql, %k: !kvl, %past: !pastl, %c: !angles, %wo: !wol)
    -> (!xl, !alll) attributes {
      moe.local_symbols = {"batch.local" = "batch", "kv.local" = "3"},
      moe.symbol_groups = {"kv.local" = "tp"}} {
  %q0 = moe.reshape %q : (!ql) -> !q4l
  %q1 = moe.transpose %q0 {permutation = array<i64: 0, 2, 1, 3>}
    : (!q4l) -> !qhl
  %q2 = moe.rotary %q1, %c, %c {rotary_dim = 4 : i64}
    : (!qhl, !angles, !angles) -> !qhl
  %k0 = moe.reshape %k : (!kvl) -> !k4l
  %k1 = moe.norm rms %k0 {axis = 3 : i64, epsilon = 1.0e-5 : f32}
    : (!k4l) -> !k4l
  %k2 = moe.transpose %k1 {permutation = array<i64: 0, 2, 1, 3>}
    : (!k4l) -> !khl
  %all = moe.cache_append "k" %past, %k2 {axis = 2 : i64}
    : (!pastl, !khl) -> !alll
  %a = moe.attention %q2, %all, %all {scale = 0.5 : f32, causal = true}
    : (!qhl, !alll, !alll) -> !qhl
  %a1 = moe.transpose %a {permutation = array<i64: 0, 2, 1, 3>}
    : (!qhl) -> !q4l
  %a2 = moe.reshape %a1 : (!q4l) -> !ql
  %p = moe.matmul %a2, %wo : (!ql, !wol) -> !xl
  %y = moe.all_reduce sum %p {group = #moe<comm_group tp>} : (!xl) -> !xl
  return %y, %all : !xl, !alll
}

}
