// RUN: moe-opt %s --split-input-file --verify-diagnostics

// plan.program
// expected-error@+1 {{'plan.program' op has no rank}}
plan.program attributes {num_ranks = 0 : i64} {
}

// -----

plan.program {
  // expected-error@+1 {{'moe.iota' op cannot stand in a plan}}
  %0 = moe.iota <0> : tensor<4xi64>
}

// -----

// plan.symbol C1
plan.program {
  // expected-error@+1 {{'plan.symbol' op '2b' is not the name of a symbol}}
  plan.symbol "2b" input
}

// -----

// plan.symbol C2
plan.program {
  // expected-error@+1 {{'plan.symbol' op needs 'whole' if and only if it is a local part}}
  plan.symbol "b.local" local_part
}

// -----

plan.program {
  // expected-error@+1 {{'plan.symbol' op needs 'bound' if and only if it is data}}
  plan.symbol "b" input bound "4"
}

// -----

plan.program {
  // expected-error@+1 {{'plan.symbol' op 'bound' is not an expression}}
  plan.symbol "d" data bound "4 +"
}

// -----

// plan.param C1
plan.program {
  // expected-error@+1 {{'plan.param' op has a block of type 'tensor<3xf32>', expected 'tensor<2xf32>'}}
  plan.param "w" f32 "row" [2] blocks [#moe.param<fill = 1.0 : f32 : tensor<3xf32>>]
}

// -----

plan.program {
  // expected-error@+1 {{'plan.param' op has 1 blocks, expected 2}}
  plan.param "w" f32 "row" [2] blocks [8] {experts = 2 : i64}
}

// -----

// plan.buffer C1
plan.program {
  // expected-error@+1 {{'plan.buffer' op 'tuple<>' is not an element type of plans}}
  %0 = plan.buffer arena tuple<> <4>
}

// -----

// plan.buffer C2
plan.program {
  %0 = plan.buffer arena f32 <4>
  // expected-error@+1 {{'plan.buffer' op is a view of another kind of buffer}}
  %1 = plan.buffer input f32 <4> of %0
}

// -----

// plan.buffer C3
plan.program {
  %0 = plan.buffer arena f32 <4>
  // expected-error@+1 {{'plan.buffer' op has 1 strides for 2 dimensions}}
  %1 = plan.buffer arena f32 <2, 2> of %0 strides <1>
}

// -----

// plan.step C1
plan.program {
  // expected-error@+1 {{'plan.step' op setting 'a' cannot be written: unit}}
  plan.step "test" ins() outs() {a = unit}
}

// -----

// plan.step C2
plan.program {
  %0 = plan.buffer arena f32 <4>
  // expected-error@+1 {{'plan.step' op register 1 is not defined}}
  plan.step "elementwise" ins(%0) outs(%0) program [#plan.instr<"add" f32 [0, 1]>] registers [1]
}

// -----

// plan.step C3
plan.program {
  %0 = plan.buffer arena f32 <4>
  // expected-error@+1 {{'plan.step' op has 0 results for 1 outputs}}
  plan.step "elementwise" ins(%0) outs(%0) program [#plan.instr<"neg" f32 [0]>] registers []
}

// -----

// #plan.instr
plan.program {
  %0 = plan.buffer arena f32 <4>
  // expected-error@+1 {{a constant needs a number}}
  plan.step "elementwise" ins(%0) outs(%0) program [#plan.instr<"constant" f32 []>] registers [1]
}
