//===- ElementwiseGeometry.h - Elements of operands in step -----*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The loops of an elementwise step: dimensions of the results, merged where all
// operands allow it,
//
//   x [4, 5, 6], y [6], result [4, 5, 6]    ->    20 times 6 elements
//
// and where the elements of each operand are, which need not be contiguous and
// may be broadcast.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_RUNTIME_KERNELS_CPU_ELEMENTWISEGEOMETRY_H
#define MOE_RUNTIME_KERNELS_CPU_ELEMENTWISEGEOMETRY_H

#include "runtime/kernels/Kernel.h"

#include <algorithm>
#include <span>
#include <string>

namespace moe::cpu {

/// An input or output seen through the merged dimensions of the results.
struct ElementwiseOperand {
  std::byte *data;
  int64_t elementBytes;
  DType dtype;
  bool isScalar;
  bool isDense; ///< f32 in the order of the elements
  int64_t strides[kMaxRank];
};

/// The loops of one run, and the operands, inputs first.
struct ElementwiseGeometry {
  int rank = 0;
  int64_t dims[kMaxRank] = {};
  int64_t elements = 1;
  std::span<ElementwiseOperand> operands;

  /// Sets all from the operands of a step, for which there is memory; BadPlan
  /// if they do not broadcast.
  Status arrange(const std::string &step, const KernelArgs &args);
  /// Whether any two of the operands, one of them an output, share memory.
  bool overlaps(size_t numInputs) const;
};

/// Calls body(data, stride, done, count) for the segments of the innermost
/// dimension that elements [position, position + count) consist of.
template <typename Body>
void forSegments(const ElementwiseGeometry &g, const ElementwiseOperand &o,
                 int64_t position, int64_t count, Body body) {
  if (g.rank == 0)
    return body(o.data, int64_t(1), int64_t(0), count);
  int last = g.rank - 1;
  int64_t index[kMaxRank];
  int64_t offset = 0, rest = position;
  for (int d = last; d >= 0; --d) {
    index[d] = rest % g.dims[d];
    rest /= g.dims[d];
    offset += index[d] * o.strides[d];
  }
  for (int64_t done = 0; done < count;) {
    int64_t length = std::min(count - done, g.dims[last] - index[last]);
    body(o.data + offset * o.elementBytes, o.strides[last], done, length);
    done += length;
    if (done == count)
      return;
    offset -= index[last] * o.strides[last];
    index[last] = 0;
    for (int d = last - 1; d >= 0; --d) {
      offset += o.strides[d];
      if (++index[d] < g.dims[d])
        break;
      offset -= g.dims[d] * o.strides[d];
      index[d] = 0;
    }
  }
}

/// The memory of elements that lie side by side within the innermost
/// dimension, or null.
std::byte *withinRow(const ElementwiseGeometry &g, const ElementwiseOperand &o,
                     int64_t position, int64_t count);

/// The memory of elements [position, position + count), if it can serve as a
/// register, or null.
inline std::byte *inPlace(const ElementwiseGeometry &g,
                          const ElementwiseOperand &o, int64_t position,
                          int64_t count) {
  return o.isDense ? o.data + position * o.elementBytes
                   : withinRow(g, o, position, count);
}

} // namespace moe::cpu

#endif // MOE_RUNTIME_KERNELS_CPU_ELEMENTWISEGEOMETRY_H
