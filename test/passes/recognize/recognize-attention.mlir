// RUN: moe-opt %s --moe-recognize-attention | FileCheck %s
// RUN: moe-opt %s --moe-interpret-keep --moe-recognize-attention \
// RUN:   --moe-interpret="after=masked" -o /dev/null
// RUN: moe-opt %s --moe-interpret-keep --moe-recognize-attention \
// RUN:   --moe-interpret="after=grouped dims=batch:2,seq:3" -o /dev/null
// RUN: moe-opt %s --moe-interpret-keep --moe-recognize-attention \
// RUN:   --moe-interpret="after=added_mask_and_rows" -o /dev/null
// RUN: moe-opt %s --moe-interpret-keep --moe-recognize-attention \
// RUN:   --moe-interpret="after=sink" -o /dev/null
// RUN: moe-opt %s --moe-interpret-keep --moe-recognize-attention \
// RUN:   --moe-interpret="after=softcap" -o /dev/null

// Hidden scores are replaced; the keys are transposed.
// CHECK-LABEL: func.func @masked
// CHECK-SAME: (%[[Q:.*]]: tensor<1x4x3x8xf32>, %[[K:.*]]: tensor<1x4x5x8xf32>, %[[V:.*]]: tensor<1x4x5x8xf32>, %[[M:.*]]: tensor<1x1x3x5xi1>)
// CHECK-NEXT: %[[Y:.*]] = moe.attention %[[Q]], %[[K]], %[[V]] mask %[[M]] {mask_fill = -1.000000e+09 : f32, scale = 2.500000e-01 : f32}
// CHECK-NEXT: return %[[Y]]
func.func @masked(%q: tensor<1x4x3x8xf32>, %k: tensor<1x4x5x8xf32>, %v: tensor<1x4x5x8xf32>, %m: tensor<1x1x3x5xi1>) -> tensor<1x4x3x8xf32> {
  %scale = moe.constant dense<0.25> : tensor<f32> : tensor<f32>
  %hidden = moe.constant dense<-1.0e9> : tensor<f32> : tensor<f32>
  %kt = moe.transpose %k {permutation = array<i64: 0, 1, 3, 2>} : (tensor<1x4x5x8xf32>) -> tensor<1x4x8x5xf32>
  %s = moe.matmul %q, %kt : (tensor<1x4x3x8xf32>, tensor<1x4x8x5xf32>) -> tensor<1x4x3x5xf32>
  %0 = moe.binary mul %s, %scale : (tensor<1x4x3x5xf32>, tensor<f32>) -> tensor<1x4x3x5xf32>
  %1 = moe.select %m, %0, %hidden : (tensor<1x1x3x5xi1>, tensor<1x4x3x5xf32>, tensor<f32>) -> tensor<1x4x3x5xf32>
  %p = moe.softmax %1 {axis = 3 : i64} : (tensor<1x4x3x5xf32>) -> tensor<1x4x3x5xf32>
  %y = moe.matmul %p, %v : (tensor<1x4x3x5xf32>, tensor<1x4x5x8xf32>) -> tensor<1x4x3x8xf32>
  return %y : tensor<1x4x3x8xf32>
}

// Two heads of keys for four of queries, repeated by broadcasts; scaled on both
// sides (0.5 * 0.5); the keys are transposed behind a reshape.
// CHECK-LABEL: func.func @grouped
// CHECK-SAME: (%[[Q:.*]]: tensor<?x4x?x8xf32, {{.*}}>, %[[K:.*]]: tensor<?x2x?x8xf32, {{.*}}>, %[[V:.*]]: tensor<?x2x?x8xf32, {{.*}}>)
// CHECK-NEXT: moe.attention %[[Q]], %[[K]], %[[V]] {scale = 2.500000e-01 : f32}
func.func @grouped(%q: tensor<?x4x?x8xf32, #moe.dims<batch, 4, seq, 8>>, %k: tensor<?x2x?x8xf32, #moe.dims<batch, 2, seq, 8>>, %v: tensor<?x2x?x8xf32, #moe.dims<batch, 2, seq, 8>>) -> tensor<?x4x?x8xf32, #moe.dims<batch, 4, seq, 8>> {
  %half = moe.constant dense<0.5> : tensor<f32> : tensor<f32>
  %k1 = moe.reshape %k : (tensor<?x2x?x8xf32, #moe.dims<batch, 2, seq, 8>>) -> tensor<?x2x1x?x8xf32, #moe.dims<batch, 2, 1, seq, 8>>
  %k2 = moe.broadcast %k1 : (tensor<?x2x1x?x8xf32, #moe.dims<batch, 2, 1, seq, 8>>) -> tensor<?x2x2x?x8xf32, #moe.dims<batch, 2, 2, seq, 8>>
  %k3 = moe.reshape %k2 : (tensor<?x2x2x?x8xf32, #moe.dims<batch, 2, 2, seq, 8>>) -> tensor<?x?x8xf32, #moe.dims<4 * batch, seq, 8>>
  %k4 = moe.transpose %k3 {permutation = array<i64: 0, 2, 1>} : (tensor<?x?x8xf32, #moe.dims<4 * batch, seq, 8>>) -> tensor<?x8x?xf32, #moe.dims<4 * batch, 8, seq>>
  %k5 = moe.reshape %k4 : (tensor<?x8x?xf32, #moe.dims<4 * batch, 8, seq>>) -> tensor<?x4x8x?xf32, #moe.dims<batch, 4, 8, seq>>
  %v1 = moe.reshape %v : (tensor<?x2x?x8xf32, #moe.dims<batch, 2, seq, 8>>) -> tensor<?x2x1x?x8xf32, #moe.dims<batch, 2, 1, seq, 8>>
  %v2 = moe.broadcast %v1 : (tensor<?x2x1x?x8xf32, #moe.dims<batch, 2, 1, seq, 8>>) -> tensor<?x2x2x?x8xf32, #moe.dims<batch, 2, 2, seq, 8>>
  %v3 = moe.reshape %v2 : (tensor<?x2x2x?x8xf32, #moe.dims<batch, 2, 2, seq, 8>>) -> tensor<?x4x?x8xf32, #moe.dims<batch, 4, seq, 8>>
  %q1 = moe.binary mul %q, %half : (tensor<?x4x?x8xf32, #moe.dims<batch, 4, seq, 8>>, tensor<f32>) -> tensor<?x4x?x8xf32, #moe.dims<batch, 4, seq, 8>>
  %k6 = moe.binary mul %k5, %half : (tensor<?x4x8x?xf32, #moe.dims<batch, 4, 8, seq>>, tensor<f32>) -> tensor<?x4x8x?xf32, #moe.dims<batch, 4, 8, seq>>
  %s = moe.matmul %q1, %k6 : (tensor<?x4x?x8xf32, #moe.dims<batch, 4, seq, 8>>, tensor<?x4x8x?xf32, #moe.dims<batch, 4, 8, seq>>) -> tensor<?x4x?x?xf32, #moe.dims<batch, 4, seq, seq>>
  %p = moe.softmax %s {axis = 3 : i64} : (tensor<?x4x?x?xf32, #moe.dims<batch, 4, seq, seq>>) -> tensor<?x4x?x?xf32, #moe.dims<batch, 4, seq, seq>>
  %y = moe.matmul %p, %v3 : (tensor<?x4x?x?xf32, #moe.dims<batch, 4, seq, seq>>, tensor<?x4x?x8xf32, #moe.dims<batch, 4, seq, 8>>) -> tensor<?x4x?x8xf32, #moe.dims<batch, 4, seq, 8>>
  return %y : tensor<?x4x?x8xf32, #moe.dims<batch, 4, seq, 8>>
}

// (not visible) * -3.4e38 is added, and rows that see nothing become zero: the
// same as a mask that hides with minus infinity.
// CHECK-LABEL: func.func @added_mask_and_rows
// CHECK-SAME: %[[M:[a-z0-9]*]]: tensor<1x1x3x5xi1>)
// CHECK: %[[Y:.*]] = moe.attention %{{.*}} mask %[[M]] {scale = 1.000000e+00 : f32}
// CHECK-NEXT: return %[[Y]]
func.func @added_mask_and_rows(%q: tensor<1x4x3x8xf32>, %k: tensor<1x4x5x8xf32>, %v: tensor<1x4x5x8xf32>, %m: tensor<1x1x3x5xi1>) -> tensor<1x4x3x8xf32> {
  %low = moe.constant dense<-3.40282347E+38> : tensor<f32> : tensor<f32>
  %one = moe.constant dense<1.0> : tensor<f32> : tensor<f32>
  %zero = moe.constant dense<0.0> : tensor<f32> : tensor<f32>
  %not = moe.unary not %m : (tensor<1x1x3x5xi1>) -> tensor<1x1x3x5xi1>
  %hidden = moe.cast %not : (tensor<1x1x3x5xi1>) -> tensor<1x1x3x5xf32>
  %added = moe.binary mul %hidden, %low : (tensor<1x1x3x5xf32>, tensor<f32>) -> tensor<1x1x3x5xf32>
  %seen = moe.cast %m : (tensor<1x1x3x5xi1>) -> tensor<1x1x3x5xf32>
  %count = moe.reduce sum %seen {axes = array<i64: 3>, keepdims = true} : (tensor<1x1x3x5xf32>) -> tensor<1x1x3x1xf32>
  %none = moe.compare lt %count, %one : (tensor<1x1x3x1xf32>, tensor<f32>) -> tensor<1x1x3x1xi1>
  %kt = moe.transpose %k {permutation = array<i64: 0, 1, 3, 2>} : (tensor<1x4x5x8xf32>) -> tensor<1x4x8x5xf32>
  %s = moe.matmul %q, %kt : (tensor<1x4x3x8xf32>, tensor<1x4x8x5xf32>) -> tensor<1x4x3x5xf32>
  %0 = moe.binary add %s, %added : (tensor<1x4x3x5xf32>, tensor<1x1x3x5xf32>) -> tensor<1x4x3x5xf32>
  %p = moe.softmax %0 {axis = 3 : i64} : (tensor<1x4x3x5xf32>) -> tensor<1x4x3x5xf32>
  %1 = moe.matmul %p, %v : (tensor<1x4x3x5xf32>, tensor<1x4x5x8xf32>) -> tensor<1x4x3x8xf32>
  %y = moe.select %none, %zero, %1 : (tensor<1x1x3x1xi1>, tensor<f32>, tensor<1x4x3x8xf32>) -> tensor<1x4x3x8xf32>
  return %y : tensor<1x4x3x8xf32>
}

// A column of scores without a value.
// CHECK-LABEL: func.func @sink
// CHECK-SAME: %[[S:[a-z0-9]*]]: tensor<1x4x1x1xf32>)
// CHECK: %[[H:.*]] = moe.reshape %[[S]] : (tensor<1x4x1x1xf32>) -> tensor<4xf32>
// CHECK: moe.attention %{{.*}} sink %[[H]]
func.func @sink(%q: tensor<2x4x3x8xf32>, %k: tensor<2x4x3x8xf32>, %v: tensor<2x4x3x8xf32>, %sink: tensor<1x4x1x1xf32>) -> tensor<2x4x3x8xf32> {
  %kt = moe.transpose %k {permutation = array<i64: 0, 1, 3, 2>} : (tensor<2x4x3x8xf32>) -> tensor<2x4x8x3xf32>
  %s = moe.matmul %q, %kt : (tensor<2x4x3x8xf32>, tensor<2x4x8x3xf32>) -> tensor<2x4x3x3xf32>
  %c = moe.broadcast %sink : (tensor<1x4x1x1xf32>) -> tensor<2x4x3x1xf32>
  %0 = moe.concat %s, %c {axis = 3 : i64} : (tensor<2x4x3x3xf32>, tensor<2x4x3x1xf32>) -> tensor<2x4x3x4xf32>
  %1 = moe.softmax %0 {axis = 3 : i64} : (tensor<2x4x3x4xf32>) -> tensor<2x4x3x4xf32>
  %p = moe.slice %1 <0, 0, 0, 0> {steps = array<i64: 1, 1, 1, 1>} : (tensor<2x4x3x4xf32>) -> tensor<2x4x3x3xf32>
  %y = moe.matmul %p, %v : (tensor<2x4x3x3xf32>, tensor<2x4x3x8xf32>) -> tensor<2x4x3x8xf32>
  return %y : tensor<2x4x3x8xf32>
}

// 30 tanh(s / 30)
// CHECK-LABEL: func.func @softcap
// CHECK: moe.attention %{{.*}} {scale = 5.000000e-01 : f32, softcap = 3.000000e+01 : f32}
func.func @softcap(%q: tensor<1x2x3x8xf32>, %k: tensor<1x2x3x8xf32>, %v: tensor<1x2x3x8xf32>) -> tensor<1x2x3x8xf32> {
  %half = moe.constant dense<0.5> : tensor<f32> : tensor<f32>
  %cap = moe.constant dense<30.0> : tensor<f32> : tensor<f32>
  %s = moe.matmul %q, %k {transpose_rhs = true} : (tensor<1x2x3x8xf32>, tensor<1x2x3x8xf32>) -> tensor<1x2x3x3xf32>
  %0 = moe.binary mul %s, %half : (tensor<1x2x3x3xf32>, tensor<f32>) -> tensor<1x2x3x3xf32>
  %1 = moe.binary div %0, %cap : (tensor<1x2x3x3xf32>, tensor<f32>) -> tensor<1x2x3x3xf32>
  %2 = moe.unary tanh %1 : (tensor<1x2x3x3xf32>) -> tensor<1x2x3x3xf32>
  %3 = moe.binary mul %2, %cap : (tensor<1x2x3x3xf32>, tensor<f32>) -> tensor<1x2x3x3xf32>
  %p = moe.softmax %3 {axis = 3 : i64} : (tensor<1x2x3x3xf32>) -> tensor<1x2x3x3xf32>
  %y = moe.matmul %p, %v : (tensor<1x2x3x3xf32>, tensor<1x2x3x8xf32>) -> tensor<1x2x3x8xf32>
  return %y : tensor<1x2x3x8xf32>
}

// The mask is added to scores that are scaled afterwards.
// CHECK-LABEL: func.func @mask_before_scale
// CHECK-NOT: moe.attention
// CHECK: return
func.func @mask_before_scale(%q: tensor<1x2x3x8xf32>, %k: tensor<1x2x3x8xf32>, %v: tensor<1x2x3x8xf32>, %m: tensor<3x3xf32>) -> tensor<1x2x3x8xf32> {
  %half = moe.constant dense<0.5> : tensor<f32> : tensor<f32>
  %s = moe.matmul %q, %k {transpose_rhs = true} : (tensor<1x2x3x8xf32>, tensor<1x2x3x8xf32>) -> tensor<1x2x3x3xf32>
  %0 = moe.binary add %s, %m : (tensor<1x2x3x3xf32>, tensor<3x3xf32>) -> tensor<1x2x3x3xf32>
  %1 = moe.binary mul %0, %half : (tensor<1x2x3x3xf32>, tensor<f32>) -> tensor<1x2x3x3xf32>
  %p = moe.softmax %1 {axis = 3 : i64} : (tensor<1x2x3x3xf32>) -> tensor<1x2x3x3xf32>
  %y = moe.matmul %p, %v : (tensor<1x2x3x3xf32>, tensor<1x2x3x8xf32>) -> tensor<1x2x3x8xf32>
  return %y : tensor<1x2x3x8xf32>
}

// A softmax over queries is no attention.
// CHECK-LABEL: func.func @softmax_over_queries
// CHECK-NOT: moe.attention
// CHECK: return
func.func @softmax_over_queries(%q: tensor<1x2x3x8xf32>, %k: tensor<1x2x3x8xf32>, %v: tensor<1x2x3x8xf32>) -> tensor<1x2x3x8xf32> {
  %s = moe.matmul %q, %k {transpose_rhs = true} : (tensor<1x2x3x8xf32>, tensor<1x2x3x8xf32>) -> tensor<1x2x3x3xf32>
  %p = moe.softmax %s {axis = 2 : i64} : (tensor<1x2x3x3xf32>) -> tensor<1x2x3x3xf32>
  %y = moe.matmul %p, %v : (tensor<1x2x3x3xf32>, tensor<1x2x3x8xf32>) -> tensor<1x2x3x8xf32>
  return %y : tensor<1x2x3x8xf32>
}
