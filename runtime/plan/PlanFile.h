//===- PlanFile.h - The plan file: reading and writing ----------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The container around a program (little endian, all padding zero):
//
//   0     header: magic, version, features, size of the file, its own hash
//   64    section table: kind, offset, size and hash of each section
//   128   weights: the embedded blocks, each at a multiple of 64
//   ...   program: FlatBuffers, Plan.fbs
//
// Hashes are XXH3 with 64 bits. The hash of the header covers header and
// table, that of the program section its bytes; the weights' entry holds the
// hash of all chunk hashes, which the program lists. So opening a plan reads
// only metadata, every bit of which is covered, and each block of weights can
// be verified alone, by the rank that loads it.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_RUNTIME_PLAN_PLANFILE_H
#define MOE_RUNTIME_PLAN_PLANFILE_H

#include "runtime/plan/Plan_generated.h"
#include "runtime/support/File.h"
#include "runtime/support/Status.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace moe {

inline constexpr uint16_t kPlanMajor = 1;
inline constexpr uint16_t kPlanMinor = 0;

/// A plan that is open: metadata verified, weights mapped.
class PlanFile {
public:
  /// Errors: IoError, or BadPlan for everything that is wrong with the bytes.
  static StatusOr<PlanFile> open(const std::string &path);
  /// The same for bytes in memory, aligned to 8 and alive as long as the
  /// result.
  static StatusOr<PlanFile> fromBytes(std::span<const std::byte> bytes,
                                      std::string path);

  const std::string &path() const { return thePath; }
  const plan::ProgramT &program() const { return *theProgram; }
  /// Identifies the plan: ranks compare it before they start.
  uint64_t hash() const { return theHash; }
  uint64_t weightsSize() const { return weights.size(); }

  /// The bytes of an embedded block.
  std::span<const std::byte> blockBytes(const plan::BlockT &block) const;
  /// Compares an embedded block with its chunk hashes.
  Status verifyBlock(const plan::BlockT &block) const;
  /// Only the chunks that hold bytes [begin, end) of it: what a rank needs that
  /// reads no others.
  Status verifyBlock(const plan::BlockT &block, uint64_t begin,
                     uint64_t end) const;
  /// All embedded blocks: then every byte of the file has been verified.
  Status verifyAllBlocks() const;

private:
  Status read(std::span<const std::byte> bytes);
  Status readProgram(std::span<const std::byte> section);

  std::string thePath;
  MappedFile file;
  std::unique_ptr<plan::ProgramT> theProgram;
  std::span<const std::byte> weights;
  uint64_t theHash = 0;
};

/// Writes a plan: first the blocks, in any number of pieces, then the program.
/// Memory is bounded by the pieces; the same calls give the same bytes.
class PlanWriter {
public:
  static StatusOr<PlanWriter> create(const std::string &path);
  PlanWriter(PlanWriter &&) noexcept;
  PlanWriter &operator=(PlanWriter &&) noexcept;
  ~PlanWriter();

  /// beginBlock, then appendToBlock until all its bytes are there, then
  /// endBlock, which describes the block: source Embedded with bytes, offset
  /// and first_hash.
  Status beginBlock();
  Status appendToBlock(std::span<const std::byte> bytes);
  StatusOr<plan::BlockT> endBlock();
  /// A block whose bytes are all there.
  StatusOr<plan::BlockT> appendBlock(std::span<const std::byte> bytes);

  /// Fills in chunk_bytes and chunk_hashes, verifies the program and makes the
  /// file appear under its name.
  Status finish(plan::ProgramT &program);

private:
  struct Impl;
  explicit PlanWriter(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl;
};

} // namespace moe

#endif // MOE_RUNTIME_PLAN_PLANFILE_H
