// RUN: moe-opt %s --moe-lower-to-plan | FileCheck %s

// How weights are stored is what their expressions say.

!x = tensor<?x64xf32, #moe.dims<t, 64>>

// CHECK-DAG: plan.param "int4" f32 "panel16.q4x32" [64, 64]
// CHECK-DAG: plan.param "column" f32 "panel16.q8x64.z" [64, 64]
// CHECK-DAG: plan.param "file" f32 "panel16.q4x32.f32" [64, 64]
// CHECK-DAG: plan.param "f16" f16 "panel16" [64, 64] blocks [#moe.param<cast (#moe.param<file "m" [0, 16384] : tensor<64x64xf32>>) : tensor<64x64xf16>>]
// CHECK-DAG: plan.param "bf16" bf16 "panel16" [64, 64] blocks [#moe.param<transpose [1, 0] (#moe.param<file "m" [0, 8192] : tensor<64x64xbf16>>)
// CHECK-DAG: plan.param "cut" f32 "panel16" [64, 64]
// CHECK-DAG: plan.param "experts" f32 "panel16.q8x32" [64, 64] {{.*}}blocks [#moe.param<quantize [8, 32, 0] (#moe.param<file "m" [0, 16384] : tensor<64x64xf32>>) {{.*}}, #moe.param<quantize [8, 32, 0] (#moe.param<file "m" [16384, 16384]
func.func @main(%x: !x, %rows: tensor<?x64xf32, #moe.dims<r, 64>>, %counts: tensor<2xi32>) -> (!x, tensor<?x64xf32, #moe.dims<r, 64>>) {
  %w0 = moe.param "int4" <quantize [4, 32, 0] (#moe.param<file "m" [0, 16384] : tensor<64x64xf32>>) : tensor<64x64xf32>> : tensor<64x64xf32>
  %0 = moe.matmul %x, %w0 : (!x, tensor<64x64xf32>) -> !x
  %w1 = moe.param "column" <quantize [8, 0, 1] (#moe.param<file "m" [0, 16384] : tensor<64x64xf32>>) : tensor<64x64xf32>> : tensor<64x64xf32>
  %1 = moe.matmul %0, %w1 : (!x, tensor<64x64xf32>) -> !x
  // Read as [N, K]: the codes of a file need no transpose.
  %w2 = moe.param "file" <dequantize [4, 32] (#moe.param<file "q" [0, 2048] : tensor<64x32xui8>>, #moe.param<file "s" [0, 512] : tensor<64x2xf32>>) : tensor<64x64xf32>> : tensor<64x64xf32>
  %2 = moe.matmul %1, %w2 {transpose_rhs = true} : (!x, tensor<64x64xf32>) -> !x
  %w3 = moe.param "f16" <cast (#moe.param<cast (#moe.param<file "m" [0, 16384] : tensor<64x64xf32>>) : tensor<64x64xf16>>) : tensor<64x64xf32>> : tensor<64x64xf32>
  %3 = moe.matmul %2, %w3 : (!x, tensor<64x64xf32>) -> !x
  %w4 = moe.param "bf16" <transpose [1, 0] (#moe.param<cast (#moe.param<file "m" [0, 8192] : tensor<64x64xbf16>>) : tensor<64x64xf32>>) : tensor<64x64xf32>> : tensor<64x64xf32>
  %4 = moe.matmul %3, %w4 : (!x, tensor<64x64xf32>) -> !x
  // Blocks that are cut have no codes of their own.
  %w5 = moe.param "cut" <slice [16, 0, 1, 1] (#moe.param<quantize [4, 32, 0] (#moe.param<file "m" [0, 24576] : tensor<96x64xf32>>) : tensor<96x64xf32>>) : tensor<64x64xf32>> : tensor<64x64xf32>
  %5 = moe.matmul %4, %w5 : (!x, tensor<64x64xf32>) -> !x
  %w6 = moe.param "experts" <quantize [8, 32, 0] (#moe.param<file "m" [0, 32768] : tensor<2x64x64xf32>>) : tensor<2x64x64xf32>> : tensor<2x64x64xf32>
  %6 = moe.experts relu %rows, %counts w1 %w6 w2 %w6 : (tensor<?x64xf32, #moe.dims<r, 64>>, tensor<2xi32>, tensor<2x64x64xf32>, tensor<2x64x64xf32>) -> tensor<?x64xf32, #moe.dims<r, 64>>
  return %5, %6 : !x, tensor<?x64xf32, #moe.dims<r, 64>>
}
