// RUN: moe-opt %s --moe-recognize-cache | FileCheck %s

// CHECK-LABEL: func.func @appended
// CHECK-SAME: (%[[P:.*]]: tensor<{{.*}}> {moe.name = "past.0.key", moe.state = "past.0.key"}, %[[N:.*]]: tensor
// CHECK-SAME: -> ({{.*}} {moe.name = "present.0.key", moe.state = "past.0.key"})
// CHECK-NEXT: %[[C:.*]] = moe.cache_append "past.0.key" %[[P]], %[[N]] {axis = 2 : i64}
// CHECK-NEXT: return %[[C]]
func.func @appended(%past: tensor<?x2x?x8xf32, #moe.dims<batch, 2, past, 8>> {moe.name = "past.0.key"}, %new: tensor<?x2x?x8xf32, #moe.dims<batch, 2, seq, 8>>) -> (tensor<?x2x?x8xf32, #moe.dims<batch, 2, past + seq, 8>> {moe.name = "present.0.key"}) {
  %0 = moe.concat %past, %new {axis = 2 : i64} : (tensor<?x2x?x8xf32, #moe.dims<batch, 2, past, 8>>, tensor<?x2x?x8xf32, #moe.dims<batch, 2, seq, 8>>) -> tensor<?x2x?x8xf32, #moe.dims<batch, 2, past + seq, 8>>
  return %0 : tensor<?x2x?x8xf32, #moe.dims<batch, 2, past + seq, 8>>
}

// New entries in front are no append.
// CHECK-LABEL: func.func @prepended
// CHECK-NOT: moe.state
// CHECK: moe.concat
func.func @prepended(%past: tensor<4x8xf32>, %new: tensor<1x8xf32>) -> tensor<5x8xf32> {
  %front = moe.unary neg %new : (tensor<1x8xf32>) -> tensor<1x8xf32>
  %0 = moe.concat %front, %past {axis = 0 : i64} : (tensor<1x8xf32>, tensor<4x8xf32>) -> tensor<5x8xf32>
  return %0 : tensor<5x8xf32>
}

// Somebody else reads the past: it has to exist by itself.
// CHECK-LABEL: func.func @read_twice
// CHECK-NOT: moe.state
// CHECK: moe.concat
func.func @read_twice(%past: tensor<4x8xf32>, %new: tensor<1x8xf32>) -> (tensor<5x8xf32>, tensor<4x8xf32>) {
  %0 = moe.concat %past, %new {axis = 0 : i64} : (tensor<4x8xf32>, tensor<1x8xf32>) -> tensor<5x8xf32>
  %1 = moe.unary neg %past : (tensor<4x8xf32>) -> tensor<4x8xf32>
  return %0, %1 : tensor<5x8xf32>, tensor<4x8xf32>
}

// An importer that knows a cache has made the operation already.
// CHECK-LABEL: func.func @known
// CHECK-SAME: moe.state = "past"
func.func @known(%past: tensor<4x8xf32> {moe.name = "past"}, %new: tensor<1x8xf32>) -> tensor<5x8xf32> {
  %0 = moe.cache_append "past" %past, %new {axis = 0 : i64} : (tensor<4x8xf32>, tensor<1x8xf32>) -> tensor<5x8xf32>
  return %0 : tensor<5x8xf32>
}
