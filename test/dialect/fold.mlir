// RUN: moe-opt %s --canonicalize --split-input-file | FileCheck %s

!x = tensor<?x4xf32, #moe.dims<batch, 4>>

// CHECK-LABEL: @add_zero
// CHECK-SAME: (%[[X:.*]]: tensor
// CHECK-NEXT: return %[[X]]
func.func @add_zero(%x: !x) -> !x {
  %zero = moe.constant dense<0.0> : tensor<f32> : tensor<f32>
  %0 = moe.binary add %zero, %x : (tensor<f32>, !x) -> !x
  return %0 : !x
}

// CHECK-LABEL: @multiply_by_one
// CHECK-SAME: (%[[X:.*]]: tensor
// CHECK-NEXT: return %[[X]]
func.func @multiply_by_one(%x: !x) -> !x {
  %one = moe.constant dense<1.0> : tensor<4xf32> : tensor<4xf32>
  %0 = moe.binary mul %x, %one : (!x, tensor<4xf32>) -> !x
  return %0 : !x
}

// A zero that stretches x is no identity.
// CHECK-LABEL: @add_zeros_that_broadcast
// CHECK: moe.binary add
func.func @add_zeros_that_broadcast(%x: tensor<1x4xf32>) -> tensor<3x4xf32> {
  %zero = moe.constant dense<0.0> : tensor<3x1xf32> : tensor<3x1xf32>
  %0 = moe.binary add %x, %zero : (tensor<1x4xf32>, tensor<3x1xf32>)
    -> tensor<3x4xf32>
  return %0 : tensor<3x4xf32>
}

// CHECK-LABEL: @subtract_from_zero_stays
// CHECK: moe.binary sub
func.func @subtract_from_zero_stays(%x: !x) -> !x {
  %zero = moe.constant dense<0.0> : tensor<f32> : tensor<f32>
  %0 = moe.binary sub %zero, %x : (tensor<f32>, !x) -> !x
  return %0 : !x
}

// CHECK-LABEL: @integers
// Truncates: -7 / 2 = -3; sign of the divisor: -7 mod 2 = 1; of the dividend:
// -7 fmod 2 = -1; 2 ^ 10 wraps in i8 to 0.
// CHECK-DAG: %[[DIV:.*]] = moe.constant dense<-3> : tensor<i64>
// CHECK-DAG: %[[MOD:.*]] = moe.constant dense<1> : tensor<i64>
// CHECK-DAG: %[[FMOD:.*]] = moe.constant dense<-1> : tensor<i64>
// CHECK-DAG: %[[POW:.*]] = moe.constant dense<0> : tensor<i8>
// CHECK: return %[[DIV]], %[[MOD]], %[[FMOD]], %[[POW]]
func.func @integers() -> (tensor<i64>, tensor<i64>, tensor<i64>, tensor<i8>) {
  %a = moe.constant dense<-7> : tensor<i64> : tensor<i64>
  %b = moe.constant dense<2> : tensor<i64> : tensor<i64>
  %c = moe.constant dense<2> : tensor<i8> : tensor<i8>
  %d = moe.constant dense<10> : tensor<i8> : tensor<i8>
  %0 = moe.binary div %a, %b : (tensor<i64>, tensor<i64>) -> tensor<i64>
  %1 = moe.binary mod %a, %b : (tensor<i64>, tensor<i64>) -> tensor<i64>
  %2 = moe.binary fmod %a, %b : (tensor<i64>, tensor<i64>) -> tensor<i64>
  %3 = moe.binary pow %c, %d : (tensor<i8>, tensor<i8>) -> tensor<i8>
  return %0, %1, %2, %3
    : tensor<i64>, tensor<i64>, tensor<i64>, tensor<i8>
}

// CHECK-LABEL: @division_by_zero_stays
// CHECK: moe.binary div
func.func @division_by_zero_stays() -> tensor<i64> {
  %a = moe.constant dense<7> : tensor<i64> : tensor<i64>
  %b = moe.constant dense<0> : tensor<i64> : tensor<i64>
  %0 = moe.binary div %a, %b : (tensor<i64>, tensor<i64>) -> tensor<i64>
  return %0 : tensor<i64>
}

// CHECK-LABEL: @unsigned
// 200 - 100 does not wrap, 100 - 200 = -100 = 156 in ui8.
// CHECK: moe.constant dense<[100, 156]> : tensor<2xui8>
func.func @unsigned() -> tensor<2xui8> {
  %a = moe.constant dense<[200, 100]> : tensor<2xui8> : tensor<2xui8>
  %b = moe.constant dense<[100, 200]> : tensor<2xui8> : tensor<2xui8>
  %0 = moe.binary sub %a, %b : (tensor<2xui8>, tensor<2xui8>)
    -> tensor<2xui8>
  return %0 : tensor<2xui8>
}

// CHECK-LABEL: @compare_and_select
// CHECK: moe.constant dense<[1.000000e+00, 5.000000e+00]> : tensor<2xf32>
func.func @compare_and_select() -> tensor<2xf32> {
  %a = moe.constant dense<[1.0, 7.0]> : tensor<2xf32> : tensor<2xf32>
  %b = moe.constant dense<5.0> : tensor<f32> : tensor<f32>
  %0 = moe.compare lt %a, %b : (tensor<2xf32>, tensor<f32>) -> tensor<2xi1>
  %1 = moe.select %0, %a, %b : (tensor<2xi1>, tensor<2xf32>, tensor<f32>)
    -> tensor<2xf32>
  return %1 : tensor<2xf32>
}

// CHECK-LABEL: @casts
// 1 + 2^-11 lies between two f16 values and rounds to even.
// CHECK-DAG: moe.constant dense<1.000000e+00> : tensor<f16>
// CHECK-DAG: moe.constant dense<-2> : tensor<i64>
// CHECK-DAG: moe.constant dense<true> : tensor<i1>
func.func @casts() -> (tensor<f16>, tensor<i64>, tensor<i1>) {
  %a = moe.constant dense<1.00048828125> : tensor<f32> : tensor<f32>
  %b = moe.constant dense<-2.75> : tensor<f32> : tensor<f32>
  %0 = moe.cast %a : (tensor<f32>) -> tensor<f16>
  %1 = moe.cast %b : (tensor<f32>) -> tensor<i64>
  %2 = moe.cast %b : (tensor<f32>) -> tensor<i1>
  return %0, %1, %2 : tensor<f16>, tensor<i64>, tensor<i1>
}

// CHECK-LABEL: @select_decided
// CHECK-SAME: (%[[X:.*]]: tensor<{{.*}}>, %{{.*}}: tensor
// CHECK-NEXT: return %[[X]]
func.func @select_decided(%x: !x, %y: !x) -> !x {
  %true = moe.constant dense<true> : tensor<i1> : tensor<i1>
  %0 = moe.select %true, %x, %y : (tensor<i1>, !x, !x) -> !x
  return %0 : !x
}

// CHECK-LABEL: @sizes
// CHECK-DAG: moe.constant dense<[2, 12]> : tensor<2xi64>
// CHECK-DAG: moe.shape <batch> : tensor<i64>
func.func @sizes() -> (tensor<2xi64>, tensor<i64>) {
  %0 = moe.shape <2, 3 * 4> : tensor<2xi64>
  %1 = moe.shape <batch> : tensor<i64>
  return %0, %1 : tensor<2xi64>, tensor<i64>
}

// CHECK-LABEL: @positions
// CHECK: moe.constant dense<[3, 5, 7]> : tensor<3xi64>
func.func @positions() -> tensor<3xi64> {
  %0 = moe.iota <3> {step = 2 : i64} : tensor<3xi64>
  return %0 : tensor<3xi64>
}

// CHECK-LABEL: @moves
// CHECK-DAG: moe.constant dense<{{\[\[}}1, 3], [2, 4{{\]\]}}> : tensor<2x2xi64>
// CHECK-DAG: moe.constant dense<[4, 3, 1]> : tensor<3xi64>
// CHECK-DAG: moe.constant dense<[4, 2]> : tensor<2xi64>
// CHECK-DAG: moe.constant dense<[1, 2, 3, 4, 1, 2, 3, 4]> : tensor<8xi64>
// CHECK-DAG: moe.constant dense<[3, 7]> : tensor<2xi64>
func.func @moves() -> (tensor<2x2xi64>, tensor<3xi64>, tensor<2xi64>,
                       tensor<8xi64>, tensor<2xi64>) {
  %a = moe.constant dense<[1, 2, 3, 4]> : tensor<4xi64> : tensor<4xi64>
  %i = moe.constant dense<[-1, 2, 0]> : tensor<3xi64> : tensor<3xi64>
  %0 = moe.reshape %a : (tensor<4xi64>) -> tensor<2x2xi64>
  %1 = moe.transpose %0 {permutation = array<i64: 1, 0>}
    : (tensor<2x2xi64>) -> tensor<2x2xi64>
  %2 = moe.gather %a, %i {axis = 0 : i64}
    : (tensor<4xi64>, tensor<3xi64>) -> tensor<3xi64>
  %3 = moe.slice %a <3> {steps = array<i64: -2>} : (tensor<4xi64>)
    -> tensor<2xi64>
  %4 = moe.concat %a, %a {axis = 0 : i64} : (tensor<4xi64>, tensor<4xi64>)
    -> tensor<8xi64>
  %5 = moe.reduce sum %0 {axes = array<i64: 1>, keepdims = false}
    : (tensor<2x2xi64>) -> tensor<2xi64>
  return %1, %2, %3, %4, %5 : tensor<2x2xi64>, tensor<3xi64>, tensor<2xi64>,
    tensor<8xi64>, tensor<2xi64>
}

// What would not fit into a constant stays an operation.
// CHECK-LABEL: @large_broadcast_stays
// CHECK: moe.broadcast
func.func @large_broadcast_stays() -> tensor<1024xf32> {
  %a = moe.constant dense<1.0> : tensor<1xf32> : tensor<1xf32>
  %0 = moe.broadcast %a : (tensor<1xf32>) -> tensor<1024xf32>
  return %0 : tensor<1024xf32>
}

// CHECK-LABEL: @chains
// CHECK-SAME: (%[[X:.*]]: tensor
// CHECK-NEXT: return %[[X]], %[[X]], %[[X]]
func.func @chains(%x: !x) -> (!x, !x, !x) {
  %0 = moe.reshape %x : (!x) -> tensor<?xf32, #moe.dims<4 * batch>>
  %1 = moe.reshape %0 : (tensor<?xf32, #moe.dims<4 * batch>>) -> !x
  %2 = moe.transpose %x {permutation = array<i64: 1, 0>} : (!x)
    -> tensor<4x?xf32, #moe.dims<4, batch>>
  %3 = moe.transpose %2 {permutation = array<i64: 1, 0>}
    : (tensor<4x?xf32, #moe.dims<4, batch>>) -> !x
  %4 = moe.slice %x <0, 0> {steps = array<i64: 1, 1>} : (!x) -> !x
  return %1, %3, %4 : !x, !x, !x
}
