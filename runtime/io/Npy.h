//===- Npy.h - Arrays in NumPy's file format --------------------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// An .npy file is the magic "\x93NUMPY", two bytes of version, the length of
// the header, a Python literal, and the elements:
//
//   {'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }
//
// The literal is read by a grammar that knows these three keys and nothing
// else; it is never evaluated. Read are versions 1 to 3 with little-endian
// bool, integers and floats of 1 to 8 bytes, up to kMaxRank dimensions, in C or
// Fortran order. The format has no name for bfloat16: such tensors stand as
// f32. Format: numpy.org/doc/stable/reference/generated/numpy.lib.format.html
//
//===----------------------------------------------------------------------===//

#ifndef MOE_RUNTIME_IO_NPY_H
#define MOE_RUNTIME_IO_NPY_H

#include "runtime/io/ByteSource.h"
#include "runtime/io/HostTensor.h"

#include <string>
#include <string_view>
#include <vector>

namespace moe {

/// What the literal says.
struct NpyHeader {
  DType dtype = DType::F32;
  bool fortranOrder = false;
  std::vector<int64_t> dims;
};

/// Parses the literal, padding and newline included. Errors: IoError.
StatusOr<NpyHeader> parseNpyHeader(std::string_view text);

/// Magic, version and header for a tensor, padded so that the elements begin
/// at a multiple of 64 bytes, as NumPy writes them. BF16 becomes f32.
std::string npyHeader(DType dtype, std::span<const int64_t> dims);

/// Reads one array, which must fill the source to its end. Memory for the
/// elements is taken only after their number was found to be what is left.
StatusOr<HostTensor> readNpy(ByteSource &source, std::string name);

/// Reads a file; errors begin with its path.
StatusOr<HostTensor> readNpyFile(const std::string &path);

} // namespace moe

#endif // MOE_RUNTIME_IO_NPY_H
