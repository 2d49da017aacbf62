//===- VerifyParamExprs.cpp - Weights that are made from files ------------===//
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

using namespace moe;

namespace {
/// What one expression of param_exprs must be; its operands were verified.
class ExprVerifier {
public:
  ExprVerifier(const plan::ProgramT &program, size_t index)
      : program(program), index(index), expr(*program.param_exprs[index]) {}

  Status verify() const;

private:
  using Dims = std::vector<int64_t>;

  Status error(const std::string &what) const {
    return Place("param expression", index)
        .error(std::string(plan::EnumNameParamExprKind(expr.kind)) + " " +
               what);
  }
  Status expect(bool holds, const char *what) const {
    return holds ? Status::ok() : error(what);
  }
  Status checkCounts(size_t fewest, size_t most, size_t numInts) const;
  Status verifyFile() const;
  Status verifyInline() const;
  Status verifySlice() const;
  Status verifyTranspose() const;
  Status verifyReshape() const;
  Status verifyJoin(bool isStack) const;
  Status verifyElementwise() const;
  Status verifyDequantize() const;
  Status verifyQuantize() const;
  Status verifyTake() const;

  const plan::ParamExprT &operand(size_t i) const {
    return *program.param_exprs[expr.operands[i]];
  }
  bool keepsType() const {
    return std::all_of(expr.operands.begin(), expr.operands.end(),
                       [&](uint32_t i) {
                         return program.param_exprs[i]->dtype == expr.dtype;
                       });
  }

  const plan::ProgramT &program;
  size_t index;
  const plan::ParamExprT &expr;
};
} // namespace

Status ExprVerifier::checkCounts(size_t fewest, size_t most,
                                 size_t numInts) const {
  if (expr.operands.size() >= fewest && expr.operands.size() <= most &&
      expr.ints.size() == numInts)
    return Status::ok();
  return error("has " + std::to_string(expr.operands.size()) +
               " operands and " + std::to_string(expr.ints.size()) +
               " integers, expected " + std::to_string(fewest) + " and " +
               std::to_string(numInts));
}

Status ExprVerifier::verify() const {
  if (expr.kind > plan::ParamExprKind_MAX)
    return Place("param expression", index).error("has an unknown kind");
  if (expr.dtype >= kNumDTypes)
    return error("has an unknown element type");
  if (expr.dims.size() > kMaxRank)
    return error("has rank " + std::to_string(expr.dims.size()) +
                 ", expected at most " + std::to_string(kMaxRank));
  std::optional<uint64_t> bytes =
      checkedProduct(expr.dims, dtypeSize(DType(expr.dtype)));
  if (!bytes || *bytes > INT64_MAX)
    return error("has a size that is negative or overflows");
  for (uint32_t operand : expr.operands)
    if (operand >= index)
      return error("has operand " + std::to_string(operand) +
                   ", expected less than " + std::to_string(index));
  switch (expr.kind) {
  case plan::ParamExprKind_File:
  case plan::ParamExprKind_VarInt:
    return verifyFile();
  case plan::ParamExprKind_Fill:
    return checkCounts(0, 0, 0);
  case plan::ParamExprKind_Inline:
    return verifyInline();
  case plan::ParamExprKind_Slice:
    return verifySlice();
  case plan::ParamExprKind_Transpose:
    return verifyTranspose();
  case plan::ParamExprKind_Reshape:
    return verifyReshape();
  case plan::ParamExprKind_Concat:
    return verifyJoin(/*isStack=*/false);
  case plan::ParamExprKind_Stack:
    return verifyJoin(/*isStack=*/true);
  case plan::ParamExprKind_Cast:
  case plan::ParamExprKind_Scale:
  case plan::ParamExprKind_Add:
  case plan::ParamExprKind_Mul:
    return verifyElementwise();
  case plan::ParamExprKind_Dequantize:
    return verifyDequantize();
  case plan::ParamExprKind_Quantize:
    return verifyQuantize();
  case plan::ParamExprKind_Take:
    return verifyTake();
  }
  return error("is not known");
}

Status ExprVerifier::verifyFile() const {
  MOE_RETURN_IF_ERROR(checkCounts(0, 0, 2));
  if (expr.file >= program.files.size())
    return error("reads file " + std::to_string(expr.file) +
                 ", expected less than " +
                 std::to_string(program.files.size()));
  uint64_t size = program.files[expr.file]->size;
  int64_t begin = expr.ints[0], count = expr.ints[1];
  if (begin < 0 || count < 0 || static_cast<uint64_t>(begin) > size ||
      static_cast<uint64_t>(count) > size - static_cast<uint64_t>(begin))
    return error("reads bytes [" + std::to_string(begin) + ", +" +
                 std::to_string(count) + ") of " +
                 program.files[expr.file]->path + ", which has " +
                 std::to_string(size));
  uint64_t numElements = *checkedProduct(expr.dims);
  // A varint has at least one byte.
  if (expr.kind == plan::ParamExprKind_VarInt)
    return expect(numElements <= static_cast<uint64_t>(count),
                  "has more elements than bytes");
  if (*checkedProduct(expr.dims, dtypeSize(DType(expr.dtype))) !=
      static_cast<uint64_t>(count))
    return error("has " + std::to_string(count) + " bytes for " +
                 std::to_string(numElements) + " elements of " +
                 std::string(dtypeName(DType(expr.dtype))));
  return Status::ok();
}

Status ExprVerifier::verifyInline() const {
  MOE_RETURN_IF_ERROR(checkCounts(0, 0, 1));
  if (expr.ints[0] < 0 ||
      static_cast<uint64_t>(expr.ints[0]) >= program.constants.size())
    return error("is constant " + std::to_string(expr.ints[0]) +
                 ", expected less than " +
                 std::to_string(program.constants.size()));
  return expect(program.constants[expr.ints[0]]->data.size() ==
                    *checkedProduct(expr.dims, dtypeSize(DType(expr.dtype))),
                "differs in size from its constant");
}

Status ExprVerifier::verifySlice() const {
  size_t rank = expr.dims.size();
  MOE_RETURN_IF_ERROR(checkCounts(1, 1, 2 * rank));
  if (operand(0).dims.size() != rank)
    return error("changes the rank");
  for (size_t i = 0; i < rank; ++i) {
    int64_t size = operand(0).dims[i], count = expr.dims[i];
    int64_t start = expr.ints[i], step = expr.ints[rank + i];
    if (step == 0)
      return error("has a step of 0");
    if (count == 0)
      continue;
    __int128 last = start + static_cast<__int128>(count - 1) * step;
    if (start < 0 || start >= size || last < 0 || last >= size)
      return error("leaves its operand in dimension " + std::to_string(i));
  }
  return expect(keepsType(), "changes the element type");
}

Status ExprVerifier::verifyTranspose() const {
  size_t rank = expr.dims.size();
  MOE_RETURN_IF_ERROR(checkCounts(1, 1, rank));
  if (operand(0).dims.size() != rank)
    return error("changes the rank");
  unsigned seen = 0;
  for (size_t i = 0; i < rank; ++i) {
    int64_t from = expr.ints[i];
    if (from < 0 || from >= static_cast<int64_t>(rank) || (seen >> from & 1))
      return error("has no permutation");
    seen |= 1u << from;
    if (expr.dims[i] != operand(0).dims[from])
      return error("has a dimension " + std::to_string(i) + " of " +
                   std::to_string(expr.dims[i]) + ", expected " +
                   std::to_string(operand(0).dims[from]));
  }
  return expect(keepsType(), "changes the element type");
}

Status ExprVerifier::verifyReshape() const {
  MOE_RETURN_IF_ERROR(checkCounts(1, 1, 0));
  MOE_RETURN_IF_ERROR(
      expect(checkedProduct(operand(0).dims) == checkedProduct(expr.dims),
             "changes the number of elements"));
  return expect(keepsType(), "changes the element type");
}

Status ExprVerifier::verifyJoin(bool isStack) const {
  MOE_RETURN_IF_ERROR(checkCounts(1, SIZE_MAX, isStack ? 0 : 1));
  int64_t axis = isStack ? 0 : expr.ints[0];
  if (axis < 0 || axis >= static_cast<int64_t>(expr.dims.size()))
    return error("has an axis outside of its dimensions");
  int64_t total = 0;
  for (size_t i = 0; i < expr.operands.size(); ++i) {
    Dims dims = operand(i).dims;
    if (isStack)
      dims.insert(dims.begin(), 1);
    if (dims.size() != expr.dims.size() ||
        __builtin_add_overflow(total, dims[axis], &total))
      return error("has an operand " + std::to_string(i) +
                   " of another rank or size");
    dims[axis] = expr.dims[axis];
    if (dims != expr.dims)
      return error("has an operand " + std::to_string(i) +
                   " of other dimensions");
  }
  if (total != expr.dims[axis])
    return error("joins " + std::to_string(total) + " entries, expected " +
                 std::to_string(expr.dims[axis]));
  return expect(keepsType(), "changes the element type");
}

/// `from` is `to` after sizes of 1 in it grow and missing ones come in front.
static bool broadcasts(const std::vector<int64_t> &from,
                       const std::vector<int64_t> &to) {
  if (from.size() > to.size())
    return false;
  size_t missing = to.size() - from.size();
  for (size_t i = 0; i < from.size(); ++i)
    if (from[i] != 1 && from[i] != to[missing + i])
      return false;
  return true;
}

Status ExprVerifier::verifyElementwise() const {
  bool isUnary = expr.kind == plan::ParamExprKind_Cast ||
                 expr.kind == plan::ParamExprKind_Scale;
  size_t count = isUnary ? 1 : 2;
  MOE_RETURN_IF_ERROR(checkCounts(count, count, 0));
  for (size_t i = 0; i < count; ++i)
    if (isUnary ? operand(i).dims != expr.dims
                : !broadcasts(operand(i).dims, expr.dims))
      return error("has an operand " + std::to_string(i) +
                   " whose dimensions do not fit");
  if (expr.kind == plan::ParamExprKind_Cast)
    return Status::ok();
  MOE_RETURN_IF_ERROR(expect(expr.kind != plan::ParamExprKind_Scale ||
                                 isFloat(DType(expr.dtype)),
                             "scales floats only"));
  return expect(keepsType(), "changes the element type");
}

/// q [.., ceil(N * bits / 8)], scales [.., ceil(N / block)] -> [.., N]. q and
/// zero points may also have a byte for each code.
Status ExprVerifier::verifyDequantize() const {
  MOE_RETURN_IF_ERROR(checkCounts(2, 3, 2));
  int64_t bits = expr.ints[0], block = expr.ints[1];
  if ((bits != 2 && bits != 4 && bits != 8) || block < 0)
    return error("has " + std::to_string(bits) + " bits in blocks of " +
                 std::to_string(block) +
                 ", expected 2, 4 or 8 in blocks of at least 0");
  if (!isFloat(DType(expr.dtype)) || expr.dims.empty() ||
      expr.dims.back() > (int64_t(1) << 56))
    return error("gives floats of rank 1 or more");
  int64_t size = expr.dims.back();
  int64_t numBlocks = block == 0 ? 1 : size / block + (size % block != 0);
  auto packed = [&](int64_t n) { return (n * bits + 7) / 8; };
  auto fits = [&](size_t i, int64_t last) {
    Dims dims = expr.dims;
    dims.back() = last;
    return operand(i).dims == dims;
  };
  auto hasCodes = [&](size_t i, int64_t n) {
    return DType(operand(i).dtype) == DType::U8 &&
           (fits(i, packed(n)) || fits(i, n));
  };
  MOE_RETURN_IF_ERROR(
      expect(hasCodes(0, size), "has q of a type or shape that does not fit"));
  MOE_RETURN_IF_ERROR(
      expect(isFloat(DType(operand(1).dtype)) && fits(1, numBlocks),
             "has scales of a type or shape that does not fit"));
  return expect(expr.operands.size() == 2 || hasCodes(2, numBlocks),
                "has zero points of a type or shape that does not fit");
}

/// [.., K, N] -> [.., K, N] in blocks along K.
Status ExprVerifier::verifyQuantize() const {
  MOE_RETURN_IF_ERROR(checkCounts(1, 1, 3));
  int64_t bits = expr.ints[0], block = expr.ints[1], zeros = expr.ints[2];
  if ((bits != 4 && bits != 8) || block < 0 ||
      (block != 16 && block % 32 != 0) || (zeros != 0 && zeros != 1))
    return error("has " + std::to_string(bits) + " bits in blocks of " +
                 std::to_string(block) + " and zero points " +
                 std::to_string(zeros) +
                 ", expected 4 or 8 in blocks of 16 or a multiple of 32, and "
                 "0 or 1");
  bool fits = isPanelType(DType(expr.dtype)) && expr.dims.size() >= 2 &&
              expr.dims[expr.dims.size() - 2] <= (int64_t(1) << 56);
  MOE_RETURN_IF_ERROR(expect(fits, "rounds matrices of f32, f16 or bf16 only"));
  MOE_RETURN_IF_ERROR(
      expect(operand(0).dims == expr.dims, "changes the dimensions"));
  return expect(keepsType(), "changes the element type");
}

Status ExprVerifier::verifyTake() const {
  bool hasAxis = expr.operands.size() == 1 && !expr.ints.empty() &&
                 expr.ints[0] >= 0 &&
                 expr.ints[0] < static_cast<int64_t>(expr.dims.size());
  MOE_RETURN_IF_ERROR(
      expect(hasAxis, "needs an operand and an axis of its dimensions"));
  int64_t axis = expr.ints[0];
  if (static_cast<int64_t>(expr.ints.size() - 1) != expr.dims[axis])
    return error("takes " + std::to_string(expr.ints.size() - 1) +
                 " entries, expected " + std::to_string(expr.dims[axis]));
  Dims dims = operand(0).dims;
  int64_t size = dims.size() == expr.dims.size() ? dims[axis] : 0;
  if (dims.size() == expr.dims.size())
    dims[axis] = expr.dims[axis];
  MOE_RETURN_IF_ERROR(
      expect(dims == expr.dims, "changes dimensions beside its axis"));
  for (size_t i = 1; i < expr.ints.size(); ++i)
    if (expr.ints[i] < 0 || expr.ints[i] >= size)
      return error("takes entry " + std::to_string(expr.ints[i]) + " of " +
                   std::to_string(size));
  return expect(keepsType(), "changes the element type");
}

static constexpr int kMaxExprDepth = 64;
/// Expressions share operands, so a small table could stand for endless work.
static constexpr uint64_t kMaxExprNodes = 1 << 20;

Status ProgramVerifier::verifyParamExprs() const {
  // Of the tree below each expression; operands come before their users.
  std::vector<int> depths;
  std::vector<uint64_t> numNodes;
  for (size_t i = 0; i < program.param_exprs.size(); ++i) {
    MOE_RETURN_IF_ERROR(ExprVerifier(program, i).verify());
    int depth = 1;
    uint64_t nodes = 1;
    for (uint32_t operand : program.param_exprs[i]->operands) {
      depth = std::max(depth, depths[operand] + 1);
      nodes += numNodes[operand];
      if (depth > kMaxExprDepth || nodes > kMaxExprNodes)
        return Place("param expression", i)
            .error("is nested deeper than " + std::to_string(kMaxExprDepth) +
                   " or larger than " + std::to_string(kMaxExprNodes) +
                   " nodes");
    }
    depths.push_back(depth);
    numNodes.push_back(nodes);
  }
  return Status::ok();
}
