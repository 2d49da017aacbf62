//===- CpuDevice.cpp - The processor and its memory as a device -----------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Work is done when it is given, so streams are always up to date and events
// have always happened. Memory comes as anonymous pages: zeroed by the system,
// and only those that are touched cost anything.
//
//===----------------------------------------------------------------------===//

#include "runtime/device/Device.h"
#include "runtime/support/HugePages.h"

#include <cstring>
#include <string>
#include <sys/mman.h>

using namespace moe;

namespace {

class CpuStream final : public Stream {
public:
  Status synchronize() override { return Status::ok(); }
};

class CpuEvent final : public Event {};

class CpuBuffer final : public DeviceBuffer {
public:
  CpuBuffer(std::byte *memory, size_t bytes) : memory(memory), bytes(bytes) {}
  ~CpuBuffer() override {
    if (bytes > 0)
      munmap(memory, bytes);
  }
  std::byte *data() override { return memory; }
  size_t size() const override { return bytes; }

private:
  std::byte *memory;
  size_t bytes;
};

class CpuDevice final : public Device {
public:
  std::string_view kind() const override { return "cpu"; }

  StatusOr<std::unique_ptr<DeviceBuffer>> allocate(size_t bytes) override {
    std::unique_ptr<DeviceBuffer> buffer;
    if (bytes == 0) {
      buffer = std::make_unique<CpuBuffer>(nullptr, 0);
      return buffer;
    }
    void *memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
      return Status(StatusCode::OutOfMemory, "cannot allocate " +
                                                 std::to_string(bytes) +
                                                 " bytes of memory");
    preferHugePages(memory, bytes);
    buffer =
        std::make_unique<CpuBuffer>(static_cast<std::byte *>(memory), bytes);
    return buffer;
  }

  StatusOr<std::unique_ptr<Stream>> createStream() override {
    std::unique_ptr<Stream> stream = std::make_unique<CpuStream>();
    return stream;
  }
  StatusOr<std::unique_ptr<Event>> createEvent() override {
    std::unique_ptr<Event> event = std::make_unique<CpuEvent>();
    return event;
  }
  Status record(Event &event, Stream &stream) override { return Status::ok(); }
  Status wait(Stream &stream, Event &event) override { return Status::ok(); }

  Status copyToDevice(std::byte *to, const std::byte *from, size_t bytes,
                      Stream &stream) override {
    return copy(to, from, bytes);
  }
  Status copyToHost(std::byte *to, const std::byte *from, size_t bytes,
                    Stream &stream) override {
    return copy(to, from, bytes);
  }
  Status copyOnDevice(std::byte *to, const std::byte *from, size_t bytes,
                      Stream &stream) override {
    return copy(to, from, bytes);
  }

private:
  static Status copy(std::byte *to, const std::byte *from, size_t bytes) {
    if (bytes > 0)
      std::memmove(to, from, bytes);
    return Status::ok();
  }
};

} // namespace

std::unique_ptr<Device> moe::createCpuDevice() {
  return std::make_unique<CpuDevice>();
}
