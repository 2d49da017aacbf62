// RUN: moe-opt %s --split-input-file --moe-lower-to-plan | FileCheck %s
// RUN: moe-opt %s --split-input-file --moe-lower-to-plan \
// RUN:   --remarks-filter=moe-lower-to-plan -o /dev/null 2>&1 \
// RUN:   | FileCheck %s --check-prefix=REMARK

// A table of codes stays so: codes, scales and zero points are weights, and the
// step says what they are.

// CHECK: plan.param "table" {{.*}}ui8 "row" [8, 16]
// CHECK: plan.param "table.scales" {{.*}}f32 "row" [8, 2]
// CHECK: plan.param "table.zeros" {{.*}}ui8 "row" [8, 1]
// CHECK: plan.step "gather_codes" ins(
// CHECK-SAME: axis = 0 : i64
// CHECK-SAME: bits = 4 : i64
// CHECK-SAME: block = 16 : i64
// CHECK-SAME: size = 32 : i64
// REMARK: 'table' stays in codes
!ids = tensor<?xi64, #moe.dims<t>>
func.func @main(%ids: !ids) -> tensor<?x32xf32, #moe.dims<t, 32>> {
  %w = moe.param "table" <dequantize [4, 16] (#moe.param<file "q" [0, 128] : tensor<8x16xui8>>, #moe.param<file "s" [0, 64] : tensor<8x2xf32>>, #moe.param<file "z" [0, 8] : tensor<8x1xui8>>) : tensor<8x32xf32>> : tensor<8x32xf32>
  %y = moe.gather %w, %ids {axis = 0 : i64} : (tensor<8x32xf32>, !ids) -> tensor<?x32xf32, #moe.dims<t, 32>>
  func.return %y : tensor<?x32xf32, #moe.dims<t, 32>>
}

// -----

// What casts and moves the numbers of a table does so with what was looked up.

// CHECK: plan.param "table" {{.*}}ui8 "row" [8, 32]
// CHECK: plan.param "table.scales" {{.*}}f16 "row" [8, 1]
// CHECK-NOT: plan.param
// CHECK: plan.step "gather_codes"
// CHECK-SAME: axis = 0 : i64
// CHECK-SAME: block = 0 : i64
// CHECK: plan.step "cast"
// REMARK: 'table' stays in codes
!ids = tensor<?xi64, #moe.dims<t>>
!columns = tensor<32x?xf32, #moe.dims<32, t>>
func.func @main(%ids: !ids) -> !columns {
  %w = moe.param "table" <transpose [1, 0] (#moe.param<cast (#moe.param<dequantize [8, 0] (#moe.param<file "q" [0, 256] : tensor<8x32xui8>>, #moe.param<file "s" [0, 16] : tensor<8x1xf16>>) : tensor<8x32xf16>>) : tensor<8x32xf32>>) : tensor<32x8xf32>> : tensor<32x8xf32>
  %y = moe.gather %w, %ids {axis = 1 : i64} : (tensor<32x8xf32>, !ids) -> !columns
  func.return %y : !columns
}

// -----

// Batches that divide the rows have no kernel of codes.

// CHECK: plan.param "table" {{.*}}f32 "row" [8, 32]
// CHECK: plan.step "gather" ins(
// REMARK: 'table' becomes floats: ranks or batches divide its rows
func.func @main(%ids: tensor<8x3xi64>) -> tensor<8x3xf32> {
  %w = moe.param "table" <dequantize [4, 16] (#moe.param<file "q" [0, 128] : tensor<8x16xui8>>, #moe.param<file "s" [0, 64] : tensor<8x2xf32>>) : tensor<8x32xf32>> : tensor<8x32xf32>
  %y = moe.gather %w, %ids {axis = 1 : i64, batch_dims = 1 : i64} : (tensor<8x32xf32>, tensor<8x3xi64>) -> tensor<8x3xf32>
  func.return %y : tensor<8x3xf32>
}

// -----

// Ranks that divide the entries have the same part of codes and scales; of the
// numbers of an entry, each makes floats of its own.

// CHECK: plan.param "entries" {{.*}}ui8 "row" [{{.*}}, 16]
// CHECK: plan.param "entries.scales" {{.*}}f32 "row" [{{.*}}, 2]
// CHECK: plan.param "numbers" {{.*}}f32 "row"
// CHECK: plan.step "gather_codes"
// CHECK-SAME: part = "v.local"
// CHECK: plan.step "gather" ins(
// REMARK: 'entries' stays in codes
// REMARK: 'numbers' becomes floats: ranks or batches divide its rows
!ids = tensor<?xi64, #moe.dims<t>>
!y = tensor<?x32xf32, #moe.dims<t, 32>>
!part = tensor<?x?xf32, #moe.dims<t, h.local>>
module attributes {moe.mesh = #moe.mesh<dp = 1, ep = 1, tp = 2>} {
  func.func @main(%ids: !ids) -> (!y, !y)
      attributes {moe.local_symbols = {h.local = "32", v.local = "8"}, moe.symbol_groups = {h.local = "tp", v.local = "tp"}} {
    %w = moe.param "entries" <dequantize [4, 16] (#moe.param<file "q" [0, 128] : tensor<8x16xui8>>, #moe.param<file "s" [0, 64] : tensor<8x2xf32>>) : tensor<8x32xf32>> : tensor<8x32xf32>
    %v = moe.param "numbers" <dequantize [4, 16] (#moe.param<file "q" [0, 128] : tensor<8x16xui8>>, #moe.param<file "s" [0, 64] : tensor<8x2xf32>>) : tensor<8x32xf32>> : tensor<8x32xf32>
    %wp = moe.shard %w {axis = 0 : i64, part = "v.local"} : (tensor<8x32xf32>) -> tensor<?x32xf32, #moe.dims<v.local, 32>>
    %vp = moe.shard %v {axis = 1 : i64, part = "h.local"} : (tensor<8x32xf32>) -> tensor<8x?xf32, #moe.dims<8, h.local>>
    %0 = moe.gather %wp, %ids {axis = 0 : i64, part = "v.local"} : (tensor<?x32xf32, #moe.dims<v.local, 32>>, !ids) -> !y
    %1 = moe.gather %vp, %ids {axis = 0 : i64} : (tensor<8x?xf32, #moe.dims<8, h.local>>, !ids) -> !part
    %2 = moe.all_reduce sum %0 : (!y) -> !y
    %3 = moe.all_gather %1 {axis = 1 : i64, part = "h.local"} : (!part) -> !y
    func.return %2, %3 : !y, !y
  }
}
