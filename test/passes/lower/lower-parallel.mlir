// RUN: moe-opt %s --split-input-file --moe-lower-to-plan | FileCheck %s

// Steps act in groups of ranks, on streams and under guards; what passes noted
// on operations is no setting of theirs.

// CHECK: plan.program attributes {dp = 2 : i64, num_ranks = 8 : i64, tp = 2 : i64}
// CHECK-DAG: plan.symbol "b.local" {{ *}}local_part whole "b"{{$}}
// CHECK-DAG: plan.symbol "h.local" {{ *}}local_part whole "6" {group = #moe<comm_group tp>}
// CHECK-DAG: plan.symbol "t.local" {{ *}}local_part whole "b.local" {group = #moe<comm_group tp>}
// CHECK: plan.step "shard" ins({{.*}}) outs({{.*}}) {axis = 0 : i64, part = "t.local"} attributes {group = #moe<comm_group tp>}
// CHECK: plan.step "all_reduce" ins({{.*}}) outs({{.*}}) {kind = "sum"} attributes {group = #moe<comm_group world>, guard = "b - 64"}
// CHECK: plan.step "all_gather" ins({{.*}}) outs({{.*}}) {axis = 0 : i64, part = "t.local"} attributes {group = #moe<comm_group tp>, stream = 1 : i64}
// CHECK: plan.step "gather" ins({{.*}}) outs({{.*}}) {axis = 0 : i64, batch_dims = 0 : i64, part = "h.local"} attributes {group = #moe<comm_group tp>}
// CHECK: plan.step "reduce_scatter" ins({{.*}}) outs({{.*}}) {axis = 0 : i64, kind = "sum", part = "b.local"}{{$}}
!rows = tensor<?x6xf32, #moe.dims<b.local, 6>>
!part = tensor<?x6xf32, #moe.dims<t.local, 6>>
!table = tensor<?x6xf32, #moe.dims<b.local, 6>>
module attributes {moe.mesh = #moe.mesh<dp = 2, ep = 2, tp = 2>} {
  func.func @main(%x: !rows, %ids: tensor<?xi64, #moe.dims<b.local>>, %all: tensor<?x6xf32, #moe.dims<b, 6>>)
      -> (!rows, !table, !rows)
      attributes {moe.local_symbols = {b.local = "b", h.local = "6", t.local = "b.local"},
                  moe.symbol_groups = {h.local = "tp", t.local = "tp"}} {
    %0 = moe.shard %x {axis = 0 : i64, part = "t.local"} : (!rows) -> !part
    %1 = moe.all_reduce sum %0 {group = #moe<comm_group world>, moe.guard = #moe.dims<b - 64>} : (!part) -> !part
    %2 = moe.all_gather %1 {axis = 0 : i64, part = "t.local", moe.stream = 1 : i64} : (!part) -> !rows
    %w = moe.param "w" <fill = 1.0 : f32 : tensor<6x6xf32>> : tensor<6x6xf32>
    %v = moe.shard %w {axis = 0 : i64, part = "h.local"} : (tensor<6x6xf32>) -> tensor<?x6xf32, #moe.dims<h.local, 6>>
    %3 = moe.gather %v, %ids {axis = 0 : i64, batch_dims = 0 : i64, part = "h.local"} : (tensor<?x6xf32, #moe.dims<h.local, 6>>, tensor<?xi64, #moe.dims<b.local>>) -> !table
    %4 = moe.reduce_scatter sum %all {axis = 0 : i64, part = "b.local"} : (tensor<?x6xf32, #moe.dims<b, 6>>) -> !rows
    func.return %2, %3, %4 : !rows, !table, !rows
  }
}

// -----

// Ports and caches are divided by rows and by tensor slices, each along a
// dimension of its own.

// CHECK: plan.state "kv" f32 <b, 6, past + seq, 8> axis 2 length "past" divided 0 by "b.local" sliced 1 by "h.local"
// CHECK: plan.input "past" f32 <b, 6, past, 8> divided 0 by "b.local" sliced 1 by "h.local" {state = 0 : i64}
// CHECK: plan.input "new" f32 <b, 6, seq, 8> in {{.*}} divided 0 by "b.local" sliced 1 by "h.local"
// CHECK: plan.input "bias" f32 <12> in {{.*}} sliced 0 by "h.local"
// CHECK: plan.output "present" f32 <b, 6, past + seq, 8> divided 0 by "b.local" sliced 1 by "h.local" {state = 0 : i64}
// CHECK: plan.output "y" f32 <12> in {{.*}} sliced 0 by "h.local"
!past = tensor<?x?x?x8xf32, #moe.dims<b.local, h.local, past, 8>>
!new = tensor<?x?x?x8xf32, #moe.dims<b.local, h.local, seq, 8>>
!present = tensor<?x?x?x8xf32, #moe.dims<b.local, h.local, past + seq, 8>>
!bias = tensor<?xf32, #moe.dims<2 * h.local>>
module attributes {moe.mesh = #moe.mesh<dp = 1, ep = 2, tp = 2>} {
  func.func @main(%past: !past {moe.name = "past", moe.state = "kv"}, %new: !new {moe.name = "new"}, %bias: !bias {moe.name = "bias"})
      -> (!present {moe.name = "present", moe.state = "kv"}, !bias {moe.name = "y"})
      attributes {moe.local_symbols = {b.local = "b", h.local = "6"}, moe.symbol_groups = {h.local = "tp"}} {
    %0 = moe.cache_append "kv" %past, %new {axis = 2 : i64} : (!past, !new) -> !present
    %1 = moe.softmax %bias {axis = 0 : i64} : (!bias) -> !bias
    func.return %0, %1 : !present, !bias
  }
}

// -----

// A part of a weight is a weight of which ranks hold their parts, in the layout
// of its kernel; a weight that is also used whole has a row for that.

// CHECK: plan.param "w" f32 "panel16" [8, 6] blocks [#moe.param<transpose [1, 0] (#moe.param<file "m" [0, 192] : tensor<6x8xf32>>) : tensor<8x6xf32>>] divided 1 by "h.local"
// CHECK: plan.param "b" f32 "row" [6] blocks {{.*}} divided 0 by "h.local"
// CHECK: plan.param "v" f32 "panel16" [6, 8] blocks {{.*}} divided 0 by "h.local"
// CHECK: plan.param "w.1" f32 "panel16" [8, 6] blocks [#moe.param<transpose [1, 0] (#moe.param<file "m" [0, 192] : tensor<6x8xf32>>) : tensor<8x6xf32>>]{{$}}
// CHECK: plan.param "e" f32 "row" [6, 8] blocks {{.*}} divided 0 by "h.local"
// CHECK: plan.param "f1" f32 "panel16" [8, 12] blocks {{.*}} divided 1 by "h.local"
// CHECK: %[[W:.*]] = plan.buffer {{ *}}param "w" f32 <8, h.local> {index = 0 : i64}
// CHECK: %[[B:.*]] = plan.buffer {{ *}}param "b" f32 <h.local> {index = 1 : i64}
// CHECK: %[[V:.*]] = plan.buffer {{ *}}param "v" f32 <h.local, 8> {index = 2 : i64}
// CHECK: %[[ALL:.*]] = plan.buffer {{ *}}param "w.1" f32 <8, 6> {index = 3 : i64}
// CHECK: %[[E:.*]] = plan.buffer {{ *}}param "e" f32 <h.local, 8>
// CHECK: %[[F:.*]] = plan.buffer {{ *}}param "f1" f32 <8, 2 * h.local>
// CHECK-NOT: plan.step "shard"
// CHECK: plan.step "matmul" ins({{.*}}, %[[W]], %[[B]]) outs({{.*}}) {transpose_rhs = 0 : i64}
// CHECK: plan.step "matmul" ins({{.*}}, %[[V]], {{.*}})
// CHECK: plan.step "matmul" ins({{.*}}, %[[ALL]], {{.*}})
// CHECK: plan.step "gather" ins(%[[E]], {{.*}})
// CHECK: plan.step "ffn" ins({{.*}}, %[[F]], {{.*}})
!x = tensor<?x8xf32, #moe.dims<b, 8>>
!h = tensor<?x?xf32, #moe.dims<b, h.local>>
!up = tensor<?x8xf32, #moe.dims<h.local, 8>>
module attributes {moe.mesh = #moe.mesh<dp = 1, ep = 1, tp = 2>} {
  func.func @main(%x: !x, %ids: tensor<?xi64, #moe.dims<b>>) -> (!x, tensor<?x6xf32, #moe.dims<b, 6>>, !x, !x)
      attributes {moe.local_symbols = {h.local = "6"}, moe.symbol_groups = {h.local = "tp"}} {
    %w = moe.param "w" <file "m" [0, 192] : tensor<6x8xf32>> : tensor<6x8xf32>
    %b = moe.param "b" <file "m" [192, 24] : tensor<6xf32>> : tensor<6xf32>
    %v = moe.param "v" <file "m" [216, 192] : tensor<6x8xf32>> : tensor<6x8xf32>
    %e = moe.param "e" <file "e" [0, 192] : tensor<6x8xf32>> : tensor<6x8xf32>
    %f1 = moe.param "f1" <file "f" [0, 384] : tensor<8x12xf32>> : tensor<8x12xf32>
    %wp = moe.shard %w {axis = 0 : i64, part = "h.local"} : (tensor<6x8xf32>) -> !up
    %bp = moe.shard %b {axis = 0 : i64, part = "h.local"} : (tensor<6xf32>) -> tensor<?xf32, #moe.dims<h.local>>
    %vp = moe.shard %v {axis = 0 : i64, part = "h.local"} : (tensor<6x8xf32>) -> !up
    %ep = moe.shard %e {axis = 0 : i64, part = "h.local"} : (tensor<6x8xf32>) -> !up
    %fp = moe.shard %f1 {axis = 1 : i64, part = "h.local"} : (tensor<8x12xf32>) -> tensor<8x?xf32, #moe.dims<8, 2 * h.local>>
    %0 = moe.matmul %x, %wp, %bp {transpose_rhs = true} : (!x, !up, tensor<?xf32, #moe.dims<h.local>>) -> !h
    %1 = moe.matmul %0, %vp : (!h, !up) -> !x
    %2 = moe.matmul %x, %w {transpose_rhs = true} : (!x, tensor<6x8xf32>) -> tensor<?x6xf32, #moe.dims<b, 6>>
    %3 = moe.gather %ep, %ids {axis = 0 : i64, part = "h.local"} : (!up, tensor<?xi64, #moe.dims<b>>) -> !x
    %4 = moe.ffn silu %x w1 %fp w2 %vp {gating = #moe<gating interleaved>} : (!x, tensor<8x?xf32, #moe.dims<8, 2 * h.local>>, !up) -> !x
    func.return %1, %2, %3, %4 : !x, tensor<?x6xf32, #moe.dims<b, 6>>, !x, !x
  }
}

// -----

// Slices of experts divide the intermediate dimension in units of 16 columns;
// gate and linear part of a column stay together. The second bias is whole.

// CHECK: plan.layer 2 experts k 1 {{.*}} places <4 over world domains 2 {{\[\[}}0 + 1, 2 + 3], [0 + 1, 2 + 3]]>
// CHECK: plan.param "w1" f32 "panel16" [8, 80] blocks {{.*}} divided 1 {experts = 2 : i64, is_expert, layer = 0 : i64, part_unit = 32 : i64}
// CHECK: plan.param "b1" f32 "row" [80] blocks {{.*}} divided 0 {experts = 2 : i64, is_expert, layer = 0 : i64, part_unit = 32 : i64}
// CHECK: plan.param "w2" f32 "panel16" [40, 8] blocks {{.*}} divided 0 {experts = 2 : i64, is_expert, layer = 0 : i64, part_unit = 16 : i64}
// CHECK: plan.param "b2" f32 "row" [8] blocks {{.*}}] {experts = 2 : i64, is_expert, layer = 0 : i64}
// CHECK: plan.step "all_to_all" {{.*}} {form = "hierarchical", node_size = 2 : i64, small_form = "flat", small_tokens = 64 : i64, tokens = #moe.dims<b>} layer 0 attributes {group = #moe<comm_group world>}
// CHECK: plan.step "experts" {{.*}} layer 0 attributes {group = #moe<comm_group world>}
// CHECK: plan.step "all_to_all_back" {{.*}} layer 0 attributes {group = #moe<comm_group world>}
!rows = tensor<?x8xf32, #moe.dims<r, 8>>
!received = tensor<?x8xf32, #moe.dims<s, 8>>
!choice = tensor<?x1xi32, #moe.dims<b.local, 1>>
#places = #moe.placement<4 over world domains 2 [[0 + 1, 2 + 3], [0 + 1, 2 + 3]]>
module attributes {moe.mesh = #moe.mesh<dp = 2, ep = 1, tp = 2>} {
  func.func @main(%x: tensor<?x8xf32, #moe.dims<b.local, 8>>, %e: !choice) -> tensor<?x8xf32, #moe.dims<b.local, 8>>
      attributes {moe.local_symbols = {b.local = "b"}, moe.symbol_groups = {b.local = "world"},
                  moe.data_symbols = {r = "b.local", s = "b"}} {
    %w1 = moe.param "w1" <fill = 1.0 : f32 : tensor<2x8x80xf32>> : tensor<2x8x80xf32>
    %b1 = moe.param "b1" <fill = 1.0 : f32 : tensor<2x80xf32>> : tensor<2x80xf32>
    %w2 = moe.param "w2" <fill = 1.0 : f32 : tensor<2x40x8xf32>> : tensor<2x40x8xf32>
    %b2 = moe.param "b2" <fill = 1.0 : f32 : tensor<2x8xf32>> : tensor<2x8xf32>
    %rows, %counts, %slots = moe.dispatch %x, %e {num_experts = 2 : i64} : (tensor<?x8xf32, #moe.dims<b.local, 8>>, !choice) -> (!rows, tensor<2xi32>, !choice)
    %there, %local, %route = moe.all_to_all %rows, %counts {placement = #places, form = #moe<exchange_form hierarchical>, node_size = 2 : i64, small_form = #moe<exchange_form flat>, small_tokens = 64 : i64, tokens = #moe.dims<b>} : (!rows, tensor<2xi32>) -> (!received, tensor<2xi32>, tensor<4x2xi32>)
    %0 = moe.experts silu %there, %local w1 %w1 b1 %b1 w2 %w2 b2 %b2 {gating = #moe<gating interleaved>, placement = #places} : (!received, tensor<2xi32>, tensor<2x8x80xf32>, tensor<2x80xf32>, tensor<2x40x8xf32>, tensor<2x8xf32>) -> !received
    %1 = moe.all_to_all_back %0, %route, %counts {placement = #places, form = #moe<exchange_form hierarchical>, node_size = 2 : i64, small_form = #moe<exchange_form flat>, small_tokens = 64 : i64, tokens = #moe.dims<b>} : (!received, tensor<4x2xi32>, tensor<2xi32>) -> !rows
    %2 = moe.combine %1, %slots : (!rows, !choice) -> tensor<?x8xf32, #moe.dims<b.local, 8>>
    func.return %2 : tensor<?x8xf32, #moe.dims<b.local, 8>>
  }
}

// -----

// The chunks of a layer are one layer, and have its weights once.

// CHECK: plan.layer 2 experts
// CHECK-NOT: plan.layer
// CHECK-COUNT-2: plan.param
// CHECK-NOT: plan.param
// CHECK: plan.step "routed_experts" ins({{.*}}, {{.*}}, %[[NONE:.*]], %[[W1:.*]], %[[NONE]], %[[W2:.*]], {{.*}}) {{.*}} layer 0
// CHECK: plan.step "routed_experts" ins({{.*}}, {{.*}}, %[[NONE]], %[[W1]], %[[NONE]], %[[W2]], {{.*}}) {{.*}} layer 0
!half = tensor<?x8xf32, #moe.dims<b, 8>>
!picks = tensor<?x1xi32, #moe.dims<b, 1>>
#here = #moe.placement<1 [[0], [0]]>
func.func @main(%x: tensor<?x8xf32, #moe.dims<2 * b, 8>>, %e: tensor<?x1xi32, #moe.dims<2 * b, 1>>) -> tensor<?x8xf32, #moe.dims<2 * b, 8>>
    attributes {moe.data_symbols = {r = "b", s = "b"}} {
  %w1 = moe.param "w1" <fill = 1.0 : f32 : tensor<2x8x16xf32>> : tensor<2x8x16xf32>
  %w2 = moe.param "w2" <fill = 1.0 : f32 : tensor<2x16x8xf32>> : tensor<2x16x8xf32>
  %x0 = moe.slice %x <0, 0> {steps = array<i64: 1, 1>} : (tensor<?x8xf32, #moe.dims<2 * b, 8>>) -> !half
  %e0 = moe.slice %e <0, 0> {steps = array<i64: 1, 1>} : (tensor<?x1xi32, #moe.dims<2 * b, 1>>) -> !picks
  %rows0, %counts0, %slots0 = moe.dispatch %x0, %e0 {num_experts = 2 : i64} : (!half, !picks) -> (tensor<?x8xf32, #moe.dims<r, 8>>, tensor<2xi32>, !picks)
  %0 = moe.experts silu %rows0, %counts0 w1 %w1 w2 %w2 {placement = #here} : (tensor<?x8xf32, #moe.dims<r, 8>>, tensor<2xi32>, tensor<2x8x16xf32>, tensor<2x16x8xf32>) -> tensor<?x8xf32, #moe.dims<r, 8>>
  %1 = moe.combine %0, %slots0 : (tensor<?x8xf32, #moe.dims<r, 8>>, !picks) -> !half
  %x1 = moe.slice %x <b, 0> {steps = array<i64: 1, 1>} : (tensor<?x8xf32, #moe.dims<2 * b, 8>>) -> !half
  %e1 = moe.slice %e <b, 0> {steps = array<i64: 1, 1>} : (tensor<?x1xi32, #moe.dims<2 * b, 1>>) -> !picks
  %rows1, %counts1, %slots1 = moe.dispatch %x1, %e1 {num_experts = 2 : i64} : (!half, !picks) -> (tensor<?x8xf32, #moe.dims<s, 8>>, tensor<2xi32>, !picks)
  %2 = moe.experts silu %rows1, %counts1 w1 %w1 w2 %w2 {placement = #here} : (tensor<?x8xf32, #moe.dims<s, 8>>, tensor<2xi32>, tensor<2x8x16xf32>, tensor<2x16x8xf32>) -> tensor<?x8xf32, #moe.dims<s, 8>>
  %3 = moe.combine %2, %slots1 : (tensor<?x8xf32, #moe.dims<s, 8>>, !picks) -> !half
  %4 = moe.concat %1, %3 {axis = 0 : i64} : (!half, !half) -> tensor<?x8xf32, #moe.dims<2 * b, 8>>
  func.return %4 : tensor<?x8xf32, #moe.dims<2 * b, 8>>
}
