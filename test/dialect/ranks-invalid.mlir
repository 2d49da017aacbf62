// RUN: moe-opt %s --split-input-file --verify-diagnostics -o /dev/null

// One test for each constraint A1 to A6 of attributes that say what ranks do
// (dialect/moe/MoeDialect.td).

// expected-error @+1 {{has moe.mesh that is no #moe.mesh}}
module @a1 attributes {moe.mesh = 4 : i64} {}

// -----

// expected-error @+1 {{has moe.node_size = 0 : i64, expected a positive i64}}
module @a2 attributes {moe.node_size = 0 : i64} {}

// -----

// expected-error @+1 {{has "batch.local" = "batch +", which is no size}}
func.func private @a3() attributes {
  moe.local_symbols = {"batch.local" = "batch +"}}

// -----

// expected-error @+1 {{has the group "columns" for "h.local", expected "rows", "tp" or "world"}}
func.func private @a4() attributes {
  moe.local_symbols = {"h.local" = "4"},
  moe.symbol_groups = {"h.local" = "columns"}}

// -----

// expected-error @+1 {{has a group for "h.local", which is no local symbol}}
func.func private @a4_unknown() attributes {
  moe.symbol_groups = {"h.local" = "tp"}}

// -----

func.func @a5() {
  // expected-error @+1 {{has guard #moe.dims<a, b>, expected #moe.dims of one expression}}
  %0 = moe.iota <0> {moe.guard = #moe.dims<a, b>} : tensor<2xi64>
  return
}

// -----

func.func @a5_local() attributes {
    moe.local_symbols = {"batch.local" = "batch"}} {
  // expected-error @+1 {{is guarded by 'batch.local', of which ranks have their own values}}
  %0 = moe.iota <0> {moe.guard = #moe.dims<batch.local>} : tensor<2xi64>
  return
}

// -----

func.func @a6() {
  // expected-error @+1 {{has moe.stream = 2 : i64, expected 0 or 1}}
  %0 = moe.iota <0> {moe.stream = 2 : i64} : tensor<2xi64>
  return
}
