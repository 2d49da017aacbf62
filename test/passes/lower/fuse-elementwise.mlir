// RUN: moe-opt %s --moe-fuse-elementwise | FileCheck %s

// A chain becomes one program, the scalar one of its constants.

// CHECK-LABEL: @chain
// CHECK-SAME: %[[X:.*]]: tensor<4x8xf32>, %[[Y:.*]]: tensor<8xf32>
func.func @chain(%x: tensor<4x8xf32>, %y: tensor<8xf32>) -> tensor<4x8xf32> {
  %half = moe.constant dense<0.5> : tensor<f32> : tensor<f32>
  // CHECK: %[[R:.*]] = moe.elementwise %[[X]], %[[Y]]
  // CHECK-NEXT: ^{{.*}}(%[[A:.*]]: tensor<f32>, %[[B:.*]]: tensor<f32>):
  // CHECK-NEXT: %[[C:.*]] = moe.constant dense<5.000000e-01>
  // CHECK-NEXT: %[[D:.*]] = moe.binary mul %[[A]], %[[C]]
  // CHECK-NEXT: %[[E:.*]] = moe.binary add %[[D]], %[[B]]
  // CHECK-NEXT: %[[F:.*]] = moe.unary tanh %[[E]]
  // CHECK-NEXT: moe.yield %[[F]]
  %0 = moe.binary mul %x, %half : (tensor<4x8xf32>, tensor<f32>) -> tensor<4x8xf32>
  %1 = moe.binary add %0, %y : (tensor<4x8xf32>, tensor<8xf32>) -> tensor<4x8xf32>
  %2 = moe.unary tanh %1 : (tensor<4x8xf32>) -> tensor<4x8xf32>
  // CHECK: return %[[R]]
  func.return %2 : tensor<4x8xf32>
}

// What is smaller is computed once, not for each element it broadcasts to.

// CHECK-LABEL: @smaller
func.func @smaller(%x: tensor<4x8xf32>, %y: tensor<8xf32>) -> tensor<4x8xf32> {
  // CHECK: moe.elementwise {{.*}} -> tensor<8xf32>
  // CHECK: moe.elementwise {{.*}} -> tensor<4x8xf32>
  %0 = moe.unary exp %y : (tensor<8xf32>) -> tensor<8xf32>
  %1 = moe.binary add %x, %0 : (tensor<4x8xf32>, tensor<8xf32>) -> tensor<4x8xf32>
  func.return %1 : tensor<4x8xf32>
}

// An expensive producer of two users stays, a cheap one moves into both.

// CHECK-LABEL: @shared
func.func @shared(%x: tensor<4xf32>) -> (tensor<4xf32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>) {
  // CHECK: %[[E:.*]] = moe.elementwise
  // CHECK: moe.unary exp
  %0 = moe.unary exp %x : (tensor<4xf32>) -> tensor<4xf32>
  // CHECK: moe.elementwise %[[E]]
  %1 = moe.unary sin %0 : (tensor<4xf32>) -> tensor<4xf32>
  // CHECK: moe.elementwise %[[E]]
  %2 = moe.unary cos %0 : (tensor<4xf32>) -> tensor<4xf32>
  %3 = moe.unary neg %x : (tensor<4xf32>) -> tensor<4xf32>
  // CHECK: moe.elementwise
  // CHECK: moe.unary neg
  // CHECK: moe.unary sqrt
  %4 = moe.unary sqrt %3 : (tensor<4xf32>) -> tensor<4xf32>
  // CHECK: moe.elementwise
  // CHECK: moe.unary neg
  // CHECK: moe.unary log
  %5 = moe.unary log %3 : (tensor<4xf32>) -> tensor<4xf32>
  func.return %1, %2, %4, %5 : tensor<4xf32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>
}

// Types change inside of a program.

// CHECK-LABEL: @types
func.func @types(%x: tensor<4xi64>, %y: tensor<4xf32>) -> tensor<4xf32> {
  %zero = moe.constant dense<0> : tensor<i64> : tensor<i64>
  // CHECK: moe.elementwise
  // CHECK: moe.cast {{.*}} -> tensor<f32>
  // CHECK: moe.compare gt {{.*}} -> tensor<i1>
  // CHECK-NEXT: moe.select
  %0 = moe.compare gt %x, %zero : (tensor<4xi64>, tensor<i64>) -> tensor<4xi1>
  %1 = moe.cast %x : (tensor<4xi64>) -> tensor<4xf32>
  %2 = moe.select %0, %1, %y : (tensor<4xi1>, tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  func.return %2 : tensor<4xf32>
}
