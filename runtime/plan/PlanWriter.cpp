//===- PlanWriter.cpp - Writing plans -------------------------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/plan/PlanFile.h"
#include "runtime/plan/PlanFormat.h"
#include "runtime/plan/PlanVerify.h"
#include "runtime/support/CheckedMath.h"

#include <algorithm>

#define XXH_INLINE_ALL
#include <xxhash.h>

using namespace moe;
using namespace moe::plan_format;

namespace {
struct FreeState {
  void operator()(XXH3_state_t *state) const { XXH3_freeState(state); }
};
} // namespace

struct PlanWriter::Impl {
  AtomicFileWriter file;
  std::unique_ptr<XXH3_state_t, FreeState> hash;
  std::vector<uint64_t> chunkHashes;
  /// The block that is being written, while there is one.
  bool inBlock = false;
  plan::BlockT block;
  uint32_t bytesInChunk = 0;

  explicit Impl(AtomicFileWriter file)
      : file(std::move(file)), hash(XXH3_createState()) {}

  void endChunk() {
    chunkHashes.push_back(XXH3_64bits_digest(hash.get()));
    XXH3_64bits_reset(hash.get());
    bytesInChunk = 0;
  }
};

static Status misuse(const char *what) {
  return Status(StatusCode::Internal, std::string("plan writer: ") + what);
}

PlanWriter::PlanWriter(std::unique_ptr<Impl> impl) : impl(std::move(impl)) {}
PlanWriter::PlanWriter(PlanWriter &&) noexcept = default;
PlanWriter &PlanWriter::operator=(PlanWriter &&) noexcept = default;
PlanWriter::~PlanWriter() = default;

StatusOr<PlanWriter> PlanWriter::create(const std::string &path) {
  MOE_ASSIGN_OR_RETURN(AtomicFileWriter file, AtomicFileWriter::create(path));
  // Room for the preamble, which finish() fills in.
  MOE_RETURN_IF_ERROR(file.append(std::vector<std::byte>(sizeof(Preamble))));
  auto impl = std::make_unique<Impl>(std::move(file));
  if (!impl->hash)
    return Status(StatusCode::OutOfMemory, "no memory for a hash");
  return PlanWriter(std::move(impl));
}

Status PlanWriter::beginBlock() {
  if (impl->inBlock)
    return misuse("a block begins inside another");
  impl->inBlock = true;
  impl->block = plan::BlockT();
  impl->block.source = plan::BlockSource_Embedded;
  impl->block.offset = impl->file.size() - sizeof(Preamble);
  impl->block.first_hash = static_cast<uint32_t>(impl->chunkHashes.size());
  impl->bytesInChunk = 0;
  XXH3_64bits_reset(impl->hash.get());
  return Status::ok();
}

Status PlanWriter::appendToBlock(std::span<const std::byte> bytes) {
  if (!impl->inBlock)
    return misuse("bytes outside of a block");
  MOE_RETURN_IF_ERROR(impl->file.append(bytes));
  impl->block.bytes += bytes.size();
  while (!bytes.empty()) {
    size_t count =
        std::min<size_t>(bytes.size(), kMaxChunkBytes - impl->bytesInChunk);
    XXH3_64bits_update(impl->hash.get(), bytes.data(), count);
    impl->bytesInChunk += static_cast<uint32_t>(count);
    if (impl->bytesInChunk == kMaxChunkBytes)
      impl->endChunk();
    bytes = bytes.subspan(count);
  }
  return Status::ok();
}

StatusOr<plan::BlockT> PlanWriter::endBlock() {
  if (!impl->inBlock)
    return misuse("no block to end");
  if (impl->bytesInChunk > 0)
    impl->endChunk();
  impl->inBlock = false;
  MOE_RETURN_IF_ERROR(impl->file.alignTo(kAlignment));
  return impl->block;
}

StatusOr<plan::BlockT>
PlanWriter::appendBlock(std::span<const std::byte> bytes) {
  MOE_RETURN_IF_ERROR(beginBlock());
  MOE_RETURN_IF_ERROR(appendToBlock(bytes));
  return endBlock();
}

Status PlanWriter::finish(plan::ProgramT &program) {
  if (impl->inBlock)
    return misuse("the last block has no end");
  program.chunk_bytes = kMaxChunkBytes;
  program.chunk_hashes = impl->chunkHashes;
  uint64_t weightsSize = impl->file.size() - sizeof(Preamble);
  MOE_RETURN_IF_ERROR(
      verifyProgram(program, weightsSize).at("plan to be written"));

  flatbuffers::FlatBufferBuilder builder(1 << 20);
  builder.Finish(plan::Program::Pack(builder, &program));
  auto bytes =
      std::as_bytes(std::span(builder.GetBufferPointer(), builder.GetSize()));
  MOE_RETURN_IF_ERROR(impl->file.append(bytes));

  Preamble preamble = {};
  preamble.weights = {SectionKind::Weights, 0, sizeof(Preamble), weightsSize,
                      hashOfHashes(program.chunk_hashes)};
  preamble.program = {SectionKind::Program, 0, sizeof(Preamble) + weightsSize,
                      bytes.size(), hashBytes(bytes.data(), bytes.size())};
  preamble.header.magic = kMagic;
  preamble.header.major = kPlanMajor;
  preamble.header.minor = kPlanMinor;
  preamble.header.numSections = 2;
  preamble.header.features = kKnownFeatures;
  preamble.header.fileSize = impl->file.size();
  preamble.header.hash = hashPreamble(preamble);
  MOE_RETURN_IF_ERROR(
      impl->file.patch(0, std::as_bytes(std::span(&preamble, 1))));
  return impl->file.commit();
}
