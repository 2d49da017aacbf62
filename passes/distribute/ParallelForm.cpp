//===- ParallelForm.cpp - Decisions about a mesh in the IR ----------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/distribute/ParallelForm.h"

#include "mlir/IR/Builders.h"

using namespace mlir;
using namespace moe;
using namespace moe::solver;

DictionaryAttr moe::pass::toAttribute(MLIRContext *context,
                                      const LayerForm &form) {
  Builder builder(context);
  NamedAttrList list;
  auto setWord = [&](StringRef key, const auto &word) {
    if (word)
      list.set(key, builder.getStringAttr(StringRef(toString(*word))));
  };
  auto setNumber = [&](StringRef key, const std::optional<int64_t> &number) {
    if (number)
      list.set(key, builder.getI64IntegerAttr(*number));
  };
  setWord("exchange", form.exchange);
  setWord("experts", form.experts);
  setWord("small", form.small);
  setNumber("slices", form.slices);
  setNumber("small_tokens", form.smallTokens);
  setNumber("chunks", form.chunks);
  setNumber("chunk_tokens", form.chunkTokens);
  return list.empty() ? DictionaryAttr() : list.getDictionary(context);
}

/// Whether the value of `entry` is one that its key takes.
static bool setKey(LayerForm &form, NamedAttribute entry) {
  StringRef key = entry.getName();
  if (auto word = dyn_cast<StringAttr>(entry.getValue())) {
    if (key == "experts")
      return (form.experts = parseExpertForm(word.getValue())).has_value();
    if (key == "exchange")
      return (form.exchange = parseExchange(word.getValue())).has_value();
    return key == "small" &&
           (form.small = parseExchange(word.getValue())).has_value();
  }
  auto number = dyn_cast<IntegerAttr>(entry.getValue());
  std::optional<int64_t> *place = key == "slices"         ? &form.slices
                                  : key == "small_tokens" ? &form.smallTokens
                                  : key == "chunks"       ? &form.chunks
                                  : key == "chunk_tokens" ? &form.chunkTokens
                                                          : nullptr;
  if (!place || !number || !number.getType().isSignlessInteger(64) ||
      number.getInt() < 0)
    return false;
  *place = number.getInt();
  return true;
}

StatusOr<LayerForm> moe::pass::toLayerForm(DictionaryAttr attribute) {
  LayerForm form;
  if (!attribute)
    return form;
  for (NamedAttribute entry : attribute)
    if (!setKey(form, entry))
      return Status(StatusCode::Usage, "'" + kForm.str() +
                                           "': unknown key or "
                                           "value at '" +
                                           entry.getName().str() + "'");
  return form;
}
