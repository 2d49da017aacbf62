// RUN: moe-opt %s --verify-roundtrip | FileCheck %s

// Every operation of the plan dialect in its text form.

// CHECK: plan.program attributes {model = "m.onnx", num_events = 1 : i64, num_ranks = 2 : i64, num_streams = 2 : i64}
plan.program attributes {model = "m.onnx", num_ranks = 2 : i64, num_streams = 2 : i64, num_events = 1 : i64} {
  // CHECK-NEXT: plan.symbol "b" input {axis = 0 : i64, default_max = 8 : i64, input = 0 : i64}
  plan.symbol "b" input {axis = 0 : i64, input = 0 : i64, default_max = 8 : i64}
  // CHECK-NEXT: plan.symbol "b.local" local_part whole "b"
  plan.symbol "b.local" local_part whole "b"
  // CHECK-NEXT: plan.symbol "r" data bound "2 * b.local"
  plan.symbol "r" data bound "2 * b.local"
  // CHECK-NEXT: plan.constraint "b" equals "max(2, b)" : "at least two rows"
  plan.constraint "b" equals "max(2, b)" : "at least two rows"
  // CHECK-NEXT: plan.constant [1, 0, -1]
  plan.constant [1, 0, -1]
  // CHECK-NEXT: plan.layer 2 experts k 1 "softmax top-1" capacity "none" residual shared places <2 {{\[\[}}0], [1]]> nodes ["/Gate"]
  plan.layer 2 experts k 1 "softmax top-1" capacity "none" residual shared places <2 [[0], [1]]> nodes ["/Gate"]
  // CHECK-NEXT: plan.param "w" f32 "row" [2] blocks [#moe.param<file "w.bin" [0, 8] : tensor<2xf32>>, 8] {experts = 2 : i64, is_expert, layer = 0 : i64}
  plan.param "w" f32 "row" [2] blocks [#moe.param<file "w.bin" [0, 8] : tensor<2xf32>>, 8] {experts = 2 : i64, layer = 0 : i64, is_expert}
  // CHECK-NEXT: plan.state "kv" f32 <b, 4> axis 1 length "3" divided 0 by "b.local" {input = 1 : i64, output = 1 : i64}
  plan.state "kv" f32 <b, 4> axis 1 length "3" divided 0 by "b.local" {input = 1 : i64, output = 1 : i64}
  // CHECK-NEXT: %[[NONE:.*]] = plan.none
  %none = plan.none
  // CHECK-NEXT: %[[X:.*]] = plan.buffer input "x" i64 <b.local, 2> {index = 0 : i64}
  %x = plan.buffer input "x" i64 <b.local, 2> {index = 0 : i64}
  // CHECK-NEXT: %[[A:.*]] = plan.buffer arena f32 <b.local, 2> alive 0 to 3
  %a = plan.buffer arena f32 <b.local, 2> alive 0 to 3
  // CHECK-NEXT: plan.buffer arena f32 <b.local> of %[[A]] offset "1" strides <2>
  %v = plan.buffer arena f32 <b.local> of %a offset "1" strides <2>
  // CHECK-NEXT: plan.input "x" i64 <b, 2> in %[[X]] divided 0 by "b.local"
  plan.input "x" i64 <b, 2> in %x divided 0 by "b.local"
  // CHECK-NEXT: plan.output "present" f32 <b, 4> {state = 0 : i64}
  plan.output "present" f32 <b, 4> {state = 0 : i64}
  // CHECK-NEXT: plan.step "gate" ins(%[[X]], %[[NONE]]) outs(%[[A]]) {eps = 5.000000e-01 : f64, k = 1 : i64, sizes = #moe.dims<b, 2>} layer 0 nodes ["/Gate", "/TopK"] attributes {records = 0 : i64, stream = 1 : i64}
  plan.step "gate" ins(%x, %none) outs(%a) {k = 1 : i64, eps = 0.5 : f64, sizes = #moe.dims<b, 2>} layer 0 nodes ["/Gate", "/TopK"] attributes {stream = 1 : i64, records = 0 : i64}
  // CHECK-NEXT: plan.step "elementwise" ins(%[[X]]) outs(%[[A]]) program [#plan.instr<"cast" f32 [0]>, #plan.instr<"constant" f32 [] = 2.000000e+00 : f64>, #plan.instr<"mul" f32 [1, 2]>] registers [3] attributes {waits = array<i64: 0>}
  plan.step "elementwise" ins(%x) outs(%a) program [#plan.instr<"cast" f32 [0]>, #plan.instr<"constant" f32 [] = 2.0 : f64>, #plan.instr<"mul" f32 [1, 2]>] registers [3] attributes {waits = array<i64: 0>}
}
