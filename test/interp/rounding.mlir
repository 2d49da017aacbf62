// RUN: moe-opt %s -o /dev/null --moe-interpret="function=weights" \
// RUN:   --moe-interpret="function=rows" --moe-interpret="before=cut after=whole" \
// RUN:   | FileCheck %s

// Weights that are rounded, and rows that are.

// A column with scale -3 / -8 = 0.375: 1 -> round(2.67) = 3, 2.5 -> 7, 0.75 ->
// 2; with zero points the scale is (2.5 + 3) / 15, as f16 0.36669921875, and
// the zero point 8: codes 11, 0, 15, 10.
// CHECK-LABEL: @weights
// CHECK: result 0: f32[4, 1] {{\[\[}}1.125], [-3], [2.625], [0.75]]
// CHECK: result 1: f32[4, 1] {{\[\[}}1.1001], [-2.93359], [2.56689], [0.733398]]
func.func @weights() -> (tensor<4x1xf32>, tensor<4x1xf32>) {
  %0 = moe.param "w" <quantize [4, 0, 0] (#moe.param<inline = dense<[[1.0], [-3.0], [2.5], [0.75]]> : tensor<4x1xf32> : tensor<4x1xf32>>) : tensor<4x1xf32>> : tensor<4x1xf32>
  %1 = moe.param "w" <quantize [4, 0, 1] (#moe.param<inline = dense<[[1.0], [-3.0], [2.5], [0.75]]> : tensor<4x1xf32> : tensor<4x1xf32>>) : tensor<4x1xf32>> : tensor<4x1xf32>
  return %0, %1 : tensor<4x1xf32>, tensor<4x1xf32>
}

// Rows have the scale 127 / 127: 1.3 becomes 1, -2.5 the even -2. Weights that
// are no codes are multiplied with the rows as they are.
// 127 * -4 + 1 * 1 - 2 * 2 = -511; 127 * -4 + 1.3 * 1 - 2.5 * 2 = -511.7
// The hidden values are the sums 127 and 1.3 - 2.5 rounded, times -4 and 1.
// CHECK-LABEL: @rows
// CHECK: result 0: f32[1, 1] {{\[\[}}-511]]
// CHECK: result 1: f32[1, 1] {{\[\[}}-511.7]]
// CHECK: result 2: f32[1, 1] {{\[\[}}-509]]
func.func @rows() -> (tensor<1x1xf32>, tensor<1x1xf32>, tensor<1x1xf32>) {
  %x = moe.constant dense<[[127.0, 1.3, -2.5]]> : tensor<1x3xf32> : tensor<1x3xf32>
  %codes = moe.param "w" <quantize [4, 0, 0] (#moe.param<inline = dense<[[-4.0], [1.0], [2.0]]> : tensor<3x1xf32> : tensor<3x1xf32>>) : tensor<3x1xf32>> : tensor<3x1xf32>
  %floats = moe.param "w" <inline = dense<[[-4.0], [1.0], [2.0]]> : tensor<3x1xf32> : tensor<3x1xf32>> : tensor<3x1xf32>
  %0 = moe.matmul %x, %codes {arithmetic = #moe<arithmetic int8>} : (tensor<1x3xf32>, tensor<3x1xf32>) -> tensor<1x1xf32>
  %1 = moe.matmul %x, %floats {arithmetic = #moe<arithmetic int8>} : (tensor<1x3xf32>, tensor<3x1xf32>) -> tensor<1x1xf32>
  %w1 = moe.param "w1" <inline = dense<[[1.0, 0.0], [0.0, 1.0], [0.0, 1.0]]> : tensor<3x2xf32> : tensor<3x2xf32>> : tensor<3x2xf32>
  %w2 = moe.param "w2" <quantize [4, 0, 0] (#moe.param<inline = dense<[[-4.0], [1.0]]> : tensor<2x1xf32> : tensor<2x1xf32>>) : tensor<2x1xf32>> : tensor<2x1xf32>
  %2 = moe.ffn identity %x w1 %w1 w2 %w2 {arithmetic = #moe<arithmetic int8>} : (tensor<1x3xf32>, tensor<3x2xf32>, tensor<2x1xf32>) -> tensor<1x1xf32>
  return %0, %1, %2 : tensor<1x1xf32>, tensor<1x1xf32>, tensor<1x1xf32>
}

// Each block is rounded alone.
func.func @cut() -> tensor<32x2xf32> {
  %w = moe.param "w" <slice [32, 0, 1, 1] (#moe.param<quantize [4, 32, 0] (#moe.param<file "m" [0, 512] : tensor<64x2xf32>>) : tensor<64x2xf32>>) : tensor<32x2xf32>> : tensor<32x2xf32>
  return %w : tensor<32x2xf32>
}
func.func @whole() -> tensor<32x2xf32> {
  %w = moe.param "w" <quantize [4, 32, 0] (#moe.param<file "m" [256, 256] : tensor<32x2xf32>>) : tensor<32x2xf32>> : tensor<32x2xf32>
  return %w : tensor<32x2xf32>
}
