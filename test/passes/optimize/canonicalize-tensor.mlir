// RUN: moe-opt %s --moe-canonicalize-tensor | FileCheck %s

// CHECK-LABEL: func.func @gelu_erf_of_torch
// CHECK-SAME: (%[[X:.*]]: tensor<4x8xf32>)
// CHECK-NEXT: %[[Y:.*]] = moe.unary gelu_erf %[[X]]
// CHECK-NEXT: return %[[Y]]
func.func @gelu_erf_of_torch(%x: tensor<4x8xf32>) -> tensor<4x8xf32> {
  %root2 = moe.constant dense<1.41421354> : tensor<f32> : tensor<f32>
  %one = moe.constant dense<1.0> : tensor<f32> : tensor<f32>
  %half = moe.constant dense<0.5> : tensor<f32> : tensor<f32>
  %0 = moe.binary div %x, %root2 : (tensor<4x8xf32>, tensor<f32>) -> tensor<4x8xf32>
  %1 = moe.unary erf %0 : (tensor<4x8xf32>) -> tensor<4x8xf32>
  %2 = moe.binary add %1, %one : (tensor<4x8xf32>, tensor<f32>) -> tensor<4x8xf32>
  %3 = moe.binary mul %x, %2 : (tensor<4x8xf32>, tensor<4x8xf32>) -> tensor<4x8xf32>
  %4 = moe.binary mul %3, %half : (tensor<4x8xf32>, tensor<f32>) -> tensor<4x8xf32>
  return %4 : tensor<4x8xf32>
}

// (0.5 * x) * (erf(x * 0.7071) + 1), operands the other way round.
// CHECK-LABEL: func.func @gelu_erf_commuted
// CHECK: moe.unary gelu_erf
// CHECK-NEXT: return
func.func @gelu_erf_commuted(%x: tensor<4x8xf32>) -> tensor<4x8xf32> {
  %root = moe.constant dense<0.707106769> : tensor<f32> : tensor<f32>
  %one = moe.constant dense<1.0> : tensor<f32> : tensor<f32>
  %half = moe.constant dense<0.5> : tensor<1xf32> : tensor<1xf32>
  %0 = moe.binary mul %root, %x : (tensor<f32>, tensor<4x8xf32>) -> tensor<4x8xf32>
  %1 = moe.unary erf %0 : (tensor<4x8xf32>) -> tensor<4x8xf32>
  %2 = moe.binary add %one, %1 : (tensor<f32>, tensor<4x8xf32>) -> tensor<4x8xf32>
  %3 = moe.binary mul %half, %x : (tensor<1xf32>, tensor<4x8xf32>) -> tensor<4x8xf32>
  %4 = moe.binary mul %2, %3 : (tensor<4x8xf32>, tensor<4x8xf32>) -> tensor<4x8xf32>
  return %4 : tensor<4x8xf32>
}

// 0.5 x (1 + tanh(0.79788 (x + 0.044715 x^3)))
// CHECK-LABEL: func.func @gelu_tanh
// CHECK: moe.unary gelu_tanh
// CHECK-NEXT: return
func.func @gelu_tanh(%x: tensor<8xf32>) -> tensor<8xf32> {
  %c = moe.constant dense<0.044715> : tensor<f32> : tensor<f32>
  %s = moe.constant dense<0.797884583> : tensor<f32> : tensor<f32>
  %three = moe.constant dense<3.0> : tensor<f32> : tensor<f32>
  %one = moe.constant dense<1.0> : tensor<f32> : tensor<f32>
  %half = moe.constant dense<0.5> : tensor<f32> : tensor<f32>
  %0 = moe.binary pow %x, %three : (tensor<8xf32>, tensor<f32>) -> tensor<8xf32>
  %1 = moe.binary mul %0, %c : (tensor<8xf32>, tensor<f32>) -> tensor<8xf32>
  %2 = moe.binary add %x, %1 : (tensor<8xf32>, tensor<8xf32>) -> tensor<8xf32>
  %3 = moe.binary mul %2, %s : (tensor<8xf32>, tensor<f32>) -> tensor<8xf32>
  %4 = moe.unary tanh %3 : (tensor<8xf32>) -> tensor<8xf32>
  %5 = moe.binary add %4, %one : (tensor<8xf32>, tensor<f32>) -> tensor<8xf32>
  %6 = moe.binary mul %x, %half : (tensor<8xf32>, tensor<f32>) -> tensor<8xf32>
  %7 = moe.binary mul %6, %5 : (tensor<8xf32>, tensor<8xf32>) -> tensor<8xf32>
  return %7 : tensor<8xf32>
}

// Another cubic coefficient is another function.
// CHECK-LABEL: func.func @not_quite_gelu_tanh
// CHECK-NOT: gelu
// CHECK: return
func.func @not_quite_gelu_tanh(%x: tensor<8xf32>) -> tensor<8xf32> {
  %c = moe.constant dense<0.05> : tensor<f32> : tensor<f32>
  %s = moe.constant dense<0.797884583> : tensor<f32> : tensor<f32>
  %one = moe.constant dense<1.0> : tensor<f32> : tensor<f32>
  %half = moe.constant dense<0.5> : tensor<f32> : tensor<f32>
  %0 = moe.unary square %x : (tensor<8xf32>) -> tensor<8xf32>
  %1 = moe.binary mul %0, %x : (tensor<8xf32>, tensor<8xf32>) -> tensor<8xf32>
  %2 = moe.binary mul %1, %c : (tensor<8xf32>, tensor<f32>) -> tensor<8xf32>
  %3 = moe.binary add %x, %2 : (tensor<8xf32>, tensor<8xf32>) -> tensor<8xf32>
  %4 = moe.binary mul %3, %s : (tensor<8xf32>, tensor<f32>) -> tensor<8xf32>
  %5 = moe.unary tanh %4 : (tensor<8xf32>) -> tensor<8xf32>
  %6 = moe.binary add %5, %one : (tensor<8xf32>, tensor<f32>) -> tensor<8xf32>
  %7 = moe.binary mul %x, %6 : (tensor<8xf32>, tensor<8xf32>) -> tensor<8xf32>
  %8 = moe.binary mul %7, %half : (tensor<8xf32>, tensor<f32>) -> tensor<8xf32>
  return %8 : tensor<8xf32>
}

// CHECK-LABEL: func.func @silu
// CHECK: moe.unary silu
// CHECK-NEXT: return
func.func @silu(%x: tensor<8xf32>) -> tensor<8xf32> {
  %0 = moe.unary sigmoid %x : (tensor<8xf32>) -> tensor<8xf32>
  %1 = moe.binary mul %0, %x : (tensor<8xf32>, tensor<8xf32>) -> tensor<8xf32>
  return %1 : tensor<8xf32>
}

// x = a * b is the argument, not two more factors.
// CHECK-LABEL: func.func @silu_of_product
// CHECK: %[[X:.*]] = moe.binary mul
// CHECK-NEXT: moe.unary silu %[[X]]
// CHECK-NEXT: return
func.func @silu_of_product(%a: tensor<8xf32>, %b: tensor<8xf32>) -> tensor<8xf32> {
  %x = moe.binary mul %a, %b : (tensor<8xf32>, tensor<8xf32>) -> tensor<8xf32>
  %0 = moe.unary sigmoid %x : (tensor<8xf32>) -> tensor<8xf32>
  %1 = moe.binary mul %x, %0 : (tensor<8xf32>, tensor<8xf32>) -> tensor<8xf32>
  return %1 : tensor<8xf32>
}

// 1 / (1 + exp(-x))
// CHECK-LABEL: func.func @sigmoid
// CHECK: moe.unary sigmoid
// CHECK-NEXT: return
func.func @sigmoid(%x: tensor<8xf32>) -> tensor<8xf32> {
  %one = moe.constant dense<1.0> : tensor<f32> : tensor<f32>
  %0 = moe.unary neg %x : (tensor<8xf32>) -> tensor<8xf32>
  %1 = moe.unary exp %0 : (tensor<8xf32>) -> tensor<8xf32>
  %2 = moe.binary add %1, %one : (tensor<8xf32>, tensor<f32>) -> tensor<8xf32>
  %3 = moe.unary reciprocal %2 : (tensor<8xf32>) -> tensor<8xf32>
  return %3 : tensor<8xf32>
}

// CHECK-LABEL: func.func @rms_norm
// CHECK-SAME: (%[[X:.*]]: tensor<2x4x8xf32>, %[[W:.*]]: tensor<8xf32>)
// CHECK-NEXT: %[[Y:.*]] = moe.norm rms %[[X]] scale %[[W]] {axis = 2 : i64, epsilon = 9.99999997E-7 : f32}
// CHECK-NEXT: return %[[Y]]
func.func @rms_norm(%x: tensor<2x4x8xf32>, %w: tensor<8xf32>) -> tensor<2x4x8xf32> {
  %two = moe.constant dense<2.0> : tensor<f32> : tensor<f32>
  %eps = moe.constant dense<1.0e-6> : tensor<f32> : tensor<f32>
  %0 = moe.binary pow %x, %two : (tensor<2x4x8xf32>, tensor<f32>) -> tensor<2x4x8xf32>
  %1 = moe.reduce mean %0 {axes = array<i64: 2>, keepdims = true} : (tensor<2x4x8xf32>) -> tensor<2x4x1xf32>
  %2 = moe.binary add %1, %eps : (tensor<2x4x1xf32>, tensor<f32>) -> tensor<2x4x1xf32>
  %3 = moe.unary sqrt %2 : (tensor<2x4x1xf32>) -> tensor<2x4x1xf32>
  %4 = moe.unary reciprocal %3 : (tensor<2x4x1xf32>) -> tensor<2x4x1xf32>
  %5 = moe.binary mul %x, %4 : (tensor<2x4x8xf32>, tensor<2x4x1xf32>) -> tensor<2x4x8xf32>
  %6 = moe.binary mul %w, %5 : (tensor<8xf32>, tensor<2x4x8xf32>) -> tensor<2x4x8xf32>
  return %6 : tensor<2x4x8xf32>
}

// CHECK-LABEL: func.func @layer_norm
// CHECK-SAME: (%[[X:.*]]: tensor<4x8xf32>, %[[W:.*]]: tensor<8xf32>, %[[B:.*]]: tensor<8xf32>)
// CHECK-NEXT: moe.norm layer %[[X]] scale %[[W]] bias %[[B]]
// CHECK-NEXT: return
func.func @layer_norm(%x: tensor<4x8xf32>, %w: tensor<8xf32>, %b: tensor<8xf32>) -> tensor<4x8xf32> {
  %eps = moe.constant dense<1.0e-5> : tensor<f32> : tensor<f32>
  %0 = moe.reduce mean %x {axes = array<i64: 1>, keepdims = true} : (tensor<4x8xf32>) -> tensor<4x1xf32>
  %1 = moe.binary sub %x, %0 : (tensor<4x8xf32>, tensor<4x1xf32>) -> tensor<4x8xf32>
  %2 = moe.binary mul %1, %1 : (tensor<4x8xf32>, tensor<4x8xf32>) -> tensor<4x8xf32>
  %3 = moe.reduce mean %2 {axes = array<i64: 1>, keepdims = true} : (tensor<4x8xf32>) -> tensor<4x1xf32>
  %4 = moe.binary add %3, %eps : (tensor<4x1xf32>, tensor<f32>) -> tensor<4x1xf32>
  %5 = moe.unary sqrt %4 : (tensor<4x1xf32>) -> tensor<4x1xf32>
  %6 = moe.binary div %1, %5 : (tensor<4x8xf32>, tensor<4x1xf32>) -> tensor<4x8xf32>
  %7 = moe.binary mul %6, %w : (tensor<4x8xf32>, tensor<8xf32>) -> tensor<4x8xf32>
  %8 = moe.binary add %7, %b : (tensor<4x8xf32>, tensor<8xf32>) -> tensor<4x8xf32>
  return %8 : tensor<4x8xf32>
}

// CHECK-LABEL: func.func @bias_of_matmul
// CHECK-SAME: (%[[X:.*]]: tensor<4x8xf32>, %[[W:.*]]: tensor<8x3xf32>, %[[B:.*]]: tensor<3xf32>)
// CHECK-NEXT: moe.matmul %[[X]], %[[W]], %[[B]]
// CHECK-NEXT: return
func.func @bias_of_matmul(%x: tensor<4x8xf32>, %w: tensor<8x3xf32>, %b: tensor<3xf32>) -> tensor<4x3xf32> {
  %0 = moe.matmul %x, %w : (tensor<4x8xf32>, tensor<8x3xf32>) -> tensor<4x3xf32>
  %1 = moe.binary add %b, %0 : (tensor<3xf32>, tensor<4x3xf32>) -> tensor<4x3xf32>
  return %1 : tensor<4x3xf32>
}

// The mask of transformers: element (b, t) of a padding mask, b and t counted.
// CHECK-LABEL: func.func @counted_gather
// CHECK-SAME: (%[[M:.*]]: tensor<?x?xi1, #moe.dims<batch, seq>>)
// CHECK-NEXT: %[[R:.*]] = moe.reshape %[[M]]
// CHECK-SAME: -> tensor<?x1x1x?xi1, #moe.dims<batch, 1, 1, seq>>
// CHECK-NEXT: return %[[R]]
func.func @counted_gather(%mask: tensor<?x?xi1, #moe.dims<batch, seq>>) -> tensor<?x1x1x?xi1, #moe.dims<batch, 1, 1, seq>> {
  %b = moe.iota <0> : tensor<?xi64, #moe.dims<batch>>
  %t = moe.iota <0> : tensor<?xi64, #moe.dims<seq>>
  %b4 = moe.reshape %b : (tensor<?xi64, #moe.dims<batch>>) -> tensor<?x1x1x1xi64, #moe.dims<batch, 1, 1, 1>>
  %t4 = moe.reshape %t : (tensor<?xi64, #moe.dims<seq>>) -> tensor<1x1x1x?xi64, #moe.dims<1, 1, 1, seq>>
  %bb = moe.broadcast %b4 : (tensor<?x1x1x1xi64, #moe.dims<batch, 1, 1, 1>>) -> tensor<?x1x1x?xi64, #moe.dims<batch, 1, 1, seq>>
  %tt = moe.broadcast %t4 : (tensor<1x1x1x?xi64, #moe.dims<1, 1, 1, seq>>) -> tensor<?x1x1x?xi64, #moe.dims<batch, 1, 1, seq>>
  %b5 = moe.reshape %bb : (tensor<?x1x1x?xi64, #moe.dims<batch, 1, 1, seq>>) -> tensor<?x1x1x?x1xi64, #moe.dims<batch, 1, 1, seq, 1>>
  %t5 = moe.reshape %tt : (tensor<?x1x1x?xi64, #moe.dims<batch, 1, 1, seq>>) -> tensor<?x1x1x?x1xi64, #moe.dims<batch, 1, 1, seq, 1>>
  %i = moe.concat %b5, %t5 {axis = 4 : i64} : (tensor<?x1x1x?x1xi64, #moe.dims<batch, 1, 1, seq, 1>>, tensor<?x1x1x?x1xi64, #moe.dims<batch, 1, 1, seq, 1>>) -> tensor<?x1x1x?x2xi64, #moe.dims<batch, 1, 1, seq, 2>>
  %r = moe.gather_nd %mask, %i : (tensor<?x?xi1, #moe.dims<batch, seq>>, tensor<?x1x1x?x2xi64, #moe.dims<batch, 1, 1, seq, 2>>) -> tensor<?x1x1x?xi1, #moe.dims<batch, 1, 1, seq>>
  return %r : tensor<?x1x1x?xi1, #moe.dims<batch, 1, 1, seq>>
}

// CHECK-LABEL: func.func @select_of_not
// CHECK-SAME: (%[[C:.*]]: tensor<4xi1>, %[[A:.*]]: tensor<4xf32>, %[[B:.*]]: tensor<4xf32>)
// CHECK-NEXT: moe.select %[[C]], %[[B]], %[[A]]
func.func @select_of_not(%c: tensor<4xi1>, %a: tensor<4xf32>, %b: tensor<4xf32>) -> tensor<4xf32> {
  %0 = moe.unary not %c : (tensor<4xi1>) -> tensor<4xi1>
  %1 = moe.select %0, %a, %b : (tensor<4xi1>, tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  return %1 : tensor<4xf32>
}

// CHECK-LABEL: func.func @softmax_of_shifted
// CHECK-NEXT: moe.softmax
// CHECK-NEXT: return
func.func @softmax_of_shifted(%x: tensor<4x8xf32>) -> tensor<4x8xf32> {
  %0 = moe.reduce max %x {axes = array<i64: 1>, keepdims = true} : (tensor<4x8xf32>) -> tensor<4x1xf32>
  %1 = moe.binary sub %x, %0 : (tensor<4x8xf32>, tensor<4x1xf32>) -> tensor<4x8xf32>
  %2 = moe.softmax %1 {axis = 1 : i64} : (tensor<4x8xf32>) -> tensor<4x8xf32>
  return %2 : tensor<4x8xf32>
}

// -log(c) of every element: one logarithm.
// CHECK-LABEL: func.func @one_element
// CHECK: %[[X:.*]] = moe.unary neg %{{.*}} : (tensor<f32>) -> tensor<f32>
// CHECK-NEXT: %[[B:.*]] = moe.broadcast %[[X]]
// CHECK-NEXT: return %[[B]]
func.func @one_element(%c: tensor<f32>) -> tensor<?x4xf32, #moe.dims<tokens, 4>> {
  %0 = moe.broadcast %c : (tensor<f32>) -> tensor<?x4xf32, #moe.dims<tokens, 4>>
  %1 = moe.unary log %0 : (tensor<?x4xf32, #moe.dims<tokens, 4>>) -> tensor<?x4xf32, #moe.dims<tokens, 4>>
  %2 = moe.unary neg %1 : (tensor<?x4xf32, #moe.dims<tokens, 4>>) -> tensor<?x4xf32, #moe.dims<tokens, 4>>
  return %2 : tensor<?x4xf32, #moe.dims<tokens, 4>>
}
