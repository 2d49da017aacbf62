// RUN: moe-opt %s --moe-unify-symbols | FileCheck %s
// RUN: moe-opt %s --moe-unify-symbols --moe-canonicalize-tensor \
// RUN:   | FileCheck %s --check-prefix=READ

// The mask [m, n] is read at (b, t) for b < batch and t < past + seq.
// CHECK-LABEL: func.func @padding_mask
// CHECK-SAME: (%[[M:.*]]: tensor<?x?xi1, #moe.dims<batch, past + seq>>)
// CHECK-SAME: moe.data_symbols = {d0 = "batch"}
// CHECK: moe.shape <batch, 3> : tensor<2xi64>
// READ-LABEL: func.func @padding_mask
// READ: moe.reshape %{{.*}} : (tensor<?x?xi1, #moe.dims<batch, past + seq>>) -> tensor<?x1x1x?xi1, #moe.dims<batch, 1, 1, past + seq>>
// READ-NOT: moe.gather_nd
func.func @padding_mask(%mask: tensor<?x?xi1, #moe.dims<m, n>>) -> (tensor<?x1x1x?xi1, #moe.dims<batch, 1, 1, past + seq>>, tensor<2xi64>) attributes {moe.data_symbols = {d0 = "m"}} {
  %b = moe.iota <0> : tensor<?xi64, #moe.dims<batch>>
  %t = moe.iota <0> : tensor<?xi64, #moe.dims<past + seq>>
  %b5 = moe.reshape %b : (tensor<?xi64, #moe.dims<batch>>) -> tensor<?x1x1x1x1xi64, #moe.dims<batch, 1, 1, 1, 1>>
  %t5 = moe.reshape %t : (tensor<?xi64, #moe.dims<past + seq>>) -> tensor<1x1x1x?x1xi64, #moe.dims<1, 1, 1, past + seq, 1>>
  %bb = moe.broadcast %b5 : (tensor<?x1x1x1x1xi64, #moe.dims<batch, 1, 1, 1, 1>>) -> tensor<?x1x1x?x1xi64, #moe.dims<batch, 1, 1, past + seq, 1>>
  %tt = moe.broadcast %t5 : (tensor<1x1x1x?x1xi64, #moe.dims<1, 1, 1, past + seq, 1>>) -> tensor<?x1x1x?x1xi64, #moe.dims<batch, 1, 1, past + seq, 1>>
  %i = moe.concat %bb, %tt {axis = 4 : i64} : (tensor<?x1x1x?x1xi64, #moe.dims<batch, 1, 1, past + seq, 1>>, tensor<?x1x1x?x1xi64, #moe.dims<batch, 1, 1, past + seq, 1>>) -> tensor<?x1x1x?x2xi64, #moe.dims<batch, 1, 1, past + seq, 2>>
  %r = moe.gather_nd %mask, %i : (tensor<?x?xi1, #moe.dims<m, n>>, tensor<?x1x1x?x2xi64, #moe.dims<batch, 1, 1, past + seq, 2>>) -> tensor<?x1x1x?xi1, #moe.dims<batch, 1, 1, past + seq>>
  %s = moe.shape <m, 3> : tensor<2xi64>
  return %r, %s : tensor<?x1x1x?xi1, #moe.dims<batch, 1, 1, past + seq>>, tensor<2xi64>
}

// Both sizes are sums: neither symbol has a value.
// CHECK-LABEL: func.func @no_symbol
// CHECK-SAME: #moe.dims<a + b>
func.func @no_symbol(%x: tensor<?xf32, #moe.dims<a + b>>) -> tensor<?xf32, #moe.dims<c + d>> {
  %t = moe.iota <0> : tensor<?xi64, #moe.dims<c + d>>
  %t2 = moe.reshape %t : (tensor<?xi64, #moe.dims<c + d>>) -> tensor<?x1xi64, #moe.dims<c + d, 1>>
  %i = moe.concat %t2 {axis = 1 : i64} : (tensor<?x1xi64, #moe.dims<c + d, 1>>) -> tensor<?x1xi64, #moe.dims<c + d, 1>>
  %r = moe.gather_nd %x, %i : (tensor<?xf32, #moe.dims<a + b>>, tensor<?x1xi64, #moe.dims<c + d, 1>>) -> tensor<?xf32, #moe.dims<c + d>>
  return %r : tensor<?xf32, #moe.dims<c + d>>
}
