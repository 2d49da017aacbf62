// Experts by measured loads of 8, 4, 3 and 1 rows. With room for one more expert
// on each rank, expert 0 has a replica: 8/2 + 3 + 1 rows and 8/2 + 4. Whole, it
// shares a rank with the least loaded: 8 + 1 and 4 + 3.

// RUN: moe-opt %s --moe-place-experts=ranks=2 | FileCheck %s
// RUN: moe-opt %s --moe-place-experts="ranks=2 spare-experts=0" \
// RUN:   | FileCheck %s --check-prefix=WHOLE

// CHECK-LABEL: @hot
// CHECK: moe.placement<2 {{\[}}[0, 1], [1], [0], [0]]>
// WHOLE-LABEL: @hot
// WHOLE: moe.placement<2 {{\[}}[0], [1], [1], [0]]>
func.func @hot(%rows: tensor<?x8xf32, #moe.dims<rows, 8>>,
    %counts: tensor<4xi32>, %w1: tensor<4x8x16xf32>, %w2: tensor<4x16x8xf32>)
    -> tensor<?x8xf32, #moe.dims<rows, 8>> {
  %0 = moe.experts relu %rows, %counts w1 %w1 w2 %w2 {moe.loads = {
      small = array<f64: 0.0, 0.0, 0.0, 0.0>,
      large = array<f64: 8.0, 4.0, 3.0, 1.0>, pairs = array<f64>}}
    : (tensor<?x8xf32, #moe.dims<rows, 8>>, tensor<4xi32>, tensor<4x8x16xf32>,
       tensor<4x16x8xf32>) -> tensor<?x8xf32, #moe.dims<rows, 8>>
  return %0 : tensor<?x8xf32, #moe.dims<rows, 8>>
}
