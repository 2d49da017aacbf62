//===- ClusterTest.cpp - The machines that a plan runs on -----------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/cost/Cluster.h"

#include <gtest/gtest.h>

using namespace moe;
using namespace moe::cost;

namespace {
std::string errorOf(std::string_view text) {
  Status status = parseCluster(text).status();
  EXPECT_EQ(status.code(), StatusCode::Usage);
  return status.message();
}
} // namespace

TEST(Cluster, WhatIsLeftOutIsTheDefault) {
  StatusOr<Cluster> cluster = parseCluster("{}");
  ASSERT_TRUE(cluster.isOk()) << cluster.status().message();
  EXPECT_EQ(cluster->device.peakFlops, defaultCluster().device.peakFlops);
  EXPECT_EQ(cluster->device.memoryBytes, 0);
  cluster = parseCluster(R"({"device": {"peak_flops": 3e10}})");
  ASSERT_TRUE(cluster.isOk()) << cluster.status().message();
  EXPECT_EQ(cluster->device.peakInt8, 6e10);
}

TEST(Cluster, ReadsWhatItWrites) {
  StatusOr<Cluster> cluster = parseCluster(R"({
    "nodes": 2, "devices_per_node": 4,
    "device": {"memory_bytes": 8e9, "memory_bandwidth": 2.2e10,
               "peak_flops": 1.2e11, "peak_int8": 4e11,
               "caches": [{"bytes": 1e6, "bandwidth": 1e11}],
               "kernels": {"norm": {"per_unit": 3e-10}}},
    "node": {"memory_bandwidth": 4.3e10},
    "links": {"across_nodes": {"latency": 5e-6}}})");
  ASSERT_TRUE(cluster.isOk()) << cluster.status().message();
  StatusOr<Cluster> again = parseCluster(clusterText(*cluster));
  ASSERT_TRUE(again.isOk()) << again.status().message();
  EXPECT_EQ(again->nodes, 2);
  EXPECT_EQ(again->device.memoryBandwidth, 2.2e10);
  EXPECT_EQ(again->device.peakInt8, 4e11);
  ASSERT_EQ(again->device.caches.size(), 1u);
  EXPECT_EQ(again->device.caches[0].bandwidth, 1e11);
  EXPECT_EQ(again->device.kernel(KernelKind::Norm).perUnit, 3e-10);
  EXPECT_EQ(again->acrossNodes.latency, 5e-6);
  EXPECT_EQ(clusterText(*again), clusterText(*cluster));
}

TEST(Cluster, RefusesWhatItDoesNotKnow) {
  EXPECT_EQ(errorOf(R"({"node_count": 2})"),
            "cluster: has the unknown key \"node_count\"");
  EXPECT_EQ(errorOf(R"({"device": {"flops": 1}})"),
            "cluster.device: has the unknown key \"flops\"");
  EXPECT_EQ(errorOf(R"({"device": {"kernels": {"conv": {}}}})"),
            "cluster.device.kernels: has the unknown key \"conv\"");
  EXPECT_EQ(errorOf(R"({"device": 3})"), "cluster.device: is not an object");
  EXPECT_NE(errorOf("{").find("not JSON"), std::string::npos);
}

TEST(Cluster, RefusesNumbersThatMakeNoSense) {
  EXPECT_EQ(errorOf(R"({"nodes": 0})"),
            "cluster: \"nodes\" is not a number between 1 and 1.04858e+06");
  EXPECT_EQ(errorOf(R"({"nodes": 1.5})"),
            "cluster: \"nodes\" is not a whole number");
  for (const char *value : {"0", "-1", "\"fast\"", "1e300", "null", "[]"})
    errorOf("{\"device\": {\"peak_flops\": " + std::string(value) + "}}");
  EXPECT_EQ(errorOf(R"({"nodes": 2, "devices_per_node": 0})"),
            "cluster: several nodes need \"devices_per_node\"");
  EXPECT_EQ(errorOf(R"({"device": {"caches": [
      {"bytes": 9, "bandwidth": 1}, {"bytes": 8, "bandwidth": 1}]}})"),
            "device.caches: levels are not in the order of their bytes");
}

TEST(Cluster, NodesHoldRanksIfThereAreSeveral) {
  Cluster cluster;
  cluster.devicesPerNode = 4;
  EXPECT_EQ(cluster.nodeSize(8), 0); // one node, whose devices are shared
  EXPECT_TRUE(cluster.checkRanks(8).isOk());
  cluster.nodes = 2;
  EXPECT_EQ(cluster.nodeSize(8), 4);
  EXPECT_EQ(cluster.nodeSize(4), 0);
  EXPECT_EQ(cluster.checkRanks(9).message(),
            "the cluster has 2 nodes of 4 devices, too few for 9 ranks");
}
