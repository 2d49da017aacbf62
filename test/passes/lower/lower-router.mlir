// RUN: moe-opt %s --split-input-file --moe-lower-to-plan | FileCheck %s
// RUN: moe-opt %s --split-input-file --moe-lower-to-plan \
// RUN:   --remarks-filter=moe-lower-to-plan -o /dev/null 2>&1 \
// RUN:   | FileCheck %s --check-prefix=REMARK

// Product, gate and dispatch are one step, of all three nodes.

// CHECK: %[[X:.*]] = plan.buffer {{ *}}input
// CHECK: %[[NONE:.*]] = plan.none
// CHECK: plan.step "router" ins(%[[X]], %{{.*}}, %[[NONE]], %[[NONE]], %[[NONE]], %[[NONE]], %[[NONE]], %[[X]])
// CHECK-SAME: k = 1 : i64
// CHECK-SAME: num_experts = 4 : i64
// CHECK-SAME: nodes ["/MatMul", "/TopK", "/Dispatch"]
// CHECK-NOT: plan.step
// REMARK: product, gate and dispatch are one step
!x = tensor<?x8xf32, #moe.dims<t, 8>>
!rows = tensor<?x8xf32, #moe.dims<r, 8>>
!logits = tensor<?x4xf32, #moe.dims<t, 4>>
!one = tensor<?x1xf32, #moe.dims<t, 1>>
!choice = tensor<?x1xi32, #moe.dims<t, 1>>
func.func @main(%x: !x) -> (!rows, !one, tensor<4xi32>, !choice)
    attributes {moe.data_symbols = {r = "t"}} {
  %w = moe.param "w" <fill = 1.0 : f32 : tensor<4x8xf32>> : tensor<4x8xf32>
  %logits = moe.matmul %x, %w {transpose_rhs = true} : (!x, tensor<4x8xf32>) -> !logits loc("/MatMul")
  %weights, %experts = moe.gate %logits {k = 1 : i64} : (!logits) -> (!one, !choice) loc("/TopK")
  %rows, %counts, %slots = moe.dispatch %x, %experts {num_experts = 4 : i64} : (!x, !choice) -> (!rows, tensor<4xi32>, !choice) loc("/Dispatch")
  func.return %rows, %weights, %counts, %slots : !rows, !one, tensor<4xi32>, !choice
}

// -----

// Tokens that come after the gate leave dispatch where it is.

// CHECK: plan.step "router"
// CHECK-NOT: num_experts
// CHECK: plan.step "softmax"
// CHECK: plan.step "dispatch"
// REMARK: product and gate are one step
!x = tensor<?x8xf32, #moe.dims<t, 8>>
!rows = tensor<?x8xf32, #moe.dims<r, 8>>
!logits = tensor<?x4xf32, #moe.dims<t, 4>>
!one = tensor<?x1xf32, #moe.dims<t, 1>>
!choice = tensor<?x1xi32, #moe.dims<t, 1>>
func.func @main(%x: !x) -> (!rows, !one, tensor<4xi32>, !choice)
    attributes {moe.data_symbols = {r = "t"}} {
  %w = moe.param "w" <fill = 1.0 : f32 : tensor<8x4xf32>> : tensor<8x4xf32>
  %logits = moe.matmul %x, %w : (!x, tensor<8x4xf32>) -> !logits
  %weights, %experts = moe.gate %logits {k = 1 : i64} : (!logits) -> (!one, !choice)
  %y = moe.softmax %x {axis = 1 : i64} : (!x) -> !x
  %rows, %counts, %slots = moe.dispatch %y, %experts {num_experts = 4 : i64} : (!x, !choice) -> (!rows, tensor<4xi32>, !choice)
  func.return %rows, %weights, %counts, %slots : !rows, !one, tensor<4xi32>, !choice
}

// -----

// Logits that somebody else reads are a result; so are those of other types.

// CHECK: plan.step "matmul"
// CHECK: plan.step "gate"
// CHECK: plan.step "matmul"
// CHECK: plan.step "gate"
!logits = tensor<?x4xf32, #moe.dims<t, 4>>
!halves = tensor<?x4xf16, #moe.dims<t, 4>>
!one = tensor<?x1xf32, #moe.dims<t, 1>>
!choice = tensor<?x1xi32, #moe.dims<t, 1>>
func.func @main(%x: tensor<?x8xf32, #moe.dims<t, 8>>, %h: tensor<?x8xf16, #moe.dims<t, 8>>)
    -> (!logits, !one, !choice, !one, !choice) {
  %w = moe.param "w" <fill = 1.0 : f32 : tensor<8x4xf32>> : tensor<8x4xf32>
  %v = moe.param "v" <fill = 1.0 : f16 : tensor<8x4xf16>> : tensor<8x4xf16>
  %0 = moe.matmul %x, %w : (tensor<?x8xf32, #moe.dims<t, 8>>, tensor<8x4xf32>) -> !logits
  %weights, %experts = moe.gate %0 {k = 1 : i64} : (!logits) -> (!one, !choice)
  %1 = moe.matmul %h, %v : (tensor<?x8xf16, #moe.dims<t, 8>>, tensor<8x4xf16>) -> !halves
  %more, %others = moe.gate %1 {k = 1 : i64} : (!halves) -> (!one, !choice)
  func.return %0, %weights, %experts, %more, %others : !logits, !one, !choice, !one, !choice
}
