// RUN: moe-opt %s --moe-place-experts=ranks=3 --moe-distribute \
// RUN:   --moe-verify-distributed --remarks-filter=moe-place-experts 2>&1 \
// RUN:   | FileCheck %s
// RUN: moe-opt %s -o /dev/null --moe-interpret-keep \
// RUN:   --moe-place-experts=ranks=3 --moe-distribute \
// RUN:   --moe-interpret="after=chosen dims=batch:6"

// Ranks cannot divide a number of tokens that only values tell: all of them
// route all tokens.

// CHECK: every rank routes all n tokens: only values tell how many there are
// CHECK: n = "batch", r = "2 * batch", r.received = "batch"
// CHECK: moe.all_to_all %{{.*}} {form = #moe<exchange_form replicated>, placement = #moe.placement<3 {{\[\[}}0], [1], [2]]>}

func.func @chosen(%x: tensor<?x4xf32, #moe.dims<batch, 4>>,
                  %mask: tensor<?xi1, #moe.dims<batch>>,
                  %wg: tensor<4x3xf32>)
    -> tensor<?x4xf32, #moe.dims<batch, 4>>
    attributes {moe.data_symbols = {n = "batch", r = "2 * n"}} {
  %w1 = moe.param <file "weights" [0, 384] : tensor<3x4x8xf32>> : tensor<3x4x8xf32>
  %w2 = moe.param <file "weights" [384, 384] : tensor<3x8x4xf32>> : tensor<3x8x4xf32>
  %i = moe.non_zero %mask : (tensor<?xi1, #moe.dims<batch>>) -> tensor<1x?xi64, #moe.dims<1, n>>
  %places = moe.reshape %i : (tensor<1x?xi64, #moe.dims<1, n>>) -> tensor<?x1xi64, #moe.dims<n, 1>>
  %t = moe.gather_nd %x, %places {batch_dims = 0 : i64} : (tensor<?x4xf32, #moe.dims<batch, 4>>, tensor<?x1xi64, #moe.dims<n, 1>>) -> tensor<?x4xf32, #moe.dims<n, 4>>
  %logits = moe.matmul %t, %wg : (tensor<?x4xf32, #moe.dims<n, 4>>, tensor<4x3xf32>) -> tensor<?x3xf32, #moe.dims<n, 3>>
  %w, %e = moe.gate %logits {k = 2 : i64} : (tensor<?x3xf32, #moe.dims<n, 3>>) -> (tensor<?x2xf32, #moe.dims<n, 2>>, tensor<?x2xi32, #moe.dims<n, 2>>)
  %rows, %counts, %slots = moe.dispatch %t, %e {num_experts = 3 : i64} : (tensor<?x4xf32, #moe.dims<n, 4>>, tensor<?x2xi32, #moe.dims<n, 2>>) -> (tensor<?x4xf32, #moe.dims<r, 4>>, tensor<3xi32>, tensor<?x2xi32, #moe.dims<n, 2>>)
  %y = moe.experts relu %rows, %counts w1 %w1 w2 %w2 : (tensor<?x4xf32, #moe.dims<r, 4>>, tensor<3xi32>, tensor<3x4x8xf32>, tensor<3x8x4xf32>) -> tensor<?x4xf32, #moe.dims<r, 4>>
  %z = moe.combine %y, %slots, %w : (tensor<?x4xf32, #moe.dims<r, 4>>, tensor<?x2xi32, #moe.dims<n, 2>>, tensor<?x2xf32, #moe.dims<n, 2>>) -> tensor<?x4xf32, #moe.dims<n, 4>>
  %all = moe.scatter_nd %x, %places, %z : (tensor<?x4xf32, #moe.dims<batch, 4>>, tensor<?x1xi64, #moe.dims<n, 1>>, tensor<?x4xf32, #moe.dims<n, 4>>) -> tensor<?x4xf32, #moe.dims<batch, 4>>
  return %all : tensor<?x4xf32, #moe.dims<batch, 4>>
}
