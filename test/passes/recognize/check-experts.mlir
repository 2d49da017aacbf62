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

// -----

// A choice among the results of a product, but no form of a gate.
func.func @unknown_router(%x: tensor<5x4xf32>) -> tensor<5x4xf32> {
  %w = moe.param <file "m.onnx" [0, 48] : tensor<4x3xf32>> : tensor<4x3xf32>
  %w1 = moe.param <file "m.onnx" [48, 192] : tensor<3x4x4xf32>> : tensor<3x4x4xf32>
  %l = moe.matmul %x, %w : (tensor<5x4xf32>, tensor<4x3xf32>) -> tensor<5x3xf32>
  %t = moe.unary tanh %l : (tensor<5x3xf32>) -> tensor<5x3xf32>
  // expected-warning @below {{chooses among 3 results of a product like a router}}
  %i = moe.arg_reduce max %t {axis = 1 : i64, keepdims = false} : (tensor<5x3xf32>) -> tensor<5xi64>
  // expected-warning @below {{gathers weights of 3 experts}}
  %g = moe.gather %w1, %i {axis = 0 : i64} : (tensor<3x4x4xf32>, tensor<5xi64>) -> tensor<5x4x4xf32>
  %r = moe.reshape %x : (tensor<5x4xf32>) -> tensor<5x1x4xf32>
  %y = moe.matmul %r, %g : (tensor<5x1x4xf32>, tensor<5x4x4xf32>) -> tensor<5x1x4xf32>
  %z = moe.reshape %y : (tensor<5x1x4xf32>) -> tensor<5x4xf32>
  return %z : tensor<5x4xf32>
}

// -----

// A sampler returns what it chose.
func.func @sampler(%x: tensor<5x4xf32>) -> tensor<5xi64> {
  %w = moe.param <file "m.onnx" [0, 1536] : tensor<4x96xf32>> : tensor<4x96xf32>
  %l = moe.matmul %x, %w : (tensor<5x4xf32>, tensor<4x96xf32>) -> tensor<5x96xf32>
  %i = moe.arg_reduce max %l {axis = 1 : i64, keepdims = false} : (tensor<5x96xf32>) -> tensor<5xi64>
  return %i : tensor<5xi64>
}
