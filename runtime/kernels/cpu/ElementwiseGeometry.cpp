//===- ElementwiseGeometry.cpp - Elements of operands in step -------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/kernels/cpu/ElementwiseGeometry.h"
#include "runtime/kernels/cpu/Support.h"

namespace moe::cpu {

/// Whether dimension i continues dimension i + 1 in all operands.
static bool canMerge(const ElementwiseGeometry &g, int i) {
  return std::all_of(g.operands.begin(), g.operands.end(),
                     [&](const ElementwiseOperand &o) {
                       return o.strides[i] == o.strides[i + 1] * g.dims[i + 1];
                     });
}

static void mergeDims(ElementwiseGeometry &g) {
  auto erase = [&](int dim) {
    for (int i = dim; i + 1 < g.rank; ++i) {
      g.dims[i] = g.dims[i + 1];
      for (ElementwiseOperand &o : g.operands)
        o.strides[i] = o.strides[i + 1];
    }
    --g.rank;
  };
  for (int i = g.rank - 1; i >= 0; --i)
    if (g.dims[i] == 1)
      erase(i);
  for (int i = g.rank - 2; i >= 0; --i) {
    if (!canMerge(g, i))
      continue;
    g.dims[i + 1] *= g.dims[i];
    erase(i);
  }
}

Status ElementwiseGeometry::arrange(const std::string &step,
                                    const KernelArgs &args) {
  auto badPlan = [&](const std::string &what) {
    return Status(StatusCode::BadPlan, step + ": " + what);
  };
  const TensorView &shape = args.outputs[0];
  rank = shape.rank;
  std::copy_n(shape.dims, shape.rank, dims);
  elements = shape.numElements();
  size_t numInputs = args.inputs.size();
  for (size_t i = 0; i < operands.size(); ++i) {
    const TensorView &view =
        i < numInputs ? args.inputs[i] : args.outputs[i - numInputs];
    bool isOutput = i >= numInputs;
    ElementwiseOperand &operand = operands[i];
    operand.data = const_cast<std::byte *>(blockData(view));
    operand.dtype = view.dtype;
    operand.elementBytes = static_cast<int64_t>(dtypeSize(view.dtype));
    operand.isScalar = !isOutput;
    int missing = shape.rank - view.rank;
    if (view.rank < 0 || missing < 0)
      return badPlan("an operand of rank " + std::to_string(view.rank) +
                     " does not broadcast to " + shapeText(shape));
    for (int d = 0; d < shape.rank; ++d) {
      int64_t size = d < missing ? 1 : view.dims[d - missing];
      bool isBroadcast = size == 1 && shape.dims[d] != 1;
      if (size != shape.dims[d] && (!isBroadcast || isOutput))
        return badPlan("an operand of shape " + shapeText(view) +
                       " does not broadcast to " + shapeText(shape));
      operand.strides[d] =
          d < missing || isBroadcast ? 0 : view.strides[d - missing];
      if (operand.strides[d] != 0 && size != 1)
        operand.isScalar = false;
    }
  }
  mergeDims(*this);
  for (ElementwiseOperand &operand : operands) {
    operand.isDense = operand.dtype == DType::F32;
    int64_t stride = 1;
    for (int d = rank - 1; d >= 0; --d) {
      operand.isDense &= operand.strides[d] == stride;
      stride *= dims[d];
    }
  }
  return Status::ok();
}

std::byte *withinRow(const ElementwiseGeometry &g, const ElementwiseOperand &o,
                     int64_t position, int64_t count) {
  int last = g.rank - 1;
  if (o.dtype != DType::F32 || g.rank == 0 || o.strides[last] != 1 ||
      position % g.dims[last] + count > g.dims[last])
    return nullptr;
  std::byte *memory = nullptr;
  forSegments(
      g, o, position, count,
      [&](std::byte *data, int64_t, int64_t, int64_t) { memory = data; });
  return memory;
}

bool ElementwiseGeometry::overlaps(size_t numInputs) const {
  auto range = [&](const ElementwiseOperand &o) {
    int64_t low = 0, high = o.elementBytes;
    for (int d = 0; d < rank; ++d)
      (o.strides[d] < 0 ? low : high) +=
          o.strides[d] * (dims[d] - 1) * o.elementBytes;
    return std::pair(o.data + low, o.data + high);
  };
  for (size_t i = numInputs; i < operands.size(); ++i) {
    auto [begin, end] = range(operands[i]);
    for (size_t j = 0; j < i; ++j) {
      auto [otherBegin, otherEnd] = range(operands[j]);
      if (begin < otherEnd && otherBegin < end)
        return true;
    }
  }
  return false;
}

} // namespace moe::cpu
