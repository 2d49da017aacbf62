// DeepSpeed's layer as products with masks [S, E, C], as torch.onnx writes it.
//
// RUN: moe-opt %s --moe-canonicalize-tensor \
// RUN:   --moe-recognize-deepspeed --moe-recognize-shared | FileCheck %s
// RUN: moe-opt %s --moe-interpret-keep --moe-recognize-deepspeed \
// RUN:   --moe-interpret="after=top1_capacity dims=b:2,s:9" -o /dev/null
// RUN: moe-opt %s --moe-interpret-keep --moe-recognize-deepspeed \
// RUN:   --moe-interpret="after=top1_dropless_residual dims=b:2,s:9" -o /dev/null
// RUN: moe-opt %s --moe-interpret-keep --moe-recognize-deepspeed \
// RUN:   --moe-interpret="after=top2_capacity dims=b:2,s:9" -o /dev/null
// RUN: moe-opt %s --moe-interpret-keep --moe-recognize-deepspeed \
// RUN:   --moe-interpret="after=top2_dropless dims=b:2,s:9" -o /dev/null
// RUN: moe-opt %s --moe-interpret-keep --moe-recognize-deepspeed \
// RUN:   --moe-interpret="after=top3_by_logits dims=b:2,s:9" -o /dev/null
// RUN: moe-opt %s --moe-interpret-keep --moe-recognize-deepspeed \
// RUN:   --moe-interpret="after=top3_by_position dims=b:2,s:9" -o /dev/null

// Capacity max(1, ceil(S / 2 * 1.5)), the lowest tokens survive.
// CHECK-LABEL: func.func @top1_capacity
// CHECK: %[[X:.*]] = moe.reshape %{{.*}} -> tensor<?x4xf32, #moe.dims<b * s, 4>>
// CHECK: %[[L:.*]] = moe.matmul %[[X]]
// CHECK: %[[W:.*]], %[[E:.*]] = moe.gate %[[L]] {capacity_factor = 1.500000e+00 : f32, drop_policy = #moe<drop_policy choice>, k = 1 : i64, min_capacity = 1 : i64}
// CHECK: %[[R:.*]], %[[N:.*]], %[[S:.*]] = moe.dispatch %{{.*}}, %[[E]] {num_experts = 2 : i64}
// CHECK-DAG: "experts.*.b.bias" <stack
// CHECK: %[[O:.*]] = moe.experts relu %[[R]], %[[N]] w1
// CHECK: %[[Y:.*]] = moe.combine %[[O]], %[[S]], %[[W]]
// CHECK-NOT: moe.one_hot
// CHECK: return
func.func @top1_capacity(%arg0: tensor<?x?x4xf32, #moe.dims<b, s, 4>>) -> (tensor<?x?x4xf32, #moe.dims<b, s, 4>>) attributes {moe.data_symbols = {d0 = "min(b * s, ceildiv(3 * b * s, 4) + 1)"}} {
  %0 = moe.reshape %arg0 : (tensor<?x?x4xf32, #moe.dims<b, s, 4>>) -> tensor<?x4xf32, #moe.dims<b * s, 4>>
  %1 = moe.param "w140" <file "model.onnx" [11762, 32] : tensor<4x2xf32>> : tensor<4x2xf32>
  %2 = moe.matmul %0, %1 : (tensor<?x4xf32, #moe.dims<b * s, 4>>, tensor<4x2xf32>) -> tensor<?x2xf32, #moe.dims<b * s, 2>>
  %3 = moe.softmax %2 {axis = 1 : i64} : (tensor<?x2xf32, #moe.dims<b * s, 2>>) -> tensor<?x2xf32, #moe.dims<b * s, 2>>
  %4 = moe.shape <b * s> : tensor<i64>
  %5 = moe.cast %4 : (tensor<i64>) -> tensor<f32>
  %6 = moe.constant dense<2.000000e+00> : tensor<f32> : tensor<f32>
  %7 = moe.binary div %5, %6 : (tensor<f32>, tensor<f32>) -> tensor<f32>
  %8 = moe.constant dense<1.500000e+00> : tensor<f32> : tensor<f32>
  %9 = moe.binary mul %8, %7 : (tensor<f32>, tensor<f32>) -> tensor<f32>
  %10 = moe.unary ceil %9 : (tensor<f32>) -> tensor<f32>
  %11 = moe.cast %10 : (tensor<f32>) -> tensor<i64>
  %12 = moe.constant dense<1> : tensor<i64> : tensor<i64>
  %13 = moe.compare lt %11, %12 : (tensor<i64>, tensor<i64>) -> tensor<i1>
  %14 = moe.constant dense<1> : tensor<i64> : tensor<i64>
  %15 = moe.select %13, %14, %11 : (tensor<i1>, tensor<i64>, tensor<i64>) -> tensor<i64>
  %16 = moe.arg_reduce max %3 {axis = 1 : i64, keepdims = false} : (tensor<?x2xf32, #moe.dims<b * s, 2>>) -> tensor<?xi64, #moe.dims<b * s>>
  %17 = moe.constant dense<[0, 1]> : tensor<2xi64> : tensor<2xi64>
  %18 = moe.one_hot %16, %17 {axis = 1 : i64} : (tensor<?xi64, #moe.dims<b * s>>, tensor<2xi64>) -> tensor<?x2xi64, #moe.dims<b * s, 2>>
  %19 = moe.reshape %15 : (tensor<i64>) -> tensor<1xi64>
  %values, %indices = moe.top_k %18, %19 {axis = 0 : i64} : (tensor<?x2xi64, #moe.dims<b * s, 2>>, tensor<1xi64>) -> (tensor<?x2xi64, #moe.dims<d0, 2>>, tensor<?x2xi64, #moe.dims<d0, 2>>)
  %20 = moe.constant dense<0> : tensor<i64> : tensor<i64>
  %21 = moe.broadcast %20 : (tensor<i64>) -> tensor<?x2xi64, #moe.dims<b * s, 2>>
  %22 = moe.constant dense<1> : tensor<i64> : tensor<i64>
  %23 = moe.broadcast %22 : (tensor<i64>) -> tensor<?x2xi64, #moe.dims<d0, 2>>
  %24 = moe.scatter_elements %21, %indices, %23 {axis = 0 : i64} : (tensor<?x2xi64, #moe.dims<b * s, 2>>, tensor<?x2xi64, #moe.dims<d0, 2>>, tensor<?x2xi64, #moe.dims<d0, 2>>) -> tensor<?x2xi64, #moe.dims<b * s, 2>>
  %25 = moe.binary mul %18, %24 : (tensor<?x2xi64, #moe.dims<b * s, 2>>, tensor<?x2xi64, #moe.dims<b * s, 2>>) -> tensor<?x2xi64, #moe.dims<b * s, 2>>
  %26 = moe.cumsum %25 {axis = 0 : i64} : (tensor<?x2xi64, #moe.dims<b * s, 2>>) -> tensor<?x2xi64, #moe.dims<b * s, 2>>
  %27 = moe.constant dense<1> : tensor<i64> : tensor<i64>
  %28 = moe.binary sub %26, %27 : (tensor<?x2xi64, #moe.dims<b * s, 2>>, tensor<i64>) -> tensor<?x2xi64, #moe.dims<b * s, 2>>
  %29 = moe.binary mul %28, %25 : (tensor<?x2xi64, #moe.dims<b * s, 2>>, tensor<?x2xi64, #moe.dims<b * s, 2>>) -> tensor<?x2xi64, #moe.dims<b * s, 2>>
  %30 = moe.reduce sum %29 {axes = array<i64: 1>, keepdims = false} : (tensor<?x2xi64, #moe.dims<b * s, 2>>) -> tensor<?xi64, #moe.dims<b * s>>
  %31 = moe.cast %25 : (tensor<?x2xi64, #moe.dims<b * s, 2>>) -> tensor<?x2xf32, #moe.dims<b * s, 2>>
  %32 = moe.binary mul %3, %31 : (tensor<?x2xf32, #moe.dims<b * s, 2>>, tensor<?x2xf32, #moe.dims<b * s, 2>>) -> tensor<?x2xf32, #moe.dims<b * s, 2>>
  %33 = moe.constant dense<[0, 1]> : tensor<2xi64> : tensor<2xi64>
  %34 = moe.one_hot %30, %33, %15 {axis = 1 : i64} : (tensor<?xi64, #moe.dims<b * s>>, tensor<2xi64>, tensor<i64>) -> tensor<?x?xi64, #moe.dims<b * s, d0>>
  %35 = moe.cast %34 : (tensor<?x?xi64, #moe.dims<b * s, d0>>) -> tensor<?x?xf32, #moe.dims<b * s, d0>>
  %36 = moe.reshape %32 : (tensor<?x2xf32, #moe.dims<b * s, 2>>) -> tensor<?x2x1xf32, #moe.dims<b * s, 2, 1>>
  %37 = moe.reshape %35 : (tensor<?x?xf32, #moe.dims<b * s, d0>>) -> tensor<?x1x?xf32, #moe.dims<b * s, 1, d0>>
  %38 = moe.binary mul %36, %37 : (tensor<?x2x1xf32, #moe.dims<b * s, 2, 1>>, tensor<?x1x?xf32, #moe.dims<b * s, 1, d0>>) -> tensor<?x2x?xf32, #moe.dims<b * s, 2, d0>>
  %39 = moe.cast %38 : (tensor<?x2x?xf32, #moe.dims<b * s, 2, d0>>) -> tensor<?x2x?xi1, #moe.dims<b * s, 2, d0>>
  %40 = moe.cast %39 : (tensor<?x2x?xi1, #moe.dims<b * s, 2, d0>>) -> tensor<?x2x?xf32, #moe.dims<b * s, 2, d0>>
  %41 = moe.transpose %40 {permutation = array<i64: 1, 2, 0>} : (tensor<?x2x?xf32, #moe.dims<b * s, 2, d0>>) -> tensor<2x?x?xf32, #moe.dims<2, d0, b * s>>
  %42 = moe.matmul %41, %0 : (tensor<2x?x?xf32, #moe.dims<2, d0, b * s>>, tensor<?x4xf32, #moe.dims<b * s, 4>>) -> tensor<2x?x4xf32, #moe.dims<2, d0, 4>>
  %43 = moe.reshape %42 : (tensor<2x?x4xf32, #moe.dims<2, d0, 4>>) -> tensor<1x2x?x4xf32, #moe.dims<1, 2, d0, 4>>
  %44 = moe.slice %43 <0, 0, 0, 0> {steps = array<i64: 1, 1, 1, 1>} : (tensor<1x2x?x4xf32, #moe.dims<1, 2, d0, 4>>) -> tensor<1x1x?x4xf32, #moe.dims<1, 1, d0, 4>>
  %45 = moe.slice %43 <0, 1, 0, 0> {steps = array<i64: 1, 1, 1, 1>} : (tensor<1x2x?x4xf32, #moe.dims<1, 2, d0, 4>>) -> tensor<1x1x?x4xf32, #moe.dims<1, 1, d0, 4>>
  %46 = moe.param "w144" <file "model.onnx" [11822, 96] : tensor<4x6xf32>> : tensor<4x6xf32>
  %47 = moe.matmul %44, %46 : (tensor<1x1x?x4xf32, #moe.dims<1, 1, d0, 4>>, tensor<4x6xf32>) -> tensor<1x1x?x6xf32, #moe.dims<1, 1, d0, 6>>
  %48 = moe.param "experts.0.a.bias" <file "model.onnx" [11510, 24] : tensor<6xf32>> : tensor<6xf32>
  %49 = moe.binary add %48, %47 : (tensor<6xf32>, tensor<1x1x?x6xf32, #moe.dims<1, 1, d0, 6>>) -> tensor<1x1x?x6xf32, #moe.dims<1, 1, d0, 6>>
  %50 = moe.unary relu %49 : (tensor<1x1x?x6xf32, #moe.dims<1, 1, d0, 6>>) -> tensor<1x1x?x6xf32, #moe.dims<1, 1, d0, 6>>
  %51 = moe.param "w145" <file "model.onnx" [11946, 96] : tensor<6x4xf32>> : tensor<6x4xf32>
  %52 = moe.matmul %50, %51 : (tensor<1x1x?x6xf32, #moe.dims<1, 1, d0, 6>>, tensor<6x4xf32>) -> tensor<1x1x?x4xf32, #moe.dims<1, 1, d0, 4>>
  %53 = moe.param "experts.0.b.bias" <file "model.onnx" [11582, 16] : tensor<4xf32>> : tensor<4xf32>
  %54 = moe.binary add %53, %52 : (tensor<4xf32>, tensor<1x1x?x4xf32, #moe.dims<1, 1, d0, 4>>) -> tensor<1x1x?x4xf32, #moe.dims<1, 1, d0, 4>>
  %55 = moe.param "w146" <file "model.onnx" [12070, 96] : tensor<4x6xf32>> : tensor<4x6xf32>
  %56 = moe.matmul %45, %55 : (tensor<1x1x?x4xf32, #moe.dims<1, 1, d0, 4>>, tensor<4x6xf32>) -> tensor<1x1x?x6xf32, #moe.dims<1, 1, d0, 6>>
  %57 = moe.param "experts.1.a.bias" <file "model.onnx" [11646, 24] : tensor<6xf32>> : tensor<6xf32>
  %58 = moe.binary add %57, %56 : (tensor<6xf32>, tensor<1x1x?x6xf32, #moe.dims<1, 1, d0, 6>>) -> tensor<1x1x?x6xf32, #moe.dims<1, 1, d0, 6>>
  %59 = moe.unary relu %58 : (tensor<1x1x?x6xf32, #moe.dims<1, 1, d0, 6>>) -> tensor<1x1x?x6xf32, #moe.dims<1, 1, d0, 6>>
  %60 = moe.param "w147" <file "model.onnx" [12194, 96] : tensor<6x4xf32>> : tensor<6x4xf32>
  %61 = moe.matmul %59, %60 : (tensor<1x1x?x6xf32, #moe.dims<1, 1, d0, 6>>, tensor<6x4xf32>) -> tensor<1x1x?x4xf32, #moe.dims<1, 1, d0, 4>>
  %62 = moe.param "experts.1.b.bias" <file "model.onnx" [11718, 16] : tensor<4xf32>> : tensor<4xf32>
  %63 = moe.binary add %62, %61 : (tensor<4xf32>, tensor<1x1x?x4xf32, #moe.dims<1, 1, d0, 4>>) -> tensor<1x1x?x4xf32, #moe.dims<1, 1, d0, 4>>
  %64 = moe.concat %54, %63 {axis = 1 : i64} : (tensor<1x1x?x4xf32, #moe.dims<1, 1, d0, 4>>, tensor<1x1x?x4xf32, #moe.dims<1, 1, d0, 4>>) -> tensor<1x2x?x4xf32, #moe.dims<1, 2, d0, 4>>
  %65 = moe.reshape %38 : (tensor<?x2x?xf32, #moe.dims<b * s, 2, d0>>) -> tensor<?x?xf32, #moe.dims<b * s, 2 * d0>>
  %66 = moe.reshape %64 : (tensor<1x2x?x4xf32, #moe.dims<1, 2, d0, 4>>) -> tensor<?x4xf32, #moe.dims<2 * d0, 4>>
  %67 = moe.matmul %65, %66 : (tensor<?x?xf32, #moe.dims<b * s, 2 * d0>>, tensor<?x4xf32, #moe.dims<2 * d0, 4>>) -> tensor<?x4xf32, #moe.dims<b * s, 4>>
  %68 = moe.reshape %67 : (tensor<?x4xf32, #moe.dims<b * s, 4>>) -> tensor<?x?x4xf32, #moe.dims<b, s, 4>>
  return %68 : tensor<?x?x4xf32, #moe.dims<b, s, 4>>
}

// The capacity is the largest count: nothing drops. c = softmax(x W + b) mixes
// the experts with a dense MLP.
// CHECK-LABEL: func.func @top1_dropless_residual
// CHECK: moe.gate %{{.*}} {k = 1 : i64} :
// CHECK: moe.combine
// CHECK: %[[M:.*]] = moe.ffn
// CHECK: moe.mix residual %{{.*}}, %[[M]] gate
func.func @top1_dropless_residual(%arg0: tensor<?x?x4xf32, #moe.dims<b, s, 4>>) -> (tensor<?x?x4xf32, #moe.dims<b, s, 4>>) attributes {moe.data_symbols = {d0 = "b * s"}} {
  %0 = moe.reshape %arg0 : (tensor<?x?x4xf32, #moe.dims<b, s, 4>>) -> tensor<?x4xf32, #moe.dims<b * s, 4>>
  %1 = moe.param "w172" <file "model.onnx" [13345, 32] : tensor<4x2xf32>> : tensor<4x2xf32>
  %2 = moe.matmul %0, %1 : (tensor<?x4xf32, #moe.dims<b * s, 4>>, tensor<4x2xf32>) -> tensor<?x2xf32, #moe.dims<b * s, 2>>
  %3 = moe.softmax %2 {axis = 1 : i64} : (tensor<?x2xf32, #moe.dims<b * s, 2>>) -> tensor<?x2xf32, #moe.dims<b * s, 2>>
  %4 = moe.arg_reduce max %3 {axis = 1 : i64, keepdims = false} : (tensor<?x2xf32, #moe.dims<b * s, 2>>) -> tensor<?xi64, #moe.dims<b * s>>
  %5 = moe.constant dense<[0, 1]> : tensor<2xi64> : tensor<2xi64>
  %6 = moe.one_hot %4, %5 {axis = 1 : i64} : (tensor<?xi64, #moe.dims<b * s>>, tensor<2xi64>) -> tensor<?x2xi64, #moe.dims<b * s, 2>>
  %7 = moe.reduce sum %6 {axes = array<i64: 0>, keepdims = false} : (tensor<?x2xi64, #moe.dims<b * s, 2>>) -> tensor<2xi64>
  %8 = moe.reduce max %7 {axes = array<i64: 0>, keepdims = false} : (tensor<2xi64>) -> tensor<i64>
  %9 = moe.cast %8 : (tensor<i64>) -> tensor<f32>
  %10 = moe.unary ceil %9 : (tensor<f32>) -> tensor<f32>
  %11 = moe.cast %10 : (tensor<f32>) -> tensor<i64>
  %12 = moe.reshape %11 : (tensor<i64>) -> tensor<1xi64>
  %values, %indices = moe.top_k %6, %12 {axis = 0 : i64} : (tensor<?x2xi64, #moe.dims<b * s, 2>>, tensor<1xi64>) -> (tensor<?x2xi64, #moe.dims<d0, 2>>, tensor<?x2xi64, #moe.dims<d0, 2>>)
  %13 = moe.constant dense<0> : tensor<i64> : tensor<i64>
  %14 = moe.broadcast %13 : (tensor<i64>) -> tensor<?x2xi64, #moe.dims<b * s, 2>>
  %15 = moe.constant dense<1> : tensor<i64> : tensor<i64>
  %16 = moe.broadcast %15 : (tensor<i64>) -> tensor<?x2xi64, #moe.dims<d0, 2>>
  %17 = moe.scatter_elements %14, %indices, %16 {axis = 0 : i64} : (tensor<?x2xi64, #moe.dims<b * s, 2>>, tensor<?x2xi64, #moe.dims<d0, 2>>, tensor<?x2xi64, #moe.dims<d0, 2>>) -> tensor<?x2xi64, #moe.dims<b * s, 2>>
  %18 = moe.binary mul %6, %17 : (tensor<?x2xi64, #moe.dims<b * s, 2>>, tensor<?x2xi64, #moe.dims<b * s, 2>>) -> tensor<?x2xi64, #moe.dims<b * s, 2>>
  %19 = moe.cumsum %18 {axis = 0 : i64} : (tensor<?x2xi64, #moe.dims<b * s, 2>>) -> tensor<?x2xi64, #moe.dims<b * s, 2>>
  %20 = moe.constant dense<1> : tensor<i64> : tensor<i64>
  %21 = moe.binary sub %19, %20 : (tensor<?x2xi64, #moe.dims<b * s, 2>>, tensor<i64>) -> tensor<?x2xi64, #moe.dims<b * s, 2>>
  %22 = moe.binary mul %21, %18 : (tensor<?x2xi64, #moe.dims<b * s, 2>>, tensor<?x2xi64, #moe.dims<b * s, 2>>) -> tensor<?x2xi64, #moe.dims<b * s, 2>>
  %23 = moe.reduce sum %22 {axes = array<i64: 1>, keepdims = false} : (tensor<?x2xi64, #moe.dims<b * s, 2>>) -> tensor<?xi64, #moe.dims<b * s>>
  %24 = moe.cast %18 : (tensor<?x2xi64, #moe.dims<b * s, 2>>) -> tensor<?x2xf32, #moe.dims<b * s, 2>>
  %25 = moe.binary mul %3, %24 : (tensor<?x2xf32, #moe.dims<b * s, 2>>, tensor<?x2xf32, #moe.dims<b * s, 2>>) -> tensor<?x2xf32, #moe.dims<b * s, 2>>
  %26 = moe.constant dense<[0, 1]> : tensor<2xi64> : tensor<2xi64>
  %27 = moe.one_hot %23, %26, %11 {axis = 1 : i64} : (tensor<?xi64, #moe.dims<b * s>>, tensor<2xi64>, tensor<i64>) -> tensor<?x?xi64, #moe.dims<b * s, d0>>
  %28 = moe.cast %27 : (tensor<?x?xi64, #moe.dims<b * s, d0>>) -> tensor<?x?xf32, #moe.dims<b * s, d0>>
  %29 = moe.reshape %25 : (tensor<?x2xf32, #moe.dims<b * s, 2>>) -> tensor<?x2x1xf32, #moe.dims<b * s, 2, 1>>
  %30 = moe.reshape %28 : (tensor<?x?xf32, #moe.dims<b * s, d0>>) -> tensor<?x1x?xf32, #moe.dims<b * s, 1, d0>>
  %31 = moe.binary mul %29, %30 : (tensor<?x2x1xf32, #moe.dims<b * s, 2, 1>>, tensor<?x1x?xf32, #moe.dims<b * s, 1, d0>>) -> tensor<?x2x?xf32, #moe.dims<b * s, 2, d0>>
  %32 = moe.cast %31 : (tensor<?x2x?xf32, #moe.dims<b * s, 2, d0>>) -> tensor<?x2x?xi1, #moe.dims<b * s, 2, d0>>
  %33 = moe.cast %32 : (tensor<?x2x?xi1, #moe.dims<b * s, 2, d0>>) -> tensor<?x2x?xf32, #moe.dims<b * s, 2, d0>>
  %34 = moe.transpose %33 {permutation = array<i64: 1, 2, 0>} : (tensor<?x2x?xf32, #moe.dims<b * s, 2, d0>>) -> tensor<2x?x?xf32, #moe.dims<2, d0, b * s>>
  %35 = moe.matmul %34, %0 : (tensor<2x?x?xf32, #moe.dims<2, d0, b * s>>, tensor<?x4xf32, #moe.dims<b * s, 4>>) -> tensor<2x?x4xf32, #moe.dims<2, d0, 4>>
  %36 = moe.reshape %35 : (tensor<2x?x4xf32, #moe.dims<2, d0, 4>>) -> tensor<1x2x?x4xf32, #moe.dims<1, 2, d0, 4>>
  %37 = moe.slice %36 <0, 0, 0, 0> {steps = array<i64: 1, 1, 1, 1>} : (tensor<1x2x?x4xf32, #moe.dims<1, 2, d0, 4>>) -> tensor<1x1x?x4xf32, #moe.dims<1, 1, d0, 4>>
  %38 = moe.slice %36 <0, 1, 0, 0> {steps = array<i64: 1, 1, 1, 1>} : (tensor<1x2x?x4xf32, #moe.dims<1, 2, d0, 4>>) -> tensor<1x1x?x4xf32, #moe.dims<1, 1, d0, 4>>
  %39 = moe.param "w177" <file "model.onnx" [13405, 96] : tensor<4x6xf32>> : tensor<4x6xf32>
  %40 = moe.matmul %37, %39 : (tensor<1x1x?x4xf32, #moe.dims<1, 1, d0, 4>>, tensor<4x6xf32>) -> tensor<1x1x?x6xf32, #moe.dims<1, 1, d0, 6>>
  %41 = moe.param "experts.0.a.bias" <file "model.onnx" [12986, 24] : tensor<6xf32>> : tensor<6xf32>
  %42 = moe.binary add %41, %40 : (tensor<6xf32>, tensor<1x1x?x6xf32, #moe.dims<1, 1, d0, 6>>) -> tensor<1x1x?x6xf32, #moe.dims<1, 1, d0, 6>>
  %43 = moe.unary relu %42 : (tensor<1x1x?x6xf32, #moe.dims<1, 1, d0, 6>>) -> tensor<1x1x?x6xf32, #moe.dims<1, 1, d0, 6>>
  %44 = moe.param "w178" <file "model.onnx" [13529, 96] : tensor<6x4xf32>> : tensor<6x4xf32>
  %45 = moe.matmul %43, %44 : (tensor<1x1x?x6xf32, #moe.dims<1, 1, d0, 6>>, tensor<6x4xf32>) -> tensor<1x1x?x4xf32, #moe.dims<1, 1, d0, 4>>
  %46 = moe.param "experts.0.b.bias" <file "model.onnx" [13058, 16] : tensor<4xf32>> : tensor<4xf32>
  %47 = moe.binary add %46, %45 : (tensor<4xf32>, tensor<1x1x?x4xf32, #moe.dims<1, 1, d0, 4>>) -> tensor<1x1x?x4xf32, #moe.dims<1, 1, d0, 4>>
  %48 = moe.param "w179" <file "model.onnx" [13653, 96] : tensor<4x6xf32>> : tensor<4x6xf32>
  %49 = moe.matmul %38, %48 : (tensor<1x1x?x4xf32, #moe.dims<1, 1, d0, 4>>, tensor<4x6xf32>) -> tensor<1x1x?x6xf32, #moe.dims<1, 1, d0, 6>>
  %50 = moe.param "experts.1.a.bias" <file "model.onnx" [13122, 24] : tensor<6xf32>> : tensor<6xf32>
  %51 = moe.binary add %50, %49 : (tensor<6xf32>, tensor<1x1x?x6xf32, #moe.dims<1, 1, d0, 6>>) -> tensor<1x1x?x6xf32, #moe.dims<1, 1, d0, 6>>
  %52 = moe.unary relu %51 : (tensor<1x1x?x6xf32, #moe.dims<1, 1, d0, 6>>) -> tensor<1x1x?x6xf32, #moe.dims<1, 1, d0, 6>>
  %53 = moe.param "w180" <file "model.onnx" [13777, 96] : tensor<6x4xf32>> : tensor<6x4xf32>
  %54 = moe.matmul %52, %53 : (tensor<1x1x?x6xf32, #moe.dims<1, 1, d0, 6>>, tensor<6x4xf32>) -> tensor<1x1x?x4xf32, #moe.dims<1, 1, d0, 4>>
  %55 = moe.param "experts.1.b.bias" <file "model.onnx" [13194, 16] : tensor<4xf32>> : tensor<4xf32>
  %56 = moe.binary add %55, %54 : (tensor<4xf32>, tensor<1x1x?x4xf32, #moe.dims<1, 1, d0, 4>>) -> tensor<1x1x?x4xf32, #moe.dims<1, 1, d0, 4>>
  %57 = moe.concat %47, %56 {axis = 1 : i64} : (tensor<1x1x?x4xf32, #moe.dims<1, 1, d0, 4>>, tensor<1x1x?x4xf32, #moe.dims<1, 1, d0, 4>>) -> tensor<1x2x?x4xf32, #moe.dims<1, 2, d0, 4>>
  %58 = moe.reshape %31 : (tensor<?x2x?xf32, #moe.dims<b * s, 2, d0>>) -> tensor<?x?xf32, #moe.dims<b * s, 2 * d0>>
  %59 = moe.reshape %57 : (tensor<1x2x?x4xf32, #moe.dims<1, 2, d0, 4>>) -> tensor<?x4xf32, #moe.dims<2 * d0, 4>>
  %60 = moe.matmul %58, %59 : (tensor<?x?xf32, #moe.dims<b * s, 2 * d0>>, tensor<?x4xf32, #moe.dims<2 * d0, 4>>) -> tensor<?x4xf32, #moe.dims<b * s, 4>>
  %61 = moe.reshape %60 : (tensor<?x4xf32, #moe.dims<b * s, 4>>) -> tensor<?x?x4xf32, #moe.dims<b, s, 4>>
  %62 = moe.param "w183" <file "model.onnx" [13901, 96] : tensor<4x6xf32>> : tensor<4x6xf32>
  %63 = moe.matmul %arg0, %62 : (tensor<?x?x4xf32, #moe.dims<b, s, 4>>, tensor<4x6xf32>) -> tensor<?x?x6xf32, #moe.dims<b, s, 6>>
  %64 = moe.param "mlp.a.bias" <file "model.onnx" [13230, 24] : tensor<6xf32>> : tensor<6xf32>
  %65 = moe.binary add %64, %63 : (tensor<6xf32>, tensor<?x?x6xf32, #moe.dims<b, s, 6>>) -> tensor<?x?x6xf32, #moe.dims<b, s, 6>>
  %66 = moe.unary relu %65 : (tensor<?x?x6xf32, #moe.dims<b, s, 6>>) -> tensor<?x?x6xf32, #moe.dims<b, s, 6>>
  %67 = moe.param "w184" <file "model.onnx" [14025, 96] : tensor<6x4xf32>> : tensor<6x4xf32>
  %68 = moe.matmul %66, %67 : (tensor<?x?x6xf32, #moe.dims<b, s, 6>>, tensor<6x4xf32>) -> tensor<?x?x4xf32, #moe.dims<b, s, 4>>
  %69 = moe.param "mlp.b.bias" <file "model.onnx" [13274, 16] : tensor<4xf32>> : tensor<4xf32>
  %70 = moe.binary add %69, %68 : (tensor<4xf32>, tensor<?x?x4xf32, #moe.dims<b, s, 4>>) -> tensor<?x?x4xf32, #moe.dims<b, s, 4>>
  %71 = moe.param "w185" <file "model.onnx" [14149, 32] : tensor<4x2xf32>> : tensor<4x2xf32>
  %72 = moe.matmul %arg0, %71 : (tensor<?x?x4xf32, #moe.dims<b, s, 4>>, tensor<4x2xf32>) -> tensor<?x?x2xf32, #moe.dims<b, s, 2>>
  %73 = moe.param "coef.bias" <file "model.onnx" [13309, 8] : tensor<2xf32>> : tensor<2xf32>
  %74 = moe.binary add %73, %72 : (tensor<2xf32>, tensor<?x?x2xf32, #moe.dims<b, s, 2>>) -> tensor<?x?x2xf32, #moe.dims<b, s, 2>>
  %75 = moe.softmax %74 {axis = 2 : i64} : (tensor<?x?x2xf32, #moe.dims<b, s, 2>>) -> tensor<?x?x2xf32, #moe.dims<b, s, 2>>
  %76 = moe.slice %75 <0, 0, 0> {steps = array<i64: 1, 1, 1>} : (tensor<?x?x2xf32, #moe.dims<b, s, 2>>) -> tensor<?x?x1xf32, #moe.dims<b, s, 1>>
  %77 = moe.binary mul %61, %76 : (tensor<?x?x4xf32, #moe.dims<b, s, 4>>, tensor<?x?x1xf32, #moe.dims<b, s, 1>>) -> tensor<?x?x4xf32, #moe.dims<b, s, 4>>
  %78 = moe.slice %75 <0, 0, 1> {steps = array<i64: 1, 1, 1>} : (tensor<?x?x2xf32, #moe.dims<b, s, 2>>) -> tensor<?x?x1xf32, #moe.dims<b, s, 1>>
  %79 = moe.binary mul %70, %78 : (tensor<?x?x4xf32, #moe.dims<b, s, 4>>, tensor<?x?x1xf32, #moe.dims<b, s, 1>>) -> tensor<?x?x4xf32, #moe.dims<b, s, 4>>
  %80 = moe.binary add %77, %79 : (tensor<?x?x4xf32, #moe.dims<b, s, 4>>, tensor<?x?x4xf32, #moe.dims<b, s, 4>>) -> tensor<?x?x4xf32, #moe.dims<b, s, 4>>
  return %80 : tensor<?x?x4xf32, #moe.dims<b, s, 4>>
}

// Second choices queue behind all first ones; weights are normalized over what
// survives.
// CHECK-LABEL: func.func @top2_capacity
// CHECK: moe.gate
// CHECK-SAME: drop_policy = #moe<drop_policy choice>, k = 2 : i64, min_capacity = 2 : i64, normalize = #moe<normalize sum_max>, normalize_after_drop = true, normalize_eps = 1.1920929E-7 : f32
// CHECK-NOT: moe.one_hot
func.func @top2_capacity(%arg0: tensor<?x?x4xf32, #moe.dims<b, s, 4>>) -> (tensor<?x?x4xf32, #moe.dims<b, s, 4>>) attributes {moe.data_symbols = {d0 = "max(2, ceildiv(2 * b * s, 3) + 1)"}} {
  %0 = moe.reshape %arg0 : (tensor<?x?x4xf32, #moe.dims<b, s, 4>>) -> tensor<?x4xf32, #moe.dims<b * s, 4>>
  %1 = moe.param "w186" <file "model.onnx" [16266, 48] : tensor<4x3xf32>> : tensor<4x3xf32>
  %2 = moe.matmul %0, %1 : (tensor<?x4xf32, #moe.dims<b * s, 4>>, tensor<4x3xf32>) -> tensor<?x3xf32, #moe.dims<b * s, 3>>
  %3 = moe.softmax %2 {axis = 1 : i64} : (tensor<?x3xf32, #moe.dims<b * s, 3>>) -> tensor<?x3xf32, #moe.dims<b * s, 3>>
  %4 = moe.arg_reduce max %3 {axis = 1 : i64, keepdims = false} : (tensor<?x3xf32, #moe.dims<b * s, 3>>) -> tensor<?xi64, #moe.dims<b * s>>
  %5 = moe.constant dense<[0, 1]> : tensor<2xi64> : tensor<2xi64>
  %6 = moe.one_hot %4, %5 {axis = 1 : i64} : (tensor<?xi64, #moe.dims<b * s>>, tensor<2xi64>) -> tensor<?x3xi64, #moe.dims<b * s, 3>>
  %7 = moe.cast %6 : (tensor<?x3xi64, #moe.dims<b * s, 3>>) -> tensor<?x3xi1, #moe.dims<b * s, 3>>
  %8 = moe.constant dense<0xFF800000> : tensor<f32> : tensor<f32>
  %9 = moe.select %7, %8, %2 : (tensor<?x3xi1, #moe.dims<b * s, 3>>, tensor<f32>, tensor<?x3xf32, #moe.dims<b * s, 3>>) -> tensor<?x3xf32, #moe.dims<b * s, 3>>
  %10 = moe.arg_reduce max %9 {axis = 1 : i64, keepdims = false} : (tensor<?x3xf32, #moe.dims<b * s, 3>>) -> tensor<?xi64, #moe.dims<b * s>>
  %11 = moe.constant dense<[0, 1]> : tensor<2xi64> : tensor<2xi64>
  %12 = moe.one_hot %10, %11 {axis = 1 : i64} : (tensor<?xi64, #moe.dims<b * s>>, tensor<2xi64>) -> tensor<?x3xi64, #moe.dims<b * s, 3>>
  %13 = moe.cumsum %6 {axis = 0 : i64} : (tensor<?x3xi64, #moe.dims<b * s, 3>>) -> tensor<?x3xi64, #moe.dims<b * s, 3>>
  %14 = moe.constant dense<1> : tensor<i64> : tensor<i64>
  %15 = moe.binary sub %13, %14 : (tensor<?x3xi64, #moe.dims<b * s, 3>>, tensor<i64>) -> tensor<?x3xi64, #moe.dims<b * s, 3>>
  %16 = moe.cumsum %12 {axis = 0 : i64} : (tensor<?x3xi64, #moe.dims<b * s, 3>>) -> tensor<?x3xi64, #moe.dims<b * s, 3>>
  %17 = moe.constant dense<1> : tensor<i64> : tensor<i64>
  %18 = moe.binary sub %16, %17 : (tensor<?x3xi64, #moe.dims<b * s, 3>>, tensor<i64>) -> tensor<?x3xi64, #moe.dims<b * s, 3>>
  %19 = moe.reduce sum %6 {axes = array<i64: 0>, keepdims = true} : (tensor<?x3xi64, #moe.dims<b * s, 3>>) -> tensor<1x3xi64>
  %20 = moe.binary add %18, %19 : (tensor<?x3xi64, #moe.dims<b * s, 3>>, tensor<1x3xi64>) -> tensor<?x3xi64, #moe.dims<b * s, 3>>
  %21 = moe.shape <b * s> : tensor<i64>
  %22 = moe.cast %21 : (tensor<i64>) -> tensor<f32>
  %23 = moe.constant dense<3.000000e+00> : tensor<f32> : tensor<f32>
  %24 = moe.binary div %22, %23 : (tensor<f32>, tensor<f32>) -> tensor<f32>
  %25 = moe.constant dense<2.000000e+00> : tensor<f32> : tensor<f32>
  %26 = moe.binary mul %25, %24 : (tensor<f32>, tensor<f32>) -> tensor<f32>
  %27 = moe.unary ceil %26 : (tensor<f32>) -> tensor<f32>
  %28 = moe.cast %27 : (tensor<f32>) -> tensor<i64>
  %29 = moe.constant dense<2> : tensor<i64> : tensor<i64>
  %30 = moe.compare lt %28, %29 : (tensor<i64>, tensor<i64>) -> tensor<i1>
  %31 = moe.constant dense<2> : tensor<i64> : tensor<i64>
  %32 = moe.select %30, %31, %28 : (tensor<i1>, tensor<i64>, tensor<i64>) -> tensor<i64>
  %33 = moe.compare lt %15, %32 : (tensor<?x3xi64, #moe.dims<b * s, 3>>, tensor<i64>) -> tensor<?x3xi1, #moe.dims<b * s, 3>>
  %34 = moe.cast %33 : (tensor<?x3xi1, #moe.dims<b * s, 3>>) -> tensor<?x3xi64, #moe.dims<b * s, 3>>
  %35 = moe.binary mul %6, %34 : (tensor<?x3xi64, #moe.dims<b * s, 3>>, tensor<?x3xi64, #moe.dims<b * s, 3>>) -> tensor<?x3xi64, #moe.dims<b * s, 3>>
  %36 = moe.compare lt %20, %32 : (tensor<?x3xi64, #moe.dims<b * s, 3>>, tensor<i64>) -> tensor<?x3xi1, #moe.dims<b * s, 3>>
  %37 = moe.cast %36 : (tensor<?x3xi1, #moe.dims<b * s, 3>>) -> tensor<?x3xi64, #moe.dims<b * s, 3>>
  %38 = moe.binary mul %12, %37 : (tensor<?x3xi64, #moe.dims<b * s, 3>>, tensor<?x3xi64, #moe.dims<b * s, 3>>) -> tensor<?x3xi64, #moe.dims<b * s, 3>>
  %39 = moe.binary mul %15, %35 : (tensor<?x3xi64, #moe.dims<b * s, 3>>, tensor<?x3xi64, #moe.dims<b * s, 3>>) -> tensor<?x3xi64, #moe.dims<b * s, 3>>
  %40 = moe.reduce sum %39 {axes = array<i64: 1>, keepdims = false} : (tensor<?x3xi64, #moe.dims<b * s, 3>>) -> tensor<?xi64, #moe.dims<b * s>>
  %41 = moe.binary mul %20, %38 : (tensor<?x3xi64, #moe.dims<b * s, 3>>, tensor<?x3xi64, #moe.dims<b * s, 3>>) -> tensor<?x3xi64, #moe.dims<b * s, 3>>
  %42 = moe.reduce sum %41 {axes = array<i64: 1>, keepdims = false} : (tensor<?x3xi64, #moe.dims<b * s, 3>>) -> tensor<?xi64, #moe.dims<b * s>>
  %43 = moe.cast %35 : (tensor<?x3xi64, #moe.dims<b * s, 3>>) -> tensor<?x3xf32, #moe.dims<b * s, 3>>
  %44 = moe.cast %38 : (tensor<?x3xi64, #moe.dims<b * s, 3>>) -> tensor<?x3xf32, #moe.dims<b * s, 3>>
  %45 = moe.reshape %3 : (tensor<?x3xf32, #moe.dims<b * s, 3>>) -> tensor<?x1x3xf32, #moe.dims<b * s, 1, 3>>
  %46 = moe.reshape %43 : (tensor<?x3xf32, #moe.dims<b * s, 3>>) -> tensor<?x3x1xf32, #moe.dims<b * s, 3, 1>>
  %47 = moe.matmul %45, %46 : (tensor<?x1x3xf32, #moe.dims<b * s, 1, 3>>, tensor<?x3x1xf32, #moe.dims<b * s, 3, 1>>) -> tensor<?x1x1xf32, #moe.dims<b * s, 1, 1>>
  %48 = moe.reshape %47 : (tensor<?x1x1xf32, #moe.dims<b * s, 1, 1>>) -> tensor<?xf32, #moe.dims<b * s>>
  %49 = moe.reshape %3 : (tensor<?x3xf32, #moe.dims<b * s, 3>>) -> tensor<?x1x3xf32, #moe.dims<b * s, 1, 3>>
  %50 = moe.reshape %44 : (tensor<?x3xf32, #moe.dims<b * s, 3>>) -> tensor<?x3x1xf32, #moe.dims<b * s, 3, 1>>
  %51 = moe.matmul %49, %50 : (tensor<?x1x3xf32, #moe.dims<b * s, 1, 3>>, tensor<?x3x1xf32, #moe.dims<b * s, 3, 1>>) -> tensor<?x1x1xf32, #moe.dims<b * s, 1, 1>>
  %52 = moe.reshape %51 : (tensor<?x1x1xf32, #moe.dims<b * s, 1, 1>>) -> tensor<?xf32, #moe.dims<b * s>>
  %53 = moe.binary add %48, %52 : (tensor<?xf32, #moe.dims<b * s>>, tensor<?xf32, #moe.dims<b * s>>) -> tensor<?xf32, #moe.dims<b * s>>
  %54 = moe.constant dense<1.1920929E-7> : tensor<f32> : tensor<f32>
  %55 = moe.binary max %53, %54 : (tensor<?xf32, #moe.dims<b * s>>, tensor<f32>) -> tensor<?xf32, #moe.dims<b * s>>
  %56 = moe.binary div %48, %55 : (tensor<?xf32, #moe.dims<b * s>>, tensor<?xf32, #moe.dims<b * s>>) -> tensor<?xf32, #moe.dims<b * s>>
  %57 = moe.binary div %52, %55 : (tensor<?xf32, #moe.dims<b * s>>, tensor<?xf32, #moe.dims<b * s>>) -> tensor<?xf32, #moe.dims<b * s>>
  %58 = moe.reshape %56 : (tensor<?xf32, #moe.dims<b * s>>) -> tensor<?x1xf32, #moe.dims<b * s, 1>>
  %59 = moe.binary mul %58, %43 : (tensor<?x1xf32, #moe.dims<b * s, 1>>, tensor<?x3xf32, #moe.dims<b * s, 3>>) -> tensor<?x3xf32, #moe.dims<b * s, 3>>
  %60 = moe.reshape %57 : (tensor<?xf32, #moe.dims<b * s>>) -> tensor<?x1xf32, #moe.dims<b * s, 1>>
  %61 = moe.binary mul %60, %44 : (tensor<?x1xf32, #moe.dims<b * s, 1>>, tensor<?x3xf32, #moe.dims<b * s, 3>>) -> tensor<?x3xf32, #moe.dims<b * s, 3>>
  %62 = moe.constant dense<[0, 1]> : tensor<2xi64> : tensor<2xi64>
  %63 = moe.one_hot %40, %62, %32 {axis = 1 : i64} : (tensor<?xi64, #moe.dims<b * s>>, tensor<2xi64>, tensor<i64>) -> tensor<?x?xi64, #moe.dims<b * s, d0>>
  %64 = moe.cast %63 : (tensor<?x?xi64, #moe.dims<b * s, d0>>) -> tensor<?x?xf32, #moe.dims<b * s, d0>>
  %65 = moe.constant dense<[0, 1]> : tensor<2xi64> : tensor<2xi64>
  %66 = moe.one_hot %42, %65, %32 {axis = 1 : i64} : (tensor<?xi64, #moe.dims<b * s>>, tensor<2xi64>, tensor<i64>) -> tensor<?x?xi64, #moe.dims<b * s, d0>>
  %67 = moe.cast %66 : (tensor<?x?xi64, #moe.dims<b * s, d0>>) -> tensor<?x?xf32, #moe.dims<b * s, d0>>
  %68 = moe.reshape %59 : (tensor<?x3xf32, #moe.dims<b * s, 3>>) -> tensor<?x3x1xf32, #moe.dims<b * s, 3, 1>>
  %69 = moe.reshape %64 : (tensor<?x?xf32, #moe.dims<b * s, d0>>) -> tensor<?x1x?xf32, #moe.dims<b * s, 1, d0>>
  %70 = moe.binary mul %68, %69 : (tensor<?x3x1xf32, #moe.dims<b * s, 3, 1>>, tensor<?x1x?xf32, #moe.dims<b * s, 1, d0>>) -> tensor<?x3x?xf32, #moe.dims<b * s, 3, d0>>
  %71 = moe.reshape %61 : (tensor<?x3xf32, #moe.dims<b * s, 3>>) -> tensor<?x3x1xf32, #moe.dims<b * s, 3, 1>>
  %72 = moe.reshape %67 : (tensor<?x?xf32, #moe.dims<b * s, d0>>) -> tensor<?x1x?xf32, #moe.dims<b * s, 1, d0>>
  %73 = moe.binary mul %71, %72 : (tensor<?x3x1xf32, #moe.dims<b * s, 3, 1>>, tensor<?x1x?xf32, #moe.dims<b * s, 1, d0>>) -> tensor<?x3x?xf32, #moe.dims<b * s, 3, d0>>
  %74 = moe.binary add %70, %73 : (tensor<?x3x?xf32, #moe.dims<b * s, 3, d0>>, tensor<?x3x?xf32, #moe.dims<b * s, 3, d0>>) -> tensor<?x3x?xf32, #moe.dims<b * s, 3, d0>>
  %75 = moe.cast %74 : (tensor<?x3x?xf32, #moe.dims<b * s, 3, d0>>) -> tensor<?x3x?xi1, #moe.dims<b * s, 3, d0>>
  %76 = moe.cast %75 : (tensor<?x3x?xi1, #moe.dims<b * s, 3, d0>>) -> tensor<?x3x?xf32, #moe.dims<b * s, 3, d0>>
  %77 = moe.transpose %76 {permutation = array<i64: 1, 2, 0>} : (tensor<?x3x?xf32, #moe.dims<b * s, 3, d0>>) -> tensor<3x?x?xf32, #moe.dims<3, d0, b * s>>
  %78 = moe.matmul %77, %0 : (tensor<3x?x?xf32, #moe.dims<3, d0, b * s>>, tensor<?x4xf32, #moe.dims<b * s, 4>>) -> tensor<3x?x4xf32, #moe.dims<3, d0, 4>>
  %79 = moe.reshape %78 : (tensor<3x?x4xf32, #moe.dims<3, d0, 4>>) -> tensor<1x3x?x4xf32, #moe.dims<1, 3, d0, 4>>
  %80 = moe.slice %79 <0, 0, 0, 0> {steps = array<i64: 1, 1, 1, 1>} : (tensor<1x3x?x4xf32, #moe.dims<1, 3, d0, 4>>) -> tensor<1x1x?x4xf32, #moe.dims<1, 1, d0, 4>>
  %81 = moe.slice %79 <0, 1, 0, 0> {steps = array<i64: 1, 1, 1, 1>} : (tensor<1x3x?x4xf32, #moe.dims<1, 3, d0, 4>>) -> tensor<1x1x?x4xf32, #moe.dims<1, 1, d0, 4>>
  %82 = moe.slice %79 <0, 2, 0, 0> {steps = array<i64: 1, 1, 1, 1>} : (tensor<1x3x?x4xf32, #moe.dims<1, 3, d0, 4>>) -> tensor<1x1x?x4xf32, #moe.dims<1, 1, d0, 4>>
  %83 = moe.param "w192" <file "model.onnx" [16342, 96] : tensor<4x6xf32>> : tensor<4x6xf32>
  %84 = moe.matmul %80, %83 : (tensor<1x1x?x4xf32, #moe.dims<1, 1, d0, 4>>, tensor<4x6xf32>) -> tensor<1x1x?x6xf32, #moe.dims<1, 1, d0, 6>>
  %85 = moe.param "experts.0.a.bias" <file "model.onnx" [15878, 24] : tensor<6xf32>> : tensor<6xf32>
  %86 = moe.binary add %85, %84 : (tensor<6xf32>, tensor<1x1x?x6xf32, #moe.dims<1, 1, d0, 6>>) -> tensor<1x1x?x6xf32, #moe.dims<1, 1, d0, 6>>
  %87 = moe.unary relu %86 : (tensor<1x1x?x6xf32, #moe.dims<1, 1, d0, 6>>) -> tensor<1x1x?x6xf32, #moe.dims<1, 1, d0, 6>>
  %88 = moe.param "w193" <file "model.onnx" [16466, 96] : tensor<6x4xf32>> : tensor<6x4xf32>
  %89 = moe.matmul %87, %88 : (tensor<1x1x?x6xf32, #moe.dims<1, 1, d0, 6>>, tensor<6x4xf32>) -> tensor<1x1x?x4xf32, #moe.dims<1, 1, d0, 4>>
  %90 = moe.param "experts.0.b.bias" <file "model.onnx" [15950, 16] : tensor<4xf32>> : tensor<4xf32>
  %91 = moe.binary add %90, %89 : (tensor<4xf32>, tensor<1x1x?x4xf32, #moe.dims<1, 1, d0, 4>>) -> tensor<1x1x?x4xf32, #moe.dims<1, 1, d0, 4>>
  %92 = moe.param "w194" <file "model.onnx" [16590, 96] : tensor<4x6xf32>> : tensor<4x6xf32>
  %93 = moe.matmul %81, %92 : (tensor<1x1x?x4xf32, #moe.dims<1, 1, d0, 4>>, tensor<4x6xf32>) -> tensor<1x1x?x6xf32, #moe.dims<1, 1, d0, 6>>
  %94 = moe.param "experts.1.a.bias" <file "model.onnx" [16014, 24] : tensor<6xf32>> : tensor<6xf32>
  %95 = moe.binary add %94, %93 : (tensor<6xf32>, tensor<1x1x?x6xf32, #moe.dims<1, 1, d0, 6>>) -> tensor<1x1x?x6xf32, #moe.dims<1, 1, d0, 6>>
  %96 = moe.unary relu %95 : (tensor<1x1x?x6xf32, #moe.dims<1, 1, d0, 6>>) -> tensor<1x1x?x6xf32, #moe.dims<1, 1, d0, 6>>
  %97 = moe.param "w195" <file "model.onnx" [16714, 96] : tensor<6x4xf32>> : tensor<6x4xf32>
  %98 = moe.matmul %96, %97 : (tensor<1x1x?x6xf32, #moe.dims<1, 1, d0, 6>>, tensor<6x4xf32>) -> tensor<1x1x?x4xf32, #moe.dims<1, 1, d0, 4>>
  %99 = moe.param "experts.1.b.bias" <file "model.onnx" [16086, 16] : tensor<4xf32>> : tensor<4xf32>
  %100 = moe.binary add %99, %98 : (tensor<4xf32>, tensor<1x1x?x4xf32, #moe.dims<1, 1, d0, 4>>) -> tensor<1x1x?x4xf32, #moe.dims<1, 1, d0, 4>>
  %101 = moe.param "w196" <file "model.onnx" [16838, 96] : tensor<4x6xf32>> : tensor<4x6xf32>
  %102 = moe.matmul %82, %101 : (tensor<1x1x?x4xf32, #moe.dims<1, 1, d0, 4>>, tensor<4x6xf32>) -> tensor<1x1x?x6xf32, #moe.dims<1, 1, d0, 6>>
  %103 = moe.param "experts.2.a.bias" <file "model.onnx" [16150, 24] : tensor<6xf32>> : tensor<6xf32>
  %104 = moe.binary add %103, %102 : (tensor<6xf32>, tensor<1x1x?x6xf32, #moe.dims<1, 1, d0, 6>>) -> tensor<1x1x?x6xf32, #moe.dims<1, 1, d0, 6>>
  %105 = moe.unary relu %104 : (tensor<1x1x?x6xf32, #moe.dims<1, 1, d0, 6>>) -> tensor<1x1x?x6xf32, #moe.dims<1, 1, d0, 6>>
  %106 = moe.param "w197" <file "model.onnx" [16962, 96] : tensor<6x4xf32>> : tensor<6x4xf32>
  %107 = moe.matmul %105, %106 : (tensor<1x1x?x6xf32, #moe.dims<1, 1, d0, 6>>, tensor<6x4xf32>) -> tensor<1x1x?x4xf32, #moe.dims<1, 1, d0, 4>>
  %108 = moe.param "experts.2.b.bias" <file "model.onnx" [16222, 16] : tensor<4xf32>> : tensor<4xf32>
  %109 = moe.binary add %108, %107 : (tensor<4xf32>, tensor<1x1x?x4xf32, #moe.dims<1, 1, d0, 4>>) -> tensor<1x1x?x4xf32, #moe.dims<1, 1, d0, 4>>
  %110 = moe.concat %91, %100, %109 {axis = 1 : i64} : (tensor<1x1x?x4xf32, #moe.dims<1, 1, d0, 4>>, tensor<1x1x?x4xf32, #moe.dims<1, 1, d0, 4>>, tensor<1x1x?x4xf32, #moe.dims<1, 1, d0, 4>>) -> tensor<1x3x?x4xf32, #moe.dims<1, 3, d0, 4>>
  %111 = moe.reshape %74 : (tensor<?x3x?xf32, #moe.dims<b * s, 3, d0>>) -> tensor<?x?xf32, #moe.dims<b * s, 3 * d0>>
  %112 = moe.reshape %110 : (tensor<1x3x?x4xf32, #moe.dims<1, 3, d0, 4>>) -> tensor<?x4xf32, #moe.dims<3 * d0, 4>>
  %113 = moe.matmul %111, %112 : (tensor<?x?xf32, #moe.dims<b * s, 3 * d0>>, tensor<?x4xf32, #moe.dims<3 * d0, 4>>) -> tensor<?x4xf32, #moe.dims<b * s, 4>>
  %114 = moe.reshape %113 : (tensor<?x4xf32, #moe.dims<b * s, 4>>) -> tensor<?x?x4xf32, #moe.dims<b, s, 4>>
  return %114 : tensor<?x?x4xf32, #moe.dims<b, s, 4>>
}

// CHECK-LABEL: func.func @top2_dropless
// CHECK: moe.gate
// CHECK-NOT: drop_policy
// CHECK-SAME: k = 2 : i64, normalize = #moe<normalize sum_max>
func.func @top2_dropless(%arg0: tensor<?x?x4xf32, #moe.dims<b, s, 4>>) -> (tensor<?x?x4xf32, #moe.dims<b, s, 4>>) attributes {moe.data_symbols = {d0 = "2 * b * s"}} {
  %0 = moe.reshape %arg0 : (tensor<?x?x4xf32, #moe.dims<b, s, 4>>) -> tensor<?x4xf32, #moe.dims<b * s, 4>>
  %1 = moe.param "w170" <file "model.onnx" [15431, 48] : tensor<4x3xf32>> : tensor<4x3xf32>
  %2 = moe.matmul %0, %1 : (tensor<?x4xf32, #moe.dims<b * s, 4>>, tensor<4x3xf32>) -> tensor<?x3xf32, #moe.dims<b * s, 3>>
  %3 = moe.softmax %2 {axis = 1 : i64} : (tensor<?x3xf32, #moe.dims<b * s, 3>>) -> tensor<?x3xf32, #moe.dims<b * s, 3>>
  %4 = moe.arg_reduce max %3 {axis = 1 : i64, keepdims = false} : (tensor<?x3xf32, #moe.dims<b * s, 3>>) -> tensor<?xi64, #moe.dims<b * s>>
  %5 = moe.constant dense<[0, 1]> : tensor<2xi64> : tensor<2xi64>
  %6 = moe.one_hot %4, %5 {axis = 1 : i64} : (tensor<?xi64, #moe.dims<b * s>>, tensor<2xi64>) -> tensor<?x3xi64, #moe.dims<b * s, 3>>
  %7 = moe.cast %6 : (tensor<?x3xi64, #moe.dims<b * s, 3>>) -> tensor<?x3xi1, #moe.dims<b * s, 3>>
  %8 = moe.constant dense<0xFF800000> : tensor<f32> : tensor<f32>
  %9 = moe.select %7, %8, %2 : (tensor<?x3xi1, #moe.dims<b * s, 3>>, tensor<f32>, tensor<?x3xf32, #moe.dims<b * s, 3>>) -> tensor<?x3xf32, #moe.dims<b * s, 3>>
  %10 = moe.arg_reduce max %9 {axis = 1 : i64, keepdims = false} : (tensor<?x3xf32, #moe.dims<b * s, 3>>) -> tensor<?xi64, #moe.dims<b * s>>
  %11 = moe.constant dense<[0, 1]> : tensor<2xi64> : tensor<2xi64>
  %12 = moe.one_hot %10, %11 {axis = 1 : i64} : (tensor<?xi64, #moe.dims<b * s>>, tensor<2xi64>) -> tensor<?x3xi64, #moe.dims<b * s, 3>>
  %13 = moe.cumsum %6 {axis = 0 : i64} : (tensor<?x3xi64, #moe.dims<b * s, 3>>) -> tensor<?x3xi64, #moe.dims<b * s, 3>>
  %14 = moe.constant dense<1> : tensor<i64> : tensor<i64>
  %15 = moe.binary sub %13, %14 : (tensor<?x3xi64, #moe.dims<b * s, 3>>, tensor<i64>) -> tensor<?x3xi64, #moe.dims<b * s, 3>>
  %16 = moe.cumsum %12 {axis = 0 : i64} : (tensor<?x3xi64, #moe.dims<b * s, 3>>) -> tensor<?x3xi64, #moe.dims<b * s, 3>>
  %17 = moe.constant dense<1> : tensor<i64> : tensor<i64>
  %18 = moe.binary sub %16, %17 : (tensor<?x3xi64, #moe.dims<b * s, 3>>, tensor<i64>) -> tensor<?x3xi64, #moe.dims<b * s, 3>>
  %19 = moe.reduce sum %6 {axes = array<i64: 0>, keepdims = true} : (tensor<?x3xi64, #moe.dims<b * s, 3>>) -> tensor<1x3xi64>
  %20 = moe.binary add %18, %19 : (tensor<?x3xi64, #moe.dims<b * s, 3>>, tensor<1x3xi64>) -> tensor<?x3xi64, #moe.dims<b * s, 3>>
  %21 = moe.binary add %6, %12 : (tensor<?x3xi64, #moe.dims<b * s, 3>>, tensor<?x3xi64, #moe.dims<b * s, 3>>) -> tensor<?x3xi64, #moe.dims<b * s, 3>>
  %22 = moe.reduce sum %21 {axes = array<i64: 0>, keepdims = false} : (tensor<?x3xi64, #moe.dims<b * s, 3>>) -> tensor<3xi64>
  %23 = moe.reduce max %22 {axes = array<i64: 0>, keepdims = false} : (tensor<3xi64>) -> tensor<i64>
  %24 = moe.cast %23 : (tensor<i64>) -> tensor<f32>
  %25 = moe.unary ceil %24 : (tensor<f32>) -> tensor<f32>
  %26 = moe.cast %25 : (tensor<f32>) -> tensor<i64>
  %27 = moe.binary mul %15, %6 : (tensor<?x3xi64, #moe.dims<b * s, 3>>, tensor<?x3xi64, #moe.dims<b * s, 3>>) -> tensor<?x3xi64, #moe.dims<b * s, 3>>
  %28 = moe.reduce sum %27 {axes = array<i64: 1>, keepdims = false} : (tensor<?x3xi64, #moe.dims<b * s, 3>>) -> tensor<?xi64, #moe.dims<b * s>>
  %29 = moe.binary mul %20, %12 : (tensor<?x3xi64, #moe.dims<b * s, 3>>, tensor<?x3xi64, #moe.dims<b * s, 3>>) -> tensor<?x3xi64, #moe.dims<b * s, 3>>
  %30 = moe.reduce sum %29 {axes = array<i64: 1>, keepdims = false} : (tensor<?x3xi64, #moe.dims<b * s, 3>>) -> tensor<?xi64, #moe.dims<b * s>>
  %31 = moe.cast %6 : (tensor<?x3xi64, #moe.dims<b * s, 3>>) -> tensor<?x3xf32, #moe.dims<b * s, 3>>
  %32 = moe.cast %12 : (tensor<?x3xi64, #moe.dims<b * s, 3>>) -> tensor<?x3xf32, #moe.dims<b * s, 3>>
  %33 = moe.reshape %3 : (tensor<?x3xf32, #moe.dims<b * s, 3>>) -> tensor<?x1x3xf32, #moe.dims<b * s, 1, 3>>
  %34 = moe.reshape %31 : (tensor<?x3xf32, #moe.dims<b * s, 3>>) -> tensor<?x3x1xf32, #moe.dims<b * s, 3, 1>>
  %35 = moe.matmul %33, %34 : (tensor<?x1x3xf32, #moe.dims<b * s, 1, 3>>, tensor<?x3x1xf32, #moe.dims<b * s, 3, 1>>) -> tensor<?x1x1xf32, #moe.dims<b * s, 1, 1>>
  %36 = moe.reshape %35 : (tensor<?x1x1xf32, #moe.dims<b * s, 1, 1>>) -> tensor<?xf32, #moe.dims<b * s>>
  %37 = moe.reshape %3 : (tensor<?x3xf32, #moe.dims<b * s, 3>>) -> tensor<?x1x3xf32, #moe.dims<b * s, 1, 3>>
  %38 = moe.reshape %32 : (tensor<?x3xf32, #moe.dims<b * s, 3>>) -> tensor<?x3x1xf32, #moe.dims<b * s, 3, 1>>
  %39 = moe.matmul %37, %38 : (tensor<?x1x3xf32, #moe.dims<b * s, 1, 3>>, tensor<?x3x1xf32, #moe.dims<b * s, 3, 1>>) -> tensor<?x1x1xf32, #moe.dims<b * s, 1, 1>>
  %40 = moe.reshape %39 : (tensor<?x1x1xf32, #moe.dims<b * s, 1, 1>>) -> tensor<?xf32, #moe.dims<b * s>>
  %41 = moe.binary add %36, %40 : (tensor<?xf32, #moe.dims<b * s>>, tensor<?xf32, #moe.dims<b * s>>) -> tensor<?xf32, #moe.dims<b * s>>
  %42 = moe.constant dense<1.1920929E-7> : tensor<f32> : tensor<f32>
  %43 = moe.binary max %41, %42 : (tensor<?xf32, #moe.dims<b * s>>, tensor<f32>) -> tensor<?xf32, #moe.dims<b * s>>
  %44 = moe.binary div %36, %43 : (tensor<?xf32, #moe.dims<b * s>>, tensor<?xf32, #moe.dims<b * s>>) -> tensor<?xf32, #moe.dims<b * s>>
  %45 = moe.binary div %40, %43 : (tensor<?xf32, #moe.dims<b * s>>, tensor<?xf32, #moe.dims<b * s>>) -> tensor<?xf32, #moe.dims<b * s>>
  %46 = moe.reshape %44 : (tensor<?xf32, #moe.dims<b * s>>) -> tensor<?x1xf32, #moe.dims<b * s, 1>>
  %47 = moe.binary mul %46, %31 : (tensor<?x1xf32, #moe.dims<b * s, 1>>, tensor<?x3xf32, #moe.dims<b * s, 3>>) -> tensor<?x3xf32, #moe.dims<b * s, 3>>
  %48 = moe.reshape %45 : (tensor<?xf32, #moe.dims<b * s>>) -> tensor<?x1xf32, #moe.dims<b * s, 1>>
  %49 = moe.binary mul %48, %32 : (tensor<?x1xf32, #moe.dims<b * s, 1>>, tensor<?x3xf32, #moe.dims<b * s, 3>>) -> tensor<?x3xf32, #moe.dims<b * s, 3>>
  %50 = moe.constant dense<[0, 1]> : tensor<2xi64> : tensor<2xi64>
  %51 = moe.one_hot %28, %50, %26 {axis = 1 : i64} : (tensor<?xi64, #moe.dims<b * s>>, tensor<2xi64>, tensor<i64>) -> tensor<?x?xi64, #moe.dims<b * s, d0>>
  %52 = moe.cast %51 : (tensor<?x?xi64, #moe.dims<b * s, d0>>) -> tensor<?x?xf32, #moe.dims<b * s, d0>>
  %53 = moe.constant dense<[0, 1]> : tensor<2xi64> : tensor<2xi64>
  %54 = moe.one_hot %30, %53, %26 {axis = 1 : i64} : (tensor<?xi64, #moe.dims<b * s>>, tensor<2xi64>, tensor<i64>) -> tensor<?x?xi64, #moe.dims<b * s, d0>>
  %55 = moe.cast %54 : (tensor<?x?xi64, #moe.dims<b * s, d0>>) -> tensor<?x?xf32, #moe.dims<b * s, d0>>
  %56 = moe.reshape %47 : (tensor<?x3xf32, #moe.dims<b * s, 3>>) -> tensor<?x3x1xf32, #moe.dims<b * s, 3, 1>>
  %57 = moe.reshape %52 : (tensor<?x?xf32, #moe.dims<b * s, d0>>) -> tensor<?x1x?xf32, #moe.dims<b * s, 1, d0>>
  %58 = moe.binary mul %56, %57 : (tensor<?x3x1xf32, #moe.dims<b * s, 3, 1>>, tensor<?x1x?xf32, #moe.dims<b * s, 1, d0>>) -> tensor<?x3x?xf32, #moe.dims<b * s, 3, d0>>
  %59 = moe.reshape %49 : (tensor<?x3xf32, #moe.dims<b * s, 3>>) -> tensor<?x3x1xf32, #moe.dims<b * s, 3, 1>>
  %60 = moe.reshape %55 : (tensor<?x?xf32, #moe.dims<b * s, d0>>) -> tensor<?x1x?xf32, #moe.dims<b * s, 1, d0>>
  %61 = moe.binary mul %59, %60 : (tensor<?x3x1xf32, #moe.dims<b * s, 3, 1>>, tensor<?x1x?xf32, #moe.dims<b * s, 1, d0>>) -> tensor<?x3x?xf32, #moe.dims<b * s, 3, d0>>
  %62 = moe.binary add %58, %61 : (tensor<?x3x?xf32, #moe.dims<b * s, 3, d0>>, tensor<?x3x?xf32, #moe.dims<b * s, 3, d0>>) -> tensor<?x3x?xf32, #moe.dims<b * s, 3, d0>>
  %63 = moe.cast %62 : (tensor<?x3x?xf32, #moe.dims<b * s, 3, d0>>) -> tensor<?x3x?xi1, #moe.dims<b * s, 3, d0>>
  %64 = moe.cast %63 : (tensor<?x3x?xi1, #moe.dims<b * s, 3, d0>>) -> tensor<?x3x?xf32, #moe.dims<b * s, 3, d0>>
  %65 = moe.transpose %64 {permutation = array<i64: 1, 2, 0>} : (tensor<?x3x?xf32, #moe.dims<b * s, 3, d0>>) -> tensor<3x?x?xf32, #moe.dims<3, d0, b * s>>
  %66 = moe.matmul %65, %0 : (tensor<3x?x?xf32, #moe.dims<3, d0, b * s>>, tensor<?x4xf32, #moe.dims<b * s, 4>>) -> tensor<3x?x4xf32, #moe.dims<3, d0, 4>>
  %67 = moe.reshape %66 : (tensor<3x?x4xf32, #moe.dims<3, d0, 4>>) -> tensor<1x3x?x4xf32, #moe.dims<1, 3, d0, 4>>
  %68 = moe.slice %67 <0, 0, 0, 0> {steps = array<i64: 1, 1, 1, 1>} : (tensor<1x3x?x4xf32, #moe.dims<1, 3, d0, 4>>) -> tensor<1x1x?x4xf32, #moe.dims<1, 1, d0, 4>>
  %69 = moe.slice %67 <0, 1, 0, 0> {steps = array<i64: 1, 1, 1, 1>} : (tensor<1x3x?x4xf32, #moe.dims<1, 3, d0, 4>>) -> tensor<1x1x?x4xf32, #moe.dims<1, 1, d0, 4>>
  %70 = moe.slice %67 <0, 2, 0, 0> {steps = array<i64: 1, 1, 1, 1>} : (tensor<1x3x?x4xf32, #moe.dims<1, 3, d0, 4>>) -> tensor<1x1x?x4xf32, #moe.dims<1, 1, d0, 4>>
  %71 = moe.param "w177" <file "model.onnx" [15507, 96] : tensor<4x6xf32>> : tensor<4x6xf32>
  %72 = moe.matmul %68, %71 : (tensor<1x1x?x4xf32, #moe.dims<1, 1, d0, 4>>, tensor<4x6xf32>) -> tensor<1x1x?x6xf32, #moe.dims<1, 1, d0, 6>>
  %73 = moe.param "experts.0.a.bias" <file "model.onnx" [15043, 24] : tensor<6xf32>> : tensor<6xf32>
  %74 = moe.binary add %73, %72 : (tensor<6xf32>, tensor<1x1x?x6xf32, #moe.dims<1, 1, d0, 6>>) -> tensor<1x1x?x6xf32, #moe.dims<1, 1, d0, 6>>
  %75 = moe.unary relu %74 : (tensor<1x1x?x6xf32, #moe.dims<1, 1, d0, 6>>) -> tensor<1x1x?x6xf32, #moe.dims<1, 1, d0, 6>>
  %76 = moe.param "w178" <file "model.onnx" [15631, 96] : tensor<6x4xf32>> : tensor<6x4xf32>
  %77 = moe.matmul %75, %76 : (tensor<1x1x?x6xf32, #moe.dims<1, 1, d0, 6>>, tensor<6x4xf32>) -> tensor<1x1x?x4xf32, #moe.dims<1, 1, d0, 4>>
  %78 = moe.param "experts.0.b.bias" <file "model.onnx" [15115, 16] : tensor<4xf32>> : tensor<4xf32>
  %79 = moe.binary add %78, %77 : (tensor<4xf32>, tensor<1x1x?x4xf32, #moe.dims<1, 1, d0, 4>>) -> tensor<1x1x?x4xf32, #moe.dims<1, 1, d0, 4>>
  %80 = moe.param "w179" <file "model.onnx" [15755, 96] : tensor<4x6xf32>> : tensor<4x6xf32>
  %81 = moe.matmul %69, %80 : (tensor<1x1x?x4xf32, #moe.dims<1, 1, d0, 4>>, tensor<4x6xf32>) -> tensor<1x1x?x6xf32, #moe.dims<1, 1, d0, 6>>
  %82 = moe.param "experts.1.a.bias" <file "model.onnx" [15179, 24] : tensor<6xf32>> : tensor<6xf32>
  %83 = moe.binary add %82, %81 : (tensor<6xf32>, tensor<1x1x?x6xf32, #moe.dims<1, 1, d0, 6>>) -> tensor<1x1x?x6xf32, #moe.dims<1, 1, d0, 6>>
  %84 = moe.unary relu %83 : (tensor<1x1x?x6xf32, #moe.dims<1, 1, d0, 6>>) -> tensor<1x1x?x6xf32, #moe.dims<1, 1, d0, 6>>
  %85 = moe.param "w180" <file "model.onnx" [15879, 96] : tensor<6x4xf32>> : tensor<6x4xf32>
  %86 = moe.matmul %84, %85 : (tensor<1x1x?x6xf32, #moe.dims<1, 1, d0, 6>>, tensor<6x4xf32>) -> tensor<1x1x?x4xf32, #moe.dims<1, 1, d0, 4>>
  %87 = moe.param "experts.1.b.bias" <file "model.onnx" [15251, 16] : tensor<4xf32>> : tensor<4xf32>
  %88 = moe.binary add %87, %86 : (tensor<4xf32>, tensor<1x1x?x4xf32, #moe.dims<1, 1, d0, 4>>) -> tensor<1x1x?x4xf32, #moe.dims<1, 1, d0, 4>>
  %89 = moe.param "w181" <file "model.onnx" [16003, 96] : tensor<4x6xf32>> : tensor<4x6xf32>
  %90 = moe.matmul %70, %89 : (tensor<1x1x?x4xf32, #moe.dims<1, 1, d0, 4>>, tensor<4x6xf32>) -> tensor<1x1x?x6xf32, #moe.dims<1, 1, d0, 6>>
  %91 = moe.param "experts.2.a.bias" <file "model.onnx" [15315, 24] : tensor<6xf32>> : tensor<6xf32>
  %92 = moe.binary add %91, %90 : (tensor<6xf32>, tensor<1x1x?x6xf32, #moe.dims<1, 1, d0, 6>>) -> tensor<1x1x?x6xf32, #moe.dims<1, 1, d0, 6>>
  %93 = moe.unary relu %92 : (tensor<1x1x?x6xf32, #moe.dims<1, 1, d0, 6>>) -> tensor<1x1x?x6xf32, #moe.dims<1, 1, d0, 6>>
  %94 = moe.param "w182" <file "model.onnx" [16127, 96] : tensor<6x4xf32>> : tensor<6x4xf32>
  %95 = moe.matmul %93, %94 : (tensor<1x1x?x6xf32, #moe.dims<1, 1, d0, 6>>, tensor<6x4xf32>) -> tensor<1x1x?x4xf32, #moe.dims<1, 1, d0, 4>>
  %96 = moe.param "experts.2.b.bias" <file "model.onnx" [15387, 16] : tensor<4xf32>> : tensor<4xf32>
  %97 = moe.binary add %96, %95 : (tensor<4xf32>, tensor<1x1x?x4xf32, #moe.dims<1, 1, d0, 4>>) -> tensor<1x1x?x4xf32, #moe.dims<1, 1, d0, 4>>
  %98 = moe.concat %79, %88, %97 {axis = 1 : i64} : (tensor<1x1x?x4xf32, #moe.dims<1, 1, d0, 4>>, tensor<1x1x?x4xf32, #moe.dims<1, 1, d0, 4>>, tensor<1x1x?x4xf32, #moe.dims<1, 1, d0, 4>>) -> tensor<1x3x?x4xf32, #moe.dims<1, 3, d0, 4>>
  %99 = moe.reshape %62 : (tensor<?x3x?xf32, #moe.dims<b * s, 3, d0>>) -> tensor<?x?xf32, #moe.dims<b * s, 3 * d0>>
  %100 = moe.reshape %98 : (tensor<1x3x?x4xf32, #moe.dims<1, 3, d0, 4>>) -> tensor<?x4xf32, #moe.dims<3 * d0, 4>>
  %101 = moe.matmul %99, %100 : (tensor<?x?xf32, #moe.dims<b * s, 3 * d0>>, tensor<?x4xf32, #moe.dims<3 * d0, 4>>) -> tensor<?x4xf32, #moe.dims<b * s, 4>>
  %102 = moe.reshape %101 : (tensor<?x4xf32, #moe.dims<b * s, 4>>) -> tensor<?x?x4xf32, #moe.dims<b, s, 4>>
  return %102 : tensor<?x?x4xf32, #moe.dims<b, s, 4>>
}

// Versions 0.15.0 to 0.18.9 rank tokens by their logits.
// CHECK-LABEL: func.func @top3_by_logits
// CHECK: moe.gate
// CHECK-SAME: drop_policy = #moe<drop_policy logits>, k = 3 : i64
// CHECK-NOT: moe.scatter_elements
func.func @top3_by_logits(%arg0: tensor<?x?x4xf32, #moe.dims<b, s, 4>>) -> (tensor<?x?x4xf32, #moe.dims<b, s, 4>>) attributes {moe.data_symbols = {d0 = "min(b * s, max(2, ceildiv(3 * b * s, 4) + 1))"}} {
  %0 = moe.reshape %arg0 : (tensor<?x?x4xf32, #moe.dims<b, s, 4>>) -> tensor<?x4xf32, #moe.dims<b * s, 4>>
  %1 = moe.param "w189" <file "model.onnx" [16131, 64] : tensor<4x4xf32>> : tensor<4x4xf32>
  %2 = moe.matmul %0, %1 : (tensor<?x4xf32, #moe.dims<b * s, 4>>, tensor<4x4xf32>) -> tensor<?x4xf32, #moe.dims<b * s, 4>>
  %values, %indices = moe.top_k %2 {axis = 1 : i64} : (tensor<?x4xf32, #moe.dims<b * s, 4>>) -> (tensor<?x3xf32, #moe.dims<b * s, 3>>, tensor<?x3xi64, #moe.dims<b * s, 3>>)
  %3 = moe.softmax %2 {axis = 1 : i64} : (tensor<?x4xf32, #moe.dims<b * s, 4>>) -> tensor<?x4xf32, #moe.dims<b * s, 4>>
  %4 = moe.constant dense<0.000000e+00> : tensor<f32> : tensor<f32>
  %5 = moe.broadcast %4 : (tensor<f32>) -> tensor<?x4xf32, #moe.dims<b * s, 4>>
  %6 = moe.scatter_elements %5, %indices, %values {axis = 1 : i64} : (tensor<?x4xf32, #moe.dims<b * s, 4>>, tensor<?x3xi64, #moe.dims<b * s, 3>>, tensor<?x3xf32, #moe.dims<b * s, 3>>) -> tensor<?x4xf32, #moe.dims<b * s, 4>>
  %7 = moe.constant dense<false> : tensor<i1> : tensor<i1>
  %8 = moe.broadcast %7 : (tensor<i1>) -> tensor<?x4xi1, #moe.dims<b * s, 4>>
  %9 = moe.constant dense<true> : tensor<i1> : tensor<i1>
  %10 = moe.broadcast %9 : (tensor<i1>) -> tensor<?x3xi1, #moe.dims<b * s, 3>>
  %11 = moe.scatter_elements %8, %indices, %10 {axis = 1 : i64} : (tensor<?x4xi1, #moe.dims<b * s, 4>>, tensor<?x3xi64, #moe.dims<b * s, 3>>, tensor<?x3xi1, #moe.dims<b * s, 3>>) -> tensor<?x4xi1, #moe.dims<b * s, 4>>
  %12 = moe.shape <b * s> : tensor<i64>
  %13 = moe.cast %12 : (tensor<i64>) -> tensor<f32>
  %14 = moe.constant dense<4.000000e+00> : tensor<f32> : tensor<f32>
  %15 = moe.binary div %13, %14 : (tensor<f32>, tensor<f32>) -> tensor<f32>
  %16 = moe.constant dense<3.000000e+00> : tensor<f32> : tensor<f32>
  %17 = moe.binary mul %16, %15 : (tensor<f32>, tensor<f32>) -> tensor<f32>
  %18 = moe.unary ceil %17 : (tensor<f32>) -> tensor<f32>
  %19 = moe.cast %18 : (tensor<f32>) -> tensor<i64>
  %20 = moe.constant dense<2> : tensor<i64> : tensor<i64>
  %21 = moe.compare lt %19, %20 : (tensor<i64>, tensor<i64>) -> tensor<i1>
  %22 = moe.constant dense<2> : tensor<i64> : tensor<i64>
  %23 = moe.select %21, %22, %19 : (tensor<i1>, tensor<i64>, tensor<i64>) -> tensor<i64>
  %24 = moe.reshape %23 : (tensor<i64>) -> tensor<1xi64>
  %values_0, %indices_1 = moe.top_k %6, %24 {axis = 0 : i64} : (tensor<?x4xf32, #moe.dims<b * s, 4>>, tensor<1xi64>) -> (tensor<?x4xf32, #moe.dims<d0, 4>>, tensor<?x4xi64, #moe.dims<d0, 4>>)
  %25 = moe.constant dense<1.000000e+00> : tensor<f32> : tensor<f32>
  %26 = moe.broadcast %25 : (tensor<f32>) -> tensor<?x4xf32, #moe.dims<d0, 4>>
  %27 = moe.scatter_elements %5, %indices_1, %26 {axis = 0 : i64} : (tensor<?x4xf32, #moe.dims<b * s, 4>>, tensor<?x4xi64, #moe.dims<d0, 4>>, tensor<?x4xf32, #moe.dims<d0, 4>>) -> tensor<?x4xf32, #moe.dims<b * s, 4>>
  %28 = moe.cast %27 : (tensor<?x4xf32, #moe.dims<b * s, 4>>) -> tensor<?x4xi1, #moe.dims<b * s, 4>>
  %29 = moe.binary and %11, %28 : (tensor<?x4xi1, #moe.dims<b * s, 4>>, tensor<?x4xi1, #moe.dims<b * s, 4>>) -> tensor<?x4xi1, #moe.dims<b * s, 4>>
  %30 = moe.cast %29 : (tensor<?x4xi1, #moe.dims<b * s, 4>>) -> tensor<?x4xi64, #moe.dims<b * s, 4>>
  %31 = moe.cumsum %30 {axis = 0 : i64} : (tensor<?x4xi64, #moe.dims<b * s, 4>>) -> tensor<?x4xi64, #moe.dims<b * s, 4>>
  %32 = moe.constant dense<1> : tensor<i64> : tensor<i64>
  %33 = moe.binary sub %31, %32 : (tensor<?x4xi64, #moe.dims<b * s, 4>>, tensor<i64>) -> tensor<?x4xi64, #moe.dims<b * s, 4>>
  %34 = moe.cast %29 : (tensor<?x4xi1, #moe.dims<b * s, 4>>) -> tensor<?x4xf32, #moe.dims<b * s, 4>>
  %35 = moe.binary mul %3, %34 : (tensor<?x4xf32, #moe.dims<b * s, 4>>, tensor<?x4xf32, #moe.dims<b * s, 4>>) -> tensor<?x4xf32, #moe.dims<b * s, 4>>
  %36 = moe.reduce sum %35 {axes = array<i64: 1>, keepdims = true} : (tensor<?x4xf32, #moe.dims<b * s, 4>>) -> tensor<?x1xf32, #moe.dims<b * s, 1>>
  %37 = moe.constant dense<1.1920929E-7> : tensor<f32> : tensor<f32>
  %38 = moe.binary max %36, %37 : (tensor<?x1xf32, #moe.dims<b * s, 1>>, tensor<f32>) -> tensor<?x1xf32, #moe.dims<b * s, 1>>
  %39 = moe.binary div %35, %38 : (tensor<?x4xf32, #moe.dims<b * s, 4>>, tensor<?x1xf32, #moe.dims<b * s, 1>>) -> tensor<?x4xf32, #moe.dims<b * s, 4>>
  %40 = moe.cast %29 : (tensor<?x4xi1, #moe.dims<b * s, 4>>) -> tensor<?x4xi64, #moe.dims<b * s, 4>>
  %41 = moe.binary mul %33, %40 : (tensor<?x4xi64, #moe.dims<b * s, 4>>, tensor<?x4xi64, #moe.dims<b * s, 4>>) -> tensor<?x4xi64, #moe.dims<b * s, 4>>
  %42 = moe.constant dense<[0, 1]> : tensor<2xi64> : tensor<2xi64>
  %43 = moe.one_hot %41, %42, %23 {axis = 2 : i64} : (tensor<?x4xi64, #moe.dims<b * s, 4>>, tensor<2xi64>, tensor<i64>) -> tensor<?x4x?xi64, #moe.dims<b * s, 4, d0>>
  %44 = moe.cast %43 : (tensor<?x4x?xi64, #moe.dims<b * s, 4, d0>>) -> tensor<?x4x?xf32, #moe.dims<b * s, 4, d0>>
  %45 = moe.reshape %39 : (tensor<?x4xf32, #moe.dims<b * s, 4>>) -> tensor<?x4x1xf32, #moe.dims<b * s, 4, 1>>
  %46 = moe.binary mul %45, %44 : (tensor<?x4x1xf32, #moe.dims<b * s, 4, 1>>, tensor<?x4x?xf32, #moe.dims<b * s, 4, d0>>) -> tensor<?x4x?xf32, #moe.dims<b * s, 4, d0>>
  %47 = moe.cast %46 : (tensor<?x4x?xf32, #moe.dims<b * s, 4, d0>>) -> tensor<?x4x?xi1, #moe.dims<b * s, 4, d0>>
  %48 = moe.cast %47 : (tensor<?x4x?xi1, #moe.dims<b * s, 4, d0>>) -> tensor<?x4x?xf32, #moe.dims<b * s, 4, d0>>
  %49 = moe.transpose %48 {permutation = array<i64: 1, 2, 0>} : (tensor<?x4x?xf32, #moe.dims<b * s, 4, d0>>) -> tensor<4x?x?xf32, #moe.dims<4, d0, b * s>>
  %50 = moe.matmul %49, %0 : (tensor<4x?x?xf32, #moe.dims<4, d0, b * s>>, tensor<?x4xf32, #moe.dims<b * s, 4>>) -> tensor<4x?x4xf32, #moe.dims<4, d0, 4>>
  %51 = moe.reshape %50 : (tensor<4x?x4xf32, #moe.dims<4, d0, 4>>) -> tensor<1x4x?x4xf32, #moe.dims<1, 4, d0, 4>>
  %52 = moe.slice %51 <0, 0, 0, 0> {steps = array<i64: 1, 1, 1, 1>} : (tensor<1x4x?x4xf32, #moe.dims<1, 4, d0, 4>>) -> tensor<1x1x?x4xf32, #moe.dims<1, 1, d0, 4>>
  %53 = moe.slice %51 <0, 1, 0, 0> {steps = array<i64: 1, 1, 1, 1>} : (tensor<1x4x?x4xf32, #moe.dims<1, 4, d0, 4>>) -> tensor<1x1x?x4xf32, #moe.dims<1, 1, d0, 4>>
  %54 = moe.slice %51 <0, 2, 0, 0> {steps = array<i64: 1, 1, 1, 1>} : (tensor<1x4x?x4xf32, #moe.dims<1, 4, d0, 4>>) -> tensor<1x1x?x4xf32, #moe.dims<1, 1, d0, 4>>
  %55 = moe.slice %51 <0, 3, 0, 0> {steps = array<i64: 1, 1, 1, 1>} : (tensor<1x4x?x4xf32, #moe.dims<1, 4, d0, 4>>) -> tensor<1x1x?x4xf32, #moe.dims<1, 1, d0, 4>>
  %56 = moe.param "w198" <file "model.onnx" [16223, 96] : tensor<4x6xf32>> : tensor<4x6xf32>
  %57 = moe.matmul %52, %56 : (tensor<1x1x?x4xf32, #moe.dims<1, 1, d0, 4>>, tensor<4x6xf32>) -> tensor<1x1x?x6xf32, #moe.dims<1, 1, d0, 6>>
  %58 = moe.param "experts.0.a.bias" <file "model.onnx" [15607, 24] : tensor<6xf32>> : tensor<6xf32>
  %59 = moe.binary add %58, %57 : (tensor<6xf32>, tensor<1x1x?x6xf32, #moe.dims<1, 1, d0, 6>>) -> tensor<1x1x?x6xf32, #moe.dims<1, 1, d0, 6>>
  %60 = moe.unary relu %59 : (tensor<1x1x?x6xf32, #moe.dims<1, 1, d0, 6>>) -> tensor<1x1x?x6xf32, #moe.dims<1, 1, d0, 6>>
  %61 = moe.param "w199" <file "model.onnx" [16347, 96] : tensor<6x4xf32>> : tensor<6x4xf32>
  %62 = moe.matmul %60, %61 : (tensor<1x1x?x6xf32, #moe.dims<1, 1, d0, 6>>, tensor<6x4xf32>) -> tensor<1x1x?x4xf32, #moe.dims<1, 1, d0, 4>>
  %63 = moe.param "experts.0.b.bias" <file "model.onnx" [15679, 16] : tensor<4xf32>> : tensor<4xf32>
  %64 = moe.binary add %63, %62 : (tensor<4xf32>, tensor<1x1x?x4xf32, #moe.dims<1, 1, d0, 4>>) -> tensor<1x1x?x4xf32, #moe.dims<1, 1, d0, 4>>
  %65 = moe.param "w200" <file "model.onnx" [16471, 96] : tensor<4x6xf32>> : tensor<4x6xf32>
  %66 = moe.matmul %53, %65 : (tensor<1x1x?x4xf32, #moe.dims<1, 1, d0, 4>>, tensor<4x6xf32>) -> tensor<1x1x?x6xf32, #moe.dims<1, 1, d0, 6>>
  %67 = moe.param "experts.1.a.bias" <file "model.onnx" [15743, 24] : tensor<6xf32>> : tensor<6xf32>
  %68 = moe.binary add %67, %66 : (tensor<6xf32>, tensor<1x1x?x6xf32, #moe.dims<1, 1, d0, 6>>) -> tensor<1x1x?x6xf32, #moe.dims<1, 1, d0, 6>>
  %69 = moe.unary relu %68 : (tensor<1x1x?x6xf32, #moe.dims<1, 1, d0, 6>>) -> tensor<1x1x?x6xf32, #moe.dims<1, 1, d0, 6>>
  %70 = moe.param "w201" <file "model.onnx" [16595, 96] : tensor<6x4xf32>> : tensor<6x4xf32>
  %71 = moe.matmul %69, %70 : (tensor<1x1x?x6xf32, #moe.dims<1, 1, d0, 6>>, tensor<6x4xf32>) -> tensor<1x1x?x4xf32, #moe.dims<1, 1, d0, 4>>
  %72 = moe.param "experts.1.b.bias" <file "model.onnx" [15815, 16] : tensor<4xf32>> : tensor<4xf32>
  %73 = moe.binary add %72, %71 : (tensor<4xf32>, tensor<1x1x?x4xf32, #moe.dims<1, 1, d0, 4>>) -> tensor<1x1x?x4xf32, #moe.dims<1, 1, d0, 4>>
  %74 = moe.param "w202" <file "model.onnx" [16719, 96] : tensor<4x6xf32>> : tensor<4x6xf32>
  %75 = moe.matmul %54, %74 : (tensor<1x1x?x4xf32, #moe.dims<1, 1, d0, 4>>, tensor<4x6xf32>) -> tensor<1x1x?x6xf32, #moe.dims<1, 1, d0, 6>>
  %76 = moe.param "experts.2.a.bias" <file "model.onnx" [15879, 24] : tensor<6xf32>> : tensor<6xf32>
  %77 = moe.binary add %76, %75 : (tensor<6xf32>, tensor<1x1x?x6xf32, #moe.dims<1, 1, d0, 6>>) -> tensor<1x1x?x6xf32, #moe.dims<1, 1, d0, 6>>
  %78 = moe.unary relu %77 : (tensor<1x1x?x6xf32, #moe.dims<1, 1, d0, 6>>) -> tensor<1x1x?x6xf32, #moe.dims<1, 1, d0, 6>>
  %79 = moe.param "w203" <file "model.onnx" [16843, 96] : tensor<6x4xf32>> : tensor<6x4xf32>
  %80 = moe.matmul %78, %79 : (tensor<1x1x?x6xf32, #moe.dims<1, 1, d0, 6>>, tensor<6x4xf32>) -> tensor<1x1x?x4xf32, #moe.dims<1, 1, d0, 4>>
  %81 = moe.param "experts.2.b.bias" <file "model.onnx" [15951, 16] : tensor<4xf32>> : tensor<4xf32>
  %82 = moe.binary add %81, %80 : (tensor<4xf32>, tensor<1x1x?x4xf32, #moe.dims<1, 1, d0, 4>>) -> tensor<1x1x?x4xf32, #moe.dims<1, 1, d0, 4>>
  %83 = moe.param "w204" <file "model.onnx" [16967, 96] : tensor<4x6xf32>> : tensor<4x6xf32>
  %84 = moe.matmul %55, %83 : (tensor<1x1x?x4xf32, #moe.dims<1, 1, d0, 4>>, tensor<4x6xf32>) -> tensor<1x1x?x6xf32, #moe.dims<1, 1, d0, 6>>
  %85 = moe.param "experts.3.a.bias" <file "model.onnx" [16015, 24] : tensor<6xf32>> : tensor<6xf32>
  %86 = moe.binary add %85, %84 : (tensor<6xf32>, tensor<1x1x?x6xf32, #moe.dims<1, 1, d0, 6>>) -> tensor<1x1x?x6xf32, #moe.dims<1, 1, d0, 6>>
  %87 = moe.unary relu %86 : (tensor<1x1x?x6xf32, #moe.dims<1, 1, d0, 6>>) -> tensor<1x1x?x6xf32, #moe.dims<1, 1, d0, 6>>
  %88 = moe.param "w205" <file "model.onnx" [17091, 96] : tensor<6x4xf32>> : tensor<6x4xf32>
  %89 = moe.matmul %87, %88 : (tensor<1x1x?x6xf32, #moe.dims<1, 1, d0, 6>>, tensor<6x4xf32>) -> tensor<1x1x?x4xf32, #moe.dims<1, 1, d0, 4>>
  %90 = moe.param "experts.3.b.bias" <file "model.onnx" [16087, 16] : tensor<4xf32>> : tensor<4xf32>
  %91 = moe.binary add %90, %89 : (tensor<4xf32>, tensor<1x1x?x4xf32, #moe.dims<1, 1, d0, 4>>) -> tensor<1x1x?x4xf32, #moe.dims<1, 1, d0, 4>>
  %92 = moe.concat %64, %73, %82, %91 {axis = 1 : i64} : (tensor<1x1x?x4xf32, #moe.dims<1, 1, d0, 4>>, tensor<1x1x?x4xf32, #moe.dims<1, 1, d0, 4>>, tensor<1x1x?x4xf32, #moe.dims<1, 1, d0, 4>>, tensor<1x1x?x4xf32, #moe.dims<1, 1, d0, 4>>) -> tensor<1x4x?x4xf32, #moe.dims<1, 4, d0, 4>>
  %93 = moe.reshape %46 : (tensor<?x4x?xf32, #moe.dims<b * s, 4, d0>>) -> tensor<?x?xf32, #moe.dims<b * s, 4 * d0>>
  %94 = moe.reshape %92 : (tensor<1x4x?x4xf32, #moe.dims<1, 4, d0, 4>>) -> tensor<?x4xf32, #moe.dims<4 * d0, 4>>
  %95 = moe.matmul %93, %94 : (tensor<?x?xf32, #moe.dims<b * s, 4 * d0>>, tensor<?x4xf32, #moe.dims<4 * d0, 4>>) -> tensor<?x4xf32, #moe.dims<b * s, 4>>
  %96 = moe.reshape %95 : (tensor<?x4xf32, #moe.dims<b * s, 4>>) -> tensor<?x?x4xf32, #moe.dims<b, s, 4>>
  return %96 : tensor<?x?x4xf32, #moe.dims<b, s, 4>>
}

// CHECK-LABEL: func.func @top3_by_position
// CHECK: moe.gate
// CHECK-SAME: drop_policy = #moe<drop_policy token>, k = 3 : i64
// CHECK-NOT: moe.scatter_elements
func.func @top3_by_position(%arg0: tensor<?x?x4xf32, #moe.dims<b, s, 4>>) -> (tensor<?x?x4xf32, #moe.dims<b, s, 4>>) attributes {moe.data_symbols = {d0 = "max(2, ceildiv(3 * b * s, 4) + 1)"}} {
  %0 = moe.reshape %arg0 : (tensor<?x?x4xf32, #moe.dims<b, s, 4>>) -> tensor<?x4xf32, #moe.dims<b * s, 4>>
  %1 = moe.param "w176" <file "model.onnx" [14732, 64] : tensor<4x4xf32>> : tensor<4x4xf32>
  %2 = moe.matmul %0, %1 : (tensor<?x4xf32, #moe.dims<b * s, 4>>, tensor<4x4xf32>) -> tensor<?x4xf32, #moe.dims<b * s, 4>>
  %values, %indices = moe.top_k %2 {axis = 1 : i64} : (tensor<?x4xf32, #moe.dims<b * s, 4>>) -> (tensor<?x3xf32, #moe.dims<b * s, 3>>, tensor<?x3xi64, #moe.dims<b * s, 3>>)
  %3 = moe.softmax %2 {axis = 1 : i64} : (tensor<?x4xf32, #moe.dims<b * s, 4>>) -> tensor<?x4xf32, #moe.dims<b * s, 4>>
  %4 = moe.constant dense<false> : tensor<i1> : tensor<i1>
  %5 = moe.broadcast %4 : (tensor<i1>) -> tensor<?x4xi1, #moe.dims<b * s, 4>>
  %6 = moe.constant dense<true> : tensor<i1> : tensor<i1>
  %7 = moe.broadcast %6 : (tensor<i1>) -> tensor<?x3xi1, #moe.dims<b * s, 3>>
  %8 = moe.scatter_elements %5, %indices, %7 {axis = 1 : i64} : (tensor<?x4xi1, #moe.dims<b * s, 4>>, tensor<?x3xi64, #moe.dims<b * s, 3>>, tensor<?x3xi1, #moe.dims<b * s, 3>>) -> tensor<?x4xi1, #moe.dims<b * s, 4>>
  %9 = moe.shape <b * s> : tensor<i64>
  %10 = moe.cast %9 : (tensor<i64>) -> tensor<f32>
  %11 = moe.constant dense<4.000000e+00> : tensor<f32> : tensor<f32>
  %12 = moe.binary div %10, %11 : (tensor<f32>, tensor<f32>) -> tensor<f32>
  %13 = moe.constant dense<3.000000e+00> : tensor<f32> : tensor<f32>
  %14 = moe.binary mul %13, %12 : (tensor<f32>, tensor<f32>) -> tensor<f32>
  %15 = moe.unary ceil %14 : (tensor<f32>) -> tensor<f32>
  %16 = moe.cast %15 : (tensor<f32>) -> tensor<i64>
  %17 = moe.constant dense<2> : tensor<i64> : tensor<i64>
  %18 = moe.compare lt %16, %17 : (tensor<i64>, tensor<i64>) -> tensor<i1>
  %19 = moe.constant dense<2> : tensor<i64> : tensor<i64>
  %20 = moe.select %18, %19, %16 : (tensor<i1>, tensor<i64>, tensor<i64>) -> tensor<i64>
  %21 = moe.cast %8 : (tensor<?x4xi1, #moe.dims<b * s, 4>>) -> tensor<?x4xi64, #moe.dims<b * s, 4>>
  %22 = moe.cumsum %21 {axis = 0 : i64} : (tensor<?x4xi64, #moe.dims<b * s, 4>>) -> tensor<?x4xi64, #moe.dims<b * s, 4>>
  %23 = moe.constant dense<1> : tensor<i64> : tensor<i64>
  %24 = moe.binary sub %22, %23 : (tensor<?x4xi64, #moe.dims<b * s, 4>>, tensor<i64>) -> tensor<?x4xi64, #moe.dims<b * s, 4>>
  %25 = moe.compare lt %24, %20 : (tensor<?x4xi64, #moe.dims<b * s, 4>>, tensor<i64>) -> tensor<?x4xi1, #moe.dims<b * s, 4>>
  %26 = moe.binary and %8, %25 : (tensor<?x4xi1, #moe.dims<b * s, 4>>, tensor<?x4xi1, #moe.dims<b * s, 4>>) -> tensor<?x4xi1, #moe.dims<b * s, 4>>
  %27 = moe.cast %26 : (tensor<?x4xi1, #moe.dims<b * s, 4>>) -> tensor<?x4xf32, #moe.dims<b * s, 4>>
  %28 = moe.binary mul %3, %27 : (tensor<?x4xf32, #moe.dims<b * s, 4>>, tensor<?x4xf32, #moe.dims<b * s, 4>>) -> tensor<?x4xf32, #moe.dims<b * s, 4>>
  %29 = moe.reduce sum %28 {axes = array<i64: 1>, keepdims = true} : (tensor<?x4xf32, #moe.dims<b * s, 4>>) -> tensor<?x1xf32, #moe.dims<b * s, 1>>
  %30 = moe.constant dense<1.1920929E-7> : tensor<f32> : tensor<f32>
  %31 = moe.binary max %29, %30 : (tensor<?x1xf32, #moe.dims<b * s, 1>>, tensor<f32>) -> tensor<?x1xf32, #moe.dims<b * s, 1>>
  %32 = moe.binary div %28, %31 : (tensor<?x4xf32, #moe.dims<b * s, 4>>, tensor<?x1xf32, #moe.dims<b * s, 1>>) -> tensor<?x4xf32, #moe.dims<b * s, 4>>
  %33 = moe.cast %26 : (tensor<?x4xi1, #moe.dims<b * s, 4>>) -> tensor<?x4xi64, #moe.dims<b * s, 4>>
  %34 = moe.binary mul %24, %33 : (tensor<?x4xi64, #moe.dims<b * s, 4>>, tensor<?x4xi64, #moe.dims<b * s, 4>>) -> tensor<?x4xi64, #moe.dims<b * s, 4>>
  %35 = moe.constant dense<[0, 1]> : tensor<2xi64> : tensor<2xi64>
  %36 = moe.one_hot %34, %35, %20 {axis = 2 : i64} : (tensor<?x4xi64, #moe.dims<b * s, 4>>, tensor<2xi64>, tensor<i64>) -> tensor<?x4x?xi64, #moe.dims<b * s, 4, d0>>
  %37 = moe.cast %36 : (tensor<?x4x?xi64, #moe.dims<b * s, 4, d0>>) -> tensor<?x4x?xf32, #moe.dims<b * s, 4, d0>>
  %38 = moe.reshape %32 : (tensor<?x4xf32, #moe.dims<b * s, 4>>) -> tensor<?x4x1xf32, #moe.dims<b * s, 4, 1>>
  %39 = moe.binary mul %38, %37 : (tensor<?x4x1xf32, #moe.dims<b * s, 4, 1>>, tensor<?x4x?xf32, #moe.dims<b * s, 4, d0>>) -> tensor<?x4x?xf32, #moe.dims<b * s, 4, d0>>
  %40 = moe.cast %39 : (tensor<?x4x?xf32, #moe.dims<b * s, 4, d0>>) -> tensor<?x4x?xi1, #moe.dims<b * s, 4, d0>>
  %41 = moe.cast %40 : (tensor<?x4x?xi1, #moe.dims<b * s, 4, d0>>) -> tensor<?x4x?xf32, #moe.dims<b * s, 4, d0>>
  %42 = moe.transpose %41 {permutation = array<i64: 1, 2, 0>} : (tensor<?x4x?xf32, #moe.dims<b * s, 4, d0>>) -> tensor<4x?x?xf32, #moe.dims<4, d0, b * s>>
  %43 = moe.matmul %42, %0 : (tensor<4x?x?xf32, #moe.dims<4, d0, b * s>>, tensor<?x4xf32, #moe.dims<b * s, 4>>) -> tensor<4x?x4xf32, #moe.dims<4, d0, 4>>
  %44 = moe.reshape %43 : (tensor<4x?x4xf32, #moe.dims<4, d0, 4>>) -> tensor<1x4x?x4xf32, #moe.dims<1, 4, d0, 4>>
  %45 = moe.slice %44 <0, 0, 0, 0> {steps = array<i64: 1, 1, 1, 1>} : (tensor<1x4x?x4xf32, #moe.dims<1, 4, d0, 4>>) -> tensor<1x1x?x4xf32, #moe.dims<1, 1, d0, 4>>
  %46 = moe.slice %44 <0, 1, 0, 0> {steps = array<i64: 1, 1, 1, 1>} : (tensor<1x4x?x4xf32, #moe.dims<1, 4, d0, 4>>) -> tensor<1x1x?x4xf32, #moe.dims<1, 1, d0, 4>>
  %47 = moe.slice %44 <0, 2, 0, 0> {steps = array<i64: 1, 1, 1, 1>} : (tensor<1x4x?x4xf32, #moe.dims<1, 4, d0, 4>>) -> tensor<1x1x?x4xf32, #moe.dims<1, 1, d0, 4>>
  %48 = moe.slice %44 <0, 3, 0, 0> {steps = array<i64: 1, 1, 1, 1>} : (tensor<1x4x?x4xf32, #moe.dims<1, 4, d0, 4>>) -> tensor<1x1x?x4xf32, #moe.dims<1, 1, d0, 4>>
  %49 = moe.param "w184" <file "model.onnx" [14824, 96] : tensor<4x6xf32>> : tensor<4x6xf32>
  %50 = moe.matmul %45, %49 : (tensor<1x1x?x4xf32, #moe.dims<1, 1, d0, 4>>, tensor<4x6xf32>) -> tensor<1x1x?x6xf32, #moe.dims<1, 1, d0, 6>>
  %51 = moe.param "experts.0.a.bias" <file "model.onnx" [14208, 24] : tensor<6xf32>> : tensor<6xf32>
  %52 = moe.binary add %51, %50 : (tensor<6xf32>, tensor<1x1x?x6xf32, #moe.dims<1, 1, d0, 6>>) -> tensor<1x1x?x6xf32, #moe.dims<1, 1, d0, 6>>
  %53 = moe.unary relu %52 : (tensor<1x1x?x6xf32, #moe.dims<1, 1, d0, 6>>) -> tensor<1x1x?x6xf32, #moe.dims<1, 1, d0, 6>>
  %54 = moe.param "w185" <file "model.onnx" [14948, 96] : tensor<6x4xf32>> : tensor<6x4xf32>
  %55 = moe.matmul %53, %54 : (tensor<1x1x?x6xf32, #moe.dims<1, 1, d0, 6>>, tensor<6x4xf32>) -> tensor<1x1x?x4xf32, #moe.dims<1, 1, d0, 4>>
  %56 = moe.param "experts.0.b.bias" <file "model.onnx" [14280, 16] : tensor<4xf32>> : tensor<4xf32>
  %57 = moe.binary add %56, %55 : (tensor<4xf32>, tensor<1x1x?x4xf32, #moe.dims<1, 1, d0, 4>>) -> tensor<1x1x?x4xf32, #moe.dims<1, 1, d0, 4>>
  %58 = moe.param "w186" <file "model.onnx" [15072, 96] : tensor<4x6xf32>> : tensor<4x6xf32>
  %59 = moe.matmul %46, %58 : (tensor<1x1x?x4xf32, #moe.dims<1, 1, d0, 4>>, tensor<4x6xf32>) -> tensor<1x1x?x6xf32, #moe.dims<1, 1, d0, 6>>
  %60 = moe.param "experts.1.a.bias" <file "model.onnx" [14344, 24] : tensor<6xf32>> : tensor<6xf32>
  %61 = moe.binary add %60, %59 : (tensor<6xf32>, tensor<1x1x?x6xf32, #moe.dims<1, 1, d0, 6>>) -> tensor<1x1x?x6xf32, #moe.dims<1, 1, d0, 6>>
  %62 = moe.unary relu %61 : (tensor<1x1x?x6xf32, #moe.dims<1, 1, d0, 6>>) -> tensor<1x1x?x6xf32, #moe.dims<1, 1, d0, 6>>
  %63 = moe.param "w187" <file "model.onnx" [15196, 96] : tensor<6x4xf32>> : tensor<6x4xf32>
  %64 = moe.matmul %62, %63 : (tensor<1x1x?x6xf32, #moe.dims<1, 1, d0, 6>>, tensor<6x4xf32>) -> tensor<1x1x?x4xf32, #moe.dims<1, 1, d0, 4>>
  %65 = moe.param "experts.1.b.bias" <file "model.onnx" [14416, 16] : tensor<4xf32>> : tensor<4xf32>
  %66 = moe.binary add %65, %64 : (tensor<4xf32>, tensor<1x1x?x4xf32, #moe.dims<1, 1, d0, 4>>) -> tensor<1x1x?x4xf32, #moe.dims<1, 1, d0, 4>>
  %67 = moe.param "w188" <file "model.onnx" [15320, 96] : tensor<4x6xf32>> : tensor<4x6xf32>
  %68 = moe.matmul %47, %67 : (tensor<1x1x?x4xf32, #moe.dims<1, 1, d0, 4>>, tensor<4x6xf32>) -> tensor<1x1x?x6xf32, #moe.dims<1, 1, d0, 6>>
  %69 = moe.param "experts.2.a.bias" <file "model.onnx" [14480, 24] : tensor<6xf32>> : tensor<6xf32>
  %70 = moe.binary add %69, %68 : (tensor<6xf32>, tensor<1x1x?x6xf32, #moe.dims<1, 1, d0, 6>>) -> tensor<1x1x?x6xf32, #moe.dims<1, 1, d0, 6>>
  %71 = moe.unary relu %70 : (tensor<1x1x?x6xf32, #moe.dims<1, 1, d0, 6>>) -> tensor<1x1x?x6xf32, #moe.dims<1, 1, d0, 6>>
  %72 = moe.param "w189" <file "model.onnx" [15444, 96] : tensor<6x4xf32>> : tensor<6x4xf32>
  %73 = moe.matmul %71, %72 : (tensor<1x1x?x6xf32, #moe.dims<1, 1, d0, 6>>, tensor<6x4xf32>) -> tensor<1x1x?x4xf32, #moe.dims<1, 1, d0, 4>>
  %74 = moe.param "experts.2.b.bias" <file "model.onnx" [14552, 16] : tensor<4xf32>> : tensor<4xf32>
  %75 = moe.binary add %74, %73 : (tensor<4xf32>, tensor<1x1x?x4xf32, #moe.dims<1, 1, d0, 4>>) -> tensor<1x1x?x4xf32, #moe.dims<1, 1, d0, 4>>
  %76 = moe.param "w190" <file "model.onnx" [15568, 96] : tensor<4x6xf32>> : tensor<4x6xf32>
  %77 = moe.matmul %48, %76 : (tensor<1x1x?x4xf32, #moe.dims<1, 1, d0, 4>>, tensor<4x6xf32>) -> tensor<1x1x?x6xf32, #moe.dims<1, 1, d0, 6>>
  %78 = moe.param "experts.3.a.bias" <file "model.onnx" [14616, 24] : tensor<6xf32>> : tensor<6xf32>
  %79 = moe.binary add %78, %77 : (tensor<6xf32>, tensor<1x1x?x6xf32, #moe.dims<1, 1, d0, 6>>) -> tensor<1x1x?x6xf32, #moe.dims<1, 1, d0, 6>>
  %80 = moe.unary relu %79 : (tensor<1x1x?x6xf32, #moe.dims<1, 1, d0, 6>>) -> tensor<1x1x?x6xf32, #moe.dims<1, 1, d0, 6>>
  %81 = moe.param "w191" <file "model.onnx" [15692, 96] : tensor<6x4xf32>> : tensor<6x4xf32>
  %82 = moe.matmul %80, %81 : (tensor<1x1x?x6xf32, #moe.dims<1, 1, d0, 6>>, tensor<6x4xf32>) -> tensor<1x1x?x4xf32, #moe.dims<1, 1, d0, 4>>
  %83 = moe.param "experts.3.b.bias" <file "model.onnx" [14688, 16] : tensor<4xf32>> : tensor<4xf32>
  %84 = moe.binary add %83, %82 : (tensor<4xf32>, tensor<1x1x?x4xf32, #moe.dims<1, 1, d0, 4>>) -> tensor<1x1x?x4xf32, #moe.dims<1, 1, d0, 4>>
  %85 = moe.concat %57, %66, %75, %84 {axis = 1 : i64} : (tensor<1x1x?x4xf32, #moe.dims<1, 1, d0, 4>>, tensor<1x1x?x4xf32, #moe.dims<1, 1, d0, 4>>, tensor<1x1x?x4xf32, #moe.dims<1, 1, d0, 4>>, tensor<1x1x?x4xf32, #moe.dims<1, 1, d0, 4>>) -> tensor<1x4x?x4xf32, #moe.dims<1, 4, d0, 4>>
  %86 = moe.reshape %39 : (tensor<?x4x?xf32, #moe.dims<b * s, 4, d0>>) -> tensor<?x?xf32, #moe.dims<b * s, 4 * d0>>
  %87 = moe.reshape %85 : (tensor<1x4x?x4xf32, #moe.dims<1, 4, d0, 4>>) -> tensor<?x4xf32, #moe.dims<4 * d0, 4>>
  %88 = moe.matmul %86, %87 : (tensor<?x?xf32, #moe.dims<b * s, 4 * d0>>, tensor<?x4xf32, #moe.dims<4 * d0, 4>>) -> tensor<?x4xf32, #moe.dims<b * s, 4>>
  %89 = moe.reshape %88 : (tensor<?x4xf32, #moe.dims<b * s, 4>>) -> tensor<?x?x4xf32, #moe.dims<b, s, 4>>
  return %89 : tensor<?x?x4xf32, #moe.dims<b, s, 4>>
}
