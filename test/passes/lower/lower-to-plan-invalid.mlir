// RUN: moe-opt %s --split-input-file --moe-lower-to-plan --verify-diagnostics

// A guard that ranks would see differently.

func.func @main(%x: tensor<?x8xf32, #moe.dims<b.local, 8>>) -> tensor<?x8xf32, #moe.dims<b.local, 8>>
    attributes {moe.local_symbols = {b.local = "b"}} {
  // expected-error@+1 {{is guarded by 'b.local', of which ranks have their own values}}
  %0 = moe.softmax %x {axis = 1 : i64, moe.guard = #moe.dims<b.local>} : (tensor<?x8xf32, #moe.dims<b.local, 8>>) -> tensor<?x8xf32, #moe.dims<b.local, 8>>
  func.return %0 : tensor<?x8xf32, #moe.dims<b.local, 8>>
}

// -----

func.func @main(%x: tensor<8xf32>) -> tensor<8xf32> {
  // expected-error@+1 {{has guard 1 : i64, expected #moe.dims of one expression}}
  %0 = moe.softmax %x {axis = 0 : i64, moe.guard = 1 : i64} : (tensor<8xf32>) -> tensor<8xf32>
  func.return %0 : tensor<8xf32>
}

// -----

// An attribute that no kernel could read.

func.func @main(%x: tensor<8xf32>) -> tensor<8xf32> {
  // expected-error@+1 {{has attribute 'how' = f32, which a step cannot say}}
  %0 = moe.softmax %x {axis = 0 : i64, how = f32} : (tensor<8xf32>) -> tensor<8xf32>
  func.return %0 : tensor<8xf32>
}

// -----

// Ranks and tensor slices divide one dimension.

// expected-error@+1 {{input 'x' of [b.local * h.local] is divided in more ways than a plan can say}}
func.func @main(%x: tensor<?xf32, #moe.dims<b.local * h.local>> {moe.name = "x"})
    attributes {moe.local_symbols = {b.local = "b", h.local = "6"}, moe.symbol_groups = {h.local = "tp"}} {
  func.return
}

// -----

// expected-error@+1 {{local symbols are parts of each other}}
func.func @main(%x: tensor<?xf32, #moe.dims<a.local>>)
    attributes {moe.local_symbols = {a.local = "b.local", b.local = "a.local"}, moe.symbol_groups = {a.local = "tp"}} {
  func.return
}
