// Fewer heads of keys than ranks: every rank still has query heads.
//
// RUN: moe-opt %s --split-input-file --moe-place-experts="ranks=4 tp=4" \
// RUN:   --moe-distribute --moe-slice-tensors --cse --moe-verify-distributed \
// RUN:   | FileCheck %s

// Heads of keys are repeated in the weights of their projection.

!x = tensor<?x?x8xf32, #moe.dims<batch, seq, 8>>
!q = tensor<?x4x?x4xf32, #moe.dims<batch, 4, seq, 4>>
!k = tensor<?x2x?x4xf32, #moe.dims<batch, 2, seq, 4>>

// CHECK-LABEL: @projected
func.func @projected(%x: !x, %q: !q) -> !q {
  // CHECK-DAG: %[[KEYS:.*]] = moe.param "kv" <concat [1] (#moe.param<slice [0, 0, 1, 1] {{.*}} : tensor<8x4xf32>>, #moe.param<slice [0, 0, 1, 1] {{.*}} : tensor<8x8xf32>>, #moe.param<slice [0, 4, 1, 1] {{.*}}> : tensor<8x16xf32>
  // CHECK-DAG: moe.shard %[[KEYS]] {axis = 1 : i64, part = "heads0.local"}
  // CHECK-DAG: %[[VALUES:.*]] = moe.param "kv" <concat [1] (#moe.param<slice [0, 8, 1, 1]
  // CHECK-DAG: moe.shard %[[VALUES]] {axis = 1 : i64, part = "heads0.local"}
  %w = moe.param "kv" <file "w" [0, 512] : tensor<8x16xf32>> : tensor<8x16xf32>
  %0 = moe.matmul %x, %w : (!x, tensor<8x16xf32>) -> tensor<?x?x16xf32, #moe.dims<batch, seq, 16>>
  %1 = moe.slice %0 <0, 0, 0> {steps = array<i64: 1, 1, 1>} : (tensor<?x?x16xf32, #moe.dims<batch, seq, 16>>) -> !x
  %2 = moe.slice %0 <0, 0, 8> {steps = array<i64: 1, 1, 1>} : (tensor<?x?x16xf32, #moe.dims<batch, seq, 16>>) -> !x
  %3 = moe.reshape %1 : (!x) -> tensor<?x?x2x4xf32, #moe.dims<batch, seq, 2, 4>>
  %4 = moe.reshape %2 : (!x) -> tensor<?x?x2x4xf32, #moe.dims<batch, seq, 2, 4>>
  %k = moe.transpose %3 {permutation = array<i64: 0, 2, 1, 3>} : (tensor<?x?x2x4xf32, #moe.dims<batch, seq, 2, 4>>) -> !k
  %v = moe.transpose %4 {permutation = array<i64: 0, 2, 1, 3>} : (tensor<?x?x2x4xf32, #moe.dims<batch, seq, 2, 4>>) -> !k
  // CHECK-NOT: moe.gather
  // CHECK: moe.attention {{.*}} (tensor<?x?x?x4xf32, #moe.dims<batch.local, heads0.local, seq, 4>>, tensor<?x?x?x4xf32, #moe.dims<batch.local, heads0.local, seq, 4>>, tensor<?x?x?x4xf32, #moe.dims<batch.local, heads0.local, seq, 4>>)
  %y = moe.attention %q, %k, %v {scale = 0.5 : f32} : (!q, !k, !k) -> !q
  func.return %y : !q
}

// -----

// A cache has the heads of the model on all ranks, and each reads its own.

!q = tensor<?x4x?x4xf32, #moe.dims<batch, 4, seq, 4>>
!new = tensor<?x2x?x4xf32, #moe.dims<batch, 2, seq, 4>>
!past = tensor<?x2x?x4xf32, #moe.dims<batch, 2, past, 4>>
!all = tensor<?x2x?x4xf32, #moe.dims<batch, 2, past + seq, 4>>

// CHECK-LABEL: @cached
// CHECK-SAME: tensor<?x2x?x4xf32, #moe.dims<batch.local, 2, past, 4>> {moe.state = "k"}
func.func @cached(%q: !q, %new: !new, %past: !past {moe.state = "k"})
    -> (!q, !all {moe.state = "k"}) {
  // CHECK: %[[K:.*]] = moe.cache_append "k"
  %k = moe.cache_append "k" %past, %new {axis = 2 : i64} : (!past, !new) -> !all
  // CHECK: %[[UNITS:.*]] = moe.iota <0> : tensor<4xi64>
  // CHECK: %[[OWN:.*]] = moe.shard %[[UNITS]] {axis = 0 : i64, part = "heads0.local"}
  // CHECK: %[[HEADS:.*]] = moe.binary div %[[OWN]], %{{.*}}
  // CHECK: %[[READ:.*]] = moe.gather %[[K]], %[[HEADS]] {axis = 1 : i64}
  // CHECK: %[[Y:.*]] = moe.attention %{{.*}}, %[[READ]], %[[READ]]
  %y = moe.attention %q, %k, %k {scale = 0.5 : f32} : (!q, !all, !all) -> !q
  // CHECK: return %[[Y]], %[[K]]
  func.return %y, %k : !q, !all
}

// -----

// More ranks than heads: some have none.

!q = tensor<?x2x?x4xf32, #moe.dims<batch, 2, seq, 4>>

// CHECK-LABEL: @few
// CHECK-SAME: heads0.local = "2"
func.func @few(%q: !q) -> !q {
  // CHECK: moe.attention {{.*}} -> tensor<?x?x?x4xf32, #moe.dims<batch.local, heads0.local, seq, 4>>
  %y = moe.attention %q, %q, %q {scale = 0.5 : f32} : (!q, !q, !q) -> !q
  func.return %y : !q
}

// -----

// One head cannot be divided.

!q = tensor<?x1x?x4xf32, #moe.dims<batch, 1, seq, 4>>

// CHECK-LABEL: @one
// CHECK-NOT: heads0.local
func.func @one(%q: !q) -> !q {
  %y = moe.attention %q, %q, %q {scale = 0.5 : f32} : (!q, !q, !q) -> !q
  func.return %y : !q
}

// -----

// Heads that share a dimension with positions while they are normalized.

!x = tensor<?x?x8xf32, #moe.dims<batch, seq, 8>>
!wide = tensor<?x?x16xf32, #moe.dims<batch, seq, 16>>
!rows = tensor<?x?x4xf32, #moe.dims<batch, 4 * seq, 4>>
!heads = tensor<?x?x4x4xf32, #moe.dims<batch, seq, 4, 4>>
!q = tensor<?x4x?x4xf32, #moe.dims<batch, 4, seq, 4>>

// CHECK-LABEL: @normalized
func.func @normalized(%x: !x) -> !q {
  %w = moe.param <file "w" [0, 512] : tensor<8x16xf32>> : tensor<8x16xf32>
  // CHECK: moe.matmul {{.*}} -> tensor<?x?x?xf32, #moe.dims<batch.local, seq, 4 * heads0.local>>
  %0 = moe.matmul %x, %w : (!x, tensor<8x16xf32>) -> !wide
  // CHECK: moe.norm rms {{.*}} -> tensor<?x?x?x4xf32, #moe.dims<batch.local, seq, heads0.local, 4>>
  %1 = moe.reshape %0 : (!wide) -> !rows
  %2 = moe.norm rms %1 {axis = 2 : i64, epsilon = 1.0e-6 : f32} : (!rows) -> !rows
  %3 = moe.reshape %2 : (!rows) -> !heads
  %q = moe.transpose %3 {permutation = array<i64: 0, 2, 1, 3>} : (!heads) -> !q
  %y = moe.attention %q, %q, %q {scale = 0.5 : f32} : (!q, !q, !q) -> !q
  func.return %y : !q
}
