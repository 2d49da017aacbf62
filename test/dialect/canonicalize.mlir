// RUN: moe-opt %s --canonicalize | FileCheck %s

// What happens to a weight before its use becomes part of its expression.

// CHECK-LABEL: @transpose_of_param
// CHECK-NEXT: %[[W:.*]] = moe.param "w" <transpose [1, 0] (#moe.param<file "m" [0, 24] : tensor<2x3xf32>>) : tensor<3x2xf32>>
// CHECK-NEXT: return %[[W]]
func.func @transpose_of_param() -> tensor<3x2xf32> {
  %w = moe.param "w" <file "m" [0, 24] : tensor<2x3xf32>> : tensor<2x3xf32>
  %0 = moe.transpose %w {permutation = array<i64: 1, 0>}
    : (tensor<2x3xf32>) -> tensor<3x2xf32>
  return %0 : tensor<3x2xf32>
}

// CHECK-LABEL: @transpose_twice
// CHECK-NEXT: moe.param "w" <file "m" [0, 24] : tensor<2x3xf32>>
// CHECK-NEXT: return
func.func @transpose_twice() -> tensor<2x3xf32> {
  %w = moe.param "w" <file "m" [0, 24] : tensor<2x3xf32>> : tensor<2x3xf32>
  %0 = moe.transpose %w {permutation = array<i64: 1, 0>}
    : (tensor<2x3xf32>) -> tensor<3x2xf32>
  %1 = moe.transpose %0 {permutation = array<i64: 1, 0>}
    : (tensor<3x2xf32>) -> tensor<2x3xf32>
  return %1 : tensor<2x3xf32>
}

// Rows 1 and 2 of [4, 3] f32 begin at byte 1 * 3 * 4 = 12 and have 24 bytes.
// CHECK-LABEL: @rows_of_file
// CHECK-NEXT: moe.param "w" <file "m" [12, 24] : tensor<2x3xf32>>
func.func @rows_of_file() -> tensor<2x3xf32> {
  %w = moe.param "w" <file "m" [0, 48] : tensor<4x3xf32>> : tensor<4x3xf32>
  %0 = moe.slice %w <1, 0> {steps = array<i64: 1, 1>} : (tensor<4x3xf32>)
    -> tensor<2x3xf32>
  return %0 : tensor<2x3xf32>
}

// Columns do not lie together.
// CHECK-LABEL: @columns_of_file
// CHECK-NEXT: moe.param "w" <slice [0, 1, 1, 1] (#moe.param<file
func.func @columns_of_file() -> tensor<4x2xf32> {
  %w = moe.param "w" <file "m" [0, 48] : tensor<4x3xf32>> : tensor<4x3xf32>
  %0 = moe.slice %w <0, 1> {steps = array<i64: 1, 1>} : (tensor<4x3xf32>)
    -> tensor<4x2xf32>
  return %0 : tensor<4x2xf32>
}

// Expert 1 of three that were stacked and transposed: its bytes only.
// CHECK-LABEL: @expert_of_stack
// CHECK-NEXT: moe.param "w" <reshape (#moe.param<transpose [0, 2, 1] (#moe.param<file "b" [24, 24] : tensor<1x2x3xf32>>)
func.func @expert_of_stack() -> tensor<3x2xf32> {
  %w = moe.param "w" <transpose [0, 2, 1] (#moe.param<stack (
    #moe.param<file "a" [0, 24] : tensor<2x3xf32>>,
    #moe.param<file "b" [24, 24] : tensor<2x3xf32>>,
    #moe.param<file "c" [48, 24] : tensor<2x3xf32>>) : tensor<3x2x3xf32>>)
    : tensor<3x3x2xf32>> : tensor<3x3x2xf32>
  %0 = moe.slice %w <1, 0, 0> {steps = array<i64: 1, 1, 1>}
    : (tensor<3x3x2xf32>) -> tensor<1x3x2xf32>
  %1 = moe.reshape %0 : (tensor<1x3x2xf32>) -> tensor<3x2xf32>
  return %1 : tensor<3x2xf32>
}

// CHECK-LABEL: @concat_of_params
// CHECK-NEXT: moe.param "a" <concat [0] (#moe.param<file "a"{{.*}}, #moe.param<file "b"{{.*}}) : tensor<8xf32>>
func.func @concat_of_params() -> tensor<8xf32> {
  %a = moe.param "a" <file "a" [0, 16] : tensor<4xf32>> : tensor<4xf32>
  %b = moe.param "b" <file "b" [0, 16] : tensor<4xf32>> : tensor<4xf32>
  %0 = moe.concat %a, %b {axis = 0 : i64} : (tensor<4xf32>, tensor<4xf32>)
    -> tensor<8xf32>
  return %0 : tensor<8xf32>
}

// CHECK-LABEL: @cast_of_param
// CHECK-NEXT: moe.param "w" <cast (#moe.param<file "m" [0, 8] : tensor<4xf16>>) : tensor<4xf32>>
func.func @cast_of_param() -> tensor<4xf32> {
  %w = moe.param "w" <file "m" [0, 8] : tensor<4xf16>> : tensor<4xf16>
  %0 = moe.cast %w : (tensor<4xf16>) -> tensor<4xf32>
  return %0 : tensor<4xf32>
}

// CHECK-LABEL: @cast_of_fill
// CHECK-NEXT: moe.param <fill = 1.000000e+00 : f16 : tensor<4xf16>>
func.func @cast_of_fill() -> tensor<4xf16> {
  %w = moe.param <fill = 1.0 : f32 : tensor<4xf32>> : tensor<4xf32>
  %0 = moe.cast %w : (tensor<4xf32>) -> tensor<4xf16>
  return %0 : tensor<4xf16>
}

// The bytes of a weight are [in, out].
// CHECK-LABEL: @matmul_by_transposed_param
// CHECK: %[[W:.*]] = moe.param "w" <transpose [1, 0]
// CHECK: moe.matmul %{{.*}}, %[[W]] : (tensor<2x3xf32>, tensor<3x4xf32>)
func.func @matmul_by_transposed_param(%x: tensor<2x3xf32>) -> tensor<2x4xf32> {
  %w = moe.param "w" <file "m" [0, 48] : tensor<4x3xf32>> : tensor<4x3xf32>
  %0 = moe.matmul %x, %w {transpose_rhs = true}
    : (tensor<2x3xf32>, tensor<4x3xf32>) -> tensor<2x4xf32>
  return %0 : tensor<2x4xf32>
}

// Every f16 is an f32.
// CHECK-LABEL: @widen_and_narrow
// CHECK-SAME: (%[[X:.*]]: tensor<4xf16>)
// CHECK-NEXT: return %[[X]]
func.func @widen_and_narrow(%x: tensor<4xf16>) -> tensor<4xf16> {
  %0 = moe.cast %x : (tensor<4xf16>) -> tensor<4xf32>
  %1 = moe.cast %0 : (tensor<4xf32>) -> tensor<4xf16>
  return %1 : tensor<4xf16>
}

// Rounding must stay.
// CHECK-LABEL: @narrow_and_widen
// CHECK-COUNT-2: moe.cast
func.func @narrow_and_widen(%x: tensor<4xf32>) -> tensor<4xf32> {
  %0 = moe.cast %x : (tensor<4xf32>) -> tensor<4xf16>
  %1 = moe.cast %0 : (tensor<4xf16>) -> tensor<4xf32>
  return %1 : tensor<4xf32>
}

// 257 is an i32, but no i8.
// CHECK-LABEL: @integer_casts
// CHECK-COUNT-2: moe.cast
func.func @integer_casts(%x: tensor<4xi32>) -> tensor<4xi32> {
  %0 = moe.cast %x : (tensor<4xi32>) -> tensor<4xi8>
  %1 = moe.cast %0 : (tensor<4xi8>) -> tensor<4xi32>
  return %1 : tensor<4xi32>
}

// CHECK-LABEL: @concat_with_nothing
// CHECK-SAME: (%[[X:.*]]: tensor<4xf32>
// CHECK-NEXT: return %[[X]]
func.func @concat_with_nothing(%x: tensor<4xf32>, %none: tensor<0xf32>)
    -> tensor<4xf32> {
  %0 = moe.concat %none, %x {axis = 0 : i64}
    : (tensor<0xf32>, tensor<4xf32>) -> tensor<4xf32>
  return %0 : tensor<4xf32>
}

// Rounding commutes with what leaves its blocks along K whole.

// CHECK-LABEL: @rounded
// CHECK: moe.param "w" <quantize [4, 32, 0] (#moe.param<file "m" [256, 256] : tensor<32x2xf32>>)
// CHECK: moe.param "w" <slice [16, 0, 1, 1] (#moe.param<quantize [4, 32, 0] (#moe.param<file "m" [0, 768] : tensor<96x2xf32>>)
// CHECK: moe.param "w" <quantize [4, 32, 0] (#moe.param<slice [0, 1, 1, 1] (#moe.param<file "m" [0, 768]
// CHECK: moe.param "w" <transpose [1, 0] (#moe.param<quantize [4, 32, 0] (#moe.param<file "m" [0, 768]
// CHECK: moe.param "w" <quantize [4, 32, 0] (#moe.param<concat [1] (#moe.param<file "m" [0, 768] {{.*}}, #moe.param<file "m" [0, 768]
// CHECK: moe.param "w" <concat [0] (#moe.param<quantize
func.func @rounded() -> (tensor<32x2xf32>, tensor<32x2xf32>, tensor<96x1xf32>, tensor<2x96xf32>, tensor<96x4xf32>, tensor<192x2xf32>) {
  %w = moe.param "w" <quantize [4, 32, 0] (#moe.param<file "m" [0, 768] : tensor<96x2xf32>>) : tensor<96x2xf32>> : tensor<96x2xf32>
  %0 = moe.slice %w <32, 0> {steps = array<i64: 1, 1>} : (tensor<96x2xf32>) -> tensor<32x2xf32>
  %1 = moe.slice %w <16, 0> {steps = array<i64: 1, 1>} : (tensor<96x2xf32>) -> tensor<32x2xf32>
  %2 = moe.slice %w <0, 1> {steps = array<i64: 1, 1>} : (tensor<96x2xf32>) -> tensor<96x1xf32>
  %3 = moe.transpose %w {permutation = array<i64: 1, 0>} : (tensor<96x2xf32>) -> tensor<2x96xf32>
  %4 = moe.concat %w, %w {axis = 1 : i64} : (tensor<96x2xf32>, tensor<96x2xf32>) -> tensor<96x4xf32>
  %5 = moe.concat %w, %w {axis = 0 : i64} : (tensor<96x2xf32>, tensor<96x2xf32>) -> tensor<192x2xf32>
  return %0, %1, %2, %3, %4, %5 : tensor<32x2xf32>, tensor<32x2xf32>, tensor<96x1xf32>, tensor<2x96xf32>, tensor<96x4xf32>, tensor<192x2xf32>
}

// A cast to fewer bytes and back rounds: it stays.

// CHECK-LABEL: @rounded_by_cast
// CHECK: moe.param "w" <cast (#moe.param<cast (#moe.param<file "m" [0, 16] : tensor<2x2xf32>>) : tensor<2x2xf16>>) : tensor<2x2xf32>>
func.func @rounded_by_cast() -> tensor<2x2xf32> {
  %w = moe.param "w" <cast (#moe.param<file "m" [0, 16] : tensor<2x2xf32>>) : tensor<2x2xf16>> : tensor<2x2xf16>
  %0 = moe.cast %w : (tensor<2x2xf16>) -> tensor<2x2xf32>
  return %0 : tensor<2x2xf32>
}
