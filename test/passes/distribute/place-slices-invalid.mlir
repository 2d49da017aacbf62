// RUN: moe-opt %s --moe-place-experts="ranks=8 dp=2" --verify-diagnostics

!rows = tensor<?x8xf32, #moe.dims<r, 8>>
!w = tensor<4x8x8xf32>

func.func @many(%rows: !rows, %counts: tensor<4xi32>, %w: !w) {
  // expected-error@+1 {{'moe.experts' op is to be cut in 8 slices, but 4 ranks hold its experts}}
  %0 = moe.experts relu %rows, %counts w1 %w w2 %w {moe.form = {experts = "slice", slices = 8 : i64}} : (!rows, tensor<4xi32>, !w, !w) -> !rows
  return
}
