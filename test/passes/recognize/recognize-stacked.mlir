// RUN: moe-opt %s --moe-recognize-gate --moe-recognize-stacked | FileCheck %s
// RUN: moe-opt %s --moe-interpret-keep --moe-recognize-gate \
// RUN:   --moe-recognize-stacked \
// RUN:   --moe-interpret="after=weighted_outputs" -o /dev/null
// RUN: moe-opt %s --moe-interpret-keep --moe-recognize-gate \
// RUN:   --moe-recognize-stacked \
// RUN:   --moe-interpret="after=weighted_inputs dims=tokens:5" -o /dev/null

// gpt-oss: scores are scattered into zeros and multiply the outputs.
// CHECK-LABEL: func.func @weighted_outputs
// CHECK-SAME: (%[[X:[a-z0-9]*]]: tensor<5x4xf32>
// CHECK: %[[W:.*]], %[[E:.*]] = moe.gate %{{.*}} {k = 2 : i64, mix_weight = #moe<mix_weight softmax_topk>
// CHECK: %[[R:.*]], %[[N:.*]], %[[S:.*]] = moe.dispatch %[[X]], %[[E]] {num_experts = 3 : i64}
// CHECK-DAG: moe.param "b1" <file "m.onnx" [336, 72] : tensor<3x6xf32>>
// CHECK: %[[O:.*]] = moe.experts relu %[[R]], %[[N]] w1 %{{.*}} b1 %{{.*}} w2
// CHECK: moe.combine %[[O]], %[[S]], %[[W]]
func.func @weighted_outputs(%x: tensor<5x4xf32>) -> tensor<5x4xf32> {
  %wg = moe.param "wg" <file "m.onnx" [0, 48] : tensor<4x3xf32>> : tensor<4x3xf32>
  %w1 = moe.param "w1" <file "m.onnx" [48, 288] : tensor<3x4x6xf32>> : tensor<3x4x6xf32>
  %b1 = moe.param "b1" <file "m.onnx" [336, 72] : tensor<3x1x6xf32>> : tensor<3x1x6xf32>
  %w2 = moe.param "w2" <file "m.onnx" [408, 288] : tensor<3x6x4xf32>> : tensor<3x6x4xf32>
  %zero = moe.constant dense<0.0> : tensor<f32> : tensor<f32>
  %logits = moe.matmul %x, %wg : (tensor<5x4xf32>, tensor<4x3xf32>) -> tensor<5x3xf32>
  %v, %i = moe.top_k %logits {axis = 1 : i64} : (tensor<5x3xf32>) -> (tensor<5x2xf32>, tensor<5x2xi64>)
  %w = moe.softmax %v {axis = 1 : i64} : (tensor<5x2xf32>) -> tensor<5x2xf32>
  %zeros = moe.broadcast %zero : (tensor<f32>) -> tensor<5x3xf32>
  %scores = moe.scatter_elements %zeros, %i, %w {axis = 1 : i64} : (tensor<5x3xf32>, tensor<5x2xi64>, tensor<5x2xf32>) -> tensor<5x3xf32>
  %st = moe.transpose %scores {permutation = array<i64: 1, 0>} : (tensor<5x3xf32>) -> tensor<3x5xf32>
  %s3 = moe.reshape %st : (tensor<3x5xf32>) -> tensor<3x5x1xf32>
  %x1 = moe.reshape %x : (tensor<5x4xf32>) -> tensor<1x5x4xf32>
  %x3 = moe.broadcast %x1 : (tensor<1x5x4xf32>) -> tensor<3x5x4xf32>
  %h = moe.matmul %x3, %w1 : (tensor<3x5x4xf32>, tensor<3x4x6xf32>) -> tensor<3x5x6xf32>
  %hb = moe.binary add %h, %b1 : (tensor<3x5x6xf32>, tensor<3x1x6xf32>) -> tensor<3x5x6xf32>
  %a = moe.unary relu %hb : (tensor<3x5x6xf32>) -> tensor<3x5x6xf32>
  %o = moe.matmul %a, %w2 : (tensor<3x5x6xf32>, tensor<3x6x4xf32>) -> tensor<3x5x4xf32>
  %ow = moe.binary mul %o, %s3 : (tensor<3x5x4xf32>, tensor<3x5x1xf32>) -> tensor<3x5x4xf32>
  %y = moe.reduce sum %ow {axes = array<i64: 0>, keepdims = false} : (tensor<3x5x4xf32>) -> tensor<5x4xf32>
  return %y : tensor<5x4xf32>
}

// Llama-4: the sigmoid of the best logit multiplies the input, and the sigmoid
// of minus infinity is 0.
// CHECK-LABEL: func.func @weighted_inputs
// CHECK: %[[W:.*]], %[[E:.*]] = moe.gate %{{.*}} {k = 1 : i64, mix_weight = #moe<mix_weight sigmoid_logit>, score = #moe<router_score logits>}
// CHECK: moe.dispatch %{{.*}}, %[[E]], %[[W]] {num_experts = 3 : i64}
// CHECK: moe.experts silu {{.*}} {gating = #moe<gating concatenated>}
// CHECK: moe.combine %{{[a-z0-9]*}}, %{{[a-z0-9]*}} :
func.func @weighted_inputs(%x: tensor<?x4xf32, #moe.dims<tokens, 4>>) -> tensor<?x4xf32, #moe.dims<tokens, 4>> {
  %wg = moe.param "wg" <file "m.onnx" [0, 48] : tensor<4x3xf32>> : tensor<4x3xf32>
  %w1 = moe.param "w1" <file "m.onnx" [48, 576] : tensor<3x4x12xf32>> : tensor<3x4x12xf32>
  %w2 = moe.param "w2" <file "m.onnx" [624, 288] : tensor<3x6x4xf32>> : tensor<3x6x4xf32>
  %inf = moe.constant dense<0xFF800000> : tensor<f32> : tensor<f32>
  %logits = moe.matmul %x, %wg : (tensor<?x4xf32, #moe.dims<tokens, 4>>, tensor<4x3xf32>) -> tensor<?x3xf32, #moe.dims<tokens, 3>>
  %v, %i = moe.top_k %logits {axis = 1 : i64} : (tensor<?x3xf32, #moe.dims<tokens, 3>>) -> (tensor<?x1xf32, #moe.dims<tokens, 1>>, tensor<?x1xi64, #moe.dims<tokens, 1>>)
  %infs = moe.broadcast %inf : (tensor<f32>) -> tensor<?x3xf32, #moe.dims<tokens, 3>>
  %f = moe.scatter_elements %infs, %i, %v {axis = 1 : i64} : (tensor<?x3xf32, #moe.dims<tokens, 3>>, tensor<?x1xi64, #moe.dims<tokens, 1>>, tensor<?x1xf32, #moe.dims<tokens, 1>>) -> tensor<?x3xf32, #moe.dims<tokens, 3>>
  %s = moe.unary sigmoid %f : (tensor<?x3xf32, #moe.dims<tokens, 3>>) -> tensor<?x3xf32, #moe.dims<tokens, 3>>
  %st = moe.transpose %s {permutation = array<i64: 1, 0>} : (tensor<?x3xf32, #moe.dims<tokens, 3>>) -> tensor<3x?xf32, #moe.dims<3, tokens>>
  %s1 = moe.reshape %st : (tensor<3x?xf32, #moe.dims<3, tokens>>) -> tensor<?x1xf32, #moe.dims<3 * tokens, 1>>
  %x1 = moe.reshape %x : (tensor<?x4xf32, #moe.dims<tokens, 4>>) -> tensor<1x?x4xf32, #moe.dims<1, tokens, 4>>
  %x2 = moe.broadcast %x1 : (tensor<1x?x4xf32, #moe.dims<1, tokens, 4>>) -> tensor<3x?x4xf32, #moe.dims<3, tokens, 4>>
  %x3 = moe.reshape %x2 : (tensor<3x?x4xf32, #moe.dims<3, tokens, 4>>) -> tensor<?x4xf32, #moe.dims<3 * tokens, 4>>
  %xs = moe.binary mul %x3, %s1 : (tensor<?x4xf32, #moe.dims<3 * tokens, 4>>, tensor<?x1xf32, #moe.dims<3 * tokens, 1>>) -> tensor<?x4xf32, #moe.dims<3 * tokens, 4>>
  %xe = moe.reshape %xs : (tensor<?x4xf32, #moe.dims<3 * tokens, 4>>) -> tensor<3x?x4xf32, #moe.dims<3, tokens, 4>>
  %h = moe.matmul %xe, %w1 : (tensor<3x?x4xf32, #moe.dims<3, tokens, 4>>, tensor<3x4x12xf32>) -> tensor<3x?x12xf32, #moe.dims<3, tokens, 12>>
  %g = moe.slice %h <0, 0, 0> {steps = array<i64: 1, 1, 1>} : (tensor<3x?x12xf32, #moe.dims<3, tokens, 12>>) -> tensor<3x?x6xf32, #moe.dims<3, tokens, 6>>
  %l = moe.slice %h <0, 0, 6> {steps = array<i64: 1, 1, 1>} : (tensor<3x?x12xf32, #moe.dims<3, tokens, 12>>) -> tensor<3x?x6xf32, #moe.dims<3, tokens, 6>>
  %a = moe.unary silu %g : (tensor<3x?x6xf32, #moe.dims<3, tokens, 6>>) -> tensor<3x?x6xf32, #moe.dims<3, tokens, 6>>
  %m = moe.binary mul %l, %a : (tensor<3x?x6xf32, #moe.dims<3, tokens, 6>>, tensor<3x?x6xf32, #moe.dims<3, tokens, 6>>) -> tensor<3x?x6xf32, #moe.dims<3, tokens, 6>>
  %o = moe.matmul %m, %w2 : (tensor<3x?x6xf32, #moe.dims<3, tokens, 6>>, tensor<3x6x4xf32>) -> tensor<3x?x4xf32, #moe.dims<3, tokens, 4>>
  %y = moe.reduce sum %o {axes = array<i64: 0>, keepdims = false} : (tensor<3x?x4xf32, #moe.dims<3, tokens, 4>>) -> tensor<?x4xf32, #moe.dims<tokens, 4>>
  return %y : tensor<?x4xf32, #moe.dims<tokens, 4>>
}
