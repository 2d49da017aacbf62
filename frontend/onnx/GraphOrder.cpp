//===- GraphOrder.cpp - In which order nodes are imported -----------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontend/onnx/GraphOrder.h"

#include <algorithm>
#include <functional>
#include <queue>
#include <unordered_map>
#include <unordered_set>

namespace moe::onnx_import {

std::string describeNode(const onnx::NodeProto &node, size_t index) {
  std::string text = node.name().empty() ? "#" : "\"";
  text += node.name().empty() ? std::to_string(index) : node.name() + "\"";
  return text + " (" + node.op_type() + ")";
}

namespace {

class NodeSorter {
public:
  NodeSorter(const NodeList &nodes,
             const std::function<bool(const std::string &)> &isDefined)
      : nodes(nodes), isDefined(isDefined), needs(nodes.size()),
        numNeeds(nodes.size(), 0), users(nodes.size()) {}

  Status findProducers();
  Status findNeeds();
  Status markLive(const std::vector<std::string> &results);
  StatusOr<std::vector<int>> sort();

private:
  Status addNeeds(int user, const onnx::NodeProto &node,
                  std::unordered_set<std::string> &inner);
  Status addGraphNeeds(int user, const onnx::GraphProto &graph,
                       std::unordered_set<std::string> inner);
  Status addNeed(int user, const std::string &name,
                 const std::unordered_set<std::string> &inner);
  Status error(const std::string &message) const {
    return {StatusCode::BadModel, message};
  }

  const NodeList &nodes;
  const std::function<bool(const std::string &)> &isDefined;
  std::unordered_map<std::string, int> producers;
  std::vector<std::vector<int>> needs;
  std::vector<size_t> numNeeds;
  std::vector<std::vector<int>> users;
  std::vector<char> isLive;
};

} // namespace

Status NodeSorter::findProducers() {
  for (int i = 0; i < nodes.size(); ++i)
    for (const std::string &name : nodes[i].output()) {
      if (name.empty())
        continue;
      if (isDefined(name) || !producers.emplace(name, i).second)
        return error("node " + describeNode(nodes[i], i) + ": value \"" + name +
                     "\" is defined twice");
    }
  return Status::ok();
}

Status NodeSorter::addNeed(int user, const std::string &name,
                           const std::unordered_set<std::string> &inner) {
  if (name.empty() || inner.count(name))
    return Status::ok();
  if (auto it = producers.find(name); it != producers.end())
    needs[user].push_back(it->second);
  else if (!isDefined(name))
    return error("node " + describeNode(nodes[user], user) + ": input \"" +
                 name + "\" has no value");
  return Status::ok();
}

// `inner` are the names that a subgraph around the node defines.
Status NodeSorter::addNeeds(int user, const onnx::NodeProto &node,
                            std::unordered_set<std::string> &inner) {
  for (const std::string &name : node.input())
    MOE_RETURN_IF_ERROR(addNeed(user, name, inner));
  for (const onnx::AttributeProto &attribute : node.attribute()) {
    if (attribute.has_g())
      MOE_RETURN_IF_ERROR(addGraphNeeds(user, attribute.g(), inner));
    for (const onnx::GraphProto &graph : attribute.graphs())
      MOE_RETURN_IF_ERROR(addGraphNeeds(user, graph, inner));
  }
  return Status::ok();
}

Status NodeSorter::addGraphNeeds(int user, const onnx::GraphProto &graph,
                                 std::unordered_set<std::string> inner) {
  for (const onnx::ValueInfoProto &input : graph.input())
    inner.insert(input.name());
  for (const onnx::TensorProto &tensor : graph.initializer())
    inner.insert(tensor.name());
  for (const onnx::NodeProto &node : graph.node())
    inner.insert(node.output().begin(), node.output().end());
  for (const onnx::NodeProto &node : graph.node())
    MOE_RETURN_IF_ERROR(addNeeds(user, node, inner));
  for (const onnx::ValueInfoProto &output : graph.output())
    MOE_RETURN_IF_ERROR(addNeed(user, output.name(), inner));
  return Status::ok();
}

Status NodeSorter::findNeeds() {
  std::unordered_set<std::string> none;
  for (int i = 0; i < nodes.size(); ++i) {
    MOE_RETURN_IF_ERROR(addNeeds(i, nodes[i], none));
    std::sort(needs[i].begin(), needs[i].end());
    needs[i].erase(std::unique(needs[i].begin(), needs[i].end()),
                   needs[i].end());
    numNeeds[i] = needs[i].size();
    for (int need : needs[i])
      users[need].push_back(i);
  }
  return Status::ok();
}

Status NodeSorter::markLive(const std::vector<std::string> &results) {
  isLive.assign(nodes.size(), 0);
  std::vector<int> work;
  auto reach = [&](int i) {
    if (!isLive[i])
      work.push_back(i);
    isLive[i] = 1;
  };
  for (const std::string &name : results) {
    if (auto it = producers.find(name); it != producers.end())
      reach(it->second);
    else if (!isDefined(name))
      return error("output \"" + name + "\" has no value");
  }
  while (!work.empty()) {
    int i = work.back();
    work.pop_back();
    for (int need : needs[i])
      reach(need);
  }
  return Status::ok();
}

// The ready node that stands first in the file comes next.
StatusOr<std::vector<int>> NodeSorter::sort() {
  std::priority_queue<int, std::vector<int>, std::greater<int>> ready;
  std::vector<int> order;
  int numSeen = 0;
  for (int i = 0; i < nodes.size(); ++i)
    if (numNeeds[i] == 0)
      ready.push(i);
  while (!ready.empty()) {
    int i = ready.top();
    ready.pop();
    ++numSeen;
    if (isLive[i])
      order.push_back(i);
    for (int user : users[i])
      if (--numNeeds[user] == 0)
        ready.push(user);
  }
  if (numSeen == nodes.size())
    return order;
  for (int i = 0; i < nodes.size(); ++i)
    if (numNeeds[i] != 0)
      return error("node " + describeNode(nodes[i], i) +
                   " needs its own result or that of a cycle of nodes");
  return order;
}

StatusOr<std::vector<int>>
orderNodes(const NodeList &nodes, const std::vector<std::string> &results,
           const std::function<bool(const std::string &)> &isDefined) {
  NodeSorter sorter(nodes, isDefined);
  MOE_RETURN_IF_ERROR(sorter.findProducers());
  MOE_RETURN_IF_ERROR(sorter.findNeeds());
  MOE_RETURN_IF_ERROR(sorter.markLive(results));
  return sorter.sort();
}

} // namespace moe::onnx_import
