//===- LanguageModel.cpp - A model from token ids to logits ---------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "tools/moe-run/LanguageModel.h"

#include "runtime/exec/Executable.h"
#include "runtime/support/DimExpr.h"
#include "tools/moe-run/IndexBounds.h"
#include "tools/moe-run/SyntheticInputs.h"

#include <algorithm>
#include <cstring>

using namespace moe;
using namespace moe::tools;

static Status unsupported(std::string message) {
  return Status(StatusCode::Unsupported, std::move(message));
}

TokenBatch TokenBatch::create(const std::vector<std::vector<int32_t>> &rows,
                              int64_t padding) {
  TokenBatch batch;
  batch.numRows = static_cast<int64_t>(rows.size());
  for (const auto &row : rows)
    batch.length = std::max(batch.length, static_cast<int64_t>(row.size()));
  for (const auto &row : rows) {
    size_t numPadded = batch.length - row.size();
    batch.ids.insert(batch.ids.end(), numPadded, padding);
    batch.ids.insert(batch.ids.end(), row.begin(), row.end());
    batch.mask.insert(batch.mask.end(), numPadded, 0);
    batch.mask.insert(batch.mask.end(), row.size(), 1);
  }
  return batch;
}

void TokenBatch::append(std::span<const int32_t> tokens) {
  std::vector<int64_t> newIds, newMask;
  for (int64_t row = 0; row < numRows; ++row) {
    auto begin = row * length, end = begin + length;
    newIds.insert(newIds.end(), ids.begin() + begin, ids.begin() + end);
    newIds.push_back(tokens[row]);
    newMask.insert(newMask.end(), mask.begin() + begin, mask.begin() + end);
    newMask.push_back(1);
  }
  ids = std::move(newIds);
  mask = std::move(newMask);
  ++length;
}

StatusOr<LanguageModel> LanguageModel::create(Context &context) {
  LanguageModel model(context);
  MOE_RETURN_IF_ERROR(model.findPorts());
  MOE_RETURN_IF_ERROR(model.findLogits());
  return model;
}

Status LanguageModel::findPorts() {
  std::span<const PortInfo> inputs = context->model().inputs();
  for (size_t i = 0; i < inputs.size(); ++i) {
    const PortInfo &port = inputs[i];
    int *known = port.name == "input_ids"        ? &idsPort
                 : port.name == "attention_mask" ? &maskPort
                 : port.name == "position_ids"   ? &positionsPort
                                                 : nullptr;
    cached |= port.isState;
    if (port.isState)
      continue;
    if (!known || isFloat(port.dtype))
      return unsupported("input '" + port.name +
                         "' is no part of a causal language model; expected "
                         "input_ids, attention_mask, position_ids and caches");
    *known = static_cast<int>(i);
  }
  if (idsPort < 0 || inputs[idsPort].dims.size() != 2)
    return unsupported("the model has no input 'input_ids' [batch, seq]");
  if (maskPort >= 0 && inputs[maskPort].dims.size() != 2)
    return unsupported("input 'attention_mask' is not [batch, past + seq]");
  const plan::ProgramT &program = *context->model().executable()->program;
  numTokens = indexBound(program, idsPort);
  if (positionsPort < 0)
    return Status::ok();
  maxPositions = indexBound(program, positionsPort);
  size_t rank = inputs[positionsPort].dims.size();
  if (rank != 2 && !(rank == 3 && inputs[positionsPort].dims[0] == "3"))
    return unsupported("input 'position_ids' is neither [batch, seq] nor [3, "
                       "batch, seq]");
  return Status::ok();
}

Status LanguageModel::findLogits() {
  std::span<const PortInfo> outputs = context->model().outputs();
  for (size_t i = 0; i < outputs.size(); ++i)
    if (!outputs[i].isState && isFloat(outputs[i].dtype) &&
        (logitsPort < 0 || outputs[i].name == "logits"))
      logitsPort = static_cast<int>(i);
  if (logitsPort < 0 || outputs[logitsPort].dims.size() != 3)
    return unsupported(
        "the model has no output 'logits' [batch, seq, vocabulary]");
  return Status::ok();
}

Status LanguageModel::reserve(int64_t numRows, int64_t promptLength,
                              int64_t length) {
  std::map<std::string, int64_t> maxima;
  const std::vector<std::string> &dims =
      context->model().inputs()[idsPort].dims;
  auto set = [&](const std::string &symbol, int64_t value) {
    if (DimExpr::isSymbolName(symbol))
      maxima[symbol] = value;
  };
  set(dims[0], numRows);
  set(dims[1], cached ? promptLength : length);
  set(pastSymbol(context->model()), length);
  return context->prepare(maxima);
}

void LanguageModel::reset() {
  context->resetState();
  numFed = 0;
}

StatusOr<HostTensor> LanguageModel::makeInput(int port,
                                              const TokenBatch &batch) const {
  const PortInfo &info = context->model().inputs()[port];
  bool isMask = port == maskPort;
  int64_t first = isMask ? 0 : numFed, count = batch.length - first;
  std::vector<int64_t> dims = {batch.numRows, count};
  if (info.dims.size() == 3)
    dims.insert(dims.begin(), 3);
  MOE_ASSIGN_OR_RETURN(HostTensor tensor,
                       HostTensor::create(info.name, DType::I64, dims));
  std::span<int64_t> values = tensor.as<int64_t>();
  for (int64_t row = 0; row < batch.numRows; ++row) {
    int64_t position = -1;
    for (int64_t i = 0; i < batch.length; ++i) {
      int64_t from = row * batch.length + i;
      position += batch.mask[from];
      if (i < first)
        continue;
      int64_t value = isMask            ? batch.mask[from]
                      : port == idsPort ? batch.ids[from]
                                        : std::max<int64_t>(position, 0);
      // All three planes of [3, batch, seq] are equal for text.
      int64_t numPlanes = info.dims.size() == 3 ? 3 : 1;
      for (int64_t plane = 0; plane < numPlanes; ++plane)
        values[(plane * batch.numRows + row) * count + i - first] = value;
    }
  }
  if (info.dtype == DType::I64)
    return tensor;
  return convertTensor(tensor, info.dtype);
}

Status LanguageModel::run(const TokenBatch &batch) {
  if (!cached)
    numFed = 0;
  std::vector<HostTensor> tensors;
  std::vector<Input> inputs;
  for (int port : {idsPort, maskPort, positionsPort}) {
    if (port < 0)
      continue;
    MOE_ASSIGN_OR_RETURN(HostTensor tensor, makeInput(port, batch));
    tensors.push_back(std::move(tensor));
  }
  for (const HostTensor &tensor : tensors)
    inputs.push_back(
        {tensor.name(), tensor.dtype(), tensor.dims(), tensor.bytes().data()});
  RunOptions options;
  options.keepState = cached;
  MOE_ASSIGN_OR_RETURN(std::span<const Output> outputs,
                       context->run(inputs, options));
  const std::string &name = context->model().outputs()[logitsPort].name;
  auto found = std::find_if(outputs.begin(), outputs.end(),
                            [&](const Output &o) { return o.name == name; });
  if (found == outputs.end() || found->dims.size() != 3 ||
      found->dims[0] != batch.numRows || found->dims[1] < 1)
    return Status(StatusCode::Internal,
                  "output '" + name + "' has no row of logits");
  output = *found;
  numFed = batch.length;
  return Status::ok();
}

StatusOr<std::span<const float>> LanguageModel::logits(int64_t batchRow,
                                                       int64_t position) {
  int64_t numPositions = output.dims[1], size = output.dims[2];
  if (position < 0)
    position += numPositions;
  if (position < 0 || position >= numPositions)
    return unsupported(
        "the model gives logits for " + std::to_string(numPositions) +
        " tokens only, not for position " + std::to_string(position));
  int64_t first = (batchRow * numPositions + position) * size;
  if (output.dtype == DType::F32)
    return std::span(static_cast<const float *>(output.data) + first, size);
  row.resize(size);
  for (int64_t i = 0; i < size; ++i) {
    if (output.dtype == DType::F64) {
      row[i] = static_cast<float>(
          static_cast<const double *>(output.data)[first + i]);
      continue;
    }
    uint16_t bits = static_cast<const uint16_t *>(output.data)[first + i];
    row[i] =
        output.dtype == DType::F16 ? halfToFloat(bits) : bfloat16ToFloat(bits);
  }
  return std::span<const float>(row);
}
