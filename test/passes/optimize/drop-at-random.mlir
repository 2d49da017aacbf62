// RUN: moe-opt %s --moe-drop-at-random=seed=7 | FileCheck %s

!logits = tensor<?x4xf32, #moe.dims<batch, 4>>

// CHECK-LABEL: @gates
func.func @gates(%logits: !logits) {
  // CHECK: moe.gate {{.*}}drop_policy = #moe<drop_policy random>, k = 1 : i64, random_seed = 7 : i64
  %0:2 = moe.gate %logits {k = 1 : i64, drop_policy = #moe<drop_policy token>} : (!logits) -> (tensor<?x1xf32, #moe.dims<batch, 1>>, tensor<?x1xi32, #moe.dims<batch, 1>>)
  // DeepSpeed has no chance in gates with several choices.
  // CHECK: moe.gate {{.*}}drop_policy = #moe<drop_policy choice>
  %1:2 = moe.gate %logits {k = 2 : i64, drop_policy = #moe<drop_policy choice>} : (!logits) -> (tensor<?x2xf32, #moe.dims<batch, 2>>, tensor<?x2xi32, #moe.dims<batch, 2>>)
  // Without a capacity nobody overflows.
  // CHECK: moe.gate {{.*}} {k = 1 : i64}
  %2:2 = moe.gate %logits {k = 1 : i64} : (!logits) -> (tensor<?x1xf32, #moe.dims<batch, 1>>, tensor<?x1xi32, #moe.dims<batch, 1>>)
  return
}
