//===- ParamExpr.cpp - Weights from files, computed in windows ------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/params/ParamExpr.h"
#include "runtime/params/Elements.h"
#include "runtime/params/WeightFiles.h"
#include "runtime/plan/PlanVerify.h"
#include "runtime/support/CheckedMath.h"

#include <algorithm>
#include <cstring>

using namespace moe;
using plan::ParamExprT;

using Bytes = std::vector<std::byte>;

struct ParamEvaluator::Impl {
  const plan::ProgramT &tables;
  mutable WeightFiles files;

  Impl(const plan::ProgramT &tables, std::vector<std::string> folders)
      : tables(tables), files(tables.files, std::move(folders)) {}

  const ParamExprT &at(uint32_t expr) const {
    return *tables.param_exprs[expr];
  }
  static size_t elementBytes(const ParamExprT &expr) {
    return dtypeSize(DType(expr.dtype));
  }

  /// The window must lie inside the expression.
  Status evaluate(uint32_t index, const Window &window, std::byte *out) const;
  /// The window in memory of its own.
  StatusOr<Bytes> evaluate(uint32_t index, const Window &window) const {
    Bytes bytes(window.numElements() * elementBytes(at(index)));
    MOE_RETURN_IF_ERROR(evaluate(index, window, bytes.data()));
    return bytes;
  }

  Status inlined(const ParamExprT &, const Window &, std::byte *out) const;
  Status varInts(const ParamExprT &, const Window &, std::byte *out) const;
  Status slice(const ParamExprT &, const Window &, std::byte *out) const;
  Status transpose(const ParamExprT &, const Window &, std::byte *out) const;
  Status reshape(const ParamExprT &, const Window &, std::byte *out) const;
  Status concat(const ParamExprT &, const Window &, std::byte *out) const;
  Status stack(const ParamExprT &, const Window &, std::byte *out) const;
  Status combine(const ParamExprT &, const Window &, std::byte *out) const;
  StatusOr<Bytes> broadcast(uint32_t operand, const Window &window) const;
  Status dequantize(const ParamExprT &, const Window &, std::byte *out) const;
};

Status ParamEvaluator::Impl::evaluate(uint32_t index, const Window &window,
                                      std::byte *out) const {
  const ParamExprT &expr = at(index);
  auto count = static_cast<size_t>(window.numElements());
  if (count == 0)
    return Status::ok();
  switch (expr.kind) {
  case plan::ParamExprKind_File:
    return files.readWindow(expr.file, expr.ints[0], expr.dims, window,
                            elementBytes(expr), out);
  case plan::ParamExprKind_VarInt:
    return varInts(expr, window, out);
  case plan::ParamExprKind_Fill:
    fillElements(DType(expr.dtype), expr.f, expr.i, out, count);
    return Status::ok();
  case plan::ParamExprKind_Inline:
    return inlined(expr, window, out);
  case plan::ParamExprKind_Slice:
    return slice(expr, window, out);
  case plan::ParamExprKind_Transpose:
    return transpose(expr, window, out);
  case plan::ParamExprKind_Reshape:
    return reshape(expr, window, out);
  case plan::ParamExprKind_Concat:
    return concat(expr, window, out);
  case plan::ParamExprKind_Stack:
    return stack(expr, window, out);
  case plan::ParamExprKind_Cast: {
    MOE_ASSIGN_OR_RETURN(Bytes from, evaluate(expr.operands[0], window));
    convertElements(DType(at(expr.operands[0]).dtype), from.data(),
                    DType(expr.dtype), out, count);
    return Status::ok();
  }
  case plan::ParamExprKind_Scale:
    MOE_RETURN_IF_ERROR(evaluate(expr.operands[0], window, out));
    scaleElements(DType(expr.dtype), expr.f, out, count);
    return Status::ok();
  case plan::ParamExprKind_Add:
  case plan::ParamExprKind_Mul:
    return combine(expr, window, out);
  case plan::ParamExprKind_Dequantize:
    return dequantize(expr, window, out);
  }
  return Status(StatusCode::Internal, "a kind of weights is not evaluated");
}

//===----------------------------------------------------------------------===//
// Leaves
//===----------------------------------------------------------------------===//

Status ParamEvaluator::Impl::inlined(const ParamExprT &expr,
                                     const Window &window,
                                     std::byte *out) const {
  auto *data = reinterpret_cast<const std::byte *>(
      tables.constants[expr.ints[0]]->data.data());
  Extents strides = rowMajor(expr.dims);
  for (int i = 0; i < window.rank; ++i)
    data += window.starts[i] * strides[i] * elementBytes(expr);
  copyStrided(window.rank, window.sizes, data, strides, out,
              rowMajor({window.sizes.data(), size_t(window.rank)}),
              elementBytes(expr));
  return Status::ok();
}

namespace {
/// Decodes the varints of a range of a file, one after the other.
class VarIntReader {
public:
  VarIntReader(const InputFile &file, uint64_t begin, uint64_t count)
      : file(file), position(begin), end(begin + count) {}

  StatusOr<uint64_t> next() {
    uint64_t value = 0;
    for (int shift = 0; shift < 70; shift += 7) {
      if (used == buffer.size())
        MOE_RETURN_IF_ERROR(refill());
      auto byte = static_cast<uint8_t>(buffer[used++]);
      if (shift < 64)
        value |= static_cast<uint64_t>(byte & 0x7f) << shift;
      if (!(byte & 0x80))
        return value;
    }
    return error("an integer has more than 10 bytes");
  }

private:
  Status error(const char *what) const {
    return Status(StatusCode::BadModel, file.path() + ": " + what +
                                            " before byte " +
                                            std::to_string(position));
  }
  Status refill() {
    if (position == end)
      return error("there are fewer integers than elements");
    buffer.resize(std::min<uint64_t>(65536, end - position));
    MOE_RETURN_IF_ERROR(file.readAt(position, buffer));
    position += buffer.size();
    used = 0;
    return Status::ok();
  }

  const InputFile &file;
  uint64_t position, end;
  Bytes buffer;
  size_t used = 0;
};
} // namespace

/// Stores an integer as protobuf means it: f16 and bf16 travel as their bits.
static void storeVarInt(DType dtype, uint64_t value, std::byte *out) {
  if (dtype == DType::F16 || dtype == DType::BF16)
    dtype = DType::U16;
  fillElements(dtype, static_cast<double>(static_cast<int64_t>(value)),
               static_cast<int64_t>(value), out, 1);
}

Status ParamEvaluator::Impl::varInts(const ParamExprT &expr,
                                     const Window &window,
                                     std::byte *out) const {
  MOE_ASSIGN_OR_RETURN(std::shared_ptr<const InputFile> file,
                       files.get(expr.file));
  VarIntReader reader(*file, expr.ints[0], expr.ints[1]);
  Extents strides = rowMajor(expr.dims);
  Extents at = {};
  int64_t numRead = 0;
  // The elements of a window come in the order of the file.
  for (;;) {
    int64_t index = 0;
    for (int i = 0; i < window.rank; ++i)
      index += (window.starts[i] + at[i]) * strides[i];
    for (; numRead < index; ++numRead)
      MOE_RETURN_IF_ERROR(reader.next().status());
    MOE_ASSIGN_OR_RETURN(uint64_t value, reader.next());
    ++numRead;
    storeVarInt(DType(expr.dtype), value, out);
    out += elementBytes(expr);
    int i = window.rank;
    while (i-- > 0 && ++at[i] == window.sizes[i])
      at[i] = 0;
    if (i < 0)
      return Status::ok();
  }
}

//===----------------------------------------------------------------------===//
// Movements
//===----------------------------------------------------------------------===//

Status ParamEvaluator::Impl::slice(const ParamExprT &expr, const Window &window,
                                   std::byte *out) const {
  // Steps up to this are read with the elements between them.
  constexpr int64_t kSmallStep = 16;
  const int64_t *starts = expr.ints.data(), *steps = starts + window.rank;
  Window inner = window;
  int stepped = -1;
  bool needsSplit = false;
  for (int i = 0; i < window.rank; ++i) {
    inner.starts[i] = starts[i] + window.starts[i] * steps[i];
    if (window.sizes[i] == 1 || steps[i] == 1)
      continue;
    needsSplit |= stepped != -1 || std::abs(steps[i]) > kSmallStep;
    stepped = i;
  }
  if (stepped == -1)
    return evaluate(expr.operands[0], inner, out);
  if (needsSplit) {
    Window part = window;
    int dim = window.firstLongDim();
    part.sizes[dim] = 1;
    size_t partBytes = part.numElements() * elementBytes(expr);
    for (int64_t i = 0; i < window.sizes[dim]; ++i, out += partBytes) {
      part.starts[dim] = window.starts[dim] + i;
      MOE_RETURN_IF_ERROR(slice(expr, part, out));
    }
    return Status::ok();
  }

  int64_t step = steps[stepped];
  int64_t reach = (window.sizes[stepped] - 1) * step;
  inner.starts[stepped] += std::min<int64_t>(reach, 0);
  inner.sizes[stepped] = std::abs(reach) + 1;
  MOE_ASSIGN_OR_RETURN(Bytes from, evaluate(expr.operands[0], inner));
  Extents strides =
      rowMajor({inner.sizes.data(), static_cast<size_t>(inner.rank)});
  const std::byte *first = from.data();
  if (step < 0)
    first -= reach * strides[stepped] * elementBytes(expr);
  strides[stepped] *= step;
  copyStrided(window.rank, window.sizes, first, strides, out,
              rowMajor({window.sizes.data(), size_t(window.rank)}),
              elementBytes(expr));
  return Status::ok();
}

Status ParamEvaluator::Impl::transpose(const ParamExprT &expr,
                                       const Window &window,
                                       std::byte *out) const {
  Window inner = window;
  for (int i = 0; i < window.rank; ++i) {
    inner.starts[expr.ints[i]] = window.starts[i];
    inner.sizes[expr.ints[i]] = window.sizes[i];
  }
  MOE_ASSIGN_OR_RETURN(Bytes from, evaluate(expr.operands[0], inner));
  Extents innerStrides =
      rowMajor({inner.sizes.data(), static_cast<size_t>(inner.rank)});
  Extents strides = {};
  for (int i = 0; i < window.rank; ++i)
    strides[i] = innerStrides[expr.ints[i]];
  copyStrided(window.rank, window.sizes, from.data(), strides, out,
              rowMajor({window.sizes.data(), size_t(window.rank)}),
              elementBytes(expr));
  return Status::ok();
}

/// Calls function(window) for windows of the first `rank` dimensions of `dims`
/// that together are the elements [begin, begin + count) in row-major order.
/// Dimensions before `level` are already fixed in `window`.
template <typename Function>
static Status forEachBox(std::span<const int64_t> dims, int level, int rank,
                         int64_t begin, int64_t count, Window &window,
                         Function function) {
  if (level == rank)
    return function(window);
  int64_t inner = 1;
  for (int i = level + 1; i < rank; ++i)
    inner *= dims[i];
  while (count > 0) {
    window.starts[level] = begin / inner;
    int64_t offset = begin % inner;
    int64_t taken;
    if (offset == 0 && count >= inner) {
      window.sizes[level] = count / inner;
      taken = window.sizes[level] * inner;
      for (int i = level + 1; i < rank; ++i) {
        window.starts[i] = 0;
        window.sizes[i] = dims[i];
      }
      MOE_RETURN_IF_ERROR(function(window));
    } else {
      window.sizes[level] = 1;
      taken = std::min(count, inner - offset);
      MOE_RETURN_IF_ERROR(
          forEachBox(dims, level + 1, rank, offset, taken, window, function));
    }
    begin += taken;
    count -= taken;
  }
  return Status::ok();
}

/// Last dimensions that are equal keep their part of the window; those in
/// front are walked in row-major order.
Status ParamEvaluator::Impl::reshape(const ParamExprT &expr,
                                     const Window &window,
                                     std::byte *out) const {
  const std::vector<int64_t> &from = at(expr.operands[0]).dims;
  int rank = window.rank, fromRank = static_cast<int>(from.size());
  int common = 0;
  while (common < std::min(rank, fromRank) &&
         from[fromRank - 1 - common] == expr.dims[rank - 1 - common])
    ++common;
  int front = rank - common, fromFront = fromRank - common;

  Window inner;
  inner.rank = fromRank;
  for (int i = 0; i < common; ++i) {
    inner.starts[fromFront + i] = window.starts[front + i];
    inner.sizes[fromFront + i] = window.sizes[front + i];
  }
  // Dimensions [run, front) of the window are one run in row-major order.
  int run = front;
  int64_t runSize = 1;
  while (run > 0) {
    --run;
    runSize *= window.sizes[run];
    if (window.sizes[run] != expr.dims[run])
      break;
  }
  Extents strides = rowMajor({expr.dims.data(), static_cast<size_t>(front)});
  Extents at = {};
  for (;;) {
    int64_t begin = 0;
    for (int i = 0; i < front; ++i)
      begin += (window.starts[i] + at[i]) * strides[i];
    MOE_RETURN_IF_ERROR(forEachBox(
        from, 0, fromFront, begin, runSize, inner, [&](const Window &box) {
          Status status = evaluate(expr.operands[0], box, out);
          out += box.numElements() * elementBytes(expr);
          return status;
        }));
    int i = run;
    while (i-- > 0 && ++at[i] == window.sizes[i])
      at[i] = 0;
    if (i < 0)
      return Status::ok();
  }
}

Status ParamEvaluator::Impl::concat(const ParamExprT &expr,
                                    const Window &window,
                                    std::byte *out) const {
  auto axis = static_cast<int>(expr.ints[0]);
  int64_t begin = window.starts[axis], end = begin + window.sizes[axis];
  Extents strides =
      rowMajor({window.sizes.data(), static_cast<size_t>(window.rank)});
  int64_t position = 0;
  for (uint32_t operand : expr.operands) {
    int64_t size = at(operand).dims[axis];
    int64_t first = std::max(begin, position);
    int64_t last = std::min(end, position + size);
    if (first < last) {
      Window part = window;
      part.starts[axis] = first - position;
      part.sizes[axis] = last - first;
      std::byte *to =
          out + (first - begin) * strides[axis] * elementBytes(expr);
      if (window.firstLongDim() >= axis) {
        MOE_RETURN_IF_ERROR(evaluate(operand, part, to));
      } else {
        MOE_ASSIGN_OR_RETURN(Bytes from, evaluate(operand, part));
        copyStrided(part.rank, part.sizes, from.data(),
                    rowMajor({part.sizes.data(), size_t(part.rank)}), to,
                    strides, elementBytes(expr));
      }
    }
    position += size;
  }
  return Status::ok();
}

Status ParamEvaluator::Impl::stack(const ParamExprT &expr, const Window &window,
                                   std::byte *out) const {
  Window part;
  part.rank = window.rank - 1;
  for (int i = 0; i < part.rank; ++i) {
    part.starts[i] = window.starts[i + 1];
    part.sizes[i] = window.sizes[i + 1];
  }
  size_t partBytes = part.numElements() * elementBytes(expr);
  for (int64_t i = 0; i < window.sizes[0]; ++i)
    MOE_RETURN_IF_ERROR(evaluate(expr.operands[window.starts[0] + i], part,
                                 out + i * partBytes));
  return Status::ok();
}

//===----------------------------------------------------------------------===//
// Arithmetic
//===----------------------------------------------------------------------===//

/// The window of an operand that is broadcast to the dimensions of its user.
StatusOr<Bytes> ParamEvaluator::Impl::broadcast(uint32_t operand,
                                                const Window &window) const {
  const ParamExprT &expr = at(operand);
  int rank = static_cast<int>(expr.dims.size());
  int missing = window.rank - rank;
  Window inner;
  inner.rank = rank;
  bool isWhole = missing == 0;
  for (int i = 0; i < rank; ++i) {
    bool grows = expr.dims[i] == 1;
    inner.starts[i] = grows ? 0 : window.starts[missing + i];
    inner.sizes[i] = grows ? 1 : window.sizes[missing + i];
    isWhole &= inner.sizes[i] == window.sizes[missing + i];
  }
  MOE_ASSIGN_OR_RETURN(Bytes bytes, evaluate(operand, inner));
  if (isWhole)
    return bytes;
  Extents innerStrides =
      rowMajor({inner.sizes.data(), static_cast<size_t>(rank)});
  Extents strides = {};
  for (int i = 0; i < rank; ++i)
    strides[missing + i] = inner.sizes[i] == 1 ? 0 : innerStrides[i];
  Bytes out(window.numElements() * elementBytes(expr));
  copyStrided(window.rank, window.sizes, bytes.data(), strides, out.data(),
              rowMajor({window.sizes.data(), size_t(window.rank)}),
              elementBytes(expr));
  return out;
}

Status ParamEvaluator::Impl::combine(const ParamExprT &expr,
                                     const Window &window,
                                     std::byte *out) const {
  MOE_ASSIGN_OR_RETURN(Bytes a, broadcast(expr.operands[0], window));
  MOE_ASSIGN_OR_RETURN(Bytes b, broadcast(expr.operands[1], window));
  combineElements(
      expr.kind == plan::ParamExprKind_Add ? ElementOp::Add : ElementOp::Mul,
      DType(expr.dtype), a.data(), b.data(), out, window.numElements());
  return Status::ok();
}

Status ParamEvaluator::Impl::dequantize(const ParamExprT &expr,
                                        const Window &window,
                                        std::byte *out) const {
  auto bits = static_cast<unsigned>(expr.ints[0]);
  int last = window.rank - 1;
  int64_t block = expr.ints[1] == 0 ? expr.dims[last] : expr.ints[1];
  // Codes in a byte of an operand with `count` codes in a row.
  auto perByte = [&](size_t operand, int64_t count) -> int64_t {
    return at(expr.operands[operand]).dims[last] == count ? 1 : 8 / bits;
  };
  int64_t first = window.starts[last], size = window.sizes[last];
  // Windows of the operands: whole bytes of q, whole blocks, their bytes.
  auto cover = [&](int64_t begin, int64_t end, int64_t unit) {
    Window inner = window;
    inner.starts[last] = begin / unit;
    inner.sizes[last] = (end - 1) / unit - begin / unit + 1;
    return inner;
  };
  int64_t qPerByte = perByte(0, expr.dims[last]);
  Window q = cover(first, first + size, qPerByte);
  Window scales = cover(first, first + size, block);
  int64_t firstBlock = scales.starts[last], numBlocks = scales.sizes[last];

  MOE_ASSIGN_OR_RETURN(Bytes qBytes, evaluate(expr.operands[0], q));
  MOE_ASSIGN_OR_RETURN(Bytes scaleBytes, evaluate(expr.operands[1], scales));
  Bytes zeroBytes;
  int64_t zerosPerByte = 1;
  Window zeros = scales;
  if (expr.operands.size() == 3) {
    zerosPerByte = perByte(2, at(expr.operands[1]).dims[last]);
    zeros = cover(firstBlock, firstBlock + numBlocks, zerosPerByte);
    MOE_ASSIGN_OR_RETURN(zeroBytes, evaluate(expr.operands[2], zeros));
  }
  unsigned mask = (1u << bits) - 1;
  std::vector<float> scaleValues(scales.numElements());
  convertElements(DType(at(expr.operands[1]).dtype), scaleBytes.data(),
                  DType::F32, reinterpret_cast<std::byte *>(scaleValues.data()),
                  scaleValues.size());

  std::vector<float> row(size);
  int64_t numRows = window.numElements() / size;
  for (int64_t r = 0; r < numRows; ++r) {
    const std::byte *qRow = qBytes.data() + r * q.sizes[last];
    const std::byte *zeroRow = zeroBytes.data() + r * zeros.sizes[last];
    const float *scaleRow = scaleValues.data() + r * numBlocks;
    for (int64_t i = 0; i < size; ++i) {
      int64_t b = (first + i) / block;
      unsigned value = mask & unpackBits(qRow, 8 / qPerByte,
                                         first + i - q.starts[last] * qPerByte);
      unsigned zero = 1u << (bits - 1);
      if (!zeroBytes.empty())
        zero = mask & unpackBits(zeroRow, 8 / zerosPerByte,
                                 b - zeros.starts[last] * zerosPerByte);
      row[i] =
          static_cast<float>(static_cast<int>(value) - static_cast<int>(zero)) *
          scaleRow[b - firstBlock];
    }
    convertElements(DType::F32, reinterpret_cast<std::byte *>(row.data()),
                    DType(expr.dtype), out + r * size * elementBytes(expr),
                    size);
  }
  return Status::ok();
}

//===----------------------------------------------------------------------===//
// ParamEvaluator
//===----------------------------------------------------------------------===//

ParamEvaluator::ParamEvaluator(std::unique_ptr<Impl> impl)
    : impl(std::move(impl)) {}
ParamEvaluator::ParamEvaluator(ParamEvaluator &&) noexcept = default;
ParamEvaluator &ParamEvaluator::operator=(ParamEvaluator &&) noexcept = default;
ParamEvaluator::~ParamEvaluator() = default;

StatusOr<ParamEvaluator>
ParamEvaluator::create(const plan::ProgramT &tables,
                       std::vector<std::string> folders) {
  MOE_RETURN_IF_ERROR(verifyParamExprs(tables));
  return ParamEvaluator(std::make_unique<Impl>(tables, std::move(folders)));
}

StatusOr<uint64_t> ParamEvaluator::checkFiles() const {
  uint64_t total = 0;
  for (uint32_t i = 0; i < impl->tables.files.size(); ++i) {
    MOE_ASSIGN_OR_RETURN(std::shared_ptr<const InputFile> file,
                         impl->files.get(i));
    if (__builtin_add_overflow(total, file->size(), &total))
      return Status(StatusCode::IoError, "the sizes of the weight files "
                                         "overflow 64 bits");
  }
  return total;
}

DType ParamEvaluator::dtype(uint32_t expr) const {
  return DType(impl->at(expr).dtype);
}

std::span<const int64_t> ParamEvaluator::dims(uint32_t expr) const {
  return impl->at(expr).dims;
}

Status ParamEvaluator::evaluate(uint32_t expr, std::span<const int64_t> starts,
                                std::span<const int64_t> sizes,
                                std::span<std::byte> out) const {
  auto misuse = [](const char *what) {
    return Status(StatusCode::Internal,
                  std::string("window of a weight: ") + what);
  };
  if (expr >= impl->tables.param_exprs.size())
    return misuse("the expression does not exist");
  std::span<const int64_t> whole = dims(expr);
  if (starts.size() != whole.size() || sizes.size() != whole.size())
    return misuse("the rank differs");
  Window window;
  window.rank = static_cast<int>(whole.size());
  for (size_t i = 0; i < whole.size(); ++i) {
    if (starts[i] < 0 || sizes[i] < 0 || starts[i] > whole[i] ||
        sizes[i] > whole[i] - starts[i])
      return misuse("it leaves the weight");
    window.starts[i] = starts[i];
    window.sizes[i] = sizes[i];
  }
  if (checkedProduct(sizes, dtypeSize(dtype(expr))) != out.size())
    return misuse("the memory has another size");
  return impl->evaluate(expr, window, out.data());
}

Status ParamEvaluator::evaluate(uint32_t expr, std::span<std::byte> out) const {
  std::span<const int64_t> whole = dims(expr);
  return evaluate(expr, std::vector<int64_t>(whole.size(), 0), whole, out);
}

Status moe::streamPacked(const ParamEvaluator &evaluator, uint32_t expr,
                         std::string_view layout, const BytesSink &sink) {
  WindowSource source = [&](std::span<const int64_t> starts,
                            std::span<const int64_t> sizes,
                            std::span<std::byte> out) {
    return evaluator.evaluate(expr, starts, sizes, out);
  };
  return streamPacked(source, evaluator.dtype(expr), evaluator.dims(expr),
                      layout, sink);
}
