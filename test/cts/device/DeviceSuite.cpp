//===- DeviceSuite.cpp - What every device must do ------------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "test/cts/device/DeviceSuite.h"

#include <limits>

using namespace moe;
using namespace moe::test;

static std::vector<std::byte> someBytes(size_t count) {
  std::vector<std::byte> bytes(count);
  for (size_t i = 0; i < count; ++i)
    bytes[i] = static_cast<std::byte>(i * 7 + 1);
  return bytes;
}

void DeviceSuite::SetUp() {
  device = GetParam()();
  ASSERT_NE(device, nullptr);
  StatusOr<std::unique_ptr<Stream>> created = device->createStream();
  ASSERT_TRUE(created.isOk()) << created.status().message();
  stream = *std::move(created);
}

std::unique_ptr<DeviceBuffer> DeviceSuite::allocate(size_t bytes) {
  StatusOr<std::unique_ptr<DeviceBuffer>> buffer = device->allocate(bytes);
  EXPECT_TRUE(buffer.isOk()) << buffer.status().message();
  return *std::move(buffer);
}

void DeviceSuite::upload(DeviceBuffer &to, const std::vector<std::byte> &from) {
  EXPECT_TRUE(device->copyToDevice(to.data(), from.data(), from.size(), *stream)
                  .isOk());
  EXPECT_TRUE(stream->synchronize().isOk());
}

std::vector<std::byte> DeviceSuite::download(DeviceBuffer &from) {
  std::vector<std::byte> bytes(from.size());
  EXPECT_TRUE(
      device->copyToHost(bytes.data(), from.data(), from.size(), *stream)
          .isOk());
  EXPECT_TRUE(stream->synchronize().isOk());
  return bytes;
}

TEST_P(DeviceSuite, HasAKind) { EXPECT_FALSE(device->kind().empty()); }

TEST_P(DeviceSuite, MemoryIsZeroedAndAligned) {
  for (size_t bytes : {size_t(1), size_t(63), size_t(4097), size_t(3) << 20}) {
    std::unique_ptr<DeviceBuffer> buffer = allocate(bytes);
    EXPECT_EQ(buffer->size(), bytes);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(buffer->data()) % 64, 0u);
    EXPECT_EQ(download(*buffer), std::vector<std::byte>(bytes));
  }
}

TEST_P(DeviceSuite, AllocatesNothing) {
  std::unique_ptr<DeviceBuffer> buffer = allocate(0);
  EXPECT_EQ(buffer->size(), 0u);
  upload(*buffer, {});
}

TEST_P(DeviceSuite, RefusesWhatDoesNotExist) {
  for (size_t bytes :
       {std::numeric_limits<size_t>::max(),
        std::numeric_limits<size_t>::max() / 2 + 1, size_t(1) << 62}) {
    StatusOr<std::unique_ptr<DeviceBuffer>> buffer = device->allocate(bytes);
    ASSERT_FALSE(buffer.isOk());
    EXPECT_EQ(buffer.status().code(), StatusCode::OutOfMemory);
    EXPECT_NE(buffer.status().message().find(std::to_string(bytes)),
              std::string::npos);
  }
}

TEST_P(DeviceSuite, CopiesToDeviceAndBack) {
  std::vector<std::byte> bytes = someBytes(100001);
  std::unique_ptr<DeviceBuffer> buffer = allocate(bytes.size());
  upload(*buffer, bytes);
  EXPECT_EQ(download(*buffer), bytes);
}

TEST_P(DeviceSuite, CopiesOnDevice) {
  std::vector<std::byte> bytes = someBytes(1000);
  std::unique_ptr<DeviceBuffer> from = allocate(bytes.size());
  std::unique_ptr<DeviceBuffer> to = allocate(bytes.size());
  upload(*from, bytes);
  EXPECT_TRUE(
      device->copyOnDevice(to->data(), from->data(), bytes.size(), *stream)
          .isOk());
  EXPECT_EQ(download(*to), bytes);
}

TEST_P(DeviceSuite, EventsOrderStreams) {
  std::vector<std::byte> bytes = someBytes(1 << 20);
  std::unique_ptr<DeviceBuffer> from = allocate(bytes.size());
  std::unique_ptr<DeviceBuffer> to = allocate(bytes.size());
  StatusOr<std::unique_ptr<Stream>> other = device->createStream();
  StatusOr<std::unique_ptr<Event>> event = device->createEvent();
  ASSERT_TRUE(other.isOk() && event.isOk());

  EXPECT_TRUE(
      device->copyToDevice(from->data(), bytes.data(), bytes.size(), *stream)
          .isOk());
  EXPECT_TRUE(device->record(**event, *stream).isOk());
  EXPECT_TRUE(device->wait(**other, **event).isOk());
  EXPECT_TRUE(
      device->copyOnDevice(to->data(), from->data(), bytes.size(), **other)
          .isOk());
  EXPECT_TRUE((*other)->synchronize().isOk());
  EXPECT_EQ(download(*to), bytes);
}
