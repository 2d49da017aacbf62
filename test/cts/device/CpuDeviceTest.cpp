//===- CpuDeviceTest.cpp - The processor as a device ----------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "test/cts/device/DeviceSuite.h"

using namespace moe;
using namespace moe::test;

INSTANTIATE_TEST_SUITE_P(Cpu, DeviceSuite, testing::Values(createCpuDevice),
                         [](const testing::TestParamInfo<DeviceFactory> &) {
                           return "Cpu";
                         });
