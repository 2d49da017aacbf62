// RUN: moe-opt %s -o /dev/null \
// RUN:   --moe-interpret="before=whole after=halves dims=tokens:7 max-integer=2" \
// RUN:   --moe-interpret="before=whole after=halves dims=tokens:1 max-integer=2" \
// RUN:   --moe-interpret="before=whole after=halves dims=tokens:0 max-integer=2"
// RUN: not moe-opt %s -o /dev/null --moe-interpret="function=unguarded" 2>&1 \
// RUN:   | FileCheck %s

// An operation whose guard is zero is skipped: here the second half of the
// tokens, where it is empty. Guards hold global symbols only, so that all ranks
// skip the same operations. What a skipped operation defines has no elements,
// or is read by skipped operations only: counts, which are 0 0 otherwise.

!x = tensor<?x4xf32, #moe.dims<tokens, 4>>
!e = tensor<?x1xi32, #moe.dims<tokens, 1>>
!x0 = tensor<?x4xf32, #moe.dims<ceildiv(tokens, 2), 4>>
!e0 = tensor<?x1xi32, #moe.dims<ceildiv(tokens, 2), 1>>
!x1 = tensor<?x4xf32, #moe.dims<tokens - ceildiv(tokens, 2), 4>>
!e1 = tensor<?x1xi32, #moe.dims<tokens - ceildiv(tokens, 2), 1>>
!rows = tensor<?x4xf32, #moe.dims<d0, 4>>
!rows1 = tensor<?x4xf32, #moe.dims<d1, 4>>
!w1 = tensor<2x4x3xf32>
!w2 = tensor<2x3x4xf32>
!counts = tensor<2xi32>

#half = #moe.dims<tokens - ceildiv(tokens, 2)>

func.func @whole(%x: !x, %e: !e, %w1: !w1, %w2: !w2) -> !x {
  %rows, %counts, %slots = moe.dispatch %x, %e {num_experts = 2 : i64}
    : (!x, !e) -> (!rows, !counts, !e)
  %y = moe.experts relu %rows, %counts w1 %w1 w2 %w2
    : (!rows, !counts, !w1, !w2) -> !rows
  %z = moe.combine %y, %slots : (!rows, !e) -> !x
  return %z : !x
}

func.func @halves(%x: !x, %e: !e, %w1: !w1, %w2: !w2) -> !x {
  %x0 = moe.slice %x <0, 0> {steps = array<i64: 1, 1>} : (!x) -> !x0
  %e0 = moe.slice %e <0, 0> {steps = array<i64: 1, 1>} : (!e) -> !e0
  %rows0, %counts0, %slots0 = moe.dispatch %x0, %e0 {num_experts = 2 : i64}
    : (!x0, !e0) -> (!rows, !counts, !e0)
  %y0 = moe.experts relu %rows0, %counts0 w1 %w1 w2 %w2
    : (!rows, !counts, !w1, !w2) -> !rows
  %z0 = moe.combine %y0, %slots0 : (!rows, !e0) -> !x0

  %x1 = moe.slice %x <ceildiv(tokens, 2), 0> {steps = array<i64: 1, 1>}
    : (!x) -> !x1
  %e1 = moe.slice %e <ceildiv(tokens, 2), 0> {steps = array<i64: 1, 1>}
    : (!e) -> !e1
  %rows1, %counts1, %slots1 = moe.dispatch %x1, %e1
    {num_experts = 2 : i64, moe.guard = #half}
    : (!x1, !e1) -> (!rows1, !counts, !e1)
  %y1 = moe.experts relu %rows1, %counts1 w1 %w1 w2 %w2 {moe.guard = #half}
    : (!rows1, !counts, !w1, !w2) -> !rows1
  %z1 = moe.combine %y1, %slots1 {moe.guard = #half} : (!rows1, !e1) -> !x1

  %z = moe.concat %z0, %z1 {axis = 0 : i64} : (!x0, !x1) -> !x
  return %z : !x
}

// CHECK: error: reads a value that was not computed
// CHECK: note: skipped, as its guard is zero; only results without elements may be read then
func.func @unguarded() -> tensor<2xi64> {
  %0 = moe.iota <0> {moe.guard = #moe.dims<0>} : tensor<2xi64>
  %1 = moe.binary add %0, %0 : (tensor<2xi64>, tensor<2xi64>) -> tensor<2xi64>
  return %1 : tensor<2xi64>
}
