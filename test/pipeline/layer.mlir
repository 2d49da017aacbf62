// From moe operations to a plan for two ranks, through all gates.
//
// RUN: moe-opt %s --pass-pipeline='builtin.module(moe-distribute-pipeline{ranks=2},moe-lower-pipeline)' \
// RUN:   | FileCheck %s

// CHECK: plan.program attributes {num_ranks = 2 : i64}
// CHECK-DAG: plan.symbol "tokens.local" {{ *}}local_part whole "tokens"
// CHECK-DAG: plan.symbol "r" {{ *}}data bound "tokens.local"
// CHECK-DAG: plan.symbol "r.received" {{ *}}data bound "tokens"
// CHECK: plan.layer 4 experts k 1 "softmax top-1" capacity "none" residual places <2 {{\[\[}}0], [0], [1], [1]]>

// CHECK: plan.step "router"
// CHECK-NEXT: plan.step "all_to_all"
// The residual branch stands in the time of the exchange.
// CHECK-NEXT: plan.step "ffn"
// CHECK-NEXT: plan.step "matmul"
// CHECK-NEXT: plan.step "experts"
// CHECK-NEXT: plan.step "all_to_all_back"
// CHECK-NEXT: plan.step "combine"
// CHECK-NEXT: plan.step "mix"
// CHECK-NOT: plan.step

!x = tensor<?x8xf32, #moe.dims<tokens, 8>>
!rows = tensor<?x8xf32, #moe.dims<r, 8>>
!one = tensor<?x1xf32, #moe.dims<tokens, 1>>
!choice = tensor<?x1xi32, #moe.dims<tokens, 1>>
func.func @main(%x: !x {moe.name = "x"}) -> (!x {moe.name = "y"})
    attributes {moe.data_symbols = {r = "tokens"}} {
  %wg = moe.param "gate" <fill = 1.0 : f32 : tensor<8x4xf32>> : tensor<8x4xf32>
  %wc = moe.param "coefficient" <fill = 1.0 : f32 : tensor<8x2xf32>> : tensor<8x2xf32>
  %w1 = moe.param "w1" <fill = 1.0 : f32 : tensor<4x8x16xf32>> : tensor<4x8x16xf32>
  %w2 = moe.param "w2" <fill = 1.0 : f32 : tensor<4x16x8xf32>> : tensor<4x16x8xf32>
  %v1 = moe.param "v1" <fill = 1.0 : f32 : tensor<8x16xf32>> : tensor<8x16xf32>
  %v2 = moe.param "v2" <fill = 1.0 : f32 : tensor<16x8xf32>> : tensor<16x8xf32>
  %logits = moe.matmul %x, %wg : (!x, tensor<8x4xf32>) -> tensor<?x4xf32, #moe.dims<tokens, 4>>
  %weights, %experts = moe.gate %logits {k = 1 : i64} : (tensor<?x4xf32, #moe.dims<tokens, 4>>) -> (!one, !choice)
  %rows, %counts, %slots = moe.dispatch %x, %experts {num_experts = 4 : i64} : (!x, !choice) -> (!rows, tensor<4xi32>, !choice)
  %done = moe.experts gelu_erf %rows, %counts w1 %w1 w2 %w2 : (!rows, tensor<4xi32>, tensor<4x8x16xf32>, tensor<4x16x8xf32>) -> !rows
  %moe = moe.combine %done, %slots, %weights : (!rows, !choice, !one) -> !x
  %dense = moe.ffn gelu_erf %x w1 %v1 w2 %v2 : (!x, tensor<8x16xf32>, tensor<16x8xf32>) -> !x
  %c = moe.matmul %x, %wc : (!x, tensor<8x2xf32>) -> tensor<?x2xf32, #moe.dims<tokens, 2>>
  %y = moe.mix residual %moe, %dense gate %c : (!x, !x, tensor<?x2xf32, #moe.dims<tokens, 2>>) -> !x
  func.return %y : !x
}
