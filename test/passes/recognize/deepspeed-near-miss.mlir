// What looks like DeepSpeed's layer but computes something else stays as it is.
//
// RUN: moe-opt %s --moe-recognize-deepspeed | FileCheck %s

// Slots count from the last token: another token survives nowhere, but rows
// would be summed twice.
// CHECK-LABEL: func.func @running_sum_backwards
// CHECK-NOT: moe.gate
// CHECK: return
func.func @running_sum_backwards(%arg0: tensor<?x?x4xf32, #moe.dims<b, s, 4>>) -> (tensor<?x?x4xf32, #moe.dims<b, s, 4>>) attributes {moe.data_symbols = {d0 = "min(b * s, ceildiv(3 * b * s, 4) + 1)"}} {
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
  %26 = moe.cumsum %25 {axis = 0 : i64, reverse = true} : (tensor<?x2xi64, #moe.dims<b * s, 2>>) -> tensor<?x2xi64, #moe.dims<b * s, 2>>
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

// Rows are multiplied with the weights before the experts too.
// CHECK-LABEL: func.func @weighted_rows
// CHECK-NOT: moe.gate
// CHECK: return
func.func @weighted_rows(%arg0: tensor<?x?x4xf32, #moe.dims<b, s, 4>>) -> (tensor<?x?x4xf32, #moe.dims<b, s, 4>>) attributes {moe.data_symbols = {d0 = "min(b * s, ceildiv(3 * b * s, 4) + 1)"}} {
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
  %40 = moe.cast %38 : (tensor<?x2x?xf32, #moe.dims<b * s, 2, d0>>) -> tensor<?x2x?xf32, #moe.dims<b * s, 2, d0>>
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

// Kept are the C lowest entries of the mask.
// CHECK-LABEL: func.func @smallest_count
// CHECK-NOT: moe.gate
// CHECK: return
func.func @smallest_count(%arg0: tensor<?x?x4xf32, #moe.dims<b, s, 4>>) -> (tensor<?x?x4xf32, #moe.dims<b, s, 4>>) attributes {moe.data_symbols = {d0 = "min(b * s, ceildiv(3 * b * s, 4) + 1)"}} {
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
  %values, %indices = moe.top_k %18, %19 {axis = 0 : i64, largest = false} : (tensor<?x2xi64, #moe.dims<b * s, 2>>, tensor<1xi64>) -> (tensor<?x2xi64, #moe.dims<d0, 2>>, tensor<?x2xi64, #moe.dims<d0, 2>>)
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

// Expert 0 gets the rows of expert 1.
// CHECK-LABEL: func.func @swapped_experts
// CHECK-NOT: moe.gate
// CHECK: return
func.func @swapped_experts(%arg0: tensor<?x?x4xf32, #moe.dims<b, s, 4>>) -> (tensor<?x?x4xf32, #moe.dims<b, s, 4>>) attributes {moe.data_symbols = {d0 = "min(b * s, ceildiv(3 * b * s, 4) + 1)"}} {
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
  %44 = moe.slice %43 <0, 1, 0, 0> {steps = array<i64: 1, 1, 1, 1>} : (tensor<1x2x?x4xf32, #moe.dims<1, 2, d0, 4>>) -> tensor<1x1x?x4xf32, #moe.dims<1, 1, d0, 4>>
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

// The experts are not alike.
// CHECK-LABEL: func.func @other_activation
// CHECK-NOT: moe.gate
// CHECK: return
func.func @other_activation(%arg0: tensor<?x?x4xf32, #moe.dims<b, s, 4>>) -> (tensor<?x?x4xf32, #moe.dims<b, s, 4>>) attributes {moe.data_symbols = {d0 = "min(b * s, ceildiv(3 * b * s, 4) + 1)"}} {
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
  %59 = moe.unary tanh %58 : (tensor<1x1x?x6xf32, #moe.dims<1, 1, d0, 6>>) -> tensor<1x1x?x6xf32, #moe.dims<1, 1, d0, 6>>
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
