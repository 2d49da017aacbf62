//===- WeightStore.cpp - The weights of a plan in memory ------------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/params/WeightStore.h"
#include "runtime/params/Layouts.h"
#include "runtime/params/ParamExpr.h"
#include "runtime/plan/Placement.h"
#include "runtime/support/CheckedMath.h"

#include <cstring>
#include <map>
#include <mutex>
#include <new>
#include <tuple>

using namespace moe;

namespace {

struct FreeAligned {
  void operator()(std::byte *bytes) const {
    ::operator delete(bytes, std::align_val_t(kAlignment));
  }
};
using AlignedBytes = std::unique_ptr<std::byte, FreeAligned>;

/// One block in one layout; loaded once, under its own lock.
struct Entry {
  std::mutex mutex;
  bool isLoaded = false;
  Status status;
  BlockView view;
  AlignedBytes memory;
};

} // namespace

struct WeightStore::Impl {
  const PlanFile &plan;
  WeightStoreOptions options;
  std::optional<ParamEvaluator> evaluator;
  uint64_t memoryLimit = 0;

  std::mutex mutex; // of all below
  uint64_t memoryUsed = 0;
  std::map<std::tuple<uint32_t, int, std::string>, std::unique_ptr<Entry>>
      entries;

  Impl(const PlanFile &plan, WeightStoreOptions options)
      : plan(plan), options(std::move(options)) {}

  Status prepare();
  StatusOr<BlockView> loadBlock(uint32_t param, int expert,
                                std::string_view layout);
  Status load(const plan::ParamT &param, const plan::BlockT &block,
              std::string_view layout, Entry &entry);
  StatusOr<AlignedBytes> allocate(const plan::ParamT &param, uint64_t bytes);
  Status repack(const plan::ParamT &param, std::span<const std::byte> from,
                std::string_view layout, std::span<std::byte> to);
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
  uint64_t scaled = checkedMul<uint64_t>(backing, 4).value_or(UINT64_MAX);
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
  AlignedBytes memory(static_cast<std::byte *>(
      ::operator new(bytes, std::align_val_t(kAlignment), std::nothrow)));
  if (!memory)
    return Status(StatusCode::OutOfMemory,
                  "param " + param.name + ": no memory for a block of " +
                      std::to_string(bytes) + " bytes");
  return memory;
}

/// From the layout of the plan to another one, through rows.
Status WeightStore::Impl::repack(const plan::ParamT &param,
                                 std::span<const std::byte> from,
                                 std::string_view layout,
                                 std::span<std::byte> to) {
  DType dtype = DType(param.dtype);
  if (param.layout == kRowLayout)
    return packLayout(layout, dtype, param.dims, from, to);
  if (layout == kRowLayout)
    return unpackLayout(param.layout, dtype, param.dims, from, to);
  MOE_ASSIGN_OR_RETURN(uint64_t bytes,
                       layoutBytes(kRowLayout, dtype, param.dims));
  MOE_ASSIGN_OR_RETURN(AlignedBytes rows, allocate(param, bytes));
  std::span<std::byte> rowSpan(rows.get(), bytes);
  MOE_RETURN_IF_ERROR(
      unpackLayout(param.layout, dtype, param.dims, from, rowSpan));
  MOE_RETURN_IF_ERROR(packLayout(layout, dtype, param.dims, rowSpan, to));
  std::lock_guard lock(mutex);
  memoryUsed -= bytes;
  return Status::ok();
}

Status WeightStore::Impl::load(const plan::ParamT &param,
                               const plan::BlockT &block,
                               std::string_view layout, Entry &entry) {
  DType dtype = DType(param.dtype);
  bool isEmbedded = block.source == plan::BlockSource_Embedded;
  if (isEmbedded && options.verifyFull)
    MOE_RETURN_IF_ERROR(plan.verifyBlock(block).at("param " + param.name));
  if (isEmbedded && layout == param.layout) {
    std::span<const std::byte> bytes = plan.blockBytes(block);
    entry.view = {bytes.data(), bytes.size()};
    return Status::ok();
  }

  MOE_ASSIGN_OR_RETURN(uint64_t bytes, layoutBytes(layout, dtype, param.dims));
  MOE_ASSIGN_OR_RETURN(entry.memory, allocate(param, bytes));
  std::span<std::byte> memory(entry.memory.get(), bytes);
  entry.view = {memory.data(), memory.size()};
  if (isEmbedded)
    return repack(param, plan.blockBytes(block), layout, memory);

  size_t filled = 0;
  BytesSink sink = [&](std::span<const std::byte> piece) {
    std::memcpy(memory.data() + filled, piece.data(), piece.size());
    filled += piece.size();
    return Status::ok();
  };
  if (block.source == plan::BlockSource_Reference)
    return streamPacked(*evaluator, block.expr, layout, sink)
        .at("param " + param.name);
  WindowSource source = [&](std::span<const int64_t> starts,
                            std::span<const int64_t> sizes,
                            std::span<std::byte> out) {
    fillSynthetic(block.seed, dtype, param.dims, starts, sizes, out);
    return Status::ok();
  };
  return streamPacked(source, dtype, param.dims, layout, sink);
}

StatusOr<BlockView> WeightStore::Impl::loadBlock(uint32_t param, int expert,
                                                 std::string_view layout) {
  Entry *entry;
  {
    std::lock_guard lock(mutex);
    std::unique_ptr<Entry> &slot =
        entries[{param, expert, std::string(layout)}];
    if (!slot)
      slot = std::make_unique<Entry>();
    entry = slot.get();
  }
  std::lock_guard lock(entry->mutex);
  if (!entry->isLoaded) {
    const plan::ParamT &theParam = *plan.program().params[param];
    entry->status = load(theParam, *theParam.blocks[expert], layout, *entry);
    entry->isLoaded = true;
  }
  if (!entry->status.isOk())
    return entry->status;
  return entry->view;
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
  std::vector<int> experts = {0};
  if (theParam.experts > 0)
    experts = expertsOf(*program.layers[theParam.layer], rank);
  ParamBlocks blocks;
  blocks.isExpert = theParam.is_expert;
  for (int expert : experts) {
    MOE_ASSIGN_OR_RETURN(BlockView view,
                         impl->loadBlock(param, expert, layout));
    blocks.views.push_back(view);
    blocks.bytes += view.bytes;
    blocks.wasRepacked |=
        theParam.blocks[expert]->source == plan::BlockSource_Embedded &&
        layout != theParam.layout;
  }
  return blocks;
}
