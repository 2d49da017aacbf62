//===- Guarded.h - No exception leaves the runtime --------------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_RUNTIME_EXEC_GUARDED_H
#define MOE_RUNTIME_EXEC_GUARDED_H

#include "runtime/support/Status.h"

#include <exception>

namespace moe {

/// body(), which returns a Status or StatusOr. The project throws nothing, but
/// the standard library does when memory for small things runs out.
template <typename Body> auto guarded(Body body) -> decltype(body()) {
  try {
    return body();
  } catch (const std::exception &error) {
    return Status(StatusCode::OutOfMemory, error.what());
  }
}

} // namespace moe

#endif // MOE_RUNTIME_EXEC_GUARDED_H
