// RUN: moe-opt %s --moe-check-experts --split-input-file --verify-diagnostics

func.func @complete(%logits: tensor<5x2xf32>, %x: tensor<5x4xf32>) -> tensor<?x4xf32, #moe.dims<rows, 4>> attributes {moe.data_symbols = {rows = "5"}} {
  %w, %e = moe.gate %logits {k = 1 : i64} : (tensor<5x2xf32>) -> (tensor<5x1xf32>, tensor<5x1xi32>)
  %r, %n, %s = moe.dispatch %x, %e {num_experts = 2 : i64} : (tensor<5x4xf32>, tensor<5x1xi32>) -> (tensor<?x4xf32, #moe.dims<rows, 4>>, tensor<2xi32>, tensor<5x1xi32>)
  return %r : tensor<?x4xf32, #moe.dims<rows, 4>>
}

// -----

// A trace with few tokens has lost two of four experts.
func.func @lost(%logits: tensor<5x4xf32>, %x: tensor<5x4xf32>) -> tensor<?x4xf32, #moe.dims<rows, 4>> attributes {moe.data_symbols = {rows = "5"}} {
  // expected-note @below {{the router is here}}
  %w, %e = moe.gate %logits {k = 1 : i64} : (tensor<5x4xf32>) -> (tensor<5x1xf32>, tensor<5x1xi32>)
  // expected-error @below {{found 2 experts behind a router over 4}}
  %r, %n, %s = moe.dispatch %x, %e {num_experts = 2 : i64} : (tensor<5x4xf32>, tensor<5x1xi32>) -> (tensor<?x4xf32, #moe.dims<rows, 4>>, tensor<2xi32>, tensor<5x1xi32>)
  return %r : tensor<?x4xf32, #moe.dims<rows, 4>>
}

// -----

func.func @not_recognized(%logits: tensor<5x4xf32>) -> tensor<5x1xf32> {
  // expected-warning @below {{a router over 4 experts, behind which no form of experts is recognized}}
  %w, %e = moe.gate %logits {k = 1 : i64} : (tensor<5x4xf32>) -> (tensor<5x1xf32>, tensor<5x1xi32>)
  return %w : tensor<5x1xf32>
}
