//===- DeviceSuite.h - What every device must do ----------------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_TEST_CTS_DEVICE_DEVICESUITE_H
#define MOE_TEST_CTS_DEVICE_DEVICESUITE_H

#include "runtime/device/Device.h"

#include <gtest/gtest.h>

#include <vector>

namespace moe::test {

using DeviceFactory = std::unique_ptr<Device> (*)();

class DeviceSuite : public testing::TestWithParam<DeviceFactory> {
protected:
  void SetUp() override;
  std::unique_ptr<DeviceBuffer> allocate(size_t bytes);
  void upload(DeviceBuffer &to, const std::vector<std::byte> &from);
  std::vector<std::byte> download(DeviceBuffer &from);

  std::unique_ptr<Device> device;
  std::unique_ptr<Stream> stream;
};

} // namespace moe::test

#endif // MOE_TEST_CTS_DEVICE_DEVICESUITE_H
