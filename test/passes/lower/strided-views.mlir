// RUN: moe-opt %s --split-input-file --moe-fuse-elementwise --moe-lower-to-plan \
// RUN:   | FileCheck %s

// Queries, keys and values are read where the product wrote them, and the
// attention writes its rows where the next product reads them.

// CHECK: %[[QKV:.*]] = plan.buffer {{ *}}input "input0" f32 <b, s, 24>
// CHECK: %[[HEADS:.*]] = plan.buffer {{ *}}input "input0" f32 <b, s, 2, 12> of %[[QKV]]
// CHECK: plan.buffer {{ *}}input "input0" f32 <b, s, 2, 4> of %[[HEADS]] strides <24 * s, 24, 12, 1>
// CHECK: %[[Q:.*]] = plan.buffer {{ *}}input "input0" f32 <b, 2, s, 4> of %[[HEADS]] strides <24 * s, 12, 24, 1>
// CHECK: %[[K:.*]] = plan.buffer {{ *}}input "input0" f32 <b, 2, s, 4> of %[[HEADS]] offset "4" strides <24 * s, 12, 24, 1>
// CHECK: %[[V:.*]] = plan.buffer {{ *}}input "input0" f32 <b, 2, s, 4> of %[[HEADS]] offset "8" strides <24 * s, 12, 24, 1>
// CHECK: %[[ROWS:.*]] = plan.buffer {{ *}}arena f32 <b, s, 2, 4>
// CHECK: %[[OUT:.*]] = plan.buffer {{ *}}arena f32 <b, 2, s, 4> of %[[ROWS]] strides <8 * s, 4, 8, 1>
// CHECK: %[[MERGED:.*]] = plan.buffer {{ *}}arena f32 <b, s, 8> of %[[ROWS]]
// CHECK: plan.step "attention" ins(%[[Q]], %[[K]], %[[V]], {{.*}}) outs(%[[OUT]])
// CHECK-NEXT: plan.step "norm" ins(%[[MERGED]]
func.func @main(%qkv: tensor<?x?x24xf32, #moe.dims<b, s, 24>>) -> tensor<?x?x8xf32, #moe.dims<b, s, 8>> {
  %0 = moe.reshape %qkv : (tensor<?x?x24xf32, #moe.dims<b, s, 24>>) -> tensor<?x?x2x12xf32, #moe.dims<b, s, 2, 12>>
  %1 = moe.slice %0 <0, 0, 0, 0> {steps = array<i64: 1, 1, 1, 1>} : (tensor<?x?x2x12xf32, #moe.dims<b, s, 2, 12>>) -> tensor<?x?x2x4xf32, #moe.dims<b, s, 2, 4>>
  %2 = moe.slice %0 <0, 0, 0, 4> {steps = array<i64: 1, 1, 1, 1>} : (tensor<?x?x2x12xf32, #moe.dims<b, s, 2, 12>>) -> tensor<?x?x2x4xf32, #moe.dims<b, s, 2, 4>>
  %3 = moe.slice %0 <0, 0, 0, 8> {steps = array<i64: 1, 1, 1, 1>} : (tensor<?x?x2x12xf32, #moe.dims<b, s, 2, 12>>) -> tensor<?x?x2x4xf32, #moe.dims<b, s, 2, 4>>
  %q = moe.transpose %1 {permutation = array<i64: 0, 2, 1, 3>} : (tensor<?x?x2x4xf32, #moe.dims<b, s, 2, 4>>) -> tensor<?x2x?x4xf32, #moe.dims<b, 2, s, 4>>
  %k = moe.transpose %2 {permutation = array<i64: 0, 2, 1, 3>} : (tensor<?x?x2x4xf32, #moe.dims<b, s, 2, 4>>) -> tensor<?x2x?x4xf32, #moe.dims<b, 2, s, 4>>
  %v = moe.transpose %3 {permutation = array<i64: 0, 2, 1, 3>} : (tensor<?x?x2x4xf32, #moe.dims<b, s, 2, 4>>) -> tensor<?x2x?x4xf32, #moe.dims<b, 2, s, 4>>
  %4 = moe.attention %q, %k, %v {scale = 1.0 : f32} : (tensor<?x2x?x4xf32, #moe.dims<b, 2, s, 4>>, tensor<?x2x?x4xf32, #moe.dims<b, 2, s, 4>>, tensor<?x2x?x4xf32, #moe.dims<b, 2, s, 4>>) -> tensor<?x2x?x4xf32, #moe.dims<b, 2, s, 4>>
  %5 = moe.transpose %4 {permutation = array<i64: 0, 2, 1, 3>} : (tensor<?x2x?x4xf32, #moe.dims<b, 2, s, 4>>) -> tensor<?x?x2x4xf32, #moe.dims<b, s, 2, 4>>
  %6 = moe.reshape %5 : (tensor<?x?x2x4xf32, #moe.dims<b, s, 2, 4>>) -> tensor<?x?x8xf32, #moe.dims<b, s, 8>>
  %7 = moe.norm layer %6 {axis = 2 : i64, epsilon = 1.0e-5 : f32} : (tensor<?x?x8xf32, #moe.dims<b, s, 8>>) -> tensor<?x?x8xf32, #moe.dims<b, s, 8>>
  func.return %7 : tensor<?x?x8xf32, #moe.dims<b, s, 8>>
}

// -----

// A kernel that wants rows gets a copy, once.

// CHECK: plan.step "copy" ins(%[[VIEW:.*]]) outs(%[[COPY:.*]])
// CHECK-NEXT: plan.step "softmax" ins(%[[COPY]])
// CHECK-NEXT: plan.step "cumsum" ins(%[[COPY]])
// CHECK-NEXT: plan.step "elementwise" ins(%[[VIEW]])
func.func @main(%x: tensor<4x8xf32>) -> (tensor<8x4xf32>, tensor<8x4xf32>, tensor<8x4xf32>) {
  %0 = moe.transpose %x {permutation = array<i64: 1, 0>} : (tensor<4x8xf32>) -> tensor<8x4xf32>
  %1 = moe.softmax %0 {axis = 1 : i64} : (tensor<8x4xf32>) -> tensor<8x4xf32>
  %2 = moe.cumsum %0 {axis = 0 : i64} : (tensor<8x4xf32>) -> tensor<8x4xf32>
  %3 = moe.unary neg %0 : (tensor<8x4xf32>) -> tensor<8x4xf32>
  func.return %1, %2, %3 : tensor<8x4xf32>, tensor<8x4xf32>, tensor<8x4xf32>
}

// -----

// Merging dimensions between which there are gaps needs a copy.

// CHECK: plan.step "copy"
// CHECK-NEXT: plan.step "cumsum"
func.func @main(%x: tensor<4x8xf32>) -> tensor<16xf32> {
  %0 = moe.slice %x <0, 0> {steps = array<i64: 1, 2>} : (tensor<4x8xf32>) -> tensor<4x4xf32>
  %1 = moe.reshape %0 : (tensor<4x4xf32>) -> tensor<16xf32>
  %2 = moe.cumsum %1 {axis = 0 : i64} : (tensor<16xf32>) -> tensor<16xf32>
  func.return %2 : tensor<16xf32>
}
