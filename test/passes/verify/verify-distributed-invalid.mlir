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
