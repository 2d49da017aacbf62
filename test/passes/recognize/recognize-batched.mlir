// RUN: moe-opt %s --moe-recognize-gate --moe-recognize-batched | FileCheck %s
// RUN: moe-opt %s --moe-interpret-keep --moe-recognize-gate \
// RUN:   --moe-recognize-batched \
// RUN:   --moe-interpret="after=gathered_rows dims=tokens:5" -o /dev/null
// RUN: moe-opt %s --moe-interpret-keep --moe-recognize-gate \
// RUN:   --moe-recognize-batched \
// RUN:   --moe-interpret="after=interleaved_swiglu" -o /dev/null

// transformers: weights [E, out, in] times columns, [g.. | l..] in one matrix.
// CHECK-LABEL: func.func @gathered_rows
// CHECK-SAME: (%[[X:[a-z0-9]*]]: tensor<?x4xf32, #moe.dims<tokens, 4>>
// CHECK: %[[W:.*]], %[[E:.*]] = moe.gate
// CHECK: %[[R:.*]], %[[N:.*]], %[[S:.*]] = moe.dispatch %[[X]], %[[E]] {num_experts = 3 : i64}
// CHECK-DAG: %[[W1:.*]] = moe.param "w13" <transpose [0, 2, 1] ({{.*}}) : tensor<3x4x12xf32>>
// CHECK-DAG: %[[W2:.*]] = moe.param "w2" <transpose [0, 2, 1] ({{.*}}) : tensor<3x6x4xf32>>
// CHECK: %[[O:.*]] = moe.experts silu %[[R]], %[[N]] w1 %[[W1]] w2 %[[W2]] {gating = #moe<gating concatenated>}
// CHECK: %[[Y:.*]] = moe.combine %[[O]], %[[S]], %[[W]]
// CHECK: return %[[Y]]
func.func @gathered_rows(%x: tensor<?x4xf32, #moe.dims<tokens, 4>>, %logits: tensor<?x3xf32, #moe.dims<tokens, 3>>) -> tensor<?x4xf32, #moe.dims<tokens, 4>> {
  %w13 = moe.param "w13" <file "m.onnx" [0, 576] : tensor<3x12x4xf32>> : tensor<3x12x4xf32>
  %w2 = moe.param "w2" <file "m.onnx" [576, 288] : tensor<3x4x6xf32>> : tensor<3x4x6xf32>
  %p = moe.softmax %logits {axis = 1 : i64} : (tensor<?x3xf32, #moe.dims<tokens, 3>>) -> tensor<?x3xf32, #moe.dims<tokens, 3>>
  %v, %i = moe.top_k %p {axis = 1 : i64} : (tensor<?x3xf32, #moe.dims<tokens, 3>>) -> (tensor<?x2xf32, #moe.dims<tokens, 2>>, tensor<?x2xi64, #moe.dims<tokens, 2>>)
  %x1 = moe.reshape %x : (tensor<?x4xf32, #moe.dims<tokens, 4>>) -> tensor<?x1x4xf32, #moe.dims<tokens, 1, 4>>
  %x2 = moe.broadcast %x1 : (tensor<?x1x4xf32, #moe.dims<tokens, 1, 4>>) -> tensor<?x2x4xf32, #moe.dims<tokens, 2, 4>>
  %x3 = moe.reshape %x2 : (tensor<?x2x4xf32, #moe.dims<tokens, 2, 4>>) -> tensor<?x4x1xf32, #moe.dims<2 * tokens, 4, 1>>
  %flat = moe.reshape %i : (tensor<?x2xi64, #moe.dims<tokens, 2>>) -> tensor<?xi64, #moe.dims<2 * tokens>>
  %g1 = moe.gather %w13, %flat {axis = 0 : i64} : (tensor<3x12x4xf32>, tensor<?xi64, #moe.dims<2 * tokens>>) -> tensor<?x12x4xf32, #moe.dims<2 * tokens, 12, 4>>
  %h = moe.matmul %g1, %x3 : (tensor<?x12x4xf32, #moe.dims<2 * tokens, 12, 4>>, tensor<?x4x1xf32, #moe.dims<2 * tokens, 4, 1>>) -> tensor<?x12x1xf32, #moe.dims<2 * tokens, 12, 1>>
  %h1 = moe.reshape %h : (tensor<?x12x1xf32, #moe.dims<2 * tokens, 12, 1>>) -> tensor<?x12xf32, #moe.dims<2 * tokens, 12>>
  %gate = moe.slice %h1 <0, 0> {steps = array<i64: 1, 1>} : (tensor<?x12xf32, #moe.dims<2 * tokens, 12>>) -> tensor<?x6xf32, #moe.dims<2 * tokens, 6>>
  %up = moe.slice %h1 <0, 6> {steps = array<i64: 1, 1>} : (tensor<?x12xf32, #moe.dims<2 * tokens, 12>>) -> tensor<?x6xf32, #moe.dims<2 * tokens, 6>>
  %act = moe.unary silu %gate : (tensor<?x6xf32, #moe.dims<2 * tokens, 6>>) -> tensor<?x6xf32, #moe.dims<2 * tokens, 6>>
  %mid = moe.binary mul %act, %up : (tensor<?x6xf32, #moe.dims<2 * tokens, 6>>, tensor<?x6xf32, #moe.dims<2 * tokens, 6>>) -> tensor<?x6xf32, #moe.dims<2 * tokens, 6>>
  %g2 = moe.gather %w2, %flat {axis = 0 : i64} : (tensor<3x4x6xf32>, tensor<?xi64, #moe.dims<2 * tokens>>) -> tensor<?x4x6xf32, #moe.dims<2 * tokens, 4, 6>>
  %mid1 = moe.reshape %mid : (tensor<?x6xf32, #moe.dims<2 * tokens, 6>>) -> tensor<?x6x1xf32, #moe.dims<2 * tokens, 6, 1>>
  %o = moe.matmul %g2, %mid1 : (tensor<?x4x6xf32, #moe.dims<2 * tokens, 4, 6>>, tensor<?x6x1xf32, #moe.dims<2 * tokens, 6, 1>>) -> tensor<?x4x1xf32, #moe.dims<2 * tokens, 4, 1>>
  %o1 = moe.reshape %o : (tensor<?x4x1xf32, #moe.dims<2 * tokens, 4, 1>>) -> tensor<?x4xf32, #moe.dims<2 * tokens, 4>>
  %v1 = moe.reshape %v : (tensor<?x2xf32, #moe.dims<tokens, 2>>) -> tensor<?x1xf32, #moe.dims<2 * tokens, 1>>
  %weighted = moe.binary mul %o1, %v1 : (tensor<?x4xf32, #moe.dims<2 * tokens, 4>>, tensor<?x1xf32, #moe.dims<2 * tokens, 1>>) -> tensor<?x4xf32, #moe.dims<2 * tokens, 4>>
  %terms = moe.reshape %weighted : (tensor<?x4xf32, #moe.dims<2 * tokens, 4>>) -> tensor<?x2x4xf32, #moe.dims<tokens, 2, 4>>
  %y = moe.reduce sum %terms {axes = array<i64: 1>, keepdims = false} : (tensor<?x2x4xf32, #moe.dims<tokens, 2, 4>>) -> tensor<?x4xf32, #moe.dims<tokens, 4>>
  return %y : tensor<?x4xf32, #moe.dims<tokens, 4>>
}

// gpt-oss: rows times weights [E, in, out], biases, columns g0, l0, g1, l1,
// min(g, 7) * sigmoid(1.702 min(g, 7)) * (clamp(l, -7, 7) + 1). The choices come
// from somewhere else: a router is not needed to find experts.
// CHECK-LABEL: func.func @interleaved_swiglu
// CHECK: moe.dispatch
// CHECK: moe.experts swiglu %{{.*}} w1 %{{.*}} b1 %{{.*}} w2 %{{.*}} b2 %{{.*}} {alpha = 1.702000e+00 : f32, beta = 1.000000e+00 : f32, gating = #moe<gating interleaved>, limit = 7.000000e+00 : f32}
// CHECK: moe.combine
// CHECK-NOT: moe.gather
func.func @interleaved_swiglu(%x: tensor<5x4xf32>, %w: tensor<5x2xf32>, %logits: tensor<5x3xf32>) -> tensor<5x4xf32> {
  %w1 = moe.param "w1" <file "m.onnx" [0, 576] : tensor<3x4x12xf32>> : tensor<3x4x12xf32>
  %b1 = moe.param "b1" <file "m.onnx" [576, 144] : tensor<3x12xf32>> : tensor<3x12xf32>
  %w2 = moe.param "w2" <file "m.onnx" [720, 288] : tensor<3x6x4xf32>> : tensor<3x6x4xf32>
  %b2 = moe.param "b2" <file "m.onnx" [1008, 48] : tensor<3x4xf32>> : tensor<3x4xf32>
  %limit = moe.constant dense<7.0> : tensor<f32> : tensor<f32>
  %low = moe.constant dense<-7.0> : tensor<f32> : tensor<f32>
  %alpha = moe.constant dense<1.702> : tensor<f32> : tensor<f32>
  %one = moe.constant dense<1.0> : tensor<f32> : tensor<f32>
  %v, %i = moe.top_k %logits {axis = 1 : i64} : (tensor<5x3xf32>) -> (tensor<5x2xf32>, tensor<5x2xi64>)
  %flat = moe.reshape %i : (tensor<5x2xi64>) -> tensor<10xi64>
  %x1 = moe.reshape %x : (tensor<5x4xf32>) -> tensor<5x1x4xf32>
  %x2 = moe.broadcast %x1 : (tensor<5x1x4xf32>) -> tensor<5x2x4xf32>
  %x3 = moe.reshape %x2 : (tensor<5x2x4xf32>) -> tensor<10x1x4xf32>
  %g1 = moe.gather %w1, %flat {axis = 0 : i64} : (tensor<3x4x12xf32>, tensor<10xi64>) -> tensor<10x4x12xf32>
  %gb1 = moe.gather %b1, %flat {axis = 0 : i64} : (tensor<3x12xf32>, tensor<10xi64>) -> tensor<10x12xf32>
  %h = moe.matmul %x3, %g1 : (tensor<10x1x4xf32>, tensor<10x4x12xf32>) -> tensor<10x1x12xf32>
  %h1 = moe.reshape %h : (tensor<10x1x12xf32>) -> tensor<10x12xf32>
  %h2 = moe.binary add %h1, %gb1 : (tensor<10x12xf32>, tensor<10x12xf32>) -> tensor<10x12xf32>
  %g = moe.slice %h2 <0, 0> {steps = array<i64: 1, 2>} : (tensor<10x12xf32>) -> tensor<10x6xf32>
  %l = moe.slice %h2 <0, 1> {steps = array<i64: 1, 2>} : (tensor<10x12xf32>) -> tensor<10x6xf32>
  %gc = moe.binary min %g, %limit : (tensor<10x6xf32>, tensor<f32>) -> tensor<10x6xf32>
  %lc = moe.binary max %l, %low : (tensor<10x6xf32>, tensor<f32>) -> tensor<10x6xf32>
  %lcc = moe.binary min %lc, %limit : (tensor<10x6xf32>, tensor<f32>) -> tensor<10x6xf32>
  %ga = moe.binary mul %gc, %alpha : (tensor<10x6xf32>, tensor<f32>) -> tensor<10x6xf32>
  %gs = moe.unary sigmoid %ga : (tensor<10x6xf32>) -> tensor<10x6xf32>
  %act = moe.binary mul %gc, %gs : (tensor<10x6xf32>, tensor<10x6xf32>) -> tensor<10x6xf32>
  %l1 = moe.binary add %lcc, %one : (tensor<10x6xf32>, tensor<f32>) -> tensor<10x6xf32>
  %mid = moe.binary mul %l1, %act : (tensor<10x6xf32>, tensor<10x6xf32>) -> tensor<10x6xf32>
  %g2 = moe.gather %w2, %flat {axis = 0 : i64} : (tensor<3x6x4xf32>, tensor<10xi64>) -> tensor<10x6x4xf32>
  %gb2 = moe.gather %b2, %flat {axis = 0 : i64} : (tensor<3x4xf32>, tensor<10xi64>) -> tensor<10x4xf32>
  %mid1 = moe.reshape %mid : (tensor<10x6xf32>) -> tensor<10x1x6xf32>
  %o = moe.matmul %mid1, %g2 : (tensor<10x1x6xf32>, tensor<10x6x4xf32>) -> tensor<10x1x4xf32>
  %o1 = moe.reshape %o : (tensor<10x1x4xf32>) -> tensor<10x4xf32>
  %o2 = moe.binary add %o1, %gb2 : (tensor<10x4xf32>, tensor<10x4xf32>) -> tensor<10x4xf32>
  %wf = moe.reshape %w : (tensor<5x2xf32>) -> tensor<10x1xf32>
  %weighted = moe.binary mul %o2, %wf : (tensor<10x4xf32>, tensor<10x1xf32>) -> tensor<10x4xf32>
  %terms = moe.reshape %weighted : (tensor<10x4xf32>) -> tensor<5x2x4xf32>
  %y = moe.reduce sum %terms {axes = array<i64: 1>, keepdims = false} : (tensor<5x2x4xf32>) -> tensor<5x4xf32>
  return %y : tensor<5x4xf32>
}

// Choice j of token t takes the rows of token j: no repetition of tokens.
// CHECK-LABEL: func.func @tokens_repeated_in_front
// CHECK-NOT: moe.dispatch
// CHECK: return
func.func @tokens_repeated_in_front(%x: tensor<2x4xf32>, %w: tensor<2x2xf32>, %i: tensor<2x2xi64>) -> tensor<2x4xf32> {
  %w1 = moe.param "w1" <file "m.onnx" [0, 288] : tensor<3x4x6xf32>> : tensor<3x4x6xf32>
  %w2 = moe.param "w2" <file "m.onnx" [288, 288] : tensor<3x6x4xf32>> : tensor<3x6x4xf32>
  %flat = moe.reshape %i : (tensor<2x2xi64>) -> tensor<4xi64>
  %x1 = moe.reshape %x : (tensor<2x4xf32>) -> tensor<1x2x4xf32>
  %x2 = moe.broadcast %x1 : (tensor<1x2x4xf32>) -> tensor<2x2x4xf32>
  %x3 = moe.reshape %x2 : (tensor<2x2x4xf32>) -> tensor<4x1x4xf32>
  %g1 = moe.gather %w1, %flat {axis = 0 : i64} : (tensor<3x4x6xf32>, tensor<4xi64>) -> tensor<4x4x6xf32>
  %h = moe.matmul %x3, %g1 : (tensor<4x1x4xf32>, tensor<4x4x6xf32>) -> tensor<4x1x6xf32>
  %act = moe.unary relu %h : (tensor<4x1x6xf32>) -> tensor<4x1x6xf32>
  %g2 = moe.gather %w2, %flat {axis = 0 : i64} : (tensor<3x6x4xf32>, tensor<4xi64>) -> tensor<4x6x4xf32>
  %o = moe.matmul %act, %g2 : (tensor<4x1x6xf32>, tensor<4x6x4xf32>) -> tensor<4x1x4xf32>
  %o1 = moe.reshape %o : (tensor<4x1x4xf32>) -> tensor<2x2x4xf32>
  %wf = moe.reshape %w : (tensor<2x2xf32>) -> tensor<2x2x1xf32>
  %weighted = moe.binary mul %o1, %wf : (tensor<2x2x4xf32>, tensor<2x2x1xf32>) -> tensor<2x2x4xf32>
  %y = moe.reduce sum %weighted {axes = array<i64: 1>, keepdims = false} : (tensor<2x2x4xf32>) -> tensor<2x4xf32>
  return %y : tensor<2x4xf32>
}
