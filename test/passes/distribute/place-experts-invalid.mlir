// RUN: not moe-opt %s --split-input-file --moe-place-experts=ranks=0 2>&1 \
// RUN:   | FileCheck %s --check-prefix=NONE
// RUN: not moe-opt %s --split-input-file --moe-place-experts="ranks=6 tp=4" 2>&1 \
// RUN:   | FileCheck %s --check-prefix=ODD
// RUN: moe-opt %s --split-input-file --verify-diagnostics \
// RUN:   --moe-place-experts="ranks=4 reduce-exact"

// NONE: error: cannot compile for 0 ranks, expected at least 1
// ODD: error: a mesh with dp = 1 and tp = 4 cannot have 6 ranks

!rows = tensor<?x8xf32, #moe.dims<r, 8>>
!w = tensor<4x8x8xf32>

func.func @sliced(%rows: !rows, %counts: tensor<4xi32>, %w: !w) {
  // expected-error@+1 {{'moe.experts' op is to be sliced, but sums of an expert are not to be split over ranks}}
  %0 = moe.experts relu %rows, %counts w1 %w w2 %w {moe.form = {experts = "slice"}} : (!rows, tensor<4xi32>, !w, !w) -> !rows
  return
}

// -----

!rows = tensor<?x8xf32, #moe.dims<r, 8>>
!w = tensor<4x8x8xf32>

func.func @unknown(%rows: !rows, %counts: tensor<4xi32>, %w: !w) {
  // expected-error@+1 {{'moe.experts' op 'moe.form': unknown key or value at 'exchange'}}
  %0 = moe.experts relu %rows, %counts w1 %w w2 %w {moe.form = {exchange = "by post"}} : (!rows, tensor<4xi32>, !w, !w) -> !rows
  return
}

// -----

!rows = tensor<?x8xf32, #moe.dims<r, 8>>
!w = tensor<4x8x8xf32>

func.func @no_nodes(%rows: !rows, %counts: tensor<4xi32>, %w: !w) {
  // expected-error@+1 {{'moe.experts' op has a hierarchical exchange, but nobody says how many ranks a node has}}
  %0 = moe.experts relu %rows, %counts w1 %w w2 %w {moe.form = {exchange = "hierarchical"}} : (!rows, tensor<4xi32>, !w, !w) -> !rows
  return
}

// -----

!rows = tensor<?x8xf32, #moe.dims<r, 8>>
!w = tensor<4x8x8xf32>

module attributes {moe.mesh = #moe.mesh<dp = 1, ep = 4, tp = 1>, moe.node_size = 3 : i64} {
  func.func @odd_nodes(%rows: !rows, %counts: tensor<4xi32>, %w: !w) {
    // expected-error@+1 {{'moe.experts' op has a hierarchical exchange, but nodes of 3 ranks do not divide the 4 ranks of rows evenly}}
    %0 = moe.experts relu %rows, %counts w1 %w w2 %w {moe.form = {exchange = "hierarchical"}} : (!rows, tensor<4xi32>, !w, !w) -> !rows
    return
  }
}

// -----

!rows = tensor<?x8xf32, #moe.dims<r, 8>>
!w = tensor<4x8x8xf32>

module attributes {moe.mesh = #moe.mesh<dp = 1, ep = 2, tp = 2>, moe.node_size = 1 : i64} {
  func.func @split_nodes(%rows: !rows, %counts: tensor<4xi32>, %w: !w) {
    // expected-error@+1 {{'moe.experts' op has a hierarchical exchange, but nodes of 1 ranks do not divide the 2 ranks of rows evenly}}
    %0 = moe.experts relu %rows, %counts w1 %w w2 %w {moe.form = {exchange = "coordinated", small = "hierarchical", small_tokens = 8 : i64}} : (!rows, tensor<4xi32>, !w, !w) -> !rows
    return
  }
}

// -----

!rows = tensor<?x8xf32, #moe.dims<r, 8>>
!w = tensor<4x8x8xf32>

func.func @small(%rows: !rows, %counts: tensor<4xi32>, %w: !w) {
  // expected-error@+1 {{'moe.experts' op has a form for few tokens, but its tokens are replicated and do not travel}}
  %0 = moe.experts relu %rows, %counts w1 %w w2 %w {moe.form = {exchange = "replicated", small = "flat", small_tokens = 8 : i64}} : (!rows, tensor<4xi32>, !w, !w) -> !rows
  return
}

// -----

!rows = tensor<?x8xf32, #moe.dims<r, 8>>
!w = tensor<4x8x8xf32>

func.func @chunks(%rows: !rows, %counts: tensor<4xi32>, %w: !w) {
  // expected-error@+1 {{'moe.experts' op is to run in 100 chunks, expected at most 64}}
  %0 = moe.experts relu %rows, %counts w1 %w w2 %w {moe.form = {chunks = 100 : i64}} : (!rows, tensor<4xi32>, !w, !w) -> !rows
  return
}
