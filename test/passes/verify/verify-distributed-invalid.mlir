// RUN: moe-opt %s --split-input-file --moe-verify-distributed --verify-diagnostics

// expected-error@+1 {{has no 'moe.mesh'}}
module {
}

// -----

module attributes {moe.mesh = #moe.mesh<dp = 1, ep = 2, tp = 1>} {
  func.func @unplaced(%rows: tensor<?x8xf32, #moe.dims<r, 8>>, %counts: tensor<2xi32>) {
    %w = moe.param <fill = 1.0 : f32 : tensor<2x8x8xf32>> : tensor<2x8x8xf32>
    // expected-error@+1 {{'moe.experts' op has no placement}}
    %0 = moe.experts relu %rows, %counts w1 %w w2 %w : (tensor<?x8xf32, #moe.dims<r, 8>>, tensor<2xi32>, tensor<2x8x8xf32>, tensor<2x8x8xf32>) -> tensor<?x8xf32, #moe.dims<r, 8>>
    func.return
  }
}

// -----

module attributes {moe.mesh = #moe.mesh<dp = 1, ep = 2, tp = 1>} {
  func.func @stays(%rows: tensor<?x8xf32, #moe.dims<r, 8>>, %counts: tensor<2xi32>) {
    %w = moe.param <fill = 1.0 : f32 : tensor<2x8x8xf32>> : tensor<2x8x8xf32>
    // expected-error@+1 {{'moe.experts' op does not compute rows that moe.all_to_all received for its placement}}
    %0 = moe.experts relu %rows, %counts w1 %w w2 %w {placement = #moe.placement<2 [[0], [1]]>} : (tensor<?x8xf32, #moe.dims<r, 8>>, tensor<2xi32>, tensor<2x8x8xf32>, tensor<2x8x8xf32>) -> tensor<?x8xf32, #moe.dims<r, 8>>
    func.return
  }
}

// -----

module attributes {moe.mesh = #moe.mesh<dp = 1, ep = 2, tp = 1>} {
  func.func @mixes(%x: tensor<?x8xf32, #moe.dims<b.local, 8>>) attributes {moe.local_symbols = {b.local = "b"}} {
    // expected-error@+1 {{'moe.reduce' op mixes elements of size b.local that lie on several ranks}}
    %0 = moe.reduce sum %x {axes = array<i64: 0>, keepdims = false} : (tensor<?x8xf32, #moe.dims<b.local, 8>>) -> tensor<8xf32>
    func.return
  }
}

// -----

module attributes {moe.mesh = #moe.mesh<dp = 1, ep = 2, tp = 1>} {
  func.func @appears() attributes {moe.local_symbols = {b.local = "b"}} {
    // expected-error@+1 {{'moe.iota' op has a result of size b.local that is not one of its operands}}
    %0 = moe.iota <0> : tensor<?xi64, #moe.dims<b.local>>
    func.return
  }
}

// -----

!x = tensor<?x4xf32, #moe.dims<b.local, 4>>
!e = tensor<?x1xi32, #moe.dims<b.local, 1>>
!rows = tensor<?x4xf32, #moe.dims<r, 4>>
!w = tensor<2x4x4xf32>

// The two ranks of an owner have equal tokens: both would send them.
module attributes {moe.mesh = #moe.mesh<dp = 1, ep = 1, tp = 2>} {
  func.func @twice(%x: !x, %e: !e, %w: !w) attributes {moe.data_symbols = {r = "b"}, moe.local_symbols = {b.local = "b"}} {
    %rows, %counts, %slots = moe.dispatch %x, %e {num_experts = 2 : i64} : (!x, !e) -> (!rows, tensor<2xi32>, !e)
    // expected-error@+1 {{'moe.all_to_all' op sends tokens that several ranks of world have}}
    %received, %local, %route = moe.all_to_all %rows, %counts {placement = #moe.placement<2 over world [[0], [1]]>} : (!rows, tensor<2xi32>) -> (!rows, tensor<1xi32>, tensor<2x2xi32>)
    %0 = moe.experts relu %received, %local w1 %w w2 %w {placement = #moe.placement<2 over world [[0], [1]]>} : (!rows, tensor<1xi32>, !w, !w) -> !rows
    func.return
  }
}

// -----

!x = tensor<?x4xf32, #moe.dims<b.local, 4>>
!e = tensor<?x1xi32, #moe.dims<b.local, 1>>
!rows = tensor<?x4xf32, #moe.dims<r, 4>>
!w = tensor<2x4x4xf32>

module attributes {moe.mesh = #moe.mesh<dp = 1, ep = 2, tp = 1>} {
  func.func @differ(%x: !x, %e: !e, %w: !w) attributes {moe.data_symbols = {r = "b"}, moe.local_symbols = {b.local = "b"}} {
    %rows, %counts, %slots = moe.dispatch %x, %e {num_experts = 2 : i64} : (!x, !e) -> (!rows, tensor<2xi32>, !e)
    // expected-error@+1 {{'moe.all_to_all' op is replicated, but the ranks of rows have different tokens}}
    %received, %local, %route = moe.all_to_all %rows, %counts {form = #moe<exchange_form replicated>, placement = #moe.placement<2 [[0], [1]]>} : (!rows, tensor<2xi32>) -> (!rows, tensor<1xi32>, tensor<2x2xi32>)
    %0 = moe.experts relu %received, %local w1 %w w2 %w {placement = #moe.placement<2 [[0], [1]]>} : (!rows, tensor<1xi32>, !w, !w) -> !rows
    func.return
  }
}

// -----

!x = tensor<?x4xf32, #moe.dims<b.local, 4>>
!e = tensor<?x1xi32, #moe.dims<b.local, 1>>
!rows = tensor<?x4xf32, #moe.dims<r, 4>>
!w = tensor<2x4x4xf32>

module attributes {moe.mesh = #moe.mesh<dp = 1, ep = 2, tp = 1>} {
  func.func @other_way(%x: !x, %e: !e, %w: !w) attributes {moe.data_symbols = {r = "b"}, moe.local_symbols = {b.local = "b"}} {
    %rows, %counts, %slots = moe.dispatch %x, %e {num_experts = 2 : i64} : (!x, !e) -> (!rows, tensor<2xi32>, !e)
    %received, %local, %route = moe.all_to_all %rows, %counts {form = #moe<exchange_form hierarchical>, node_size = 1 : i64, placement = #moe.placement<2 [[0], [1]]>} : (!rows, tensor<2xi32>) -> (!rows, tensor<1xi32>, tensor<2x2xi32>)
    // expected-error@+1 {{'moe.experts' op has rows that do not go back by the route that they came}}
    %0 = moe.experts relu %received, %local w1 %w w2 %w {placement = #moe.placement<2 [[0], [1]]>} : (!rows, tensor<1xi32>, !w, !w) -> !rows
    %1 = moe.all_to_all_back %0, %route, %counts {placement = #moe.placement<2 [[0], [1]]>} : (!rows, tensor<2x2xi32>, tensor<2xi32>) -> !rows
    func.return
  }
}

// -----

module attributes {moe.mesh = #moe.mesh<dp = 1, ep = 1, tp = 2>} {
  func.func @partial(%x: tensor<4x?xf32, #moe.dims<4, i.local>>, %w: tensor<?x8xf32, #moe.dims<i.local, 8>>) attributes {moe.local_symbols = {i.local = "16"}, moe.symbol_groups = {i.local = "tp"}} {
    // expected-error@+1 {{'moe.matmul' op gives a partial sum that no moe.all_reduce over tp makes whole}}
    %0 = moe.matmul %x, %w : (tensor<4x?xf32, #moe.dims<4, i.local>>, tensor<?x8xf32, #moe.dims<i.local, 8>>) -> tensor<4x8xf32>
    %1 = moe.unary relu %0 : (tensor<4x8xf32>) -> tensor<4x8xf32>
    func.return
  }
}
