//===- ProductWork.cpp - What products have to do -------------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/cost/StepOperands.h"
#include "runtime/cost/StepWork.h"
#include "runtime/params/QuantFormat.h"
#include "runtime/plan/StepKinds.h"
#include "runtime/support/DType.h"

#include <algorithm>
#include <cmath>

using namespace moe;
using namespace moe::cost;

/// Kernels multiply panels of 16 columns, of which the last may be padding.
static double padded(double columns) {
  return std::max(1.0, std::ceil(columns / 16)) * 16;
}

/// Elements of all dimensions but the last.
static double rowsOf(const std::vector<int64_t> &dims) {
  double rows = 1;
  for (size_t i = 0; i + 1 < dims.size(); ++i)
    rows *= static_cast<double>(dims[i]);
  return rows;
}

void PlanWork::addFlops(StepWork &work, const plan::StepT &step, int buffer,
                        double flops) const {
  work.flops += flops;
  const plan::AttributeT *arithmetic = findAttribute(step, "arithmetic");
  const plan::ParamT *weight = paramOf(buffer);
  if (!arithmetic || arithmetic->s != "int8" || !weight)
    return;
  // Rows are rounded in blocks of 32 for codes in blocks of a multiple.
  std::optional<QuantFormat> format = parseQuantLayout(weight->layout);
  if (format && format->block % 32 == 0)
    work.int8Flops += flops;
}

void PlanWork::addProduct(StepWork &work, int rank,
                          const plan::StepT &step) const {
  work.kind = KernelKind::Product;
  int sizeClass = sizes.classOf(rank);
  std::vector<int64_t> lhs = sizes.dims(sizeClass, step.inputs[0]);
  std::vector<int64_t> out = sizes.dims(sizeClass, step.outputs[0]);
  if (lhs.empty() || out.empty())
    return;
  addFlops(work, step, inputOf(step, 1),
           2 * rowsOf(out) * static_cast<double>(lhs.back()) *
               padded(static_cast<double>(out.back())));
}

/// A product, of which choices are made and rows moved.
void PlanWork::addRouter(StepWork &work, int rank,
                         const plan::StepT &step) const {
  work.kind = KernelKind::Product;
  int sizeClass = sizes.classOf(rank);
  std::vector<int64_t> x = sizes.dims(sizeClass, step.inputs[0]);
  std::vector<int64_t> weight = sizes.dims(sizeClass, step.inputs[1]);
  if (x.size() == 2 && weight.size() == 2)
    work.flops = 2 * static_cast<double>(x[0]) * static_cast<double>(x[1]) *
                 padded(static_cast<double>(weight[1]));
}

void PlanWork::addFfn(StepWork &work, int rank, const plan::StepT &step) const {
  work.kind = KernelKind::Product;
  int sizeClass = sizes.classOf(rank);
  double rows = rowsOf(sizes.dims(sizeClass, step.inputs[0]));
  // w1, w2 and w3 are operands 1, 3 and 5.
  for (size_t i : {1, 3, 5}) {
    int buffer = inputOf(step, i);
    if (buffer < 0)
      continue;
    std::vector<int64_t> dims = sizes.dims(sizeClass, buffer);
    if (dims.size() != 2)
      continue;
    addFlops(work, step, buffer,
             2 * rows * static_cast<double>(dims[0]) *
                 padded(static_cast<double>(dims[1])));
    if (i == 3)
      work.units = rows * static_cast<double>(dims[0]);
  }
}

void PlanWork::addExperts(StepWork &work, int rank, int index) const {
  const plan::StepT &step = *program.steps[index];
  const RankLoad &load = loadOf(rank, index);
  work.kind = KernelKind::Product;
  work.weightBytes = 0;
  size_t first = firstExpertWeight(step.kernel);
  for (size_t i = first; i < step.inputs.size(); ++i) {
    const plan::ParamT *param = paramOf(step.inputs[i]);
    if (!param || param->experts <= 0)
      continue;
    double bytes = 0;
    for (const auto &block : param->blocks)
      bytes += static_cast<double>(block->bytes);
    work.weightBytes += bytes / param->experts * load.experts;
    if (param->dims.size() != 2)
      continue;
    addFlops(work, step, step.inputs[i],
             2 * load.work * static_cast<double>(param->dims[0]) *
                 padded(static_cast<double>(param->dims[1])));
    if (i == first + 2) // w2
      work.units = load.work * static_cast<double>(param->dims[0]);
  }
  if (step.kernel == "experts") { // rows in and out, as many as there are
    std::vector<int64_t> dims = sizes.dims(sizes.classOf(rank), step.inputs[0]);
    double columns = dims.empty() ? 0 : static_cast<double>(dims.back());
    work.activationBytes = 2 * load.rows * columns * 4;
  } else { // the outputs of choices are no operands: written, then mixed
    int out = step.outputs[0];
    std::vector<int64_t> dims = sizes.dims(sizes.classOf(rank), out);
    double columns = dims.empty() ? 0 : static_cast<double>(dims.back());
    work.activationBytes +=
        2 * load.rows * columns *
        static_cast<double>(
            dtypeSize(static_cast<DType>(program.buffers[out]->dtype)));
  }
  work.flopsFactor = load.workFactor;
  work.bytesFactor = load.expertsFactor;
}

void PlanWork::addAttention(StepWork &work, int rank,
                            const plan::StepT &step) const {
  work.kind = KernelKind::Attention;
  int sizeClass = sizes.classOf(rank);
  std::vector<int64_t> q = sizes.dims(sizeClass, step.inputs[0]);
  std::vector<int64_t> k = sizes.dims(sizeClass, step.inputs[1]);
  std::vector<int64_t> v = sizes.dims(sizeClass, step.inputs[2]);
  if (q.size() != 4 || k.size() != 4 || v.size() != 4)
    return;
  double keys = static_cast<double>(k[2]);
  const plan::AttributeT *causal = findAttribute(step, "causal");
  // Keys behind a query are not looked at.
  if (causal && causal->i != 0)
    keys = std::max(1.0, keys - (static_cast<double>(q[2]) - 1) / 2);
  work.units = static_cast<double>(q[0]) * static_cast<double>(q[1]) *
               static_cast<double>(q[2]) * keys;
  work.flops = 2 * work.units * static_cast<double>(q[3] + v[3]);
}
