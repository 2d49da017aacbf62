// RUN: moe-opt %s --moe-lower-weights=dtype=int4 | FileCheck %s
// RUN: moe-opt %s --moe-lower-weights="dtype=int8 block=0 zero-points" \
// RUN:   | FileCheck %s --check-prefix=COLUMN
// RUN: moe-opt %s --moe-lower-weights=dtype=bf16 | FileCheck %s --check-prefix=BF16
// RUN: moe-opt %s --moe-lower-weights | FileCheck %s --check-prefix=SAME
// RUN: moe-opt %s --moe-lower-weights="dtype=int4 keep-f32=he*,nothing" 2>&1 \
// RUN:   | FileCheck %s --check-prefix=KEEP
// RUN: not moe-opt %s --moe-lower-weights="dtype=f16 folder=%t.none" 2>&1 \
// RUN:   | FileCheck %s --check-prefix=NOFILE
// RUN: moe-opt %s --moe-lower-weights="dtype=int4 activations=int8" \
// RUN:   | FileCheck %s --check-prefix=INT8
// RUN: moe-opt %s --moe-lower-weights="dtype=int4" --remark-format=emitRemark \
// RUN:   --remarks-filter=moe-lower-weights 2>&1 | FileCheck %s --check-prefix=SAYS

!x = tensor<?x64xf32, #moe.dims<t, 64>>
!i64 = tensor<?xi64, #moe.dims<t>>

// SAME-NOT: <quantize
// SAME-NOT: <cast

// KEEP: warning: --keep-f32: 'nothing' matches no weight
// NOFILE: error: weight 'head': {{.*}}none
// SAYS-DAG: 'q' [64x64] becomes int4 in blocks of 32
// SAYS-DAG: 'router' [64x48] stays f32: a router reads its product
// SAYS-DAG: 'few' [64x8] stays f32: it is small
// SAYS-DAG: 'codes' [64x64] stays int8 in blocks of 32: the file has it in codes

// CHECK-LABEL: @main
func.func @main(%ids: !i64, %rows: tensor<?x64xf32, #moe.dims<r, 64>>, %counts: tensor<2xi32>) -> (!x, !x, tensor<?x64xf32, #moe.dims<r, 64>>) {
  // Who looks rows up sees the numbers of the file; the product with the same
  // weight does not.
  // CHECK: %[[HEAD:.*]] = moe.param "head" <transpose [1, 0] (#moe.param<quantize [4, 32, 0] (#moe.param<transpose [1, 0] (#moe.param<file "m" [0, 16384] : tensor<64x64xf32>>)
  // CHECK: %[[TABLE:.*]] = moe.param "head" <file "m" [0, 16384]
  // CHECK: moe.gather %[[TABLE]],
  // COLUMN: moe.param "head" <transpose [1, 0] (#moe.param<quantize [8, 0, 1] (
  // BF16: moe.param "head" <transpose [1, 0] (#moe.param<cast (#moe.param<cast (#moe.param<transpose [1, 0] ({{.*}}) : tensor<64x64xbf16>>) : tensor<64x64xf32>>)
  // KEEP: moe.param "head" <file
  %head = moe.param "head" <file "m" [0, 16384] : tensor<64x64xf32>> : tensor<64x64xf32>
  %x = moe.gather %head, %ids {axis = 0 : i64} : (tensor<64x64xf32>, !i64) -> !x

  // CHECK: moe.param "q" <quantize [4, 32, 0] (#moe.param<file "m" [16384, 16384] : tensor<64x64xf32>>) : tensor<64x64xf32>>
  // BF16: moe.param "q" <cast (#moe.param<cast (#moe.param<file "m" [16384, 16384] : tensor<64x64xf32>>) : tensor<64x64xbf16>>) : tensor<64x64xf32>>
  // INT8: moe.matmul {{.*}} {arithmetic = #moe<arithmetic int8>}
  %q = moe.param "q" <file "m" [16384, 16384] : tensor<64x64xf32>> : tensor<64x64xf32>
  %0 = moe.matmul %x, %q : (!x, tensor<64x64xf32>) -> !x

  // CHECK: moe.param "router" <file
  // INT8: moe.matmul %{{[0-9]*}}, %{{[0-9]*}} : {{.*}}48
  %router = moe.param "router" <file "m" [40000, 12288] : tensor<64x48xf32>> : tensor<64x48xf32>
  %logits = moe.matmul %0, %router : (!x, tensor<64x48xf32>) -> tensor<?x48xf32, #moe.dims<t, 48>>
  %tamed = moe.unary tanh %logits : (tensor<?x48xf32, #moe.dims<t, 48>>) -> tensor<?x48xf32, #moe.dims<t, 48>>
  %w, %e = moe.gate %tamed {k = 2 : i64} : (tensor<?x48xf32, #moe.dims<t, 48>>) -> (tensor<?x2xf32, #moe.dims<t, 2>>, tensor<?x2xi32, #moe.dims<t, 2>>)

  // CHECK: moe.param "few" <file
  %few = moe.param "few" <file "m" [60000, 2048] : tensor<64x8xf32>> : tensor<64x8xf32>
  %small = moe.matmul %0, %few : (!x, tensor<64x8xf32>) -> tensor<?x8xf32, #moe.dims<t, 8>>

  // CHECK: moe.param "codes" <transpose [1, 0] (#moe.param<dequantize
  %codes = moe.param "codes" <transpose [1, 0] (#moe.param<dequantize [8, 32] (#moe.param<file "q" [0, 4096] : tensor<64x64xui8>>, #moe.param<file "s" [0, 256] : tensor<64x2xf16>>) : tensor<64x64xf16>>) : tensor<64x64xf16>> : tensor<64x64xf16>
  %half = moe.cast %0 : (!x) -> tensor<?x64xf16, #moe.dims<t, 64>>
  // INT8: moe.matmul {{.*}} {arithmetic = #moe<arithmetic int8>} {{.*}}f16
  %1 = moe.matmul %half, %codes : (tensor<?x64xf16, #moe.dims<t, 64>>, tensor<64x64xf16>) -> tensor<?x64xf16, #moe.dims<t, 64>>

  // CHECK-DAG: moe.param "w1" <quantize [4, 32, 0] (#moe.param<file "m" [0, 24576] : tensor<2x64x48xf32>>)
  // CHECK-DAG: moe.param "w2" <quantize [4, 32, 0] (#moe.param<file "m" [0, 24576] : tensor<2x48x64xf32>>)
  // CHECK-DAG: moe.param "b1" <file
  // INT8: moe.experts {{.*}}arithmetic = #moe<arithmetic int8>
  %w1 = moe.param "w1" <file "m" [0, 24576] : tensor<2x64x48xf32>> : tensor<2x64x48xf32>
  %b1 = moe.param "b1" <file "m" [0, 384] : tensor<2x48xf32>> : tensor<2x48xf32>
  %w2 = moe.param "w2" <file "m" [0, 24576] : tensor<2x48x64xf32>> : tensor<2x48x64xf32>
  %y = moe.experts relu %rows, %counts w1 %w1 b1 %b1 w2 %w2 : (tensor<?x64xf32, #moe.dims<r, 64>>, tensor<2xi32>, tensor<2x64x48xf32>, tensor<2x48xf32>, tensor<2x48x64xf32>) -> tensor<?x64xf32, #moe.dims<r, 64>>

  %z = moe.matmul %0, %head {transpose_rhs = true} : (!x, tensor<64x64xf32>) -> !x
  return %0, %z, %y : !x, !x, tensor<?x64xf32, #moe.dims<r, 64>>
}
