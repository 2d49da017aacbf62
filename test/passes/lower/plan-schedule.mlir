// RUN: moe-opt %s --split-input-file --plan-schedule --plan-liveness | FileCheck %s

// Stream 1 runs in order, so whoever waits for a step has waited for those
// before it. Buffers of stream 1 live until somebody waits.

// CHECK: plan.program attributes {num_events = 3 : i64, num_streams = 2 : i64}
// CHECK: plan.buffer {{ *}}arena "sent" f32 <4> alive 0 to 5
// CHECK: plan.buffer {{ *}}arena "received" f32 <4> alive 1 to 6
// CHECK: plan.buffer {{ *}}arena "beside" f32 <4> alive 2 to 8
// CHECK: plan.buffer {{ *}}arena "second" f32 <4> alive 3 to 5
// CHECK: plan.step "copy" {{.*}}
// CHECK-NEXT: plan.step "all_to_all" {{.*}} attributes {records = 0 : i64, stream = 1 : i64}
// CHECK-NEXT: plan.step "copy" ins(%{{.*}}) outs(%{{[0-9]+}}){{$}}
// CHECK-NEXT: plan.step "all_to_all" {{.*}} attributes {records = 1 : i64, stream = 1 : i64}
// CHECK-NEXT: plan.step "copy" ins(%{{.*}}) outs(%{{[0-9]+}}){{$}}
// The second exchange is later than the first.
// CHECK-NEXT: plan.step "experts" {{.*}} attributes {waits = array<i64: 1>}
// CHECK-NEXT: plan.step "experts" ins(%{{.*}}) outs(%{{[0-9]+}}){{$}}
// CHECK-NEXT: plan.step "all_to_all_back" {{.*}} attributes {records = 2 : i64, stream = 1 : i64}
// It overwrites what the last step of stream 1 reads.
// CHECK-NEXT: plan.step "copy" {{.*}} attributes {waits = array<i64: 2>}
// CHECK-NEXT: plan.step "copy" ins(%{{.*}}) outs(%{{[0-9]+}}){{$}}
plan.program {
  %x = plan.buffer input f32 <4> {index = 0 : i64}
  %y = plan.buffer output f32 <4> {index = 0 : i64}
  %s = plan.buffer arena "sent" f32 <4>
  %r = plan.buffer arena "received" f32 <4>
  %b = plan.buffer arena "beside" f32 <4>
  %t = plan.buffer arena "second" f32 <4>
  %v = plan.buffer arena "second" f32 <2, 2> of %t
  %back = plan.buffer arena "back" f32 <4>
  plan.step "copy" ins(%x) outs(%s)
  plan.step "all_to_all" ins(%s) outs(%r) attributes {stream = 1 : i64}
  plan.step "copy" ins(%x) outs(%b)
  plan.step "all_to_all" ins(%s) outs(%t) attributes {stream = 1 : i64}
  plan.step "copy" ins(%s) outs(%y)
  plan.step "experts" ins(%v) outs(%y)
  plan.step "experts" ins(%r) outs(%y)
  plan.step "all_to_all_back" ins(%b) outs(%back) attributes {stream = 1 : i64}
  plan.step "copy" ins(%y) outs(%b)
  plan.step "copy" ins(%back) outs(%y)
}

// -----

// A size that an exchange finds is known when somebody waited for it, whatever
// the memory. Collectives keep one order.

// CHECK: plan.program attributes {num_events = 3 : i64, num_streams = 2 : i64}
// CHECK: plan.buffer {{ *}}arena "late" f32 <4> alive 4 to 5
// CHECK: plan.step "all_to_all" {{.*}} attributes {records = 0 : i64, stream = 1 : i64}
// CHECK-NEXT: plan.step "copy" ins(%{{.*}}) outs(%{{[0-9]+}}){{$}}
// CHECK-NEXT: plan.step "copy" ins(%{{.*}}) outs(%{{[0-9]+}}) attributes {waits = array<i64: 0>}
// CHECK-NEXT: plan.step "all_to_all" {{.*}} attributes {records = 1 : i64, stream = 1 : i64}
// CHECK-NEXT: plan.step "all_reduce" {{.*}} attributes {waits = array<i64: 1>}
plan.program {
  plan.symbol "r" data bound "4"
  %x = plan.buffer input f32 <4> {index = 0 : i64}
  %part = plan.buffer input f32 <r> of %x
  %r = plan.buffer arena f32 <r>
  %y = plan.buffer output f32 <4> {index = 0 : i64}
  %z = plan.buffer output f32 <4> {index = 1 : i64}
  %late = plan.buffer arena "late" f32 <4>
  plan.step "all_to_all" ins(%x) outs(%r) attributes {stream = 1 : i64}
  plan.step "copy" ins(%x) outs(%y)
  plan.step "copy" ins(%part) outs(%z)
  plan.step "all_to_all" ins(%x) outs(%r) attributes {stream = 1 : i64}
  plan.step "all_reduce" ins(%x) outs(%late)
  plan.step "all_to_all_back" ins(%late) outs(%z) attributes {stream = 1 : i64}
}

// -----

// One stream needs no events.

// CHECK: plan.program {
// CHECK-NOT: records
plan.program {
  %x = plan.buffer input f32 <4> {index = 0 : i64}
  %y = plan.buffer output f32 <4> {index = 0 : i64}
  plan.step "copy" ins(%x) outs(%y)
}
