// A fused program gives what its operations gave.
//
// RUN: moe-opt %s -o /dev/null --moe-interpret="function=main dims=n:3" \
// RUN:   --moe-fuse-elementwise --moe-interpret="function=main dims=n:3" \
// RUN:   | FileCheck %s

// CHECK: result 0: [[X:.*]]
// CHECK: result 1: [[Y:.*]]
// CHECK: result 0: [[X]]
// CHECK: result 1: [[Y]]
!x = tensor<?x4xf32, #moe.dims<n, 4>>
func.func @main(%x: !x, %y: tensor<4xf32>) -> (!x, tensor<?x4xi32, #moe.dims<n, 4>>) {
  %half = moe.constant dense<0.5> : tensor<1xf32> : tensor<1xf32>
  %0 = moe.binary mul %x, %half : (!x, tensor<1xf32>) -> !x
  %1 = moe.unary exp %y : (tensor<4xf32>) -> tensor<4xf32>
  %2 = moe.binary add %0, %1 : (!x, tensor<4xf32>) -> !x
  %3 = moe.compare gt %2, %x : (!x, !x) -> tensor<?x4xi1, #moe.dims<n, 4>>
  %4 = moe.unary neg %2 : (!x) -> !x
  %5 = moe.select %3, %2, %4 : (tensor<?x4xi1, #moe.dims<n, 4>>, !x, !x) -> !x
  %6 = moe.cast %4 : (!x) -> tensor<?x4xi32, #moe.dims<n, 4>>
  func.return %5, %6 : !x, tensor<?x4xi32, #moe.dims<n, 4>>
}
