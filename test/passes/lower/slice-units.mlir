// RUN: moe-opt %s --moe-lower-to-plan | FileCheck %s

// What slices of experts keep together is said by the step and by the weights:
// a panel of 16 columns, or a block of the codes of w2 if there is one for each
// slice. Gate and linear part stand side by side.

!rows = tensor<?x64xf32, #moe.dims<r, 64>>

// Three blocks of 32 for two slices.
// CHECK-DAG: plan.param "up" f32 "panel16.q4x32" [64, 192] {{.*}}divided 1{{.*}}part_unit = 64
// CHECK-DAG: plan.param "down" f32 "panel16.q4x32" [96, 64] {{.*}}divided 0{{.*}}part_unit = 32
// Two blocks of 64, of which the second one has 32 rows, for three slices.
// CHECK-DAG: plan.param "few" f32 "panel16.q4x64" [96, 64] {{.*}}divided 0{{.*}}part_unit = 16
// CHECK-DAG: plan.param "first" f32 "panel16" [64, 96] {{.*}}divided 1{{.*}}part_unit = 16
// CHECK: plan.step "experts" {{.*}}slice_unit = 32
// CHECK: plan.step "experts" {{.*}}slice_unit = 16
module attributes {moe.mesh = #moe.mesh<dp = 1, ep = 3, tp = 1>} {
  func.func @main(%rows: !rows, %counts: tensor<1xi32>) -> !rows {
    %up = moe.param "up" <quantize [4, 32, 0] (#moe.param<file "m" [0, 49152] : tensor<1x64x192xf32>>) : tensor<1x64x192xf32>> : tensor<1x64x192xf32>
    %down = moe.param "down" <quantize [4, 32, 0] (#moe.param<file "m" [0, 24576] : tensor<1x96x64xf32>>) : tensor<1x96x64xf32>> : tensor<1x96x64xf32>
    %0 = moe.experts silu %rows, %counts w1 %up w2 %down {gating = #moe<gating interleaved>, placement = #moe.placement<3 [[0 + 1]]>} : (!rows, tensor<1xi32>, tensor<1x64x192xf32>, tensor<1x96x64xf32>) -> !rows
    %first = moe.param "first" <file "m" [0, 24576] : tensor<1x64x96xf32>> : tensor<1x64x96xf32>
    %few = moe.param "few" <quantize [4, 64, 0] (#moe.param<file "m" [0, 24576] : tensor<1x96x64xf32>>) : tensor<1x96x64xf32>> : tensor<1x96x64xf32>
    %1 = moe.experts silu %0, %counts w1 %first w2 %few {placement = #moe.placement<3 [[0 + 1 + 2]]>} : (!rows, tensor<1xi32>, tensor<1x64x96xf32>, tensor<1x96x64xf32>) -> !rows
    return %1 : !rows
  }
}
