//===- VerifyParams.cpp - Weights: constants, parameters and blocks -------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/params/Layouts.h"
#include "runtime/plan/PlanVerify.h"
#include "runtime/plan/ProgramVerifier.h"
#include "runtime/support/CheckedMath.h"

#include <algorithm>
#include <set>

using namespace moe;

//===----------------------------------------------------------------------===//
// Constants and files
//===----------------------------------------------------------------------===//

Status ProgramVerifier::verifyConstants() const {
  for (size_t i = 0; i < program.constants.size(); ++i)
    if (program.constants[i]->data.size() > kMaxConstantBytes)
      return Place("constant", i)
          .error("has " + std::to_string(program.constants[i]->data.size()) +
                 " bytes, expected at most " +
                 std::to_string(kMaxConstantBytes));
  return Status::ok();
}

Status ProgramVerifier::verifyFiles() const {
  for (size_t i = 0; i < program.files.size(); ++i) {
    const std::string &path = program.files[i]->path;
    if (path.empty() || path.size() > 4096 ||
        path.find('\0') != std::string::npos)
      return Place("file", i).error("has a path that is empty, too long or "
                                    "contains a zero byte");
  }
  return Status::ok();
}

//===----------------------------------------------------------------------===//
// Parameters and blocks
//===----------------------------------------------------------------------===//

Status ProgramVerifier::verifyParams() {
  std::set<std::string_view> names;
  for (size_t i = 0; i < program.params.size(); ++i) {
    MOE_RETURN_IF_ERROR(verifyParam(i));
    if (!names.insert(program.params[i]->name).second)
      return Place("param", i, &program.params[i]->name)
          .error("has the name of another param");
  }
  return Status::ok();
}

Status ProgramVerifier::verifyParam(size_t index) {
  const plan::ParamT &param = *program.params[index];
  Place place("param", index, &param.name);
  if (param.name.empty())
    return place.error("has no name");
  MOE_RETURN_IF_ERROR(checkDType(place, param.dtype));
  if (param.dims.size() > kMaxRank)
    return place.error("has rank " + std::to_string(param.dims.size()) +
                       ", expected at most " + std::to_string(kMaxRank));
  if (param.experts < 0 || param.experts > kMaxExperts)
    return place.error("has " + std::to_string(param.experts) + " experts");
  if (param.experts > 0) {
    MOE_RETURN_IF_ERROR(
        place.checkIndex("layer", param.layer, program.layers.size()));
    if (program.layers[param.layer]->experts != param.experts)
      return place.error("has " + std::to_string(param.experts) +
                         " experts, its layer " +
                         std::to_string(program.layers[param.layer]->experts));
  }
  MOE_RETURN_IF_ERROR(verifyParamPart(place, param));
  size_t numBlocks = std::max(param.experts, 1);
  if (param.blocks.size() != numBlocks)
    return place.error("has " + std::to_string(param.blocks.size()) +
                       " blocks, expected " + std::to_string(numBlocks));
  StatusOr<uint64_t> bytes =
      layoutBytes(param.layout, DType(param.dtype), param.dims);
  if (!bytes.isOk())
    return place.error(bytes.status().message());
  for (const auto &block : param.blocks)
    MOE_RETURN_IF_ERROR(verifyBlock(place, param, *block, *bytes));
  return Status::ok();
}

/// The dimension of which a rank holds a part.
Status ProgramVerifier::verifyParamPart(const Place &place,
                                        const plan::ParamT &param) const {
  if (param.part_axis == -1)
    return Status::ok();
  MOE_RETURN_IF_ERROR(
      place.checkIndex("part_axis", param.part_axis, param.dims.size()));
  if (param.part_unit < 1)
    return place.error("part_unit is 0, expected at least 1");
  if (param.experts > 0) {
    if (param.part != -1)
      return place.error("has a part, but slices of its experts divide it");
    return Status::ok();
  }
  if (param.part_unit != 1)
    return place.error("has a part_unit, which only experts have");
  MOE_RETURN_IF_ERROR(checkLocalPart(place, "part", param.part));
  const plan::SymbolT &part = *program.symbols[param.part];
  int64_t whole = exprs[part.whole].constantValue().value_or(0);
  int64_t size = param.dims[param.part_axis];
  if (whole < 1 || size % whole != 0)
    return place.error("part is a part of '" + program.exprs[part.whole] +
                       "', expected a constant that divides " +
                       std::to_string(size));
  return Status::ok();
}

Status ProgramVerifier::verifyBlock(const Place &place,
                                    const plan::ParamT &param,
                                    const plan::BlockT &block,
                                    uint64_t layoutBytes) {
  if (block.bytes != layoutBytes)
    return place.error("has a block of " + std::to_string(block.bytes) +
                       " bytes, expected " + std::to_string(layoutBytes));
  switch (block.source) {
  case plan::BlockSource_Embedded: {
    if (block.offset % kAlignment != 0 || block.offset > weightsSize ||
        block.bytes > weightsSize - block.offset)
      return place.error("has a block at " + std::to_string(block.offset) +
                         " that is not aligned or lies outside the weights "
                         "section of " +
                         std::to_string(weightsSize) + " bytes");
    uint64_t numChunks = block.bytes / program.chunk_bytes +
                         (block.bytes % program.chunk_bytes != 0);
    size_t numHashes = program.chunk_hashes.size();
    if (block.first_hash > numHashes ||
        numChunks > numHashes - block.first_hash)
      return place.error("has chunk hashes from " +
                         std::to_string(block.first_hash) + ", expected " +
                         std::to_string(numChunks) + " of " +
                         std::to_string(numHashes));
    return Status::ok();
  }
  case plan::BlockSource_Reference: {
    MOE_RETURN_IF_ERROR(
        place.checkIndex("expression", block.expr, program.param_exprs.size()));
    const plan::ParamExprT &expr = *program.param_exprs[block.expr];
    if (expr.dtype != param.dtype || expr.dims != param.dims)
      return place.error("differs from expression " +
                         std::to_string(block.expr) +
                         " in element type or dimensions");
    std::optional<QuantFormat> format = parseQuantLayout(param.layout);
    if (format && quants.formatOf(block.expr) != format)
      return place.error("has layout '" + param.layout + "', but expression " +
                         std::to_string(block.expr) +
                         " has no codes of this format");
    return Status::ok();
  }
  case plan::BlockSource_Synthetic:
    return Status::ok();
  }
  return place.error("has a block of an unknown source");
}

/// The embedded blocks cover the weights section: from one to the next there
/// is only the padding to the alignment, so no byte escapes the hashes. Blocks
/// that are one and the same may belong to several params.
Status ProgramVerifier::verifyBlocks() const {
  std::vector<const plan::BlockT *> blocks;
  for (const auto &param : program.params)
    for (const auto &block : param->blocks)
      if (block->source == plan::BlockSource_Embedded && block->bytes > 0)
        blocks.push_back(block.get());
  std::sort(blocks.begin(), blocks.end(),
            [](const auto *a, const auto *b) { return a->offset < b->offset; });
  uint64_t end = 0;
  const plan::BlockT *previous = nullptr;
  for (const plan::BlockT *block : blocks) {
    bool isSame = previous && block->offset == previous->offset &&
                  block->bytes == previous->bytes &&
                  block->first_hash == previous->first_hash;
    if (isSame)
      continue;
    if (block->offset != end)
      return Status(StatusCode::BadPlan, "weights section: a block is at " +
                                             std::to_string(block->offset) +
                                             ", expected " +
                                             std::to_string(end));
    std::optional<uint64_t> next = checkedAlignUp(block->offset + block->bytes);
    if (!next)
      return Status(StatusCode::BadPlan,
                    "weights section: the size of a block overflows");
    end = *next;
    previous = block;
  }
  if (end != weightsSize)
    return Status(StatusCode::BadPlan,
                  "weights section: has " + std::to_string(weightsSize) +
                      " bytes, its blocks " + std::to_string(end));
  return Status::ok();
}
