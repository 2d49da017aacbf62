// RUN: moe-opt %s --moe-place-experts=ranks=3 | FileCheck %s
// RUN: moe-opt %s --moe-place-experts=ranks=5 | FileCheck %s --check-prefix=FIVE
// RUN: moe-opt %s --moe-place-experts="ranks=5 reduce-exact" \
// RUN:   | FileCheck %s --check-prefix=EXACT
// RUN: moe-opt %s --moe-place-experts="ranks=8 dp=2 tp=2" \
// RUN:   | FileCheck %s --check-prefix=MESH
// RUN: moe-opt %s --moe-place-experts=ranks=5 --remarks-filter=moe-place-experts \
// RUN:   2>&1 >/dev/null | FileCheck %s --check-prefix=REMARK

// CHECK: moe.mesh = #moe.mesh<dp = 1, ep = 3, tp = 1>
// FIVE: moe.mesh = #moe.mesh<dp = 1, ep = 5, tp = 1>
// MESH: moe.mesh = #moe.mesh<dp = 2, ep = 2, tp = 2>

// REMARK: 4 experts over 5 ranks of rows, up to 2 replicas each, at most 1 on one
// REMARK: 2 experts over 5 ranks of rows, 2 to 3 slices each in units of 16 columns, at most 1 on one
// REMARK: experts stay whole: their weights are computed by the model
// REMARK: 2 experts over 5 ranks of rows, up to 3 replicas each, at most 1 on one

// Each layer of a pyramid has its own degree. Rank r begins at expert r * 4 / 3:
// 0, 1, 2. An inner dimension of 16 is one unit, which cannot be sliced; 40 are
// three.

// CHECK-LABEL: @pyramid
func.func @pyramid(
    %rows: tensor<?x8xf32, #moe.dims<r, 8>> {moe.name = "rows"},
    %counts4: tensor<4xi32>, %counts2: tensor<2xi32>,
    %c1: tensor<2x8x40xf32>)
    -> tensor<?x8xf32, #moe.dims<r, 8>> {
  %w1 = moe.param <fill = 1.0 : f32 : tensor<4x8x16xf32>> : tensor<4x8x16xf32>
  %w2 = moe.param <fill = 1.0 : f32 : tensor<4x16x8xf32>> : tensor<4x16x8xf32>
  %v1 = moe.param <fill = 1.0 : f32 : tensor<2x8x40xf32>> : tensor<2x8x40xf32>
  %v2 = moe.param <fill = 1.0 : f32 : tensor<2x40x8xf32>> : tensor<2x40x8xf32>
  // CHECK: moe.experts {{.*}}placement = #moe.placement<3 {{\[\[}}0], [1], [2], [2]]>
  // FIVE: moe.experts {{.*}}placement = #moe.placement<5 {{\[\[}}0, 1], [2], [3], [4]]>
  // EXACT: moe.experts {{.*}}placement = #moe.placement<5 {{\[\[}}0, 1], [2], [3], [4]]>
  // MESH: moe.experts {{.*}}placement = #moe.placement<8 over world domains 2 {{\[\[}}0, 4], [1, 5], [2, 6], [3, 7]]>
  %0 = moe.experts relu %rows, %counts4 w1 %w1 w2 %w2 : (tensor<?x8xf32, #moe.dims<r, 8>>, tensor<4xi32>, tensor<4x8x16xf32>, tensor<4x16x8xf32>) -> tensor<?x8xf32, #moe.dims<r, 8>>
  // CHECK: moe.experts {{.*}}placement = #moe.placement<3 {{\[\[}}0 + 1], [2]]>
  // FIVE: moe.experts {{.*}}placement = #moe.placement<5 {{\[\[}}0 + 1 + 2], [3 + 4]]>
  // EXACT: moe.experts {{.*}}placement = #moe.placement<5 {{\[\[}}0, 1, 2], [3, 4]]>
  // MESH: moe.experts {{.*}}placement = #moe.placement<8 over world domains 2 {{\[\[}}0 + 1, 4 + 5], [2 + 3, 6 + 7]]>
  %1 = moe.experts relu %0, %counts2 w1 %v1 w2 %v2 : (tensor<?x8xf32, #moe.dims<r, 8>>, tensor<2xi32>, tensor<2x8x40xf32>, tensor<2x40x8xf32>) -> tensor<?x8xf32, #moe.dims<r, 8>>
  // Weights that come from the model's inputs are not in blocks of the plan.
  // FIVE: moe.experts {{.*}}placement = #moe.placement<5 {{\[\[}}0, 1, 2], [3, 4]]>
  %2 = moe.experts relu %1, %counts2 w1 %c1 w2 %v2 : (tensor<?x8xf32, #moe.dims<r, 8>>, tensor<2xi32>, tensor<2x8x40xf32>, tensor<2x40x8xf32>) -> tensor<?x8xf32, #moe.dims<r, 8>>
  func.return %2 : tensor<?x8xf32, #moe.dims<r, 8>>
}
