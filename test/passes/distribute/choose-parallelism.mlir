// RUN: moe-opt %s --moe-choose-parallelism=ranks=4 | FileCheck %s --check-prefix=PLAIN
// RUN: moe-opt %s --moe-choose-parallelism='mesh=dp=2,tp=2 ranks=8 node-size=4 layer-form=1:slice=2+hierarchical,*:coordinated+chunks=2' \
// RUN:   | FileCheck %s
// RUN: moe-opt %s --moe-choose-parallelism='mesh=ep=2 layer-form=1:slice' \
// RUN:   --remarks-filter=moe-choose-parallelism 2>&1 >/dev/null | FileCheck %s --check-prefix=REMARK

// PLAIN: moe.mesh = #moe.mesh<dp = 1, ep = 4, tp = 1>
// PLAIN-NOT: moe.form

// 8 ranks, dp = 2 and tp = 2 leave ep = 2.
// CHECK: moe.mesh = #moe.mesh<dp = 2, ep = 2, tp = 2>
// CHECK-SAME: moe.node_size = 4 : i64

// REMARK: a mesh of dp = 1, ep = 2, tp = 1
// REMARK: runs as the user said: slice

// CHECK-LABEL: @pyramid
func.func @pyramid(
    %rows: tensor<?x8xf32, #moe.dims<r, 8>> {moe.name = "rows"},
    %counts4: tensor<4xi32>, %counts2: tensor<2xi32>)
    -> tensor<?x8xf32, #moe.dims<r, 8>> {
  %w1 = moe.param <fill = 1.0 : f32 : tensor<4x8x16xf32>> : tensor<4x8x16xf32>
  %w2 = moe.param <fill = 1.0 : f32 : tensor<4x16x8xf32>> : tensor<4x16x8xf32>
  %v1 = moe.param <fill = 1.0 : f32 : tensor<2x8x16xf32>> : tensor<2x8x16xf32>
  %v2 = moe.param <fill = 1.0 : f32 : tensor<2x16x8xf32>> : tensor<2x16x8xf32>
  // CHECK: moe.experts {{.*}}moe.form = {chunks = 2 : i64, exchange = "coordinated"}
  %0 = moe.experts relu %rows, %counts4 w1 %w1 w2 %w2 : (tensor<?x8xf32, #moe.dims<r, 8>>, tensor<4xi32>, tensor<4x8x16xf32>, tensor<4x16x8xf32>) -> tensor<?x8xf32, #moe.dims<r, 8>>
  // CHECK: moe.experts {{.*}}moe.form = {chunks = 2 : i64, exchange = "hierarchical", experts = "slice", slices = 2 : i64}
  %1 = moe.experts relu %0, %counts2 w1 %v1 w2 %v2 : (tensor<?x8xf32, #moe.dims<r, 8>>, tensor<2xi32>, tensor<2x8x16xf32>, tensor<2x16x8xf32>) -> tensor<?x8xf32, #moe.dims<r, 8>>
  func.return %1 : tensor<?x8xf32, #moe.dims<r, 8>>
}
