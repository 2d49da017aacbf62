//===- PlanFile.cpp - Reading plans ---------------------------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/plan/PlanFile.h"
#include "runtime/plan/PlanFormat.h"
#include "runtime/plan/PlanVerify.h"
#include "runtime/plan/UnpackedSize.h"
#include "runtime/support/CheckedMath.h"

#include <algorithm>
#include <cstring>

using namespace moe;
using namespace moe::plan_format;

static Status badPlan(const std::string &what) {
  return Status(StatusCode::BadPlan, what);
}

static bool isZero(std::span<const std::byte> bytes) {
  return std::all_of(bytes.begin(), bytes.end(),
                     [](std::byte b) { return b == std::byte(0); });
}

static std::string versionText(unsigned major, unsigned minor) {
  return std::to_string(major) + "." + std::to_string(minor);
}

//===----------------------------------------------------------------------===//
// Header and section table
//===----------------------------------------------------------------------===//

static Status verifyHeader(const Preamble &preamble, uint64_t fileSize) {
  const Header &header = preamble.header;
  if (header.magic != kMagic)
    return badPlan("header: is not a plan file (wrong magic)");
  if (header.major != kPlanMajor || header.minor > kPlanMinor)
    return badPlan("header: has format " +
                   versionText(header.major, header.minor) +
                   ", expected at most " + versionText(kPlanMajor, kPlanMinor));
  if (header.hash != hashPreamble(preamble))
    return badPlan("header: does not match its hash");
  if (header.features & ~kKnownFeatures)
    return badPlan("header: needs features that are not known");
  if (header.fileSize != fileSize)
    return badPlan("header: the file has " + std::to_string(fileSize) +
                   " bytes, expected " + std::to_string(header.fileSize));
  if (header.numSections != 2 || header.reserved != Header{}.reserved)
    return badPlan("header: has fields that are not known");
  return Status::ok();
}

/// The sections stand one behind the other, as they are written.
static Status verifySections(const Preamble &preamble, uint64_t fileSize) {
  const Section &weights = preamble.weights, &program = preamble.program;
  if (weights.kind != SectionKind::Weights ||
      program.kind != SectionKind::Program || weights.reserved != 0 ||
      program.reserved != 0)
    return badPlan("section table: has sections that are not known");
  if (weights.offset != sizeof(Preamble) || weights.size % kAlignment != 0 ||
      weights.size > fileSize - sizeof(Preamble) ||
      program.offset != weights.offset + weights.size ||
      program.size != fileSize - program.offset)
    return badPlan("section table: the sections do not make up the file");
  if (program.size >= FLATBUFFERS_MAX_BUFFER_SIZE)
    return badPlan("section table: the program is too large");
  return Status::ok();
}

//===----------------------------------------------------------------------===//
// PlanFile
//===----------------------------------------------------------------------===//

StatusOr<PlanFile> PlanFile::open(const std::string &path) {
  PlanFile plan;
  plan.thePath = path;
  MOE_ASSIGN_OR_RETURN(plan.file, MappedFile::open(path));
  if (Status status = plan.read(plan.file.bytes()); !status.isOk())
    return status.at(path);
  return plan;
}

StatusOr<PlanFile> PlanFile::fromBytes(std::span<const std::byte> bytes,
                                       std::string path) {
  PlanFile plan;
  plan.thePath = std::move(path);
  if (Status status = plan.read(bytes); !status.isOk())
    return status.at(plan.thePath);
  return plan;
}

Status PlanFile::read(std::span<const std::byte> bytes) {
  if (bytes.size() < sizeof(Preamble))
    return badPlan("header: the file has " + std::to_string(bytes.size()) +
                   " bytes, expected at least " +
                   std::to_string(sizeof(Preamble)));
  Preamble preamble;
  std::memcpy(&preamble, bytes.data(), sizeof(preamble));
  MOE_RETURN_IF_ERROR(verifyHeader(preamble, bytes.size()));
  MOE_RETURN_IF_ERROR(verifySections(preamble, bytes.size()));
  std::span<const std::byte> section =
      bytes.subspan(preamble.program.offset, preamble.program.size);
  if (hashBytes(section.data(), section.size()) != preamble.program.hash)
    return badPlan("program section: does not match its hash");
  weights = bytes.subspan(preamble.weights.offset, preamble.weights.size);
  theHash = preamble.header.hash;
  MOE_RETURN_IF_ERROR(readProgram(section));
  if (hashOfHashes(theProgram->chunk_hashes) != preamble.weights.hash)
    return badPlan("weights section: its chunk hashes do not match its hash");
  return Status::ok();
}

Status PlanFile::readProgram(std::span<const std::byte> section) {
  auto *data = reinterpret_cast<const uint8_t *>(section.data());
  flatbuffers::Verifier::Options options;
  options.max_depth = 16;
  // The smallest table and the reference to it have 8 bytes.
  options.max_tables =
      static_cast<flatbuffers::uoffset_t>(section.size() / 8 + 1);
  flatbuffers::Verifier verifier(data, section.size(), options);
  if (!plan::VerifyProgramBuffer(verifier))
    return badPlan("program section: is not a valid FlatBuffer");
  const plan::Program &packed = *plan::GetProgram(data);
  std::optional<uint64_t> size = unpackedSize(packed);
  if (!size)
    return badPlan("program section: has a vector that is not aligned");
  if (*size > section.size())
    return badPlan("program section: shares data between its tables");
  theProgram.reset(packed.UnPack());
  return verifyProgram(*theProgram, weights.size()).at("program section");
}

std::span<const std::byte>
PlanFile::blockBytes(const plan::BlockT &block) const {
  return weights.subspan(block.offset, block.bytes);
}

Status PlanFile::verifyBlock(const plan::BlockT &block) const {
  return verifyBlock(block, 0, block.bytes);
}

Status PlanFile::verifyBlock(const plan::BlockT &block, uint64_t begin,
                             uint64_t end) const {
  std::span<const std::byte> bytes = blockBytes(block);
  auto error = [&](size_t at, const char *what) {
    return badPlan(thePath + ": weights section: the block at " +
                   std::to_string(block.offset) + " " + what + " at byte " +
                   std::to_string(at));
  };
  size_t chunkBytes = theProgram->chunk_bytes;
  for (size_t i = begin / chunkBytes; i * chunkBytes < end; ++i) {
    size_t size = std::min(chunkBytes, bytes.size() - i * chunkBytes);
    if (hashBytes(bytes.data() + i * chunkBytes, size) !=
        theProgram->chunk_hashes[block.first_hash + i])
      return error(i * chunkBytes, "does not match its hash");
  }
  if (end < bytes.size())
    return Status::ok();
  size_t padding = (kAlignment - bytes.size() % kAlignment) % kAlignment;
  if (!isZero(weights.subspan(block.offset + block.bytes, padding)))
    return error(bytes.size(), "has padding that is not zero");
  return Status::ok();
}

Status PlanFile::verifyAllBlocks() const {
  for (const auto &param : theProgram->params)
    for (const auto &block : param->blocks)
      if (block->source == plan::BlockSource_Embedded)
        MOE_RETURN_IF_ERROR(verifyBlock(*block));
  return Status::ok();
}
