//===- Cluster.cpp - The machines that a plan runs on ---------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/cost/Cluster.h"

#include "runtime/io/Json.h"
#include "runtime/support/File.h"

#include <algorithm>
#include <cmath>
#include <initializer_list>
#include <utility>

using namespace moe;
using namespace moe::cost;
using nlohmann::json;

static constexpr std::string_view kKindNames[kNumKernelKinds] = {
    "product", "attention", "elementwise", "norm", "gate", "move"};
static constexpr uint64_t kMaxFileBytes = 1 << 20;
static constexpr size_t kMaxCaches = 8;
static constexpr double kMaxNumber = 1e24;
static constexpr double kMaxDevices = 1 << 20;
/// Products of integers over those of f32, where nobody says.
static constexpr double kInt8Ratio = 2;

std::string_view cost::toString(KernelKind kind) {
  return kKindNames[static_cast<size_t>(kind)];
}

Status Cluster::checkRanks(int64_t numRanks) const {
  if (nodes == 1 || numRanks <= nodes * devicesPerNode)
    return Status::ok();
  return Status(StatusCode::Usage,
                "the cluster has " + std::to_string(nodes) + " nodes of " +
                    std::to_string(devicesPerNode) + " devices, too few for " +
                    std::to_string(numRanks) + " ranks");
}

//===----------------------------------------------------------------------===//
// A machine that nobody described
//===----------------------------------------------------------------------===//

// Nothing here depends on this machine, so that neither do plans.
Cluster cost::defaultCluster() {
  Cluster cluster;
  Device &device = cluster.device;
  device.memoryBandwidth = 20e9;
  device.peakFlops = 100e9;
  device.peakInt8 = kInt8Ratio * device.peakFlops;
  device.caches = {{1e6, 100e9}, {16e6, 60e9}};
  device.stepOverhead = 50e-9;
  device.kernels = {{{100e-9, 0.7e-9},   // product
                     {200e-9, 2e-9},     // attention
                     {100e-9, 0.2e-9},   // elementwise
                     {100e-9, 0.3e-9},   // norm
                     {100e-9, 4e-9},     // gate
                     {50e-9, 0.03e-9}}}; // move
  cluster.nodeMemoryBandwidth = 80e9;
  cluster.insideNode = {0.5e-6, 8e9, 1e-6};
  cluster.acrossNodes = {5e-6, 3e9, 10e-6};
  return cluster;
}

//===----------------------------------------------------------------------===//
// Reading
//===----------------------------------------------------------------------===//

namespace {
/// One object of the file; every key must be asked for.
class Section {
public:
  Section(const json &object, std::string name)
      : object(object), name(std::move(name)) {}

  Status checkKeys(std::initializer_list<const char *> known) const {
    if (!object.is_object())
      return error("is not an object");
    for (const auto &[key, value] : object.items())
      if (std::find_if(known.begin(), known.end(), [&](const char *each) {
            return key == each;
          }) == known.end())
        return error("has the unknown key \"" + key + "\"");
    return Status::ok();
  }
  /// A number between `least` and `most`; nothing changes if it is left out.
  Status get(const char *key, double &value, double least,
             double most = kMaxNumber) const {
    auto it = object.find(key);
    if (it == object.end())
      return Status::ok();
    double number = it->is_number() ? it->get<double>() : std::nan("");
    if (!(number >= least && number <= most))
      return error(std::string("\"") + key + "\" is not a number between " +
                   textOf(least) + " and " + textOf(most));
    value = number;
    return Status::ok();
  }
  Status get(const char *key, int64_t &value, double least) const {
    double number = static_cast<double>(value);
    MOE_RETURN_IF_ERROR(get(key, number, least, kMaxDevices));
    if (number != std::floor(number))
      return error(std::string("\"") + key + "\" is not a whole number");
    value = static_cast<int64_t>(number);
    return Status::ok();
  }
  /// The object under `key`, or an empty one.
  Section inner(const char *key) const {
    static const json kEmpty = json::object();
    auto it = object.find(key);
    return {it == object.end() ? kEmpty : *it, name + "." + key};
  }
  const json *find(const char *key) const {
    auto it = object.find(key);
    return it == object.end() ? nullptr : &*it;
  }
  Status error(const std::string &what) const {
    return Status(StatusCode::Usage, name + ": " + what);
  }

private:
  static std::string textOf(double value) {
    char text[32];
    std::snprintf(text, sizeof(text), "%g", value);
    return text;
  }

  const json &object;
  std::string name;
};
} // namespace

static Status readCaches(const Section &section, Device &device) {
  const json *list = section.find("caches");
  if (!list)
    return Status::ok();
  if (!list->is_array() || list->size() > kMaxCaches)
    return section.error("\"caches\" is not a list of at most " +
                         std::to_string(kMaxCaches) + " levels");
  device.caches.clear();
  for (const json &entry : *list) {
    Section level(entry, "device.caches");
    MOE_RETURN_IF_ERROR(level.checkKeys({"bytes", "bandwidth"}));
    CacheLevel cache{1, device.memoryBandwidth};
    MOE_RETURN_IF_ERROR(level.get("bytes", cache.bytes, 1));
    MOE_RETURN_IF_ERROR(level.get("bandwidth", cache.bandwidth, 1));
    if (!device.caches.empty() && cache.bytes <= device.caches.back().bytes)
      return level.error("levels are not in the order of their bytes");
    device.caches.push_back(cache);
  }
  return Status::ok();
}

static Status readDevice(const Section &section, Device &device) {
  MOE_RETURN_IF_ERROR(
      section.checkKeys({"memory_bytes", "memory_bandwidth", "peak_flops",
                         "peak_int8", "caches", "step_overhead", "kernels"}));
  MOE_RETURN_IF_ERROR(section.get("memory_bytes", device.memoryBytes, 0));
  MOE_RETURN_IF_ERROR(
      section.get("memory_bandwidth", device.memoryBandwidth, 1));
  MOE_RETURN_IF_ERROR(section.get("peak_flops", device.peakFlops, 1));
  device.peakInt8 = kInt8Ratio * device.peakFlops;
  MOE_RETURN_IF_ERROR(section.get("peak_int8", device.peakInt8, 1));
  MOE_RETURN_IF_ERROR(section.get("step_overhead", device.stepOverhead, 0));
  Section kernels = section.inner("kernels");
  MOE_RETURN_IF_ERROR(kernels.checkKeys(
      {"product", "attention", "elementwise", "norm", "gate", "move"}));
  for (size_t kind = 0; kind < kNumKernelKinds; ++kind) {
    Section kernel = kernels.inner(kKindNames[kind].data());
    MOE_RETURN_IF_ERROR(kernel.checkKeys({"overhead", "per_unit"}));
    KernelCost &cost = device.kernels[kind];
    MOE_RETURN_IF_ERROR(kernel.get("overhead", cost.overhead, 0));
    MOE_RETURN_IF_ERROR(kernel.get("per_unit", cost.perUnit, 0));
  }
  return readCaches(section, device);
}

static Status readLink(const Section &section, Link &link) {
  MOE_RETURN_IF_ERROR(section.checkKeys({"latency", "bandwidth", "overhead"}));
  MOE_RETURN_IF_ERROR(section.get("latency", link.latency, 0));
  MOE_RETURN_IF_ERROR(section.get("bandwidth", link.bandwidth, 1));
  return section.get("overhead", link.overhead, 0);
}

StatusOr<Cluster> cost::parseCluster(std::string_view text) {
  StatusOr<json> parsed = parseJson(text);
  if (!parsed.isOk())
    return Status(StatusCode::Usage, parsed.status().message());
  Cluster cluster = defaultCluster();
  Section top(*parsed, "cluster");
  MOE_RETURN_IF_ERROR(
      top.checkKeys({"nodes", "devices_per_node", "device", "node", "links"}));
  MOE_RETURN_IF_ERROR(top.get("nodes", cluster.nodes, 1));
  MOE_RETURN_IF_ERROR(top.get("devices_per_node", cluster.devicesPerNode, 0));
  MOE_RETURN_IF_ERROR(readDevice(top.inner("device"), cluster.device));
  Section node = top.inner("node");
  MOE_RETURN_IF_ERROR(node.checkKeys({"memory_bandwidth"}));
  cluster.nodeMemoryBandwidth =
      std::max(cluster.nodeMemoryBandwidth, cluster.device.memoryBandwidth);
  MOE_RETURN_IF_ERROR(
      node.get("memory_bandwidth", cluster.nodeMemoryBandwidth, 1));
  Section links = top.inner("links");
  MOE_RETURN_IF_ERROR(links.checkKeys({"inside_node", "across_nodes"}));
  MOE_RETURN_IF_ERROR(readLink(links.inner("inside_node"), cluster.insideNode));
  MOE_RETURN_IF_ERROR(
      readLink(links.inner("across_nodes"), cluster.acrossNodes));
  if (cluster.nodes > 1 && cluster.devicesPerNode == 0)
    return top.error("several nodes need \"devices_per_node\"");
  return cluster;
}

StatusOr<Cluster> cost::readCluster(const std::string &path) {
  MOE_ASSIGN_OR_RETURN(std::string text, readWholeFile(path, kMaxFileBytes));
  StatusOr<Cluster> cluster = parseCluster(text);
  MOE_RETURN_IF_ERROR(cluster.status().at(path));
  return cluster;
}

//===----------------------------------------------------------------------===//
// Writing
//===----------------------------------------------------------------------===//

/// Three digits: nothing here is known better.
static double rounded(double value) {
  if (value == 0 || !std::isfinite(value))
    return value;
  char text[32];
  std::snprintf(text, sizeof(text), "%.3g", value);
  return std::strtod(text, nullptr);
}

static nlohmann::ordered_json linkJson(const Link &link) {
  return {{"latency", rounded(link.latency)},
          {"bandwidth", rounded(link.bandwidth)},
          {"overhead", rounded(link.overhead)}};
}

std::string cost::clusterText(const Cluster &cluster) {
  using nlohmann::ordered_json;
  const Device &device = cluster.device;
  auto caches = ordered_json::array();
  for (const CacheLevel &cache : device.caches)
    caches.push_back(
        {{"bytes", cache.bytes}, {"bandwidth", rounded(cache.bandwidth)}});
  ordered_json kernels;
  for (size_t kind = 0; kind < kNumKernelKinds; ++kind)
    kernels[std::string(kKindNames[kind])] = {
        {"overhead", rounded(device.kernels[kind].overhead)},
        {"per_unit", rounded(device.kernels[kind].perUnit)}};
  ordered_json text = {
      {"nodes", cluster.nodes},
      {"devices_per_node", cluster.devicesPerNode},
      {"device",
       {{"memory_bytes", device.memoryBytes},
        {"memory_bandwidth", rounded(device.memoryBandwidth)},
        {"peak_flops", rounded(device.peakFlops)},
        {"peak_int8", rounded(device.peakInt8)},
        {"caches", std::move(caches)},
        {"step_overhead", rounded(device.stepOverhead)},
        {"kernels", std::move(kernels)}}},
      {"node", {{"memory_bandwidth", rounded(cluster.nodeMemoryBandwidth)}}},
      {"links",
       {{"inside_node", linkJson(cluster.insideNode)},
        {"across_nodes", linkJson(cluster.acrossNodes)}}}};
  return text.dump(2) + "\n";
}
