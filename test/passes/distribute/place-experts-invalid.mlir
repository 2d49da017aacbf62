// RUN: moe-opt %s --moe-place-experts=ranks=0 --verify-diagnostics

// expected-error@+1 {{cannot compile for 0 ranks, expected at least 1}}
module {
}
