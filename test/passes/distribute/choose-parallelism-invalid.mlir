// RUN: not moe-opt %s --moe-choose-parallelism='mesh=tp=2 ranks=5' 2>&1 | FileCheck %s --check-prefix=RANKS
// RUN: not moe-opt %s --moe-choose-parallelism='mesh=tp=2 reduce-exact' 2>&1 | FileCheck %s --check-prefix=EXACT
// RUN: not moe-opt %s --moe-choose-parallelism='ranks=4 layer-form=1:slice' 2>&1 | FileCheck %s --check-prefix=LAYER
// RUN: not moe-opt %s --moe-choose-parallelism='ranks=4 reduce-exact layer-form=0:slice' 2>&1 | FileCheck %s --check-prefix=SLICE
// RUN: not moe-opt %s --moe-choose-parallelism='ranks=4 layer-form=*:coordinated' 2>&1 | FileCheck %s --check-prefix=FORM
// RUN: not moe-opt %s --moe-choose-parallelism='ranks=4 layer-form=*:sliced' 2>&1 | FileCheck %s --check-prefix=WORD

// RANKS: error: mesh: 5 ranks are not a multiple of the 2 that the mesh takes
// EXACT: error: mesh: tp = 2 splits sums over ranks, which --reduce=exact forbids
// LAYER: error: layer-form: MoE layer 1 does not exist: the model has 1, counted from 0
// SLICE: error: layer-form: layer 0: slice: sums of an expert are not split over ranks with --reduce=exact
// FORM: error: layer-form: layer 0: coordinated: needs a mesh with tp > 1
// WORD: error: layer-form: unknown form 'sliced'

func.func @layer(%rows: tensor<4x8xf32> {moe.name = "rows"},
                 %counts: tensor<2xi32>) -> tensor<4x8xf32> {
  %w1 = moe.param <fill = 1.0 : f32 : tensor<2x8x16xf32>> : tensor<2x8x16xf32>
  %w2 = moe.param <fill = 1.0 : f32 : tensor<2x16x8xf32>> : tensor<2x16x8xf32>
  %0 = moe.experts relu %rows, %counts w1 %w1 w2 %w2 : (tensor<4x8xf32>, tensor<2xi32>, tensor<2x8x16xf32>, tensor<2x16x8xf32>) -> tensor<4x8xf32>
  func.return %0 : tensor<4x8xf32>
}
