//===- MpiError.h - Error values from MPI's ---------------------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_RUNTIME_COMM_MPI_MPIERROR_H
#define MOE_RUNTIME_COMM_MPI_MPIERROR_H

#include "runtime/support/Status.h"

#include <mpi.h>

namespace moe::mpi {

/// Of the result of a function of MPI.
inline Status check(int result) {
  if (result == MPI_SUCCESS)
    return Status::ok();
  char text[MPI_MAX_ERROR_STRING];
  int length = 0;
  if (MPI_Error_string(result, text, &length) != MPI_SUCCESS)
    length = 0;
  return Status(StatusCode::RankFailed,
                "MPI reports: " + std::string(text, length));
}

} // namespace moe::mpi

#endif // MOE_RUNTIME_COMM_MPI_MPIERROR_H
