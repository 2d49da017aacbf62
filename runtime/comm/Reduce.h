//===- Reduce.h - Sums over ranks in their order ----------------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_RUNTIME_COMM_REDUCE_H
#define MOE_RUNTIME_COMM_REDUCE_H

#include "runtime/comm/Communicator.h"

namespace moe {

/// True for f32, f64, i32 and i64.
bool canReduce(DType dtype);

/// to[i] = from[0][i] op from[1][i] op ..., from left to right, for `count`
/// elements. `to` may be one of `from`. Integer sums wrap.
void reduceInOrder(void *to, std::span<const std::byte *const> from,
                   int64_t count, DType dtype, ReduceOp op);

} // namespace moe

#endif // MOE_RUNTIME_COMM_REDUCE_H
