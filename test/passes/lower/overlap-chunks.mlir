// RUN: moe-opt %s --moe-place-experts=ranks=2 --moe-distribute --moe-chunk-exchange \
// RUN:   --moe-overlap-exchange | FileCheck %s
// RUN: moe-opt %s -o /dev/null --moe-interpret-keep --moe-place-experts=ranks=2 --moe-distribute \
// RUN:   --moe-chunk-exchange --moe-overlap-exchange --moe-interpret="after=main dims=t:11" \
// RUN:   --moe-interpret="after=main dims=t:1"

// Experts of a chunk run beside the exchange of the next; two are under way at
// a time. The last rows to come back have nothing to run beside. Values stay.

// CHECK-LABEL: @main
// CHECK: moe.dispatch
// CHECK: moe.all_to_all {{.*}}moe.stream = 1
// CHECK: moe.dispatch
// CHECK: moe.all_to_all {{.*}}moe.stream = 1
// The dense branch beside the first two.
// CHECK: moe.ffn
// CHECK: moe.experts
// CHECK: moe.all_to_all_back {{.*}}moe.stream = 1
// CHECK: moe.dispatch
// CHECK: moe.all_to_all {{.*}}moe.stream = 1
// CHECK: moe.experts
// CHECK: moe.all_to_all_back {{.*}}moe.stream = 1
// CHECK: moe.combine
// CHECK: moe.experts
// CHECK: moe.all_to_all_back
// CHECK-NOT: moe.stream
// CHECK: moe.combine
// CHECK: moe.combine
// CHECK: moe.concat
!x = tensor<?x4xf32, #moe.dims<t, 4>>
!rows = tensor<?x4xf32, #moe.dims<r, 4>>
!choice = tensor<?x1xi32, #moe.dims<t, 1>>
!weight = tensor<?x1xf32, #moe.dims<t, 1>>
func.func @main(%x: !x) -> !x attributes {moe.data_symbols = {r = "t"}} {
  %wg = moe.param "g" <file "m" [0, 32] : tensor<4x2xf32>> : tensor<4x2xf32>
  %w1 = moe.param "w1" <file "m" [32, 256] : tensor<2x4x8xf32>> : tensor<2x4x8xf32>
  %w2 = moe.param "w2" <file "m" [288, 256] : tensor<2x8x4xf32>> : tensor<2x8x4xf32>
  %v1 = moe.param "v1" <file "m" [544, 128] : tensor<4x8xf32>> : tensor<4x8xf32>
  %v2 = moe.param "v2" <file "m" [672, 128] : tensor<8x4xf32>> : tensor<8x4xf32>
  %logits = moe.matmul %x, %wg : (!x, tensor<4x2xf32>) -> tensor<?x2xf32, #moe.dims<t, 2>>
  %weights, %experts = moe.gate %logits {k = 1 : i64} : (tensor<?x2xf32, #moe.dims<t, 2>>) -> (!weight, !choice)
  %rows, %counts, %slots = moe.dispatch %x, %experts {num_experts = 2 : i64} : (!x, !choice) -> (!rows, tensor<2xi32>, !choice)
  %0 = moe.experts relu %rows, %counts w1 %w1 w2 %w2 {moe.form = {chunks = 3 : i64}} : (!rows, tensor<2xi32>, tensor<2x4x8xf32>, tensor<2x8x4xf32>) -> !rows
  %1 = moe.combine %0, %slots, %weights : (!rows, !choice, !weight) -> !x
  %2 = moe.ffn relu %x w1 %v1 w2 %v2 : (!x, tensor<4x8xf32>, tensor<8x4xf32>) -> !x
  %3 = moe.mix add %1, %2 : (!x, !x) -> !x
  func.return %3 : !x
}
