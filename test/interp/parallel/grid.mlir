// RUN: moe-opt %s -o /dev/null \
// RUN:   --moe-interpret="function=grid dims=batch:5 inputs=iota" \
// RUN:   --moe-interpret="function=grid ranks=3 dims=batch:5 inputs=iota" \
// RUN:   | FileCheck %s

// What a rank has follows from types: rank o * 2 + t has the rows of o and the
// columns of t. With another number of ranks than the mesh has, all ranks own
// rows, and symbols over tp have one part, the whole.

#locals = {"batch.local" = "batch", "heads.local" = "3",
           "tokens.local" = "2 * batch.local"}
#groups = {"heads.local" = "tp", "tokens.local" = "tp"}
!x = tensor<?x?xi64, #moe.dims<batch.local, heads.local>>
!y = tensor<?xi64, #moe.dims<tokens.local>>
!size = tensor<2xi64>

module attributes {moe.mesh = #moe.mesh<dp = 2, ep = 1, tp = 2>} {

// Sizes of batch.local and tokens.local, and the sums of the two arguments over
// the ranks of each group.
// CHECK-LABEL: @grid
// CHECK: result 0: differs by rank
// CHECK-NEXT: rank 0: i64[3] [2, 1, 2]
// CHECK-NEXT: rank 1: i64[3] [2, 2, 2]
// CHECK-NEXT: rank 2: i64[3] [3, 1, 3]
// CHECK-NEXT: rank 3: i64[3] [3, 2, 3]
// Rows 0, 1 of [[0, 1, 2], [3, 4, 5], ...], columns 0 and 1, 2.
// CHECK: result 1: differs by rank
// CHECK-NEXT: rank 0: i64[] 3
// CHECK-NEXT: rank 1: i64[] 12
// CHECK-NEXT: rank 2: i64[] 27
// CHECK-NEXT: rank 3: i64[] 63
// Over tp: 3 + 12 and 27 + 63; over rows: 3 + 27 and 12 + 63; over all: 105.
// CHECK: result 2: differs by rank
// CHECK-NEXT: rank 0: i64[] 15
// CHECK-NEXT: rank 1: i64[] 15
// CHECK-NEXT: rank 2: i64[] 90
// CHECK-NEXT: rank 3: i64[] 90
// CHECK: result 3: differs by rank
// CHECK-NEXT: rank 0: i64[] 30
// CHECK-NEXT: rank 1: i64[] 75
// CHECK-NEXT: rank 2: i64[] 30
// CHECK-NEXT: rank 3: i64[] 75
// CHECK: result 4: i64[] 105
// Joined again, the arguments are what they were.
// CHECK: result 5: i64[5, 3] {{\[\[}}0, 1, 2], [3, 4, 5], [6, 7, 8], [9, 10, 11], [12, 13, 14]]
// CHECK: result 6: i64[10] [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]
// Of three owners, one, two and two rows.
// CHECK-LABEL: @grid
// CHECK: rank 0: i64[3] [1, 3, 2]
// CHECK: rank 2: i64[3] [2, 3, 4]
func.func @grid(%x: !x, %y: !y)
    -> (tensor<3xi64>, tensor<i64>, tensor<i64>, tensor<i64>, tensor<i64>,
        !x, !y)
    attributes {moe.local_symbols = #locals, moe.symbol_groups = #groups} {
  %sizes = moe.shape <batch.local, heads.local, tokens.local> : tensor<3xi64>
  %sum = moe.reduce sum %x {axes = array<i64: 0, 1>, keepdims = false}
    : (!x) -> tensor<i64>
  %tp = moe.all_reduce sum %sum {group = #moe<comm_group tp>}
    : (tensor<i64>) -> tensor<i64>
  %rows = moe.all_reduce sum %sum : (tensor<i64>) -> tensor<i64>
  %world = moe.all_reduce sum %sum {group = #moe<comm_group world>}
    : (tensor<i64>) -> tensor<i64>
  return %sizes, %sum, %tp, %rows, %world, %x, %y
    : tensor<3xi64>, tensor<i64>, tensor<i64>, tensor<i64>, tensor<i64>, !x, !y
}

}
