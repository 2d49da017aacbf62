//===- LayerSpec.cpp - One expert layer without a model -------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "tools/moe-run/LayerSpec.h"

#include "runtime/io/Utf8.h"
#include "runtime/params/Layouts.h"
#include "runtime/params/Quantize.h"
#include "runtime/support/Lists.h"
#include "tools/common/CommandLine.h"

#include <algorithm>
#include <charconv>

using namespace moe;
using namespace moe::tools;

/// Products of all of them fit 64 bits.
static constexpr int64_t kMostExperts = 65536, kMostColumns = 1 << 20;
/// Copies are for small layers; more of them would be a test of tables.
static constexpr int64_t kMostCopiedExperts = 8192;

static Status usage(const std::string &message) {
  return Status(StatusCode::Usage, "--layer: " + message);
}

//===----------------------------------------------------------------------===//
// The text
//===----------------------------------------------------------------------===//

namespace {
struct ActivationRow {
  const char *given, *keyword;
};
struct SizeRow {
  const char *key;
  int64_t LayerSpec::*member;
  int64_t most;
};
} // namespace

static constexpr ActivationRow kActivations[] = {
    {"silu", "silu"},           {"gelu", "gelu_erf"}, {"gelu_erf", "gelu_erf"},
    {"gelu_tanh", "gelu_tanh"}, {"relu", "relu"},     {"relu2", "relu2"},
    {"sigmoid", "sigmoid"},     {"tanh", "tanh"},     {"identity", "identity"},
};
static constexpr SizeRow kSizes[] = {
    {"E", &LayerSpec::experts, kMostExperts},
    {"k", &LayerSpec::k, kMostExperts},
    {"H", &LayerSpec::hidden, kMostColumns},
    {"I", &LayerSpec::inner, kMostColumns},
};

static Status setActivation(LayerSpec &spec, const std::string &value) {
  std::vector<std::string> names;
  std::string list;
  for (const ActivationRow &row : kActivations) {
    if (value == row.given) {
      spec.activation = row.keyword;
      return Status::ok();
    }
    names.push_back(row.given);
    list += (list.empty() ? "" : ", ") + names.back();
  }
  return usage("act is '" + printableUtf8(value) + "', expected one of " +
               list + didYouMean(value, names));
}

static Status setSize(LayerSpec &spec, const SizeRow &row,
                      const std::string &value) {
  int64_t number = 0;
  const char *end = value.data() + value.size();
  auto [last, error] = std::from_chars(value.data(), end, number);
  if (value.empty() || error != std::errc() || last != end || number < 1 ||
      number > row.most)
    return usage(std::string(row.key) + " is '" + printableUtf8(value) +
                 "', expected a number from 1 to " + std::to_string(row.most));
  spec.*row.member = number;
  return Status::ok();
}

static Status setItem(LayerSpec &spec, const std::string &key,
                      const std::string &value, bool hasValue) {
  if (key == "gated") {
    if (hasValue)
      return usage("gated takes no value");
    spec.isGated = true;
    return Status::ok();
  }
  if (key == "act")
    return setActivation(spec, value);
  for (const SizeRow &row : kSizes)
    if (key == row.key)
      return setSize(spec, row, value);
  return usage("unknown key '" + printableUtf8(key) +
               "', expected E, k, H, I, act or gated, as in "
               "E=128,k=8,H=2048,I=768,act=silu,gated" +
               didYouMean(key, {"E", "k", "H", "I", "act", "gated"}));
}

StatusOr<LayerSpec> tools::parseLayer(std::string_view text) {
  LayerSpec spec;
  std::vector<std::string> seen;
  auto items = splitList(text);
  MOE_RETURN_IF_ERROR(items.status().at("--layer"));
  for (std::string_view item : *items) {
    size_t equals = std::min(item.find('='), item.size());
    std::string key(item.substr(0, equals));
    bool hasValue = equals < item.size();
    std::string value(hasValue ? item.substr(equals + 1) : "");
    MOE_RETURN_IF_ERROR(setItem(spec, key, value, hasValue));
    if (std::find(seen.begin(), seen.end(), key) != seen.end())
      return usage(key + " is given twice");
    seen.push_back(key);
  }
  for (const SizeRow &row : kSizes)
    if (spec.*row.member == 0)
      return usage(std::string(row.key) +
                   " is missing, expected E, k, H and I, as in "
                   "E=128,k=8,H=2048,I=768,act=silu,gated");
  if (spec.k > spec.experts)
    return usage("k is " + std::to_string(spec.k) +
                 ", expected at most E = " + std::to_string(spec.experts));
  return spec;
}

//===----------------------------------------------------------------------===//
// Types and sizes
//===----------------------------------------------------------------------===//

Status tools::setTypes(LayerSpec &spec, const LayerTypes &types) {
  spec.weightType = types.weights;
  spec.roundsRows = types.activations == "int8";
  bool isQuantised = types.weights == "int8" || types.weights == "int4";
  if (!isQuantised) {
    std::optional<DType> dtype = parseDType(types.weights);
    if (!dtype || !isPanelType(*dtype))
      return Status(StatusCode::Usage,
                    "--dtype is '" + printableUtf8(types.weights) +
                        "', expected f32, f16, bf16, int8 or int4");
    if (spec.roundsRows)
      return Status(StatusCode::Usage,
                    "--activations=int8 needs weights of int8 or int4, not " +
                        types.weights);
    if (types.hasZeroPoints)
      return Status(StatusCode::Usage,
                    "--quant-zero-points needs weights of int8 or int4, not " +
                        types.weights);
    spec.dtype = *dtype;
    return Status::ok();
  }
  if (types.block != 0 && types.block != 16 && types.block % 32 != 0)
    return Status(StatusCode::Usage,
                  "--quant-block is " + std::to_string(types.block) +
                      ", expected 0, 16 or a multiple of 32");
  if (spec.roundsRows && types.block % 32 != 0)
    return Status(StatusCode::Usage,
                  "--activations=int8 needs blocks of a multiple of 32");
  QuantFormat format;
  format.bits = types.weights == "int8" ? 8 : 4;
  format.hasZeroPoints = types.hasZeroPoints;
  // Whole columns: one block, which both matrices have room in.
  format.block = quantBlock(types.block, std::max(spec.hidden, spec.inner));
  spec.dtype = DType::F32;
  spec.layout = quantLayoutName(format);
  return Status::ok();
}

std::vector<LayerParam> tools::paramsOf(const LayerSpec &spec) {
  auto matrix = [&](const char *name, int64_t rows, int64_t columns) {
    return LayerParam{name, rows, columns, spec.dtype, spec.layout};
  };
  auto bias = [&](const char *name, int64_t columns) {
    return spec.hasBias ? LayerParam{name, 0, columns} : LayerParam();
  };
  int64_t H = spec.hidden, I = spec.inner;
  std::vector<LayerParam> params = {matrix("w1", H, I), bias("b1", I),
                                    matrix("w2", I, H), bias("b2", H)};
  if (spec.isGated) {
    params.push_back(matrix("w3", H, I));
    params.push_back(bias("b3", I));
  } else {
    params.resize(6);
  }
  return params;
}

StatusOr<uint64_t> tools::expertBytes(const LayerSpec &spec) {
  uint64_t sum = 0;
  for (const LayerParam &param : paramsOf(spec)) {
    if (param.name.empty())
      continue;
    std::vector<int64_t> dims = param.dims();
    MOE_ASSIGN_OR_RETURN(uint64_t bytes,
                         layoutBytes(param.layout, param.dtype, dims));
    sum += bytes;
  }
  return sum;
}

Status tools::setCopies(LayerSpec &spec, uint64_t workingSet) {
  MOE_ASSIGN_OR_RETURN(uint64_t each, expertBytes(spec));
  uint64_t layer = std::max<uint64_t>(each, 1) * spec.experts;
  uint64_t wanted = (workingSet + layer - 1) / layer;
  uint64_t most = std::max<int64_t>(kMostCopiedExperts / spec.experts, 1);
  spec.copies = static_cast<int64_t>(std::clamp<uint64_t>(wanted, 1, most));
  return Status::ok();
}
