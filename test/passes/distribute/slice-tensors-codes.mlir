// RUN: moe-opt %s --moe-place-experts="ranks=2 tp=2" --moe-distribute \
// RUN:   --moe-slice-tensors --cse --moe-verify-distributed | FileCheck %s
// RUN: moe-opt %s --moe-place-experts="ranks=4 tp=4" --moe-distribute \
// RUN:   --moe-slice-tensors --cse --moe-verify-distributed \
// RUN:   | FileCheck %s --check-prefix=MANY

!x = tensor<?x64xf32, #moe.dims<batch, 64>>

// 96 inner columns are 3 blocks of 32: enough for two ranks, and for four they
// are divided in units of 16. The arithmetic stays with the parts.

// CHECK-LABEL: @codes
// CHECK-SAME: ffn0.local = "3"
// CHECK: moe.shard {{.*}} -> tensor<64x?xf32, #moe.dims<64, 32 * ffn0.local>>
// CHECK: moe.ffn {{.*}}arithmetic = #moe<arithmetic int8>
// MANY-LABEL: @codes
// MANY-SAME: ffn0.local = "6"
// MANY: moe.shard {{.*}} -> tensor<64x?xf32, #moe.dims<64, 16 * ffn0.local>>
func.func @codes(%x: !x) -> !x {
  %w1 = moe.param "w1" <quantize [4, 32, 0] (#moe.param<file "m" [0, 24576] : tensor<64x96xf32>>) : tensor<64x96xf32>> : tensor<64x96xf32>
  %w2 = moe.param "w2" <quantize [4, 32, 0] (#moe.param<file "m" [0, 24576] : tensor<96x64xf32>>) : tensor<96x64xf32>> : tensor<96x64xf32>
  %0 = moe.ffn silu %x w1 %w1 w2 %w2 {arithmetic = #moe<arithmetic int8>} : (!x, tensor<64x96xf32>, tensor<96x64xf32>) -> !x
  return %0 : !x
}
