// RUN: moe-opt %s --moe-overlap-exchange | FileCheck %s

// The residual branch stands in the time of the exchange.

// CHECK-LABEL: @residual
func.func @residual(%x: tensor<?x8xf32, #moe.dims<t.local, 8>>, %rows: tensor<?x8xf32, #moe.dims<r, 8>>,
    %counts: tensor<2xi32>, %slots: tensor<?x1xi32, #moe.dims<t.local, 1>>)
    -> tensor<?x8xf32, #moe.dims<t.local, 8>>
    attributes {moe.local_symbols = {t.local = "t"}, moe.data_symbols = {r = "t.local", s = "t"}} {
  %w = moe.param <fill = 1.0 : f32 : tensor<2x8x8xf32>> : tensor<2x8x8xf32>
  // CHECK: moe.all_to_all %
  // CHECK: moe.ffn
  // CHECK: moe.experts
  // CHECK: moe.all_to_all_back
  // CHECK: moe.combine
  // CHECK: moe.mix
  %there, %local, %route = moe.all_to_all %rows, %counts {placement = #moe.placement<2 [[0], [1]]>} : (tensor<?x8xf32, #moe.dims<r, 8>>, tensor<2xi32>) -> (tensor<?x8xf32, #moe.dims<s, 8>>, tensor<1xi32>, tensor<2x2xi32>)
  %0 = moe.experts relu %there, %local w1 %w w2 %w {placement = #moe.placement<2 [[0], [1]]>} : (tensor<?x8xf32, #moe.dims<s, 8>>, tensor<1xi32>, tensor<2x8x8xf32>, tensor<2x8x8xf32>) -> tensor<?x8xf32, #moe.dims<s, 8>>
  %1 = moe.all_to_all_back %0, %route, %counts {placement = #moe.placement<2 [[0], [1]]>} : (tensor<?x8xf32, #moe.dims<s, 8>>, tensor<2x2xi32>, tensor<2xi32>) -> tensor<?x8xf32, #moe.dims<r, 8>>
  %2 = moe.combine %1, %slots : (tensor<?x8xf32, #moe.dims<r, 8>>, tensor<?x1xi32, #moe.dims<t.local, 1>>) -> tensor<?x8xf32, #moe.dims<t.local, 8>>
  %v = moe.param <fill = 1.0 : f32 : tensor<8x8xf32>> : tensor<8x8xf32>
  %3 = moe.ffn relu %x w1 %v w2 %v : (tensor<?x8xf32, #moe.dims<t.local, 8>>, tensor<8x8xf32>, tensor<8x8xf32>) -> tensor<?x8xf32, #moe.dims<t.local, 8>>
  %4 = moe.mix add %2, %3 : (tensor<?x8xf32, #moe.dims<t.local, 8>>, tensor<?x8xf32, #moe.dims<t.local, 8>>) -> tensor<?x8xf32, #moe.dims<t.local, 8>>
  func.return %4 : tensor<?x8xf32, #moe.dims<t.local, 8>>
}
