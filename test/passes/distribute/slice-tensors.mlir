// RUN: moe-opt %s --split-input-file --moe-place-experts="ranks=2 tp=2" \
// RUN:   --moe-distribute --moe-slice-tensors --cse --moe-verify-distributed \
// RUN:   | FileCheck %s
// RUN: moe-opt %s --split-input-file --moe-place-experts="ranks=2" \
// RUN:   --moe-distribute --moe-slice-tensors \
// RUN:   | FileCheck %s --check-prefix=ONE

// With tp = 1 nothing changes.
// ONE-NOT: heads0.local
// ONE-NOT: moe.all_reduce

// Heads over ranks: the projections are divided by columns, the cache with its
// ports by heads, the last product by rows; one sum.

!x = tensor<?x?x8xf32, #moe.dims<batch, seq, 8>>
!heads = tensor<?x?x4x4xf32, #moe.dims<batch, seq, 4, 4>>
!q = tensor<?x4x?x4xf32, #moe.dims<batch, 4, seq, 4>>
!past = tensor<?x4x?x4xf32, #moe.dims<batch, 4, past, 4>>
!all = tensor<?x4x?x4xf32, #moe.dims<batch, 4, past + seq, 4>>

// CHECK-LABEL: @attention
// CHECK-SAME: %[[X:[^:]*]]: tensor<?x?x8xf32, #moe.dims<batch.local, seq, 8>>
// CHECK-SAME: %[[PAST:[^:]*]]: tensor<?x?x?x4xf32, #moe.dims<batch.local, heads0.local, past, 4>> {moe.state = "k"}
// CHECK-SAME: %[[MASK:[^:]*]]: tensor<1x?x1x?xf32, #moe.dims<1, heads0.local, 1, past + seq>>
// CHECK-SAME: -> (tensor<?x?x8xf32, #moe.dims<batch.local, seq, 8>>, tensor<?x?x?x4xf32, #moe.dims<batch.local, heads0.local, past + seq, 4>>
// CHECK-SAME: moe.local_symbols = {batch.local = "batch", heads0.local = "4"}
// CHECK-SAME: moe.symbol_groups = {heads0.local = "tp"}
func.func @attention(%x: !x, %past: !past {moe.state = "k"},
                     %mask: tensor<1x4x1x?xf32, #moe.dims<1, 4, 1, past + seq>>)
    -> (!x, !all {moe.state = "k"}) {
  // CHECK-DAG: %[[WQ:.*]] = moe.param "q"
  // CHECK-DAG: %[[WQ_PART:.*]] = moe.shard %[[WQ]] {axis = 1 : i64, part = "heads0.local"} {{.*}} -> tensor<8x?xf32, #moe.dims<8, 4 * heads0.local>>
  // CHECK-DAG: %[[BQ:.*]] = moe.param "bq"
  // CHECK-DAG: %[[BQ_PART:.*]] = moe.shard %[[BQ]] {axis = 0 : i64, part = "heads0.local"}
  %wq = moe.param "q" <fill = 0.5 : f32 : tensor<8x16xf32>> : tensor<8x16xf32>
  %bq = moe.param "bq" <fill = 0.25 : f32 : tensor<16xf32>> : tensor<16xf32>
  %wk = moe.param "k" <fill = 0.25 : f32 : tensor<8x16xf32>> : tensor<8x16xf32>
  %wo = moe.param "o" <fill = 0.125 : f32 : tensor<16x8xf32>> : tensor<16x8xf32>
  %bo = moe.param "bo" <fill = 1.0 : f32 : tensor<8xf32>> : tensor<8xf32>
  %sinks = moe.param "sinks" <fill = 1.0 : f32 : tensor<4xf32>> : tensor<4xf32>
  // CHECK: moe.matmul %[[X]], %[[WQ_PART]], %[[BQ_PART]] {{.*}} -> tensor<?x?x?xf32, #moe.dims<batch.local, seq, 4 * heads0.local>>
  %0 = moe.matmul %x, %wq, %bq : (!x, tensor<8x16xf32>, tensor<16xf32>) -> tensor<?x?x16xf32, #moe.dims<batch, seq, 16>>
  // CHECK: moe.reshape {{.*}} -> tensor<?x?x?x4xf32, #moe.dims<batch.local, seq, heads0.local, 4>>
  %1 = moe.reshape %0 : (tensor<?x?x16xf32, #moe.dims<batch, seq, 16>>) -> !heads
  // CHECK: %[[Q:.*]] = moe.transpose
  %q = moe.transpose %1 {permutation = array<i64: 0, 2, 1, 3>} : (!heads) -> !q
  %2 = moe.matmul %x, %wk : (!x, tensor<8x16xf32>) -> tensor<?x?x16xf32, #moe.dims<batch, seq, 16>>
  %3 = moe.reshape %2 : (tensor<?x?x16xf32, #moe.dims<batch, seq, 16>>) -> !heads
  %new = moe.transpose %3 {permutation = array<i64: 0, 2, 1, 3>} : (!heads) -> !q
  // CHECK: %[[K:.*]] = moe.cache_append "k" %[[PAST]], %{{.*}} -> tensor<?x?x?x4xf32, #moe.dims<batch.local, heads0.local, past + seq, 4>>
  %k = moe.cache_append "k" %past, %new {axis = 2 : i64} : (!past, !q) -> !all
  // CHECK: moe.attention %[[Q]], %[[K]], %[[K]] mask %[[MASK]] sink %{{.*}} {{.*}} -> tensor<?x?x?x4xf32, #moe.dims<batch.local, heads0.local, seq, 4>>
  %4 = moe.attention %q, %k, %k mask %mask sink %sinks {scale = 0.5 : f32, causal = true} : (!q, !all, !all, tensor<1x4x1x?xf32, #moe.dims<1, 4, 1, past + seq>>, tensor<4xf32>) -> !q
  %5 = moe.transpose %4 {permutation = array<i64: 0, 2, 1, 3>} : (!q) -> !heads
  %6 = moe.reshape %5 : (!heads) -> tensor<?x?x16xf32, #moe.dims<batch, seq, 16>>
  // CHECK: %[[PARTIAL:.*]] = moe.matmul %{{[^,]*}}, %{{[^,]*}} : (tensor<?x?x?xf32, #moe.dims<batch.local, seq, 4 * heads0.local>>, tensor<?x8xf32, #moe.dims<4 * heads0.local, 8>>)
  // CHECK: %[[SUM:.*]] = moe.all_reduce sum %[[PARTIAL]] {group = #moe<comm_group tp>}
  // CHECK: %[[Y:.*]] = moe.binary add %[[SUM]], %{{.*}} : (tensor<?x?x8xf32, #moe.dims<batch.local, seq, 8>>, tensor<8xf32>)
  // CHECK-NOT: moe.all_gather
  %y = moe.matmul %6, %wo, %bo : (tensor<?x?x16xf32, #moe.dims<batch, seq, 16>>, tensor<16x8xf32>, tensor<8xf32>) -> !x
  // CHECK: return %[[Y]], %[[K]]
  func.return %y, %k : !x, !all
}

// -----

// An FFN: columns of w1 and w3, rows of w2, one sum, then the second bias.

!x = tensor<?x8xf32, #moe.dims<n, 8>>

// CHECK-LABEL: @ffn
func.func @ffn(%x: !x) -> !x {
  %w1 = moe.param <fill = 0.5 : f32 : tensor<8x96xf32>> : tensor<8x96xf32>
  %b1 = moe.param <inline = dense<1.0> : tensor<96xf32> : tensor<96xf32>> : tensor<96xf32>
  %w2 = moe.param <fill = 0.25 : f32 : tensor<48x8xf32>> : tensor<48x8xf32>
  %b2 = moe.param "b2" <fill = 1.0 : f32 : tensor<8xf32>> : tensor<8xf32>
  // CHECK: %[[B2:.*]] = moe.param "b2"
  // CHECK: %[[PARTIAL:.*]] = moe.ffn silu %{{.*}} w1 %{{.*}} b1 %{{.*}} w2 %{{.*}} w3 %{{.*}} b3 %{{.*}} {gating = #moe<gating split>}
  // CHECK-SAME: tensor<8x?xf32, #moe.dims<8, 16 * ffn0.local>>, tensor<?xf32, #moe.dims<16 * ffn0.local>>, tensor<?x8xf32, #moe.dims<16 * ffn0.local, 8>>
  // CHECK: %[[SUM:.*]] = moe.all_reduce sum %[[PARTIAL]] {group = #moe<comm_group tp>}
  // CHECK: moe.binary add %[[SUM]], %[[B2]]
  %y = moe.ffn silu %x w1 %w1 b1 %b1 w2 %w2 b2 %b2 {gating = #moe<gating concatenated>} : (!x, tensor<8x96xf32>, tensor<96xf32>, tensor<48x8xf32>, tensor<8xf32>) -> !x
  func.return %y : !x
}

// -----

// Interleaved columns are divided in pairs. No rank has less than a unit here:
// 48 is 3 units for 2 ranks.

!x = tensor<?x8xf32, #moe.dims<n, 8>>

// CHECK-LABEL: @interleaved
// CHECK-SAME: ffn0.local = "3"
func.func @interleaved(%x: !x) -> !x {
  %w1 = moe.param <fill = 0.5 : f32 : tensor<8x96xf32>> : tensor<8x96xf32>
  %w2 = moe.param <fill = 0.25 : f32 : tensor<48x8xf32>> : tensor<48x8xf32>
  // CHECK: moe.ffn swiglu {{.*}} tensor<8x?xf32, #moe.dims<8, 32 * ffn0.local>>, tensor<?x8xf32, #moe.dims<16 * ffn0.local, 8>>
  %y = moe.ffn swiglu %x w1 %w1 w2 %w2 {gating = #moe<gating interleaved>} : (!x, tensor<8x96xf32>, tensor<48x8xf32>) -> !x
  func.return %y : !x
}

// -----

// An inner dimension of one unit stays whole.

!x = tensor<?x8xf32, #moe.dims<n, 8>>

// CHECK-LABEL: @small
// CHECK-NOT: moe.all_reduce
func.func @small(%x: !x) -> !x {
  %w = moe.param <fill = 0.5 : f32 : tensor<8x16xf32>> : tensor<8x16xf32>
  %v = moe.param <fill = 0.5 : f32 : tensor<16x8xf32>> : tensor<16x8xf32>
  %y = moe.ffn relu %x w1 %w w2 %v : (!x, tensor<8x16xf32>, tensor<16x8xf32>) -> !x
  func.return %y : !x
}

// -----

// A fused product whose slices are q, k and v becomes three products.

!x = tensor<?x?x8xf32, #moe.dims<batch, seq, 8>>
!q = tensor<?x4x?x4xf32, #moe.dims<batch, 4, seq, 4>>
!k = tensor<?x2x?x4xf32, #moe.dims<batch, 2, seq, 4>>

// CHECK-LABEL: @fused
// CHECK-SAME: %[[X:[^:]*]]: tensor<
func.func @fused(%x: !x) -> !x {
  // CHECK-DAG: moe.param "qkv" <slice [0, 0, 1, 1] {{.*}} : tensor<8x16xf32>>
  // CHECK-DAG: moe.param "qkv" <slice [0, 16, 1, 1] {{.*}} : tensor<8x8xf32>>
  // CHECK-DAG: moe.param "qkv" <slice [0, 24, 1, 1] {{.*}} : tensor<8x8xf32>>
  %w = moe.param "qkv" <file "w" [0, 1024] : tensor<8x32xf32>> : tensor<8x32xf32>
  %wo = moe.param "o" <fill = 0.125 : f32 : tensor<16x8xf32>> : tensor<16x8xf32>
  // CHECK-DAG: moe.matmul %[[X]], {{.*}} -> tensor<?x?x?xf32, #moe.dims<batch.local, seq, 8 * heads0.local>>
  // CHECK-DAG: moe.matmul %[[X]], {{.*}} -> tensor<?x?x?xf32, #moe.dims<batch.local, seq, 4 * heads0.local>>
  %0 = moe.matmul %x, %w : (!x, tensor<8x32xf32>) -> tensor<?x?x32xf32, #moe.dims<batch, seq, 32>>
  // CHECK-NOT: moe.slice
  %1 = moe.slice %0 <0, 0, 0> {steps = array<i64: 1, 1, 1>} : (tensor<?x?x32xf32, #moe.dims<batch, seq, 32>>) -> tensor<?x?x16xf32, #moe.dims<batch, seq, 16>>
  %2 = moe.slice %0 <0, 0, 16> {steps = array<i64: 1, 1, 1>} : (tensor<?x?x32xf32, #moe.dims<batch, seq, 32>>) -> tensor<?x?x8xf32, #moe.dims<batch, seq, 8>>
  %3 = moe.slice %0 <0, 0, 24> {steps = array<i64: 1, 1, 1>} : (tensor<?x?x32xf32, #moe.dims<batch, seq, 32>>) -> tensor<?x?x8xf32, #moe.dims<batch, seq, 8>>
  %4 = moe.reshape %1 : (tensor<?x?x16xf32, #moe.dims<batch, seq, 16>>) -> tensor<?x?x4x4xf32, #moe.dims<batch, seq, 4, 4>>
  %5 = moe.reshape %2 : (tensor<?x?x8xf32, #moe.dims<batch, seq, 8>>) -> tensor<?x?x2x4xf32, #moe.dims<batch, seq, 2, 4>>
  %6 = moe.reshape %3 : (tensor<?x?x8xf32, #moe.dims<batch, seq, 8>>) -> tensor<?x?x2x4xf32, #moe.dims<batch, seq, 2, 4>>
  %q = moe.transpose %4 {permutation = array<i64: 0, 2, 1, 3>} : (tensor<?x?x4x4xf32, #moe.dims<batch, seq, 4, 4>>) -> !q
  %k = moe.transpose %5 {permutation = array<i64: 0, 2, 1, 3>} : (tensor<?x?x2x4xf32, #moe.dims<batch, seq, 2, 4>>) -> !k
  %v = moe.transpose %6 {permutation = array<i64: 0, 2, 1, 3>} : (tensor<?x?x2x4xf32, #moe.dims<batch, seq, 2, 4>>) -> !k
  %7 = moe.attention %q, %k, %v {scale = 0.5 : f32, causal = true} : (!q, !k, !k) -> !q
  %8 = moe.transpose %7 {permutation = array<i64: 0, 2, 1, 3>} : (!q) -> tensor<?x?x4x4xf32, #moe.dims<batch, seq, 4, 4>>
  %9 = moe.reshape %8 : (tensor<?x?x4x4xf32, #moe.dims<batch, seq, 4, 4>>) -> tensor<?x?x16xf32, #moe.dims<batch, seq, 16>>
  %y = moe.matmul %9, %wo : (tensor<?x?x16xf32, #moe.dims<batch, seq, 16>>, tensor<16x8xf32>) -> !x
  func.return %y : !x
}

// -----

// Where q, k and v are [3, heads, size] of the columns, heads come first.

!x = tensor<?x?x8xf32, #moe.dims<batch, seq, 8>>
!qkv = tensor<3x?x2x?x4xf32, #moe.dims<3, batch, 2, seq, 4>>
!one = tensor<1x?x2x?x4xf32, #moe.dims<1, batch, 2, seq, 4>>
!q = tensor<?x2x?x4xf32, #moe.dims<batch, 2, seq, 4>>

// CHECK-LABEL: @unfolded
func.func @unfolded(%x: !x) -> !q {
  // CHECK: moe.param "qkv" <reshape (#moe.param<transpose [0, 2, 1, 3] (#moe.param<file "w" [0, 768] : tensor<8x3x2x4xf32>>)
  %w = moe.param "qkv" <file "w" [0, 768] : tensor<8x24xf32>> : tensor<8x24xf32>
  // CHECK: moe.matmul {{.*}} -> tensor<?x?x?xf32, #moe.dims<batch.local, seq, 12 * heads0.local>>
  // CHECK-NOT: moe.matmul
  %0 = moe.matmul %x, %w : (!x, tensor<8x24xf32>) -> tensor<?x?x24xf32, #moe.dims<batch, seq, 24>>
  // CHECK: moe.reshape {{.*}} -> tensor<?x?x?x3x4xf32, #moe.dims<batch.local, seq, heads0.local, 3, 4>>
  // CHECK: moe.transpose {{.*}} -> tensor<?x?x3x?x4xf32, #moe.dims<batch.local, seq, 3, heads0.local, 4>>
  %1 = moe.reshape %0 : (tensor<?x?x24xf32, #moe.dims<batch, seq, 24>>) -> tensor<?x?x3x2x4xf32, #moe.dims<batch, seq, 3, 2, 4>>
  %2 = moe.transpose %1 {permutation = array<i64: 2, 0, 3, 1, 4>} : (tensor<?x?x3x2x4xf32, #moe.dims<batch, seq, 3, 2, 4>>) -> !qkv
  %3 = moe.slice %2 <0, 0, 0, 0, 0> {steps = array<i64: 1, 1, 1, 1, 1>} : (!qkv) -> !one
  %4 = moe.slice %2 <1, 0, 0, 0, 0> {steps = array<i64: 1, 1, 1, 1, 1>} : (!qkv) -> !one
  %5 = moe.slice %2 <2, 0, 0, 0, 0> {steps = array<i64: 1, 1, 1, 1, 1>} : (!qkv) -> !one
  %q = moe.reshape %3 : (!one) -> !q
  %k = moe.reshape %4 : (!one) -> !q
  %v = moe.reshape %5 : (!one) -> !q
  // A result of the function stays in slices.
  // CHECK: %[[Y:.*]] = moe.attention
  // CHECK-NEXT: return %[[Y]] : tensor<?x?x?x4xf32, #moe.dims<batch.local, heads0.local, seq, 4>>
  %y = moe.attention %q, %k, %v {scale = 0.5 : f32} : (!q, !q, !q) -> !q
  func.return %y : !q
}

// -----

// Fewer heads of keys than ranks: one needs no copy.

!q = tensor<?x4x?x4xf32, #moe.dims<batch, 4, seq, 4>>
!k = tensor<?x1x?x4xf32, #moe.dims<batch, 1, seq, 4>>

// CHECK-LABEL: @one_key_head
// CHECK-SAME: %[[Q:[^:]*]]: tensor<?x?x?x4xf32, #moe.dims<batch.local, 2 * heads0.local, seq, 4>>, %[[K:[^:]*]]: tensor<?x1x?x4xf32, #moe.dims<batch.local, 1, seq, 4>>
// CHECK-SAME: heads0.local = "2"
func.func @one_key_head(%q: !q, %k: !k) -> !q {
  // CHECK: moe.attention %[[Q]], %[[K]], %[[K]]
  %y = moe.attention %q, %k, %k {scale = 0.5 : f32} : (!q, !k, !k) -> !q
  func.return %y : !q
}

// -----

// Latent attention: what every head reads stays whole, and is stretched to the
// heads of a rank.

!x = tensor<?x?x8xf32, #moe.dims<batch, seq, 8>>
!q = tensor<?x2x?x8xf32, #moe.dims<batch, 2, seq, 8>>
!half = tensor<?x2x?x4xf32, #moe.dims<batch, 2, seq, 4>>

// CHECK-LABEL: @latent
func.func @latent(%x: !x, %q: !q, %rotated: tensor<?x1x?x4xf32, #moe.dims<batch, 1, seq, 4>>) -> !half {
  %down = moe.param "down" <fill = 0.5 : f32 : tensor<8x4xf32>> : tensor<8x4xf32>
  %up = moe.param "up" <fill = 0.5 : f32 : tensor<4x16xf32>> : tensor<4x16xf32>
  // CHECK: %[[DOWN:.*]] = moe.param "down"
  // CHECK: moe.matmul %{{.*}}, %[[DOWN]]
  %0 = moe.matmul %x, %down : (!x, tensor<8x4xf32>) -> tensor<?x?x4xf32, #moe.dims<batch, seq, 4>>
  %1 = moe.norm rms %0 {axis = 2 : i64, epsilon = 1.0e-6 : f32} : (tensor<?x?x4xf32, #moe.dims<batch, seq, 4>>) -> tensor<?x?x4xf32, #moe.dims<batch, seq, 4>>
  // CHECK: moe.matmul {{.*}} tensor<4x?xf32, #moe.dims<4, 8 * heads0.local>>
  %2 = moe.matmul %1, %up : (tensor<?x?x4xf32, #moe.dims<batch, seq, 4>>, tensor<4x16xf32>) -> tensor<?x?x16xf32, #moe.dims<batch, seq, 16>>
  %3 = moe.reshape %2 : (tensor<?x?x16xf32, #moe.dims<batch, seq, 16>>) -> tensor<?x?x2x8xf32, #moe.dims<batch, seq, 2, 8>>
  %4 = moe.transpose %3 {permutation = array<i64: 0, 2, 1, 3>} : (tensor<?x?x2x8xf32, #moe.dims<batch, seq, 2, 8>>) -> !q
  %5 = moe.slice %4 <0, 0, 0, 0> {steps = array<i64: 1, 1, 1, 1>} : (!q) -> !half
  %v = moe.slice %4 <0, 0, 0, 4> {steps = array<i64: 1, 1, 1, 1>} : (!q) -> !half
  // CHECK: moe.broadcast {{.*}} -> tensor<?x?x?x4xf32, #moe.dims<batch.local, heads0.local, seq, 4>>
  %6 = moe.broadcast %rotated : (tensor<?x1x?x4xf32, #moe.dims<batch, 1, seq, 4>>) -> !half
  // CHECK: moe.concat
  %k = moe.concat %5, %6 {axis = 3 : i64} : (!half, !half) -> !q
  %y = moe.attention %q, %k, %v {scale = 0.5 : f32} : (!q, !q, !half) -> !half
  func.return %y : !half
}

// -----

// The vocabulary: rows of the embedding, columns of the tied projection, and
// logits that stay in slices. The table of positions is whole.

!ids = tensor<?x?xi64, #moe.dims<batch, seq>>
!x = tensor<?x?x8xf32, #moe.dims<batch, seq, 8>>

// CHECK-LABEL: @vocabulary
// CHECK-SAME: -> tensor<?x?x?xf32, #moe.dims<batch.local, seq, 16 * vocab0.local>>
// CHECK-SAME: vocab0.local = "6"
func.func @vocabulary(%ids: !ids, %positions: !ids) -> tensor<?x?x96xf32, #moe.dims<batch, seq, 96>> {
  // CHECK: %[[TABLE:.*]] = moe.param "table"
  // CHECK: %[[ROWS:.*]] = moe.shard %[[TABLE]] {axis = 0 : i64, part = "vocab0.local"}
  %table = moe.param "table" <fill = 0.5 : f32 : tensor<96x8xf32>> : tensor<96x8xf32>
  %places = moe.param "places" <fill = 0.5 : f32 : tensor<32x8xf32>> : tensor<32x8xf32>
  // CHECK: %[[FOUND:.*]] = moe.gather %[[ROWS]], %{{.*}} {axis = 0 : i64, part = "vocab0.local"}
  // CHECK: %[[SUM:.*]] = moe.all_reduce sum %[[FOUND]] {group = #moe<comm_group tp>}
  %0 = moe.gather %table, %ids {axis = 0 : i64} : (tensor<96x8xf32>, !ids) -> !x
  // CHECK: moe.gather %{{.*}}, %{{.*}} {axis = 0 : i64} : (tensor<32x8xf32>
  %1 = moe.gather %places, %positions {axis = 0 : i64} : (tensor<32x8xf32>, !ids) -> !x
  %2 = moe.binary add %0, %1 : (!x, !x) -> !x
  // CHECK: %[[LOGITS:.*]] = moe.matmul %{{.*}}, %[[ROWS]] {transpose_rhs = true}
  // CHECK-NEXT: %[[SCALED:.*]] = moe.unary tanh %[[LOGITS]]
  // CHECK-NEXT: return %[[SCALED]]
  %3 = moe.matmul %2, %table {transpose_rhs = true} : (!x, tensor<96x8xf32>) -> tensor<?x?x96xf32, #moe.dims<batch, seq, 96>>
  %4 = moe.unary tanh %3 : (tensor<?x?x96xf32, #moe.dims<batch, seq, 96>>) -> tensor<?x?x96xf32, #moe.dims<batch, seq, 96>>
  func.return %4 : tensor<?x?x96xf32, #moe.dims<batch, seq, 96>>
}

// -----

// Logits that something reads as a whole are gathered there.

!ids = tensor<?xi64, #moe.dims<n>>
!x = tensor<?x8xf32, #moe.dims<n, 8>>

// CHECK-LABEL: @probabilities
func.func @probabilities(%ids: !ids) -> tensor<?x96xf32, #moe.dims<n, 96>> {
  %table = moe.param "table" <fill = 0.5 : f32 : tensor<96x8xf32>> : tensor<96x8xf32>
  %w = moe.param "w" <fill = 0.5 : f32 : tensor<8x96xf32>> : tensor<8x96xf32>
  %0 = moe.gather %table, %ids {axis = 0 : i64} : (tensor<96x8xf32>, !ids) -> !x
  // CHECK: %[[LOGITS:.*]] = moe.matmul {{.*}} -> tensor<?x?xf32, #moe.dims<n.local, 16 * vocab0.local>>
  // CHECK: %[[ALL:.*]] = moe.all_gather %[[LOGITS]] {axis = 1 : i64, part = "vocab0.local"}
  // CHECK: moe.softmax %[[ALL]]
  %1 = moe.matmul %0, %w : (!x, tensor<8x96xf32>) -> tensor<?x96xf32, #moe.dims<n, 96>>
  %2 = moe.softmax %1 {axis = 1 : i64} : (tensor<?x96xf32, #moe.dims<n, 96>>) -> tensor<?x96xf32, #moe.dims<n, 96>>
  func.return %2 : tensor<?x96xf32, #moe.dims<n, 96>>
}

// -----

// Two products with elementwise operations between them, and no ffn.

!x = tensor<?x8xf32, #moe.dims<n, 8>>
!h = tensor<?x32xf32, #moe.dims<n, 32>>

// CHECK-LABEL: @pair
func.func @pair(%x: !x) -> !x {
  %w = moe.param "w" <fill = 0.5 : f32 : tensor<8x32xf32>> : tensor<8x32xf32>
  %v = moe.param "v" <fill = 0.5 : f32 : tensor<32x8xf32>> : tensor<32x8xf32>
  %s = moe.param "s" <fill = 0.5 : f32 : tensor<32xf32>> : tensor<32xf32>
  // CHECK: moe.matmul {{.*}} -> tensor<?x?xf32, #moe.dims<n.local, 16 * ffn0.local>>
  %0 = moe.matmul %x, %w : (!x, tensor<8x32xf32>) -> !h
  %1 = moe.unary sin %0 : (!h) -> !h
  // CHECK: moe.binary mul {{.*}} tensor<?xf32, #moe.dims<16 * ffn0.local>>
  %2 = moe.binary mul %1, %s : (!h, tensor<32xf32>) -> !h
  // CHECK: %[[PARTIAL:.*]] = moe.matmul
  // CHECK: moe.all_reduce sum %[[PARTIAL]]
  %y = moe.matmul %2, %v : (!h, tensor<32x8xf32>) -> !x
  func.return %y : !x
}

// -----

// A sum that something mixes is no pair: both products stay whole.

!x = tensor<?x8xf32, #moe.dims<n, 8>>
!h = tensor<?x32xf32, #moe.dims<n, 32>>

// CHECK-LABEL: @mixed
// CHECK-NOT: moe.all_reduce
func.func @mixed(%x: !x) -> !x {
  %w = moe.param "w" <fill = 0.5 : f32 : tensor<8x32xf32>> : tensor<8x32xf32>
  %v = moe.param "v" <fill = 0.5 : f32 : tensor<32x8xf32>> : tensor<32x8xf32>
  %0 = moe.matmul %x, %w : (!x, tensor<8x32xf32>) -> !h
  %1 = moe.softmax %0 {axis = 1 : i64} : (!h) -> !h
  %2 = moe.matmul %1, %v : (!h, tensor<32x8xf32>) -> !x
  %y = moe.norm rms %2 {axis = 1 : i64, epsilon = 1.0e-6 : f32} : (!x) -> !x
  func.return %y : !x
}

// -----

// A present that somebody else reads as a whole keeps the cache whole: each
// rank takes its heads of it.

!q = tensor<?x2x?x4xf32, #moe.dims<batch, 2, seq, 4>>
!past = tensor<?x2x?x4xf32, #moe.dims<batch, 2, past, 4>>
!all = tensor<?x2x?x4xf32, #moe.dims<batch, 2, past + seq, 4>>

// CHECK-LABEL: @shared_cache
// CHECK-SAME: tensor<?x2x?x4xf32, #moe.dims<batch.local, 2, past, 4>> {moe.state = "k"}
func.func @shared_cache(%q: !q, %past: !past {moe.state = "k"})
    -> (!q, !all {moe.state = "k"}, tensor<?x?x4xf32, #moe.dims<batch, past + seq, 4>>) {
  // CHECK: %[[K:.*]] = moe.cache_append {{.*}} -> tensor<?x2x?x4xf32, #moe.dims<batch.local, 2, past + seq, 4>>
  // CHECK: %[[PART:.*]] = moe.shard %[[K]] {axis = 1 : i64, part = "heads0.local"}
  %new = moe.unary neg %q : (!q) -> !q
  %k = moe.cache_append "k" %past, %new {axis = 2 : i64} : (!past, !q) -> !all
  // CHECK: moe.attention %{{.*}}, %[[PART]], %[[PART]]
  %y = moe.attention %q, %k, %k {scale = 0.5 : f32} : (!q, !all, !all) -> !q
  // CHECK: moe.reduce sum %[[K]]
  %sum = moe.reduce sum %k {axes = array<i64: 1>, keepdims = false} : (!all) -> tensor<?x?x4xf32, #moe.dims<batch, past + seq, 4>>
  // CHECK: return %{{.*}}, %[[K]], %{{.*}}
  func.return %y, %k, %sum : !q, !all, tensor<?x?x4xf32, #moe.dims<batch, past + seq, 4>>
}
