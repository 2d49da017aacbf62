//===- LoadProfile.cpp - Expert loads in a file ---------------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/io/LoadProfile.h"

#include "runtime/io/Json.h"

#include <optional>

using namespace moe;
using nlohmann::json;
using nlohmann::ordered_json;

static constexpr int64_t kVersion = 1;
static constexpr int64_t kMaxExperts = 65536;

//===----------------------------------------------------------------------===//
// Writing
//===----------------------------------------------------------------------===//

static ordered_json phaseJson(const ExpertLoads::Phase &phase) {
  return {{"runs", phase.runs}, {"rows", phase.rows}};
}

static ordered_json layerJson(const ExpertLoads &loads) {
  ordered_json pairs = ordered_json::array();
  int64_t numExperts = loads.pairs.empty() ? 0 : loads.numExperts();
  for (int64_t a = 0; a < numExperts; ++a)
    for (int64_t b = a + 1; b < numExperts; ++b)
      if (int64_t tokens = loads.pair(a, b))
        pairs.push_back({a, b, tokens});
  return {{"experts", loads.numExperts()},
          {"small", phaseJson(loads.small)},
          {"large", phaseJson(loads.large)},
          {"pairs", std::move(pairs)}};
}

std::string moe::writeLoadProfile(const LoadProfile &profile) {
  ordered_json layers = ordered_json::array();
  for (const ExpertLoads &loads : profile.layers)
    layers.push_back(layerJson(loads));
  ordered_json root = {{"version", kVersion},
                       {"model", profile.model},
                       {"layers", std::move(layers)}};
  return jsonText(root) + "\n";
}

//===----------------------------------------------------------------------===//
// Reading
//===----------------------------------------------------------------------===//

static Status wrong(const std::string &place, const std::string &what) {
  return Status(StatusCode::IoError, "profile: " + place + ": " + what);
}

/// A whole number of at least 0; nothing if it is none.
static std::optional<int64_t> countOf(const json &value) {
  if (!value.is_number_integer() || value.get<double>() < 0 ||
      value.get<double>() > 9e18)
    return std::nullopt;
  return value.get<int64_t>();
}

static StatusOr<int64_t> readCount(const json &object, const char *key,
                                   const std::string &place) {
  auto it = object.find(key);
  std::optional<int64_t> count =
      it == object.end() ? std::nullopt : countOf(*it);
  if (!count)
    return wrong(place,
                 "needs \"" + std::string(key) + "\", a number of at least 0");
  return *count;
}

static Status readPhase(const json &layer, const char *key,
                        const std::string &place, ExpertLoads::Phase &phase) {
  std::string where = place + ", \"" + key + "\"";
  auto it = layer.find(key);
  if (it == layer.end() || !it->is_object())
    return wrong(where, "is no object");
  MOE_ASSIGN_OR_RETURN(phase.runs, readCount(*it, "runs", where));
  auto rows = it->find("rows");
  if (rows == it->end() || !rows->is_array() ||
      rows->size() != phase.rows.size())
    return wrong(where, "needs \"rows\", one for each of " +
                            std::to_string(phase.rows.size()) + " experts");
  for (size_t e = 0; e < phase.rows.size(); ++e) {
    std::optional<int64_t> count = countOf((*rows)[e]);
    if (!count)
      return wrong(where, "the rows of expert " + std::to_string(e) +
                              " are no number of at least 0");
    phase.rows[e] = *count;
  }
  return Status::ok();
}

static Status readPairs(const json &layer, const std::string &place,
                        ExpertLoads &loads) {
  auto it = layer.find("pairs");
  if (it == layer.end())
    return Status::ok();
  if (!it->is_array())
    return wrong(place, "\"pairs\" is no list");
  int64_t numExperts = loads.numExperts();
  for (const json &pair : *it) {
    bool isTriple = pair.is_array() && pair.size() == 3;
    std::optional<int64_t> a = isTriple ? countOf(pair[0]) : std::nullopt;
    std::optional<int64_t> b = isTriple ? countOf(pair[1]) : std::nullopt;
    std::optional<int64_t> tokens = isTriple ? countOf(pair[2]) : std::nullopt;
    if (!a || !b || !tokens || *a >= *b || *b >= numExperts ||
        loads.pairs.empty())
      return wrong(place, "a pair is no [a, b, tokens] with a < b < " +
                              std::to_string(numExperts));
    loads.pair(*a, *b) = *tokens;
  }
  return Status::ok();
}

static StatusOr<ExpertLoads> readLayer(const json &layer,
                                       const std::string &place) {
  if (!layer.is_object())
    return wrong(place, "is no object");
  MOE_ASSIGN_OR_RETURN(int64_t numExperts, readCount(layer, "experts", place));
  // The rows that follow must be there before memory is asked for.
  auto small = layer.find("small");
  bool hasRows = small != layer.end() && small->is_object() &&
                 small->contains("rows") &&
                 small->at("rows").size() == static_cast<size_t>(numExperts);
  if (numExperts < 1 || numExperts > kMaxExperts || !hasRows)
    return wrong(place, "needs \"small\" with rows of 1 to " +
                            std::to_string(kMaxExperts) + " experts");
  ExpertLoads loads(numExperts);
  MOE_RETURN_IF_ERROR(readPhase(layer, "small", place, loads.small));
  MOE_RETURN_IF_ERROR(readPhase(layer, "large", place, loads.large));
  MOE_RETURN_IF_ERROR(readPairs(layer, place, loads));
  return loads;
}

StatusOr<LoadProfile> moe::readLoadProfile(std::string_view text) {
  MOE_ASSIGN_OR_RETURN(json root, parseJson(text));
  if (!root.is_object())
    return wrong("the file", "is no object");
  MOE_ASSIGN_OR_RETURN(int64_t version, readCount(root, "version", "the file"));
  if (version != kVersion)
    return wrong("the file", "has version " + std::to_string(version) +
                                 ", expected " + std::to_string(kVersion));
  auto layers = root.find("layers");
  if (layers == root.end() || !layers->is_array())
    return wrong("the file", "needs \"layers\", a list");
  LoadProfile profile;
  if (auto model = root.find("model"); model != root.end()) {
    if (!model->is_string())
      return wrong("the file", "\"model\" is no text");
    profile.model = model->get<std::string>();
  }
  for (size_t i = 0; i < layers->size(); ++i) {
    MOE_ASSIGN_OR_RETURN(ExpertLoads loads,
                         readLayer((*layers)[i], "layer " + std::to_string(i)));
    profile.layers.push_back(std::move(loads));
  }
  return profile;
}
