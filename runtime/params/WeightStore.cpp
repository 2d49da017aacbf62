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
#include "runtime/support/Cores.h"
#include "runtime/support/HugePages.h"
#include "runtime/support/ThreadPool.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <mutex>
#include <new>
#include <tuple>

using namespace moe;

/// What a thread compares with hashes at a time.
static constexpr uint64_t kPieceBytes = uint64_t(4) << 20;

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

/// One block, or a part of it, in a layout that the plan does not have.
struct Entry {
  Once packing;
  AlignedBytes memory;
  uint64_t bytes = 0;
};

/// What is packed once: parameter, block, its part along the axis, layout.
using EntryKey = std::tuple<uint32_t, int, int, int64_t, int64_t, std::string>;

/// Bytes of an embedded block that are to be compared with their hashes.
struct Check {
  uint32_t param;
  const plan::BlockT *block;
  uint64_t begin, end;

  /// Equal for blocks that several parameters share.
  auto place() const {
    return std::pair(block->offset + begin, block->offset + end);
  }
};

/// A block that does not lie in the plan as it is wanted.
struct Packing {
  uint32_t param;
  HeldBlock held;
  std::string_view layout;
  Entry *entry;
  BlockView *view;
};

/// What is to be done before the views of some parameters can be read.
struct Work {
  std::vector<Check> checks;
  std::vector<Packing> packings;
};

} // namespace

struct WeightStore::Impl {
  const PlanFile &plan;
  WeightStoreOptions options;
  std::optional<ParamEvaluator> evaluator;
  uint64_t memoryLimit = 0;

  std::mutex mutex; // of all below
  uint64_t memoryUsed = 0;
  std::map<EntryKey, std::unique_ptr<Entry>> entries;

  Impl(const PlanFile &plan, WeightStoreOptions options)
      : plan(plan), options(std::move(options)) {}

  Status prepare();
  StatusOr<ParamBlocks> find(const WeightRequest &request, Work &work);
  void addChecks(uint32_t param, const HeldBlock &held,
                 std::vector<Check> &checks) const;
  std::optional<std::span<const std::byte>>
  inPlace(const plan::ParamT &param, const HeldBlock &held,
          std::string_view layout) const;
  Entry &entryOf(EntryKey key);
  Status run(Work &work);
  Status pack(const Packing &packing);
  StatusOr<AlignedBytes> allocate(const plan::ParamT &param, uint64_t bytes);
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

/// Adds the chunks that what is held lies in, in pieces of one chunk or, of
/// small ones, several.
void WeightStore::Impl::addChecks(uint32_t index, const HeldBlock &held,
                                  std::vector<Check> &checks) const {
  const plan::ParamT &param = *plan.program().params[index];
  const plan::BlockT &block = *param.blocks[held.block];
  if (block.source != plan::BlockSource_Embedded || !options.verifyFull)
    return;
  Interval wanted = {0, static_cast<int64_t>(block.bytes)};
  if (held.axis >= 0)
    wanted = contiguousPart(param.layout, DType(param.dtype), param.dims, held)
                 .value_or(wanted);
  uint64_t chunkBytes = plan.program().chunk_bytes;
  uint64_t pieceBytes =
      std::max(kPieceBytes / chunkBytes, uint64_t(1)) * chunkBytes;
  uint64_t begin = wanted.begin / chunkBytes * chunkBytes;
  uint64_t end = (wanted.end + chunkBytes - 1) / chunkBytes * chunkBytes;
  end = std::min(end, block.bytes);
  for (; begin < end; begin += pieceBytes)
    checks.push_back({index, &block, begin, std::min(begin + pieceBytes, end)});
}

Entry &WeightStore::Impl::entryOf(EntryKey key) {
  std::lock_guard lock(mutex);
  std::unique_ptr<Entry> &slot = entries[std::move(key)];
  if (!slot)
    slot = std::make_unique<Entry>();
  return *slot;
}

/// Views of what lies in the plan; what is left to do is added to `work`.
StatusOr<ParamBlocks> WeightStore::Impl::find(const WeightRequest &request,
                                              Work &work) {
  const plan::ProgramT &program = plan.program();
  if (request.param >= program.params.size())
    return Status(StatusCode::Internal,
                  "param " + std::to_string(request.param) + " does not exist");
  const plan::ParamT &param = *program.params[request.param];
  MOE_ASSIGN_OR_RETURN(std::vector<HeldBlock> held,
                       heldBlocks(program, param, request.rank));
  ParamBlocks blocks;
  blocks.isExpert = param.is_expert;
  blocks.views.resize(held.size());
  for (size_t i = 0; i < held.size(); ++i) {
    const HeldBlock &each = held[i];
    BlockView &view = blocks.views[i];
    addChecks(request.param, each, work.checks);
    blocks.wasRepacked |=
        param.blocks[each.block]->source == plan::BlockSource_Embedded &&
        request.layout != param.layout;
    view.sliceSize = each.axis < 0 ? -1 : each.part.size();
    if (auto bytes = inPlace(param, each, request.layout)) {
      view.data = bytes->data();
      view.bytes = bytes->size();
      continue;
    }
    EntryKey key{request.param,   each.block,    each.axis,
                 each.part.begin, each.part.end, std::string(request.layout)};
    // Moving the vector of views leaves them where they are.
    work.packings.push_back(
        {request.param, each, request.layout, &entryOf(std::move(key)), &view});
  }
  return blocks;
}

/// Calls job(0) to job(count - 1), by `pool` if there is one. Of several
/// errors, that of the first job counts.
template <typename Job>
static Status runJobs(ThreadPool *pool, size_t count, Job job) {
  std::vector<Status> results(count);
  auto runOne = [&](int64_t index, int) { results[index] = job(index); };
  if (pool)
    pool->parallelFor(count, runOne);
  else
    for (size_t i = 0; i < count; ++i)
      runOne(i, 0);
  for (Status &result : results)
    MOE_RETURN_IF_ERROR(std::move(result));
  return Status::ok();
}

/// Compares first, so that nothing is made of what is damaged.
Status WeightStore::Impl::run(Work &work) {
  std::vector<Check> &checks = work.checks;
  std::ranges::stable_sort(checks, {}, &Check::place);
  auto copies = std::ranges::unique(checks, {}, &Check::place);
  checks.erase(copies.begin(), copies.end());

  // A thread takes as long to start as a piece to be compared.
  uint64_t bytes = work.packings.size() * kPieceBytes;
  for (const Check &check : checks)
    bytes += check.end - check.begin;
  std::optional<ThreadPool> pool;
  if (bytes > 2 * kPieceBytes)
    pool.emplace(coreBudget().numThreads());
  ThreadPool *workers = pool ? &*pool : nullptr;

  MOE_RETURN_IF_ERROR(runJobs(workers, checks.size(), [&](size_t i) {
    const Check &check = checks[i];
    return plan.verifyBlock(*check.block, check.begin, check.end)
        .at("param " + plan.program().params[check.param]->name);
  }));
  return runJobs(workers, work.packings.size(), [&](size_t i) {
    const Packing &packing = work.packings[i];
    Status status = packing.entry->packing.run([&] { return pack(packing); });
    if (status.isOk()) {
      packing.view->data = packing.entry->memory.get();
      packing.view->bytes = packing.entry->bytes;
    }
    return status;
  });
}

Status WeightStore::Impl::pack(const Packing &packing) {
  const plan::ParamT &param = *plan.program().params[packing.param];
  Entry &entry = *packing.entry;
  MOE_ASSIGN_OR_RETURN(entry.bytes,
                       layoutBytes(packing.layout, DType(param.dtype),
                                   packing.held.dims(param.dims)));
  MOE_ASSIGN_OR_RETURN(entry.memory, allocate(param, entry.bytes));
  std::byte *to = entry.memory.get();
  BytesSink sink = [&](std::span<const std::byte> piece) {
    std::memcpy(to, piece.data(), piece.size());
    to += piece.size();
    return Status::ok();
  };
  return packHeld({plan, evaluator ? &*evaluator : nullptr}, param,
                  packing.held, packing.layout, sink);
}

WeightStore::WeightStore(std::unique_ptr<Impl> impl) : impl(std::move(impl)) {}
WeightStore::~WeightStore() = default;

StatusOr<std::unique_ptr<WeightStore>>
WeightStore::create(const PlanFile &plan, WeightStoreOptions options) {
  auto impl = std::make_unique<Impl>(plan, std::move(options));
  MOE_RETURN_IF_ERROR(impl->prepare().at(plan.path()));
  return std::unique_ptr<WeightStore>(new WeightStore(std::move(impl)));
}

StatusOr<std::vector<ParamBlocks>>
WeightStore::load(std::span<const WeightRequest> requests) {
  std::vector<ParamBlocks> result;
  result.reserve(requests.size());
  Work work;
  for (const WeightRequest &request : requests) {
    MOE_ASSIGN_OR_RETURN(ParamBlocks blocks, impl->find(request, work));
    result.push_back(std::move(blocks));
  }
  MOE_RETURN_IF_ERROR(impl->run(work));
  for (ParamBlocks &blocks : result)
    for (const BlockView &view : blocks.views)
      blocks.bytes += view.bytes;
  return result;
}

StatusOr<ParamBlocks> WeightStore::load(int rank, uint32_t param,
                                        std::string_view layout) {
  WeightRequest request{rank, param, layout};
  MOE_ASSIGN_OR_RETURN(std::vector<ParamBlocks> blocks, load({&request, 1}));
  return std::move(blocks[0]);
}
