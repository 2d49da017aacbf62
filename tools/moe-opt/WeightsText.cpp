//===- WeightsText.cpp - The report about weights -------------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "tools/moe-opt/WeightsText.h"

#include "tools/common/Table.h"

#include <cstdio>

using namespace moe;
using namespace moe::tool;
using nlohmann::ordered_json;
using pass::ProductRow;
using pass::WeightRow;
using tools::bytesText;
using tools::Table;

static constexpr size_t kNameWidth = 44;

static std::string bytes(double value) {
  return bytesText(static_cast<uint64_t>(value));
}

/// Three digits that matter: "0.0123", "1.2e-05".
static std::string errorText(double value) {
  char text[32];
  std::snprintf(text, sizeof(text), "%.3g", value);
  return text;
}

std::string tool::weightsText(const std::vector<ProductRow> &products) {
  Table table({"product", "arithmetic", "weight", "stored as", ">bytes before",
               ">after", ">largest error", ">relative"});
  double before = 0, after = 0;
  for (const ProductRow &product : products) {
    bool isFirst = true;
    for (const WeightRow &weight : product.weights) {
      const auto &error = product.error;
      bool showsError = isFirst && error;
      std::string role = weight.role.empty() ? "" : weight.role + " ";
      table.addRow({isFirst ? tools::shortText(product.node, kNameWidth) : "",
                    isFirst ? product.arithmetic : "",
                    tools::shortText(role + weight.name, kNameWidth),
                    weight.stored, bytes(weight.bytesBefore),
                    bytes(weight.bytesAfter),
                    showsError ? errorText(error->largest) : "",
                    showsError ? errorText(error->relative) : ""});
      before += weight.bytesBefore;
      after += weight.bytesAfter;
      isFirst = false;
    }
  }
  if (table.isEmpty())
    return "";
  return "\nWeights of products: " + bytes(before) + " before rounding, " +
         bytes(after) + " after\n" + table.text();
}

ordered_json tool::weightsJson(const std::vector<ProductRow> &products) {
  auto json = ordered_json::array();
  for (const ProductRow &product : products) {
    auto weights = ordered_json::array();
    for (const WeightRow &weight : product.weights)
      weights.push_back({{"name", weight.name},
                         {"role", weight.role},
                         {"stored_as", weight.stored},
                         {"bytes_before", weight.bytesBefore},
                         {"bytes", weight.bytesAfter}});
    ordered_json row = {{"node", product.node},
                        {"operation", product.operation},
                        {"arithmetic", product.arithmetic},
                        {"weights", std::move(weights)}};
    if (product.error) {
      row["largest_error"] = product.error->largest;
      row["relative_error"] = product.error->relative;
    }
    json.push_back(std::move(row));
  }
  return json;
}
