//===- Device.h - Memory, streams and events --------------------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef MOE_RUNTIME_DEVICE_DEVICE_H
#define MOE_RUNTIME_DEVICE_DEVICE_H

#include "runtime/support/Status.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

namespace moe {

/// An order of work on a device; on the CPU work is done when it is given.
class Stream {
public:
  virtual ~Stream();
  virtual Status synchronize() = 0;
};

/// A point in a stream that another stream can wait for.
class Event {
public:
  virtual ~Event();
};

/// Memory that a device owns; freed with this object.
class DeviceBuffer {
public:
  virtual ~DeviceBuffer();
  virtual std::byte *data() = 0;
  virtual size_t size() const = 0;
};

class Device {
public:
  virtual ~Device();
  /// "cpu", "cuda" ...
  virtual std::string_view kind() const = 0;
  /// Zeroed memory, aligned to 64 bytes; OutOfMemory names the size.
  virtual StatusOr<std::unique_ptr<DeviceBuffer>> allocate(size_t bytes) = 0;
  virtual StatusOr<std::unique_ptr<Stream>> createStream() = 0;
  virtual StatusOr<std::unique_ptr<Event>> createEvent() = 0;
  virtual Status record(Event &event, Stream &stream) = 0;
  virtual Status wait(Stream &stream, Event &event) = 0;
  virtual Status copyToDevice(std::byte *to, const std::byte *from,
                              size_t bytes, Stream &stream) = 0;
  virtual Status copyToHost(std::byte *to, const std::byte *from, size_t bytes,
                            Stream &stream) = 0;
  virtual Status copyOnDevice(std::byte *to, const std::byte *from,
                              size_t bytes, Stream &stream) = 0;
};

std::unique_ptr<Device> createCpuDevice();

} // namespace moe

#endif // MOE_RUNTIME_DEVICE_DEVICE_H
