//===- Device.cpp - Memory, streams and events ----------------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/device/Device.h"

using namespace moe;

Stream::~Stream() = default;
Event::~Event() = default;
DeviceBuffer::~DeviceBuffer() = default;
Device::~Device() = default;
