// RUN: moe-opt %s --moe-recognize-shared | FileCheck %s
// RUN: moe-opt %s --moe-interpret-keep --moe-recognize-shared \
// RUN:   --moe-interpret="after=mlp dims=batch:2,seq:3" -o /dev/null
// RUN: moe-opt %s --moe-interpret-keep --moe-recognize-shared \
// RUN:   --moe-interpret="after=gated_mlp" -o /dev/null
// RUN: moe-opt %s --moe-interpret-keep --moe-recognize-shared \
// RUN:   --moe-interpret="after=linear_part_first" -o /dev/null
// RUN: moe-opt %s --moe-interpret-keep --moe-recognize-shared \
// RUN:   --moe-interpret="after=sigmoid_gate max-integer=5" -o /dev/null
// RUN: moe-opt %s --moe-interpret-keep --moe-recognize-shared \
// RUN:   --moe-interpret="after=residual max-integer=5" -o /dev/null

// CHECK-LABEL: func.func @mlp
// CHECK: moe.ffn gelu_erf %{{.*}} w1 %{{.*}} b1 %{{.*}} w2 %{{.*}} b2 %{{.*}} :
// CHECK-NOT: moe.matmul
func.func @mlp(%x: tensor<?x?x4xf32, #moe.dims<batch, seq, 4>>) -> tensor<?x?x4xf32, #moe.dims<batch, seq, 4>> {
  %w1 = moe.param "w1" <file "m.onnx" [0, 96] : tensor<4x6xf32>> : tensor<4x6xf32>
  %b1 = moe.param "b1" <file "m.onnx" [96, 24] : tensor<6xf32>> : tensor<6xf32>
  %w2 = moe.param "w2" <file "m.onnx" [120, 96] : tensor<6x4xf32>> : tensor<6x4xf32>
  %b2 = moe.param "b2" <file "m.onnx" [216, 16] : tensor<4xf32>> : tensor<4xf32>
  %h = moe.matmul %x, %w1, %b1 : (tensor<?x?x4xf32, #moe.dims<batch, seq, 4>>, tensor<4x6xf32>, tensor<6xf32>) -> tensor<?x?x6xf32, #moe.dims<batch, seq, 6>>
  %a = moe.unary gelu_erf %h : (tensor<?x?x6xf32, #moe.dims<batch, seq, 6>>) -> tensor<?x?x6xf32, #moe.dims<batch, seq, 6>>
  %y = moe.matmul %a, %w2, %b2 : (tensor<?x?x6xf32, #moe.dims<batch, seq, 6>>, tensor<6x4xf32>, tensor<4xf32>) -> tensor<?x?x4xf32, #moe.dims<batch, seq, 4>>
  return %y : tensor<?x?x4xf32, #moe.dims<batch, seq, 4>>
}

// CHECK-LABEL: func.func @gated_mlp
// CHECK: moe.ffn gelu_tanh %{{.*}} w1 %{{.*}} w2 %{{.*}} w3 %{{.*}} {gating = #moe<gating split>}
func.func @gated_mlp(%x: tensor<5x4xf32>) -> tensor<5x4xf32> {
  %w1 = moe.param "w1" <file "m.onnx" [0, 96] : tensor<4x6xf32>> : tensor<4x6xf32>
  %w3 = moe.param "w3" <file "m.onnx" [96, 96] : tensor<4x6xf32>> : tensor<4x6xf32>
  %w2 = moe.param "w2" <file "m.onnx" [192, 96] : tensor<6x4xf32>> : tensor<6x4xf32>
  %g = moe.matmul %x, %w1 : (tensor<5x4xf32>, tensor<4x6xf32>) -> tensor<5x6xf32>
  %a = moe.unary gelu_tanh %g : (tensor<5x6xf32>) -> tensor<5x6xf32>
  %l = moe.matmul %x, %w3 : (tensor<5x4xf32>, tensor<4x6xf32>) -> tensor<5x6xf32>
  %m = moe.binary mul %l, %a : (tensor<5x6xf32>, tensor<5x6xf32>) -> tensor<5x6xf32>
  %y = moe.matmul %m, %w2 : (tensor<5x6xf32>, tensor<6x4xf32>) -> tensor<5x4xf32>
  return %y : tensor<5x4xf32>
}

// [l.. | g..] in one matrix: two halves of it.
// CHECK-LABEL: func.func @linear_part_first
// CHECK-DAG: %[[G:.*]] = moe.param "w13" <slice [0, 6, 1, 1]
// CHECK-DAG: %[[L:.*]] = moe.param "w13" <slice [0, 0, 1, 1]
// CHECK: moe.ffn silu %{{.*}} w1 %[[G]] w2 %{{.*}} w3 %[[L]] {gating = #moe<gating split>}
func.func @linear_part_first(%x: tensor<5x4xf32>) -> tensor<5x4xf32> {
  %w13 = moe.param "w13" <file "m.onnx" [0, 192] : tensor<4x12xf32>> : tensor<4x12xf32>
  %w2 = moe.param "w2" <file "m.onnx" [192, 96] : tensor<6x4xf32>> : tensor<6x4xf32>
  %h = moe.matmul %x, %w13 : (tensor<5x4xf32>, tensor<4x12xf32>) -> tensor<5x12xf32>
  %l = moe.slice %h <0, 0> {steps = array<i64: 1, 1>} : (tensor<5x12xf32>) -> tensor<5x6xf32>
  %g = moe.slice %h <0, 6> {steps = array<i64: 1, 1>} : (tensor<5x12xf32>) -> tensor<5x6xf32>
  %a = moe.unary silu %g : (tensor<5x6xf32>) -> tensor<5x6xf32>
  %m = moe.binary mul %a, %l : (tensor<5x6xf32>, tensor<5x6xf32>) -> tensor<5x6xf32>
  %y = moe.matmul %m, %w2 : (tensor<5x6xf32>, tensor<6x4xf32>) -> tensor<5x4xf32>
  return %y : tensor<5x4xf32>
}

// Qwen2-MoE: experts + sigmoid(gate) * shared expert.
// CHECK-LABEL: func.func @sigmoid_gate
// CHECK: %[[E:.*]] = moe.combine
// CHECK: %[[F:.*]] = moe.ffn
// CHECK: moe.mix sigmoid_gate %[[E]], %[[F]] gate
func.func @sigmoid_gate(%x: tensor<5x4xf32>, %rows: tensor<5x4xf32>, %slots: tensor<5x1xi32>, %gate: tensor<5x1xf32>) -> tensor<5x4xf32> {
  %w1 = moe.param "w1" <file "m.onnx" [0, 96] : tensor<4x6xf32>> : tensor<4x6xf32>
  %w2 = moe.param "w2" <file "m.onnx" [96, 96] : tensor<6x4xf32>> : tensor<6x4xf32>
  %e = moe.combine %rows, %slots : (tensor<5x4xf32>, tensor<5x1xi32>) -> tensor<5x4xf32>
  %h = moe.matmul %x, %w1 : (tensor<5x4xf32>, tensor<4x6xf32>) -> tensor<5x6xf32>
  %a = moe.unary relu %h : (tensor<5x6xf32>) -> tensor<5x6xf32>
  %f = moe.matmul %a, %w2 : (tensor<5x6xf32>, tensor<6x4xf32>) -> tensor<5x4xf32>
  %s = moe.unary sigmoid %gate : (tensor<5x1xf32>) -> tensor<5x1xf32>
  %sf = moe.binary mul %s, %f : (tensor<5x1xf32>, tensor<5x4xf32>) -> tensor<5x4xf32>
  %y = moe.binary add %sf, %e : (tensor<5x4xf32>, tensor<5x4xf32>) -> tensor<5x4xf32>
  return %y : tensor<5x4xf32>
}

// PR-MoE: both columns of a softmax over two.
// CHECK-LABEL: func.func @residual
// CHECK-SAME: %[[G:[a-z0-9]*]]: tensor<5x2xf32>)
// CHECK: %[[E:.*]] = moe.combine
// CHECK: %[[F:.*]] = moe.ffn
// CHECK: moe.mix residual %[[E]], %[[F]] gate %[[G]]
func.func @residual(%x: tensor<5x4xf32>, %rows: tensor<5x4xf32>, %slots: tensor<5x1xi32>, %gate: tensor<5x2xf32>) -> tensor<5x4xf32> {
  %w1 = moe.param "w1" <file "m.onnx" [0, 96] : tensor<4x6xf32>> : tensor<4x6xf32>
  %w2 = moe.param "w2" <file "m.onnx" [96, 96] : tensor<6x4xf32>> : tensor<6x4xf32>
  %e = moe.combine %rows, %slots : (tensor<5x4xf32>, tensor<5x1xi32>) -> tensor<5x4xf32>
  %h = moe.matmul %x, %w1 : (tensor<5x4xf32>, tensor<4x6xf32>) -> tensor<5x6xf32>
  %a = moe.unary relu %h : (tensor<5x6xf32>) -> tensor<5x6xf32>
  %f = moe.matmul %a, %w2 : (tensor<5x6xf32>, tensor<6x4xf32>) -> tensor<5x4xf32>
  %c = moe.softmax %gate {axis = 1 : i64} : (tensor<5x2xf32>) -> tensor<5x2xf32>
  %c0 = moe.slice %c <0, 0> {steps = array<i64: 1, 1>} : (tensor<5x2xf32>) -> tensor<5x1xf32>
  %c1 = moe.slice %c <0, 1> {steps = array<i64: 1, 1>} : (tensor<5x2xf32>) -> tensor<5x1xf32>
  %ec = moe.binary mul %e, %c0 : (tensor<5x4xf32>, tensor<5x1xf32>) -> tensor<5x4xf32>
  %fc = moe.binary mul %f, %c1 : (tensor<5x4xf32>, tensor<5x1xf32>) -> tensor<5x4xf32>
  %y = moe.binary add %ec, %fc : (tensor<5x4xf32>, tensor<5x4xf32>) -> tensor<5x4xf32>
  return %y : tensor<5x4xf32>
}

// DeepSpeed's own inference kernel swaps the columns; a file that does so means
// something else.
// CHECK-LABEL: func.func @swapped_columns
// CHECK-NOT: moe.mix
func.func @swapped_columns(%x: tensor<5x4xf32>, %rows: tensor<5x4xf32>, %slots: tensor<5x1xi32>, %gate: tensor<5x2xf32>) -> tensor<5x4xf32> {
  %w1 = moe.param "w1" <file "m.onnx" [0, 96] : tensor<4x6xf32>> : tensor<4x6xf32>
  %w2 = moe.param "w2" <file "m.onnx" [96, 96] : tensor<6x4xf32>> : tensor<6x4xf32>
  %e = moe.combine %rows, %slots : (tensor<5x4xf32>, tensor<5x1xi32>) -> tensor<5x4xf32>
  %h = moe.matmul %x, %w1 : (tensor<5x4xf32>, tensor<4x6xf32>) -> tensor<5x6xf32>
  %a = moe.unary relu %h : (tensor<5x6xf32>) -> tensor<5x6xf32>
  %f = moe.matmul %a, %w2 : (tensor<5x6xf32>, tensor<6x4xf32>) -> tensor<5x4xf32>
  %c = moe.softmax %gate {axis = 1 : i64} : (tensor<5x2xf32>) -> tensor<5x2xf32>
  %c0 = moe.slice %c <0, 0> {steps = array<i64: 1, 1>} : (tensor<5x2xf32>) -> tensor<5x1xf32>
  %c1 = moe.slice %c <0, 1> {steps = array<i64: 1, 1>} : (tensor<5x2xf32>) -> tensor<5x1xf32>
  %ec = moe.binary mul %e, %c1 : (tensor<5x4xf32>, tensor<5x1xf32>) -> tensor<5x4xf32>
  %fc = moe.binary mul %f, %c0 : (tensor<5x4xf32>, tensor<5x1xf32>) -> tensor<5x4xf32>
  %y = moe.binary add %ec, %fc : (tensor<5x4xf32>, tensor<5x4xf32>) -> tensor<5x4xf32>
  return %y : tensor<5x4xf32>
}
