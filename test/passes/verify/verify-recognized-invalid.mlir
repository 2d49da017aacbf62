// RUN: moe-opt %s --split-input-file --moe-verify-recognized --verify-diagnostics

// expected-error@+1 {{expected one function of one block, found 0 functions}}
module {
}

// -----

// The rows of moe.non_zero are known to its kernel, but nobody defines d1.
func.func @unbounded(%x: tensor<4xf32>) attributes {moe.data_symbols = {d0 = "4", d1 = "4"}} {
  %0 = moe.non_zero %x : (tensor<4xf32>) -> tensor<1x?xi64, #moe.dims<1, d0>>
  // expected-error@+1 {{'moe.iota' op has a result of a size that only values tell (d1), which is not supported here}}
  %1 = moe.iota <0> : tensor<?xi64, #moe.dims<d1>>
  func.return
}

// -----

// Every reason is reported.
func.func @symbols(%x: tensor<4xf32>) {
  // expected-error@+1 {{'moe.iota' op has a result of size n, which is not the size of any input}}
  %0 = moe.iota <0> : tensor<?xi64, #moe.dims<n>>
  // expected-error@+1 {{'moe.iota' op has start of size m, which is not the size of any input}}
  %1 = moe.iota <m> : tensor<4xi64>
  func.return
}

// -----

func.func @computed(%rows: tensor<?x8xf32, #moe.dims<r, 8>>, %counts: tensor<1xi32>,
                    %w1: tensor<1x8x8xf32>) {
  %w2 = moe.param <fill = 1.0 : f32 : tensor<1x8x8xf32>> : tensor<1x8x8xf32>
  // expected-error@+1 {{'moe.experts' op has weights that are computed, expected initialisers}}
  %0 = moe.experts relu %rows, %counts w1 %w1 w2 %w2 : (tensor<?x8xf32, #moe.dims<r, 8>>, tensor<1xi32>, tensor<1x8x8xf32>, tensor<1x8x8xf32>) -> tensor<?x8xf32, #moe.dims<r, 8>>
  // expected-error@+1 {{'moe.softmax' op uses rows of tokens grouped by expert}}
  %1 = moe.softmax %0 {axis = 0 : i64} : (tensor<?x8xf32, #moe.dims<r, 8>>) -> tensor<?x8xf32, #moe.dims<r, 8>>
  func.return
}
