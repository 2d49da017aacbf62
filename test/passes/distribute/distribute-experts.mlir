// RUN: moe-opt %s --split-input-file --moe-place-experts=ranks=2 --moe-distribute \
// RUN:   --moe-verify-distributed | FileCheck %s

// Tokens of the batch visit the ranks of their experts and come back.

// CHECK-LABEL: @rows
// CHECK-SAME: moe.data_symbols = {r = "batch.local", r.received = "batch"}
func.func @rows(%x: tensor<?x8xf32, #moe.dims<batch, 8>>,
                %logits: tensor<?x3xf32, #moe.dims<batch, 3>>)
    -> tensor<?x8xf32, #moe.dims<batch, 8>>
    attributes {moe.data_symbols = {r = "batch"}} {
  %w1 = moe.param <fill = 1.0 : f32 : tensor<3x8x16xf32>> : tensor<3x8x16xf32>
  %w2 = moe.param <fill = 1.0 : f32 : tensor<3x16x8xf32>> : tensor<3x16x8xf32>
  // CHECK: %[[WEIGHTS:.*]], %[[EXPERTS:.*]] = moe.gate
  // CHECK-SAME: -> (tensor<?x1xf32, #moe.dims<batch.local, 1>>, tensor<?x1xi32, #moe.dims<batch.local, 1>>)
  %weights, %experts = moe.gate %logits {k = 1 : i64} : (tensor<?x3xf32, #moe.dims<batch, 3>>) -> (tensor<?x1xf32, #moe.dims<batch, 1>>, tensor<?x1xi32, #moe.dims<batch, 1>>)
  // CHECK: %[[ROWS:.*]], %[[COUNTS:.*]], %[[SLOTS:.*]] = moe.dispatch
  %rows, %counts, %slots = moe.dispatch %x, %experts {num_experts = 3 : i64} : (tensor<?x8xf32, #moe.dims<batch, 8>>, tensor<?x1xi32, #moe.dims<batch, 1>>) -> (tensor<?x8xf32, #moe.dims<r, 8>>, tensor<3xi32>, tensor<?x1xi32, #moe.dims<batch, 1>>)
  // Rank 0 holds expert 0, rank 1 the experts 1 and 2.
  // CHECK: %[[THERE:.*]], %[[LOCAL:.*]], %[[ROUTE:.*]] = moe.all_to_all %[[ROWS]], %[[COUNTS]] {placement = #moe.placement<2 {{\[\[}}0], [1], [1]]>}
  // CHECK-SAME: -> (tensor<?x8xf32, #moe.dims<r.received, 8>>, tensor<2xi32>, tensor<2x3xi32>)
  // CHECK: %[[DONE:.*]] = moe.experts relu %[[THERE]], %[[LOCAL]]
  %0 = moe.experts relu %rows, %counts w1 %w1 w2 %w2 : (tensor<?x8xf32, #moe.dims<r, 8>>, tensor<3xi32>, tensor<3x8x16xf32>, tensor<3x16x8xf32>) -> tensor<?x8xf32, #moe.dims<r, 8>>
  // CHECK: %[[BACK:.*]] = moe.all_to_all_back %[[DONE]], %[[ROUTE]], %[[COUNTS]]
  // CHECK: moe.combine %[[BACK]], %[[SLOTS]], %[[WEIGHTS]] {{.*}} -> tensor<?x8xf32, #moe.dims<batch.local, 8>>
  %1 = moe.combine %0, %slots, %weights : (tensor<?x8xf32, #moe.dims<r, 8>>, tensor<?x1xi32, #moe.dims<batch, 1>>, tensor<?x1xf32, #moe.dims<batch, 1>>) -> tensor<?x8xf32, #moe.dims<batch, 8>>
  func.return %1 : tensor<?x8xf32, #moe.dims<batch, 8>>
}

// -----

// Tokens compete for places with those of all ranks, but logits stay.

// CHECK-LABEL: @capacity
func.func @capacity(%x: tensor<?x8xf32, #moe.dims<batch, 8>>,
                    %logits: tensor<?x2xf32, #moe.dims<batch, 2>>)
    -> tensor<?x8xf32, #moe.dims<batch, 8>>
    attributes {moe.data_symbols = {r = "batch"}} {
  %w1 = moe.param <fill = 1.0 : f32 : tensor<2x8x16xf32>> : tensor<2x8x16xf32>
  %w2 = moe.param <fill = 1.0 : f32 : tensor<2x16x8xf32>> : tensor<2x16x8xf32>
  // CHECK-NOT: moe.all_gather
  // CHECK: %[[WEIGHTS:.*]], %[[EXPERTS:.*]] = moe.gate %arg1 {{{.*}}part = "batch.local"} {{.*}} -> (tensor<?x1xf32, #moe.dims<batch.local, 1>>
  %weights, %experts = moe.gate %logits {k = 1 : i64, drop_policy = #moe<drop_policy token>} : (tensor<?x2xf32, #moe.dims<batch, 2>>) -> (tensor<?x1xf32, #moe.dims<batch, 1>>, tensor<?x1xi32, #moe.dims<batch, 1>>)
  // CHECK: moe.dispatch %{{.*}}, %[[EXPERTS]]
  %rows, %counts, %slots = moe.dispatch %x, %experts {num_experts = 2 : i64} : (tensor<?x8xf32, #moe.dims<batch, 8>>, tensor<?x1xi32, #moe.dims<batch, 1>>) -> (tensor<?x8xf32, #moe.dims<r, 8>>, tensor<2xi32>, tensor<?x1xi32, #moe.dims<batch, 1>>)
  %0 = moe.experts relu %rows, %counts w1 %w1 w2 %w2 : (tensor<?x8xf32, #moe.dims<r, 8>>, tensor<2xi32>, tensor<2x8x16xf32>, tensor<2x16x8xf32>) -> tensor<?x8xf32, #moe.dims<r, 8>>
  // CHECK: moe.combine %{{.*}}, %{{.*}}, %[[WEIGHTS]]
  %1 = moe.combine %0, %slots, %weights : (tensor<?x8xf32, #moe.dims<r, 8>>, tensor<?x1xi32, #moe.dims<batch, 1>>, tensor<?x1xf32, #moe.dims<batch, 1>>) -> tensor<?x8xf32, #moe.dims<batch, 8>>
  func.return %1 : tensor<?x8xf32, #moe.dims<batch, 8>>
}

// -----

// Without a batch every rank has all tokens; the layer divides them.

// CHECK-LABEL: @no_batch
// CHECK-SAME: moe.data_symbols = {r = "tokens0.local", r.received = "6"}
// CHECK-SAME: moe.local_symbols = {tokens0.local = "6"}
func.func @no_batch(%x: tensor<6x8xf32>, %logits: tensor<6x2xf32>)
    -> tensor<6x8xf32> attributes {moe.data_symbols = {r = "6"}} {
  %w1 = moe.param <fill = 1.0 : f32 : tensor<2x8x16xf32>> : tensor<2x8x16xf32>
  %w2 = moe.param <fill = 1.0 : f32 : tensor<2x16x8xf32>> : tensor<2x16x8xf32>
  %weights, %experts = moe.gate %logits {k = 1 : i64} : (tensor<6x2xf32>) -> (tensor<6x1xf32>, tensor<6x1xi32>)
  // CHECK-DAG: %[[X:.*]] = moe.shard %{{.*}} {axis = 0 : i64, part = "tokens0.local"} : (tensor<6x8xf32>)
  // CHECK-DAG: %[[E:.*]] = moe.shard %{{.*}} {axis = 0 : i64, part = "tokens0.local"} : (tensor<6x1xi32>)
  // CHECK: moe.dispatch %[[X]], %[[E]]
  %rows, %counts, %slots = moe.dispatch %x, %experts {num_experts = 2 : i64} : (tensor<6x8xf32>, tensor<6x1xi32>) -> (tensor<?x8xf32, #moe.dims<r, 8>>, tensor<2xi32>, tensor<6x1xi32>)
  %0 = moe.experts relu %rows, %counts w1 %w1 w2 %w2 : (tensor<?x8xf32, #moe.dims<r, 8>>, tensor<2xi32>, tensor<2x8x16xf32>, tensor<2x16x8xf32>) -> tensor<?x8xf32, #moe.dims<r, 8>>
  // CHECK: %[[OWN:.*]] = moe.combine
  // CHECK: %[[ALL:.*]] = moe.all_gather %[[OWN]] {axis = 0 : i64, part = "tokens0.local"}
  %1 = moe.combine %0, %slots, %weights : (tensor<?x8xf32, #moe.dims<r, 8>>, tensor<6x1xi32>, tensor<6x1xf32>) -> tensor<6x8xf32>
  // CHECK: return %[[ALL]] : tensor<6x8xf32>
  func.return %1 : tensor<6x8xf32>
}
