// RUN: moe-opt %s --split-input-file --moe-place-experts=ranks=2 --moe-distribute \
// RUN:   --moe-verify-distributed | FileCheck %s
// RUN: moe-opt %s --split-input-file --moe-place-experts=ranks=1 --moe-distribute \
// RUN:   | FileCheck %s --check-prefix=ONE

// On one rank nothing changes.
// ONE-NOT: batch.local

// Rows stay where they are: types say so.

// CHECK-LABEL: @rows
// CHECK-SAME: %[[X:.*]]: tensor<?x?x8xf32, #moe.dims<batch.local, seq, 8>>
// CHECK-SAME: -> tensor<?x?x8xf32, #moe.dims<batch.local, seq, 8>>
// CHECK-SAME: moe.local_symbols = {batch.local = "batch"}
func.func @rows(%x: tensor<?x?x8xf32, #moe.dims<batch, seq, 8>>)
    -> tensor<?x?x8xf32, #moe.dims<batch, seq, 8>> {
  %w = moe.param <fill = 1.0 : f32 : tensor<8x8xf32>> : tensor<8x8xf32>
  // CHECK: moe.reshape %[[X]] {{.*}} -> tensor<?x8xf32, #moe.dims<batch.local * seq, 8>>
  %0 = moe.reshape %x : (tensor<?x?x8xf32, #moe.dims<batch, seq, 8>>) -> tensor<?x8xf32, #moe.dims<batch * seq, 8>>
  // CHECK: moe.matmul
  // CHECK-SAME: -> tensor<?x8xf32, #moe.dims<batch.local * seq, 8>>
  %1 = moe.matmul %0, %w : (tensor<?x8xf32, #moe.dims<batch * seq, 8>>, tensor<8x8xf32>) -> tensor<?x8xf32, #moe.dims<batch * seq, 8>>
  // CHECK: moe.softmax
  %2 = moe.softmax %1 {axis = 1 : i64} : (tensor<?x8xf32, #moe.dims<batch * seq, 8>>) -> tensor<?x8xf32, #moe.dims<batch * seq, 8>>
  // CHECK-NOT: moe.all_gather
  %3 = moe.reshape %2 : (tensor<?x8xf32, #moe.dims<batch * seq, 8>>) -> tensor<?x?x8xf32, #moe.dims<batch, seq, 8>>
  func.return %3 : tensor<?x?x8xf32, #moe.dims<batch, seq, 8>>
}

// -----

// What mixes rows is computed everywhere, and rows take their part of it.

// CHECK-LABEL: @mixed
// CHECK-SAME: %[[X:.*]]: tensor<?x8xf32, #moe.dims<batch.local, 8>>
func.func @mixed(%x: tensor<?x8xf32, #moe.dims<batch, 8>>)
    -> (tensor<?x8xf32, #moe.dims<batch, 8>>, tensor<8xf32>) {
  // CHECK: %[[ALL:.*]] = moe.all_gather %[[X]] {axis = 0 : i64, part = "batch.local"}
  // CHECK: %[[SUM:.*]] = moe.reduce sum %[[ALL]]
  // CHECK-SAME: -> tensor<8xf32>
  %0 = moe.reduce sum %x {axes = array<i64: 0>, keepdims = false} : (tensor<?x8xf32, #moe.dims<batch, 8>>) -> tensor<8xf32>
  // CHECK: %[[RUNNING:.*]] = moe.cumsum %[[ALL]]
  %1 = moe.cumsum %x {axis = 0 : i64} : (tensor<?x8xf32, #moe.dims<batch, 8>>) -> tensor<?x8xf32, #moe.dims<batch, 8>>
  // CHECK: %[[OWN:.*]] = moe.shard %[[RUNNING]] {axis = 0 : i64, part = "batch.local"}
  // CHECK: moe.binary add %[[X]], %[[OWN]]
  %2 = moe.binary add %x, %1 : (tensor<?x8xf32, #moe.dims<batch, 8>>, tensor<?x8xf32, #moe.dims<batch, 8>>) -> tensor<?x8xf32, #moe.dims<batch, 8>>
  // CHECK: return {{.*}} : tensor<?x8xf32, #moe.dims<batch.local, 8>>, tensor<8xf32>
  func.return %2, %0 : tensor<?x8xf32, #moe.dims<batch, 8>>, tensor<8xf32>
}

// -----

// A position is the same on every rank, a number of a row is not.

// CHECK-LABEL: @iota
func.func @iota(%x: tensor<?x?xi64, #moe.dims<batch, seq>>)
    -> tensor<?x?xi64, #moe.dims<batch, seq>> {
  // CHECK: %[[POSITIONS:.*]] = moe.iota <0> : tensor<?xi64, #moe.dims<seq>>
  %p = moe.iota <0> : tensor<?xi64, #moe.dims<seq>>
  // CHECK: moe.binary add %{{.*}}, %[[POSITIONS]]
  %0 = moe.binary add %x, %p : (tensor<?x?xi64, #moe.dims<batch, seq>>, tensor<?xi64, #moe.dims<seq>>) -> tensor<?x?xi64, #moe.dims<batch, seq>>
  // CHECK: %[[ROWS:.*]] = moe.iota <0> : tensor<?xi64, #moe.dims<batch>>
  %r = moe.iota <0> : tensor<?xi64, #moe.dims<batch>>
  // CHECK: %[[COLUMN:.*]] = moe.reshape %[[ROWS]]
  %c = moe.reshape %r : (tensor<?xi64, #moe.dims<batch>>) -> tensor<?x1xi64, #moe.dims<batch, 1>>
  // CHECK: %[[OWN:.*]] = moe.shard %[[COLUMN]]
  // CHECK: moe.binary mul %{{.*}}, %[[OWN]]
  %1 = moe.binary mul %0, %c : (tensor<?x?xi64, #moe.dims<batch, seq>>, tensor<?x1xi64, #moe.dims<batch, 1>>) -> tensor<?x?xi64, #moe.dims<batch, seq>>
  func.return %1 : tensor<?x?xi64, #moe.dims<batch, seq>>
}

// -----

// Tables are whole, indices have the rows; batch dims belong to rows.

// CHECK-LABEL: @gather
func.func @gather(%ids: tensor<?x?xi64, #moe.dims<batch, seq>>,
                  %rows: tensor<?x32xf32, #moe.dims<batch, 32>>)
    -> (tensor<?x?x4xf32, #moe.dims<batch, seq, 4>>,
        tensor<?x?xf32, #moe.dims<batch, seq>>) {
  %table = moe.param <fill = 1.0 : f32 : tensor<16x4xf32>> : tensor<16x4xf32>
  // CHECK-NOT: moe.all_gather
  // CHECK: moe.gather {{.*}} -> tensor<?x?x4xf32, #moe.dims<batch.local, seq, 4>>
  %0 = moe.gather %table, %ids {axis = 0 : i64} : (tensor<16x4xf32>, tensor<?x?xi64, #moe.dims<batch, seq>>) -> tensor<?x?x4xf32, #moe.dims<batch, seq, 4>>
  // CHECK: moe.gather {{.*}} -> tensor<?x?xf32, #moe.dims<batch.local, seq>>
  %1 = moe.gather %rows, %ids {axis = 1 : i64, batch_dims = 1 : i64} : (tensor<?x32xf32, #moe.dims<batch, 32>>, tensor<?x?xi64, #moe.dims<batch, seq>>) -> tensor<?x?xf32, #moe.dims<batch, seq>>
  func.return %0, %1 : tensor<?x?x4xf32, #moe.dims<batch, seq, 4>>, tensor<?x?xf32, #moe.dims<batch, seq>>
}

// -----

// A transpose takes the rows along; a reshape that would scatter them does not.

// CHECK-LABEL: @reshape
func.func @reshape(%x: tensor<?x4xf32, #moe.dims<batch, 4>>)
    -> tensor<?xf32, #moe.dims<4 * batch>> {
  // CHECK: %[[T:.*]] = moe.transpose {{.*}} -> tensor<4x?xf32, #moe.dims<4, batch.local>>
  %0 = moe.transpose %x {permutation = array<i64: 1, 0>} : (tensor<?x4xf32, #moe.dims<batch, 4>>) -> tensor<4x?xf32, #moe.dims<4, batch>>
  // CHECK: %[[ALL:.*]] = moe.all_gather %[[T]] {axis = 1 : i64, part = "batch.local"}
  // CHECK: moe.reshape %[[ALL]] {{.*}} -> tensor<?xf32, #moe.dims<4 * batch>>
  %1 = moe.reshape %0 : (tensor<4x?xf32, #moe.dims<4, batch>>) -> tensor<?xf32, #moe.dims<4 * batch>>
  func.return %1 : tensor<?xf32, #moe.dims<4 * batch>>
}

// -----

// Attention and cache: rows of q, k, v, mask and past belong together.

// CHECK-LABEL: @attention
// CHECK-NOT: moe.all_gather
func.func @attention(%q: tensor<?x2x?x8xf32, #moe.dims<batch, 2, seq, 8>>,
    %past: tensor<?x2x?x8xf32, #moe.dims<batch, 2, past, 8>> {moe.state = "k"},
    %mask: tensor<?x1x1x?xi1, #moe.dims<batch, 1, 1, past + seq>>)
    -> tensor<?x2x?x8xf32, #moe.dims<batch, 2, seq, 8>> {
  // CHECK: moe.cache_append {{.*}} -> tensor<?x2x?x8xf32, #moe.dims<batch.local, 2, past + seq, 8>>
  %k = moe.cache_append "k" %past, %q {axis = 2 : i64} : (tensor<?x2x?x8xf32, #moe.dims<batch, 2, past, 8>>, tensor<?x2x?x8xf32, #moe.dims<batch, 2, seq, 8>>) -> tensor<?x2x?x8xf32, #moe.dims<batch, 2, past + seq, 8>>
  // CHECK: moe.attention {{.*}} -> tensor<?x2x?x8xf32, #moe.dims<batch.local, 2, seq, 8>>
  %0 = moe.attention %q, %k, %k mask %mask {scale = 1.0 : f32} : (tensor<?x2x?x8xf32, #moe.dims<batch, 2, seq, 8>>, tensor<?x2x?x8xf32, #moe.dims<batch, 2, past + seq, 8>>, tensor<?x2x?x8xf32, #moe.dims<batch, 2, past + seq, 8>>, tensor<?x1x1x?xi1, #moe.dims<batch, 1, 1, past + seq>>) -> tensor<?x2x?x8xf32, #moe.dims<batch, 2, seq, 8>>
  func.return %0 : tensor<?x2x?x8xf32, #moe.dims<batch, 2, seq, 8>>
}

// -----

// Slices behind the indices keep their rows.

// CHECK-LABEL: @scatter_nd
// CHECK-NOT: moe.all_gather
func.func @scatter_nd(%x: tensor<?x2xf32, #moe.dims<batch, 2>>, %i: tensor<2x1xi64>)
    -> tensor<4x?xf32, #moe.dims<4, batch>> {
  %zero = moe.constant dense<0.0> : tensor<1x1xf32> : tensor<1x1xf32>
  %data = moe.broadcast %zero : (tensor<1x1xf32>) -> tensor<4x?xf32, #moe.dims<4, batch>>
  %0 = moe.transpose %x {permutation = array<i64: 1, 0>} : (tensor<?x2xf32, #moe.dims<batch, 2>>) -> tensor<2x?xf32, #moe.dims<2, batch>>
  // CHECK: %[[DATA:.*]] = moe.shard %{{.*}} {axis = 1 : i64, part = "batch.local"}
  // CHECK: moe.scatter_nd %[[DATA]], {{.*}} -> tensor<4x?xf32, #moe.dims<4, batch.local>>
  %1 = moe.scatter_nd %data, %i, %0 : (tensor<4x?xf32, #moe.dims<4, batch>>, tensor<2x1xi64>, tensor<2x?xf32, #moe.dims<2, batch>>) -> tensor<4x?xf32, #moe.dims<4, batch>>
  func.return %1 : tensor<4x?xf32, #moe.dims<4, batch>>
}
