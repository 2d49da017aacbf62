// What a function computes does not change when ranks slice its tensors, up to
// rounding: on as many ranks as heads, on more, on numbers that do not divide
// heads or units, and with rows over other ranks.
//
// DEFINE: %{slice} = --moe-distribute --moe-slice-tensors --cse --moe-verify-distributed
// DEFINE: %{compare} = --moe-interpret="after=attention dims=batch:3,seq:2,past:3 atol=1e-4 rtol=1e-4" \
// DEFINE:   --moe-interpret="after=grouped dims=batch:3,seq:2,past:3 atol=1e-4 rtol=1e-4" \
// DEFINE:   --moe-interpret="after=cached dims=batch:3,seq:2,past:3 atol=1e-4 rtol=1e-4" \
// DEFINE:   --moe-interpret="after=unfolded dims=batch:3,seq:2,past:3 atol=1e-4 rtol=1e-4" \
// DEFINE:   --moe-interpret="after=regrouped dims=batch:3,seq:2,past:3 atol=1e-4 rtol=1e-4" \
// DEFINE:   --moe-interpret="after=model dims=batch:3,seq:2,past:3 atol=1e-4 rtol=1e-4"
//
// RUN: moe-opt %s -o /dev/null --moe-interpret-keep \
// RUN:   --moe-place-experts="ranks=2 tp=2" %{slice} %{compare}
// RUN: moe-opt %s -o /dev/null --moe-interpret-keep \
// RUN:   --moe-place-experts="ranks=3 tp=3" %{slice} %{compare}
// RUN: moe-opt %s -o /dev/null --moe-interpret-keep \
// RUN:   --moe-place-experts="ranks=8 tp=4" %{slice} %{compare}
// RUN: moe-opt %s -o /dev/null --moe-interpret-keep \
// RUN:   --moe-place-experts="ranks=14 dp=2 tp=7" %{slice} %{compare}

!x = tensor<?x?x8xf32, #moe.dims<batch, seq, 8>>
!heads = tensor<?x?x4x4xf32, #moe.dims<batch, seq, 4, 4>>
!q = tensor<?x4x?x4xf32, #moe.dims<batch, 4, seq, 4>>
!past = tensor<?x4x?x4xf32, #moe.dims<batch, 4, past, 4>>
!all = tensor<?x4x?x4xf32, #moe.dims<batch, 4, past + seq, 4>>
!wide = tensor<?x?x16xf32, #moe.dims<batch, seq, 16>>
!mask = tensor<4x1x?xf32, #moe.dims<4, 1, past + seq>>

// With a cache, a mask and a sink for each head, and biases.
func.func @attention(%x: !x, %past: !past {moe.state = "k"}, %mask: !mask)
    -> (!x, !all {moe.state = "k"}) {
  %wq = moe.param <file "w" [0, 512] : tensor<8x16xf32>> : tensor<8x16xf32>
  %bq = moe.param <file "w" [512, 64] : tensor<16xf32>> : tensor<16xf32>
  %wk = moe.param <transpose [1, 0] (#moe.param<file "w" [600, 512] : tensor<16x8xf32>>) : tensor<8x16xf32>> : tensor<8x16xf32>
  %wo = moe.param <file "w" [1200, 512] : tensor<16x8xf32>> : tensor<16x8xf32>
  %bo = moe.param <file "w" [1800, 32] : tensor<8xf32>> : tensor<8xf32>
  %sinks = moe.param <file "w" [1900, 16] : tensor<4xf32>> : tensor<4xf32>
  %0 = moe.matmul %x, %wq, %bq : (!x, tensor<8x16xf32>, tensor<16xf32>) -> !wide
  %1 = moe.reshape %0 : (!wide) -> !heads
  %q = moe.transpose %1 {permutation = array<i64: 0, 2, 1, 3>} : (!heads) -> !q
  %2 = moe.matmul %x, %wk : (!x, tensor<8x16xf32>) -> !wide
  %3 = moe.reshape %2 : (!wide) -> !heads
  %new = moe.transpose %3 {permutation = array<i64: 0, 2, 1, 3>} : (!heads) -> !q
  %k = moe.cache_append "k" %past, %new {axis = 2 : i64} : (!past, !q) -> !all
  %4 = moe.attention %q, %k, %k mask %mask sink %sinks {scale = 0.5 : f32, causal = true} : (!q, !all, !all, !mask, tensor<4xf32>) -> !q
  %5 = moe.transpose %4 {permutation = array<i64: 0, 2, 1, 3>} : (!q) -> !heads
  %6 = moe.reshape %5 : (!heads) -> !wide
  %y = moe.matmul %6, %wo, %bo : (!wide, tensor<16x8xf32>, tensor<8xf32>) -> !x
  func.return %y, %k : !x, !all
}

!narrow = tensor<?x?x8xf32, #moe.dims<batch, seq, 8>>
!pair = tensor<?x?x2x4xf32, #moe.dims<batch, seq, 2, 4>>
!kv = tensor<?x2x?x4xf32, #moe.dims<batch, 2, seq, 4>>
!table = tensor<1x?x2xf32, #moe.dims<1, seq, 2>>

// Two heads of keys, fused with the queries, a norm of each head, rotary tables.
func.func @grouped(%x: !x, %cos: !table, %sin: !table) -> !x {
  %w = moe.param <file "w" [0, 1024] : tensor<8x32xf32>> : tensor<8x32xf32>
  %b = moe.param <file "w" [1024, 128] : tensor<32xf32>> : tensor<32xf32>
  %scale = moe.param <file "w" [1152, 16] : tensor<4xf32>> : tensor<4xf32>
  %wo = moe.param <file "w" [1200, 512] : tensor<8x16xf32>> : tensor<8x16xf32>
  %0 = moe.matmul %x, %w, %b : (!x, tensor<8x32xf32>, tensor<32xf32>) -> tensor<?x?x32xf32, #moe.dims<batch, seq, 32>>
  %1 = moe.slice %0 <0, 0, 0> {steps = array<i64: 1, 1, 1>} : (tensor<?x?x32xf32, #moe.dims<batch, seq, 32>>) -> !wide
  %2 = moe.slice %0 <0, 0, 16> {steps = array<i64: 1, 1, 1>} : (tensor<?x?x32xf32, #moe.dims<batch, seq, 32>>) -> !narrow
  %3 = moe.slice %0 <0, 0, 24> {steps = array<i64: 1, 1, 1>} : (tensor<?x?x32xf32, #moe.dims<batch, seq, 32>>) -> !narrow
  %4 = moe.reshape %1 : (!wide) -> !heads
  %5 = moe.reshape %2 : (!narrow) -> !pair
  %6 = moe.norm rms %5 scale %scale {axis = 3 : i64, epsilon = 1.0e-6 : f32} : (!pair, tensor<4xf32>) -> !pair
  %7 = moe.reshape %3 : (!narrow) -> !pair
  %8 = moe.transpose %4 {permutation = array<i64: 0, 2, 1, 3>} : (!heads) -> !q
  %9 = moe.transpose %6 {permutation = array<i64: 0, 2, 1, 3>} : (!pair) -> !kv
  %v = moe.transpose %7 {permutation = array<i64: 0, 2, 1, 3>} : (!pair) -> !kv
  %q = moe.rotary %8, %cos, %sin {rotary_dim = 4 : i64} : (!q, !table, !table) -> !q
  %k = moe.rotary %9, %cos, %sin {rotary_dim = 4 : i64} : (!kv, !table, !table) -> !kv
  %10 = moe.attention %q, %k, %v {scale = 0.5 : f32, causal = true} : (!q, !kv, !kv) -> !q
  %11 = moe.transpose %10 {permutation = array<i64: 0, 2, 1, 3>} : (!q) -> !heads
  %12 = moe.reshape %11 : (!heads) -> !wide
  %y = moe.matmul %12, %wo {transpose_rhs = true} : (!wide, tensor<8x16xf32>) -> !x
  func.return %y : !x
}

!kvpast = tensor<?x2x?x4xf32, #moe.dims<batch, 2, past, 4>>
!kvall = tensor<?x2x?x4xf32, #moe.dims<batch, 2, past + seq, 4>>

// Two heads of keys in caches, and a gate on the result of each head.
func.func @cached(%x: !x, %q: !q, %kpast: !kvpast {moe.state = "k"}, %vpast: !kvpast {moe.state = "v"},
                  %gate: tensor<?x4x1x1xf32, #moe.dims<batch, 4, 1, 1>>)
    -> (!x, !kvall {moe.state = "k"}, !kvall {moe.state = "v"}) {
  %wk = moe.param <file "w" [0, 256] : tensor<8x8xf32>> : tensor<8x8xf32>
  %wo = moe.param <file "w" [1200, 512] : tensor<16x8xf32>> : tensor<16x8xf32>
  %0 = moe.matmul %x, %wk : (!x, tensor<8x8xf32>) -> !narrow
  %1 = moe.reshape %0 : (!narrow) -> !pair
  %new = moe.transpose %1 {permutation = array<i64: 0, 2, 1, 3>} : (!pair) -> !kv
  %negated = moe.unary neg %new : (!kv) -> !kv
  %k = moe.cache_append "k" %kpast, %new {axis = 2 : i64} : (!kvpast, !kv) -> !kvall
  %v = moe.cache_append "v" %vpast, %negated {axis = 2 : i64} : (!kvpast, !kv) -> !kvall
  %2 = moe.attention %q, %k, %v {scale = 0.5 : f32, causal = true} : (!q, !kvall, !kvall) -> !q
  %3 = moe.unary sigmoid %gate : (tensor<?x4x1x1xf32, #moe.dims<batch, 4, 1, 1>>) -> tensor<?x4x1x1xf32, #moe.dims<batch, 4, 1, 1>>
  %4 = moe.binary mul %2, %3 : (!q, tensor<?x4x1x1xf32, #moe.dims<batch, 4, 1, 1>>) -> !q
  %5 = moe.transpose %4 {permutation = array<i64: 0, 2, 1, 3>} : (!q) -> !heads
  %6 = moe.reshape %5 : (!heads) -> !wide
  %y = moe.matmul %6, %wo : (!wide, tensor<16x8xf32>) -> !x
  func.return %y, %k, %v : !x, !kvall, !kvall
}

!qkv = tensor<3x?x4x?x4xf32, #moe.dims<3, batch, 4, seq, 4>>
!one = tensor<1x?x4x?x4xf32, #moe.dims<1, batch, 4, seq, 4>>

// q, k and v in the columns as [3, heads, size].
func.func @unfolded(%x: !x) -> !q {
  %w = moe.param <file "w" [0, 1536] : tensor<8x48xf32>> : tensor<8x48xf32>
  %b = moe.param <file "w" [1536, 192] : tensor<48xf32>> : tensor<48xf32>
  %0 = moe.matmul %x, %w, %b : (!x, tensor<8x48xf32>, tensor<48xf32>) -> tensor<?x?x48xf32, #moe.dims<batch, seq, 48>>
  %1 = moe.reshape %0 : (tensor<?x?x48xf32, #moe.dims<batch, seq, 48>>) -> tensor<?x?x3x4x4xf32, #moe.dims<batch, seq, 3, 4, 4>>
  %2 = moe.transpose %1 {permutation = array<i64: 2, 0, 3, 1, 4>} : (tensor<?x?x3x4x4xf32, #moe.dims<batch, seq, 3, 4, 4>>) -> !qkv
  %3 = moe.slice %2 <0, 0, 0, 0, 0> {steps = array<i64: 1, 1, 1, 1, 1>} : (!qkv) -> !one
  %4 = moe.slice %2 <1, 0, 0, 0, 0> {steps = array<i64: 1, 1, 1, 1, 1>} : (!qkv) -> !one
  %5 = moe.slice %2 <2, 0, 0, 0, 0> {steps = array<i64: 1, 1, 1, 1, 1>} : (!qkv) -> !one
  %q = moe.reshape %3 : (!one) -> !q
  %k = moe.reshape %4 : (!one) -> !q
  %v = moe.reshape %5 : (!one) -> !q
  %y = moe.attention %q, %k, %v {scale = 0.5 : f32} : (!q, !q, !q) -> !q
  func.return %y : !q
}

!regrouped = tensor<?x?x4xf32, #moe.dims<batch, 4 * seq, 4>>

// A norm of each head that has heads and positions in one dimension.
func.func @regrouped(%x: !x) -> !x {
  %w = moe.param <file "w" [0, 512] : tensor<8x16xf32>> : tensor<8x16xf32>
  %wo = moe.param <file "w" [1200, 512] : tensor<16x8xf32>> : tensor<16x8xf32>
  %0 = moe.matmul %x, %w : (!x, tensor<8x16xf32>) -> !wide
  %1 = moe.reshape %0 : (!wide) -> !regrouped
  %2 = moe.norm rms %1 {axis = 2 : i64, epsilon = 1.0e-6 : f32} : (!regrouped) -> !regrouped
  %3 = moe.reshape %2 : (!regrouped) -> !heads
  %q = moe.transpose %3 {permutation = array<i64: 0, 2, 1, 3>} : (!heads) -> !q
  %4 = moe.attention %q, %q, %q {scale = 0.5 : f32} : (!q, !q, !q) -> !q
  %5 = moe.transpose %4 {permutation = array<i64: 0, 2, 1, 3>} : (!q) -> !heads
  %6 = moe.reshape %5 : (!heads) -> !wide
  %y = moe.matmul %6, %wo : (!wide, tensor<16x8xf32>) -> !x
  func.return %y : !x
}

!ids = tensor<?x?xi64, #moe.dims<batch, seq>>
!tokens = tensor<?x8xf32, #moe.dims<batch * seq, 8>>
!inner = tensor<?x64xf32, #moe.dims<batch * seq, 64>>
!choice = tensor<?x2xi32, #moe.dims<batch * seq, 2>>
!weight = tensor<?x2xf32, #moe.dims<batch * seq, 2>>
!rows = tensor<?x8xf32, #moe.dims<r, 8>>
!logits = tensor<?x?x80xf32, #moe.dims<batch, seq, 80>>

// Embedding, FFNs of each gating, an MoE layer with a residual branch, a pair
// of products, and logits with tied weights.
func.func @model(%ids: !ids) -> (!logits, !x) attributes {moe.data_symbols = {r = "2 * batch * seq"}} {
  %table = moe.param <file "w" [0, 2560] : tensor<80x8xf32>> : tensor<80x8xf32>
  %w1 = moe.param <file "w" [3000, 3072] : tensor<8x96xf32>> : tensor<8x96xf32>
  %b1 = moe.param <file "w" [6100, 384] : tensor<96xf32>> : tensor<96xf32>
  %w2 = moe.param <file "w" [6500, 1536] : tensor<48x8xf32>> : tensor<48x8xf32>
  %b2 = moe.param <file "w" [8100, 32] : tensor<8xf32>> : tensor<8xf32>
  %wg = moe.param <file "w" [8200, 96] : tensor<8x3xf32>> : tensor<8x3xf32>
  %e1 = moe.param <file "w" [8300, 1536] : tensor<3x8x16xf32>> : tensor<3x8x16xf32>
  %e2 = moe.param <file "w" [9900, 1536] : tensor<3x16x8xf32>> : tensor<3x16x8xf32>
  %p1 = moe.param <file "w" [11500, 2048] : tensor<8x64xf32>> : tensor<8x64xf32>
  %p2 = moe.param <file "w" [13600, 2048] : tensor<64x8xf32>> : tensor<64x8xf32>
  %0 = moe.gather %table, %ids {axis = 0 : i64} : (tensor<80x8xf32>, !ids) -> !x
  %1 = moe.ffn silu %0 w1 %w1 b1 %b1 w2 %w2 b2 %b2 {gating = #moe<gating concatenated>} : (!x, tensor<8x96xf32>, tensor<96xf32>, tensor<48x8xf32>, tensor<8xf32>) -> !x
  %2 = moe.ffn swiglu %1 w1 %w1 b1 %b1 w2 %w2 {gating = #moe<gating interleaved>, limit = 7.0 : f32} : (!x, tensor<8x96xf32>, tensor<96xf32>, tensor<48x8xf32>) -> !x
  %t = moe.reshape %2 : (!x) -> !tokens
  %3 = moe.matmul %t, %wg : (!tokens, tensor<8x3xf32>) -> tensor<?x3xf32, #moe.dims<batch * seq, 3>>
  %weights, %experts = moe.gate %3 {k = 2 : i64} : (tensor<?x3xf32, #moe.dims<batch * seq, 3>>) -> (!weight, !choice)
  %rows, %counts, %slots = moe.dispatch %t, %experts {num_experts = 3 : i64} : (!tokens, !choice) -> (!rows, tensor<3xi32>, !choice)
  %done = moe.experts relu %rows, %counts w1 %e1 w2 %e2 : (!rows, tensor<3xi32>, tensor<3x8x16xf32>, tensor<3x16x8xf32>) -> !rows
  %4 = moe.combine %done, %slots, %weights : (!rows, !choice, !weight) -> !tokens
  %5 = moe.ffn gelu_erf %t w1 %p1 w2 %p2 : (!tokens, tensor<8x64xf32>, tensor<64x8xf32>) -> !tokens
  %6 = moe.mix add %4, %5 : (!tokens, !tokens) -> !tokens
  %7 = moe.matmul %6, %p1 : (!tokens, tensor<8x64xf32>) -> !inner
  %8 = moe.unary sin %7 : (!inner) -> !inner
  %9 = moe.matmul %8, %p2 : (!inner, tensor<64x8xf32>) -> !tokens
  %y = moe.reshape %9 : (!tokens) -> !x
  %10 = moe.norm layer %y {axis = 2 : i64, epsilon = 1.0e-5 : f32} : (!x) -> !x
  %z = moe.matmul %10, %table {transpose_rhs = true} : (!x, tensor<80x8xf32>) -> !logits
  func.return %z, %y : !logits, !x
}
