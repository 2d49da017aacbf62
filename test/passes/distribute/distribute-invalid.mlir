// RUN: moe-opt %s --split-input-file --moe-distribute --verify-diagnostics

// expected-error@+1 {{experts are not placed: no 'moe.mesh'}}
module {
}

// -----

module attributes {moe.mesh = #moe.mesh<dp = 1, ep = 2, tp = 1>} {
  func.func @data(%mask: tensor<4xi1>) attributes {moe.data_symbols = {n = "4", r = "4"}} {
    %0 = moe.non_zero %mask : (tensor<4xi1>) -> tensor<1x?xi64, #moe.dims<1, n>>
    %1 = moe.cast %0 : (tensor<1x?xi64, #moe.dims<1, n>>) -> tensor<1x?xi32, #moe.dims<1, n>>
    %2 = moe.reshape %1 : (tensor<1x?xi32, #moe.dims<1, n>>) -> tensor<?x1xi32, #moe.dims<n, 1>>
    %3 = moe.cast %2 : (tensor<?x1xi32, #moe.dims<n, 1>>) -> tensor<?x1xf32, #moe.dims<n, 1>>
    // expected-error@+1 {{'moe.dispatch' op has n tokens, a number that only values tell and ranks cannot divide}}
    %rows, %counts, %slots = moe.dispatch %3, %2 {num_experts = 4 : i64} : (tensor<?x1xf32, #moe.dims<n, 1>>, tensor<?x1xi32, #moe.dims<n, 1>>) -> (tensor<?x1xf32, #moe.dims<r, 1>>, tensor<4xi32>, tensor<?x1xi32, #moe.dims<n, 1>>)
    func.return
  }
}
