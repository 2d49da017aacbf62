// RUN: not moe-opt %s --moe-lower-weights=dtype=int3 2>&1 | FileCheck %s --check-prefix=DTYPE
// RUN: not moe-opt %s --moe-lower-weights="dtype=int4 block=24" 2>&1 | FileCheck %s --check-prefix=BLOCK
// RUN: not moe-opt %s --moe-lower-weights=activations=int4 2>&1 | FileCheck %s --check-prefix=ROWS
// RUN: not moe-opt %s --moe-lower-weights="dtype=f16 keep-f32=[a" 2>&1 | FileCheck %s --check-prefix=GLOB

// DTYPE: error: dtype: unknown value 'int3', expected f32, f16, bf16, int8 or int4
// BLOCK: error: block: 24 is not 0, 16 or a multiple of 32
// ROWS: error: activations: unknown value 'int4', expected float, int8 or file
// GLOB: error: --keep-f32: '[a': invalid glob pattern
func.func @main() {
  return
}
