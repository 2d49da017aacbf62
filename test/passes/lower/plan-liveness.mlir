// RUN: moe-opt %s --plan-liveness | FileCheck %s

plan.program {
  // CHECK: %[[X:.*]] = plan.buffer {{ *}}input f32 <4>
  %x = plan.buffer input f32 <4> {index = 0 : i64}
  %y = plan.buffer output f32 <4> {index = 0 : i64}
  // Written by step 0, read through its view by step 2.
  // CHECK: plan.buffer {{ *}}arena "long" f32 <4> alive 0 to 2
  %a = plan.buffer arena "long" f32 <4>
  // CHECK: plan.buffer {{ *}}arena "long" f32 <2, 2> of
  %v = plan.buffer arena "long" f32 <2, 2> of %a
  // CHECK: plan.buffer {{ *}}arena "unread" f32 <4> alive 1 to 1
  %b = plan.buffer arena "unread" f32 <4>
  // CHECK-NOT: "unused"
  %c = plan.buffer arena "unused" f32 <4>
  %d = plan.buffer arena "unused" f32 <4> of %c
  plan.step "copy" ins(%x) outs(%a)
  plan.step "copy" ins(%x) outs(%b)
  plan.step "copy" ins(%v) outs(%y)
}
