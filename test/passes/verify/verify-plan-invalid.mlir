// RUN: moe-opt %s --split-input-file --plan-verify --verify-diagnostics

// expected-error@+1 {{the plan is not valid: expected one plan, found 0}}
module {
}

// -----

// expected-error@+1 {{is read before a step writes it}}
module {
  plan.program {
    %a = plan.buffer arena f32 <4> alive 0 to 0
    %y = plan.buffer output f32 <4> {index = 0 : i64}
    plan.output "y" f32 <4> in %y
    plan.step "copy" ins(%a) outs(%y)
  }
}

// -----

// expected-error@+1 {{symbol 'n' is not declared}}
module {
  plan.program {
    %y = plan.buffer output f32 <n> {index = 0 : i64}
    plan.output "y" f32 <n> in %y
  }
}

// -----

// expected-error@+1 {{is alive in steps 0 to 0 only}}
module {
  plan.program {
    %x = plan.buffer input f32 <4> {index = 0 : i64}
    %a = plan.buffer arena f32 <4> alive 0 to 0
    %y = plan.buffer output f32 <4> {index = 0 : i64}
    plan.input "x" f32 <4> in %x
    plan.output "y" f32 <4> in %y
    plan.step "copy" ins(%x) outs(%a)
    plan.step "copy" ins(%a) outs(%y)
  }
}

// -----

// Memory that a step of stream 1 works on.

// expected-error@+1 {{step 1 (copy): input 0, buffer 1, is used by a step of stream 1 for which nothing has waited}}
module {
  plan.program attributes {num_streams = 2 : i64, num_events = 1 : i64} {
    %x = plan.buffer input f32 <4> {index = 0 : i64}
    %a = plan.buffer arena f32 <4> alive 0 to 1
    %y = plan.buffer output f32 <4> {index = 0 : i64}
    plan.input "x" f32 <4> in %x
    plan.output "y" f32 <4> in %y
    plan.step "copy" ins(%x) outs(%a) attributes {stream = 1 : i64, records = 0 : i64}
    plan.step "copy" ins(%a) outs(%y)
  }
}

// -----

// A size that is known when somebody has waited.

module {
  plan.program attributes {num_streams = 2 : i64, num_events = 1 : i64} {
    plan.symbol "r" data bound "4"
    %x = plan.buffer input f32 <4> {index = 0 : i64}
    %part = plan.buffer input f32 <r> of %x
    %a = plan.buffer arena f32 <r> alive 0 to 1
    %y = plan.buffer output f32 <4> {index = 0 : i64}
    plan.input "x" f32 <4> in %x
    plan.output "y" f32 <4> in %y
    plan.step "copy" ins(%x) outs(%a) attributes {stream = 1 : i64, records = 0 : i64}
    // expected-error@+1 {{"copy" does not wait for step 0, "copy" on stream 1, whose memory or sizes it uses}}
    plan.step "copy" ins(%part) outs(%y)
  }
}

// -----

// Memory that is given away while stream 1 works on it.

module {
  plan.program attributes {num_streams = 2 : i64, num_events = 1 : i64} {
    %x = plan.buffer input f32 <4> {index = 0 : i64}
    %a = plan.buffer arena f32 <4> alive 0 to 0
    %y = plan.buffer output f32 <4> {index = 0 : i64}
    plan.input "x" f32 <4> in %x
    plan.output "y" f32 <4> in %y
    // expected-error@+1 {{"copy" may run until step 1, beyond the life of an operand}}
    plan.step "copy" ins(%x) outs(%a) attributes {stream = 1 : i64, records = 0 : i64}
    plan.step "copy" ins(%x) outs(%y) attributes {waits = array<i64: 0>}
  }
}
