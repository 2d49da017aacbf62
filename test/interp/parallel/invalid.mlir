// RUN: not moe-opt %s --moe-interpret="function=mingled dims=a:2" 2>&1 | FileCheck %s --check-prefix=MINGLED
// RUN: not moe-opt %s --moe-interpret="function=uneven dims=a:2" 2>&1 | FileCheck %s --check-prefix=UNEVEN
// RUN: not moe-opt %s --moe-interpret="function=circular" 2>&1 | FileCheck %s --check-prefix=CIRCULAR
// RUN: not moe-opt %s --moe-interpret="function=replicated dims=a:4" 2>&1 | FileCheck %s --check-prefix=REPLICATED
// RUN: not moe-opt %s --moe-interpret="before=kept after=partial dims=a:4" 2>&1 | FileCheck %s --check-prefix=PARTIAL
// RUN: not moe-opt %s --moe-interpret="function=replicated ranks=8 dims=a:4" 2>&1 | FileCheck %s --check-prefix=PLACED
// RUN: not moe-opt %s --moe-interpret="function=replicated ranks=1000 dims=a:4" 2>&1 | FileCheck %s --check-prefix=RANKS

module attributes {moe.mesh = #moe.mesh<dp = 1, ep = 2, tp = 2>} {

// MINGLED: error: has a dimension of a.local * h.local elements, in which two groups of ranks mingle
func.func @mingled(%x: tensor<?xf32, #moe.dims<a.local * h.local>>) attributes {
    moe.local_symbols = {"a.local" = "a", "h.local" = "4"},
    moe.symbol_groups = {"h.local" = "tp"}} {
  return
}

// UNEVEN: error: has a dimension of a.local + 1 elements, which ranks do not divide evenly
func.func @uneven(%x: tensor<?xf32, #moe.dims<1 + a.local>>) attributes {
    moe.local_symbols = {"a.local" = "a"}} {
  return
}

// CIRCULAR: error: has local symbols that are parts of each other, 'a.local' among them
func.func @circular() attributes {
    moe.local_symbols = {"a.local" = "b.local", "b.local" = "a.local"}} {
  return
}

// REPLICATED: error: is replicated, but has rows or counts that differ by rank
// PLACED: error: is placed on 2 ranks, but runs on 8
// RANKS: error: cannot run on 1000 ranks, expected 1 to 256
func.func @replicated(%x: tensor<?x1xf32, #moe.dims<a.local, 1>>,
                      %e: tensor<?x1xi32, #moe.dims<a.local, 1>>)
    attributes {moe.local_symbols = {"a.local" = "a"}} {
  %rows, %counts, %slots = moe.dispatch %x, %e {num_experts = 8 : i64}
    : (tensor<?x1xf32, #moe.dims<a.local, 1>>,
       tensor<?x1xi32, #moe.dims<a.local, 1>>)
    -> (tensor<?x1xf32, #moe.dims<d0, 1>>, tensor<8xi32>,
        tensor<?x1xi32, #moe.dims<a.local, 1>>)
  %received, %local, %route = moe.all_to_all %rows, %counts
    {placement = #moe.placement<2 [[0], [0], [0], [0], [1], [1], [1], [1]]>,
     form = #moe<exchange_form replicated>}
    : (tensor<?x1xf32, #moe.dims<d0, 1>>, tensor<8xi32>)
    -> (tensor<?x1xf32, #moe.dims<d1, 1>>, tensor<4xi32>, tensor<2x8xi32>)
  return
}

// A partial sum that nobody added up.
func.func @kept(%x: tensor<?xf32, #moe.dims<a>>) -> tensor<1xf32> {
  %0 = moe.reduce sum %x {axes = array<i64: 0>, keepdims = true}
    : (tensor<?xf32, #moe.dims<a>>) -> tensor<1xf32>
  return %0 : tensor<1xf32>
}
// PARTIAL: error: has result 0 that differs by rank
func.func @partial(%x: tensor<?xf32, #moe.dims<a.local>>) -> tensor<1xf32>
    attributes {moe.local_symbols = {"a.local" = "a"},
                moe.symbol_groups = {"a.local" = "tp"}} {
  %0 = moe.reduce sum %x {axes = array<i64: 0>, keepdims = true}
    : (tensor<?xf32, #moe.dims<a.local>>) -> tensor<1xf32>
  return %0 : tensor<1xf32>
}

}
