// RUN: moe-opt %s --split-input-file --verify-diagnostics -o /dev/null

// One test for each constraint of each operation; the functions are named by
// operation and constraint (dialect/moe/MoeOps.td).

//===----------------------------------------------------------------------===//
// What all operations share
//===----------------------------------------------------------------------===//

func.func @unsized_dimension(%a: tensor<?xf32>) {
  // expected-error @+1 {{expected '?' exactly with #moe.dims}}
  %0 = moe.unary relu %a : (tensor<?xf32>) -> tensor<?xf32>
  return
}

// -----

func.func @element_type_of_no_buffer(%a: tensor<4xtf32>) {
  // expected-error @+1 {{has element type 'tf32', which no buffer can have}}
  %0 = moe.unary relu %a : (tensor<4xtf32>) -> tensor<4xtf32>
  return
}

// -----

//===----------------------------------------------------------------------===//
// Leaves
//===----------------------------------------------------------------------===//

func.func @param_c1() {
  // expected-error @+1 {{has type 'tensor<5xf32>', its value 'tensor<4xf32>'}}
  %0 = moe.param <fill = 1.0 : f32 : tensor<4xf32>> : tensor<5xf32>
  return
}

// -----

func.func @constant_c1() {
  // expected-error @+1 {{has type 'tensor<5xf32>', its value 'tensor<4xf32>'}}
  %0 = moe.constant dense<1.0> : tensor<4xf32> : tensor<5xf32>
  return
}

// -----

func.func @constant_c2() {
  // expected-error @+1 {{has more than 1024 bytes}}
  %0 = moe.constant dense<1.0> : tensor<257xf32> : tensor<257xf32>
  return
}

// -----

func.func @shape_c1() {
  // expected-error @+1 {{has a result of f32, expected integers}}
  %0 = moe.shape <2, 3> : tensor<2xf32>
  return
}

// -----

func.func @shape_c2_vector() {
  // expected-error @+1 {{has a result of [3], expected [2]}}
  %0 = moe.shape <2, 3> : tensor<3xi64>
  return
}

// -----

func.func @shape_c2_scalar() {
  // expected-error @+1 {{has 2 entries for a scalar}}
  %0 = moe.shape <2, 3> : tensor<i64>
  return
}

// -----

func.func @iota_c1() {
  // expected-error @+1 {{has 2 entries in start, expected 1}}
  %0 = moe.iota <0, 1> : tensor<4xi64>
  return
}

// -----

func.func @iota_c2_rank() {
  // expected-error @+1 {{has a result of rank 2, expected 1}}
  %0 = moe.iota <0> : tensor<4x1xi64>
  return
}

// -----

func.func @iota_c2_type() {
  // expected-error @+1 {{has a result of i1, expected numbers}}
  %0 = moe.iota <0> : tensor<4xi1>
  return
}

// -----

func.func @range_c1_size(%a: tensor<2xi64>, %b: tensor<i64>, %c: tensor<i64>) {
  // expected-error @+1 {{has an operand of [2], expected one element}}
  %0 = moe.range %a, %b, %c
      : (tensor<2xi64>, tensor<i64>, tensor<i64>)
      -> tensor<?xi64, #moe.dims<d0>>
  return
}

// -----

func.func @range_c1_type(%a: tensor<i64>, %b: tensor<i32>, %c: tensor<i64>) {
  // expected-error @+1 {{has an operand of i32, expected i64}}
  %0 = moe.range %a, %b, %c
      : (tensor<i64>, tensor<i32>, tensor<i64>) -> tensor<?xi64, #moe.dims<d0>>
  return
}

// -----

func.func @range_c2(%a: tensor<i64>, %b: tensor<i64>, %c: tensor<i64>) {
  // expected-error @+1 {{has a result of i32, expected i64}}
  %0 = moe.range %a, %b, %c
      : (tensor<i64>, tensor<i64>, tensor<i64>) -> tensor<?xi32, #moe.dims<d0>>
  return
}

// -----

//===----------------------------------------------------------------------===//
// Elementwise
//===----------------------------------------------------------------------===//

func.func @unary_c1(%a: tensor<4xf32>) {
  // expected-error @+2 {{has x of f32, expected i1}}
  // expected-error @+1 {{failed to infer returned types}}
  %0 = moe.unary not %a : (tensor<4xf32>) -> tensor<4xf32>
  return
}

// -----

func.func @unary_c2(%a: tensor<4xi1>) {
  // expected-error @+2 {{has x of i1, expected numbers}}
  // expected-error @+1 {{failed to infer returned types}}
  %0 = moe.unary neg %a : (tensor<4xi1>) -> tensor<4xi1>
  return
}

// -----

func.func @unary_c3(%a: tensor<4xi64>) {
  // expected-error @+2 {{has x of i64, expected floats}}
  // expected-error @+1 {{failed to infer returned types}}
  %0 = moe.unary exp %a : (tensor<4xi64>) -> tensor<4xi64>
  return
}

// -----

func.func @binary_c1(%a: tensor<4xf32>, %b: tensor<4xi64>) {
  // expected-error @+2 {{has rhs of i64, expected f32}}
  // expected-error @+1 {{failed to infer returned types}}
  %0 = moe.binary add %a, %b : (tensor<4xf32>, tensor<4xi64>) -> tensor<4xf32>
  return
}

// -----

func.func @binary_c2_logic(%a: tensor<4xf32>, %b: tensor<4xf32>) {
  // expected-error @+2 {{has an operand of floats, expected integers or i1}}
  // expected-error @+1 {{failed to infer returned types}}
  %0 = moe.binary and %a, %b : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  return
}

// -----

func.func @binary_c2_arithmetic(%a: tensor<4xi1>, %b: tensor<4xi1>) {
  // expected-error @+2 {{has an operand of i1, expected numbers}}
  // expected-error @+1 {{failed to infer returned types}}
  %0 = moe.binary add %a, %b : (tensor<4xi1>, tensor<4xi1>) -> tensor<4xi1>
  return
}

// -----

func.func @binary_c3(%a: tensor<4xf32>, %b: tensor<3xf32>) {
  // expected-error @+2 {{has operands of [4] and [3], which do not broadcast}}
  // expected-error @+1 {{failed to infer returned types}}
  %0 = moe.binary add %a, %b : (tensor<4xf32>, tensor<3xf32>) -> tensor<4xf32>
  return
}

// -----

func.func @binary_c3_symbols(%a: tensor<?xf32, #moe.dims<batch>>,
                             %b: tensor<?xf32, #moe.dims<seq>>) {
  // expected-error @+2 {{has operands of [batch] and [seq], which do not broadcast}}
  // expected-error @+1 {{failed to infer returned types}}
  %0 = moe.binary add %a, %b
      : (tensor<?xf32, #moe.dims<batch>>, tensor<?xf32, #moe.dims<seq>>)
      -> tensor<?xf32, #moe.dims<batch>>
  return
}

// -----

func.func @compare_c1(%a: tensor<4xf32>, %b: tensor<4xi64>) {
  // expected-error @+2 {{has rhs of i64, expected f32}}
  // expected-error @+1 {{failed to infer returned types}}
  %0 = moe.compare lt %a, %b : (tensor<4xf32>, tensor<4xi64>) -> tensor<4xi1>
  return
}

// -----

func.func @compare_c2(%a: tensor<4xi1>, %b: tensor<4xi1>) {
  // expected-error @+2 {{has lhs of i1, expected numbers}}
  // expected-error @+1 {{failed to infer returned types}}
  %0 = moe.compare lt %a, %b : (tensor<4xi1>, tensor<4xi1>) -> tensor<4xi1>
  return
}

// -----

func.func @compare_c3(%a: tensor<4xf32>, %b: tensor<3xf32>) {
  // expected-error @+2 {{which do not broadcast}}
  // expected-error @+1 {{failed to infer returned types}}
  %0 = moe.compare lt %a, %b : (tensor<4xf32>, tensor<3xf32>) -> tensor<4xi1>
  return
}

// -----

func.func @select_c1(%a: tensor<4xf32>, %b: tensor<4xf32>, %c: tensor<4xf32>) {
  // expected-error @+2 {{has a condition of f32, expected i1}}
  // expected-error @+1 {{failed to infer returned types}}
  %0 = moe.select %a, %b, %c
      : (tensor<4xf32>, tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  return
}

// -----

func.func @select_c2(%a: tensor<4xi1>, %b: tensor<4xf32>, %c: tensor<4xi64>) {
  // expected-error @+2 {{has onFalse of i64, expected f32}}
  // expected-error @+1 {{failed to infer returned types}}
  %0 = moe.select %a, %b, %c
      : (tensor<4xi1>, tensor<4xf32>, tensor<4xi64>) -> tensor<4xf32>
  return
}

// -----

func.func @select_c3(%a: tensor<4xi1>, %b: tensor<3xf32>, %c: tensor<1xf32>) {
  // expected-error @+2 {{which do not broadcast}}
  // expected-error @+1 {{failed to infer returned types}}
  %0 = moe.select %a, %b, %c
      : (tensor<4xi1>, tensor<3xf32>, tensor<1xf32>) -> tensor<4xf32>
  return
}

// -----

func.func @cast_c1(%a: tensor<4xf32>) {
  // expected-error @+1 {{has a result of [5], expected [4]}}
  %0 = moe.cast %a : (tensor<4xf32>) -> tensor<5xi64>
  return
}

// -----

func.func @elementwise_c1(%a: tensor<4xf32>) {
  // expected-error @+1 {{has a block argument of tensor<i64> for an input of f32}}
  %0 = moe.elementwise %a : (tensor<4xf32>) -> tensor<4xf32> {
  ^bb0(%x: tensor<i64>):
    %1 = moe.cast %x : (tensor<i64>) -> tensor<f32>
    moe.yield %1 : tensor<f32>
  }
  return
}

// -----

func.func @elementwise_c2(%a: tensor<4xf32>) {
  // expected-error @+1 {{holds an operation that is not of one element}}
  %0 = moe.elementwise %a : (tensor<4xf32>) -> tensor<4xf32> {
  ^bb0(%x: tensor<f32>):
    // expected-note @+1 {{this one}}
    %1 = moe.reshape %x : (tensor<f32>) -> tensor<f32>
    moe.yield %1 : tensor<f32>
  }
  return
}

// -----

func.func @elementwise_c3(%a: tensor<4xf32>) {
  // expected-error @+1 {{has a yielded value of f32, expected i64}}
  %0 = moe.elementwise %a : (tensor<4xf32>) -> tensor<4xi64> {
  ^bb0(%x: tensor<f32>):
    moe.yield %x : tensor<f32>
  }
  return
}

// -----

func.func @elementwise_c4(%a: tensor<4xf32>) {
  // expected-error @+1 {{has a result of [5], expected [4]}}
  %0 = moe.elementwise %a : (tensor<4xf32>) -> tensor<5xf32> {
  ^bb0(%x: tensor<f32>):
    moe.yield %x : tensor<f32>
  }
  return
}

// -----

//===----------------------------------------------------------------------===//
// Reductions, products, normalizations
//===----------------------------------------------------------------------===//

func.func @reduce_c1(%a: tensor<2x3xf32>) {
  // expected-error @+2 {{has axes that are not sorted and unique}}
  // expected-error @+1 {{failed to infer returned types}}
  %0 = moe.reduce sum %a {axes = array<i64: 1, 0>, keepdims = true}
      : (tensor<2x3xf32>) -> tensor<1x1xf32>
  return
}

// -----

func.func @reduce_c1_range(%a: tensor<2x3xf32>) {
  // expected-error @+2 {{has axis 2 of a tensor of rank 2}}
  // expected-error @+1 {{failed to infer returned types}}
  %0 = moe.reduce sum %a {axes = array<i64: 2>, keepdims = true}
      : (tensor<2x3xf32>) -> tensor<1x1xf32>
  return
}

// -----

func.func @reduce_c2(%a: tensor<2x3xi1>) {
  // expected-error @+2 {{has x of i1, expected numbers}}
  // expected-error @+1 {{failed to infer returned types}}
  %0 = moe.reduce sum %a {axes = array<i64: 1>, keepdims = true}
      : (tensor<2x3xi1>) -> tensor<2x1xi1>
  return
}

// -----

func.func @arg_reduce_c1(%a: tensor<2x3xf32>) {
  // expected-error @+2 {{has axis 2 of a tensor of rank 2}}
  // expected-error @+1 {{failed to infer returned types}}
  %0 = moe.arg_reduce max %a {axis = 2 : i64, keepdims = true}
      : (tensor<2x3xf32>) -> tensor<2x1xi64>
  return
}

// -----

func.func @arg_reduce_c2(%a: tensor<2x3xi1>) {
  // expected-error @+2 {{has x of i1, expected numbers}}
  // expected-error @+1 {{failed to infer returned types}}
  %0 = moe.arg_reduce max %a {axis = 1 : i64, keepdims = true}
      : (tensor<2x3xi1>) -> tensor<2x1xi64>
  return
}

// -----

func.func @matmul_c1(%a: tensor<2x3xf32>, %b: tensor<3x4xf16>) {
  // expected-error @+2 {{has an operand of f16, expected f32}}
  // expected-error @+1 {{failed to infer returned types}}
  %0 = moe.matmul %a, %b : (tensor<2x3xf32>, tensor<3x4xf16>) -> tensor<2x4xf32>
  return
}

// -----

func.func @matmul_c2(%a: tensor<3xf32>, %b: tensor<3x4xf32>) {
  // expected-error @+2 {{multiplies [3] and [3, 4], expected ranks of at least 2}}
  // expected-error @+1 {{failed to infer returned types}}
  %0 = moe.matmul %a, %b : (tensor<3xf32>, tensor<3x4xf32>) -> tensor<4xf32>
  return
}

// -----

func.func @matmul_c3(%a: tensor<2x3xf32>, %b: tensor<4x3xf32>) {
  // expected-error @+2 {{has K of 3 in lhs and of 4 in rhs}}
  // expected-error @+1 {{failed to infer returned types}}
  %0 = moe.matmul %a, %b : (tensor<2x3xf32>, tensor<4x3xf32>) -> tensor<2x3xf32>
  return
}

// -----

func.func @matmul_c3_transposed(%a: tensor<2x3xf32>, %b: tensor<3x4xf32>) {
  // expected-error @+2 {{has K of 3 in lhs and of 4 in rhs}}
  // expected-error @+1 {{failed to infer returned types}}
  %0 = moe.matmul %a, %b {transpose_rhs = true}
      : (tensor<2x3xf32>, tensor<3x4xf32>) -> tensor<2x3xf32>
  return
}

// -----

func.func @matmul_c4(%a: tensor<2x2x3xf32>, %b: tensor<3x3x4xf32>) {
  // expected-error @+2 {{has leading dimensions [2] and [3], which do not broadcast}}
  // expected-error @+1 {{failed to infer returned types}}
  %0 = moe.matmul %a, %b
      : (tensor<2x2x3xf32>, tensor<3x3x4xf32>) -> tensor<2x2x4xf32>
  return
}

// -----

func.func @matmul_c5(%a: tensor<2x3xf32>,
                     %b: tensor<3x4xf32>,
                     %c: tensor<3xf32>) {
  // expected-error @+2 {{has bias of [3], expected [4]}}
  // expected-error @+1 {{failed to infer returned types}}
  %0 = moe.matmul %a, %b, %c
      : (tensor<2x3xf32>, tensor<3x4xf32>, tensor<3xf32>) -> tensor<2x4xf32>
  return
}

// -----

func.func @cumsum_c1(%a: tensor<4xf32>) {
  // expected-error @+2 {{has axis 1 of a tensor of rank 1}}
  // expected-error @+1 {{failed to infer returned types}}
  %0 = moe.cumsum %a {axis = 1 : i64} : (tensor<4xf32>) -> tensor<4xf32>
  return
}

// -----

func.func @cumsum_c2(%a: tensor<4xi1>) {
  // expected-error @+2 {{has x of i1, expected numbers}}
  // expected-error @+1 {{failed to infer returned types}}
  %0 = moe.cumsum %a {axis = 0 : i64} : (tensor<4xi1>) -> tensor<4xi1>
  return
}

// -----

func.func @top_k_c1(%a: tensor<4xf32>) {
  // expected-error @+1 {{has axis 1 of a tensor of rank 1}}
  %0:2 = moe.top_k %a {axis = 1 : i64}
      : (tensor<4xf32>) -> (tensor<2xf32>, tensor<2xi64>)
  return
}

// -----

func.func @top_k_c2(%a: tensor<4xf32>) {
  // expected-error @+1 {{has indices of [3], expected [2]}}
  %0:2 = moe.top_k %a {axis = 0 : i64}
      : (tensor<4xf32>) -> (tensor<2xf32>, tensor<3xi64>)
  return
}

// -----

func.func @top_k_c3(%a: tensor<4xf32>) {
  // expected-error @+1 {{takes 5 of 4 elements}}
  %0:2 = moe.top_k %a {axis = 0 : i64}
      : (tensor<4xf32>) -> (tensor<5xf32>, tensor<5xi64>)
  return
}

// -----

func.func @top_k_c4(%a: tensor<4xf32>, %b: tensor<2xi64>) {
  // expected-error @+1 {{has k of [2], expected one element}}
  %0:2 = moe.top_k %a, %b {axis = 0 : i64}
      : (tensor<4xf32>, tensor<2xi64>)
      -> (tensor<?xf32, #moe.dims<d0>>, tensor<?xi64, #moe.dims<d0>>)
  return
}

// -----

func.func @softmax_c1(%a: tensor<4xf32>) {
  // expected-error @+2 {{has axis 1 of a tensor of rank 1}}
  // expected-error @+1 {{failed to infer returned types}}
  %0 = moe.softmax %a {axis = 1 : i64} : (tensor<4xf32>) -> tensor<4xf32>
  return
}

// -----

func.func @softmax_c2(%a: tensor<4xi64>) {
  // expected-error @+2 {{has x of i64, expected floats}}
  // expected-error @+1 {{failed to infer returned types}}
  %0 = moe.softmax %a {axis = 0 : i64} : (tensor<4xi64>) -> tensor<4xi64>
  return
}

// -----

func.func @norm_c1(%a: tensor<2x4xf32>) {
  // expected-error @+2 {{has axis 2 of a tensor of rank 2}}
  // expected-error @+1 {{failed to infer returned types}}
  %0 = moe.norm layer %a {axis = 2 : i64, epsilon = 1.0e-5 : f32}
      : (tensor<2x4xf32>) -> tensor<2x4xf32>
  return
}

// -----

func.func @norm_c2(%a: tensor<2x4xf32>, %b: tensor<4xi64>) {
  // expected-error @+2 {{has an operand of i64, expected floats}}
  // expected-error @+1 {{failed to infer returned types}}
  %0 = moe.norm layer %a scale %b {axis = 1 : i64, epsilon = 1.0e-5 : f32}
      : (tensor<2x4xf32>, tensor<4xi64>) -> tensor<2x4xf32>
  return
}

// -----

func.func @norm_c3(%a: tensor<2x4xf32>, %b: tensor<2x4xf32>) {
  // expected-error @+2 {{has scale or bias of [2, 4], which does not broadcast to [4]}}
  // expected-error @+1 {{failed to infer returned types}}
  %0 = moe.norm layer %a scale %b {axis = 1 : i64, epsilon = 1.0e-5 : f32}
      : (tensor<2x4xf32>, tensor<2x4xf32>) -> tensor<2x4xf32>
  return
}

// -----

func.func @norm_c4(%a: tensor<2x4xf32>, %b: tensor<4xf32>, %c: tensor<4xf32>) {
  // expected-error @+2 {{is an rms norm with a bias}}
  // expected-error @+1 {{failed to infer returned types}}
  %0 = moe.norm rms %a scale %b bias %c {axis = 1 : i64, epsilon = 1.0e-5 : f32}
      : (tensor<2x4xf32>, tensor<4xf32>, tensor<4xf32>) -> tensor<2x4xf32>
  return
}

// -----

//===----------------------------------------------------------------------===//
// Moving elements by index
//===----------------------------------------------------------------------===//

func.func @gather_c1(%a: tensor<2x3xf32>, %b: tensor<2x5xi64>) {
  // expected-error @+2 {{has 1 batch dimensions with axis 0 and indices of rank 2}}
  // expected-error @+1 {{failed to infer returned types}}
  %0 = moe.gather %a, %b {axis = 0 : i64, batch_dims = 1 : i64}
      : (tensor<2x3xf32>, tensor<2x5xi64>) -> tensor<2x5xf32>
  return
}

// -----

func.func @gather_c2(%a: tensor<2x3xf32>, %b: tensor<5xf32>) {
  // expected-error @+2 {{has indices of f32, expected integers}}
  // expected-error @+1 {{failed to infer returned types}}
  %0 = moe.gather %a, %b {axis = 0 : i64}
      : (tensor<2x3xf32>, tensor<5xf32>) -> tensor<5x3xf32>
  return
}

// -----

func.func @gather_c3(%a: tensor<2x3xf32>, %b: tensor<3x5xi64>) {
  // expected-error @+2 {{has batch dimensions [2] and [3]}}
  // expected-error @+1 {{failed to infer returned types}}
  %0 = moe.gather %a, %b {axis = 1 : i64, batch_dims = 1 : i64}
      : (tensor<2x3xf32>, tensor<3x5xi64>) -> tensor<2x5xf32>
  return
}

// -----

func.func @gather_c4(%a: tensor<?x4xf32, #moe.dims<vocab.local, 4>>,
                     %b: tensor<3xi64>) {
  // expected-error @+1 {{has part 'vocab.local', which is not in the function's moe.local_symbols}}
  %0 = moe.gather %a, %b {axis = 0 : i64, part = "vocab.local"}
      : (tensor<?x4xf32, #moe.dims<vocab.local, 4>>, tensor<3xi64>)
      -> tensor<3x4xf32>
  return
}

// -----

func.func @gather_c4_whole(%a: tensor<9x4xf32>, %b: tensor<3xi64>)
    attributes {moe.local_symbols = {"vocab.local" = "9"}} {
  // expected-error @+1 {{has data of 9 entries, which is no part as 'vocab.local' is}}
  %0 = moe.gather %a, %b {axis = 0 : i64, part = "vocab.local"}
      : (tensor<9x4xf32>, tensor<3xi64>) -> tensor<3x4xf32>
  return
}

// -----

func.func @gather_nd_c1(%a: tensor<2x3xf32>, %b: tensor<2x3xi64>) {
  // expected-error @+2 {{has 2 batch dimensions of [2, 3] and [2, 3]}}
  // expected-error @+1 {{failed to infer returned types}}
  %0 = moe.gather_nd %a, %b {batch_dims = 2 : i64}
      : (tensor<2x3xf32>, tensor<2x3xi64>) -> tensor<2xf32>
  return
}

// -----

func.func @gather_nd_c2(%a: tensor<2x3xf32>, %b: tensor<5x1xf32>) {
  // expected-error @+2 {{has indices of f32, expected integers}}
  // expected-error @+1 {{failed to infer returned types}}
  %0 = moe.gather_nd %a, %b
      : (tensor<2x3xf32>, tensor<5x1xf32>) -> tensor<5x3xf32>
  return
}

// -----

func.func @gather_nd_c3(%a: tensor<2x3xf32>, %b: tensor<3x1xi64>) {
  // expected-error @+2 {{has batch dimensions [2] and [3]}}
  // expected-error @+1 {{failed to infer returned types}}
  %0 = moe.gather_nd %a, %b {batch_dims = 1 : i64}
      : (tensor<2x3xf32>, tensor<3x1xi64>) -> tensor<3xf32>
  return
}

// -----

func.func @gather_nd_c4(%a: tensor<2x3xf32>, %b: tensor<5x3xi64>) {
  // expected-error @+2 {{has tuples of 3 indices, expected between 1 and 2}}
  // expected-error @+1 {{failed to infer returned types}}
  %0 = moe.gather_nd %a, %b
      : (tensor<2x3xf32>, tensor<5x3xi64>) -> tensor<5xf32>
  return
}

// -----

func.func @gather_elements_c1(%a: tensor<2x3xf32>, %b: tensor<2x3xi64>) {
  // expected-error @+2 {{has axis 2 of a tensor of rank 2}}
  // expected-error @+1 {{failed to infer returned types}}
  %0 = moe.gather_elements %a, %b {axis = 2 : i64}
      : (tensor<2x3xf32>, tensor<2x3xi64>) -> tensor<2x3xf32>
  return
}

// -----

func.func @gather_elements_c2(%a: tensor<2x3xf32>, %b: tensor<2x3xf32>) {
  // expected-error @+2 {{has indices of f32, expected integers}}
  // expected-error @+1 {{failed to infer returned types}}
  %0 = moe.gather_elements %a, %b {axis = 1 : i64}
      : (tensor<2x3xf32>, tensor<2x3xf32>) -> tensor<2x3xf32>
  return
}

// -----

func.func @gather_elements_c3(%a: tensor<2x3xf32>, %b: tensor<4x3xi64>) {
  // expected-error @+2 {{has 4 indices for 2 entries in dimension 0}}
  // expected-error @+1 {{failed to infer returned types}}
  %0 = moe.gather_elements %a, %b {axis = 1 : i64}
      : (tensor<2x3xf32>, tensor<4x3xi64>) -> tensor<4x3xf32>
  return
}

// -----

func.func @scatter_elements_c1(%a: tensor<2x3xf32>,
                               %b: tensor<2x3xi64>,
                               %c: tensor<2x3xf32>) {
  // expected-error @+2 {{has axis 2 of a tensor of rank 2}}
  // expected-error @+1 {{failed to infer returned types}}
  %0 = moe.scatter_elements %a, %b, %c {axis = 2 : i64}
      : (tensor<2x3xf32>, tensor<2x3xi64>, tensor<2x3xf32>) -> tensor<2x3xf32>
  return
}

// -----

func.func @scatter_elements_c2(%a: tensor<2x3xf32>,
                               %b: tensor<2x3xf32>,
                               %c: tensor<2x3xf32>) {
  // expected-error @+2 {{has indices of f32, expected integers}}
  // expected-error @+1 {{failed to infer returned types}}
  %0 = moe.scatter_elements %a, %b, %c {axis = 1 : i64}
      : (tensor<2x3xf32>, tensor<2x3xf32>, tensor<2x3xf32>) -> tensor<2x3xf32>
  return
}

// -----

func.func @scatter_elements_c3(%a: tensor<2x3xf32>,
                               %b: tensor<2xi64>,
                               %c: tensor<2xf32>) {
  // expected-error @+2 {{has indices of rank 1, expected 2}}
  // expected-error @+1 {{failed to infer returned types}}
  %0 = moe.scatter_elements %a, %b, %c {axis = 1 : i64}
      : (tensor<2x3xf32>, tensor<2xi64>, tensor<2xf32>) -> tensor<2x3xf32>
  return
}

// -----

func.func @scatter_elements_c4(%a: tensor<2x3xf32>,
                               %b: tensor<2x2xi64>,
                               %c: tensor<2x3xf32>) {
  // expected-error @+2 {{has updates of [2, 3], expected [2, 2]}}
  // expected-error @+1 {{failed to infer returned types}}
  %0 = moe.scatter_elements %a, %b, %c {axis = 1 : i64}
      : (tensor<2x3xf32>, tensor<2x2xi64>, tensor<2x3xf32>) -> tensor<2x3xf32>
  return
}

// -----

func.func @scatter_elements_c5(%a: tensor<2x3xf32>,
                               %b: tensor<2x3xi64>,
                               %c: tensor<2x3xi64>) {
  // expected-error @+2 {{has updates of i64, expected f32}}
  // expected-error @+1 {{failed to infer returned types}}
  %0 = moe.scatter_elements %a, %b, %c {axis = 1 : i64}
      : (tensor<2x3xf32>, tensor<2x3xi64>, tensor<2x3xi64>) -> tensor<2x3xf32>
  return
}

// -----

func.func @scatter_nd_c1(%a: tensor<2x3xf32>,
                         %b: tensor<5x1xf32>,
                         %c: tensor<5x3xf32>) {
  // expected-error @+2 {{has indices of f32, expected integers}}
  // expected-error @+1 {{failed to infer returned types}}
  %0 = moe.scatter_nd %a, %b, %c
      : (tensor<2x3xf32>, tensor<5x1xf32>, tensor<5x3xf32>) -> tensor<2x3xf32>
  return
}

// -----

func.func @scatter_nd_c2(%a: tensor<2x3xf32>,
                         %b: tensor<5x3xi64>,
                         %c: tensor<5xf32>) {
  // expected-error @+2 {{has tuples of 3 indices, expected between 1 and 2}}
  // expected-error @+1 {{failed to infer returned types}}
  %0 = moe.scatter_nd %a, %b, %c
      : (tensor<2x3xf32>, tensor<5x3xi64>, tensor<5xf32>) -> tensor<2x3xf32>
  return
}

// -----

func.func @scatter_nd_c3(%a: tensor<2x3xf32>,
                         %b: tensor<5x1xi64>,
                         %c: tensor<5x2xf32>) {
  // expected-error @+2 {{has updates of [5, 2], expected [5, 3]}}
  // expected-error @+1 {{failed to infer returned types}}
  %0 = moe.scatter_nd %a, %b, %c
      : (tensor<2x3xf32>, tensor<5x1xi64>, tensor<5x2xf32>) -> tensor<2x3xf32>
  return
}

// -----

func.func @scatter_nd_c4(%a: tensor<2x3xf32>,
                         %b: tensor<5x1xi64>,
                         %c: tensor<5x3xi64>) {
  // expected-error @+2 {{has updates of i64, expected f32}}
  // expected-error @+1 {{failed to infer returned types}}
  %0 = moe.scatter_nd %a, %b, %c
      : (tensor<2x3xf32>, tensor<5x1xi64>, tensor<5x3xi64>) -> tensor<2x3xf32>
  return
}

// -----

func.func @one_hot_c1(%a: tensor<4xi64>, %b: tensor<2xf32>) {
  // expected-error @+1 {{has axis 2 of a tensor of rank 2}}
  %0 = moe.one_hot %a, %b {axis = 2 : i64}
      : (tensor<4xi64>, tensor<2xf32>) -> tensor<4x8xf32>
  return
}

// -----

func.func @one_hot_c2(%a: tensor<4xi64>, %b: tensor<2xf32>) {
  // expected-error @+1 {{has a result of [5, 8], expected [4, 8]}}
  %0 = moe.one_hot %a, %b {axis = 1 : i64}
      : (tensor<4xi64>, tensor<2xf32>) -> tensor<5x8xf32>
  return
}

// -----

func.func @one_hot_c3(%a: tensor<4xi64>, %b: tensor<3xf32>) {
  // expected-error @+1 {{has values of [3], expected [2]}}
  %0 = moe.one_hot %a, %b {axis = 1 : i64}
      : (tensor<4xi64>, tensor<3xf32>) -> tensor<4x8xf32>
  return
}

// -----

func.func @one_hot_c4(%a: tensor<4xi64>, %b: tensor<2xf32>, %c: tensor<2xi64>) {
  // expected-error @+1 {{has more than one depth}}
  %0 = moe.one_hot %a, %b, %c {axis = 1 : i64}
      : (tensor<4xi64>, tensor<2xf32>, tensor<2xi64>) -> tensor<4x8xf32>
  return
}

// -----

func.func @one_hot_c5(%a: tensor<4xf32>, %b: tensor<2xf32>) {
  // expected-error @+1 {{has indices of f32, expected integers}}
  %0 = moe.one_hot %a, %b {axis = 1 : i64}
      : (tensor<4xf32>, tensor<2xf32>) -> tensor<4x8xf32>
  return
}

// -----

func.func @non_zero_c1(%a: tensor<2x3xf32>) {
  // expected-error @+1 {{has 3 rows for an operand of rank 2}}
  %0 = moe.non_zero %a : (tensor<2x3xf32>) -> tensor<3x?xi64, #moe.dims<3, d0>>
  return
}

// -----

//===----------------------------------------------------------------------===//
// Moving elements by position
//===----------------------------------------------------------------------===//

func.func @slice_c1(%a: tensor<2x3xf32>) {
  // expected-error @+1 {{has 1 starts and 2 steps for rank 2}}
  %0 = moe.slice %a <0> {steps = array<i64: 1, 1>}
      : (tensor<2x3xf32>) -> tensor<2x3xf32>
  return
}

// -----

func.func @slice_c2(%a: tensor<4xf32>) {
  // expected-error @+1 {{has a result of i64, expected f32}}
  %0 = moe.slice %a <0> {steps = array<i64: 1>}
      : (tensor<4xf32>) -> tensor<4xi64>
  return
}

// -----

func.func @slice_c3(%a: tensor<4xf32>) {
  // expected-error @+1 {{has step 0 in dimension 0}}
  %0 = moe.slice %a <0> {steps = array<i64: 0>}
      : (tensor<4xf32>) -> tensor<4xf32>
  return
}

// -----

func.func @slice_c4(%a: tensor<4xf32>) {
  // expected-error @+1 {{takes 3 elements from 1 in steps of 2 out of 4 in dimension 0}}
  %0 = moe.slice %a <1> {steps = array<i64: 2>}
      : (tensor<4xf32>) -> tensor<3xf32>
  return
}

// -----

func.func @concat_c1() {
  // expected-error @+2 {{has no input}}
  // expected-error @+1 {{failed to infer returned types}}
  %0 = moe.concat {axis = 0 : i64} : () -> tensor<4xf32>
  return
}

// -----

func.func @concat_c2(%a: tensor<4xf32>) {
  // expected-error @+2 {{has axis 1 of a tensor of rank 1}}
  // expected-error @+1 {{failed to infer returned types}}
  %0 = moe.concat %a {axis = 1 : i64} : (tensor<4xf32>) -> tensor<4xf32>
  return
}

// -----

func.func @concat_c3(%a: tensor<2x3xf32>, %b: tensor<2x4xf32>) {
  // expected-error @+2 {{has an input of [2, 4], expected [2, 3]}}
  // expected-error @+1 {{failed to infer returned types}}
  %0 = moe.concat %a, %b {axis = 0 : i64}
      : (tensor<2x3xf32>, tensor<2x4xf32>) -> tensor<4x3xf32>
  return
}

// -----

func.func @pad_c1(%a: tensor<4xf32>) {
  // expected-error @+1 {{has 2 entries in low for rank 1}}
  %0 = moe.pad constant %a <0, 0> : (tensor<4xf32>) -> tensor<6xf32>
  return
}

// -----

func.func @pad_c2(%a: tensor<4xf32>, %b: tensor<i64>) {
  // expected-error @+1 {{has value of i64, expected f32}}
  %0 = moe.pad constant %a, %b <1>
      : (tensor<4xf32>, tensor<i64>) -> tensor<6xf32>
  return
}

// -----

func.func @pad_c3(%a: tensor<4xf32>, %b: tensor<f32>) {
  // expected-error @+1 {{has a value that is not one element, or for a mode that uses none}}
  %0 = moe.pad edge %a, %b <1> : (tensor<4xf32>, tensor<f32>) -> tensor<6xf32>
  return
}

// -----

func.func @pad_c4(%a: tensor<4xf32>) {
  // expected-error @+1 {{pads dimension 0 by 3 and -1}}
  %0 = moe.pad constant %a <3> : (tensor<4xf32>) -> tensor<6xf32>
  return
}

// -----

func.func @transpose_c1(%a: tensor<2x3xf32>) {
  // expected-error @+2 {{has a permutation that is not one of 2 dimensions}}
  // expected-error @+1 {{failed to infer returned types}}
  %0 = moe.transpose %a {permutation = array<i64: 0, 0>}
      : (tensor<2x3xf32>) -> tensor<2x2xf32>
  return
}

// -----

func.func @reshape_c1(%a: tensor<?x4xf32, #moe.dims<batch, 4>>) {
  // expected-error @+1 {{makes [3 * batch] of [batch, 4], which has another number of elements}}
  %0 = moe.reshape %a
      : (tensor<?x4xf32, #moe.dims<batch, 4>>)
      -> tensor<?xf32, #moe.dims<3 * batch>>
  return
}

// -----

func.func @reshape_c2(%a: tensor<4xf32>) {
  // expected-error @+1 {{has a result of i64, expected f32}}
  %0 = moe.reshape %a : (tensor<4xf32>) -> tensor<2x2xi64>
  return
}

// -----

func.func @broadcast_c1(%a: tensor<1xf32>) {
  // expected-error @+1 {{has a result of i64, expected f32}}
  %0 = moe.broadcast %a : (tensor<1xf32>) -> tensor<4xi64>
  return
}

// -----

func.func @broadcast_c2(%a: tensor<2xf32>) {
  // expected-error @+1 {{stretches [2] to [4]}}
  %0 = moe.broadcast %a : (tensor<2xf32>) -> tensor<4xf32>
  return
}

// -----

func.func @trilu_c1(%a: tensor<4xf32>) {
  // expected-error @+2 {{has x of rank 1, expected at least 2}}
  // expected-error @+1 {{failed to infer returned types}}
  %0 = moe.trilu %a <0> {upper = true} : (tensor<4xf32>) -> tensor<4xf32>
  return
}

// -----

func.func @trilu_c2(%a: tensor<4x4xf32>) {
  // expected-error @+2 {{has 2 diagonals, expected 1}}
  // expected-error @+1 {{failed to infer returned types}}
  %0 = moe.trilu %a <0, 1> {upper = true} : (tensor<4x4xf32>) -> tensor<4x4xf32>
  return
}

// -----

//===----------------------------------------------------------------------===//
// Attention
//===----------------------------------------------------------------------===//

func.func @rotary_c1(%a: tensor<4x3x8xf32>,
                     %b: tensor<1x3x4xf32>,
                     %c: tensor<1x3x4xf32>) {
  // expected-error @+2 {{has x of rank 3, expected 4}}
  // expected-error @+1 {{failed to infer returned types}}
  %0 = moe.rotary %a, %b, %c {rotary_dim = 8 : i64}
      : (tensor<4x3x8xf32>, tensor<1x3x4xf32>, tensor<1x3x4xf32>)
      -> tensor<4x3x8xf32>
  return
}

// -----

func.func @rotary_c2(%a: tensor<2x4x3x8xf32>,
                     %b: tensor<1x3x8xf32>,
                     %c: tensor<1x3x8xf32>) {
  // expected-error @+2 {{has cos or sin of [1, 3, 8], expected [2, 3, 4] or 1 in front}}
  // expected-error @+1 {{failed to infer returned types}}
  %0 = moe.rotary %a, %b, %c {rotary_dim = 8 : i64}
      : (tensor<2x4x3x8xf32>, tensor<1x3x8xf32>, tensor<1x3x8xf32>)
      -> tensor<2x4x3x8xf32>
  return
}

// -----

func.func @rotary_c3(%a: tensor<2x4x3x8xf32>,
                     %b: tensor<1x3x5xf32>,
                     %c: tensor<1x3x5xf32>) {
  // expected-error @+2 {{rotates 10 of 8 elements}}
  // expected-error @+1 {{failed to infer returned types}}
  %0 = moe.rotary %a, %b, %c {rotary_dim = 10 : i64}
      : (tensor<2x4x3x8xf32>, tensor<1x3x5xf32>, tensor<1x3x5xf32>)
      -> tensor<2x4x3x8xf32>
  return
}

// -----

func.func @rotary_c4(%a: tensor<2x4x3x8xf32>,
                     %b: tensor<1x3x4xf16>,
                     %c: tensor<1x3x4xf16>) {
  // expected-error @+2 {{has an operand of f16, expected f32}}
  // expected-error @+1 {{failed to infer returned types}}
  %0 = moe.rotary %a, %b, %c {rotary_dim = 8 : i64}
      : (tensor<2x4x3x8xf32>, tensor<1x3x4xf16>, tensor<1x3x4xf16>)
      -> tensor<2x4x3x8xf32>
  return
}

// -----

func.func @attention_c1(%a: tensor<2x4x3x8xf32>,
                        %b: tensor<2x2x5x8xf16>,
                        %c: tensor<2x2x5x8xf32>) {
  // expected-error @+2 {{has an operand of f16, expected f32}}
  // expected-error @+1 {{failed to infer returned types}}
  %0 = moe.attention %a, %b, %c {scale = 1.0 : f32}
      : (tensor<2x4x3x8xf32>, tensor<2x2x5x8xf16>, tensor<2x2x5x8xf32>)
      -> tensor<2x4x3x8xf32>
  return
}

// -----

func.func @attention_c2(%a: tensor<2x4x3x8xf32>,
                        %b: tensor<2x2x5x4xf32>,
                        %c: tensor<2x2x5x8xf32>) {
  // expected-error @+2 {{has k of [2, 2, 5, 4], expected [2, 2, 5, 8]}}
  // expected-error @+1 {{failed to infer returned types}}
  %0 = moe.attention %a, %b, %c {scale = 1.0 : f32}
      : (tensor<2x4x3x8xf32>, tensor<2x2x5x4xf32>, tensor<2x2x5x8xf32>)
      -> tensor<2x4x3x8xf32>
  return
}

// -----

func.func @attention_c3(%a: tensor<2x4x3x8xf32>,
                        %b: tensor<2x3x5x8xf32>,
                        %c: tensor<2x3x5x8xf32>) {
  // expected-error @+2 {{has 4 heads for 3 heads of keys}}
  // expected-error @+1 {{failed to infer returned types}}
  %0 = moe.attention %a, %b, %c {scale = 1.0 : f32}
      : (tensor<2x4x3x8xf32>, tensor<2x3x5x8xf32>, tensor<2x3x5x8xf32>)
      -> tensor<2x4x3x8xf32>
  return
}

// -----

func.func @attention_c3_symbolic(
    %a: tensor<2x?x3x8xf32, #moe.dims<2, 3 * heads.local, 3, 8>>,
    %b: tensor<2x?x5x8xf32, #moe.dims<2, 2 * heads.local, 5, 8>>) {
  // expected-error @+2 {{has 3 * heads.local heads for 2 * heads.local heads of keys}}
  // expected-error @+1 {{failed to infer returned types}}
  %0 = moe.attention %a, %b, %b {scale = 1.0 : f32}
      : (tensor<2x?x3x8xf32, #moe.dims<2, 3 * heads.local, 3, 8>>, tensor<2x?x5x8xf32, #moe.dims<2, 2 * heads.local, 5, 8>>, tensor<2x?x5x8xf32, #moe.dims<2, 2 * heads.local, 5, 8>>)
      -> tensor<2x?x3x8xf32, #moe.dims<2, 3 * heads.local, 3, 8>>
  return
}

// -----

func.func @attention_c4(%a: tensor<2x4x3x8xf32>,
                        %b: tensor<2x2x5x8xf32>,
                        %c: tensor<2x2x5x8xf32>,
                        %d: tensor<2x1x3x4xf32>) {
  // expected-error @+2 {{has a mask of [2, 1, 3, 4], which does not broadcast to [2, 4, 3, 5]}}
  // expected-error @+1 {{failed to infer returned types}}
  %0 = moe.attention %a, %b, %c mask %d {scale = 1.0 : f32}
      : (tensor<2x4x3x8xf32>, tensor<2x2x5x8xf32>, tensor<2x2x5x8xf32>, tensor<2x1x3x4xf32>)
      -> tensor<2x4x3x8xf32>
  return
}

// -----

func.func @attention_c5(%a: tensor<2x4x3x8xf32>,
                        %b: tensor<2x2x5x8xf32>,
                        %c: tensor<2x2x5x8xf32>,
                        %d: tensor<2xf32>) {
  // expected-error @+2 {{has sink of [2], expected [4]}}
  // expected-error @+1 {{failed to infer returned types}}
  %0 = moe.attention %a, %b, %c sink %d {scale = 1.0 : f32}
      : (tensor<2x4x3x8xf32>, tensor<2x2x5x8xf32>, tensor<2x2x5x8xf32>, tensor<2xf32>)
      -> tensor<2x4x3x8xf32>
  return
}

// -----

func.func @attention_c6(%a: tensor<2x4x3x8xf32>,
                        %b: tensor<2x2x5x8xf32>,
                        %c: tensor<2x2x5x8xf32>,
                        %d: tensor<2xi32>) {
  // expected-error @+2 {{has lengths of i32, expected i64}}
  // expected-error @+1 {{failed to infer returned types}}
  %0 = moe.attention %a, %b, %c lengths %d {scale = 1.0 : f32}
      : (tensor<2x4x3x8xf32>, tensor<2x2x5x8xf32>, tensor<2x2x5x8xf32>, tensor<2xi32>)
      -> tensor<2x4x3x8xf32>
  return
}

// -----

func.func @attention_c7(%a: tensor<2x4x3x8xf32>,
                        %b: tensor<2x2x5x8xf32>,
                        %c: tensor<2x2x5x8xf32>) {
  // expected-error @+2 {{has a negative window or softcap}}
  // expected-error @+1 {{failed to infer returned types}}
  %0 = moe.attention %a, %b, %c {scale = 1.0 : f32, window = -1 : i64}
      : (tensor<2x4x3x8xf32>, tensor<2x2x5x8xf32>, tensor<2x2x5x8xf32>)
      -> tensor<2x4x3x8xf32>
  return
}

// -----

func.func @cache_append_c1(%a: tensor<2x4x3x8xf32>, %b: tensor<2x4x3x8xf32>) {
  // expected-error @+2 {{has axis 4 of a tensor of rank 4}}
  // expected-error @+1 {{failed to infer returned types}}
  %0 = moe.cache_append "kv" %a, %b {axis = 4 : i64}
      : (tensor<2x4x3x8xf32>, tensor<2x4x3x8xf32>) -> tensor<2x4x3x8xf32>
  return
}

// -----

func.func @cache_append_c2(%a: tensor<2x4x3x8xf32>, %b: tensor<2x4x1x4xf32>) {
  // expected-error @+2 {{has new entries of [2, 4, 1, 4], expected [2, 4, 1, 8]}}
  // expected-error @+1 {{failed to infer returned types}}
  %0 = moe.cache_append "kv" %a, %b {axis = 2 : i64}
      : (tensor<2x4x3x8xf32>, tensor<2x4x1x4xf32>) -> tensor<2x4x4x8xf32>
  return
}

// -----

func.func @cache_append_c3(%a: tensor<2x4x3x8xf32>,
                           %b: tensor<2x4x1x8xf32>,
                           %c: tensor<3xi64>) {
  // expected-error @+2 {{has lengths of [3], expected [2]}}
  // expected-error @+1 {{failed to infer returned types}}
  %0 = moe.cache_append "kv" %a, %b lengths %c {axis = 2 : i64}
      : (tensor<2x4x3x8xf32>, tensor<2x4x1x8xf32>, tensor<3xi64>)
      -> tensor<2x4x4x8xf32>
  return
}

// -----

//===----------------------------------------------------------------------===//
// Experts
//===----------------------------------------------------------------------===//

func.func @gate_c1(%a: tensor<5x8xf32>) {
  // expected-error @+2 {{selects 9 experts, expected between 1 and 8}}
  // expected-error @+1 {{failed to infer returned types}}
  %0:2 = moe.gate %a {k = 9 : i64}
      : (tensor<5x8xf32>) -> (tensor<5x9xf32>, tensor<5x9xi32>)
  return
}

// -----

func.func @gate_c2(%a: tensor<5x8xf32>) {
  // expected-error @+2 {{keeps 1 of 3 groups of 8 experts}}
  // expected-error @+1 {{failed to infer returned types}}
  %0:2 = moe.gate %a {k = 2 : i64, num_groups = 3 : i64}
      : (tensor<5x8xf32>) -> (tensor<5x2xf32>, tensor<5x2xi32>)
  return
}

// -----

func.func @gate_c3(%a: tensor<5x8xf32>) {
  // expected-error @+2 {{is a sparse mixer with k = 1, expected 2}}
  // expected-error @+1 {{failed to infer returned types}}
  %0:2 = moe.gate %a {k = 1 : i64, score = #moe<router_score sparse_mixer>}
      : (tensor<5x8xf32>) -> (tensor<5x1xf32>, tensor<5x1xi32>)
  return
}

// -----

func.func @gate_c4(%a: tensor<5x8xf32>) {
  // expected-error @+2 {{drops at random without a seed}}
  // expected-error @+1 {{failed to infer returned types}}
  %0:2 = moe.gate %a {k = 2 : i64, drop_policy = #moe<drop_policy random>}
      : (tensor<5x8xf32>) -> (tensor<5x2xf32>, tensor<5x2xi32>)
  return
}

// -----

func.func @gate_c5(%a: tensor<5x?xf32, #moe.dims<5, e>>) {
  // expected-error @+2 {{has e experts, expected a constant}}
  // expected-error @+1 {{failed to infer returned types}}
  %0:2 = moe.gate %a {k = 2 : i64}
      : (tensor<5x?xf32, #moe.dims<5, e>>) -> (tensor<5x2xf32>, tensor<5x2xi32>)
  return
}

// -----

func.func @gate_c6(%a: tensor<5x8xf32>, %b: tensor<5xf32>) {
  // expected-error @+2 {{has selection_bias of [5], expected [8]}}
  // expected-error @+1 {{failed to infer returned types}}
  %0:2 = moe.gate %a selection_bias %b {k = 2 : i64}
      : (tensor<5x8xf32>, tensor<5xf32>) -> (tensor<5x2xf32>, tensor<5x2xi32>)
  return
}

// -----

func.func @gate_c6_used_token(%a: tensor<5x8xf32>, %b: tensor<5xf32>) {
  // expected-error @+2 {{has used_token of f32, expected i1}}
  // expected-error @+1 {{failed to infer returned types}}
  %0:2 = moe.gate %a used_token %b {k = 2 : i64}
      : (tensor<5x8xf32>, tensor<5xf32>) -> (tensor<5x2xf32>, tensor<5x2xi32>)
  return
}

// -----

func.func @gate_c7(%a: tensor<5x8xf32>) {
  // expected-error @+2 {{selects 3 experts from 2 that stay in their groups}}
  // expected-error @+1 {{failed to infer returned types}}
  %0:2 = moe.gate %a {k = 3 : i64, num_groups = 4 : i64, topk_groups = 1 : i64}
      : (tensor<5x8xf32>) -> (tensor<5x3xf32>, tensor<5x3xi32>)
  return
}

// -----

func.func @gate_c8(%a: tensor<?x8xf32, #moe.dims<batch.local, 8>>) {
  // expected-error @+1 {{has part 'batch.local', which is not in the function's moe.local_symbols}}
  %0:2 = moe.gate %a {k = 1 : i64, part = "batch.local",
                      drop_policy = #moe<drop_policy token>}
      : (tensor<?x8xf32, #moe.dims<batch.local, 8>>)
      -> (tensor<?x1xf32, #moe.dims<batch.local, 1>>,
          tensor<?x1xi32, #moe.dims<batch.local, 1>>)
  return
}

// -----

func.func @gate_c8_whole(%a: tensor<5x8xf32>)
    attributes {moe.local_symbols = {"batch.local" = "batch"}} {
  // expected-error @+1 {{has 5 rows, which is no part as 'batch.local' is}}
  %0:2 = moe.gate %a {k = 1 : i64, part = "batch.local",
                      drop_policy = #moe<drop_policy token>}
      : (tensor<5x8xf32>) -> (tensor<5x1xf32>, tensor<5x1xi32>)
  return
}

// -----

func.func @gate_c8_no_drop(%a: tensor<?x8xf32, #moe.dims<batch.local, 8>>)
    attributes {moe.local_symbols = {"batch.local" = "batch"}} {
  // expected-error @+1 {{has part 'batch.local' without a drop policy, so no rows compete}}
  %0:2 = moe.gate %a {k = 1 : i64, part = "batch.local"}
      : (tensor<?x8xf32, #moe.dims<batch.local, 8>>)
      -> (tensor<?x1xf32, #moe.dims<batch.local, 1>>,
          tensor<?x1xi32, #moe.dims<batch.local, 1>>)
  return
}

// -----

func.func @dispatch_c1(%a: tensor<5x16xf32>, %b: tensor<4x2xi32>) {
  // expected-error @+1 {{has experts of [4, 2], expected [5, 2]}}
  %0:3 = moe.dispatch %a, %b {num_experts = 8 : i64}
      : (tensor<5x16xf32>, tensor<4x2xi32>)
      -> (tensor<?x16xf32, #moe.dims<d0, 16>>, tensor<8xi32>, tensor<5x2xi32>)
  return
}

// -----

func.func @dispatch_c2(%a: tensor<5x16xf32>,
                       %b: tensor<5x2xi32>,
                       %c: tensor<5x1xf32>) {
  // expected-error @+1 {{has weights of [5, 1], expected [5, 2]}}
  %0:3 = moe.dispatch %a, %b, %c {num_experts = 8 : i64}
      : (tensor<5x16xf32>, tensor<5x2xi32>, tensor<5x1xf32>)
      -> (tensor<?x16xf32, #moe.dims<d0, 16>>, tensor<8xi32>, tensor<5x2xi32>)
  return
}

// -----

func.func @dispatch_c3(%a: tensor<5x16xf32>, %b: tensor<5x2xi32>) {
  // expected-error @+1 {{has counts of [9], expected [8]}}
  %0:3 = moe.dispatch %a, %b {num_experts = 8 : i64}
      : (tensor<5x16xf32>, tensor<5x2xi32>)
      -> (tensor<?x16xf32, #moe.dims<d0, 16>>, tensor<9xi32>, tensor<5x2xi32>)
  return
}

// -----

func.func @experts_c1(%a: tensor<?x16xf32, #moe.dims<d0, 16>>,
                      %b: tensor<8xi64>,
                      %c: tensor<8x16x32xf32>,
                      %d: tensor<8x32x16xf32>) {
  // expected-error @+2 {{has counts of i64, expected i32}}
  // expected-error @+1 {{failed to infer returned types}}
  %0 = moe.experts relu %a, %b w1 %c w2 %d
      : (tensor<?x16xf32, #moe.dims<d0, 16>>, tensor<8xi64>, tensor<8x16x32xf32>, tensor<8x32x16xf32>)
      -> tensor<?x16xf32, #moe.dims<d0, 16>>
  return
}

// -----

func.func @experts_c2(%a: tensor<?x16xf32, #moe.dims<d0, 16>>,
                      %b: tensor<8xi32>,
                      %c: tensor<8x16x30xf32>,
                      %d: tensor<8x32x16xf32>) {
  // expected-error @+2 {{has w1 of [8, 16, 30], expected [8, 16, 32]}}
  // expected-error @+1 {{failed to infer returned types}}
  %0 = moe.experts relu %a, %b w1 %c w2 %d
      : (tensor<?x16xf32, #moe.dims<d0, 16>>, tensor<8xi32>, tensor<8x16x30xf32>, tensor<8x32x16xf32>)
      -> tensor<?x16xf32, #moe.dims<d0, 16>>
  return
}

// -----

func.func @experts_c2_gated(%a: tensor<?x16xf32, #moe.dims<d0, 16>>,
                            %b: tensor<8xi32>,
                            %c: tensor<8x16x32xf32>,
                            %d: tensor<8x32x16xf32>) {
  // expected-error @+2 {{has w1 of [8, 16, 32], expected [8, 16, 64]}}
  // expected-error @+1 {{failed to infer returned types}}
  %0 = moe.experts silu %a, %b w1 %c w2 %d {gating = #moe<gating concatenated>}
      : (tensor<?x16xf32, #moe.dims<d0, 16>>, tensor<8xi32>, tensor<8x16x32xf32>, tensor<8x32x16xf32>)
      -> tensor<?x16xf32, #moe.dims<d0, 16>>
  return
}

// -----

func.func @experts_c3(%a: tensor<?x16xf32, #moe.dims<d0, 16>>,
                      %b: tensor<8xi32>,
                      %c: tensor<8x16x32xf32>,
                      %d: tensor<8x32x16xf32>) {
  // expected-error @+2 {{has split gating, but no w3}}
  // expected-error @+1 {{failed to infer returned types}}
  %0 = moe.experts silu %a, %b w1 %c w2 %d {gating = #moe<gating split>}
      : (tensor<?x16xf32, #moe.dims<d0, 16>>, tensor<8xi32>, tensor<8x16x32xf32>, tensor<8x32x16xf32>)
      -> tensor<?x16xf32, #moe.dims<d0, 16>>
  return
}

// -----

func.func @experts_c4(%a: tensor<?x16xf32, #moe.dims<d0, 16>>,
                      %b: tensor<8xi32>,
                      %c: tensor<8x16x32xf32>,
                      %d: tensor<8x16xf32>,
                      %e: tensor<8x32x16xf32>) {
  // expected-error @+2 {{has b1 of [8, 16], expected [8, 32]}}
  // expected-error @+1 {{failed to infer returned types}}
  %0 = moe.experts relu %a, %b w1 %c b1 %d w2 %e
      : (tensor<?x16xf32, #moe.dims<d0, 16>>, tensor<8xi32>, tensor<8x16x32xf32>, tensor<8x16xf32>, tensor<8x32x16xf32>)
      -> tensor<?x16xf32, #moe.dims<d0, 16>>
  return
}

// -----

func.func @experts_c5(%a: tensor<?x16xf32, #moe.dims<d0, 16>>,
                      %b: tensor<4xi32>,
                      %c: tensor<8x16x32xf32>,
                      %d: tensor<8x32x16xf32>) {
  // expected-error @+2 {{has counts of [4], expected [8]}}
  // expected-error @+1 {{failed to infer returned types}}
  %0 = moe.experts relu %a, %b w1 %c w2 %d
      : (tensor<?x16xf32, #moe.dims<d0, 16>>, tensor<4xi32>, tensor<8x16x32xf32>, tensor<8x32x16xf32>)
      -> tensor<?x16xf32, #moe.dims<d0, 16>>
  return
}

// -----

func.func @experts_c5_placement(%a: tensor<?x16xf32, #moe.dims<d0, 16>>,
                                %b: tensor<2xi32>,
                                %c: tensor<4x16x32xf32>,
                                %d: tensor<4x32x16xf32>) {
  // expected-error @+2 {{has counts of [2], expected [3]}}
  // expected-error @+1 {{failed to infer returned types}}
  %0 = moe.experts relu %a, %b w1 %c w2 %d {placement = #moe.placement<2 [[0], [0], [0], [1]]>}
      : (tensor<?x16xf32, #moe.dims<d0, 16>>, tensor<2xi32>, tensor<4x16x32xf32>, tensor<4x32x16xf32>)
      -> tensor<?x16xf32, #moe.dims<d0, 16>>
  return
}

// -----

func.func @experts_c6(%a: tensor<?x16xf32, #moe.dims<d0, 16>>,
                      %b: tensor<8xi32>,
                      %c: tensor<8x16x32xf32>,
                      %d: tensor<8x32x16xf32>) {
  // expected-error @+2 {{has activation swiglu without gating}}
  // expected-error @+1 {{failed to infer returned types}}
  %0 = moe.experts swiglu %a, %b w1 %c w2 %d
      : (tensor<?x16xf32, #moe.dims<d0, 16>>, tensor<8xi32>, tensor<8x16x32xf32>, tensor<8x32x16xf32>)
      -> tensor<?x16xf32, #moe.dims<d0, 16>>
  return
}

// -----

func.func @experts_c7(%a: tensor<?x16xf32, #moe.dims<d0, 16>>,
                      %b: tensor<8xi32>,
                      %c: tensor<8x16x32xf32>,
                      %d: tensor<8x32x16xf16>) {
  // expected-error @+2 {{has an operand of f16, expected f32}}
  // expected-error @+1 {{failed to infer returned types}}
  %0 = moe.experts relu %a, %b w1 %c w2 %d
      : (tensor<?x16xf32, #moe.dims<d0, 16>>, tensor<8xi32>, tensor<8x16x32xf32>, tensor<8x32x16xf16>)
      -> tensor<?x16xf32, #moe.dims<d0, 16>>
  return
}

// -----

func.func @experts_c8(%a: tensor<?x16xf32, #moe.dims<d0, 16>>,
                      %b: tensor<2xi32>,
                      %c: tensor<2x16x64xf32>,
                      %d: tensor<2x32x16xf32>) {
  // expected-error @+2 {{is sliced, but has concatenated gating}}
  // expected-error @+1 {{failed to infer returned types}}
  %0 = moe.experts silu %a, %b w1 %c w2 %d {gating = #moe<gating concatenated>, placement = #moe.placement<4 [[0 + 1], [2 + 3]]>}
      : (tensor<?x16xf32, #moe.dims<d0, 16>>, tensor<2xi32>, tensor<2x16x64xf32>, tensor<2x32x16xf32>)
      -> tensor<?x16xf32, #moe.dims<d0, 16>>
  return
}

// -----

func.func @combine_c1(%a: tensor<?x16xf32, #moe.dims<d0, 16>>,
                      %b: tensor<5x2xi64>) {
  // expected-error @+2 {{has slots of i64, expected i32}}
  // expected-error @+1 {{failed to infer returned types}}
  %0 = moe.combine %a, %b
      : (tensor<?x16xf32, #moe.dims<d0, 16>>, tensor<5x2xi64>)
      -> tensor<5x16xf32>
  return
}

// -----

func.func @combine_c2(%a: tensor<?x16xf32, #moe.dims<d0, 16>>,
                      %b: tensor<5x2xi32>,
                      %c: tensor<5x1xf32>) {
  // expected-error @+2 {{has weights of [5, 1], expected [5, 2]}}
  // expected-error @+1 {{failed to infer returned types}}
  %0 = moe.combine %a, %b, %c
      : (tensor<?x16xf32, #moe.dims<d0, 16>>, tensor<5x2xi32>, tensor<5x1xf32>)
      -> tensor<5x16xf32>
  return
}

// -----

func.func @ffn_c1(%a: tensor<f32>,
                  %b: tensor<16x32xf32>,
                  %c: tensor<32x16xf32>) {
  // expected-error @+2 {{has x of rank 0}}
  // expected-error @+1 {{failed to infer returned types}}
  %0 = moe.ffn relu %a w1 %b w2 %c
      : (tensor<f32>, tensor<16x32xf32>, tensor<32x16xf32>) -> tensor<f32>
  return
}

// -----

func.func @ffn_c2(%a: tensor<5x16xf32>,
                  %b: tensor<8x32xf32>,
                  %c: tensor<32x16xf32>) {
  // expected-error @+2 {{has w1 of [8, 32], expected [16, 32]}}
  // expected-error @+1 {{failed to infer returned types}}
  %0 = moe.ffn relu %a w1 %b w2 %c
      : (tensor<5x16xf32>, tensor<8x32xf32>, tensor<32x16xf32>)
      -> tensor<5x16xf32>
  return
}

// -----

func.func @ffn_c3(%a: tensor<5x16xf32>,
                  %b: tensor<16x32xf32>,
                  %c: tensor<32x16xf32>,
                  %d: tensor<16x32xf32>) {
  // expected-error @+2 {{has w3, but its gating is not split}}
  // expected-error @+1 {{failed to infer returned types}}
  %0 = moe.ffn silu %a w1 %b w2 %c w3 %d
      : (tensor<5x16xf32>, tensor<16x32xf32>, tensor<32x16xf32>, tensor<16x32xf32>)
      -> tensor<5x16xf32>
  return
}

// -----

func.func @ffn_c4(%a: tensor<5x16xf32>,
                  %b: tensor<16x32xf32>,
                  %c: tensor<32x16xf32>,
                  %d: tensor<32xf32>) {
  // expected-error @+2 {{has b2 of [32], expected [16]}}
  // expected-error @+1 {{failed to infer returned types}}
  %0 = moe.ffn relu %a w1 %b w2 %c b2 %d
      : (tensor<5x16xf32>, tensor<16x32xf32>, tensor<32x16xf32>, tensor<32xf32>)
      -> tensor<5x16xf32>
  return
}

// -----

func.func @ffn_c5(%a: tensor<5x16xf32>,
                  %b: tensor<16x32xf32>,
                  %c: tensor<32x16xf32>) {
  // expected-error @+2 {{has activation swiglu without gating}}
  // expected-error @+1 {{failed to infer returned types}}
  %0 = moe.ffn swiglu %a w1 %b w2 %c
      : (tensor<5x16xf32>, tensor<16x32xf32>, tensor<32x16xf32>)
      -> tensor<5x16xf32>
  return
}

// -----

func.func @ffn_c6(%a: tensor<5x16xf32>,
                  %b: tensor<16x32xf32>,
                  %c: tensor<32x16xf16>) {
  // expected-error @+2 {{has an operand of f16, expected f32}}
  // expected-error @+1 {{failed to infer returned types}}
  %0 = moe.ffn relu %a w1 %b w2 %c
      : (tensor<5x16xf32>, tensor<16x32xf32>, tensor<32x16xf16>)
      -> tensor<5x16xf32>
  return
}

// -----

func.func @mix_c1(%a: tensor<5x16xf32>, %b: tensor<5x8xf32>) {
  // expected-error @+2 {{mixes tensor<5x16xf32> with tensor<5x8xf32>}}
  // expected-error @+1 {{failed to infer returned types}}
  %0 = moe.mix add %a, %b
      : (tensor<5x16xf32>, tensor<5x8xf32>) -> tensor<5x16xf32>
  return
}

// -----

func.func @mix_c2(%a: tensor<5x16xf32>,
                  %b: tensor<5x16xf32>,
                  %c: tensor<5x1xf32>) {
  // expected-error @+2 {{has a gate of [5, 1], expected [5, 2]}}
  // expected-error @+1 {{failed to infer returned types}}
  %0 = moe.mix residual %a, %b gate %c
      : (tensor<5x16xf32>, tensor<5x16xf32>, tensor<5x1xf32>)
      -> tensor<5x16xf32>
  return
}

// -----

func.func @mix_c2_absent(%a: tensor<5x16xf32>, %b: tensor<5x16xf32>) {
  // expected-error @+2 {{has no gate}}
  // expected-error @+1 {{failed to infer returned types}}
  %0 = moe.mix residual %a, %b
      : (tensor<5x16xf32>, tensor<5x16xf32>) -> tensor<5x16xf32>
  return
}

// -----

//===----------------------------------------------------------------------===//
// Collectives
//===----------------------------------------------------------------------===//

func.func @all_to_all_c1(%a: tensor<?x16xf32, #moe.dims<d0, 16>>,
                         %b: tensor<5xi32>) {
  // expected-error @+1 {{has counts of [5], expected [4]}}
  %0:3 = moe.all_to_all %a, %b {placement = #moe.placement<2 [[0], [0], [1], [1]]>}
      : (tensor<?x16xf32, #moe.dims<d0, 16>>, tensor<5xi32>)
      -> (tensor<?x16xf32, #moe.dims<d1, 16>>, tensor<2xi32>, tensor<2x4xi32>)
  return
}

// -----

func.func @all_to_all_c2(%a: tensor<?x16xf32, #moe.dims<d0, 16>>,
                         %b: tensor<4xi32>) {
  // expected-error @+1 {{has local_counts of [3], expected [2]}}
  %0:3 = moe.all_to_all %a, %b {placement = #moe.placement<2 [[0], [0], [1], [1]]>}
      : (tensor<?x16xf32, #moe.dims<d0, 16>>, tensor<4xi32>)
      -> (tensor<?x16xf32, #moe.dims<d1, 16>>, tensor<3xi32>, tensor<2x4xi32>)
  return
}

// -----

func.func @all_to_all_c3(%a: tensor<?x16xf32, #moe.dims<d0, 16>>,
                         %b: tensor<4xi32>) {
  // expected-error @+1 {{is hierarchical over 2 ranks in nodes of 3}}
  %0:3 = moe.all_to_all %a, %b {placement = #moe.placement<2 [[0], [0], [1], [1]]>, form = #moe<exchange_form hierarchical>, node_size = 3 : i64}
      : (tensor<?x16xf32, #moe.dims<d0, 16>>, tensor<4xi32>)
      -> (tensor<?x16xf32, #moe.dims<d1, 16>>, tensor<2xi32>, tensor<2x4xi32>)
  return
}

// -----

func.func @all_to_all_c3_flat(%a: tensor<?x16xf32, #moe.dims<d0, 16>>,
                         %b: tensor<4xi32>) {
  // expected-error @+1 {{has nodes of 2 ranks, but no hierarchical form}}
  %0:3 = moe.all_to_all %a, %b {placement = #moe.placement<2 [[0], [0], [1], [1]]>, node_size = 2 : i64}
      : (tensor<?x16xf32, #moe.dims<d0, 16>>, tensor<4xi32>)
      -> (tensor<?x16xf32, #moe.dims<d1, 16>>, tensor<2xi32>, tensor<2x4xi32>)
  return
}

// -----

func.func @all_to_all_c4(%a: tensor<?x16xf32, #moe.dims<d0, 16>>,
                         %b: tensor<4xi32>) {
  // expected-error @+1 {{has a small form, but not one number of tokens and a positive limit}}
  %0:3 = moe.all_to_all %a, %b {placement = #moe.placement<2 [[0], [0], [1], [1]]>, small_form = #moe<exchange_form flat>, small_tokens = 8 : i64}
      : (tensor<?x16xf32, #moe.dims<d0, 16>>, tensor<4xi32>)
      -> (tensor<?x16xf32, #moe.dims<d1, 16>>, tensor<2xi32>, tensor<2x4xi32>)
  return
}

// -----

func.func @all_to_all_c4_limit(%a: tensor<?x16xf32, #moe.dims<d0, 16>>,
                         %b: tensor<4xi32>) {
  // expected-error @+1 {{has a small form, but not one number of tokens and a positive limit}}
  %0:3 = moe.all_to_all %a, %b {placement = #moe.placement<2 [[0], [0], [1], [1]]>, small_form = #moe<exchange_form flat>, tokens = #moe.dims<batch>}
      : (tensor<?x16xf32, #moe.dims<d0, 16>>, tensor<4xi32>)
      -> (tensor<?x16xf32, #moe.dims<d1, 16>>, tensor<2xi32>, tensor<2x4xi32>)
  return
}

// -----

func.func @all_to_all_c4_absent(%a: tensor<?x16xf32, #moe.dims<d0, 16>>,
                         %b: tensor<4xi32>) {
  // expected-error @+1 {{has tokens or a limit without a small form}}
  %0:3 = moe.all_to_all %a, %b {placement = #moe.placement<2 [[0], [0], [1], [1]]>, small_tokens = 8 : i64}
      : (tensor<?x16xf32, #moe.dims<d0, 16>>, tensor<4xi32>)
      -> (tensor<?x16xf32, #moe.dims<d1, 16>>, tensor<2xi32>, tensor<2x4xi32>)
  return
}

// -----

func.func @all_to_all_c5(%a: tensor<?x16xf32, #moe.dims<d0, 16>>,
                         %b: tensor<4xi32>) {
  // expected-error @+1 {{is replicated and has two forms}}
  %0:3 = moe.all_to_all %a, %b {placement = #moe.placement<2 [[0], [0], [1], [1]]>, form = #moe<exchange_form replicated>, small_form = #moe<exchange_form flat>, small_tokens = 8 : i64, tokens = #moe.dims<batch>}
      : (tensor<?x16xf32, #moe.dims<d0, 16>>, tensor<4xi32>)
      -> (tensor<?x16xf32, #moe.dims<d1, 16>>, tensor<2xi32>, tensor<2x4xi32>)
  return
}

// -----

func.func @all_to_all_back_c1(%a: tensor<?x16xf32, #moe.dims<d1, 16>>,
                              %b: tensor<4x2xi32>,
                              %c: tensor<4xi32>) {
  // expected-error @+1 {{has route of [4, 2], expected [2, 4]}}
  %0 = moe.all_to_all_back %a, %b, %c {placement = #moe.placement<2 [[0], [0], [1], [1]]>}
      : (tensor<?x16xf32, #moe.dims<d1, 16>>, tensor<4x2xi32>, tensor<4xi32>)
      -> tensor<?x16xf32, #moe.dims<d0, 16>>
  return
}

// -----

func.func @all_to_all_back_c2(%a: tensor<?x16xf32, #moe.dims<d1, 16>>,
                              %b: tensor<2x4xi32>,
                              %c: tensor<4xi32>) {
  // expected-error @+1 {{has a result of [d0, 8], expected [d0, 16]}}
  %0 = moe.all_to_all_back %a, %b, %c {placement = #moe.placement<2 [[0], [0], [1], [1]]>}
      : (tensor<?x16xf32, #moe.dims<d1, 16>>, tensor<2x4xi32>, tensor<4xi32>)
      -> tensor<?x8xf32, #moe.dims<d0, 8>>
  return
}

// -----

func.func @all_to_all_back_c3(%a: tensor<?x16xf32, #moe.dims<d1, 16>>,
                              %b: tensor<2x4xi32>,
                              %c: tensor<4xi32>) {
  // expected-error @+1 {{is hierarchical over 2 ranks in nodes of 3}}
  %0 = moe.all_to_all_back %a, %b, %c {placement = #moe.placement<2 [[0], [0], [1], [1]]>, form = #moe<exchange_form hierarchical>, node_size = 3 : i64}
      : (tensor<?x16xf32, #moe.dims<d1, 16>>, tensor<2x4xi32>, tensor<4xi32>)
      -> tensor<?x16xf32, #moe.dims<d0, 16>>
  return
}

// -----

func.func @all_to_all_back_c4(%a: tensor<?x16xf32, #moe.dims<d1, 16>>,
                              %b: tensor<2x4xi32>,
                              %c: tensor<4xi32>) {
  // expected-error @+1 {{has a small form, but not one number of tokens and a positive limit}}
  %0 = moe.all_to_all_back %a, %b, %c {placement = #moe.placement<2 [[0], [0], [1], [1]]>, small_form = #moe<exchange_form flat>, small_tokens = 8 : i64}
      : (tensor<?x16xf32, #moe.dims<d1, 16>>, tensor<2x4xi32>, tensor<4xi32>)
      -> tensor<?x16xf32, #moe.dims<d0, 16>>
  return
}

// -----

func.func @all_to_all_back_c5(%a: tensor<?x16xf32, #moe.dims<d1, 16>>,
                              %b: tensor<2x4xi32>,
                              %c: tensor<4xi32>) {
  // expected-error @+1 {{is replicated and has two forms}}
  %0 = moe.all_to_all_back %a, %b, %c {placement = #moe.placement<2 [[0], [0], [1], [1]]>, form = #moe<exchange_form replicated>, small_form = #moe<exchange_form flat>, small_tokens = 8 : i64, tokens = #moe.dims<batch>}
      : (tensor<?x16xf32, #moe.dims<d1, 16>>, tensor<2x4xi32>, tensor<4xi32>)
      -> tensor<?x16xf32, #moe.dims<d0, 16>>
  return
}

// -----

func.func @all_gather_c1(%a: tensor<?x4xf32, #moe.dims<batch.local, 4>>)
    attributes {moe.local_symbols = {"batch.local" = "batch"}} {
  // expected-error @+1 {{has axis 2 of a tensor of rank 2}}
  %0 = moe.all_gather %a {axis = 2 : i64, part = "batch.local"}
      : (tensor<?x4xf32, #moe.dims<batch.local, 4>>)
      -> tensor<?x4xf32, #moe.dims<batch, 4>>
  return
}

// -----

func.func @all_gather_c2(%a: tensor<?x4xf32, #moe.dims<batch.local, 4>>) {
  // expected-error @+1 {{has part 'batch.local', which is not in the function's moe.local_symbols}}
  %0 = moe.all_gather %a {axis = 0 : i64, part = "batch.local"}
      : (tensor<?x4xf32, #moe.dims<batch.local, 4>>)
      -> tensor<?x4xf32, #moe.dims<batch, 4>>
  return
}

// -----

func.func @all_gather_c3(%a: tensor<?x4xf32, #moe.dims<batch.local, 4>>)
    attributes {moe.local_symbols = {"batch.local" = "batch"}} {
  // expected-error @+1 {{has a part of [batch.local, 4], expected [2 * batch.local, 4]}}
  %0 = moe.all_gather %a {axis = 0 : i64, part = "batch.local"}
      : (tensor<?x4xf32, #moe.dims<batch.local, 4>>)
      -> tensor<?x4xf32, #moe.dims<2 * batch, 4>>
  return
}

// -----

func.func @all_gather_c3_indivisible(
    %a: tensor<?x4xf32, #moe.dims<batch.local, 4>>)
    attributes {moe.local_symbols = {"batch.local" = "batch"}} {
  // expected-error @+1 {{divides seq elements by 'batch.local', a part of batch}}
  %0 = moe.all_gather %a {axis = 0 : i64, part = "batch.local"}
      : (tensor<?x4xf32, #moe.dims<batch.local, 4>>)
      -> tensor<?x4xf32, #moe.dims<seq, 4>>
  return
}

// -----

func.func @shard_c1(%a: tensor<?x4xf32, #moe.dims<batch, 4>>)
    attributes {moe.local_symbols = {"batch.local" = "batch"}} {
  // expected-error @+1 {{has axis 2 of a tensor of rank 2}}
  %0 = moe.shard %a {axis = 2 : i64, part = "batch.local"}
      : (tensor<?x4xf32, #moe.dims<batch, 4>>)
      -> tensor<?x4xf32, #moe.dims<batch.local, 4>>
  return
}

// -----

func.func @shard_c2(%a: tensor<?x4xf32, #moe.dims<batch, 4>>) {
  // expected-error @+1 {{which is not in the function's moe.local_symbols}}
  %0 = moe.shard %a {axis = 0 : i64, part = "batch.local"}
      : (tensor<?x4xf32, #moe.dims<batch, 4>>)
      -> tensor<?x4xf32, #moe.dims<batch.local, 4>>
  return
}

// -----

func.func @shard_c3(%a: tensor<?x4xf32, #moe.dims<batch, 4>>)
    attributes {moe.local_symbols = {"batch.local" = "batch"}} {
  // expected-error @+1 {{has a part of [batch, 4], expected [batch.local, 4]}}
  %0 = moe.shard %a {axis = 0 : i64, part = "batch.local"}
      : (tensor<?x4xf32, #moe.dims<batch, 4>>)
      -> tensor<?x4xf32, #moe.dims<batch, 4>>
  return
}

// -----

func.func @all_reduce_c1(%a: tensor<4xi1>) {
  // expected-error @+2 {{has x of i1, expected numbers}}
  // expected-error @+1 {{failed to infer returned types}}
  %0 = moe.all_reduce sum %a : (tensor<4xi1>) -> tensor<4xi1>
  return
}

// -----

func.func @reduce_scatter_c1(%a: tensor<?x4xf32, #moe.dims<batch, 4>>)
    attributes {moe.local_symbols = {"batch.local" = "batch"}} {
  // expected-error @+1 {{has axis 2 of a tensor of rank 2}}
  %0 = moe.reduce_scatter sum %a {axis = 2 : i64, part = "batch.local"}
      : (tensor<?x4xf32, #moe.dims<batch, 4>>)
      -> tensor<?x4xf32, #moe.dims<batch.local, 4>>
  return
}

// -----

func.func @reduce_scatter_c2(%a: tensor<?x4xf32, #moe.dims<batch, 4>>) {
  // expected-error @+1 {{which is not in the function's moe.local_symbols}}
  %0 = moe.reduce_scatter sum %a {axis = 0 : i64, part = "batch.local"}
      : (tensor<?x4xf32, #moe.dims<batch, 4>>)
      -> tensor<?x4xf32, #moe.dims<batch.local, 4>>
  return
}

// -----

func.func @reduce_scatter_c3(%a: tensor<?x4xf32, #moe.dims<batch, 4>>)
    attributes {moe.local_symbols = {"batch.local" = "batch"}} {
  // expected-error @+1 {{has a part of [batch, 4], expected [batch.local, 4]}}
  %0 = moe.reduce_scatter sum %a {axis = 0 : i64, part = "batch.local"}
      : (tensor<?x4xf32, #moe.dims<batch, 4>>)
      -> tensor<?x4xf32, #moe.dims<batch, 4>>
  return
}

// -----

func.func @reduce_scatter_c4(%a: tensor<?x4xi1, #moe.dims<batch, 4>>)
    attributes {moe.local_symbols = {"batch.local" = "batch"}} {
  // expected-error @+1 {{has x of i1, expected numbers}}
  %0 = moe.reduce_scatter sum %a {axis = 0 : i64, part = "batch.local"}
      : (tensor<?x4xi1, #moe.dims<batch, 4>>)
      -> tensor<?x4xi1, #moe.dims<batch.local, 4>>
  return
}
