// RUN: moe-opt %s --split-input-file --verify-diagnostics -o /dev/null

// Encodings.

// expected-error @+1 {{has 1 expressions for a tensor of rank 2}}
!a = tensor<?x4xf32, #moe.dims<batch>>

// -----

// expected-error @+1 {{a static tensor has no #moe.dims encoding}}
!a = tensor<4xf32, #moe.dims<4>>

// -----

// expected-error @+1 {{dimension 0 is '?', but its expression is the constant 4}}
!a = tensor<?xf32, #moe.dims<4>>

// -----

// expected-error @+1 {{dimension 1 is 4, but its expression is '5'}}
!a = tensor<?x4xf32, #moe.dims<batch, 5>>

// -----

// expected-error @+1 {{expected a size}}
#a = #moe.dims<batch +>

// -----

// expected-error @+1 {{cos}}
#a = #moe.dims<cos(batch)>

// -----

// Weights.

// expected-error @+1 {{unknown kind 'blob'}}
#a = #moe.param<blob : tensor<4xf32>>

// -----

// expected-error @+1 {{expected a static shape of a plan's element type}}
#a = #moe.param<fill = 1.0 : f32 : tensor<?xf32>>

// -----

// expected-error @+1 {{'fill' needs a value of the element type}}
#a = #moe.param<fill = 1.0 : f64 : tensor<4xf32>>

// -----

// expected-error @+1 {{'file' has 12 bytes for 4 elements of 4}}
#a = #moe.param<file "w" [0, 12] : tensor<4xf32>>

// -----

// expected-error @+1 {{'file' needs a file, an offset and a number of bytes}}
#a = #moe.param<file [0, 16] : tensor<4xf32>>

// -----

// expected-error @+1 {{'file' has a size that overflows}}
#a = #moe.param<file "w" [9223372036854775807, 16] : tensor<4xf32>>

// -----

// expected-error @+1 {{'inline' holds more than 1 KiB}}
#a = #moe.param<inline = dense<1.0> : tensor<257xf32> : tensor<257xf32>>

// -----

#w = #moe.param<fill = 1.0 : f32 : tensor<4xf32>>
// expected-error @+1 {{'slice' leaves its operand in dimension 0}}
#a = #moe.param<slice [2, 1] (#w) : tensor<3xf32>>

// -----

#w = #moe.param<fill = 1.0 : f32 : tensor<2x4xf32>>
// expected-error @+1 {{'transpose' needs one operand and a permutation of its dimensions}}
#a = #moe.param<transpose [0, 0] (#w) : tensor<2x2xf32>>

// -----

#w = #moe.param<fill = 1.0 : f32 : tensor<2x4xf32>>
// expected-error @+1 {{'reshape' needs one operand of as many elements and the same type}}
#a = #moe.param<reshape (#w) : tensor<9xf32>>

// -----

#w = #moe.param<fill = 1.0 : f32 : tensor<2x4xf32>>
// expected-error @+1 {{'concat' has 4 entries along the axis, its type 5}}
#a = #moe.param<concat [0] (#w, #w) : tensor<5x4xf32>>

// -----

#w = #moe.param<fill = 1.0 : f32 : tensor<4xf32>>
// expected-error @+1 {{'cast' has an operand whose shape does not fit}}
#a = #moe.param<cast (#w) : tensor<5xf16>>

// -----

#w = #moe.param<fill = 1.0 : f32 : tensor<4xf32>>
// expected-error @+1 {{'scale' needs a float value}}
#a = #moe.param<scale = 2 : i32 (#w) : tensor<4xf32>>

// -----

#q = #moe.param<file "q" [0, 8] : tensor<2x4xui8>>
#s = #moe.param<fill = 1.0 : f32 : tensor<2x3xf32>>
// expected-error @+1 {{'dequantize' has scales of a shape or type that does not fit}}
#a = #moe.param<dequantize [4, 4] (#q, #s) : tensor<2x8xf32>>

// -----

#w = #moe.param<file "w" [0, 16] : tensor<4xf32>>
// expected-error @+1 {{'take' needs one operand of its rank, and an axis of it}}
#a = #moe.param<take [1, 0] (#w) : tensor<1xf32>>

// -----

#w = #moe.param<file "w" [0, 16] : tensor<4xf32>>
// expected-error @+1 {{'take' takes entry 4 of 4}}
#a = #moe.param<take [0, 4] (#w) : tensor<1xf32>>

// -----

#w = #moe.param<file "w" [0, 16] : tensor<4xf32>>
// expected-error @+1 {{'take' has a type that does not fit}}
#a = #moe.param<take [0, 3, 1] (#w) : tensor<1xf32>>

// -----

#w = #moe.param<fill = 1.0 : f32 : tensor<64x8xf32>>
// expected-error @+1 {{'quantize' needs one operand; bits, block and 1 for zero points or 0}}
#a = #moe.param<quantize [4, 32] (#w) : tensor<64x8xf32>>

// -----

#w = #moe.param<fill = 1.0 : f32 : tensor<64x8xf32>>
// expected-error @+1 {{'quantize' has 4 bits in blocks of 24, expected 4 or 8 in blocks of 0, 16 or a multiple of 32}}
#a = #moe.param<quantize [4, 24, 0] (#w) : tensor<64x8xf32>>

// -----

#w = #moe.param<fill = 1.0 : f32 : tensor<64x8xf32>>
// expected-error @+1 {{'quantize' has 2 bits in blocks of 32}}
#a = #moe.param<quantize [2, 32, 0] (#w) : tensor<64x8xf32>>

// -----

#w = #moe.param<fill = 1.0 : f32 : tensor<64x8xf32>>
// expected-error @+1 {{'quantize' says 2 for zero points, expected 0 or 1}}
#a = #moe.param<quantize [4, 32, 2] (#w) : tensor<64x8xf32>>

// -----

#w = #moe.param<fill = 1.0 : f32 : tensor<64xf32>>
// expected-error @+1 {{'quantize' rounds matrices of f32, f16 or bf16}}
#a = #moe.param<quantize [4, 32, 0] (#w) : tensor<64xf32>>

// -----

#w = #moe.param<fill = 1.0 : f32 : tensor<64x8xf32>>
// expected-error @+1 {{'quantize' has the type of its operand}}
#a = #moe.param<quantize [4, 32, 0] (#w) : tensor<64x8xf16>>

// -----

// expected-error @+1 {{expected a #moe.param}}
#a = #moe.param<stack (1 : i64) : tensor<1x4xf32>>

// -----

// Placements.

// expected-error @+1 {{has 0 ranks, expected at least 1}}
#a = #moe.placement<0 []>

// -----

// expected-error @+1 {{expert 1 is on no rank}}
#a = #moe.placement<2 [[0], []]>

// -----

// expected-error @+1 {{expert 1 is on rank 2 of 2}}
#a = #moe.placement<2 [[0], [2]]>

// -----

// expected-error @+1 {{expert 0 is twice on rank 0}}
#a = #moe.placement<2 [[0, 0]]>

// -----

// expected-error @+1 {{unknown group 'columns'}}
#a = #moe.placement<2 over columns [[0], [1]]>

// -----

// expected-error @+1 {{has 4 ranks in 3 domains, expected equal ones}}
#a = #moe.placement<4 domains 3 [[0, 1, 2]]>

// -----

// expected-error @+1 {{expert 0 has 1 replicas for 2 domains}}
#a = #moe.placement<4 domains 2 [[0 + 1]]>

// -----

// expected-error @+1 {{replicas have 2 and 1 slices}}
#a = #moe.placement<4 [[0 + 1, 2]]>

// -----

// expected-error @+1 {{is 1 x 0 x 1, expected positive degrees}}
#a = #moe.mesh<dp = 1, ep = 0, tp = 1>
