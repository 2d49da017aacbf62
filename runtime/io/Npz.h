//===- Npz.h - Named arrays in one archive ----------------------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// An .npz file is a zip archive whose member "x.npy" is the array x. Members
// may be stored or deflated, with zip64 sizes; every checksum is checked. A
// member's name is a key and never a path: "../../x" is just an odd name.
//
// What an archive can cost is bounded before memory is taken for it:
//   * at most 16384 members, none of which share bytes of the file;
//   * stored members together are no larger than the file;
//   * deflated members together inflate to at most 128 MiB + 4 x the file.
//     Larger ones must be stored, which is what numpy.savez does.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_RUNTIME_IO_NPZ_H
#define MOE_RUNTIME_IO_NPZ_H

#include "runtime/io/HostTensor.h"
#include "runtime/support/File.h"

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace moe {

/// One row of an archive's directory.
struct NpzMember {
  std::string name; ///< without ".npy"
  bool isDeflated = false;
  uint32_t crc = 0;
  uint64_t storedBytes = 0;  ///< in the file
  uint64_t bytes = 0;        ///< after inflating
  uint64_t headerOffset = 0; ///< of the member's own header
};

/// An archive whose directory was read and checked; arrays are read one by
/// one. All errors are IoError and begin with the archive's path.
class NpzFile {
public:
  static StatusOr<NpzFile> open(const std::string &path);

  /// In the order of the archive; names are unique and valid UTF-8.
  const std::vector<NpzMember> &members() const { return theMembers; }
  bool contains(std::string_view name) const { return find(name) != nullptr; }
  StatusOr<HostTensor> read(std::string_view name) const;

private:
  explicit NpzFile(InputFile file) : file(std::move(file)) {}
  const NpzMember *find(std::string_view name) const;

  InputFile file;
  std::vector<NpzMember> theMembers;
  uint64_t directoryOffset = 0;
};

/// All arrays of an archive.
StatusOr<std::vector<HostTensor>> readNpz(const std::string &path);

/// Writes stored members in the given order, with no time stamps: the same
/// tensors give the same bytes. BF16 is written as f32. The file appears whole
/// or not at all.
Status writeNpz(const std::string &path, std::span<const HostTensor> tensors);

} // namespace moe

#endif // MOE_RUNTIME_IO_NPZ_H
