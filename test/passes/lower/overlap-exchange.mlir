// RUN: moe-opt %s --moe-overlap-exchange | FileCheck %s --check-prefixes=CHECK,AUTO
// RUN: moe-opt %s --moe-overlap-exchange=overlap=on | FileCheck %s --check-prefixes=CHECK,ON
// RUN: moe-opt %s --moe-overlap-exchange=overlap=off | FileCheck %s --check-prefixes=OFF

!x = tensor<?x8xf32, #moe.dims<t.local, 8>>
!slots = tensor<?x1xi32, #moe.dims<t.local, 1>>
!sent = tensor<?x8xf32, #moe.dims<r, 8>>
!received = tensor<?x8xf32, #moe.dims<s, 8>>
#places = #moe.placement<2 [[0], [1]]>

// The residual branch stands in the time of the exchange. It is too short to
// pay for a stream, unless one is asked for.

// CHECK-LABEL: @residual
// AUTO-NOT: moe.stream
// CHECK: moe.all_to_all %
// ON-SAME: moe.stream = 1
// CHECK: moe.ffn
// CHECK: moe.experts
// CHECK: moe.all_to_all_back
// CHECK-NOT: moe.stream
// CHECK: moe.combine
// CHECK: moe.mix
// OFF-NOT: moe.stream
func.func @residual(%x: !x, %rows: !sent, %counts: tensor<2xi32>, %slots: !slots) -> !x
    attributes {moe.local_symbols = {t.local = "t"}, moe.data_symbols = {r = "t.local", s = "t"}} {
  %w = moe.param <fill = 1.0 : f32 : tensor<2x8x8xf32>> : tensor<2x8x8xf32>
  %there, %local, %route = moe.all_to_all %rows, %counts {placement = #places} : (!sent, tensor<2xi32>) -> (!received, tensor<1xi32>, tensor<2x2xi32>)
  %0 = moe.experts relu %there, %local w1 %w w2 %w {placement = #places} : (!received, tensor<1xi32>, tensor<2x8x8xf32>, tensor<2x8x8xf32>) -> !received
  %1 = moe.all_to_all_back %0, %route, %counts {placement = #places} : (!received, tensor<2x2xi32>, tensor<2xi32>) -> !sent
  %2 = moe.combine %1, %slots : (!sent, !slots) -> !x
  %v = moe.param <fill = 1.0 : f32 : tensor<8x8xf32>> : tensor<8x8xf32>
  %3 = moe.ffn relu %x w1 %v w2 %v : (!x, tensor<8x8xf32>, tensor<8x8xf32>) -> !x
  %4 = moe.mix add %2, %3 : (!x, !x) -> !x
  func.return %4 : !x
}

// A branch of 2 * 8 * 65536 = 2^20 multiply-adds per token is worth one.

// CHECK-LABEL: @long_branch
// CHECK: moe.all_to_all %
// CHECK-SAME: moe.stream = 1
// CHECK: moe.ffn
// CHECK: moe.experts
func.func @long_branch(%x: !x, %rows: !sent, %counts: tensor<2xi32>, %slots: !slots) -> !x
    attributes {moe.local_symbols = {t.local = "t"}, moe.data_symbols = {r = "t.local", s = "t"}} {
  %w = moe.param <fill = 1.0 : f32 : tensor<2x8x8xf32>> : tensor<2x8x8xf32>
  %there, %local, %route = moe.all_to_all %rows, %counts {placement = #places} : (!sent, tensor<2xi32>) -> (!received, tensor<1xi32>, tensor<2x2xi32>)
  %0 = moe.experts relu %there, %local w1 %w w2 %w {placement = #places} : (!received, tensor<1xi32>, tensor<2x8x8xf32>, tensor<2x8x8xf32>) -> !received
  %1 = moe.all_to_all_back %0, %route, %counts {placement = #places} : (!received, tensor<2x2xi32>, tensor<2xi32>) -> !sent
  %2 = moe.combine %1, %slots : (!sent, !slots) -> !x
  %v1 = moe.param <fill = 1.0 : f32 : tensor<8x65536xf32>> : tensor<8x65536xf32>
  %v2 = moe.param <fill = 1.0 : f32 : tensor<65536x8xf32>> : tensor<65536x8xf32>
  %3 = moe.ffn relu %x w1 %v1 w2 %v2 : (!x, tensor<8x65536xf32>, tensor<65536x8xf32>) -> !x
  %4 = moe.mix add %2, %3 : (!x, !x) -> !x
  func.return %4 : !x
}

// Nothing to run beside it: the exchange stays where it is.

// CHECK-LABEL: @alone
// CHECK-NOT: moe.stream
// CHECK: return
func.func @alone(%x: !x, %rows: !sent, %counts: tensor<2xi32>, %slots: !slots) -> !x
    attributes {moe.local_symbols = {t.local = "t"}, moe.data_symbols = {r = "t.local", s = "t"}} {
  %w = moe.param <fill = 1.0 : f32 : tensor<2x8x8xf32>> : tensor<2x8x8xf32>
  %there, %local, %route = moe.all_to_all %rows, %counts {placement = #places} : (!sent, tensor<2xi32>) -> (!received, tensor<1xi32>, tensor<2x2xi32>)
  %0 = moe.experts relu %there, %local w1 %w w2 %w {placement = #places} : (!received, tensor<1xi32>, tensor<2x8x8xf32>, tensor<2x8x8xf32>) -> !received
  %1 = moe.all_to_all_back %0, %route, %counts {placement = #places} : (!received, tensor<2x2xi32>, tensor<2xi32>) -> !sent
  %2 = moe.combine %1, %slots : (!sent, !slots) -> !x
  func.return %2 : !x
}
