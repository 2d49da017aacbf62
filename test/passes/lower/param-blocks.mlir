// RUN: moe-opt %s --moe-lower-to-plan | FileCheck %s

// The part of an expert is pushed through the expression down to the files.

// Files of one expert each, cast, and scaled.
// CHECK: plan.param "stacked" {{.*}} blocks [#moe.param<scale = 5.000000e-01 : f32 (#moe.param<cast (#moe.param<file "a" [0, 32] : tensor<4x4xf16>>) : tensor<4x4xf32>>) : tensor<4x4xf32>>, #moe.param<scale = 5.000000e-01 : f32 (#moe.param<cast (#moe.param<file "b" [0, 32] : tensor<4x4xf16>>) : tensor<4x4xf32>>) : tensor<4x4xf32>>]
// The columns of two files side by side.
// CHECK: plan.param "joined" {{.*}} blocks [#moe.param<concat [1] (#moe.param<file "a" [0, 32] : tensor<4x2xf32>>, #moe.param<file "b" [0, 32] : tensor<4x2xf32>>) : tensor<4x4xf32>>, #moe.param<concat [1] (#moe.param<file "a" [32, 32]
// Reading every other expert.
// CHECK: plan.param "sliced" {{.*}} blocks [#moe.param<file "a" [64, 64] : tensor<4x4xf32>>, #moe.param<file "a" [192, 64] : tensor<4x4xf32>>]
// Experts that do not stand first are cut out.
// CHECK: plan.param "turned" {{.*}} blocks [#moe.param<reshape (#moe.param<slice [0, 0, 0, 1, 1, 1] (#moe.param<transpose [1, 0, 2] (
// CHECK: plan.param "quantized" {{.*}} blocks [#moe.param<dequantize [8, 0] (#moe.param<file "q" [0, 16] : tensor<4x4xui8>>, #moe.param<file "s" [0, 16] : tensor<4x1xf32>>) : tensor<4x4xf32>>, #moe.param<dequantize [8, 0] (#moe.param<file "q" [16, 16]
func.func @main(%rows: tensor<?x4xf32, #moe.dims<r, 4>>, %counts: tensor<2xi32>)
    -> tensor<?x4xf32, #moe.dims<r, 4>> {
  %0 = moe.param "stacked" <scale = 0.5 : f32 (#moe.param<cast (#moe.param<stack (#moe.param<file "a" [0, 32] : tensor<4x4xf16>>, #moe.param<file "b" [0, 32] : tensor<4x4xf16>>) : tensor<2x4x4xf16>>) : tensor<2x4x4xf32>>) : tensor<2x4x4xf32>> : tensor<2x4x4xf32>
  %1 = moe.param "joined" <concat [2] (#moe.param<file "a" [0, 64] : tensor<2x4x2xf32>>, #moe.param<file "b" [0, 64] : tensor<2x4x2xf32>>) : tensor<2x4x4xf32>> : tensor<2x4x4xf32>
  %2 = moe.param "sliced" <slice [1, 0, 0, 2, 1, 1] (#moe.param<file "a" [0, 256] : tensor<4x4x4xf32>>) : tensor<2x4x4xf32>> : tensor<2x4x4xf32>
  %3 = moe.param "turned" <transpose [1, 0, 2] (#moe.param<file "a" [0, 128] : tensor<4x2x4xf32>>) : tensor<2x4x4xf32>> : tensor<2x4x4xf32>
  %4 = moe.param "quantized" <dequantize [8, 0] (#moe.param<file "q" [0, 32] : tensor<2x4x4xui8>>, #moe.param<file "s" [0, 32] : tensor<2x4x1xf32>>) : tensor<2x4x4xf32>> : tensor<2x4x4xf32>
  %5 = moe.experts relu %rows, %counts w1 %0 w2 %1 : (tensor<?x4xf32, #moe.dims<r, 4>>, tensor<2xi32>, tensor<2x4x4xf32>, tensor<2x4x4xf32>) -> tensor<?x4xf32, #moe.dims<r, 4>>
  %6 = moe.experts relu %5, %counts w1 %2 w2 %3 : (tensor<?x4xf32, #moe.dims<r, 4>>, tensor<2xi32>, tensor<2x4x4xf32>, tensor<2x4x4xf32>) -> tensor<?x4xf32, #moe.dims<r, 4>>
  %7 = moe.experts relu %6, %counts w1 %4 w2 %4 : (tensor<?x4xf32, #moe.dims<r, 4>>, tensor<2xi32>, tensor<2x4x4xf32>, tensor<2x4x4xf32>) -> tensor<?x4xf32, #moe.dims<r, 4>>
  func.return %7 : tensor<?x4xf32, #moe.dims<r, 4>>
}
