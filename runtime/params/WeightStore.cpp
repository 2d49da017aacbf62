//===- WeightStore.cpp - The weights of a plan in memory ------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/params/WeightStore.h"
#include "runtime/params/BlockPart.h"
#include "runtime/params/HeldBlocks.h"
#include "runtime/params/Layouts.h"
#include "runtime/params/PackHeld.h"
#include "runtime/support/CheckedMath.h"
#include "runtime/support/HugePages.h"

#include <cstring>
#include <map>
#include <mutex>
#include <new>
#include <tuple>

using namespace moe;

namespace {

struct FreeAligned {
  std::align_val_t alignment = std::align_val_t(kAlignment);
  void operator()(std::byte *bytes) const {
    ::operator delete(bytes, alignment);
  }
};
using AlignedBytes = std::unique_ptr<std::byte, FreeAligned>;

/// Something that is done once, under its own lock.
struct Once {
  std::mutex mutex;
  bool isDone = false;
  Status status;

  template <typename Function> Status run(Function function) {
    std::lock_guard lock(mutex);
    if (!isDone) {
      status = function();
      isDone = true;
    }
    return status;
  }
};

/// One block, or a part of it, in one layout.
struct Entry {
  Once loading;
  BlockView view;
  AlignedBytes memory;
};

/// What is loaded once: parameter, block, its part along the axis, layout.
using EntryKey = std::tuple<uint32_t, int, int, int64_t, int64_t, std::string>;

} // namespace

struct WeightStore::Impl {
  const PlanFile &plan;
  WeightStoreOptions options;
  std::optional<ParamEvaluator> evaluator;
  uint64_t memoryLimit = 0;

  std::mutex mutex; // of all below
  uint64_t memoryUsed = 0;
  std::map<EntryKey, std::unique_ptr<Entry>> entries;
  /// Blocks that were compared with their hashes as a whole.
  std::map<std::pair<uint32_t, int>, std::unique_ptr<Once>> verified;

  Impl(const PlanFile &plan, WeightStoreOptions options)
      : plan(plan), options(std::move(options)) {}

  Status prepare();
  StatusOr<BlockView> loadBlock(uint32_t param, const HeldBlock &held,
                                std::string_view layout);
  Status load(uint32_t param, const HeldBlock &held, std::string_view layout,
              Entry &entry);
  std::optional<std::span<const std::byte>>
  inPlace(const plan::ParamT &param, const HeldBlock &held,
          std::string_view layout) const;
  Status verify(uint32_t param, const HeldBlock &held);
  StatusOr<AlignedBytes> allocate(const plan::ParamT &param, uint64_t bytes);

  /// The entry of a key, made when it is new.
  template <typename Map, typename Key>
  typename Map::mapped_type::element_type &entryOf(Map &map, Key key) {
    std::lock_guard lock(mutex);
    auto &slot = map[std::move(key)];
    if (!slot)
      slot = std::make_unique<typename Map::mapped_type::element_type>();
    return *slot;
  }
};

/// "dir/model.moeplan" gives "dir".
static std::string folderOf(const std::string &path) {
  size_t slash = path.rfind('/');
  if (slash == std::string::npos)
    return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

Status WeightStore::Impl::prepare() {
  const plan::ProgramT &program = plan.program();
  uint64_t backing = plan.weightsSize();
  bool needsFiles = false;
  for (const auto &param : program.params)
    for (const auto &block : param->blocks)
      needsFiles |= block->source == plan::BlockSource_Reference;
  if (needsFiles) {
    std::vector<std::string> folders = {folderOf(plan.path())};
    folders.insert(folders.end(), options.weightFolders.begin(),
                   options.weightFolders.end());
    MOE_ASSIGN_OR_RETURN(evaluator,
                         ParamEvaluator::create(program, std::move(folders)));
    MOE_ASSIGN_OR_RETURN(uint64_t fileBytes, evaluator->checkFiles());
    backing = checkedAdd(backing, fileBytes).value_or(UINT64_MAX);
  }
  uint64_t scaled = checkedMul<uint64_t>(backing, 16).value_or(UINT64_MAX);
  memoryLimit = options.memoryLimit.value_or(
      checkedAdd<uint64_t>(scaled, 64 << 20).value_or(UINT64_MAX));
  return Status::ok();
}

StatusOr<AlignedBytes> WeightStore::Impl::allocate(const plan::ParamT &param,
                                                   uint64_t bytes) {
  {
    std::lock_guard lock(mutex);
    if (bytes > memoryLimit - memoryUsed)
      return Status(
          StatusCode::OutOfMemory,
          "param " + param.name + ": a block of " + std::to_string(bytes) +
              " bytes exceeds the memory for weights, of which " +
              std::to_string(memoryUsed) + " of " +
              std::to_string(memoryLimit) + " bytes are used (see --memory)");
    memoryUsed += bytes;
  }
  FreeAligned release;
  if (bytes >= kHugePageBytes)
    release.alignment = std::align_val_t(kHugePageBytes);
  AlignedBytes memory(static_cast<std::byte *>(::operator new(
                          bytes, release.alignment, std::nothrow)),
                      release);
  if (memory)
    preferHugePages(memory.get(), bytes);
  else
    return Status(StatusCode::OutOfMemory,
                  "param " + param.name + ": no memory for a block of " +
                      std::to_string(bytes) + " bytes");
  return memory;
}

/// The bytes of the mapped plan that are what is held, if there are such.
std::optional<std::span<const std::byte>>
WeightStore::Impl::inPlace(const plan::ParamT &param, const HeldBlock &held,
                           std::string_view layout) const {
  const plan::BlockT &block = *param.blocks[held.block];
  if (block.source != plan::BlockSource_Embedded || layout != param.layout)
    return std::nullopt;
  std::span<const std::byte> bytes = plan.blockBytes(block);
  if (held.axis < 0)
    return bytes;
  std::optional<Interval> part =
      contiguousPart(layout, DType(param.dtype), param.dims, held);
  if (!part)
    return std::nullopt;
  return bytes.subspan(part->begin, part->size());
}

/// Compares an embedded block with its hashes, as far as the part needs it.
Status WeightStore::Impl::verify(uint32_t index, const HeldBlock &held) {
  const plan::ParamT &param = *plan.program().params[index];
  const plan::BlockT &block = *param.blocks[held.block];
  if (block.source != plan::BlockSource_Embedded || !options.verifyFull)
    return Status::ok();
  std::string place = "param " + param.name;
  std::optional<Interval> part;
  if (held.axis >= 0)
    part = contiguousPart(param.layout, DType(param.dtype), param.dims, held);
  if (part)
    return plan.verifyBlock(block, part->begin, part->end).at(place);
  return entryOf(verified, std::pair(index, held.block)).run([&] {
    return plan.verifyBlock(block).at(place);
  });
}

Status WeightStore::Impl::load(uint32_t index, const HeldBlock &held,
                               std::string_view layout, Entry &entry) {
  const plan::ParamT &param = *plan.program().params[index];
  MOE_RETURN_IF_ERROR(verify(index, held));
  entry.view.sliceSize = held.axis < 0 ? -1 : held.part.size();
  if (auto bytes = inPlace(param, held, layout)) {
    entry.view.data = bytes->data();
    entry.view.bytes = bytes->size();
    return Status::ok();
  }
  MOE_ASSIGN_OR_RETURN(uint64_t bytes, layoutBytes(layout, DType(param.dtype),
                                                   held.dims(param.dims)));
  MOE_ASSIGN_OR_RETURN(entry.memory, allocate(param, bytes));
  entry.view.data = entry.memory.get();
  entry.view.bytes = bytes;
  std::byte *to = entry.memory.get();
  BytesSink sink = [&](std::span<const std::byte> piece) {
    std::memcpy(to, piece.data(), piece.size());
    to += piece.size();
    return Status::ok();
  };
  return packHeld({plan, evaluator ? &*evaluator : nullptr}, param, held,
                  layout, sink);
}

StatusOr<BlockView> WeightStore::Impl::loadBlock(uint32_t param,
                                                 const HeldBlock &held,
                                                 std::string_view layout) {
  Entry &entry =
      entryOf(entries, EntryKey{param, held.block, held.axis, held.part.begin,
                                held.part.end, layout});
  MOE_RETURN_IF_ERROR(
      entry.loading.run([&] { return load(param, held, layout, entry); }));
  return entry.view;
}

WeightStore::WeightStore(std::unique_ptr<Impl> impl) : impl(std::move(impl)) {}
WeightStore::~WeightStore() = default;

StatusOr<std::unique_ptr<WeightStore>>
WeightStore::create(const PlanFile &plan, WeightStoreOptions options) {
  auto impl = std::make_unique<Impl>(plan, std::move(options));
  MOE_RETURN_IF_ERROR(impl->prepare().at(plan.path()));
  return std::unique_ptr<WeightStore>(new WeightStore(std::move(impl)));
}

StatusOr<ParamBlocks> WeightStore::load(int rank, uint32_t param,
                                        std::string_view layout) {
  const plan::ProgramT &program = impl->plan.program();
  if (param >= program.params.size())
    return Status(StatusCode::Internal,
                  "param " + std::to_string(param) + " does not exist");
  const plan::ParamT &theParam = *program.params[param];
  MOE_ASSIGN_OR_RETURN(std::vector<HeldBlock> held,
                       heldBlocks(program, theParam, rank));
  ParamBlocks blocks;
  blocks.isExpert = theParam.is_expert;
  for (const HeldBlock &each : held) {
    MOE_ASSIGN_OR_RETURN(BlockView view, impl->loadBlock(param, each, layout));
    blocks.views.push_back(view);
    blocks.bytes += view.bytes;
    blocks.wasRepacked |=
        theParam.blocks[each.block]->source == plan::BlockSource_Embedded &&
        layout != theParam.layout;
  }
  return blocks;
}
