// RUN: moe-opt %s | FileCheck %s

// Sizes are printed in normal form.
// CHECK-LABEL: @dims
// CHECK-SAME: #moe.dims<batch, past + seq, 128, ceildiv(seq, 16)>
// CHECK-SAME: #moe.dims<2 * batch * seq - 1>
// CHECK-SAME: #moe.dims<max(batch, seq)>
// CHECK-SAME: #moe.dims<batch.local>
func.func private @dims() attributes {
  a = #moe.dims<batch, seq + past, 128, ceildiv(seq, 16)>,
  b = #moe.dims<(batch + batch) * seq - 1>,
  c = #moe.dims<max(seq, batch)>,
  d = #moe.dims<batch.local>
}

// CHECK-LABEL: @params
// CHECK-SAME: #moe.param<file "a b.bin" [0, 16] : tensor<4xf32>>
// CHECK-SAME: #moe.param<fill = 1.000000e+00 : f32 : tensor<4xf32>>
// CHECK-SAME: #moe.param<inline = dense<[1, 2]> : tensor<2xi8> : tensor<2xi8>>
// CHECK-SAME: #moe.param<stack (#moe.param<{{.*}}>, #moe.param<{{.*}}>) : tensor<2x4xf32>>
func.func private @params() attributes {
  a = #moe.param<file "a b.bin" [0, 16]() : tensor<4xf32>>,
  b = #moe.param<fill = 1.0 : f32 : tensor<4xf32>>,
  c = #moe.param<inline = dense<[1, 2]> : tensor<2xi8> : tensor<2xi8>>,
  d = #moe.param<stack (#moe.param<file "w" [0, 16] : tensor<4xf32>>,
                        #moe.param<file "w" [16, 16] : tensor<4xf32>>)
                 : tensor<2x4xf32>>
}

// CHECK-LABEL: @placement
// CHECK-SAME: #moe.mesh<dp = 1, ep = 4, tp = 1>
// CHECK-SAME: #moe.placement<4 {{\[\[}}0], [0], [1], [2, 3{{\]\]}}>
// CHECK-SAME: #moe.placement<4 over tp {{\[\[}}0 + 1], [2 + 3{{\]\]}}>
// CHECK-SAME: #moe.placement<8 over world domains 2 {{\[\[}}0, 4], [1 + 2, 5 + 6{{\]\]}}>
func.func private @placement() attributes {
  a = #moe.mesh<dp = 1, ep = 4, tp = 1>,
  b = #moe.placement<4 [[0], [0], [1], [2, 3]]>,
  c = #moe.placement<4 over tp domains 1 [[0 + 1], [2 + 3]]>,
  d = #moe.placement<8 over world domains 2 [[0, 4], [1 + 2, 5 + 6]]>
}
