//===- NpzWriter.cpp - Writes named arrays into one archive ---------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/io/Npy.h"
#include "runtime/io/Npz.h"
#include "runtime/io/Utf8.h"
#include "runtime/io/Zip.h"
#include "runtime/support/File.h"

#include <limits>
#include <zlib.h>

using namespace moe;
using zip::store;

namespace {

/// What the directory will say about a member that was written.
struct Written {
  std::string name;
  uint32_t crc;
  uint64_t bytes;
  uint64_t headerOffset;
};

constexpr uint16_t kVersion = 45;          // 4.4.3.2: zip64
constexpr uint32_t kFirstDay = 0x00210000; // 1980-01-01 00:00:00

std::span<const std::byte> asBytes(std::string_view text) {
  return std::as_bytes(std::span(text));
}

uint16_t flagsOf(std::string_view name) {
  for (unsigned char c : name)
    if (c >= 0x80)
      return zip::kUtf8Flag;
  return 0;
}

/// The fields that local header and directory row share, from "version
/// needed" to the length of the name.
void storeCommon(std::string &record, const Written &member) {
  store(record, kVersion, 2);
  store(record, flagsOf(member.name), 2);
  store(record, zip::kStored, 2);
  store(record, kFirstDay, 4);
  store(record, member.crc, 4);
  store(record, zip::kIn64, 4);
  store(record, zip::kIn64, 4);
  store(record, member.name.size(), 2);
}

Status writeMember(AtomicFileWriter &file, const HostTensor &tensor,
                   Written &member) {
  // bf16 has no name in the format.
  HostTensor asFloat;
  const HostTensor *source = &tensor;
  if (tensor.dtype() == DType::BF16) {
    MOE_ASSIGN_OR_RETURN(asFloat, convertTensor(tensor, DType::F32));
    source = &asFloat;
  }
  std::string header = npyHeader(source->dtype(), source->dims());
  auto crcOf = [](uLong crc, std::span<const std::byte> data) {
    return crc32_z(crc, reinterpret_cast<const Bytef *>(data.data()),
                   data.size());
  };
  // zlib takes a null pointer as "give the first value".
  uLong crc = crcOf(0, asBytes(header));
  if (!source->bytes().empty())
    crc = crcOf(crc, source->bytes());
  member = {tensor.name() + ".npy", static_cast<uint32_t>(crc),
            header.size() + source->bytes().size(), file.size()};
  std::string local;
  store(local, zip::kLocalSignature, 4);
  storeCommon(local, member);
  store(local, 20, 2);
  local += member.name;
  store(local, zip::kExtra64, 2);
  store(local, 16, 2);
  store(local, member.bytes, 8);
  store(local, member.bytes, 8);
  MOE_RETURN_IF_ERROR(file.append(asBytes(local)));
  MOE_RETURN_IF_ERROR(file.append(asBytes(header)));
  return file.append(source->bytes());
}

std::string directoryRow(const Written &member) {
  std::string row;
  store(row, zip::kCentralSignature, 4);
  store(row, kVersion, 2);
  storeCommon(row, member);
  store(row, 28, 2); // extra field
  store(row, 0, 2);  // comment
  store(row, 0, 2);  // disk
  store(row, 0, 2);  // internal attributes
  store(row, 0, 4);  // external attributes
  store(row, zip::kIn64, 4);
  row += member.name;
  store(row, zip::kExtra64, 2);
  store(row, 24, 2);
  store(row, member.bytes, 8);
  store(row, member.bytes, 8);
  store(row, member.headerOffset, 8);
  return row;
}

std::string endRecords(uint64_t numMembers, uint64_t bytes, uint64_t offset) {
  std::string end;
  store(end, zip::kEnd64Signature, 4);
  store(end, zip::kEnd64Bytes - 12, 8); // what follows this field
  store(end, kVersion, 2);
  store(end, kVersion, 2);
  store(end, 0, 8); // disks
  store(end, numMembers, 8);
  store(end, numMembers, 8);
  store(end, bytes, 8);
  store(end, offset, 8);
  store(end, zip::kLocator64Signature, 4);
  store(end, 0, 4);
  store(end, offset + bytes, 8);
  store(end, 1, 4);
  store(end, zip::kEndSignature, 4);
  store(end, 0, 4); // disks
  store(end, zip::kIn64Short, 2);
  store(end, zip::kIn64Short, 2);
  store(end, zip::kIn64, 4);
  store(end, zip::kIn64, 4);
  store(end, 0, 2); // comment
  return end;
}

} // namespace

Status moe::writeNpz(const std::string &path,
                     std::span<const HostTensor> tensors) {
  MOE_ASSIGN_OR_RETURN(AtomicFileWriter file, AtomicFileWriter::create(path));
  std::vector<Written> members(tensors.size());
  for (size_t i = 0; i < tensors.size(); ++i) {
    constexpr size_t kMaxName = std::numeric_limits<uint16_t>::max() - 4;
    if (tensors[i].name().size() > kMaxName)
      return Status(StatusCode::IoError,
                    path + ": name of an array has more than " +
                        std::to_string(kMaxName) + " bytes");
    MOE_RETURN_IF_ERROR(writeMember(file, tensors[i], members[i]));
  }
  uint64_t offset = file.size();
  std::string directory;
  for (const Written &member : members)
    directory += directoryRow(member);
  MOE_RETURN_IF_ERROR(file.append(asBytes(directory)));
  MOE_RETURN_IF_ERROR(file.append(
      asBytes(endRecords(members.size(), directory.size(), offset))));
  return file.commit();
}
