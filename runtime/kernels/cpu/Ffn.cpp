//===- Ffn.cpp - The products of one feed-forward network -----------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/kernels/cpu/Ffn.h"

#include "runtime/plan/StepAttributes.h"

#include <limits>

namespace moe::cpu {

StatusOr<FfnAttributes> FfnAttributes::parse(StepAttributes &attributes) {
  FfnAttributes result;
  MOE_ASSIGN_OR_RETURN(result.activation.kind,
                       attributes.getEnum<Activation>(
                           "activation", {{"identity", Activation::Identity},
                                          {"relu", Activation::Relu},
                                          {"relu2", Activation::Relu2},
                                          {"gelu_erf", Activation::GeluErf},
                                          {"gelu_tanh", Activation::GeluTanh},
                                          {"silu", Activation::Silu},
                                          {"swiglu", Activation::Swiglu},
                                          {"sigmoid", Activation::Sigmoid},
                                          {"tanh", Activation::Tanh}}));
  MOE_ASSIGN_OR_RETURN(
      result.gating,
      attributes.getEnum<Gating>("gating",
                                 {{"none", Gating::None},
                                  {"interleaved", Gating::Interleaved},
                                  {"concatenated", Gating::Concatenated},
                                  {"split", Gating::Split}},
                                 Gating::None));
  MOE_ASSIGN_OR_RETURN(result.arithmetic, parseArithmetic(attributes));
  MOE_ASSIGN_OR_RETURN(double alpha, attributes.getFloat("alpha", 1.0));
  MOE_ASSIGN_OR_RETURN(double beta, attributes.getFloat("beta", 0.0));
  MOE_ASSIGN_OR_RETURN(
      double limit,
      attributes.getFloat("limit", std::numeric_limits<double>::infinity()));
  result.activation.alpha = static_cast<float>(alpha);
  result.activation.beta = static_cast<float>(beta);
  result.activation.limit = static_cast<float>(limit);
  if (result.activation.kind == Activation::Swiglu &&
      result.gating == Gating::None)
    return attributes.error("activation", "is 'swiglu', which needs a gating");
  return result;
}

//===----------------------------------------------------------------------===//
// Operands
//===----------------------------------------------------------------------===//

FfnOperands::FfnOperands(const KernelArgs &args, size_t first)
    : w1(&inputOrAbsent(args, first)), b1(&inputOrAbsent(args, first + 1)),
      w2(&inputOrAbsent(args, first + 2)), b2(&inputOrAbsent(args, first + 3)),
      w3(&inputOrAbsent(args, first + 4)), b3(&inputOrAbsent(args, first + 5)),
      storage1(RhsStorage::of(w1->layout).value_or(RhsStorage())),
      storage2(RhsStorage::of(w2->layout).value_or(RhsStorage())),
      storage3(RhsStorage::of(w3->layout).value_or(RhsStorage())) {}

static Status badOperand(const std::string &step, const char *operand,
                         const TensorView &view, const std::string &expected) {
  return Status(StatusCode::BadPlan, step + ": operand '" + operand +
                                         "' has shape " + shapeText(view) +
                                         ", expected " + expected);
}

/// Whether packed blocks have a layout that products read and a size that can
/// be expressed.
static bool areReadable(const TensorView &view) {
  std::optional<RhsStorage> storage = RhsStorage::of(view.layout);
  if (!storage || storage->kind != RhsStorage::Kind::Codes)
    return storage.has_value();
  return view.rank == 2 && QuantPanel::of(storage->format, view.dims[0]).isOk();
}

/// The last `rank` dimensions must be `dims`.
static Status checkDims(const std::string &step, const char *operand,
                        const TensorView &view,
                        std::initializer_list<int64_t> dims) {
  int rank = static_cast<int>(dims.size());
  bool fits =
      (view.rank == rank || view.rank == rank + 1) &&
      std::equal(dims.begin(), dims.end(), view.dims + view.rank - rank) &&
      isFloat(view.dtype) && view.dtype != DType::F64;
  if (fits && view.layout == "row")
    fits = view.isContiguous();
  else if (fits)
    fits = rank == 2 && areReadable(view);
  if (fits)
    return Status::ok();
  std::string expected = "[";
  for (int64_t dim : dims)
    expected += (expected.size() > 1 ? ", " : "") + std::to_string(dim);
  return badOperand(step, operand, view,
                    expected + "] of f32, f16 or bf16, contiguous");
}

StatusOr<FfnSizes> FfnOperands::sizes(const std::string &step,
                                      Gating gating) const {
  if (w1->rank < 2 || w2->rank < 2)
    return badOperand(step, "w1", *w1, "a matrix for each of w1 and w2");
  FfnSizes sizes;
  sizes.inputs = w1->dims[w1->rank - 2];
  sizes.hidden = w2->dims[w2->rank - 2];
  sizes.outputs = w2->dims[w2->rank - 1];
  // Matrices without elements may have any sizes, of which memory of rows is
  // computed.
  if (std::max({sizes.inputs, sizes.hidden, sizes.outputs}) > INT32_MAX)
    return badOperand(step, "w2", *w2,
                      "fewer than 2^31 inputs, hidden values and outputs");
  bool isDouble =
      gating == Gating::Interleaved || gating == Gating::Concatenated;
  int64_t columns = isDouble ? 2 * sizes.hidden : sizes.hidden;
  MOE_RETURN_IF_ERROR(checkDims(step, "w1", *w1, {sizes.inputs, columns}));
  MOE_RETURN_IF_ERROR(
      checkDims(step, "w2", *w2, {sizes.hidden, sizes.outputs}));
  if (b1->present())
    MOE_RETURN_IF_ERROR(checkDims(step, "b1", *b1, {columns}));
  if (b2->present())
    MOE_RETURN_IF_ERROR(checkDims(step, "b2", *b2, {sizes.outputs}));
  if (w3->present() != (gating == Gating::Split))
    return badOperand(step, "w3", *w3, "it exactly for split gating");
  if (w3->present())
    MOE_RETURN_IF_ERROR(
        checkDims(step, "w3", *w3, {sizes.inputs, sizes.hidden}));
  if (b3->present() && gating != Gating::Split)
    return badOperand(step, "b3", *b3, "it only for split gating");
  if (b3->present())
    MOE_RETURN_IF_ERROR(checkDims(step, "b3", *b3, {sizes.hidden}));
  return sizes;
}

/// -1 if `view` has as many dimensions as one network needs and no blocks.
static int64_t networksOf(const TensorView &view, int rank) {
  if (view.rank == rank + 1)
    return view.dims[0];
  return view.blocks.size() > 1 ? static_cast<int64_t>(view.blocks.size()) : -1;
}

StatusOr<int64_t> FfnOperands::numNetworks(const std::string &step) const {
  int64_t networks = networksOf(*w1, 2);
  const std::pair<const TensorView *, int> others[] = {
      {w2, 2}, {w3, 2}, {b1, 1}, {b2, 1}, {b3, 1}};
  for (auto [view, rank] : others)
    if (view->present() && networksOf(*view, rank) != networks)
      return badOperand(step, "weights", *view,
                        "as many networks as w1 of shape " + shapeText(*w1) +
                            " has");
  return networks;
}

bool FfnOperands::has(Index index) const {
  auto isIn = [&](const TensorView &view, int rank) {
    int64_t count = view.rank == rank + 1
                        ? view.dims[0]
                        : static_cast<int64_t>(view.blocks.size());
    return !view.present() || index.in(view, rank) < count;
  };
  return isIn(*w1, 2) && isIn(*w2, 2) && isIn(*w3, 2) && isIn(*b1, 1) &&
         isIn(*b2, 1) && isIn(*b3, 1);
}

/// The block of network `index`, or null for tensors of all networks.
static const BlockView *blockOf(const TensorView &view, int rank,
                                FfnOperands::Index index) {
  if (view.rank != rank || view.blocks.empty())
    return nullptr;
  return &view.blocks[static_cast<size_t>(index.in(view, rank))];
}

bool FfnOperands::haveSlices(int64_t hidden, Gating gating, Index index) const {
  // Slices of concatenated columns would need two ranges of them.
  if (index.numSlices > 1 && gating == Gating::Concatenated)
    return false;
  Interval slice = index.hiddenOf(hidden);
  int64_t size = slice.size();
  // A slice of codes begins and ends with a block of them.
  int64_t unit =
      storage2.kind == RhsStorage::Kind::Codes ? storage2.format.block : 1;
  if (index.numSlices > 1 && size > 0 &&
      (slice.begin % unit != 0 ||
       (slice.end % unit != 0 && slice.end != hidden)))
    return false;
  auto fits = [&](const TensorView &view, int rank, int64_t factor) {
    const BlockView *block =
        view.present() ? blockOf(view, rank, index) : nullptr;
    int64_t expected = index.numSlices > 1 && factor > 0 ? factor * size : -1;
    return !block || block->sliceSize == expected;
  };
  int64_t factor = gating == Gating::Interleaved ? 2 : 1;
  return fits(*w1, 2, factor) && fits(*b1, 1, factor) && fits(*w2, 2, 1) &&
         fits(*b2, 1, 0) && fits(*w3, 2, 1) && fits(*b3, 1, 1);
}

/// The matrix or vector of one network.
static const std::byte *networkData(const TensorView &view, int rank,
                                    FfnOperands::Index index) {
  int64_t i = index.in(view, rank);
  if (view.rank == rank)
    return blockData(view, static_cast<size_t>(i));
  return blockData(view) + i * productOf(view, 1, view.rank) *
                               static_cast<int64_t>(dtypeSize(view.dtype));
}

FfnWeights FfnOperands::weights(int64_t hidden, Index index) const {
  Interval slice = index.hiddenOf(hidden);
  // What the slice has of a dimension of `size` elements that it divides.
  auto elements = [&](int64_t size, bool isDivided) {
    if (!isDivided || index.numSlices == 1)
      return Interval{0, size};
    int64_t factor = hidden > 0 ? size / hidden : 1;
    return Interval{slice.begin * factor, slice.end * factor};
  };
  auto matrix = [&](const TensorView &view, const RhsStorage &storage,
                    bool dividesColumns) {
    RhsMatrix result;
    if (!view.present())
      return result;
    int64_t wholeColumns = view.dims[view.rank - 1];
    Interval depth = elements(view.dims[view.rank - 2], !dividesColumns);
    Interval columns = elements(wholeColumns, dividesColumns);
    result.data = networkData(view, 2, index);
    result.dtype = view.dtype;
    result.storage = storage;
    result.depth = depth.size();
    result.columns = columns.size();
    bool isBlock = blockOf(view, 2, index) != nullptr;
    result.depthStride = isBlock ? result.columns : wholeColumns;
    if (!isBlock) // the slice is in the middle of the whole
      result.data += (depth.begin * wholeColumns + columns.begin) *
                     static_cast<int64_t>(dtypeSize(view.dtype));
    return result;
  };
  auto vector = [&](const TensorView &view, bool isDivided) {
    if (!view.present())
      return RowVector();
    const std::byte *data = networkData(view, 1, index);
    if (!blockOf(view, 1, index))
      data += elements(view.dims[view.rank - 1], isDivided).begin *
              static_cast<int64_t>(dtypeSize(view.dtype));
    return RowVector{data, view.dtype};
  };
  FfnWeights result = {
      matrix(*w1, storage1, true), matrix(*w2, storage2, false),
      matrix(*w3, storage3, true), vector(*b1, true),
      vector(*b2, false),          vector(*b3, true)};
  if (index.slice > 0)
    result.b2 = RowVector();
  return result;
}

//===----------------------------------------------------------------------===//
// Products
//===----------------------------------------------------------------------===//

FfnScratch FfnScratch::cut(Scratch &scratch, const FfnSizes &sizes,
                           bool arePacked) {
  FfnScratch result;
  int64_t depth = std::max(sizes.inputs, sizes.hidden);
  result.panels =
      scratch.take<float>(panelScratch(arePacked, depth, 2 * kGroupPanels));
  result.gate = scratch.take<float>(kRowBlock * 2 * kGroupColumns);
  result.linear = scratch.take<float>(kRowBlock * (kGroupColumns + kPanel));
  return result;
}

/// tile = x * columns [first, ...) of w + bias; returns the tile's column of
/// `first`, which need not be the beginning of a panel.
static float *project(const Isa &isa, const HiddenTile &tile,
                      const RhsMatrix &w, const RowVector &bias, int64_t first,
                      int64_t columns, float *panels, float *out,
                      int64_t outStride) {
  int64_t panel = first / kPanel;
  multiplyPanels(isa, w, panel, ceilDiv(first + columns, kPanel) - panel,
                 {tile.x, tile.xStride, tile.rowOf, tile.rows, out, outStride,
                  tile.rounded},
                 panels);
  float *result = out + first % kPanel;
  if (bias.data) {
    float scratch[2 * kStreamColumns];
    const float *added = bias.read(isa, first, columns, scratch);
    for (int64_t r = 0; r < tile.rows; ++r)
      isa.axpyRow(1.0f, added, result + r * outStride, columns);
  }
  return result;
}

void computeHidden(const Isa &isa, const FfnAttributes &attributes,
                   const FfnSizes &sizes, const FfnWeights &weights,
                   const HiddenTile &tile, const FfnScratch &scratch) {
  int64_t room = std::max(tile.panels * kPanel, kGroupColumns);
  int64_t gateStride = 2 * room, linearStride = room + kPanel;
  int64_t first = tile.panel * kPanel;
  int64_t columns = std::min(tile.panels * kPanel, sizes.hidden - first);
  bool isInterleaved = attributes.gating == Gating::Interleaved;
  int64_t factor = isInterleaved ? 2 : 1;
  float *gate =
      project(isa, tile, weights.w1, weights.b1, factor * first,
              factor * columns, scratch.panels, scratch.gate, gateStride);
  float *linear = nullptr;
  if (attributes.gating == Gating::Split)
    linear = project(isa, tile, weights.w3, weights.b3, first, columns,
                     scratch.panels, scratch.linear, linearStride);
  else if (attributes.gating == Gating::Concatenated)
    linear = project(isa, tile, weights.w1, weights.b1, sizes.hidden + first,
                     columns, scratch.panels, scratch.linear, linearStride);
  // The last vector may run over the end of the row: hidden rows have room.
  int64_t padded = roundUp(columns, 8);
  for (int64_t r = 0; r < tile.rows; ++r) {
    float *g = gate + r * gateStride;
    float *l = linear ? linear + r * linearStride : nullptr;
    float gates[kStreamColumns], linears[kStreamColumns];
    float values[kStreamColumns];
    float *out = tile.roundedHidden
                     ? values
                     : tile.hidden + r * sizes.hiddenStride() + first;
    if (isInterleaved) {
      for (int64_t i = 0; i < padded; ++i) {
        gates[i] = i < columns ? g[2 * i] : 0;
        linears[i] = i < columns ? g[2 * i + 1] : 0;
      }
      g = gates;
      l = linears;
    }
    isa.activate(attributes.activation, g, l, out, padded);
    if (tile.roundedHidden)
      isa.quantizeRow(out, columns,
                      tile.roundedHidden + r * sizes.hiddenBlocks() +
                          first / QuantBlock::kSize);
  }
}

void computeOutput(const Isa &isa, const FfnSizes &sizes,
                   const FfnWeights &weights, const OutputTile &tile,
                   const FfnScratch &scratch) {
  int64_t first = tile.panel * kPanel;
  int64_t columns = std::min(tile.panels * kPanel, sizes.outputs - first);
  int64_t size = static_cast<int64_t>(dtypeSize(tile.dtype));
  std::byte *target = tile.out + first * size;
  bool isDirect = tile.dtype == DType::F32 && columns % kPanel == 0;
  ProductRows rows{tile.hidden,
                   sizes.hiddenStride(),
                   nullptr,
                   tile.rows,
                   isDirect ? reinterpret_cast<float *>(target) : scratch.gate,
                   isDirect ? sizes.outputs
                            : std::max(tile.panels * kPanel, kGroupColumns),
                   tile.rounded};
  multiplyPanels(isa, weights.w2, tile.panel, ceilDiv(columns, kPanel), rows,
                 scratch.panels);
  float biasScratch[kStreamColumns];
  const float *added = weights.b2.data
                           ? weights.b2.read(isa, first, columns, biasScratch)
                           : nullptr;
  for (int64_t r = 0; r < tile.rows; ++r) {
    float *values = rows.c + r * rows.cStride;
    if (added)
      isa.axpyRow(1.0f, added, values, columns);
    if (!isDirect)
      isa.fromF32(tile.dtype, values, target + r * sizes.outputs * size,
                  columns);
  }
}

double ffnFlopsPerRow(const FfnSizes &sizes, Gating gating) {
  double first =
      (gating == Gating::None ? 1.0 : 2.0) * static_cast<double>(sizes.inputs);
  return 2 * static_cast<double>(sizes.hidden) *
         (first + static_cast<double>(sizes.outputs));
}

} // namespace moe::cpu
