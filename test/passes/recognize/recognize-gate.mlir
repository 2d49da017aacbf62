// RUN: moe-opt %s --moe-recognize-gate | FileCheck %s
// RUN: moe-opt %s --moe-interpret-keep --moe-recognize-gate \
// RUN:   --moe-interpret="after=softmax_topk_normalized" -o /dev/null
// RUN: moe-opt %s --moe-interpret-keep --moe-recognize-gate \
// RUN:   --moe-interpret="after=softmax_of_chosen_logits" -o /dev/null
// RUN: moe-opt %s --moe-interpret-keep --moe-recognize-gate \
// RUN:   --moe-interpret="after=groups_with_bias dims=tokens:7" -o /dev/null
// RUN: moe-opt %s --moe-interpret-keep --moe-recognize-gate \
// RUN:   --moe-interpret="after=group_of_maxima" -o /dev/null
// RUN: moe-opt %s --moe-interpret-keep --moe-recognize-gate \
// RUN:   --moe-interpret="after=scale_of_each_expert" -o /dev/null
// RUN: moe-opt %s --moe-interpret-keep --moe-recognize-gate \
// RUN:   --moe-interpret="after=sparse_mixer dims=tokens:9" -o /dev/null

// Mixtral; the indices are used in another type and shape.
// CHECK-LABEL: func.func @softmax_topk_normalized
// CHECK-SAME: (%[[L:.*]]: tensor<2x3x8xf32>)
// CHECK: %[[F:.*]] = moe.reshape %[[L]] : (tensor<2x3x8xf32>) -> tensor<6x8xf32>
// CHECK: %[[W:.*]], %[[E:.*]] = moe.gate %[[F]] {k = 2 : i64, normalize = #moe<normalize sum_plus>}
// CHECK-NOT: moe.top_k
func.func @softmax_topk_normalized(%logits: tensor<2x3x8xf32>) -> (tensor<2x3x2xf32>, tensor<12xi32>) {
  %p = moe.softmax %logits {axis = 2 : i64} : (tensor<2x3x8xf32>) -> tensor<2x3x8xf32>
  %v, %i = moe.top_k %p {axis = 2 : i64} : (tensor<2x3x8xf32>) -> (tensor<2x3x2xf32>, tensor<2x3x2xi64>)
  %sum = moe.reduce sum %v {axes = array<i64: 2>, keepdims = true} : (tensor<2x3x2xf32>) -> tensor<2x3x1xf32>
  %w = moe.binary div %v, %sum : (tensor<2x3x2xf32>, tensor<2x3x1xf32>) -> tensor<2x3x2xf32>
  %c = moe.cast %i : (tensor<2x3x2xi64>) -> tensor<2x3x2xi32>
  %r = moe.reshape %c : (tensor<2x3x2xi32>) -> tensor<12xi32>
  return %w, %r : tensor<2x3x2xf32>, tensor<12xi32>
}

// gpt-oss, Granite. Logits come from a product with a weight.
// CHECK-LABEL: func.func @softmax_of_chosen_logits
// CHECK: moe.gate %{{.*}} {k = 2 : i64, mix_weight = #moe<mix_weight softmax_topk>, score = #moe<router_score logits>}
// CHECK-NOT: moe.top_k
func.func @softmax_of_chosen_logits(%x: tensor<5x4xf32>) -> (tensor<5x2xf32>, tensor<5x2xi32>) {
  %wg = moe.param <file "m.onnx" [0, 128] : tensor<4x8xf32>> : tensor<4x8xf32>
  %logits = moe.matmul %x, %wg : (tensor<5x4xf32>, tensor<4x8xf32>) -> tensor<5x8xf32>
  %v, %i = moe.top_k %logits {axis = 1 : i64} : (tensor<5x8xf32>) -> (tensor<5x2xf32>, tensor<5x2xi64>)
  %w = moe.softmax %v {axis = 1 : i64} : (tensor<5x2xf32>) -> tensor<5x2xf32>
  %c = moe.cast %i : (tensor<5x2xi64>) -> tensor<5x2xi32>
  return %w, %c : tensor<5x2xf32>, tensor<5x2xi32>
}

// DeepSeek-V3: 2 of 4 groups by the sum of their two best, a bias that only
// selects, weights / (sum + 1e-20) * 2.5.
// CHECK-LABEL: func.func @groups_with_bias
// CHECK: moe.gate %{{.*}} selection_bias %{{.*}} {group_score = #moe<group_score top2_sum>, k = 3 : i64, normalize = #moe<normalize sum_plus>, normalize_eps = 9.99999968E-21 : f32, num_groups = 4 : i64, scale = 2.500000e+00 : f32, score = #moe<router_score sigmoid>, topk_groups = 2 : i64}
// CHECK-NOT: moe.top_k
func.func @groups_with_bias(%logits: tensor<?x8xf32, #moe.dims<tokens, 8>>) -> (tensor<?x3xf32, #moe.dims<tokens, 3>>, tensor<?x3xi32, #moe.dims<tokens, 3>>) {
  %bias = moe.param <file "m.onnx" [0, 32] : tensor<8xf32>> : tensor<8xf32>
  %zero = moe.constant dense<0.0> : tensor<f32> : tensor<f32>
  %one = moe.constant dense<1.0> : tensor<f32> : tensor<f32>
  %inf = moe.constant dense<0xFF800000> : tensor<f32> : tensor<f32>
  %eps = moe.constant dense<1.0e-20> : tensor<f32> : tensor<f32>
  %factor = moe.constant dense<2.5> : tensor<f32> : tensor<f32>
  %s = moe.unary sigmoid %logits : (tensor<?x8xf32, #moe.dims<tokens, 8>>) -> tensor<?x8xf32, #moe.dims<tokens, 8>>
  %b = moe.binary add %s, %bias : (tensor<?x8xf32, #moe.dims<tokens, 8>>, tensor<8xf32>) -> tensor<?x8xf32, #moe.dims<tokens, 8>>
  %g = moe.reshape %b : (tensor<?x8xf32, #moe.dims<tokens, 8>>) -> tensor<?x4x2xf32, #moe.dims<tokens, 4, 2>>
  %gv, %gi = moe.top_k %g {axis = 2 : i64} : (tensor<?x4x2xf32, #moe.dims<tokens, 4, 2>>) -> (tensor<?x4x2xf32, #moe.dims<tokens, 4, 2>>, tensor<?x4x2xi64, #moe.dims<tokens, 4, 2>>)
  %gs = moe.reduce sum %gv {axes = array<i64: 2>, keepdims = false} : (tensor<?x4x2xf32, #moe.dims<tokens, 4, 2>>) -> tensor<?x4xf32, #moe.dims<tokens, 4>>
  %hv, %hi = moe.top_k %gs {axis = 1 : i64} : (tensor<?x4xf32, #moe.dims<tokens, 4>>) -> (tensor<?x2xf32, #moe.dims<tokens, 2>>, tensor<?x2xi64, #moe.dims<tokens, 2>>)
  %zeros = moe.broadcast %zero : (tensor<f32>) -> tensor<?x4xf32, #moe.dims<tokens, 4>>
  %ones = moe.broadcast %one : (tensor<f32>) -> tensor<?x2xf32, #moe.dims<tokens, 2>>
  %m = moe.scatter_elements %zeros, %hi, %ones {axis = 1 : i64} : (tensor<?x4xf32, #moe.dims<tokens, 4>>, tensor<?x2xi64, #moe.dims<tokens, 2>>, tensor<?x2xf32, #moe.dims<tokens, 2>>) -> tensor<?x4xf32, #moe.dims<tokens, 4>>
  %m1 = moe.reshape %m : (tensor<?x4xf32, #moe.dims<tokens, 4>>) -> tensor<?x4x1xf32, #moe.dims<tokens, 4, 1>>
  %m2 = moe.broadcast %m1 : (tensor<?x4x1xf32, #moe.dims<tokens, 4, 1>>) -> tensor<?x4x2xf32, #moe.dims<tokens, 4, 2>>
  %m3 = moe.reshape %m2 : (tensor<?x4x2xf32, #moe.dims<tokens, 4, 2>>) -> tensor<?x8xf32, #moe.dims<tokens, 8>>
  %m4 = moe.cast %m3 : (tensor<?x8xf32, #moe.dims<tokens, 8>>) -> tensor<?x8xi1, #moe.dims<tokens, 8>>
  %masked = moe.select %m4, %b, %inf : (tensor<?x8xi1, #moe.dims<tokens, 8>>, tensor<?x8xf32, #moe.dims<tokens, 8>>, tensor<f32>) -> tensor<?x8xf32, #moe.dims<tokens, 8>>
  %v, %i = moe.top_k %masked {axis = 1 : i64} : (tensor<?x8xf32, #moe.dims<tokens, 8>>) -> (tensor<?x3xf32, #moe.dims<tokens, 3>>, tensor<?x3xi64, #moe.dims<tokens, 3>>)
  %u = moe.gather_elements %s, %i {axis = 1 : i64} : (tensor<?x8xf32, #moe.dims<tokens, 8>>, tensor<?x3xi64, #moe.dims<tokens, 3>>) -> tensor<?x3xf32, #moe.dims<tokens, 3>>
  %sum = moe.reduce sum %u {axes = array<i64: 1>, keepdims = true} : (tensor<?x3xf32, #moe.dims<tokens, 3>>) -> tensor<?x1xf32, #moe.dims<tokens, 1>>
  %guarded = moe.binary add %sum, %eps : (tensor<?x1xf32, #moe.dims<tokens, 1>>, tensor<f32>) -> tensor<?x1xf32, #moe.dims<tokens, 1>>
  %n = moe.binary div %u, %guarded : (tensor<?x3xf32, #moe.dims<tokens, 3>>, tensor<?x1xf32, #moe.dims<tokens, 1>>) -> tensor<?x3xf32, #moe.dims<tokens, 3>>
  %w = moe.binary mul %n, %factor : (tensor<?x3xf32, #moe.dims<tokens, 3>>, tensor<f32>) -> tensor<?x3xf32, #moe.dims<tokens, 3>>
  %c = moe.cast %i : (tensor<?x3xi64, #moe.dims<tokens, 3>>) -> tensor<?x3xi32, #moe.dims<tokens, 3>>
  return %w, %c : tensor<?x3xf32, #moe.dims<tokens, 3>>, tensor<?x3xi32, #moe.dims<tokens, 3>>
}

// DeepSeek-V2: 1 of 2 groups by the best of each, the others filled with 0.
// CHECK-LABEL: func.func @group_of_maxima
// CHECK: moe.gate %{{.*}} {group_fill_zero = true, k = 2 : i64, num_groups = 2 : i64}
// CHECK-NOT: moe.top_k
func.func @group_of_maxima(%logits: tensor<5x6xf32>) -> (tensor<5x2xf32>, tensor<5x2xi32>) {
  %zero = moe.constant dense<0.0> : tensor<f32> : tensor<f32>
  %one = moe.constant dense<1.0> : tensor<f32> : tensor<f32>
  %p = moe.softmax %logits {axis = 1 : i64} : (tensor<5x6xf32>) -> tensor<5x6xf32>
  %g = moe.reshape %p : (tensor<5x6xf32>) -> tensor<5x2x3xf32>
  %gs = moe.reduce max %g {axes = array<i64: 2>, keepdims = false} : (tensor<5x2x3xf32>) -> tensor<5x2xf32>
  %hv, %hi = moe.top_k %gs {axis = 1 : i64} : (tensor<5x2xf32>) -> (tensor<5x1xf32>, tensor<5x1xi64>)
  %zeros = moe.broadcast %zero : (tensor<f32>) -> tensor<5x2xf32>
  %ones = moe.broadcast %one : (tensor<f32>) -> tensor<5x1xf32>
  %m = moe.scatter_elements %zeros, %hi, %ones {axis = 1 : i64} : (tensor<5x2xf32>, tensor<5x1xi64>, tensor<5x1xf32>) -> tensor<5x2xf32>
  %m1 = moe.reshape %m : (tensor<5x2xf32>) -> tensor<5x2x1xf32>
  %m2 = moe.broadcast %m1 : (tensor<5x2x1xf32>) -> tensor<5x2x3xf32>
  %m3 = moe.reshape %m2 : (tensor<5x2x3xf32>) -> tensor<5x6xf32>
  %masked = moe.binary mul %p, %m3 : (tensor<5x6xf32>, tensor<5x6xf32>) -> tensor<5x6xf32>
  %v, %i = moe.top_k %masked {axis = 1 : i64} : (tensor<5x6xf32>) -> (tensor<5x2xf32>, tensor<5x2xi64>)
  %u = moe.gather_elements %p, %i {axis = 1 : i64} : (tensor<5x6xf32>, tensor<5x2xi64>) -> tensor<5x2xf32>
  %c = moe.cast %i : (tensor<5x2xi64>) -> tensor<5x2xi32>
  return %u, %c : tensor<5x2xf32>, tensor<5x2xi32>
}

// Gemma-4: renormalized, then times the scale of the chosen expert.
// CHECK-LABEL: func.func @scale_of_each_expert
// CHECK: %[[S:.*]] = moe.param "scale"
// CHECK: moe.gate %{{.*}} expert_scale %[[S]] {k = 2 : i64, normalize = #moe<normalize sum_plus>}
func.func @scale_of_each_expert(%logits: tensor<5x4xf32>) -> (tensor<5x2xf32>, tensor<5x2xi32>) {
  %scale = moe.param "scale" <file "m.onnx" [0, 16] : tensor<4xf32>> : tensor<4xf32>
  %p = moe.softmax %logits {axis = 1 : i64} : (tensor<5x4xf32>) -> tensor<5x4xf32>
  %v, %i = moe.top_k %p {axis = 1 : i64} : (tensor<5x4xf32>) -> (tensor<5x2xf32>, tensor<5x2xi64>)
  %sum = moe.reduce sum %v {axes = array<i64: 1>, keepdims = true} : (tensor<5x2xf32>) -> tensor<5x1xf32>
  %n = moe.binary div %v, %sum : (tensor<5x2xf32>, tensor<5x1xf32>) -> tensor<5x2xf32>
  %g = moe.gather %scale, %i {axis = 0 : i64} : (tensor<4xf32>, tensor<5x2xi64>) -> tensor<5x2xf32>
  %w = moe.binary mul %n, %g : (tensor<5x2xf32>, tensor<5x2xf32>) -> tensor<5x2xf32>
  %c = moe.cast %i : (tensor<5x2xi64>) -> tensor<5x2xi32>
  return %w, %c : tensor<5x2xf32>, tensor<5x2xi32>
}

// PhiMoE, threshold 0.02: each of two argmaxes is weighed by a softmax over the
// experts close to it.
// CHECK-LABEL: func.func @sparse_mixer
// CHECK: moe.gate %{{.*}} {k = 2 : i64, score = #moe<router_score sparse_mixer>}
// CHECK-NOT: moe.arg_reduce
func.func @sparse_mixer(%l: tensor<?x4xf32, #moe.dims<tokens, 4>>) -> (tensor<?x2xf32, #moe.dims<tokens, 2>>, tensor<?x2xi32, #moe.dims<tokens, 2>>) {
  %eps = moe.constant dense<0.02> : tensor<f32> : tensor<f32>
  %inf = moe.constant dense<0xFF800000> : tensor<f32> : tensor<f32>
  %a = moe.unary abs %l : (tensor<?x4xf32, #moe.dims<tokens, 4>>) -> tensor<?x4xf32, #moe.dims<tokens, 4>>
  %m1 = moe.reduce max %l {axes = array<i64: 1>, keepdims = true} : (tensor<?x4xf32, #moe.dims<tokens, 4>>) -> tensor<?x1xf32, #moe.dims<tokens, 1>>
  %i1 = moe.arg_reduce max %l {axis = 1 : i64, keepdims = true} : (tensor<?x4xf32, #moe.dims<tokens, 4>>) -> tensor<?x1xi64, #moe.dims<tokens, 1>>
  %f1 = moe.binary max %a, %m1 : (tensor<?x4xf32, #moe.dims<tokens, 4>>, tensor<?x1xf32, #moe.dims<tokens, 1>>) -> tensor<?x4xf32, #moe.dims<tokens, 4>>
  %d1 = moe.binary sub %m1, %l : (tensor<?x1xf32, #moe.dims<tokens, 1>>, tensor<?x4xf32, #moe.dims<tokens, 4>>) -> tensor<?x4xf32, #moe.dims<tokens, 4>>
  %r1 = moe.binary div %d1, %f1 : (tensor<?x4xf32, #moe.dims<tokens, 4>>, tensor<?x4xf32, #moe.dims<tokens, 4>>) -> tensor<?x4xf32, #moe.dims<tokens, 4>>
  %c1 = moe.compare gt %r1, %eps : (tensor<?x4xf32, #moe.dims<tokens, 4>>, tensor<f32>) -> tensor<?x4xi1, #moe.dims<tokens, 4>>
  %s1 = moe.select %c1, %inf, %l : (tensor<?x4xi1, #moe.dims<tokens, 4>>, tensor<f32>, tensor<?x4xf32, #moe.dims<tokens, 4>>) -> tensor<?x4xf32, #moe.dims<tokens, 4>>
  %p1 = moe.softmax %s1 {axis = 1 : i64} : (tensor<?x4xf32, #moe.dims<tokens, 4>>) -> tensor<?x4xf32, #moe.dims<tokens, 4>>
  %w1 = moe.gather_elements %p1, %i1 {axis = 1 : i64} : (tensor<?x4xf32, #moe.dims<tokens, 4>>, tensor<?x1xi64, #moe.dims<tokens, 1>>) -> tensor<?x1xf32, #moe.dims<tokens, 1>>
  %infs = moe.broadcast %inf : (tensor<f32>) -> tensor<?x1xf32, #moe.dims<tokens, 1>>
  %rest = moe.scatter_elements %l, %i1, %infs {axis = 1 : i64} : (tensor<?x4xf32, #moe.dims<tokens, 4>>, tensor<?x1xi64, #moe.dims<tokens, 1>>, tensor<?x1xf32, #moe.dims<tokens, 1>>) -> tensor<?x4xf32, #moe.dims<tokens, 4>>
  %m2 = moe.reduce max %rest {axes = array<i64: 1>, keepdims = true} : (tensor<?x4xf32, #moe.dims<tokens, 4>>) -> tensor<?x1xf32, #moe.dims<tokens, 1>>
  %i2 = moe.arg_reduce max %rest {axis = 1 : i64, keepdims = true} : (tensor<?x4xf32, #moe.dims<tokens, 4>>) -> tensor<?x1xi64, #moe.dims<tokens, 1>>
  %f2 = moe.binary max %a, %m2 : (tensor<?x4xf32, #moe.dims<tokens, 4>>, tensor<?x1xf32, #moe.dims<tokens, 1>>) -> tensor<?x4xf32, #moe.dims<tokens, 4>>
  %d2 = moe.binary sub %m2, %l : (tensor<?x1xf32, #moe.dims<tokens, 1>>, tensor<?x4xf32, #moe.dims<tokens, 4>>) -> tensor<?x4xf32, #moe.dims<tokens, 4>>
  %r2 = moe.binary div %d2, %f2 : (tensor<?x4xf32, #moe.dims<tokens, 4>>, tensor<?x4xf32, #moe.dims<tokens, 4>>) -> tensor<?x4xf32, #moe.dims<tokens, 4>>
  %c2 = moe.compare gt %r2, %eps : (tensor<?x4xf32, #moe.dims<tokens, 4>>, tensor<f32>) -> tensor<?x4xi1, #moe.dims<tokens, 4>>
  %s2 = moe.select %c2, %inf, %rest : (tensor<?x4xi1, #moe.dims<tokens, 4>>, tensor<f32>, tensor<?x4xf32, #moe.dims<tokens, 4>>) -> tensor<?x4xf32, #moe.dims<tokens, 4>>
  %p2 = moe.softmax %s2 {axis = 1 : i64} : (tensor<?x4xf32, #moe.dims<tokens, 4>>) -> tensor<?x4xf32, #moe.dims<tokens, 4>>
  %w2 = moe.gather_elements %p2, %i2 {axis = 1 : i64} : (tensor<?x4xf32, #moe.dims<tokens, 4>>, tensor<?x1xi64, #moe.dims<tokens, 1>>) -> tensor<?x1xf32, #moe.dims<tokens, 1>>
  %w = moe.concat %w1, %w2 {axis = 1 : i64} : (tensor<?x1xf32, #moe.dims<tokens, 1>>, tensor<?x1xf32, #moe.dims<tokens, 1>>) -> tensor<?x2xf32, #moe.dims<tokens, 2>>
  %i = moe.concat %i1, %i2 {axis = 1 : i64} : (tensor<?x1xi64, #moe.dims<tokens, 1>>, tensor<?x1xi64, #moe.dims<tokens, 1>>) -> tensor<?x2xi64, #moe.dims<tokens, 2>>
  %c = moe.cast %i : (tensor<?x2xi64, #moe.dims<tokens, 2>>) -> tensor<?x2xi32, #moe.dims<tokens, 2>>
  return %w, %c : tensor<?x2xf32, #moe.dims<tokens, 2>>, tensor<?x2xi32, #moe.dims<tokens, 2>>
}

// The best tokens of a vocabulary are no experts.
// CHECK-LABEL: func.func @returned_indices
// CHECK-NOT: moe.gate
func.func @returned_indices(%logits: tensor<5x96xf32>) -> (tensor<5x4xf32>, tensor<5x4xi64>) {
  %p = moe.softmax %logits {axis = 1 : i64} : (tensor<5x96xf32>) -> tensor<5x96xf32>
  %v, %i = moe.top_k %p {axis = 1 : i64} : (tensor<5x96xf32>) -> (tensor<5x4xf32>, tensor<5x4xi64>)
  return %v, %i : tensor<5x4xf32>, tensor<5x4xi64>
}
