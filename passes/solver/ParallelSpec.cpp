//===- ParallelSpec.cpp - What a user asks of mesh and layers -------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/solver/ParallelSpec.h"

#include "runtime/support/Lists.h"

#include <charconv>
#include <utility>
#include <vector>

using namespace moe;
using namespace moe::solver;

/// Far beyond any mesh; products of three stay in 64 bits.
static constexpr int64_t kMaxDegree = 65536;
static constexpr int64_t kMaxTokens = int64_t(1) << 40;

static constexpr std::pair<Exchange, std::string_view> kExchanges[] = {
    {Exchange::Flat, "flat"},
    {Exchange::Hierarchical, "hierarchical"},
    {Exchange::Coordinated, "coordinated"},
    {Exchange::Replicated, "replicated"}};
static constexpr std::pair<ExpertForm, std::string_view> kExpertForms[] = {
    {ExpertForm::Spread, "spread"},
    {ExpertForm::Slice, "slice"},
    {ExpertForm::Replicate, "replicate"}};

static Status usage(std::string message) {
  return Status(StatusCode::Usage, std::move(message));
}

static std::string quoted(std::string_view text) {
  return "'" + std::string(text) + "'";
}

/// `name` is what a message calls the number.
static StatusOr<int64_t> parseNumber(std::string_view name,
                                     std::string_view text, int64_t least,
                                     int64_t most) {
  int64_t value = 0;
  auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() ||
      value < least || value > most)
    return usage(std::string(name) + ": " + quoted(text) +
                 " is not a number between " + std::to_string(least) + " and " +
                 std::to_string(most));
  return value;
}

//===----------------------------------------------------------------------===//
// Meshes
//===----------------------------------------------------------------------===//

std::string solver::toString(const MeshDegrees &mesh) {
  return "dp = " + std::to_string(mesh.dp) +
         ", ep = " + std::to_string(mesh.ep) +
         ", tp = " + std::to_string(mesh.tp);
}

StatusOr<MeshDegrees> solver::parseMesh(std::string_view text) {
  MeshDegrees mesh;
  MOE_ASSIGN_OR_RETURN(auto parts, splitList(text));
  for (std::string_view part : parts) {
    std::string_view name = part.substr(0, part.find('='));
    int64_t *degree = name == "dp"   ? &mesh.dp
                      : name == "ep" ? &mesh.ep
                      : name == "tp" ? &mesh.tp
                                     : nullptr;
    if (!degree || name.size() == part.size())
      return usage("unknown degree " + quoted(part) +
                   ", expected dp=N, ep=N and tp=N, joined by commas");
    if (*degree != 0)
      return usage(std::string(name) + " is there twice");
    MOE_ASSIGN_OR_RETURN(
        *degree,
        parseNumber(name, part.substr(name.size() + 1), 1, kMaxDegree));
  }
  return mesh;
}

StatusOr<MeshDegrees> solver::completeMesh(MeshDegrees given,
                                           int64_t numRanks) {
  MeshDegrees mesh = given;
  for (int64_t *degree : {&mesh.dp, &mesh.ep, &mesh.tp})
    *degree = *degree ? *degree : 1;
  if (mesh.numRanks() > kMaxDegree)
    return usage("a mesh of " + toString(mesh) + " has more than " +
                 std::to_string(kMaxDegree) + " ranks");
  if (numRanks == 0 || mesh.numRanks() == numRanks)
    return mesh;
  int64_t *open = !given.ep   ? &mesh.ep
                  : !given.dp ? &mesh.dp
                  : !given.tp ? &mesh.tp
                              : nullptr;
  if (open && numRanks % mesh.numRanks() == 0) {
    *open = numRanks / mesh.numRanks();
    return mesh;
  }
  std::string product = std::to_string(mesh.numRanks());
  if (open)
    return usage(std::to_string(numRanks) +
                 " ranks are not a multiple of the " + product +
                 " that the mesh takes");
  return usage("a mesh of " + toString(mesh) + " has " + product +
               " ranks, expected " + std::to_string(numRanks));
}

//===----------------------------------------------------------------------===//
// Forms of layers
//===----------------------------------------------------------------------===//

std::string_view solver::toString(Exchange exchange) {
  return kExchanges[static_cast<size_t>(exchange)].second;
}

std::string_view solver::toString(ExpertForm experts) {
  return kExpertForms[static_cast<size_t>(experts)].second;
}

std::optional<Exchange> solver::parseExchange(std::string_view word) {
  for (auto [exchange, name] : kExchanges)
    if (word == name)
      return exchange;
  return std::nullopt;
}

std::optional<ExpertForm> solver::parseExpertForm(std::string_view word) {
  for (auto [experts, name] : kExpertForms)
    if (word == name)
      return experts;
  return std::nullopt;
}

LayerForm LayerForm::orElse(const LayerForm &other) const {
  LayerForm form = *this;
  auto take = [](auto &mine, const auto &theirs) {
    if (!mine)
      mine = theirs;
  };
  take(form.exchange, other.exchange);
  // A number of slices belongs to the word "slice" beside it.
  if (!form.experts) {
    form.experts = other.experts;
    form.slices = other.slices;
  }
  take(form.small, other.small);
  take(form.smallTokens, other.smallTokens);
  take(form.chunks, other.chunks);
  take(form.chunkTokens, other.chunkTokens);
  return form;
}

std::string solver::toString(const LayerForm &form) {
  std::string text;
  auto add = [&](const std::string &word) {
    text += (text.empty() ? "" : "+") + word;
  };
  auto addNumber = [&](const char *name, const std::optional<int64_t> &number) {
    if (number)
      add(name + std::to_string(*number));
  };
  if (form.experts)
    add(std::string(toString(*form.experts)) +
        (form.slices.value_or(0) ? "=" + std::to_string(*form.slices) : ""));
  if (form.exchange)
    add(std::string(toString(*form.exchange)));
  if (form.small)
    add("small=" + std::string(toString(*form.small)));
  addNumber("small-tokens=", form.smallTokens);
  addNumber("chunks=", form.chunks);
  addNumber("chunk-tokens=", form.chunkTokens);
  return text.empty() ? "default" : text;
}

LayerForm LayerForms::of(int64_t layer) const {
  auto it = layers.find(layer);
  return it == layers.end() ? all : it->second.orElse(all);
}

Status LayerForms::checkLayers(int64_t numLayers) const {
  if (layers.empty() || layers.rbegin()->first < numLayers)
    return Status::ok();
  std::string found = "MoE layer " + std::to_string(layers.rbegin()->first) +
                      " does not exist: the model has ";
  if (numLayers == 0)
    return usage(found + "none");
  return usage(found + std::to_string(numLayers) + ", counted from 0");
}

/// One word that is a name and a number, or small=.
static Status setValue(LayerForm &form, std::string_view word) {
  std::string_view name = word.substr(0, word.find('='));
  std::string_view value =
      name.size() < word.size() ? word.substr(name.size() + 1) : "";
  if (name == "small") {
    form.small = parseExchange(value);
    if (form.small == Exchange::Flat || form.small == Exchange::Hierarchical)
      return Status::ok();
    return usage("small: " + quoted(value) +
                 " is not one of flat and hierarchical");
  }
  if (name == "slice") {
    form.experts = ExpertForm::Slice;
    MOE_ASSIGN_OR_RETURN(form.slices, parseNumber(name, value, 1, kMaxDegree));
    return Status::ok();
  }
  std::optional<int64_t> *number = name == "small-tokens"   ? &form.smallTokens
                                   : name == "chunks"       ? &form.chunks
                                   : name == "chunk-tokens" ? &form.chunkTokens
                                                            : nullptr;
  if (!number)
    return usage(
        "unknown form " + quoted(word) +
        ", expected flat, hierarchical, coordinated, replicated, spread, "
        "slice[=N], replicate, small=FORM, small-tokens=N, chunks=N or "
        "chunk-tokens=N");
  MOE_ASSIGN_OR_RETURN(
      *number,
      parseNumber(name, value, 1, name == "chunks" ? kMaxDegree : kMaxTokens));
  return Status::ok();
}

static StatusOr<LayerForm> parseForm(std::string_view text) {
  LayerForm form;
  auto words = splitList(text, '+');
  MOE_RETURN_IF_ERROR(words.status().at("form " + quoted(text)));
  for (std::string_view word : *words) {
    if (std::optional<Exchange> exchange = parseExchange(word)) {
      if (form.exchange)
        return usage(quoted(text) + " says twice how rows travel");
      form.exchange = exchange;
      continue;
    }
    bool hadExperts = form.experts.has_value();
    std::optional<ExpertForm> experts = parseExpertForm(word);
    if (experts)
      form.experts = experts;
    else
      MOE_RETURN_IF_ERROR(setValue(form, word));
    if (hadExperts && (experts || word.starts_with("slice=")))
      return usage(quoted(text) + " says twice how experts lie on ranks");
  }
  return form;
}

StatusOr<LayerForms> solver::parseLayerForms(std::string_view text) {
  LayerForms forms;
  if (text.empty())
    return forms;
  MOE_ASSIGN_OR_RETURN(auto entries, splitList(text));
  for (std::string_view entry : entries) {
    size_t colon = entry.find(':');
    if (colon == entry.npos)
      return usage(quoted(entry) + " is not LAYER:FORM, as in 3:slice or "
                                   "*:hierarchical");
    std::string_view layer = entry.substr(0, colon);
    MOE_ASSIGN_OR_RETURN(LayerForm form, parseForm(entry.substr(colon + 1)));
    if (layer == "*") {
      forms.all = form.orElse(forms.all);
      continue;
    }
    MOE_ASSIGN_OR_RETURN(int64_t number,
                         parseNumber("layer", layer, 0, kMaxTokens));
    LayerForm &known = forms.layers[number];
    known = form.orElse(known);
  }
  return forms;
}

//===----------------------------------------------------------------------===//
// Contradictions
//===----------------------------------------------------------------------===//

static Status checkHierarchical(const FormLimits &limits) {
  if (limits.nodeSize == 0)
    return usage("hierarchical: needs the number of ranks on a node "
                 "(--node-size)");
  int64_t numRanks = limits.mesh.numRanks();
  if (numRanks % limits.nodeSize != 0)
    return usage("hierarchical: nodes of " + std::to_string(limits.nodeSize) +
                 " ranks do not divide " + std::to_string(numRanks) + " ranks");
  return Status::ok();
}

Status solver::checkForm(const LayerForm &form, const FormLimits &limits) {
  if (form.experts == ExpertForm::Slice && limits.reduceExact)
    return usage("slice: sums of an expert are not split over ranks with "
                 "--reduce=exact");
  if (form.slices.value_or(0) > limits.mesh.numRanks())
    return usage("slice=" + std::to_string(*form.slices) + ": there are only " +
                 std::to_string(limits.mesh.numRanks()) + " ranks");
  if (form.exchange == Exchange::Coordinated && limits.mesh.tp == 1)
    return usage("coordinated: needs a mesh with tp > 1");
  if (form.exchange == Exchange::Hierarchical ||
      form.small == Exchange::Hierarchical)
    MOE_RETURN_IF_ERROR(checkHierarchical(limits));
  if (form.small.has_value() != form.smallTokens.has_value())
    return usage("small and small-tokens need each other");
  if (form.chunkTokens && !form.chunks)
    return usage("chunk-tokens: needs chunks");
  return Status::ok();
}
