// Layers in every form, one after the other, compute what one device does:
// on any mesh, for batches that divide, do not divide and are smaller than the
// number of ranks, below and above the tokens from which layers run in chunks.
//
// RUN: moe-opt %s -o /dev/null --moe-interpret-keep \
// RUN:   --moe-place-experts="ranks=2" --moe-distribute --moe-chunk-exchange \
// RUN:   --moe-verify-distributed --moe-interpret="after=forms dims=batch:4,seq:3"
// RUN: moe-opt %s -o /dev/null --moe-interpret-keep \
// RUN:   --moe-place-experts="ranks=3" --moe-distribute --moe-chunk-exchange \
// RUN:   --moe-verify-distributed --moe-interpret="after=forms dims=batch:5,seq:2"
// RUN: moe-opt %s -o /dev/null --moe-interpret-keep \
// RUN:   --moe-place-experts="ranks=4 tp=2" --moe-distribute --moe-chunk-exchange \
// RUN:   --moe-verify-distributed --moe-interpret="after=forms dims=batch:5,seq:2"
// RUN: moe-opt %s -o /dev/null --moe-interpret-keep \
// RUN:   --moe-place-experts="ranks=4 tp=2" --moe-distribute --moe-chunk-exchange \
// RUN:   --moe-verify-distributed --moe-interpret="after=forms dims=batch:1,seq:1"
// RUN: moe-opt %s -o /dev/null --moe-interpret-keep \
// RUN:   --moe-place-experts="ranks=4 dp=2" --moe-distribute --moe-chunk-exchange \
// RUN:   --moe-verify-distributed --moe-interpret="after=forms dims=batch:4,seq:3"
// RUN: moe-opt %s -o /dev/null --moe-interpret-keep \
// RUN:   --moe-place-experts="ranks=6 tp=3" --moe-distribute --moe-chunk-exchange \
// RUN:   --moe-verify-distributed --moe-interpret="after=forms dims=batch:3,seq:1"
// RUN: moe-opt %s -o /dev/null --moe-interpret-keep \
// RUN:   --moe-place-experts="ranks=8 dp=2 tp=2" --moe-distribute --moe-chunk-exchange \
// RUN:   --moe-verify-distributed --moe-interpret="after=forms dims=batch:5,seq:2"
// RUN: moe-opt %s -o /dev/null --moe-interpret-keep \
// RUN:   --moe-place-experts="ranks=8 dp=2 tp=2" --moe-distribute --moe-chunk-exchange \
// RUN:   --moe-verify-distributed --moe-interpret="after=forms dims=batch:0,seq:2"
// RUN: moe-opt %s -o /dev/null --moe-interpret-keep \
// RUN:   --moe-place-experts="ranks=16" --moe-distribute --moe-chunk-exchange \
// RUN:   --moe-verify-distributed --moe-interpret="after=forms dims=batch:5,seq:2"
// RUN: moe-opt %s -o /dev/null --moe-interpret-keep \
// RUN:   --moe-place-experts="ranks=4 tp=4" --moe-distribute --moe-chunk-exchange \
// RUN:   --moe-verify-distributed --moe-interpret="after=forms dims=batch:2,seq:2"

func.func @forms(%x: tensor<?x?x8xf32, #moe.dims<batch, seq, 8>>) -> tensor<?x?x8xf32, #moe.dims<batch, seq, 8>>
    attributes {moe.data_symbols = {r0 = "2 * batch * seq", r1 = "2 * batch * seq", r2 = "batch * seq", r3 = "2 * batch * seq", r4 = "3 * batch * seq", r5 = "2 * batch * seq", r6 = "2 * batch * seq"}} {
  %t = moe.reshape %x : (tensor<?x?x8xf32, #moe.dims<batch, seq, 8>>) -> tensor<?x8xf32, #moe.dims<batch * seq, 8>>

  %g0 = moe.param <file "w" [0, 96] : tensor<8x3xf32>> : tensor<8x3xf32>
  %u0 = moe.param <file "w" [96, 4608] : tensor<3x8x48xf32>> : tensor<3x8x48xf32>
  %a0 = moe.param <file "w" [4704, 576] : tensor<3x48xf32>> : tensor<3x48xf32>
  %v0 = moe.param <file "w" [5280, 4608] : tensor<3x48x8xf32>> : tensor<3x48x8xf32>
  %b0 = moe.param <file "w" [9888, 96] : tensor<3x8xf32>> : tensor<3x8xf32>
  %l0 = moe.matmul %t, %g0 : (tensor<?x8xf32, #moe.dims<batch * seq, 8>>, tensor<8x3xf32>) -> tensor<?x3xf32, #moe.dims<batch * seq, 3>>
  %w0, %e0 = moe.gate %l0 {k = 2 : i64} : (tensor<?x3xf32, #moe.dims<batch * seq, 3>>) -> (tensor<?x2xf32, #moe.dims<batch * seq, 2>>, tensor<?x2xi32, #moe.dims<batch * seq, 2>>)
  %r0, %c0, %s0 = moe.dispatch %t, %e0 {num_experts = 3 : i64} : (tensor<?x8xf32, #moe.dims<batch * seq, 8>>, tensor<?x2xi32, #moe.dims<batch * seq, 2>>) -> (tensor<?x8xf32, #moe.dims<r0, 8>>, tensor<3xi32>, tensor<?x2xi32, #moe.dims<batch * seq, 2>>)
  %d0 = moe.experts silu %r0, %c0 w1 %u0 b1 %a0 w2 %v0 b2 %b0 : (tensor<?x8xf32, #moe.dims<r0, 8>>, tensor<3xi32>, tensor<3x8x48xf32>, tensor<3x48xf32>, tensor<3x48x8xf32>, tensor<3x8xf32>) -> tensor<?x8xf32, #moe.dims<r0, 8>>
  %m0 = moe.combine %d0, %s0, %w0 : (tensor<?x8xf32, #moe.dims<r0, 8>>, tensor<?x2xi32, #moe.dims<batch * seq, 2>>, tensor<?x2xf32, #moe.dims<batch * seq, 2>>) -> tensor<?x8xf32, #moe.dims<batch * seq, 8>>

  %g1 = moe.param <file "w" [1000000, 192] : tensor<8x6xf32>> : tensor<8x6xf32>
  %u1 = moe.param <file "w" [1000192, 15360] : tensor<6x8x80xf32>> : tensor<6x8x80xf32>
  %a1 = moe.param <file "w" [1015552, 1920] : tensor<6x80xf32>> : tensor<6x80xf32>
  %v1 = moe.param <file "w" [1017472, 7680] : tensor<6x40x8xf32>> : tensor<6x40x8xf32>
  %b1 = moe.param <file "w" [1025152, 192] : tensor<6x8xf32>> : tensor<6x8xf32>
  %l1 = moe.matmul %m0, %g1 : (tensor<?x8xf32, #moe.dims<batch * seq, 8>>, tensor<8x6xf32>) -> tensor<?x6xf32, #moe.dims<batch * seq, 6>>
  %w1, %e1 = moe.gate %l1 {k = 2 : i64} : (tensor<?x6xf32, #moe.dims<batch * seq, 6>>) -> (tensor<?x2xf32, #moe.dims<batch * seq, 2>>, tensor<?x2xi32, #moe.dims<batch * seq, 2>>)
  %r1, %c1, %s1 = moe.dispatch %m0, %e1 {num_experts = 6 : i64} : (tensor<?x8xf32, #moe.dims<batch * seq, 8>>, tensor<?x2xi32, #moe.dims<batch * seq, 2>>) -> (tensor<?x8xf32, #moe.dims<r1, 8>>, tensor<6xi32>, tensor<?x2xi32, #moe.dims<batch * seq, 2>>)
  %d1 = moe.experts silu %r1, %c1 w1 %u1 b1 %a1 w2 %v1 b2 %b1 {gating = #moe<gating interleaved>, moe.form = {exchange = "coordinated"}} : (tensor<?x8xf32, #moe.dims<r1, 8>>, tensor<6xi32>, tensor<6x8x80xf32>, tensor<6x80xf32>, tensor<6x40x8xf32>, tensor<6x8xf32>) -> tensor<?x8xf32, #moe.dims<r1, 8>>
  %m1 = moe.combine %d1, %s1, %w1 : (tensor<?x8xf32, #moe.dims<r1, 8>>, tensor<?x2xi32, #moe.dims<batch * seq, 2>>, tensor<?x2xf32, #moe.dims<batch * seq, 2>>) -> tensor<?x8xf32, #moe.dims<batch * seq, 8>>

  %g2 = moe.param <file "w" [2000000, 64] : tensor<8x2xf32>> : tensor<8x2xf32>
  %u2 = moe.param <file "w" [2000064, 2112] : tensor<2x8x33xf32>> : tensor<2x8x33xf32>
  %a2 = moe.param <file "w" [2002176, 264] : tensor<2x33xf32>> : tensor<2x33xf32>
  %v2 = moe.param <file "w" [2002440, 2112] : tensor<2x33x8xf32>> : tensor<2x33x8xf32>
  %b2 = moe.param <file "w" [2004552, 64] : tensor<2x8xf32>> : tensor<2x8xf32>
  %l2 = moe.matmul %m1, %g2 : (tensor<?x8xf32, #moe.dims<batch * seq, 8>>, tensor<8x2xf32>) -> tensor<?x2xf32, #moe.dims<batch * seq, 2>>
  %w2, %e2 = moe.gate %l2 {k = 1 : i64} : (tensor<?x2xf32, #moe.dims<batch * seq, 2>>) -> (tensor<?x1xf32, #moe.dims<batch * seq, 1>>, tensor<?x1xi32, #moe.dims<batch * seq, 1>>)
  %r2, %c2, %s2 = moe.dispatch %m1, %e2 {num_experts = 2 : i64} : (tensor<?x8xf32, #moe.dims<batch * seq, 8>>, tensor<?x1xi32, #moe.dims<batch * seq, 1>>) -> (tensor<?x8xf32, #moe.dims<r2, 8>>, tensor<2xi32>, tensor<?x1xi32, #moe.dims<batch * seq, 1>>)
  %d2 = moe.experts silu %r2, %c2 w1 %u2 b1 %a2 w2 %v2 b2 %b2 {moe.form = {exchange = "replicated"}} : (tensor<?x8xf32, #moe.dims<r2, 8>>, tensor<2xi32>, tensor<2x8x33xf32>, tensor<2x33xf32>, tensor<2x33x8xf32>, tensor<2x8xf32>) -> tensor<?x8xf32, #moe.dims<r2, 8>>
  %m2 = moe.combine %d2, %s2, %w2 : (tensor<?x8xf32, #moe.dims<r2, 8>>, tensor<?x1xi32, #moe.dims<batch * seq, 1>>, tensor<?x1xf32, #moe.dims<batch * seq, 1>>) -> tensor<?x8xf32, #moe.dims<batch * seq, 8>>

  %g3 = moe.param <file "w" [3000000, 128] : tensor<8x4xf32>> : tensor<8x4xf32>
  %u3 = moe.param <file "w" [3000128, 12288] : tensor<4x8x96xf32>> : tensor<4x8x96xf32>
  %a3 = moe.param <file "w" [3012416, 1536] : tensor<4x96xf32>> : tensor<4x96xf32>
  %v3 = moe.param <file "w" [3013952, 6144] : tensor<4x48x8xf32>> : tensor<4x48x8xf32>
  %b3 = moe.param <file "w" [3020096, 128] : tensor<4x8xf32>> : tensor<4x8xf32>
  %l3 = moe.matmul %m2, %g3 : (tensor<?x8xf32, #moe.dims<batch * seq, 8>>, tensor<8x4xf32>) -> tensor<?x4xf32, #moe.dims<batch * seq, 4>>
  %w3, %e3 = moe.gate %l3 {k = 2 : i64, drop_policy = #moe<drop_policy choice>, capacity_factor = 0.5 : f32, min_capacity = 1 : i64} : (tensor<?x4xf32, #moe.dims<batch * seq, 4>>) -> (tensor<?x2xf32, #moe.dims<batch * seq, 2>>, tensor<?x2xi32, #moe.dims<batch * seq, 2>>)
  %r3, %c3, %s3 = moe.dispatch %m2, %e3 {num_experts = 4 : i64} : (tensor<?x8xf32, #moe.dims<batch * seq, 8>>, tensor<?x2xi32, #moe.dims<batch * seq, 2>>) -> (tensor<?x8xf32, #moe.dims<r3, 8>>, tensor<4xi32>, tensor<?x2xi32, #moe.dims<batch * seq, 2>>)
  %d3 = moe.experts silu %r3, %c3 w1 %u3 b1 %a3 w2 %v3 b2 %b3 {gating = #moe<gating concatenated>, moe.form = {experts = "slice", slices = 2 : i64}} : (tensor<?x8xf32, #moe.dims<r3, 8>>, tensor<4xi32>, tensor<4x8x96xf32>, tensor<4x96xf32>, tensor<4x48x8xf32>, tensor<4x8xf32>) -> tensor<?x8xf32, #moe.dims<r3, 8>>
  %m3 = moe.combine %d3, %s3, %w3 : (tensor<?x8xf32, #moe.dims<r3, 8>>, tensor<?x2xi32, #moe.dims<batch * seq, 2>>, tensor<?x2xf32, #moe.dims<batch * seq, 2>>) -> tensor<?x8xf32, #moe.dims<batch * seq, 8>>

  %g4 = moe.param <file "w" [4000000, 160] : tensor<8x5xf32>> : tensor<8x5xf32>
  %u4 = moe.param <file "w" [4000160, 2560] : tensor<5x8x16xf32>> : tensor<5x8x16xf32>
  %a4 = moe.param <file "w" [4002720, 320] : tensor<5x16xf32>> : tensor<5x16xf32>
  %v4 = moe.param <file "w" [4003040, 2560] : tensor<5x16x8xf32>> : tensor<5x16x8xf32>
  %b4 = moe.param <file "w" [4005600, 160] : tensor<5x8xf32>> : tensor<5x8xf32>
  %l4 = moe.matmul %m3, %g4 : (tensor<?x8xf32, #moe.dims<batch * seq, 8>>, tensor<8x5xf32>) -> tensor<?x5xf32, #moe.dims<batch * seq, 5>>
  %w4, %e4 = moe.gate %l4 {k = 3 : i64} : (tensor<?x5xf32, #moe.dims<batch * seq, 5>>) -> (tensor<?x3xf32, #moe.dims<batch * seq, 3>>, tensor<?x3xi32, #moe.dims<batch * seq, 3>>)
  %r4, %c4, %s4 = moe.dispatch %m3, %e4 {num_experts = 5 : i64} : (tensor<?x8xf32, #moe.dims<batch * seq, 8>>, tensor<?x3xi32, #moe.dims<batch * seq, 3>>) -> (tensor<?x8xf32, #moe.dims<r4, 8>>, tensor<5xi32>, tensor<?x3xi32, #moe.dims<batch * seq, 3>>)
  %d4 = moe.experts silu %r4, %c4 w1 %u4 b1 %a4 w2 %v4 b2 %b4 {moe.form = {experts = "replicate"}} : (tensor<?x8xf32, #moe.dims<r4, 8>>, tensor<5xi32>, tensor<5x8x16xf32>, tensor<5x16xf32>, tensor<5x16x8xf32>, tensor<5x8xf32>) -> tensor<?x8xf32, #moe.dims<r4, 8>>
  %m4 = moe.combine %d4, %s4, %w4 : (tensor<?x8xf32, #moe.dims<r4, 8>>, tensor<?x3xi32, #moe.dims<batch * seq, 3>>, tensor<?x3xf32, #moe.dims<batch * seq, 3>>) -> tensor<?x8xf32, #moe.dims<batch * seq, 8>>

  %g5 = moe.param <file "w" [5000000, 64] : tensor<8x2xf32>> : tensor<8x2xf32>
  %u5 = moe.param <file "w" [5000064, 4096] : tensor<2x8x64xf32>> : tensor<2x8x64xf32>
  %a5 = moe.param <file "w" [5004160, 512] : tensor<2x64xf32>> : tensor<2x64xf32>
  %v5 = moe.param <file "w" [5004672, 4096] : tensor<2x64x8xf32>> : tensor<2x64x8xf32>
  %b5 = moe.param <file "w" [5008768, 64] : tensor<2x8xf32>> : tensor<2x8xf32>
  %l5 = moe.matmul %m4, %g5 : (tensor<?x8xf32, #moe.dims<batch * seq, 8>>, tensor<8x2xf32>) -> tensor<?x2xf32, #moe.dims<batch * seq, 2>>
  %w5, %e5 = moe.gate %l5 {k = 2 : i64} : (tensor<?x2xf32, #moe.dims<batch * seq, 2>>) -> (tensor<?x2xf32, #moe.dims<batch * seq, 2>>, tensor<?x2xi32, #moe.dims<batch * seq, 2>>)
  %r5, %c5, %s5 = moe.dispatch %m4, %e5 {num_experts = 2 : i64} : (tensor<?x8xf32, #moe.dims<batch * seq, 8>>, tensor<?x2xi32, #moe.dims<batch * seq, 2>>) -> (tensor<?x8xf32, #moe.dims<r5, 8>>, tensor<2xi32>, tensor<?x2xi32, #moe.dims<batch * seq, 2>>)
  %d5 = moe.experts silu %r5, %c5 w1 %u5 b1 %a5 w2 %v5 b2 %b5 {moe.form = {exchange = "replicated", experts = "replicate"}} : (tensor<?x8xf32, #moe.dims<r5, 8>>, tensor<2xi32>, tensor<2x8x64xf32>, tensor<2x64xf32>, tensor<2x64x8xf32>, tensor<2x8xf32>) -> tensor<?x8xf32, #moe.dims<r5, 8>>
  %m5 = moe.combine %d5, %s5, %w5 : (tensor<?x8xf32, #moe.dims<r5, 8>>, tensor<?x2xi32, #moe.dims<batch * seq, 2>>, tensor<?x2xf32, #moe.dims<batch * seq, 2>>) -> tensor<?x8xf32, #moe.dims<batch * seq, 8>>

  %g6 = moe.param <file "w" [6000000, 64] : tensor<8x2xf32>> : tensor<8x2xf32>
  %u6 = moe.param <file "w" [6000064, 4096] : tensor<2x8x64xf32>> : tensor<2x8x64xf32>
  %a6 = moe.param <file "w" [6004160, 512] : tensor<2x64xf32>> : tensor<2x64xf32>
  %v6 = moe.param <file "w" [6004672, 4096] : tensor<2x64x8xf32>> : tensor<2x64x8xf32>
  %b6 = moe.param <file "w" [6008768, 64] : tensor<2x8xf32>> : tensor<2x8xf32>
  %l6 = moe.matmul %m5, %g6 : (tensor<?x8xf32, #moe.dims<batch * seq, 8>>, tensor<8x2xf32>) -> tensor<?x2xf32, #moe.dims<batch * seq, 2>>
  %w6, %e6 = moe.gate %l6 {k = 2 : i64, drop_policy = #moe<drop_policy probs>, capacity_factor = 0.5 : f32, min_capacity = 1 : i64} : (tensor<?x2xf32, #moe.dims<batch * seq, 2>>) -> (tensor<?x2xf32, #moe.dims<batch * seq, 2>>, tensor<?x2xi32, #moe.dims<batch * seq, 2>>)
  %r6, %c6, %s6 = moe.dispatch %m5, %e6 {num_experts = 2 : i64} : (tensor<?x8xf32, #moe.dims<batch * seq, 8>>, tensor<?x2xi32, #moe.dims<batch * seq, 2>>) -> (tensor<?x8xf32, #moe.dims<r6, 8>>, tensor<2xi32>, tensor<?x2xi32, #moe.dims<batch * seq, 2>>)
  %d6 = moe.experts silu %r6, %c6 w1 %u6 b1 %a6 w2 %v6 b2 %b6 {moe.form = {chunks = 3 : i64, chunk_tokens = 6 : i64}} : (tensor<?x8xf32, #moe.dims<r6, 8>>, tensor<2xi32>, tensor<2x8x64xf32>, tensor<2x64xf32>, tensor<2x64x8xf32>, tensor<2x8xf32>) -> tensor<?x8xf32, #moe.dims<r6, 8>>
  %m6 = moe.combine %d6, %s6, %w6 : (tensor<?x8xf32, #moe.dims<r6, 8>>, tensor<?x2xi32, #moe.dims<batch * seq, 2>>, tensor<?x2xf32, #moe.dims<batch * seq, 2>>) -> tensor<?x8xf32, #moe.dims<batch * seq, 8>>

  %y = moe.reshape %m6 : (tensor<?x8xf32, #moe.dims<batch * seq, 8>>) -> tensor<?x?x8xf32, #moe.dims<batch, seq, 8>>
  func.return %y : tensor<?x?x8xf32, #moe.dims<batch, seq, 8>>
}
