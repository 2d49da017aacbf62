// RUN: not moe-opt %s --moe-interpret="before=a after=b inputs=iota" 2>&1 | FileCheck %s --check-prefix=DIFFERS
// RUN: not moe-opt %s --moe-interpret="function=a dims=x" 2>&1 | FileCheck %s --check-prefix=DIMS
// RUN: not moe-opt %s --moe-interpret="function=none" 2>&1 | FileCheck %s --check-prefix=NONE
// RUN: not moe-opt %s --moe-interpret="after=a" 2>&1 | FileCheck %s --check-prefix=KEPT
// RUN: not moe-opt %s --moe-interpret="function=sized" 2>&1 | FileCheck %s --check-prefix=SIZED
// RUN: not moe-opt %s --moe-interpret="function=outside" 2>&1 | FileCheck %s --check-prefix=OUTSIDE
// RUN: not moe-opt %s --moe-interpret="function=bound dims=n:3" 2>&1 | FileCheck %s --check-prefix=BOUND
// RUN: not moe-opt %s --moe-interpret="function=unequal dims=a:2,b:3" 2>&1 | FileCheck %s --check-prefix=UNEQUAL

// DIFFERS: error: has result 0 that differs in 1 of 2 elements, first in element 1: found 2, expected 1; largest difference 1
func.func @a(%x: tensor<2xf32>) -> tensor<2xf32> {
  return %x : tensor<2xf32>
}
func.func @b(%x: tensor<2xf32>) -> tensor<2xf32> {
  %0 = moe.binary add %x, %x : (tensor<2xf32>, tensor<2xf32>) -> tensor<2xf32>
  return %0 : tensor<2xf32>
}

// DIMS: error: 'x' is not symbol:value
// NONE: error: there is no function 'none'
// KEPT: error: there is no 'before', and nothing was kept by moe-interpret-keep

// SIZED: batch
func.func @sized(%x: tensor<?xf32, #moe.dims<batch>>) {
  return
}

// OUTSIDE: error: reads or writes outside of its operand
func.func @outside(%x: tensor<2xf32>) -> tensor<1xf32> {
  %i = moe.constant dense<2> : tensor<1xi64> : tensor<1xi64>
  %0 = moe.gather %x, %i {axis = 0 : i64} : (tensor<2xf32>, tensor<1xi64>)
    -> tensor<1xf32>
  return %0 : tensor<1xf32>
}

// A part that does not exist for these sizes is found when it runs.
// UNEQUAL: error: reads or writes outside of its operand
func.func @unequal(%x: tensor<?xf32, #moe.dims<a>>)
    -> tensor<?xf32, #moe.dims<b>> {
  %0 = moe.slice %x <0> {steps = array<i64: 1>}
    : (tensor<?xf32, #moe.dims<a>>) -> tensor<?xf32, #moe.dims<b>>
  return %0 : tensor<?xf32, #moe.dims<b>>
}

// Buffers are sized by bounds, so a bound that does not hold is an error.
// BOUND: error: gives 'd0' the value 4, its bound n is 3
func.func @bound() attributes {moe.data_symbols = {d0 = "n"}} {
  %x = moe.constant dense<[1, 2, 3, 4]> : tensor<4xi64> : tensor<4xi64>
  %0 = moe.non_zero %x : (tensor<4xi64>) -> tensor<1x?xi64, #moe.dims<1, d0>>
  return
}
