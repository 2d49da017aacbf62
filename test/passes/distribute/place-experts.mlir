// RUN: moe-opt %s --moe-place-experts=ranks=3 | FileCheck %s
// RUN: moe-opt %s --moe-place-experts=ranks=5 | FileCheck %s --check-prefix=FIVE
// RUN: moe-opt %s --moe-place-experts=ranks=3 --remarks-filter=moe-place-experts \
// RUN:   2>&1 >/dev/null | FileCheck %s --check-prefix=REMARK

// CHECK: moe.mesh = #moe.mesh<dp = 1, ep = 3, tp = 1>
// FIVE: moe.mesh = #moe.mesh<dp = 1, ep = 5, tp = 1>

// Rank r begins at expert r * 4 / 3: 0, 1, 2.
// REMARK: 4 experts in blocks over 3 ranks, at most 2 on one
// REMARK: 2 experts replicated whole over 3 ranks; expert slicing is not implemented

// CHECK-LABEL: @pyramid
func.func @pyramid(
    %rows: tensor<?x8xf32, #moe.dims<r, 8>> {moe.name = "rows"},
    %counts4: tensor<4xi32>, %counts2: tensor<2xi32>)
    -> tensor<?x8xf32, #moe.dims<r, 8>> {
  %w1 = moe.param <fill = 1.0 : f32 : tensor<4x8x16xf32>> : tensor<4x8x16xf32>
  %w2 = moe.param <fill = 1.0 : f32 : tensor<4x16x8xf32>> : tensor<4x16x8xf32>
  %v1 = moe.param <fill = 1.0 : f32 : tensor<2x8x16xf32>> : tensor<2x8x16xf32>
  %v2 = moe.param <fill = 1.0 : f32 : tensor<2x16x8xf32>> : tensor<2x16x8xf32>
  // CHECK: moe.experts {{.*}}placement = #moe.placement<3 {{\[\[}}0], [1], [2], [2]]>
  // FIVE: moe.experts {{.*}}placement = #moe.placement<5 {{\[\[}}0, 1], [2], [3], [4]]>
  %0 = moe.experts relu %rows, %counts4 w1 %w1 w2 %w2 : (tensor<?x8xf32, #moe.dims<r, 8>>, tensor<4xi32>, tensor<4x8x16xf32>, tensor<4x16x8xf32>) -> tensor<?x8xf32, #moe.dims<r, 8>>
  // CHECK: moe.experts {{.*}}placement = #moe.placement<3 {{\[\[}}0, 1], [2]]>
  // FIVE: moe.experts {{.*}}placement = #moe.placement<5 {{\[\[}}0, 1, 2], [3, 4]]>
  %1 = moe.experts relu %0, %counts2 w1 %v1 w2 %v2 : (tensor<?x8xf32, #moe.dims<r, 8>>, tensor<2xi32>, tensor<2x8x16xf32>, tensor<2x16x8xf32>) -> tensor<?x8xf32, #moe.dims<r, 8>>
  func.return %1 : tensor<?x8xf32, #moe.dims<r, 8>>
}
