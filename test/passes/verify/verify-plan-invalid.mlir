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
