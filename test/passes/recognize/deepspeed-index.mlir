// DeepSpeed's layer from 0.19.4 on: tables of places. Tracing (10 x 2 tokens) has
// made the number of places a constant, so larger inputs have no meaning.
//
// RUN: moe-opt %s --moe-canonicalize-tensor \
// RUN:   --moe-recognize-deepspeed --moe-recognize-shared | FileCheck %s
// RUN: moe-opt %s --moe-interpret-keep --moe-recognize-deepspeed \
// RUN:   --moe-interpret="after=top1_capacity dims=b:2,s:7" -o /dev/null
// RUN: moe-opt %s --moe-interpret-keep --moe-recognize-deepspeed \
// RUN:   --moe-interpret="after=top2_capacity dims=b:2,s:7" -o /dev/null
// RUN: moe-opt %s --moe-interpret-keep --moe-recognize-deepspeed \
// RUN:   --moe-interpret="after=top2_dropless dims=b:2,s:7" -o /dev/null
// RUN: moe-opt %s --moe-interpret-keep --moe-recognize-deepspeed \
// RUN:   --moe-interpret="after=top3_by_probs dims=b:2,s:7" -o /dev/null
// RUN: moe-opt %s --moe-interpret-keep --moe-recognize-deepspeed \
// RUN:   --moe-interpret="after=top3_by_position dims=b:2,s:7" -o /dev/null

// CHECK-LABEL: func.func @top1_capacity
// CHECK: moe.gate %{{.*}} {capacity_factor = 1.500000e+00 : f32, drop_policy = #moe<drop_policy choice>, k = 1 : i64, min_capacity = 1 : i64}
// CHECK: moe.dispatch
// CHECK-SAME: num_experts = 2 : i64
// CHECK: moe.experts relu
// CHECK: moe.combine
// CHECK-NOT: moe.scatter_elements
// CHECK: return
func.func @top1_capacity(%arg0: tensor<?x?x4xf32, #moe.dims<b, s, 4>>) -> (tensor<?x?x4xf32, #moe.dims<b, s, 4>>) attributes {moe.data_symbols = {d0 = "min(b * s, ceildiv(3 * b * s, 4) + 1)"}} {
  %0 = moe.reshape %arg0 : (tensor<?x?x4xf32, #moe.dims<b, s, 4>>) -> tensor<?x4xf32, #moe.dims<b * s, 4>>
  %1 = moe.param "w240" <file "model.onnx" [21312, 32] : tensor<4x2xf32>> : tensor<4x2xf32>
  %2 = moe.matmul %0, %1 : (tensor<?x4xf32, #moe.dims<b * s, 4>>, tensor<4x2xf32>) -> tensor<?x2xf32, #moe.dims<b * s, 2>>
  %3 = moe.softmax %2 {axis = 1 : i64} : (tensor<?x2xf32, #moe.dims<b * s, 2>>) -> tensor<?x2xf32, #moe.dims<b * s, 2>>
  %4 = moe.shape <b * s> : tensor<i64>
  %5 = moe.cast %4 : (tensor<i64>) -> tensor<f32>
  %6 = moe.constant dense<2.000000e+00> : tensor<f32> : tensor<f32>
  %7 = moe.binary div %5, %6 : (tensor<f32>, tensor<f32>) -> tensor<f32>
  %8 = moe.constant dense<1.500000e+00> : tensor<f32> : tensor<f32>
  %9 = moe.binary mul %7, %8 : (tensor<f32>, tensor<f32>) -> tensor<f32>
  %10 = moe.unary ceil %9 : (tensor<f32>) -> tensor<f32>
  %11 = moe.cast %10 : (tensor<f32>) -> tensor<i64>
  %12 = moe.constant dense<1> : tensor<i64> : tensor<i64>
  %13 = moe.binary max %11, %12 : (tensor<i64>, tensor<i64>) -> tensor<i64>
  %14 = moe.arg_reduce max %3 {axis = 1 : i64, keepdims = false} : (tensor<?x2xf32, #moe.dims<b * s, 2>>) -> tensor<?xi64, #moe.dims<b * s>>
  %15 = moe.constant dense<[0, 1]> : tensor<2xi64> : tensor<2xi64>
  %16 = moe.one_hot %14, %15 {axis = 1 : i64} : (tensor<?xi64, #moe.dims<b * s>>, tensor<2xi64>) -> tensor<?x2xi64, #moe.dims<b * s, 2>>
  %17 = moe.reshape %13 : (tensor<i64>) -> tensor<1xi64>
  %values, %indices = moe.top_k %16, %17 {axis = 0 : i64} : (tensor<?x2xi64, #moe.dims<b * s, 2>>, tensor<1xi64>) -> (tensor<?x2xi64, #moe.dims<d0, 2>>, tensor<?x2xi64, #moe.dims<d0, 2>>)
  %18 = moe.constant dense<0> : tensor<i64> : tensor<i64>
  %19 = moe.broadcast %18 : (tensor<i64>) -> tensor<?x2xi64, #moe.dims<b * s, 2>>
  %20 = moe.constant dense<1> : tensor<i64> : tensor<i64>
  %21 = moe.broadcast %20 : (tensor<i64>) -> tensor<?x2xi64, #moe.dims<d0, 2>>
  %22 = moe.scatter_elements %19, %indices, %21 {axis = 0 : i64} : (tensor<?x2xi64, #moe.dims<b * s, 2>>, tensor<?x2xi64, #moe.dims<d0, 2>>, tensor<?x2xi64, #moe.dims<d0, 2>>) -> tensor<?x2xi64, #moe.dims<b * s, 2>>
  %23 = moe.binary mul %16, %22 : (tensor<?x2xi64, #moe.dims<b * s, 2>>, tensor<?x2xi64, #moe.dims<b * s, 2>>) -> tensor<?x2xi64, #moe.dims<b * s, 2>>
  %24 = moe.reduce sum %23 {axes = array<i64: 1>, keepdims = false} : (tensor<?x2xi64, #moe.dims<b * s, 2>>) -> tensor<?xi64, #moe.dims<b * s>>
  %25 = moe.constant dense<2> : tensor<i64> : tensor<i64>
  %26 = moe.binary mul %24, %25 : (tensor<?xi64, #moe.dims<b * s>>, tensor<i64>) -> tensor<?xi64, #moe.dims<b * s>>
  %27 = moe.constant dense<1> : tensor<i64> : tensor<i64>
  %28 = moe.binary sub %26, %27 : (tensor<?xi64, #moe.dims<b * s>>, tensor<i64>) -> tensor<?xi64, #moe.dims<b * s>>
  %29 = moe.binary min %14, %28 : (tensor<?xi64, #moe.dims<b * s>>, tensor<?xi64, #moe.dims<b * s>>) -> tensor<?xi64, #moe.dims<b * s>>
  %30 = moe.cumsum %23 {axis = 0 : i64} : (tensor<?x2xi64, #moe.dims<b * s, 2>>) -> tensor<?x2xi64, #moe.dims<b * s, 2>>
  %31 = moe.constant dense<1> : tensor<i64> : tensor<i64>
  %32 = moe.binary sub %30, %31 : (tensor<?x2xi64, #moe.dims<b * s, 2>>, tensor<i64>) -> tensor<?x2xi64, #moe.dims<b * s, 2>>
  %33 = moe.cast %23 : (tensor<?x2xi64, #moe.dims<b * s, 2>>) -> tensor<?x2xf32, #moe.dims<b * s, 2>>
  %34 = moe.binary mul %3, %33 : (tensor<?x2xf32, #moe.dims<b * s, 2>>, tensor<?x2xf32, #moe.dims<b * s, 2>>) -> tensor<?x2xf32, #moe.dims<b * s, 2>>
  %35 = moe.reduce sum %34 {axes = array<i64: 1>, keepdims = false} : (tensor<?x2xf32, #moe.dims<b * s, 2>>) -> tensor<?xf32, #moe.dims<b * s>>
  %36 = moe.binary mul %32, %23 : (tensor<?x2xi64, #moe.dims<b * s, 2>>, tensor<?x2xi64, #moe.dims<b * s, 2>>) -> tensor<?x2xi64, #moe.dims<b * s, 2>>
  %37 = moe.reduce sum %36 {axes = array<i64: 1>, keepdims = false} : (tensor<?x2xi64, #moe.dims<b * s, 2>>) -> tensor<?xi64, #moe.dims<b * s>>
  %38 = moe.cast %29 : (tensor<?xi64, #moe.dims<b * s>>) -> tensor<?xi32, #moe.dims<b * s>>
  %39 = moe.reshape %38 : (tensor<?xi32, #moe.dims<b * s>>) -> tensor<1x?xi32, #moe.dims<1, b * s>>
  %40 = moe.cast %37 : (tensor<?xi64, #moe.dims<b * s>>) -> tensor<?xi32, #moe.dims<b * s>>
  %41 = moe.reshape %40 : (tensor<?xi32, #moe.dims<b * s>>) -> tensor<1x?xi32, #moe.dims<1, b * s>>
  %42 = moe.cast %39 : (tensor<1x?xi32, #moe.dims<1, b * s>>) -> tensor<1x?xi64, #moe.dims<1, b * s>>
  %43 = moe.constant dense<15> : tensor<i64> : tensor<i64>
  %44 = moe.binary mul %42, %43 : (tensor<1x?xi64, #moe.dims<1, b * s>>, tensor<i64>) -> tensor<1x?xi64, #moe.dims<1, b * s>>
  %45 = moe.cast %41 : (tensor<1x?xi32, #moe.dims<1, b * s>>) -> tensor<1x?xi64, #moe.dims<1, b * s>>
  %46 = moe.binary add %44, %45 : (tensor<1x?xi64, #moe.dims<1, b * s>>, tensor<1x?xi64, #moe.dims<1, b * s>>) -> tensor<1x?xi64, #moe.dims<1, b * s>>
  %47 = moe.constant dense<30> : tensor<i64> : tensor<i64>
  %48 = moe.broadcast %47 : (tensor<i64>) -> tensor<1x?xi64, #moe.dims<1, b * s>>
  %49 = moe.cast %39 : (tensor<1x?xi32, #moe.dims<1, b * s>>) -> tensor<1x?xi64, #moe.dims<1, b * s>>
  %50 = moe.constant dense<0> : tensor<i64> : tensor<i64>
  %51 = moe.compare ge %49, %50 : (tensor<1x?xi64, #moe.dims<1, b * s>>, tensor<i64>) -> tensor<1x?xi1, #moe.dims<1, b * s>>
  %52 = moe.select %51, %46, %48 : (tensor<1x?xi1, #moe.dims<1, b * s>>, tensor<1x?xi64, #moe.dims<1, b * s>>, tensor<1x?xi64, #moe.dims<1, b * s>>) -> tensor<1x?xi64, #moe.dims<1, b * s>>
  %53 = moe.iota <0> : tensor<?xi64, #moe.dims<b * s>>
  %54 = moe.broadcast %53 : (tensor<?xi64, #moe.dims<b * s>>) -> tensor<1x?xi64, #moe.dims<1, b * s>>
  %55 = moe.reshape %52 : (tensor<1x?xi64, #moe.dims<1, b * s>>) -> tensor<?xi64, #moe.dims<b * s>>
  %56 = moe.reshape %54 : (tensor<1x?xi64, #moe.dims<1, b * s>>) -> tensor<?xi64, #moe.dims<b * s>>
  %57 = moe.shape <b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s> : tensor<31xi64>
  %58 = moe.scatter_elements %57, %55, %56 {axis = 0 : i64} : (tensor<31xi64>, tensor<?xi64, #moe.dims<b * s>>, tensor<?xi64, #moe.dims<b * s>>) -> tensor<31xi64>
  %59 = moe.constant dense<0.000000e+00> : tensor<1x4xf32> : tensor<1x4xf32>
  %60 = moe.concat %0, %59 {axis = 0 : i64} : (tensor<?x4xf32, #moe.dims<b * s, 4>>, tensor<1x4xf32>) -> tensor<?x4xf32, #moe.dims<b * s + 1, 4>>
  %61 = moe.slice %58 <0> {steps = array<i64: 1>} : (tensor<31xi64>) -> tensor<30xi64>
  %62 = moe.gather %60, %61 {axis = 0 : i64} : (tensor<?x4xf32, #moe.dims<b * s + 1, 4>>, tensor<30xi64>) -> tensor<30x4xf32>
  %63 = moe.reshape %62 : (tensor<30x4xf32>) -> tensor<1x2x15x4xf32>
  %64 = moe.slice %63 <0, 0, 0, 0> {steps = array<i64: 1, 1, 1, 1>} : (tensor<1x2x15x4xf32>) -> tensor<1x1x15x4xf32>
  %65 = moe.slice %63 <0, 1, 0, 0> {steps = array<i64: 1, 1, 1, 1>} : (tensor<1x2x15x4xf32>) -> tensor<1x1x15x4xf32>
  %66 = moe.param "w251" <file "model.onnx" [21372, 96] : tensor<4x6xf32>> : tensor<4x6xf32>
  %67 = moe.matmul %64, %66 : (tensor<1x1x15x4xf32>, tensor<4x6xf32>) -> tensor<1x1x15x6xf32>
  %68 = moe.param "experts.0.a.bias" <file "model.onnx" [21060, 24] : tensor<6xf32>> : tensor<6xf32>
  %69 = moe.binary add %68, %67 : (tensor<6xf32>, tensor<1x1x15x6xf32>) -> tensor<1x1x15x6xf32>
  %70 = moe.unary relu %69 : (tensor<1x1x15x6xf32>) -> tensor<1x1x15x6xf32>
  %71 = moe.param "w252" <file "model.onnx" [21496, 96] : tensor<6x4xf32>> : tensor<6x4xf32>
  %72 = moe.matmul %70, %71 : (tensor<1x1x15x6xf32>, tensor<6x4xf32>) -> tensor<1x1x15x4xf32>
  %73 = moe.param "experts.0.b.bias" <file "model.onnx" [21132, 16] : tensor<4xf32>> : tensor<4xf32>
  %74 = moe.binary add %73, %72 : (tensor<4xf32>, tensor<1x1x15x4xf32>) -> tensor<1x1x15x4xf32>
  %75 = moe.param "w253" <file "model.onnx" [21620, 96] : tensor<4x6xf32>> : tensor<4x6xf32>
  %76 = moe.matmul %65, %75 : (tensor<1x1x15x4xf32>, tensor<4x6xf32>) -> tensor<1x1x15x6xf32>
  %77 = moe.param "experts.1.a.bias" <file "model.onnx" [21196, 24] : tensor<6xf32>> : tensor<6xf32>
  %78 = moe.binary add %77, %76 : (tensor<6xf32>, tensor<1x1x15x6xf32>) -> tensor<1x1x15x6xf32>
  %79 = moe.unary relu %78 : (tensor<1x1x15x6xf32>) -> tensor<1x1x15x6xf32>
  %80 = moe.param "w254" <file "model.onnx" [21744, 96] : tensor<6x4xf32>> : tensor<6x4xf32>
  %81 = moe.matmul %79, %80 : (tensor<1x1x15x6xf32>, tensor<6x4xf32>) -> tensor<1x1x15x4xf32>
  %82 = moe.param "experts.1.b.bias" <file "model.onnx" [21268, 16] : tensor<4xf32>> : tensor<4xf32>
  %83 = moe.binary add %82, %81 : (tensor<4xf32>, tensor<1x1x15x4xf32>) -> tensor<1x1x15x4xf32>
  %84 = moe.concat %74, %83 {axis = 1 : i64} : (tensor<1x1x15x4xf32>, tensor<1x1x15x4xf32>) -> tensor<1x2x15x4xf32>
  %85 = moe.reshape %84 : (tensor<1x2x15x4xf32>) -> tensor<30x4xf32>
  %86 = moe.constant dense<0.000000e+00> : tensor<1x4xf32> : tensor<1x4xf32>
  %87 = moe.concat %85, %86 {axis = 0 : i64} : (tensor<30x4xf32>, tensor<1x4xf32>) -> tensor<31x4xf32>
  %88 = moe.gather %87, %55 {axis = 0 : i64} : (tensor<31x4xf32>, tensor<?xi64, #moe.dims<b * s>>) -> tensor<?x4xf32, #moe.dims<b * s, 4>>
  %89 = moe.reshape %88 : (tensor<?x4xf32, #moe.dims<b * s, 4>>) -> tensor<1x?x4xf32, #moe.dims<1, b * s, 4>>
  %90 = moe.reshape %35 : (tensor<?xf32, #moe.dims<b * s>>) -> tensor<1x?x1xf32, #moe.dims<1, b * s, 1>>
  %91 = moe.binary mul %89, %90 : (tensor<1x?x4xf32, #moe.dims<1, b * s, 4>>, tensor<1x?x1xf32, #moe.dims<1, b * s, 1>>) -> tensor<1x?x4xf32, #moe.dims<1, b * s, 4>>
  %92 = moe.reduce sum %91 {axes = array<i64: 0>, keepdims = false} : (tensor<1x?x4xf32, #moe.dims<1, b * s, 4>>) -> tensor<?x4xf32, #moe.dims<b * s, 4>>
  %93 = moe.reshape %92 : (tensor<?x4xf32, #moe.dims<b * s, 4>>) -> tensor<?x?x4xf32, #moe.dims<b, s, 4>>
  return %93 : tensor<?x?x4xf32, #moe.dims<b, s, 4>>
}

// CHECK-LABEL: func.func @top2_capacity
// CHECK: moe.gate
// CHECK-SAME: drop_policy = #moe<drop_policy choice>, k = 2 : i64, min_capacity = 2 : i64, normalize = #moe<normalize sum_max>, normalize_after_drop = true
// CHECK-NOT: moe.scatter_elements
func.func @top2_capacity(%arg0: tensor<?x?x4xf32, #moe.dims<b, s, 4>>) -> (tensor<?x?x4xf32, #moe.dims<b, s, 4>>) {
  %0 = moe.reshape %arg0 : (tensor<?x?x4xf32, #moe.dims<b, s, 4>>) -> tensor<?x4xf32, #moe.dims<b * s, 4>>
  %1 = moe.param "w301" <file "model.onnx" [27549, 48] : tensor<4x3xf32>> : tensor<4x3xf32>
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
  %26 = moe.binary mul %24, %25 : (tensor<f32>, tensor<f32>) -> tensor<f32>
  %27 = moe.unary ceil %26 : (tensor<f32>) -> tensor<f32>
  %28 = moe.cast %27 : (tensor<f32>) -> tensor<i64>
  %29 = moe.constant dense<2> : tensor<i64> : tensor<i64>
  %30 = moe.binary max %28, %29 : (tensor<i64>, tensor<i64>) -> tensor<i64>
  %31 = moe.compare lt %15, %30 : (tensor<?x3xi64, #moe.dims<b * s, 3>>, tensor<i64>) -> tensor<?x3xi1, #moe.dims<b * s, 3>>
  %32 = moe.cast %31 : (tensor<?x3xi1, #moe.dims<b * s, 3>>) -> tensor<?x3xi64, #moe.dims<b * s, 3>>
  %33 = moe.binary mul %6, %32 : (tensor<?x3xi64, #moe.dims<b * s, 3>>, tensor<?x3xi64, #moe.dims<b * s, 3>>) -> tensor<?x3xi64, #moe.dims<b * s, 3>>
  %34 = moe.compare lt %20, %30 : (tensor<?x3xi64, #moe.dims<b * s, 3>>, tensor<i64>) -> tensor<?x3xi1, #moe.dims<b * s, 3>>
  %35 = moe.cast %34 : (tensor<?x3xi1, #moe.dims<b * s, 3>>) -> tensor<?x3xi64, #moe.dims<b * s, 3>>
  %36 = moe.binary mul %12, %35 : (tensor<?x3xi64, #moe.dims<b * s, 3>>, tensor<?x3xi64, #moe.dims<b * s, 3>>) -> tensor<?x3xi64, #moe.dims<b * s, 3>>
  %37 = moe.binary mul %15, %33 : (tensor<?x3xi64, #moe.dims<b * s, 3>>, tensor<?x3xi64, #moe.dims<b * s, 3>>) -> tensor<?x3xi64, #moe.dims<b * s, 3>>
  %38 = moe.reduce sum %37 {axes = array<i64: 1>, keepdims = false} : (tensor<?x3xi64, #moe.dims<b * s, 3>>) -> tensor<?xi64, #moe.dims<b * s>>
  %39 = moe.binary mul %20, %36 : (tensor<?x3xi64, #moe.dims<b * s, 3>>, tensor<?x3xi64, #moe.dims<b * s, 3>>) -> tensor<?x3xi64, #moe.dims<b * s, 3>>
  %40 = moe.reduce sum %39 {axes = array<i64: 1>, keepdims = false} : (tensor<?x3xi64, #moe.dims<b * s, 3>>) -> tensor<?xi64, #moe.dims<b * s>>
  %41 = moe.cast %33 : (tensor<?x3xi64, #moe.dims<b * s, 3>>) -> tensor<?x3xf32, #moe.dims<b * s, 3>>
  %42 = moe.cast %36 : (tensor<?x3xi64, #moe.dims<b * s, 3>>) -> tensor<?x3xf32, #moe.dims<b * s, 3>>
  %43 = moe.reshape %3 : (tensor<?x3xf32, #moe.dims<b * s, 3>>) -> tensor<?x1x3xf32, #moe.dims<b * s, 1, 3>>
  %44 = moe.reshape %41 : (tensor<?x3xf32, #moe.dims<b * s, 3>>) -> tensor<?x3x1xf32, #moe.dims<b * s, 3, 1>>
  %45 = moe.matmul %43, %44 : (tensor<?x1x3xf32, #moe.dims<b * s, 1, 3>>, tensor<?x3x1xf32, #moe.dims<b * s, 3, 1>>) -> tensor<?x1x1xf32, #moe.dims<b * s, 1, 1>>
  %46 = moe.reshape %45 : (tensor<?x1x1xf32, #moe.dims<b * s, 1, 1>>) -> tensor<?xf32, #moe.dims<b * s>>
  %47 = moe.reshape %3 : (tensor<?x3xf32, #moe.dims<b * s, 3>>) -> tensor<?x1x3xf32, #moe.dims<b * s, 1, 3>>
  %48 = moe.reshape %42 : (tensor<?x3xf32, #moe.dims<b * s, 3>>) -> tensor<?x3x1xf32, #moe.dims<b * s, 3, 1>>
  %49 = moe.matmul %47, %48 : (tensor<?x1x3xf32, #moe.dims<b * s, 1, 3>>, tensor<?x3x1xf32, #moe.dims<b * s, 3, 1>>) -> tensor<?x1x1xf32, #moe.dims<b * s, 1, 1>>
  %50 = moe.reshape %49 : (tensor<?x1x1xf32, #moe.dims<b * s, 1, 1>>) -> tensor<?xf32, #moe.dims<b * s>>
  %51 = moe.binary add %46, %50 : (tensor<?xf32, #moe.dims<b * s>>, tensor<?xf32, #moe.dims<b * s>>) -> tensor<?xf32, #moe.dims<b * s>>
  %52 = moe.constant dense<1.1920929E-7> : tensor<f32> : tensor<f32>
  %53 = moe.binary max %51, %52 : (tensor<?xf32, #moe.dims<b * s>>, tensor<f32>) -> tensor<?xf32, #moe.dims<b * s>>
  %54 = moe.binary div %46, %53 : (tensor<?xf32, #moe.dims<b * s>>, tensor<?xf32, #moe.dims<b * s>>) -> tensor<?xf32, #moe.dims<b * s>>
  %55 = moe.binary div %50, %53 : (tensor<?xf32, #moe.dims<b * s>>, tensor<?xf32, #moe.dims<b * s>>) -> tensor<?xf32, #moe.dims<b * s>>
  %56 = moe.reduce sum %33 {axes = array<i64: 1>, keepdims = false} : (tensor<?x3xi64, #moe.dims<b * s, 3>>) -> tensor<?xi64, #moe.dims<b * s>>
  %57 = moe.constant dense<0> : tensor<i64> : tensor<i64>
  %58 = moe.compare gt %56, %57 : (tensor<?xi64, #moe.dims<b * s>>, tensor<i64>) -> tensor<?xi1, #moe.dims<b * s>>
  %59 = moe.constant dense<-1> : tensor<i64> : tensor<i64>
  %60 = moe.broadcast %59 : (tensor<i64>) -> tensor<?xi64, #moe.dims<b * s>>
  %61 = moe.select %58, %4, %60 : (tensor<?xi1, #moe.dims<b * s>>, tensor<?xi64, #moe.dims<b * s>>, tensor<?xi64, #moe.dims<b * s>>) -> tensor<?xi64, #moe.dims<b * s>>
  %62 = moe.reduce sum %36 {axes = array<i64: 1>, keepdims = false} : (tensor<?x3xi64, #moe.dims<b * s, 3>>) -> tensor<?xi64, #moe.dims<b * s>>
  %63 = moe.constant dense<0> : tensor<i64> : tensor<i64>
  %64 = moe.compare gt %62, %63 : (tensor<?xi64, #moe.dims<b * s>>, tensor<i64>) -> tensor<?xi1, #moe.dims<b * s>>
  %65 = moe.constant dense<-1> : tensor<i64> : tensor<i64>
  %66 = moe.broadcast %65 : (tensor<i64>) -> tensor<?xi64, #moe.dims<b * s>>
  %67 = moe.select %64, %10, %66 : (tensor<?xi1, #moe.dims<b * s>>, tensor<?xi64, #moe.dims<b * s>>, tensor<?xi64, #moe.dims<b * s>>) -> tensor<?xi64, #moe.dims<b * s>>
  %68 = moe.reshape %61 : (tensor<?xi64, #moe.dims<b * s>>) -> tensor<1x?xi64, #moe.dims<1, b * s>>
  %69 = moe.reshape %67 : (tensor<?xi64, #moe.dims<b * s>>) -> tensor<1x?xi64, #moe.dims<1, b * s>>
  %70 = moe.concat %68, %69 {axis = 0 : i64} : (tensor<1x?xi64, #moe.dims<1, b * s>>, tensor<1x?xi64, #moe.dims<1, b * s>>) -> tensor<2x?xi64, #moe.dims<2, b * s>>
  %71 = moe.cast %70 : (tensor<2x?xi64, #moe.dims<2, b * s>>) -> tensor<2x?xi32, #moe.dims<2, b * s>>
  %72 = moe.reshape %38 : (tensor<?xi64, #moe.dims<b * s>>) -> tensor<1x?xi64, #moe.dims<1, b * s>>
  %73 = moe.reshape %40 : (tensor<?xi64, #moe.dims<b * s>>) -> tensor<1x?xi64, #moe.dims<1, b * s>>
  %74 = moe.concat %72, %73 {axis = 0 : i64} : (tensor<1x?xi64, #moe.dims<1, b * s>>, tensor<1x?xi64, #moe.dims<1, b * s>>) -> tensor<2x?xi64, #moe.dims<2, b * s>>
  %75 = moe.cast %74 : (tensor<2x?xi64, #moe.dims<2, b * s>>) -> tensor<2x?xi32, #moe.dims<2, b * s>>
  %76 = moe.reshape %54 : (tensor<?xf32, #moe.dims<b * s>>) -> tensor<1x?xf32, #moe.dims<1, b * s>>
  %77 = moe.reshape %55 : (tensor<?xf32, #moe.dims<b * s>>) -> tensor<1x?xf32, #moe.dims<1, b * s>>
  %78 = moe.concat %76, %77 {axis = 0 : i64} : (tensor<1x?xf32, #moe.dims<1, b * s>>, tensor<1x?xf32, #moe.dims<1, b * s>>) -> tensor<2x?xf32, #moe.dims<2, b * s>>
  %79 = moe.cast %71 : (tensor<2x?xi32, #moe.dims<2, b * s>>) -> tensor<2x?xi64, #moe.dims<2, b * s>>
  %80 = moe.constant dense<14> : tensor<i64> : tensor<i64>
  %81 = moe.binary mul %79, %80 : (tensor<2x?xi64, #moe.dims<2, b * s>>, tensor<i64>) -> tensor<2x?xi64, #moe.dims<2, b * s>>
  %82 = moe.cast %75 : (tensor<2x?xi32, #moe.dims<2, b * s>>) -> tensor<2x?xi64, #moe.dims<2, b * s>>
  %83 = moe.binary add %81, %82 : (tensor<2x?xi64, #moe.dims<2, b * s>>, tensor<2x?xi64, #moe.dims<2, b * s>>) -> tensor<2x?xi64, #moe.dims<2, b * s>>
  %84 = moe.constant dense<42> : tensor<i64> : tensor<i64>
  %85 = moe.broadcast %84 : (tensor<i64>) -> tensor<2x?xi64, #moe.dims<2, b * s>>
  %86 = moe.cast %71 : (tensor<2x?xi32, #moe.dims<2, b * s>>) -> tensor<2x?xi64, #moe.dims<2, b * s>>
  %87 = moe.constant dense<0> : tensor<i64> : tensor<i64>
  %88 = moe.compare ge %86, %87 : (tensor<2x?xi64, #moe.dims<2, b * s>>, tensor<i64>) -> tensor<2x?xi1, #moe.dims<2, b * s>>
  %89 = moe.select %88, %83, %85 : (tensor<2x?xi1, #moe.dims<2, b * s>>, tensor<2x?xi64, #moe.dims<2, b * s>>, tensor<2x?xi64, #moe.dims<2, b * s>>) -> tensor<2x?xi64, #moe.dims<2, b * s>>
  %90 = moe.iota <0> : tensor<?xi64, #moe.dims<b * s>>
  %91 = moe.broadcast %90 : (tensor<?xi64, #moe.dims<b * s>>) -> tensor<2x?xi64, #moe.dims<2, b * s>>
  %92 = moe.reshape %89 : (tensor<2x?xi64, #moe.dims<2, b * s>>) -> tensor<?xi64, #moe.dims<2 * b * s>>
  %93 = moe.reshape %91 : (tensor<2x?xi64, #moe.dims<2, b * s>>) -> tensor<?xi64, #moe.dims<2 * b * s>>
  %94 = moe.shape <b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s> : tensor<43xi64>
  %95 = moe.scatter_elements %94, %92, %93 {axis = 0 : i64} : (tensor<43xi64>, tensor<?xi64, #moe.dims<2 * b * s>>, tensor<?xi64, #moe.dims<2 * b * s>>) -> tensor<43xi64>
  %96 = moe.constant dense<0.000000e+00> : tensor<1x4xf32> : tensor<1x4xf32>
  %97 = moe.concat %0, %96 {axis = 0 : i64} : (tensor<?x4xf32, #moe.dims<b * s, 4>>, tensor<1x4xf32>) -> tensor<?x4xf32, #moe.dims<b * s + 1, 4>>
  %98 = moe.slice %95 <0> {steps = array<i64: 1>} : (tensor<43xi64>) -> tensor<42xi64>
  %99 = moe.gather %97, %98 {axis = 0 : i64} : (tensor<?x4xf32, #moe.dims<b * s + 1, 4>>, tensor<42xi64>) -> tensor<42x4xf32>
  %100 = moe.reshape %99 : (tensor<42x4xf32>) -> tensor<1x3x14x4xf32>
  %101 = moe.slice %100 <0, 0, 0, 0> {steps = array<i64: 1, 1, 1, 1>} : (tensor<1x3x14x4xf32>) -> tensor<1x1x14x4xf32>
  %102 = moe.slice %100 <0, 1, 0, 0> {steps = array<i64: 1, 1, 1, 1>} : (tensor<1x3x14x4xf32>) -> tensor<1x1x14x4xf32>
  %103 = moe.slice %100 <0, 2, 0, 0> {steps = array<i64: 1, 1, 1, 1>} : (tensor<1x3x14x4xf32>) -> tensor<1x1x14x4xf32>
  %104 = moe.param "w314" <file "model.onnx" [27625, 96] : tensor<4x6xf32>> : tensor<4x6xf32>
  %105 = moe.matmul %101, %104 : (tensor<1x1x14x4xf32>, tensor<4x6xf32>) -> tensor<1x1x14x6xf32>
  %106 = moe.param "experts.0.a.bias" <file "model.onnx" [27161, 24] : tensor<6xf32>> : tensor<6xf32>
  %107 = moe.binary add %106, %105 : (tensor<6xf32>, tensor<1x1x14x6xf32>) -> tensor<1x1x14x6xf32>
  %108 = moe.unary relu %107 : (tensor<1x1x14x6xf32>) -> tensor<1x1x14x6xf32>
  %109 = moe.param "w315" <file "model.onnx" [27749, 96] : tensor<6x4xf32>> : tensor<6x4xf32>
  %110 = moe.matmul %108, %109 : (tensor<1x1x14x6xf32>, tensor<6x4xf32>) -> tensor<1x1x14x4xf32>
  %111 = moe.param "experts.0.b.bias" <file "model.onnx" [27233, 16] : tensor<4xf32>> : tensor<4xf32>
  %112 = moe.binary add %111, %110 : (tensor<4xf32>, tensor<1x1x14x4xf32>) -> tensor<1x1x14x4xf32>
  %113 = moe.param "w316" <file "model.onnx" [27873, 96] : tensor<4x6xf32>> : tensor<4x6xf32>
  %114 = moe.matmul %102, %113 : (tensor<1x1x14x4xf32>, tensor<4x6xf32>) -> tensor<1x1x14x6xf32>
  %115 = moe.param "experts.1.a.bias" <file "model.onnx" [27297, 24] : tensor<6xf32>> : tensor<6xf32>
  %116 = moe.binary add %115, %114 : (tensor<6xf32>, tensor<1x1x14x6xf32>) -> tensor<1x1x14x6xf32>
  %117 = moe.unary relu %116 : (tensor<1x1x14x6xf32>) -> tensor<1x1x14x6xf32>
  %118 = moe.param "w317" <file "model.onnx" [27997, 96] : tensor<6x4xf32>> : tensor<6x4xf32>
  %119 = moe.matmul %117, %118 : (tensor<1x1x14x6xf32>, tensor<6x4xf32>) -> tensor<1x1x14x4xf32>
  %120 = moe.param "experts.1.b.bias" <file "model.onnx" [27369, 16] : tensor<4xf32>> : tensor<4xf32>
  %121 = moe.binary add %120, %119 : (tensor<4xf32>, tensor<1x1x14x4xf32>) -> tensor<1x1x14x4xf32>
  %122 = moe.param "w318" <file "model.onnx" [28121, 96] : tensor<4x6xf32>> : tensor<4x6xf32>
  %123 = moe.matmul %103, %122 : (tensor<1x1x14x4xf32>, tensor<4x6xf32>) -> tensor<1x1x14x6xf32>
  %124 = moe.param "experts.2.a.bias" <file "model.onnx" [27433, 24] : tensor<6xf32>> : tensor<6xf32>
  %125 = moe.binary add %124, %123 : (tensor<6xf32>, tensor<1x1x14x6xf32>) -> tensor<1x1x14x6xf32>
  %126 = moe.unary relu %125 : (tensor<1x1x14x6xf32>) -> tensor<1x1x14x6xf32>
  %127 = moe.param "w319" <file "model.onnx" [28245, 96] : tensor<6x4xf32>> : tensor<6x4xf32>
  %128 = moe.matmul %126, %127 : (tensor<1x1x14x6xf32>, tensor<6x4xf32>) -> tensor<1x1x14x4xf32>
  %129 = moe.param "experts.2.b.bias" <file "model.onnx" [27505, 16] : tensor<4xf32>> : tensor<4xf32>
  %130 = moe.binary add %129, %128 : (tensor<4xf32>, tensor<1x1x14x4xf32>) -> tensor<1x1x14x4xf32>
  %131 = moe.concat %112, %121, %130 {axis = 1 : i64} : (tensor<1x1x14x4xf32>, tensor<1x1x14x4xf32>, tensor<1x1x14x4xf32>) -> tensor<1x3x14x4xf32>
  %132 = moe.reshape %131 : (tensor<1x3x14x4xf32>) -> tensor<42x4xf32>
  %133 = moe.constant dense<0.000000e+00> : tensor<1x4xf32> : tensor<1x4xf32>
  %134 = moe.concat %132, %133 {axis = 0 : i64} : (tensor<42x4xf32>, tensor<1x4xf32>) -> tensor<43x4xf32>
  %135 = moe.gather %134, %92 {axis = 0 : i64} : (tensor<43x4xf32>, tensor<?xi64, #moe.dims<2 * b * s>>) -> tensor<?x4xf32, #moe.dims<2 * b * s, 4>>
  %136 = moe.reshape %135 : (tensor<?x4xf32, #moe.dims<2 * b * s, 4>>) -> tensor<2x?x4xf32, #moe.dims<2, b * s, 4>>
  %137 = moe.reshape %78 : (tensor<2x?xf32, #moe.dims<2, b * s>>) -> tensor<2x?x1xf32, #moe.dims<2, b * s, 1>>
  %138 = moe.binary mul %136, %137 : (tensor<2x?x4xf32, #moe.dims<2, b * s, 4>>, tensor<2x?x1xf32, #moe.dims<2, b * s, 1>>) -> tensor<2x?x4xf32, #moe.dims<2, b * s, 4>>
  %139 = moe.reduce sum %138 {axes = array<i64: 0>, keepdims = false} : (tensor<2x?x4xf32, #moe.dims<2, b * s, 4>>) -> tensor<?x4xf32, #moe.dims<b * s, 4>>
  %140 = moe.reshape %139 : (tensor<?x4xf32, #moe.dims<b * s, 4>>) -> tensor<?x?x4xf32, #moe.dims<b, s, 4>>
  return %140 : tensor<?x?x4xf32, #moe.dims<b, s, 4>>
}

// CHECK-LABEL: func.func @top2_dropless
// CHECK: moe.gate
// CHECK-NOT: drop_policy
// CHECK-SAME: k = 2 : i64, normalize = #moe<normalize sum_max>
func.func @top2_dropless(%arg0: tensor<?x?x4xf32, #moe.dims<b, s, 4>>) -> (tensor<?x?x4xf32, #moe.dims<b, s, 4>>) {
  %0 = moe.reshape %arg0 : (tensor<?x?x4xf32, #moe.dims<b, s, 4>>) -> tensor<?x4xf32, #moe.dims<b * s, 4>>
  %1 = moe.param "w271" <file "model.onnx" [24784, 48] : tensor<4x3xf32>> : tensor<4x3xf32>
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
  %21 = moe.binary mul %15, %6 : (tensor<?x3xi64, #moe.dims<b * s, 3>>, tensor<?x3xi64, #moe.dims<b * s, 3>>) -> tensor<?x3xi64, #moe.dims<b * s, 3>>
  %22 = moe.reduce sum %21 {axes = array<i64: 1>, keepdims = false} : (tensor<?x3xi64, #moe.dims<b * s, 3>>) -> tensor<?xi64, #moe.dims<b * s>>
  %23 = moe.binary mul %20, %12 : (tensor<?x3xi64, #moe.dims<b * s, 3>>, tensor<?x3xi64, #moe.dims<b * s, 3>>) -> tensor<?x3xi64, #moe.dims<b * s, 3>>
  %24 = moe.reduce sum %23 {axes = array<i64: 1>, keepdims = false} : (tensor<?x3xi64, #moe.dims<b * s, 3>>) -> tensor<?xi64, #moe.dims<b * s>>
  %25 = moe.cast %6 : (tensor<?x3xi64, #moe.dims<b * s, 3>>) -> tensor<?x3xf32, #moe.dims<b * s, 3>>
  %26 = moe.cast %12 : (tensor<?x3xi64, #moe.dims<b * s, 3>>) -> tensor<?x3xf32, #moe.dims<b * s, 3>>
  %27 = moe.reshape %3 : (tensor<?x3xf32, #moe.dims<b * s, 3>>) -> tensor<?x1x3xf32, #moe.dims<b * s, 1, 3>>
  %28 = moe.reshape %25 : (tensor<?x3xf32, #moe.dims<b * s, 3>>) -> tensor<?x3x1xf32, #moe.dims<b * s, 3, 1>>
  %29 = moe.matmul %27, %28 : (tensor<?x1x3xf32, #moe.dims<b * s, 1, 3>>, tensor<?x3x1xf32, #moe.dims<b * s, 3, 1>>) -> tensor<?x1x1xf32, #moe.dims<b * s, 1, 1>>
  %30 = moe.reshape %29 : (tensor<?x1x1xf32, #moe.dims<b * s, 1, 1>>) -> tensor<?xf32, #moe.dims<b * s>>
  %31 = moe.reshape %3 : (tensor<?x3xf32, #moe.dims<b * s, 3>>) -> tensor<?x1x3xf32, #moe.dims<b * s, 1, 3>>
  %32 = moe.reshape %26 : (tensor<?x3xf32, #moe.dims<b * s, 3>>) -> tensor<?x3x1xf32, #moe.dims<b * s, 3, 1>>
  %33 = moe.matmul %31, %32 : (tensor<?x1x3xf32, #moe.dims<b * s, 1, 3>>, tensor<?x3x1xf32, #moe.dims<b * s, 3, 1>>) -> tensor<?x1x1xf32, #moe.dims<b * s, 1, 1>>
  %34 = moe.reshape %33 : (tensor<?x1x1xf32, #moe.dims<b * s, 1, 1>>) -> tensor<?xf32, #moe.dims<b * s>>
  %35 = moe.binary add %30, %34 : (tensor<?xf32, #moe.dims<b * s>>, tensor<?xf32, #moe.dims<b * s>>) -> tensor<?xf32, #moe.dims<b * s>>
  %36 = moe.constant dense<1.1920929E-7> : tensor<f32> : tensor<f32>
  %37 = moe.binary max %35, %36 : (tensor<?xf32, #moe.dims<b * s>>, tensor<f32>) -> tensor<?xf32, #moe.dims<b * s>>
  %38 = moe.binary div %30, %37 : (tensor<?xf32, #moe.dims<b * s>>, tensor<?xf32, #moe.dims<b * s>>) -> tensor<?xf32, #moe.dims<b * s>>
  %39 = moe.binary div %34, %37 : (tensor<?xf32, #moe.dims<b * s>>, tensor<?xf32, #moe.dims<b * s>>) -> tensor<?xf32, #moe.dims<b * s>>
  %40 = moe.reduce sum %6 {axes = array<i64: 1>, keepdims = false} : (tensor<?x3xi64, #moe.dims<b * s, 3>>) -> tensor<?xi64, #moe.dims<b * s>>
  %41 = moe.constant dense<0> : tensor<i64> : tensor<i64>
  %42 = moe.compare gt %40, %41 : (tensor<?xi64, #moe.dims<b * s>>, tensor<i64>) -> tensor<?xi1, #moe.dims<b * s>>
  %43 = moe.constant dense<-1> : tensor<i64> : tensor<i64>
  %44 = moe.broadcast %43 : (tensor<i64>) -> tensor<?xi64, #moe.dims<b * s>>
  %45 = moe.select %42, %4, %44 : (tensor<?xi1, #moe.dims<b * s>>, tensor<?xi64, #moe.dims<b * s>>, tensor<?xi64, #moe.dims<b * s>>) -> tensor<?xi64, #moe.dims<b * s>>
  %46 = moe.reduce sum %12 {axes = array<i64: 1>, keepdims = false} : (tensor<?x3xi64, #moe.dims<b * s, 3>>) -> tensor<?xi64, #moe.dims<b * s>>
  %47 = moe.constant dense<0> : tensor<i64> : tensor<i64>
  %48 = moe.compare gt %46, %47 : (tensor<?xi64, #moe.dims<b * s>>, tensor<i64>) -> tensor<?xi1, #moe.dims<b * s>>
  %49 = moe.constant dense<-1> : tensor<i64> : tensor<i64>
  %50 = moe.broadcast %49 : (tensor<i64>) -> tensor<?xi64, #moe.dims<b * s>>
  %51 = moe.select %48, %10, %50 : (tensor<?xi1, #moe.dims<b * s>>, tensor<?xi64, #moe.dims<b * s>>, tensor<?xi64, #moe.dims<b * s>>) -> tensor<?xi64, #moe.dims<b * s>>
  %52 = moe.reshape %45 : (tensor<?xi64, #moe.dims<b * s>>) -> tensor<1x?xi64, #moe.dims<1, b * s>>
  %53 = moe.reshape %51 : (tensor<?xi64, #moe.dims<b * s>>) -> tensor<1x?xi64, #moe.dims<1, b * s>>
  %54 = moe.concat %52, %53 {axis = 0 : i64} : (tensor<1x?xi64, #moe.dims<1, b * s>>, tensor<1x?xi64, #moe.dims<1, b * s>>) -> tensor<2x?xi64, #moe.dims<2, b * s>>
  %55 = moe.cast %54 : (tensor<2x?xi64, #moe.dims<2, b * s>>) -> tensor<2x?xi32, #moe.dims<2, b * s>>
  %56 = moe.reshape %22 : (tensor<?xi64, #moe.dims<b * s>>) -> tensor<1x?xi64, #moe.dims<1, b * s>>
  %57 = moe.reshape %24 : (tensor<?xi64, #moe.dims<b * s>>) -> tensor<1x?xi64, #moe.dims<1, b * s>>
  %58 = moe.concat %56, %57 {axis = 0 : i64} : (tensor<1x?xi64, #moe.dims<1, b * s>>, tensor<1x?xi64, #moe.dims<1, b * s>>) -> tensor<2x?xi64, #moe.dims<2, b * s>>
  %59 = moe.cast %58 : (tensor<2x?xi64, #moe.dims<2, b * s>>) -> tensor<2x?xi32, #moe.dims<2, b * s>>
  %60 = moe.reshape %38 : (tensor<?xf32, #moe.dims<b * s>>) -> tensor<1x?xf32, #moe.dims<1, b * s>>
  %61 = moe.reshape %39 : (tensor<?xf32, #moe.dims<b * s>>) -> tensor<1x?xf32, #moe.dims<1, b * s>>
  %62 = moe.concat %60, %61 {axis = 0 : i64} : (tensor<1x?xf32, #moe.dims<1, b * s>>, tensor<1x?xf32, #moe.dims<1, b * s>>) -> tensor<2x?xf32, #moe.dims<2, b * s>>
  %63 = moe.cast %55 : (tensor<2x?xi32, #moe.dims<2, b * s>>) -> tensor<2x?xi64, #moe.dims<2, b * s>>
  %64 = moe.constant dense<15> : tensor<i64> : tensor<i64>
  %65 = moe.binary mul %63, %64 : (tensor<2x?xi64, #moe.dims<2, b * s>>, tensor<i64>) -> tensor<2x?xi64, #moe.dims<2, b * s>>
  %66 = moe.cast %59 : (tensor<2x?xi32, #moe.dims<2, b * s>>) -> tensor<2x?xi64, #moe.dims<2, b * s>>
  %67 = moe.binary add %65, %66 : (tensor<2x?xi64, #moe.dims<2, b * s>>, tensor<2x?xi64, #moe.dims<2, b * s>>) -> tensor<2x?xi64, #moe.dims<2, b * s>>
  %68 = moe.constant dense<45> : tensor<i64> : tensor<i64>
  %69 = moe.broadcast %68 : (tensor<i64>) -> tensor<2x?xi64, #moe.dims<2, b * s>>
  %70 = moe.cast %55 : (tensor<2x?xi32, #moe.dims<2, b * s>>) -> tensor<2x?xi64, #moe.dims<2, b * s>>
  %71 = moe.constant dense<0> : tensor<i64> : tensor<i64>
  %72 = moe.compare ge %70, %71 : (tensor<2x?xi64, #moe.dims<2, b * s>>, tensor<i64>) -> tensor<2x?xi1, #moe.dims<2, b * s>>
  %73 = moe.select %72, %67, %69 : (tensor<2x?xi1, #moe.dims<2, b * s>>, tensor<2x?xi64, #moe.dims<2, b * s>>, tensor<2x?xi64, #moe.dims<2, b * s>>) -> tensor<2x?xi64, #moe.dims<2, b * s>>
  %74 = moe.iota <0> : tensor<?xi64, #moe.dims<b * s>>
  %75 = moe.broadcast %74 : (tensor<?xi64, #moe.dims<b * s>>) -> tensor<2x?xi64, #moe.dims<2, b * s>>
  %76 = moe.reshape %73 : (tensor<2x?xi64, #moe.dims<2, b * s>>) -> tensor<?xi64, #moe.dims<2 * b * s>>
  %77 = moe.reshape %75 : (tensor<2x?xi64, #moe.dims<2, b * s>>) -> tensor<?xi64, #moe.dims<2 * b * s>>
  %78 = moe.shape <b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s> : tensor<46xi64>
  %79 = moe.scatter_elements %78, %76, %77 {axis = 0 : i64} : (tensor<46xi64>, tensor<?xi64, #moe.dims<2 * b * s>>, tensor<?xi64, #moe.dims<2 * b * s>>) -> tensor<46xi64>
  %80 = moe.constant dense<0.000000e+00> : tensor<1x4xf32> : tensor<1x4xf32>
  %81 = moe.concat %0, %80 {axis = 0 : i64} : (tensor<?x4xf32, #moe.dims<b * s, 4>>, tensor<1x4xf32>) -> tensor<?x4xf32, #moe.dims<b * s + 1, 4>>
  %82 = moe.slice %79 <0> {steps = array<i64: 1>} : (tensor<46xi64>) -> tensor<45xi64>
  %83 = moe.gather %81, %82 {axis = 0 : i64} : (tensor<?x4xf32, #moe.dims<b * s + 1, 4>>, tensor<45xi64>) -> tensor<45x4xf32>
  %84 = moe.reshape %83 : (tensor<45x4xf32>) -> tensor<1x3x15x4xf32>
  %85 = moe.slice %84 <0, 0, 0, 0> {steps = array<i64: 1, 1, 1, 1>} : (tensor<1x3x15x4xf32>) -> tensor<1x1x15x4xf32>
  %86 = moe.slice %84 <0, 1, 0, 0> {steps = array<i64: 1, 1, 1, 1>} : (tensor<1x3x15x4xf32>) -> tensor<1x1x15x4xf32>
  %87 = moe.slice %84 <0, 2, 0, 0> {steps = array<i64: 1, 1, 1, 1>} : (tensor<1x3x15x4xf32>) -> tensor<1x1x15x4xf32>
  %88 = moe.param "w284" <file "model.onnx" [24860, 96] : tensor<4x6xf32>> : tensor<4x6xf32>
  %89 = moe.matmul %85, %88 : (tensor<1x1x15x4xf32>, tensor<4x6xf32>) -> tensor<1x1x15x6xf32>
  %90 = moe.param "experts.0.a.bias" <file "model.onnx" [24396, 24] : tensor<6xf32>> : tensor<6xf32>
  %91 = moe.binary add %90, %89 : (tensor<6xf32>, tensor<1x1x15x6xf32>) -> tensor<1x1x15x6xf32>
  %92 = moe.unary relu %91 : (tensor<1x1x15x6xf32>) -> tensor<1x1x15x6xf32>
  %93 = moe.param "w285" <file "model.onnx" [24984, 96] : tensor<6x4xf32>> : tensor<6x4xf32>
  %94 = moe.matmul %92, %93 : (tensor<1x1x15x6xf32>, tensor<6x4xf32>) -> tensor<1x1x15x4xf32>
  %95 = moe.param "experts.0.b.bias" <file "model.onnx" [24468, 16] : tensor<4xf32>> : tensor<4xf32>
  %96 = moe.binary add %95, %94 : (tensor<4xf32>, tensor<1x1x15x4xf32>) -> tensor<1x1x15x4xf32>
  %97 = moe.param "w286" <file "model.onnx" [25108, 96] : tensor<4x6xf32>> : tensor<4x6xf32>
  %98 = moe.matmul %86, %97 : (tensor<1x1x15x4xf32>, tensor<4x6xf32>) -> tensor<1x1x15x6xf32>
  %99 = moe.param "experts.1.a.bias" <file "model.onnx" [24532, 24] : tensor<6xf32>> : tensor<6xf32>
  %100 = moe.binary add %99, %98 : (tensor<6xf32>, tensor<1x1x15x6xf32>) -> tensor<1x1x15x6xf32>
  %101 = moe.unary relu %100 : (tensor<1x1x15x6xf32>) -> tensor<1x1x15x6xf32>
  %102 = moe.param "w287" <file "model.onnx" [25232, 96] : tensor<6x4xf32>> : tensor<6x4xf32>
  %103 = moe.matmul %101, %102 : (tensor<1x1x15x6xf32>, tensor<6x4xf32>) -> tensor<1x1x15x4xf32>
  %104 = moe.param "experts.1.b.bias" <file "model.onnx" [24604, 16] : tensor<4xf32>> : tensor<4xf32>
  %105 = moe.binary add %104, %103 : (tensor<4xf32>, tensor<1x1x15x4xf32>) -> tensor<1x1x15x4xf32>
  %106 = moe.param "w288" <file "model.onnx" [25356, 96] : tensor<4x6xf32>> : tensor<4x6xf32>
  %107 = moe.matmul %87, %106 : (tensor<1x1x15x4xf32>, tensor<4x6xf32>) -> tensor<1x1x15x6xf32>
  %108 = moe.param "experts.2.a.bias" <file "model.onnx" [24668, 24] : tensor<6xf32>> : tensor<6xf32>
  %109 = moe.binary add %108, %107 : (tensor<6xf32>, tensor<1x1x15x6xf32>) -> tensor<1x1x15x6xf32>
  %110 = moe.unary relu %109 : (tensor<1x1x15x6xf32>) -> tensor<1x1x15x6xf32>
  %111 = moe.param "w289" <file "model.onnx" [25480, 96] : tensor<6x4xf32>> : tensor<6x4xf32>
  %112 = moe.matmul %110, %111 : (tensor<1x1x15x6xf32>, tensor<6x4xf32>) -> tensor<1x1x15x4xf32>
  %113 = moe.param "experts.2.b.bias" <file "model.onnx" [24740, 16] : tensor<4xf32>> : tensor<4xf32>
  %114 = moe.binary add %113, %112 : (tensor<4xf32>, tensor<1x1x15x4xf32>) -> tensor<1x1x15x4xf32>
  %115 = moe.concat %96, %105, %114 {axis = 1 : i64} : (tensor<1x1x15x4xf32>, tensor<1x1x15x4xf32>, tensor<1x1x15x4xf32>) -> tensor<1x3x15x4xf32>
  %116 = moe.reshape %115 : (tensor<1x3x15x4xf32>) -> tensor<45x4xf32>
  %117 = moe.constant dense<0.000000e+00> : tensor<1x4xf32> : tensor<1x4xf32>
  %118 = moe.concat %116, %117 {axis = 0 : i64} : (tensor<45x4xf32>, tensor<1x4xf32>) -> tensor<46x4xf32>
  %119 = moe.gather %118, %76 {axis = 0 : i64} : (tensor<46x4xf32>, tensor<?xi64, #moe.dims<2 * b * s>>) -> tensor<?x4xf32, #moe.dims<2 * b * s, 4>>
  %120 = moe.reshape %119 : (tensor<?x4xf32, #moe.dims<2 * b * s, 4>>) -> tensor<2x?x4xf32, #moe.dims<2, b * s, 4>>
  %121 = moe.reshape %62 : (tensor<2x?xf32, #moe.dims<2, b * s>>) -> tensor<2x?x1xf32, #moe.dims<2, b * s, 1>>
  %122 = moe.binary mul %120, %121 : (tensor<2x?x4xf32, #moe.dims<2, b * s, 4>>, tensor<2x?x1xf32, #moe.dims<2, b * s, 1>>) -> tensor<2x?x4xf32, #moe.dims<2, b * s, 4>>
  %123 = moe.reduce sum %122 {axes = array<i64: 0>, keepdims = false} : (tensor<2x?x4xf32, #moe.dims<2, b * s, 4>>) -> tensor<?x4xf32, #moe.dims<b * s, 4>>
  %124 = moe.reshape %123 : (tensor<?x4xf32, #moe.dims<b * s, 4>>) -> tensor<?x?x4xf32, #moe.dims<b, s, 4>>
  return %124 : tensor<?x?x4xf32, #moe.dims<b, s, 4>>
}

// CHECK-LABEL: func.func @top3_by_probs
// CHECK: moe.gate
// CHECK-SAME: drop_policy = #moe<drop_policy probs>, k = 3 : i64
// CHECK-NOT: moe.scatter_elements
func.func @top3_by_probs(%arg0: tensor<?x?x4xf32, #moe.dims<b, s, 4>>) -> (tensor<?x?x4xf32, #moe.dims<b, s, 4>>) attributes {moe.data_symbols = {d0 = "min(b * s, max(2, ceildiv(3 * b * s, 4) + 1))"}} {
  %0 = moe.reshape %arg0 : (tensor<?x?x4xf32, #moe.dims<b, s, 4>>) -> tensor<?x4xf32, #moe.dims<b * s, 4>>
  %1 = moe.param "w287" <file "model.onnx" [25494, 64] : tensor<4x4xf32>> : tensor<4x4xf32>
  %2 = moe.matmul %0, %1 : (tensor<?x4xf32, #moe.dims<b * s, 4>>, tensor<4x4xf32>) -> tensor<?x4xf32, #moe.dims<b * s, 4>>
  %3 = moe.softmax %2 {axis = 1 : i64} : (tensor<?x4xf32, #moe.dims<b * s, 4>>) -> tensor<?x4xf32, #moe.dims<b * s, 4>>
  %values, %indices = moe.top_k %3 {axis = 1 : i64} : (tensor<?x4xf32, #moe.dims<b * s, 4>>) -> (tensor<?x3xf32, #moe.dims<b * s, 3>>, tensor<?x3xi64, #moe.dims<b * s, 3>>)
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
  %14 = moe.binary mul %12, %13 : (tensor<f32>, tensor<f32>) -> tensor<f32>
  %15 = moe.unary ceil %14 : (tensor<f32>) -> tensor<f32>
  %16 = moe.cast %15 : (tensor<f32>) -> tensor<i64>
  %17 = moe.constant dense<2> : tensor<i64> : tensor<i64>
  %18 = moe.binary max %16, %17 : (tensor<i64>, tensor<i64>) -> tensor<i64>
  %19 = moe.constant dense<0.000000e+00> : tensor<f32> : tensor<f32>
  %20 = moe.broadcast %19 : (tensor<f32>) -> tensor<?x4xf32, #moe.dims<b * s, 4>>
  %21 = moe.scatter_elements %20, %indices, %values {axis = 1 : i64} : (tensor<?x4xf32, #moe.dims<b * s, 4>>, tensor<?x3xi64, #moe.dims<b * s, 3>>, tensor<?x3xf32, #moe.dims<b * s, 3>>) -> tensor<?x4xf32, #moe.dims<b * s, 4>>
  %22 = moe.reshape %18 : (tensor<i64>) -> tensor<1xi64>
  %values_0, %indices_1 = moe.top_k %21, %22 {axis = 0 : i64} : (tensor<?x4xf32, #moe.dims<b * s, 4>>, tensor<1xi64>) -> (tensor<?x4xf32, #moe.dims<d0, 4>>, tensor<?x4xi64, #moe.dims<d0, 4>>)
  %23 = moe.constant dense<false> : tensor<i1> : tensor<i1>
  %24 = moe.broadcast %23 : (tensor<i1>) -> tensor<?x4xi1, #moe.dims<b * s, 4>>
  %25 = moe.constant dense<true> : tensor<i1> : tensor<i1>
  %26 = moe.broadcast %25 : (tensor<i1>) -> tensor<?x4xi1, #moe.dims<d0, 4>>
  %27 = moe.scatter_elements %24, %indices_1, %26 {axis = 0 : i64} : (tensor<?x4xi1, #moe.dims<b * s, 4>>, tensor<?x4xi64, #moe.dims<d0, 4>>, tensor<?x4xi1, #moe.dims<d0, 4>>) -> tensor<?x4xi1, #moe.dims<b * s, 4>>
  %28 = moe.binary and %8, %27 : (tensor<?x4xi1, #moe.dims<b * s, 4>>, tensor<?x4xi1, #moe.dims<b * s, 4>>) -> tensor<?x4xi1, #moe.dims<b * s, 4>>
  %29 = moe.cast %28 : (tensor<?x4xi1, #moe.dims<b * s, 4>>) -> tensor<?x4xi64, #moe.dims<b * s, 4>>
  %30 = moe.cumsum %29 {axis = 0 : i64} : (tensor<?x4xi64, #moe.dims<b * s, 4>>) -> tensor<?x4xi64, #moe.dims<b * s, 4>>
  %31 = moe.constant dense<1> : tensor<i64> : tensor<i64>
  %32 = moe.binary sub %30, %31 : (tensor<?x4xi64, #moe.dims<b * s, 4>>, tensor<i64>) -> tensor<?x4xi64, #moe.dims<b * s, 4>>
  %33 = moe.cast %28 : (tensor<?x4xi1, #moe.dims<b * s, 4>>) -> tensor<?x4xf32, #moe.dims<b * s, 4>>
  %34 = moe.binary mul %3, %33 : (tensor<?x4xf32, #moe.dims<b * s, 4>>, tensor<?x4xf32, #moe.dims<b * s, 4>>) -> tensor<?x4xf32, #moe.dims<b * s, 4>>
  %35 = moe.reduce sum %34 {axes = array<i64: 1>, keepdims = true} : (tensor<?x4xf32, #moe.dims<b * s, 4>>) -> tensor<?x1xf32, #moe.dims<b * s, 1>>
  %36 = moe.constant dense<1.1920929E-7> : tensor<f32> : tensor<f32>
  %37 = moe.binary max %35, %36 : (tensor<?x1xf32, #moe.dims<b * s, 1>>, tensor<f32>) -> tensor<?x1xf32, #moe.dims<b * s, 1>>
  %38 = moe.binary div %34, %37 : (tensor<?x4xf32, #moe.dims<b * s, 4>>, tensor<?x1xf32, #moe.dims<b * s, 1>>) -> tensor<?x4xf32, #moe.dims<b * s, 4>>
  %39 = moe.gather_elements %28, %indices {axis = 1 : i64} : (tensor<?x4xi1, #moe.dims<b * s, 4>>, tensor<?x3xi64, #moe.dims<b * s, 3>>) -> tensor<?x3xi1, #moe.dims<b * s, 3>>
  %40 = moe.constant dense<-1> : tensor<i64> : tensor<i64>
  %41 = moe.broadcast %40 : (tensor<i64>) -> tensor<?x3xi64, #moe.dims<b * s, 3>>
  %42 = moe.select %39, %indices, %41 : (tensor<?x3xi1, #moe.dims<b * s, 3>>, tensor<?x3xi64, #moe.dims<b * s, 3>>, tensor<?x3xi64, #moe.dims<b * s, 3>>) -> tensor<?x3xi64, #moe.dims<b * s, 3>>
  %43 = moe.gather_elements %32, %indices {axis = 1 : i64} : (tensor<?x4xi64, #moe.dims<b * s, 4>>, tensor<?x3xi64, #moe.dims<b * s, 3>>) -> tensor<?x3xi64, #moe.dims<b * s, 3>>
  %44 = moe.cast %39 : (tensor<?x3xi1, #moe.dims<b * s, 3>>) -> tensor<?x3xi64, #moe.dims<b * s, 3>>
  %45 = moe.binary mul %43, %44 : (tensor<?x3xi64, #moe.dims<b * s, 3>>, tensor<?x3xi64, #moe.dims<b * s, 3>>) -> tensor<?x3xi64, #moe.dims<b * s, 3>>
  %46 = moe.gather_elements %38, %indices {axis = 1 : i64} : (tensor<?x4xf32, #moe.dims<b * s, 4>>, tensor<?x3xi64, #moe.dims<b * s, 3>>) -> tensor<?x3xf32, #moe.dims<b * s, 3>>
  %47 = moe.transpose %42 {permutation = array<i64: 1, 0>} : (tensor<?x3xi64, #moe.dims<b * s, 3>>) -> tensor<3x?xi64, #moe.dims<3, b * s>>
  %48 = moe.cast %47 : (tensor<3x?xi64, #moe.dims<3, b * s>>) -> tensor<3x?xi32, #moe.dims<3, b * s>>
  %49 = moe.transpose %45 {permutation = array<i64: 1, 0>} : (tensor<?x3xi64, #moe.dims<b * s, 3>>) -> tensor<3x?xi64, #moe.dims<3, b * s>>
  %50 = moe.cast %49 : (tensor<3x?xi64, #moe.dims<3, b * s>>) -> tensor<3x?xi32, #moe.dims<3, b * s>>
  %51 = moe.transpose %46 {permutation = array<i64: 1, 0>} : (tensor<?x3xf32, #moe.dims<b * s, 3>>) -> tensor<3x?xf32, #moe.dims<3, b * s>>
  %52 = moe.cast %48 : (tensor<3x?xi32, #moe.dims<3, b * s>>) -> tensor<3x?xi64, #moe.dims<3, b * s>>
  %53 = moe.constant dense<15> : tensor<i64> : tensor<i64>
  %54 = moe.binary mul %52, %53 : (tensor<3x?xi64, #moe.dims<3, b * s>>, tensor<i64>) -> tensor<3x?xi64, #moe.dims<3, b * s>>
  %55 = moe.cast %50 : (tensor<3x?xi32, #moe.dims<3, b * s>>) -> tensor<3x?xi64, #moe.dims<3, b * s>>
  %56 = moe.binary add %54, %55 : (tensor<3x?xi64, #moe.dims<3, b * s>>, tensor<3x?xi64, #moe.dims<3, b * s>>) -> tensor<3x?xi64, #moe.dims<3, b * s>>
  %57 = moe.constant dense<60> : tensor<i64> : tensor<i64>
  %58 = moe.broadcast %57 : (tensor<i64>) -> tensor<3x?xi64, #moe.dims<3, b * s>>
  %59 = moe.cast %48 : (tensor<3x?xi32, #moe.dims<3, b * s>>) -> tensor<3x?xi64, #moe.dims<3, b * s>>
  %60 = moe.constant dense<0> : tensor<i64> : tensor<i64>
  %61 = moe.compare ge %59, %60 : (tensor<3x?xi64, #moe.dims<3, b * s>>, tensor<i64>) -> tensor<3x?xi1, #moe.dims<3, b * s>>
  %62 = moe.select %61, %56, %58 : (tensor<3x?xi1, #moe.dims<3, b * s>>, tensor<3x?xi64, #moe.dims<3, b * s>>, tensor<3x?xi64, #moe.dims<3, b * s>>) -> tensor<3x?xi64, #moe.dims<3, b * s>>
  %63 = moe.iota <0> : tensor<?xi64, #moe.dims<b * s>>
  %64 = moe.broadcast %63 : (tensor<?xi64, #moe.dims<b * s>>) -> tensor<3x?xi64, #moe.dims<3, b * s>>
  %65 = moe.reshape %62 : (tensor<3x?xi64, #moe.dims<3, b * s>>) -> tensor<?xi64, #moe.dims<3 * b * s>>
  %66 = moe.reshape %64 : (tensor<3x?xi64, #moe.dims<3, b * s>>) -> tensor<?xi64, #moe.dims<3 * b * s>>
  %67 = moe.shape <b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s> : tensor<61xi64>
  %68 = moe.scatter_elements %67, %65, %66 {axis = 0 : i64} : (tensor<61xi64>, tensor<?xi64, #moe.dims<3 * b * s>>, tensor<?xi64, #moe.dims<3 * b * s>>) -> tensor<61xi64>
  %69 = moe.constant dense<0.000000e+00> : tensor<1x4xf32> : tensor<1x4xf32>
  %70 = moe.concat %0, %69 {axis = 0 : i64} : (tensor<?x4xf32, #moe.dims<b * s, 4>>, tensor<1x4xf32>) -> tensor<?x4xf32, #moe.dims<b * s + 1, 4>>
  %71 = moe.slice %68 <0> {steps = array<i64: 1>} : (tensor<61xi64>) -> tensor<60xi64>
  %72 = moe.gather %70, %71 {axis = 0 : i64} : (tensor<?x4xf32, #moe.dims<b * s + 1, 4>>, tensor<60xi64>) -> tensor<60x4xf32>
  %73 = moe.reshape %72 : (tensor<60x4xf32>) -> tensor<1x4x15x4xf32>
  %74 = moe.slice %73 <0, 0, 0, 0> {steps = array<i64: 1, 1, 1, 1>} : (tensor<1x4x15x4xf32>) -> tensor<1x1x15x4xf32>
  %75 = moe.slice %73 <0, 1, 0, 0> {steps = array<i64: 1, 1, 1, 1>} : (tensor<1x4x15x4xf32>) -> tensor<1x1x15x4xf32>
  %76 = moe.slice %73 <0, 2, 0, 0> {steps = array<i64: 1, 1, 1, 1>} : (tensor<1x4x15x4xf32>) -> tensor<1x1x15x4xf32>
  %77 = moe.slice %73 <0, 3, 0, 0> {steps = array<i64: 1, 1, 1, 1>} : (tensor<1x4x15x4xf32>) -> tensor<1x1x15x4xf32>
  %78 = moe.param "w303" <file "model.onnx" [25586, 96] : tensor<4x6xf32>> : tensor<4x6xf32>
  %79 = moe.matmul %74, %78 : (tensor<1x1x15x4xf32>, tensor<4x6xf32>) -> tensor<1x1x15x6xf32>
  %80 = moe.param "experts.0.a.bias" <file "model.onnx" [24970, 24] : tensor<6xf32>> : tensor<6xf32>
  %81 = moe.binary add %80, %79 : (tensor<6xf32>, tensor<1x1x15x6xf32>) -> tensor<1x1x15x6xf32>
  %82 = moe.unary relu %81 : (tensor<1x1x15x6xf32>) -> tensor<1x1x15x6xf32>
  %83 = moe.param "w304" <file "model.onnx" [25710, 96] : tensor<6x4xf32>> : tensor<6x4xf32>
  %84 = moe.matmul %82, %83 : (tensor<1x1x15x6xf32>, tensor<6x4xf32>) -> tensor<1x1x15x4xf32>
  %85 = moe.param "experts.0.b.bias" <file "model.onnx" [25042, 16] : tensor<4xf32>> : tensor<4xf32>
  %86 = moe.binary add %85, %84 : (tensor<4xf32>, tensor<1x1x15x4xf32>) -> tensor<1x1x15x4xf32>
  %87 = moe.param "w305" <file "model.onnx" [25834, 96] : tensor<4x6xf32>> : tensor<4x6xf32>
  %88 = moe.matmul %75, %87 : (tensor<1x1x15x4xf32>, tensor<4x6xf32>) -> tensor<1x1x15x6xf32>
  %89 = moe.param "experts.1.a.bias" <file "model.onnx" [25106, 24] : tensor<6xf32>> : tensor<6xf32>
  %90 = moe.binary add %89, %88 : (tensor<6xf32>, tensor<1x1x15x6xf32>) -> tensor<1x1x15x6xf32>
  %91 = moe.unary relu %90 : (tensor<1x1x15x6xf32>) -> tensor<1x1x15x6xf32>
  %92 = moe.param "w306" <file "model.onnx" [25958, 96] : tensor<6x4xf32>> : tensor<6x4xf32>
  %93 = moe.matmul %91, %92 : (tensor<1x1x15x6xf32>, tensor<6x4xf32>) -> tensor<1x1x15x4xf32>
  %94 = moe.param "experts.1.b.bias" <file "model.onnx" [25178, 16] : tensor<4xf32>> : tensor<4xf32>
  %95 = moe.binary add %94, %93 : (tensor<4xf32>, tensor<1x1x15x4xf32>) -> tensor<1x1x15x4xf32>
  %96 = moe.param "w307" <file "model.onnx" [26082, 96] : tensor<4x6xf32>> : tensor<4x6xf32>
  %97 = moe.matmul %76, %96 : (tensor<1x1x15x4xf32>, tensor<4x6xf32>) -> tensor<1x1x15x6xf32>
  %98 = moe.param "experts.2.a.bias" <file "model.onnx" [25242, 24] : tensor<6xf32>> : tensor<6xf32>
  %99 = moe.binary add %98, %97 : (tensor<6xf32>, tensor<1x1x15x6xf32>) -> tensor<1x1x15x6xf32>
  %100 = moe.unary relu %99 : (tensor<1x1x15x6xf32>) -> tensor<1x1x15x6xf32>
  %101 = moe.param "w308" <file "model.onnx" [26206, 96] : tensor<6x4xf32>> : tensor<6x4xf32>
  %102 = moe.matmul %100, %101 : (tensor<1x1x15x6xf32>, tensor<6x4xf32>) -> tensor<1x1x15x4xf32>
  %103 = moe.param "experts.2.b.bias" <file "model.onnx" [25314, 16] : tensor<4xf32>> : tensor<4xf32>
  %104 = moe.binary add %103, %102 : (tensor<4xf32>, tensor<1x1x15x4xf32>) -> tensor<1x1x15x4xf32>
  %105 = moe.param "w309" <file "model.onnx" [26330, 96] : tensor<4x6xf32>> : tensor<4x6xf32>
  %106 = moe.matmul %77, %105 : (tensor<1x1x15x4xf32>, tensor<4x6xf32>) -> tensor<1x1x15x6xf32>
  %107 = moe.param "experts.3.a.bias" <file "model.onnx" [25378, 24] : tensor<6xf32>> : tensor<6xf32>
  %108 = moe.binary add %107, %106 : (tensor<6xf32>, tensor<1x1x15x6xf32>) -> tensor<1x1x15x6xf32>
  %109 = moe.unary relu %108 : (tensor<1x1x15x6xf32>) -> tensor<1x1x15x6xf32>
  %110 = moe.param "w310" <file "model.onnx" [26454, 96] : tensor<6x4xf32>> : tensor<6x4xf32>
  %111 = moe.matmul %109, %110 : (tensor<1x1x15x6xf32>, tensor<6x4xf32>) -> tensor<1x1x15x4xf32>
  %112 = moe.param "experts.3.b.bias" <file "model.onnx" [25450, 16] : tensor<4xf32>> : tensor<4xf32>
  %113 = moe.binary add %112, %111 : (tensor<4xf32>, tensor<1x1x15x4xf32>) -> tensor<1x1x15x4xf32>
  %114 = moe.concat %86, %95, %104, %113 {axis = 1 : i64} : (tensor<1x1x15x4xf32>, tensor<1x1x15x4xf32>, tensor<1x1x15x4xf32>, tensor<1x1x15x4xf32>) -> tensor<1x4x15x4xf32>
  %115 = moe.reshape %114 : (tensor<1x4x15x4xf32>) -> tensor<60x4xf32>
  %116 = moe.constant dense<0.000000e+00> : tensor<1x4xf32> : tensor<1x4xf32>
  %117 = moe.concat %115, %116 {axis = 0 : i64} : (tensor<60x4xf32>, tensor<1x4xf32>) -> tensor<61x4xf32>
  %118 = moe.gather %117, %65 {axis = 0 : i64} : (tensor<61x4xf32>, tensor<?xi64, #moe.dims<3 * b * s>>) -> tensor<?x4xf32, #moe.dims<3 * b * s, 4>>
  %119 = moe.reshape %118 : (tensor<?x4xf32, #moe.dims<3 * b * s, 4>>) -> tensor<3x?x4xf32, #moe.dims<3, b * s, 4>>
  %120 = moe.reshape %51 : (tensor<3x?xf32, #moe.dims<3, b * s>>) -> tensor<3x?x1xf32, #moe.dims<3, b * s, 1>>
  %121 = moe.binary mul %119, %120 : (tensor<3x?x4xf32, #moe.dims<3, b * s, 4>>, tensor<3x?x1xf32, #moe.dims<3, b * s, 1>>) -> tensor<3x?x4xf32, #moe.dims<3, b * s, 4>>
  %122 = moe.reduce sum %121 {axes = array<i64: 0>, keepdims = false} : (tensor<3x?x4xf32, #moe.dims<3, b * s, 4>>) -> tensor<?x4xf32, #moe.dims<b * s, 4>>
  %123 = moe.reshape %122 : (tensor<?x4xf32, #moe.dims<b * s, 4>>) -> tensor<?x?x4xf32, #moe.dims<b, s, 4>>
  return %123 : tensor<?x?x4xf32, #moe.dims<b, s, 4>>
}

// CHECK-LABEL: func.func @top3_by_position
// CHECK: moe.gate
// CHECK-SAME: drop_policy = #moe<drop_policy token>, k = 3 : i64
// CHECK-NOT: moe.scatter_elements
func.func @top3_by_position(%arg0: tensor<?x?x4xf32, #moe.dims<b, s, 4>>) -> (tensor<?x?x4xf32, #moe.dims<b, s, 4>>) {
  %0 = moe.reshape %arg0 : (tensor<?x?x4xf32, #moe.dims<b, s, 4>>) -> tensor<?x4xf32, #moe.dims<b * s, 4>>
  %1 = moe.param "w272" <file "model.onnx" [23876, 64] : tensor<4x4xf32>> : tensor<4x4xf32>
  %2 = moe.matmul %0, %1 : (tensor<?x4xf32, #moe.dims<b * s, 4>>, tensor<4x4xf32>) -> tensor<?x4xf32, #moe.dims<b * s, 4>>
  %3 = moe.softmax %2 {axis = 1 : i64} : (tensor<?x4xf32, #moe.dims<b * s, 4>>) -> tensor<?x4xf32, #moe.dims<b * s, 4>>
  %values, %indices = moe.top_k %3 {axis = 1 : i64} : (tensor<?x4xf32, #moe.dims<b * s, 4>>) -> (tensor<?x3xf32, #moe.dims<b * s, 3>>, tensor<?x3xi64, #moe.dims<b * s, 3>>)
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
  %14 = moe.binary mul %12, %13 : (tensor<f32>, tensor<f32>) -> tensor<f32>
  %15 = moe.unary ceil %14 : (tensor<f32>) -> tensor<f32>
  %16 = moe.cast %15 : (tensor<f32>) -> tensor<i64>
  %17 = moe.constant dense<2> : tensor<i64> : tensor<i64>
  %18 = moe.binary max %16, %17 : (tensor<i64>, tensor<i64>) -> tensor<i64>
  %19 = moe.cast %8 : (tensor<?x4xi1, #moe.dims<b * s, 4>>) -> tensor<?x4xi64, #moe.dims<b * s, 4>>
  %20 = moe.cumsum %19 {axis = 0 : i64} : (tensor<?x4xi64, #moe.dims<b * s, 4>>) -> tensor<?x4xi64, #moe.dims<b * s, 4>>
  %21 = moe.constant dense<1> : tensor<i64> : tensor<i64>
  %22 = moe.binary sub %20, %21 : (tensor<?x4xi64, #moe.dims<b * s, 4>>, tensor<i64>) -> tensor<?x4xi64, #moe.dims<b * s, 4>>
  %23 = moe.compare lt %22, %18 : (tensor<?x4xi64, #moe.dims<b * s, 4>>, tensor<i64>) -> tensor<?x4xi1, #moe.dims<b * s, 4>>
  %24 = moe.binary and %8, %23 : (tensor<?x4xi1, #moe.dims<b * s, 4>>, tensor<?x4xi1, #moe.dims<b * s, 4>>) -> tensor<?x4xi1, #moe.dims<b * s, 4>>
  %25 = moe.cast %24 : (tensor<?x4xi1, #moe.dims<b * s, 4>>) -> tensor<?x4xf32, #moe.dims<b * s, 4>>
  %26 = moe.binary mul %3, %25 : (tensor<?x4xf32, #moe.dims<b * s, 4>>, tensor<?x4xf32, #moe.dims<b * s, 4>>) -> tensor<?x4xf32, #moe.dims<b * s, 4>>
  %27 = moe.reduce sum %26 {axes = array<i64: 1>, keepdims = true} : (tensor<?x4xf32, #moe.dims<b * s, 4>>) -> tensor<?x1xf32, #moe.dims<b * s, 1>>
  %28 = moe.constant dense<1.1920929E-7> : tensor<f32> : tensor<f32>
  %29 = moe.binary max %27, %28 : (tensor<?x1xf32, #moe.dims<b * s, 1>>, tensor<f32>) -> tensor<?x1xf32, #moe.dims<b * s, 1>>
  %30 = moe.binary div %26, %29 : (tensor<?x4xf32, #moe.dims<b * s, 4>>, tensor<?x1xf32, #moe.dims<b * s, 1>>) -> tensor<?x4xf32, #moe.dims<b * s, 4>>
  %31 = moe.gather_elements %24, %indices {axis = 1 : i64} : (tensor<?x4xi1, #moe.dims<b * s, 4>>, tensor<?x3xi64, #moe.dims<b * s, 3>>) -> tensor<?x3xi1, #moe.dims<b * s, 3>>
  %32 = moe.constant dense<-1> : tensor<i64> : tensor<i64>
  %33 = moe.broadcast %32 : (tensor<i64>) -> tensor<?x3xi64, #moe.dims<b * s, 3>>
  %34 = moe.select %31, %indices, %33 : (tensor<?x3xi1, #moe.dims<b * s, 3>>, tensor<?x3xi64, #moe.dims<b * s, 3>>, tensor<?x3xi64, #moe.dims<b * s, 3>>) -> tensor<?x3xi64, #moe.dims<b * s, 3>>
  %35 = moe.gather_elements %22, %indices {axis = 1 : i64} : (tensor<?x4xi64, #moe.dims<b * s, 4>>, tensor<?x3xi64, #moe.dims<b * s, 3>>) -> tensor<?x3xi64, #moe.dims<b * s, 3>>
  %36 = moe.cast %31 : (tensor<?x3xi1, #moe.dims<b * s, 3>>) -> tensor<?x3xi64, #moe.dims<b * s, 3>>
  %37 = moe.binary mul %35, %36 : (tensor<?x3xi64, #moe.dims<b * s, 3>>, tensor<?x3xi64, #moe.dims<b * s, 3>>) -> tensor<?x3xi64, #moe.dims<b * s, 3>>
  %38 = moe.gather_elements %30, %indices {axis = 1 : i64} : (tensor<?x4xf32, #moe.dims<b * s, 4>>, tensor<?x3xi64, #moe.dims<b * s, 3>>) -> tensor<?x3xf32, #moe.dims<b * s, 3>>
  %39 = moe.transpose %34 {permutation = array<i64: 1, 0>} : (tensor<?x3xi64, #moe.dims<b * s, 3>>) -> tensor<3x?xi64, #moe.dims<3, b * s>>
  %40 = moe.cast %39 : (tensor<3x?xi64, #moe.dims<3, b * s>>) -> tensor<3x?xi32, #moe.dims<3, b * s>>
  %41 = moe.transpose %37 {permutation = array<i64: 1, 0>} : (tensor<?x3xi64, #moe.dims<b * s, 3>>) -> tensor<3x?xi64, #moe.dims<3, b * s>>
  %42 = moe.cast %41 : (tensor<3x?xi64, #moe.dims<3, b * s>>) -> tensor<3x?xi32, #moe.dims<3, b * s>>
  %43 = moe.transpose %38 {permutation = array<i64: 1, 0>} : (tensor<?x3xf32, #moe.dims<b * s, 3>>) -> tensor<3x?xf32, #moe.dims<3, b * s>>
  %44 = moe.cast %40 : (tensor<3x?xi32, #moe.dims<3, b * s>>) -> tensor<3x?xi64, #moe.dims<3, b * s>>
  %45 = moe.constant dense<15> : tensor<i64> : tensor<i64>
  %46 = moe.binary mul %44, %45 : (tensor<3x?xi64, #moe.dims<3, b * s>>, tensor<i64>) -> tensor<3x?xi64, #moe.dims<3, b * s>>
  %47 = moe.cast %42 : (tensor<3x?xi32, #moe.dims<3, b * s>>) -> tensor<3x?xi64, #moe.dims<3, b * s>>
  %48 = moe.binary add %46, %47 : (tensor<3x?xi64, #moe.dims<3, b * s>>, tensor<3x?xi64, #moe.dims<3, b * s>>) -> tensor<3x?xi64, #moe.dims<3, b * s>>
  %49 = moe.constant dense<60> : tensor<i64> : tensor<i64>
  %50 = moe.broadcast %49 : (tensor<i64>) -> tensor<3x?xi64, #moe.dims<3, b * s>>
  %51 = moe.cast %40 : (tensor<3x?xi32, #moe.dims<3, b * s>>) -> tensor<3x?xi64, #moe.dims<3, b * s>>
  %52 = moe.constant dense<0> : tensor<i64> : tensor<i64>
  %53 = moe.compare ge %51, %52 : (tensor<3x?xi64, #moe.dims<3, b * s>>, tensor<i64>) -> tensor<3x?xi1, #moe.dims<3, b * s>>
  %54 = moe.select %53, %48, %50 : (tensor<3x?xi1, #moe.dims<3, b * s>>, tensor<3x?xi64, #moe.dims<3, b * s>>, tensor<3x?xi64, #moe.dims<3, b * s>>) -> tensor<3x?xi64, #moe.dims<3, b * s>>
  %55 = moe.iota <0> : tensor<?xi64, #moe.dims<b * s>>
  %56 = moe.broadcast %55 : (tensor<?xi64, #moe.dims<b * s>>) -> tensor<3x?xi64, #moe.dims<3, b * s>>
  %57 = moe.reshape %54 : (tensor<3x?xi64, #moe.dims<3, b * s>>) -> tensor<?xi64, #moe.dims<3 * b * s>>
  %58 = moe.reshape %56 : (tensor<3x?xi64, #moe.dims<3, b * s>>) -> tensor<?xi64, #moe.dims<3 * b * s>>
  %59 = moe.shape <b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s, b * s> : tensor<61xi64>
  %60 = moe.scatter_elements %59, %57, %58 {axis = 0 : i64} : (tensor<61xi64>, tensor<?xi64, #moe.dims<3 * b * s>>, tensor<?xi64, #moe.dims<3 * b * s>>) -> tensor<61xi64>
  %61 = moe.constant dense<0.000000e+00> : tensor<1x4xf32> : tensor<1x4xf32>
  %62 = moe.concat %0, %61 {axis = 0 : i64} : (tensor<?x4xf32, #moe.dims<b * s, 4>>, tensor<1x4xf32>) -> tensor<?x4xf32, #moe.dims<b * s + 1, 4>>
  %63 = moe.slice %60 <0> {steps = array<i64: 1>} : (tensor<61xi64>) -> tensor<60xi64>
  %64 = moe.gather %62, %63 {axis = 0 : i64} : (tensor<?x4xf32, #moe.dims<b * s + 1, 4>>, tensor<60xi64>) -> tensor<60x4xf32>
  %65 = moe.reshape %64 : (tensor<60x4xf32>) -> tensor<1x4x15x4xf32>
  %66 = moe.slice %65 <0, 0, 0, 0> {steps = array<i64: 1, 1, 1, 1>} : (tensor<1x4x15x4xf32>) -> tensor<1x1x15x4xf32>
  %67 = moe.slice %65 <0, 1, 0, 0> {steps = array<i64: 1, 1, 1, 1>} : (tensor<1x4x15x4xf32>) -> tensor<1x1x15x4xf32>
  %68 = moe.slice %65 <0, 2, 0, 0> {steps = array<i64: 1, 1, 1, 1>} : (tensor<1x4x15x4xf32>) -> tensor<1x1x15x4xf32>
  %69 = moe.slice %65 <0, 3, 0, 0> {steps = array<i64: 1, 1, 1, 1>} : (tensor<1x4x15x4xf32>) -> tensor<1x1x15x4xf32>
  %70 = moe.param "w287" <file "model.onnx" [23968, 96] : tensor<4x6xf32>> : tensor<4x6xf32>
  %71 = moe.matmul %66, %70 : (tensor<1x1x15x4xf32>, tensor<4x6xf32>) -> tensor<1x1x15x6xf32>
  %72 = moe.param "experts.0.a.bias" <file "model.onnx" [23352, 24] : tensor<6xf32>> : tensor<6xf32>
  %73 = moe.binary add %72, %71 : (tensor<6xf32>, tensor<1x1x15x6xf32>) -> tensor<1x1x15x6xf32>
  %74 = moe.unary relu %73 : (tensor<1x1x15x6xf32>) -> tensor<1x1x15x6xf32>
  %75 = moe.param "w288" <file "model.onnx" [24092, 96] : tensor<6x4xf32>> : tensor<6x4xf32>
  %76 = moe.matmul %74, %75 : (tensor<1x1x15x6xf32>, tensor<6x4xf32>) -> tensor<1x1x15x4xf32>
  %77 = moe.param "experts.0.b.bias" <file "model.onnx" [23424, 16] : tensor<4xf32>> : tensor<4xf32>
  %78 = moe.binary add %77, %76 : (tensor<4xf32>, tensor<1x1x15x4xf32>) -> tensor<1x1x15x4xf32>
  %79 = moe.param "w289" <file "model.onnx" [24216, 96] : tensor<4x6xf32>> : tensor<4x6xf32>
  %80 = moe.matmul %67, %79 : (tensor<1x1x15x4xf32>, tensor<4x6xf32>) -> tensor<1x1x15x6xf32>
  %81 = moe.param "experts.1.a.bias" <file "model.onnx" [23488, 24] : tensor<6xf32>> : tensor<6xf32>
  %82 = moe.binary add %81, %80 : (tensor<6xf32>, tensor<1x1x15x6xf32>) -> tensor<1x1x15x6xf32>
  %83 = moe.unary relu %82 : (tensor<1x1x15x6xf32>) -> tensor<1x1x15x6xf32>
  %84 = moe.param "w290" <file "model.onnx" [24340, 96] : tensor<6x4xf32>> : tensor<6x4xf32>
  %85 = moe.matmul %83, %84 : (tensor<1x1x15x6xf32>, tensor<6x4xf32>) -> tensor<1x1x15x4xf32>
  %86 = moe.param "experts.1.b.bias" <file "model.onnx" [23560, 16] : tensor<4xf32>> : tensor<4xf32>
  %87 = moe.binary add %86, %85 : (tensor<4xf32>, tensor<1x1x15x4xf32>) -> tensor<1x1x15x4xf32>
  %88 = moe.param "w291" <file "model.onnx" [24464, 96] : tensor<4x6xf32>> : tensor<4x6xf32>
  %89 = moe.matmul %68, %88 : (tensor<1x1x15x4xf32>, tensor<4x6xf32>) -> tensor<1x1x15x6xf32>
  %90 = moe.param "experts.2.a.bias" <file "model.onnx" [23624, 24] : tensor<6xf32>> : tensor<6xf32>
  %91 = moe.binary add %90, %89 : (tensor<6xf32>, tensor<1x1x15x6xf32>) -> tensor<1x1x15x6xf32>
  %92 = moe.unary relu %91 : (tensor<1x1x15x6xf32>) -> tensor<1x1x15x6xf32>
  %93 = moe.param "w292" <file "model.onnx" [24588, 96] : tensor<6x4xf32>> : tensor<6x4xf32>
  %94 = moe.matmul %92, %93 : (tensor<1x1x15x6xf32>, tensor<6x4xf32>) -> tensor<1x1x15x4xf32>
  %95 = moe.param "experts.2.b.bias" <file "model.onnx" [23696, 16] : tensor<4xf32>> : tensor<4xf32>
  %96 = moe.binary add %95, %94 : (tensor<4xf32>, tensor<1x1x15x4xf32>) -> tensor<1x1x15x4xf32>
  %97 = moe.param "w293" <file "model.onnx" [24712, 96] : tensor<4x6xf32>> : tensor<4x6xf32>
  %98 = moe.matmul %69, %97 : (tensor<1x1x15x4xf32>, tensor<4x6xf32>) -> tensor<1x1x15x6xf32>
  %99 = moe.param "experts.3.a.bias" <file "model.onnx" [23760, 24] : tensor<6xf32>> : tensor<6xf32>
  %100 = moe.binary add %99, %98 : (tensor<6xf32>, tensor<1x1x15x6xf32>) -> tensor<1x1x15x6xf32>
  %101 = moe.unary relu %100 : (tensor<1x1x15x6xf32>) -> tensor<1x1x15x6xf32>
  %102 = moe.param "w294" <file "model.onnx" [24836, 96] : tensor<6x4xf32>> : tensor<6x4xf32>
  %103 = moe.matmul %101, %102 : (tensor<1x1x15x6xf32>, tensor<6x4xf32>) -> tensor<1x1x15x4xf32>
  %104 = moe.param "experts.3.b.bias" <file "model.onnx" [23832, 16] : tensor<4xf32>> : tensor<4xf32>
  %105 = moe.binary add %104, %103 : (tensor<4xf32>, tensor<1x1x15x4xf32>) -> tensor<1x1x15x4xf32>
  %106 = moe.concat %78, %87, %96, %105 {axis = 1 : i64} : (tensor<1x1x15x4xf32>, tensor<1x1x15x4xf32>, tensor<1x1x15x4xf32>, tensor<1x1x15x4xf32>) -> tensor<1x4x15x4xf32>
  %107 = moe.reshape %106 : (tensor<1x4x15x4xf32>) -> tensor<60x4xf32>
  %108 = moe.constant dense<0.000000e+00> : tensor<1x4xf32> : tensor<1x4xf32>
  %109 = moe.concat %107, %108 {axis = 0 : i64} : (tensor<60x4xf32>, tensor<1x4xf32>) -> tensor<61x4xf32>
  %110 = moe.gather %109, %57 {axis = 0 : i64} : (tensor<61x4xf32>, tensor<?xi64, #moe.dims<3 * b * s>>) -> tensor<?x4xf32, #moe.dims<3 * b * s, 4>>
  %111 = moe.reshape %110 : (tensor<?x4xf32, #moe.dims<3 * b * s, 4>>) -> tensor<3x?x4xf32, #moe.dims<3, b * s, 4>>
  %112 = moe.reshape %43 : (tensor<3x?xf32, #moe.dims<3, b * s>>) -> tensor<3x?x1xf32, #moe.dims<3, b * s, 1>>
  %113 = moe.binary mul %111, %112 : (tensor<3x?x4xf32, #moe.dims<3, b * s, 4>>, tensor<3x?x1xf32, #moe.dims<3, b * s, 1>>) -> tensor<3x?x4xf32, #moe.dims<3, b * s, 4>>
  %114 = moe.reduce sum %113 {axes = array<i64: 0>, keepdims = false} : (tensor<3x?x4xf32, #moe.dims<3, b * s, 4>>) -> tensor<?x4xf32, #moe.dims<b * s, 4>>
  %115 = moe.reshape %114 : (tensor<?x4xf32, #moe.dims<b * s, 4>>) -> tensor<?x?x4xf32, #moe.dims<b, s, 4>>
  return %115 : tensor<?x?x4xf32, #moe.dims<b, s, 4>>
}
