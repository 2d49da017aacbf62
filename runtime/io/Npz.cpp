//===- Npz.cpp - Reads named arrays from one archive ----------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/io/Npz.h"

#include "runtime/io/ByteSource.h"
#include "runtime/io/Npy.h"
#include "runtime/io/Utf8.h"
#include "runtime/io/Zip.h"

#include <algorithm>
#include <set>
#include <zlib.h>

using namespace moe;
using zip::load;

namespace {

constexpr uint64_t kMaxMembers = 16384;
constexpr uint64_t kFreeInflation = 128 << 20;
constexpr uint64_t kInflationFactor = 4;

Status bad(std::string message) {
  return Status(StatusCode::IoError, std::move(message));
}

StatusOr<std::string> readBytes(const InputFile &file, uint64_t offset,
                                uint64_t bytes) {
  std::string data(bytes, '\0');
  MOE_RETURN_IF_ERROR(
      file.readAt(offset, std::as_writable_bytes(std::span(data))));
  return data;
}

/// Where the directory stands.
struct Directory {
  uint64_t numMembers = 0;
  uint64_t offset = 0;
  uint64_t bytes = 0;
  uint64_t end = 0; ///< first byte of the records behind it
};

/// Reads the zip64 end record if the end record at `endOffset` has one.
Status readEnd64(const InputFile &file, uint64_t endOffset, Directory &found) {
  if (endOffset < zip::kLocator64Bytes)
    return Status::ok();
  MOE_ASSIGN_OR_RETURN(
      std::string locator,
      readBytes(file, endOffset - zip::kLocator64Bytes, zip::kLocator64Bytes));
  if (load(locator, 0, 4) != zip::kLocator64Signature)
    return Status::ok();
  uint64_t offset = load(locator, 8, 8);
  if (offset > endOffset || endOffset - offset < zip::kEnd64Bytes)
    return bad("zip64 end record at " + std::to_string(offset) +
               " is outside of the file");
  MOE_ASSIGN_OR_RETURN(std::string record,
                       readBytes(file, offset, zip::kEnd64Bytes));
  if (load(record, 0, 4) != zip::kEnd64Signature)
    return bad("zip64 end record has a wrong signature");
  found.numMembers = load(record, 32, 8);
  found.bytes = load(record, 40, 8);
  found.offset = load(record, 48, 8);
  found.end = offset;
  return Status::ok();
}

StatusOr<Directory> findDirectory(const InputFile &file) {
  constexpr uint64_t kMaxComment = 0xffff;
  uint64_t tailBytes = std::min(file.size(), zip::kEndBytes + kMaxComment);
  MOE_ASSIGN_OR_RETURN(std::string tail,
                       readBytes(file, file.size() - tailBytes, tailBytes));
  // The comment behind the record may hold anything, so what ends exactly at
  // the end of the file is the record.
  size_t at =
      tail.size() < zip::kEndBytes ? tail.npos : tail.size() - zip::kEndBytes;
  while (at != tail.npos &&
         (load(tail, at, 4) != zip::kEndSignature ||
          at + zip::kEndBytes + load(tail, at + 20, 2) != tail.size()))
    at = at == 0 ? tail.npos : at - 1;
  if (at == tail.npos)
    return bad("not an npz archive: no zip directory at its end");
  uint64_t endOffset = file.size() - tailBytes + at;
  Directory found{load(tail, at + 10, 2), load(tail, at + 16, 4),
                  load(tail, at + 12, 4), endOffset};
  if (load(tail, at + 4, 2) != 0 && load(tail, at + 4, 2) != zip::kIn64Short)
    return bad("archives of several parts are not supported");
  MOE_RETURN_IF_ERROR(readEnd64(file, endOffset, found));
  if (found.offset > found.end || found.bytes > found.end - found.offset)
    return bad("zip directory of " + std::to_string(found.bytes) +
               " bytes at " + std::to_string(found.offset) +
               " is outside of the file");
  if (found.numMembers > kMaxMembers)
    return bad(std::to_string(found.numMembers) + " arrays, at most " +
               std::to_string(kMaxMembers) + " are supported");
  return found;
}

/// Takes the sizes that do not fit into 32 bits from the zip64 extra field.
Status readExtra64(std::string_view extra, NpzMember &member) {
  bool wantsBytes = member.bytes == zip::kIn64;
  bool wantsStored = member.storedBytes == zip::kIn64;
  bool wantsOffset = member.headerOffset == zip::kIn64;
  if (!wantsBytes && !wantsStored && !wantsOffset)
    return Status::ok();
  while (extra.size() >= 4) {
    uint64_t id = load(extra, 0, 2), length = load(extra, 2, 2);
    extra.remove_prefix(4);
    if (length > extra.size())
      break;
    std::string_view field = extra.substr(0, length);
    extra.remove_prefix(length);
    if (id != zip::kExtra64)
      continue;
    auto take = [&](bool wanted, uint64_t &value) {
      if (!wanted || field.size() < 8)
        return !wanted;
      value = load(field, 0, 8);
      field.remove_prefix(8);
      return true;
    };
    if (take(wantsBytes, member.bytes) &&
        take(wantsStored, member.storedBytes) &&
        take(wantsOffset, member.headerOffset))
      return Status::ok();
    break;
  }
  return bad("array '" + member.name + "': zip64 sizes are missing");
}

/// Reads the row at the front of `rows` and removes it.
StatusOr<NpzMember> readRow(std::string_view &rows) {
  if (rows.size() < zip::kCentralBytes ||
      load(rows, 0, 4) != zip::kCentralSignature)
    return bad("zip directory is cut off");
  uint64_t flags = load(rows, 8, 2), method = load(rows, 10, 2);
  size_t nameBytes = load(rows, 28, 2), extraBytes = load(rows, 30, 2);
  size_t rowBytes =
      zip::kCentralBytes + nameBytes + extraBytes + load(rows, 32, 2);
  if (rowBytes > rows.size())
    return bad("zip directory is cut off");
  std::string_view name = rows.substr(zip::kCentralBytes, nameBytes);
  constexpr std::string_view kSuffix = ".npy";
  NpzMember member;
  member.name = printableUtf8(name);
  if (!isValidUtf8(name) || name.find('\0') != name.npos)
    return bad("name '" + member.name + "' is not UTF-8 text");
  if (!name.ends_with(kSuffix))
    return bad("member '" + member.name + "' is not an .npy array");
  member.name = name.substr(0, name.size() - kSuffix.size());
  if (flags & zip::kEncryptedFlag)
    return bad("array '" + member.name + "' is encrypted");
  if (method != zip::kStored && method != zip::kDeflated)
    return bad("array '" + member.name + "' has compression method " +
               std::to_string(method) +
               ", expected 0 (stored) or 8 "
               "(deflated)");
  member.isDeflated = method == zip::kDeflated;
  member.crc = static_cast<uint32_t>(load(rows, 16, 4));
  member.storedBytes = load(rows, 20, 4);
  member.bytes = load(rows, 24, 4);
  member.headerOffset = load(rows, 42, 4);
  MOE_RETURN_IF_ERROR(readExtra64(
      rows.substr(zip::kCentralBytes + nameBytes, extraBytes), member));
  rows.remove_prefix(rowBytes);
  return member;
}

/// Checks that members lie before the directory without sharing bytes, that
/// names are unique, and that inflating them stays within bounds.
Status checkMembers(const std::vector<NpzMember> &members,
                    uint64_t directoryOffset, uint64_t fileBytes) {
  std::set<std::string_view> names;
  std::vector<const NpzMember *> byOffset;
  uint64_t budget = kFreeInflation + kInflationFactor * fileBytes;
  for (const NpzMember &member : members) {
    if (!names.insert(member.name).second)
      return bad("array '" + member.name + "' appears twice");
    if (!member.isDeflated && member.bytes != member.storedBytes)
      return bad("array '" + member.name + "' is stored with " +
                 std::to_string(member.storedBytes) + " bytes, expected " +
                 std::to_string(member.bytes));
    if (member.isDeflated && member.bytes > budget)
      return bad("array '" + member.name + "': deflated arrays of more than " +
                 std::to_string(kFreeInflation >> 20) + " MiB plus " +
                 std::to_string(kInflationFactor) +
                 " times the file; write them stored (numpy.savez)");
    budget -= member.isDeflated ? member.bytes : 0;
    byOffset.push_back(&member);
  }
  std::sort(byOffset.begin(), byOffset.end(),
            [](auto *a, auto *b) { return a->headerOffset < b->headerOffset; });
  for (size_t i = 0; i < byOffset.size(); ++i) {
    const NpzMember &member = *byOffset[i];
    uint64_t limit = i + 1 < byOffset.size() ? byOffset[i + 1]->headerOffset
                                             : directoryOffset;
    if (limit < member.headerOffset ||
        limit - member.headerOffset < zip::kLocalBytes ||
        member.storedBytes > limit - member.headerOffset - zip::kLocalBytes)
      return bad("array '" + member.name + "' overlaps what follows it");
  }
  return Status::ok();
}

/// The inflated bytes of a deflated range.
class InflateSource final : public ByteSource {
public:
  InflateSource(FileSource &from, uint64_t bytes) : from(from), left(bytes) {}
  ~InflateSource() override {
    if (isOpen)
      inflateEnd(&stream);
  }
  Status open() {
    constexpr int kRawDeflate = -MAX_WBITS;
    if (inflateInit2(&stream, kRawDeflate) != Z_OK)
      return Status(StatusCode::OutOfMemory, "no memory to inflate");
    isOpen = true;
    return Status::ok();
  }

  uint64_t remaining() const override { return left; }
  Status read(std::span<std::byte> to) override {
    if (to.size() > left)
      return bad("deflated data end too early");
    left -= to.size();
    while (!to.empty()) {
      size_t chunk = std::min<size_t>(to.size(), 1 << 30);
      MOE_ASSIGN_OR_RETURN(size_t count, inflateSome(to.first(chunk)));
      if (count == 0)
        return bad("deflated data end too early");
      to = to.subspan(count);
    }
    return Status::ok();
  }
  /// Checks that the deflated data end where the array ends.
  Status finish() {
    std::byte extra;
    MOE_ASSIGN_OR_RETURN(size_t count, inflateSome({&extra, 1}));
    if (count != 0 || stream.avail_in != 0 || from.remaining() != 0)
      return bad("deflated data are longer than the directory says");
    return Status::ok();
  }

private:
  /// At least one byte, or 0 at the end of the deflated data.
  StatusOr<size_t> inflateSome(std::span<std::byte> to) {
    stream.next_out = reinterpret_cast<Bytef *>(to.data());
    stream.avail_out = static_cast<uInt>(to.size());
    while (!atEnd && stream.avail_out == to.size()) {
      if (stream.avail_in == 0) {
        size_t count = std::min<uint64_t>(sizeof(buffer), from.remaining());
        MOE_RETURN_IF_ERROR(from.read({buffer, count}));
        stream.next_in = reinterpret_cast<Bytef *>(buffer);
        stream.avail_in = static_cast<uInt>(count);
      }
      int result = inflate(&stream, Z_NO_FLUSH);
      atEnd = result == Z_STREAM_END;
      if (result != Z_OK && !atEnd)
        return bad("deflated data are corrupt");
    }
    return to.size() - stream.avail_out;
  }

  FileSource &from;
  uint64_t left;
  bool isOpen = false;
  bool atEnd = false;
  z_stream stream = {};
  std::byte buffer[64 * 1024];
};

/// Computes the checksum of what passes through.
class ChecksumSource final : public ByteSource {
public:
  explicit ChecksumSource(ByteSource &from) : from(from) {}
  uint64_t remaining() const override { return from.remaining(); }
  Status read(std::span<std::byte> to) override {
    MOE_RETURN_IF_ERROR(from.read(to));
    crc = crc32_z(crc, reinterpret_cast<const Bytef *>(to.data()), to.size());
    return Status::ok();
  }
  Status check(uint32_t expected) const {
    if (crc == expected)
      return Status::ok();
    return bad("checksum differs from the directory's: the data are corrupt");
  }

private:
  ByteSource &from;
  uLong crc = 0;
};

/// The first byte of a member's data, behind its own header.
StatusOr<uint64_t> findData(const InputFile &file, const NpzMember &member,
                            uint64_t directoryOffset) {
  MOE_ASSIGN_OR_RETURN(std::string header,
                       readBytes(file, member.headerOffset, zip::kLocalBytes));
  uint64_t method = member.isDeflated ? zip::kDeflated : zip::kStored;
  if (load(header, 0, 4) != zip::kLocalSignature ||
      load(header, 8, 2) != method)
    return bad("member header differs from the directory");
  uint64_t nameBytes = load(header, 26, 2);
  uint64_t begin =
      member.headerOffset + zip::kLocalBytes + nameBytes + load(header, 28, 2);
  if (begin > directoryOffset || member.storedBytes > directoryOffset - begin)
    return bad("member reaches into the directory");
  MOE_ASSIGN_OR_RETURN(
      std::string name,
      readBytes(file, member.headerOffset + zip::kLocalBytes, nameBytes));
  if (name != member.name + ".npy")
    return bad("member header has another name");
  return begin;
}

StatusOr<HostTensor> readMember(const InputFile &file, const NpzMember &member,
                                uint64_t directoryOffset) {
  MOE_ASSIGN_OR_RETURN(uint64_t begin, findData(file, member, directoryOffset));
  FileSource stored(file, begin, member.storedBytes);
  InflateSource inflated(stored, member.bytes);
  if (member.isDeflated)
    MOE_RETURN_IF_ERROR(inflated.open());
  ChecksumSource data(member.isDeflated ? static_cast<ByteSource &>(inflated)
                                        : stored);
  MOE_ASSIGN_OR_RETURN(HostTensor tensor, readNpy(data, member.name));
  if (member.isDeflated)
    MOE_RETURN_IF_ERROR(inflated.finish());
  MOE_RETURN_IF_ERROR(data.check(member.crc));
  return tensor;
}

StatusOr<std::vector<NpzMember>> readDirectory(const InputFile &file,
                                               const Directory &directory) {
  MOE_ASSIGN_OR_RETURN(std::string text,
                       readBytes(file, directory.offset, directory.bytes));
  std::string_view rows = text;
  std::vector<NpzMember> members;
  for (uint64_t i = 0; i < directory.numMembers; ++i) {
    MOE_ASSIGN_OR_RETURN(NpzMember member, readRow(rows));
    members.push_back(std::move(member));
  }
  if (!rows.empty())
    return bad("zip directory has more rows than its end record says");
  MOE_RETURN_IF_ERROR(checkMembers(members, directory.offset, file.size()));
  return members;
}

} // namespace

StatusOr<NpzFile> NpzFile::open(const std::string &path) {
  MOE_ASSIGN_OR_RETURN(InputFile file, InputFile::open(path));
  StatusOr<Directory> directory = findDirectory(file);
  if (!directory.isOk())
    return inFile(file, directory.status());
  StatusOr<std::vector<NpzMember>> members = readDirectory(file, *directory);
  if (!members.isOk())
    return inFile(file, members.status());
  NpzFile archive(std::move(file));
  archive.theMembers = *std::move(members);
  archive.directoryOffset = directory->offset;
  return archive;
}

const NpzMember *NpzFile::find(std::string_view name) const {
  for (const NpzMember &member : theMembers)
    if (member.name == name)
      return &member;
  return nullptr;
}

StatusOr<HostTensor> NpzFile::read(std::string_view name) const {
  const NpzMember *member = find(name);
  if (!member)
    return inFile(file, bad("no array '" + printableUtf8(name) + "'"));
  StatusOr<HostTensor> tensor = readMember(file, *member, directoryOffset);
  if (!tensor.isOk())
    return inFile(file,
                  tensor.status().at("array '" + printableUtf8(name) + "'"));
  return tensor;
}

StatusOr<std::vector<HostTensor>> moe::readNpz(const std::string &path) {
  MOE_ASSIGN_OR_RETURN(NpzFile archive, NpzFile::open(path));
  std::vector<HostTensor> tensors;
  for (const NpzMember &member : archive.members()) {
    MOE_ASSIGN_OR_RETURN(HostTensor tensor, archive.read(member.name));
    tensors.push_back(std::move(tensor));
  }
  return tensors;
}
