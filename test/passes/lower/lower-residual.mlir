// RUN: moe-opt %s --split-input-file --moe-lower-to-plan | FileCheck %s
// RUN: moe-opt %s --split-input-file --moe-lower-to-plan \
// RUN:   --remarks-filter=moe-lower-to-plan -o /dev/null 2>&1 \
// RUN:   | FileCheck %s --check-prefix=REMARK

// The addition behind a combine is in its step, as rows of tokens, whichever of
// its operands comes first. The step is of all nodes and stands where the
// addition stood: what is added may be computed late.

// CHECK: %[[LATE:.*]] = plan.buffer {{ *}}arena f32 <b, s, 8>
// CHECK: %[[ADDED:.*]] = plan.buffer {{ *}}arena f32 <b * s, 8> of %[[LATE]]
// CHECK: %[[SUM:.*]] = plan.buffer {{ *}}arena "/Add" f32 <b, s, 8>
// CHECK: %[[ROWS:.*]] = plan.buffer {{ *}}arena "/Add" f32 <b * s, 8> of %[[SUM]]
// CHECK: %[[X:.*]] = plan.buffer {{ *}}arena "/Add" f32 <b * s, 8> of %[[SUM]]
// CHECK: plan.step "softmax" {{.*}} outs(%[[LATE]])
// CHECK-NEXT: plan.step "routed_experts"
// CHECK-SAME: , %[[ADDED]]) outs(%[[ROWS]])
// CHECK-SAME: nodes ["/Dispatch", "/Experts", "/Combine", "/Add"]
// CHECK-NEXT: plan.step "routed_experts" ins(%[[X]], {{.*}}, %[[X]]) outs
// CHECK-NOT: plan.step
// REMARK: combine and the addition to its sums are one step
// REMARK: combine and the addition to its sums are one step
!h = tensor<?x?x8xf32, #moe.dims<b, s, 8>>
!x = tensor<?x8xf32, #moe.dims<b * s, 8>>
!rows = tensor<?x8xf32, #moe.dims<r, 8>>
!more = tensor<?x8xf32, #moe.dims<q, 8>>
!choice = tensor<?x1xi32, #moe.dims<b * s, 1>>
!w = tensor<4x8x8xf32>
func.func @main(%h: !h {moe.name = "h"}, %experts: !choice) -> !h attributes {moe.data_symbols = {r = "b * s", q = "b * s"}} {
  %w = moe.param "w" <fill = 1.0 : f32 : tensor<4x8x8xf32>> : !w
  %x = moe.reshape %h : (!h) -> !x
  %rows, %counts, %slots = moe.dispatch %x, %experts {num_experts = 4 : i64} : (!x, !choice) -> (!rows, tensor<4xi32>, !choice) loc("/Dispatch")
  %done = moe.experts relu %rows, %counts w1 %w w2 %w : (!rows, tensor<4xi32>, !w, !w) -> !rows loc("/Experts")
  %y = moe.combine %done, %slots : (!rows, !choice) -> !x loc("/Combine")
  %z = moe.reshape %y : (!x) -> !h
  %late = moe.softmax %h {axis = 2 : i64} : (!h) -> !h
  %sum = moe.elementwise %late, %z : (!h, !h) -> !h {
  ^bb0(%a: tensor<f32>, %b: tensor<f32>):
    %0 = moe.binary add %a, %b : (tensor<f32>, tensor<f32>) -> tensor<f32>
    moe.yield %0 : tensor<f32>
  } loc("/Add")
  %x2 = moe.reshape %sum : (!h) -> !x
  %rows2, %counts2, %slots2 = moe.dispatch %x2, %experts {num_experts = 4 : i64} : (!x, !choice) -> (!more, tensor<4xi32>, !choice)
  %done2 = moe.experts relu %rows2, %counts2 w1 %w w2 %w : (!more, tensor<4xi32>, !w, !w) -> !more
  %y2 = moe.combine %done2, %slots2 : (!more, !choice) -> !x
  %sum2 = moe.elementwise %y2, %x2 : (!x, !x) -> !x {
  ^bb0(%a: tensor<f32>, %b: tensor<f32>):
    %0 = moe.binary add %b, %a : (tensor<f32>, tensor<f32>) -> tensor<f32>
    moe.yield %0 : tensor<f32>
  }
  %out = moe.reshape %sum2 : (!x) -> !h
  func.return %out : !h
}

// -----

// The step of a combine of its own adds too, behind weights that it has not;
// of two sums one is added to the other.

// CHECK: %[[NONE:.*]] = plan.none
// CHECK: plan.step "combine" ins(%{{[^,]*}}, %{{[^,]*}}, %[[NONE]]) outs(%[[SUM:.*]])
// CHECK-NEXT: plan.step "combine" ins(%{{[^,]*}}, %{{[^,]*}}, %[[NONE]], %[[SUM]])
// CHECK-NOT: plan.step
// REMARK: combine and the addition to its sums are one step
// REMARK: combine adds nothing to its sums: the addition is in the step of the other sums
!x = tensor<?x8xf32, #moe.dims<t, 8>>
!choice = tensor<?x1xi32, #moe.dims<t, 1>>
func.func @main(%a: !x, %b: !x, %slots: !choice) -> !x {
  %y = moe.combine %a, %slots : (!x, !choice) -> !x
  %z = moe.combine %b, %slots : (!x, !choice) -> !x
  %sum = moe.elementwise %y, %z : (!x, !x) -> !x {
  ^bb0(%p: tensor<f32>, %q: tensor<f32>):
    %0 = moe.binary add %p, %q : (tensor<f32>, tensor<f32>) -> tensor<f32>
    moe.yield %0 : tensor<f32>
  }
  func.return %sum : !x
}

// -----

// Sums that somebody else reads stay, as do those that are scaled, added to
// values of other sizes or read otherwise.

// CHECK-COUNT-2: plan.step "combine" ins(%{{[^,]*}}, %{{[^,]*}}, %{{[^,]*}}) outs
// CHECK-NEXT: plan.step "elementwise"
// CHECK-NEXT: plan.step "combine" ins(%{{[^,]*}}, %{{[^,]*}}, %{{[^,]*}}) outs
// CHECK-NEXT: plan.step "elementwise"
// CHECK-NEXT: plan.step "combine" ins(%{{[^,]*}}, %{{[^,]*}}, %{{[^,]*}}) outs
// CHECK-NEXT: plan.step "elementwise"
// REMARK: adds nothing to its sums: not exactly one operation reads the sums
// REMARK: adds nothing to its sums: what reads the sums is no addition
// REMARK: adds nothing to its sums: what reads the sums does more than add
// REMARK: adds nothing to its sums: what is added has other sizes or another type
!x = tensor<?x8xf32, #moe.dims<t, 8>>
!row = tensor<8xf32>
!choice = tensor<?x1xi32, #moe.dims<t, 1>>
func.func @main(%x: !x, %row: !row, %slots: !choice) -> (!x, !x, !x, !x, !x) {
  %y0 = moe.combine %x, %slots : (!x, !choice) -> !x
  %y1 = moe.combine %x, %slots : (!x, !choice) -> !x
  %0 = moe.elementwise %x, %y0 : (!x, !x) -> !x {
  ^bb0(%a: tensor<f32>, %b: tensor<f32>):
    %s = moe.binary add %a, %b : (tensor<f32>, tensor<f32>) -> tensor<f32>
    moe.yield %s : tensor<f32>
  }
  %y2 = moe.combine %x, %slots : (!x, !choice) -> !x
  %2 = moe.elementwise %x, %y2 : (!x, !x) -> !x {
  ^bb0(%a: tensor<f32>, %b: tensor<f32>):
    %half = moe.constant dense<0.5> : tensor<f32> : tensor<f32>
    %m = moe.binary mul %b, %half : (tensor<f32>, tensor<f32>) -> tensor<f32>
    %s = moe.binary add %a, %m : (tensor<f32>, tensor<f32>) -> tensor<f32>
    moe.yield %s : tensor<f32>
  }
  %y3 = moe.combine %x, %slots : (!x, !choice) -> !x
  %3 = moe.elementwise %row, %y3 : (!row, !x) -> !x {
  ^bb0(%a: tensor<f32>, %b: tensor<f32>):
    %s = moe.binary add %a, %b : (tensor<f32>, tensor<f32>) -> tensor<f32>
    moe.yield %s : tensor<f32>
  }
  func.return %y0, %y1, %0, %2, %3 : !x, !x, !x, !x, !x
}

// -----

// So do sums to which a value with gaps is added, that are subtracted, and that
// are added to at another time.

// CHECK: plan.step "combine" ins(%{{[^,]*}}, %{{[^,]*}}, %{{[^,]*}}) outs
// CHECK-NEXT: plan.step "elementwise"
// CHECK-NEXT: plan.step "combine" ins(%{{[^,]*}}, %{{[^,]*}}, %{{[^,]*}}) outs
// CHECK-NEXT: plan.step "elementwise"
// CHECK-NEXT: plan.step "combine" ins(%{{[^,]*}}, %{{[^,]*}}, %{{[^,]*}}) outs
// CHECK-NEXT: plan.step "elementwise"
// REMARK: adds nothing to its sums: what is added does not lie row by row
// REMARK: adds nothing to its sums: what reads the sums does more than add
// REMARK: adds nothing to its sums: they run under different conditions
!x = tensor<?x8xf32, #moe.dims<t, 8>>
!across = tensor<8x?xf32, #moe.dims<8, t>>
!choice = tensor<?x1xi32, #moe.dims<t, 1>>
func.func @main(%x: !x, %across: !across, %slots: !choice) -> (!x, !x, !x) {
  %gaps = moe.transpose %across {permutation = array<i64: 1, 0>} : (!across) -> !x
  %y0 = moe.combine %x, %slots : (!x, !choice) -> !x
  %0 = moe.elementwise %gaps, %y0 : (!x, !x) -> !x {
  ^bb0(%a: tensor<f32>, %b: tensor<f32>):
    %s = moe.binary add %a, %b : (tensor<f32>, tensor<f32>) -> tensor<f32>
    moe.yield %s : tensor<f32>
  }
  %y1 = moe.combine %x, %slots : (!x, !choice) -> !x
  %1 = moe.elementwise %x, %y1 : (!x, !x) -> !x {
  ^bb0(%a: tensor<f32>, %b: tensor<f32>):
    %s = moe.binary sub %a, %b : (tensor<f32>, tensor<f32>) -> tensor<f32>
    moe.yield %s : tensor<f32>
  }
  %y2 = moe.combine %x, %slots {moe.stream = 1 : i64} : (!x, !choice) -> !x
  %2 = moe.elementwise %x, %y2 : (!x, !x) -> !x {
  ^bb0(%a: tensor<f32>, %b: tensor<f32>):
    %s = moe.binary add %a, %b : (tensor<f32>, tensor<f32>) -> tensor<f32>
    moe.yield %s : tensor<f32>
  }
  func.return %0, %1, %2 : !x, !x, !x
}
