//===- WeightStore.h - The weights of a plan in memory ----------*- C++ -*-===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Gives each rank the blocks that it holds: every dense parameter, and of the
// experts' parameters those that the placement assigns to it, or its parts of
// them (HeldBlocks.h). A block or part is
//
//   Embedded    seen where the plan file is mapped, without a copy, if it lies
//               there in the layout that is wanted; else repacked,
//   Reference   evaluated from the weight files and packed,
//   Synthetic   made from its seed.
//
// What a plan has in a layout of codes (QuantFormat.h) is packed from codes, or
// for kernels that do not read them, dequantised window by window.
//
// Nothing outside of a part is evaluated, and no more of the plan is compared
// with its hashes than the chunks that the part lies in. All cores take chunks
// and blocks in turn, so a large parameter is no matter of one thread; what is
// only mapped takes neither a thread nor a look at its bytes.
//
// Ranks of one process use one store, so what several of them hold is there
// once.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_RUNTIME_PARAMS_WEIGHTSTORE_H
#define MOE_RUNTIME_PARAMS_WEIGHTSTORE_H

#include "runtime/params/QuantSource.h"
#include "runtime/plan/PlanFile.h"
#include "runtime/support/Status.h"
#include "runtime/support/TensorView.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace moe {

struct WeightStoreOptions {
  /// Compare embedded blocks with their hashes while they are loaded
  /// (--verify=full), or not (--verify=lazy).
  bool verifyFull = true;
  /// Where weight files may lie, besides the folder of the plan.
  std::vector<std::string> weightFolders;
  /// Bytes of memory for blocks that are not mapped. Default: 64 MiB and 16
  /// times the bytes of the plan and its weight files (codes of 2 bits can
  /// become f32), so that a small hostile plan cannot ask for much; synthetic
  /// weights need more.
  std::optional<uint64_t> memoryLimit;
};

/// A parameter that a rank is to have in a layout.
struct WeightRequest {
  int rank;
  uint32_t param;
  std::string_view layout;
};

/// The blocks of one parameter that one rank holds.
struct ParamBlocks {
  /// One of a dense parameter; of experts those of localExperts(), in this
  /// order. The bytes live as long as the store.
  std::vector<BlockView> views;
  /// Their sum, and whether they count as expert weights.
  uint64_t bytes = 0;
  bool isExpert = false;
  /// The plan has them in another layout.
  bool wasRepacked = false;
};

class WeightStore {
public:
  /// `plan` must outlive the store. Errors: a weight file that is missing or
  /// has another size.
  static StatusOr<std::unique_ptr<WeightStore>>
  create(const PlanFile &plan, WeightStoreOptions options);
  ~WeightStore();

  /// Loads what ranks hold of program().params. May be called by several
  /// threads at once; what is there already is shared. A layout of codes must
  /// be the plan's, and parts must begin and end at blocks: Unsupported.
  StatusOr<std::vector<ParamBlocks>>
  load(std::span<const WeightRequest> requests);
  /// The same for one parameter.
  StatusOr<ParamBlocks> load(int rank, uint32_t param, std::string_view layout);

private:
  struct Impl;
  explicit WeightStore(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl;
};

/// Codes of a synthetic matrix: uniform without the least one, scales and zero
/// points of each block such that the values have mean 0 and the standard
/// deviation of fillSynthetic. They depend on `seed` and their place alone.
QuantSource syntheticCodes(uint64_t seed, const QuantFormat &format,
                           std::span<const int64_t> dims);

/// Window of a synthetic weight: values that depend on `seed` and the index
/// alone, uniform with standard deviation 1 / sqrt(K), K the number of rows of
/// a matrix or the elements of a vector; integers are 0 or 1.
void fillSynthetic(uint64_t seed, DType dtype, std::span<const int64_t> dims,
                   std::span<const int64_t> starts,
                   std::span<const int64_t> sizes, std::span<std::byte> out);

} // namespace moe

#endif // MOE_RUNTIME_PARAMS_WEIGHTSTORE_H
