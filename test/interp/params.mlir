// RUN: moe-opt %s -o /dev/null --moe-interpret="before=whole after=part" \
// RUN:   --moe-interpret-keep --canonicalize --moe-interpret="after=folded" \
// RUN:   --moe-interpret="function=taken" \
// RUN:   --moe-interpret="function=quantized" | FileCheck %s

// Made-up bytes depend on their place in the file: expert 1 read alone is the
// same as cut from all.
func.func @whole() -> tensor<2x3xf32> {
  %w = moe.param "w" <file "m" [8, 72] : tensor<3x2x3xf32>>
    : tensor<3x2x3xf32>
  %0 = moe.slice %w <1, 0, 0> {steps = array<i64: 1, 1, 1>}
    : (tensor<3x2x3xf32>) -> tensor<1x2x3xf32>
  %1 = moe.reshape %0 : (tensor<1x2x3xf32>) -> tensor<2x3xf32>
  return %1 : tensor<2x3xf32>
}
func.func @part() -> tensor<2x3xf32> {
  %w = moe.param "w" <file "m" [32, 24] : tensor<2x3xf32>> : tensor<2x3xf32>
  return %w : tensor<2x3xf32>
}

// Folding operations into expressions of weights keeps the values.
func.func @folded() -> (tensor<3x2xf32>, tensor<2x2xf16>, tensor<1x3xf32>) {
  %a = moe.param "a" <file "m" [0, 24] : tensor<2x3xf32>> : tensor<2x3xf32>
  %b = moe.param "b" <stack (#moe.param<file "m" [0, 12] : tensor<3xf32>>,
                             #moe.param<file "m" [64, 12] : tensor<3xf32>>)
    : tensor<2x3xf32>> : tensor<2x3xf32>
  %0 = moe.transpose %a {permutation = array<i64: 1, 0>}
    : (tensor<2x3xf32>) -> tensor<3x2xf32>
  %1 = moe.slice %0 <2, 0> {steps = array<i64: -1, 1>}
    : (tensor<3x2xf32>) -> tensor<2x2xf32>
  %2 = moe.cast %1 : (tensor<2x2xf32>) -> tensor<2x2xf16>
  %3 = moe.concat %a, %b {axis = 0 : i64}
    : (tensor<2x3xf32>, tensor<2x3xf32>) -> tensor<4x3xf32>
  %4 = moe.slice %3 <3, 0> {steps = array<i64: 1, 1>}
    : (tensor<4x3xf32>) -> tensor<1x3xf32>
  return %0, %2, %4 : tensor<3x2xf32>, tensor<2x2xf16>, tensor<1x3xf32>
}

// Entries of a weight in another order, one of them twice.
// CHECK-LABEL: @taken
// CHECK: result 0: f32[1, 3] {{\[\[}}4, 1, 4]]
func.func @taken() -> tensor<1x3xf32> {
  %w = moe.param "w" <take [1, 2, 0, 2] (
    #moe.param<inline = dense<[[1.0, 2.0, 4.0]]> : tensor<1x3xf32>
      : tensor<1x3xf32>>) : tensor<1x3xf32>> : tensor<1x3xf32>
  return %w : tensor<1x3xf32>
}

// 0x21 = nibbles 1, 2 (low first), 0xF8 = 8, 15; minus 8: -7, -6, 0, 7; blocks
// of two with scales 1 and 0.5.
// CHECK-LABEL: @quantized
// CHECK: result 0: f32[1, 4] {{\[\[}}-7, -6, 0, 3.5]]
func.func @quantized() -> tensor<1x4xf32> {
  %w = moe.param "w" <dequantize [4, 2] (
    #moe.param<inline = dense<[[33, 248]]> : tensor<1x2xui8>
      : tensor<1x2xui8>>,
    #moe.param<inline = dense<[[1.0, 0.5]]> : tensor<1x2xf32>
      : tensor<1x2xf32>>) : tensor<1x4xf32>> : tensor<1x4xf32>
  return %w : tensor<1x4xf32>
}
