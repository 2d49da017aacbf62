// RUN: moe-opt %s --split-input-file --moe-lower-to-plan | FileCheck %s
// RUN: moe-opt %s --split-input-file --moe-lower-to-plan \
// RUN:   --remarks-filter=moe-lower-to-plan -o /dev/null 2>&1 \
// RUN:   | FileCheck %s --check-prefix=REMARK

// Dispatch, experts and combine are one step, of all three nodes. The router
// then moves no rows, and their number is no symbol of the plan.

// CHECK-NOT: plan.symbol "r"
// CHECK: %[[X:.*]] = plan.buffer {{ *}}input
// CHECK: plan.step "router" ins(%[[X]], {{.*}}) outs(%[[MIX:.*]], %[[CHOICE:[^)]*]])
// CHECK-NOT: num_experts
// CHECK: plan.step "routed_experts" ins(%[[X]], %[[CHOICE]], %[[MIX]], %{{[^,]*}}, %[[NONE:[^,]*]], %{{[^,]*}}, %[[NONE]], %[[NONE]], %[[NONE]])
// CHECK-SAME: activation = "gelu_erf"
// CHECK-SAME: num_experts = 4 : i64
// CHECK-SAME: layer 0
// CHECK-SAME: nodes ["/Dispatch", "/Experts", "/Combine"]
// CHECK-NOT: plan.step
// REMARK: dispatch, experts and combine are one step
// REMARK: product and gate are one step
!x = tensor<?x8xf32, #moe.dims<t, 8>>
!rows = tensor<?x8xf32, #moe.dims<r, 8>>
!logits = tensor<?x4xf32, #moe.dims<t, 4>>
!one = tensor<?x1xf32, #moe.dims<t, 1>>
!choice = tensor<?x1xi32, #moe.dims<t, 1>>
func.func @main(%x: !x) -> !x attributes {moe.data_symbols = {r = "t"}} {
  %w = moe.param "w" <fill = 1.0 : f32 : tensor<8x4xf32>> : tensor<8x4xf32>
  %w1 = moe.param "w1" <fill = 1.0 : f32 : tensor<4x8x16xf32>> : tensor<4x8x16xf32>
  %w2 = moe.param "w2" <fill = 1.0 : f32 : tensor<4x16x8xf32>> : tensor<4x16x8xf32>
  %logits = moe.matmul %x, %w : (!x, tensor<8x4xf32>) -> !logits
  %weights, %experts = moe.gate %logits {k = 1 : i64} : (!logits) -> (!one, !choice)
  %rows, %counts, %slots = moe.dispatch %x, %experts {num_experts = 4 : i64} : (!x, !choice) -> (!rows, tensor<4xi32>, !choice) loc("/Dispatch")
  %done = moe.experts gelu_erf %rows, %counts w1 %w1 w2 %w2 : (!rows, tensor<4xi32>, tensor<4x8x16xf32>, tensor<4x16x8xf32>) -> !rows loc("/Experts")
  %y = moe.combine %done, %slots, %weights : (!rows, !choice, !one) -> !x loc("/Combine")
  func.return %y : !x
}

// -----

// Without weights of choices there is none; a step between the three may come
// first.

// CHECK: plan.step "softmax"
// CHECK: plan.step "routed_experts" ins(%{{[^,]*}}, %{{[^,]*}}, %[[NONE:[^,]*]], %{{[^,]*}}, %[[NONE]]
// REMARK: dispatch, experts and combine are one step
!x = tensor<?x8xf32, #moe.dims<t, 8>>
!rows = tensor<?x8xf32, #moe.dims<r, 8>>
!choice = tensor<?x1xi32, #moe.dims<t, 1>>
func.func @main(%x: !x, %experts: !choice) -> (!x, !x) attributes {moe.data_symbols = {r = "t"}} {
  %w1 = moe.param "w1" <fill = 1.0 : f32 : tensor<4x8x16xf32>> : tensor<4x8x16xf32>
  %w2 = moe.param "w2" <fill = 1.0 : f32 : tensor<4x16x8xf32>> : tensor<4x16x8xf32>
  %rows, %counts, %slots = moe.dispatch %x, %experts {num_experts = 4 : i64} : (!x, !choice) -> (!rows, tensor<4xi32>, !choice)
  %done = moe.experts gelu_erf %rows, %counts w1 %w1 w2 %w2 : (!rows, tensor<4xi32>, tensor<4x8x16xf32>, tensor<4x16x8xf32>) -> !rows
  %z = moe.softmax %x {axis = 1 : i64} : (!x) -> !x
  %y = moe.combine %done, %slots : (!rows, !choice) -> !x
  func.return %y, %z : !x, !x
}

// -----

// A dispatch that scales rows does so in a step of its own.

// CHECK: plan.step "dispatch"
// CHECK: plan.step "experts"
// CHECK: plan.step "combine"
// REMARK: dispatch, experts and combine are steps of their own: dispatch scales the rows
!x = tensor<?x8xf32, #moe.dims<t, 8>>
!rows = tensor<?x8xf32, #moe.dims<r, 8>>
!one = tensor<?x1xf32, #moe.dims<t, 1>>
!choice = tensor<?x1xi32, #moe.dims<t, 1>>
func.func @main(%x: !x, %experts: !choice, %weights: !one) -> !x attributes {moe.data_symbols = {r = "t"}} {
  %w1 = moe.param "w1" <fill = 1.0 : f32 : tensor<4x8x16xf32>> : tensor<4x8x16xf32>
  %w2 = moe.param "w2" <fill = 1.0 : f32 : tensor<4x16x8xf32>> : tensor<4x16x8xf32>
  %rows, %counts, %slots = moe.dispatch %x, %experts, %weights {num_experts = 4 : i64} : (!x, !choice, !one) -> (!rows, tensor<4xi32>, !choice)
  %done = moe.experts gelu_erf %rows, %counts w1 %w1 w2 %w2 : (!rows, tensor<4xi32>, tensor<4x8x16xf32>, tensor<4x16x8xf32>) -> !rows
  %y = moe.combine %done, %slots : (!rows, !choice) -> !x
  func.return %y : !x
}

// -----

// Results of experts, or counts, that are results of the function stay.

// CHECK: plan.step "dispatch"
// CHECK: plan.step "experts"
// CHECK: plan.step "combine"
// CHECK: plan.step "dispatch"
// CHECK: plan.step "experts"
// CHECK: plan.step "combine"
// REMARK: steps of their own: somebody else reads the results of the experts
// REMARK: steps of their own: somebody else reads what dispatch gives
!x = tensor<?x8xf32, #moe.dims<t, 8>>
!rows = tensor<?x8xf32, #moe.dims<r, 8>>
!more = tensor<?x8xf32, #moe.dims<s, 8>>
!choice = tensor<?x1xi32, #moe.dims<t, 1>>
func.func @main(%x: !x, %experts: !choice, %others: !choice) -> (!x, !rows, !x, tensor<4xi32>) attributes {moe.data_symbols = {r = "t", s = "t"}} {
  %w1 = moe.param "w1" <fill = 1.0 : f32 : tensor<4x8x16xf32>> : tensor<4x8x16xf32>
  %w2 = moe.param "w2" <fill = 1.0 : f32 : tensor<4x16x8xf32>> : tensor<4x16x8xf32>
  %rows, %counts, %slots = moe.dispatch %x, %experts {num_experts = 4 : i64} : (!x, !choice) -> (!rows, tensor<4xi32>, !choice)
  %done = moe.experts gelu_erf %rows, %counts w1 %w1 w2 %w2 : (!rows, tensor<4xi32>, tensor<4x8x16xf32>, tensor<4x16x8xf32>) -> !rows
  %y = moe.combine %done, %slots : (!rows, !choice) -> !x
  %more, %numbers, %places = moe.dispatch %x, %others {num_experts = 4 : i64} : (!x, !choice) -> (!more, tensor<4xi32>, !choice)
  %also = moe.experts gelu_erf %more, %numbers w1 %w1 w2 %w2 : (!more, tensor<4xi32>, tensor<4x8x16xf32>, tensor<4x16x8xf32>) -> !more
  %z = moe.combine %also, %places : (!more, !choice) -> !x
  func.return %y, %done, %z, %numbers : !x, !rows, !x, tensor<4xi32>
}

// -----

// What lies between them, or does not run with them, keeps them apart.

// CHECK: plan.step "experts"
// CHECK: plan.step "softmax"
// CHECK: plan.step "combine"
// CHECK: plan.step "experts"{{.*}}stream = 1
// CHECK: plan.step "combine"
// REMARK: steps of their own: something lies between experts and combine
// REMARK: steps of their own: they run under different conditions
!x = tensor<?x8xf32, #moe.dims<t, 8>>
!rows = tensor<?x8xf32, #moe.dims<r, 8>>
!more = tensor<?x8xf32, #moe.dims<s, 8>>
!choice = tensor<?x1xi32, #moe.dims<t, 1>>
func.func @main(%x: !x, %experts: !choice, %others: !choice) -> (!x, !x) attributes {moe.data_symbols = {r = "t", s = "t"}} {
  %w1 = moe.param "w1" <fill = 1.0 : f32 : tensor<4x8x16xf32>> : tensor<4x8x16xf32>
  %w2 = moe.param "w2" <fill = 1.0 : f32 : tensor<4x16x8xf32>> : tensor<4x16x8xf32>
  %rows, %counts, %slots = moe.dispatch %x, %experts {num_experts = 4 : i64} : (!x, !choice) -> (!rows, tensor<4xi32>, !choice)
  %done = moe.experts gelu_erf %rows, %counts w1 %w1 w2 %w2 : (!rows, tensor<4xi32>, tensor<4x8x16xf32>, tensor<4x16x8xf32>) -> !rows
  %soft = moe.softmax %done {axis = 1 : i64} : (!rows) -> !rows
  %y = moe.combine %soft, %slots : (!rows, !choice) -> !x
  %more, %numbers, %places = moe.dispatch %x, %others {num_experts = 4 : i64} : (!x, !choice) -> (!more, tensor<4xi32>, !choice)
  %also = moe.experts gelu_erf %more, %numbers w1 %w1 w2 %w2 {moe.stream = 1 : i64} : (!more, tensor<4xi32>, tensor<4x8x16xf32>, tensor<4x16x8xf32>) -> !more
  %z = moe.combine %also, %places : (!more, !choice) -> !x
  func.return %y, %z : !x, !x
}

// -----

// Rows that are an input were not dispatched here.

// CHECK: plan.step "experts"
// CHECK: plan.step "combine"
// REMARK: steps of their own: rows do not come from a dispatch
!x = tensor<?x8xf32, #moe.dims<t, 8>>
!choice = tensor<?x1xi32, #moe.dims<t, 1>>
func.func @main(%rows: !x, %counts: tensor<4xi32>, %slots: !choice) -> !x {
  %w1 = moe.param "w1" <fill = 1.0 : f32 : tensor<4x8x16xf32>> : tensor<4x8x16xf32>
  %w2 = moe.param "w2" <fill = 1.0 : f32 : tensor<4x16x8xf32>> : tensor<4x16x8xf32>
  %done = moe.experts gelu_erf %rows, %counts w1 %w1 w2 %w2 : (!x, tensor<4xi32>, tensor<4x8x16xf32>, tensor<4x16x8xf32>) -> !x
  %y = moe.combine %done, %slots : (!x, !choice) -> !x
  func.return %y : !x
}

// -----

// Rows of other ranks neither, and the results go back to these.

// CHECK: plan.step "dispatch"
// CHECK: plan.step "all_to_all"
// CHECK: plan.step "experts"
// CHECK: plan.step "all_to_all_back"
// CHECK: plan.step "combine"
// REMARK: steps of their own: rows come from other ranks
!x = tensor<?x8xf32, #moe.dims<t.local, 8>>
!choice = tensor<?x1xi32, #moe.dims<t.local, 1>>
!sent = tensor<?x8xf32, #moe.dims<r, 8>>
!received = tensor<?x8xf32, #moe.dims<s, 8>>
#places = #moe.placement<2 [[0], [1]]>
module attributes {moe.mesh = #moe.mesh<dp = 1, ep = 2, tp = 1>} {
  func.func @main(%x: !x, %experts: !choice) -> !x
      attributes {moe.local_symbols = {t.local = "t"}, moe.data_symbols = {r = "t.local", s = "t"}} {
    %w = moe.param "w" <fill = 1.0 : f32 : tensor<2x8x8xf32>> : tensor<2x8x8xf32>
    %rows, %counts, %slots = moe.dispatch %x, %experts {num_experts = 2 : i64} : (!x, !choice) -> (!sent, tensor<2xi32>, !choice)
    %there, %local, %route = moe.all_to_all %rows, %counts {placement = #places} : (!sent, tensor<2xi32>) -> (!received, tensor<1xi32>, tensor<2x2xi32>)
    %0 = moe.experts relu %there, %local w1 %w w2 %w {placement = #places} : (!received, tensor<1xi32>, tensor<2x8x8xf32>, tensor<2x8x8xf32>) -> !received
    %1 = moe.all_to_all_back %0, %route, %counts {placement = #places} : (!received, tensor<2x2xi32>, tensor<2xi32>) -> !sent
    %2 = moe.combine %1, %slots : (!sent, !choice) -> !x
    func.return %2 : !x
  }
}
